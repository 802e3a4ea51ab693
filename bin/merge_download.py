#!/usr/bin/env python3
"""Say what came of a download: series.csv and missing.csv below download/; an error where series are missing."""

import argparse

from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import read_rows
from ct4bench.download.merge import (
    SERIES_TABLE,
    list_missing,
    read_reasons_of,
    refuse_missing,
    series_table,
    write_outcome,
)


def main(argv=None):
    """Write both tables, and the first of them once more for the engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="manifest.csv of the plan")
    parser.add_argument("--missing", nargs="*", default=[], help="missing.csv of each task")
    parser.add_argument("--folder", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument("--output", required=True, help="table of the series that are there")
    args = parser.parse_args(argv)
    rows, folders = read_rows(args.table), Folders(args.folder)
    missing = list_missing(rows, folders, read_reasons_of(args.missing))
    write_outcome(rows, missing, folders)
    refuse_missing(missing, len(rows), folders)
    write_table(series_table(rows, folders), args.output, table=SERIES_TABLE)


if __name__ == "__main__":
    run(main)
