"""The trainings of an extractor from file to file: features and splits in, predictions, trainings and curves out."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ct4bench.core.feature_tables import read_feature_blocks
from ct4bench.core.tables import read_table, write_table
from ct4bench.harmonization.features_of import MethodFeatures, read_variant
from ct4bench.harmonization.fold_tables import FoldTables
from ct4bench.harmonization.methods import Variant
from ct4bench.learning.predictions import TrainingResults
from ct4bench.learning.train import Features, TrainingRun, prepare, train_part
from ct4bench.splits.splits import SPLIT_COLUMNS


@dataclass(frozen=True)
class Method:
    """The variant of a harmonization method that maps the features of each fold."""

    folder: Path | str
    variant: str
    is_shipped: bool = False
    harmonize_by: Sequence[str] = ("scanner",)
    """Columns that are a domain to it."""
    folds: Path | str | None = None
    """Of one that maps volumes and learns from all scanners: the folder of its folds' features."""


@dataclass(frozen=True)
class Places:
    """Where what came of trainings is written; nowhere, where there is None."""

    predictions: Path | str
    trainings: Path | str
    losses: Path | str
    times: Path | str | None = None
    untrained: Path | str | None = None


def device_of(name: str) -> str:
    """Return `cpu` or `cuda`; torch is asked, and imported, for a GPU only."""
    if name == "cpu":
        return name
    from ct4bench.core.device import choose_device

    return choose_device(name)


def train_files(
    run: TrainingRun, features: Path | str, splits: Path | str, places: Places, method: Method | None = None
) -> None:
    """Train the run's part on the features of a table, as a method maps those of each fold where one is given, and
    write what came of it."""
    table, plan = prepare(read_feature_blocks(features), features), read_table(splits, SPLIT_COLUMNS)
    if method is None:
        results = train_part(run, table, plan)
    else:
        variant = read_variant(method.folder, method.variant, method.is_shipped)
        with _features_of(run, variant, table, method) as features_of:
            results = train_part(run, table, plan, features_of)
    _write(results, places)


def _features_of(run: TrainingRun, variant: Variant, table: Features, method: Method) -> AbstractContextManager:
    if method.folds:
        own = FoldTables(variant, table.keys, table.names, run.extractor, method.folds, method.harmonize_by)
        return nullcontext(own)
    return MethodFeatures(variant, table.keys, table.names, table.values, method.harmonize_by, run.seed)


def _write(results: TrainingResults, places: Places) -> None:
    written = {
        places.predictions: results.predictions,
        places.trainings: results.trainings,
        places.losses: results.losses,
        places.untrained: results.untrained,
        places.times: results.times,
    }
    for place, table in written.items():
        if place:
            write_table(table, place)
    logging.info("%d trainings", len(results.trainings))
    if results.trainings["n_steps_verified"].any():
        difference = results.trainings["largest_loss_difference"].max()
        logging.info("largest difference of a loss to torch's: %.2g", difference)
