#!/usr/bin/env python3
"""Plan a download: which series are chosen, which of them are not there yet, and whether the disk has room for them.

Nothing is asked of the network.
"""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.download.download import Missing
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import read_rows, select, write_rows
from ct4bench.download.merge import NOT_TRIED, write_missing
from ct4bench.download.plan import announce, refuse_others, to_fetch
from ct4bench.download.sources import SOURCES


def main(argv=None):
    """Write manifest.csv (all that is chosen), parts/NUMBER.csv (what is to be fetched) and announcement.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="table of series")
    parser.add_argument("--source", choices=SOURCES, default="idc")
    parser.add_argument("--doses", help="mGy, such as 10 or 1,10")
    parser.add_argument("--scanners", help="such as A1,D1")
    parser.add_argument("--reconstructions", help="of FBP, IR, DL")
    parser.add_argument("--repetitions", help="such as 1-3 or 1,4")
    parser.add_argument("--parallel", type=int, required=True, help="requests at once")
    parser.add_argument("--alone", action="store_true", help="refuse a folder with series that are not chosen")
    parser.add_argument("--part_size", type=int, required=True, help="series in a part")
    parser.add_argument("--folder", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument("--output", required=True, help="folder of what is planned")
    args = parser.parse_args(argv)
    rows = select(read_rows(args.table), args.doses, args.scanners, args.reconstructions, args.repetitions)
    folders, output = Folders(args.folder), Path(args.output)
    if args.alone:
        refuse_others(rows, folders)
    wanted = to_fetch(rows, folders)
    text = announce(rows, wanted, args.source, folders, args.parallel)
    folders.make()
    write_missing([Missing(row, *NOT_TRIED) for row in wanted], folders)
    write_rows(rows, output / "manifest.csv")
    (output / "parts").mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(wanted), args.part_size)):
        write_rows(wanted[start : start + args.part_size], output / "parts" / f"{number:04d}.csv")
    (output / "announcement.txt").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
