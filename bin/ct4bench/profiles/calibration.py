"""Calibration of HU between scanners on arrays: the printed wedge's curve, and a line through it against another's."""

from dataclasses import dataclass

import numpy as np

STEP_MM = 6.0


def wedge_curve(panel: np.ndarray, row_mm: float, step_mm: float = STEP_MM) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth in mm from the panel's first row, and mean HU, in strips of rows of a panel (slices, rows,
    columns)."""
    profile = panel.mean(axis=(0, 2), dtype=np.float64)
    per = max(1, int(round(step_mm / row_mm)))
    n = len(profile) // per
    strips = profile[: n * per].reshape(n, per).mean(axis=1)
    return (np.arange(n) * per + 0.5 * (per - 1)) * row_mm, strips


def trimmed_mean(voxels: np.ndarray, share: float = 0.1) -> float:
    """Return the mean of voxels less the given share of the lowest and of the highest: without vessels and ribs."""
    values = np.sort(voxels, axis=None)
    cut = int(share * values.size)
    return float(values[cut : values.size - cut].mean(dtype=np.float64))


@dataclass(frozen=True)
class Line:
    """HU = `slope` * reference HU + `offset_hu`; `residual_hu` is the RMS of what is left."""

    slope: float
    offset_hu: float
    residual_hu: float


def calibration_line(reference_hu: np.ndarray, hu: np.ndarray) -> Line:
    """Return the least-squares line of one curve over another at the same points."""
    slope, offset = np.polyfit(reference_hu, hu, 1)
    left = hu - (slope * reference_hu + offset)
    return Line(float(slope), float(offset), float(np.sqrt(np.mean(left**2))))
