"""Rigid registration of a series to the reference: inverse-compositional Gauss-Newton on the block.

Both volumes are bin-averaged to three levels (slices of 1, 4 and 8 mm, pixels of 1.4, 2.7 and 5.5). At the coarsest
one the block's outline gives the start in plane and a scan of correlations the start along z, for the phantom as it
lies in the reference and, where that is not found, turned by 180 degrees about each axis; then each level minimises the
sum of Huber losses of M(W(p)) - (1 + a) F(p) - b over points p in and around the block. (Inverse composition: Baker and
Matthews, IJCV 56, 2004.) Four things keep the faces of the block, steps of 900 HU that decide the result, from
drawing it to one side where the two series differ in sharpness:

- the points p are spread evenly within their voxels, so that a face along the grid is met at every phase;
- the scanner's gain a and offset b come from flat regions only: fitted with the motion they correlate with every face
  that has no partner on the other side, and the bottom has none;
- the bottom face is left out, for the board below it is the scanner's;
- the other faces are inside the region with a margin on both sides.

A phantom without a printed block is found by its content alone (`content`) and refined on the points in and around
it. Whether its content tells the motion at all is tried out: turned or shifted a little, the two must be less alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from ct4bench.core.errors import Refusal
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.preprocess.block import Block
from ct4bench.preprocess.content import Template, make_template, near, starts
from ct4bench.preprocess.find_block import PAPER_HU, SOLID_HU, rough_box
from ct4bench.preprocess.pyramids import pyramid
from ct4bench.preprocess.resampling import index_map

HUBER_HU = 150.0
MARGIN_MM = 8.0
BOARD_MM = 3.0
"""How far inside the block's bottom the region ends."""
INNER_MM = 5.0
"""Similarity is taken deeper than this inside the block."""
RIM_MM = (2.0, 15.0)
"""What the field of view cuts off is looked for between these depths below the faces."""
SAMPLE_LIMITS = (30_000, 200_000, 800_000)
"""Samples of a level, coarse to fine, those of the steepest gradient: the flat rest is noise only."""
INNER_LIMIT = 100_000
"""Samples that a similarity is taken of."""
SCAN_LIMIT = 8_000
FLAT_SHARE = 0.3
FLAT_SAMPLES = 40_000
"""Gain and offset come from this many of the flattest samples."""
STOP_MM = (0.05, 0.02, 0.004)
ITERATIONS = (25, 12, 10)
GOOD_SIMILARITY = 0.9
"""A start at the coarsest level that reaches this is not searched further."""
MIN_SIMILARITY = 0.75
"""Below this correlation inside the block a registration has failed."""
MIN_OVERLAP = 0.4
"""Share of the reference's block that the series must cover."""
MAX_CUT = 2e-4
"""Share of the block's rim that may be missing in plane before it counts as cut by the field of view."""
HOLE_HU, DENSE_HU = -700.0, -200.0
CONTENT_ROUNDS = 3
GOOD_CONTENT = 0.97
ASIDE_MM, LEAST_FALL = 6.0, 3e-4
"""How far aside the correlation of a content must have fallen, and by how much: a cylinder's falls by less than a tenth
of that when it is turned about its axis, those of drawn phantoms by four times as much and more."""
TURNED = ((1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1))
"""Signs of x, y, z: as in the reference, then turned by 180 degrees about z, y, x."""
MIRRORED = ((-1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, -1, -1))
MIRROR_NAMES = ("left-right", "head-feet", "front-back", "left-right, front-back and head-feet")


@dataclass(frozen=True)
class Samples:
    """Places of one level of the reference, about the centre in mm, their HU and gradients in HU/mm, all float32.

    `flat` counts those at the end that serve for gain and offset only; the motion comes from those before. `smooth`
    has the HU of the coarsest level at these.
    """

    position_mm: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    flat: int = 0
    smooth: np.ndarray | None = None

    def turned(self, signs) -> "Samples":
        """Return the samples of the reference with the axes x, y, z multiplied by `signs` about its centre."""
        signs = np.array(signs, np.float32)
        return Samples(self.position_mm * signs, self.value, self.gradient * signs, self.flat, self.smooth)


@dataclass(frozen=True)
class Fixed:
    """The reference made ready. `levels` goes from coarse to fine; the others serve for similarities and checks."""

    block: Block
    grid: Grid
    centre_mm: np.ndarray
    levels: tuple[Samples, ...]
    inner: tuple[Samples, ...]
    """Samples inside the block at the coarsest and at the middle level."""
    rim: Samples
    """Samples of the middle level in the solid block between depths of `RIM_MM` below its faces."""
    template: Template | None = None
    """The coarsest level of a phantom without a printed block, which is looked for by its content."""


@dataclass(frozen=True)
class Registration:
    """Outcome for one series: the motion from reference to series, and the correlations inside the block.

    `similarity_before` is nan where reference and series have too little in common without a motion; `overlap` is the
    share of the block that the series covers.
    """

    motion: Rigid
    similarity_before: float
    similarity_after: float
    overlap: float
    middle: tuple[np.ndarray, Grid]
    """The series at the middle level, of which similarities are taken."""


def _planes(block: Block, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Depth inside the bottom face, and inside each other face that is not cut, as planes over indices of `grid`.

    Rows (n, 4) of float64: the depth in mm is row[:3] . (slice, row, column) + row[3].
    """
    rows = ([], [])
    for face in block.faces:
        if not face.cut:
            normal = np.array(face.normal)
            plane = [*(-normal @ grid.affine[:3, :3]), face.offset_mm - normal @ grid.origin_mm]
            rows[0 if (face.axis, face.side) == (1, 1) else 1].append(plane)
    return np.array(rows[0]).reshape(-1, 4), np.array(rows[1]).reshape(-1, 4)


@njit(cache=True, error_model="numpy", nogil=True)
def _steepness(volume, bottom, others, least_bottom, least, deepest, solid, out):
    """Squared central differences where voxels lie in a range of depths and above `solid` HU, -1 elsewhere.

    Voxels within two of the volume's end are left out, for the gradients of what is read between voxels.
    """
    out[:] = -1.0
    nz, ny, nx = volume.shape
    for k in range(2, nz - 2):
        for j in range(2, ny - 2):
            for i in range(2, nx - 2):
                low, side = np.inf, np.inf
                for n in range(len(bottom)):
                    low = min(low, bottom[n, 0] * k + bottom[n, 1] * j + bottom[n, 2] * i + bottom[n, 3])
                for n in range(len(others)):
                    side = min(side, others[n, 0] * k + others[n, 1] * j + others[n, 2] * i + others[n, 3])
                if low > least_bottom and side > least and min(low, side) <= deepest and volume[k, j, i] > solid:
                    gz = volume[k + 1, j, i] - volume[k - 1, j, i]
                    gy = volume[k, j + 1, i] - volume[k, j - 1, i]
                    gx = volume[k, j, i + 1] - volume[k, j, i - 1]
                    out[k, j, i] = gz * gz + gy * gy + gx * gx


@njit(cache=True, error_model="numpy", nogil=True)
def _read_spread(volume, chosen, affine, inverse, centre, position_mm, value, gradient):
    """Trilinear values and central differences of `volume` at points spread evenly within the voxels `chosen` (n, 3).

    `position_mm` is about `centre` in mm, `gradient` in HU/mm.
    """
    half = np.float32(0.5)
    slope = np.empty(3, np.float32)
    for n in range(len(chosen)):
        k, j, i = chosen[n]
        # Additive recurrence of the plastic number: coordinates without a pattern that a grid could meet.
        z = k + (0.5 + (n + 1) * 0.8191725133961645) % 1.0 - 0.5
        y = j + (0.5 + (n + 1) * 0.6710436067037893) % 1.0 - 0.5
        x = i + (0.5 + (n + 1) * 0.5497004779019703) % 1.0 - 0.5
        kz, ky, kx = int(z), int(y), int(x)
        wz, wy, wx = np.float32(z - kz), np.float32(y - ky), np.float32(x - kx)
        total = np.float32(0)
        slope[:] = 0
        for dz in range(2):
            for dy in range(2):
                for dx in range(2):
                    w = (wz if dz else 1 - wz) * (wy if dy else 1 - wy) * (wx if dx else 1 - wx)
                    a, b, c = kz + dz, ky + dy, kx + dx
                    total += w * volume[a, b, c]
                    slope[0] += half * w * (volume[a + 1, b, c] - volume[a - 1, b, c])
                    slope[1] += half * w * (volume[a, b + 1, c] - volume[a, b - 1, c])
                    slope[2] += half * w * (volume[a, b, c + 1] - volume[a, b, c - 1])
        value[n] = total
        for axis in range(3):
            position_mm[n, axis] = affine[axis, 0] * z + affine[axis, 1] * y + affine[axis, 2] * x + affine[axis, 3]
            position_mm[n, axis] -= centre[axis]
            gradient[n, axis] = slope[0] * inverse[0, axis] + slope[1] * inverse[1, axis] + slope[2] * inverse[2, axis]


def _read_samples(level, at: np.ndarray, centre_mm, flat: int = 0) -> Samples:
    """Samples of a level, one in each of the voxels `at` (flat indices), the last `flat` of them flat ones."""
    volume, grid = level
    chosen = np.stack(np.unravel_index(at, volume.shape), axis=1)
    position_mm, value, gradient = (np.empty(shape, np.float32) for shape in ((len(at), 3), len(at), (len(at), 3)))
    inverse = np.linalg.inv(grid.affine[:3, :3])
    _read_spread(volume, chosen, grid.affine, inverse, np.asarray(centre_mm), position_mm, value, gradient)
    return Samples(position_mm, value, gradient, flat)


def _motion_samples(level, block: Block, limit: int, coarse, body=None) -> Samples:
    """The `limit` steepest points in and around the block, then some of the flattest; `coarse` is another level.

    Of a phantom without a block, `body` is mask and grid.
    """
    volume, grid = level
    steepness = np.empty(volume.shape, np.float32)
    margin = max(MARGIN_MM, 1.5 * max(grid.spacing_mm))
    least_bottom = BOARD_MM + 0.5 * grid.spacing_mm[1] if body is None else -margin
    _steepness(volume, *_planes(block, grid), least_bottom, -margin, np.inf, -np.inf, steepness)
    if body is not None:
        steepness[~near(*body, grid, margin)] = -1.0
    steepness = steepness.ravel()
    at = np.flatnonzero(steepness >= 0)
    steepness = steepness[at]
    count = len(at)
    if not count:
        return _read_samples(level, at, block.centre_mm)
    first, last = max(0, count - limit), max(0, int(FLAT_SHARE * count) - 1)
    bounds = np.partition(steepness, (last, first))
    flat = at[steepness <= bounds[last]]
    flat = flat[:: max(1, len(flat) // FLAT_SAMPLES)]
    samples = _read_samples(level, np.concatenate([at[steepness >= bounds[first]], flat]), block.centre_mm, len(flat))
    matrix, offset = _about_centre(block.centre_mm, coarse[1], Rigid.identity())
    smooth = samples.value[len(samples.value) - len(flat) :].copy()
    _read_others(samples.position_mm, len(samples.value) - len(flat), coarse[0], matrix, offset, smooth)
    return replace(samples, smooth=smooth)


def _inner_samples(level, block: Block, least: float, limit: int, deepest=np.inf, solid=-np.inf, body=None) -> Samples:
    """About `limit` points, evenly chosen, whose depth in mm inside the block is above `least` and up to `deepest`, and
    which are so deep in `body` (mask, grid), where it is given."""
    volume, grid = level
    steepness = np.empty(volume.shape, np.float32)
    _steepness(volume, *_planes(block, grid), least, least, deepest, solid, steepness)
    if body is not None:
        steepness[~near(*body, grid, -least)] = -1.0
    at = np.flatnonzero(steepness.ravel() >= 0)
    return _read_samples(level, at[:: max(1, len(at) // limit)], block.centre_mm)


def prepare_fixed(volume: np.ndarray, grid: Grid, block: Block, body: tuple[np.ndarray, Grid] | None = None) -> Fixed:
    """Take the samples of the reference (`volume` int16 HU), made once for all series.

    `body` is the mask (uint8) of a phantom without a printed block, and its grid; `block` then is the box round it.
    """
    pyramid_levels = pyramid(volume, grid)
    coarse, middle = pyramid_levels[:2]
    inner = tuple(
        _inner_samples(level, block, max(INNER_MM, max(level[1].spacing_mm)), INNER_LIMIT, body=body)
        for level in (coarse, middle)
    )
    # of a body, what is far from air: its surface and its own cavities are no holes
    least, solid = (RIM_MM[0], SOLID_HU) if body is None else (INNER_MM, DENSE_HU)
    rim = _inner_samples(middle, block, least, 10**9, RIM_MM[1], solid, body)
    levels = tuple(
        _motion_samples(level, block, limit, coarse, body)
        for level, limit in zip(pyramid_levels, SAMPLE_LIMITS, strict=True)
    )
    template = make_template(coarse, *body, block.centre_mm) if body is not None else None
    return Fixed(block, grid, np.array(block.centre_mm), levels, inner, rim, template)


@njit(cache=True, error_model="numpy", inline="always")
def _sample(moving, z, y, x):
    kz, ky, kx = int(z), int(y), int(x)
    wz, wy, wx = np.float32(z - kz), np.float32(y - ky), np.float32(x - kx)
    a = moving[kz, ky, kx] + wx * (moving[kz, ky, kx + 1] - moving[kz, ky, kx])
    b = moving[kz, ky + 1, kx] + wx * (moving[kz, ky + 1, kx + 1] - moving[kz, ky + 1, kx])
    c = moving[kz + 1, ky, kx] + wx * (moving[kz + 1, ky, kx + 1] - moving[kz + 1, ky, kx])
    d = moving[kz + 1, ky + 1, kx] + wx * (moving[kz + 1, ky + 1, kx + 1] - moving[kz + 1, ky + 1, kx])
    a += wy * (b - a)
    c += wy * (d - c)
    return a + wz * (c - a)


@njit(cache=True, error_model="numpy", nogil=True)
def _index_in(moving, position_mm, n, matrix, offset):
    """Index (z, y, x) of sample n in `moving`, and whether its eight neighbours are there."""
    px, py, pz = np.float64(position_mm[n, 0]), np.float64(position_mm[n, 1]), np.float64(position_mm[n, 2])
    z = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + offset[0]
    y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + offset[1]
    x = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + offset[2]
    inside = 0.0 <= z < moving.shape[0] - 1 and 0.0 <= y < moving.shape[1] - 1 and 0.0 <= x < moving.shape[2] - 1
    return z, y, x, inside


@njit(cache=True, error_model="numpy", nogil=True)
def _read_others(position_mm, first, volume, matrix, offset, out):
    """Values of another volume at the points from `first` on; `out` keeps what it has where they lie outside."""
    for n in range(first, len(position_mm)):
        z, y, x, inside = _index_in(volume, position_mm, n, matrix, offset)
        if inside:
            out[n - first] = _sample(volume, z, y, x)


@njit(cache=True, error_model="numpy", nogil=True)
def _calibration(position_mm, value, smooth, first, moving, matrix, offset, curve, solid, paper, huber):
    """Refit `curve`, what the moving series shows where the reference shows f, on the samples from `first` on.

    `curve` is (gain, bias) below and (gain, bias) above the value `paper`: M = f + gain f + bias. Above it is a line
    through what is inside of the block (over `solid` HU), below the line from there to the mean of the air, which
    noise and the lowest stored value lift on some scanners. One step of reweighting by Huber's loss.

    The reference's own noise would flatten a line of least squares, by 3 % at the lowest dose, and so pull the faces
    outwards. `smooth`, the reference with less of its noise, is the instrumental variable that keeps it upright.
    """
    s, sf, sg, sfg, sr, sgr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    air, air_f, air_r = 0.0, 0.0, 0.0
    for n in range(first, len(value)):
        z, y, x, inside = _index_in(moving, position_mm, n, matrix, offset)
        if not inside:
            continue
        f = np.float64(value[n])
        r = _sample(moving, z, y, x) - f
        part = 0 if f < paper else 2
        size = abs(r - curve[part] * f - curve[part + 1])
        w = 1.0 if size <= huber else huber / size
        if f < solid:
            air += w
            air_f += w * f
            air_r += w * r
        else:
            g = np.float64(smooth[n - first])
            s += w
            sf += w * f
            sg += w * g
            sfg += w * f * g
            sr += w * r
            sgr += w * g * r
    curve[:] = 0.0
    determinant = s * sfg - sf * sg
    if s > 100.0 and determinant > 1e-9 * s * abs(sfg):
        gain = min(max((s * sgr - sg * sr) / determinant, -0.3), 0.3)
        curve[0] = curve[2] = gain
        curve[1] = curve[3] = (sr - gain * sf) / s
    if air > 100.0:
        at_paper = curve[2] * paper + curve[3]
        gain = (at_paper - air_r / air) / (paper - air_f / air)
        curve[0] = min(max(gain, -0.3), 0.3)
        curve[1] = at_paper - curve[0] * paper


@njit(cache=True, error_model="numpy", nogil=True)
def _normal_equations(position_mm, value, gradient, last, moving, matrix, offset, curve, paper, huber, upper, right):
    """Fill `upper` (6 x 6, upper triangle) and `right` (6) from the samples before `last`; returns how many count."""
    upper[:] = 0.0
    right[:] = 0.0
    row = np.empty(6)
    count = 0
    for n in range(last):
        z, y, x, inside = _index_in(moving, position_mm, n, matrix, offset)
        if not inside:
            continue
        f = np.float64(value[n])
        part = 0 if f < paper else 2
        gain = curve[part]
        r = _sample(moving, z, y, x) - f - gain * f - curve[part + 1]
        size = abs(r)
        w = 1.0 if size <= huber else huber / size
        px, py, pz = np.float64(position_mm[n, 0]), np.float64(position_mm[n, 1]), np.float64(position_mm[n, 2])
        scale = 1.0 + gain
        gx, gy, gz = scale * gradient[n, 0], scale * gradient[n, 1], scale * gradient[n, 2]
        row[0], row[1], row[2] = py * gz - pz * gy, pz * gx - px * gz, px * gy - py * gx
        row[3], row[4], row[5] = gx, gy, gz
        for i in range(6):
            wi = w * row[i]
            right[i] += wi * r
            for j in range(i, 6):
                upper[i, j] += wi * row[j]
        count += 1
    return count


@njit(cache=True, error_model="numpy", nogil=True)
def _correlation(position_mm, value, moving, matrix, offset, hole, skip):
    """Correlation of the samples with `moving`, then how many lie inside, outside in plane only, and in a hole.

    A hole is a value below `hole` HU; with `skip` the correlation is of the other samples only.
    """
    ny, nx = moving.shape[1] - 1, moving.shape[2] - 1
    count, used, aside, holes = 0, 0, 0, 0
    sf, sm, sff, smm, sfm = 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(len(value)):
        z, y, x, inside = _index_in(moving, position_mm, n, matrix, offset)
        if not inside:
            # A bin's centre is half a bin inside the rim of its data.
            beside = not (-0.6 <= y < ny + 0.6 and -0.6 <= x < nx + 0.6)
            aside += 1 if beside and 0.0 <= z < moving.shape[0] - 1 else 0
            continue
        f, m = np.float64(value[n]), np.float64(_sample(moving, z, y, x))
        count += 1
        if m < hole:
            holes += 1
            if skip:
                continue
        used += 1
        sf += f
        sm += m
        sff += f * f
        smm += m * m
        sfm += f * m
    if used < 2:
        return 0.0, count, aside, holes
    covariance = sfm - sf * sm / used
    variance = (sff - sf * sf / used) * (smm - sm * sm / used)
    return (covariance / np.sqrt(variance) if variance > 0 else 0.0), count, aside, holes


def _about_centre(centre_mm, grid: Grid, motion: Rigid) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and vector from points about the reference's centre (x, y, z in mm) to indices of the moving grid."""
    inverse = np.linalg.inv(grid.affine[:3, :3])
    return inverse @ motion.matrix, inverse @ (motion(centre_mm) - grid.origin_mm)


def _similarity(samples: Samples, centre_mm, level, motion: Rigid, skip=False) -> tuple[float, int, int, int]:
    """`_correlation` of samples with a level of the series; what is darker than any paper is a hole."""
    volume, grid = level
    matrix, offset = _about_centre(centre_mm, grid, motion)
    return _correlation(samples.position_mm, samples.value, volume, matrix, offset, HOLE_HU, skip)


def sample_similarity(fixed: Fixed, found: Registration, most: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return LPS places (n, 3) inside the block, up to about `most`, the reference's HU there, and their correlation
    with the series at the motion found."""
    inner = fixed.inner[1]
    stride = max(1, len(inner.value) // most)
    few = Samples(inner.position_mm[::stride].copy(), inner.value[::stride].copy(), inner.gradient[:0])
    value, *_ = _similarity(few, fixed.centre_mm, found.middle, found.motion)
    return fixed.centre_mm + few.position_mm.astype(float), few.value, float(value)


def _rodrigues(w: np.ndarray) -> np.ndarray:
    angle = float(np.linalg.norm(w))
    if angle < 1e-12:
        return np.eye(3)
    k = w / angle
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _refine(samples: Samples, centre_mm, level, motion: Rigid, arms, number: int) -> tuple[Rigid, float]:
    """Gauss-Newton at one level; returns the motion and its last step in mm at the corners, `arms` (8, 3) from the
    centre; that step is infinite where too few samples lie in the series.
    """
    volume, grid = level
    rotation, shift = motion.matrix, np.array(motion.translation_mm)
    inverse = np.linalg.inv(grid.affine[:3, :3])
    upper, right = np.empty((6, 6)), np.empty(6)
    n_motion = len(samples.value) - samples.flat
    huber = HUBER_HU * (3 if number == 0 else 1)
    curve, step = np.zeros(4), np.inf
    for _ in range(ITERATIONS[number]):
        matrix, offset = inverse @ rotation, inverse @ (centre_mm + shift - grid.origin_mm)
        if number > 0:
            # At the coarsest level nothing is flat yet, and the start is too far off to tell.
            _calibration(
                samples.position_mm, samples.value, samples.smooth, n_motion, volume, matrix, offset, curve, SOLID_HU,
                PAPER_HU, huber,
            )  # fmt: skip
        count = _normal_equations(
            samples.position_mm, samples.value, samples.gradient, n_motion, volume, matrix, offset, curve, PAPER_HU,
            huber, upper, right,
        )  # fmt: skip
        if count < 500:
            return motion, np.inf
        full = np.triu(upper) + np.triu(upper, 1).T
        scale = 1 / np.sqrt(np.diag(full) + 1e-30)
        try:
            solved = scale * np.linalg.solve(full * scale[:, None] * scale + 1e-10 * np.eye(6), scale * right)
        except np.linalg.LinAlgError:
            return motion, np.inf
        turn = _rodrigues(solved[:3]).T
        moved = turn @ -solved[3:]
        # W after the inverse of the small motion: q -> turn (q - v).
        shift = shift + rotation @ moved
        rotation = rotation @ turn
        step = float(np.linalg.norm(arms @ turn.T - arms + moved, axis=1).max())
        if step < STOP_MM[number]:
            break
    u, _, vt = np.linalg.svd(rotation)
    rotation = u @ vt
    return Rigid.from_affine(rotation, centre_mm + shift - rotation @ centre_mm, centre_mm), step


def _upright(level) -> tuple[np.ndarray, Grid]:
    """A level on axes along x, y and z of the patient, where its own are not so already."""
    volume, grid = level
    spacing = np.array(grid.spacing_mm)
    if np.allclose(grid.affine[:3, :3] / spacing, np.eye(3)[:, ::-1], atol=1e-3):
        return level
    corners = grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    axis = np.argmax(np.abs(grid.affine[:3, :3]), axis=1)
    steps = spacing[axis][::-1]
    shape = np.floor((high - low)[::-1] / steps).astype(int) + 1
    upright = Grid.axis_aligned(tuple(shape), steps, low)
    matrix, offset = index_map(upright, grid, Rigid.identity())
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) @ matrix.T + offset
    nearest = np.rint(at).astype(int)
    inside = np.all((nearest >= 0) & (nearest < np.array(volume.shape)), axis=-1)
    out = np.full(tuple(shape), -1024, np.float32)
    out[inside] = volume[tuple(nearest[inside].T)]
    return out, upright


@dataclass(frozen=True)
class _Outline:
    """The block's extent (low and high x, y in mm) in a series, None where it is not seen; the image's middle."""

    low_mm: np.ndarray | None
    high_mm: np.ndarray | None
    middle_mm: np.ndarray
    at_side: bool
    """The block reaches the left, right, upper or lower end of the image."""


def _outline(level) -> _Outline:
    volume, grid = _upright(level)
    middle = grid.corners_mm().mean(axis=0)
    box = rough_box(volume)
    if box is None:
        return _Outline(None, None, middle, False)
    low, high = (grid.to_lps([pair[side] - 0.5 for pair in box]) for side in (0, 1))
    at_side = any(box[axis][0] <= 0 or box[axis][1] >= volume.shape[axis] for axis in (1, 2))
    return _Outline(low, high, middle, at_side)


def _starts(fixed: Fixed, outline: _Outline, signs) -> list[np.ndarray]:
    """Shifts (x, y) in mm to try: by the outline's upper and lower face, by the middles of the images, and none."""
    starts = []
    if outline.low_mm is not None:
        corners = np.sort((fixed.block.corners_mm - fixed.centre_mm) * np.array(signs), axis=0)
        x = 0.5 * (outline.low_mm + outline.high_mm)[0] - fixed.centre_mm[0] - corners[:, 0].mean()
        for edge, face in ((outline.low_mm, corners[:4]), (outline.high_mm, corners[4:])):
            starts.append(np.array([x, edge[1] - fixed.centre_mm[1] - face[:, 1].mean()]))
    starts.append((outline.middle_mm - fixed.grid.corners_mm().mean(axis=0))[:2])
    starts.append(np.zeros(2))
    different = []
    for start in starts:
        if all(np.linalg.norm(start - other) > 2.0 for other in different):
            different.append(start)
    return different


def _scan(samples: Samples, centre_mm, level, shift_xy) -> list[tuple[float, Rigid]]:
    """Best shifts along z for a shift in plane: up to three separate maxima of the correlation, best first."""
    stride = max(1, len(samples.value) // SCAN_LIMIT)
    thinned = Samples(samples.position_mm[::stride].copy(), samples.value[::stride].copy(), samples.gradient[:0])
    z = level[1].corners_mm()[:, 2]
    reach = samples.position_mm[:, 2].min(), samples.position_mm[:, 2].max()
    low, high = z.min() - centre_mm[2] - reach[1], z.max() - centre_mm[2] - reach[0]
    step = 4.0
    found = []
    for shift_z in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step:
        motion = Rigid((0.0, 0.0, 0.0), (*(float(s) for s in shift_xy), float(shift_z)), tuple(centre_mm))
        value, count, _aside, _holes = _similarity(thinned, centre_mm, level, motion)
        if count >= MIN_OVERLAP * len(thinned.value):
            found.append((value, motion))
    found.sort(key=lambda item: -item[0])
    best: list[tuple[float, Rigid]] = []
    for value, motion in found:
        if all(abs(motion.translation_mm[2] - other.translation_mm[2]) > 3 * step for _, other in best):
            best.append((value, motion))
        if len(best) == 3:
            break
    return best


def _coarse(fixed: Fixed, level, outline: _Outline, signs) -> tuple[float, Rigid]:
    """Best motion at the coarsest level and its correlation, from the reference with its axes times `signs`.

    The correlation is -1 where nothing was found.
    """
    samples, inner = fixed.levels[0].turned(signs), fixed.inner[0].turned(signs)
    arms = (fixed.block.corners_mm - fixed.centre_mm) * np.array(signs)
    best = -1.0, Rigid.identity(fixed.centre_mm)
    for shift in _starts(fixed, outline, signs):
        for start, motion in _scan(inner, fixed.centre_mm, level, shift):
            if start < 0.3 * best[0]:
                continue
            motion, _step = _refine(samples, fixed.centre_mm, level, motion, arms, 0)
            value, count, _aside, _holes = _similarity(inner, fixed.centre_mm, level, motion)
            if count >= MIN_OVERLAP * len(inner.value) and value > best[0]:
                best = value, motion
        if best[0] > GOOD_SIMILARITY:
            break
    return best


def _find_turn(fixed: Fixed, level, outline: _Outline) -> Rigid:
    """Best motion at the coarsest level over the ways in which the phantom can lie."""
    best = -1.0, None
    for signs in TURNED:
        value, motion = _coarse(fixed, level, outline, signs)
        if value > best[0] or best[1] is None:
            rotation = motion.matrix @ np.diag(signs)
            offset = motion(fixed.centre_mm) - rotation @ fixed.centre_mm
            best = value, Rigid.from_affine(rotation, offset, fixed.centre_mm)
        if best[0] > GOOD_SIMILARITY:
            break
    return best[1]


def _find_content(fixed: Fixed, level) -> Rigid:
    """Best motion at the coarsest level for a phantom without a block, the ways it can lie tried in turn."""
    arms = fixed.block.corners_mm - fixed.centre_mm
    best = -1.0, Rigid.identity(fixed.centre_mm)
    for stage in range(3):
        for start in starts(fixed.template, level, stage):
            motion, _step = _refine(fixed.levels[0], fixed.centre_mm, level, start, arms, 0)
            value, count, _aside, _holes = _similarity(fixed.inner[0], fixed.centre_mm, level, motion)
            if count >= MIN_OVERLAP * len(fixed.inner[0].value) and value > best[0]:
                best = value, motion
        if best[0] > GOOD_CONTENT:
            break
    return best[1]


def _check_told(fixed: Fixed, level, motion: Rigid, similarity: float) -> None:
    """`Refusal` where the similarity at the middle level hardly falls when the phantom is turned about an axis or
    shifted along one: its content does not tell how it lies."""
    reach_mm = float(np.linalg.norm(fixed.block.corners_mm - fixed.centre_mm, axis=1).max())
    for what, name in ((what, name) for what in ("turned about", "shifted along") for name in "xyz"):
        falls = []
        for sign in (-1.0, 1.0):
            step = tuple(sign * ASIDE_MM * (name == axis) for axis in "xyz")
            turn = tuple(float(np.rad2deg(value / reach_mm)) for value in step)
            still = (0.0, 0.0, 0.0)
            moved = (turn, still) if what == "turned about" else (still, step)
            aside = motion.after(Rigid(*moved, tuple(fixed.centre_mm)))
            falls.append(similarity - _similarity(fixed.inner[1], fixed.centre_mm, level, aside)[0])
        if min(falls) < LEAST_FALL:
            detail = f"{what} {name} by {ASIDE_MM:g} mm at its corners, its correlation falls by {min(falls):.1g}"
            raise Refusal("registration_failed", f"the image content does not tell how the phantom lies: {detail}")


def _missing(fixed: Fixed, level, motion: Rigid) -> tuple[float, float]:
    """Share of the block's rim that lies beside the image or is empty there, and the correlation of what is left."""
    value, count, aside, holes = _similarity(fixed.rim, fixed.centre_mm, level, motion, skip=True)
    left = (count - holes) / max(1, len(fixed.rim.value))
    return (aside + holes) / max(1, aside + count), value if left > MIN_OVERLAP else 0.0


def _explain_failure(fixed: Fixed, levels, outline: _Outline, motion: Rigid, similarity: float) -> Refusal:
    """Why the block was not found at `motion`, or elsewhere: mirrored, cut by the field of view, or not known."""
    missing, left = _missing(fixed, levels[1], motion)
    if missing > MAX_CUT and left >= MIN_SIMILARITY:
        return Refusal("phantom_outside_fov", f"{100 * missing:.2f} % of the block's rim is not in the image")
    for signs, name in zip(MIRRORED, MIRROR_NAMES, strict=True):
        value, _motion = _coarse(fixed, levels[0], outline, signs)
        if value > max(MIN_SIMILARITY, similarity + 0.15):
            detail = f"correlation {value:.3f} with the reference mirrored {name}, {similarity:.3f} without"
            return Refusal("mirrored", detail)
    if outline.at_side:
        return Refusal("phantom_outside_fov", "the block reaches the side of the image")
    detail = f"correlation inside the block {similarity:.3f}, below {MIN_SIMILARITY}"
    return Refusal("registration_failed", detail)


def register(fixed: Fixed, volume: np.ndarray, grid: Grid) -> Registration:
    """Find the motion from the reference to a series (`volume` int16 HU on `grid`).

    Raises `Refusal` with `registration_failed`, `mirrored` or `phantom_outside_fov`; what comes back has a
    correlation of at least `MIN_SIMILARITY` inside the block, and its last step was below a tenth of a millimetre.
    """
    if min(grid.shape) < 16:
        raise Refusal("registration_failed", f"a volume of {grid.shape} voxels is too small")
    levels = pyramid(volume, grid)
    centre, inner = fixed.centre_mm, fixed.inner[1]
    still = Rigid.identity(centre)
    before, count, _aside, _holes = _similarity(inner, centre, levels[1], still)
    before = before if count >= 0.1 * len(inner.value) else float("nan")

    outline = _outline(levels[0])
    motion = _find_turn(fixed, levels[0], outline) if fixed.template is None else _find_content(fixed, levels[0])
    arms = fixed.block.corners_mm - centre
    for number in range(1, len(levels)):
        motion, step = _refine(fixed.levels[number], centre, levels[number], motion, arms, number)
        # content far from the reference's may take more steps than the block does
        for _ in range(CONTENT_ROUNDS if fixed.template is not None else 0):
            if step < STOP_MM[number]:
                break
            motion, step = _refine(fixed.levels[number], centre, levels[number], motion, arms, number)
    after, count, _aside, _holes = _similarity(inner, centre, levels[1], motion)
    overlap = count / max(1, len(inner.value))
    if after < MIN_SIMILARITY:
        raise _explain_failure(fixed, levels, outline, motion, after)
    missing, _left = _missing(fixed, levels[1], motion)
    if missing > MAX_CUT:
        raise Refusal("phantom_outside_fov", f"{100 * missing:.2f} % of the block's rim is not in the image")
    if not step < 0.1 or overlap < MIN_OVERLAP:
        raise Refusal(
            "registration_failed",
            f"no convergence (last step {step:.2g} mm) or too little in common ({100 * overlap:.0f} % of the block)",
        )
    if fixed.template is not None:
        _check_told(fixed, levels[1], motion, after)
    return Registration(motion, float(before), float(after), float(overlap), levels[1])
