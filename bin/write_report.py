#!/usr/bin/env python3
"""Write report.html: one file that opens offline, with what was run on what, every table and every figure."""

import argparse
from pathlib import Path

from ct4bench.core.script import run


def main(argv=None):
    """Read tables, figures and what is known of the run, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--methods", required=True, nargs="+", type=Path, help="folder of each method: tables/, figures/, features/"
    )
    parser.add_argument("--registered", help="table of the registered series")
    parser.add_argument("--series", help="where there is no table of registered series, one of features")
    parser.add_argument("--quarantine", help="all that was set aside, CSV")
    parser.add_argument("--transforms", help="transforms.csv")
    parser.add_argument("--patches", help="patches.csv")
    parser.add_argument("--reference", type=Path, help="folder of the prepared reference")
    parser.add_argument("--truth", help="truth.csv of the twin")
    parser.add_argument("--board", type=Path, help="folder with leaderboard.csv and its companions, and their figures")
    parser.add_argument("--run", help="parameters, versions, command and date of the run, JSON")
    parser.add_argument("--usage", nargs="*", default=[], help="what tasks cost, JSON")
    parser.add_argument("--deviations", help="points and choices, YAML; default: assets/deviations.yaml")
    parser.add_argument("--template", help="the page, Jinja; default: assets/report.html.j2")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="report.html; beside it comes report_<method>.html of each further method",
    )
    args = parser.parse_args(argv)
    from ct4bench.report.write import TEMPLATE, read_inputs, write_pages

    write_pages(read_inputs(args), args.output, args.template or TEMPLATE)


if __name__ == "__main__":
    run(main)
