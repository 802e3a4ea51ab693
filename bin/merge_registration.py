#!/usr/bin/env python3
"""Merge the outcomes of all chunks: which series are registered, which are quarantined, and all motions."""

# code-table: index/quarantine.csv
# code-table: registration/transforms.csv

import argparse
import logging

from ct4bench.core.contract import columns_of
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.preprocess.merge import merge_transforms, split_by_status


def main(argv=None):
    """Write the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="series.csv of the index")
    parser.add_argument("--quarantine", required=True, help="quarantine.csv of the index")
    parser.add_argument("--transforms", required=True, nargs="+", help="transforms.csv of every chunk")
    parser.add_argument("--strict", action="store_true", help="refuse the input if any series could not be registered")
    parser.add_argument("--registered", default="registered.csv", help="rows of --series that are registered")
    parser.add_argument("--merged_quarantine", default="quarantine.csv")
    parser.add_argument("--merged_transforms", default="transforms.csv")
    args = parser.parse_args(argv)
    series = read_table(args.series, ["series_uid", "scanner", "dose_mgy", "recon", "repetition", "path"])
    quarantine = read_table(args.quarantine, columns_of("index/quarantine.csv"))
    transforms = merge_transforms(series, args.transforms)
    registered, quarantine = split_by_status(series, quarantine, transforms, args.strict)
    write_table(registered, args.registered)
    write_table(quarantine, args.merged_quarantine, table="index/quarantine.csv")
    write_table(transforms, args.merged_transforms, table="registration/transforms.csv")
    logging.info("%d of %d series registered, %d quarantined in all", len(registered), len(series), len(quarantine))


if __name__ == "__main__":
    run(main)
