"""Reading, registration and resampling of a sample, anew by pydicom and SciPy."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from ct4bench.core.checks import Checks
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.index.headers import quiet_pydicom
from ct4bench.preprocess.resampling import OUTSIDE_HU

SLICES, VOXELS, PLACES = 1, 1000, 5000
"""Of each series that is checked: slices, resampled voxels, and places of the correlation."""
ASIDE_MM = 1.0


def generator_of(name: str) -> np.random.Generator:
    """Return random numbers that are the same for a series in every run."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def check_reading(checks: Checks, uid: str, paths: Sequence, volume: np.ndarray, grid: Grid) -> None:
    """Read `SLICES` files of a series (`volume` int16 HU on `grid`) by pydicom and compare their HU.

    A slice lies where ImagePositionPatient says. What pydicom has no decoder for is passed over.
    """
    pydicom, paths = quiet_pydicom(), sorted(map(str, paths))
    for number in generator_of(uid).choice(len(paths), min(SLICES, len(paths)), replace=False):
        try:
            dataset = pydicom.dcmread(paths[number])
            stored = dataset.pixel_array.astype(np.int64)
        except Exception:  # noqa: BLE001, S112  whatever it cannot read or decode, it cannot be compared with
            continue
        if dataset.HighBit != dataset.BitsStored - 1:
            continue
        # pydicom leaves what overlays have above the stored bits
        stored &= (1 << dataset.BitsStored) - 1
        if dataset.PixelRepresentation:
            sign = 1 << (dataset.BitsStored - 1)
            stored = (stored ^ sign) - sign
        hu = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        at = int(np.rint(grid.to_index([float(v) for v in dataset.ImagePositionPatient])[0]))
        name = Path(paths[number]).name  # results have no path of the machine
        checks.add("reading", 1, float(np.abs(volume[at] - hu).max()), f"series {uid}, {name}")


def check_resampling(
    checks: Checks,
    uid: str,
    source: np.ndarray,
    grid: Grid,
    motion: Rigid,
    made: np.ndarray,
    common: Grid,
) -> None:
    """Interpolate `VOXELS` voxels of a registered series (`made` on `common`) anew by SciPy and compare.

    Only voxels that the series surrounds, since what lies on its rim is a convention.
    """
    generator = generator_of(uid)
    voxels = np.stack([generator.integers(0, n, 4 * VOXELS) for n in common.shape], axis=1)
    at = grid.to_index(motion(common.to_lps(voxels)))
    inside = np.all((at >= 0) & (at <= np.array(grid.shape) - 1), axis=1)
    voxels, at = voxels[inside][:VOXELS], at[inside][:VOXELS]
    if not len(at):
        return
    values = map_coordinates(source, at.T, np.float64, order=1, mode="nearest")
    difference = np.abs(made[tuple(voxels.T)] - values).max()
    checks.add("resampling", len(at), float(difference), f"series {uid}")


def correlation(position_mm: np.ndarray, value: np.ndarray, level, motion: Rigid, hole_hu: float = OUTSIDE_HU) -> float:
    """Return the correlation of `value` at LPS positions (n, 3) with a volume, a pair (array, grid), by SciPy."""
    volume, grid = level
    at = grid.to_index(motion(position_mm))
    inside = np.all((at >= 0) & (at < np.array(grid.shape) - 1), axis=1)
    other = map_coordinates(volume, at[inside].T, np.float64, order=1)
    return float(np.corrcoef(value[inside].astype(np.float64), other)[0, 1])


def check_registration(
    checks: Checks, uid: str, position_mm: np.ndarray, value: np.ndarray, similarity: float, level, motion: Rigid
) -> None:
    """Compute the correlation inside the block anew by SciPy, at the motion found and 1 mm to each side of it.

    `position_mm` (n, 3) are the LPS places whose correlation is `similarity`, `value` their HU in the reference,
    `level` the volume and grid of the series.
    """
    here = correlation(position_mm, value, level, motion)
    checks.add("registration", 1, abs(here - similarity), f"series {uid}")
    aside = []
    for axis in range(3):
        for step in (-ASIDE_MM, ASIDE_MM):
            shift = list(motion.translation_mm)
            shift[axis] += step
            moved = Rigid(motion.rotation_deg, tuple(shift), motion.centre_mm)
            aside.append(correlation(position_mm, value, level, moved))
    checks.add("registration_place", 1, max(aside) - here, f"series {uid}")
