"""Stability of the features of all extractors: ICC, its mean, repeatability, and the order of features."""

from collections.abc import Iterable

import pandas as pd

from ct4bench.core.tables import stack
from ct4bench.stability.icc import icc_table, intervals_of, join_ratings, rated_strata
from ct4bench.stability.repeatability import repeatability_table, stable_features

ORDERS = (
    ["extractor", "form", "stratum", "feature"],
    ["extractor", "stratum", "form"],
    ["extractor", "stratum", "form", "unit", "left_out"],
    ["extractor", "feature"],
    ["extractor", "rank"],
)
"""Columns that order the rows of each table of `measure`."""


def measure_one(blocks: Iterable[pd.DataFrame], extractor: str, domain: str) -> tuple[pd.DataFrame, ...]:
    """Return the tables of `measure` for one extractor, whose features come in blocks of the same rows.

    Only means over features need all of them, and of these their ratings alone.
    """
    icc, repeatability, strata = [], [], []
    for features in blocks:
        icc.append(icc_table(features, extractor, domain))
        repeatability.append(repeatability_table(features, extractor, domain))
        strata.append(rated_strata(features, domain))
    icc, repeatability = (stack(tables, ORDERS[number]) for tables, number in ((icc, 0), (repeatability, 3)))
    intervals, left_out = intervals_of(join_ratings(strata), extractor, domain)
    return icc, intervals, left_out, repeatability, stable_features(icc, repeatability)


def measure(feature_sets: Iterable[tuple[str, Iterable[pd.DataFrame]]], domain: str) -> tuple[pd.DataFrame, ...]:
    """Return ICC of every feature, means of ICC with intervals, the same without each unit, repeatability, and features
    by stability.

    `feature_sets` are pairs of an extractor's name and the blocks of its table.
    """
    found = [measure_one(blocks, extractor, domain) for extractor, blocks in feature_sets]
    return tuple(stack(list(tables), order) for tables, order in zip(zip(*found, strict=True), ORDERS, strict=True))
