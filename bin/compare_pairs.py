#!/usr/bin/env python3
"""Compute RMSE, PSNR and SSIM of the pairs that one task of the plan names."""

import argparse
from pathlib import Path

from ct4bench.core.checks import Checks
from ct4bench.core.script import run
from ct4bench.core.tables import read_table, write_table
from ct4bench.pairs.compare import compare_task
from ct4bench.pairs.plan import PLAN_COLUMNS


def main(argv=None):
    """Read plan and volumes, write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", required=True, help="plan.csv of plan_pairs.py")
    parser.add_argument("--task", required=True, help="compute only the rows of this task")
    parser.add_argument("--volumes", required=True, type=Path, help="folder of registered volumes")
    parser.add_argument("--reference", required=True, type=Path, help="folder of the prepared reference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="pairs, Parquet")
    parser.add_argument("--checks", help="what was computed twice, JSON")
    args = parser.parse_args(argv)
    plan = read_table(args.plan, PLAN_COLUMNS)
    checks = Checks()
    write_table(compare_task(plan, args.task, args.volumes, args.reference, args.threads, checks), args.output)
    if args.checks:
        checks.write(args.checks)


if __name__ == "__main__":
    run(main)
