#!/usr/bin/env python3
"""Index a tree of DICOM files: which CT series with segmentation it holds, and why everything else is left out."""

# code-table: index/series.csv
# code-table: index/quarantine.csv
# code-text: index/files.parquet
# code-table: index/inputs.csv

import argparse
import logging
from pathlib import Path

from ct4bench.core.errors import UserError
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.index.index import IDC_COLUMNS, Index, NothingAcceptedError, build_index, index_of_idc_table, refuse_any


def write_index(index: Index, output: Path) -> None:
    """Write the four tables."""
    write_table(index.series, output / "series.csv", table="index/series.csv")
    write_table(index.quarantine, output / "quarantine.csv", table="index/quarantine.csv")
    write_table(index.files, output / "files.parquet", table="index/files.parquet")
    write_table(index.inputs, output / "inputs.csv", table="index/inputs.csv")


def main(argv=None):
    """Write series.csv, quarantine.csv, files.parquet and inputs.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--roots", nargs="+", help="folders to search")
    source.add_argument("--idc_table", help="the collection's list of series instead of files, for a stub run")
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--strict", action="store_true", help="refuse the input if anything in it is not accepted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="folder of the tables")
    args = parser.parse_args(argv)
    output = Path(args.output)
    try:
        if args.idc_table:
            index = index_of_idc_table(read_table(args.idc_table, IDC_COLUMNS))
        else:
            index = build_index(args.roots, args.series_pattern or None, args.threads)
    except NothingAcceptedError as error:
        write_index(error.index, output)
        raise UserError(f"{error}; {(output / 'quarantine.csv').absolute()} lists all") from error
    write_index(index, output)
    if args.strict:
        refuse_any(index.quarantine)
    logging.info(
        "%d files: %d series accepted, %d quarantined", index.n_files, len(index.series), len(index.quarantine)
    )
    for kind, count in index.ignored.items():
        logging.info("%d files are no DICOM and were passed over: %s", count, kind)


if __name__ == "__main__":
    run(main)
