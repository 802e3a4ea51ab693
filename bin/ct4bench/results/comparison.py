"""Computed tables beside the published ones.

A difference is claimed only where every series behind a row is one of the collection's. Everywhere else the published
value is shown next to it for orientation, and `comparison` says why the two are not comparable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.extractors import Extractor, read_extractors
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.results.published import (
    BY_NAME,
    FOLDER,
    keys_as_text,
    not_a_target,
    read_published,
)
from ct4bench.results.run_facts import COLLECTION, NOT_COMPARABLE, origin_of

COMPARED, NOT_RUN = "compared", "not run"
DECIMALS = 6
"""Digits of computed values in the tables; the last one is far below what any of them means."""


@dataclass(frozen=True)
class ResultTable:
    """A table with what a reader must know of it."""

    frame: pd.DataFrame
    title: str
    text: str
    """What it shows, how it was computed, units and n."""
    published: bool = False
    """Whether the published values are shown next to them."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """What was made and what was not: tables by name of their file, and a reason by name of a missing one."""

    tables: dict[str, ResultTable] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def _published_rows(computed: pd.DataFrame, published: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Computed rows with those that only the paper has, in the paper's order; further computed rows follow.

    A phantom of the user's own, none of whose scanners the paper names, gets no rows of the paper's.
    """
    scanner_keys = [key for key in keys if key.startswith("scanner")]
    if scanner_keys and not set(computed[scanner_keys[0]]) & set(SCANNERS):
        return computed
    index = pd.MultiIndex.from_frame(published[keys])
    have = pd.MultiIndex.from_frame(computed[keys])
    rows = computed.set_axis(have, axis=0)
    order = index.append(have[~have.isin(index)])
    missing = index[~index.isin(have)]
    wide = rows.reindex(order)
    for position, key in enumerate(keys):
        wide[key] = order.get_level_values(position)
    wide["_absent"] = order.isin(missing)
    return wide.reset_index(drop=True)


def beside_published(
    computed: pd.DataFrame,
    name: str,
    origin: Callable[[pd.Series], str],
    folder=FOLDER,
    n_published: Callable[[pd.Series], int] | None = None,
) -> pd.DataFrame:
    """Join to `computed` the published values of table `name` and, where both are comparable, their difference.

    The published file's columns come first, in its order, then the other computed ones, then for each value
    <column>_published and, for numbers, <column>_difference (computed - published), n_pairs_published where
    `n_published` gives it, comparison (`compared`, `not run`, or why not), and not_a_target (why the published value
    cannot be reached, blank where it can). `origin` gives the origin of the series behind a row. Without a `folder`
    there are no published values, as of a phantom of the user's own.
    """
    table = BY_NAME[name]
    keys = list(table.keys)
    published = read_published(name, folder or FOLDER)
    published = published if folder else published.iloc[:0]
    values = [c for c in published.columns if c not in keys and (folder or c in computed.columns)]
    numbers = [column for column in values if column not in table.text]
    computed = keys_as_text(computed, table.keys)
    for column in values:
        if column not in computed.columns:
            computed[column] = np.nan if column in numbers else ""
    rows = _published_rows(computed, published, keys)
    theirs = published[[*keys, *values]].rename(columns={c: f"{c}_published" for c in values})
    rows = rows.merge(theirs, on=keys, how="left")
    absent = rows.pop("_absent").astype(bool) if "_absent" in rows else pd.Series(False, rows.index)
    has_values = rows[numbers].notna().any(axis=1) & ~absent
    has_published = rows[[f"{column}_published" for column in numbers]].notna().any(axis=1)
    comparison = []
    for i, row in rows.iterrows():
        if not has_published[i]:
            comparison.append("not published")
        elif not has_values[i]:
            comparison.append(NOT_RUN)
        else:
            found = origin(row)
            comparison.append(COMPARED if found == COLLECTION else NOT_COMPARABLE[found])
    rows["comparison"] = comparison
    reasons = [{column: not_a_target(name, row, column) for column in values} for _, row in rows.iterrows()]
    compared = rows["comparison"] == COMPARED
    for column in numbers:
        target = np.array([not reason[column] for reason in reasons], bool)
        difference = rows[column].astype(float) - rows[f"{column}_published"].astype(float)
        rows[f"{column}_difference"] = difference.where(compared & target).round(DECIMALS)
    rows["not_a_target"] = ["; ".join(dict.fromkeys(r for r in reason.values() if r)) for reason in reasons]
    if n_published is not None:
        rows["n_pairs_published"] = [n_published(row) if has_published[i] else 0 for i, row in rows.iterrows()]
    if "reason" in rows.columns:
        rows.loc[absent, "reason"] = "no such series in this run"
    else:
        rows["reason"] = np.where(absent, "no such series in this run", "")
    for column in rows.columns:
        if column in ("n_pairs", "n_pairs_with_self"):
            rows[column] = rows[column].fillna(0).astype(int)
        elif column.startswith("n_"):
            rows[column] = rows[column].astype("Int64")
        elif rows[column].dtype.kind not in "fiub":
            rows[column] = rows[column].fillna("")
    if "dose_mgy" in keys:
        rows["dose_mgy"] = pd.to_numeric(rows["dose_mgy"]).astype("Int64")
    beside = [f"{column}{suffix}" for column in values for suffix in ("_published", "_difference")]
    beside = [column for column in beside if column in rows.columns]
    tail = [c for c in ("n_pairs_published", "comparison", "not_a_target", "reason") if c in rows.columns]
    middle = [c for c in rows.columns if c not in {*keys, *values, *beside, *tail}]
    own = [*values, *middle] if folder else [c for c in computed.columns if c in {*values, *middle}]
    return rows[[*keys, *own, *beside, *tail]]


def origin_by_scanners(series: pd.DataFrame, *columns: str) -> Callable[[pd.Series], str]:
    """Return the origin of the series of the scanners that a row names in `columns`; of all series where it names none
    of them."""
    by_scanner = {scanner: origin_of(part) for scanner, part in series.groupby("scanner")}
    whole = origin_of(series)

    def origin(row: pd.Series) -> str:
        found = {by_scanner[row[column]] for column in columns if row[column] in by_scanner}
        return whole if not found else found.pop() if len(found) == 1 else "mixed"

    return origin


@dataclass(frozen=True)
class Inputs:
    """Frames of a run; None where the run has none."""

    series: pd.DataFrame
    """Registered series, or the series of a table of features."""
    index: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    icc: pd.DataFrame | None = None
    intervals: pd.DataFrame | None = None
    """Intervals of the mean ICC."""
    icc_left_out: pd.DataFrame | None = None
    """The mean ICC without each rater and each ROI."""
    repeatability: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    embedding_quality: pd.DataFrame | None = None
    tasks: pd.DataFrame | None = None
    """What was asked of the classifiers, and why it was not answered."""
    stable_features: pd.DataFrame | None = None
    domain: str = "scanner"
    """The factor that was left out and compared."""
    seed: int = 0
    """Of the permutations that say what guessing scores."""
    extractors: dict[str, Extractor] = field(default_factory=read_extractors)
    """Those that the benchmark knows."""
    imageless: bool = False
    """Whether the method maps features, and has no images of its own."""
    phantom: Phantom = CT4HARMONIZATION
    """What was scanned."""
