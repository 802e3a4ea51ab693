#!/usr/bin/env python3
"""Say what came of a download: series.csv and missing.csv below download/; an error where series are missing."""

import argparse

from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import read_rows
from ct4bench.download.merge import (
    MISSING_TABLE,
    SERIES_TABLE,
    list_absent,
    list_missing,
    read_reasons_of,
    read_series,
    refuse_missing,
    series_table,
    write_tables,
)


def main(argv=None):
    """Write both tables, and the first of them once more for the engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="manifest.csv of the plan")
    parser.add_argument("--missing", nargs="*", default=[], help="missing.csv of each task")
    parser.add_argument("--folder", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument(
        "--streamed", nargs="*", help="series.csv of each task that deleted its series when it had read them"
    )
    parser.add_argument("--output", required=True, help="table of the series that are there")
    args = parser.parse_args(argv)
    rows, folders = read_rows(args.table), Folders(args.folder)
    if args.streamed is None:
        missing = list_missing(rows, folders, read_reasons_of(args.missing))
        absent = {item.row.series_instance_uid for item in missing}
        series = series_table([row for row in rows if row.series_instance_uid not in absent], folders)
    else:
        parts = [folders.stream(part).output / MISSING_TABLE for part in folders.streams()]
        reasons = read_reasons_of(path for path in parts if path.is_file())
        series, missing = list_absent(rows, read_series(args.streamed), reasons)
    write_tables(series, missing, folders)
    refuse_missing(missing, len(rows), folders, streamed=args.streamed is not None)
    write_table(series, args.output, table=SERIES_TABLE)


if __name__ == "__main__":
    run(main)
