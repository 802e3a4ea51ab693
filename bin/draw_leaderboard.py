#!/usr/bin/env python3
"""Draw the leaderboard: differences to no harmonization, and harmony against content kept."""

# code-table: leaderboard.csv
# code-table: methods.csv

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import read_table
from ct4bench.results.run_facts import read_run_facts


def main(argv=None):
    """Read the leaderboard, write PNG, SVG and a caption for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", required=True, type=Path, help="folder with leaderboard.csv and methods.csv")
    parser.add_argument("--facts", required=True, help="run_facts.json without harmonization")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures")
    args = parser.parse_args(argv)
    from ct4bench.figures.draw_leaderboard import draw_leaderboard
    from ct4bench.leaderboard.rank import titles_of

    titles = titles_of(read_table(args.board / "methods.csv", ["method", "title"]))
    draw_leaderboard(read_table(args.board / "leaderboard.csv"), read_run_facts(args.facts), args.output, titles)


if __name__ == "__main__":
    run(main)
