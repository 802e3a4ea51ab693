"""Drawing of the printed phantom in HU on a fine grid: paper block, test patterns, liver part, thorax, printed texture.

Sizes, HU and positions were measured on a public series of the phantom (DOI 10.7937/A1V1-RC66, CC BY 4.0). Shapes are
drawn plane by plane with edges blurred by the print; the printed texture is one field of the whole phantom, the same
wherever a slab is cut, since each plane's random numbers come from its own seed.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import erf

from ct4bench.benchmark import ROIS
from ct4bench.geometry import Grid
from ct4bench.phantom import A1_GRID, AIR_HU, BLOCK, PAPER_HU, REGIONS, Ellipsoid, write_phantom_json
from ct4bench.volumes import SUFFIX, save_volume

LOG = logging.getLogger(__name__)

FINE_MM = 0.5
MARGIN_MM = (7.0, 7.0, 7.0)
"""Air round the block on the fine grid (x, y, z)."""
SLAB_MARGIN_MM = 20.0
"""What is drawn beyond a slab on each side: other scanners' grids are tilted against it, and filters reach out."""
PRINT_SIGMA_MM = 0.30
SHEET_SIGMA_MM = 0.25
"""Blur of the print in plane and along z."""
GRAIN_SIGMA_MM = (0.71, 0.30)
"""Gaussian sigma of the printed texture in plane and along z, before any scan."""
SCAN_SIGMA_MM = (0.632, 0.865)
"""What scanner A1's FBP adds in plane and along z: texture SDs are meant as it shows them."""
GRAIN_SEED, BAND_SEED = 11, 12
CHUNK = 24
"""Planes drawn at a time."""

STAR_PAIRS, STAR_CENTRE, STAR_PHASE = 20, (329.4, 132.8), 1.513
GRID_PERIOD = 10.3
ZONE_CENTRE, ZONE_RATE_PER_MM2 = (71.7, 190.2, 132.4), 0.0205
WEDGE = ((122, 13), (140, 51), (160, 95), (200, 170), (250, 262), (300, 355), (350, 463), (390, 547), (397, 552))
PANEL_ROW, PANEL_COLUMNS = 258.0, (201.0, 341.0)


def fine_grid(slab: Grid | None) -> Grid:
    """The fine grid of the whole block with a margin of air, or the part of it that serves a slab of A1's grid."""
    low = np.array(BLOCK.low_mm) - MARGIN_MM
    high = np.array(BLOCK.high_mm) + MARGIN_MM
    count = np.ceil((high - low) / FINE_MM).astype(int) + 1
    first, last = np.zeros(3, int), count
    if slab is not None:
        corners = slab.corners_mm()
        first = np.maximum(np.floor((corners.min(axis=0) - SLAB_MARGIN_MM - low) / FINE_MM).astype(int), 0)
        last = np.minimum(np.ceil((corners.max(axis=0) + SLAB_MARGIN_MM - low) / FINE_MM).astype(int) + 1, count)
    shape = (last - first)[::-1]
    return Grid.axis_aligned(shape, (FINE_MM,) * 3, low + first * FINE_MM)


# ---------------------------------------------------------------------------------------------------- texture
def _whole_plane() -> tuple[int, int]:
    grid = fine_grid(None)
    return grid.shape[1:]


def _gaussian_taps(sigma_px: float, radius: float = 3.5) -> np.ndarray:
    half = int(np.ceil(radius * sigma_px))
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma_px) ** 2)
    return taps / taps.sum()


def grain_unit() -> float:
    """What white noise of unit SD on the fine grid, blurred to the printed grain, is multiplied with so that scanner
    A1's FBP shows it with unit SD."""
    plane = np.hypot(GRAIN_SIGMA_MM[0], SCAN_SIGMA_MM[0])
    along = np.hypot(GRAIN_SIGMA_MM[1], SCAN_SIGMA_MM[1])
    return float(np.sqrt((4 * np.pi) ** 1.5 * plane * plane * along / FINE_MM**3))


def grain_planes(seed: int, first: int, last: int) -> np.ndarray:
    """Printed grain (planes, rows, columns; float32) of planes [first, last) of the whole fine grid, over all of it.

    Scanner A1's FBP shows it with a mean of zero and an SD of 1.
    """
    shape = _whole_plane()
    taps = _gaussian_taps(GRAIN_SIGMA_MM[1] / FINE_MM)
    half = len(taps) // 2
    sigma = GRAIN_SIGMA_MM[0] / FINE_MM
    planes = []
    for number in range(first - half, last + half):
        generator = np.random.Generator(np.random.SFC64([seed, GRAIN_SEED, number + 1000]))
        white = generator.standard_normal(shape, dtype=np.float32)
        planes.append(gaussian_filter(white, sigma, mode="wrap", truncate=3.5))
    out = np.zeros((last - first, *shape), np.float32)
    for k in range(last - first):
        for t, weight in enumerate(taps):
            out[k] += np.float32(weight) * planes[k + t]
    out *= np.float32(grain_unit())
    return out


def sheet_bands(seed: int) -> np.ndarray:
    """Ink of the sheets against their mean (unit SD, slow and fast parts) by plane of the whole fine grid."""
    n = fine_grid(None).shape[0]
    white = np.random.default_rng([seed, BAND_SEED]).standard_normal((2, n))
    slow, fast = gaussian_filter1d(white[0], 5.0 / FINE_MM), gaussian_filter1d(white[1], 1.2 / FINE_MM)
    return 0.8 * slow / slow.std() + 0.6 * fast / fast.std()


# ---------------------------------------------------------------------------------------------------- painting
@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _coverage(depth_in_sigmas):
    """Gaussian-blurred step; a logistic curve within 0.01 of it."""
    return 1.0 / (1.0 + np.exp(-1.702 * depth_in_sigmas))


@njit(cache=True, error_model="numpy", nogil=True)
def _paint_solid(value, texture, origin_y, origin_x, step, z, centre, form, reach, sigma, hu, grain):
    """Blend `hu` into `value` and `grain` into `texture` where the plane at `z` meets an ellipsoid."""
    if abs(z - centre[2]) > reach[2] + 5 * sigma:
        return
    ny, nx = value.shape
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
            depth = (1.0 - rho) * rho / np.sqrt(gx * gx + gy * gy + gz * gz)
            share = _coverage(depth / sigma)
            if share > 1e-3:
                value[j, i] += np.float32(share) * (hu - value[j, i])
                texture[j, i] += np.float32(share) * (grain - texture[j, i])


class Plane:
    """One plane of the fine grid while it is drawn: HU, texture SD, and the texture's local gain and shift."""

    def __init__(self, grid: Grid, number: int):
        self.shape = grid.shape[1:]
        self.x0, self.y0 = float(grid.origin_mm[0]), float(grid.origin_mm[1])
        self.z = float(grid.origin_mm[2] + FINE_MM * number)
        self.value = np.full(self.shape, PAPER_HU, np.float32)
        self.texture = np.full(self.shape, 8.0, np.float32)

    def solid(self, solid: Ellipsoid, hu: float, texture_sd: float, sigma_mm: float = PRINT_SIGMA_MM) -> None:
        """Blend an ellipsoid in."""
        _paint_solid(
            self.value, self.texture, self.y0, self.x0, FINE_MM, self.z, solid.centre_mm, solid.form, solid.reach_mm(),
            sigma_mm, np.float32(hu), np.float32(texture_sd),
        )  # fmt: skip


def grown(solid: Ellipsoid, by_mm: float) -> Ellipsoid:
    """The solid with semi-axes longer by `by_mm`."""
    return Ellipsoid(solid.centre, tuple(a + by_mm for a in solid.semi_axes_mm), solid.rotation_deg)


def _step(distance_mm: np.ndarray, sigma_mm: float = PRINT_SIGMA_MM) -> np.ndarray:
    return 0.5 * (1 + erf(distance_mm / (np.sqrt(2) * sigma_mm)))


# ---------------------------------------------------------------------------------------------------- test patterns
class TestPatterns:
    """The five panels of the first part; all but the zone plate are the same in all planes."""

    TEXTURE_SD_HU = 11.0
    BAND_SD_HU = 4.0

    def __init__(self, grid: Grid):
        ny, nx = grid.shape[1:]
        self.y = grid.origin_mm[1] + FINE_MM * np.arange(ny)[:, None]
        self.x = grid.origin_mm[0] + FINE_MM * np.arange(nx)[None, :]
        _, self.row_mm, _ = _lps(0, PANEL_ROW, 0)
        self.column_mm = [_lps(0, 0, column)[0] for column in PANEL_COLUMNS]
        upper = 1 - _step(self.y - self.row_mm)
        left = 1 - _step(self.x - self.column_mm[0])
        right = _step(self.x - self.column_mm[1])
        self.weights = {
            "zone": upper * left,
            "plain": upper * (1 - left - right),
            "star": (1 - upper) * left,
            "grid": (1 - upper) * (1 - left - right),
            "wedge": np.ones_like(upper) * right,
        }
        self.fixed = (
            self.weights["plain"] * 89.0
            + self.weights["star"] * self._star()
            + self.weights["grid"] * self._dots()
            + self.weights["wedge"] * self._wedge()
        )

    def _damping(self, frequency_per_mm):
        return np.exp(-2 * (np.pi * PRINT_SIGMA_MM * frequency_per_mm) ** 2)

    def _star(self) -> np.ndarray:
        x, y, _ = _lps(0, *STAR_CENTRE)
        radius = np.maximum(np.hypot(self.y - y, self.x - x), 0.5)
        angle = np.arctan2(self.y - y, self.x - x)
        return 80.0 + 92.0 * self._damping(STAR_PAIRS / (2 * np.pi * radius)) * np.cos(STAR_PAIRS * angle - STAR_PHASE)

    def _dots(self) -> np.ndarray:
        period = GRID_PERIOD * A1_GRID.spacing_mm[2]
        x, y, _ = _lps(0, 0, 0)
        along_x = np.cos(2 * np.pi * (self.x - x) / period + 0.879)
        along_y = np.cos(2 * np.pi * (self.y - y) / period - 2.584)
        return 77.5 + self._damping(1 / period) * (36.0 * along_x + 24.0 * along_y)

    def _wedge(self) -> np.ndarray:
        rows, values = np.array(WEDGE, float).T
        at = [_lps(0, row, 0)[1] for row in rows]
        return np.interp(self.y, at, values) + np.zeros_like(self.x)

    def paint(self, plane: Plane) -> None:
        """Draw the panels over the whole plane."""
        x, y, z = _lps(*ZONE_CENTRE)
        squared = (self.y - y) ** 2 + (self.x - x) ** 2 + (plane.z - z) ** 2
        damping = self._damping(ZONE_RATE_PER_MM2 * np.sqrt(squared) / np.pi)
        zone = 87.0 + 60.0 * damping * np.cos(ZONE_RATE_PER_MM2 * squared + 5.693)
        plane.value[:] = self.fixed + self.weights["zone"] * zone
        plane.texture[:] = self.TEXTURE_SD_HU


def _lps(slice_number, row, column) -> np.ndarray:
    return A1_GRID.to_lps([slice_number, row, column])


# ---------------------------------------------------------------------------------------------------- anatomy
LIVER_HU, LIVER_TEXTURE_SD_HU = 86.0, 12.5


def paint_liver_part(plane: Plane) -> None:
    """Draw the abdomen on paper."""
    plane.value[:] = PAPER_HU
    plane.texture[:] = 8.0
    body = Ellipsoid((157, 262, 253), (131.0, 96.0, 400.0))
    plane.solid(body, -80.0, 10.0)
    plane.solid(Ellipsoid((157, 262, 253), (124.0, 90.0, 400.0)), 55.0, 12.0)
    plane.solid(Ellipsoid((157, 262, 253), (116.0, 84.0, 400.0)), -60.0, 12.0)
    plane.solid(Ellipsoid((157, 262, 190), (80.0, 82.0, 300.0)), LIVER_HU, LIVER_TEXTURE_SD_HU)
    plane.solid(Ellipsoid((157, 200, 300), (70.0, 40.0, 300.0)), LIVER_HU, LIVER_TEXTURE_SD_HU)
    plane.solid(Ellipsoid((157, 325, 390), (36.0, 46.0, 60.0)), 86.0, 9.0)
    plane.solid(Ellipsoid((157, 255, 370), (25.0, 32.0, 40.0)), 39.0, 11.0)
    plane.solid(Ellipsoid((157, 275, 286), (10.0, 10.0, 300.0)), 110.0, 11.0)
    plane.solid(Ellipsoid((157, 322, 258), (22.0, 20.0, 300.0)), 350.0, 24.0)
    plane.solid(Ellipsoid((157, 322, 258), (19.0, 17.0, 300.0)), 130.0, 24.0)
    paint_regions(plane)


def paint_regions(plane: Plane) -> None:
    """Lesions and normal regions, a little larger than the ROIs that lie in them."""
    for name, soft_mm, margin_mm in (
        ("normal1", 2.0, 5.0), ("normal2", 2.0, 5.0), ("hemangioma", 0.9, 2.0), ("metastasis", 0.9, 2.0),
        ("cyst1", 0.5, 1.5), ("cyst2", 0.5, 1.5),
    ):  # fmt: skip
        region = REGIONS[name]
        plane.solid(grown(region.solid, margin_mm), region.mean_hu, region.texture_sd_hu, soft_mm)


def paint_thorax(plane: Plane) -> None:
    """Draw the thorax on paper."""
    plane.value[:] = PAPER_HU
    plane.texture[:] = 9.0
    plane.solid(Ellipsoid((245, 230, 250), (50.0, 45.0, 40.0)), 84.0, 10.0)
    plane.solid(Ellipsoid((196, 290, 253), (125.0, 70.0, 25.0)), 75.0, 11.0)
    plane.solid(Ellipsoid((250, 345, 253), (20.0, 22.0, 300.0)), 300.0, 24.0)
    plane.solid(Ellipsoid((250, 345, 253), (17.0, 19.0, 300.0)), 127.0, 24.0)


# ---------------------------------------------------------------------------------------------------- the whole
def grain_corrections(seed: int) -> dict[str, tuple[float, float]]:
    """Gain and shift by region that give the grain, as A1's FBP shows it, a mean of zero and an SD of 1 in it."""
    whole = fine_grid(None)
    out = {}
    for name in ROIS:
        solid = REGIONS[name].solid
        reach, centre = solid.reach_mm() + 4.0, solid.centre_mm
        low = np.floor((centre - reach - whole.origin_mm) / FINE_MM).astype(int)
        high = np.ceil((centre + reach - whole.origin_mm) / FINE_MM).astype(int)
        grain = grain_planes(seed, low[2], high[2])[:, low[1] : high[1], low[0] : high[0]]
        sigma = np.array([SCAN_SIGMA_MM[1], SCAN_SIGMA_MM[0], SCAN_SIGMA_MM[0]]) / FINE_MM
        seen = gaussian_filter(grain, sigma, mode="nearest")
        axes = [whole.origin_mm[a] + FINE_MM * np.arange(low[a], high[a]) - centre[a] for a in (2, 1, 0)]
        away = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., ::-1]
        inside = np.einsum("...i,ij,...j->...", away, solid.form, away) <= 1.0
        gain = 1 / float(seen[inside].std())
        out[name] = (gain, -gain * float(seen[inside].mean()))
    return out


def part_weights(z_mm: float) -> tuple[float, float, float]:
    """Shares of test patterns, liver part and thorax in a plane."""
    liver = float(_step(np.float64(z_mm - BLOCK.liver_mm), SHEET_SIGMA_MM))
    thorax = float(_step(np.float64(z_mm - BLOCK.thorax_mm), SHEET_SIGMA_MM))
    return 1 - liver, liver * (1 - thorax), thorax


def draw_plane(
    grid: Grid, number: int, patterns: TestPatterns, grain: np.ndarray, band: float, corrections
) -> np.ndarray:
    """HU (float32) of one plane of the fine grid; `grain` (rows, columns) and `band` are its printed texture."""
    plane = Plane(grid, number)
    value, texture = np.zeros(plane.shape, np.float32), np.zeros(plane.shape, np.float32)
    weights = part_weights(plane.z)
    banding = 0.0
    for weight, paint in zip(weights, (patterns.paint, paint_liver_part, paint_thorax), strict=True):
        if weight > 1e-4:
            paint(plane)
            value += np.float32(weight) * plane.value
            texture += np.float32(weight) * plane.texture
    banding = weights[0] * TestPatterns.BAND_SD_HU + (weights[1] + weights[2]) * 0.8
    gain, shift = np.ones(plane.shape, np.float32), np.zeros(plane.shape, np.float32)
    for name, (scale, offset) in corrections.items():
        solid = grown(REGIONS[name].solid, 1.0)
        _paint_solid(
            gain, shift, plane.y0, plane.x0, FINE_MM, plane.z, solid.centre_mm, solid.form, solid.reach_mm(), 0.8,
            np.float32(scale), np.float32(offset),
        )  # fmt: skip
    value += texture * (gain * grain + shift) + np.float32(banding * band)
    low, high = BLOCK.low_mm, BLOCK.high_mm
    inside_x = _step(patterns.x - low[0], 0.4) - _step(patterns.x - high[0], 0.4)
    inside_y = _step(patterns.y - low[1], 0.45) - _step(patterns.y - high[1], PRINT_SIGMA_MM)
    inside_z = _step(np.float64(plane.z - low[2]), 1.2) - _step(np.float64(plane.z - high[2]), 1.0)
    return (AIR_HU + (value - AIR_HU) * (inside_x * inside_y * inside_z)).astype(np.float32)


def draw_phantom(slab: tuple[slice, slice, slice] | None, seed: int, folder: Path | str, threads: int = 1) -> None:
    """Draw the phantom, or what serves a slab of A1's grid, and write its folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    slab_grid = None if slab is None else A1_GRID.crop(slab)
    grid, whole = fine_grid(slab_grid), fine_grid(None)
    first = np.rint((grid.origin_mm - whole.origin_mm) / FINE_MM).astype(int)
    corrections = grain_corrections(seed)
    patterns, bands = TestPatterns(grid), sheet_bands(seed)
    volume = np.empty(grid.shape, np.int16)

    def draw(start: int) -> None:
        stop = min(start + CHUNK, grid.shape[0])
        grain = grain_planes(seed, first[2] + start, first[2] + stop)
        grain = grain[:, first[1] : first[1] + grid.shape[1], first[0] : first[0] + grid.shape[2]]
        for k in range(start, stop):
            hu = draw_plane(grid, k, patterns, grain[k - start], bands[first[2] + k], corrections)
            volume[k] = np.rint(hu)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(draw, range(0, grid.shape[0], CHUNK)))
    text = "full" if slab is None else ",".join(f"{s.start}:{s.stop}" for s in slab)
    values = {
        "name": f"drawn {text}",
        "origin": "drawn",
        "seed": seed,
        "slab": None if slab_grid is None else slab_grid.to_dict(),
        "sigma_plane_mm": PRINT_SIGMA_MM,
        "sigma_slice_mm": SHEET_SIGMA_MM,
    }
    save_volume(folder / f"phantom{SUFFIX}", volume, grid, values)
    write_phantom_json(folder, values)
    LOG.info("phantom of %s voxels of %g mm in %s", " x ".join(str(n) for n in grid.shape), FINE_MM, folder)
