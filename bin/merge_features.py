#!/usr/bin/env python3
"""Merge the feature tables and settings that the tasks of one extractor wrote, or take the user's own tables."""

# code-text: <method>/features/<extractor>.parquet

import argparse
import json
from pathlib import Path

from ct4bench.core.brought import as_brought
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import read_features
from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.features.brought_tables import check_beside, check_finite
from ct4bench.features.merge import KEPT, merge


def main(argv=None):
    """Read tables and settings, check that they belong together, write one of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extractor", required=True, help="name of the extractor")
    parser.add_argument("--tables", required=True, nargs="+", help="feature tables, Parquet or CSV")
    parser.add_argument("--settings", nargs="*", default=[], help="their settings, JSON; none for tables of the user")
    parser.add_argument("--beside", nargs="*", default=[], help="settings that came with tables of the user, JSON")
    parser.add_argument("--mode", help="mode of the run that made the tables")
    parser.add_argument("--registered", help="table of the registered series: each of the tables' doses must be there")
    parser.add_argument("--patches", help="table of the patches: each series must have all of them")
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--brought", help="NAME=PLACE of a table that was harmonized elsewhere, as the user has it")
    parser.add_argument("--plain", help="the same features without harmonization, whose rows and features it must have")
    parser.add_argument("--output", required=True, help="all rows, Parquet")
    parser.add_argument("--merged_settings", required=True, help="settings of all, JSON")
    args = parser.parse_args(argv)
    registered = read_table(args.registered, ["series_uid", "dose_mgy"]) if args.registered else None
    patches = read_table(args.patches, ["roi", "patch"]) if args.patches else None
    phantom = read_phantom(args.phantom)
    try:
        table, settings = merge(
            args.extractor, args.tables, args.settings, registered, patches, args.beside, args.mode, phantom
        )
        if args.brought:
            check_finite(table, args.tables[0])
        if args.plain:
            check_beside(table, read_features(args.plain), args.tables[0], args.extractor)
    except UserError as error:
        raise as_brought(error, "--harmonized_features", args.brought, args.tables) if args.brought else error from None
    notes = {name: settings[name] for name in KEPT if settings.get(name)}
    write_table(table, args.output, table="<method>/features/<extractor>.parquet", notes=notes)
    Path(args.merged_settings).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
