"""How far rows of several scanners mix: LISI within a tissue, and the share of variance that scanners explain.

LISI, the inverse of Simpson's index among a row's neighbours, weighted by distance: Korsunsky et al. 2019
(doi:10.1038/s41592-019-0619-0), with their 90 neighbours and perplexity of 30. Taken within each tissue and scaled to 0
and 1 (CiLISI): Andreatta et al. 2024 (doi:10.1038/s41467-024-45240-z). Principal component regression: Buettner et al.
2019 (doi:10.1038/s41592-018-0254-1), with the 50 components of Luecken et al. 2022 (doi:10.1038/s41592-021-01336-8).
"""

import numpy as np

PERPLEXITY = 30
N_COMPONENTS = 50
MOST_ANCHORS = 2000
"""Rows of a tissue whose neighbours are looked at; neighbours are sought among all of its rows."""
STEPS = 60
"""Halvings of the kernel's width; after them the entropy is as wanted to rounding."""


def components(values: np.ndarray, n: int = N_COMPONENTS) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading principal components of standardised features and their variances, (rows, n) and (n,).

    Fewer where there are fewer features; signs are those in which the largest loading is positive.
    """
    centred = values - values.mean(axis=0)
    variances, loadings = np.linalg.eigh(centred.T @ centred / len(values))
    order = np.argsort(-variances, kind="stable")[:n]
    loadings = loadings[:, order]
    if loadings.size:
        largest = np.abs(loadings).argmax(axis=0)
        loadings = loadings * np.where(loadings[largest, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
    return centred @ loadings, np.maximum(variances[order], 0)


def explained(values: np.ndarray, labels: np.ndarray, n: int = N_COMPONENTS) -> float:
    """Return the share of the variance of the leading principal components that labels explain: the sum over components
    of their variance times R2 of the labels, by the sum of their variances.

    `values` (rows, features) are standardised; NaN without variance.
    """
    if not values.size:
        return np.nan
    scores, variances = components(values, n)
    numbers = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(numbers)
    sums = np.zeros((len(counts), scores.shape[1]))
    np.add.at(sums, numbers, scores)
    between = (sums**2 / counts[:, None]).sum(axis=0) / len(scores)
    total = variances.sum()
    return float(between.sum() / total) if total > 0 else np.nan


def kernel_weights(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Return weights of neighbours that fall with distance d as exp(-b d), (rows, neighbours), the sum of a row 1; b is
    such that exp(entropy) of the weights is `perplexity`.

    Where distances do not differ, or their number is not above the perplexity, the weights are equal.
    """
    near = distances - distances.min(axis=1, keepdims=True)
    typical = near.mean(axis=1, keepdims=True)
    near = np.divide(near, typical, out=np.zeros_like(near), where=typical > 0)
    low, high = np.full(len(near), -30.0), np.full(len(near), 30.0)
    wanted = np.log(perplexity)

    def weights(exponent: np.ndarray) -> np.ndarray:
        with np.errstate(under="ignore"):
            found = np.exp(-near * np.exp(exponent)[:, None])
        return found / found.sum(axis=1, keepdims=True)

    for _ in range(STEPS):
        middle = (low + high) / 2
        found = weights(middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(found > 0, found * np.log(found), 0).sum(axis=1)
        wide = entropy > wanted
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return weights((low + high) / 2)


def lisi(points: np.ndarray, labels: np.ndarray, anchors: np.ndarray | None = None, perplexity: float = PERPLEXITY):
    """Return LISI of the rows `anchors` (all without them), float64 (anchors,): the effective number of labels among
    the 3 x `perplexity` nearest other rows, from 1 to the number of labels.

    `points` are float64 (rows, dimensions). With fewer rows all others are neighbours. Rows that are equal are
    neighbours in the order in which they come.
    """
    from sklearn.neighbors import NearestNeighbors

    anchors = np.arange(len(points)) if anchors is None else anchors
    n = min(3 * int(perplexity), len(points) - 1)
    if n < 1:
        return np.full(len(anchors), np.nan)
    search = NearestNeighbors(n_neighbors=n + 1, algorithm="brute", n_jobs=1).fit(points)
    distances, rows = search.kneighbors(points[anchors])
    # A row is no neighbour of itself, wherever it comes among its equals.
    own = rows == anchors[:, None]
    own[~own.any(axis=1), -1] = True
    rows, distances = rows[~own].reshape(-1, n), distances[~own].reshape(-1, n)
    found = kernel_weights(distances, min(perplexity, n))
    numbers = np.unique(labels, return_inverse=True)[1]
    shares = np.zeros((len(anchors), numbers.max() + 1))
    np.add.at(shares, (np.arange(len(anchors))[:, None], numbers[rows]), found)
    return 1 / (shares**2).sum(axis=1)


def mixing_within(values: np.ndarray, labels: np.ndarray, tissues: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return how far labels mix within tissues, by label: the mean over its rows of (LISI - 1) / (labels - 1), LISI
    among the rows of the row's tissue on the leading principal components. 0 is apart, 1 is mixed.

    `values` (rows, features) are standardised. Up to `MOST_ANCHORS` rows of each tissue are drawn, and all rows are put
    in a drawn order first, so that rows that are equal have no order; a tissue with one label does not count.
    """
    order = np.random.default_rng([seed, len(values)]).permutation(len(values))
    values = values if values.shape[1] else np.zeros((len(values), 1))
    points, labels, tissues = components(values)[0][order], labels[order], tissues[order]
    sums: dict[str, float] = dict.fromkeys(sorted(set(labels.tolist())), 0.0)
    counts = dict.fromkeys(sums, 0)
    for tissue in sorted(set(tissues.tolist())):
        own = tissues == tissue
        n_labels = len(set(labels[own].tolist()))
        if n_labels < 2:
            continue
        anchors = np.arange(min(int(own.sum()), MOST_ANCHORS))
        found = (lisi(points[own], labels[own], anchors) - 1) / (n_labels - 1)
        for label, value in zip(labels[own][anchors].tolist(), found.tolist(), strict=True):
            sums[label] += value
            counts[label] += 1
    return {label: sums[label] / counts[label] if counts[label] else np.nan for label in sums}
