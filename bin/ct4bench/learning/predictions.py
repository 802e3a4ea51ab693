"""Tables of trainings: their columns and their order."""

from dataclasses import dataclass

import pandas as pd

from ct4bench.core.benchmark import ROW_KEY

PREDICTION_KEY = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold"]
"""What names a training in all tables of results."""
PREDICTION_COLUMNS = [*PREDICTION_KEY, *ROW_KEY, "scan_id", "scanner", "target", "predicted"]
"""Columns of the predictions, before one `prob_<class>` for each class of any task."""
TRAINING_COLUMNS = [
    *PREDICTION_KEY, "n_rows_train", "n_rows_validation", "n_rows_test", "n_classes", "n_features",
    "n_features_constant", "epochs", "best_epoch", "loss", "validation_loss", "seed", "key", "n_steps_verified",
    "largest_loss_difference",
]  # fmt: skip
LOSS_COLUMNS = [*PREDICTION_KEY, "epoch", "loss", "validation_loss"]


def sort_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows and columns in their fixed order."""
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
