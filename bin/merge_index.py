#!/usr/bin/env python3
"""Merge the contents of all parts of a tree into its index, as index_series.py makes it of the whole tree."""

import argparse

from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.index.merge import merge_index
from ct4bench.index.write import write_index_of


def main(argv=None):
    """Write series.csv, quarantine.csv, files.parquet and inputs.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", required=True, help="by index_series.py --contents")
    parser.add_argument("--roots", nargs="*", default=[], help="the folders themselves, where they are still there")
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--strict", action="store_true", help="refuse the input if anything in it is not accepted")
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--one_mask", action="store_true", help="one mask serves all series: none needs its own")
    parser.add_argument("--output", required=True, help="folder of the tables")
    args = parser.parse_args(argv)
    phantom, pattern = read_phantom(args.phantom), args.series_pattern or None
    write_index_of(
        lambda: merge_index(args.parts, args.roots, pattern, phantom, args.one_mask), args.output, args.strict
    )


if __name__ == "__main__":
    run(main)
