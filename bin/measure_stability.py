#!/usr/bin/env python3
"""Measure the stability of features between scanners: ICC, its mean, repeatability and discriminability."""

import argparse

from ct4bench.core.errors import run
from ct4bench.core.modes import MODES
from ct4bench.core.tables import stack, write_table
from ct4bench.features.merge import read_feature_sets
from ct4bench.stability.icc import DOMAINS, icc_table, mean_icc_intervals
from ct4bench.stability.repeatability import repeatability_table, stable_features

ORDERS = (
    ["extractor", "form", "stratum", "feature"],
    ["extractor", "stratum", "form"],
    ["extractor", "feature"],
    ["extractor", "rank"],
)


def stability_tables(features, extractor, domain, seed, form):
    """ICC, means of ICC, repeatability and rank of the features of one extractor."""
    icc, repeatability = icc_table(features, extractor, domain), repeatability_table(features, extractor, domain)
    intervals = mean_icc_intervals(features, extractor, domain, seed)
    return icc, intervals, repeatability, stable_features(icc, form, repeatability)


def main(argv=None):
    """Read features, write their stability."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, nargs="+", help="tables of features, Parquet or CSV")
    parser.add_argument("--extractor", required=True, nargs="+", help="the name of each in the results")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="the factor whose values are compared")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper", help="whose form of ICC ranks the features")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", required=True, help="ICC of every feature, CSV")
    parser.add_argument("--repeatability", help="repeatability and discriminability of every feature, CSV")
    parser.add_argument("--intervals", help="mean ICC with its bootstrap interval, CSV")
    parser.add_argument("--stable_features", help="features from the most to the least stable, CSV")
    args = parser.parse_args(argv)
    found = [
        stability_tables(features, extractor, args.domain, args.seed, MODES[args.mode].icc_headline)
        for extractor, features in read_feature_sets(args.extractor, args.features)
    ]
    paths = (args.output, args.intervals, args.repeatability, args.stable_features)
    for tables, order, path in zip(zip(*found, strict=True), ORDERS, paths, strict=True):
        if path:
            write_table(stack(list(tables), order), path)


if __name__ == "__main__":
    run(main)
