#!/usr/bin/env python3
"""Noise, sharpness, calibration and residual geometry of a chunk of registered series."""

import argparse

from ct4bench.core.script import run


def main(argv=None):
    """Measure every series, write the rows and the local displacements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registered", required=True, help="table of the registered series")
    parser.add_argument("--series_uids", required=True, help="the chunk's series, separated by commas")
    parser.add_argument("--volumes", required=True, help="folder of their volumes")
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument("--files", help="files.parquet of the index; without it nothing is measured as scanned")
    parser.add_argument("--folders", nargs="*", default=[], help="folders of the series' slices, in the index's order")
    parser.add_argument("--output", required=True, help="rows of the profile, Parquet")
    parser.add_argument("--fields", required=True, help="local displacements, Parquet")
    args = parser.parse_args(argv)

    from ct4bench.core.benchmark import SERIES_KEY
    from ct4bench.core.tables import read_table, write_table
    from ct4bench.index.files import FILE_KEY
    from ct4bench.profiles.profile import Scanned, profile_chunk

    registered, uids, scanned = read_table(args.registered, SERIES_KEY), args.series_uids.split(","), None
    if args.files:
        files = read_table(args.files, FILE_KEY)
        scanned = Scanned(files[files["series_uid"].isin(uids)], args.folders)
    rows, fields = profile_chunk(registered, uids, args.volumes, args.reference, scanned)
    write_table(rows, args.output)
    write_table(fields, args.fields)


if __name__ == "__main__":
    run(main)
