"""Quantum noise of a scan: one white field, filtered by a reconstruction's power spectrum, its size and direction by
place.

The field is stationary as it is drawn. By place in the block it is scaled, and turned: streaks run towards the middle
of the block, since the rays through a corner and the middle are the longest there.
"""

import numpy as np
from numba import njit
from scipy.special import erf

from ct4bench.core.benchmark import PIXEL_MM
from ct4bench.core.geometry import Rigid
from ct4bench.core.phantom import BLOCK
from ct4bench.twin.scanners import Noise

HALO_SIGMAS = 3.4
TEST_NOISE, THORAX_NOISE, AIR_NOISE = 1.3, 0.86, 0.52
"""Noise SD relative to the liver part: in the test patterns, in the thorax, and in air beside the block."""
STREAKS = 0.18
"""Strength of the streaks at the block's corners, which gives the coherence measured in the real series, 0.4 to 0.5."""


def frequencies(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the spatial frequencies (1/mm) along rows (n, 1) and columns (1, n // 2 + 1) of a real FFT of an image."""
    return np.fft.fftfreq(shape[0], PIXEL_MM)[:, None], np.fft.rfftfreq(shape[1], PIXEL_MM)[None, :]


@njit(cache=True, error_model="numpy", nogil=True)
def filter_slices(volume, taps, first, start, out):
    """Filter along z: out[k] = start + sum of taps[t] volume[first + k + t]; slices beyond the ends repeat the last."""
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
        filter_slices(flat, self._taps, 0, np.float32(0), out)
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


# ---------------------------------------------------------------------------------------------------- streaks
def streaks_in_plane(position_mm: np.ndarray, motion: Rigid) -> np.ndarray:
    """Return the strength of the diagonal streaks (float32) at LPS positions (rows, columns, 3) of one slice: positive
    where they run as the image's main diagonal does.

    They run towards the middle, and grow with the root of the distance from both of the block's axes, as measured.
    """
    centre = motion(np.array(BLOCK.centre_mm))
    half = 0.5 * (np.array(BLOCK.high_mm) - np.array(BLOCK.low_mm))
    u = np.clip((position_mm[..., 0] - centre[0]) / half[0], -1, 1)
    v = np.clip((position_mm[..., 1] - centre[1]) / half[1], -1, 1)
    return (STREAKS * u * v / np.sqrt(np.abs(u * v) + 0.02)).astype(np.float32)


def streak_power(shaping: np.ndarray, columns: int) -> float:
    """Return the variance, relative to the noise's, of the difference of its diagonal neighbours: the two along the
    main diagonal less the two along the other. `shaping` comes from `noise_filter` for images of so many columns."""
    rows = shaping.shape[0]
    turn_y = 2 * np.pi * np.fft.fftfreq(rows)[:, None]
    turn_x = 2 * np.pi * np.fft.rfftfreq(columns)[None, :]
    power = shaping.astype(np.float64) ** 2
    return float((power * (4 * np.sin(turn_y) * np.sin(turn_x)) ** 2).sum() / power.sum())
