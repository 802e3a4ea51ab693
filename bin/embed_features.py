#!/usr/bin/env python3
"""Embed features in the plane by UMAP for Figures 5 and 6, and judge the embedding."""

import argparse

from ct4bench.embedding import VERIFIED_EPOCHS, embedding_tables
from ct4bench.errors import run
from ct4bench.feature_merging import read_features
from ct4bench.tables import write_table


def main(argv=None):
    """Read features, write their places in the plane."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, help="table of features, Parquet or CSV")
    parser.add_argument("--extractor", required=True, help="its name in the tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="for the search of neighbours")
    parser.add_argument(
        "--verify", type=int, default=VERIFIED_EPOCHS, metavar="EPOCHS", help="check as many against umap-learn's loop"
    )
    parser.add_argument("--output", required=True, help="embedding, Parquet")
    parser.add_argument("--quality", help="trustworthiness, continuity, silhouettes and settings, CSV")
    args = parser.parse_args(argv)
    tables = embedding_tables(read_features(args.features), args.extractor, args.seed, args.threads, verify=args.verify)
    for table, path in zip(tables, (args.output, args.quality), strict=True):
        if path:
            write_table(table, path)


if __name__ == "__main__":
    run(main)
