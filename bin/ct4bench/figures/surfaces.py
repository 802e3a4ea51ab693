"""Shaded views of surfaces in a volume: orthographic rays to a depth map, and Lambert's law on it.

Positions are millimetres along (slice, row, column) from voxel 0, so a volume needs its spacing only. Where a ray
enters and leaves a convex body is exact; in between it marches in even steps until it is inside, and the crossing is
then halved down.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from ct4bench.core.geometry import bounding_box

HALVINGS = 6
AMBIENT = 0.45
LIGHT = np.array([-0.45, -0.55, -0.70])
"""Direction towards the light in the view's axes (right, down, away): from the upper left, behind the viewer."""
FOLD_MM = 2.0
"""A step of the depth map that changes by more from one side of a pixel to the other is an edge."""


@dataclass(frozen=True)
class View:
    """An orthographic camera: unit vectors (3,) `right`, `down`, `away` in (slice, row, column) mm.

    Pixel [0, 0] of a picture of `shape` (rows, columns) looks from `start_mm` along `away`, over `depth_mm`.
    """

    right: np.ndarray
    down: np.ndarray
    away: np.ndarray
    start_mm: np.ndarray
    shape: tuple[int, int]
    pixel_mm: float
    depth_mm: float

    @classmethod
    def on_box(cls, low_mm, high_mm, azimuth_deg: float, elevation_deg: float, pixel_mm: float) -> "View":
        """Return the view of a box between two corners, with the slices upright.

        Azimuth 0 looks along rows (from the front); positive turns the viewer to higher columns, positive elevation to
        higher slices.
        """
        a, e = np.deg2rad([azimuth_deg, elevation_deg])
        right = np.array([0.0, np.sin(a), np.cos(a)])
        away = np.array([-np.sin(e), np.cos(e) * np.cos(a), -np.cos(e) * np.sin(a)])
        down = np.array([-np.cos(e), -np.sin(e) * np.cos(a), np.sin(e) * np.sin(a)])
        axes = np.stack([right, down, away])
        corners = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
        corners = np.asarray(low_mm) + corners * (np.asarray(high_mm) - np.asarray(low_mm))
        margin = np.array([6, 6, 2])
        low, high = (corners @ axes.T).min(axis=0) - margin, (corners @ axes.T).max(axis=0) + margin
        shape = tuple(int(np.ceil((high[i] - low[i]) / pixel_mm)) for i in (1, 0))
        return cls(right, down, away, low @ axes, shape, pixel_mm, float(high[2] - low[2]))

    def project(self, points_mm) -> np.ndarray:
        """Return the pixels (..., 2) as (column, row) of positions (..., 3)."""
        offset = np.asarray(points_mm, float) - self.start_mm
        return np.stack([offset @ self.right, offset @ self.down], axis=-1) / self.pixel_mm

    def points(self, rows: np.ndarray, columns: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
        """Return the positions (..., 3) at `depth_mm` behind pixels."""
        offset = (rows * self.pixel_mm)[..., None] * self.down + (columns * self.pixel_mm)[..., None] * self.right
        return self.start_mm + offset + depth_mm[..., None] * self.away


def sample(volume: np.ndarray, spacing_mm, points_mm: np.ndarray) -> np.ndarray:
    """Interpolate `volume` linearly at positions (..., 3), float32; beyond it, the value at its rim."""
    index = np.moveaxis(points_mm / np.asarray(spacing_mm), -1, 0)
    return map_coordinates(volume, index, output=np.float32, order=1, mode="nearest")


def convex_span(view: View, normals, offsets) -> tuple[np.ndarray, np.ndarray]:
    """Return the depths in mm (of the view's shape) where each ray enters and leaves the points with normal . p <=
    offset for all.

    `normals` (n, 3) and `offsets` (n,) in mm. A ray that misses them enters at infinity.
    """
    start = view.points(*np.indices(view.shape), np.zeros(view.shape))
    enter, leave = np.zeros(view.shape), np.full(view.shape, view.depth_mm)
    for normal, offset in zip(normals, offsets, strict=True):
        room = offset - start @ normal
        speed = float(view.away @ normal)
        if abs(speed) < 1e-12:
            leave = np.where(room >= 0, leave, -np.inf)
        elif speed > 0:
            leave = np.minimum(leave, room / speed)
        else:
            enter = np.maximum(enter, room / speed)
    return np.where(enter < leave, enter, np.inf), leave


def box_planes(low_mm, high_mm) -> tuple[np.ndarray, np.ndarray]:
    """Return the normals (6, 3) and offsets (6,) of a box, for `convex_span`."""
    return np.concatenate([np.eye(3), -np.eye(3)]), np.concatenate([high_mm, -np.asarray(low_mm)])


def first_inside(
    view: View, inside: Callable[[np.ndarray], np.ndarray], enter: np.ndarray, leave: np.ndarray, step_mm: float
) -> np.ndarray:
    """Return the depth in mm, of the view's shape, where each ray is first inside between two depths; infinite where it
    never is.

    `inside` tells for positions (n, 3) whether they are.
    """
    depth = np.full(view.shape, np.inf)
    rows, columns = np.nonzero(np.isfinite(enter) & (enter < leave))
    at, end = enter[rows, columns], leave[rows, columns]
    while len(rows):
        hit = inside(view.points(rows, columns, at))
        i, j, far = rows[hit], columns[hit], at[hit]
        near = np.maximum(far - step_mm, enter[i, j])
        for _ in range(HALVINGS):
            middle = 0.5 * (near + far)
            crossed = inside(view.points(i, j, middle))
            near, far = np.where(crossed, near, middle), np.where(crossed, middle, far)
        depth[i, j] = far
        at = at + step_mm
        on = ~hit & (at <= end)
        rows, columns, at, end = rows[on], columns[on], at[on], end[on]
    return depth


def _slope(depth: np.ndarray, axis: int) -> np.ndarray:
    """Derivative of a depth map along an axis: the flatter of the two sides, so that a silhouette casts no edge."""
    with np.errstate(invalid="ignore"):
        step = np.diff(depth, axis=axis)
    step = np.where(np.isfinite(step), step, np.inf)
    pad = [(0, 0), (0, 0)]
    pad[axis] = (1, 0)
    before = np.pad(step, pad, constant_values=np.inf)
    pad[axis] = (0, 1)
    after = np.pad(step, pad, constant_values=np.inf)
    with np.errstate(invalid="ignore"):
        smooth = np.abs(before - after) < FOLD_MM
        slope = np.where(smooth, 0.5 * (before + after), np.where(np.abs(before) <= np.abs(after), before, after))
    return np.where(np.isfinite(slope), slope, 0.0)


def shade(depth: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Return the brightness (0..1) of a surface given by its depth map in mm: an ambient part and Lambert's law."""
    normal = np.stack([_slope(depth, 1), _slope(depth, 0), np.full(depth.shape, -pixel_mm)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = LIGHT / np.linalg.norm(LIGHT)
    return AMBIENT + (1 - AMBIENT) * np.clip(normal @ light, 0, 1)


def soften(picture: np.ndarray, factor: int) -> np.ndarray:
    """Average over `factor` x `factor` pixels of a picture (rows, columns, 3): smooth edges."""
    rows, columns = (n // factor for n in picture.shape[:2])
    part = picture[: rows * factor, : columns * factor]
    return part.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))


def trim(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the white margins off a picture (rows, columns, 3); also returns the (column, row) of its first pixel."""
    rows, columns = bounding_box((picture < 1).any(axis=2))
    return picture[rows, columns], np.array([columns.start, rows.start])
