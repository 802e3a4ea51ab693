#!/usr/bin/env python3
"""Measure the stability of features between scanners: ICC, its mean, repeatability and discriminability."""

import argparse

from ct4bench.errors import run
from ct4bench.feature_merging import read_features
from ct4bench.modes import MODES
from ct4bench.repeatability import repeatability_table, stable_features
from ct4bench.stability import DOMAINS, icc_table, mean_icc_intervals
from ct4bench.tables import write_table


def main(argv=None):
    """Read features, write their stability."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, help="table of features, Parquet or CSV")
    parser.add_argument("--extractor", required=True, help="its name in the tables")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="the factor whose values are compared")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper", help="whose form of ICC ranks the features")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", required=True, help="ICC of every feature, CSV")
    parser.add_argument("--repeatability", help="repeatability and discriminability of every feature, CSV")
    parser.add_argument("--intervals", help="mean ICC with its bootstrap interval, CSV")
    parser.add_argument("--stable_features", help="features from the most to the least stable, CSV")
    args = parser.parse_args(argv)
    features = read_features(args.features)
    icc = icc_table(features, args.extractor, args.domain)
    write_table(icc, args.output)
    repeatability = repeatability_table(features, args.extractor, args.domain)
    if args.repeatability:
        write_table(repeatability, args.repeatability)
    if args.intervals:
        write_table(mean_icc_intervals(features, args.extractor, args.domain, args.seed), args.intervals)
    if args.stable_features:
        write_table(stable_features(icc, MODES[args.mode].icc_headline, repeatability), args.stable_features)


if __name__ == "__main__":
    run(main)
