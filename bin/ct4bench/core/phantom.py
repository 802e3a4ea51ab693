"""Facts of the printed object: its frame, its grid on scanner A1, and its parts.

The phantom's frame is the patient coordinate system (LPS, mm) of scanner A1, whose first voxel lies at FIRST_VOXEL_MM.
Positions measured on the real series of the phantom are given as (slice, row, column) of A1's grid, counted from 0.
"""

from dataclasses import dataclass

import numpy as np

from ct4bench.core.benchmark import BOX_SPACING_MM
from ct4bench.core.geometry import Grid

FIRST_VOXEL_MM = (-174.658203125, -340.158203125, 24.0)
"""LPS position of the first voxel of A1's full grid: what boxes given in voxels of the full grid count from, also where
the series are a slab (`box_origin_mm` in phantom.json)."""
SPACING_MM = BOX_SPACING_MM
SHAPE = (343, 512, 512)
AIR_HU = -996.0
PAPER_HU = -103.0


A1_GRID = Grid.axis_aligned(SHAPE, SPACING_MM, FIRST_VOXEL_MM)
STAR_PAIRS, STAR_CENTRE = 20, (329.4, 132.8)
"""Siemens star of the test patterns: pairs of dark and bright, and its middle (row, column)."""
ZONE_CENTRE = (71.71, 190.15, 132.43)
ZONE_FREQUENCY = (0.0664, 0.00436)
"""Spatial frequency of the zone plate's rings in 1/mm: at the centre, and its rise with the distance from it in mm."""
DOTS_PERIOD_MM = 10.3 * SPACING_MM[2]


@dataclass(frozen=True)
class BlockFrame:
    """The paper block in the phantom's frame (x, y, z in mm): faces at half height, and the steps between its parts."""

    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    liver_mm: float
    """z of the step from the test patterns to the liver part."""
    thorax_mm: float
    """z of the step from the liver part to the thorax."""

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Centre of the block."""
        return tuple(0.5 * (a + b) for a, b in zip(self.low_mm, self.high_mm, strict=True))

    @staticmethod
    def to_mm(index) -> np.ndarray:
        """Return the positions (..., 3) in mm of (slice, row, column) on A1's grid."""
        return A1_GRID.to_lps(index)


def _block() -> BlockFrame:
    low, high = A1_GRID.to_lps([23.0, 119.2, 60.0]), A1_GRID.to_lps([322.6, 397.0, 447.0])
    z = A1_GRID.to_lps([[120.2, 0, 0], [195.5, 0, 0]])[:, 2]
    return BlockFrame(*(tuple(float(v) for v in corner) for corner in (low, high)), float(z[0]), float(z[1]))


BLOCK = _block()
