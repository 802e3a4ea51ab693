"""The paper's Tables 1-7 as published, with what they were computed from and the cells that are not targets."""

# code-data: ../assets/published/table1_acquisition.csv
# code-data: ../assets/published/table2_series_counts.csv
# code-data: ../assets/published/table3_rmse_hu.csv
# code-data: ../assets/published/table4_psnr_db.csv
# code-data: ../assets/published/table5_ssim.csv
# code-data: ../assets/published/table6_dose.csv
# code-data: ../assets/published/table7_stability_classification.csv

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.core.metrics import MAIN_METRICS
from ct4bench.core.tables import read_table

FOLDER = Path(__file__).resolve().parents[3] / "assets" / "published"

PAPER = (
    "M. Amirian, M. Bach, O. Jimenez-del-Toro, et al. A Multi-Centric Anthropomorphic 3D CT Phantom-Based Benchmark "
    "Dataset for Harmonization."
)
DATA_DOI = "10.7937/M0PB-BH69"
DATA = f"CT4Harmonization-Multicentric. The Cancer Imaging Archive, https://doi.org/{DATA_DOI}"
LICENCE = "CC BY 4.0"
N_SERIES = 1378


@dataclass(frozen=True)
class PublishedTable:
    """Form of one published table: its file is `<name>.csv`."""

    name: str
    number: int
    title: str
    keys: tuple[str, ...]
    text: tuple[str, ...]
    """Columns that hold no number."""


TABLES = (
    PublishedTable(
        "table1_acquisition",
        1,
        "Scanners and their settings at 10 mGy",
        ("scanner",),
        ("manufacturer_model", "reconstructions"),
    ),
    PublishedTable(
        "table2_series_counts", 2, "Number of series by dose and reconstruction", ("scanner",), ("manufacturer_model",)
    ),
    *(
        PublishedTable(metric.table, metric.paper_table, metric.title, ("scanner_row", "scanner_col"), ())
        for metric in MAIN_METRICS
        if metric.paper_table
    ),
    PublishedTable(
        "table6_dose", 6, "Image similarity by dose, against 14 mGy", ("scanner", "row_kind", "dose_mgy"), ("row_kind",)
    ),
    PublishedTable(
        "table7_stability_classification", 7, "Feature stability and tissue classification", ("features",), ()
    ),
)
BY_NAME = {table.name: table for table in TABLES}

IMPOSSIBLE_PAIRS = (("H2", "A1"), ("C1", "A2"), ("E2", "A1"), ("C1", "G1"))
"""[9] Cells (row, column) whose mean PSNR lies below 20 log10(2000 / mean RMSE), which no set of pairs can have."""

NO_TARGET_PAIR = "not a target: mean PSNR below the bound that the mean RMSE sets"
NO_TARGET_ICC = "not a target: no 86 values in [0, 1] have mean 0.990 and SD 0.121"


NO_TARGET_DL = "not a target: the paper's own footnote and Table 2 have no DL of D1 at 10 mGy"
"""[21]"""


def keys_as_text(frame: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    """Return a frame whose `keys` are text, the same for 1 and 1.0, "" where blank: they are matched by it."""

    def text(value) -> str:
        return "" if pd.isna(value) else value if isinstance(value, str) else f"{value:g}"

    return frame.assign(**{key: [text(value) for value in frame[key]] for key in keys})


def read_published(name: str, folder: Path | str = FOLDER) -> pd.DataFrame:
    """Read the published table `name` (a key of `BY_NAME`), keys by `keys_as_text`; `UserError` where a column is
    missing."""
    table = BY_NAME[name]
    path = Path(folder) / f"{name}.csv"
    frame = keys_as_text(read_table(path, table.keys), table.keys)
    if frame.duplicated(list(table.keys)).any():
        raise UserError(f"{path} names a row twice; each {' and '.join(table.keys)} stands once in a published table")
    return frame


def n_published_pairs(scanner_row: str, scanner_col: str) -> int:
    """Count the pairs behind a published cell of Tables 3-5: as many as the scanner with fewer series has at 10 mGy."""
    n_series = {"E1": 18, "E2": 30}
    return min(n_series.get(scanner, 20) for scanner in (scanner_row, scanner_col))


N_PUBLISHED_PAIRS_OF_A_DOSE = 5
"""[7] Pairs behind a published row of Table 6."""


def not_a_target(name: str, row, column: str) -> str:
    """Return why the published value of `column` in `row` (a mapping) cannot be reached by any computation, else
    blank."""
    if name in ("table3_rmse_hu", "table4_psnr_db"):
        return NO_TARGET_PAIR if (row["scanner_row"], row["scanner_col"]) in IMPOSSIBLE_PAIRS else ""
    if name == "table7_stability_classification" and column.startswith("icc_") and row["features"] == "Radiomics":
        return NO_TARGET_ICC
    if name == "table1_acquisition" and column == "reconstructions" and row["scanner"] == "D1":
        return NO_TARGET_DL
    return ""
