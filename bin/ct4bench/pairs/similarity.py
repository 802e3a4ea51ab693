"""RMSE, PSNR and SSIM of two volumes on the same grid.

Sums are kept for each row (of all slices and columns), so that a volume may be worked through in slabs of rows of any
thickness with the same result to the last bit. SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861) weighs an
11 x 11 x 11 window with a Gaussian; a volume's own local mean and variance are computed once (`local_moments`), so that
a pair costs the filtering of one product. The filters work in float32: SSIM is within 1e-7 of float64 on volumes with
noise, and within 2e-5 on flat ones, where rounding does not average out.
"""

from dataclasses import dataclass, fields

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
"""Rows worked on at a time, a multiple of four: fourteen slices of so many rows, filtered in plane, stay in the
second-level cache."""


def gaussian_taps() -> np.ndarray:
    """Return the weights (11,) float64 of the window along one axis; they sum to 1."""
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
    """Average the bins of `factor`^3 voxels of an int16 array, as float32; partial bins at the ends are dropped."""
    out = np.empty(tuple(n // factor for n in array.shape), np.float32)
    _shrink(np.ascontiguousarray(array), factor, out)
    return out


def shrink_mask(inside: np.ndarray, factor: int) -> np.ndarray:
    """Return the bins (uint8) that lie wholly inside the mask (uint8, 0 or 1)."""
    if factor == 1:
        return np.ascontiguousarray(inside, np.uint8)
    nz, ny, nx = (n // factor for n in inside.shape)
    bins = inside[: nz * factor, : ny * factor, : nx * factor].reshape(nz, factor, ny, factor, nx, factor)
    return bins.min(axis=(1, 3, 5)).astype(np.uint8)


def windows_inside(inside: np.ndarray) -> np.ndarray:
    """Return the windows (uint8, each axis 10 shorter, at least 0) that lie wholly inside the mask (uint8)."""
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
def _now_due(last, n_deep):
    # How many windows along slices are worked off when `last` of n_deep is complete: four at a time, and the rest.
    if last >= 0 and (last % 4 == 3 or last == n_deep - 1):
        return last % 4 + 1
    return 0


@_kernel
def _weigh_four(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13):
    # Windows that follow each other read fourteen values together rather than eleven each.
    return (
        _weigh(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10),
        _weigh(p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11),
        _weigh(p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12),
        _weigh(p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13),
    )


@_kernel
def _filter_plane(plane, n, rows, ring, slot):
    # Rows 0 to n - 1, four at a time: down the columns into rows that stay in the first-level cache, then along them.
    for y in range(0, n, 4):
        for x in range(rows.shape[1]):
            rows[0, x], rows[1, x], rows[2, x], rows[3, x] = _weigh_four(
                plane[y, x], plane[y + 1, x], plane[y + 2, x], plane[y + 3, x], plane[y + 4, x], plane[y + 5, x],
                plane[y + 6, x], plane[y + 7, x], plane[y + 8, x], plane[y + 9, x], plane[y + 10, x],
                plane[y + 11, x], plane[y + 12, x], plane[y + 13, x],
            )  # fmt: skip
        for i in range(4):
            for x in range(ring.shape[2]):
                ring[slot, y + i, x] = _weigh(
                    rows[i, x], rows[i, x + 1], rows[i, x + 2], rows[i, x + 3], rows[i, x + 4], rows[i, x + 5],
                    rows[i, x + 6], rows[i, x + 7], rows[i, x + 8], rows[i, x + 9], rows[i, x + 10],
                )  # fmt: skip


@_kernel
def _filter_slices(ring, newest, y, out):
    # The last four windows along slices; `newest` is the ring's index of the last slice.
    k0, k1, k2, k3, k4 = (newest + 1) % 14, (newest + 2) % 14, (newest + 3) % 14, (newest + 4) % 14, (newest + 5) % 14
    k5, k6, k7, k8, k9 = (newest + 6) % 14, (newest + 7) % 14, (newest + 8) % 14, (newest + 9) % 14, (newest + 10) % 14
    k10, k11, k12 = (newest + 11) % 14, (newest + 12) % 14, (newest + 13) % 14
    for x in range(ring.shape[2]):
        out[0, x], out[1, x], out[2, x], out[3, x] = _weigh_four(
            ring[k0, y, x], ring[k1, y, x], ring[k2, y, x], ring[k3, y, x], ring[k4, y, x], ring[k5, y, x],
            ring[k6, y, x], ring[k7, y, x], ring[k8, y, x], ring[k9, y, x], ring[k10, y, x], ring[k11, y, x],
            ring[k12, y, x], ring[newest, y, x],
        )  # fmt: skip


@_kernel
def _moments(volume, n_rows, mean, variance):
    n_slices, _, nx = volume.shape
    plane = np.zeros((STRIP + 10, nx), np.float32)
    rows = np.empty((4, nx), np.float32)
    first = np.zeros((14, STRIP, nx - 10), np.float32)
    second = np.zeros((14, STRIP, nx - 10), np.float32)
    means, squares = np.empty((4, nx - 10), np.float32), np.empty((4, nx - 10), np.float32)
    for top in range(0, n_rows - 10, STRIP):
        n = min(STRIP, n_rows - 10 - top)
        for z in range(n_slices):
            slot = z % 14
            for y in range(n + 10):
                for x in range(nx):
                    plane[y, x] = np.float32(volume[z, top + y, x])
            _filter_plane(plane, n, rows, first, slot)
            for y in range(n + 10):
                for x in range(nx):
                    plane[y, x] = plane[y, x] * plane[y, x]
            _filter_plane(plane, n, rows, second, slot)
            count = _now_due(z - 10, n_slices - 10)
            if not count:
                continue
            for y in range(n):
                _filter_slices(first, slot, y, means)
                _filter_slices(second, slot, y, squares)
                for i in range(4 - count, 4):
                    m, v = mean[z - 13 + i, top + y], variance[z - 13 + i, top + y]
                    for x in range(nx - 10):
                        m[x] = means[i, x]
                        v[x] = squares[i, x] - means[i, x] * means[i, x]


def local_moments(volume: np.ndarray, out: tuple[np.ndarray, np.ndarray] | None = None, n_rows: int | None = None):
    """Return the mean (HU) and variance (HU^2), float32, under the window at each position where it fits; each axis is
    10 shorter.

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
def _products(a, b, top, n_planes, plane, first, n_rows, inside, whole, errors):
    # Products of n_planes rows from `top` on; (a - b)^2 of n_rows of them, from `first` on, is added to `errors`.
    nx = plane.shape[1]
    for y in range(n_planes):
        u, e = top + y, y - first
        if not 0 <= e < n_rows:
            for x in range(nx):
                plane[y, x] = np.float32(a[u, x]) * np.float32(b[u, x])
        elif whole:
            for x in range(nx):
                one, other = np.float32(a[u, x]), np.float32(b[u, x])
                plane[y, x] = one * other
                errors[e, x] += (one - other) * (one - other)
        else:
            for x in range(nx):
                one, other = np.float32(a[u, x]), np.float32(b[u, x])
                plane[y, x] = one * other
                part = (one - other) * np.float32(inside[e, x])
                errors[e, x] += part * part


@_kernel
def _unlikeness(product, mean_a, mean_b, variance_a, variance_b):
    # 1 - SSIM without the subtraction of two numbers near one.
    unlike_means = (mean_a - mean_b) * (mean_a - mean_b)
    luminance = mean_a * mean_a + mean_b * mean_b + _C1
    unlike_texture = variance_a + variance_b - _TWO * (product - mean_a * mean_b)
    contrast = variance_a + variance_b + _C2
    return (unlike_means * contrast + (luminance - unlike_means) * unlike_texture) / (luminance * contrast)


@_kernel
def _dissimilarities(mean_a, mean_b, variance_a, variance_b, windows, whole, at, top, n, newest, ring, total):
    # Adds 1 - SSIM of the windows of n rows from `top` on and four slices from `at` on to their totals by column.
    k0, k1, k2, k3, k4 = (newest + 1) % 14, (newest + 2) % 14, (newest + 3) % 14, (newest + 4) % 14, (newest + 5) % 14
    k5, k6, k7, k8, k9 = (newest + 6) % 14, (newest + 7) % 14, (newest + 8) % 14, (newest + 9) % 14, (newest + 10) % 14
    k10, k11, k12 = (newest + 11) % 14, (newest + 12) % 14, (newest + 13) % 14
    for y in range(n):
        u = top + y
        for x in range(ring.shape[2]):
            q0, q1, q2, q3 = _weigh_four(
                ring[k0, y, x], ring[k1, y, x], ring[k2, y, x], ring[k3, y, x], ring[k4, y, x], ring[k5, y, x],
                ring[k6, y, x], ring[k7, y, x], ring[k8, y, x], ring[k9, y, x], ring[k10, y, x], ring[k11, y, x],
                ring[k12, y, x], ring[newest, y, x],
            )  # fmt: skip
            d0 = _unlikeness(q0, mean_a[at, u, x], mean_b[at, u, x], variance_a[at, u, x], variance_b[at, u, x])
            d1 = _unlikeness(
                q1, mean_a[at + 1, u, x], mean_b[at + 1, u, x], variance_a[at + 1, u, x], variance_b[at + 1, u, x]
            )
            d2 = _unlikeness(
                q2, mean_a[at + 2, u, x], mean_b[at + 2, u, x], variance_a[at + 2, u, x], variance_b[at + 2, u, x]
            )
            d3 = _unlikeness(
                q3, mean_a[at + 3, u, x], mean_b[at + 3, u, x], variance_a[at + 3, u, x], variance_b[at + 3, u, x]
            )
            if not whole:
                d0 *= np.float32(windows[at, u, x])
                d1 *= np.float32(windows[at + 1, u, x])
                d2 *= np.float32(windows[at + 2, u, x])
                d3 *= np.float32(windows[at + 3, u, x])
            total[y, x] += (d0 + d1) + (d2 + d3)


@_kernel
def _last_dissimilarities(
    mean_a, mean_b, variance_a, variance_b, windows, at, count, top, n, newest, ring, found, total
):
    # As `_dissimilarities` for the last `count` slices, from `at` on, where less than four are left.
    for y in range(n):
        u = top + y
        _filter_slices(ring, newest, y, found)
        for i in range(count):
            for x in range(ring.shape[2]):
                d = _unlikeness(
                    found[4 - count + i, x],
                    mean_a[at + i, u, x],
                    mean_b[at + i, u, x],
                    variance_a[at + i, u, x],
                    variance_b[at + i, u, x],
                )
                total[y, x] += d * np.float32(windows[at + i, u, x])


@_kernel
def _pair_sums(voxels, means, variances, inside, first, windows, whole, pairs, squared, unlike):
    n_slices, nx = inside.shape[0], inside.shape[2]
    n_deep, n_high, wide = windows.shape
    plane = np.zeros((STRIP + 10, nx), np.float32)
    rows = np.empty((4, nx), np.float32)
    ring = np.zeros((14, STRIP, wide), np.float32)
    found = np.empty((4, nx), np.float32)
    # Four slices are summed in single precision, then added to the totals.
    part = np.empty((STRIP, nx), np.float32)
    errors, totals = np.empty((STRIP, nx), np.float64), np.empty((STRIP, nx), np.float64)
    # A strip of rows goes through all slices; what is in reach of its windows stays in the cache.
    for top in range(0, max(inside.shape[1], n_high), STRIP):
        n_rows = max(0, min(STRIP, inside.shape[1] - top))
        n = max(0, min(STRIP, n_high - top)) if n_deep and wide else 0
        n_planes = max(first + n_rows if n_rows else 0, n + 10 if n else 0)
        for i in range(pairs.shape[0]):
            p, q = pairs[i, 0], pairs[i, 1]
            errors[:] = 0
            totals[:] = 0
            part[:] = 0
            for z in range(n_slices):
                _products(voxels[p, z], voxels[q, z], top, n_planes, plane, first, n_rows, inside[z, top:], whole, part)
                if z % 4 == 3 or z == n_slices - 1:
                    for y in range(n_rows):
                        for x in range(nx):
                            errors[y, x] += part[y, x]
                            part[y, x] = 0
                if not n:
                    continue
                _filter_plane(plane, n, rows, ring, z % 14)
                count = _now_due(z - 10, n_deep)
                if count == 4:
                    _dissimilarities(
                        means[p], means[q], variances[p], variances[q], windows, whole, z - 13, top, n, z % 14, ring,
                        totals,
                    )  # fmt: skip
                elif count:
                    _last_dissimilarities(
                        means[p], means[q], variances[p], variances[q], windows, z - 9 - count, count, top, n, z % 14,
                        ring, found, totals,
                    )  # fmt: skip
            for y in range(n_rows):
                squared[i, top + y] = errors[y].sum()
            for y in range(n):
                unlike[i, top + y] = totals[y, :wide].sum()


def pair_sums(
    voxels, means, variances, inside, windows, pairs, first: int = 0, whole: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over each row and pair: sum of (a - b)^2 in HU^2 inside the mask, and sum of 1 - SSIM over the windows,
    float64.

    `voxels` (volumes, slices, rows, columns) is int16 or float32, `means` and `variances` are the volumes'
    `local_moments`, `pairs` (pairs, 2) holds indices of volumes. `inside` (uint8) tells which voxels count of the rows
    from `first` on, `windows` (uint8) which windows; `whole` says that all of both do, where the caller knows. The
    arrays returned are (pairs, rows of `inside`) and (pairs, rows of `windows`). The order of pairs, or calls for some
    of them at a time, change no bit.
    """
    pairs = np.ascontiguousarray(pairs, np.int64).reshape(-1, 2)
    squared, unlike = np.zeros((len(pairs), inside.shape[1])), np.zeros((len(pairs), windows.shape[1]))
    if whole is None:
        whole = bool(inside.min(initial=1) and windows.min(initial=1))
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
    """Return the sum (HU), sum of squares (HU^2) and maximum (HU) of each row inside the mask, float64 (rows, 3).

    `inside` (uint8) tells which voxels count of the rows from `first` on.
    """
    sums = np.zeros((inside.shape[1], 3))
    _intensities(volume, inside, first, sums)
    return sums


@dataclass(frozen=True)
class Similarity:
    """Metrics of one pair: the fields but the first are the entries of `core.metrics`."""

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


METRIC_FIELDS = tuple(field.name for field in fields(Similarity))[1:]


def psnr_db(rmse_hu: float, peak_hu: float) -> float:
    """Return 20 log10(peak / RMSE): infinite for equal volumes, not a number without a positive peak."""
    if not peak_hu > 0:
        return float("nan")
    return float(20 * np.log10(peak_hu / rmse_hu)) if rmse_hu else float("inf")


def combine(squared_errors, dissimilarities, intensities_a, intensities_b, n_voxels: int, n_windows: int) -> Similarity:
    """Compute the metrics from the sums of all rows (arrays as the `*_sums` functions give them)."""
    if not n_voxels:
        return Similarity(0, **dict.fromkeys(METRIC_FIELDS, float("nan")))
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
    """Compute the metrics of two whole volumes (slices, rows, columns) of one dtype, int16 or float32, inside a uint8
    mask."""
    inside = np.ones(a.shape, np.uint8) if inside is None else inside
    windows = windows_inside(inside)
    voxels = np.stack([a, b])
    means, variances = zip(local_moments(a), local_moments(b), strict=True)
    squared, unlike = pair_sums(voxels, np.stack(means), np.stack(variances), inside, windows, [(0, 1)])
    sums = intensity_sums(a, inside), intensity_sums(b, inside)
    return combine(squared[0], unlike[0], *sums, int(inside.sum()), int(windows.sum()))
