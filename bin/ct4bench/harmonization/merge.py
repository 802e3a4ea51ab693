"""The features of volumes that a method mapped in each fold, as one folder; each scanner's by a fit without it, and
what became of these fits.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ct4bench.core.contract import columns_of
from ct4bench.core.feature_tables import read_features, sort_features
from ct4bench.core.tables import read_table, write_table
from ct4bench.harmonization.fold_tables import OUTCOMES, PLAN
from ct4bench.splits.adaptation import rows_tested
from ct4bench.splits.splits import as_text

# code-table: <method>/features/<extractor>.parquet
# code-table: <method>/harmonization.csv

TABLE = "<method>/features/<extractor>.parquet"


def merge_folds(folds: Path | str, numbers: Iterable[int], files: Iterable[Path | str], output: Path) -> None:
    """Write the folder that `fold_tables.FoldTables` reads.

    `folds` is the plan, `files` are tables of features (`<extractor>.parquet`) and outcomes (CSV) of the fits of these
    `numbers`.
    """
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folds, output / PLAN)
    outcomes = []
    for number, path in sorted(zip(numbers, map(Path, files), strict=True), key=lambda item: (item[0], item[1].name)):
        if path.suffix == ".csv":
            outcomes.append(read_table(path).assign(number=number))
            continue
        (output / str(number)).mkdir(exist_ok=True)
        shutil.copyfile(path, output / str(number) / path.name)
    write_table(pd.concat(outcomes, ignore_index=True), output / OUTCOMES)


def _without_each(folder: Path) -> pd.DataFrame:
    """Numbers of the fits on all other values of the domain, with the value as `fold`."""
    plan = read_table(folder / PLAN, only=["number", "n_train", "fold"]).drop_duplicates()
    return plan[(plan["n_train"] > 0) & (plan["n_train"] == plan["n_train"].max())]


def fits_outside(folder: Path) -> pd.DataFrame:
    """Return harmonization.csv from a folder of folds: what became of the fit on all series, and of those without each
    value of the domain."""
    outcomes = read_table(folder / OUTCOMES)
    parts = [outcomes[outcomes["number"] == 0]]
    for row in _without_each(folder).itertuples():
        parts.append(outcomes[outcomes["number"] == row.number].assign(fit=as_text([row.fold])[0]))
    return pd.concat(parts, ignore_index=True)[columns_of("<method>/harmonization.csv")]


def left_out_table(folder: Path, extractor: str, domain: str, seed: int) -> pd.DataFrame | None:
    """Join the rows that are tested of each value of the domain, by the fit on all others, from a folder of folds; None
    where one has none."""
    parts = []
    for row in _without_each(folder).itertuples():
        path = folder / str(row.number) / f"{extractor}.parquet"
        if not path.is_file():
            return None
        table = read_features(path)
        own = table[as_text(table[domain]) == as_text([row.fold])[0]]
        parts.append(own[rows_tested(own, domain, seed)])
    return sort_features(pd.concat(parts, ignore_index=True)) if parts else None


def merge_files(
    folds: Path | str, numbers: list[int], files: list[Path], domain: str, seed: int, output: Path, left_out: Path,
    outcome: Path | str,
) -> None:  # fmt: skip
    """Merge the folds of a method, and write each scanner's features by a fit without it to the folder `left_out`, and
    what became of these fits and of that on all series to `outcome`."""
    merge_folds(folds, numbers, files, output)
    write_table(fits_outside(output), outcome, table="<method>/harmonization.csv")
    left_out.mkdir(parents=True, exist_ok=True)
    names = sorted({path.stem for path in files if path.suffix != ".csv"})
    tables = {name: left_out_table(output, name, domain, seed) for name in names}
    if all(table is not None for table in tables.values()):
        for name, table in tables.items():
            write_table(table, left_out / f"{name}.parquet", table=TABLE)
