"""RMSE, PSNR and SSIM of two volumes on the same grid.

Sums are kept per slice, so that a volume may be worked through in slabs of any thickness with the same result to the
last bit. SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861) weighs an 11 x 11 x 11 window with a Gaussian; a volume's
own local mean and variance are computed once (`local_moments`), so that a pair costs the filtering of one product.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.ndimage import minimum_filter1d

HU_RANGE = (-1000, 2000)
"""Intensities are clipped to this before anything else."""
PEAK_HU = 2000.0
"""Peak of the PSNR."""
SSIM_RANGE_HU = 3000.0
K1, K2 = 0.01, 0.03
C1, C2 = (K1 * SSIM_RANGE_HU) ** 2, (K2 * SSIM_RANGE_HU) ** 2
SIGMA = 1.5
WINDOW = 11
REACH = WINDOW // 2


def gaussian_taps() -> np.ndarray:
    """Weights (11,) float64 of the window along one axis; they sum to 1."""
    x = np.arange(WINDOW) - REACH
    taps = np.exp(-0.5 * (x / SIGMA) ** 2)
    return taps / taps.sum()


_TAPS = gaussian_taps()[REACH:].astype(np.float32)
"""Centre first: the window is symmetric."""


@njit(cache=True, error_model="numpy", nogil=True)
def _shrink(array, factor, out):
    # Integers up to 2^31: a bin holds factor^3 voxels of at most 3000 HU in magnitude.
    nz, ny, nx = out.shape
    row = np.empty(nx * factor, np.int32)
    scale = 1.0 / factor**3
    for z in range(nz):
        for y in range(ny):
            row[:] = 0
            for dz in range(factor):
                for dy in range(factor):
                    source = array[z * factor + dz, y * factor + dy]
                    for x in range(nx * factor):
                        row[x] += source[x]
            for x in range(nx):
                total = 0
                for dx in range(factor):
                    total += row[x * factor + dx]
                out[z, y, x] = np.float32(total * scale)


def shrink(array: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each bin of `factor`^3 voxels of an int16 array, as float32; partial bins at the ends are dropped."""
    out = np.empty(tuple(n // factor for n in array.shape), np.float32)
    _shrink(np.ascontiguousarray(array), factor, out)
    return out


def shrink_mask(inside: np.ndarray, factor: int) -> np.ndarray:
    """Bins (uint8) that lie wholly inside the mask (uint8, 0 or 1)."""
    if factor == 1:
        return np.ascontiguousarray(inside, np.uint8)
    nz, ny, nx = (n // factor for n in inside.shape)
    bins = inside[: nz * factor, : ny * factor, : nx * factor].reshape(nz, factor, ny, factor, nx, factor)
    return bins.min(axis=(1, 3, 5)).astype(np.uint8)


def windows_inside(inside: np.ndarray) -> np.ndarray:
    """Windows (uint8, each axis 10 shorter, at least 0) that lie wholly inside the mask (uint8)."""
    shape = tuple(max(0, n - 2 * REACH) for n in inside.shape)
    if 0 in shape:
        return np.zeros(shape, np.uint8)
    windows = inside
    for axis in range(3):
        windows = minimum_filter1d(windows, WINDOW, axis=axis, mode="constant", cval=0)
    return np.ascontiguousarray(windows[REACH:-REACH, REACH:-REACH, REACH:-REACH])


@njit(cache=True, error_model="numpy", nogil=True)
def _filter_plane(plane, taps, row, out):
    # Down the columns into a row that stays in the first-level cache, then along that row.
    ny, nx = out.shape
    for y in range(ny):
        for x in range(nx + 10):
            row[x] = (
                taps[0] * plane[y + 5, x]
                + taps[1] * (plane[y + 4, x] + plane[y + 6, x])
                + taps[2] * (plane[y + 3, x] + plane[y + 7, x])
                + taps[3] * (plane[y + 2, x] + plane[y + 8, x])
                + taps[4] * (plane[y + 1, x] + plane[y + 9, x])
                + taps[5] * (plane[y, x] + plane[y + 10, x])
            )
        for x in range(nx):
            out[y, x] = (
                taps[0] * row[x + 5]
                + taps[1] * (row[x + 4] + row[x + 6])
                + taps[2] * (row[x + 3] + row[x + 7])
                + taps[3] * (row[x + 2] + row[x + 8])
                + taps[4] * (row[x + 1] + row[x + 9])
                + taps[5] * (row[x] + row[x + 10])
            )


@njit(cache=True, error_model="numpy", nogil=True)
def _filter_slices(ring, newest, y, taps, out):
    # `newest` is the ring's place of the last of the eleven slices; out[x] is the window's sum at row y.
    nx = out.shape[0]
    centre = ring[(newest + 6) % 11, y]
    for x in range(nx):
        out[x] = taps[0] * centre[x]
    for k in range(1, 6):
        below, above = ring[(newest + 6 - k) % 11, y], ring[(newest + 6 + k) % 11, y]
        tap = taps[k]
        for x in range(nx):
            out[x] += tap * (below[x] + above[x])


@njit(cache=True, error_model="numpy", nogil=True)
def _moments(volume, taps, mean, variance):
    nz, ny, nx = volume.shape
    plane = np.empty((ny, nx), np.float32)
    row = np.empty(nx, np.float32)
    first = np.empty((11, ny - 10, nx - 10), np.float32)
    second = np.empty((11, ny - 10, nx - 10), np.float32)
    for z in range(nz):
        place = z % 11
        for y in range(ny):
            for x in range(nx):
                plane[y, x] = np.float32(volume[z, y, x])
        _filter_plane(plane, taps, row, first[place])
        for y in range(ny):
            for x in range(nx):
                plane[y, x] = plane[y, x] * plane[y, x]
        _filter_plane(plane, taps, row, second[place])
        if z < 10:
            continue
        for y in range(ny - 10):
            m, v = mean[z - 10, y], variance[z - 10, y]
            _filter_slices(first, place, y, taps, m)
            _filter_slices(second, place, y, taps, v)
            for x in range(nx - 10):
                v[x] -= m[x] * m[x]


def local_moments(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (HU) and variance (HU^2), float32, under the window at each place where it fits; each axis is 10 shorter.

    `volume` is (slices, rows, columns), int16 or float32.
    """
    shape = tuple(max(0, n - 2 * REACH) for n in volume.shape)
    mean, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    if 0 not in shape:
        _moments(volume, _TAPS, mean, variance)
    return mean, variance


@njit(cache=True, error_model="numpy", nogil=True)
def _ssim(a, b, mean_a, variance_a, mean_b, variance_b, windows, taps, c1, c2, sums):
    nz, ny, nx = a.shape
    one, two = np.float32(1), np.float32(2)
    plane = np.empty((ny, nx), np.float32)
    row = np.empty(nx, np.float32)
    ring = np.empty((11, ny - 10, nx - 10), np.float32)
    product = np.empty(nx - 10, np.float32)
    total = np.empty(nx - 10, np.float64)
    for z in range(nz):
        place = z % 11
        for y in range(ny):
            for x in range(nx):
                plane[y, x] = np.float32(a[z, y, x]) * np.float32(b[z, y, x])
        _filter_plane(plane, taps, row, ring[place])
        if z < 10:
            continue
        total[:] = 0
        for y in range(ny - 10):
            _filter_slices(ring, place, y, taps, product)
            ma, va, mb, vb = mean_a[z - 10, y], variance_a[z - 10, y], mean_b[z - 10, y], variance_b[z - 10, y]
            w = windows[z - 10, y]
            for x in range(nx - 10):
                mm = ma[x] * mb[x]
                upper = (two * mm + c1) * (two * (product[x] - mm) + c2)
                lower = (ma[x] * ma[x] + mb[x] * mb[x] + c1) * (va[x] + vb[x] + c2)
                # One minus it is small and keeps more digits in float32 than the value itself.
                product[x] = np.float32(w[x]) * (one - upper / lower)
            for x in range(nx - 10):
                total[x] += product[x]
        sums[z - 10] = total.sum()


def dissimilarity_sums(a, b, moments_a, moments_b, windows) -> np.ndarray:
    """Sum of 1 - SSIM over the windows of each slice, float64 (slices - 10,).

    `a`, `b`: volumes of one dtype (int16 or float32); `moments_*` from `local_moments`; `windows` (uint8) tells which
    windows count.
    """
    sums = np.zeros(windows.shape[0])
    if 0 not in windows.shape:
        _ssim(a, b, *moments_a, *moments_b, windows, _TAPS, np.float32(C1), np.float32(C2), sums)
    return sums


@njit(cache=True, error_model="numpy", nogil=True)
def _squared_errors(a, b, inside, sums):
    nz, ny, nx = a.shape
    total = np.empty(nx, np.float64)
    for z in range(nz):
        total[:] = 0
        for y in range(ny):
            for x in range(nx):
                d = np.float64(a[z, y, x]) - np.float64(b[z, y, x])
                total[x] += inside[z, y, x] * d * d
        sums[z] = total.sum()


def squared_error_sums(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Sum of (a - b)^2 in HU^2 over the voxels of each slice where `inside` (uint8) is 1; float64 (slices,)."""
    sums = np.zeros(a.shape[0])
    _squared_errors(a, b, inside, sums)
    return sums


@njit(cache=True, error_model="numpy", nogil=True)
def _intensities(a, inside, sums):
    nz, ny, nx = a.shape
    first, second, top = np.empty(nx, np.float64), np.empty(nx, np.float64), np.empty(nx, np.float64)
    for z in range(nz):
        first[:] = 0
        second[:] = 0
        top[:] = -np.inf
        for y in range(ny):
            for x in range(nx):
                value = np.float64(a[z, y, x])
                first[x] += inside[z, y, x] * value
                second[x] += inside[z, y, x] * value * value
                top[x] = max(top[x], value if inside[z, y, x] else -np.inf)
        sums[z, 0], sums[z, 1], sums[z, 2] = first.sum(), second.sum(), top.max()


def intensity_sums(volume: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Sum (HU), sum of squares (HU^2) and maximum (HU) of each slice inside the mask, float64 (slices, 3)."""
    sums = np.zeros((volume.shape[0], 3))
    _intensities(volume, inside, sums)
    return sums


@dataclass(frozen=True)
class Similarity:
    """Metrics of one pair."""

    n_voxels: int
    rmse_hu: float
    psnr_db: float
    """20 log10(2000 / RMSE); infinite where the volumes are equal."""
    ssim: float
    """Mean over the windows; not a number where no window fits."""
    psnr_max_db: float
    """As `psnr_db`, with the larger maximum of the two volumes as peak (the paper's Eq. 2)."""
    ssim_global: float
    """The paper's Eq. 3: one window, the whole region, population moments."""


def psnr_db(rmse_hu: float, peak_hu: float) -> float:
    """20 log10(peak / RMSE): infinite for equal volumes, not a number without a positive peak."""
    if not peak_hu > 0:
        return float("nan")
    return float(20 * np.log10(peak_hu / rmse_hu)) if rmse_hu else float("inf")


def combine(squared_errors, dissimilarities, intensities_a, intensities_b, n_voxels: int, n_windows: int) -> Similarity:
    """Metrics from the per-slice sums of all slices (arrays as the `*_sums` functions give them)."""
    if not n_voxels:
        nan = float("nan")
        return Similarity(0, nan, nan, nan, nan, nan)
    squared = float(squared_errors.sum())
    rmse = float(np.sqrt(squared / n_voxels))
    mean_a, mean_b = (float(s[:, 0].sum()) / n_voxels for s in (intensities_a, intensities_b))
    square_a, square_b = (float(s[:, 1].sum()) / n_voxels for s in (intensities_a, intensities_b))
    covariance = (square_a + square_b - squared / n_voxels) / 2 - mean_a * mean_b
    variances = square_a - mean_a**2 + square_b - mean_b**2
    whole = (2 * mean_a * mean_b + C1) * (2 * covariance + C2) / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))
    return Similarity(
        n_voxels=int(n_voxels),
        rmse_hu=rmse,
        psnr_db=psnr_db(rmse, PEAK_HU),
        ssim=1 - float(dissimilarities.sum()) / n_windows if n_windows else float("nan"),
        psnr_max_db=psnr_db(rmse, float(max(intensities_a[:, 2].max(), intensities_b[:, 2].max()))),
        ssim_global=whole,
    )


def compare(a: np.ndarray, b: np.ndarray, inside: np.ndarray | None = None) -> Similarity:
    """Metrics of two whole volumes (slices, rows, columns) of one dtype, int16 or float32, inside a uint8 mask."""
    inside = np.ones(a.shape, np.uint8) if inside is None else inside
    windows = windows_inside(inside)
    return combine(
        squared_error_sums(a, b, inside),
        dissimilarity_sums(a, b, local_moments(a), local_moments(b), windows),
        intensity_sums(a, inside),
        intensity_sums(b, inside),
        int(inside.sum()),
        int(windows.sum()),
    )
