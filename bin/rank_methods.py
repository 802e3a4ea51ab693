#!/usr/bin/env python3
"""Join the scores of all harmonization methods of a run into the leaderboard, and rank them."""

# code-table: methods.csv
# code-table: leaderboard.csv
# code-table: leaderboard_makers.csv

import argparse
from pathlib import Path

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.feature_tables import read_features
from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.leaderboard.assemble import read_methods, read_scores
from ct4bench.leaderboard.merge_leaderboards import (
    COMPARISON,
    comparison_of,
    package_versions,
    write_comparison,
)
from ct4bench.leaderboard.rank import make_leaderboard, maker_effects
from ct4bench.results.run_facts import read_settings, weights_of


def main(argv=None):
    """Read the scores of each method, write the leaderboard, and what must agree for it to be merged with another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="folder with one of each method")
    parser.add_argument("--declared", required=True, help="what plan_methods.py wrote of the methods")
    parser.add_argument("--features", required=True, nargs="+", help="features without harmonization")
    parser.add_argument("--settings", nargs="*", default=[], help="settings of their extractors, <extractor>.json")
    parser.add_argument("--splits", required=True, help="splits.csv without harmonization")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner")
    parser.add_argument("--harmonize_by", default="scanner")
    parser.add_argument("--method_cells", default="compared")
    parser.add_argument("--version", default="", help="of this software")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, type=Path, help="folder for the leaderboard")
    args = parser.parse_args(argv)
    methods = read_methods(args.declared, args.results)
    scores = read_scores(methods, args.results)
    features = {Path(path).stem: read_features(path) for path in args.features}
    weights = {name: values["status"] for name, values in weights_of(read_settings(args.settings)).items()}
    chosen = {name: getattr(args, name) for name in ("mode", "domain", "harmonize_by", "method_cells", "seed")}
    of_methods = {row.method: str(row.version) for row in methods.itertuples()}
    versions = of_methods | package_versions() | {"ct4bench": args.version}
    facts = comparison_of(features, read_table(args.splits), chosen, versions, weights)
    board = make_leaderboard(
        scores, methods, weights=weights, seed=args.seed, domain=args.domain, extractors=list(features)
    )
    write_table(methods, args.output / "methods.csv", table="methods.csv")
    write_table(board, args.output / "leaderboard.csv", table="leaderboard.csv")
    effects = maker_effects(scores, methods, facts["makers"])
    write_table(effects, args.output / "leaderboard_makers.csv", table="leaderboard_makers.csv")
    write_comparison(facts, args.output / COMPARISON)


if __name__ == "__main__":
    run(main)
