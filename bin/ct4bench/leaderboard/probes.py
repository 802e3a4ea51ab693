"""Probes: how well the scanner and the maker are told from features, by classifiers that are trained on these features.

A probe that was trained before harmonization and meets harmonized features fails at once, and says nothing: what is
left of a scanner is told by one that is trained anew, and one that is not linear (docs/statistics.md has the numbers).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ct4bench.core.feature_tables import feature_columns, plain_units
from ct4bench.core.intervals import key_of
from ct4bench.leaderboard.content import texts
from ct4bench.learning.accuracy import chance

PROBES = ("linear", "nonlinear")
"""Linear discriminant analysis with the covariance shrunk by Ledoit and Wolf 2004 (doi:10.1016/S0047-259X(03)00096-4);
100 extremely randomized trees (Geurts et al. 2006, doi:10.1007/s10994-006-6226-1)."""
N_TREES = 100
MOST_ROWS = 6000
"""Rows that a probe is trained on at most, drawn with equal shares of each class."""


def halves_of_scans(table: pd.DataFrame, seed: int = 0) -> np.ndarray | None:
    """Return for each row whether its scan is in the first half, bool (rows,): half of the scans of each scanner, and
    of each of its doses as far as these are even; None where a scanner has a single scan.

    All reconstructions and patches of a scan are on one side.
    """
    scans = table[["scanner", "dose_mgy", "scan_id"]].drop_duplicates("scan_id").sort_values("scan_id")
    if (scans.groupby("scanner")["scan_id"].size() < 2).any():
        return None
    rng = np.random.default_rng([seed, key_of("halves of scans")])
    scans = scans.assign(drawn=rng.permutation(len(scans))).sort_values(["scanner", "dose_mgy", "drawn"])
    first = scans.groupby("scanner").cumcount() % 2 == 0
    return table["scan_id"].isin(scans.loc[first, "scan_id"]).to_numpy()


def standardised(values: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """Return features (rows, features) in their SDs over the rows `of` (bool; all without it), without those that are
    constant there or not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        values, _ = plain_units(np.asarray(values, np.float64))
        known = values if of is None else values[of]
        centre, sd = known.mean(axis=0), known.std(axis=0)
        kept = np.isfinite(values).all(axis=0) & (sd > 1e-12 * np.abs(known).max(axis=0, initial=0))
    return (values[:, kept] - centre[kept]) / sd[kept]


def _classifier(probe: str, seed: int):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier

    makers: dict[str, Callable] = {
        "linear": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "nonlinear": lambda: ExtraTreesClassifier(N_TREES, random_state=seed, n_jobs=1),
    }
    return makers[probe]()


def _balanced_rows(rows: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most `MOST_ROWS` of `rows`, in order: as many of each class as the rarest allows, or an equal share."""
    classes = sorted(set(target[rows].tolist()))
    each = [rows[target[rows] == name] for name in classes]
    n = min(min(map(len, each)), max(2, MOST_ROWS // len(classes)))
    return np.sort(np.concatenate([rng.choice(part, n, replace=False) for part in each]))


def probe_predictions(table: pd.DataFrame, target: str, probe: str, seed: int = 0) -> pd.DataFrame | None:
    """Return what a probe says of every row when it was trained on the other half of the scans; None where a scanner
    has a single scan, or `target` (a column of the table) a single value.

    Columns: task, scan_id, scanner, target, predicted (texts), in the table's order.
    """
    names = texts(table[target])
    first = halves_of_scans(table, seed)
    if first is None or len(set(names)) < 2:
        return None
    values = table[feature_columns(table)].to_numpy(np.float64)
    rng = np.random.default_rng([seed, key_of(f"{target} {probe}")])
    predicted = np.empty(len(table), names.dtype)
    for training in (first, ~first):
        own = standardised(values, training)
        rows = _balanced_rows(np.flatnonzero(training), names, rng)
        if own.shape[1]:
            model = _classifier(probe, seed).fit(own[rows], names[rows])
            predicted[~training] = model.predict(own[~training])
        else:
            predicted[~training] = names[rows][0]
    task = "maker" if target == "maker" else "scanner"
    columns = {"task": task, "scan_id": table["scan_id"].to_numpy(), "scanner": table["scanner"].to_numpy()}
    return pd.DataFrame({**columns, "target": names, "predicted": predicted})


def recalls(predictions: pd.DataFrame) -> pd.Series:
    """Return the share of each class's rows that were told right, by class; their mean is the balanced accuracy."""
    right = predictions["target"] == predictions["predicted"]
    return right.groupby(predictions["target"], sort=True).mean()


def chance_of(predictions: pd.DataFrame, seed: int = 0) -> tuple[float, float]:
    """Return the balanced accuracy of guessing, and what 95 % of the permutations do not exceed: classes change hands
    between whole scans (`learning.accuracy.chance`)."""
    found = chance(predictions, seed)
    return found["chance"], found["chance_high"]
