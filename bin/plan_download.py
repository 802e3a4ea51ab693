#!/usr/bin/env python3
"""Plan a download: which series are chosen, which of them are not there yet, and whether the disk has room for them.

Nothing is asked of the network.
"""

import argparse
from pathlib import Path

from ct4bench.core.arguments import count, doses_mgy
from ct4bench.core.script import run
from ct4bench.download.arguments import (
    add_choice_arguments,
    add_source_arguments,
    chosen_rows,
    parallel_of,
    words_of_endpoints,
)
from ct4bench.download.folders import Folders
from ct4bench.download.plan import Planned, plan_folder, write_plan


def main(argv=None):
    """Write manifest.csv (all that is chosen), parts/NUMBER.csv (what is to be fetched) and announcement.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_choice_arguments(parser)
    add_source_arguments(parser)
    parser.add_argument("--alone", action="store_true", help="refuse a folder with series that are not chosen")
    parser.add_argument("--part_size", type=count, required=True, help="series in a part")
    parser.add_argument(
        "--max_disk", type=float, help="stream, within so many GB: parts are deleted when they are read"
    )
    parser.add_argument("--reference", default="A1 10mGy IR", help="the series that all are registered to, of a stream")
    parser.add_argument("--domain", help="the factor that will be left out and compared, of a stream")
    parser.add_argument("--feature_doses", type=doses_mgy, default="10", help="doses in mGy of features, of a stream")
    parser.add_argument("--at_once", type=count, help="parts on the disk at a time, of a stream (2; 1 of one request)")
    parser.add_argument("--copies", type=count, default=1, help="volumes that a stream keeps of each series")
    parser.add_argument("--folder", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument("--output", required=True, type=Path, help="folder of what is planned")
    args = parser.parse_args(argv)
    more, asked = words_of_endpoints(args), (chosen_rows(args), Folders(args.folder), args.source, parallel_of(args))
    if args.max_disk is None:
        planned: Planned = plan_folder(*asked, args.alone, args.part_size)
    else:
        from ct4bench.parts.plan import plan_stream

        answers = (args.domain, args.feature_doses) if args.domain else None
        planned = plan_stream(*asked, args.max_disk, args.reference, answers, args.at_once, args.copies)
    write_plan(planned, args.output, more)


if __name__ == "__main__":
    run(main)
