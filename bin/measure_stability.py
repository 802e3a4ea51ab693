#!/usr/bin/env python3
"""Measure the stability of features between scanners: ICC, its mean, repeatability and discriminability."""

# code-table: <method>/icc.csv
# code-table: <method>/icc_intervals.csv
# code-table: <method>/icc_left_out.csv
# code-table: <method>/repeatability.csv
# code-table: <method>/stable_features.csv

import argparse

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.feature_tables import read_feature_blocks, read_feature_sets
from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.stability.measure import measure

TABLES = (
    "<method>/icc.csv",
    "<method>/icc_intervals.csv",
    "<method>/icc_left_out.csv",
    "<method>/repeatability.csv",
    "<method>/stable_features.csv",
)


def main(argv=None):
    """Read features, write their stability."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, nargs="+", help="tables of features, Parquet or CSV")
    parser.add_argument("--extractor", required=True, nargs="+", help="the name of each in the results")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="the factor whose values are compared")
    parser.add_argument("--output", required=True, help="ICC of every feature, CSV")
    parser.add_argument("--repeatability", help="repeatability and discriminability of every feature, CSV")
    parser.add_argument("--intervals", help="mean ICC with its intervals, CSV")
    parser.add_argument("--left_out", help="mean ICC without each scanner and each region, CSV")
    parser.add_argument("--stable_features", help="features from the most to the least stable, CSV")
    args = parser.parse_args(argv)
    feature_sets = read_feature_sets(args.extractor, args.features, read_feature_blocks)
    tables = measure(feature_sets, args.domain)
    paths = (args.output, args.intervals, args.left_out, args.repeatability, args.stable_features)
    for table, path, name in zip(tables, paths, TABLES, strict=True):
        if path:
            write_table(table, path, table=name)


if __name__ == "__main__":
    run(main)
