#!/usr/bin/env python3
"""Volumes of some registered series through a harmonization method, part by part."""

import argparse

from ct4bench.core.script import run


def main(argv=None):
    """Write the harmonized volumes, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, help="name of the variant: combat.mean_only")
    parser.add_argument("--folder", required=True, help="folder of the method")
    parser.add_argument("--shipped", action="store_true", help="it is one of the project's own")
    parser.add_argument("--registered", required=True, help="table of the registered series")
    uids = {"action": "append", "required": True, "type": lambda text: [uid for uid in text.split(",") if uid]}
    parser.add_argument("--series_uids", **uids, help="series to harmonize, separated by commas; once for each part")
    parser.add_argument("--fit_uids", **uids, help="series that the part learns from, the same, or blank")
    parser.add_argument("--volumes", required=True, help="folder of the volumes of all these")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--harmonize_by", default="scanner", help="columns that are a domain to the method, by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True, help="folder for the harmonized volumes")
    parser.add_argument("--nifti", help="folder for the same as NIfTI")
    parser.add_argument("--outcome", required=True, help="what became of it, CSV")
    args = parser.parse_args(argv)

    from ct4bench.core.benchmark import SERIES_KEY
    from ct4bench.core.tables import read_table, write_table
    from ct4bench.harmonization.features_of import read_variant
    from ct4bench.image_methods.harmonize import ChunkRun, harmonize_chunks

    variant = read_variant(args.folder, args.method, args.shipped)
    settings = ChunkRun(variant, args.volumes, args.reference, args.harmonize_by.split(","), args.seed, args.nifti)
    parts = zip(args.series_uids, args.fit_uids, strict=True)
    write_table(harmonize_chunks(settings, read_table(args.registered, SERIES_KEY), parts, args.output), args.outcome)


if __name__ == "__main__":
    run(main)
