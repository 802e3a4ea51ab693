"""Accuracies of the classifiers, from the predictions of every test row, or from their counts (`learning.counts`).
Frames in, frames out.

The paper averages accuracies over folds and gives their SD (ddof = 1). Balanced accuracy is the mean recall of the
classes, each over the rows of all folds: a fold may hold few classes, and the mean recall of those that it holds would
reward guessing one of them. Folds share training rows and the rows of a scanner or region are alike, so that each cell
has a 95 % interval over scanners and one over regions (`core/intervals.py`), and what guessing scores: the same
predictions with the true classes permuted.
"""

import math
from itertools import permutations

import numpy as np
import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.core.extractors import Extractor, in_order, read_extractors, title_of
from ct4bench.core.intervals import CHANGE, N_PERMUTATIONS, SHARE, jackknife_interval, key_of
from ct4bench.learning.counts import count_rows
from ct4bench.splits.tasks import TASKS

CELL = ["task", "extractor", "classifier", "ablation", "scheme", "n_train"]
"""What names a cell: the trainings of all folds."""
MEASURES = ("accuracy", "balanced")
"""Mean over folds of the accuracy, and balanced accuracy: prefixes of the columns of their intervals."""
REGION = "roi"
"""The column of the second unit that intervals are over."""
CHANCE_LEVEL = 0.95
"""Share of the permutations that score `chance_high` at most."""


def _right(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows `n` that each line stands for, and right ones `n_right`."""
    n = count_rows(predictions)
    return pd.DataFrame({"n": n, "n_right": n.where(predictions["target"] == predictions["predicted"], 0)})


def fold_accuracies(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy and balanced accuracy (mean recall of the classes that the fold's test rows have) of each
    fold."""
    groups = [predictions[name] for name in [*CELL, "fold", "target"]]
    by_class = _right(predictions).groupby(groups, sort=True, observed=True).sum()
    by_class["recall"] = by_class["n_right"] / by_class["n"]
    folds = by_class.groupby([*CELL, "fold"], sort=True)
    out = folds[["n", "n_right"]].sum()
    out["accuracy"] = out["n_right"] / out["n"]
    out["balanced_accuracy"] = folds["recall"].mean()
    return out.reset_index()


def unit_of(predictions: pd.DataFrame, domain: str = "scanner") -> str:
    """Return the column whose values an interval is over: makers where these were left out (by the task, or as the
    domain), else scanners, or scans where all rows are of one."""
    task = TASKS.get(predictions["task"].iloc[0])
    unit = "maker" if domain == "maker" else task.unit if task else "scanner"
    return unit if unit in predictions.columns and predictions[unit].nunique() > 1 else "scan_id"


def counts(predictions: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Count rows `n` and right ones `n_right` by cell, fold, unit, region and true class (`target`)."""
    names = dict.fromkeys([*CELL, "fold", unit, REGION, "target"])
    grouped = _right(predictions).groupby([predictions[name] for name in names], sort=True, observed=True)
    return grouped.sum().reset_index()


def _cube(cell: pd.DataFrame, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and right rows of a cell of `counts`, float64 (folds, units, classes)."""
    axes = [pd.factorize(cell[name], sort=True) for name in ("fold", unit, "target")]
    n, right = (np.zeros(tuple(len(names) for _, names in axes)) for _ in range(2))
    index = tuple(codes for codes, _ in axes)
    np.add.at(n, index, cell["n"])
    np.add.at(right, index, cell["n_right"])
    return n, right


def scores(n: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return the mean accuracy over the folds that have rows, and the mean recall of the classes that have rows over
    all folds; `n`, `right` (folds, units, classes)."""
    of_fold, of_class = n.sum(axis=(1, 2)), n.sum(axis=(0, 1))
    accuracy = right.sum(axis=(1, 2))[of_fold > 0] / of_fold[of_fold > 0]
    recall = right.sum(axis=(0, 1))[of_class > 0] / of_class[of_class > 0]
    return (float(accuracy.mean()), float(recall.mean())) if len(accuracy) else (np.nan, np.nan)


def scores_of(cell: pd.DataFrame, unit: str) -> tuple[float, float]:
    """Return both `scores` of the rows of `counts` of one cell."""
    return scores(*_cube(cell, unit))


def scores_without(n: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return both `scores` without the rows of each unit in turn, (2, units)."""
    kept = [np.arange(n.shape[1]) != unit for unit in range(n.shape[1])]
    return np.array([scores(n[:, keep], right[:, keep]) for keep in kept]).T


def intervals(cell: pd.DataFrame, unit: str) -> dict[str, float | int | str]:
    """Return the intervals of both measures of one cell (rows of `counts`), over its units and over its regions.

    <measure>_ci_low, <measure>_ci_high over `unit`, <measure>_roi_ci_low, <measure>_roi_ci_high over regions; ci_unit,
    n_ci_units and n_rois say what they are over. Blank as `jackknife_error` says.
    """
    found = {}
    for column, part in ((unit, "ci"), (REGION, "roi_ci")):
        cube = _cube(cell, column)
        for measure, whole, without in zip(MEASURES, scores(*cube), scores_without(*cube), strict=True):
            ends = jackknife_interval(whole, [without], SHARE)
            found |= dict(zip((f"{measure}_{part}_low", f"{measure}_{part}_high"), ends, strict=True))
    sizes = {"n_ci_units": cell[unit].nunique(), "n_rois": cell[REGION].nunique()}
    return {"ci_unit": "scan" if unit == "scan_id" else unit} | sizes | found


INTERVAL_COLUMNS = ["ci_unit", "n_ci_units", "n_rois"] + [
    f"{measure}_{part}_{end}" for measure in MEASURES for part in ("ci", "roi_ci") for end in ("low", "high")
]


def chance(cell: pd.DataFrame, seed: int = 0, n_permutations: int = N_PERMUTATIONS) -> dict[str, float]:
    """Return the balanced accuracy of a cell's predictions when their true classes are permuted: mean `chance`, and
    `chance_high`, which 95 % of the permutations do not exceed.

    What is permuted are the classes of whole blocks of rows (`Task.permuted`: all rows of a scan, of a region of a
    scan, or of a region), by `default_rng([seed, CRC-32 of the blocks' names])`, so that rows that are alike stay
    together; where all permutations are `n_permutations` at most (six blocks), all are taken. Nothing is trained anew.
    """
    task = TASKS.get(cell["task"].iloc[0])
    names = [*(task.permuted if task else ("scan_id",)), "target"]
    by_class = count_rows(cell).groupby([cell[name] for name in [*names, "predicted"]], sort=True, observed=True)
    blocks = by_class.sum().unstack(fill_value=0)
    classes = sorted(set(blocks.index.get_level_values("target")))
    label = pd.Index(classes).get_indexer(blocks.index.get_level_values("target"))
    size = blocks.sum(axis=1).to_numpy(float)
    as_class = blocks.reindex(columns=classes, fill_value=0).to_numpy(float)
    if math.factorial(min(len(label), 20)) <= n_permutations:
        drawn = np.array(list(permutations(label)))
    else:
        key = key_of("|".join(map(str, blocks.index)))
        drawn = np.random.default_rng([seed, key]).permuted(np.tile(label, (n_permutations, 1)), axis=1)
    recalls = []
    for number in range(len(classes)):
        chosen = (drawn == number).astype(float)
        # Sums of whole numbers: the same to the bit in any order.
        recalls.append((chosen @ as_class[:, number]) / (chosen @ size))
    score = np.mean(recalls, axis=0)
    return {"chance": score.mean(), "chance_high": np.quantile(score, CHANCE_LEVEL, method="higher")}


def accuracy_by_cell(
    predictions: pd.DataFrame, domain: str = "scanner", seed: int = 0, n_permutations: int = N_PERMUTATIONS
) -> pd.DataFrame:
    """Return the accuracies of each cell with their intervals, and what guessing scores: the curves over N.

    Columns: those of `CELL`, n_folds, n_rows, accuracy_mean and accuracy_sd (over folds; ddof = 1, blank with one
    fold), balanced_accuracy (`scores`), `INTERVAL_COLUMNS`, chance and chance_high (`chance`). `domain` is what LOSO
    leaves out, `seed` that of the permutations.
    """
    folds = fold_accuracies(predictions).groupby(CELL, sort=True)
    out = folds.agg(
        n_folds=("fold", "size"), n_rows=("n", "sum"), accuracy_mean=("accuracy", "mean"),
        accuracy_sd=("accuracy", "std"),
    )  # fmt: skip
    rows = {}
    for _, part in predictions.groupby("task", sort=True):
        unit = unit_of(part, domain)
        for key, cell in counts(part, unit).groupby(CELL, sort=True):
            rows[key] = {"balanced_accuracy": scores_of(cell, unit)[1]} | intervals(cell, unit)
        for key, cell in part.groupby(CELL, sort=True):
            rows[key] |= chance(cell, seed, n_permutations)
    columns = ["balanced_accuracy", *INTERVAL_COLUMNS, "chance", "chance_high"]
    more = pd.DataFrame([rows[key] for key in out.index], columns=columns)
    return pd.concat([out.reset_index(), more], axis=1)


def _plural(n: int) -> str:
    return f"{n}_scanner" if n == 1 else f"{n}_scanners"


def cells_of_table7(predictions: pd.DataFrame) -> dict[str, tuple[str, int]]:
    """Return scheme and n_train of the cells of Table 7 by name: `loso_1_scanner`, `loso_<most>_scanners` and
    `tenfold_<all>_scanners` (the trainings on all folds but one)."""
    most = predictions.groupby("scheme")["n_train"].max()
    found = {}
    if "loso" in most:
        found |= {f"loso_{_plural(n)}": ("loso", n) for n in sorted({1, int(most["loso"])})}
    if "kfold" in most:
        found[f"tenfold_{_plural(predictions['scanner'].nunique())}"] = ("kfold", int(most["kfold"]))
    return found


def table7_classification(
    predictions: pd.DataFrame,
    classifier: str = "mlp",
    ablation: str = "default",
    extractors: dict[str, Extractor] | None = None,
    domain: str = "scanner",
) -> pd.DataFrame:
    """Return the accuracies of Table 7: a row for each extractor, in the paper's order.

    `extractors` are those that the benchmark knows (default: the list in assets/).

    Columns: extractor, features (the paper's name), then for each of the paper's three cells (`cells_of_table7`)
    `<cell>_acc_mean`, `_acc_sd`, `_acc_n` (folds), `_balanced_accuracy`, and of both the interval over scanners
    (`_acc_ci_low`, `_balanced_ci_low`, …) and over regions (`_acc_roi_ci_low`, …); last ci_unit, n_ci_units and n_rois.
    A cell that was not run is left out.
    """
    chosen = (predictions["classifier"] == classifier) & (predictions["ablation"] == ablation)
    chosen &= predictions["task"] == "tissue"
    own = predictions[chosen]
    if not len(own):
        raise UserError(f"the predictions have none of {classifier}, {ablation} for the task tissue; train it first")
    wanted = cells_of_table7(own)
    places = [pair in set(wanted.values()) for pair in zip(own["scheme"], own["n_train"], strict=True)]
    cells = accuracy_by_cell(own[places], domain, n_permutations=1).set_index(["extractor", "scheme", "n_train"])
    ends = [f"{part}_{end}" for part in ("ci", "roi_ci") for end in ("low", "high")]
    columns = {"acc_mean": "accuracy_mean", "acc_sd": "accuracy_sd", "acc_n": "n_folds"}
    columns |= {f"acc_{end}": f"accuracy_{end}" for end in ends}
    columns |= {"balanced_accuracy": "balanced_accuracy"} | {f"balanced_{end}": f"balanced_{end}" for end in ends}
    rows = []
    extractors = read_extractors() if extractors is None else extractors
    for extractor in in_order(set(own["extractor"]), extractors):
        row = {"extractor": extractor, "features": title_of(extractor, extractors)}
        for name, place in wanted.items():
            cell = cells.loc[(extractor, *place)] if (extractor, *place) in cells.index else {}
            row |= {
                f"{name}_{column}": cell.get(source, 0 if source == "n_folds" else np.nan)
                for column, source in columns.items()
            }
        rows.append(row | cells[["ci_unit", "n_ci_units", "n_rois"]].iloc[0].to_dict())
    return pd.DataFrame(rows)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the confusion matrix: rows `n`, and their share of the target's, by cell, target and predicted class; with
    zeros."""
    out = []
    for key, cell in predictions.groupby(CELL, sort=True):
        names = sorted(set(cell["target"]) | set(cell["predicted"]))
        table = count_rows(cell).groupby([cell["target"], cell["predicted"]]).sum().unstack(fill_value=0)
        n = table.reindex(index=names, columns=names, fill_value=0).stack().rename("n").reset_index()
        n["share"] = n["n"] / n.groupby("target")["n"].transform("sum")
        out.append(pd.concat([pd.DataFrame([key] * len(n), columns=CELL), n], axis=1))
    return pd.concat(out, ignore_index=True)


def confusion_left_out(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the confusion matrices of each value that was left out (`left_out`) by the fewest and the most values to
    train on, as `confusion` has them; empty without leave-one-out."""
    own = predictions[predictions["scheme"] == "loso"]
    sizes = {own["n_train"].min(), own["n_train"].max()}
    own = own[own["n_train"].isin(sizes)]
    parts = [confusion(rows).assign(left_out=str(fold)) for fold, rows in own.groupby("fold", sort=True)]
    columns = [*CELL, "left_out", "target", "predicted", "n", "share"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts)[columns].sort_values(columns[:-2], kind="stable", ignore_index=True)


def value_of_rows(predictions: pd.DataFrame, series: pd.DataFrame, column: str) -> pd.Series:
    """Return the value of a column of the series for each row of predictions, as text."""
    known = series.drop_duplicates("series_uid").set_index("series_uid")[column]
    value = predictions["series_uid"].map(known)
    if value.isna().any():
        raise UserError(f"series {predictions['series_uid'][value.isna()].iloc[0]} is not in the table of series")
    return value.map(lambda v: v if isinstance(v, str) else f"{v:g}")


def accuracy_by_value(predictions: pd.DataFrame, series: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the accuracy and balanced accuracy by the fold and by the test rows' own value of a column of the series.

    For the tasks that train on one dose or reconstruction (the fold) and test on the others. `series` has the columns
    series_uid and `column`. Columns: those of `CELL`, trained_on, tested_on, n_rows, accuracy, balanced_accuracy.
    """
    marked = predictions.assign(fold=predictions["fold"] + "\n" + value_of_rows(predictions, series, column))
    folds = fold_accuracies(marked).rename(columns={"n": "n_rows"})
    ends = folds.pop("fold").str.split("\n", expand=True)
    folds.insert(len(CELL), "trained_on", ends[0])
    folds.insert(len(CELL) + 1, "tested_on", ends[1])
    return folds.drop(columns="n_right")


def ranking(predictions: pd.DataFrame, domain: str = "scanner", seed: int = 0) -> pd.DataFrame:
    """Rank the extractors (1 the best balanced accuracy, ties share the mean) in each cell, by classifier.

    For the question whether the order of feature sets depends on the classifier; the columns of `accuracy_by_cell`
    and `rank`.
    """
    cells = accuracy_by_cell(predictions, domain, seed)
    groups = [name for name in CELL if name != "extractor"]
    return cells.assign(rank=cells.groupby(groups)["balanced_accuracy"].rank(ascending=False))


def difference(cell: pd.DataFrame, other: pd.DataFrame, unit: str) -> dict[str, float]:
    """Return both measures of one cell (rows of `counts`) less those of another, `<measure>_change`, with intervals
    over units and regions, the same left out of both; blank where the two do not have the same ones."""
    found = {}
    for column, part in ((unit, "ci"), (REGION, "roi_ci")):
        cubes = _cube(cell, column), _cube(other, column)
        whole = np.subtract(*(scores(*cube) for cube in cubes))
        same = sorted(cell[column].unique()) == sorted(other[column].unique())
        without = np.subtract(*(scores_without(*cube) for cube in cubes)) if same else [[], []]
        for measure, change, values in zip(MEASURES, whole, without, strict=True):
            ends = jackknife_interval(float(change), [values], CHANGE)
            found[f"{measure}_change"] = float(change)
            found |= dict(zip((f"{measure}_change_{part}_low", f"{measure}_change_{part}_high"), ends, strict=True))
    return found


CHANGE_COLUMNS = [
    f"{measure}_change{end}" for measure in MEASURES
    for end in ("", "_ci_low", "_ci_high", "_roi_ci_low", "_roi_ci_high")
]  # fmt: skip


def changes(predictions: pd.DataFrame, base: pd.DataFrame, domain: str = "scanner", seed: int = 0) -> pd.DataFrame:
    """Return what an ablation changes: each cell less the same cell of `base`, which differs by the ablation only.

    Columns: those of `accuracy_by_cell`, then `CHANGE_COLUMNS` (blank where `base` has no such cell).
    """
    unit = unit_of(predictions, domain)
    cell_key = [name for name in CELL if name != "ablation"]
    others = dict(list(counts(base, unit).groupby(cell_key, sort=True)))
    rows = []
    for key, cell in counts(predictions, unit).groupby(cell_key + ["ablation"], sort=True):
        row = dict(zip([*cell_key, "ablation"], key, strict=True))
        rows.append(row | (difference(cell, others[key[:-1]], unit) if key[:-1] in others else {}))
    found = pd.DataFrame(rows).reindex(columns=[*CELL, *CHANGE_COLUMNS])
    return accuracy_by_cell(predictions, domain, seed).merge(found, on=CELL, how="left")


def left_out(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy on each value that was left out, from the trainings with the most data: the folds of these
    cells.

    Columns: those of `CELL`, left_out, n_rows, accuracy, balanced_accuracy.
    """
    groups = [name for name in CELL if name != "n_train"]
    most = predictions[predictions["n_train"] == predictions.groupby(groups)["n_train"].transform("max")]
    folds = fold_accuracies(most).rename(columns={"fold": "left_out", "n": "n_rows"})
    return folds.drop(columns="n_right")
