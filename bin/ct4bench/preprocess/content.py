"""Where a phantom without a printed block lies in a series, by image content: normalised cross-correlation of a coarse
template with the series at every shift, turned in steps about the axes of the patient."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import distance_transform_edt, map_coordinates

from ct4bench.core.geometry import Grid, Rigid

STEP_MM = 6.0
"""Voxels of the search, along all axes."""
RANGE_HU = (-1000.0, 1000.0)
TURN_DEG = 15.0
AROUND_MM = 1.0
"""How far round the phantom the template reaches: its surface, hardly, for that looks the same however it is turned."""
MOST_STARTS = 12
MIN_COMMON = 0.4
"""Share of the template that a series must hold."""
FLIPS = ((1, 1, 1), (-1, 1, -1), (1, -1, -1))
"""Signs of x, y, z: as in the reference, then turned by 180 degrees about y and x; about z it is turned in steps."""


@dataclass(frozen=True)
class Template:
    """The phantom at a coarse resolution: HU (float32) on a grid, where it counts, and the point it turns about."""

    values: np.ndarray
    inside: np.ndarray
    grid: Grid
    centre_mm: np.ndarray


def near(mask: np.ndarray, mask_grid: Grid, grid: Grid, reach_mm: float) -> np.ndarray:
    """Return which voxels (bool) of `grid` lie within `reach_mm` of a mask on another grid of the same frame; a
    negative reach gives those so deep inside."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    at = np.rint(mask_grid.to_index(grid.to_lps(index))).astype(int)
    held = np.all((at >= 0) & (at < mask.shape), axis=-1)
    there = np.zeros(grid.shape, bool)
    there[held] = mask[tuple(at[held].T)] > 0
    if reach_mm >= 0:
        return distance_transform_edt(~there, sampling=grid.spacing_mm) <= reach_mm if there.any() else there
    # what lies beyond the grid is outside
    deep = distance_transform_edt(np.pad(there, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    return deep > -reach_mm


def make_template(level: tuple[np.ndarray, Grid], mask: np.ndarray, mask_grid: Grid, centre_mm) -> Template:
    """Make the template of a reference's coarse `level` (HU, grid) and the phantom's mask."""
    values, grid = level
    inside = near(mask, mask_grid, grid, AROUND_MM)
    return Template(np.clip(values, *RANGE_HU), inside, grid, np.asarray(centre_mm, float))


def _even_grid(corners_mm: np.ndarray) -> Grid:
    """A grid of `STEP_MM` along x, y and z that holds points (n, 3)."""
    low, high = corners_mm.min(axis=0), corners_mm.max(axis=0)
    shape = np.ceil((high - low)[::-1] / STEP_MM).astype(int) + 1
    return Grid.axis_aligned(tuple(shape), (STEP_MM,) * 3, low)


def _read(values: np.ndarray, grid: Grid, points_mm: np.ndarray, outside: float, order: int = 1) -> np.ndarray:
    at = np.moveaxis(grid.to_index(points_mm), -1, 0)
    return map_coordinates(values, at, np.float32, order=order, mode="constant", cval=outside)


def _points(grid: Grid) -> np.ndarray:
    return grid.to_lps(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))


class Search:
    """A series at a coarse level (HU, grid), in which templates are looked for."""

    def __init__(self, level: tuple[np.ndarray, Grid]):
        values, grid = level
        self.grid = _even_grid(grid.corners_mm())
        points = _points(self.grid)
        self.held = _read(np.ones(values.shape, np.float32), grid, points, 0.0, 0) > 0.5
        self.values = np.where(self.held, _read(np.clip(values, *RANGE_HU), grid, points, 0.0), 0.0)

    def shifts(self, template: Template, rotation: np.ndarray, most: int = 3) -> list[tuple[float, np.ndarray]]:
        """Return the best shifts (x, y, z in mm) of a template turned by `rotation` about its centre, with their
        correlations, best first; none where the series holds too little of it at any shift."""
        arms = (template.grid.corners_mm() - template.centre_mm) @ rotation.T
        own = _even_grid(arms)
        points = _points(own) @ rotation + template.centre_mm  # back to the reference
        weight = (_read(template.inside.astype(np.float32), template.grid, points, 0.0) > 0.5).astype(np.float32)
        turned = _read(template.values, template.grid, points, 0.0)
        middle = turned[weight > 0].mean() if weight.any() else 0.0
        turned = (turned - middle) * weight
        shape = [next_fast_len(a + b - 1, True) for a, b in zip(self.grid.shape, own.shape, strict=True)]
        held = self.held.astype(np.float32)
        moved = (self.values - middle) * held
        kernels = [np.conj(rfftn(part, shape)) for part in (weight, turned, turned**2)]
        images = [rfftn(part, shape) for part in (held, moved, moved**2)]

        def sums(image: int, kernel: int) -> np.ndarray:
            return irfftn(images[image] * kernels[kernel], shape)

        count = np.maximum(sums(0, 0), 1e-3)
        covariance = sums(1, 1) - sums(1, 0) * sums(0, 1) / count
        spread = (sums(2, 0) - sums(1, 0) ** 2 / count) * (sums(0, 2) - sums(0, 1) ** 2 / count)
        good = (count >= MIN_COMMON * max(weight.sum(), 1)) & (spread > 1e-3 * np.abs(spread).max())
        score = np.where(good, covariance / np.sqrt(np.where(good, spread, 1.0)), -1.0)
        found = []
        for flat in np.argsort(score, axis=None)[::-1][:200]:
            at = np.array(np.unravel_index(flat, score.shape))
            value = float(score[tuple(at)])
            if value <= -1.0 or len(found) == most:
                break
            # a negative shift stands at the end
            at = np.where(at >= self.grid.shape, at - shape, at)
            if all(np.abs(at - other).max() > 2 for _, other in found):
                found.append((value, at))
        return [
            (value, self.grid.origin_mm + STEP_MM * at[::-1] - own.origin_mm - template.centre_mm)
            for value, at in found
        ]


def starts(template: Template, level: tuple[np.ndarray, Grid], stage: int) -> list[Rigid]:
    """Return motions to start from, best first: at stage 0 shifts alone, at 1 turned about z, at 2 also upside down or
    back to front."""
    search, found = Search(level), []
    turns = np.arange(0.0, 360.0, TURN_DEG) if stage else [0.0]
    for signs in FLIPS[: 3 if stage == 2 else 1]:
        for degrees in turns:
            c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
            rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(signs).astype(float)
            for value, shift in search.shifts(template, rotation, 3 if stage == 0 else 1):
                offset = template.centre_mm + shift - rotation @ template.centre_mm
                found.append((value, Rigid.from_affine(rotation, offset, template.centre_mm)))
    found.sort(key=lambda item: -item[0])
    return [motion for _, motion in found[:MOST_STARTS]]
