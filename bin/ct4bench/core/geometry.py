"""Voxel grids and rigid motions in patient coordinates (LPS, mm)."""

from dataclasses import dataclass

import numpy as np


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Return the smallest box that holds all elements of `mask` that are not 0; None where there is none."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not len(hit):
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


@dataclass(frozen=True)
class Grid:
    """A regular voxel grid.

    `shape` is (slices, rows, columns) as the array's; `affine` (4 x 4) maps an index (slice, row, column) to the
    LPS position in mm of that voxel's centre.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @classmethod
    def axis_aligned(cls, shape, spacing_mm, origin_mm) -> "Grid":
        """Return the grid with identity orientation. `spacing_mm` is (slice, row, column); `origin_mm` (x, y, z) of
        voxel 0."""
        affine = np.eye(4)
        affine[:3, :3] = np.array([[0, 0, spacing_mm[2]], [0, spacing_mm[1], 0], [spacing_mm[0], 0, 0]], float)
        affine[:3, 3] = origin_mm
        return cls(tuple(int(n) for n in shape), affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbours along (slice, row, column) in mm."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def origin_mm(self) -> np.ndarray:
        """LPS position (x, y, z) in mm of the centre of voxel [0, 0, 0]."""
        return self.affine[:3, 3].copy()

    def to_lps(self, index) -> np.ndarray:
        """Return the LPS positions (..., 3) in mm of indices (..., 3) given as (slice, row, column)."""
        return np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, lps_mm) -> np.ndarray:
        """Return the continuous indices (..., 3) as (slice, row, column) of LPS positions (..., 3) in mm."""
        return (np.asarray(lps_mm, float) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def corners_mm(self) -> np.ndarray:
        """Return the LPS positions (8, 3) in mm of the corner voxels' centres."""
        last = np.array(self.shape) - 1
        index = np.array([[i, j, k] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
        return self.to_lps(index)

    def crop(self, box: tuple[slice, slice, slice]) -> "Grid":
        """Return the grid of the sub-array `array[box]`; the slices have step 1 and lie inside."""
        start = np.array([s.indices(n)[0] for s, n in zip(box, self.shape, strict=True)])
        stop = np.array([s.indices(n)[1] for s, n in zip(box, self.shape, strict=True)])
        affine = self.affine.copy()
        affine[:3, 3] = self.to_lps(start)
        return Grid(tuple(int(n) for n in stop - start), affine)

    def to_dict(self) -> dict:
        """Return the plain values for JSON."""
        return {"shape": list(self.shape), "affine": self.affine.tolist()}

    @classmethod
    def from_dict(cls, values: dict) -> "Grid":
        """Return the inverse of `to_dict`."""
        return cls(tuple(int(n) for n in values["shape"]), np.array(values["affine"], float))

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Tell whether both grids have the same shape and their corners agree within `tolerance_mm`."""
        return self.shape == other.shape and bool(np.abs(self.corners_mm() - other.corners_mm()).max() <= tolerance_mm)


def euler_zyx_matrix(rotation_deg) -> np.ndarray:
    """Return the rotation matrix Rz Ry Rx of the angles (rx, ry, rz) in degrees."""
    rx, ry, rz = np.deg2rad(np.asarray(rotation_deg, float))
    cx, sx, cy, sy, cz, sz = np.cos(rx), np.sin(rx), np.cos(ry), np.sin(ry), np.cos(rz), np.sin(rz)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


def euler_zyx_angles(matrix: np.ndarray) -> np.ndarray:
    """Return the angles (rx, ry, rz) in degrees of a rotation matrix Rz Ry Rx."""
    ry = np.arcsin(np.clip(-matrix[2, 0], -1, 1))
    rx = np.arctan2(matrix[2, 1], matrix[2, 2])
    rz = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.rad2deg([rx, ry, rz])


@dataclass(frozen=True)
class Rigid:
    """p_moving = R (p_reference - c) + c + t, in LPS mm; R = Rz Ry Rx of `rotation_deg` (rx, ry, rz)."""

    rotation_deg: tuple[float, float, float]
    translation_mm: tuple[float, float, float]
    centre_mm: tuple[float, float, float]

    @classmethod
    def identity(cls, centre_mm=(0.0, 0.0, 0.0)) -> "Rigid":
        """Return the motion that leaves every point in place, written about `centre_mm`."""
        return cls((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), tuple(float(v) for v in centre_mm))

    @property
    def matrix(self) -> np.ndarray:
        """Rotation part (3 x 3)."""
        return euler_zyx_matrix(self.rotation_deg)

    @property
    def offset(self) -> np.ndarray:
        """Vector b (3,) in mm of the form p_moving = R p_reference + b."""
        centre = np.array(self.centre_mm)
        return centre + np.array(self.translation_mm) - self.matrix @ centre

    def __call__(self, points_mm) -> np.ndarray:
        """Map LPS points (..., 3) in mm."""
        return np.asarray(points_mm, float) @ self.matrix.T + self.offset

    @classmethod
    def from_affine(cls, matrix: np.ndarray, offset: np.ndarray, centre_mm) -> "Rigid":
        """Return the rigid motion p -> `matrix` p + `offset`, written about `centre_mm`."""
        centre = np.array(centre_mm, float)
        translation = matrix @ centre + offset - centre
        angles = euler_zyx_angles(matrix)
        return cls(*(tuple(float(v) for v in values) for values in (angles, translation, centre)))

    def inverse(self) -> "Rigid":
        """Return the motion back, about the same centre."""
        matrix = self.matrix.T
        return Rigid.from_affine(matrix, -matrix @ self.offset, self.centre_mm)

    def after(self, first: "Rigid") -> "Rigid":
        """Return the motion that does `first`, then this one, written about the centre of `first`."""
        return Rigid.from_affine(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset, first.centre_mm)


def worst_displacement_mm(a: Rigid, b: Rigid, points_mm: np.ndarray) -> float:
    """Return the largest distance in mm between the images of `points_mm` (n, 3) under two motions."""
    return float(np.linalg.norm(a(points_mm) - b(points_mm), axis=-1).max())
