#!/usr/bin/env python3
"""Compute RMSE, PSNR and SSIM of the pairs that one task of the plan names."""

import argparse
from pathlib import Path

from ct4bench.errors import UserError, run
from ct4bench.pair_plans import PLAN_COLUMNS
from ct4bench.pair_runs import compare_task
from ct4bench.tables import read_table, write_table


def position(text: str) -> tuple[float, float, float]:
    """Parse `x,y,z` in mm."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"--box_origin_mm {text} is not a position; give x,y,z in mm, as -174.66,-340.16,24") from error
    return x, y, z


def main(argv=None):
    """Read plan and volumes, write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", required=True, help="plan.csv of plan_pairs.py")
    parser.add_argument("--task", required=True, help="compute only the rows of this task")
    parser.add_argument("--volumes", required=True, type=Path, help="folder of registered volumes")
    parser.add_argument("--reference", required=True, type=Path, help="folder of the prepared reference")
    parser.add_argument("--box_origin_mm", help="=x,y,z of voxel 0 of the full grid; default: the reference's own")
    parser.add_argument("--output", required=True, help="pairs, Parquet")
    args = parser.parse_args(argv)
    origin_mm = position(args.box_origin_mm) if args.box_origin_mm else None
    pairs = compare_task(read_table(args.plan, PLAN_COLUMNS), args.task, args.volumes, args.reference, origin_mm)
    write_table(pairs, args.output)


if __name__ == "__main__":
    run(main)
