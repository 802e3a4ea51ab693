"""Sharpness of CT volumes on arrays: steps, transfer functions, Siemens star, zone plate, contrast-to-noise.

A step of the printed phantom blurred by a Gaussian is an error function (Rossmann, Radiology 93, 1969); the task
transfer function is the Fourier transform of the step's derivative (Richard et al., Med Phys 39, 2012; TG 233).
Everything here includes the print's own blur.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit
from scipy.special import erf

FREQUENCIES_PER_MM = np.round(np.arange(0.0, 0.701, 0.05), 2)
AIR_HU = -996.0
RING_MM = 1.5
SHELL_MM = 3.0
USUAL_SIGMA_MM = 0.75


@dataclass(frozen=True)
class Step:
    """A step between two levels: Gaussian `sigma_mm`, position in mm, levels in HU; nan where no fit was found.

    `wave_hu` are the cosine and sine amplitude of the pattern on its lower side, if it has one.
    """

    sigma_mm: float
    position_mm: float
    low_hu: float
    high_hu: float
    wave_hu: tuple[float, ...] = ()


NO_STEP = Step(*(float("nan"),) * 4)


def _rise(x, sigma, position):
    return 0.5 * (1 + erf((x - position) / (np.sqrt(2) * sigma)))


def fit_step(
    x_mm: np.ndarray,
    profile: np.ndarray,
    position_mm: float,
    period_mm: float | None = None,
    count: np.ndarray | None = None,
) -> Step:
    """Fit a step near `position_mm`: a slope on its upper side (large x), a wave of `period_mm`, if any, on its lower.

    `profile` holds HU at `x_mm`, ascending, each the mean of `count` voxels; without it all points weigh alike.
    """
    x = np.asarray(x_mm, float)
    y = np.asarray(profile, float)

    def model(x, sigma, position, low, high, slope, *wave):
        left = low
        if wave:
            left = low + wave[0] * np.cos(2 * np.pi * x / period_mm) + wave[1] * np.sin(2 * np.pi * x / period_mm)
        share = _rise(x, sigma, position)
        return left * (1 - share) + (high + slope * (x - position)) * share

    reach = 0.3 * (x[-1] - x[0])
    beside = y[x < position_mm - reach], y[x > position_mm + reach]
    left, right = (part.mean() if len(part) else float("nan") for part in beside)
    start = [USUAL_SIGMA_MM, position_mm, left, right, 0.0] + ([0.0, 0.0] if period_mm else [])
    if len(x) < len(start) or not np.isfinite(start).all():  # a grid too coarse for the window
        return NO_STEP
    error = None if count is None else 1 / np.sqrt(count)
    if len(x) < len(start):
        return NO_STEP
    try:
        found, _ = curve_fit(model, x, y, start, sigma=error, maxfev=2000)
    except RuntimeError:
        return NO_STEP
    sigma = abs(float(found[0]))
    if not 0.05 < sigma < 5 or not x[0] < found[1] < x[-1]:
        return NO_STEP
    return Step(sigma, float(found[1]), float(left), float(right), tuple(float(v) for v in found[5:]))


def without_wave(x_mm: np.ndarray, profile: np.ndarray, step: Step, period_mm: float | None) -> np.ndarray:
    """Return the profile of a fitted step without the pattern on its lower side."""
    if not step.wave_hu:
        return np.asarray(profile, float)
    angle = 2 * np.pi * np.asarray(x_mm, float) / period_mm
    wave = step.wave_hu[0] * np.cos(angle) + step.wave_hu[1] * np.sin(angle)
    return profile - wave * (1 - _rise(np.asarray(x_mm, float), step.sigma_mm, step.position_mm))


def without_ramps(x_mm: np.ndarray, beside_mm: np.ndarray, values: np.ndarray, position_mm: float) -> np.ndarray:
    """Return the HU (voxels,) of a step at `position_mm` along `x_mm` without what changes linearly across it.

    `beside_mm` (2, voxels) are the places along the other two axes. Either side has its ramps, by least squares; means
    over all of `beside_mm` stay. The wedge rises by 2 HU a row: on a grid that lies askew, voxels at one `x_mm` are of
    a few rows only, so that their mean would have the ramp's HU in it.
    """
    x = np.asarray(x_mm, float) - position_mm
    beside = beside_mm - beside_mm.mean(axis=1, keepdims=True)
    upper = _rise(x, USUAL_SIGMA_MM, 0.0)
    ramps = np.concatenate([beside * upper, beside * (1 - upper)])
    terms = np.concatenate([[upper, 1 - upper, x * upper, x * (1 - upper)], ramps])
    found = np.linalg.lstsq(terms @ terms.T, terms @ values, rcond=None)[0]
    return values - found[-len(ramps) :] @ ramps


def fit_face(depth_mm: np.ndarray, profile: np.ndarray) -> Step:
    """Fit the outer part of a step from the block to air over the depth below the face (negative outside).

    Air is the mean beyond 3.5 mm; the height, of which only half is seen, is held between 600 and 1000 HU.
    """
    x, y = np.asarray(depth_mm, float), np.asarray(profile, float)
    air = float(y[x < -3.5].mean()) if (x < -3.5).any() else AIR_HU

    def model(x, sigma, position, height):
        return air + height * _rise(x, sigma, position)

    bounds = ([0.05, -2.0, 600.0], [5.0, 2.0, 1000.0])
    try:
        (sigma, position, height), _ = curve_fit(model, x, y, [0.8, 0.0, 880.0], bounds=bounds, max_nfev=2000)
    except (RuntimeError, ValueError):
        return NO_STEP
    return Step(float(sigma), float(position), air, air + float(height))


def transfer_function(x_mm: np.ndarray, profile: np.ndarray, position_mm: float, f_per_mm=FREQUENCIES_PER_MM):
    """Return the task transfer function at `f_per_mm` of a step sampled at `x_mm`, ascending (1 at frequency zero).

    The derivative is by differences of neighbours, whose own transfer is taken out; the rise by length more than 4 mm
    from the step is taken for a slope, and the rest is tapered to its end.
    """
    x = np.asarray(x_mm, float)
    steps = np.diff(x)
    middle = 0.5 * (x[1:] + x[:-1]) - position_mm
    rise = np.diff(np.asarray(profile, float))
    far = np.abs(middle) > 4.0
    if far.sum() >= 2:
        # of all the length, not the mean over pairs: a pair of points that nearly coincide has any slope
        rise = rise - rise[far].sum() / steps[far].sum() * steps
    taper = np.clip((5.5 - np.abs(middle)) / 1.5, 0, 1)
    rise = rise * np.sin(0.5 * np.pi * taper) ** 2
    f = np.asarray(f_per_mm, float)[:, None]
    wave = np.exp(-2j * np.pi * f * middle[None, :]) / np.sinc(f * steps[None, :])
    return np.abs(wave @ rise) / abs(rise.sum())


def falls_to(f: np.ndarray, values: np.ndarray, level: float) -> float:
    """Return the first frequency at which a curve falls to `level`, nan where it does not."""
    below = np.flatnonzero(np.asarray(values) < level)
    if not len(below) or below[0] == 0:
        return float("nan")
    n = below[0]
    return float(f[n - 1] + (values[n - 1] - level) / (values[n - 1] - values[n]) * (f[n] - f[n - 1]))


class Waves:
    """Waves of known phase in parts (rings or shells) of a region: their amplitudes by least squares.

    `part` numbers the voxels (negative: left out), `phase` is the wave's in radians; `frequency_per_mm` by part.
    """

    MIN_VOXELS = 60

    def __init__(self, part: np.ndarray, phase: np.ndarray, frequency_per_mm: np.ndarray):
        self._index = np.flatnonzero(part.ravel() >= 0)
        self._part = part.ravel()[self._index]
        phase = phase.ravel()[self._index]
        n = len(frequency_per_mm)
        self._basis = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)])
        normal = np.zeros((n, 3, 3))
        for i in range(3):
            for j in range(i, 3):
                normal[:, i, j] = np.bincount(self._part, self._basis[i] * self._basis[j], n)
                normal[:, j, i] = normal[:, i, j]
        self.good = normal[:, 0, 0] >= self.MIN_VOXELS
        self.count = normal[:, 0, 0]
        self.frequency_per_mm = np.asarray(frequency_per_mm, float)
        self._normal = normal

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return the complex amplitude in HU of the wave in each part; nan where a part has too few voxels."""
        values = image.ravel()[self._index].astype(np.float64)
        n = len(self.count)
        right = np.stack([np.bincount(self._part, b * values, n) for b in self._basis], axis=1)
        out = np.full(n, np.nan + 0j)
        found = np.linalg.solve(self._normal[self.good], right[self.good][..., None])[..., 0]
        out[self.good] = found[:, 1] - 1j * found[:, 2]
        return out


def directions(found: np.ndarray, count: np.ndarray, reach: int) -> np.ndarray:
    """Return the unit phases of complex amplitudes, each pooled with its neighbours within `reach`, so that noise
    averages out."""
    weighted = np.where(np.isfinite(found), found * count, 0)
    pooled = np.array([weighted[max(0, n - reach) : n + reach + 1].sum() for n in range(len(found))])
    return pooled / np.where(np.abs(pooled) > 0, np.abs(pooled), 1)


def projected(found: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return the amplitudes in HU along given phases: without the bias that noise gives to a modulus."""
    return np.real(found * np.conj(phases))


def star_waves(shape, centre, spacing_mm, pairs: int, reach_mm: tuple[float, float]) -> Waves:
    """Return the waves of a Siemens star on an image (rows, columns) about `centre` (row, column), in rings of
    RING_MM."""
    y = (np.arange(shape[0]) - centre[0])[:, None] * spacing_mm[0]
    x = (np.arange(shape[1]) - centre[1])[None, :] * spacing_mm[1]
    return star_waves_at(y, x, pairs, reach_mm)


def star_waves_at(y: np.ndarray, x: np.ndarray, pairs: int, reach_mm: tuple[float, float]) -> Waves:
    """Return the waves of a Siemens star at places in mm from its centre, in rings of RING_MM."""
    radius = np.hypot(y, x)
    part = np.where((radius >= reach_mm[0]) & (radius < reach_mm[1]), (radius - reach_mm[0]) / RING_MM, -1).astype(int)
    part[(radius < reach_mm[0]) | (radius >= reach_mm[1])] = -1
    n = int(np.ceil((reach_mm[1] - reach_mm[0]) / RING_MM))
    middle = reach_mm[0] + RING_MM * (np.arange(n) + 0.5)
    return Waves(part, pairs * np.arctan2(y, x) + 0 * radius, pairs / (2 * np.pi * middle))


def find_star(image: np.ndarray, centre, spacing_mm, pairs: int, reach_mm=(6.0, 16.0)) -> tuple[float, float]:
    """Find the centre (row, column) near `centre` at which the inner rings of the star are strongest."""
    best, found = -1.0, tuple(centre)
    for step in (0.75, 0.25):
        around = found
        for dy in (-2, -1, 0, 1, 2):
            for dx in (-2, -1, 0, 1, 2):
                at = (around[0] + step * dy, around[1] + step * dx)
                waves = star_waves(image.shape, at, spacing_mm, pairs, reach_mm)
                power = float(np.nansum(np.abs(waves.fit(image)) ** 2 * waves.count))
                if power > best:
                    best, found = power, at
    return float(found[0]), float(found[1])


def zone_waves(shape, centre, spacing_mm, start_per_mm: float, rise_per_mm2: float) -> Waves:
    """Return the waves of a zone plate in a volume (slices, rows, columns) about `centre` (in voxels), in shells of
    SHELL_MM."""
    z, y, x = (
        ((np.arange(n) - c) * d).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
        for axis, (n, c, d) in enumerate(zip(shape, centre, spacing_mm, strict=True))
    )
    return zone_waves_at(z, y, x, start_per_mm, rise_per_mm2)


def zone_waves_at(z, y, x, start_per_mm: float, rise_per_mm2: float, n_shells: int | None = None) -> Waves:
    """Return the waves of a zone plate at places in mm from its centre, in shells of SHELL_MM, all or the first
    `n_shells`."""
    radius = np.sqrt(z * z + y * y + x * x)
    phase = 2 * np.pi * (start_per_mm * radius + 0.5 * rise_per_mm2 * radius**2)
    part = (radius / SHELL_MM).astype(int)
    n_shells = part.max() + 1 if n_shells is None else n_shells
    part[part >= n_shells] = -1
    middle = SHELL_MM * (np.arange(n_shells) + 0.5)
    return Waves(part, phase, start_per_mm + rise_per_mm2 * middle)


def gaussian_sigma(f_per_mm: np.ndarray, amplitude_hu: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the sigma in mm and amplitude at frequency zero of amplitudes A exp(-2 (pi sigma f)^2); nan where they do
    not fall.

    By weighted least squares of the amplitudes, from those that are there.
    """
    good = np.isfinite(amplitude_hu) & (weight > 0)
    if good.sum() < 3:
        return float("nan"), float("nan")
    f, a, w = f_per_mm[good], amplitude_hu[good], weight[good]

    def model(f, height, variance):
        return height * np.exp(-2 * np.pi**2 * variance * f**2)

    try:
        (height, variance), _ = curve_fit(model, f, a, (max(a.max(), 1.0), 0.5), sigma=1 / np.sqrt(w), maxfev=2000)
    except RuntimeError:
        return float("nan"), float("nan")
    if variance <= 0 or height <= 0:
        return float("nan"), float("nan")
    return float(np.sqrt(variance)), float(height)


def contrast_to_noise(mean_a: float, sd_a: float, mean_b: float, sd_b: float) -> float:
    """Return the difference of two means over the root of the mean of two variances."""
    noise = np.sqrt(0.5 * (sd_a**2 + sd_b**2))
    return float(abs(mean_a - mean_b) / noise) if noise > 0 else float("nan")
