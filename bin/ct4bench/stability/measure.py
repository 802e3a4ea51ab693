"""Stability of the features of all extractors: ICC, its mean, repeatability, and the order of features."""

from collections.abc import Iterable

import pandas as pd

from ct4bench.core.tables import stack
from ct4bench.stability.icc import icc_table, mean_icc_intervals
from ct4bench.stability.repeatability import repeatability_table, stable_features

ORDERS = (
    ["extractor", "form", "stratum", "feature"],
    ["extractor", "stratum", "form"],
    ["extractor", "feature"],
    ["extractor", "rank"],
)
"""Columns that order the rows of each table of `measure`."""


def measure_one(features: pd.DataFrame, extractor: str, domain: str, seed: int, form: str) -> tuple[pd.DataFrame, ...]:
    """Return the tables of `measure` for one extractor."""
    icc, repeatability = icc_table(features, extractor, domain), repeatability_table(features, extractor, domain)
    intervals = mean_icc_intervals(features, extractor, domain, seed)
    return icc, intervals, repeatability, stable_features(icc, form, repeatability)


def measure(
    feature_sets: Iterable[tuple[str, pd.DataFrame]], domain: str, seed: int, form: str
) -> tuple[pd.DataFrame, ...]:
    """Return ICC of every feature, means of ICC with intervals, repeatability, and features by stability (`form`).

    `feature_sets` are pairs of an extractor's name and its table; `seed` is the bootstrap's.
    """
    found = [measure_one(features, extractor, domain, seed, form) for extractor, features in feature_sets]
    return tuple(stack(list(tables), order) for tables, order in zip(zip(*found, strict=True), ORDERS, strict=True))
