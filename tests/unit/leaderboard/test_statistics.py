"""Paired differences over a few scanners: against SciPy, all patterns written out, and simulations of a null."""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test, wilcoxon

from ct4bench.leaderboard.statistics import (
    CANNOT,
    HARMS,
    HELPS,
    NOT_TOLD,
    holm,
    left_out_effects,
    rank_stability,
    ranks,
    scaled,
    sign_flip_interval,
    sign_flip_p,
    verdict,
)


def all_patterns(differences) -> float:
    """The p as it is defined, pattern by pattern."""
    patterns = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    means = np.abs(patterns @ np.asarray(differences, float))
    return float((means >= means[0] * (1 - 1e-12) - 1e-15).mean())


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_scipy_and_of_all_patterns(seed):
    values = np.random.default_rng(seed).normal(0.3, 1, 11)
    expected = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip_p(values) == pytest.approx(expected, abs=1e-12)
    assert sign_flip_p(values) == all_patterns(values)
    assert sign_flip_p(-values) == sign_flip_p(values)


def test_p_of_ranks_is_wilcoxons():
    """Flips of signed ranks are the exact Wilcoxon test."""
    values = np.random.default_rng(3).normal(0.4, 1, 13)
    signed = np.sign(values) * (np.argsort(np.argsort(np.abs(values))) + 1)
    assert sign_flip_p(signed) == pytest.approx(wilcoxon(values, method="exact").pvalue, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full(13, 0.1), 2 / 2**13),
        (np.full(5, 0.1), 2 / 2**5),
        (np.zeros(13), 1.0),
        ([0.1, -0.1, 0.2, -0.2], 1.0),
        # zeros flip to themselves: as if there were four units
        ([0.1, 0.2, 0.3, 0.4, 0, 0, 0], 2 / 2**4),
        ([1 / 60] * 6 + [-1 / 60], all_patterns([1.0] * 6 + [-1.0])),
        ([0.5], 1.0),
    ],
)
def test_p_with_ties_and_zeros(values, expected):
    assert sign_flip_p(np.asarray(values)) == expected


def test_blank_units_do_not_count():
    values = np.array([0.3, 0.1, np.nan, 0.4, 0.2, -0.1, 0.5])
    assert sign_flip_p(values) == all_patterns(values[np.isfinite(values)])
    assert np.isnan(sign_flip_p(np.array([np.nan])))


@pytest.mark.parametrize(
    "values", [np.random.default_rng(1).normal(0.5, 1, 13), np.round(np.linspace(-0.1, 0.4, 8), 1)]
)
def test_interval_has_the_shifts_that_the_test_does_not_reject(values):
    low, high = sign_flip_interval(values)
    grid = np.concatenate([np.linspace(low - 1, high + 1, 201), [low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6]])
    inside = (grid >= low) & (grid <= high)
    kept = np.array([all_patterns(values - shift) > 0.05 for shift in grid])
    assert (kept == inside).all()
    assert low < values.mean() < high


def test_interval_needs_six_units():
    assert np.isnan(sign_flip_interval(np.arange(5.0))).all()
    assert np.isnan(sign_flip_interval(np.array([]))).all()
    # of six, only the pattern itself lies outside: the ends are the smallest and the largest difference
    assert sign_flip_interval(np.array([3.0, 1, 4, 2, 6, 5])) == (1.0, 6.0)


def test_many_units_are_drawn_from_the_seed_and_come_near_the_t_interval():
    values = np.random.default_rng(2).normal(0.2, 1, 40)
    p = sign_flip_p(values, seed=5)
    assert p == sign_flip_p(values, seed=5)
    statistic = values.mean() / (values.std(ddof=1) / np.sqrt(40))
    from scipy.stats import t

    assert p == pytest.approx(2 * t.sf(abs(statistic), 39), abs=0.01)
    half = t.ppf(0.975, 39) * values.std(ddof=1) / np.sqrt(40)
    assert np.allclose(sign_flip_interval(values), (values.mean() - half, values.mean() + half), atol=0.03)


def false_positives(draw, n_runs: int, n: int = 13) -> float:
    rng = np.random.default_rng(11)
    return float(np.mean([sign_flip_p(draw(rng, n)) < 0.05 for _ in range(n_runs)]))


@pytest.mark.parametrize(
    "draw", [lambda rng, n: rng.normal(size=n), lambda rng, n: rng.standard_t(2, n)], ids=["normal", "heavy tails"]
)
def test_one_in_twenty_null_comparisons_is_rejected(draw):
    assert false_positives(draw, 1000) == pytest.approx(0.05, abs=0.021)  # three standard errors


def test_makers_that_share_an_effect_break_the_test():
    """Why nothing is claimed of other makers: 13 scanners of 4 makers, a third of null comparisons rejected."""
    makers = np.repeat([0, 1, 2, 3], [6, 3, 2, 2])

    def draw(rng, n):
        return rng.normal(size=4)[makers] + 0.5 * rng.normal(size=n)

    assert false_positives(draw, 400) > 0.2


@pytest.mark.slow
def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(4)
    for draw in (rng.normal, lambda size: rng.standard_t(3, size), lambda size: np.round(rng.normal(size=size), 1)):
        held = [low <= 0 <= high for low, high in (sign_flip_interval(draw(size=13)) for _ in range(4000))]
        assert np.mean(held) == pytest.approx(0.95, abs=0.0105)


MAKERS = np.repeat([0, 1, 2, 3], [6, 3, 2, 2])
FAMILIES = {
    "normal": (lambda rng, n: rng.normal(size=(13, n)), 0.027, 0.052),
    "heavy tails": (lambda rng, n: rng.standard_t(2, (13, n)), 0.025, 0.046),
    "ties": (lambda rng, n: np.round(rng.normal(size=(13, n))), 0.010, 0.016),
    "makers": (lambda rng, n: rng.normal(size=(4, n))[MAKERS] + rng.normal(size=(13, n)), 0.28, 0.49),
    "makers, scanners alike": (
        lambda rng, n: rng.normal(size=(4, n))[MAKERS] + rng.normal(0, 0.5, (13, n)),
        0.54,
        0.79,
    ),
}
"""How differences of methods without an effect are drawn; share of families in which one helps, or helps or harms:
docs/statistics.md."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_verdicts_of_methods_without_an_effect(name):
    draw, helped, told = FAMILIES[name]
    rng, found = np.random.default_rng(5), []
    for _ in range(400):
        values = draw(rng, 11)
        adjusted = holm(np.array([sign_flip_p(column) for column in values.T]))
        words = [verdict(column.mean(), q, 13) for column, q in zip(values.T, adjusted, strict=True)]
        found.append((HELPS in words, HELPS in words or HARMS in words))
    for share, expected in zip(np.mean(found, axis=0), (helped, told), strict=True):
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 400))


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "among", "alone"), [(0.5, 0.09, 0.37), (1, 0.54, 0.91), (1.5, 0.93, 1.0)])
def test_effects_that_thirteen_scanners_find(effect, among, alone):
    """An effect of one of eleven methods, in SD of its differences: docs/statistics.md."""
    rng, found = np.random.default_rng(6), []
    for _ in range(400):
        values = rng.normal(size=(13, 11))
        values[:, 0] += effect
        p = np.array([sign_flip_p(column) for column in values.T])
        found.append((holm(p)[0] < 0.05, p[0] < 0.05))
    assert np.mean(found, axis=0) == pytest.approx([among, alone], abs=0.09)


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9, 0.04])
    assert np.allclose(holm(p), multipletests(p, method="holm")[1], rtol=0, atol=1e-15)
    assert np.array_equal(holm(np.array([0.02, np.nan, 0.03])), [0.04, np.nan, 0.04], equal_nan=True)
    assert holm(np.array([])).shape == (0,)


def test_ranks_share_the_mean_and_leave_blanks_out():
    assert list(ranks(np.array([0.1, 0.3, 0.1]))) == [2.5, 1, 2.5]
    assert list(ranks(np.array([0.1 + 0.2, 0.3, 0.0]))) == [1.5, 1.5, 3]
    assert np.array_equal(ranks(np.array([0.1, np.nan, 0.2])), [2, np.nan, 1], equal_nan=True)


def test_rank_of_a_method_that_is_better_everywhere_is_firm():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (3, 13))
    low, high = rank_stability(noise + np.array([[5.0], [0], [0]]), seed=1)
    assert (low[0], high[0]) == (1, 1) and (low[1], high[1]) == (2, 3)
    again = rank_stability(noise + np.array([[5.0], [0], [0]]), seed=1)
    assert np.array_equal(again, (low, high))
    assert np.isnan(rank_stability(noise[:, :1], seed=1)).all()


def test_rank_stability_is_the_share_of_resamples():
    """Two methods, one better on 2 of 3 scanners: a resample of three takes it below where it draws the third often."""
    differences = np.array([[1.0, 1, -1.5], [0, 0, 0]])
    outcomes = [np.mean([(1, 1, -1.5)[i] for i in drawn]) > 0 for drawn in itertools.product(range(3), repeat=3)]
    share = np.mean(outcomes)
    assert 0.025 < share < 0.975
    low, high = rank_stability(differences, seed=0)
    assert list(low) == [1, 1] and list(high) == [2, 2]


def test_verdicts():
    assert verdict(0.02, 0.04, 13) == HELPS
    assert verdict(-0.02, 0.04, 13) == HARMS
    assert verdict(0.02, 0.06, 13) == NOT_TOLD
    assert verdict(0.0, 0.04, 13) == NOT_TOLD
    assert verdict(0.5, 0.001, 5) == CANNOT
    assert verdict(np.nan, np.nan, 13) == NOT_TOLD


def test_effects_without_each_maker():
    found = left_out_effects(np.array([1.0, 2, 3, np.nan]), np.array(["a", "a", "b", "b"]))
    assert found == {"a": (3.0, 1), "b": (1.5, 2)}
    (rest,) = left_out_effects(np.array([1.0]), np.array(["a"])).values()
    assert np.isnan(rest[0]) and rest[1] == 0


def test_scaling_may_leave_the_controls():
    assert scaled(0.9, 0.25, 1.0) == pytest.approx(0.65 / 0.75)
    assert scaled(1.1, 0.0, 1.0) == 1.1 and scaled(0.9, 1.0, 0.1) == pytest.approx(1 / 9)
    assert np.isnan(scaled(0.5, 0.3, 0.3)) and np.isnan(scaled(0.5, np.nan, 1))
