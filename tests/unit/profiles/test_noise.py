"""Noise of known SD, spectrum and texture comes back."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ct4bench.profiles import noise

SPACING_MM = (1.0, 0.68359375, 0.68359375)
SHAPE = (28, 38, 50)


def ramp_noise(rng, peak_per_mm: float, n: int) -> np.ndarray:
    """Slices of noise with the power f exp(-(f / peak)^2.4 / 2.4), which is largest at `peak_per_mm`; unit SD."""
    fy, fx = np.fft.fftfreq(128, SPACING_MM[1])[:, None], np.fft.rfftfreq(128, SPACING_MM[2])[None]
    f = np.hypot(fy, fx)
    amplitude = np.sqrt(f * np.exp(-((f / peak_per_mm) ** 2.4) / 2.4))
    images = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, 128, 128))) * amplitude, s=(128, 128))
    return images / images.std()


@pytest.mark.parametrize("n", [2, 5])
def test_repetitions_tell_quantum_noise_from_texture(rng, n):
    texture = 6.0 * rng.standard_normal(60_000)
    values = 40.0 + texture + 10.0 * rng.standard_normal((n, 60_000)) + np.arange(n)[:, None]
    found = noise.separate(values)
    assert found.quantum_sd_hu == pytest.approx(10.0, rel=0.01)
    assert found.texture_sd_hu == pytest.approx(6.0, rel=0.03)
    assert found.mean_hu == pytest.approx(40.0 + 0.5 * (n - 1), abs=0.1)


def test_noise_without_texture_has_none(rng):
    assert noise.separate(5.0 * rng.standard_normal((4, 60_000))).texture_sd_hu < 0.6


def test_one_repetition_is_refused(rng):
    for refuse in (noise.separate, noise.differences):
        with pytest.raises(ValueError, match="two repetitions"):
            refuse(rng.standard_normal((1, 4, 4, 4)))


def test_differences_have_the_noise_of_one_image(rng):
    stack = 100.0 * rng.standard_normal((1, *SHAPE)) + 7.0 * rng.standard_normal((3, *SHAPE))
    assert noise.differences(stack).std() == pytest.approx(7.0, rel=0.01)


def test_integral_of_the_spectrum_is_the_variance(rng):
    block = gaussian_filter(rng.standard_normal(SHAPE), 1.0)
    block -= block.mean()
    power = noise.power_spectrum(block, SPACING_MM)
    volume_mm3 = block.size * np.prod(SPACING_MM)
    assert power.sum() / volume_mm3 == pytest.approx(block.var(), rel=1e-12)
    f, line = noise.along_z(power, SPACING_MM)
    twice = np.where((f == 0) | (f == f[-1]), 1.0, 2.0)
    assert (line * twice).sum() * (f[1] - f[0]) == pytest.approx(block.var(), rel=1e-12)


def test_white_noise_has_the_same_power_in_all_rings(rng):
    power = np.mean([noise.power_spectrum(3.0 * rng.standard_normal(SHAPE), SPACING_MM) for _ in range(4)], axis=0)
    rings = noise.in_plane(power, SPACING_MM)
    # white noise of variance s^2 on pixels of area a has the power s^2 a in plane
    np.testing.assert_allclose(rings.power, 9.0 * SPACING_MM[1] * SPACING_MM[2], rtol=0.15)
    assert rings.power.mean() == pytest.approx(9.0 * SPACING_MM[1] * SPACING_MM[2], rel=0.02)


@pytest.mark.parametrize("peak", [0.16, 0.20, 0.24])
def test_peak_and_mean_frequency_of_a_known_spectrum(rng, peak):
    blocks = ramp_noise(rng, peak, 24)[:, 40:78, 40:90]
    blocks = [block[None] - block.mean() for block in blocks]
    power = np.mean([noise.power_spectrum(block, SPACING_MM) for block in blocks], axis=0)
    under = np.mean([noise.power_spectrum(noise.tapered(block), SPACING_MM) for block in blocks], axis=0)
    assert noise.peak_frequency(noise.in_plane(under, SPACING_MM)) == pytest.approx(peak, rel=0.10)
    f = np.arange(0.0005, 0.7314, 0.001)
    stated = f * np.exp(-((f / peak) ** 2.4) / 2.4)
    rings = noise.in_plane(power, SPACING_MM)
    found = noise.mean_frequency(rings.f_per_mm, rings.power)
    assert found == pytest.approx(noise.mean_frequency(f, stated), rel=0.04)


def test_autocorrelation_of_filtered_noise(rng):
    sigma = 0.9
    block = gaussian_filter(rng.standard_normal((60, 60, 60)), (sigma, 0, 0), mode="wrap", truncate=6)
    found = noise.autocorrelation(block - block.mean(), 0)
    np.testing.assert_allclose(found, np.exp(-np.square(noise.LAGS) / (4 * sigma**2)), atol=0.03)
    np.testing.assert_allclose(noise.autocorrelation(block - block.mean(), 2), 0.0, atol=0.03)


def test_a_trend_of_the_second_order_is_taken_away():
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in (6, 7, 8)), indexing="ij")
    np.testing.assert_allclose(noise.detrended(3 + z - 2 * y * x + 0.5 * x * x), 0.0, atol=1e-9)


def test_homogeneous_block_lies_in_the_mask():
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in (41, 51, 61)), indexing="ij")
    mask = sum(a * a for a in axes) <= 1
    box = noise.homogeneous_block(mask)
    assert mask[box].all()
    # a block of an ellipsoid's proportions takes 1 / sqrt(3) of its axes at most
    assert [s.stop - s.start for s in box] == pytest.approx([n / 3**0.5 for n in (41, 51, 61)], abs=3)
    assert (
        noise.homogeneous_block(mask[:, :, :20]) is None
        or mask[:, :, :20][noise.homogeneous_block(mask[:, :, :20])].all()
    )
    assert noise.homogeneous_block(np.zeros((9, 9, 9), bool)) is None
