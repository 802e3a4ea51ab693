#!/usr/bin/env python3
"""Take one part of the input from its DICOM to contents for the index, registered volumes and profiles as scanned."""

import argparse

from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import write_table


def main(argv=None):
    """Write what the benchmark keeps of a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roots", nargs="+", required=True, help="folders of the part")
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--interpolator", help="linear, nearest or bspline; default: the mode's")
    parser.add_argument("--short_series", choices=("pad", "stretch"), default="pad")
    parser.add_argument("--strict", action="store_true", help="refuse the part if anything in it is not accepted")
    parser.add_argument("--drop", action="store_true", help="delete slices when they are taken, of DICOM made to be so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contents", required=True, help="what the part holds, JSON, for merge_index.py")
    parser.add_argument("--volumes", required=True, help="folder for the registered volumes")
    parser.add_argument("--nifti", help="folder for the same as NIfTI")
    parser.add_argument("--registered", required=True, help="registered series, CSV")
    parser.add_argument("--transforms", required=True, help="motions and outcomes, CSV")
    parser.add_argument("--profile", required=True, help="rows of the series on their own grids, Parquet")
    parser.add_argument("--checks", required=True, help="what was computed twice, JSON")
    args = parser.parse_args(argv)
    from ct4bench.core.checks import Checks
    from ct4bench.parts.take import take_part
    from ct4bench.preprocess.reference import open_reference
    from ct4bench.preprocess.register import RegistrationRun
    from ct4bench.preprocess.resampling import choose_interpolator

    interpolator = choose_interpolator(args.interpolator, args.mode)
    checks = Checks()
    registration = RegistrationRun(
        open_reference(args.reference), args.volumes, args.nifti, interpolator, args.threads, args.short_series
    )
    taken = take_part(
        args.roots, registration, args.contents, args.series_pattern or None, checks, args.strict, args.drop
    )
    checks.write(args.checks)
    write_table(taken.registered, args.registered)
    write_table(taken.transforms, args.transforms)
    write_table(taken.own_profile, args.profile)


if __name__ == "__main__":
    run(main)
