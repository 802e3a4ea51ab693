"""The printed anatomy as layers: outlines between slices, and what fills them.

A layer (soft tissue, dense organs, bone, cortex) is a set of outlines on some slices; between these its signed distance
is interpolated, so that organs change shape smoothly. Layers are composed in that order over paper; each has a fill of
its own, in which organs and lesions are ellipsoids, so that an organ never leaves its layer.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numba import njit
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ct4bench.core.benchmark import PIXEL_MM
from ct4bench.twin.outlines import MIRROR_COLUMN, TABLES, read_outlines
from ct4bench.twin.phantom import Ellipsoid

ROWS, COLUMNS = (112, 404), (54, 454)
"""Part of A1's grid on which the outlines are rasterised."""
DRAWN_ROWS, DRAWN_COLUMNS = (121, 396), (62, 446)
"""Where the outlines were measured; beyond that, layers go on to the block's faces as they are."""
REACH_PX = 14.0
LAYERS = {"soft": 0.0, "dense": 0.0, "bone": 0.35, "cortex": 0.45}
"""Layers in the order of composition, and by how many pixels each is drawn wider than its outlines: that much is lost
of thin shells where they are interpolated between slices."""


@njit(cache=True, error_model="numpy")
def _fill_even_odd(points, inside, row0, column0):
    """Toggle the pixels of `inside` whose centres lie in the polygon."""
    crossings = np.empty(len(points), np.float64)
    for j in range(inside.shape[0]):
        y = row0 + j + 0.001
        count = 0
        for n in range(len(points)):
            a, b = points[n], points[(n + 1) % len(points)]
            if (a[0] <= y) != (b[0] <= y):
                crossings[count] = a[1] + (y - a[0]) / (b[0] - a[0]) * (b[1] - a[1])
                count += 1
        ordered = np.sort(crossings[:count])
        for n in range(0, count - 1, 2):
            first = max(int(np.ceil(ordered[n] - column0)), 0)
            last = min(int(np.floor(ordered[n + 1] - column0)), inside.shape[1] - 1)
            for i in range(first, last + 1):
                inside[j, i] = not inside[j, i]


def signed_depth(polygons: list[np.ndarray], mirrored: bool, wider_px: float = 0.0) -> np.ndarray:
    """Return the depth in pixels inside of the layer (float32, negative outside) on ROWS x COLUMNS, smooth at its
    edges."""
    inside = np.zeros((ROWS[1] - ROWS[0], COLUMNS[1] - COLUMNS[0]), np.bool_)
    for points in polygons:
        _fill_even_odd(points, inside, ROWS[0], COLUMNS[0])
    if mirrored:
        columns = np.arange(*COLUMNS)
        partner = np.rint(2 * MIRROR_COLUMN - columns).astype(int)
        take = np.where(columns <= MIRROR_COLUMN, columns, partner) - COLUMNS[0]
        inside = inside[:, np.clip(take, 0, inside.shape[1] - 1)]
    rows = np.clip(np.arange(*ROWS), DRAWN_ROWS[0] + 1, DRAWN_ROWS[1] - 2) - ROWS[0]
    columns = np.clip(np.arange(*COLUMNS), DRAWN_COLUMNS[0] + 1, DRAWN_COLUMNS[1] - 2) - COLUMNS[0]
    inside = inside[np.ix_(rows, columns)]
    if not inside.any():
        return np.full(inside.shape, -REACH_PX, np.float32)
    depth = distance_transform_edt(inside) - distance_transform_edt(~inside)
    depth -= 0.5 * np.sign(depth)
    return (gaussian_filter(np.clip(depth, -REACH_PX, REACH_PX), 0.55) + wider_px).astype(np.float32)


@dataclass(frozen=True)
class Layer:
    """Signed depths (keys, rows, columns; float32 pixels) of a layer on its key slices."""

    slices: np.ndarray
    depths: np.ndarray

    def at(self, slice_number: float) -> np.ndarray:
        """Return the depth at any slice: linear between keys, the end keys beyond them."""
        position = float(np.clip(slice_number, self.slices[0], self.slices[-1]))
        k = int(np.clip(np.searchsorted(self.slices, position, side="right") - 1, 0, len(self.slices) - 2))
        t = np.float32((position - self.slices[k]) / (self.slices[k + 1] - self.slices[k]))
        return (1 - t) * self.depths[k] + t * self.depths[k + 1]


@lru_cache
def layers(part: str, tables: Path = TABLES) -> dict[str, Layer]:
    """Return the layers of `liver` or `thorax` from the outlines in a folder of tables."""
    outlines = read_outlines(tables)
    out = {}
    for name, wider_px in LAYERS.items():
        keys = outlines[part, name]
        slices = np.array(sorted(keys))
        out[name] = Layer(slices, np.stack([signed_depth(keys[int(s)], part == "thorax", wider_px) for s in slices]))
    return out


@dataclass(frozen=True)
class Ink:
    """What is printed: HU, texture SD as scanner A1's FBP shows it, and the share of its amplitude that is coarse."""

    hu: float
    texture_sd_hu: float
    coarse_share: float = 0.3


@dataclass(frozen=True)
class Filling:
    """A solid inside of a layer's fill."""

    solid: Ellipsoid
    ink: Ink
    soft_mm: float = 0.8


@dataclass(frozen=True)
class LayerStyle:
    """How a layer is painted: its ink, the softness of its edge in mm, solids in it in order."""

    ink: Ink
    soft_mm: float
    fillings: tuple[Filling, ...] = ()


def _solid(centre, semi_axes, rotation_z=0.0, rotation_x=0.0, rotation_y=0.0) -> Ellipsoid:
    return Ellipsoid(centre, semi_axes, (rotation_x, rotation_y, rotation_z))


def grown(solid: Ellipsoid, by_mm: float) -> Ellipsoid:
    """Return the solid with semi-axes longer by `by_mm`."""
    return Ellipsoid(solid.centre, tuple(a + by_mm for a in solid.semi_axes_mm), solid.rotation_deg)


def _tube(start, stop, radius_mm: float, ink: Ink, soft_mm: float = 0.8) -> tuple[Filling, ...]:
    """A vessel from one position (slice, row, column) to another, as overlapping balls."""
    a, b = np.array(start, float), np.array(stop, float)
    length = float(np.linalg.norm((b - a) * (1.0, PIXEL_MM, PIXEL_MM)))
    count = max(2, int(np.ceil(length / (0.7 * radius_mm))))
    return tuple(
        Filling(Ellipsoid(tuple(float(v) for v in a + (b - a) * t), (radius_mm,) * 3), ink, soft_mm)
        for t in np.linspace(0, 1, count)
    )


LIVER, VESSEL, VEIN = Ink(87.0, 12.5, 0.35), Ink(122.0, 11.0), Ink(112.0, 11.0)
STOMACH, SPLEEN = Ink(40.0, 11.0), Ink(86.0, 9.0)
WALL, WALL_MM = Ink(98.0, 11.0), 2.2
KIDNEY, KIDNEY_EDGE, KIDNEY_SINUS = Ink(95.0, 15.0, 0.5), Ink(30.0, 15.0), Ink(25.0, 15.0)
CANAL, MARROW, RIM, SMALL_LESION = Ink(8.0, 12.0), Ink(86.0, 22.0, 0.7), Ink(255.0, 30.0), Ink(14.0, 15.0, 0.5)
MARROW_AT_PLATE, DISC = Ink(136.0, 24.0, 0.7), Ink(82.0, 15.0, 0.5)
LUNG_LOBE, LOOSE_FAT, CHEST_WALL = Ink(12.0, 15.0, 0.7), Ink(-45.0, 22.0, 0.8), Ink(-12.0, 20.0, 0.7)

SPINAL_CANAL = (
    *_tube((116, 333, 262), (140, 350, 260), 7.4, CANAL, 0.7),
    *_tube((140, 350, 260), (162, 352, 258), 7.4, CANAL, 0.7),
    *_tube((162, 352, 258), (186, 373, 258), 7.2, CANAL, 0.7),
    *_tube((186, 373, 258), (198, 379, 258), 7.0, CANAL, 0.7),
)
LIVER_VESSELS = (
    *_tube((150, 262, 205), (158, 268, 188), 3.4, VESSEL),
    *_tube((158, 268, 188), (163, 258, 132), 2.8, VESSEL),
    *_tube((163, 258, 132), (158, 290, 112), 2.2, VESSEL),
    *_tube((158, 268, 188), (176, 310, 205), 2.8, VESSEL),
    *_tube((178, 262, 232), (186, 218, 250), 3.0, VEIN),
    *_tube((182, 262, 222), (176, 246, 200), 3.2, VESSEL),
    *_tube((176, 246, 200), (166, 215, 120), 2.4, VESSEL),
    *_tube((126, 300, 130), (140, 285, 116), 2.6, VEIN),
    *_tube((136, 216, 218), (150, 216, 232), 3.2, VEIN),
)

SPINE_TILT_DEG = -21.0
"""The lumbar spine leans: each slice shows it 0.38 mm further back than the one before."""


def _bone(centre, semi_axes, rim_mm: float, ink: Ink) -> tuple[Filling, ...]:
    """A piece of the spine, leaning: bright rim, marrow."""
    return tuple(
        Filling(_solid(centre, tuple(a - less for a in semi_axes), 0.0, SPINE_TILT_DEG), part, 0.35)
        for less, part in ((0.0, RIM), (rim_mm, ink))
    )


def _kidney(centre, semi_axes, rotation_z: float, sinus) -> tuple[Filling, ...]:
    """A kidney with a seam of fat round it and its sinus at a point (slice, row, column)."""
    body = _solid(centre, semi_axes, rotation_z)
    return (
        Filling(grown(body, 1.2), KIDNEY_EDGE, 0.5),
        Filling(body, KIDNEY, 0.9),
        Filling(_solid(sinus, (3.0, 7.0, 7.0), rotation_z), KIDNEY_SINUS, 1.0),
    )


def _walled(hollow: Ellipsoid) -> tuple[Filling, ...]:
    """The stomach: its wall, and what is in it."""
    return Filling(grown(hollow, WALL_MM), WALL, 0.6), Filling(hollow, STOMACH, 1.6)


PLAQUES = tuple(
    Filling(_solid((slice_number, row, column), (semi_x, 1.3, 5.0), turn), Ink(420.0, 20.0), 0.3)
    for slice_number, row, column, semi_x, turn in (
        (150, 258, 284, 4.0, 12.0),
        (160, 262, 287, 4.5, -8.0),
        (180, 270, 284, 5.0, 10.0),
        (188, 277, 289, 4.0, 40.0),
    )
)
"""Calcified patches in the aorta's wall."""
SMALL_LESIONS = (
    Filling(_solid((140, 185, 254), (7.4, 7.0, 8.5)), SMALL_LESION, 0.9),
    Filling(_solid((185.5, 174, 184), (7.6, 6.4, 5.5)), SMALL_LESION, 0.7),
    Filling(_solid((162.5, 339, 112), (4.2, 3.8, 4.0)), SMALL_LESION, 0.7),
)

BASES = {
    "liver": (),
    "thorax": (
        Filling(_solid((205, 350, 253), (80, 40, 22)), LOOSE_FAT, 4.0),
        Filling(_solid((205, 285, 253), (26, 40, 22)), LOOSE_FAT, 4.0),
        *(Filling(_solid((292, 285, column), (16, 80, 52)), CHEST_WALL, 2.5) for column in (70, 437)),
        *(Filling(_solid((316, 396, column), (52, 16, 24)), CHEST_WALL, 2.5) for column in (140, 367)),
    ),
}
"""What lies in the paper under the layers: fat and muscle too faint for an outline."""

STYLES = {
    "liver": {
        "soft": LayerStyle(
            Ink(52.0, 12.0),
            0.3,
            (
                *_walled(_solid((150, 245, 372), (29, 33, 46), -12)),
                *_walled(_solid((128, 225, 378), (26, 34, 20), -20)),
                Filling(_solid((124, 250, 290), (45, 24, 18)), Ink(72.0, 12.0), 5.0),
                *SMALL_LESIONS,
                *SPINAL_CANAL,
            ),
        ),
        "dense": LayerStyle(
            LIVER,
            0.6,
            (
                Filling(_solid((157, 330, 395), (50, 62, 60), 10), SPLEEN, 3.0),
                *_kidney((131, 334, 336), (19, 26, 22), -10, (128, 322, 340)),
                *_kidney((131, 338, 180), (17, 27, 22), 38, (124, 325, 186)),
                *_bone((157, 319, 260), (19.5, 18.2, 400), 2.3, MARROW),
                Filling(_solid((154, 317, 261), (19.5, 15.5, 9), 0.0, SPINE_TILT_DEG), MARROW_AT_PLATE, 2.0),
                *_bone((163.5, 323, 260), (22.5, 17.3, 5.2), 1.9, DISC),
                *_bone((130.0, 303, 260), (22.5, 18.4, 5.4), 1.9, DISC),
                *SPINAL_CANAL,
                *_tube((116, 247, 282), (166, 274, 285), 9.6, Ink(119.0, 11.0)),
                *_tube((173, 277, 283), (204, 289, 277), 9.8, Ink(95.0, 11.0)),
                *PLAQUES,
                *_tube((120, 255, 222), (160, 262, 232), 8.0, Ink(94.0, 11.0), 2.0),
                *LIVER_VESSELS,
                Filling(_solid((170, 185, 265), (38, 26, 30)), Ink(92.0, 12.0), 8.0),
                *SMALL_LESIONS,
            ),
        ),
        "bone": LayerStyle(
            Ink(265.0, 26.0, 0.5), 0.25, (Filling(_solid((157, 345, 259), (36, 42, 400)), Ink(205.0, 26.0, 0.5), 1.0),)
        ),
        "cortex": LayerStyle(
            Ink(680.0, 26.0, 0.5), 0.25, (Filling(_solid((157, 345, 259), (36, 42, 400)), Ink(390.0, 26.0, 0.5), 1.0),)
        ),
    },
    "thorax": {
        "soft": LayerStyle(
            Ink(34.0, 12.0),
            0.5,
            (
                Filling(_solid((196, 290, 253), (170, 170, 38)), Ink(56.0, 12.0), 8.0),
                Filling(_solid((268, 305, 128), (46, 48, 30)), LUNG_LOBE, 7.0),
                Filling(_solid((268, 305, 379), (46, 48, 30)), LUNG_LOBE, 7.0),
                Filling(_solid((322, 345, 253), (150, 60, 26)), Ink(8.0, 12.0), 6.0),
                Filling(_solid((258, 362, 253), (8, 8, 200)), CANAL, 1.5),
            ),
        ),
        "dense": LayerStyle(
            Ink(80.0, 11.5),
            1.0,
            (
                Filling(_solid((240, 230, 253), (56, 54, 44)), Ink(86.0, 10.5), 4.0),
                Filling(_solid((308, 240, 253), (70, 52, 26)), Ink(112.0, 11.0), 6.0),
                Filling(_solid((258, 350, 253), (22, 26, 200)), Ink(122.0, 24.0, 0.7), 1.5),
            ),
        ),
        "bone": LayerStyle(Ink(255.0, 26.0, 0.5), 0.45),
        "cortex": LayerStyle(Ink(480.0, 26.0, 0.5), 0.45),
    },
}


@njit(cache=True, error_model="numpy", nogil=True)
def composite(planes, depth, fill, row0, column0, step, soft_px):
    """Blend `fill` into `planes` (both values, rows, columns) where `depth`, looked up bilinearly, is inside.

    Pixel (j, i) of a plane lies at row0 + j step, column0 + i step of `depth`.
    """
    ny, nx = depth.shape
    for j in range(planes.shape[1]):
        y = min(max(row0 + j * step, 0.0), ny - 1.001)
        jy = int(y)
        wy = np.float32(y - jy)
        for i in range(planes.shape[2]):
            x = min(max(column0 + i * step, 0.0), nx - 1.001)
            ix = int(x)
            wx = np.float32(x - ix)
            upper = depth[jy, ix] + wx * (depth[jy, ix + 1] - depth[jy, ix])
            lower = depth[jy + 1, ix] + wx * (depth[jy + 1, ix + 1] - depth[jy + 1, ix])
            d = (upper + wy * (lower - upper)) / soft_px
            if d > -4.0:
                share = np.float32(1.0) / (np.float32(1.0) + np.exp(np.float32(-1.702) * d))
                for n in range(planes.shape[0]):
                    planes[n, j, i] += share * (fill[n, j, i] - planes[n, j, i])
