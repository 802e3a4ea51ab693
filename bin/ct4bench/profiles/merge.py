"""Tables of scanner profiles: their columns, and merging of the parts that tasks wrote."""

# code-table: <method>/series_profile.parquet
# code-table: <method>/scanner_profile.csv
# code-table: <method>/local_displacement.csv

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import scanner_rank
from ct4bench.core.contract import columns_of
from ct4bench.core.tables import concatenate

KINDS = ("noise", "sharpness", "calibration", "geometry")
"""What a profile is about, in the order of its rows."""
GROUP = ["scanner", "maker", "dose_mgy", "recon"]
OWN, COMMON = "own", "common"
"""Grids that a value is of: the scanner's own, as scanned, or the common one of the registered series."""
MEASURE = ["kind", "measure", "region", "grid", "at", "at_unit"]
SERIES_COLUMNS = columns_of("<method>/series_profile.parquet")
"""Of series_profile.parquet: a row a series and measure; what repetitions tell has no series_uid."""
PROFILE_COLUMNS = columns_of("<method>/scanner_profile.csv")
"""Of scanner_profile.csv."""
FIELD_COLUMNS = [name for name in columns_of("<method>/local_displacement.csv") if name != "n_series"]
"""Of local_displacement.csv, less `n_series`."""
AT_UNITS = {
    "nps_hu2_mm2": "per_mm", "nps_z_hu2_mm": "per_mm", "ttf": "per_mm", "star_amplitude_hu": "per_mm",
    "star_modulation": "per_mm", "zone_amplitude_hu": "per_mm", "zone_modulation": "per_mm", "wedge_hu": "mm",
    "wedge_less_reference_hu": "hu", "autocorrelation_x": "mm", "autocorrelation_y": "mm", "autocorrelation_z": "mm",
}  # fmt: skip
"""Unit of `at` by measure, without its component; other measures have no point on a curve."""


def at_unit(measure: str) -> str:
    """Return the unit of the point on a measure's curve, blank for a single number."""
    return AT_UNITS.get(measure.removeprefix("total_").removeprefix("quantum_"), "")


def _rank(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that order rows: scanners as in the paper, kinds as in `KINDS`, the own grid before the common one."""
    order = frame.assign(_scanner=frame["scanner"].map(scanner_rank))
    if "kind" in frame.columns:
        order["_kind"] = frame["kind"].map(KINDS.index)
        order["_grid"] = frame["grid"].map((OWN, COMMON).index)
    return order


def merge_profiles(paths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stack the rows of all series, and their means by scanner, dose and reconstruction (scanner_profile.csv).

    `sd` is the SD over series (ddof 1), blank for one; `n_series` counts the series that have the value, and is blank
    for what all repetitions tell together.
    """
    rows = concatenate(paths, ["series_uid"])
    for name in ("reason", "at_unit", "series_uid"):
        rows[name] = rows[name].fillna("").astype(str)
    keys = [*GROUP, *MEASURE]
    groups = rows.groupby(keys, dropna=False, sort=False)
    merged = groups.agg(
        value=("value", "mean"),
        sd=("value", "std"),
        n_series=("value", "count"),
        n_repetitions=("n_repetitions", "max"),
        reason=("reason", "max"),
        uid=("series_uid", "max"),
    ).reset_index()
    merged["reason"] = merged["reason"].where(merged["value"].isna(), "")
    merged["n_series"] = merged["n_series"].astype("Int64").where(merged["uid"] != "")
    order = ["_scanner", "dose_mgy", "recon", "_kind", "measure", "region", "_grid", "at"]
    merged = _rank(merged).sort_values(order, kind="stable", ignore_index=True)[PROFILE_COLUMNS]
    order = ["_scanner", "dose_mgy", "recon", "series_uid", "_kind", "measure", "region", "_grid", "at"]
    return _rank(rows).sort_values(order, kind="stable", ignore_index=True)[SERIES_COLUMNS], merged


def merge_fields(paths) -> pd.DataFrame:
    """Average the local displacements over the series of a scanner, dose and reconstruction
    (local_displacement.csv)."""
    rows = concatenate(paths, ["scanner", "dose_mgy", "recon", "z_mm", "y_mm", "x_mm"])
    keys = [*GROUP, "x_mm", "y_mm", "z_mm"]
    groups = rows.groupby(keys, sort=False)
    merged = groups.mean().reset_index()
    merged["n_series"] = groups.size().to_numpy()
    for axis in "xyz":
        count = groups[f"displacement_{axis}_mm"].count().to_numpy()
        merged[f"error_{axis}_mm"] /= np.sqrt(np.maximum(count, 1))
    order = ["_scanner", "dose_mgy", "recon", "z_mm", "y_mm", "x_mm"]
    return _rank(merged).sort_values(order, kind="stable", ignore_index=True)[[*FIELD_COLUMNS, "n_series"]]
