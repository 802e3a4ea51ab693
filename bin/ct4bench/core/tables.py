"""Reading and writing of tables: the same rows give the same bytes."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ct4bench.core.contract import CONTRACT_VERSION, Column, table_of, text_columns
from ct4bench.core.errors import UserError, error_words

NO_NUMBER = [
    "", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "<NA>", "#N/A", "#N/A N/A", "#NA",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
]  # fmt: skip
"""What stands for no value in a column of numbers, as pandas has it. In a text each of them is a name."""
NOTES, CONTRACT = b"ct4bench", b"ct4bench.contract"
"""Keys of a Parquet file's metadata: notes, and the version of the contract that a table of it is written by."""
FORMER_NAMES = {"ablation": "variant", "position_mm": "place_mm"}
"""Columns that tables of 0.1.0 have under another name."""


def column_names(path: Path | str) -> list[str]:
    """Return the names of the columns of a Parquet file; a `UserError` where it is none."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read as a table ({error_words(error)}); give Parquet") from error


def read_table(path: Path | str, columns: Iterable[str] = (), only: Iterable[str] | None = None) -> pd.DataFrame:
    """Read CSV or Parquet; `columns` must be there, else a `UserError` names the file and the missing ones.

    `only` names the columns of a Parquet file that are read, of a CSV those that are kept.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; name a CSV or Parquet file")
    try:
        if path.suffix == ".parquet":
            _check_once(path, pq.read_schema(path).names)
            frame = pq.read_table(path, columns=only and list(only)).to_pandas()
        else:
            names = _header(path)
            text = [name for name in names if name in text_columns()]
            # a text is what it says, NA and null included; only numbers have words for "none"
            blanks = {name: NO_NUMBER for name in names if name not in text_columns()}
            frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=blanks)
            frame[text] = frame[text].fillna("")  # rows that end early
            frame = frame if only is None else frame[list(only)]
    except (ValueError, OSError, csv.Error, pa.ArrowInvalid) as error:
        raise UserError(
            f"{path} cannot be read as a table ({error_words(error)}); give CSV with a header line, or Parquet"
        ) from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        former = [name for name in missing if FORMER_NAMES.get(name) in frame.columns]
        if former:
            raise UserError(
                f"{path} is a table of ct4bench 0.1.0, which has {former[0]} as {FORMER_NAMES[former[0]]}; make it "
                "again with this version (docs/renames.csv lists what changed)"
            )
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/columns.md lists those of every table")
    return frame


def _header(path: Path) -> list[str]:
    """Names of the columns of a CSV as pandas has them: `Unnamed: 0` where there is none."""
    with open(path, encoding="utf-8-sig", newline="") as stream:
        _check_once(path, next(csv.reader(stream), []))
    return list(pd.read_csv(path, nrows=0).columns)


def _check_once(path: Path, names: list[str]) -> None:
    twice = [name for name, n in Counter(name.strip() for name in names).items() if n > 1 and name]
    if twice:
        raise UserError(f"{path} has the column {twice[0]} more than once; keep one, or give each a name of its own")


def read_notes(path: Path | str) -> dict:
    """Read what `write_table` noted in a Parquet file; empty where there is nothing, or another format."""
    if Path(path).suffix != ".parquet":
        return {}
    try:
        return json.loads((pq.read_schema(path).metadata or {})[NOTES])
    except (OSError, KeyError, ValueError, pa.ArrowInvalid):
        return {}


def write_table(
    frame: pd.DataFrame,
    path: Path | str,
    columns: Iterable[str] | None = None,
    table: str = "",
    words: Mapping[str, tuple[str, str]] | None = None,
    notes: dict | None = None,
) -> None:
    """Write CSV or Parquet by the suffix, in the order of `columns` (all of them must be there).

    `table` names the table in the contract: a `ValueError` where the columns are not those, and in Parquet their types,
    and their units and meanings as metadata of the fields; `words` are for `Table.described`.
    `notes` (values of JSON) go into the metadata of a Parquet file.
    """
    path, own = Path(path), table_of(table) if table else None
    if table and own is None:
        raise ValueError(f"{path} is {table}, which the contract of tables (core/tables.csv) does not have")
    if columns is not None:
        frame = frame[list(columns)]
    if own and (faults := own.faults(frame.columns)):
        raise ValueError(f"{path} is not {table} of the contract: {'; '.join(faults)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        schema = _schema(frame, own.described(frame.columns, words or {})) if own else None
        written = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        about = {CONTRACT: str(CONTRACT_VERSION)} if own else {}
        about |= {NOTES: json.dumps(notes, sort_keys=True)} if notes else {}
        written = written.replace_schema_metadata(about or None)
        pq.write_table(written, path, compression="zstd", write_statistics=True)
    else:
        frame.to_csv(path, index=False, lineterminator="\n")


PIECE_ROWS = 1 << 18
"""Rows of a row group of a table that is written in pieces."""


def write_pieces(pieces: Iterable[pa.Table], path: Path | str, table: str) -> None:
    """Write a table of the contract (Parquet) whose rows come in pieces of equal columns, as `write_table` writes it
    whole; no more than `PIECE_ROWS` rows and a piece are in memory. A `ValueError` where the columns are not those."""
    own, writer, waiting = table_of(table), None, []
    for piece in pieces:
        if writer is None:
            if faults := own.faults(piece.column_names):
                raise ValueError(f"{path} is not {table} of the contract: {'; '.join(faults)}")
            schema = _schema(piece.slice(0, 0).to_pandas(), own.described(piece.column_names, {}))
            schema = schema.with_metadata({CONTRACT: str(CONTRACT_VERSION)})
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, schema, compression="zstd", write_statistics=True)
        waiting.append(piece.cast(schema))
        while sum(map(len, waiting)) >= PIECE_ROWS:
            whole = pa.concat_tables(waiting).combine_chunks()
            writer.write_table(whole.slice(0, PIECE_ROWS), row_group_size=PIECE_ROWS)
            waiting = [whole.slice(PIECE_ROWS)]
    if writer is None:
        raise UserError("no table to merge; the stage before gave none")
    if sum(map(len, waiting)):
        writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=PIECE_ROWS)
    writer.close()


def _schema(frame: pd.DataFrame, columns: list[Column]) -> pa.Schema:
    """Types of the contract, with unit, meaning and what a blank means as metadata of each field."""
    fields = []
    for column in columns:
        kind = column.type
        if kind == "int64 or double":
            kind = "int64" if pd.api.types.is_integer_dtype(frame[column.column]) else "double"
        facts = {"unit": column.unit, "description": column.meaning, "blank": column.blank}
        kept = {key: value for key, value in facts.items() if value}
        fields.append(pa.field(column.column, pa.type_for_alias(kind), metadata=kept))
    return pa.schema(fields)


def concatenate(paths: Iterable[Path | str], sort_by: list[str], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read all tables, each with `columns`, into one sorted by `sort_by`, whatever the order of `paths`."""
    return stack([read_table(path, columns) for path in sorted(paths, key=str)], sort_by)


def stack(frames: list[pd.DataFrame], sort_by: list[str]) -> pd.DataFrame:
    """Stack the rows of all frames, sorted by `sort_by`."""
    if not frames:
        raise UserError("no table to merge; the stage before gave none")
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True).sort_values(sort_by, kind="stable", ignore_index=True)
