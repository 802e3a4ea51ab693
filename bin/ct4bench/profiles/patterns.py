"""Where the printed test patterns and steps of the phantom lie on the common grid.

Places were measured on a public CT series of the phantom (DOI 10.7937/A1V1-RC66, CC BY 4.0) and are given as
(slice, row, column) of that series, counted from 0; `Layout` carries them over to a reference by the block's faces.
"""

from dataclasses import dataclass

import numpy as np

from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import A1_GRID, BLOCK, FIRST_VOXEL_MM
from ct4bench.preprocess.block import Block

PATTERN_SLICES = (34.0, 117.0)
"""Slices of the test patterns, away from the block's rough end and from the step to the liver part."""
STAR_PANEL = ((262.0, 393.0), (66.0, 197.0))
ZONE_PANEL = ((126.0, 254.0), (66.0, 197.0))
WEDGE_PANEL = ((126.0, 392.0), (355.0, 430.0))
PANEL_STEP_COLUMN = 341.5
PLAIN_STEP_ROWS, DOTS_STEP_ROWS = (205.0, 255.0), (300.0, 390.0)
"""Rows in which the wedge is well above the panel on its left: the plain one, then the dots."""
STEP_REACH_MM = 8.5
LIVER_STEP_SLICE, LIVER_STEP_PANEL = 120.2, ((330.0, 370.0), (355.0, 430.0))
LIVER_STEP_REACH_MM = 9.0
LIVER_SLICES, LIVER_ROWS = (150.0, 180.0), (260.0, 300.0)
NEAR_RIBS, INWARDS = (88.0, 100.0), (135.0, 147.0)
"""Columns of liver beside the ribs, and 47 pixels (32 mm) further inwards: shading is their difference."""
MIN_DEPTH_MM = 5.0
"""A pattern that is the same in all slices is measured where at least this much of it lies in the volume."""

Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Layout:
    """The phantom in a reference: `grid` the common grid, `offset_mm` (x, y, z) from the measured series' frame."""

    grid: Grid
    offset_mm: tuple[float, float, float]

    def index(self, positions) -> np.ndarray:
        """Return the continuous indices (..., 3) of the common grid of positions (..., 3) as (slice, row, column)."""
        return self.grid.to_index(A1_GRID.to_lps(np.asarray(positions, float)) + np.array(self.offset_mm))

    def mm(self, positions) -> np.ndarray:
        """Return the LPS (..., 3) in the reference's frame of positions (..., 3) as (slice, row, column)."""
        return A1_GRID.to_lps(np.asarray(positions, float)) + np.array(self.offset_mm)

    def window(self, slices, rows, columns, min_depth_mm: float | None = None) -> Window | None:
        """Return the voxels whose centres lie between the given ends, None where the volume does not hold all of them.

        With `min_depth_mm`, slices may be cut by the volume as long as that much is left.
        """
        ends = self.index(np.array([slices, rows, columns], float).T)
        first, stop = np.ceil(ends[0] - 1e-6).astype(int), np.floor(ends[1] + 1e-6).astype(int) + 1
        if min_depth_mm is not None:
            first[0], stop[0] = max(first[0], 0), min(stop[0], self.grid.shape[0])
            if (stop[0] - first[0]) * self.grid.spacing_mm[0] < min_depth_mm:
                return None
        if np.any(first < 0) or np.any(stop > self.grid.shape) or np.any(stop - first < 2):
            return None
        return tuple(slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))


def face_offset_mm(block: Block, axis: int) -> float | None:
    """Return the mean distance along an axis (0 slice, 1 row, 2 column) of the faces found from those measured; None if
    cut.

    The bottom face, below which the table's board lies, counts only where the top is cut.
    """
    column = 2 - axis
    found = []
    for face in sorted((f for f in block.faces if f.axis == axis and not f.cut), key=lambda f: f.side):
        middle = np.array(block.centre_mm, float)
        # where the face meets the line through the block's centre
        position_mm = (face.offset_mm - np.delete(face.normal, column) @ np.delete(middle, column)) / face.normal[
            column
        ]
        found.append(position_mm - (BLOCK.low_mm if face.side == 0 else BLOCK.high_mm)[column])
    if axis == 1:
        found = found[:1]
    return float(np.mean(found)) if found else None


def find_layout(grid: Grid, block: Block, box_origin_mm) -> Layout:
    """Find the layout by the block's faces; along an axis on which the volume cuts them, by the full grid's first
    voxel.

    `box_origin_mm` (x, y, z) is the LPS position of the reference's first voxel in its full grid, which lies to the
    block as in the measured series.
    """
    given = np.asarray(box_origin_mm, float) - np.array(FIRST_VOXEL_MM)
    by_face = [face_offset_mm(block, 2 - column) for column in range(3)]
    return Layout(grid, tuple(float(g) if f is None else f for f, g in zip(by_face, given, strict=True)))
