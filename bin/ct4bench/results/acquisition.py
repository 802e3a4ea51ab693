"""Tables 1 and 2 of the paper: how each scanner acquired, and how many series there are of each kind."""

from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import DOSES_MGY, MAIN_DOSE_MGY, RECONSTRUCTIONS, recon_rank, scanner_rank
from ct4bench.core.tables import read_table

_ACQUISITION = {
    "kvp": ("tube_voltage_kv", 1),
    "exposure_mas": ("tube_current_time_product_mas", 1),
    "pitch": ("pitch", 3),
    "rotation_time_s": ("rotation_time_s", 2),
    "collimation_mm": ("collimation_mm", 1),
    "slice_thickness_mm": ("slice_thickness_mm", 2),
    "slice_increment_mm": ("slice_increment_mm", 2),
}
"""Column of series.csv: the column of Table 1, and the decimals that it is rounded to."""
TABLE1_COLUMNS = ["scanner", "manufacturer_model", *(name for name, _ in _ACQUISITION.values()), "reconstructions"]


def read_scanner_names(path: Path | str) -> dict[str, str]:
    """Read the display name by scanner code, from a table with the columns scanner and manufacturer_model."""
    frame = read_table(path, ["scanner", "manufacturer_model"])
    return dict(zip(frame["scanner"], frame["manufacturer_model"], strict=True))


def _display_name(scanner: str, rows: pd.DataFrame, names: dict[str, str]) -> str:
    """The given name; else maker and model as the headers have them, all models where there are several."""
    if scanner in names:
        return names[scanner]
    return " / ".join(sorted({f"{row.maker} {row.model}".strip() for row in rows.itertuples()}))


def _recon_order(recon: str) -> tuple[int, str]:
    return (RECONSTRUCTIONS.index(recon) if recon in RECONSTRUCTIONS else len(RECONSTRUCTIONS), recon)


def _by_scanner(series: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = dict(iter(series.groupby("scanner", sort=False)))
    return [(scanner, groups[scanner]) for scanner in sorted(groups, key=scanner_rank)]


def table1(series: pd.DataFrame, names: dict[str, str] | None = None, dose_mgy: float = MAIN_DOSE_MGY) -> pd.DataFrame:
    """Return Table 1: acquisition parameters of each scanner at one dose, the paper's columns and order of scanners.

    `series` are rows of series.csv; `names` gives display names by scanner code. Each parameter is the median over the
    scanner's series, rounded as the paper rounds; blank where no header has it. The mAs are the
    exposure that the scanner states, effective or not (see `index._exposure_mas`).
    """
    rows = []
    for scanner, own in _by_scanner(series[series["dose_mgy"] == dose_mgy]):
        values = [
            round(float(own[column].median()), digits) if own[column].notna().any() else np.nan
            for column, (_, digits) in _ACQUISITION.items()
        ]
        recons = "/".join(sorted(set(own["recon"]), key=_recon_order))
        rows.append((scanner, _display_name(scanner, own, names or {}), *values, recons))
    return pd.DataFrame(rows, columns=TABLE1_COLUMNS)


def table2(series: pd.DataFrame, names: dict[str, str] | None = None, papers: bool = True) -> pd.DataFrame:
    """Return Table 2: numbers of series by scanner and dose, and by scanner and reconstruction, with a row of sums.

    With `papers` all of the paper's doses and reconstructions have a column; others have one where they occur.
    """
    doses = sorted(set(series["dose_mgy"]))
    recons = sorted(set(series["recon"]), key=recon_rank)
    if papers:
        doses = [*DOSES_MGY, *(dose for dose in doses if dose not in DOSES_MGY)]
        recons = [*RECONSTRUCTIONS, *(recon for recon in recons if recon not in RECONSTRUCTIONS)]
    columns = [f"n_{dose:g}mgy" for dose in doses] + [f"n_{recon.lower()}" for recon in recons] + ["n_series"]
    rows = []
    for scanner, own in _by_scanner(series):
        of_dose = [int((own["dose_mgy"] == dose).sum()) for dose in doses]
        of_recon = [int((own["recon"] == recon).sum()) for recon in recons]
        rows.append((scanner, _display_name(scanner, own, names or {}), *of_dose, *of_recon, len(own)))
    frame = pd.DataFrame(rows, columns=["scanner", "manufacturer_model", *columns])
    frame.loc[len(frame)] = ["Sum", "", *(int(frame[column].sum()) for column in columns)]
    return frame
