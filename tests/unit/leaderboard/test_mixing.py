"""LISI against its definition, row by row, and closed forms; explained variance against a regression.

Labels without order have a mixing below 1: 30 effective neighbours of three labels are never even."""

import numpy as np
import pytest
from scipy.optimize import brentq

from ct4bench.leaderboard.mixing import components, explained, kernel_weights, lisi, mixing_within


def lisi_of_a_row(points, labels, row, perplexity):
    """As Korsunsky et al. 2019 define it: weights of the nearest rows whose entropy is log(perplexity)."""
    distances = np.linalg.norm(points - points[row], axis=1)
    others = [i for i in np.argsort(distances, kind="stable") if i != row][: 3 * perplexity]
    d = distances[others]

    def excess(log_b):
        w = np.exp(-(d - d.min()) * np.exp(log_b))
        w /= w.sum()
        return -(w[w > 0] * np.log(w[w > 0])).sum() - np.log(perplexity)

    b = np.exp(brentq(excess, -20, 20, xtol=1e-14))
    w = np.exp(-(d - d.min()) * b)
    w /= w.sum()
    return 1 / sum(w[labels[others] == name].sum() ** 2 for name in set(labels))


def test_lisi_is_its_definition():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(150, 3)), rng.choice(["a", "b", "c"], 150)
    found = lisi(points, labels, perplexity=10)
    expected = [lisi_of_a_row(points, labels, row, 10) for row in range(150)]
    assert np.allclose(found, expected, rtol=1e-9)
    assert np.array_equal(lisi(points, labels, np.array([7, 3]), 10), found[[7, 3]])


def test_weights_have_the_perplexity():
    distances = np.random.default_rng(1).gamma(3, size=(20, 90)) * 10.0 ** np.arange(-10, 10)[:, None]
    weights = kernel_weights(distances, 30)
    assert np.allclose(np.exp(-(weights * np.log(weights)).sum(axis=1)), 30, rtol=1e-9)
    assert np.allclose(kernel_weights(np.zeros((2, 4)), 3), 0.25)


def test_rows_that_are_equal_have_equal_weights():
    """Then LISI is the inverse of Simpson's index of the counts: here of 4 others, 2 of each label or 1 and 3."""
    points, labels = np.zeros((5, 2)), np.array(["a", "a", "a", "b", "b"])
    found = lisi(points, labels)
    assert np.allclose(found[:3], 2.0) and np.allclose(found[3:], 1 / (0.75**2 + 0.25**2))


def test_mixing_is_zero_apart_and_near_one_mixed():
    rng = np.random.default_rng(2)
    labels, tissues = np.tile(["a", "b", "c"], 400), np.repeat(["x", "y"], 600)
    values = rng.normal(size=(1200, 4))
    mixed = mixing_within(values, labels, tissues)
    apart = mixing_within(
        values + 1000.0 * (labels == "b")[:, None] - 1000.0 * (labels == "c")[:, None], labels, tissues
    )
    assert sorted(mixed) == ["a", "b", "c"] and min(mixed.values()) > 0.75
    assert max(apart.values()) < 1e-9
    # what parts tissues is no matter
    far = mixing_within(values + 1000.0 * (tissues == "y")[:, None], labels, tissues)
    assert min(far.values()) > 0.75
    assert mixing_within(values, labels, tissues) == mixed


def test_a_tissue_of_one_label_does_not_count():
    rng = np.random.default_rng(3)
    labels, tissues = np.array(["a", "b"] * 50 + ["a"] * 50), np.array(["x"] * 100 + ["y"] * 50)
    found = mixing_within(rng.normal(size=(150, 2)), labels, tissues)
    assert 0.5 < found["a"] <= 1 and 0.5 < found["b"] <= 1
    # without features all rows are equal: of three others, one or two are of each label
    bare = mixing_within(np.zeros((4, 0)), np.array(list("abab")), np.array(list("xxxx")))
    assert np.allclose(list(bare.values()), 1 / (5 / 9) - 1)


def test_explained_is_the_r2_of_a_regression_of_each_component():
    rng = np.random.default_rng(4)
    labels = rng.choice(["a", "b", "c"], 90)
    values = rng.normal(size=(90, 6)) + 2 * (labels == "a")[:, None] * rng.normal(size=6)
    scores, variances = components(values, 3)
    assert np.allclose(scores.var(axis=0), variances)
    design = np.stack([labels == name for name in "abc"], axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    r2 = 1 - ((scores - fitted) ** 2).sum(axis=0) / (scores**2).sum(axis=0)
    assert explained(values, labels, 3) == pytest.approx((variances * r2).sum() / variances.sum(), rel=1e-12)


def test_over_all_components_it_is_the_share_between_scanners():
    rng = np.random.default_rng(5)
    labels = np.repeat(["a", "b"], 40)
    values = rng.normal(size=(80, 5)) + 3.0 * (labels == "b")[:, None]
    means = np.stack([values[labels == name].mean(axis=0) for name in labels])
    centre = values.mean(axis=0)
    assert explained(values, labels) == pytest.approx(((means - centre) ** 2).sum() / ((values - centre) ** 2).sum())
    assert np.isnan(explained(np.zeros((80, 0)), labels))
