"""Reading and writing of tables: the same rows give the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ct4bench.core.errors import UserError

TEXT_COLUMNS = {
    "series_uid", "seg_series_uid", "series_uid_a", "series_uid_b", "scan_id", "scanner", "scanner_a", "scanner_b",
    "maker", "manufacturer_header", "model", "recon", "kernel", "scan_options", "path", "folder", "name", "reason",
    "detail", "roi", "tissue", "status", "role", "scheme", "fold", "extractor", "feature", "feature_class", "variant",
    "ablation", "table", "mode", "origin", "task", "classifier", "stratum", "form", "domain", "target", "predicted",
    "unit", "unit_kind", "kind", "measure", "region", "at_unit",
}  # fmt: skip
"""Columns that stay text even where all their values look like numbers."""


def read_table(path: Path | str, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read CSV or Parquet; `columns` must be there, else a `UserError` names the file and the missing ones."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; name a CSV or Parquet file")
    try:
        if path.suffix == ".parquet":
            frame = pq.read_table(path).to_pandas()
        else:
            head = pd.read_csv(path, nrows=0)
            kinds = {name: str for name in head.columns if name in TEXT_COLUMNS}
            frame = pd.read_csv(path, dtype=kinds, keep_default_na=True)
            for name in kinds:
                frame[name] = frame[name].fillna("")
    except (ValueError, OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{path} cannot be read as a table ({error}); give CSV with a header line, or Parquet"
        ) from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/outputs.md lists those of every table")
    return frame


def write_table(frame: pd.DataFrame, path: Path | str, columns: Iterable[str] | None = None) -> None:
    """Write CSV or Parquet by the suffix, in the order of `columns` (all of them must be there)."""
    path = Path(path)
    if columns is not None:
        frame = frame[list(columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, path, compression="zstd", write_statistics=True)
    else:
        frame.to_csv(path, index=False, lineterminator="\n")


def concatenate(paths: Iterable[Path | str], sort_by: list[str]) -> pd.DataFrame:
    """Read all tables into one sorted by `sort_by`, whatever the order of `paths`."""
    return stack([read_table(path) for path in sorted(paths, key=str)], sort_by)


def stack(frames: list[pd.DataFrame], sort_by: list[str]) -> pd.DataFrame:
    """Stack the rows of all frames, sorted by `sort_by`."""
    if not frames:
        raise UserError("no table to merge; the stage before gave none")
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True).sort_values(sort_by, kind="stable", ignore_index=True)
