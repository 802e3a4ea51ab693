"""Shading of the body: soft tissue is brighter towards the ribs, by an amount that is the scanner model's.

Calibration relates each scanner's HU to A1's, as A1 shows them with its own shading.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ct4bench.core.phantom import AIR_HU, BLOCK

NEAR_RIBS, INWARDS = 94.0, 141.0
"""Columns of A1's grid between which shading is stated: liver beside the ribs, and 47 pixels (32 mm) further in."""
LIVER_HU = 90.0
CALIBRATED = (117.0, 400.0, 322.0, 212.0, 370.0)
"""Middle columns of liver, spleen, cyst, hemangioma and stomach, over which calibration was measured: shading leaves
their mean as it is."""


@dataclass(frozen=True)
class Body:
    """Tissue across the block's columns; shading grows with the eighth power of the distance from its middle and stays
    the same beyond it, as liver does towards the ribs in the real series."""

    centre: float = 255.0
    """Column of A1's grid."""
    half: float = 185.0
    """Half width in columns."""
    first_mm: float = BLOCK.liver_mm + 4.0
    """Where shading begins along the phantom's z: the test patterns have no ribs, and no shading."""
    rise_mm: float = 1.5
    """Gaussian sigma of its rise."""

    def at(self, column: float) -> float:
        """Return the unscaled shading, 0 to 1."""
        return min(abs(column - self.centre) / self.half, 1.0) ** 8

    @property
    def across(self) -> tuple[float, float]:
        """x of the centre in mm of the phantom's frame, and the half width's inverse in 1/mm."""
        x, end = (float(BLOCK.to_mm((0, 0, column))[0]) for column in (self.centre, self.centre + self.half))
        return x, 1 / (end - x)

    @cached_property
    def level(self) -> float:
        """The unscaled shading at which a scanner with more of it than A1 shows what its calibration says."""
        return float(np.mean([self.at(column) for column in CALIBRATED]))

    def factors(self, shading_hu: float, reference_hu: float) -> tuple[float, float]:
        """Return a and b of shading a * unscaled - b, relative to the height above air of liver, for a scanner's and
        A1's shading in HU."""
        scale = 1 / (self.at(NEAR_RIBS) - self.at(INWARDS)) / (LIVER_HU - AIR_HU)
        return shading_hu * scale, (shading_hu - reference_hu) * scale * self.level


BODY = Body()
