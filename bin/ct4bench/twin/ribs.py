"""The thorax' ribs: how each lies in the slices that it meets.

A rib is oblique, so that it moves by more than its width between the slices on which outlines are given; here its
position, size and direction are interpolated from slice to slice. The printed thorax is a mirror image of itself.
"""

import numpy as np

from ct4bench.core.benchmark import PIXEL_MM
from ct4bench.twin.outlines import MIRROR_COLUMN
from ct4bench.twin.phantom import Ellipsoid

ALONG_MM = 400.0
"""Semi-axis along z of a section's solid: so long that it is the same in neighbouring planes."""
RIM_MM = 1.7
SMALLEST_MM = 0.6
"""Semi-axis below which a section is not drawn."""


def rib_sections(ribs: tuple[np.ndarray, ...], slice_number: float) -> list[tuple[Ellipsoid, Ellipsoid | None]]:
    """Return both halves' rib sections in a slice: the bone, and its marrow where there is room for one.

    `ribs` are those of `read_ribs`, of the left half.
    """
    out = []
    for rib in ribs:
        if not rib[0, 0] <= slice_number <= rib[-1, 0]:
            continue
        row, column, long, short, angle = (np.interp(slice_number, rib[:, 0], rib[:, n]) for n in range(1, 6))
        for mirrored in (False, True):
            centre = (slice_number, row, 2 * MIRROR_COLUMN - column if mirrored else column)
            turn = (0.0, 0.0, float(180.0 - angle if mirrored else angle))
            bone, marrow = (
                Ellipsoid(centre, (long * PIXEL_MM - less, short * PIXEL_MM - less, ALONG_MM), turn)
                for less in (0.0, RIM_MM)
            )
            if bone.semi_axes_mm[1] >= SMALLEST_MM:
                out.append((bone, marrow if marrow.semi_axes_mm[1] >= SMALLEST_MM else None))
    return out
