"""Accuracies of the classifiers, from the predictions of every test row. Frames in, frames out.

The paper averages over folds and gives the SD over folds (ddof = 1). Its folds are not independent, and a scanner's
rows are alike, so that each cell also has a 95 % interval of a bootstrap of scanners (of scans, where all rows are of
one scanner).
"""

import numpy as np
import pandas as pd

from ct4bench.core.bootstrap import N_DRAWS, SEED, key_of, multiplicities, percentile_interval
from ct4bench.core.errors import UserError
from ct4bench.core.extractors import Extractor, in_order, read_extractors, title_of

CELL = ["task", "extractor", "classifier", "ablation", "scheme", "n_train"]
"""What names a cell: the trainings of all folds."""


def counts(predictions: pd.DataFrame, cluster: str = "scanner") -> pd.DataFrame:
    """Count rows `n` and right ones `n_right` by cell, fold, cluster and true class (`target`)."""
    right = (predictions["target"] == predictions["predicted"]).astype(np.int64)
    groups = [predictions[name] for name in [*CELL, "fold", cluster, "target"]]
    grouped = right.groupby(groups, sort=True, observed=True)
    return grouped.agg(n="size", n_right="sum").reset_index()


def fold_accuracies(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy and balanced accuracy (mean recall of the classes that the fold's test rows have) of each
    fold."""
    by_class = counts(predictions).groupby([*CELL, "fold", "target"], sort=True)[["n", "n_right"]].sum()
    by_class["recall"] = by_class["n_right"] / by_class["n"]
    folds = by_class.groupby([*CELL, "fold"], sort=True)
    out = folds[["n", "n_right"]].sum()
    out["accuracy"] = out["n_right"] / out["n"]
    out["balanced_accuracy"] = folds["recall"].mean()
    return out.reset_index()


def _cube(cell: pd.DataFrame, cluster: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and right rows of a cell, float64 (folds, clusters, classes)."""
    axes = [pd.factorize(cell[name], sort=True) for name in ("fold", cluster, "target")]
    shape = tuple(len(names) for _, names in axes)
    n, right = np.zeros(shape), np.zeros(shape)
    index = tuple(codes for codes, _ in axes)
    n[index], right[index] = cell["n"], cell["n_right"]
    return n, right


def resampled_means(n: np.ndarray, right: np.ndarray, drawn_units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean accuracy and balanced accuracy over folds for each draw of clusters.

    n, right: (folds, clusters, classes); drawn_units: (draws, clusters), how often a cluster is drawn. A fold
    weighs its drawn rows over its own rows: where a fold is one cluster (LOSO) that is the cluster's multiplicity, and
    where folds hold all clusters alike it is about 1.
    """
    drawn = np.einsum("dk,fkc->dfc", drawn_units, n)
    hits = np.einsum("dk,fkc->dfc", drawn_units, right)
    rows = drawn.sum(axis=2)
    weight = rows / n.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        accuracy = np.where(rows > 0, hits.sum(axis=2) / rows, 0.0)
        recall = hits / drawn
    present = drawn > 0
    balanced = np.where(present, recall, 0.0).sum(axis=2) / np.maximum(present.sum(axis=2), 1)
    whole = weight.sum(axis=1)
    return (weight * accuracy).sum(axis=1) / whole, (weight * balanced).sum(axis=1) / whole


def _drawn_clusters(names: list, n_draws: int, seed: int) -> np.ndarray:
    """How often each of the clusters is drawn, (n_draws, clusters) float64; the same for the same clusters."""
    return multiplicities(len(names), key_of("|".join(map(str, names))), n_draws, seed)


def interval(cell: pd.DataFrame, cluster: str, n_draws: int = N_DRAWS, seed: int = SEED) -> dict[str, float]:
    """Return the percentile intervals of both means of one cell (rows of `counts`); blank with one cluster.

    The draws are by `default_rng([seed, CRC-32 of the clusters' names])`: cells with the same scanners share them.
    """
    names = sorted(cell[cluster].unique())
    columns = ["accuracy_ci_low", "accuracy_ci_high", "balanced_ci_low", "balanced_ci_high"]
    if len(names) < 2:
        return dict.fromkeys(columns, np.nan)
    drawn = _drawn_clusters(names, n_draws, seed)
    bounds = [percentile_interval(means) for means in resampled_means(*_cube(cell, cluster), drawn)]
    return dict(zip(columns, (end for ends in bounds for end in ends), strict=True))


def cluster_of(predictions: pd.DataFrame) -> str:
    """Return what the bootstrap draws: scanners, or scans where there is one scanner only."""
    return "scanner" if predictions["scanner"].nunique() > 1 else "scan_id"


def accuracy_by_cell(
    predictions: pd.DataFrame, cluster: str | None = None, n_draws: int = N_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """Return the mean and SD (ddof = 1, blank with one fold) over folds of each cell, with bootstrap intervals: the
    curves over N.

    Columns: those of `CELL`, n_folds, n_rows, accuracy_mean, accuracy_sd, balanced_mean, balanced_sd, and
    `*_ci_low`, `*_ci_high` of both. `cluster` is the column whose values are drawn (default: that of `cluster_of`).
    """
    cluster = cluster or cluster_of(predictions)
    folds = fold_accuracies(predictions).groupby(CELL, sort=True)
    out = folds.agg(
        n_folds=("fold", "size"),
        n_rows=("n", "sum"),
        accuracy_mean=("accuracy", "mean"),
        accuracy_sd=("accuracy", "std"),
        balanced_mean=("balanced_accuracy", "mean"),
        balanced_sd=("balanced_accuracy", "std"),
    )
    intervals = [
        interval(cell, cluster, n_draws, seed) for _, cell in counts(predictions, cluster).groupby(CELL, sort=True)
    ]
    return pd.concat([out.reset_index(), pd.DataFrame(intervals)], axis=1)


def _plural(n: int) -> str:
    return f"{n}_scanner" if n == 1 else f"{n}_scanners"


def table7_classification(
    predictions: pd.DataFrame,
    classifier: str = "mlp",
    ablation: str = "default",
    n_draws: int = N_DRAWS,
    seed: int = SEED,
    extractors: dict[str, Extractor] | None = None,
) -> pd.DataFrame:
    """Return the accuracies of Table 7: a row for each extractor, in the paper's order.

    `extractors` are those that the benchmark knows (default: the list in assets/).

    Columns: extractor, features (the paper's name), then for each of the paper's three cells `<cell>_acc_mean`,
    `_acc_sd`, `_acc_n` (folds), `_acc_ci_low`, `_acc_ci_high`, `_balanced_mean`, `_balanced_sd`,
    `_balanced_ci_low`, `_balanced_ci_high`. The cells are `loso_1_scanner`, `loso_<most>_scanners` and
    `tenfold_<all>_scanners` (the trainings on all folds but one), with the numbers of this run: 12 and 13 in the paper.
    A cell that was not run is left out.
    """
    chosen = (predictions["classifier"] == classifier) & (predictions["ablation"] == ablation)
    chosen &= predictions["task"] == "tissue"
    own = predictions[chosen]
    if not len(own):
        raise UserError(f"the predictions have none of {classifier}, {ablation} for the task tissue; train it first")
    n_scanners = own["scanner"].nunique()
    cells = accuracy_by_cell(own, n_draws=n_draws, seed=seed)
    most = cells.groupby("scheme")["n_train"].max()
    wanted = {}
    if "loso" in most:
        wanted |= {f"loso_{_plural(n)}": ("loso", n) for n in sorted({1, int(most["loso"])})}
    if "kfold" in most:
        wanted[f"tenfold_{_plural(n_scanners)}"] = ("kfold", int(most["kfold"]))
    rows = []
    extractors = read_extractors() if extractors is None else extractors
    for extractor in in_order(cells["extractor"], extractors):
        row = {"extractor": extractor, "features": title_of(extractor, extractors)}
        for name, (scheme, n_train) in wanted.items():
            match = (cells["extractor"] == extractor) & (cells["scheme"] == scheme) & (cells["n_train"] == n_train)
            cell = cells[match].iloc[0] if match.any() else pd.Series(dtype=float)
            row |= {
                f"{name}_acc_mean": cell.get("accuracy_mean", np.nan),
                f"{name}_acc_sd": cell.get("accuracy_sd", np.nan),
                f"{name}_acc_n": cell.get("n_folds", 0),
                f"{name}_acc_ci_low": cell.get("accuracy_ci_low", np.nan),
                f"{name}_acc_ci_high": cell.get("accuracy_ci_high", np.nan),
                f"{name}_balanced_mean": cell.get("balanced_mean", np.nan),
                f"{name}_balanced_sd": cell.get("balanced_sd", np.nan),
                f"{name}_balanced_ci_low": cell.get("balanced_ci_low", np.nan),
                f"{name}_balanced_ci_high": cell.get("balanced_ci_high", np.nan),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the confusion matrix: rows `n`, and their share of the target's, by cell, target and predicted class; with
    zeros."""
    out = []
    for key, cell in predictions.groupby(CELL, sort=True):
        names = sorted(set(cell["target"]) | set(cell["predicted"]))
        table = pd.crosstab(cell["target"], cell["predicted"]).reindex(index=names, columns=names, fill_value=0)
        n = table.stack().rename("n").reset_index()
        n["share"] = n["n"] / n.groupby("target")["n"].transform("sum")
        out.append(pd.concat([pd.DataFrame([key] * len(n), columns=CELL), n], axis=1))
    return pd.concat(out, ignore_index=True)


def accuracy_by_value(predictions: pd.DataFrame, series: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the accuracy and balanced accuracy by the fold and by the test rows' own value of a column of the series.

    For the tasks that train on one dose or reconstruction (the fold) and test on the others. `series` has the columns
    series_uid and `column`. Columns: those of `CELL`, trained_on, tested_on, n_rows, accuracy, balanced_accuracy.
    """
    known = series.drop_duplicates("series_uid").set_index("series_uid")[column]
    value = predictions["series_uid"].map(known)
    if value.isna().any():
        raise UserError(f"series {predictions['series_uid'][value.isna()].iloc[0]} is not in the table of series")
    marked = predictions.assign(
        fold=predictions["fold"] + "\n" + value.map(lambda v: v if isinstance(v, str) else f"{v:g}")
    )
    folds = fold_accuracies(marked).rename(columns={"n": "n_rows"})
    ends = folds.pop("fold").str.split("\n", expand=True)
    folds.insert(len(CELL), "trained_on", ends[0])
    folds.insert(len(CELL) + 1, "tested_on", ends[1])
    return folds.drop(columns="n_right")


def ranking(predictions: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """Rank the extractors (1 the best balanced accuracy, ties share the mean) in each cell, by classifier.

    For the question whether the order of feature sets depends on the classifier; the columns of `accuracy_by_cell`
    and `rank`.
    """
    cells = accuracy_by_cell(predictions, n_draws=n_draws, seed=seed)
    groups = [name for name in CELL if name != "extractor"]
    return cells.assign(rank=cells.groupby(groups)["balanced_mean"].rank(ascending=False))


def changes(predictions: pd.DataFrame, base: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """Return what an ablation changes: each cell less the same cell of `base`, which differs by the ablation only.

    Columns: those of `accuracy_by_cell`, then accuracy_change and balanced_change with `*_ci_low`, `*_ci_high` of the
    same bootstrap draws for both (blank where `base` has no such cell).
    """
    cluster = cluster_of(predictions)
    cell_key = [name for name in CELL if name != "ablation"]
    others = dict(list(counts(base, cluster).groupby(cell_key, sort=True)))
    rows = []
    for key, cell in counts(predictions, cluster).groupby(cell_key + ["ablation"], sort=True):
        other = others.get(key[:-1])
        row = dict(zip([*cell_key, "ablation"], key, strict=True))
        names = sorted(cell[cluster].unique())
        if other is not None and names == sorted(other[cluster].unique()):
            cubes = [_cube(some, cluster) for some in (cell, other)]
            once = [resampled_means(*cube, np.ones((1, len(names)))) for cube in cubes]
            drawn = None
            if len(names) > 1:
                units = _drawn_clusters(names, n_draws, seed)
                drawn = [resampled_means(*cube, units) for cube in cubes]
            for number, what in enumerate(("accuracy", "balanced")):
                row[f"{what}_change"] = float(once[0][number][0] - once[1][number][0])
                if drawn is not None:
                    low, high = percentile_interval(drawn[0][number] - drawn[1][number])
                    row |= {f"{what}_change_ci_low": low, f"{what}_change_ci_high": high}
        rows.append(row)
    columns = [f"{what}_change{end}" for what in ("accuracy", "balanced") for end in ("", "_ci_low", "_ci_high")]
    found = pd.DataFrame(rows).reindex(columns=[*CELL, *columns])
    return accuracy_by_cell(predictions, n_draws=n_draws, seed=seed).merge(found, on=CELL, how="left")


def left_out(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy on each value that was left out, from the trainings with the most data: the folds of these
    cells.

    Columns: those of `CELL`, left_out, n_rows, accuracy, balanced_accuracy.
    """
    groups = [name for name in CELL if name != "n_train"]
    most = predictions[predictions["n_train"] == predictions.groupby(groups)["n_train"].transform("max")]
    folds = fold_accuracies(most).rename(columns={"fold": "left_out", "n": "n_rows"})
    return folds.drop(columns="n_right")
