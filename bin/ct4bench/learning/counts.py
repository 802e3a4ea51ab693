"""Predictions counted: what accuracies need of them, read in pieces, so that millions of rows need no memory."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.tables import read_table
from ct4bench.learning.predictions import PREDICTION_KEY

N_ROWS = "n_rows"
"""The column that says how many rows of predictions a line stands for."""
COUNTED = [*PREDICTION_KEY, "series_uid", "scan_id", "scanner", "roi", "target", "predicted"]
"""What tells lines apart: all of predictions but the number of a patch and probabilities."""
BATCH_ROWS = 1 << 17


def count_rows(predictions: pd.DataFrame) -> pd.Series:
    """Return how many rows each line of predictions stands for: its `N_ROWS`, or 1."""
    return predictions[N_ROWS] if N_ROWS in predictions else pd.Series(1, predictions.index, "int64")


def _counted(table: pa.Table) -> pa.Table:
    if N_ROWS in table.column_names:
        found = table.group_by(COUNTED).aggregate([(N_ROWS, "sum")])
    else:
        found = table.group_by(COUNTED).aggregate([([], "count_all")])
    return found.rename_columns([*COUNTED, N_ROWS])


def read_counts(path: Path | str) -> pd.DataFrame:
    """Read predictions (Parquet in pieces, or CSV) as lines of `COUNTED` and `N_ROWS`, sorted."""
    if Path(path).suffix != ".parquet":
        return read_table(path, COUNTED)
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read as a table ({error_words(error)}); give Parquet") from error
    missing = [name for name in COUNTED if name not in file.schema_arrow.names]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/columns.md lists those of every table")
    parts, waiting = [], 0
    for batch in file.iter_batches(BATCH_ROWS, columns=COUNTED):
        parts.append(_counted(pa.Table.from_batches([batch])))
        waiting += len(parts[-1])
        if waiting > 8 * BATCH_ROWS:
            parts = [_counted(pa.concat_tables(parts))]
            waiting = len(parts[0])
    empty = pa.schema(
        [*(file.schema_arrow.field(name) for name in COUNTED), pa.field(N_ROWS, pa.int64())]
    ).empty_table()
    whole = _counted(pa.concat_tables([empty.cast(parts[0].schema) if parts else empty, *parts]))
    return whole.sort_by([(name, "ascending") for name in COUNTED]).to_pandas()
