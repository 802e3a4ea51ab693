#!/usr/bin/env python3
"""Draw Figures 2-4: the phantom's segments, its ROIs, and the same slice on every scanner."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.results.run_facts import read_run_facts, read_series, stamp_text

# code-data: ../assets/scanners.csv
SCANNERS = Path(__file__).resolve().parents[1] / "assets" / "scanners.csv"


def main(argv=None):
    """Read the reference and what is shown of each volume, write figures with captions, and views of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, type=Path, help="folder of the prepared reference")
    parser.add_argument("--registered", required=True, help="table of the registered series")
    parser.add_argument("--volumes", required=True, type=Path, help="folder with the volumes that are shown")
    parser.add_argument("--facts", required=True, help="run_facts.json of make_tables.py")
    parser.add_argument("--scanners", default=SCANNERS, help="display names of the scanners, CSV")
    parser.add_argument("--embedding", help="embedding.parquet: whose patches are shown in small pictures")
    parser.add_argument("--patches", help="patches.csv")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures")
    args = parser.parse_args(argv)
    from ct4bench.core.tables import read_table
    from ct4bench.figures.draw_images import draw_images
    from ct4bench.results.acquisition import read_scanner_names

    series, names = read_series(args.registered), read_scanner_names(args.scanners)
    note = stamp_text(read_run_facts(args.facts))
    tables = [read_table(path) if path else None for path in (args.embedding, args.patches)]
    draw_images(args.reference, series, args.volumes, names, note, args.output, *tables)


if __name__ == "__main__":
    run(main)
