"""RMSE, PSNR and SSIM of two volumes on the same grid.

Sums are kept for each row (of all slices and columns), so that a volume may be worked through in slabs of rows of any
thickness with the same result to the last bit. SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861) weighs an
11 x 11 x 11 window with a Gaussian; a volume's own local mean and variance are computed once (`local_moments`), so that
a pair costs the filtering of one product. The filters work in float32: SSIM is within 1e-7 of float64 on volumes with
noise, and within 2e-5 on flat ones, where rounding does not average out.
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
STRIP = 32
"""Rows worked on at a time: twelve slices of so many rows, filtered in plane, stay in the second-level cache."""


def gaussian_taps() -> np.ndarray:
    """Weights (11,) float64 of the window along one axis; they sum to 1."""
    x = np.arange(WINDOW) - REACH
    taps = np.exp(-0.5 * (x / SIGMA) ** 2)
    return taps / taps.sum()


_T0, _T1, _T2, _T3, _T4, _T5 = gaussian_taps()[REACH:].astype(np.float32)
"""Centre first: the window is symmetric. As constants of the compiled code they stay in registers."""
_C1, _C2, _TWO = np.float32(C1), np.float32(C2), np.float32(2)


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


# Multiplications and additions may be fused: the only freedom of arithmetic that the compiler gets.
_kernel = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract"})


@_kernel
def _weigh(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10):
    return _T0 * p5 + _T1 * (p4 + p6) + _T2 * (p3 + p7) + _T3 * (p2 + p8) + _T4 * (p1 + p9) + _T5 * (p0 + p10)


@_kernel
def _filter_plane(plane, n, rows, ring, place):
    # Rows 0 to n - 1, two at a time: down the columns into rows that stay in the first-level cache, then along them.
    for y in range(0, n, 2):
        for x in range(rows.shape[1]):
            p0, p1, p2, p3 = plane[y, x], plane[y + 1, x], plane[y + 2, x], plane[y + 3, x]
            p4, p5, p6, p7 = plane[y + 4, x], plane[y + 5, x], plane[y + 6, x], plane[y + 7, x]
            p8, p9, p10, p11 = plane[y + 8, x], plane[y + 9, x], plane[y + 10, x], plane[y + 11, x]
            rows[0, x] = _weigh(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10)
            rows[1, x] = _weigh(p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11)
        for i in range(2):
            for x in range(ring.shape[2]):
                ring[place, y + i, x] = _weigh(
                    rows[i, x], rows[i, x + 1], rows[i, x + 2], rows[i, x + 3], rows[i, x + 4], rows[i, x + 5],
                    rows[i, x + 6], rows[i, x + 7], rows[i, x + 8], rows[i, x + 9], rows[i, x + 10],
                )  # fmt: skip


@_kernel
def _filter_slices(ring, newest, y, out):
    # `newest` is the ring's place of the last of the eleven slices.
    k0, k1, k2, k3, k4 = (newest + 1) % 11, (newest + 2) % 11, (newest + 3) % 11, (newest + 4) % 11, (newest + 5) % 11
    k5, k6, k7, k8, k9 = (newest + 6) % 11, (newest + 7) % 11, (newest + 8) % 11, (newest + 9) % 11, (newest + 10) % 11
    for x in range(ring.shape[2]):
        out[x] = _weigh(
            ring[k0, y, x], ring[k1, y, x], ring[k2, y, x], ring[k3, y, x], ring[k4, y, x], ring[k5, y, x],
            ring[k6, y, x], ring[k7, y, x], ring[k8, y, x], ring[k9, y, x], ring[newest, y, x],
        )  # fmt: skip


# Buffers have a row more than a strip and its margin: `_filter_plane` may work on the pair of the last row.


@_kernel
def _moments(volume, n_rows, mean, variance):
    n_slices, _, nx = volume.shape
    plane = np.zeros((STRIP + 11, nx), np.float32)
    rows = np.empty((2, nx), np.float32)
    first = np.empty((11, STRIP + 1, nx - 10), np.float32)
    second = np.empty((11, STRIP + 1, nx - 10), np.float32)
    square = np.empty(nx - 10, np.float32)
    for top in range(0, n_rows - 10, STRIP):
        n = min(STRIP, n_rows - 10 - top)
        for z in range(n_slices):
            place = z % 11
            for y in range(n + 10):
                for x in range(nx):
                    plane[y, x] = np.float32(volume[z, top + y, x])
            _filter_plane(plane, n, rows, first, place)
            for y in range(n + 10):
                for x in range(nx):
                    plane[y, x] = plane[y, x] * plane[y, x]
            _filter_plane(plane, n, rows, second, place)
            if z < 10:
                continue
            for y in range(n):
                m, v = mean[z - 10, top + y], variance[z - 10, top + y]
                _filter_slices(first, place, y, m)
                _filter_slices(second, place, y, square)
                for x in range(nx - 10):
                    v[x] = square[x] - m[x] * m[x]


def local_moments(volume: np.ndarray, out: tuple[np.ndarray, np.ndarray] | None = None, n_rows: int | None = None):
    """Mean (HU) and variance (HU^2), float32, under the window at each place where it fits; each axis is 10 shorter.

    `volume` is (slices, rows, columns), int16 or float32, of which the first `n_rows` (all by default) count; `out`
    takes the two arrays.
    """
    n_rows = volume.shape[1] if n_rows is None else n_rows
    shape = tuple(max(0, n - 2 * REACH) for n in volume.shape)
    mean, variance = out or (np.empty(shape, np.float32), np.empty(shape, np.float32))
    if 0 not in shape:
        _moments(volume, n_rows, mean, variance)
    return mean, variance


@_kernel
def _squared_errors(a, b, first, inside, top, n, whole, part, total):
    # Adds (a - b)^2 of n rows of one slice, from `first` of a and b and `top` of inside on, to their totals by column.
    nx = inside.shape[1]
    for y in range(n):
        # Exact in float32: HU are integers, and so are 64 times the means of 64 of them.
        for x in range(nx):
            part[x] = np.float32(a[first + y, x]) - np.float32(b[first + y, x])
        if not whole:
            for x in range(nx):
                part[x] *= np.float32(inside[top + y, x])
        for x in range(nx):
            d = np.float64(part[x])
            total[y, x] += d * d


@_kernel
def _unlikeness(product, mean_a, mean_b, variance_a, variance_b):
    # 1 - SSIM without the subtraction of two numbers near one.
    unlike_means = (mean_a - mean_b) * (mean_a - mean_b)
    luminance = mean_a * mean_a + mean_b * mean_b + _C1
    unlike_texture = variance_a + variance_b - _TWO * (product - mean_a * mean_b)
    contrast = variance_a + variance_b + _C2
    return (unlike_means * contrast + (luminance - unlike_means) * unlike_texture) / (luminance * contrast)


@_kernel
def _dissimilarities(
    mean_a, mean_b, variance_a, variance_b, windows, whole, at, count, top, n, newest, ring, parts, total
):
    # Adds 1 - SSIM of the windows of n rows from `top` on to their totals by column, for the slices `at` and, if
    # `count` is 2, `at` + 1. Two at a time read twelve planes of products rather than twice eleven.
    wide = ring.shape[2]
    k0, k1, k2, k3, k4 = (newest + 1) % 12, (newest + 2) % 12, (newest + 3) % 12, (newest + 4) % 12, (newest + 5) % 12
    k5, k6, k7, k8, k9 = (newest + 6) % 12, (newest + 7) % 12, (newest + 8) % 12, (newest + 9) % 12, (newest + 10) % 12
    k10 = (newest + 11) % 12
    for y in range(n):
        u = top + y
        if count == 2:
            for x in range(wide):
                p0, p1, p2, p3 = ring[k0, y, x], ring[k1, y, x], ring[k2, y, x], ring[k3, y, x]
                p4, p5, p6, p7 = ring[k4, y, x], ring[k5, y, x], ring[k6, y, x], ring[k7, y, x]
                p8, p9, p10, p11 = ring[k8, y, x], ring[k9, y, x], ring[k10, y, x], ring[newest, y, x]
                parts[0, x] = _unlikeness(
                    _weigh(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10),
                    mean_a[at, u, x], mean_b[at, u, x], variance_a[at, u, x], variance_b[at, u, x],
                )  # fmt: skip
                parts[1, x] = _unlikeness(
                    _weigh(p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11),
                    mean_a[at + 1, u, x], mean_b[at + 1, u, x], variance_a[at + 1, u, x], variance_b[at + 1, u, x],
                )  # fmt: skip
        else:
            for x in range(wide):
                product = _weigh(
                    ring[k1, y, x], ring[k2, y, x], ring[k3, y, x], ring[k4, y, x], ring[k5, y, x], ring[k6, y, x],
                    ring[k7, y, x], ring[k8, y, x], ring[k9, y, x], ring[k10, y, x], ring[newest, y, x],
                )  # fmt: skip
                parts[0, x] = _unlikeness(
                    product, mean_a[at, u, x], mean_b[at, u, x], variance_a[at, u, x], variance_b[at, u, x]
                )
        if not whole:
            for i in range(count):
                for x in range(wide):
                    parts[i, x] *= np.float32(windows[at + i, u, x])
        if count == 2:
            for x in range(wide):
                total[y, x] += parts[0, x] + parts[1, x]
        else:
            for x in range(wide):
                total[y, x] += parts[0, x]


@_kernel
def _pair_sums(voxels, means, variances, inside, first, windows, whole, pairs, squared, unlike):
    n_slices, nx = inside.shape[0], inside.shape[2]
    n_deep, n_high, wide = windows.shape
    plane = np.zeros((STRIP + 11, nx), np.float32)
    rows = np.empty((2, nx), np.float32)
    ring = np.zeros((12, STRIP + 1, wide), np.float32)
    parts = np.empty((2, nx), np.float32)
    errors, totals = np.empty((STRIP, nx), np.float64), np.empty((STRIP, nx), np.float64)
    # A strip of rows goes through all slices; what is in reach of its windows stays in the cache.
    for top in range(0, max(inside.shape[1], n_high), STRIP):
        n_rows = min(STRIP, inside.shape[1] - top)
        n = min(STRIP, n_high - top) if n_deep and wide else 0
        for i in range(pairs.shape[0]):
            p, q = pairs[i, 0], pairs[i, 1]
            errors[:] = 0
            totals[:] = 0
            for z in range(n_slices):
                a, b = voxels[p, z], voxels[q, z]
                _squared_errors(a, b, first + top, inside[z], top, n_rows, whole, parts[0], errors)
                if n <= 0:
                    continue
                for y in range(n + 10):
                    for x in range(nx):
                        plane[y, x] = np.float32(a[top + y, x]) * np.float32(b[top + y, x])
                _filter_plane(plane, n, rows, ring, z % 12)
                last = z - 10
                if last >= 0 and (last % 2 or last == n_deep - 1):
                    count = 1 + last % 2
                    _dissimilarities(
                        means[p], means[q], variances[p], variances[q], windows, whole, last + 1 - count, count, top, n,
                        z % 12, ring, parts, totals,
                    )  # fmt: skip
            for y in range(n_rows):
                squared[i, top + y] = errors[y].sum()
            for y in range(n):
                unlike[i, top + y] = totals[y, :wide].sum()


def pair_sums(voxels, means, variances, inside, windows, pairs, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Per row and pair: sum of (a - b)^2 in HU^2 inside the mask, and sum of 1 - SSIM over the windows, float64.

    `voxels` (volumes, slices, rows, columns) is int16 or float32, `means` and `variances` are the volumes'
    `local_moments`, `pairs` (pairs, 2) holds places of volumes. `inside` (uint8) tells which voxels count of the rows
    from `first` on, `windows` (uint8) which windows. The arrays returned are (pairs, rows of `inside`) and
    (pairs, rows of `windows`). The order of pairs, or calls for some of them at a time, change no bit.
    """
    pairs = np.ascontiguousarray(pairs, np.int64).reshape(-1, 2)
    squared, unlike = np.zeros((len(pairs), inside.shape[1])), np.zeros((len(pairs), windows.shape[1]))
    whole = bool(inside.all() and windows.all())
    _pair_sums(voxels, means, variances, inside, first, windows, whole, pairs, squared, unlike)
    return squared, unlike


@njit(cache=True, error_model="numpy", nogil=True)
def _intensities(a, inside, first_row, sums):
    nz, ny, nx = inside.shape
    first, second, top = np.empty(nx, np.float64), np.empty(nx, np.float64), np.empty(nx, np.float64)
    for y in range(ny):
        first[:] = 0
        second[:] = 0
        top[:] = -np.inf
        for z in range(nz):
            for x in range(nx):
                value = np.float64(a[z, first_row + y, x])
                first[x] += inside[z, y, x] * value
                second[x] += inside[z, y, x] * value * value
                top[x] = max(top[x], value if inside[z, y, x] else -np.inf)
        sums[y, 0], sums[y, 1], sums[y, 2] = first.sum(), second.sum(), top.max()


def intensity_sums(volume: np.ndarray, inside: np.ndarray, first: int = 0) -> np.ndarray:
    """Sum (HU), sum of squares (HU^2) and maximum (HU) of each row inside the mask, float64 (rows, 3).

    `inside` (uint8) tells which voxels count of the rows from `first` on.
    """
    sums = np.zeros((inside.shape[1], 3))
    _intensities(volume, inside, first, sums)
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
    """Metrics from the sums of all rows (arrays as the `*_sums` functions give them)."""
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
    voxels = np.stack([a, b])
    means, variances = zip(local_moments(a), local_moments(b), strict=True)
    squared, unlike = pair_sums(voxels, np.stack(means), np.stack(variances), inside, windows, [(0, 1)])
    sums = intensity_sums(a, inside), intensity_sums(b, inside)
    return combine(squared[0], unlike[0], *sums, int(inside.sum()), int(windows.sum()))
