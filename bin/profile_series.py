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
    parser.add_argument("--interpolator", default="linear", help="how the volumes came onto the common grid")
    parser.add_argument("--output", required=True, help="rows of the profile, Parquet")
    parser.add_argument("--fields", required=True, help="local displacements, Parquet")
    args = parser.parse_args(argv)

    from ct4bench.core.benchmark import SERIES_KEY
    from ct4bench.core.tables import read_table, write_table
    from ct4bench.profiles.profile import profile_chunk

    registered = read_table(args.registered, SERIES_KEY)
    rows, fields = profile_chunk(
        registered, args.series_uids.split(","), args.volumes, args.reference, args.interpolator
    )
    write_table(rows, args.output)
    write_table(fields, args.fields)


if __name__ == "__main__":
    run(main)
