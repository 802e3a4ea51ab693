#!/usr/bin/env python3
"""Choose the series that methods of images may learn from: of each scanner the scans that are not tested."""

import argparse

from ct4bench.core.arguments import doses_mgy
from ct4bench.core.benchmark import SERIES_KEY
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.image_methods.plan import plan_fits


def main(argv=None):
    """Read the registered series, write those to learn from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registered", required=True, help="table of the registered series")
    parser.add_argument(
        "--feature_doses", required=True, type=doses_mgy, help="doses in mGy of the series with features, by commas"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, help="series to learn from, CSV")
    args = parser.parse_args(argv)
    registered = read_table(args.registered, SERIES_KEY)
    write_table(plan_fits(registered, args.feature_doses, args.seed), args.output)


if __name__ == "__main__":
    run(main)
