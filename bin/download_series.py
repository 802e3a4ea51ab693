#!/usr/bin/env python3
"""Download the collection or a part of it: series with their segmentations, verified, into OUTPUT/dicom/SERIES_UID/.

What is there already is not asked for again. OUTPUT/download/ has series.csv, missing.csv (the reason of each series
that did not come; the status is then 2) and a state for each series. Ends within 10 s of a signal, with status 128 +
its number; docs/download.md tells the rest.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.download.download import Download, run_until_signal
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import TABLE, read_rows, select
from ct4bench.download.merge import (
    MISSING_TABLE,
    list_not_fetched,
    missing_table,
    refuse_missing,
    write_missing,
    write_outcome,
)
from ct4bench.download.plan import announce, to_fetch
from ct4bench.download.sources import SOURCES, make_source
from ct4bench.download.transport import Client, Limits


def parse(argv=None) -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder that dicom/ and download/ lie in")
    parser.add_argument("--source", choices=SOURCES, default="idc", help="idc, or tcia as the second one")
    parser.add_argument("--table", default=TABLE, help="table of series in place of assets/idc_series.csv")
    parser.add_argument("--doses", help="mGy, such as 10 or 1,10")
    parser.add_argument("--scanners", help="such as A1,D1")
    parser.add_argument("--reconstructions", help="of FBP, IR, DL")
    parser.add_argument("--repetitions", help="such as 1-3 or 1,4")
    for name, about in SOURCES.items():
        parser.add_argument(f"--{name}_endpoint", help=f"address in place of {about.endpoint}")
    parser.add_argument("--parallel", type=int, help="requests at once (8 of idc, 2 of tcia)")
    parser.add_argument("--timeout", type=float, default=Limits.timeout_s, help="seconds without a byte (60)")
    parser.add_argument("--retries", type=int, default=Limits.retries, help="further tries of a request (5)")
    parser.add_argument("--back_off", type=float, default=Limits.back_off_s, help="first wait in s, then doubled (4)")
    parser.add_argument(
        "--longest_wait", type=float, default=Limits.longest_wait_s, help="longest Retry-After in s (600)"
    )
    parser.add_argument("--least_rate", type=float, default=Limits.least_rate, help="bytes/s, else stalled (5000)")
    parser.add_argument("--certificates", help="file of PEM in place of SSL_CERT_FILE and the system's certificates")
    parser.add_argument("--plan_only", action="store_true", help="say what would be fetched, and end")
    parser.add_argument("--missing", help="table of what did not come, in place of a status that is not 0")
    args = parser.parse_args(argv)
    for name in ("parallel", "timeout", "retries", "back_off", "longest_wait", "least_rate"):
        value, least = getattr(args, name), 1 if name in ("parallel", "timeout") else 0
        if value is not None and not least <= value <= 1e6:
            parser.error(f"--{name} {value} is not {least} to 1000000")
    return args


def main(argv=None):
    """Fetch what is missing of the chosen series, and write what came of it."""
    args = parse(argv)
    folders = Folders(args.output)
    parallel = args.parallel or SOURCES[args.source].parallel
    rows = select(read_rows(args.table), args.doses, args.scanners, args.reconstructions, args.repetitions)
    limits = Limits(args.timeout, args.retries, args.back_off, args.longest_wait, args.least_rate)
    client = Client(limits, args.certificates)
    source = make_source(args.source, client, getattr(args, f"{args.source}_endpoint"))
    wanted = to_fetch(rows, folders)
    logging.info(announce(rows, wanted, args.source, folders, parallel))
    if args.plan_only:
        return
    folders.make()
    download = Download(wanted, source, client, folders, parallel)
    in_engine = args.missing is not None
    if not in_engine:  # true also of a run that is killed
        write_missing(list_not_fetched(wanted, download), folders)
    ended_by = run_until_signal(download)
    missing = list_not_fetched(wanted, download)
    if ended_by:
        if not in_engine:
            write_missing(missing, folders)
        print(f"ERROR: ended by signal {ended_by}; the same command again goes on", file=sys.stderr, flush=True)
        os._exit(128 + ended_by)  # without waiting for threads that hang in a connection
    if in_engine:
        write_table(missing_table(missing), Path(args.missing), table=MISSING_TABLE)
    else:
        write_outcome(rows, missing, folders)
        refuse_missing(missing, len(rows), folders)


if __name__ == "__main__":
    run(main)
