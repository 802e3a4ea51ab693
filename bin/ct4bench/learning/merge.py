"""Merging the trainings of all parts, extractors and classifiers; predictions are passed on, a training at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.learning.predictions import (
    LOSS_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_KEY,
    TRAINING_COLUMNS,
    UNTRAINED_COLUMNS,
)
from ct4bench.splits.splits import TRAINING_KEY
from ct4bench.splits.tasks import cells_of_table7

BATCH_ROWS = 1 << 16


def merge_trainings(
    trainings: pd.DataFrame, splits: pd.DataFrame, untrained: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the trainings of all parts of all extractors and classifiers, sorted; each of the plan must be there once,
    or among the `untrained`, which a harmonization method has no features for."""
    whole_plan = set(splits.loc[splits["n_train"] > 0, TRAINING_KEY].itertuples(index=False, name=None))
    known = trainings[PREDICTION_KEY]
    if untrained is not None and len(untrained):
        known = pd.concat([known, untrained[PREDICTION_KEY]] if len(known) else [untrained[PREDICTION_KEY]])
    twice = known[known.duplicated(PREDICTION_KEY)]
    if len(twice):
        raise UserError(f"a training is there twice ({_text(twice)}); merge each part once")
    for names, rows in known.groupby(["extractor", "classifier"]):
        done = set(rows[TRAINING_KEY].itertuples(index=False, name=None))
        planned = whole_plan if names[1] == "mlp" else cells_of_table7(whole_plan)
        for what, some in (("missing", planned - done), ("not in the splits", done - planned)):
            if some:
                raise UserError(
                    f"{', '.join(names)}: {len(some)} of {len(planned)} trainings are {what}, such as "
                    f"{', '.join(map(str, sorted(some)[0]))}; merge all parts of one plan"
                )
    return trainings.sort_values(PREDICTION_KEY, ignore_index=True)[TRAINING_COLUMNS]


def merge_untrained(untrained: pd.DataFrame) -> pd.DataFrame:
    """Return the trainings of all parts that a method has no features for, sorted."""
    return untrained.sort_values(PREDICTION_KEY, ignore_index=True)[UNTRAINED_COLUMNS]


def merge_losses(losses: pd.DataFrame) -> pd.DataFrame:
    """Return the losses of all parts, sorted."""
    return losses.sort_values([*PREDICTION_KEY, "epoch"], ignore_index=True)[LOSS_COLUMNS]


class _Rows:
    """Rows of one part, a training after another, in the order in which they are."""

    def __init__(self, path: Path | str):
        self._batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS)
        self._waiting: list[pa.Table] = []
        self._n = 0

    def take(self, n: int) -> pa.Table:
        """Read the next `n` rows, or what is left."""
        while self._n < n and (batch := next(self._batches, None)) is not None:
            self._waiting.append(pa.Table.from_batches([batch]))
            self._n += batch.num_rows
        whole = pa.concat_tables(self._waiting) if self._waiting else None
        if whole is None:
            raise UserError(_OTHER_ROWS)
        self._waiting, self._n = [whole.slice(n)], max(self._n - n, 0)
        return whole.slice(0, n)

    def is_empty(self) -> bool:
        """Tell whether all rows were read."""
        return self._n == 0 and next(self._batches, None) is None


def _first_key(path: Path | str) -> tuple:
    """The training of the first row, () without rows."""
    rows = next(pq.ParquetFile(path).iter_batches(1, columns=PREDICTION_KEY), None)
    return tuple(rows.column(name)[0].as_py() for name in PREDICTION_KEY) if rows is not None and len(rows) else ()


_OTHER_ROWS = "predictions do not have the rows that the trainings tell of; merge the same parts of both"


def merge_predictions(
    paths: Sequence[Path | str], trainings_paths: Sequence[Path | str], trainings: pd.DataFrame
) -> Iterator[pa.Table]:
    """Yield the predictions of all parts, sorted, one training after another, so that one is in memory at a time.

    `paths` and `trainings_paths` are those of the same parts in any order, each sorted as `learning.train` writes them;
    `trainings` are those of `merge_trainings`. Columns are `PREDICTION_COLUMNS` and the probabilities of all
    parts' classes. `UserError` where a part has other rows than its trainings.
    """
    names = {name for path in paths for name in pq.read_schema(path).names}
    columns = [*PREDICTION_COLUMNS, *sorted(name for name in names if name.startswith("prob_"))]
    first = {_first_key(path): number for number, path in enumerate(paths)}
    part_of = {}
    for path in trainings_paths:
        keys = list(read_table(path, PREDICTION_KEY)[PREDICTION_KEY].itertuples(index=False, name=None))
        part_of |= dict.fromkeys(keys, next((first[key] for key in keys if key in first), None))
    if None in part_of.values():
        raise UserError(_OTHER_ROWS)
    parts = [_Rows(path) for path in paths]
    if not len(trainings):
        yield pa.table({name: pa.nulls(0) for name in columns})
    for row in trainings[[*PREDICTION_KEY, "n_rows_test"]].itertuples(index=False, name=None):
        *key, n = row
        rows = parts[part_of[tuple(key)]].take(int(n))
        if len(rows) != n or any(
            pc.unique(rows[k]).to_pylist() != [v] for k, v in zip(PREDICTION_KEY, key, strict=True)
        ):
            raise UserError(_OTHER_ROWS)
        blank = pa.nulls(len(rows), pa.float32())
        yield pa.table({name: rows[name] if name in rows.column_names else blank for name in columns})
    if not all(part.is_empty() for part in parts):
        raise UserError(_OTHER_ROWS)


def _text(rows: pd.DataFrame) -> str:
    return ", ".join(map(str, rows[PREDICTION_KEY].iloc[0]))
