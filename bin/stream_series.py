#!/usr/bin/env python3
"""Fetch one part of a download, take it to contents for the index, registered volumes and profiles as scanned, and
delete it.

The status is 75 where series of it did not come: FOLDER/download/missing.csv has the reasons.
"""

import argparse

from ct4bench.core.script import run
from ct4bench.download.arguments import access_of, add_patience_arguments, add_source_arguments
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import read_rows
from ct4bench.parts.arguments import add_part_arguments


def main(argv=None):
    """Write what the benchmark keeps of a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="table of the part's series")
    parser.add_argument("--folder", required=True, help="where the part's files lie while it needs them")
    parser.add_argument("--series", required=True, help="what vouches for each series, CSV, for merge_download.py")
    add_source_arguments(parser)
    add_patience_arguments(parser)
    add_part_arguments(parser)
    args = parser.parse_args(argv)
    from ct4bench.parts.stream import fetch_or_end, stream_part
    from ct4bench.parts.take import keep_part

    rows, access, folders = read_rows(args.table), access_of(args), Folders(args.folder)
    how = (args.contents, args.series_pattern or None)

    def stream(registration, checks):
        fetch_or_end(rows, access, folders, args.series)
        return stream_part(folders, registration, *how, checks, args.strict)

    keep_part(args, stream)


if __name__ == "__main__":
    run(main)
