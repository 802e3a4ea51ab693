"""Feature tables of any extractor: their columns, their order, and how they are read.

A table has the columns `benchmark.FEATURE_KEY`, then the features as float64, a row for each series, ROI and patch.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY, roi_rank, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.tables import column_names, read_table

WHOLE = ("repetition", "patch")
TEXTS = [name for name in FEATURE_KEY if name != "dose_mgy" and name not in WHOLE]


def sort_features(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by scanner (the paper's order), dose, reconstruction, repetition, series, ROI and patch."""
    order = pd.DataFrame(
        {
            "scanner": [scanner_rank(scanner) for scanner in table["scanner"]],
            "dose_mgy": table["dose_mgy"].to_numpy(),
            "recon": table["recon"].to_numpy(),
            "repetition": table["repetition"].to_numpy(),
            "series_uid": table["series_uid"].to_numpy(),
            "roi": [roi_rank(roi) for roi in table["roi"]],
            "patch": table["patch"].to_numpy(),
        }
    )
    return table.iloc[order.sort_values(list(order), kind="stable").index].reset_index(drop=True)


def feature_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table that are features, in its order."""
    return [name for name in table.columns if name not in FEATURE_KEY]


BLOCK = 256
"""Features of a block, at most: what is told of each feature by itself needs no more in memory at a time."""

ROWS = 1024
"""Rows that are looked at together, to keep copies small."""


def read_feature_blocks(path: Path | str) -> Iterator[pd.DataFrame]:
    """Yield a feature table in blocks of at most `BLOCK` features, about as many in each, with the key in all."""
    if Path(path).suffix != ".parquet":
        table = read_features(path)
        yield from (table[[*FEATURE_KEY, *block]] for block in _blocks(feature_columns(table)))
        return
    columns = column_names(path)
    key = [name for name in columns if name.strip() in FEATURE_KEY]
    blocks = _blocks([name for name in columns if name.strip() not in FEATURE_KEY])
    yield from (read_features(path, [*key, *block]) for block in blocks)


def _blocks(names: list[str]) -> list[list[str]]:
    return [list(part) for part in np.array_split(np.array(names, object), max(1, -(-len(names) // BLOCK)))]


def sorted_values(blocks: Iterable[pd.DataFrame], layout: str = "C") -> tuple[pd.DataFrame, list[str], np.ndarray]:
    """Sort the rows of a feature table that comes in blocks (`read_feature_blocks`, or the whole as one).

    Returns the columns `FEATURE_KEY`, the features' names, and values (rows, features) float64 in memory's order
    `layout`, C or F; rows are in the order of `ROW_KEY`.
    """
    keys, order, names, parts = pd.DataFrame(), np.empty(0, np.int64), [], []
    for block in blocks:
        if not names:
            order = block[ROW_KEY].reset_index(drop=True).sort_values(ROW_KEY, kind="stable").index.to_numpy()
            keys = block[FEATURE_KEY].iloc[order].reset_index(drop=True)
        own = feature_columns(block)
        names += own
        parts.append(block[own].to_numpy(np.float64)[order])
    # Arrow keeps the memory of what it has read
    pa.default_memory_pool().release_unused()
    values, at = np.empty((len(keys), len(names)), order=layout), 0
    while parts:
        part = parts.pop(0)
        values[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return keys, names, values


def read_keys(path: Path | str) -> pd.DataFrame:
    """Read the columns `FEATURE_KEY` of a feature table, as `read_features` does."""
    return next(read_feature_blocks(path))[FEATURE_KEY]


def read_features(path: Path | str, only: Iterable[str] | None = None) -> pd.DataFrame:
    """Read a feature table with its columns in order, its features as float64, its names as text.

    `only` names the columns of a Parquet file that are read. `UserError` where a column of the key is missing or blank,
    a feature is not a number, or no feature is there.
    """
    table = read_table(path, only=only)
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in FEATURE_KEY if name not in table.columns]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/outputs.md lists those of every table")
    if table.empty:
        raise UserError(f"{path} has no rows; it needs one for each patch of each series")
    features = feature_columns(table)
    if not features:
        raise UserError(f"{path} has no feature: beside {', '.join(FEATURE_KEY)} it needs a column for each feature")
    for name in FEATURE_KEY:
        blank = table[name].isna() | (table[name].astype(str).str.strip() == "")
        if blank.any():
            raise UserError(f"{path}: {name} is blank in row {int(np.argmax(blank)) + 1}; every row needs its key")
    for name in TEXTS:
        table[name] = _as_names(table[name], path)
    for name in [*features, "dose_mgy", *WHOLE]:
        values = table[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype.kind in "bc":
            raise UserError(
                f"{path}: the column {name} is not numeric; beside the text columns "
                f"{', '.join(TEXTS)} a table has numbers only"
            )
        if name in WHOLE and (values % 1 != 0).any():
            raise UserError(f"{path}: {name} must be whole numbers; it has {values[values % 1 != 0].iloc[0]}")
    doses = table["dose_mgy"].astype(float)
    kinds = dict.fromkeys(FEATURE_KEY, str) | dict.fromkeys(WHOLE, np.int64) | dict.fromkeys(features, np.float64)
    kinds["dose_mgy"] = np.int64 if (doses % 1 == 0).all() else np.float64
    return table[[*FEATURE_KEY, *features]].astype(kinds)


def _as_names(values: pd.Series, path: Path | str) -> pd.Series:
    """Names as texts without blanks around them, letters in one form; `UserError` for signs that cannot be seen."""
    names = {value: unicodedata.normalize("NFC", str(value)).strip() for value in values.unique()}
    hidden = next((name for name in names.values() if not name.isprintable()), None)
    if hidden is not None:
        raise UserError(f"{path}: the {values.name} {ascii(hidden)} has signs that cannot be seen; take them out")
    return values.map(names)


def plain_units(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `values` (rows, features) in units in which squares and sums of a feature neither overflow nor vanish.

    The units are 2**exponents, an integer for each feature: 0, so that nothing changes, where its largest finite value
    is between 1e-100 and 1e100.
    """
    largest = np.zeros(values.shape[1:])
    for start in range(0, len(values), ROWS):
        some = values[start : start + ROWS]
        with np.errstate(invalid="ignore"):
            np.maximum(largest, np.where(np.isfinite(some), np.abs(some), 0).max(axis=0), out=largest)
    exponents = np.where((largest == 0) | ((largest >= 1e-100) & (largest <= 1e100)), 0, np.frexp(largest)[1])
    if not exponents.any():
        return values, exponents
    return np.ldexp(values, -exponents), exponents


def read_feature_sets(
    extractors: list[str], paths: list[Path | str], read: Callable = read_features
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each extractor with its table of features, or what else `read` makes of it; one table is read at a time."""
    if len(extractors) != len(paths):
        raise UserError(f"{len(paths)} tables of features for {len(extractors)} extractors; name one for each table")
    yield from ((extractor, read(path)) for extractor, path in zip(extractors, paths, strict=True))


def check_same_rows(one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]) -> None:
    """Raise a `UserError` where two extractors' tables differ in their rows (series, ROI, patch): they would not
    compare."""
    keys = [pd.MultiIndex.from_frame(table[ROW_KEY].astype(str)) for _, table in (one, other)]
    lacking = keys[0].symmetric_difference(keys[1])
    if len(lacking):
        rois = [set(table["roi"]) for _, table in (one, other)]
        both = zip((one[0], other[0]), rois, rois[::-1], strict=True)
        own = [f"{', '.join(sorted(a - b))} ({name})" for name, a, b in both if a - b]
        regions = f" Regions of one alone: {'; '.join(own)}." if own else ""
        raise UserError(
            f"the tables of features {one[0]} and {other[0]} have not the same rows: {len(lacking)} are in one alone, "
            f"such as {' '.join(lacking[0])}; give all extractors the same series, ROIs and patches.{regions}"
        )
