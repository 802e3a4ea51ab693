"""Metrics of a pair anew, by NumPy and SciPy in double precision, from the formulas of `core.metrics`."""

import zlib
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from ct4bench.core.checks import Checks
from ct4bench.pairs.similarity import HU_RANGE, REACH, SIGMA, Similarity

MOST_BINS = 10_000
"""Of a larger region only the middle is checked: it costs as much as a few pairs."""
SMALL = (30.0**2, 90.0**2)
"""C1 and C2 of SSIM for a range of 3000 HU."""
FEWEST = 16
CHECKED = ("rmse_hu", "ssim", "ssim_global", "psnr_max_db")


def binned(volume: np.ndarray, factor: int) -> np.ndarray:
    """Return the clipped HU (float64) of an int16 volume, averaged over whole bins of `factor`^3 voxels."""
    clipped = np.clip(volume, *HU_RANGE).astype(np.float64)
    shape = [n // factor for n in clipped.shape]
    clipped = clipped[tuple(slice(n * factor) for n in shape)]
    split = [size for n in shape for size in (n, factor)]
    return clipped.reshape(split).mean(axis=(1, 3, 5))


def plain_metrics(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Return the metrics `CHECKED` of two float64 volumes of one shape inside a mask."""
    inside = inside.astype(bool)
    x, y = a[inside], b[inside]
    rmse = float(np.sqrt(np.mean((x - y) ** 2)))
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    peak = max(x.max(), y.max())
    return {
        "rmse_hu": rmse,
        "ssim": float(np.mean(_ssim(a, b)[_whole_windows(inside)])),
        "ssim_global": float(_ratio(x.mean(), y.mean(), x.var(), y.var(), covariance)),
        "psnr_max_db": float(20 * np.log10(peak / rmse)) if rmse and peak > 0 else float("nan"),
    }


def _ratio(mean_a, mean_b, var_a, var_b, covariance):
    c1, c2 = SMALL
    alike = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def _inner(volume: np.ndarray) -> np.ndarray:
    return volume[(slice(REACH, -REACH),) * 3]


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of every window that fits."""

    def mean(volume):
        for axis in range(3):
            volume = gaussian_filter1d(volume, SIGMA, axis=axis, radius=REACH)
        return _inner(volume)

    mean_a, mean_b = mean(a), mean(b)
    return _ratio(mean_a, mean_b, mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b)


def _whole_windows(inside: np.ndarray) -> np.ndarray:
    for axis in range(3):
        inside = minimum_filter1d(inside, 2 * REACH + 1, axis=axis, mode="nearest")
    return _inner(inside)


def middle_box(shape) -> tuple[slice, slice, slice]:
    """Return the middle of a region of bins, of up to `MOST_BINS`, in its proportions; all of a small one."""
    share = min(1.0, (MOST_BINS / np.prod(shape)) ** (1 / 3))
    sizes = [min(n, max(FEWEST, int(n * share))) for n in shape]
    return tuple(slice((n - size) // 2, (n - size) // 2 + size) for n, size in zip(shape, sizes, strict=True))


def drawn(items: list, name: str):
    """Return one of the items, the same for a name in every run."""
    return items[zlib.crc32(name.encode()) % len(items)]


def check_pair(
    checks: Checks, pair: tuple[str, str], read: Callable[[str, tuple], np.ndarray], region, own: Similarity
) -> None:
    """Check what the kernels gave for a pair in a region (`compare.PairRegion`) against `plain_metrics`.

    `read(uid, box)` gives int16 voxels. A region without a voxel or a window inside is passed over.
    """
    if not region.inside.any() or not region.windows.any():
        return
    a, b = (binned(read(uid, region.box), region.shrink) for uid in pair)
    found = plain_metrics(a, b, region.inside)
    for name in CHECKED:
        if np.isfinite(found[name]) and np.isfinite(getattr(own, name)):
            checks.add(name, 1, abs(found[name] - getattr(own, name)), f"series {pair[0]} and {pair[1]}")
