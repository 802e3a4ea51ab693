#!/usr/bin/env python3
"""Take one part of the input from its DICOM to contents for the index, registered volumes and profiles as scanned."""

import argparse

from ct4bench.core.script import run
from ct4bench.parts.arguments import add_part_arguments


def main(argv=None):
    """Write what the benchmark keeps of a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roots", nargs="+", required=True, help="folders of the part")
    parser.add_argument("--drop", action="store_true", help="delete slices when they are taken, of DICOM made to be so")
    add_part_arguments(parser)
    args = parser.parse_args(argv)
    from ct4bench.parts.take import keep_part, take_part

    how = (args.contents, args.series_pattern or None)
    keep_part(args, lambda run, checks: take_part(args.roots, run, *how, checks, args.strict, args.drop))


if __name__ == "__main__":
    run(main)
