#!/usr/bin/env python3
"""Map the features of all extractors by a harmonization method, fitted on all rows, and without each scanner.

Features of the folds are not made here: the training asks for them (learning/train.py).
"""

# code-table: <method>/features/<extractor>.parquet
# code-table: <method>/harmonization.csv

import argparse
import logging
from pathlib import Path

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.script import run

TABLE = "<method>/features/<extractor>.parquet"


def names(text):
    """Parse a list of names with commas."""
    return tuple(text.split(","))


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

    import shutil

    import pandas as pd

    from ct4bench.core.feature_tables import read_feature_sets
    from ct4bench.core.tables import read_notes, write_table
    from ct4bench.harmonization.features_of import read_variant
    from ct4bench.harmonization.harmonize import harmonize

    variant = read_variant(args.folder, args.method, args.shipped)
    found = {
        name: harmonize(variant, table, name, args.harmonize_by, args.domain, args.seed)
        for name, table in read_feature_sets(args.extractor, args.features)
    }
    for folder in (args.output, args.left_out):
        folder.mkdir(parents=True, exist_ok=True)
    paths = dict(zip(args.extractor, args.features, strict=True))
    if all(outside.fitted is not None for outside in found.values()):
        for name, outside in found.items():
            notes = read_notes(paths[name])
            write_table(outside.fitted, args.output / f"{name}.parquet", table=TABLE, notes=notes)
        for path in map(Path, args.notes):
            shutil.copyfile(path, args.output / path.name)
        for name, outside in found.items():
            if all(other.left_out is not None for other in found.values()):
                write_table(outside.left_out, args.left_out / f"{name}.parquet", table=TABLE)
    outcomes = pd.concat([outside.outcomes for outside in found.values()], ignore_index=True)
    write_table(outcomes, args.outcome, table="<method>/harmonization.csv")
    for row in outcomes[outcomes["reason"] != ""].to_dict("records"):
        logging.warning("%s, fit %s: %s: %s", row["extractor"], row["fit"], row["status"], row["reason"])


if __name__ == "__main__":
    run(main)
