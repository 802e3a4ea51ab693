"""Tables of features that a user gives: a column is a feature, or a part of the key, or is refused by its name.

What is refused: names that are none (row numbers of R, pandas and Arrow), numbers of rows, what describes a series and
not a region in it, names that a reader would take for one of the benchmark's, and keys that contradict each other.
"""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, TISSUES, bare_label, bare_name
from ct4bench.core.errors import UserError, few
from ct4bench.core.feature_tables import feature_columns
from ct4bench.core.regions import CT4HARMONIZATION, Phantom

NO_NAME = re.compile(
    r"\s*|Unnamed: \d+|\.\.\.\d+|__index_level_\d+__|X(\.\d+)?|level_\d+|index|row[ _.]?(name|number|id)?s?", re.I
)
"""How readers and writers of tables call a column without a name, or one of row numbers."""
ABOUT_A_SERIES = {
    "dose", "kvp", "exposure_mas", "ctdivol_mgy", "pitch", "rotation_time_s", "collimation_mm", "fov_mm", "n_slices",
    "rows", "columns", "spacing_row_mm", "spacing_col_mm", "slice_increment_mm", "slice_thickness_mm", "series_number",
}  # fmt: skip
ABOUT_A_PLACE = {"slice", "row", "column", "x_mm", "y_mm", "z_mm", "share_inside", "x", "y", "z", "label"}
"""Names of metadata in tables of this pipeline and of PyRadiomics."""
FEWEST_ROWS = 10
"""So many numbers in order are no chance."""
SHOWN = 8
OF_A_SERIES = ("scan_id", "scanner", "maker", "dose_mgy", "recon", "repetition")


def check_given(table: pd.DataFrame, path: Path | str, phantom: Phantom = CT4HARMONIZATION) -> None:
    """Raise a `UserError` where a table (of `read_features`, in the file's order) is not what its names say, or where
    its regions are not those of a phantom of the user's own."""
    features = feature_columns(table)
    for name, why in _no_features(table, features):
        rest = [other for other in features if other != name]
        raise UserError(
            f"{path}: the column '{name}' {why}; take it out, or rename it if it is a feature. The features found are "
            f"{', '.join(rest[:SHOWN]) or 'none'}{f' and {len(rest) - SHOWN} more' if len(rest) > SHOWN else ''}"
        )
    (_check_regions if phantom.is_published else _check_own_regions)(table, path, phantom)
    _check_keys(table, path)
    shown = ", ".join(features[:SHOWN]) + (f" and {len(features) - SHOWN} more" if len(features) > SHOWN else "")
    logging.info("%s: %d features: %s", path, len(features), shown)


def _no_features(table: pd.DataFrame, features: list[str]):
    """Names of columns that are no features, each with the reason."""
    n_rows = len(table)
    several = table.groupby("series_uid").size().max() > 1 and table["series_uid"].nunique() > 1
    uids = table["series_uid"].to_numpy()
    for name in features:
        values = table[name].to_numpy()
        if NO_NAME.fullmatch(name):
            yield name, "has no name of its own (R, pandas and Arrow write row numbers so), and is no feature"
        elif name.lower() in ABOUT_A_SERIES | ABOUT_A_PLACE or name.startswith("diagnostics_"):
            yield name, "is metadata by its name, and no feature"
        elif n_rows >= FEWEST_ROWS and any(
            np.array_equal(values, np.arange(first, n_rows + first)) for first in (0, 1)
        ):
            yield name, "numbers the rows, and is no feature"
        elif several and len(set(values[np.isfinite(values)].tolist())) > 1 and _is_constant_within(values, uids):
            yield name, "has one value in each series, so that it describes the series, and is no feature of a region"


def _is_constant_within(values: np.ndarray, groups: np.ndarray) -> bool:
    grouped = pd.Series(values).groupby(groups, sort=False)
    return bool((grouped.nunique(dropna=False) == 1).all())


def _check_own_regions(table: pd.DataFrame, path: Path | str, phantom: Phantom) -> None:
    """Regions and classes that the description of the phantom does not have."""
    known = {bare_label(name): name for name in phantom.names}
    for roi, tissue in table[["roi", "tissue"]].drop_duplicates().itertuples(index=False):
        if roi not in phantom.names:
            due = known.get(bare_label(roi)) or phantom.named(roi)
            raise UserError(
                f"{path}: roi '{roi}' is not '{due}' of the description of {phantom.name}; rename it to that"
                if due
                else f"{path}: roi '{roi}' is no region of {phantom.name}, which has {few(phantom.names, SHOWN)}; name "
                "it in the description (--phantom), or take its rows out"
            )
        if tissue != phantom.tissue_of(roi):
            raise UserError(
                f"{path}: {roi} is of the tissue '{tissue}'; by the description of {phantom.name} it is "
                f"'{phantom.tissue_of(roi)}'"
            )


def _check_regions(table: pd.DataFrame, path: Path | str, phantom: Phantom) -> None:
    """Names that a reader would take for one of the benchmark's, or for each other."""
    for column, known in (("roi", phantom.names), ("tissue", TISSUES)):
        seen = {}
        for name in sorted(set(table[column])):
            bare = bare_name(name)
            if bare in known and name != bare:
                raise UserError(f"{path}: {column} '{name}' is not '{bare}' of the benchmark; rename it to that")
            if bare in seen:
                raise UserError(f"{path}: {column} '{seen[bare]}' and '{name}' are two names; give both the same")
            seen[bare] = name
    for roi, tissue in table[["roi", "tissue"]].drop_duplicates().itertuples(index=False):
        if roi in phantom.names and tissue != phantom.tissue_of(roi):
            raise UserError(f"{path}: {roi} is of the tissue '{tissue}'; it must be '{phantom.tissue_of(roi)}'")


def _check_keys(table: pd.DataFrame, path: Path | str) -> None:
    """What depends on another column of the key has one value for each of its values."""
    for of, names in (("series_uid", OF_A_SERIES), ("scanner", ("maker",)), ("roi", ("tissue",))):
        pairs = table[[of, *names]].drop_duplicates()
        twice = pairs[pairs[of].duplicated(keep=False)].sort_values(of, kind="stable")
        if len(twice):
            one, other = twice.iloc[0], twice.iloc[1]
            name = next(name for name in names if one[name] != other[name])
            raise UserError(
                f"{path}: {of} {one[of]} has the {name} {one[name]} in one row and {other[name]} in another; a row's "
                f"{', '.join(FEATURE_KEY)} must agree with the others'"
            )
