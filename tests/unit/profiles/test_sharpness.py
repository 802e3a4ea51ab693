"""Analytic steps, stars and zone plates under a known Gaussian blur."""

import numpy as np
import pytest
from scipy.special import erf

from ct4bench.profiles import sharpness

PIXEL_MM = 0.68359375
X_MM = PIXEL_MM * np.arange(25)


def step(sigma, low=90.0, high=430.0, place=8.3, x=X_MM):
    return low + (high - low) * 0.5 * (1 + erf((x - place) / (np.sqrt(2) * sigma)))


@pytest.mark.parametrize("sigma", [0.5, 0.7, 0.95])
@pytest.mark.parametrize(("low", "high"), [(90.0, 430.0), (460.0, 60.0)])
def test_sigma_and_place_of_a_step(sigma, low, high):
    found = sharpness.fit_step(X_MM, step(sigma, low, high), 8.0)
    assert found.sigma_mm == pytest.approx(sigma, abs=1e-4)
    assert found.position_mm == pytest.approx(8.3, abs=1e-4)


def test_a_pattern_beside_the_step_is_told_from_it():
    share = step(0.7, 0.0, 1.0)
    wave = 36 * np.cos(2 * np.pi * X_MM / 7.0 + 0.4)
    profile = step(0.7) + wave * (1 - share)
    found = sharpness.fit_step(X_MM, profile, 8.0, 7.0)
    assert found.sigma_mm == pytest.approx(0.7, abs=1e-3)
    np.testing.assert_allclose(sharpness.without_wave(X_MM, profile, found, 7.0), step(0.7), atol=0.1)


def test_no_step_is_said(rng):
    assert not np.isfinite(sharpness.fit_step(X_MM, 80 + 0 * X_MM, 8.0).sigma_mm) or np.ptp(step(0.7)) > 0
    assert np.isnan(sharpness.NO_STEP.sigma_mm)


@pytest.mark.parametrize("n", [2, 4, 6])
@pytest.mark.parametrize("place", [1.0, 8.3])
def test_a_grid_too_coarse_for_a_step_has_none(n, place):
    """Five values, or seven with a wave, cannot be told from fewer points."""
    x = np.linspace(0, 16, n)
    assert np.isnan(sharpness.fit_step(x, step(0.7, x=x), place, 7.0).sigma_mm)


@pytest.mark.parametrize("sigma", [0.65, 0.8])
def test_face_to_air_from_its_outer_half(sigma):
    depth = np.arange(-4.95, 0.25, 0.1)
    profile = step(sigma, -975.0, -105.0, 0.1, depth)
    found = sharpness.fit_face(depth, profile)
    assert found.sigma_mm == pytest.approx(sigma, rel=0.03)
    assert found.position_mm == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("sigma", [0.6, 0.75, 0.95])
def test_transfer_function_is_the_gaussians(sigma):
    f = np.arange(0, 0.7001, 0.01)
    curve = sharpness.transfer_function(X_MM, step(sigma), 8.3, f)
    np.testing.assert_allclose(curve, np.exp(-2 * (np.pi * sigma * f) ** 2), atol=0.012)
    assert sharpness.falls_to(f, curve, 0.5) == pytest.approx(np.sqrt(np.log(2) / 2) / (np.pi * sigma), rel=0.02)


def test_a_curve_that_does_not_fall_has_no_width():
    f = np.arange(0, 0.5, 0.1)
    assert np.isnan(sharpness.falls_to(f, 1 - 0.1 * f, 0.5))


def test_a_step_is_the_same_wherever_it_was_sampled(rng):
    """Places as a grid has them that lies askew: uneven, in clusters of some tenths of a pixel."""
    x = np.sort(np.concatenate([X_MM + shift for shift in (0.0, 0.03, 0.11, 0.2)]))
    f = np.array([0.0, 0.1, 0.3, 0.5])
    found = sharpness.fit_step(x, step(0.7, x=x), 8.3)
    assert found.sigma_mm == pytest.approx(0.7, abs=0.002)
    curve = sharpness.transfer_function(x, step(0.7, x=x), 8.3, f)
    np.testing.assert_allclose(curve, np.exp(-2 * (np.pi * 0.7 * f) ** 2), atol=0.02)


@pytest.mark.parametrize("apart_mm", [0.34, 0.1, 0.01, 0.001])
def test_points_that_nearly_coincide_do_not_tilt_the_transfer_function(apart_mm, rng):
    """Pairs of points with noise of 0.5 HU, on a slope, which is that of the length and not of a pair."""
    x = np.sort(np.concatenate([X_MM, X_MM + apart_mm]))
    f = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
    profile = step(0.74, x=x) + 0.4 * x + 0.5 * rng.standard_normal(len(x))
    curve = sharpness.transfer_function(x, profile, 8.3, f)
    np.testing.assert_allclose(curve, np.exp(-2 * (np.pi * 0.74 * f) ** 2), atol=0.02)


def test_points_of_few_voxels_weigh_little(rng):
    x = np.sort(np.concatenate([X_MM, X_MM + 0.2]))
    count = np.where(np.arange(len(x)) % 2, 1.0, 400.0)
    sigmas = {True: [], False: []}
    for _ in range(40):
        profile = step(0.7, x=x) + 30 * rng.standard_normal(len(x)) / np.sqrt(count)
        for weighted, found in sigmas.items():
            found.append(sharpness.fit_step(x, profile, 8.0, None, count if weighted else None).sigma_mm)
    assert np.mean(sigmas[True]) == pytest.approx(0.7, abs=0.01)
    assert np.nanstd(sigmas[True]) < 0.4 * np.nanstd(sigmas[False])


def test_ramps_across_a_step_are_taken_out_on_their_side():
    """Voxels at places (3, voxels) of a grid turned by a degree: ramps along y above, along z below the step."""
    y, z = 0.7 * np.arange(60), 1.0 * np.arange(8)
    places = np.stack([p.ravel() for p in np.meshgrid(X_MM, y, z, indexing="ij")])
    x = places[0] + np.radians(1) * (places[1] - y.mean())
    values, upper = step(0.75, x=x), step(0.75, 0.0, 1.0, x=x)
    beside = places[1:] - places[1:].mean(axis=1, keepdims=True)
    ramped = values + 2.9 * beside[0] * upper - 1.3 * beside[1] * (1 - upper)
    assert np.abs(ramped - values).max() > 50
    np.testing.assert_allclose(sharpness.without_ramps(x, places[1:], ramped, 8.3), values, atol=1e-6)


def star_image(sigma, centre=(64.4, 66.8), amplitude=90.0, pairs=20):
    y, x = (np.arange(131)[:, None] - centre[0]) * PIXEL_MM, (np.arange(131)[None] - centre[1]) * PIXEL_MM
    f = pairs / (2 * np.pi * np.maximum(np.hypot(y, x), 0.3))
    return 82 + amplitude * np.exp(-2 * (np.pi * sigma * f) ** 2) * np.cos(pairs * np.arctan2(y, x) - 1.5)


def star_fit(image, centre, phases=None):
    waves = sharpness.star_waves(image.shape, centre, (PIXEL_MM, PIXEL_MM), 20, (4.5, 43.5))
    found = waves.fit(image)
    phases = sharpness.directions(found, waves.count, len(found)) if phases is None else phases
    return sharpness.projected(found, phases), waves, phases


@pytest.mark.parametrize("sigma", [0.7, 0.9])
def test_star_has_the_blur_that_it_was_given(sigma):
    image = star_image(sigma)
    centre = sharpness.find_star(image, (65.3, 66.1), (PIXEL_MM, PIXEL_MM), 20)
    assert centre == pytest.approx((64.4, 66.8), abs=0.2)
    amplitude, waves, _ = star_fit(image, centre)
    found, height = sharpness.gaussian_sigma(waves.frequency_per_mm, amplitude, waves.count)
    assert found == pytest.approx(sigma, rel=0.03)
    assert height == pytest.approx(90.0, rel=0.02)


def test_noise_gives_no_bias_to_amplitudes(rng):
    """Where the star has been blurred away, the mean amplitude over draws is zero along a known phase."""
    clean, _, phases = star_fit(star_image(0.7), (64.4, 66.8))
    draws = [
        star_fit(star_image(0.7) + 20 * rng.standard_normal((131, 131)), (64.4, 66.8), phases)[0] for _ in range(30)
    ]
    np.testing.assert_allclose(np.mean(draws, axis=0)[2:], clean[2:], atol=2.5)


def test_zone_plate_has_the_blur_that_it_was_given():
    centre, spacing = (30.0, 63.0, 66.0), (1.0, PIXEL_MM, PIXEL_MM)
    z, y, x = ((np.arange(n) - c) * d for n, c, d in zip((60, 128, 131), centre, spacing, strict=True))
    radius = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
    f = 0.0664 + 0.00436 * radius
    phase = 2 * np.pi * (0.0664 * radius + 0.5 * 0.00436 * radius**2)
    volume = 88 + 90 * np.exp(-2 * (np.pi * 0.75 * f) ** 2) * np.cos(phase + 0.3)
    waves = sharpness.zone_waves(volume.shape, centre, spacing, 0.0664, 0.00436)
    found = waves.fit(volume)
    amplitude = sharpness.projected(found, sharpness.directions(found, waves.count, 2))
    sigma, height = sharpness.gaussian_sigma(waves.frequency_per_mm, amplitude, waves.count)
    assert sigma == pytest.approx(0.75, rel=0.03)
    assert height == pytest.approx(90.0, rel=0.03)


def test_amplitudes_that_do_not_fall_have_no_sigma():
    f = np.linspace(0.1, 0.5, 9)
    assert np.isnan(sharpness.gaussian_sigma(f, 1 + f, np.ones(9))[0])
    assert np.isnan(sharpness.gaussian_sigma(f, np.full(9, np.nan), np.ones(9))[0])


def test_contrast_to_noise():
    assert sharpness.contrast_to_noise(90.0, 3.0, 0.0, 4.0) == pytest.approx(90 / np.sqrt(12.5))
    assert np.isnan(sharpness.contrast_to_noise(1.0, 0.0, 0.0, 0.0))


def test_a_step_of_fewer_points_than_its_curve_has_parameters_is_none():
    """As on a common grid of 3 mm (--spacing): no value, and no end of the task."""
    x = np.arange(5) * 3.0
    assert np.isnan(sharpness.fit_step(x, np.where(x < 6, 0.0, 100.0), 6.0, period_mm=7.0).sigma_mm)
