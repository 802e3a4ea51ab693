"""What a folder of results says of itself: every column of its tables, and the mark that it is complete."""

# code-data: ct4bench/core/columns.csv
# code-data: ct4bench/core/tables.csv
# code-text: index/files.parquet

import hashlib
import os
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ct4bench.core.contract import CONTRACT_VERSION, columns_of, table_of
from ct4bench.core.errors import UserError
from ct4bench.core.metrics import WORDS
from ct4bench.core.tables import FORMER_NAMES, write_table

COLUMNS_FILE = "columns.csv"
INDEX_FILES = "index/files.parquet"
SUFFIXES = (".csv", ".parquet")


def files_of(folder: Path | str) -> list[Path]:
    """Return all files below a folder, sorted; the engine stages folders as links, which rglob would not enter."""
    return sorted(Path(parent, name) for parent, _, names in os.walk(folder, followlinks=True) for name in names)


def describe_columns(folder: Path | str) -> pd.DataFrame:
    """Return the rows of columns.csv: table (its path), column, type, unit, meaning, blank, for every table below a
    folder.

    The features of a table stand in one row. `UserError` where a table or column is not in the contract.
    """
    rows = []
    for path in files_of(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix not in SUFFIXES or name == COLUMNS_FILE:
            continue
        names = pq.read_schema(path).names if path.suffix == ".parquet" else list(pd.read_csv(path, nrows=0))
        rows += _described(name, names)
    head = columns_of(COLUMNS_FILE)
    return pd.DataFrame(rows + _described(COLUMNS_FILE, head), columns=head)


def _described(name: str, columns: list[str]) -> list[tuple[str, ...]]:
    """Rows of one table."""
    table = table_of(name)
    faults = ["there is no such table"] if table is None else table.faults(columns)
    if faults:
        raise UserError(f"{name} differs from the contract of tables: {'; '.join(faults[:5])}; make it again")
    families = {column: table.column(column) for column in columns}
    plain = [column for column in columns if families[column].column != "<feature>"]
    features = [family for family in table.columns if family.column == "<feature>"]
    return [(name, *column) for column in [*table.described(plain, WORDS), *features]]


def update_index(folder: Path | str) -> None:
    """Write the index's table of files anew where it is one of 0.1.0 (`--index`), under this contract's names.

    The file may be a link to the user's own, which stays as it is.
    """
    path = Path(folder) / INDEX_FILES
    former = {old: new for new, old in FORMER_NAMES.items()}
    if path.is_file() and set(former) & set(pq.read_schema(path).names):
        frame = pq.read_table(path).to_pandas().rename(columns=former)
        path.unlink()
        write_table(frame, path, table=INDEX_FILES)


def collect(folder: Path | str) -> dict:
    """Return the contents of `pipeline_info/complete.json`: sizes and SHA-256; `UserError` where a file is empty."""
    files = []
    for path in files_of(folder):
        content = path.read_bytes()
        if not content:
            raise UserError(f"{path} is empty; the stage that writes it did not finish")
        name = path.relative_to(folder).as_posix()
        files.append({"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return {"complete": True, "contract": CONTRACT_VERSION, "files": files}
