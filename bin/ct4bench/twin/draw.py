"""Drawing of the printed phantom in HU on a fine grid: paper block, test patterns, liver part and thorax.

Sizes, HU and positions were measured on a public CT series of the phantom (DOI 10.7937/A1V1-RC66, CC BY 4.0).
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from numba import njit
from scipy.special import erf

from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import (
    A1_GRID,
    AIR_HU,
    BLOCK,
    DOTS_PERIOD_MM,
    FIRST_VOXEL_MM,
    PAPER_HU,
    STAR_CENTRE,
    STAR_PAIRS,
    ZONE_CENTRE,
    ZONE_FREQUENCY,
)
from ct4bench.twin.anatomy import BASES, COLUMNS, ROWS, STYLES, Ink, composite, layers
from ct4bench.twin.copied import PRINT_FILE, CopiedPrint, Copy, read_copy
from ct4bench.twin.outlines import TABLES, read_ribs
from ct4bench.twin.phantom import Ellipsoid, save_phantom
from ct4bench.twin.ribs import rib_sections
from ct4bench.twin.texture import (
    FINE_MM,
    coarse_field,
    coarse_plane,
    grain_planes,
    sheet_bands,
    split,
    whole_grid,
)

LOG = logging.getLogger(__name__)

SLAB_MARGIN_MM = 16.0
"""What is drawn beyond a slab on each side: other scanners' grids are tilted against it, and filters reach out."""
PRINT_SIGMA_MM = 0.30
SHEET_SIGMA_MM = 0.25
"""Blur of the print in plane and along z."""
FACE_SIGMA_MM = 0.2
"""Blur of the block's cut sides."""
CHUNK = 24
"""Planes drawn at a time."""

STAR_PHASE = 1.513
WEDGE = ((122, 13), (140, 51), (160, 95), (200, 170), (250, 262), (300, 355), (350, 463), (390, 547), (397, 552))
"""Row and HU of the wedge."""
PANEL_ROW, PANEL_COLUMNS = 258.0, (201.0, 341.0)
PATTERN_INK = Ink(89.0, 11.0, 0.25)
PATTERN_BAND_HU, ANATOMY_BAND_HU = 20.0, 2.2
"""SD of the sheets' bands in the test patterns and in the anatomy."""
PAPER_INK = {"liver": Ink(-111.0, 10.0, 0.4), "thorax": Ink(-98.0, 10.0, 0.5)}
RIB_INK, RIB_MARROW_INK, RIB_SOFT_MM = Ink(360.0, 26.0, 0.5), Ink(105.0, 22.0, 0.7), 0.45
FAT_INK = Ink(-78.0, 26.0, 0.8)
BODY = Ellipsoid((157.0, 262.0, 253.5), (134.0, 98.0, 900.0))
SKIN_RINGS = ((143.0, 104.0, -50.0), (151.0, 112.0, -62.0))
"""Faint arcs in the paper round the body: semi-axes (x, y) in mm about the body's middle, HU."""


def fine_grid(slab: Grid | None) -> Grid:
    """Return the fine grid of the whole block, or the part of it that serves a slab of A1's grid."""
    whole = whole_grid()
    if slab is None:
        return whole
    corners = slab.corners_mm()
    low = (corners.min(axis=0) - SLAB_MARGIN_MM - whole.origin_mm) / FINE_MM
    high = (corners.max(axis=0) + SLAB_MARGIN_MM - whole.origin_mm) / FINE_MM
    first = np.maximum(np.floor(low).astype(int), 0)[::-1]
    last = np.minimum(np.ceil(high).astype(int) + 1, np.array(whole.shape)[::-1])[::-1]
    return whole.crop(tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True)))


def _lps(slice_number, row, column) -> np.ndarray:
    return A1_GRID.to_lps([slice_number, row, column])


def _step(distance_mm: np.ndarray, sigma_mm: float = PRINT_SIGMA_MM) -> np.ndarray:
    return 0.5 * (1 + erf(distance_mm / (np.sqrt(2) * sigma_mm)))


# ---------------------------------------------------------------------------------------------------- painting
@njit(cache=True, error_model="numpy", nogil=True)
def _paint_solid(planes, origin_y, origin_x, step, z, centre, form, reach, sigma, ink):
    """Blend the values `ink` into `planes` (values, rows, columns) where the plane at `z` meets an ellipsoid."""
    _, ny, nx = planes.shape
    j0 = max(0, int((centre[1] - reach[1] - 5 * sigma - origin_y) / step))
    j1 = min(ny, int((centre[1] + reach[1] + 5 * sigma - origin_y) / step) + 2)
    i0 = max(0, int((centre[0] - reach[0] - 5 * sigma - origin_x) / step))
    i1 = min(nx, int((centre[0] + reach[0] + 5 * sigma - origin_x) / step) + 2)
    dz = z - centre[2]
    for j in range(j0, j1):
        dy = origin_y + step * j - centre[1]
        for i in range(i0, i1):
            dx = origin_x + step * i - centre[0]
            gx = form[0, 0] * dx + form[0, 1] * dy + form[0, 2] * dz
            gy = form[1, 0] * dx + form[1, 1] * dy + form[1, 2] * dz
            gz = form[2, 0] * dx + form[2, 1] * dy + form[2, 2] * dz
            rho = np.sqrt(max(dx * gx + dy * gy + dz * gz, 1e-12))
            depth = (1.0 - rho) * rho / np.sqrt(gx * gx + gy * gy + gz * gz + 1e-30)
            if depth > -4.0 * sigma:
                share = np.float32(1.0 / (1.0 + np.exp(-1.702 * depth / sigma)))
                for n in range(len(ink)):
                    planes[n, j, i] += share * (ink[n] - planes[n, j, i])


class Plane:
    """One plane of the fine grid while it is drawn: HU, and the amplitudes in HU of grain and coarse texture."""

    def __init__(self, shape: tuple[int, int], origin_mm, ink: Ink):
        self.x0, self.y0, self.z = (float(v) for v in origin_mm)
        self.values = np.empty((3, *shape), np.float32)
        self.values[:] = self._amplitudes(ink)[:, None, None]

    @classmethod
    def of(cls, grid: Grid, number: int, ink: Ink) -> "Plane":
        """Make plane `number` of the fine grid, all of one ink."""
        return cls(grid.shape[1:], grid.to_lps([number, 0, 0]), ink)

    @staticmethod
    def _amplitudes(ink: Ink) -> np.ndarray:
        return np.array([ink.hu, *split(ink.texture_sd_hu, ink.coarse_share)], np.float32)

    def like(self, ink: Ink) -> "Plane":
        """Make a plane of one ink at the same position."""
        return Plane(self.values.shape[1:], (self.x0, self.y0, self.z), ink)

    def solid(self, solid: Ellipsoid, ink: Ink, soft_mm: float) -> None:
        """Blend an ellipsoid in."""
        blend(self.values, (self.x0, self.y0, self.z), solid, self._amplitudes(ink), soft_mm)

    def ring(self, semi_x_mm: float, semi_y_mm: float, hu: float, thickness_mm: float = 1.6) -> None:
        """Blend a thin elliptic ring about the body's middle in."""
        x, y, _ = BODY.centre_mm
        _, ny, nx = self.values.shape
        u = (self.x0 + FINE_MM * np.arange(nx)[None, :] - x) / semi_x_mm
        v = (self.y0 + FINE_MM * np.arange(ny)[:, None] - y) / semi_y_mm
        away = (np.sqrt(u * u + v * v) - 1) * min(semi_x_mm, semi_y_mm)
        share = np.exp(-0.5 * (away / (0.5 * thickness_mm)) ** 2).astype(np.float32)
        self.values[0] += (np.float32(hu) - self.values[0]) * share


@lru_cache(maxsize=1024)
def _shape_of(solid: Ellipsoid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return solid.centre_mm, solid.form, solid.reach_mm()


def blend(planes: np.ndarray, origin_mm, solid: Ellipsoid, ink: np.ndarray, soft_mm: float) -> None:
    """Blend one value into each of `planes` (values, rows, columns) inside of a solid; `origin_mm` is (x, y, z)."""
    x0, y0, z = origin_mm
    centre, form, reach = _shape_of(solid)
    if abs(z - centre[2]) <= reach[2] + 5 * soft_mm:
        _paint_solid(planes, y0, x0, FINE_MM, z, centre, form, reach, soft_mm, np.asarray(ink, np.float32))


class TestPatterns:
    """The five panels of the first part; all but the zone plate are the same in all planes."""

    def __init__(self, grid: Grid):
        ny, nx = grid.shape[1:]
        self.y = grid.origin_mm[1] + FINE_MM * np.arange(ny)[:, None]
        self.x = grid.origin_mm[0] + FINE_MM * np.arange(nx)[None, :]
        lower = _step(self.y - _lps(0, PANEL_ROW, 0)[1])
        left, right = (_step(self.x - _lps(0, 0, column)[0]) for column in PANEL_COLUMNS)
        left = 1 - left
        middle = 1 - left - right
        self.zone_share = (1 - lower) * left
        self.fixed = (
            (1 - lower) * middle * PATTERN_INK.hu
            + lower * left * self._star()
            + lower * middle * self._dots()
            + right * self._wedge()
        )

    def _damping(self, frequency_per_mm):
        return np.exp(-2 * (np.pi * PRINT_SIGMA_MM * frequency_per_mm) ** 2)

    def _star(self) -> np.ndarray:
        x, y, _ = _lps(0, *STAR_CENTRE)
        radius = np.maximum(np.hypot(self.y - y, self.x - x), 0.5)
        angle = np.arctan2(self.y - y, self.x - x)
        return 82.0 + 89.5 * self._damping(STAR_PAIRS / (2 * np.pi * radius)) * np.cos(STAR_PAIRS * angle - STAR_PHASE)

    def _dots(self) -> np.ndarray:
        x, y, _ = _lps(0, 0, 0)
        along_x = np.cos(2 * np.pi * (self.x - x) / DOTS_PERIOD_MM + 0.879)
        along_y = np.cos(2 * np.pi * (self.y - y) / DOTS_PERIOD_MM - 2.584)
        return 77.5 + self._damping(1 / DOTS_PERIOD_MM) * (36.0 * along_x + 24.0 * along_y)

    def _wedge(self) -> np.ndarray:
        rows, values = np.array(WEDGE, float).T
        return np.interp(self.y, [_lps(0, row, 0)[1] for row in rows], values)

    def at(self, z_mm: float) -> np.ndarray:
        """Return the HU (rows, columns) of the plane at `z_mm`."""
        x, y, z = _lps(*ZONE_CENTRE)
        radius = np.sqrt((self.y - y) ** 2 + (self.x - x) ** 2 + (z_mm - z) ** 2)
        start, rise = ZONE_FREQUENCY
        phase = 2 * np.pi * (start * radius + 0.5 * rise * radius**2)
        zone = 87.7 + 90.0 * self._damping(start + rise * radius) * np.cos(phase)
        return self.fixed + self.zone_share * zone


def anatomy(grid: Grid, number: int, part: str, tables: Path = TABLES) -> np.ndarray:
    """Draw `liver` or `thorax` on a plane of the fine grid.

    Returns HU, grain and coarse amplitude (3, rows, columns; float32).
    """
    plane = Plane.of(grid, number, PAPER_INK[part])
    if part == "liver":
        plane.solid(BODY, FAT_INK, 3.0)
        for semi_x_mm, semi_y_mm, hu in SKIN_RINGS:
            plane.ring(semi_x_mm, semi_y_mm, hu)
    for filling in BASES[part]:
        plane.solid(filling.solid, filling.ink, filling.soft_mm)
    corner = A1_GRID.to_index([plane.x0, plane.y0, plane.z])
    step = FINE_MM / A1_GRID.spacing_mm[1]
    for name, layer in layers(part, tables).items():
        style = STYLES[part][name]
        fill = plane.like(style.ink)
        for filling in style.fillings:
            fill.solid(filling.solid, filling.ink, filling.soft_mm)
        composite(
            plane.values,
            layer.at(float(corner[0])),
            fill.values,
            corner[1] - ROWS[0],
            corner[2] - COLUMNS[0],
            step,
            np.float32(style.soft_mm / A1_GRID.spacing_mm[1]),
        )
    if part == "thorax":
        for bone, marrow in rib_sections(read_ribs(tables), float(corner[0])):
            plane.solid(bone, RIB_INK, RIB_SOFT_MM)
            if marrow is not None:
                plane.solid(marrow, RIB_MARROW_INK, RIB_SOFT_MM)
    return plane.values


def part_weights(z_mm: float) -> dict[str, float]:
    """Return the shares of test patterns, liver part and thorax in a plane."""
    liver = float(_step(np.float64(z_mm - BLOCK.liver_mm), SHEET_SIGMA_MM))
    thorax = float(_step(np.float64(z_mm - BLOCK.thorax_mm), SHEET_SIGMA_MM))
    return {"test": 1 - liver, "liver": liver * (1 - thorax), "thorax": thorax}


class Drawing:
    """Everything that drawing a plane needs beside its number."""

    def __init__(self, grid: Grid, seed: int, tables: Path = TABLES, copy: Copy | None = None):
        self.grid, self.tables = grid, tables
        self.first = np.rint((grid.origin_mm - whole_grid().origin_mm) / FINE_MM).astype(int)
        self.seed = seed
        self.patterns = TestPatterns(grid)
        self.bands, self.coarse = sheet_bands(seed), coarse_field(seed)
        self.copied = CopiedPrint(read_copy() if copy is None else copy, grid, seed)
        low, high = BLOCK.low_mm, BLOCK.high_mm
        across = _step(self.patterns.x - low[0], FACE_SIGMA_MM) - _step(self.patterns.x - high[0], FACE_SIGMA_MM)
        self.block_share = across * (
            _step(self.patterns.y - low[1], FACE_SIGMA_MM) - _step(self.patterns.y - high[1], PRINT_SIGMA_MM)
        )
        self.ink_share = self._ink_share(self.patterns.x, self.patterns.y)

    @staticmethod
    def _ink_share(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Share of ink by position in plane: the sheets have a bare margin, up to 3 mm wide on the wedge's side."""
        left, right, top = _lps(0, 0, 62.4)[0], _lps(0, 0, 443.0)[0], _lps(0, 121.0, 0)[1]
        across = _step(x - left, 0.8) * _step(right - x, 0.6) * (1 - 0.25 * np.exp(-np.maximum(x - left, 0) / 2.5))
        return across * _step(y - top, 0.7) * (1 - 0.45 * np.exp(-np.maximum(y - top, 0) / 2.5))

    def planes(self, start: int, stop: int) -> np.ndarray:
        """Draw some planes of the fine grid: HU (planes, rows, columns; int16)."""
        x0, y0, z0 = self.first
        window = (slice(y0, y0 + self.grid.shape[1]), slice(x0, x0 + self.grid.shape[2]))
        grain = grain_planes(self.seed, z0 + start, z0 + stop)
        out = np.empty((stop - start, *self.grid.shape[1:]), np.int16)
        for k in range(stop - start):
            coarse = coarse_plane(self.coarse, z0 + start + k)[window]
            out[k] = np.rint(self.plane(start + k, grain[k][window], coarse))
        return out

    def plane(self, number: int, grain: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """Draw one plane of the fine grid with its texture: HU (rows, columns)."""
        z = self.grid.to_lps([number, 0, 0])[2]
        weights = part_weights(z)
        values = np.zeros((3, *self.grid.shape[1:]), np.float32)
        for part, weight in weights.items():
            if weight < 1e-4:
                continue
            if part == "test":
                fine, uneven = split(PATTERN_INK.texture_sd_hu, PATTERN_INK.coarse_share)
                values[0] += np.float32(weight) * self.patterns.at(z).astype(np.float32)
                values[1] += np.float32(weight * fine)
                values[2] += np.float32(weight * uneven)
            else:
                values += np.float32(weight) * anatomy(self.grid, number, part, self.tables)
        hu = values[0] + values[1] * grain + values[2] * coarse
        band = weights["test"] * PATTERN_BAND_HU + (1 - weights["test"]) * ANATOMY_BAND_HU
        hu += np.float32(band * self.bands[self.first[2] + number])
        self.copied.blend(hu, number)
        from_first, to_last = z - BLOCK.low_mm[2], BLOCK.high_mm[2] - z
        ink = self.ink_share * np.clip(1 - 1.6 * np.exp(-from_first / 2.5), 0, 1)
        hu = PAPER_HU + (hu - PAPER_HU) * ink
        along = _step(np.float64(from_first), 1.0) * _step(np.float64(to_last), 1.0)
        along *= 1 - 0.06 * np.exp(-max(to_last, 0.0) / 3.0)
        return AIR_HU + (hu - AIR_HU) * (self.block_share * along)


def draw_phantom(
    slab: tuple[slice, slice, slice] | None,
    seed: int,
    folder: Path | str,
    threads: int = 1,
    tables: Path = TABLES,
    print_file: Path = PRINT_FILE,
) -> None:
    """Draw the phantom, or what serves a slab of A1's grid, from a folder of tables and the copied print of its
    regions, and write its folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    slab_grid = None if slab is None else A1_GRID.crop(slab)
    grid = fine_grid(slab_grid)
    copy = read_copy(print_file)
    drawing = Drawing(grid, seed, tables, copy)
    volume = np.empty(grid.shape, np.int16)

    def draw(start: int) -> None:
        stop = min(start + CHUNK, grid.shape[0])
        volume[start:stop] = drawing.planes(start, stop)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(draw, range(0, grid.shape[0], CHUNK)))
    text = "full" if slab is None else ",".join(f"{s.start}:{s.stop}" for s in slab)
    values = {
        "name": f"drawn {text}",
        "origin": "drawn",
        "seed": seed,
        "slab": None if slab_grid is None else slab_grid.to_dict(),
        "box_origin_mm": list(FIRST_VOXEL_MM),
        "sigma_plane_mm": PRINT_SIGMA_MM,
        "sigma_slice_mm": SHEET_SIGMA_MM,
    }
    save_phantom(folder, volume, grid, copy, values)
    LOG.info("phantom of %s voxels of %g mm in %s", " x ".join(str(n) for n in grid.shape), FINE_MM, folder)
