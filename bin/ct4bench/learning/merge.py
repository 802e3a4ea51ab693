"""Merging the trainings of all parts, extractors and classifiers."""

import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.learning.predictions import (
    LOSS_COLUMNS,
    PREDICTION_KEY,
    TRAINING_COLUMNS,
    TrainingResults,
    sort_predictions,
)
from ct4bench.splits.splits import TRAINING_KEY
from ct4bench.splits.tasks import cells_of_table7


def merge(
    predictions: pd.DataFrame, trainings: pd.DataFrame, losses: pd.DataFrame, splits: pd.DataFrame
) -> TrainingResults:
    """Merge all parts of all extractors and classifiers together; each training of the plan must be there once."""
    whole_plan = set(splits.loc[splits["n_train"] > 0, TRAINING_KEY].itertuples(index=False, name=None))
    twice = trainings[trainings.duplicated(PREDICTION_KEY)]
    if len(twice):
        raise UserError(f"a training is there twice ({_text(twice)}); merge each part once")
    for names, rows in trainings.groupby(["extractor", "classifier"]):
        done = set(rows[TRAINING_KEY].itertuples(index=False, name=None))
        planned = whole_plan if names[1] == "mlp" else cells_of_table7(whole_plan)
        for what, some in (("missing", planned - done), ("not in the splits", done - planned)):
            if some:
                raise UserError(
                    f"{', '.join(names)}: {len(some)} of {len(planned)} trainings are {what}, such as "
                    f"{', '.join(map(str, sorted(some)[0]))}; merge all parts of one plan"
                )
    counts = predictions.groupby(PREDICTION_KEY, sort=False).size()
    expected = trainings.set_index(PREDICTION_KEY)["n_rows_test"]
    if len(counts) != len(expected) or not counts.reindex(expected.index).eq(expected).all():
        raise UserError("predictions do not have the rows that the trainings tell of; merge the same parts of both")
    return TrainingResults(
        sort_predictions(predictions),
        trainings.sort_values(PREDICTION_KEY, ignore_index=True)[TRAINING_COLUMNS],
        losses.sort_values([*PREDICTION_KEY, "epoch"], ignore_index=True)[LOSS_COLUMNS],
        pd.DataFrame(),
    )


def _text(rows: pd.DataFrame) -> str:
    return ", ".join(map(str, rows[PREDICTION_KEY].iloc[0]))
