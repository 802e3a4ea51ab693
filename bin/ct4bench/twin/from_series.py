"""The phantom made from a real series: its noise taken away, its block cut out, the grain that went with the noise
drawn anew.

Noise is reduced by a mean over neighbours that weighs each by how close it is in a smoothed guide (a bilateral filter
with a guide; Tomasi and Manduchi, ICCV 1998, for the principle), which keeps edges and wears flat parts down to a few
HU. What is left of texture and noise in the large cyst is measured, and printed grain is added up to the texture SD
that every scanner model counts on; so a simulated series has the SD that its model states.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numba import njit
from scipy.ndimage import correlate1d, gaussian_filter
from scipy.special import erf

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import A1_GRID, AIR_HU, BLOCK, FIRST_VOXEL_MM
from ct4bench.index.ct import read_series
from ct4bench.index.tree import read_tree
from ct4bench.preprocess.block import Block
from ct4bench.preprocess.find_block import find_block
from ct4bench.twin.copied import PRINT_FILE, read_copy
from ct4bench.twin.phantom import save_phantom
from ct4bench.twin.scanners import REFERENCE, TEXTURE_SD_HU, read_scanners

LOG = logging.getLogger(__name__)

REACH = (2, 3, 3)
STRIDE = 2
"""Neighbours that the mean takes in on each side along (slice, row, column), every second one: noise of a CT series is
so correlated that those between say the same."""
GUIDE_SIGMA = (1.8, 1.1, 1.1)
"""Gaussian sigma in voxels of the guide."""
CLOSE_HU = 20.0
"""Difference in the guide at which a neighbour's weight is a quarter."""
SIGMA_PLANE_MM, SIGMA_SLICE_MM = 0.70, 0.90
"""Sharpness of the real series, measured at steps of its test patterns."""
GRAIN_SIGMA_MM = (1.06, 0.95)
"""Sigma of the printed grain as that series shows it, in plane and along z."""
KEPT_SIGMA_MM = (2.5, 2.4)
"""Sigma of the mean that reduces noise, in plane and along z: what is coarser stays, so no grain is added there."""
KEEP_MM = (2.5, 4.5)
"""Beyond a face the series is kept up to the first distance and gone at the second."""
SAME_POSITION_MM = 3.0
"""A block nearer than this to the phantom's own position is taken to lie there."""
SLAB_MARGIN_MM = 16.0
AIR_MARGIN_MM = 8.0
"""Air kept round the block."""
CYST_CENTRE, CYST_MM = (157.0, 180.0, 322.0), 16.0
"""Middle (slice, row, column) of the large cyst, and how far its inside reaches at least."""
CHUNK = 16
LIKE_SEED = 17


def read_one_series(folder: Path | str, threads: int = 1) -> tuple[np.ndarray, Grid, str]:
    """Read voxels (int16 HU), grid and UID of the one CT series below a folder."""
    found = read_tree([folder], threads).series
    if len(found) != 1:
        raise UserError(
            f"{folder} holds {len(found)} readable CT series; --like takes a folder with exactly one series of the "
            "phantom"
        )
    uid, series = next(iter(found.items()))
    try:
        volume, grid = read_series([Path(folder) / file.folder / file.name for file in series.files], threads)
    except Refusal as error:
        raise UserError(f"{folder}: {error} ({error.reason}); --like needs a whole, regular series") from error
    return volume, grid, uid


@njit(cache=True, error_model="numpy", nogil=True)
def _guided_mean(volume, guide, first, reach, stride, spatial, close_hu, out):
    nz, ny, nx = volume.shape
    scale = np.float32(1.0) / (close_hu * close_hu)
    weights, sums = np.empty(nx, np.float32), np.empty(nx, np.float32)
    for k in range(out.shape[0]):
        for j in range(ny):
            weights[:] = 0.0
            sums[:] = 0.0
            here = guide[first + k, j]
            for dk in range(-reach[0], reach[0] + 1):
                z = min(max(first + k + stride * dk, 0), nz - 1)
                for dj in range(-reach[1], reach[1] + 1):
                    y = min(max(j + stride * dj, 0), ny - 1)
                    there, values = guide[z, y], volume[z, y]
                    for di in range(-reach[2], reach[2] + 1):
                        space = spatial[dk + reach[0], dj + reach[1], di + reach[2]]
                        shift = stride * di
                        for i in range(max(0, -shift), min(nx, nx - shift)):
                            away = there[i + shift] - here[i]
                            near = np.float32(1.0) / (np.float32(1.0) + away * away * scale)
                            weight = space * near * near
                            weights[i] += weight
                            sums[i] += weight * np.float32(values[i + shift])
            for i in range(nx):
                out[k, j, i] = sums[i] / weights[i]


def reduce_noise(volume: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return the volume (slices, rows, columns; float32 HU) without most of its noise, edges kept."""
    out = np.empty(volume.shape, np.float32)
    axes = np.meshgrid(*(np.arange(-n, n + 1) / (0.6 * n) for n in REACH), indexing="ij")
    spatial = np.exp(-0.5 * sum(a**2 for a in axes)).astype(np.float32)
    halo = STRIDE * REACH[0] + 6

    def part(start: int) -> None:
        stop = min(start + CHUNK, len(volume))
        low, high = max(start - halo, 0), min(stop + halo, len(volume))
        window = volume[low:high]
        guide = gaussian_filter(window.astype(np.float32), GUIDE_SIGMA, mode="nearest")
        _guided_mean(window, guide, start - low, REACH, STRIDE, spatial, np.float32(CLOSE_HU), out[start:stop])

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(part, range(0, len(volume), CHUNK)))
    return out


def cut_out(volume: np.ndarray, grid: Grid, block: Block) -> None:
    """Leave only the block in `volume` (float32 HU, in place): air beyond its faces.

    At the bottom, where board and block blur into each other, the block's inside goes on to the face and ends there as
    sharp as the series is.
    """
    indices = [np.arange(n, dtype=np.float32) for n in grid.shape]
    bottom = None
    for face in block.faces:
        if face.cut:
            continue
        if (face.axis, face.side) == (1, 1):
            bottom = face
            continue
        normal = np.array(face.normal) @ grid.affine[:3, :3]
        offset = face.offset_mm - np.array(face.normal) @ grid.origin_mm
        plane = normal[1] * indices[1][:, None] + normal[2] * indices[2][None, :]
        for k in range(len(volume)):
            beyond = plane + normal[0] * k - offset
            share = np.clip((KEEP_MM[1] - beyond) / (KEEP_MM[1] - KEEP_MM[0]), 0, 1)
            volume[k] = AIR_HU + (volume[k] - AIR_HU) * share
    if bottom is None:
        return
    step = grid.spacing_mm[1]
    normal = np.array(bottom.normal) @ grid.affine[:3, :3]
    offset = bottom.offset_mm - np.array(bottom.normal) @ grid.origin_mm
    for k in range(len(volume)):
        last = (offset - normal[0] * k - normal[2] * indices[2]) / normal[1] - 3.0 * SIGMA_PLANE_MM / step
        row = np.clip(np.floor(last).astype(int), 0, grid.shape[1] - 1)
        inside = volume[k][row, np.arange(grid.shape[2])]
        below = indices[1][:, None] > row[None, :]
        volume[k] = np.where(below, inside[None, :], volume[k])
        depth = offset - normal[0] * k - normal[1] * indices[1][:, None] - normal[2] * indices[2][None, :]
        share = 0.5 * (1 + erf(depth / (np.sqrt(2) * SIGMA_PLANE_MM)))
        volume[k] = np.where(below, AIR_HU + (volume[k] - AIR_HU) * share, volume[k])


def _gaussian_taps(sigma: float) -> np.ndarray:
    half = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def grain_kernels(spacing_mm) -> list[list[np.ndarray]]:
    """Return the taps (along slice, row, column) of the two blurs of white noise, the grain's and that less what was
    kept of it; the first less the second gives grain without what is coarse."""
    plane, along = GRAIN_SIGMA_MM
    coarse = (np.hypot(plane, KEPT_SIGMA_MM[0]), np.hypot(along, KEPT_SIGMA_MM[1]))
    return [
        [_gaussian_taps(sigma / step) for sigma, step in zip((z, xy, xy), spacing_mm, strict=True)]
        for xy, z in ((plane, along), coarse)
    ]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of the products of two symmetric sets of taps."""
    short, long = sorted((one, other), key=len)
    trim = (len(long) - len(short)) // 2
    return float(short @ long[trim : len(long) - trim])


def _grain_sd(kernels) -> float:
    """SD of the difference of the two blurs of white noise of unit SD."""
    fine, coarse = kernels
    products = [
        np.prod([_overlap(a, b) for a, b in zip(*pair, strict=True)])
        for pair in ((fine, fine), (coarse, coarse), (fine, coarse))
    ]
    return float(np.sqrt(products[0] + products[1] - 2 * products[2]))


def add_grain(volume: np.ndarray, grid: Grid, first: int, sd_hu: float, seed: int) -> None:
    """Add printed grain to `volume` (float32, in place) in proportion to what is there above air.

    `first` is the number of its first slice in the whole series, so that a slab has the grain of the whole.
    """
    kernels = grain_kernels(grid.spacing_mm)
    unit = np.float32(1 / _grain_sd(kernels))
    half = max(len(taps[0]) for taps in kernels) // 2
    weights = [np.pad(taps[0], half - len(taps[0]) // 2) for taps in kernels]
    fields = np.zeros((2, 2 * half + 1, *volume.shape[1:]), np.float32)
    for n in range(-half, len(volume) + half):
        generator = np.random.Generator(np.random.SFC64([seed, LIKE_SEED, first + n + 1000]))
        white = generator.standard_normal(volume.shape[1:], dtype=np.float32)
        slot = (n + half) % (2 * half + 1)
        for field, (_, rows, columns) in zip(fields, kernels, strict=True):
            correlate1d(correlate1d(white, rows, axis=0, mode="wrap"), columns, axis=1, mode="wrap", output=field[slot])
        k = n - half
        if k >= 0:
            # The fields are rings: their oldest plane follows the newest.
            fine, coarse = (
                np.tensordot(np.roll(taps, slot + 1), field, axes=1)
                for taps, field in zip(weights, fields, strict=True)
            )
            share = np.clip((volume[k] - AIR_HU) / (-100.0 - AIR_HU), 0, 1)
            volume[k] += np.float32(sd_hu) * unit * (fine - coarse) * share


def cyst_sd_hu(volume: np.ndarray, grid: Grid) -> float:
    """Return the SD in HU within CYST_MM of the middle of the large cyst."""
    centre = grid.to_index(A1_GRID.to_lps(CYST_CENTRE))
    reach = CYST_MM / np.array(grid.spacing_mm)
    low, high = np.ceil(centre - reach).astype(int), np.floor(centre + reach).astype(int) + 1
    if np.any(low < 0) or np.any(high > grid.shape):
        return float("nan")
    axes = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    away = (np.stack(axes, axis=-1) - centre) * np.array(grid.spacing_mm)
    inside = (away**2).sum(axis=-1) <= CYST_MM**2
    return float(volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside].std())


def _shift_to_phantom(block: Block) -> np.ndarray:
    """Translation in mm from the series' frame to the phantom's; none where the block lies there already."""
    centre, own = np.array(block.centre_mm), np.array(BLOCK.centre_mm)
    if any(face.cut for face in block.faces):
        return np.zeros(3)
    shift = own - centre
    return shift if np.abs(shift).max() > SAME_POSITION_MM else np.zeros(3)


def phantom_from_series(
    series_folder,
    slab: tuple[slice, slice, slice] | None,
    seed: int,
    folder: Path | str,
    threads: int = 1,
    print_file: Path = PRINT_FILE,
) -> None:
    """Make the phantom's folder from a real series, or from what serves a slab of A1's grid."""
    volume, grid, uid = read_one_series(series_folder, threads)
    block = find_block(volume, grid)
    affine = grid.affine.copy()
    affine[:3, 3] += _shift_to_phantom(block)
    placed = Grid(grid.shape, affine)
    margin = np.ceil(AIR_MARGIN_MM / np.array(grid.spacing_mm)).astype(int)
    low = np.maximum([a for a, _ in block.box] - margin, 0)
    high = np.minimum([b for _, b in block.box] + margin, grid.shape)
    slab_grid = None if slab is None else A1_GRID.crop(slab)
    if slab_grid is not None:
        margin = np.ceil(SLAB_MARGIN_MM / np.array(placed.spacing_mm)).astype(int)
        index = placed.to_index(slab_grid.corners_mm())
        low = np.maximum(low, np.floor(index.min(axis=0)).astype(int) - margin)
        high = np.minimum(high, np.ceil(index.max(axis=0)).astype(int) + margin + 1)
        if np.any(high <= low):
            raise UserError(f"the slab lies outside of the series in {series_folder}; choose one that meets its block")
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    own, placed = grid.crop(box), placed.crop(box)
    clean = reduce_noise(volume[box], threads)
    del volume
    cut_out(clean, own, block)
    left = cyst_sd_hu(clean, placed)
    grain_sd = float(np.sqrt(max(TEXTURE_SD_HU**2 - left**2, 0.0))) if np.isfinite(left) else 0.0
    add_grain(clean, placed, box[0].start, grain_sd, seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = "full" if slab is None else ",".join(f"{s.start}:{s.stop}" for s in slab)
    values = {
        "name": f"like {uid} {text}",
        "origin": uid,
        "seed": seed,
        "slab": None if slab_grid is None else slab_grid.to_dict(),
        "box_origin_mm": list(FIRST_VOXEL_MM),
        "sigma_plane_mm": SIGMA_PLANE_MM,
        "sigma_slice_mm": SIGMA_SLICE_MM,
        "shading_hu": read_scanners()[REFERENCE].shading_hu,
        "left_sd_hu": round(left, 4),
        "added_grain_sd_hu": round(grain_sd, 4),
    }
    save_phantom(folder, np.rint(clean).astype(np.int16), placed, read_copy(print_file), values)
    LOG.info("phantom from series %s: %.1f HU of texture and noise left, %.1f HU of grain added", uid, left, grain_sd)
