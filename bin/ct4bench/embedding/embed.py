"""UMAP of features for Figures 5 and 6, and numbers that say how far to trust the picture.

Features are z-scored. Neighbours are found exactly, in fixed blocks; umap-learn makes the fuzzy graph of them and the
parameters of the plane; the layout starts from the first two principal components. Everything runs as one thread would,
so the same rows give the same bytes, for any number of threads.
"""

# code-table: <method>/embedding.parquet
# code-table: <method>/embedding_quality.csv

import hashlib
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.checks import KINDS
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import plain_units, sorted_values
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.embedding.umap_layout import Edges, layout_difference, optimise

NEIGHBOURS = 100
MIN_DIST = 1.0
SPREAD = 1.0
"""umap-learn's default, and the least that `MIN_DIST` allows."""
EPOCHS = 1000
FIGURES = ("figure5", "figure6")
"""The rows of the phantom's main region, and all rows."""

COLUMNS = 32
"""Features that are standardised at once, to keep copies small."""
BLOCK = 256
SLACK = 28
"""Candidates beyond the neighbours asked for, from which exact distances choose."""
NOISE = 1e-4
"""SD of the start's noise, of a width of 10: equal rows do not start at one point (umap-learn's own value)."""
ANCHORS = 2000
"""Rows, drawn at random, from which the neighbourhoods and silhouettes are judged."""
JUDGED_NEIGHBOURS = 15

VERIFIED_EPOCHS, VERIFIED_STEP = 10, 0.01
VERIFIED_SHARE, TOLERANCE = 0.99, KINDS["layout"].tolerance
"""So many points must lie so near to where umap-learn has them after the verified epochs, of a layout 10 wide. The rest
may have met a point so near that rounding decides how far they are pushed; with other random points, most would differ
by 0.01 and more."""

EMBEDDING_COLUMNS = columns_of("<method>/embedding.parquet")
QUALITY_COLUMNS = columns_of("<method>/embedding_quality.csv")


def standardise(values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the z-scores (population SD) of the columns of `values` (rows, features) that can have them, of the chosen
    rows, float64 in column-major order.

    Columns that are constant (but for rounding) or not finite are left out.
    """
    starts, n_rows = range(0, values.shape[1], COLUMNS), len(values[rows, :0])

    def block(start: int) -> np.ndarray:
        # a column after another in memory, of which the sums' last digits depend
        return plain_units(np.asfortranarray(values[rows, start : start + COLUMNS]))[0]

    moments = [_moments(block(start)) for start in starts]
    scores, at = np.empty((n_rows, sum(usable.sum() for *_, usable in moments)), order="F"), 0
    for start, (mean, sd, usable) in zip(starts, moments, strict=True):
        stop = at + usable.sum()
        scores[:, at:stop] = (block(start)[:, usable] - mean[usable]) / sd[usable]
        at = stop
    return scores


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and SD of each column, and whether it can be z-scored."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean, sd = values.mean(axis=0), values.std(axis=0)
        usable = np.isfinite(mean) & np.isfinite(sd) & (sd > 1e-12 * np.abs(values).max(axis=0))
    return mean, sd, usable


@njit(cache=True, error_model="numpy", nogil=True)
def _exact_distances(values, first, candidates, out):
    for i in range(candidates.shape[0]):
        for c in range(candidates.shape[1]):
            total = 0.0
            for f in range(values.shape[1]):
                d = values[first + i, f] - values[candidates[i, c], f]
                total += d * d
            out[i, c] = np.sqrt(total)


def _squared_distances(squares: np.ndarray, values: np.ndarray, rows) -> np.ndarray:
    """Squared distances (rows, all) from the squares of all rows, to what a product of matrices rounds."""
    found, products = squares[rows, None] + squares, values[rows] @ values.T
    products *= 2
    found -= products
    return found


def nearest_neighbours(values: np.ndarray, n_neighbours: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices (rows, n) int32 and Euclidean distances (rows, n) float64 of the nearest rows, each row itself
    first.

    Exact: candidates come from products of matrices, with some to spare, and are measured again in float64; a row whose
    candidates might not hold all its neighbours is measured against every other. Equal distances go by index.
    """
    n = len(values)
    n_candidates = min(n, n_neighbours + SLACK)
    squares = np.einsum("ij,ij->i", values, values)
    indices, distances = np.empty((n, n_neighbours), np.int32), np.empty((n, n_neighbours))
    everyone = np.arange(n)

    def choose(first, candidates):
        found = np.empty(candidates.shape)
        _exact_distances(values, first, candidates, found)
        found[candidates == np.arange(first, first + len(found))[:, None]] = -1
        order = np.argsort(found, axis=1, kind="stable")[:, :n_neighbours]
        return np.take_along_axis(candidates, order, 1), np.maximum(np.take_along_axis(found, order, 1), 0)

    def search(first):
        rows = slice(first, min(first + BLOCK, n))
        rough = _squared_distances(squares, values, rows)
        rough[np.arange(rows.stop - first), np.arange(first, rows.stop)] = -np.inf
        candidates = np.argpartition(rough, n_candidates - 1, axis=1)[:, :n_candidates]
        farthest = np.take_along_axis(rough, candidates, 1).max(axis=1)
        candidates.sort(axis=1)
        indices[rows], distances[rows] = choose(first, candidates)
        if n_candidates == n:
            return
        error = 1e-12 * values.shape[1] * (squares[rows] + squares.max())
        for i in np.flatnonzero(distances[rows, -1] ** 2 >= farthest - error):
            indices[first + i], distances[first + i] = (part[0] for part in choose(first + i, everyone[None]))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(search, range(0, n, BLOCK)))
    return indices, distances


def principal_components(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (rows, 2) on the first two principal axes of z-scores, and the share of variance of each
    (2,).

    The largest loading of an axis is positive. With one feature the second coordinate is 0.
    """
    variances, axes = np.linalg.eigh(scores.T @ scores / len(scores))
    axes, shares = axes[:, ::-1][:, :2], variances[::-1][:2] / variances.sum()
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    coordinates = scores @ axes
    if axes.shape[1] < 2:
        coordinates, shares = np.pad(coordinates, ((0, 0), (0, 1))), np.append(shares, 0.0)
    return coordinates, shares


def load_without_search() -> None:
    """Import umap-learn without compiling pynndescent, its search of neighbours, which takes longer than all the rest.

    For a process that finds neighbours itself: pynndescent stays plain Python in it, right but slow. The two kernels of
    umap-learn that make the graph are kept where the bundle's are (NUMBA_CACHE_DIR): compiling them takes 4 s, as long
    as the layout of a demo.
    """
    import numba

    compiled = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = 1
    try:
        import pynndescent  # noqa: F401
    finally:
        numba.config.DISABLE_JIT = compiled
    import umap

    for kernel in (umap.umap_.smooth_knn_dist, umap.umap_.compute_membership_strengths):
        kernel.enable_caching()


def settings(n_rows: int, seed: int, n_epochs: int = EPOCHS, neighbours=None):
    """Set up the UMAP estimator of the figures for so many rows; `neighbours` are those of `nearest_neighbours`."""
    import umap

    given = {} if neighbours is None else {"precomputed_knn": (neighbours[0], neighbours[1].astype(np.float32))}
    return umap.UMAP(
        n_neighbors=min(NEIGHBOURS, n_rows - 1),
        min_dist=MIN_DIST,
        spread=SPREAD,
        n_epochs=n_epochs,
        random_state=seed,
        n_jobs=1,
        transform_mode="graph",
        **given,
    )


def graph_edges(graph, n_epochs: int) -> Edges:
    """Return the edges of a fuzzy graph (sparse) that are sampled in `n_epochs` at all, in the order of umap-learn."""
    from umap.umap_ import make_epochs_per_sample

    graph = graph.tocoo()
    graph.sum_duplicates()
    kept = graph.data >= graph.data.max() / float(n_epochs)
    every = make_epochs_per_sample(graph.data[kept], n_epochs)
    return Edges(graph.row[kept].astype(np.int32), graph.col[kept].astype(np.int32), every)


def _start(coordinates: np.ndarray, seed: int) -> np.ndarray:
    """Coordinates (rows, 2) brought to a square 10 wide, with a little noise, float32."""
    width = np.abs(coordinates).max()
    noise = np.random.default_rng([seed, 5]).normal(0, NOISE, coordinates.shape)
    positions = coordinates * (10 / width if width else 1) + noise
    return (10 * (positions - positions.min(axis=0)) / np.ptp(positions, axis=0)).astype(np.float32)


@dataclass(frozen=True)
class Embedding:
    """Places of rows in the plane, (rows, 2) each, and what is known about them."""

    umap: np.ndarray
    pca: np.ndarray
    pca_shares: np.ndarray
    n_neighbours: int
    difference: float
    """How near 99 % of the points are to where umap-learn has them after the verified epochs; not a number without."""


def embed(
    scores: np.ndarray, seed: int = 0, threads: int = 1, n_epochs: int = EPOCHS, verify: int = VERIFIED_EPOCHS
) -> Embedding:
    """Compute the UMAP of z-scores (rows, features), three rows at least. Products of matrices must run on
    one thread.

    `verify` epochs of short steps are run by umap-learn's loop, too: `UserError` where points differ.
    """
    n_neighbours = min(NEIGHBOURS, len(scores) - 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precomputed_knn.*|.*knn_search_index.*")
        neighbours = nearest_neighbours(scores, n_neighbours, threads)
        # of the rows themselves it reads nothing but how many they are
        estimator = settings(len(scores), seed, n_epochs, neighbours).fit(scores[:, :1])
    coordinates, shares = principal_components(scores)
    words = np.random.default_rng([seed, 6]).integers(-(2**31), 2**31 - 1, 3)
    layout = (_start(coordinates, seed), graph_edges(estimator.graph_, n_epochs))
    curve = (float(estimator._a), float(estimator._b), words)
    # as large as the edges, of which the layout makes copies
    del neighbours, estimator
    difference = float("nan")
    if verify:
        distances = layout_difference(*layout, verify, *curve, VERIFIED_STEP)
        difference = float(np.quantile(distances, VERIFIED_SHARE))
        if difference > TOLERANCE:
            raise UserError(
                f"the layout differs from umap-learn's by {difference:.2g} after {verify} epochs (10 wide, tolerance "
                f"{TOLERANCE:g}); report it with the table of features and the version of umap-learn"
            )
    positions = optimise(*layout, n_epochs, *curve)
    return Embedding(positions, coordinates, shares, n_neighbours, difference)


def _ranks_beyond(distances: np.ndarray, chosen: np.ndarray, k: int) -> float:
    """Sum of (rank - k) over the `chosen` (rows, k) that are not among the k nearest by `distances` (rows, all)."""
    excess = 0.0
    for column in chosen.T:
        limit = distances[np.arange(len(distances)), column]
        # A row is nearer to itself than all others, so this counts from 1.
        excess += np.maximum((distances < limit[:, None]).sum(axis=1) - k, 0).sum()
    return excess


def _silhouettes(distances: np.ndarray, anchors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouette of each anchor row from its distances (anchors, rows) to all rows; 0 for one alone in its class."""
    classes, of_row = np.unique(labels, return_inverse=True)
    sizes = np.bincount(of_row)
    sums = np.stack([distances[:, of_row == c].sum(axis=1) for c in range(len(classes))], axis=1)
    own = of_row[anchors]
    at = np.arange(len(anchors))
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = sums[at, own] / (sizes[own] - 1)
        means = sums / sizes
        means[at, own] = np.inf
        outside = means.min(axis=1)
        value = (outside - inside) / np.maximum(inside, outside)
    return np.where(sizes[own] > 1, np.nan_to_num(value), 0.0)


def embedding_quality(
    scores: np.ndarray,
    positions: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    seed: int,
    n_anchors: int = ANCHORS,
) -> dict[str, float]:
    """Return the trustworthiness and continuity of each of `positions` (rows, 2), and silhouettes of `labels` among the
    features.

    Trustworthiness (Venna and Kaski 2006, doi:10.1016/j.neunet.2006.05.014) falls with rows that are near in the plane
    only, continuity with rows that are near among the features only; both are 1 at best and take
    `JUDGED_NEIGHBOURS`, or fewer where there are less than twice as many rows. A silhouette near 1 means that a class
    lies apart. All are means over rows, or over `n_anchors` of them drawn at random. A label of one value only, or of
    as many as rows, has none.
    """
    n = len(scores)
    k = min(JUDGED_NEIGHBOURS, (n - 1) // 2)
    anchors = np.sort(np.random.default_rng([seed, 7]).choice(n, min(n, n_anchors), replace=False))
    usable = {name: values for name, values in labels.items() if 2 <= len(set(values)) < n}
    trust, continuity = dict.fromkeys(positions, 0.0), dict.fromkeys(positions, 0.0)
    silhouettes = {name: [] for name in usable}
    squares = np.einsum("ij,ij->i", scores, scores)
    for first in range(0, len(anchors), BLOCK):
        rows = anchors[first : first + BLOCK]
        own = np.arange(len(rows)), rows
        high = _squared_distances(squares, scores, rows)
        np.sqrt(np.maximum(high, 0, out=high), out=high)
        high[own] = 0
        for name, values in usable.items():
            silhouettes[name].append(_silhouettes(high, rows, values))
        high[own] = -np.inf
        near_high = np.argpartition(high, k, axis=1)[:, : k + 1]
        near_high = np.array([row[row != i][:k] for row, i in zip(near_high, rows, strict=True)])
        for name, position in positions.items():
            position = position.astype(float)
            low = np.square(position[rows, None, 0] - position[:, 0])
            low += np.square(position[rows, None, 1] - position[:, 1])
            low[own] = -np.inf
            near_low = np.argpartition(low, k, axis=1)[:, : k + 1]
            near_low = np.array([row[row != i][:k] for row, i in zip(near_low, rows, strict=True)])
            trust[name] += _ranks_beyond(high, near_low, k)
            continuity[name] += _ranks_beyond(low, near_high, k)
    scale = 2 / (len(anchors) * k * (2 * n - 3 * k - 1))
    found = {"n_neighbors_quality": k, "n_anchors": len(anchors)}
    for name in positions:
        found[f"trustworthiness_{name}"] = 1 - scale * trust[name]
        found[f"continuity_{name}"] = 1 - scale * continuity[name]
    for name in labels:
        found[f"silhouette_{name}"] = (
            float(np.concatenate(silhouettes[name]).mean()) if name in usable else float("nan")
        )
    return found


def embedded_region(rois, phantom: Phantom) -> str:
    """Return the region whose rows Figure 5 embeds: the main one of the phantom. Where features of a phantom of the
    user's own lack it, the first in the description that they have; of regions that no description has, the first by
    name."""
    known = [roi for roi in phantom.names if roi in set(rois)]
    if not known:
        return min(rois)
    return phantom.main_region if phantom.is_published or phantom.main_region in known else known[0]


def _rows_of(keys: pd.DataFrame, figure: str, phantom: Phantom) -> np.ndarray:
    """Numbers of a figure's rows."""
    roi = embedded_region(keys["roi"], phantom) if figure == "figure5" else None
    rows = np.arange(len(keys)) if roi is None else np.flatnonzero(keys["roi"] == roi)
    if len(rows) < 3:
        of = f" of {roi}" if roi else ""
        raise UserError(
            f"an embedding needs three rows at least, and the table of features has {len(rows)}{of}; extract features "
            "of more series or patches"
        )
    return rows


def _embed_repeated(scores: np.ndarray, seed: int, threads: int, n_epochs: int, verify: int) -> Embedding:
    """Embed z-scores (rows, features) of which some rows may be equal, or that have no features.

    Where a row has more equals than neighbours, which is no graph of neighbourhoods any more, each different row gets
    one place, as by umap-learn's `unique`. Fewer than three different rows lie where the components have them.
    """
    # by digest, as sorting whole rows would take a second copy of them
    of_row, digests = pd.factorize(np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in scores]))
    counts = np.bincount(of_row)
    if counts.max() <= min(NEIGHBOURS, len(scores) - 1):
        return embed(scores, seed, threads, n_epochs, verify)
    coordinates, shares = (
        principal_components(scores) if scores.shape[1] else (np.zeros((len(scores), 2)), np.full(2, np.nan))
    )
    if len(digests) < 3:
        return Embedding(coordinates.astype(np.float32), coordinates, shares, 0, float("nan"))
    found = embed(scores[np.unique(of_row, return_index=True)[1]], seed, threads, n_epochs, verify)
    return Embedding(found.umap[of_row], coordinates, shares, found.n_neighbours, found.difference)


def _unjudged(positions: Iterable[str], labels: Iterable[str]) -> dict[str, float]:
    names = [f"{kind}_{name}" for kind in ("trustworthiness", "continuity") for name in positions]
    missing = dict.fromkeys([*names, *(f"silhouette_{name}" for name in labels)], float("nan"))
    return {"n_neighbors_quality": 0, "n_anchors": 0, **missing}


def _scores_of(values: np.ndarray, keys: pd.DataFrame, figure: str, extractor: str, phantom: Phantom) -> np.ndarray:
    """Z-scores of a figure's rows; `UserError` where none has any since some row is not finite."""
    rows = _rows_of(keys, figure, phantom)
    scores = standardise(values, slice(None) if len(rows) == len(values) else rows)
    if scores.shape[1]:
        return scores
    bad = keys.iloc[rows[~np.isfinite(values[rows]).all(axis=1)]]
    if len(bad):
        named = " ".join(map(str, bad.iloc[0][ROW_KEY]))
        raise UserError(
            f"{figure}: every feature of {extractor} is constant or not finite in some row "
            f"({len(bad)} of {len(rows)} rows, such as {named}: leave these out); there is nothing to embed"
        )
    return scores


def embedding_tables(
    features: pd.DataFrame | Iterable[pd.DataFrame],
    extractor: str,
    seed: int = 0,
    threads: int = 1,
    n_epochs: int = EPOCHS,
    verify: int = VERIFIED_EPOCHS,
    phantom: Phantom = CT4HARMONIZATION,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables of the embedding with the first two principal components, and quality of both figures.

    Columns: `EMBEDDING_COLUMNS` and `QUALITY_COLUMNS`.

    `features` has the columns of `benchmark.FEATURE_KEY`, then the features; or it is such a table in blocks of
    features, as `feature_tables.read_feature_blocks` gives it. Features that are constant or not finite among a
    figure's rows are left out (`n_left_out`). Where all are constant, as what a control makes of one region may be, all
    rows lie at one point and nothing is judged. Rows are sorted by figure and row key.
    """
    from threadpoolctl import threadpool_limits

    keys, names, values = sorted_values([features] if isinstance(features, pd.DataFrame) else features, "F")
    all_scores = {figure: _scores_of(values, keys, figure, extractor, phantom) for figure in sorted(FIGURES)}
    del values
    embeddings, qualities = [], []
    for figure in sorted(FIGURES):
        rows, scores = keys.iloc[_rows_of(keys, figure, phantom)].reset_index(drop=True), all_scores.pop(figure)
        labels = {name: rows[name].to_numpy() for name in ("scanner", "maker", "tissue")}
        # The last digit of a product of matrices depends on the number of threads, and a layout on every digit.
        with threadpool_limits(limits=1):
            found = _embed_repeated(scores, seed, threads, n_epochs, verify)
            places = {"umap": found.umap, "pca": found.pca}
            judged = embedding_quality(scores, places, labels, seed) if scores.shape[1] else _unjudged(places, labels)
        judged = {name.removesuffix("_umap"): value for name, value in judged.items()}
        key = rows[ROW_KEY].assign(figure=figure, extractor=extractor)
        positions = {
            f"{name}_{i + 1}": part[:, i] for name, part in (("umap", found.umap), ("pca", found.pca)) for i in (0, 1)
        }
        embeddings.append(key.assign(**positions)[EMBEDDING_COLUMNS])
        qualities.append(
            {
                "figure": figure, "extractor": extractor, "n_rows": len(rows), "n_features": scores.shape[1],
                "n_left_out": len(names) - scores.shape[1], "n_neighbors": found.n_neighbours, "min_dist": MIN_DIST,
                "n_epochs": n_epochs, "seed": seed, "layout_difference": found.difference,
                "pca_share_1": found.pca_shares[0], "pca_share_2": found.pca_shares[1], **judged,
            }
        )  # fmt: skip
    return pd.concat(embeddings, ignore_index=True), pd.DataFrame(qualities)[QUALITY_COLUMNS]
