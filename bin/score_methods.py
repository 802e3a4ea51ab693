#!/usr/bin/env python3
"""Score a harmonization method beside no harmonization on the same rows."""

# code-table: <method>/scores.csv

import argparse
import logging
from pathlib import Path

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.script import run


def main(argv=None):
    """Read the features and predictions of the method and of none, write its scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, nargs="+", help="tables by the method, fitted on all rows")
    parser.add_argument("--plain", required=True, nargs="+", help="the same without harmonization")
    parser.add_argument("--left_out", type=Path, help="folder with the tables of each scanner by a fit without it")
    parser.add_argument("--unfitted", action="store_true", help="the features are the same whatever a fit sees")
    parser.add_argument("--extractor", required=True, nargs="+", help="the name of each table")
    parser.add_argument("--predictions", required=True, help="predictions.parquet of the method")
    parser.add_argument("--splits", required=True, help="splits.csv of the method")
    parser.add_argument("--plain_predictions", required=True, help="the same without harmonization")
    parser.add_argument("--plain_scores", help="scores.csv of none, where it has been scored")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="what is left out")
    parser.add_argument("--images", type=Path, help="folder with pairs.parquet and scanner_profile.csv of the method")
    parser.add_argument("--plain_images", type=Path, help="the same without harmonization, and registered.csv")
    parser.add_argument("--reference", help="folder of the prepared reference, for scores of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, help="the scores, CSV")
    args = parser.parse_args(argv)

    import pandas as pd

    from ct4bench.core.feature_tables import check_same_rows, read_features
    from ct4bench.core.tables import read_table, write_table
    from ct4bench.leaderboard.images import read_images, reference_of, score_images
    from ct4bench.leaderboard.score import SCORE_COLUMNS, FeatureSet, score_method
    from ct4bench.splits.splits import SPLIT_COLUMNS

    sets = []
    for name, path, plain_path in zip(args.extractor, args.features, args.plain, strict=True):
        table, plain = read_features(path), read_features(plain_path)
        check_same_rows((f"{name} by the method", table), (f"{name} without harmonization", plain))
        place = args.left_out / f"{name}.parquet" if args.left_out else None
        left_out = read_features(place) if place and place.is_file() else None
        sets.append(FeatureSet(name, table, plain, left_out))
    of_none = read_table(args.plain_scores, SCORE_COLUMNS) if args.plain_scores else None
    scores = score_method(
        sets, read_table(args.predictions), read_table(args.splits, SPLIT_COLUMNS), read_table(args.plain_predictions),
        args.domain, args.seed, args.unfitted, of_none,
    )  # fmt: skip
    if args.images:
        both = [read_images(folder) for folder in (args.images, args.plain_images)]
        scores = pd.concat(
            [scores, score_images(*both, reference_of(args.reference, args.plain_images / "registered.csv"))],
            ignore_index=True,
        )
    write_table(scores, args.output, table="<method>/scores.csv")
    logging.info("%d scores", scores["score"].nunique())


if __name__ == "__main__":
    run(main)
