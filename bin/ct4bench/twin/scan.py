"""The scan of the printed phantom by a scanner model: from the drawn object to HU on the scanner's own grid.

A scan is linear in the object until the pixels are rounded. What each reconstruction shows is

    HU = PSF * (shading x calibrated block + board + couch) + quantum noise,

where PSF is a Gaussian in plane and along z that makes up the scanner's sharpness together with the blur which the
drawn object has already, and the noise is one white field of the scan, filtered by the reconstruction's own noise
power spectrum. The object is sampled through the scanner's pose by cubic B-splines whose prefilter is merged with the
PSF, so that the only blur is the one stated.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from scipy import fft
from scipy.special import erf

from ct4bench.core.benchmark import PIXEL_MM
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.phantom import AIR_HU, BLOCK
from ct4bench.twin.noise import (
    filter_slices,
    frequencies,
    noise_along_z,
    noise_in_plane,
    streak_power,
    streaks_in_plane,
)
from ct4bench.twin.phantom import Phantom
from ct4bench.twin.scanners import MATRIX, Scanner
from ct4bench.twin.shading import BODY

PAD = 8
"""Pixels round the image that keep the periodic filters' wrap out of it."""
MIN_HU, MAX_HU = -1024, 3071
TABLE_STEP_MM = 0.05


# ---------------------------------------------------------------------------------------------------- geometry
def pose(scanner: Scanner) -> Rigid:
    """Return the motion from the phantom's frame to the scanner's patient coordinates, about the block's centre."""
    centre = np.array(BLOCK.centre_mm)
    at = np.array([scanner.shift_mm[0], scanner.image_centre_y_mm + scanner.shift_mm[1], scanner.table_z_mm])
    shift = np.round(at - centre, 6)
    return Rigid(scanner.rotation_deg, tuple(float(v) for v in shift), BLOCK.centre_mm)


def full_grid(scanner: Scanner) -> Grid:
    """Return the scanner's whole image stack: 512 x 512 pixels of a 350 mm field, its slices centred on the block."""
    corner = -(MATRIX - 1) / 2 * PIXEL_MM
    first = _first_slice_mm(scanner)
    origin = (corner, scanner.image_centre_y_mm + corner, first)
    shape = (scanner.n_slices, MATRIX, MATRIX)
    return Grid.axis_aligned(shape, (scanner.increment_mm, PIXEL_MM, PIXEL_MM), origin)


def _first_slice_mm(scanner: Scanner) -> float:
    # A1's first slice lies 172.8 mm before the block's centre and 1.8 mm off the middle; the others' near the middle.
    if scanner.code == "A1":
        return 24.0
    return float(np.round(scanner.table_z_mm - 0.5 * (scanner.n_slices - 1) * scanner.increment_mm, 1))


def scan_box(scanner: Scanner, phantom: Phantom) -> tuple[slice, slice, slice]:
    """Return the part of the scanner's grid that covers the phantom's slab (all of it for a whole phantom)."""
    grid = full_grid(scanner)
    if phantom.slab is None:
        return tuple(slice(0, n) for n in grid.shape)
    index = grid.to_index(pose(scanner)(phantom.slab.corners_mm()))
    low = np.maximum(np.floor(index.min(axis=0) + 1e-6).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0) - 1e-6).astype(int) + 1, grid.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


# ---------------------------------------------------------------------------------------------------- object
@lru_cache
def spline_taps(sigma_px: float) -> np.ndarray:
    """Return the symmetric FIR (float32, odd length): Gaussian of `sigma_px` samples, times the cubic B-spline's
    prefilter.

    Interpolating its output with cubic B-splines gives the Gaussian-blurred signal. Unit sum.
    """
    n = 512
    frequency = np.fft.fftfreq(n)
    spline = (2 + np.cos(2 * np.pi * frequency)) / 3
    response = np.fft.ifft(np.exp(-2 * (np.pi * sigma_px * frequency) ** 2) / spline).real
    half = int(np.flatnonzero(np.abs(response[: n // 2]) > 3e-5 * response[0])[-1])
    taps = np.concatenate([response[half:0:-1], response[: half + 1]])
    return (taps / taps.sum()).astype(np.float32)


@njit(cache=True, error_model="numpy", nogil=True)
def _filter_plane(volume, taps_y, taps_x):
    """Filter the rows and columns of each slice in place; zero beyond the ends."""
    nz, ny, nx = volume.shape
    half_y, half_x = len(taps_y) // 2, len(taps_x) // 2
    wide = np.zeros((ny, nx + 2 * half_x), np.float32)
    for k in range(nz):
        for j in range(ny):
            line = wide[j, half_x : half_x + nx]
            line[:] = 0.0
            for t in range(len(taps_y)):
                source = j + t - half_y
                if 0 <= source < ny:
                    weight = taps_y[t]
                    other = volume[k, source]
                    for i in range(nx):
                        line[i] += weight * other[i]
        for j in range(ny):
            line = volume[k, j]
            line[:] = 0.0
            for t in range(len(taps_x)):
                weight = taps_x[t]
                other = wide[j, t : t + nx]
                for i in range(nx):
                    line[i] += weight * other[i]


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _weights(t):
    u = np.float32(1.0) - t
    w0 = u * u * u * np.float32(1 / 6)
    w3 = t * t * t * np.float32(1 / 6)
    w1 = np.float32(2 / 3) - t * t * (np.float32(1.0) - np.float32(0.5) * t)
    return w0, w1, np.float32(1.0) - w0 - w1 - w3, w3


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _line(row, i, x0, x1, x2, x3):
    return x0 * row[i] + x1 * row[i + 1] + x2 * row[i + 2] + x3 * row[i + 3]


@njit(cache=True, error_model="numpy", nogil=True)
def _sample_cubic(coefficients, matrix, offset, out):
    """Cubic B-spline values at matrix @ (k, j, i) + offset; what lies outside stays as it is in `out`."""
    nz, ny, nx = coefficients.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                z = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + offset[0]
                y = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + offset[1]
                x = matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + offset[2]
                kz, ky, kx = int(np.floor(z)) - 1, int(np.floor(y)) - 1, int(np.floor(x)) - 1
                if kz < 0 or ky < 0 or kx < 0 or kz + 3 >= nz or ky + 3 >= ny or kx + 3 >= nx:
                    continue
                x0, x1, x2, x3 = _weights(np.float32(x - kx - 1))
                y0, y1, y2, y3 = _weights(np.float32(y - ky - 1))
                z0, z1, z2, z3 = _weights(np.float32(z - kz - 1))
                total = np.float32(0)
                for d in range(4):
                    wz = z0 if d == 0 else (z1 if d == 1 else (z2 if d == 2 else z3))
                    plane = coefficients[kz + d]
                    total += wz * (
                        y0 * _line(plane[ky], kx, x0, x1, x2, x3)
                        + y1 * _line(plane[ky + 1], kx, x0, x1, x2, x3)
                        + y2 * _line(plane[ky + 2], kx, x0, x1, x2, x3)
                        + y3 * _line(plane[ky + 3], kx, x0, x1, x2, x3)
                    )
                out[k, j, i] = total


def _edge_table(low_mm: float, high_mm: float, sigma_mm: float, start_mm: float, length: int) -> np.ndarray:
    """Box from `low_mm` to `high_mm` blurred by a Gaussian, at `start_mm` + n * TABLE_STEP_MM."""
    at = start_mm + TABLE_STEP_MM * np.arange(length)
    scale = 1 / (np.sqrt(2) * sigma_mm)
    return (0.5 * (erf((at - low_mm) * scale) - erf((at - high_mm) * scale))).astype(np.float32)


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _look_up(table, at):
    at = min(max(at, 0.0), len(table) - 1.001)
    n = int(at)
    return table[n] + np.float32(at - n) * (table[n + 1] - table[n])


@njit(cache=True, error_model="numpy", nogil=True)
def _add_boxes(
    out, matrix, offset, block_x, block_y, block_z, board_y, board_z, starts, step, slope, constant, board, body,
    along, shading, level,
):  # fmt: skip
    """out = (slope out + constant * block box) * (1 + shading) + board * board box, boxes in the phantom's frame by
    their tables; `body` is the middle and the inverse half width that shading follows, `along` its table along z."""
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                at_x = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + offset[0]
                at_y = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + offset[1]
                x, y = (at_x - starts[0]) / step, (at_y - starts[1]) / step
                z = (matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + offset[2] - starts[2]) / step
                value = slope * out[k, j, i]
                if constant != 0.0:
                    value += constant * _look_up(block_x, x) * _look_up(block_y, y) * _look_up(block_z, z)
                squared = min(((at_x - body[0]) * body[1]) ** 2, 1.0)
                squared *= squared
                value *= np.float32(1.0) + (shading * np.float32(squared * squared) - level) * _look_up(along, z)
                out[k, j, i] = value + board * _look_up(board_y, y) * _look_up(board_z, z)


def couch_image(scanner: Scanner, sigma_mm: float) -> np.ndarray:
    """Return the couch (HU above air, float32, 512 x 512) as the scanner shows it: arcs, the same in all slices."""
    fine = 4
    step = PIXEL_MM / fine
    half = MATRIX * PIXEL_MM / 2
    y = (np.arange(MATRIX * fine) + 0.5) * step - half
    rows = np.flatnonzero(y > 60.0)[0] // fine
    image = np.zeros((MATRIX, MATRIX))
    yy, xx = y[rows * fine :, None], y[None, :]
    for low, radius, thickness, hu in scanner.couch.arcs:
        distance = np.abs(np.hypot(xx, yy - (low - radius)) - radius)
        part = np.where((yy > low - radius) & (distance < thickness / 2), hu - AIR_HU, 0.0)
        image[rows:] += part.reshape(MATRIX - rows, fine, MATRIX, fine).mean(axis=(1, 3))
    frequency = np.hypot(np.fft.fftfreq(MATRIX, PIXEL_MM)[:, None], np.fft.rfftfreq(MATRIX, PIXEL_MM)[None])
    # The pixel's box is part of the blur already.
    blur = np.sqrt(max(sigma_mm**2 - PIXEL_MM**2 / 12, 0.0))
    spectrum = fft.rfft2(np.pad(image, ((0, 0), (0, 0)))) * np.exp(-2 * (np.pi * blur * frequency) ** 2)
    return fft.irfft2(spectrum, s=image.shape).astype(np.float32)


@dataclass(frozen=True)
class Scan:
    """Everything about one scanner and phantom that does not depend on the block of slices."""

    scanner: Scanner
    phantom: Phantom
    grid: Grid
    """The images' grid."""
    padded: Grid
    """The same with `PAD` pixels more on each side in plane, to a size that the FFT likes."""
    motion: Rigid
    base_sigma_mm: float
    """In-plane sigma that the object is sampled with; the reconstructions' are at least that."""
    environment: np.ndarray
    """Couch on the padded grid (rows, columns), HU above air."""
    noise_plane: np.ndarray
    """Noise SD relative to the large cyst's by position in plane, on the images' grid."""
    streaks: np.ndarray
    """Strength of the noise's diagonal streaks by position in plane, on the images' grid."""
    outside: np.ndarray
    """Pixels outside of the reconstruction circle (bool), on the images' grid."""

    def inner(self, images: np.ndarray) -> np.ndarray:
        """Return the images (slices, rows, columns) of the padded grid, cut to the images' grid."""
        return images[:, PAD : PAD + self.grid.shape[1], PAD : PAD + self.grid.shape[2]]


def prepare_scan(scanner: Scanner, phantom: Phantom) -> Scan:
    """Set up the grids and the images that all slices share."""
    whole = full_grid(scanner)
    box = scan_box(scanner, phantom)
    grid = whole.crop(box)
    size = [fft.next_fast_len(n + 2 * PAD, real=True) for n in grid.shape[1:]]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps([0, -PAD, -PAD])
    padded = Grid((grid.shape[0], *size), affine)
    sigmas = [r.sigma_mm for r in scanner.reconstructions.values()]
    base = max(min(sigmas), phantom.sigma_plane_mm)
    couch = couch_image(scanner, base)
    rows = np.clip(np.arange(size[0]) + box[1].start - PAD, 0, MATRIX - 1)
    columns = np.clip(np.arange(size[1]) + box[2].start - PAD, 0, MATRIX - 1)
    environment = np.ascontiguousarray(couch[np.ix_(rows, columns)])
    position_mm = grid.to_lps(np.stack(np.meshgrid([0], *(np.arange(n) for n in grid.shape[1:]), indexing="ij"), -1))[0]
    motion = pose(scanner)
    radius = np.hypot(position_mm[..., 0], position_mm[..., 1] - scanner.image_centre_y_mm)
    return Scan(
        scanner,
        phantom,
        grid,
        padded,
        motion,
        base,
        environment,
        noise_in_plane(position_mm, motion),
        streaks_in_plane(position_mm, motion),
        radius > scanner.field_radius_mm,
    )


def object_slices(scan: Scan, first: int, last: int) -> np.ndarray:
    """Return the noise-free HU (float32) of the slices [first, last) on the padded grid, as sharp as the sharpest
    reconstruction; slices may lie beyond the images.

    Block, calibrated, board and couch, in air.
    """
    scanner, phantom = scan.scanner, scan.phantom
    affine = scan.padded.affine.copy()
    affine[:3, 3] = scan.padded.to_lps([first, 0, 0])
    block = Grid((last - first, *scan.padded.shape[1:]), affine)
    back = scan.motion.inverse()
    fine = phantom.grid
    to_fine = np.linalg.inv(fine.affine[:3, :3])
    matrix = to_fine @ back.matrix @ block.affine[:3, :3]
    offset = to_fine @ (back(block.affine[:3, 3]) - fine.affine[:3, 3])
    corners = np.array(
        [[k, j, i] for k in (0, last - first - 1) for j in (0, block.shape[1]) for i in (0, block.shape[2])]
    )
    reach = corners @ matrix.T + offset
    low, high = int(np.floor(reach[:, 0].min())) - 2, int(np.ceil(reach[:, 0].max())) + 3
    low, high = max(low, 0), min(high, fine.shape[0])
    out = np.zeros(block.shape, np.float32)
    if high - low >= 4:
        spacing = fine.spacing_mm
        extra_z = np.sqrt(max(scanner.slice_sigma_mm**2 - phantom.sigma_slice_mm**2, 0.0))
        extra = np.sqrt(max(scan.base_sigma_mm**2 - phantom.sigma_plane_mm**2, 0.0))
        taps_z = spline_taps(round(float(extra_z / spacing[0]), 9))
        half = len(taps_z) // 2
        start, stop = max(low - half, 0), min(high + half, fine.shape[0])
        source = phantom.read((slice(start, stop), slice(None), slice(None)))
        coefficients = np.empty((high - low, *fine.shape[1:]), np.float32)
        # The taps have unit sum: from here on HU count from air.
        filter_slices(source, taps_z, low - half - start, np.float32(-AIR_HU), coefficients)
        del source
        _filter_plane(
            coefficients,
            spline_taps(round(float(extra / spacing[1]), 9)),
            spline_taps(round(float(extra / spacing[2]), 9)),
        )
        _sample_cubic(coefficients, matrix, offset - np.array([low, 0, 0]), out)
        del coefficients
    _add_board(scan, block, back, out)
    out += scan.environment
    out += np.float32(AIR_HU)
    return out


def _add_board(scan: Scan, block: Grid, back: Rigid, out: np.ndarray) -> None:
    scanner = scan.scanner
    matrix = back.matrix @ block.affine[:3, :3]
    offset = back(block.affine[:3, 3])
    low, high = np.array(BLOCK.low_mm) - 12.0, np.array(BLOCK.high_mm) + 32.0
    lengths = [int(np.ceil((b - a) / TABLE_STEP_MM)) for a, b in zip(low, high, strict=True)]
    plane, along = scan.base_sigma_mm, scanner.slice_sigma_mm
    sides = [
        _edge_table(BLOCK.low_mm[a], BLOCK.high_mm[a], along if a == 2 else plane, low[a], lengths[a]) for a in range(3)
    ]
    bottom = BLOCK.high_mm[1] + scanner.couch.gap_mm
    board_y = _edge_table(bottom, bottom + scanner.couch.board_mm, plane, low[1], lengths[1])
    # The board goes on beyond the block's first slices and ends with its last.
    board_z = _edge_table(-1e6, BLOCK.high_mm[2], along, low[2], lengths[2])
    constant = scanner.slope * AIR_HU + scanner.offset_hu - AIR_HU
    has_hu = scan.phantom.shading_hu
    shading, level = BODY.factors(scanner.shading_hu - has_hu, scanner.reference_shading_hu - has_hu)
    ribs = _edge_table(BODY.first_mm, 1e6, BODY.rise_mm, low[2], lengths[2])
    _add_boxes(
        out, matrix, offset, *sides, board_y, board_z, low, TABLE_STEP_MM, np.float32(scanner.slope),
        np.float32(constant), np.float32(scanner.couch.board_hu - AIR_HU), BODY.across, ribs,
        np.float32(shading), np.float32(level),
    )  # fmt: skip


def blur_filter(sigma_mm: float, base_sigma_mm: float, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the transfer function (float32) from the base sharpness to `sigma_mm`; None where they are the same."""
    extra = sigma_mm**2 - base_sigma_mm**2
    if extra < 1e-9:
        return None
    fy, fx = frequencies(shape)
    return np.exp(-2 * np.pi**2 * extra * (fy**2 + fx**2)).astype(np.float32)


def blurred(images: np.ndarray, transfer: np.ndarray | None) -> np.ndarray:
    """Filter images (slices, rows, columns) in plane, slice by slice."""
    if transfer is None:
        return images
    out = np.empty_like(images)
    for k in range(len(images)):
        out[k] = fft.irfft2(fft.rfft2(images[k]) * transfer, s=images.shape[1:])
    return out


# ---------------------------------------------------------------------------------------------------- images
@njit(cache=True, error_model="numpy", nogil=True)
def _compose(clean, noise, tail, plane, streaks, unit, factors, outside, pad, low, high, out):
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            above, here, below = noise[k, j + pad - 1], noise[k, j + pad], noise[k, j + pad + 1]
            line = clean[k, j + pad]
            for i in range(out.shape[2]):
                p = i + pad
                n = here[p] + streaks[j, i] * (above[p - 1] + below[p + 1] - above[p + 1] - below[p - 1])
                n *= unit[j, i]
                n += tail * n * n * n
                value = np.rint(line[p] + factors[k] * plane[j, i] * n)
                out[k, j, i] = low if outside[j, i] else np.int16(min(max(value, low), high))


def image_slices(
    scan: Scan,
    clean: np.ndarray,
    white: np.ndarray,
    shaping: np.ndarray,
    sd_hu: float,
    first: int,
    tail: float = 0.0,
    along: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Make the HU (int16) of one reconstruction: `clean` on the padded grid, plus the scan's white field shaped, turned
    and scaled.

    `first` is the number of the first slice; `shaping` comes from `noise_filter`, `tail` is the noise's, and
    `along` a factor of its SD by slice.
    """
    noise = np.empty(clean.shape, np.float32)
    for k in range(len(clean)):
        noise[k] = fft.irfft2(white[k] * shaping, s=clean.shape[1:])
    z = scan.grid.to_lps(
        np.stack([np.arange(first, first + len(clean)), np.zeros(len(clean)), np.zeros(len(clean))], 1)
    )
    along = along * noise_along_z(z[:, 2] - scan.motion.translation_mm[2])
    # The SD of n + k n^3 of normal n.
    along *= sd_hu / np.sqrt(1 + 6 * tail + 15 * tail**2)
    unit = (1 / np.sqrt(1 + streak_power(shaping, clean.shape[2]) * scan.streaks.astype(float) ** 2)).astype(np.float32)
    out = np.empty((len(clean), *scan.grid.shape[1:]), np.int16)
    _compose(
        clean, noise, np.float32(tail), scan.noise_plane, scan.streaks, unit, along.astype(np.float32), scan.outside,
        PAD, MIN_HU, MAX_HU, out,
    )  # fmt: skip
    return out
