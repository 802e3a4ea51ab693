#!/usr/bin/env python3
"""Mark a folder of results as complete: sizes and SHA-256 digests of all its files."""

import argparse
import json
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.results.collect import collect


def main(argv=None):
    """Read every file, write the mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="folder of results")
    parser.add_argument("--output", required=True, type=Path, help="the mark, JSON")
    args = parser.parse_args(argv)
    mark = collect(args.results)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
