"""The phantom's paper block: its six faces, filled mask, centre and corners."""

from dataclasses import dataclass

import numpy as np

from ct4bench.core.geometry import Grid, bounding_box

NAMES = (("first slice", "last slice"), ("top", "bottom"), ("left", "right"))


@dataclass(frozen=True)
class Face:
    """One face of the block as a plane in LPS: `normal` (3,) points outwards, `offset_mm` = normal . point.

    `cut`: the volume ends inside the block here, and the plane is the volume's own end.
    """

    axis: int
    side: int
    normal: tuple[float, float, float]
    offset_mm: float
    cut: bool

    def depth_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the distance of LPS points (..., 3) inwards from the face in mm; negative outside."""
        return self.offset_mm - np.asarray(points_mm) @ np.array(self.normal)


@dataclass(frozen=True)
class Block:
    """The phantom's block: six faces, (first, last) along slice, row, column, and what follows from them."""

    faces: tuple[Face, ...]
    corners_mm: np.ndarray
    """LPS corners (8, 3) of the block, cut to the extent of the volume."""
    centre_mm: np.ndarray
    """LPS centre (3,): mean of the corners."""
    box: tuple[tuple[int, int], ...]
    """Half open voxel range of the mask along each axis."""

    def depth_mm(self, points_mm: np.ndarray, skip_cut: bool = True) -> np.ndarray:
        """Return the least distance inwards from the faces of LPS points (..., 3) in mm; faces cut by the volume do not
        count."""
        depths = [face.depth_mm(points_mm) for face in self.faces if not (face.cut and skip_cut)]
        return np.min(depths, axis=0) if depths else np.full(np.shape(points_mm)[:-1], np.inf)

    def to_dict(self) -> dict:
        """Return the plain values for JSON."""
        return {
            "centre_mm": [float(v) for v in self.centre_mm],
            "corners_mm": self.corners_mm.tolist(),
            "block_box": [list(pair) for pair in self.box],
            "faces": [
                {
                    "name": NAMES[f.axis][f.side],
                    "axis": f.axis,
                    "side": f.side,
                    "normal": list(f.normal),
                    "offset_mm": f.offset_mm,
                    "cut": f.cut,
                }
                for f in self.faces
            ],
        }

    @classmethod
    def from_dict(cls, values: dict) -> "Block":
        """Return the inverse of `to_dict`."""
        faces = tuple(Face(f["axis"], f["side"], tuple(f["normal"]), f["offset_mm"], f["cut"]) for f in values["faces"])
        box = tuple((int(a), int(b)) for a, b in values["block_box"])
        return cls(faces, np.array(values["corners_mm"]), np.array(values["centre_mm"]), box)


def block_mask(block: Block, grid: Grid, erode_mm: float = 0.0) -> np.ndarray:
    """Return the filled block on `grid` (uint8 0 or 1): voxels whose centre is at least `erode_mm` inside of every
    face."""
    mask = np.ones(grid.shape, np.uint8)
    coordinates = [np.arange(n, dtype=float) for n in grid.shape]
    for face in block.faces:
        normal = np.array(face.normal) @ grid.affine[:3, :3]
        offset = face.offset_mm - np.array(face.normal) @ grid.origin_mm - (0.0 if face.cut else erode_mm)
        plane = normal[1] * coordinates[1][:, None] + normal[2] * coordinates[2][None, :]
        for k in range(grid.shape[0]):
            mask[k] &= plane + normal[0] * k <= offset
    return mask


def on_grid(block: Block, grid: Grid) -> Block:
    """Return the same block with `box` as voxels of another grid."""
    ranges = tuple((part.start, part.stop) for part in bounding_box(block_mask(block, grid)))
    return Block(block.faces, block.corners_mm, block.centre_mm, ranges)
