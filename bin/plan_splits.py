#!/usr/bin/env python3
"""Divide the rows of features into training, validation and test: Algorithms 1 and 2, and further tasks by name."""

# code-table: <method>/splits.csv
# code-table: <method>/tasks.csv

import argparse
import logging
from pathlib import Path

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.feature_tables import check_same_rows, read_keys
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.splits.plan import plan_tasks
from ct4bench.splits.splits import N_FOLDS, SCHEMES, sorted_keys
from ct4bench.splits.tasks import COMPARED_N, COMPARED_TASKS, FURTHER_ABLATIONS, FURTHER_TASKS, HALF, Plan


def names(text):
    """Parse a list of names with commas."""
    return tuple(part for part in text.split(",") if part)


def scans(text):
    """Parse a number of scans, or `half`."""
    return HALF if text == "half" else int(text)


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
        "--cells", choices=("all", "table7", "compared"), default="all",
        help="all values of N and n, Table 7's, or these and what methods are compared by",
    )  # fmt: skip
    parser.add_argument("--adaptation", type=scans, help="scans of a target that a method is given: a number, or half")
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
    patches = read_table(args.patches, ["roi", "patch", "share_inside"]) if args.patches else None
    first, *others = args.features
    table = read_keys(first)
    for other in others:
        check_same_rows((Path(first).stem, table), (Path(other).stem, read_keys(other)))
    plan = Plan(
        sorted_keys(table),
        MODES[args.mode],
        args.domain,
        args.seed,
        args.folds,
        args.schemes,
        patches,
        args.share_inside,
        (COMPARED_N,) if args.cells == "compared" else (),
        args.adaptation,
    )
    compared = args.cells == "compared"
    asked = {"ablations": ("none",), "of": COMPARED_TASKS} if compared else {"ablations": args.ablations}
    splits, tasks = plan_tasks(plan, args.tasks, all_cells=args.cells == "all", **asked)
    write_table(splits, args.output, table="<method>/splits.csv")
    if args.table:
        write_table(tasks, args.table, table="<method>/tasks.csv")
    for row in tasks.to_dict("records"):
        logging.info("%s, %s: %d trainings %s", row["task"], row["ablation"], row["n_trainings"], row["reason"])


if __name__ == "__main__":
    run(main)
