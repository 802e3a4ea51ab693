"""Accuracies of a method's classifiers by scanner, beside those of `none` on the same test rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.splits.tasks import TASKS

TRAINING = ["task", "extractor", "scheme", "n_train", "fold"]
NO_SUCH = "not asked of the classifiers"
"""Why a score has no value: `none` has none either."""
NOT_TRAINED = "the method has no such training (untrained.csv)"
"""Why a score has no value that `none` has."""


def own_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the paper's classifier without an ablation, with a column `right`."""
    chosen = (predictions["classifier"] == "mlp") & (predictions["ablation"] == "default")
    rows = predictions[chosen]
    return rows.assign(right=(rows["target"] == rows["predicted"]).to_numpy(float))


def beside_none(predictions: pd.DataFrame, none: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `own_rows` that both have, with `right_none`: a method that sees half of a target's scans is
    tested on the others, and so is `none` beside it."""
    key = [*TRAINING, *ROW_KEY]
    other = own_rows(none)[[*key, "right"]].rename(columns={"right": "right_none"})
    return own_rows(predictions).merge(other, on=key, how="inner", validate="one_to_one")


def unit_of(score: str, domain: str) -> str:
    """Return the column whose values are the units of a score: `roi` or `maker` where regions or makers are what a fold
    leaves out, since all its test rows share that, else the domain."""
    task = TASKS.get(score)
    if task is None:
        return domain
    return "roi" if task.over_regions else task.unit if task.unit != "scanner" else domain


def by_unit(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return the share of right rows of each value of `unit`, of the method and of `none`: columns unit, value,
    value_none, n_rows."""
    grouped = rows.groupby(unit, sort=True)
    found = grouped.agg(value=("right", "mean"), value_none=("right_none", "mean"), n_rows=("right", "size"))
    return found.rename_axis("unit").reset_index().astype({"unit": str})


def area(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return the area under accuracy over N, the number of training scanners, by the width of N: trapezoids, of each
    value of `unit`; the columns of `by_unit`.

    Blank where a unit lacks an N, and with a single N.
    """
    by_n = {n: by_unit(part, unit).set_index("unit") for n, part in rows.groupby("n_train", sort=True)}
    sizes = np.array(list(by_n), float)
    if len(sizes) < 2:
        return pd.DataFrame(columns=["unit", "value", "value_none", "n_rows"])
    units = sorted(set().union(*(part.index for part in by_n.values())))
    columns = {}
    for name in ("value", "value_none"):
        curve = np.array([part[name].reindex(units).to_numpy(float) for part in by_n.values()])
        columns[name] = np.trapezoid(curve, sizes, axis=0) / (sizes[-1] - sizes[0])
    n_rows = sum(part["n_rows"].reindex(units).fillna(0) for part in by_n.values())
    return pd.DataFrame({"unit": units, **columns, "n_rows": n_rows.to_numpy(int)})


def cell_of(task: str, scheme: str = "", n_train: int | str = "") -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what takes the rows of a task, of a scheme and a number of training units: `most` is the largest there
    is."""

    def chosen(rows: pd.DataFrame) -> pd.DataFrame:
        found = rows[rows["task"] == task]
        if scheme:
            found = found[found["scheme"] == scheme]
        if n_train == "most":
            return found[found["n_train"] == found["n_train"].max()]
        return found[found["n_train"] == n_train] if n_train else found

    return chosen


CELLS = {
    "tissue_n1": cell_of("tissue", "loso", 1),
    "tissue_n2": cell_of("tissue", "loso", 2),
    "tissue_n_most": cell_of("tissue", "loso", "most"),
    "tissue_tenfold": cell_of("tissue", "kfold", "most"),
    "tissue_other_dose": cell_of("tissue_other_dose"),
    "tissue_other_recon": cell_of("tissue_other_recon"),
    "tissue_other_roi": cell_of("tissue_other_roi"),
    "tissue_other_maker": cell_of("tissue_other_maker"),
}
"""Rows of predictions behind each score."""
