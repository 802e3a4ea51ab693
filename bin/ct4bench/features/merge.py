"""Merging what the tasks of an extraction wrote: tables of features, and the settings that they were made with."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.errors import UserError, counted
from ct4bench.core.feature_tables import feature_columns, read_features, sort_features
from ct4bench.core.json_files import read_object
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.core.tables import read_notes
from ct4bench.features.given_tables import check_given

SUMMED = ("verified", "not_finite")
"""Entries of the settings that count something in a chunk."""
LARGEST = "largest_difference"
"""Entry of the settings of which the largest counts, together with `<entry>_at`."""
KEPT = ("origin", "weights", "mode")
"""What travels with a table of features: what the series are, which weights made it, in which mode."""
GIVEN = "given"
"""Status of tables that the user gave, instead of the run computing them."""


def merge_tables(paths: Iterable[Path | str], given: bool = False, phantom: Phantom = CT4HARMONIZATION) -> pd.DataFrame:
    """Merge the rows of all tables in their fixed order, whatever the order of `paths`.

    `UserError` where the tables have not the same features, or where a row (series, ROI, patch) is there twice; with
    `given`, of tables that the user gave, also where a column is not what it is called, or a region is not one of the
    `phantom` of the user's own.
    """
    paths = sorted(paths, key=str)
    tables = [read_features(path) for path in paths]
    if given:
        for path, table in zip(paths, tables, strict=True):
            check_given(table, path, phantom)
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
    """Check that a table has every registered series of its doses, with every patch, and nothing else.

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
            verb = "lacks" if (roi, patch) in regions else "has, though it is not a patch of the run,"
            raise UserError(
                f"series {uid} {verb} {roi}, patch {patch} ({counted(len(differing), 'row')} missing or too many); "
                "extract its features again"
            )


def merge_settings(settings: dict[str, dict]) -> dict:
    """Merge the settings of all chunks into one, from the chunks' settings by file name.

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
    """Read a settings file of an extraction."""
    return read_object(path, "a settings file", "run the extraction again")


def notes_beside(paths: Iterable[Path | str], beside: Iterable[Path | str] = ()) -> dict:
    """Find what is known of how tables were made: `KEPT` of their own notes (Parquet), else of the files `beside` them.

    `UserError` where they differ.
    """
    found = [read_notes(path) for path in sorted(paths, key=str)]
    found = found if any(found) else [_notes_of(path) for path in sorted(beside, key=str)]
    notes = [{name: values[name] for name in KEPT if values.get(name)} for values in found]
    if any(other != notes[0] for other in notes[1:]):
        raise UserError(f"{min(map(str, paths))} and the tables with it were not made alike: {notes}; give them apart")
    return notes[0] if notes else {}


def _notes_of(path: Path | str) -> dict:
    """Read settings of an extraction; empty where a file of the same name is something else."""
    try:
        values = read_settings(path)
    except UserError:
        return {}
    return values if "extractor" in values else {}


def settings_of_given(
    table: pd.DataFrame, extractor: str, paths: Iterable[Path | str], beside: Iterable[Path | str] = ()
) -> dict:
    """Return the settings for tables that the user gave: which files they are, and what travelled with them."""
    features = table[feature_columns(table)].to_numpy()
    return {
        "extractor": extractor,
        "n_features": features.shape[1],
        "status": GIVEN,
        "weights": None,
        **notes_beside(paths, beside),
        "files": {Path(p).name: hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in sorted(paths, key=str)},
        "not_finite": int((~np.isfinite(features)).sum()),
    }


def merge(
    extractor: str,
    tables: list[Path | str],
    settings: list[Path | str],
    registered: pd.DataFrame | None = None,
    patches: pd.DataFrame | None = None,
    beside: Iterable[Path | str] = (),
    mode: str | None = None,
    phantom: Phantom = CT4HARMONIZATION,
) -> tuple[pd.DataFrame, dict]:
    """Merge table and settings of an extractor; without `settings` the tables are taken as given by the user.

    The origin of `registered` and the `mode` are noted in the settings; of given tables, what they or the files
    `beside` them say.
    """
    table = merge_tables(tables, not settings, phantom)
    if registered is not None:
        check_complete(table, registered, patches)
    if settings:
        merged = merge_settings({str(path): read_settings(path) for path in settings})
        if merged.get("extractor") != extractor:
            raise UserError(
                f"{settings[0]} is of the extractor {merged.get('extractor')}, not of {extractor}; name its own files"
            )
    else:
        merged = settings_of_given(table, extractor, tables, beside)
    if registered is not None and "origin" in registered:
        own = registered["series_uid"].astype(str).isin(set(table["series_uid"]))
        merged["origin"] = "+".join(sorted(set(registered.loc[own, "origin"])))
    if mode and settings:
        merged["mode"] = mode
    names = np.array(feature_columns(table))
    bad = ~np.isfinite(table[list(names)].to_numpy())
    if bad.any():
        found = names[bad.any(axis=0)]
        logging.warning("%s: %d values are not finite, in %s", extractor, int(bad.sum()), ", ".join(found[:5]))
    return table, merged
