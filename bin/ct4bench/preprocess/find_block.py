"""Where the paper block is in a volume: roughly by its outline, exactly by planes fitted to its faces."""

import logging

import numpy as np
from scipy.ndimage import uniform_filter

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.preprocess.block import NAMES, Block, Face, on_grid
from ct4bench.preprocess.pyramids import bin_means, binned_grid

LOG = logging.getLogger(__name__)
SOLID_HU = -550.0
"""Half height between paper (-103 HU) and air (-1000 HU)."""
PAPER_HU, BOARD_HU = -103.0, -300.0
BOARD_LEVEL_HU = 0.5 * (PAPER_HU + BOARD_HU)
WINDOW_MM = 16.0
"""Half width of the search for a face about its mean position: a tilt of 6 degrees over half the block."""


def _longest_run(flags: np.ndarray) -> tuple[int, int] | None:
    """Half open range of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    if not len(edges):
        return None
    starts, stops = edges[::2], edges[1::2]
    best = int(np.argmax(stops - starts))
    return int(starts[best]), int(stops[best])


def rough_box(volume: np.ndarray) -> tuple[tuple[int, int], ...] | None:
    """Return the half open ranges of the block along (slice, row, column) in a coarse volume (HU), None where there is
    none.

    The board under the block is as dense as the half height between paper and air and wider than the block, so the
    block's rows are those whose median is above the middle between paper and board.
    """
    nx = volume.shape[2]
    solid = volume > SOLID_HU
    share = solid[:, :, nx // 4 : max(nx // 4 + 1, nx - nx // 4)].mean(axis=(0, 2))
    rows = _longest_run(share > 0.5 * share.max()) if share.max() > 0.2 else None
    if rows is None:
        return None
    upper = slice(rows[0], rows[0] + max(1, int(0.7 * (rows[1] - rows[0]))))
    share = solid[:, upper].mean(axis=(0, 1))
    columns = _longest_run(share > 0.5 * share.max())
    share = solid[:, upper, columns[0] : columns[1]].mean(axis=(1, 2))
    slices = _longest_run(share > 0.5 * share.max())
    core = volume[slices[0] : slices[1], rows[0] : rows[1], columns[0] : columns[1]]
    # Upside down, the board is on top.
    dense = _longest_run(np.median(core, axis=(0, 2)) > BOARD_LEVEL_HU)
    if dense is None:
        return None
    return slices, (rows[0] + dense[0], rows[0] + dense[1]), columns


def _fit_face(volume, grid, box, axis: int, side: int) -> tuple[np.ndarray, float] | None:
    """Plane n . index = d (outward n, in voxels of `grid`) of one face by robust fit of half-height crossings."""
    spacing = grid.spacing_mm
    edge = box[axis][0] if side == 0 else box[axis][1] - 1
    others = [a for a in range(3) if a != axis]
    # Rays through the face's interior only, every second voxel, smoothed across.
    window = [slice(None)] * 3
    for a in others:
        margin = int(np.ceil(WINDOW_MM / spacing[a]))
        first, last = box[a][0] + margin, box[a][1] - margin
        if last - first < 4:
            first, last = box[a]
        window[a] = slice(first, last)
    half = int(np.ceil(WINDOW_MM / spacing[axis]))
    low, high = max(0, edge - half), min(volume.shape[axis], edge + half + 1)
    window[axis] = slice(low, high)
    size = [3, 3, 3]
    size[axis] = 1
    profile = np.moveaxis(uniform_filter(volume[tuple(window)], size, mode="nearest"), axis, 0)[:, ::2, ::2]
    if side == 0:
        profile = profile[::-1]
    # From the inside outwards: the first crossing of the half height between both sides of the mean face.
    at = (edge - low) if side == 1 else (high - 1 - edge)
    step = max(2, int(round(6.0 / spacing[axis])))
    if at + step >= len(profile) or at - step < 0:
        return None
    inside, outside = np.median(profile[at - step]), np.median(profile[at + step])
    if inside - outside < 100:
        return None
    level = 0.5 * (inside + outside)
    falls = (profile[:-1] >= level) & (profile[1:] < level)
    found = falls.any(axis=0)
    if found.mean() < 0.5:
        return None
    i, j = np.nonzero(found)
    k = np.argmax(falls, axis=0)[i, j]
    before, after = profile[k, i, j], profile[k + 1, i, j]
    crossing = k + (before - level) / (before - after)
    position = low + crossing if side == 1 else high - 1 - crossing
    design = np.stack([window[others[0]].start + 2.0 * i, window[others[1]].start + 2.0 * j, np.ones(len(i))], axis=1)
    keep = np.abs(position - np.median(position)) * spacing[axis] < WINDOW_MM
    for tolerance_mm in (6.0, 3.0, 2.0, 2.0, 2.0):
        fit, *_ = np.linalg.lstsq(design[keep], position[keep], rcond=None)
        keep = np.abs(position - design @ fit) * spacing[axis] < tolerance_mm
        if keep.mean() < 0.3:
            return None
    sign = 1.0 if side == 1 else -1.0
    normal = np.zeros(3)
    normal[axis], normal[others[0]], normal[others[1]] = sign, -sign * fit[0], -sign * fit[1]
    return normal, sign * float(fit[2])


def find_block(volume: np.ndarray, grid: Grid) -> Block:
    """Find the block in a reference volume (int16 HU) or in a slab of it.

    A face is a plane through the half-height crossings of rays, fitted robustly on bins of about 1.4 mm; a face that
    the volume cuts off is the volume's end. `UserError` where there is no block.
    """
    factors = tuple(max(1, int(round(1.4 / s))) for s in grid.spacing_mm)
    small, small_grid = bin_means(volume, factors), binned_grid(grid, factors)
    box = rough_box(small)
    size = [0.0] * 3 if box is None else [(b - a) * s for (a, b), s in zip(box, small_grid.spacing_mm, strict=True)]
    if min(size) < 15 or size[1] < 60 or size[2] < 60:
        raise UserError(
            "no paper block is found in the reference series (a box of about 264 x 190 mm at -160 to 550 HU in air); "
            "name another one with --reference"
        )
    inverse = np.linalg.inv(small_grid.affine[:3, :3])
    faces = []
    for axis in range(3):
        for side in range(2):
            plane = None
            if (box[axis][0] > 1) if side == 0 else (box[axis][1] < small.shape[axis] - 1):
                plane = _fit_face(small, small_grid, box, axis, side)
            cut = plane is None
            if cut:
                sign = 2.0 * side - 1
                normal = np.zeros(3)
                normal[axis] = sign
                # Outer rim of the last full-resolution voxel, in bins.
                rim = -0.5 if side == 0 else grid.shape[axis] / factors[axis] - 0.5
                plane = normal, sign * rim
            normal = plane[0] @ inverse
            length = np.linalg.norm(normal)
            offset = (plane[1] + normal @ small_grid.origin_mm) / length
            faces.append(Face(axis, side, tuple(float(v) for v in normal / length), float(offset), bool(cut)))
    cut = [NAMES[f.axis][f.side] for f in faces if f.cut]
    if cut:
        LOG.info("the reference volume ends inside the block at: %s", ", ".join(cut))
    corners = []
    for a in (0, 1):
        for b in (2, 3):
            for c in (4, 5):
                planes = [faces[a], faces[b], faces[c]]
                corners.append(
                    np.linalg.solve(np.array([p.normal for p in planes]), np.array([p.offset_mm for p in planes]))
                )
    last = np.array(grid.shape) - 1
    corners = grid.to_lps(np.clip(grid.to_index(np.array(corners)), 0, last))
    return on_grid(Block(tuple(faces), corners, corners.mean(axis=0), ((0, 0),) * 3), grid)
