#!/usr/bin/env python3
"""Index a tree of DICOM files: which CT series with segmentation it holds, and why everything else is left out."""

import argparse
import os
from pathlib import Path

from ct4bench.core.regions import read_phantom
from ct4bench.core.script import run
from ct4bench.core.tables import read_table
from ct4bench.index.contents import write_contents
from ct4bench.index.index import IDC_COLUMNS, build_index, index_of_idc_table
from ct4bench.index.tree import read_tree
from ct4bench.index.write import write_index_of


def main(argv=None):
    """Write series.csv, quarantine.csv, files.parquet and inputs.csv, or the contents of a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--roots", nargs="+", help="folders to search")
    source.add_argument("--idc_table", help="the collection's list of series instead of files, for a stub run")
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--strict", action="store_true", help="refuse the input if anything in it is not accepted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phantom", help="description of a phantom, YAML; default: the benchmark's")
    parser.add_argument("--one_mask", action="store_true", help="one mask serves all series: none needs its own")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--output", help="folder of the tables")
    wanted.add_argument("--contents", help="what a part of a tree holds, JSON, for merge_index.py; no table is made")
    parser.add_argument(
        "--only", type=Path, help="with --contents: file with the root's entries that are the part, a NUL after each"
    )  # fmt: skip
    args = parser.parse_args(argv)
    phantom = read_phantom(args.phantom)
    if args.contents:
        only = set(os.fsdecode(args.only.read_bytes()).split("\0")[:-1]) if args.only else ()
        write_contents(read_tree(args.roots, args.threads, only, phantom), args.contents)
        return
    pattern = args.series_pattern or None
    write_index_of(
        lambda: (
            index_of_idc_table(read_table(args.idc_table, IDC_COLUMNS))
            if args.idc_table
            else build_index(args.roots, pattern, args.threads, phantom, args.one_mask)
        ),
        args.output,
        args.strict,
    )


if __name__ == "__main__":
    run(main)
