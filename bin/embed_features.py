#!/usr/bin/env python3
"""Embed features in the plane by UMAP for Figures 5 and 6, and judge the embedding."""

# code-text: <method>/embedding.parquet
# code-table: <method>/embedding_quality.csv

import argparse

from ct4bench.core.feature_tables import check_same_rows, read_feature_blocks, read_feature_sets, read_keys
from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.core.tables import stack, write_table
from ct4bench.embedding.embed import VERIFIED_EPOCHS, embedding_tables, load_without_search

ORDERS = (["figure", "extractor", "series_uid", "roi", "patch"], ["figure", "extractor"])
TABLES = ("<method>/embedding.parquet", "<method>/embedding_quality.csv")


def main(argv=None):
    """Read features, write their positions in the plane."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, nargs="+", help="tables of features, Parquet or CSV")
    parser.add_argument("--extractor", required=True, nargs="+", help="the name of each in the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--threads", type=int, default=1, help="for the search of neighbours")
    parser.add_argument(
        "--verify", type=int, default=VERIFIED_EPOCHS, metavar="EPOCHS", help="check as many against umap-learn's loop"
    )
    parser.add_argument("--output", required=True, help="embedding, Parquet")
    parser.add_argument("--quality", help="trustworthiness, continuity, silhouettes and settings, CSV")
    args = parser.parse_args(argv)
    phantom = read_phantom(args.phantom)
    load_without_search()
    options = (args.seed, args.threads)
    first, found = None, []
    for extractor, path in read_feature_sets(args.extractor, args.features, str):
        keys = read_keys(path)
        first = first or (extractor, keys)
        check_same_rows(first, (extractor, keys))
        tables = embedding_tables(read_feature_blocks(path), extractor, *options, verify=args.verify, phantom=phantom)
        found.append(tables)
    paths = (args.output, args.quality)
    for tables, order, path, name in zip(zip(*found, strict=True), ORDERS, paths, TABLES, strict=True):
        if path:
            write_table(stack(list(tables), order), path, table=name)


if __name__ == "__main__":
    run(main)
