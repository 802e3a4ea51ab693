#!/usr/bin/env python3
"""Choose the series that methods of images learn from: scans of each scanner that are not tested; those of folds."""

import argparse

from ct4bench.core.arguments import doses_mgy
from ct4bench.core.benchmark import DOMAINS, SERIES_KEY
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.image_methods.plan import plan_fits, plan_folds


def main(argv=None):
    """Read the registered series, write those to learn from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registered", required=True, help="table of the registered series")
    parser.add_argument(
        "--feature_doses", required=True, type=doses_mgy, help="doses in mGy of the series with features, by commas"
    )
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="what a fold leaves out")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, help="series to learn from of each scanner, CSV")
    parser.add_argument("--folds", help="series that methods which learn from all scanners are fitted on and map, CSV")
    args = parser.parse_args(argv)
    registered = read_table(args.registered, SERIES_KEY)
    write_table(plan_fits(registered, args.feature_doses, args.seed), args.output)
    if args.folds:
        how = (args.domain, MODES[args.mode], args.seed)
        write_table(plan_folds(registered, args.feature_doses, *how), args.folds)


if __name__ == "__main__":
    run(main)
