#!/usr/bin/env python3
"""Train and test the classifiers of one extractor, or a part of them."""

import argparse
import logging

from ct4bench.core.errors import UserError
from ct4bench.core.script import run


def part(text):
    """Parse `i/n`."""
    try:
        number, count = (int(value) for value in text.split("/"))
    except ValueError as error:
        raise UserError(f"--part {text} is not i/n; give for example 1/3") from error
    return number, count


def names(text):
    """Parse a list of names with commas."""
    return tuple(text.split(","))


def chosen_device(name):
    """Return `cpu` or `cuda`; torch is asked, and imported, for a GPU only."""
    if name == "cpu":
        return name
    from ct4bench.core.device import choose_device

    return choose_device(name)


def main(argv=None):
    """Read features and splits, write predictions, trainings and curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, help="features of the extractor")
    parser.add_argument("--extractor", required=True, help="its name in the tables")
    parser.add_argument("--splits", required=True, help="splits.csv of plan_splits.py")
    parser.add_argument("--domain", help="check that the splits leave this out")
    parser.add_argument("--mode", choices=("corrected", "paper"), default="paper")
    parser.add_argument("--classifier", default="mlp", help="mlp, logistic_regression, svm or gradient_boosting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="1/1", help="i/n: part i of n of the trainings")
    parser.add_argument("--threads", type=int, default=1, help="trainings at once")
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="MLPs on a GPU, in stacks")
    parser.add_argument(
        "--engine",
        choices=("kernels", "torch"),
        default="kernels",
        help="torch: MLPs without compiled kernels",
    )
    parser.add_argument("--verify", type=float, default=0.01, help="share of trainings whose first steps torch repeats")
    parser.add_argument("--method", help="variant of a harmonization method that maps the features of each fold")
    parser.add_argument("--folder", help="the method's folder")
    parser.add_argument("--shipped", action="store_true", help="the folder is one of this project's own")
    parser.add_argument("--harmonize_by", type=names, default=("scanner",), help="columns that are a domain to it")
    parser.add_argument("--output", required=True, help="predictions, Parquet")
    parser.add_argument("--trainings", required=True, help="a row for each training, CSV")
    parser.add_argument("--losses", required=True, help="loss of each epoch, Parquet")
    parser.add_argument("--times", help="CPU seconds of each training, CSV")
    parser.add_argument("--untrained", help="trainings that the method has no features for, CSV")
    args = parser.parse_args(argv)

    from ct4bench.core.feature_tables import read_features
    from ct4bench.core.modes import MODES
    from ct4bench.core.tables import read_table, write_table
    from ct4bench.learning.train import TrainingRun, prepare, train_part
    from ct4bench.splits.splits import SPLIT_COLUMNS

    features, splits = prepare(read_features(args.features), args.features), read_table(args.splits, SPLIT_COLUMNS)
    training = TrainingRun(
        args.extractor, MODES[args.mode], args.seed, args.classifier, part(args.part), args.verify, args.threads,
        args.domain, chosen_device(args.device), args.engine,
    )  # fmt: skip
    if args.method:
        from ct4bench.harmonization.features_of import MethodFeatures, read_variant

        variant = read_variant(args.folder, args.method, args.shipped)
        given = (features.keys, features.names, features.values, args.harmonize_by, args.seed)
        with MethodFeatures(variant, *given) as features_of:
            results = train_part(training, features, splits, features_of)
    else:
        results = train_part(training, features, splits)
    write_table(results.predictions, args.output)
    write_table(results.trainings, args.trainings)
    write_table(results.losses, args.losses)
    if args.untrained:
        write_table(results.untrained, args.untrained)
    if args.times:
        write_table(results.times, args.times)
    logging.info("%d trainings", len(results.trainings))
    if results.trainings["n_steps_verified"].any():
        difference = results.trainings["largest_loss_difference"].max()
        logging.info("largest difference of a loss to torch's: %.2g", difference)


if __name__ == "__main__":
    run(main)
