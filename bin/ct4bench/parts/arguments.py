"""What the scripts that take a part of the input are told alike: how to register it, and where what is kept goes."""

import argparse

from ct4bench.core.modes import MODES


def add_part_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `take.keep_part` reads."""
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--interpolator", help="linear, nearest or bspline; default: the mode's")
    parser.add_argument("--short_series", choices=("pad", "stretch"), default="pad")
    parser.add_argument("--strict", action="store_true", help="refuse the part if anything in it is not accepted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contents", required=True, help="what the part holds, JSON, for merge_index.py")
    parser.add_argument("--volumes", required=True, help="folder for the registered volumes")
    parser.add_argument("--nifti", help="folder for the same as NIfTI")
    parser.add_argument("--registered", required=True, help="registered series, CSV")
    parser.add_argument("--transforms", required=True, help="motions and outcomes, CSV")
    parser.add_argument("--profile", required=True, help="rows of the series on their own grids, Parquet")
    parser.add_argument("--checks", required=True, help="what was computed twice, JSON")
