"""Feature tables of any extractor: their columns and order, and the merging of what the tasks of a run wrote.

A table has the columns `benchmark.FEATURE_KEY`, then the features as float64, a row for each series, ROI and patch.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, ROW_KEY, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table

SUMMED = ("verified", "not_finite")
"""Entries of the settings that count something in a chunk."""
LARGEST = "largest_difference"
"""Entry of the settings of which the largest counts, together with `<entry>_at`."""
GIVEN = "given"
"""Status of tables that the user gave, instead of the run computing them."""
WHOLE = ("repetition", "patch")


def sort_features(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by scanner (the paper's order), dose, reconstruction, repetition, series, ROI and patch."""
    rank = {roi: number for number, roi in enumerate(ROIS)}
    order = pd.DataFrame(
        {
            "scanner": [scanner_rank(scanner) for scanner in table["scanner"]],
            "dose_mgy": table["dose_mgy"].to_numpy(),
            "recon": table["recon"].to_numpy(),
            "repetition": table["repetition"].to_numpy(),
            "series_uid": table["series_uid"].to_numpy(),
            "roi": [(rank.get(roi, len(rank)), roi) for roi in table["roi"]],
            "patch": table["patch"].to_numpy(),
        }
    )
    return table.iloc[order.sort_values(list(order), kind="stable").index].reset_index(drop=True)


def feature_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a table that are features, in its order."""
    return [name for name in table.columns if name not in FEATURE_KEY]


def read_features(path: Path | str) -> pd.DataFrame:
    """A feature table with its columns in order, its features as float64, its names as text.

    `UserError` where a column of the key is missing or blank, a feature is not a number, or no feature is there.
    """
    table = read_table(path, FEATURE_KEY)
    if table.empty:
        raise UserError(f"{path} has no rows; it needs one for each patch of each series")
    features = feature_columns(table)
    if not features:
        raise UserError(f"{path} has no feature: beside {', '.join(FEATURE_KEY)} it needs a column for each feature")
    for name in FEATURE_KEY:
        blank = table[name].isna() | (table[name].astype(str) == "")
        if blank.any():
            raise UserError(f"{path}: {name} is blank in row {int(np.argmax(blank)) + 1}; every row needs its key")
    for name in [*features, "dose_mgy", *WHOLE]:
        values = table[name]
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            raise UserError(
                f"{path}: the column {name} is not numeric; beside the text columns "
                f"{', '.join(c for c in FEATURE_KEY if c != 'dose_mgy' and c not in WHOLE)} a table has numbers only"
            )
        if name in WHOLE and (values % 1 != 0).any():
            raise UserError(f"{path}: {name} must be whole numbers; it has {values[values % 1 != 0].iloc[0]}")
    doses = table["dose_mgy"].astype(float)
    kinds = dict.fromkeys(FEATURE_KEY, str) | dict.fromkeys(WHOLE, np.int64) | dict.fromkeys(features, np.float64)
    kinds["dose_mgy"] = np.int64 if (doses % 1 == 0).all() else np.float64
    return table[[*FEATURE_KEY, *features]].astype(kinds)


def read_feature_sets(extractors: list[str], paths: list[Path | str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The extractors, each with its table of features; one table is read at a time."""
    if len(extractors) != len(paths):
        raise UserError(f"{len(paths)} tables of features for {len(extractors)} extractors; name one for each table")
    yield from ((extractor, read_features(path)) for extractor, path in zip(extractors, paths, strict=True))


def check_same_rows(one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]) -> None:
    """`UserError` where two extractors' tables differ in their rows (series, ROI, patch): they would not compare."""
    keys = [pd.MultiIndex.from_frame(table[ROW_KEY].astype(str)) for _, table in (one, other)]
    lacking = keys[0].symmetric_difference(keys[1])
    if len(lacking):
        raise UserError(
            f"the tables of features {one[0]} and {other[0]} have not the same rows: {len(lacking)} are in one alone, "
            f"such as {' '.join(lacking[0])}; give all extractors the same series, ROIs and patches"
        )


def merge_tables(paths: Iterable[Path | str]) -> pd.DataFrame:
    """The rows of all tables in their fixed order, whatever the order of `paths`.

    `UserError` where the tables have not the same features, or where a row (series, ROI, patch) is there twice.
    """
    paths = sorted(paths, key=str)
    tables = [read_features(path) for path in paths]
    if not tables:
        raise UserError("no feature table to merge; the extraction gave none")
    for path, table in zip(paths, tables, strict=True):
        if list(table.columns) != list(tables[0].columns):
            differing = sorted(set(table.columns) ^ set(tables[0].columns)) or ["their order"]
            raise UserError(
                f"{path} has not the features of {paths[0]} (differing: {', '.join(differing[:5])}); extract all "
                "series with the same settings"
            )
    table = sort_features(pd.concat(tables, ignore_index=True))
    twice = table.duplicated(ROW_KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(
            f"series {row['series_uid']}, {row['roi']}, patch {row['patch']} is duplicated in "
            f"{', '.join(map(str, paths[:3]))} ({int(twice.sum())} such rows); a row may come from one table only"
        )
    return table


def check_complete(table: pd.DataFrame, registered: pd.DataFrame, patches: pd.DataFrame | None = None) -> None:
    """Every registered series of the doses that the table has, with every patch, and nothing else.

    Without `patches` (whole ROIs) each series must have the rows that the others have. `UserError` names what is
    missing.
    """
    doses = table["dose_mgy"].unique()
    wanted = set(registered.loc[registered["dose_mgy"].isin(doses), "series_uid"].astype(str))
    found = set(table["series_uid"])
    for uids, what in ((wanted - found, "lack the registered series"), (found - wanted, "have the unknown series")):
        if uids:
            raise UserError(
                f"the feature tables {what} {min(uids)} ({len(uids)} of {len(wanted)}); extract exactly the registered "
                "series of each dose"
            )
    rows = table if patches is None else patches
    regions = set(zip(rows["roi"].astype(str), rows["patch"].astype(int), strict=True))
    for uid, own in table.groupby("series_uid", sort=True):
        differing = regions ^ set(zip(own["roi"], own["patch"], strict=True))
        if differing:
            roi, patch = min(differing)
            verb = "lacks" if (roi, patch) in regions else "has, though it is no patch of the run,"
            raise UserError(
                f"series {uid} {verb} {roi}, patch {patch} ({len(differing)} rows differ); extract its features again"
            )


def merge_settings(settings: dict[str, dict]) -> dict:
    """Settings of all chunks as one, from the chunks' settings by file name.

    Counts (`SUMMED`) are added up, of `largest_difference` the largest stays; everything else must agree, else a
    `UserError` names entry and files.
    """
    names = sorted(settings)
    first = settings[names[0]]
    special = {*SUMMED, LARGEST, f"{LARGEST}_at"}
    for name in names[1:]:
        for key in sorted({*first, *settings[name]} - special):
            if first.get(key) != settings[name].get(key):
                raise UserError(
                    f"{names[0]} and {name} were made with different settings: {key} is {first.get(key)!r} and "
                    f"{settings[name].get(key)!r}; extract all series with the same ones"
                )
    merged = dict(first)
    for key in SUMMED:
        if any(key in values for values in settings.values()):
            merged[key] = sum(settings[name].get(key, 0) for name in names)
    measured = [name for name in names if settings[name].get(LARGEST) is not None]
    if measured:
        worst = max(measured, key=lambda name: settings[name][LARGEST])
        merged |= {key: settings[worst][key] for key in (LARGEST, f"{LARGEST}_at") if key in settings[worst]}
    return merged


def read_settings(path: Path | str) -> dict:
    """A settings file of an extraction."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a settings file ({error}); run the extraction again") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a settings file: it holds no object; run the extraction again")
    return values


def settings_of_given(table: pd.DataFrame, extractor: str, paths: Iterable[Path | str]) -> dict:
    """Settings for tables that the user gave: which files they are is all that is known."""
    features = table[feature_columns(table)].to_numpy()
    return {
        "extractor": extractor,
        "n_features": features.shape[1],
        "status": GIVEN,
        "weights": None,
        "files": {Path(p).name: hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in sorted(paths, key=str)},
        "not_finite": int((~np.isfinite(features)).sum()),
    }


def merge(
    extractor: str,
    tables: list[Path | str],
    settings: list[Path | str],
    registered: pd.DataFrame | None = None,
    patches: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, dict]:
    """Merged table and settings of an extractor; without `settings` the tables are taken as given by the user."""
    table = merge_tables(tables)
    if registered is not None:
        check_complete(table, registered, patches)
    if settings:
        merged = merge_settings({str(path): read_settings(path) for path in settings})
        if merged.get("extractor") != extractor:
            raise UserError(
                f"{settings[0]} is of the extractor {merged.get('extractor')}, not of {extractor}; name its own files"
            )
    else:
        merged = settings_of_given(table, extractor, tables)
    names = np.array(feature_columns(table))
    bad = ~np.isfinite(table[list(names)].to_numpy())
    if bad.any():
        found = names[bad.any(axis=0)]
        logging.warning("%s: %d values are not finite, in %s", extractor, int(bad.sum()), ", ".join(found[:5]))
    return table, merged
