#!/usr/bin/env python3
"""Divide the rows of features into training, validation and test: Algorithms 1 and 2, and further tasks by name."""

import argparse

from ct4bench.core.arguments import names, number_or
from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.splits.plan import CELLS, plan_files, read_common_keys, read_patches, sizes_of
from ct4bench.splits.splits import N_FOLDS, SCHEMES
from ct4bench.splits.tasks import FURTHER_ABLATIONS, FURTHER_TASKS, HALF, Plan


def main(argv=None):
    """Read the keys of the features, write the splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--features", required=True, nargs="+", help="features of the extractors, which must have the same rows"
    )
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="what Algorithm 1 leaves out")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=N_FOLDS, help="folds of Algorithm 2")
    parser.add_argument("--schemes", type=names, default=SCHEMES, help=f"of {','.join(SCHEMES)}")
    parser.add_argument(
        "--cells", choices=CELLS, default="all",
        help="all values of N and n, Table 7's, or these and what methods are compared by",
    )  # fmt: skip
    parser.add_argument(
        "--adaptation",
        type=number_or("half", HALF, 0),
        help="scans of a target that a method is given: a number, or half",
    )
    parser.add_argument(
        "--tasks", type=names, default=("none",), help=f"default, all, none, or of {','.join(FURTHER_TASKS)}"
    )
    parser.add_argument(
        "--ablations", type=names, default=("none",), help=f"default, all, none, or of {','.join(FURTHER_ABLATIONS)}"
    )
    parser.add_argument("--patches", help="patches.csv, for the task tissue_inside")
    parser.add_argument("--share_inside", type=float, default=0.5, help="least share of a patch inside its ROI")
    parser.add_argument("--output", required=True, help="the splits, CSV")
    parser.add_argument("--table", help="what was asked, and why it could not be answered, CSV")
    args = parser.parse_args(argv)
    plan = Plan(
        read_common_keys(args.features), MODES[args.mode], args.domain, args.seed, args.folds, args.schemes,
        read_patches(args.patches), args.share_inside, sizes_of(args.cells), args.adaptation,
    )  # fmt: skip
    plan_files(plan, args.cells, args.tasks, args.ablations, args.output, args.table)


if __name__ == "__main__":
    run(main)
