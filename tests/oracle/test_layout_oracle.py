"""The layout against umap-learn's own loop, its tables against the functions they stand for."""

import warnings

import numpy as np
import pytest

from ct4bench.embedding import umap_layout
from ct4bench.embedding.embed import (
    graph_edges,
    load_without_search,
    nearest_neighbours,
    principal_components,
    settings,
    standardise,
)
from ct4bench.embedding.umap_layout import attraction, layout_difference, optimise, repulsion


@pytest.fixture(scope="module")
def small():
    """Start, edges and curve of 240 rows in six clusters."""
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(0, 3, (6, 10)), 40, axis=0) + rng.normal(0, 1, (240, 10))
    scores = standardise(values)
    load_without_search()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = settings(240, 0, 100, nearest_neighbours(scores, 30)).fit(scores)
    coordinates, _ = principal_components(scores)
    start = (10 * (coordinates - coordinates.min(axis=0)) / np.ptp(coordinates, axis=0)).astype(np.float32)
    return start, graph_edges(estimator.graph_, 100), (float(estimator._a), float(estimator._b))


@pytest.mark.parametrize("step, n_epochs, tolerance", [(1e-3, 30, 1e-5), (1e-2, 10, 1e-4), (0.1, 5, 1e-3)])
def test_short_steps_lead_where_umap_learn_leads(small, step, n_epochs, tolerance):
    start, edges, curve = small
    words = np.array([123456, -99999, 777])
    difference = layout_difference(start, edges, n_epochs, *curve, words, step)
    moved = np.linalg.norm(optimise(start, edges, n_epochs, *curve, words, step) - start, axis=1)
    # One point in a hundred may meet another so near that rounding decides how far it is pushed.
    assert np.quantile(difference, 0.99) < tolerance < np.median(moved) / 100
    assert np.median(difference) < tolerance / 5


@pytest.mark.parametrize("spread, step", [(1e-6, 1e-6), (40.0, 1.0)])
def test_points_nearer_or_farther_than_the_tables_reach_move_as_umap_learns(small, spread, step):
    """Beyond the tables the factors are computed; points that hardly move keep these distances."""
    start, edges, curve = small
    near = (start * np.float32(spread)).astype(np.float32)
    apart = ((near[:50, None].astype(float) - near[None].astype(float)) ** 2).sum(axis=2)
    outside = (apart < umap_layout.LOWEST) | (apart >= umap_layout.HIGHEST)
    assert outside.mean() > 0.7
    words = np.array([123456, -99999, 777])
    moved = np.linalg.norm(optimise(near, edges, 3, *curve, words, step).astype(float) - near, axis=1)
    difference = layout_difference(near, edges, 3, *curve, words, step)
    assert np.median(difference) < np.median(moved) / 100


def test_other_random_numbers_lead_elsewhere(small):
    """What the comparison would show if the random points were not umap-learn's."""
    start, edges, curve = small
    one, other = (optimise(start, edges, 30, *curve, np.array(words), 1e-2) for words in ((1, 2, 3), (9**9, 2, 3)))
    assert np.median(np.linalg.norm(one - other, axis=1)) > 1e-2


def test_the_whole_layout_is_as_good_as_that_of_umap_learn(small):
    """Steps of full width part within few epochs; what they lead to is alike all the same."""
    from sklearn.manifold import trustworthiness
    from umap.layouts import optimize_layout_euclidean

    start, edges, curve = small
    theirs = start.copy()
    optimize_layout_euclidean(
        theirs, theirs, edges.head, edges.tail, 100, len(start), edges.every.copy(), *curve,
        np.array([1, 2, 3]), move_other=True,
    )  # fmt: skip
    ours = optimise(start, edges, 100, *curve, np.array([1, 2, 3]))
    one, other = (trustworthiness(start, places, n_neighbors=10) for places in (ours, theirs))
    assert one == pytest.approx(other, abs=0.02)
    assert np.ptp(ours, axis=0).max() == pytest.approx(np.ptp(theirs, axis=0).max(), rel=0.25)


@pytest.mark.parametrize("function", [attraction, repulsion])
@pytest.mark.parametrize("curve", [(0.115, 1.93), (1.577, 0.895)])
def test_tables_hold_the_factors_of_the_gradient(rng, function, curve):
    squared = np.exp(rng.uniform(np.log(umap_layout.LOWEST), np.log(umap_layout.HIGHEST * 0.999), 5000)).astype(
        np.float32
    )
    table = umap_layout._table(function, *curve)
    found = np.array([umap_layout._look_up(table, value) for value in squared])
    np.testing.assert_allclose(found, function(squared.astype(float), *curve), rtol=1e-5)


def test_the_generator_is_that_of_umap_learn():
    from umap.utils import tau_rand_int

    ours, theirs = np.array([[2**40 + 7, -5, 12345]]), np.array([2**40 + 7, -5, 12345])
    numbers = [(umap_layout._random(ours, 0), tau_rand_int(theirs)) for _ in range(50)]
    assert all(a == b for a, b in numbers) and len({a for a, _ in numbers}) > 45
    np.testing.assert_array_equal(ours[0], theirs)
