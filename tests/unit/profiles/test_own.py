"""Points of a step on a grid that lies askew, and what becomes of a transfer function that cannot be one."""

import numpy as np
import pytest

from ct4bench.profiles.own import binned_profile
from ct4bench.profiles.profiler import NO_FALL, RISES, curve_rows, step_rows


def test_a_cluster_that_an_edge_of_bins_cuts_is_one_point(rng):
    """Clusters of 0.02 mm, 0.34 mm apart, in bins of 0.17 mm: every second edge cuts one."""
    x = np.concatenate([0.34 * n + 0.01 * np.linspace(-1, 1, 21) for n in range(20)])
    values = 5 * x + rng.standard_normal(len(x))
    places, means, count = binned_profile(x, values, 0.17)
    np.testing.assert_allclose(places, 0.34 * np.arange(20), atol=1e-9)
    np.testing.assert_allclose(means, values.reshape(20, 21).mean(axis=1))
    assert count.tolist() == [21] * 20


@pytest.mark.parametrize("turn", [0.0, 0.003, 0.011, 0.05])
def test_points_are_ascending_and_at_least_half_a_bin_apart(turn):
    column, row = np.meshgrid(np.arange(25), np.arange(90), indexing="ij")
    x = (0.7 * (column + turn * row)).ravel()
    places, means, count = binned_profile(x, 3 * x, 0.175)
    assert np.diff(places).min() >= 0.5 * 0.175
    np.testing.assert_allclose(means, 3 * places)
    assert 0.9 * len(x) < count.sum() <= len(x)


F = np.arange(0, 0.7001, 0.01)


def by_measure(rows) -> dict[str, list]:
    found = {}
    for entry in rows:
        found.setdefault(entry["measure"], []).append((entry["value"], entry["reason"]))
    return found


def test_a_transfer_function_that_rises_is_blank_with_its_reason():
    falling = np.exp(-2 * (np.pi * 0.7 * F) ** 2)
    good, bad = (by_measure(curve_rows("dots_to_wedge", F, curve)) for curve in (falling, falling + 3 * F * falling))
    assert len(good["ttf"]) == len(bad["ttf"]) == 15
    assert [value for value, _ in good["ttf"]] == pytest.approx(list(falling[::5]))
    assert good["ttf50_per_mm"] == [(pytest.approx(np.sqrt(np.log(2) / 2) / (np.pi * 0.7), abs=1e-3), "")]
    for entries in bad.values():
        assert all(np.isnan(value) and reason == RISES for value, reason in entries)


def test_a_level_that_is_not_reached_says_so():
    found = by_measure(curve_rows("dots_to_wedge", F, np.exp(-2 * (np.pi * 0.3 * F) ** 2)))
    assert found["ttf50_per_mm"][0][1] == ""
    assert np.isnan(found["ttf10_per_mm"][0][0]) and found["ttf10_per_mm"][0][1] == NO_FALL


def test_noise_alone_makes_no_curve_above_the_bound(rng):
    """Steps hardly above their noise: each curve stays below 1.1 or is blank."""
    x = 0.35 * np.arange(50)
    n_blank = 0
    for _ in range(30):
        profile = 90 + 60 * (x > 8.5) + 12 * rng.standard_normal(len(x))
        found = by_measure(step_rows("plain_to_wedge", 2, x, profile, 8.5, None))
        curve = np.array([value for value, _ in found.get("ttf", [])])
        n_blank += len(curve) > 0 and bool(np.isnan(curve).all())
        assert not (curve > 1.1).any()
    assert n_blank > 0
