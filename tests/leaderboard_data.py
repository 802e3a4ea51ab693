"""Tables of features whose scanners, tissues and regions are known, for tests of scores."""

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, tissue_of

MAKERS = {"A1": "Siemens", "A2": "Siemens", "B1": "Philips", "G1": "GE", "C1": "Toshiba"}
ROIS = ("cyst1", "cyst2", "hemangioma", "metastasis", "normal1", "normal2")


def feature_table(
    n_features: int = 8, shift: float = 3.0, doses=(10,), recons=("FBP", "IR"), n_repetitions: int = 4,
    n_patches: int = 5, scanners=tuple(MAKERS), seed: int = 0, dose_step: float = 0.0,
) -> pd.DataFrame:  # fmt: skip
    """Features = tissue (4 SD) + region (1 SD) + scanner (`shift` SD) + dose (`dose_step` a dose) + noise of SD 1."""
    rng = np.random.default_rng(seed)
    keys = [
        (f"{s}.{d}.{k}.{r}", f"{s}_{d}mGy_{k:02d}", s, MAKERS[s], d, r, k, roi, tissue_of(roi), patch)
        for s in scanners
        for d in doses
        for k in range(1, n_repetitions + 1)
        for r in recons
        for roi in ROIS
        for patch in range(n_patches)
    ]
    table = pd.DataFrame(keys, columns=FEATURE_KEY)

    def effect(column, sd):
        numbers, names = pd.factorize(table[column], sort=True)
        return sd * rng.normal(size=(len(names), n_features))[numbers]

    values = effect("tissue", 4) + effect("roi", 1) + effect("scanner", shift)
    step = rng.normal(size=n_features)
    values += dose_step * step * np.log(table["dose_mgy"].to_numpy(float))[:, None]
    values += rng.normal(size=values.shape)
    return pd.concat([table, pd.DataFrame(values, columns=[f"f{i}" for i in range(n_features)])], axis=1)


def names_of(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in FEATURE_KEY]


def replaced(table: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """The table with other values of its features."""
    return pd.concat([table[FEATURE_KEY], pd.DataFrame(values, columns=names_of(table), index=table.index)], axis=1)


def values_of(table: pd.DataFrame) -> np.ndarray:
    return table[names_of(table)].to_numpy(float, copy=True)


def centred_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Each feature less its mean within the values of a column."""
    return replaced(table, values_of(table) - table.groupby(column)[names_of(table)].transform("mean").to_numpy())


def means_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return replaced(table, table.groupby(column)[names_of(table)].transform("mean").to_numpy())


def shuffled(table: pd.DataFrame, column: str | None = None, seed: int = 1) -> pd.DataFrame:
    """Rows of features in another order: over all rows, or within the values of a column."""
    rng = np.random.default_rng(seed)
    values = values_of(table)
    groups = np.zeros(len(table)) if column is None else pd.factorize(table[column], sort=True)[0]
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        values[rows] = values[rng.permutation(rows)]
    return replaced(table, values)
