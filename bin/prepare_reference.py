#!/usr/bin/env python3
"""Read the reference series and its segmentation, find the phantom's block, and lay down the common grid."""

import argparse

from ct4bench.core.errors import UserError
from ct4bench.core.modes import MODES
from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.core.tables import read_table
from ct4bench.index.files import FILE_KEY
from ct4bench.preprocess.select import FORM

COLUMNS = ["series_uid", "scanner", "dose_mgy", "recon", "repetition"]


def three_numbers(option: str, text: str, positive: bool) -> tuple[float, float, float]:
    """Parse the three numbers of an option."""
    try:
        a, b, c = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text} must be three numbers with commas between") from error
    if positive and not all(0.05 <= value <= 20 for value in (a, b, c)):
        raise UserError(f"{option} {text} must be three sizes from 0.05 to 20 mm")
    return a, b, c


def main(argv=None):
    """Write the folder of the reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="series.csv of the index")
    parser.add_argument("--files", required=True, help="files.parquet of the index")
    parser.add_argument("--folders", required=True, nargs="+", help="folders of the series and its segmentation")
    parser.add_argument("--reference", default="A1 10mGy IR", help=FORM)
    parser.add_argument("--spacing", help="row,column,slice in mm of the common grid; default: the reference's own")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--interpolator", help="linear, nearest or bspline, as for the series; default: the mode's")
    parser.add_argument("--box_origin_mm", help="=x,y,z that the published boxes count from; default: the first voxel")
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--mask", help="SEG, RT structure set or NIfTI of the reference's regions; default: its SEG")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="the reference's folder")
    parser.add_argument("--checks", help="what was computed twice, JSON")
    args = parser.parse_args(argv)
    spacing = three_numbers("--spacing", args.spacing, True) if args.spacing else None
    origin = three_numbers("--box_origin_mm", args.box_origin_mm, False) if args.box_origin_mm else None
    phantom = read_phantom(args.phantom)
    series, files = read_table(args.series, COLUMNS), read_table(args.files, FILE_KEY)
    from ct4bench.core.checks import Checks
    from ct4bench.preprocess.prepare import prepare_reference

    slice_first = (spacing[2], spacing[0], spacing[1]) if spacing else None
    checks = Checks()
    prepare_reference(
        series, files, args.folders, args.reference, args.output, slice_first, origin, args.threads, checks,
        MODES[args.mode].grid_move, args.interpolator or MODES[args.mode].interpolator, phantom, args.mask,
    )  # fmt: skip
    if args.checks:
        checks.write(args.checks)


if __name__ == "__main__":
    run(main)
