#!/usr/bin/env python3
"""Merge the results of several runs into one leaderboard, where they are of the same data, splits and versions."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import write_table


def main(argv=None):
    """Read folders of results, write leaderboard.csv and its companions; what differs ends it with its name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of results, --outdir of each run")
    parser.add_argument("--over_seeds", action="store_true", help="runs of several seeds: how ranks move over them")
    parser.add_argument("--output", required=True, type=Path, help="folder for the tables")
    args = parser.parse_args(argv)
    from ct4bench.leaderboard.merge_leaderboards import merge_leaderboards

    for name, table in merge_leaderboards(args.results, args.over_seeds).items():
        write_table(table, args.output / name, table=name)


if __name__ == "__main__":
    run(main)
