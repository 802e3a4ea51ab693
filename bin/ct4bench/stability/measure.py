"""Stability of the features of all extractors: ICC, its mean, repeatability, and the order of features."""

from collections.abc import Iterable

import pandas as pd

from ct4bench.core.tables import stack
from ct4bench.stability.icc import icc_table, mean_icc_intervals
from ct4bench.stability.repeatability import repeatability_table, stable_features

ORDERS = (
    ["extractor", "form", "stratum", "feature"],
    ["extractor", "stratum", "form"],
    ["extractor", "stratum", "form", "unit", "left_out"],
    ["extractor", "feature"],
    ["extractor", "rank"],
)
"""Columns that order the rows of each table of `measure`."""


def measure_one(features: pd.DataFrame, extractor: str, domain: str) -> tuple[pd.DataFrame, ...]:
    """Return the tables of `measure` for one extractor."""
    icc, repeatability = icc_table(features, extractor, domain), repeatability_table(features, extractor, domain)
    intervals, left_out = mean_icc_intervals(features, extractor, domain)
    return icc, intervals, left_out, repeatability, stable_features(icc, repeatability)


def measure(feature_sets: Iterable[tuple[str, pd.DataFrame]], domain: str) -> tuple[pd.DataFrame, ...]:
    """Return ICC of every feature, means of ICC with intervals, the same without each unit, repeatability, and features
    by stability.

    `feature_sets` are pairs of an extractor's name and its table.
    """
    found = [measure_one(features, extractor, domain) for extractor, features in feature_sets]
    return tuple(stack(list(tables), order) for tables, order in zip(zip(*found, strict=True), ORDERS, strict=True))
