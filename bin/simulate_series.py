#!/usr/bin/env python3
"""Scan the phantom with one or several scanner models: DICOM CT and SEG of their series, and the truth about them."""

import argparse
from pathlib import Path

from ct4bench.core.benchmark import DOSES_MGY, RECONSTRUCTIONS, SCANNERS
from ct4bench.core.errors import UserError
from ct4bench.core.script import run
from ct4bench.twin.scanners import TABLES, read_scanners


def chosen(text: str, known, what: str) -> list:
    """Return the values of a comma-separated list, each of which must be known."""
    names = {str(value): value for value in known}
    unknown = [part for part in text.split(",") if part not in names]
    if unknown:
        raise UserError(f"{what} '{unknown[0]}' is not known; choose from {', '.join(names)}")
    return [names[part] for part in text.split(",")]


def main(argv=None):
    """Write the scanners' folders and their part of the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantom", required=True, help="folder of draw_phantom.py")
    parser.add_argument("--scanner", required=True, help=f"comma-separated, of {', '.join(sorted(SCANNERS))}")
    parser.add_argument("--doses", default="1,3,6,10,14", help="mGy, comma-separated")
    parser.add_argument("--main_dose", type=int, default=10)
    parser.add_argument("--reconstructions", default="FBP,IR,DL", help="at the main dose, where the scanner has them")
    parser.add_argument("--repetitions", type=int, default=1, help="at the main dose")
    parser.add_argument("--other_reconstructions", default="IR", help="at the other doses")
    parser.add_argument("--other_repetitions", type=int, default=1, help="at the other doses")
    parser.add_argument("--other_scanners", default=",".join(SCANNERS), help="that are scanned at the other doses, too")
    parser.add_argument(
        "--other_series", choices=("all", "table6"), default="all",
        help="at each other dose all of these series, or the five that Table 6's draw takes",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of scanners.csv and the tables beside it")
    parser.add_argument("--output", required=True, help="folder in which each scanner has one with its DICOM files")
    parser.add_argument("--truth", required=True, help="table of the truth, CSV")
    args = parser.parse_args(argv)
    codes = chosen(args.scanner, SCANNERS, "scanner")
    doses = chosen(args.doses, DOSES_MGY, "dose")
    recons = chosen(args.reconstructions, RECONSTRUCTIONS, "reconstruction")
    others = chosen(args.other_reconstructions, RECONSTRUCTIONS, "reconstruction")
    other_scanners = chosen(args.other_scanners, SCANNERS, "scanner")
    from ct4bench.twin.simulate import Design, plan_scans, simulate_series

    design = Design(
        tuple(doses), tuple(recons), args.repetitions, tuple(others), args.other_repetitions, tuple(other_scanners),
        args.other_series, args.main_dose,
    )  # fmt: skip
    scanners = read_scanners(args.tables)
    planned = [(scanners[code], plan_scans(scanners[code], design)) for code in codes]
    simulate_series(args.phantom, planned, args.seed, args.output, args.truth, args.threads)


if __name__ == "__main__":
    run(main)
