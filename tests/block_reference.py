"""A paper block with six round regions and a bone, as a prepared reference: what figures of images are drawn from."""

import numpy as np

from ct4bench.core.benchmark import ROIS
from ct4bench.core.geometry import Grid
from ct4bench.figures.views import BLOCK_MM
from ct4bench.preprocess.find_block import find_block
from ct4bench.preprocess.reference import save_reference

SPACING_MM = (4.0, 3.0, 3.0)
SHAPE = (86, 76, 104)
FIRST_FACE_MM = 20.0
CENTRES_MM = {
    "cyst1": (154, 85, 216), "cyst2": (183, 122, 126), "hemangioma": (156, 95, 142), "metastasis": (137, 127, 75),
    "normal1": (146, 117, 107), "normal2": (167, 151, 105),
}  # fmt: skip
"""Places of the ROIs along slice, row, column from voxel 0, where the block's first face is at `FIRST_FACE_MM`."""


def phantom():
    """A paper block of 299.6 x 190 x 264 mm with six spheres and a bone, in air; HU and labels."""
    z, y, x = (np.arange(n) * s for n, s in zip(SHAPE, SPACING_MM, strict=True))
    inside = [(z >= FIRST_FACE_MM) & (z <= FIRST_FACE_MM + BLOCK_MM), (y >= 20) & (y <= 210), (x >= 24) & (x <= 288)]
    hu = np.where(np.einsum("i,j,k->ijk", *inside).astype(bool), 60, -1000).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    for number, roi in enumerate(ROIS, start=1):
        cz, cy, cx = CENTRES_MM[roi]
        near = (z[:, None, None] - cz) ** 2 + (y[:, None] - cy) ** 2 + (x - cx) ** 2 < 12.0**2
        labels[near] = number
        hu[near] = 10 * number
    hu[30:34, 30:40, 70:80] = 500
    return hu, labels


def write_reference(folder, slices=slice(None)):
    hu, labels = phantom()
    grid = Grid.axis_aligned(SHAPE, SPACING_MM, (-150.0, -100.0, 0.0)).crop((slices, slice(None), slice(None)))
    hu, labels = hu[slices], labels[slices]
    save_reference(folder, hu, labels, grid, find_block(hu, grid), {"series_uid": "1.2.3"})
    return hu, grid
