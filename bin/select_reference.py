#!/usr/bin/env python3
"""Choose the reference series, tell in which folders its files lie, and see that the run can answer its questions."""

import argparse

from ct4bench.core.arguments import doses_mgy
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.index.files import FILE_KEY
from ct4bench.preprocess.select import FORM, check_domains, choose_reference, confirm_reference

COLUMNS = ["series_uid", "scanner", "maker", "dose_mgy", "recon", "repetition"]


def main(argv=None):
    """Read the index, write a row for each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="series.csv of the index")
    parser.add_argument("--files", required=True, help="files.parquet of the index")
    parser.add_argument("--reference", default="A1 10mGy IR", help=FORM)
    parser.add_argument("--domain", help="the factor that will be left out and compared; without it nothing is checked")
    parser.add_argument(
        "--feature_doses", type=doses_mgy, default="10", help="doses in mGy whose series features are extracted from"
    )
    parser.add_argument("--used", help="the choice of an earlier index, which this one must confirm")
    parser.add_argument("--output", required=True, help="the choice, CSV")
    args = parser.parse_args(argv)
    series, files = read_table(args.series, COLUMNS), read_table(args.files, FILE_KEY)
    if args.domain:
        check_domains(series, args.domain, args.feature_doses)
    # an index of series that one mask serves names no segmentation
    one_mask = "seg_series_uid" in series and (series["seg_series_uid"].fillna("") == "").all()
    chosen = choose_reference(series, files, args.reference, one_mask)
    if args.used:
        confirm_reference(chosen, read_table(args.used, ["series_uid"]))
    write_table(chosen, args.output)


if __name__ == "__main__":
    run(main)
