"""transforms.csv: the motions of all series, and which series go on."""

# code-table: registration/transforms.csv

import pandas as pd

from ct4bench.core.contract import columns_of
from ct4bench.core.geometry import Rigid

MOTION_COLUMNS = [
    "translation_x_mm", "translation_y_mm", "translation_z_mm", "rotation_x_deg", "rotation_y_deg", "rotation_z_deg",
    "centre_x_mm", "centre_y_mm", "centre_z_mm",
]  # fmt: skip
TRANSFORM_COLUMNS = columns_of("registration/transforms.csv")
STRETCHED = "stretched"
"""First word of `detail` where a short series was stretched on request."""
PASSED = ("reference", "registered")
"""Statuses with which a series goes on; any other one is a quarantine reason."""


def motion_columns(motion: Rigid) -> dict[str, float]:
    """Return a motion as the columns of transforms.csv."""
    values = (*motion.translation_mm, *motion.rotation_deg, *motion.centre_mm)
    return dict(zip(MOTION_COLUMNS, values, strict=True))


def motion_of(row) -> Rigid:
    """Return the motion in a row (a mapping) of transforms.csv or truth.csv."""
    values = [float(row[name]) for name in MOTION_COLUMNS]
    return Rigid(tuple(values[3:6]), tuple(values[:3]), tuple(values[6:]))


def registered_rows(series: pd.DataFrame, transforms: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `series` whose status in `transforms` is one of `PASSED`, in their order."""
    passed = transforms.loc[transforms["status"].isin(PASSED), "series_uid"]
    return series[series["series_uid"].isin(set(passed))].reset_index(drop=True)
