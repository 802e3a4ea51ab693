#!/usr/bin/env python3
"""Make Tables 1-7 and their companions, beside the published values, and the facts that say what the run was."""

import argparse
from pathlib import Path

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.extractors import SOURCE, read_extractors
from ct4bench.core.modes import MODES
from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.core.tables import read_table
from ct4bench.results.published import FOLDER
from ct4bench.results.run_facts import checks_of, make_run_facts, read_series, read_settings

# code-data: ../assets/extractors.yaml
# code-data: ../assets/scanners.csv
SCANNERS = Path(__file__).resolve().parents[1] / "assets" / "scanners.csv"


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
    parser.add_argument("--scanners", default=SCANNERS, help="display names of the scanners, CSV")
    parser.add_argument("--extractors", default=SOURCE, help="names and order of the extractors, YAML")
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--trainings", help="trainings.csv")
    parser.add_argument("--checks", nargs="*", default=[], help="what tasks computed twice, JSON")
    parser.add_argument("--imageless", action="store_true", help="the method maps features, not images")
    parser.add_argument("--output", required=True, type=Path, help="folder for the tables")
    args = parser.parse_args(argv)
    from ct4bench.learning.counts import read_counts
    from ct4bench.results.acquisition import read_scanner_names
    from ct4bench.results.make import Inputs, make_tables, write_results

    series = read_series(args.series)
    optional = ("index", "pairs", "icc", "intervals", "repeatability", "predictions", "embedding_quality", "tasks")
    optional += ("stable_features", "icc_left_out")
    readers = {"predictions": read_counts}
    frames = {name: readers.get(name, read_table)(path) for name in optional if (path := getattr(args, name))}
    if "predictions" in frames and frames["predictions"].empty:
        # a harmonization method that has no features for any fold
        del frames["predictions"]
    extractors, phantom = read_extractors(args.extractors), read_phantom(args.phantom)
    facts = make_run_facts(series, args.mode, read_settings(args.settings), args.method, args.domain, extractors)
    facts |= {} if phantom.is_published else {"phantom": phantom.to_dict()}
    trainings = read_table(args.trainings) if args.trainings else None
    facts["checks"] = checks_of(args.checks, trainings, frames.get("embedding_quality"))
    names = read_scanner_names(args.scanners)
    results = make_tables(
        Inputs(
            series,
            **frames,
            domain=args.domain,
            seed=args.seed,
            extractors=extractors,
            imageless=args.imageless,
            phantom=phantom,
        ),
        MODES[args.mode],
        names,
        args.published,
    )
    write_results(results, facts, args.output)


if __name__ == "__main__":
    run(main)
