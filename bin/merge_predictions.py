#!/usr/bin/env python3
"""Merge what train_classifiers.py wrote for all extractors and parts, and check that no training is missing."""

# code-text: <method>/predictions.parquet
# code-table: <method>/trainings.csv
# code-text: <method>/losses.parquet
# code-table: <method>/untrained.csv
# code-table: pipeline_info/<method>/training_times.csv

import argparse

from ct4bench.core.script import run
from ct4bench.core.tables import concatenate, read_table, write_pieces, write_table
from ct4bench.learning.merge import merge_losses, merge_predictions, merge_trainings, merge_untrained
from ct4bench.learning.predictions import PREDICTION_KEY
from ct4bench.splits.splits import SPLIT_COLUMNS


def main(argv=None):
    """Read the parts, write their rows sorted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", required=True, nargs="+", help="predictions of the parts")
    parser.add_argument("--trainings", required=True, nargs="+", help="tables of the parts' trainings")
    parser.add_argument("--losses", required=True, nargs="+", help="losses of the parts")
    parser.add_argument("--times", nargs="*", default=[], help="CPU seconds of the parts' trainings")
    parser.add_argument("--splits", required=True, help="splits.csv of plan_splits.py")
    parser.add_argument("--untrained", nargs="*", default=[], help="trainings that a method has no features for, CSV")
    parser.add_argument("--merged_untrained", help="all of these, CSV")
    parser.add_argument("--output", required=True, help="all predictions, Parquet")
    parser.add_argument("--merged_trainings", required=True, help="all trainings, CSV")
    parser.add_argument("--merged_losses", required=True, help="all losses, Parquet")
    parser.add_argument("--merged_times", help="CPU seconds of all trainings, CSV")
    args = parser.parse_args(argv)
    untrained = merge_untrained(concatenate(args.untrained, PREDICTION_KEY)) if args.untrained else None
    splits = read_table(args.splits, SPLIT_COLUMNS)
    trainings = merge_trainings(concatenate(args.trainings, ["extractor"]), splits, untrained)
    if args.merged_untrained:
        write_table(untrained, args.merged_untrained, table="<method>/untrained.csv")
    write_table(trainings, args.merged_trainings, table="<method>/trainings.csv")
    pieces = merge_predictions(args.predictions, args.trainings, trainings)
    write_pieces(pieces, args.output, table="<method>/predictions.parquet")
    losses = merge_losses(concatenate(args.losses, ["extractor"]))
    write_table(losses, args.merged_losses, table="<method>/losses.parquet")
    if args.merged_times:
        times = concatenate(args.times, PREDICTION_KEY)
        write_table(times, args.merged_times, table="pipeline_info/<method>/training_times.csv")


if __name__ == "__main__":
    run(main)
