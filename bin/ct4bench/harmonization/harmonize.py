"""A method's features outside the folds: fitted on all rows, and each value of the domain by a fit without it."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.contract import columns_of
from ct4bench.core.feature_tables import feature_columns, sort_features
from ct4bench.harmonization.features_of import MethodFeatures
from ct4bench.harmonization.methods import Variant
from ct4bench.splits.adaptation import adaptation_scans, rows_tested
from ct4bench.splits.fold import NotHarmonized
from ct4bench.splits.splits import as_text, sorted_keys

# code-table: <method>/harmonization.csv

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
