#!/usr/bin/env python3
"""Merge the parts of a table that tasks wrote, in an order that does not depend on which came first."""

import argparse

from ct4bench.core.errors import run
from ct4bench.core.tables import concatenate, write_table


def main(argv=None):
    """Read the parts, write their rows sorted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", required=True, nargs="+", help="tables of the same columns, CSV or Parquet")
    parser.add_argument("--sort_by", required=True, help="comma-separated columns that order the rows")
    parser.add_argument("--output", required=True, help="the whole table, CSV or Parquet")
    args = parser.parse_args(argv)
    write_table(concatenate(args.parts, args.sort_by.split(",")), args.output)


if __name__ == "__main__":
    run(main)
