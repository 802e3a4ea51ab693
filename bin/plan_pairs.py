#!/usr/bin/env python3
"""Choose the pairs of series that Tables 3-6 and the decomposition compare, and the task that computes each."""

import argparse
import logging

from ct4bench.core.benchmark import SERIES_KEY
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.pairs.plan import in_whole, plan_pairs


def main(argv=None):
    """Read the registered series, write the plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="table of the registered series")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--whole", action="store_true", help="in the whole phantom, which has no published box")
    parser.add_argument("--output", required=True, help="the plan, CSV")
    args = parser.parse_args(argv)
    plan = plan_pairs(read_table(args.series, SERIES_KEY), MODES[args.mode])
    plan = in_whole(plan) if args.whole else plan
    write_table(plan, args.output)
    for table, rows in plan.groupby("table"):
        logging.info("%s: %d pairs in %d tasks", table, len(rows), rows["task"].nunique())


if __name__ == "__main__":
    run(main)
