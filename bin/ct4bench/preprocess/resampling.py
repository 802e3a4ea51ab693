"""Resampling of a volume to another grid through a rigid motion, once, and what interpolation costs in noise."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.modes import MODES

OUTSIDE_HU = -1024
INTERPOLATORS = ("linear", "nearest", "bspline")
SHORTEST_RUN = 8
SPLINE_REACH = 14


def choose_interpolator(name: str | None, mode: str) -> str:
    """Take an interpolator by its name, by default the mode's; `UserError` where there is none of the name."""
    chosen = name or MODES[mode].interpolator
    if chosen not in INTERPOLATORS:
        raise UserError(f"--interpolator {name} is not known; choose from {', '.join(INTERPOLATORS)}")
    return chosen


def index_map(target: Grid, source: Grid, motion: Rigid) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (3 x 3) and vector (3,) that take an index of `target` to the continuous index of `source`.

    `motion` takes LPS points of the target's frame to the source's (p_moving from p_reference).
    """
    inverse = np.linalg.inv(source.affine[:3, :3])
    matrix = inverse @ motion.matrix @ target.affine[:3, :3]
    offset = inverse @ (motion(target.affine[:3, 3]) - source.affine[:3, 3])
    # A hair of rounding would turn a grid's own voxels into averages of two.
    matrix = np.where(np.abs(matrix - np.rint(matrix)) < 1e-12, np.rint(matrix), matrix)
    offset = np.where(np.abs(offset - np.rint(offset)) < 1e-9, np.rint(offset), offset)
    return matrix, offset


@njit(cache=True, error_model="numpy", nogil=True)
def _range(start, step, count, low, high):
    """First and one-past-last k in [0, count) with low <= start + k step < high."""
    if step == 0.0:
        return (0, count) if low <= start < high else (0, 0)
    a, b = (low - start) / step, (high - start) / step
    if step < 0.0:
        a, b = b, a
    # The ends are settled by test, not by the division's rounding.
    first = max(0, int(np.floor(min(max(a, -1.0), count + 1.0))) - 1)
    last = min(count, int(np.ceil(min(max(b, -1.0), count + 1.0))) + 1)
    while first < last and not low <= start + first * step < high:
        first += 1
    while last > first and not low <= start + (last - 1) * step < high:
        last -= 1
    return first, max(first, last)


@njit(cache=True, error_model="numpy", nogil=True)
def _ranges(z, y, x, matrix, count, low, nz, ny, nx):
    """k in [0, count) whose position, from (z, y, x) on, lies from `low` to n - 1 - `low` on each axis."""
    first, last = _range(z, matrix[0, 2], count, low, nz - 1.0 - low)
    a, b = _range(y, matrix[1, 2], count, low, ny - 1.0 - low)
    first, last = max(first, a), min(last, b)
    a, b = _range(x, matrix[2, 2], count, low, nx - 1.0 - low)
    first, last = max(first, a), min(last, b)
    return first, max(first, last)


@njit(cache=True, error_model="numpy", nogil=True)
def _clamped(source, z, y, x):
    nz, ny, nx = source.shape
    z, y, x = min(max(z, 0.0), nz - 1.0), min(max(y, 0.0), ny - 1.0), min(max(x, 0.0), nx - 1.0)
    kz, ky, kx = int(z), int(y), int(x)
    wz, wy, wx = z - kz, y - ky, x - kx
    lz, ly, lx = min(kz + 1, nz - 1), min(ky + 1, ny - 1), min(kx + 1, nx - 1)
    v00 = source[kz, ky, kx] + wx * (source[kz, ky, lx] - source[kz, ky, kx])
    v01 = source[kz, ly, kx] + wx * (source[kz, ly, lx] - source[kz, ly, kx])
    v10 = source[lz, ky, kx] + wx * (source[lz, ky, lx] - source[lz, ky, kx])
    v11 = source[lz, ly, kx] + wx * (source[lz, ly, lx] - source[lz, ly, kx])
    v0 = v00 + wy * (v01 - v00)
    v1 = v10 + wy * (v11 - v10)
    return np.int16(np.rint(v0 + wz * (v1 - v0)))


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _inner(flat, plane, line, z, y, x):
    """Value at a point all of whose eight neighbours are there."""
    kz, ky, kx = int(z), int(y), int(x)
    wz, wy, wx = np.float32(z - kz), np.float32(y - ky), np.float32(x - kx)
    # Unsigned indices spare the test for negative ones.
    one = np.uint64(1)
    at = np.uint64(kz) * plane + np.uint64(ky) * line + np.uint64(kx)
    a, b = np.float32(flat[at]), np.float32(flat[at + one])
    v00 = a + wx * (b - a)
    a, b = np.float32(flat[at + line]), np.float32(flat[at + line + one])
    v01 = a + wx * (b - a)
    at += plane
    a, b = np.float32(flat[at]), np.float32(flat[at + one])
    v10 = a + wx * (b - a)
    a, b = np.float32(flat[at + line]), np.float32(flat[at + line + one])
    v11 = a + wx * (b - a)
    v0 = v00 + wy * (v01 - v00)
    v1 = v10 + wy * (v11 - v10)
    return np.int16(np.rint(v0 + wz * (v1 - v0)))


@njit(cache=True, error_model="numpy", nogil=True)
def _run(l00, l01, l10, l11, z, y, x, dz, dy, dx, out):
    """Values between four lines of the source, whose voxels keep step with those of `out`; (z, y, x) are weights."""
    for t in range(len(out)):
        wz, wy, wx = np.float32(z + dz * t), np.float32(y + dy * t), np.float32(x + dx * t)
        a, b = np.float32(l00[t]), np.float32(l00[t + 1])
        v00 = a + wx * (b - a)
        a, b = np.float32(l01[t]), np.float32(l01[t + 1])
        v01 = a + wx * (b - a)
        a, b = np.float32(l10[t]), np.float32(l10[t + 1])
        v10 = a + wx * (b - a)
        a, b = np.float32(l11[t]), np.float32(l11[t + 1])
        v11 = a + wx * (b - a)
        v0 = v00 + wy * (v01 - v00)
        v1 = v10 + wy * (v11 - v10)
        out[t] = np.int16(np.rint(v0 + wz * (v1 - v0)))


@njit(cache=True, error_model="numpy", nogil=True)
def _steps(weight, step, most):
    """How many voxels on from one with this weight, in [0, 1), the weight stays in that range."""
    if step > 0.0:
        return min(most, int((1.0 - weight) / step))
    return min(most, int(weight / -step)) if step < 0.0 else most


@njit(cache=True, error_model="numpy", nogil=True)
def _linear(source, matrix, offset, start, stop, out):
    """Fill slices [start, stop) of `out`."""
    nz, ny, nx = source.shape
    flat = source.reshape(-1)
    count = out.shape[2]
    plane, line = np.uint64(ny * nx), np.uint64(nx)
    dz, dy, dx = matrix[0, 2], matrix[1, 2], matrix[2, 2]
    in_step = abs(dx - 1.0) < 1.0 / SHORTEST_RUN
    for i in range(start, stop):
        for j in range(out.shape[1]):
            z0 = matrix[0, 0] * i + matrix[0, 1] * j + offset[0]
            y0 = matrix[1, 0] * i + matrix[1, 1] * j + offset[1]
            x0 = matrix[2, 0] * i + matrix[2, 1] * j + offset[2]
            first, last = _ranges(z0, y0, x0, matrix, count, -0.5, nz, ny, nx)
            inner, rim = _ranges(z0, y0, x0, matrix, count, 0.0, nz, ny, nx)
            inner, rim = (inner, rim) if inner < rim else (last, last)
            for k in range(first):
                out[i, j, k] = OUTSIDE_HU
            for k in range(last, count):
                out[i, j, k] = OUTSIDE_HU
            for k in range(first, inner):
                out[i, j, k] = _clamped(source, z0 + dz * k, y0 + dy * k, x0 + dx * k)
            for k in range(rim, last):
                out[i, j, k] = _clamped(source, z0 + dz * k, y0 + dy * k, x0 + dx * k)
            if not in_step:
                for k in range(inner, rim):
                    out[i, j, k] = _inner(flat, plane, line, z0 + dz * k, y0 + dy * k, x0 + dx * k)
                continue
            # Rows of both grids are nearly parallel and of one spacing: long runs lie between the same four lines of
            # the source, at neighbouring voxels, which the processor's vectors are made for.
            k = inner
            while k < rim:
                z, y, x = z0 + dz * k, y0 + dy * k, x0 + dx * k
                kz, ky, kx = int(z), int(y), int(x)
                n = _steps(z - kz, dz, rim - k)
                n = _steps(y - ky, dy, n)
                n = _steps(x - kx, dx - 1.0, n)
                if n >= SHORTEST_RUN:
                    a = (kz * ny + ky) * nx + kx
                    b = a + ny * nx
                    _run(
                        flat[a : a + n + 1], flat[a + nx : a + nx + n + 1],
                        flat[b : b + n + 1], flat[b + nx : b + nx + n + 1],
                        z - kz, y - ky, x - kx, dz, dy, dx - 1.0, out[i, j, k : k + n],
                    )  # fmt: skip
                    k += n
                else:
                    end = min(rim, k + max(1, n))
                    while k < end:
                        out[i, j, k] = _inner(flat, plane, line, z0 + dz * k, y0 + dy * k, x0 + dx * k)
                        k += 1


def _by_simpleitk(source, source_grid: Grid, target: Grid, motion: Rigid, interpolator: str) -> np.ndarray:
    import SimpleITK as sitk  # noqa: N813

    def set_grid(image, grid):
        spacing = np.array(grid.spacing_mm)
        image.SetSpacing([float(s) for s in spacing[::-1]])
        image.SetOrigin([float(v) for v in grid.origin_mm])
        image.SetDirection([float(v) for v in (grid.affine[:3, :3] / spacing)[:, ::-1].ravel()])

    if interpolator == "bspline":
        # coefficients of what the target does not reach would take 8 bytes a voxel
        source, source_grid = _reached(source, source_grid, target, motion)
    image = sitk.GetImageFromArray(source)
    set_grid(image, source_grid)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([float(v) for v in motion.matrix.ravel()])
    transform.SetTranslation([float(v) for v in motion.offset])
    out = np.empty(target.shape, np.int16)
    kind = {"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor, "bspline": sitk.sitkBSpline}[interpolator]
    for first in range(0, target.shape[0], 32):
        rows = slice(first, min(first + 32, target.shape[0]))
        part = target.crop((rows, slice(None), slice(None)))
        spacing = np.array(part.spacing_mm)
        # Float output, rounded here: the filter itself truncates to integers.
        values = sitk.Resample(
            image,
            [int(n) for n in part.shape[::-1]],
            transform,
            kind,
            [float(v) for v in part.origin_mm],
            [float(s) for s in spacing[::-1]],
            [float(v) for v in (part.affine[:3, :3] / spacing)[:, ::-1].ravel()],
            float(OUTSIDE_HU),
            sitk.sitkFloat32,
        )
        out[rows] = np.clip(np.rint(sitk.GetArrayViewFromImage(values)), -32768, 32767)
    return out


def _reached(source, source_grid: Grid, target: Grid, motion: Rigid) -> tuple[np.ndarray, Grid]:
    """The part of the source that a target's voxels depend on; coefficients forget a voxel by 0.27 for each further."""
    index = source_grid.to_index(motion(target.corners_mm()))
    first = np.clip(np.floor(index.min(axis=0)).astype(int) - SPLINE_REACH, 0, source_grid.shape)
    stop = np.clip(np.ceil(index.max(axis=0)).astype(int) + SPLINE_REACH + 1, 0, source_grid.shape)
    if np.any(stop - first < 2):
        return source, source_grid
    box = tuple(slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))
    return np.ascontiguousarray(source[box]), source_grid.crop(box)


def resample(
    source: np.ndarray, source_grid: Grid, target: Grid, motion: Rigid, interpolator: str = "linear", threads: int = 1
) -> np.ndarray:
    """Resample the volume `source` (int16 HU) to the grid `target`, int16 HU, rounded to nearest even, -1024 outside.

    `motion` takes a point of the target's frame to the source's. A point within half a voxel of the source's rim takes
    the rim's value, as in ITK. `linear` is trilinear; the others are ITK's (`bspline` needs 8 bytes more a voxel).
    """
    if source.dtype != np.int16 or interpolator not in INTERPOLATORS:
        raise ValueError(f"resample takes int16 and one of {INTERPOLATORS}, not {source.dtype}, {interpolator}")
    if interpolator != "linear":
        return _by_simpleitk(source, source_grid, target, motion, interpolator)
    matrix, offset = index_map(target, source_grid, motion)
    source = np.ascontiguousarray(source)
    out = np.empty(target.shape, np.int16)
    edges = np.linspace(0, target.shape[0], max(1, threads) + 1).astype(int)

    def fill(part):
        _linear(source, matrix, offset, part[0], part[1], out)

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, zip(edges, edges[1:], strict=False)))
    else:
        fill(edges)
    return out


def resample_labels(labels: np.ndarray, source_grid: Grid, target: Grid) -> np.ndarray:
    """Resample labels (uint8) to another grid of the same frame by the nearest voxel; 0 outside."""
    still = Rigid.identity()
    values = _by_simpleitk(labels.astype(np.int16), source_grid, target, still, "nearest")
    return np.where(values < 0, 0, values).astype(np.uint8)


def stretched(volume: np.ndarray, grid: Grid, n_slices: int) -> tuple[np.ndarray, Grid]:
    """Stretch fewer slices to `n_slices`, first to first and last to last: a flaw of the published code, point 11.

    Linear along the slices, rounded to int16; the grid then has as many slices of the same increment, which is wrong.
    """
    positions = np.linspace(0, len(volume) - 1, n_slices)
    below = np.minimum(positions.astype(int), len(volume) - 2)
    share = (positions - below).astype(np.float32)[:, None, None]
    filled = (1 - share) * volume[below] + share * volume[below + 1]
    return np.rint(filled).astype(np.int16), Grid((n_slices, *grid.shape[1:]), grid.affine)


def lost_noise_variance(source_grid: Grid, target: Grid, motion: Rigid, interpolator: str = "linear") -> float:
    """Return the share of the variance of white noise that the interpolation takes away, 0 to 0.875.

    Weights leave the sum of their squares of the variance along each axis (`kept_variance`); this is the mean over a
    regular tenth of the target's voxels of 1 - the product over the axes. Noise of a CT is correlated and loses less.
    """
    matrix, offset = index_map(target, source_grid, motion)
    # Coprime strides, so that no regular pattern of the weights is met always at the same phase.
    index = np.stack(
        np.meshgrid(*(np.arange(0, n, s) for n, s in zip(target.shape, (5, 7, 9), strict=True)), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    at = index @ matrix.T + offset
    inside = np.all((at >= 0) & (at <= np.array(source_grid.shape) - 1), axis=1)
    if not inside.any():
        return float("nan")
    weight = at[inside] - np.floor(at[inside])
    return float(np.mean(1 - np.prod(kept_variance(weight, interpolator), axis=1)))


def kept_variance(share: np.ndarray, interpolator: str) -> np.ndarray:
    """Return the share of the variance of white noise that is left along an axis at places a `share` (0 to 1) of a
    voxel beyond one.

    Trilinear: w^2 + (1 - w)^2. Cubic B-spline: the sum of squares of its cardinal weights, those of the B-spline after
    the filter z^|k| sqrt(3), z = sqrt(3) - 2, that makes coefficients of voxels (Unser, IEEE Signal Process Mag 16,
    1999). The nearest voxel leaves all.
    """
    share = np.asarray(share, float)
    if interpolator == "nearest":
        return np.ones_like(share)
    if interpolator == "linear":
        return share**2 + (1 - share) ** 2
    t = np.linspace(0, 1, 1001)
    spline = np.stack([(1 - t) ** 3 / 6, 2 / 3 - t**2 * (1 - t / 2), 2 / 3 - (1 - t) ** 2 * (1 + t) / 2, t**3 / 6])
    lags = np.arange(-SPLINE_REACH, SPLINE_REACH + 1)
    prefilter = np.sqrt(3) * (np.sqrt(3) - 2) ** np.abs(lags)
    weights = np.array([np.convolve(column, prefilter) for column in spline.T])
    return np.interp(share, t, (weights**2).sum(axis=1))
