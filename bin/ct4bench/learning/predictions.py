"""Tables of trainings: their columns and their order."""

# code-table: <method>/predictions.parquet
# code-table: <method>/trainings.csv
# code-table: <method>/losses.parquet
# code-table: <method>/untrained.csv

from dataclasses import dataclass, field

import pandas as pd

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.contract import columns_of

PREDICTION_KEY = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold"]
"""What names a training in all tables of results."""
PREDICTION_COLUMNS = columns_of("<method>/predictions.parquet")
"""Columns of the predictions, before one `prob_<class>` for each class of any task."""
TRAINING_COLUMNS = columns_of("<method>/trainings.csv")
LOSS_COLUMNS = columns_of("<method>/losses.parquet")
UNTRAINED_COLUMNS = columns_of("<method>/untrained.csv")


def sort_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Sort rows and columns into their fixed order."""
    classes = sorted(name for name in predictions.columns if name.startswith("prob_"))
    ordered = predictions[[*PREDICTION_COLUMNS, *classes]]
    return ordered.sort_values([*PREDICTION_KEY, *ROW_KEY], kind="stable", ignore_index=True)


@dataclass(frozen=True)
class TrainingResults:
    """Tables of many trainings: see `PREDICTION_COLUMNS`, `TRAINING_COLUMNS`, `LOSS_COLUMNS`."""

    predictions: pd.DataFrame
    trainings: pd.DataFrame
    losses: pd.DataFrame
    times: pd.DataFrame
    """CPU seconds of each training; never compared."""
    untrained: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=UNTRAINED_COLUMNS))
    """Trainings that a harmonization method has no features for."""
