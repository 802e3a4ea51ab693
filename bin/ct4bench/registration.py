"""Rigid registration of a series to the reference: inverse-compositional Gauss-Newton on the block.

Both volumes are bin-averaged to three levels (about 2 x 1.4 x 1.4 mm, then twice and four times that). At the coarsest
one the block's outline gives the start in plane and a scan of correlations the start along z; then each level
minimises the sum of Huber losses of M(W(p)) - (1 + a) F(p) - b over the reference's voxels p in and around the block,
with a scanner's gain a and offset b beside the six parameters of the motion. The faces that the block shares with air
are inside the region with a margin; the one on the board is left out, since what lies under it is the scanner's.
(Inverse composition: Baker and Matthews, IJCV 56, 2004.)
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ct4bench.geometry import Grid, Rigid
from ct4bench.reference import Block, binned_grid, rough_box
from ct4bench.resampling import index_map

FINE_MM = (2.0, 1.37, 1.37)
"""Bin of the finest level along slice, row, column: less makes steps on axis-parallel faces alias."""
LEVELS = 3
HUBER_HU = 150.0
MARGIN_MM = 8.0
BOARD_MM = 3.0
"""How far inside the block's bottom the region ends."""
INNER_MM = 5.0
"""Similarity is taken deeper than this inside the block."""
FINE_SHARE = 0.3
"""Share of voxels, those of the steepest gradient, that the finest level works on; the flat rest is noise only."""
SAMPLE_LIMIT = 600_000
STOP_MM = (0.05, 0.02, 0.004)
ITERATIONS = (25, 12, 10)
MIN_SIMILARITY = 0.75
"""Below this correlation inside the block a registration has failed."""
MIN_OVERLAP = 0.4
"""Share of the reference's block that the series must cover."""
MAX_CUT = 2e-4
"""Share of the block's inside that may be missing in plane before it counts as cut by the field of view."""
HOLE_HU = -700.0


class RegistrationError(Exception):
    """A series that must not be passed on: `reason` is a quarantine code, the message its detail."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Samples:
    """Voxels of one level of the reference: place about the centre in mm, HU, gradient in HU/mm, all float32."""

    place: np.ndarray
    value: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True)
class Fixed:
    """The reference made ready: samples from coarse to fine, and those inside the block for the similarity."""

    block: Block
    grid: Grid
    levels: tuple[Samples, ...]
    inner: tuple[Samples, ...]
    """Samples inside the block at the coarsest and at the middle level."""
    centre_mm: np.ndarray


@dataclass(frozen=True)
class Registration:
    """Outcome for one series: the motion from reference to series, and the correlations inside the block."""

    motion: Rigid
    similarity_before: float
    similarity_after: float
    overlap: float


@njit(cache=True, error_model="numpy")
def _bin_int16(volume, fz, fy, fx, out):
    scale = np.float32(1.0 / (fz * fy * fx))
    row = np.empty(out.shape[2], np.int32)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            row[:] = 0
            for dk in range(fz):
                for dj in range(fy):
                    line = volume[k * fz + dk, j * fy + dj]
                    if fx == 2:
                        for i in range(out.shape[2]):
                            row[i] += np.int32(line[2 * i]) + np.int32(line[2 * i + 1])
                    else:
                        for i in range(out.shape[2]):
                            for di in range(fx):
                                row[i] += line[i * fx + di]
            for i in range(out.shape[2]):
                out[k, j, i] = row[i] * scale


@njit(cache=True, error_model="numpy")
def _halve(volume, out):
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                total = np.float32(0)
                for dk in range(2):
                    for dj in range(2):
                        total += volume[2 * k + dk, 2 * j + dj, 2 * i] + volume[2 * k + dk, 2 * j + dj, 2 * i + 1]
                out[k, j, i] = total * np.float32(0.125)


def pyramid(volume: np.ndarray, grid: Grid) -> list[tuple[np.ndarray, Grid]]:
    """Bin means (float32) with their grids, coarse to fine, of a volume in int16 HU."""
    factors = tuple(max(1, int(round(f / s))) for f, s in zip(FINE_MM, grid.spacing_mm, strict=True))
    fine_grid = binned_grid(grid, factors)
    fine = np.empty(fine_grid.shape, np.float32)
    _bin_int16(volume, *factors, fine)
    levels = [(fine, fine_grid)]
    while len(levels) < LEVELS:
        volume_above, grid_above = levels[0]
        coarse_grid = binned_grid(grid_above, (2, 2, 2))
        coarse = np.empty(coarse_grid.shape, np.float32)
        _halve(volume_above, coarse)
        levels.insert(0, (coarse, coarse_grid))
    return levels


def _depths(block: Block, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Depth in mm (float32, on `grid`) inside the bottom face, and inside of all other faces that are not cut."""
    axes = [np.arange(n, dtype=np.float32) for n in grid.shape]
    depth = [np.full(grid.shape, np.inf, np.float32), np.full(grid.shape, np.inf, np.float32)]
    for face in block.faces:
        if face.cut:
            continue
        normal = (np.array(face.normal) @ grid.affine[:3, :3]).astype(np.float32)
        offset = np.float32(face.offset_mm - np.array(face.normal) @ grid.origin_mm)
        plane = (
            offset - normal[0] * axes[0][:, None, None] - normal[1] * axes[1][:, None] - normal[2] * axes[2][None, :]
        )
        which = 0 if (face.axis, face.side) == (1, 1) else 1
        np.minimum(depth[which], plane, out=depth[which])
    return depth[0], depth[1]


def _samples(volume, grid: Grid, chosen: np.ndarray, centre_mm, share: float) -> Samples:
    """Samples of `volume` at `chosen` voxels (bool; the rim is left out); `share` keeps the steepest."""
    chosen = chosen.copy()
    for axis in range(3):
        rim = [slice(None)] * 3
        rim[axis] = [0, -1]
        chosen[tuple(rim)] = False
    at = np.flatnonzero(chosen.ravel())
    flat = volume.ravel()
    strides = (volume.shape[1] * volume.shape[2], volume.shape[2], 1)
    slopes = np.stack([(flat[at + s] - flat[at - s]) * np.float32(0.5) for s in strides], axis=1)
    gradient = slopes @ np.linalg.inv(grid.affine[:3, :3]).astype(np.float32)
    share = min(share, SAMPLE_LIMIT / max(1, len(at)))
    if share < 1:
        steepness = np.einsum("ij,ij->i", gradient, gradient)
        count = max(1000, int(share * len(at)))
        threshold = np.partition(steepness, len(at) - count)[len(at) - count]
        keep = steepness >= threshold
        at, gradient = at[keep], gradient[keep]
    index = np.stack(np.unravel_index(at, volume.shape), axis=1)
    place = (grid.to_lps(index) - centre_mm).astype(np.float32)
    return Samples(np.ascontiguousarray(place), flat[at].astype(np.float32), np.ascontiguousarray(gradient, np.float32))


def prepare_fixed(volume: np.ndarray, grid: Grid, block: Block) -> Fixed:
    """Samples of the reference (`volume` int16 HU), made once for all series."""
    levels, inner = [], []
    for number, (small, small_grid) in enumerate(pyramid(volume, grid)):
        bottom, others = _depths(block, small_grid)
        margin = max(MARGIN_MM, 1.5 * max(small_grid.spacing_mm))
        chosen = (bottom > BOARD_MM + 0.5 * small_grid.spacing_mm[1]) & (others > -margin)
        share = FINE_SHARE if number == LEVELS - 1 else 1.0
        levels.append(_samples(small, small_grid, chosen, block.centre_mm, share))
        if number < LEVELS - 1:
            inside = np.minimum(bottom, others) > max(INNER_MM, 1.0 * max(small_grid.spacing_mm))
            inner.append(_samples(small, small_grid, inside, block.centre_mm, 1.0))
    return Fixed(block, grid, tuple(levels), tuple(inner), np.array(block.centre_mm))


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


@njit(cache=True, error_model="numpy")
def _normal_equations(place, value, gradient, moving, matrix, offset, gain, bias, huber, upper, right):
    """Fill `upper` (8 x 8, upper triangle) and `right` (8); returns the number of samples inside and the loss."""
    nz, ny, nx = moving.shape[0] - 1, moving.shape[1] - 1, moving.shape[2] - 1
    upper[:] = 0.0
    right[:] = 0.0
    row = np.empty(8, np.float64)
    count, loss = 0, 0.0
    for n in range(len(value)):
        px, py, pz = np.float64(place[n, 0]), np.float64(place[n, 1]), np.float64(place[n, 2])
        z = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + offset[0]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + offset[1]
        x = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + offset[2]
        if not (0.0 <= z < nz and 0.0 <= y < ny and 0.0 <= x < nx):
            continue
        f = np.float64(value[n])
        r0 = _sample(moving, z, y, x) - f
        r = r0 - gain * f - bias
        size = abs(r)
        w = 1.0 if size <= huber else huber / size
        gx, gy, gz = np.float64(gradient[n, 0]), np.float64(gradient[n, 1]), np.float64(gradient[n, 2])
        row[0] = py * gz - pz * gy
        row[1] = pz * gx - px * gz
        row[2] = px * gy - py * gx
        row[3] = gx
        row[4] = gy
        row[5] = gz
        row[6] = f
        row[7] = 1.0
        for i in range(8):
            wi = w * row[i]
            right[i] += wi * r0
            for j in range(i, 8):
                upper[i, j] += wi * row[j]
        count += 1
        loss += w * r * r
    return count, loss


@njit(cache=True, error_model="numpy")
def _correlation(place, value, moving, matrix, offset, hole):
    """Correlation of the samples with `moving`, then how many lie inside, outside in plane only, and in a hole."""
    nz, ny, nx = moving.shape[0] - 1, moving.shape[1] - 1, moving.shape[2] - 1
    count, aside, holes = 0, 0, 0
    sf, sm, sff, smm, sfm = 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(len(value)):
        px, py, pz = np.float64(place[n, 0]), np.float64(place[n, 1]), np.float64(place[n, 2])
        z = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + offset[0]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + offset[1]
        x = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + offset[2]
        if not 0.0 <= z < nz:
            continue
        if not (0.0 <= y < ny and 0.0 <= x < nx):
            # A bin's centre is half a bin inside the rim of its data.
            if not (-0.6 <= y < ny + 0.6 and -0.6 <= x < nx + 0.6):
                aside += 1
            continue
        f = np.float64(value[n])
        m = np.float64(_sample(moving, z, y, x))
        if m < hole:
            holes += 1
        count += 1
        sf += f
        sm += m
        sff += f * f
        smm += m * m
        sfm += f * m
    if count < 2:
        return 0.0, count, aside, holes
    covariance = sfm - sf * sm / count
    variance = (sff - sf * sf / count) * (smm - sm * sm / count)
    return (covariance / np.sqrt(variance) if variance > 0 else 0.0), count, aside, holes


def _about_centre(centre_mm, grid: Grid, motion: Rigid) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and vector from places about the reference's centre (x, y, z in mm) to indices of the moving grid."""
    inverse = np.linalg.inv(grid.affine[:3, :3])
    return inverse @ motion.matrix, inverse @ (motion(centre_mm) - grid.origin_mm)


def _similarity(samples: Samples, centre_mm, level, motion: Rigid) -> tuple[float, int, int, int]:
    volume, grid = level
    return _correlation(samples.place, samples.value, volume, *_about_centre(centre_mm, grid, motion), HOLE_HU)


def _rodrigues(w: np.ndarray) -> np.ndarray:
    angle = float(np.linalg.norm(w))
    if angle < 1e-12:
        return np.eye(3)
    k = w / angle
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _refine(
    samples: Samples, centre_mm, level, motion: Rigid, corners, number: int, huber: float
) -> tuple[Rigid, float]:
    """Gauss-Newton at one level; returns the motion and its last step in mm at the corners."""
    volume, grid = level
    rotation, shift = motion.matrix, np.array(motion.translation_mm)
    inverse = np.linalg.inv(grid.affine[:3, :3])
    upper, right = np.empty((8, 8)), np.empty(8)
    gain = bias = 0.0
    step = np.inf
    arms = corners - centre_mm
    for _ in range(ITERATIONS[number]):
        count, _loss = _normal_equations(
            samples.place, samples.value, samples.gradient, volume, inverse @ rotation,
            inverse @ (centre_mm + shift - grid.origin_mm), gain, bias, huber, upper, right,
        )  # fmt: skip
        if count < 500:
            return motion, np.inf
        full = np.triu(upper) + np.triu(upper, 1).T
        scale = 1 / np.sqrt(np.diag(full) + 1e-30)
        try:
            solved = scale * np.linalg.solve(full * scale[:, None] * scale + 1e-10 * np.eye(8), scale * right)
        except np.linalg.LinAlgError:
            return motion, np.inf
        gain, bias = float(np.clip(solved[6], -0.3, 0.3)), float(solved[7])
        turn = _rodrigues(solved[:3] / (1 + gain)).T
        moved = turn @ (-solved[3:6] / (1 + gain))
        # W after the inverse of the small motion: q -> turn (q - v).
        shift = shift + rotation @ moved
        rotation = rotation @ turn
        step = float(np.linalg.norm(arms @ turn.T - arms + moved, axis=1).max())
        if step < STOP_MM[number]:
            break
    u, _, vt = np.linalg.svd(rotation)
    rotation = u @ vt
    motion = Rigid.from_affine(rotation, centre_mm + shift - rotation @ centre_mm, centre_mm)
    return motion, step


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
    matrix, offset = index_map(upright, grid, Rigid((0.0,) * 3, (0.0,) * 3, (0.0,) * 3))
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) @ matrix.T + offset
    nearest = np.rint(at).astype(int)
    inside = np.all((nearest >= 0) & (nearest < np.array(volume.shape)), axis=-1)
    out = np.full(tuple(shape), -1024, np.float32)
    out[inside] = volume[tuple(nearest[inside].T)]
    return out, upright


def _starts(fixed: Fixed, level) -> list[tuple[float, float]]:
    """Candidate shifts (x, y) in mm: by the outlines of the block, by the middles of the images, and none."""
    volume, grid = _upright(level)
    starts = []
    box = rough_box(volume)
    if box is not None:
        # Left and right faces for x, the top for y: below lies the scanner's couch.
        first = grid.to_lps([box[0][0] - 0.5, box[1][0] - 0.5, box[2][0] - 0.5])
        last = grid.to_lps([box[0][1] - 0.5, box[1][1] - 0.5, box[2][1] - 0.5])
        corners = fixed.block.corners_mm
        starts.append((0.5 * (first[0] + last[0]) - corners[:, 0].mean(), first[1] - np.sort(corners[:, 1])[:4].mean()))
    shift = grid.corners_mm().mean(axis=0) - fixed.grid.corners_mm().mean(axis=0)
    starts.append((shift[0], shift[1]))
    starts.append((0.0, 0.0))
    return starts


def _scan(fixed: Fixed, level, rotation: np.ndarray, shift_xy, mirror=None) -> list[tuple[float, Rigid]]:
    """Best shifts along z for a shift in plane: up to three separate maxima of the correlation, best first."""
    samples = fixed.inner[0]
    stride = max(1, len(samples.value) // 15_000)
    place = np.ascontiguousarray(samples.place[::stride])
    if mirror is not None:
        place = np.ascontiguousarray(place * np.array(mirror, np.float32))
    samples = Samples(place, np.ascontiguousarray(samples.value[::stride]), samples.gradient[:0])
    volume, grid = level
    z = grid.corners_mm()[:, 2]
    reach = samples.place[:, 2].min(), samples.place[:, 2].max()
    low, high = z.min() - fixed.centre_mm[2] - reach[1], z.max() - fixed.centre_mm[2] - reach[0]
    step = 4.0
    found = []
    for shift_z in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step:
        shift = np.array([shift_xy[0], shift_xy[1], shift_z])
        motion = Rigid.from_affine(rotation, fixed.centre_mm + shift - rotation @ fixed.centre_mm, fixed.centre_mm)
        value, count, _aside, _holes = _similarity(samples, fixed.centre_mm, level, motion)
        if count >= MIN_OVERLAP * len(samples.value):
            found.append((value, shift_z, motion))
    found.sort(key=lambda item: -item[0])
    best: list[tuple[float, float, Rigid]] = []
    for item in found:
        if all(abs(item[1] - other[1]) > 3 * step for other in best):
            best.append(item)
        if len(best) == 3:
            break
    return [(value, motion) for value, _, motion in best]


def _coarse(fixed: Fixed, level, rotation: np.ndarray, mirror=None) -> tuple[float, Rigid] | None:
    """Best motion at the coarsest level over all starts; `mirror` (x, y, z signs) reflects the reference first."""
    samples, inner = fixed.levels[0], fixed.inner[0]
    if mirror is not None:
        signs = np.array(mirror, np.float32)
        samples = Samples(samples.place * signs, samples.value, samples.gradient * signs)
        inner = Samples(inner.place * signs, inner.value, inner.gradient * signs)
    best = None
    for shift in _starts(fixed, level):
        for value, motion in _scan(fixed, level, rotation, shift, mirror)[: 2 if best is None else 3]:
            if best is not None and value < 0.3 * best[0]:
                continue
            motion, _step = _refine(samples, fixed.centre_mm, level, motion, fixed.block.corners_mm, 0, 3 * HUBER_HU)
            value, count, _aside, _holes = _similarity(inner, fixed.centre_mm, level, motion)
            if count >= MIN_OVERLAP * len(inner.value) and (best is None or value > best[0]):
                best = value, motion
        if best is not None and best[0] > 0.9:
            break
    return best


def _touches_side(level) -> bool:
    """Whether the block in a coarse volume reaches the left, right or upper end of the image."""
    volume, _grid = _upright(level)
    box = rough_box(volume)
    return box is not None and (box[1][0] <= 0 or box[2][0] <= 0 or box[2][1] >= volume.shape[2])


def register(fixed: Fixed, volume: np.ndarray, grid: Grid) -> Registration:
    """Motion from the reference to a series (`volume` int16 HU on `grid`).

    Raises `RegistrationError` with `registration_failed`, `mirrored` or `phantom_outside_fov`; what comes back has a
    correlation of at least `MIN_SIMILARITY` inside the block, and its last step was below a tenth of a millimetre.
    """
    if min(grid.shape) < 16:
        raise RegistrationError("registration_failed", f"a volume of {grid.shape} voxels is too small")
    levels = pyramid(np.ascontiguousarray(volume), grid)
    centre = fixed.centre_mm
    still = Rigid((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), tuple(float(v) for v in centre))
    inner = fixed.inner[1]
    before, count, _aside, _holes = _similarity(inner, centre, levels[1], still)
    before = before if count >= 0.1 * len(inner.value) else float("nan")

    best = _coarse(fixed, levels[0], np.eye(3))
    motion = None
    after, overlap, aside, holes, step = 0.0, 0.0, 0, 0, np.inf
    if best is not None:
        motion = best[1]
        for number in (1, 2):
            motion, step = _refine(
                fixed.levels[number], centre, levels[number], motion, fixed.block.corners_mm, number, HUBER_HU
            )
        after, count, aside, holes = _similarity(inner, centre, levels[1], motion)
        overlap = count / len(inner.value)
    if after < MIN_SIMILARITY:
        for signs in ((-1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, -1, -1)):
            flipped = _coarse(fixed, levels[0], np.eye(3), signs)
            if flipped is not None and flipped[0] > max(MIN_SIMILARITY, after + 0.15):
                axes = " and ".join(
                    n for n, s in zip(("left-right", "front-back", "head-feet"), signs, strict=True) if s < 0
                )
                raise RegistrationError(
                    "mirrored",
                    f"correlation {flipped[0]:.3f} with the reference mirrored {axes}, {after:.3f} without",
                )
        if _touches_side(levels[0]):
            raise RegistrationError("phantom_outside_fov", "the block reaches the side of the image")
        raise RegistrationError(
            "registration_failed", f"correlation inside the block {after:.3f}, below {MIN_SIMILARITY}"
        )
    missing = (aside + holes) / max(1, aside + count)
    if missing > MAX_CUT:
        raise RegistrationError("phantom_outside_fov", f"{100 * missing:.2f} % of the block is outside of the image")
    if not step < 0.1 or overlap < MIN_OVERLAP:
        raise RegistrationError(
            "registration_failed",
            f"no convergence (last step {step:.2g} mm) or too little in common ({100 * overlap:.0f} % of the block)",
        )
    return Registration(motion, float(before), float(after), float(overlap))
