"""Draws of units and percentile intervals, beside what theory and a sorted list say."""

import numpy as np
import pytest

from ct4bench.core.bootstrap import key_of, multiplicities, percentile_interval


def test_a_name_has_its_crc32():
    assert key_of("123456789") == 0xCBF43926  # the check value that every description of CRC-32 has


@pytest.mark.parametrize("n_units", [1, 2, 13])
def test_as_many_units_are_drawn_as_there_are_each_alike(n_units):
    drawn = multiplicities(n_units, 7, 20_000)
    assert drawn.shape == (20_000, n_units)
    assert drawn.dtype == np.float64
    assert (drawn.sum(axis=1) == n_units).all()
    assert (drawn == drawn.round()).all() and drawn.min() >= 0
    # Binomial: mean 1, variance 1 - 1 / n.
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(drawn.var(axis=0), 1 - 1 / n_units, atol=0.06)


def test_draws_depend_on_seed_and_key():
    first = multiplicities(13, 7, 50)
    assert np.array_equal(first, multiplicities(13, 7, 50, seed=42))
    assert not np.array_equal(first, multiplicities(13, 8, 50))
    assert not np.array_equal(first, multiplicities(13, 7, 50, seed=43))
    assert np.array_equal(first[:20], multiplicities(13, 7, 20))


def test_the_interval_of_a_mean_is_that_of_theory(rng):
    values = rng.normal(5, 2, 400)
    low, high = percentile_interval(multiplicities(400, 1, 4000) @ values / 400)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_ends_are_interpolated_between_sorted_draws(rng):
    draws = rng.permutation(np.append(np.arange(41.0) ** 2, [np.nan, np.nan]))
    assert percentile_interval(draws) == pytest.approx((1, 1521))  # places 1 and 39 of 0 to 40
    assert percentile_interval(draws, 0.9375) == pytest.approx((1 + 0.25 * 3, 1444 + 0.75 * 77))  # 1.25 and 38.75


def test_draws_without_a_number_have_a_blank_interval():
    assert np.isnan(percentile_interval(np.full(3, np.nan))).all()
    assert np.isnan(percentile_interval(np.empty(0))).all()
    assert percentile_interval(np.array([0.75, 0.75])) == (0.75, 0.75)
