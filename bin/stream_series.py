#!/usr/bin/env python3
"""Fetch one part of a download, take it to contents for the index, registered volumes and profiles as scanned, and
delete it.

The status is 75 where series of it did not come: FOLDER/download/missing.csv has the reasons.
"""

import argparse
import logging
import os
import shutil
import sys

from ct4bench.core.modes import MODES
from ct4bench.core.script import run
from ct4bench.core.tables import write_table
from ct4bench.download.download import Download
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import read_rows
from ct4bench.download.merge import SERIES_TABLE
from ct4bench.download.plan import announce, to_fetch
from ct4bench.download.sources import SOURCES, make_source
from ct4bench.download.transport import Client, Limits


def parse(argv=None) -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="table of the part's series")
    parser.add_argument("--source", choices=SOURCES, default="idc")
    for name, about in SOURCES.items():
        parser.add_argument(f"--{name}_endpoint", help=f"address in place of {about.endpoint}")
    parser.add_argument("--certificates", help="file of PEM in place of SSL_CERT_FILE and the system's certificates")
    parser.add_argument("--parallel", type=int, required=True, help="requests at once")
    parser.add_argument("--timeout", type=float, default=Limits.timeout_s, help="seconds without a byte")
    parser.add_argument("--retries", type=int, default=Limits.retries, help="further tries of a request")
    parser.add_argument("--folder", required=True, help="where the part's files lie while it needs them")
    parser.add_argument("--series_pattern", help="regular expression with the named groups dose, recon, ...")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper")
    parser.add_argument("--interpolator", help="linear, nearest or bspline; default: the mode's")
    parser.add_argument("--short_series", choices=("pad", "stretch"), default="pad")
    parser.add_argument("--strict", action="store_true", help="refuse the part if anything in it is not accepted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contents", required=True, help="what the part holds, JSON, for merge_index.py")
    parser.add_argument("--volumes", required=True, help="folder for the registered volumes")
    parser.add_argument("--nifti", help="folder for the same as NIfTI")
    parser.add_argument("--registered", required=True, help="registered series, CSV")
    parser.add_argument("--transforms", required=True, help="motions and outcomes, CSV")
    parser.add_argument("--profile", required=True, help="rows of the series on their own grids, Parquet")
    parser.add_argument("--checks", required=True, help="what was computed twice, JSON")
    parser.add_argument("--series", required=True, help="what vouches for each series, CSV, for merge_download.py")
    return parser.parse_args(argv)


def main(argv=None):
    """Write what the benchmark keeps of a part."""
    args = parse(argv)
    from ct4bench.core.checks import Checks
    from ct4bench.parts.stream import SERIES_MISSING, fetch_part, stream_part
    from ct4bench.preprocess.reference import open_reference
    from ct4bench.preprocess.register import RegistrationRun
    from ct4bench.preprocess.resampling import choose_interpolator

    interpolator = choose_interpolator(args.interpolator, args.mode)
    registration = RegistrationRun(
        open_reference(args.reference), args.volumes, args.nifti, interpolator, args.threads, args.short_series
    )
    folders, rows = Folders(args.folder), read_rows(args.table)
    client = Client(Limits(args.timeout, args.retries), args.certificates)
    source = make_source(args.source, client, getattr(args, f"{args.source}_endpoint"))
    wanted = to_fetch(rows, folders)
    logging.info(announce(rows, wanted, args.source, folders, args.parallel))
    missing, ended_by = fetch_part(
        rows, folders, lambda due: Download(due, source, client, folders, args.parallel), wanted
    )
    if ended_by:
        print(f"ERROR: ended by signal {ended_by}; the same command again goes on", file=sys.stderr, flush=True)
        os._exit(128 + ended_by)  # without waiting for threads that hang in a connection
    if missing:
        print(f"ERROR: {len(missing)} of {len(rows)} series of the part are missing", file=sys.stderr)
        raise SystemExit(SERIES_MISSING)
    shutil.copyfile(folders.output / SERIES_TABLE, args.series)
    checks = Checks()
    taken = stream_part(folders, registration, args.contents, args.series_pattern or None, checks, args.strict)
    checks.write(args.checks)
    write_table(taken.registered, args.registered)
    write_table(taken.transforms, args.transforms)
    write_table(taken.own_profile, args.profile)


if __name__ == "__main__":
    run(main)
