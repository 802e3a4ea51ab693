"""The scanner profile as a section of the report: a row of numbers for each scanner, and why others are missing."""

import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, scanner_rank
from ct4bench.core.regions import Phantom, phantom_of
from ct4bench.profiles.merge import COMMON, OWN
from ct4bench.report.cells import is_number, number

FREQUENCY = ("Mean frequency of noise (1/mm)", ("quantum_nps_mean_per_mm", "cyst1"), 3)
FREQUENCY_WITH_PRINT = ("Mean frequency of noise and print (1/mm)", ("total_nps_mean_per_mm", "cyst1"), 3)
"""What stands in place of `FREQUENCY` where repetitions do not tell the noise of all from the print."""
COLUMNS = (
    ("SD in the large cyst, total (HU)", ("total_sd_hu", "cyst1"), 1),
    ("quantum (HU)", ("quantum_sd_hu", "cyst1"), 1),
    FREQUENCY,
    ("Sigma in plane (mm)", ("edge_sigma_mm", "dots_to_wedge"), 2),
    ("Sigma along z (mm)", ("slice_sigma_mm", "wedge_to_liver"), 2),
    ("CNR cyst to normal", ("cnr", "cyst_normal"), 1),
    ("Slope of HU", ("calibration_slope", "wedge"), 3),
    ("Offset (HU)", ("calibration_offset_hu", "wedge"), 1),
    ("Shading (HU, to the reference)", ("shading_hu", "liver"), 1),
    ("Displace\N{SOFT HYPHEN}ment, 95th percentile (mm)", ("displacement_p95_mm", "block"), 2),
)
"""Head, (measure, region), decimals."""


def _value(rows: pd.DataFrame, measure: str, region: str) -> float:
    found = rows.loc[(rows["measure"] == measure) & (rows["region"] == region), "value"].dropna()
    return float(found.iloc[0]) if len(found) else float("nan")


def _columns_of(phantom: Phantom) -> tuple[tuple, ...]:
    """Return `COLUMNS` for another phantom: those of its main region, and without the print's where it has none."""
    if phantom.is_published:
        return COLUMNS
    main = phantom.main_region
    return tuple(
        (head.replace("the large cyst", main), (measure, main if region == "cyst1" else region), decimals)
        for head, (measure, region), decimals in COLUMNS
        if region in ("cyst1", "block") or (phantom.printed_block and measure != "cnr")
    )


def _columns(rows: pd.DataFrame, phantom: Phantom) -> list[tuple]:
    """Return `COLUMNS` as these rows have them, so that a column is of one measure and its head says which."""
    region = phantom.main_region
    known = rows[rows["value"].notna()]
    with_noise, with_both = (
        set(known.loc[known["measure"] == measure, ["scanner", "recon"]].itertuples(index=False, name=None))
        for _, (measure, _), _ in (FREQUENCY, FREQUENCY_WITH_PRINT)
    )
    head, (measure, _), decimals = FREQUENCY_WITH_PRINT
    head = head if phantom.printed_block else head.replace("print", "texture")
    instead = {} if with_both <= with_noise else {FREQUENCY[0]: (head, (measure, region), decimals)}
    return [instead.get(column[0], column) for column in _columns_of(phantom)]


def _cell(rows: pd.DataFrame, wanted: tuple, decimals: int) -> dict:
    """The value as scanned, and in brackets that of the registered series; the latter alone where there is no other."""
    own, common = (_value(rows[rows["grid"] == grid], *wanted) for grid in (OWN, COMMON))
    if not is_number(own):
        return {"main": number(common, decimals)}
    return {"main": number(own, decimals), **({"sd": f"({number(common, decimals)})"} if is_number(common) else {})}


def profile_view(profile: pd.DataFrame | None, facts: dict | None = None) -> dict | None:
    """Return a grid of the main numbers by scanner and reconstruction at the dose that most scanners have, and reasons.

    Reasons are those of the same dose: at another one there may be fewer repetitions.
    """
    if profile is None or profile.empty:
        return None
    groups = profile[["scanner", "dose_mgy", "recon"]].drop_duplicates()
    counts = groups.groupby("dose_mgy").size()
    dose = max(counts.index, key=lambda value: (value == MAIN_DOSE_MGY, counts[value], value))
    columns, rows = _columns(profile[profile["dose_mgy"] == dose], phantom_of(facts or {})), []
    for (scanner, recon), own in sorted(
        profile[profile["dose_mgy"] == dose].groupby(["scanner", "recon"]),
        key=lambda item: (scanner_rank(item[0][0]), item[0][1]),
    ):
        cells = [_cell(own, wanted, decimals) for _, wanted, decimals in columns]
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
        "table": {"columns": ["Scanner", *(head for head, _, _ in columns)], "rows": rows, "kind": "grid"},
        "reasons": reasons,
    }
