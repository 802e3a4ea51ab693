"""The part of a phantom without a printed block that series are registered and compared in: what is solid round its
regions."""

import numpy as np
from scipy.ndimage import binary_fill_holes, label

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, bounding_box
from ct4bench.core.regions import Phantom
from ct4bench.preprocess.block import Block, Face, on_grid


def find_body(volume: np.ndarray, labels: np.ndarray, grid: Grid, phantom: Phantom) -> tuple[np.ndarray, Block]:
    """Return the mask (uint8) of the phantom round its regions in a reference (int16 HU), and its box as a block.

    It is the largest connected part denser than `solid_hu` that holds a region, its holes filled slice by slice, up to
    `margin_mm` from the box of all `labels` (uint8): a couch further off does not count. `UserError` where no region is
    in anything solid.
    """
    box = bounding_box(labels)
    reach = [int(np.ceil(phantom.margin_mm / s)) for s in grid.spacing_mm]
    window = tuple(
        slice(max(0, part.start - r), min(n, part.stop + r)) for part, r, n in zip(box, reach, grid.shape, strict=True)
    )
    parts, _ = label(volume[window] > phantom.solid_hu)
    sizes = np.bincount(parts[(labels[window] > 0) & (parts > 0)])
    if not sizes.any():
        raise UserError(
            f"no region of the reference lies in anything denser than {phantom.solid_hu:g} HU, the phantom's solid_hu; "
            "look at the mask, or give another value"
        )
    solid = parts == np.argmax(np.bincount(parts.ravel(), minlength=len(sizes))[: len(sizes)] * (sizes > 0))
    mask = np.zeros(grid.shape, np.uint8)
    mask[window] = [binary_fill_holes(part) for part in solid]
    # a hole that is a region counts, also where it reaches the phantom's end
    mask[labels > 0] = 1
    return mask, box_block(bounding_box(mask), grid)


def box_block(box: tuple[slice, slice, slice], grid: Grid) -> Block:
    """Return a box of voxels of `grid` as a block with six faces, none of them cut."""
    low = np.array([part.start for part in box]) - 0.5
    high = np.array([part.stop for part in box]) - 0.5
    faces = []
    for axis in range(3):
        direction = grid.affine[:3, axis] / np.linalg.norm(grid.affine[:3, axis])
        for side, end in ((0, low), (1, high)):
            normal = direction * (2 * side - 1)
            faces.append(Face(axis, side, tuple(float(v) for v in normal), float(normal @ grid.to_lps(end)), False))
    corners = grid.to_lps(np.array([[a, b, c] for a in (low[0], high[0]) for b in (low[1], high[1])
                                    for c in (low[2], high[2])]))  # fmt: skip
    return on_grid(Block(tuple(faces), corners, corners.mean(axis=0), ((0, 0),) * 3), grid)
