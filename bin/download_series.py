#!/usr/bin/env python3
"""Download the collection or a part of it: series with their segmentations, verified, into OUTPUT/dicom/SERIES_UID/.

What is there already is not asked for again. OUTPUT/download/ has series.csv, missing.csv (the reason of each series
that did not come; the status is then 2) and a state for each series. Ends within 10 s of a signal, with status 128 +
its number; docs/download.md tells the rest.
"""

import argparse

from ct4bench.core.script import run
from ct4bench.download.arguments import (
    access_of,
    add_choice_arguments,
    add_patience_arguments,
    add_source_arguments,
    chosen_rows,
)
from ct4bench.download.download import download
from ct4bench.download.folders import Folders


def main(argv=None):
    """Fetch what is missing of the chosen series, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder that dicom/ and download/ lie in")
    add_choice_arguments(parser)
    add_source_arguments(parser)
    add_patience_arguments(parser)
    parser.add_argument("--plan_only", action="store_true", help="say what would be fetched, and end")
    parser.add_argument("--missing", help="table of what did not come, in place of a status that is not 0")
    args = parser.parse_args(argv)
    download(chosen_rows(args), access_of(args), Folders(args.output), args.plan_only, args.missing)


if __name__ == "__main__":
    run(main)
