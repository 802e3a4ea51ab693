"""The scanner profile as a section of the report: a row of numbers for each scanner, and why others are missing."""

import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, scanner_rank
from ct4bench.profiles.merge import COMMON, OWN
from ct4bench.report.cells import is_number, number

COLUMNS = (
    ("SD in the large cyst, total (HU)", ("total_sd_hu", "cyst1"), 1),
    ("quantum (HU)", ("quantum_sd_hu", "cyst1"), 1),
    ("Mean frequency of noise (1/mm)", ("quantum_nps_mean_per_mm", "cyst1", "total_nps_mean_per_mm"), 3),
    ("Sigma in plane (mm)", ("edge_sigma_mm", "dots_to_wedge"), 2),
    ("Sigma along z (mm)", ("slice_sigma_mm", "wedge_to_liver"), 2),
    ("CNR cyst to normal", ("cnr", "cyst_normal"), 1),
    ("Slope of HU", ("calibration_slope", "wedge"), 3),
    ("Offset (HU)", ("calibration_offset_hu", "wedge"), 1),
    ("Displace\N{SOFT HYPHEN}ment, 95th percentile (mm)", ("displacement_p95_mm", "block"), 2),
)
"""Head, (measure, region, measure to take where that one has no value), decimals."""


def _value(rows: pd.DataFrame, measure: str, region: str, other: str = "") -> float:
    for name in filter(None, (measure, other)):
        found = rows.loc[(rows["measure"] == name) & (rows["region"] == region), "value"].dropna()
        if len(found):
            return float(found.iloc[0])
    return float("nan")


def _cell(rows: pd.DataFrame, wanted: tuple, decimals: int) -> dict:
    """The value as scanned, and in brackets that of the registered series; the latter alone where there is no other."""
    own, common = (_value(rows[rows["grid"] == grid], *wanted) for grid in (OWN, COMMON))
    if not is_number(own):
        return {"main": number(common, decimals)}
    return {"main": number(own, decimals), **({"sd": f"({number(common, decimals)})"} if is_number(common) else {})}


def profile_view(profile: pd.DataFrame | None) -> dict | None:
    """Return a grid of the main numbers by scanner and reconstruction at the dose that most scanners have, and reasons.

    Reasons are those of the same dose: at another one there may be fewer repetitions.
    """
    if profile is None or profile.empty:
        return None
    groups = profile[["scanner", "dose_mgy", "recon"]].drop_duplicates()
    counts = groups.groupby("dose_mgy").size()
    dose = max(counts.index, key=lambda value: (value == MAIN_DOSE_MGY, counts[value], value))
    rows = []
    for (scanner, recon), own in sorted(
        profile[profile["dose_mgy"] == dose].groupby(["scanner", "recon"]),
        key=lambda item: (scanner_rank(item[0][0]), item[0][1]),
    ):
        cells = [_cell(own, wanted, decimals) for _, wanted, decimals in COLUMNS]
        rows.append({"head": f"{scanner} {recon}", "cells": cells})
    missing = profile[(profile["dose_mgy"] == dose) & (profile["reason"] != "")]
    missing = missing.drop_duplicates(["measure", "region", "reason"])
    reasons = []
    for reason, own in missing.groupby("reason", sort=True):
        names = sorted({name.replace("_", " ") for name in own["measure"]})
        reasons.append({"reason": str(reason), "names": names})
    return {
        "dose": f"{dose:g} mGy",
        "n": len(profile),
        "table": {"columns": ["Scanner", *(head for head, _, _ in COLUMNS)], "rows": rows, "kind": "grid"},
        "reasons": reasons,
    }
