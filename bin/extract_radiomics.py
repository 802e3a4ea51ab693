#!/usr/bin/env python3
"""Radiomics features of the patches, or of the whole ROIs, of a chunk of registered series."""

import argparse
import json
from pathlib import Path

from ct4bench.core.script import run


def main(argv=None):
    """Check the settings, compute the features, write the table and what it was made with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registered", required=True, nargs="+", help="tables of the registered series")
    parser.add_argument("--series_uids", required=True, help="the chunk's series, separated by commas")
    parser.add_argument("--volumes", required=True, help="folder of their volumes")
    parser.add_argument("--params", required=True, help="PyRadiomics parameter file, YAML")
    parser.add_argument("--region", choices=("patch", "roi"), default="patch")
    parser.add_argument("--patches", help="table of the patches, for --region patch")
    parser.add_argument("--reference", help="folder of the prepared reference, for --region roi")
    parser.add_argument("--verify", type=float, default=0.01, help="share of regions that PyRadiomics computes, too")
    parser.add_argument("--engine", choices=("auto", "pyradiomics"), default="auto", help="pyradiomics: for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="the features, Parquet")
    parser.add_argument("--extractor", default="radiomics", help="name of the set of features")
    parser.add_argument("--settings", required=True, help="what they were made with, JSON")
    args = parser.parse_args(argv)

    from ct4bench.core.benchmark import SERIES_KEY
    from ct4bench.core.tables import concatenate, write_table
    from ct4bench.features.extract_radiomics import RadiomicsRun, describe, extract, make_group
    from ct4bench.features.radiomics_settings import load_settings

    settings = load_settings(args.params, args.engine)
    group = make_group(args.region, args.patches, args.reference)
    radiomics = RadiomicsRun(settings, args.volumes, group, args.verify, args.seed, args.threads)
    registered = concatenate(args.registered, ["series_uid"], SERIES_KEY)
    table, verification = extract(radiomics, registered, args.series_uids.split(","))
    write_table(table, args.output)
    about = describe(radiomics, table, verification, args.extractor)
    text = json.dumps(about, indent=1, allow_nan=False)
    Path(args.settings).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
