#!/usr/bin/env python3
"""Volumes that were harmonized elsewhere, on the grid of the registered ones."""

import argparse

from ct4bench.core.script import run


def main(argv=None):
    """Read the volume of every series, check its grid, and write it as a run's own are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--given", required=True, help="folder with <series UID>.nii.gz, or folders of DICOM")
    parser.add_argument("--brought", required=True, help="NAME=DIR of the folder, as the user has it")
    parser.add_argument("--registered", required=True, help="folder of the registered volumes")
    parser.add_argument("--series_uids", required=True, help="the series, separated by commas")
    parser.add_argument("--output", required=True, help="folder for the volumes")
    args = parser.parse_args(argv)

    from ct4bench.core.brought import as_brought
    from ct4bench.core.errors import UserError
    from ct4bench.image_methods.read import read_volumes

    try:
        read_volumes(args.given, args.registered, args.series_uids.split(","), args.output)
    except UserError as error:
        raise as_brought(error, "--harmonized_volumes", args.brought, [args.given]) from None


if __name__ == "__main__":
    run(main)
