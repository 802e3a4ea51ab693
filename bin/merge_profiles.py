#!/usr/bin/env python3
"""Merge the profiles of all series: means by scanner, dose and reconstruction."""

# code-text: <method>/series_profile.parquet
# code-table: <method>/scanner_profile.csv
# code-table: <method>/local_displacement.csv

import argparse

from ct4bench.core.script import run


def main(argv=None):
    """Read the parts, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", required=True, nargs="+", help="rows of profile_series.py")
    parser.add_argument("--fields", required=True, nargs="+", help="local displacements of profile_series.py")
    parser.add_argument("--series", required=True, help="rows of all series, Parquet")
    parser.add_argument("--profile", required=True, help="scanner_profile.csv")
    parser.add_argument("--displacement", required=True, help="local_displacement.csv")
    args = parser.parse_args(argv)

    from ct4bench.core.tables import write_table
    from ct4bench.profiles.merge import merge_fields, merge_profiles

    series, profile = merge_profiles(args.parts)
    write_table(series, args.series, table="<method>/series_profile.parquet")
    write_table(profile, args.profile, table="<method>/scanner_profile.csv")
    write_table(merge_fields(args.fields), args.displacement, table="<method>/local_displacement.csv")


if __name__ == "__main__":
    run(main)
