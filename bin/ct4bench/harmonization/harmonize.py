"""A method's features outside the folds: fitted on all rows, and each value of the domain by a fit without it."""

import logging
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.contract import columns_of
from ct4bench.core.feature_tables import feature_columns, read_feature_sets, sort_features
from ct4bench.core.tables import read_notes, write_table
from ct4bench.harmonization.features_of import MethodFeatures
from ct4bench.harmonization.methods import Variant
from ct4bench.splits.adaptation import adaptation_scans, rows_tested
from ct4bench.splits.fold import NotHarmonized
from ct4bench.splits.splits import as_text, sorted_keys

# code-table: <method>/features/<extractor>.parquet
# code-table: <method>/harmonization.csv

TABLE = "<method>/features/<extractor>.parquet"
COLUMNS = columns_of("<method>/harmonization.csv")
ALL = "all"
DONE = "harmonized"


@dataclass(frozen=True)
class Outside:
    """Tables of features of a method, and what became of each fit."""

    fitted: pd.DataFrame | None
    """Mapped by a fit on all rows; None where there is none."""
    left_out: pd.DataFrame | None
    """Rows that are tested, each by a fit without its value of the domain; None where one has none."""
    outcomes: pd.DataFrame
    """Columns `COLUMNS`."""


def scans_to_adapt(variant: Variant, scans: list[str]) -> list[str]:
    """Choose from the scans of a target that may be adapted to those that the method gets: all, a number, or none."""
    declared = variant.declaration
    if declared.information == "calibration":
        n = declared.calibration_series
        return scans[:n] if len(scans) >= n else []
    return scans if declared.information == "transductive" else []


def harmonize(
    variant: Variant, table: pd.DataFrame, extractor: str, harmonize_by: Sequence[str], domain: str, seed: int
) -> Outside:
    """Apply a method to a table of features (as `feature_tables.read_features` gives it) outside the folds.

    `harmonize_by` are the columns that are a domain to the method, `domain` is what is left out.
    """
    keys, names = sorted_keys(table), feature_columns(table)
    values = table.sort_values(ROW_KEY, kind="stable")[names].to_numpy(np.float64)
    lines, parts, fitted = [], [], None
    everything, value = np.arange(len(keys)), as_text(keys[domain])
    given, tested = adaptation_scans(keys, domain, seed), rows_tested(keys, domain, seed)
    with MethodFeatures(variant, keys, names, values, harmonize_by, seed) as features_of:

        def attempt(fit: str, training: np.ndarray, targets: np.ndarray, adapt: np.ndarray) -> np.ndarray | None:
            sizes = {"n_rows_fit": len(training), "n_rows_adapted": len(adapt), "n_rows": len(targets)}
            line = {
                "extractor": extractor,
                "fit": fit,
                "status": DONE,
                "reason": "",
                "notes": "",
                "n_verbatim": 0,
            } | sizes
            lines.append(line)
            try:
                made = features_of.map(training, targets, adapt, zlib.crc32(f"outside|{fit}".encode()), f"fit {fit}")
            except NotHarmonized as why:
                line |= {"status": why.status, "reason": str(why)}
                return None
            line |= {"notes": "; ".join(made.notes), "enforced": made.enforced, "n_verbatim": made.verbatim}
            return made.targets

        mapped = attempt(ALL, everything, everything, everything[:0])
        if mapped is not None:
            fitted = _table(keys, names, mapped)
        for name in sorted(set(value)):
            scans = scans_to_adapt(variant, given[name])
            adapt = np.flatnonzero((value == name) & keys["scan_id"].isin(scans).to_numpy())
            targets = np.flatnonzero((value == name) & tested)
            mapped = attempt(name, np.flatnonzero(value != name), targets, adapt)
            if mapped is not None:
                parts.append(_table(keys.iloc[targets], names, mapped))
    whole = len(parts) == len(set(value))
    left_out = sort_features(pd.concat(parts, ignore_index=True)) if whole else None
    outcomes = pd.DataFrame(lines).reindex(columns=COLUMNS)
    return Outside(None if fitted is None else sort_features(fitted), left_out, outcomes.fillna({"enforced": ""}))


def _table(keys: pd.DataFrame, names: list[str], values: np.ndarray) -> pd.DataFrame:
    return pd.concat([keys[FEATURE_KEY].reset_index(drop=True), pd.DataFrame(values, columns=names)], axis=1)


def harmonize_files(
    variant: Variant,
    features: Mapping[str, Path | str],
    harmonize_by: Sequence[str],
    domain: str,
    seed: int,
    output: Path,
    left_out: Path,
    outcome: Path | str,
    notes: Sequence[Path | str] = (),
) -> None:
    """Harmonize the tables of `features` by extractor, and write them, with what became of each fit.

    `output` and `left_out` are the folders for the tables of a fit on all rows, with `notes` (settings of the
    extractors) beside them, and for those of each value of the domain by a fit without it; where one extractor lacks
    them there are none.
    """
    found = {
        name: harmonize(variant, table, name, harmonize_by, domain, seed)
        for name, table in read_feature_sets(list(features), list(features.values()))
    }
    for folder in (output, left_out):
        folder.mkdir(parents=True, exist_ok=True)
    if all(outside.fitted is not None for outside in found.values()):
        _write(found, features, output, left_out)
        for path in map(Path, notes):
            shutil.copyfile(path, output / path.name)
    outcomes = pd.concat([outside.outcomes for outside in found.values()], ignore_index=True)
    write_table(outcomes, outcome, table="<method>/harmonization.csv")
    for row in outcomes[outcomes["reason"] != ""].to_dict("records"):
        logging.warning("%s, fit %s: %s: %s", row["extractor"], row["fit"], row["status"], row["reason"])


def _write(found: Mapping[str, Outside], features: Mapping[str, Path | str], output: Path, left_out: Path) -> None:
    has_all = all(outside.left_out is not None for outside in found.values())
    for name, outside in found.items():
        write_table(outside.fitted, output / f"{name}.parquet", table=TABLE, notes=read_notes(features[name]))
        if has_all:
            write_table(outside.left_out, left_out / f"{name}.parquet", table=TABLE)
