#!/usr/bin/env python3
"""Describe a folder of results, its columns and how it came about, and mark it as complete by digests of its files."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.provenance.describe import describe
from ct4bench.results.collect import COLUMNS_FILE, collect, describe_columns, update_index


def main(argv=None):
    """Read every file, write columns.csv, what describes the run, and the mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="folder of results; columns.csv is written into it")
    parser.add_argument("--usage", nargs="*", default=[], type=Path, help="what tasks cost and had loaded, JSON")
    parser.add_argument("--output", required=True, type=Path, help="the mark, JSON")
    args = parser.parse_args(argv)
    update_index(args.results)
    write_table(describe_columns(args.results), args.results / COLUMNS_FILE)
    describe(args.results, args.usage, datetime.now(UTC))
    mark = collect(args.results)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
