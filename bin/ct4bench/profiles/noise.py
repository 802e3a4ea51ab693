"""Noise of CT volumes on arrays: means and SDs, quantum noise from repetitions, power spectrum, autocorrelation.

Spectra follow AAPM Task Group 233 (report 233, 2019) and ICRU report 87: squared Fourier transform of a homogeneous
region from which a trend of the second order is taken, times the voxel's volume over the number of voxels, so that the
integral over all frequencies is the variance. No window is applied, save for the peak, which the leakage of a plain
block's edges into low frequencies would draw towards zero by 5 %.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit

RING_PER_MM = 0.02
"""Width of the rings over which the spectrum in plane is averaged."""
LAGS = (1, 2, 3, 4)


def masked_moments(volume: np.ndarray, index: np.ndarray) -> tuple[float, float]:
    """Return the mean and SD in HU of the voxels at flat indices."""
    values = volume.reshape(-1)[index].astype(np.float64)
    return float(values.mean()), float(values.std())


@dataclass(frozen=True)
class RepeatedNoise:
    """Quantum noise and printed texture of a region, told apart by repetitions, in HU."""

    quantum_sd_hu: float
    texture_sd_hu: float
    mean_hu: float


def separate(values: np.ndarray) -> RepeatedNoise:
    """Separate what changes between repetitions and what stays, from `values` (repetitions, voxels) in HU, two or more.

    The quantum variance is the mean over voxels of the variance between repetitions, each less its own mean; the
    texture's is the variance of the mean image less the part of the quantum noise that is left in it.
    """
    n = len(values)
    if n < 2:
        raise ValueError("quantum noise and texture are told apart by two repetitions or more")
    values = values.astype(np.float64)
    means = values.mean(axis=1, keepdims=True)
    mean_image = (values - means).mean(axis=0)
    quantum = float(((values - means - mean_image) ** 2).sum() / ((n - 1) * values.shape[1]))
    texture = float(mean_image.var()) - quantum / n
    return RepeatedNoise(quantum**0.5, max(texture, 0.0) ** 0.5, float(means.mean()))


def differences(stack: np.ndarray) -> np.ndarray:
    """Return the repetitions (n, slices, rows, columns) less their mean image, scaled to the noise of a single one
    (float64)."""
    n = len(stack)
    if n < 2:
        raise ValueError("difference images take two repetitions or more")
    stack = stack.astype(np.float64)
    return (stack - stack.mean(axis=0)) * (n / (n - 1)) ** 0.5


def detrended(block: np.ndarray) -> np.ndarray:
    """Remove from a block (slices, rows, columns) its least-squares polynomial of the second order."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in block.shape), indexing="ij")
    terms = [np.ones(block.shape), *axes]
    terms += [axes[i] * axes[j] for i in range(3) for j in range(i, 3)]
    design = np.stack([term.ravel() for term in terms], axis=1)
    values = block.astype(np.float64).ravel()
    fit = np.linalg.solve(design.T @ design, design.T @ values)
    return (values - design @ fit).reshape(block.shape)


def power_spectrum(block: np.ndarray, spacing_mm) -> np.ndarray:
    """Return the 3D noise power in HU^2 mm^3 on the frequencies of `np.fft.fftn`, of a block of noise (no
    trend)."""
    return np.abs(np.fft.fftn(block)) ** 2 * (float(np.prod(spacing_mm)) / block.size)


def tapered(block: np.ndarray) -> np.ndarray:
    """Return a block of noise under a Hann window in plane, of the same mean power."""
    window = np.hanning(block.shape[1])[:, None] * np.hanning(block.shape[2])[None, :]
    return block * (window / np.sqrt(np.mean(window**2)))


def frequencies(shape, spacing_mm) -> list[np.ndarray]:
    """Return the spatial frequencies in 1/mm along slice, row, column, shaped to broadcast."""
    along = [np.fft.fftfreq(n, d) for n, d in zip(shape, spacing_mm, strict=True)]
    return [f.reshape([-1 if a == axis else 1 for a in range(3)]) for axis, f in enumerate(along)]


@dataclass(frozen=True)
class Rings:
    """Power in HU^2 mm^2 in rings of frequency in 1/mm, and how many frequencies of the plane each ring has."""

    f_per_mm: np.ndarray
    power: np.ndarray
    count: np.ndarray


def in_plane(power: np.ndarray, spacing_mm) -> Rings:
    """Return the spectrum in plane: the 3D one, integrated along z, averaged in rings up to the Nyquist frequency.

    Frequency zero, which the trend has taken with it, is left out, and so are rings without a frequency. A frequency
    between two rings counts to the outer one.
    """
    depth_mm = power.shape[0] * spacing_mm[0]
    plane = power.sum(axis=0) / depth_mm
    _, fy, fx = frequencies(power.shape, spacing_mm)
    f = np.hypot(fy, fx)[0]
    top = 0.5 / max(spacing_mm[1:])
    used = (f > 0) & (f <= top)
    ring = (f[used] / RING_PER_MM + 1e-9).astype(int)
    count = np.bincount(ring)
    good = count > 0
    means = [np.bincount(ring, values)[good] / count[good] for values in (f[used], plane[used])]
    return Rings(*means, count[good])


def along_z(power: np.ndarray, spacing_mm) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies in 1/mm, from zero, and power in HU^2 mm along z: the 3D spectrum, integrated in plane."""
    area = float(np.prod(power.shape[1:]) * spacing_mm[1] * spacing_mm[2])
    line = power.sum(axis=(1, 2)) / area
    n = power.shape[0]
    half = n // 2 + 1
    folded = 0.5 * (line[:half] + line[-np.arange(half) % n])
    return np.arange(half) / (n * spacing_mm[0]), folded


def mean_frequency(f: np.ndarray, power: np.ndarray) -> float:
    """Return the mean of the frequency, weighted with the power (TG 233, for the spectrum in plane as a function of
    radius)."""
    return float((f * power).sum() / power.sum())


def peak_frequency(rings: Rings) -> float:
    """Return the frequency of the largest power of the curve h f^a exp(-(f / s)^p) that fits the rings best; nan
    without a fit.

    The rings are those of `tapered` blocks. The curve is that of a ramp and a window of any steepness; a ring's error
    goes with its power and the root of its count. A spectrum that only falls has its peak at zero.
    """
    f, power = rings.f_per_mm, rings.power
    smooth = np.convolve(np.pad(power, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    error = np.maximum(smooth, 0.02 * smooth.max()) / np.sqrt(rings.count)

    def curve(f, height, rise, scale, fall):
        return height * (f / scale) ** rise * np.exp(-((f / scale) ** fall))

    start = (2.0 * power.max(), 1.0, 1.3 * f[np.argmax(smooth)] + 0.02, 2.0)
    try:
        (_, rise, scale, fall), _ = curve_fit(
            curve, f, power, start, sigma=error, bounds=([0, 0, 0.01, 0.5], [np.inf, 6, 2, 12]), max_nfev=2000
        )
    except (RuntimeError, ValueError):
        return float("nan")
    return float(scale * (rise / fall) ** (1 / fall))


def autocorrelation(block: np.ndarray, axis: int, lags=LAGS) -> list[float]:
    """Return the correlation coefficients of a block of noise (mean zero) with itself, moved by `lags` voxels along an
    axis."""
    block = np.moveaxis(np.asarray(block, np.float64), axis, 0)
    return [float((block[lag:] * block[:-lag]).mean() / (block**2).mean()) for lag in lags]


def homogeneous_block(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Return the largest block of an ellipsoid's proportions about the middle of `mask` that lies wholly in it.

    Even numbers of voxels; None where no block of 8 voxels or more a side is.
    """
    indices = np.nonzero(mask)
    if not len(indices[0]):
        return None
    centre = np.array([p.mean() for p in indices])
    extent = np.array([p.max() - p.min() + 1 for p in indices])
    for share in np.arange(0.6, 0.2, -0.02):
        size = np.maximum((extent * share).astype(int) // 2 * 2, 1)
        first = np.rint(centre - size / 2 + 0.5).astype(int)
        box = tuple(slice(int(a), int(a + n)) for a, n in zip(first, size, strict=True))
        if size.min() < 8:
            return None
        if first.min() >= 0 and mask[box].shape == tuple(size) and mask[box].all():
            return box
    return None
