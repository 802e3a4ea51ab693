"""The scan of the printed phantom by a scanner model: from the drawn object to HU on the scanner's own grid.

A scan is linear in the object until the pixels are rounded. What each reconstruction shows is

    HU = PSF * (calibrated block + board + couch) + quantum noise,

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
from ct4bench.twin.phantom import Phantom
from ct4bench.twin.scanners import MATRIX, Noise, Scanner

PAD = 8
"""Pixels round the image that keep the periodic filters' wrap out of it."""
HALO_SIGMAS = 3.4
MIN_HU, MAX_HU = -1024, 3071
TEST_NOISE, THORAX_NOISE, AIR_NOISE = 1.3, 0.86, 0.52
"""Noise SD relative to the liver part: in the test patterns, in the thorax, and in air beside the block."""
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
def _filter_slices(volume, taps, first, start, out):
    """out[k] = start + sum of taps[t] volume[first + k + t]; slices beyond the ends repeat the last."""
    last = volume.shape[0] - 1
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            line = out[k, j]
            line[:] = start
            for t in range(len(taps)):
                weight = taps[t]
                source = volume[min(max(first + k + t, 0), last), j]
                for i in range(len(line)):
                    line[i] += weight * np.float32(source[i])


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
def _add_boxes(out, matrix, offset, block_x, block_y, block_z, board_y, board_z, starts, step, slope, constant, board):
    """out = slope out + constant * block box + board * board box, boxes in the phantom's frame by their tables."""
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                x = (matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + offset[0] - starts[0]) / step
                y = (matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + offset[1] - starts[1]) / step
                z = (matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + offset[2] - starts[2]) / step
                value = slope * out[k, j, i] + board * _look_up(board_y, y) * _look_up(board_z, z)
                if constant != 0.0:
                    value += constant * _look_up(block_x, x) * _look_up(block_y, y) * _look_up(block_z, z)
                out[k, j, i] = value


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
        radius > scanner.field_radius_mm,
    )


def object_slices(scan: Scan, first: int, last: int) -> np.ndarray:
    """Return the noise-free HU (float32) of the slices [first, last) on the padded grid, as sharp as the sharpest
    reconstruction.

    Block, calibrated, board and couch, in air.
    """
    scanner, phantom = scan.scanner, scan.phantom
    block = scan.padded.crop((slice(first, last), slice(None), slice(None)))
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
        _filter_slices(source, taps_z, low - half - start, np.float32(-AIR_HU), coefficients)
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
    _add_boxes(
        out, matrix, offset, *sides, board_y, board_z, low, TABLE_STEP_MM, np.float32(scanner.slope),
        np.float32(constant), np.float32(scanner.couch.board_hu - AIR_HU),
    )  # fmt: skip


def frequencies(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the spatial frequencies (1/mm) along rows (n, 1) and columns (1, n // 2 + 1) of a real FFT of an image."""
    return np.fft.fftfreq(shape[0], PIXEL_MM)[:, None], np.fft.rfftfreq(shape[1], PIXEL_MM)[None, :]


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


# ---------------------------------------------------------------------------------------------------- noise
def noise_power(noise: Noise, fy: np.ndarray, fx: np.ndarray) -> np.ndarray:
    """Return the noise power in plane, to a factor, at frequencies in 1/mm: f exp(-(f / f0)^p) with its peak where
    stated."""
    f = np.hypot(fy, fx)
    p = noise.nps_power
    scale = noise.nps_peak_per_mm * p ** (1 / p)
    squared = np.where(f > 0, f * f, 1.0)
    return f * np.exp(-((f / scale) ** p)) * (1 - noise.anisotropy * (fx * fx - fy * fy) / squared)


def noise_filter(noise: Noise, shape: tuple[int, int]) -> np.ndarray:
    """Return the amplitude (float32) that takes the white spectrum of `white_slices` to noise of unit SD with this
    spectrum."""
    fy, fx = frequencies(shape)
    amplitude = np.sqrt(noise_power(noise, fy, fx))
    twice = np.full(fx.shape, 2.0)
    twice[0, 0] = 1.0
    if shape[1] % 2 == 0:
        twice[0, -1] = 1.0
    # Columns without a mirror image keep only the Hermitian half of their random numbers.
    single = np.where(twice == 1.0, np.sqrt(2.0), 1.0)
    variance = 2.0 * float((amplitude**2 * twice).sum()) / (shape[0] * shape[1]) ** 2
    return (amplitude * single / np.sqrt(variance)).astype(np.float32)


def white_slice(seeds: tuple[int, ...], number: int, shape: tuple[int, int]) -> np.ndarray:
    """Draw the half spectrum (complex64) of one slice of white noise: both parts normal with unit SD."""
    generator = np.random.Generator(np.random.SFC64([*seeds, number]))
    values = generator.standard_normal((shape[0], 2 * (shape[1] // 2 + 1)), dtype=np.float32)
    return values.view(np.complex64)


def slice_taps(sigma_slices: float) -> np.ndarray:
    """Return the Gaussian along z (float32, odd length) that keeps the variance of white noise."""
    half = int(np.ceil(HALO_SIGMAS * sigma_slices))
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma_slices) ** 2)
    return (taps / np.sqrt((taps**2).sum())).astype(np.float32)


class WhiteField:
    """White noise of one scan, correlated along z; slices are asked for in order, in blocks."""

    def __init__(self, seeds: tuple[int, ...], shape: tuple[int, int], sigma_slices: float):
        self._seeds, self._shape = seeds, shape
        self._taps = slice_taps(sigma_slices)
        self._kept: dict[int, np.ndarray] = {}

    def slices(self, first: int, last: int) -> np.ndarray:
        """Return the half spectra (slices, rows, columns // 2 + 1), complex64."""
        half = len(self._taps) // 2
        wanted = range(first - half, last + half)
        kept = self._kept
        # A slice's numbers depend on its own number only, shifted to be no negative seed.
        raw = np.stack([kept[n] if n in kept else white_slice(self._seeds, n + 1000, self._shape) for n in wanted])
        self._kept = {n: raw[n - wanted.start] for n in range(last - half, last + half)}
        self._kept = {n: part.copy() for n, part in self._kept.items()}
        flat = raw.view(np.float32)
        out = np.empty((last - first, *flat.shape[1:]), np.float32)
        _filter_slices(flat, self._taps, 0, np.float32(0), out)
        return out.view(np.complex64)


def noise_in_plane(position_mm: np.ndarray, motion: Rigid) -> np.ndarray:
    """Return the noise SD relative to the large cyst's (float32) at LPS positions (rows, columns, 3) of one slice.

    Highest in the middle of the block, some per cent less at its sides, about half of it in air.
    """
    centre = motion(np.array(BLOCK.centre_mm))
    half = 0.5 * (np.array(BLOCK.high_mm) - np.array(BLOCK.low_mm))
    u = (position_mm[..., 0] - centre[0]) / half[0]
    v = (position_mm[..., 1] - centre[1]) / half[1]
    inside = 0.95 + 0.1 * np.clip(1 - u * u, 0, 1) * np.clip(1 - v * v, 0, 1)
    beyond = np.maximum(np.maximum(np.abs(u) - 1, 0) * half[0], np.maximum(np.abs(v) - 1, 0) * half[1])
    edge = np.exp(-beyond / 12.0)
    return (inside * (AIR_NOISE + (1 - AIR_NOISE) * edge) / NOISE_AT_CYST).astype(np.float32)


def _plane_factor(point_mm) -> float:
    identity = Rigid.identity(BLOCK.centre_mm)
    return float(noise_in_plane(np.array(point_mm, float)[None, None], identity)[0, 0])


def noise_along_z(z_mm: np.ndarray) -> np.ndarray:
    """Return the noise SD relative to the liver part at positions along the phantom's z in mm."""
    first, liver, thorax, last = BLOCK.low_mm[2], BLOCK.liver_mm, BLOCK.thorax_mm, BLOCK.high_mm[2]

    def step(at, width=3.0):
        return 0.5 * (1 + erf((z_mm - at) / (np.sqrt(2) * width)))

    inside = TEST_NOISE + (1 - TEST_NOISE) * step(liver) + (THORAX_NOISE - 1) * step(thorax)
    return 0.2 + (inside - 0.2) * step(first, 2.0) * (1 - step(last, 2.0))


NOISE_AT_CYST = 1.0
NOISE_AT_CYST = _plane_factor(BLOCK.to_mm((157, 180, 322)))


@njit(cache=True, error_model="numpy", nogil=True)
def _compose(clean, noise, tail, plane, factors, outside, pad, low, high, out):
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                n = noise[k, j + pad, i + pad]
                n += tail * n * n * n
                value = np.rint(clean[k, j + pad, i + pad] + factors[k] * plane[j, i] * n)
                out[k, j, i] = low if outside[j, i] else np.int16(min(max(value, low), high))


def image_slices(
    scan: Scan,
    clean: np.ndarray,
    white: np.ndarray,
    shaping: np.ndarray,
    sd_hu: float,
    first: int,
    tail: float = 0.0,
) -> np.ndarray:
    """Make the HU (int16) of one reconstruction: `clean` on the padded grid, plus the scan's white field shaped and
    scaled.

    `first` is the number of the first slice; `shaping` comes from `noise_filter`, `tail` is the noise's.
    """
    noise = np.empty(clean.shape, np.float32)
    for k in range(len(clean)):
        noise[k] = fft.irfft2(white[k] * shaping, s=clean.shape[1:])
    z = scan.grid.to_lps(
        np.stack([np.arange(first, first + len(clean)), np.zeros(len(clean)), np.zeros(len(clean))], 1)
    )
    along = noise_along_z(z[:, 2] - scan.motion.translation_mm[2])
    out = np.empty((len(clean), *scan.grid.shape[1:]), np.int16)
    # The SD of n + k n^3 of normal n.
    along *= sd_hu / np.sqrt(1 + 6 * tail + 15 * tail**2)
    cubic, factors = np.float32(tail), along.astype(np.float32)
    _compose(clean, noise, cubic, scan.noise_plane, factors, scan.outside, PAD, MIN_HU, MAX_HU, out)
    return out
