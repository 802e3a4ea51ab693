#!/usr/bin/env python3
"""Merge the features of volumes that a method which learns from all scanners mapped in each fold."""

import argparse
from pathlib import Path

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.script import run
from ct4bench.harmonization.merge import merge_files


def main(argv=None):
    """Read the tables of all folds, write a folder of them, and each scanner by a fit without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", required=True, help="series that each fit learns from and maps, CSV")
    parser.add_argument("--numbers", required=True, nargs="+", type=int, help="number of the fit of each file")
    parser.add_argument("--files", required=True, nargs="+", type=Path, help="tables of features, and outcomes as CSV")
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="what is left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, type=Path, help="folder for the folds")
    parser.add_argument("--left_out", required=True, type=Path, help="folder for each scanner by a fit without it")
    parser.add_argument("--outcome", required=True, help="what became of these fits and of that on all series, CSV")
    args = parser.parse_args(argv)
    merge_files(args.folds, args.numbers, args.files, args.domain, args.seed, args.output, args.left_out, args.outcome)


if __name__ == "__main__":
    run(main)
