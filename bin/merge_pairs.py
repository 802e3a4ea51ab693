#!/usr/bin/env python3
"""Merge the pairs that tasks compared, in an order that does not depend on which came first."""

# code-text: <method>/pairs.parquet

import argparse

from ct4bench.core.metrics import WORDS
from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.pairs.merge import merge_pairs


def main(argv=None):
    """Read the parts, write their rows sorted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", required=True, nargs="+", help="pairs of each task, Parquet")
    parser.add_argument("--output", required=True, help="all pairs, Parquet")
    args = parser.parse_args(argv)
    write_table(merge_pairs(args.parts), args.output, table="<method>/pairs.parquet", words=WORDS)


if __name__ == "__main__":
    run(main)
