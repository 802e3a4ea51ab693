#!/usr/bin/env python3
"""Draw the printed phantom on a fine grid, or make it from a real series; every scan of the twin reads it."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.twin.copied import PRINT_FILE
from ct4bench.twin.outlines import TABLES
from ct4bench.twin.phantom import parse_slab


def main(argv=None):
    """Write the phantom's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slab", default="full", help="slices,rows,columns of scanner A1's grid, or full")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--like", help="folder with one real series of the phantom to use in place of the drawing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of outlines.csv and rib_sections.csv")
    parser.add_argument("--print", type=Path, default=PRINT_FILE, help="copied print of the regions (print.npz)")
    parser.add_argument("--output", required=True, help="the phantom's folder")
    args = parser.parse_args(argv)
    slab = parse_slab(args.slab)
    if args.like:
        from ct4bench.twin.from_series import phantom_from_series

        phantom_from_series(args.like, slab, args.seed, args.output, args.threads, args.print)
    else:
        from ct4bench.twin.draw import draw_phantom

        draw_phantom(slab, args.seed, args.output, args.threads, args.tables, args.print)


if __name__ == "__main__":
    run(main)
