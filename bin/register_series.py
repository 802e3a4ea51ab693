#!/usr/bin/env python3
"""Register a chunk of series to the reference and write them on its grid."""

import argparse

from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.index.files import FILE_KEY


def main(argv=None):
    """Write a volume for every series that registers, and the motions of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="series.csv of the index")
    parser.add_argument("--files", required=True, help="files.parquet of the index")
    parser.add_argument("--series_uids", required=True, help="series of this chunk, comma-separated")
    parser.add_argument("--folders", required=True, nargs="+", help="folders of their slices, in the index's order")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--interpolator", help="linear, nearest or bspline; default: the mode's")
    parser.add_argument(
        "--short_series", choices=("pad", "stretch"), default="pad", help="stretch: as the published code did, point 11"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--volumes", required=True, help="folder for the registered volumes")
    parser.add_argument("--nifti", help="folder for the same as NIfTI")
    parser.add_argument("--registered", default="registered.csv", help="rows of --series that are registered")
    parser.add_argument("--transforms", required=True, help="motions and outcomes, CSV")
    parser.add_argument("--checks", help="what was computed twice, JSON")
    args = parser.parse_args(argv)
    from ct4bench.core.checks import Checks
    from ct4bench.preprocess.reference import open_reference
    from ct4bench.preprocess.register import RegistrationRun, register_chunk
    from ct4bench.preprocess.resampling import choose_interpolator
    from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, registered_rows

    interpolator = choose_interpolator(args.interpolator, args.mode)
    series = read_table(args.series, ["series_uid"])
    checks = Checks()
    registration = RegistrationRun(
        open_reference(args.reference), args.volumes, args.nifti, interpolator, args.threads, args.short_series
    )
    transforms = register_chunk(
        registration,
        series,
        read_table(args.files, FILE_KEY),
        args.folders,
        sorted(args.series_uids.split(",")),
        checks,
    )
    if args.checks:
        checks.write(args.checks)
    write_table(registered_rows(series, transforms), args.registered)
    write_table(transforms, args.transforms, TRANSFORM_COLUMNS)


if __name__ == "__main__":
    run(main)
