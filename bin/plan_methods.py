#!/usr/bin/env python3
"""Read what the harmonization methods of a run declare, and say what they will cost."""

import argparse
import sys
from pathlib import Path

from ct4bench.core.arguments import doses_mgy
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.harmonization.plan import Size, cost_lines, describe, mvoxel_of


def main(argv=None):
    """Read the methods' folders, write what they declare and the costs in words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", required=True, nargs="+", help="names of all methods, in order")
    parser.add_argument("--brought", nargs="*", default=[], help="those that were made elsewhere")
    parser.add_argument("--shipped", nargs="*", default=[], help="folders among --folders that are this project's own")
    parser.add_argument("--folders", nargs="*", default=[], type=Path, help="the methods' folders")
    parser.add_argument("--called", nargs="*", default=[], help="those of users, as they name them, for errors")
    parser.add_argument(
        "--series", help="series.csv of the index, or a table of features; without it no costs are told"
    )
    parser.add_argument("--extractors", nargs="+", default=[], help="feature sets")
    parser.add_argument(
        "--feature_doses", type=doses_mgy, help="doses in mGy of the series with features; default: all"
    )
    parser.add_argument("--domain", default="scanner")
    parser.add_argument("--cells", choices=("all", "compared"), default="compared", help="trainings of each method")
    parser.add_argument("--output", required=True, help="what they declare, CSV")
    parser.add_argument("--costs", help="costs in words")
    args = parser.parse_args(argv)
    variants, table = describe(args.methods, args.brought, args.folders, args.shipped, args.called)
    write_table(table, args.output)
    if not args.series:
        return
    series = read_table(args.series)
    series = series.drop_duplicates("series_uid") if "series_uid" in series else series
    featured = series[series["dose_mgy"].isin(args.feature_doses)] if args.feature_doses else series
    size = Size(len(series), len(featured), featured[args.domain].nunique() if args.domain in featured else 0,
                len(args.extractors), args.cells == "all", mvoxel_of(series))  # fmt: skip
    text = "\n".join(cost_lines(variants, size))
    Path(args.costs).write_text(text + "\n", encoding="utf-8")
    print(text, file=sys.stderr)


if __name__ == "__main__":
    run(main)
