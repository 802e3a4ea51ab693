"""The printed texture: a fine grain, coarse unevenness and bands of sheets, one field for the whole phantom.

A plane's random numbers come from its own seed, so the field is the same wherever a slab is cut and in whatever order
planes are drawn. Fine and coarse field have a mean of zero and an SD of 1 as scanner A1's FBP shows them.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import BLOCK

FINE_MM = 0.5
MARGIN_MM = (7.0, 7.0, 7.0)
"""Air round the block on the fine grid (x, y, z)."""
GRAIN_SIGMA_MM = (0.85, 0.30)
"""Gaussian sigma of the grain in plane and along z, before any scan."""
COARSE_SIGMA_MM = 2.6
COARSE_STEP = 4
"""Fine voxels to a voxel that the coarse field is made on."""
SCAN_SIGMA_MM = (0.632, 0.865)
"""What scanner A1's FBP adds in plane and along z."""
GRAIN_SEED, BAND_SEED, COARSE_SEED = 11, 12, 13


def whole_grid() -> Grid:
    """Return the fine grid of the whole block with its margin of air."""
    low = np.array(BLOCK.low_mm) - MARGIN_MM
    high = np.array(BLOCK.high_mm) + MARGIN_MM
    count = np.ceil((high - low) / FINE_MM).astype(int) + 1
    return Grid.axis_aligned(count[::-1], (FINE_MM,) * 3, low)


def _taps(sigma_px: float) -> np.ndarray:
    half = int(np.ceil(3.5 * sigma_px))
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma_px) ** 2)
    return taps / taps.sum()


def grain_unit() -> float:
    """Return the factor that gives the grain, made from white noise of unit SD on the fine grid, unit SD in A1's
    FBP."""
    plane = np.hypot(GRAIN_SIGMA_MM[0], SCAN_SIGMA_MM[0])
    along = np.hypot(GRAIN_SIGMA_MM[1], SCAN_SIGMA_MM[1])
    return float(np.sqrt((4 * np.pi) ** 1.5 * plane * plane * along / FINE_MM**3))


def grain_planes(seed: int, first: int, last: int) -> np.ndarray:
    """Draw the grain (planes, rows, columns; float32) of planes [first, last) of the whole fine grid, over all of
    it."""
    shape = whole_grid().shape[1:]
    taps = _taps(GRAIN_SIGMA_MM[1] / FINE_MM)
    half = len(taps) // 2
    sigma = GRAIN_SIGMA_MM[0] / FINE_MM
    out = np.zeros((last - first, *shape), np.float32)
    for number in range(first - half, last + half):
        generator = np.random.Generator(np.random.SFC64([seed, GRAIN_SEED, number + 1000]))
        white = generator.standard_normal(shape, dtype=np.float32)
        plane = gaussian_filter(white, sigma, mode="wrap", truncate=3.5)
        for t, weight in enumerate(taps):
            k = number - first + half - t
            if 0 <= k < len(out):
                out[k] += np.float32(weight) * plane
    out *= np.float32(grain_unit())
    return out


@lru_cache(maxsize=1)
def coarse_field(seed: int) -> np.ndarray:
    """Return the coarse unevenness (float32) of the whole phantom, on every COARSE_STEP-th voxel of the whole fine
    grid."""
    shape = tuple(n // COARSE_STEP + 3 for n in whole_grid().shape)
    white = np.random.default_rng([seed, COARSE_SEED]).standard_normal(shape, dtype=np.float32)
    field = gaussian_filter(white, COARSE_SIGMA_MM / (FINE_MM * COARSE_STEP), mode="wrap")
    return field / field.std()


def coarse_plane(field: np.ndarray, number: int) -> np.ndarray:
    """Return the coarse field (rows, columns; float32) on a plane of the whole fine grid, interpolated linearly."""
    _, ny, nx = whole_grid().shape
    k, t = divmod(number / COARSE_STEP, 1)
    k = int(k)
    small = (1 - np.float32(t)) * field[k] + np.float32(t) * field[k + 1]
    for axis, n in ((0, ny), (1, nx)):
        at = np.arange(n) / COARSE_STEP
        low = at.astype(int)
        weight = (at - low).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight[None, :]
        small = (1 - weight) * np.take(small, low, axis=axis) + weight * np.take(small, low + 1, axis=axis)
    return small


def sheet_bands(seed: int) -> np.ndarray:
    """Return the ink of the sheets against their mean (about unit SD, slow and fast parts) by plane of the whole fine
    grid."""
    n = whole_grid().shape[0]
    white = np.random.default_rng([seed, BAND_SEED]).standard_normal((2, n))
    slow, fast = gaussian_filter1d(white[0], 5.0 / FINE_MM), gaussian_filter1d(white[1], 1.2 / FINE_MM)
    return 0.8 * slow / slow.std() + 0.6 * fast / fast.std()


def split(texture_sd_hu: float, coarse_share: float) -> tuple[float, float]:
    """Return the amplitudes in HU of grain and coarse field that together have an SD."""
    return texture_sd_hu * (1 - coarse_share**2) ** 0.5, texture_sd_hu * coarse_share
