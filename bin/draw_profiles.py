#!/usr/bin/env python3
"""Draw the scanner profile: noise, sharpness, calibration and residual geometry."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.results.run_facts import read_run_facts


def main(argv=None):
    """Read the tables, write PNG, SVG and a caption for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", required=True, help="scanner_profile.csv")
    parser.add_argument("--displacement", required=True, help="local_displacement.csv")
    parser.add_argument("--facts", required=True, help="run_facts.json of make_tables.py")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures")
    args = parser.parse_args(argv)
    from ct4bench.core.tables import read_table
    from ct4bench.figures.draw_profiles import draw_profiles
    from ct4bench.profiles.merge import PROFILE_COLUMNS

    args.output.mkdir(parents=True, exist_ok=True)
    profile, fields = read_table(args.profile, PROFILE_COLUMNS), read_table(args.displacement)
    profile["reason"] = profile["reason"].fillna("").astype(str)
    draw_profiles(profile, fields, read_run_facts(args.facts), args.output)


if __name__ == "__main__":
    run(main)
