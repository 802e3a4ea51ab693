#!/usr/bin/env python3
"""Draw patch centres in each ROI of the reference, or check and complete a user's own."""

# code-table: index/patches.csv

import argparse
import logging
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import write_table


def main(argv=None):
    """Write patches.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="folder of the prepared reference")
    parser.add_argument(
        "--centres", help="table of your own centres: roi, patch, and slice,row,column or x_mm,y_mm,z_mm"
    )
    parser.add_argument("--patches_per_roi", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--nifti", type=Path, help="folder for patches.nii.gz, a volume of their numbers, and its colours"
    )
    parser.add_argument("--output", required=True, help="patches, CSV")
    args = parser.parse_args(argv)
    from ct4bench.core.regions import FEW_INSIDE, SMALL_REMEDY
    from ct4bench.core.volumes import write_nifti
    from ct4bench.preprocess.draw import (
        colour_table,
        draw_centres,
        draw_fitting_centres,
        label_patches,
        patch_table,
        read_centres,
    )
    from ct4bench.preprocess.patches import VOXEL
    from ct4bench.preprocess.reference import open_reference

    reference = open_reference(args.reference)
    labels, phantom = reference.read("labels"), reference.phantom
    if args.centres:
        centres = read_centres(args.centres, reference.grid, phantom)
    else:
        drawn = args.patches_per_roi, args.seed, phantom
        centres = (
            draw_centres(labels, *drawn)
            if phantom.is_published
            else draw_fitting_centres(labels, *drawn, reference.values["patch_region"])
        )
    table = patch_table(centres, labels, reference.grid, phantom)
    write_table(table, args.output, table="index/patches.csv")
    if args.nifti:
        args.nifti.mkdir(parents=True, exist_ok=True)
        labels = label_patches(table[VOXEL].to_numpy(int), reference.grid.shape)
        write_nifti(args.nifti / "patches.nii.gz", labels, reference.grid)
        names = [f"{roi}_{patch}" for roi, patch in zip(table["roi"], table["patch"], strict=True)]
        (args.nifti / "patches.ctbl").write_text(colour_table(names), encoding="utf-8")
    for roi, rows in table.groupby("roi", sort=False):
        share = rows["share_inside"].mean()
        logging.info("%s: %d patches, %.0f %% of their voxels in it", roi, len(rows), 100 * share)
        if share < FEW_INSIDE and not phantom.is_published:
            logging.warning("%s is smaller than half of its patches. %s.", roi, SMALL_REMEDY)


if __name__ == "__main__":
    run(main)
