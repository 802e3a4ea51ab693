#!/usr/bin/env python3
"""Make Tables 1-7 and their companions, beside the published values, and the facts that say what the run was."""

import argparse

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.extractors import SOURCE
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.results.published import FOLDER


def main(argv=None):
    """Read what the stages before wrote, write a CSV for each table and run_facts.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="registered series, or a table of features without an index")
    parser.add_argument("--index", help="series.csv of the index")
    parser.add_argument("--pairs", help="pairs.parquet")
    parser.add_argument("--icc", help="icc.csv")
    parser.add_argument("--intervals", help="mean ICC with its intervals, CSV")
    parser.add_argument("--icc_left_out", help="icc_left_out.csv")
    parser.add_argument("--repeatability", help="repeatability.csv")
    parser.add_argument("--predictions", help="predictions.parquet")
    parser.add_argument("--embedding_quality", help="embedding_quality.csv")
    parser.add_argument("--tasks", help="tasks.csv")
    parser.add_argument("--stable_features", help="stable_features.csv")
    parser.add_argument("--settings", nargs="*", default=[], help="settings of the extractors, <extractor>.json")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--method", default=NO_METHOD, help="harmonization method")
    parser.add_argument("--domain", default="scanner", help="the factor left out and compared")
    parser.add_argument("--seed", type=int, default=0, help="of the permutations that say what guessing scores")
    parser.add_argument("--published", default=FOLDER, help="folder of the published tables")
    parser.add_argument("--scanners", help="display names of the scanners, CSV; default: assets/scanners.csv")
    parser.add_argument("--extractors", default=SOURCE, help="names and order of the extractors, YAML")
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--trainings", help="trainings.csv")
    parser.add_argument("--checks", nargs="*", default=[], help="what tasks computed twice, JSON")
    parser.add_argument("--imageless", action="store_true", help="the method maps features, not images")
    parser.add_argument("--output", required=True, help="folder for the tables")
    args = parser.parse_args(argv)
    from ct4bench.results.make import SCANNERS, TABLES, Choice, Files, make_files

    files = Files(
        args.series, {name: getattr(args, name) for name in TABLES}, args.trainings, args.settings, args.checks,
        args.published, args.scanners or SCANNERS, args.extractors, args.phantom,
    )  # fmt: skip
    make_files(files, Choice(args.mode, args.method, args.domain, args.seed, args.imageless), args.output)


if __name__ == "__main__":
    run(main)
