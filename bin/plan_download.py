#!/usr/bin/env python3
"""Plan a download: which series are chosen, which of them are not there yet, and whether the disk has room for them.

Nothing is asked of the network.
"""

import argparse
import math
from pathlib import Path

from ct4bench.core.errors import UserError
from ct4bench.core.script import run
from ct4bench.download.download import Missing
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row, read_rows, select, write_rows
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
    parser.add_argument(
        "--max_disk", type=float, help="stream, within so many GB: parts are deleted when they are read"
    )
    parser.add_argument("--reference", default="A1 10mGy IR", help="the series that all are registered to, of a stream")
    parser.add_argument("--domain", help="the factor that will be left out and compared, of a stream")
    parser.add_argument(
        "--feature_doses", default="10", help="doses in mGy that features are extracted at, of a stream"
    )
    parser.add_argument("--at_once", type=int, default=1, help="parts on the disk at a time, of a stream")
    parser.add_argument("--copies", type=int, default=1, help="volumes that a stream keeps of each series")
    parser.add_argument("--folder", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument("--output", required=True, help="folder of what is planned")
    args = parser.parse_args(argv)
    streams = args.max_disk is not None
    if streams and not 0 < args.max_disk < math.inf:
        raise UserError(f"--max_disk {args.max_disk:g} is no number of GB above 0")
    rows = select(read_rows(args.table), args.doses, args.scanners, args.reconstructions, args.repetitions)
    folders, output = Folders(args.folder), Path(args.output)
    (output / "parts").mkdir(exist_ok=True)
    write_rows(rows, output / "manifest.csv")
    text = plan_stream(args, rows, folders, output) if streams else plan_folder(args, rows, folders, output)
    (output / "announcement.txt").write_text(f"{text}\n", encoding="utf-8")


def plan_folder(args, rows: list[Row], folders: Folders, output: Path) -> str:
    """Plan what is to come into dicom/, and return what is said of it."""
    if args.alone:
        refuse_others(rows, folders)
    wanted = to_fetch(rows, folders)
    text = announce(rows, wanted, args.source, folders, args.parallel)
    folders.make()
    write_missing([Missing(row, *NOT_TRIED) for row in wanted], folders)
    for number, start in enumerate(range(0, len(wanted), args.part_size)):
        write_rows(wanted[start : start + args.part_size], output / "parts" / f"{number:04d}.csv")
    return text


def plan_stream(args, rows: list[Row], folders: Folders, output: Path) -> str:
    """Plan what is to pass through download/stream/, and return what is said of it.

    reference.csv has the reference's row, and room.csv how many bytes the volumes of all may take.
    """
    from ct4bench.parts.plan import (
        announce_stream,
        check_answers,
        make_folders,
        needs_of,
        parts_of,
        reference_row,
        room_for_volumes,
    )

    reference, parts = reference_row(rows, args.reference), parts_of(rows)
    if args.domain:
        check_answers(rows, args.domain, [float(dose) for dose in args.feature_doses.split(",")])
    needs = needs_of(rows, reference, parts, args.source, args.parallel, args.at_once, args.copies)
    text = announce_stream(rows, parts, needs, args.source, folders, args.parallel, args.max_disk)
    make_folders(folders, parts)
    write_missing([Missing(row, *NOT_TRIED) for row in rows], folders)
    write_rows([reference], output / "reference.csv")
    (output / "room.csv").write_text(f"n_series,n_bytes\n{len(rows)},{room_for_volumes(needs, args.max_disk)}\n")
    for name, members in parts.items():
        write_rows(members, output / "parts" / f"{name}.csv")
    return text


if __name__ == "__main__":
    run(main)
