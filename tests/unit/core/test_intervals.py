"""Jackknife intervals beside closed forms, and how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from ct4bench.core.intervals import CHANGE, PLAIN, POSITIVE, SHARE, jackknife_error, jackknife_interval, key_of


def test_a_name_has_its_crc32():
    assert key_of("123456789") == 0xCBF43926  # the check value that every description of CRC-32 has


def without_each(x):
    return np.array([np.delete(x, i).mean() for i in range(len(x))])


def test_of_a_mean_it_is_the_t_interval(rng):
    x = rng.normal(5, 2, 13)
    expected = stats.t.interval(0.95, 12, x.mean(), stats.sem(x))
    assert jackknife_interval(x.mean(), [without_each(x)]) == pytest.approx(expected)
    expected = stats.t.interval(0.8, 12, x.mean(), stats.sem(x))
    assert jackknife_interval(x.mean(), [without_each(x)], PLAIN, 0.8) == pytest.approx(expected)


def test_of_two_samples_it_is_welchs(rng):
    x, y = rng.normal(5, 2, 7), rng.normal(4, 0.5, 13)
    left_out = [without_each(x) - y.mean(), x.mean() - without_each(y)]
    expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert jackknife_interval(x.mean() - y.mean(), left_out) == pytest.approx(tuple(expected))


def test_shares_stay_between_0_and_1_and_positive_numbers_above_0():
    x = np.array([1.0, 1.0, 1.0, 0.9])
    error, df = jackknife_error(x.mean(), [without_each(x)])
    assert (error, df) == (pytest.approx(stats.sem(x)), 3)
    low, high = jackknife_interval(x.mean(), [without_each(x)], SHARE)
    assert 0 < low < x.mean() < high < 1
    # Symmetric in the logit, and the plain interval to first order.
    logits = np.log(np.array([low, high]) / (1 - np.array([low, high])))
    assert logits.mean() == pytest.approx(np.log(x.mean() / (1 - x.mean())))
    low, high = jackknife_interval(0.1, [np.array([0.0, 0.2])], POSITIVE)
    assert 0 < low < 0.1 < high and low * high == pytest.approx(0.01)
    assert jackknife_interval(0.0, [np.array([0.0, 0.2])], SHARE)[0] == 0
    assert jackknife_interval(0.5, [np.array([0.2, 0.8])], CHANGE) == (-1, 1)


@pytest.mark.parametrize(
    ("estimate", "left_out"),
    [
        (0.75, [[0.75]]),
        (0.75, [[0.75, 0.75, 0.75]]),
        (0.1 + 0.2, [[0.3, 0.1 + 0.2, 0.3]]),
        (0.75, [[0.5, np.nan, 0.9]]),
        (0.75, [[0.5, 0.9], [0.6]]),
        (np.inf, [[1.0, 2.0]]),
        (np.nan, [[1.0, 2.0]]),
        (1.0, [[1.0, 1.0]]),
    ],
)
def test_what_says_nothing_of_the_spread_is_blank(estimate, left_out):
    for kind in (PLAIN, SHARE, POSITIVE):
        assert np.isnan(jackknife_interval(estimate, [np.array(part) for part in left_out], kind)).all()


@pytest.mark.parametrize("n_scanners", [4, 13])
@pytest.mark.parametrize(("middle", "spread"), [(2.0, 0.5), (2.0, 1.0), (4.0, 1.0)])
def test_intervals_over_scanners_hold_the_truth_where_percentiles_of_a_bootstrap_do_not(n_scanners, middle, spread):
    """The simulation that docs/statistics.md quotes, smaller: accuracies of 120 rows of each scanner."""
    rng = np.random.default_rng(3)
    truth = expit(middle + spread * rng.normal(size=200_000)).mean()
    hits, bootstrap, n = 0, 0, 600
    for _ in range(n):
        x = rng.binomial(120, expit(middle + spread * rng.normal(size=n_scanners))) / 120
        left_out = (x.sum() - x) / (n_scanners - 1)
        low, high = jackknife_interval(x.mean(), [left_out], SHARE)
        hits += low <= truth <= high
        drawn = rng.multinomial(n_scanners, np.full(n_scanners, 1 / n_scanners), 300) @ x / n_scanners
        low, high = np.quantile(drawn, [0.025, 0.975])
        bootstrap += low <= truth <= high
    assert 0.9 <= hits / n <= 0.98
    assert bootstrap / n < hits / n - 0.01
