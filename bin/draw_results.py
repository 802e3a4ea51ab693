#!/usr/bin/env python3
"""Draw tables as figures: the RMSE matrix, what each step adds, and accuracy over the number of training scanners."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.results.run_facts import read_run_facts


def main(argv=None):
    """Read the tables, write PNG, SVG and a caption for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", required=True, type=Path, help="folder of make_tables.py")
    parser.add_argument("--facts", required=True, help="run_facts.json of make_tables.py")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures")
    args = parser.parse_args(argv)
    from ct4bench.figures.draw_results import draw_results

    args.output.mkdir(parents=True, exist_ok=True)
    draw_results(args.tables, read_run_facts(args.facts), args.output)


if __name__ == "__main__":
    run(main)
