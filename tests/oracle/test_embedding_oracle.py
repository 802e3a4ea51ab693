"""Neighbours, principal components, trustworthiness and silhouettes against scikit-learn; settings of the estimator."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from ct4bench.embedding.embed import embedding_quality, nearest_neighbours, principal_components, settings, standardise


@pytest.fixture
def values(rng):
    return np.repeat(rng.normal(0, 2, (12, 30)), 60, axis=0) + rng.normal(0, 1, (720, 30)) * np.arange(1, 31)


def test_scores_are_those_of_the_standard_scaler(values):
    np.testing.assert_allclose(standardise(values), StandardScaler().fit_transform(values), atol=1e-12)


@pytest.mark.parametrize("n_neighbours", [2, 15, 100, 719])
def test_neighbours_are_the_exact_ones(values, n_neighbours):
    scores = standardise(values)
    distances, indices = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(scores).kneighbors(scores)
    ours = nearest_neighbours(scores, n_neighbours)
    np.testing.assert_array_equal(ours[0], indices)
    np.testing.assert_allclose(ours[1], distances, atol=1e-6)
    assert (ours[1][:, 0] == 0).all() and (np.diff(ours[1], axis=1) >= 0).all()


def test_components_are_those_of_pca(values):
    scores = standardise(values)
    pca = PCA(2, svd_solver="full").fit(scores)
    coordinates, shares = principal_components(scores)
    expected = pca.transform(scores)
    signs = np.sign((coordinates * expected).sum(axis=0))
    np.testing.assert_allclose(coordinates, expected * signs, atol=1e-9)
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-9)


def test_trustworthiness_continuity_and_silhouette(values, rng):
    scores = standardise(values)
    plane = principal_components(scores)[0]
    labels = np.repeat(np.arange(12), 60)
    found = embedding_quality(scores, {"pca": plane}, {"scanner": labels, "tissue": labels // 4}, 0)
    assert found["trustworthiness_pca"] == pytest.approx(trustworthiness(scores, plane, n_neighbors=15), abs=1e-9)
    assert found["continuity_pca"] == pytest.approx(trustworthiness(plane, scores, n_neighbors=15), abs=1e-9)
    assert found["silhouette_scanner"] == pytest.approx(silhouette_score(scores, labels), abs=1e-9)
    assert found["silhouette_tissue"] == pytest.approx(silhouette_score(scores, labels // 4), abs=1e-9)
    few = embedding_quality(scores, {"pca": plane}, {"scanner": labels}, 0, n_anchors=300)
    for name in ("trustworthiness_pca", "continuity_pca", "silhouette_scanner"):
        assert few[name] == pytest.approx(found[name], abs=0.02) and few[name] != found[name]


@pytest.mark.parametrize("n_rows, n_neighbours", [(16_080, 100), (101, 100), (100, 99), (20, 19), (3, 2)])
def test_the_estimator_has_the_settings_of_the_figures(n_rows, n_neighbours):
    estimator = settings(n_rows, seed=7)
    assert (estimator.n_neighbors, estimator.min_dist, estimator.n_epochs) == (n_neighbours, 1.0, 1000)
    assert (estimator.random_state, estimator.n_components, estimator.metric) == (7, 2, "euclidean")
    assert estimator.spread >= estimator.min_dist
    # What the layout takes as given.
    assert (estimator.negative_sample_rate, estimator.repulsion_strength) == (5, 1.0)
    assert (estimator.learning_rate, estimator.densmap, estimator.output_metric) == (1.0, False, "euclidean")
