#!/usr/bin/env python3
"""Train and test the classifiers of one extractor, or a part of them."""

import argparse

from ct4bench.core.arguments import names, part
from ct4bench.core.script import run


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
    parser.add_argument("--part", type=part, default="1/1", help="i/n: part i of n of the trainings")
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
    parser.add_argument("--folds", help="folder of features of each fold, of a method that maps volumes")
    parser.add_argument("--output", required=True, help="predictions, Parquet")
    parser.add_argument("--trainings", required=True, help="a row for each training, CSV")
    parser.add_argument("--losses", required=True, help="loss of each epoch, Parquet")
    parser.add_argument("--times", help="CPU seconds of each training, CSV")
    parser.add_argument("--untrained", help="trainings that the method has no features for, CSV")
    args = parser.parse_args(argv)

    from ct4bench.core.modes import MODES
    from ct4bench.learning.files import Method, Places, device_of, train_files
    from ct4bench.learning.train import TrainingRun

    training = TrainingRun(
        args.extractor, MODES[args.mode], args.seed, args.classifier, args.part, args.verify, args.threads,
        args.domain, device_of(args.device), args.engine,
    )  # fmt: skip
    places = Places(args.output, args.trainings, args.losses, args.times, args.untrained)
    method = Method(args.folder, args.method, args.shipped, args.harmonize_by, args.folds) if args.method else None
    train_files(training, args.features, args.splits, places, method)


if __name__ == "__main__":
    run(main)
