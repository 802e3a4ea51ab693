#!/usr/bin/env python3
"""Map the features of all extractors by a harmonization method, fitted on all rows, and without each scanner.

Features of the folds are not made here: the training asks for them (learning/train.py).
"""

import argparse
from pathlib import Path

from ct4bench.core.arguments import names
from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.script import run


def main(argv=None):
    """Read features, write them as the method maps them, and what became of each fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, help="the variant: method, or method.variant")
    parser.add_argument("--folder", required=True, help="the method's folder")
    parser.add_argument("--shipped", action="store_true", help="the folder is one of this project's own")
    parser.add_argument("--features", required=True, nargs="+", help="tables of features without harmonization")
    parser.add_argument("--notes", nargs="*", default=[], help="settings of their extractors, JSON")
    parser.add_argument("--extractor", required=True, nargs="+", help="the name of each")
    parser.add_argument(
        "--harmonize_by", type=names, default=("scanner",), help="columns that are a domain to the method"
    )
    parser.add_argument("--domain", choices=DOMAINS, default="scanner", help="what is left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", required=True, type=Path, help="folder for the tables; without all of them none is written"
    )
    parser.add_argument(
        "--left_out", required=True, type=Path, help="folder for those of each scanner by a fit without it"
    )
    parser.add_argument("--outcome", required=True, help="what became of each fit, CSV")
    args = parser.parse_args(argv)

    from ct4bench.harmonization.features_of import read_variant
    from ct4bench.harmonization.harmonize import harmonize_files

    variant = read_variant(args.folder, args.method, args.shipped)
    features = dict(zip(args.extractor, args.features, strict=True))
    how = (args.harmonize_by, args.domain, args.seed)
    harmonize_files(variant, features, *how, args.output, args.left_out, args.outcome, args.notes)


if __name__ == "__main__":
    run(main)
