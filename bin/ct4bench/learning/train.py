"""The trainings of one extractor: from features and splits to predictions of every test row and curves.

A training sees the features of its fold alone, as the function that stands for the harmonization method gives them
(`splits.fold`): its scaler and its model read nothing else of the table.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.checks import KINDS
from ct4bench.core.errors import UserError, counted
from ct4bench.core.feature_tables import plain_units, sorted_values
from ct4bench.core.modes import Mode
from ct4bench.learning.mlp import (
    Rows,
    TrainedModel,
    TrainingSettings,
    fit_scaler,
    log_proba,
    standardise,
    torch_losses,
    train,
)
from ct4bench.learning.other_classifiers import CLASSIFIERS, fit_and_predict
from ct4bench.learning.predictions import (
    LOSS_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_KEY,
    TRAINING_COLUMNS,
    UNTRAINED_COLUMNS,
    TrainingResults,
    sort_predictions,
)
from ct4bench.splits.fold import FeaturesOf, Fold, NotHarmonized, training_number, unchanged
from ct4bench.splits.splits import SCHEMES, Split, as_text, resolve, sorted_keys
from ct4bench.splits.tasks import cells_of_table7, choices, task_named

PATIENCE = 5
VERIFIED_STEPS = 100
VERIFY_TOLERANCE = KINDS["training"].tolerance
"""Largest difference of a step's loss to torch's in a sound run."""
TOGETHER = {"cuda": 64, "cpu": 8}
"""Trainings of a stack by device: 64 of 16,080 rows of 768 features take 3.4 GB of a GPU, and as much of the host."""
VERIFY_DRAW = 3
"""Third number of the seed [seed, key, VERIFY_DRAW] that says whether torch checks a training."""


@dataclass(frozen=True)
class Features:
    """Features (rows, features) float64 with their keys (`FEATURE_KEY`), sorted by `ROW_KEY`."""

    keys: pd.DataFrame
    names: list[str]
    values: np.ndarray


@dataclass(frozen=True)
class TrainingRun:
    """Which trainings a call runs, and how."""

    extractor: str
    mode: Mode
    seed: int = 0
    classifier: str = "mlp"
    """`mlp`, which trains all splits, or one of `CLASSIFIERS`, which train those that `tasks.cells_of_table7` names."""
    part: tuple[int, int] = (1, 1)
    """Part i of n of the trainings."""
    verify: float = 0.01
    """Share of trainings whose first steps torch repeats (0: none; else at least the plan's smallest)."""
    threads: int = 1
    domain: str | None = None
    """What the splits must leave out, where given."""
    device: str = "cpu"
    """With `cuda` MLPs train in stacks on a GPU."""
    engine: str = "kernels"
    """What trains MLPs on a CPU: the compiled `kernels`, or stacks by `torch`, which need neither them nor numba."""


@dataclass(frozen=True)
class Material:
    """What the trainings of a call read."""

    keys: pd.DataFrame
    """Keys of the rows, as `splits.sorted_keys` gives them."""
    features_of: FeaturesOf
    smallest: tuple
    """Key of the training that torch checks whatever the draw."""


@dataclass(frozen=True)
class Outcome:
    """Results of one training."""

    about: dict
    """By `TRAINING_COLUMNS`."""
    predictions: pd.DataFrame
    """A row for each test row: its number `row` among the features, target, predicted and probabilities."""
    losses: pd.DataFrame
    """A row for each epoch."""
    cpu_s: float


@dataclass(frozen=True)
class Untrained:
    """A training that did not take place, since the harmonization method has no features for its fold."""

    about: dict
    """By `UNTRAINED_COLUMNS`."""


def prepare(blocks: pd.DataFrame | Iterable[pd.DataFrame], name: str) -> Features:
    """Sort the features of a table (as `feature_tables.read_features` gives it, or in blocks of features as
    `read_feature_blocks` does); `name` is what an error calls it."""
    keys, columns, values = sorted_values([blocks] if isinstance(blocks, pd.DataFrame) else blocks)
    keys = sorted_keys(keys)
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(np.argmax(bad.any(axis=0)))
        rows = keys.loc[bad[:, column], ROW_KEY]
        some = "; ".join(" ".join(map(str, row)) for row in rows.head(3).itertuples(index=False))
        raise UserError(
            f"{name}: feature {columns[column]} is missing or infinite in {counted(len(rows), 'row')} ({some}"
            f"{'; ...' if len(rows) > 3 else ''}), of {counted(int(bad.any(axis=0).sum()), 'feature')} that are so: "
            "leave these features or these rows out"
        )
    # trainings see standardised features, which have no unit
    return Features(keys, columns, plain_units(values)[0])


def part_of(splits: list[Split], part: int, n_parts: int) -> list[Split]:
    """Return the part (1 to n_parts) of the trainings, balanced by training rows: the largest first, each to the least
    loaded."""
    if not 1 <= part <= n_parts:
        raise UserError(f"--part {part}/{n_parts} does not exist; give 1/{n_parts} to {n_parts}/{n_parts}")
    load, mine = np.zeros(n_parts, np.int64), []
    for split in sorted(splits, key=lambda split: (-len(split.training), split.key)):
        least = int(load.argmin())
        load[least] += len(split.training)
        if least == part - 1:
            mine.append(split)
    return mine


def check_mode(splits: list[Split], keys: pd.DataFrame, mode: Mode) -> None:
    """Refuse splits that were planned in the other mode."""
    scans = keys["scan_id"].to_numpy()
    for split in splits:
        if split.scheme not in SCHEMES or split.task in ("scanner", "maker"):
            continue
        planned, wanted = len(split.validation) > 0, choices(mode, split.ablation).early_stopping
        if planned != wanted and (planned or len(set(scans[split.training])) > 1):
            raise UserError(
                f"the splits have {'' if planned else 'no '}validation rows ({split}), unlike mode {mode.name}; "
                "plan them in the mode that trains"
            )


def is_verified(run: TrainingRun, material: Material, split: Split) -> bool:
    """Tell whether torch repeats the first steps of a training: a seeded draw, the same in any part."""
    if run.classifier != "mlp" or not run.verify:
        return False
    drawn = np.random.default_rng([run.seed, training_number(split), VERIFY_DRAW]).random() < run.verify
    return bool(drawn) or split.key == material.smallest


@dataclass(frozen=True)
class Prepared:
    """What a fold's training reads, standardised, and what is told of it."""

    fold: Fold
    about: dict
    names: np.ndarray
    """Targets as text, of the training, validation and test rows in turn."""
    classes: list[str]
    rows: Rows
    targets: np.ndarray
    settings: TrainingSettings

    def arguments(self, run: TrainingRun) -> tuple:
        """Return the arguments of `mlp.train`."""
        training, validation = np.split(np.arange(self.fold.n_learning), [self.fold.n_training])
        key = (run.seed, training_number(self.fold.split))
        return self.rows, self.targets, len(self.classes), training, validation, self.settings, key


def fold_of(run: TrainingRun, material: Material, split: Split) -> Fold:
    """Return the rows that a split's training asks for: its own, and all others where its scaler is fitted on all."""
    fold = Fold(split, run.seed)
    if choices(run.mode, split.ablation).scaler_rows != "all":
        return fold
    return replace(fold, beyond=np.setdiff1d(np.arange(len(material.keys)), fold.rows))


def prepare_one(run: TrainingRun, material: Material, split: Split) -> Prepared:
    """Return the standardised rows and class numbers of a split."""
    fold = fold_of(run, material, split)
    asked, given = fold.rows, material.features_of(fold)
    if given.shape[0] != len(asked):
        raise UserError(f"{given.shape[0]} rows of features came for the {len(asked)} of a fold ({split})")
    chosen = choices(run.mode, split.ablation)
    # All rows in the table's order, so that the sums over them do not depend on the split.
    scaler = fit_scaler(given, np.argsort(asked) if chosen.scaler_rows == "all" else np.arange(fold.n_training))
    needed = np.arange(len(asked) - len(fold.beyond))
    rows = standardise(given, needed, scaler)
    names = as_text(material.keys[task_named(split.task).target].to_numpy()[asked[needed]])
    classes = sorted(set(names[: fold.n_learning]))
    if len(set(names[: fold.n_training])) < 2:
        raise UserError(f"all training rows are {classes[0]} ({split}); a classifier needs two classes")
    # A class of test rows only has no number; the placeholder is never read.
    numbers = {name: number for number, name in enumerate(classes)}
    targets = np.array([numbers.get(name, 0) for name in names], np.int64)
    about = dict(zip(PREDICTION_KEY, _key(run, split), strict=True)) | {
        "n_rows_train": len(split.training),
        "n_rows_validation": len(split.validation),
        "n_rows_test": len(split.test),
        "n_classes": len(classes),
        "n_features": given.shape[1],
        "n_features_constant": int((scaler.factor == 0).sum()),
        "seed": run.seed,
        "key": training_number(split),
        "n_steps_verified": 0,
    }
    settings = TrainingSettings(patience=PATIENCE if len(split.validation) else 0, balanced=chosen.balanced)
    return Prepared(fold, about, names, classes, rows, targets, settings)


def finish_one(
    run: TrainingRun, material: Material, ready: Prepared, trained: TrainedModel, predict: Callable
) -> Outcome:
    """Return the predictions, curves and torch's check of a trained MLP; `predict` is the `log_proba` of what trained
    it."""
    log_p = predict(trained.model, ready.rows, np.arange(ready.fold.n_learning, len(ready.names)))
    epochs = np.arange(1, len(trained.losses) + 1)
    losses = pd.DataFrame({"epoch": epochs, "loss": trained.losses, "validation_loss": trained.validation_losses})
    about = ready.about | {"epochs": len(epochs), "best_epoch": trained.best_epoch}
    about |= losses.loc[trained.best_epoch - 1, ["loss", "validation_loss"]].to_dict()
    if is_verified(run, material, ready.fold.split):
        rows, targets, n_classes, training, _, settings, key = ready.arguments(run)
        expected = torch_losses(rows, targets, n_classes, training, settings, key, VERIFIED_STEPS)
        difference = np.abs(trained.first_losses[: len(expected)] - expected).max()
        about |= {"n_steps_verified": len(expected), "largest_loss_difference": float(difference)}
    return Outcome(about, _predictions(ready, log_p.argmax(axis=1), np.exp(log_p)), losses, 0.0)


def _predictions(ready: Prepared, predicted: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """A row for each test row; `predicted` are class numbers, `probabilities` (rows, classes)."""
    columns = {
        "row": ready.fold.split.test,
        "target": ready.names[ready.fold.n_learning :],
        "predicted": np.array(ready.classes, object)[predicted],
    }
    columns |= {f"prob_{name}": probabilities[:, i].astype(np.float32) for i, name in enumerate(ready.classes)}
    return pd.DataFrame(columns)


def _untrained(run: TrainingRun, split: Split, why: NotHarmonized) -> Untrained:
    key = dict(zip(PREDICTION_KEY, _key(run, split), strict=True))
    return Untrained(key | {"status": why.status, "reason": str(why)})


def train_one(run: TrainingRun, material: Material, split: Split) -> Outcome | Untrained:
    """Train on a split and predict its test rows."""
    start = time.thread_time()
    try:
        ready = prepare_one(run, material, split)
    except NotHarmonized as why:
        return _untrained(run, split, why)
    if run.classifier == "mlp":
        outcome = finish_one(run, material, ready, train(*ready.arguments(run)), log_proba)
    else:
        n_learning, n_classes = ready.fold.n_learning, len(ready.classes)
        learning, test = np.split(ready.rows.values[:-1, : ready.rows.n_features], [n_learning])
        predicted, probabilities = fit_and_predict(
            run.classifier, learning, ready.targets[:n_learning], test, n_classes, run.seed
        )
        losses = pd.DataFrame({name: [] for name in ("epoch", "loss", "validation_loss")}, dtype=float)
        outcome = Outcome(ready.about, _predictions(ready, predicted, probabilities), losses, 0.0)
    return replace(outcome, cpu_s=time.thread_time() - start)


def train_stacked(run: TrainingRun, material: Material, splits: list[Split]) -> list[Outcome | Untrained]:
    """Train MLPs as stacks of at most `TOGETHER` on the run's device, the longest trainings first.

    TrainingResults are in the order of `splits`; a stack's CPU time is shared out evenly.
    """
    from ct4bench.learning import mlp_stack

    by_classes: dict[int, list[int]] = {}
    for i in sorted(range(len(splits)), key=lambda i: (-len(splits[i].training), splits[i].key)):
        learning = np.concatenate([splits[i].training, splits[i].validation])
        n_classes = len(set(as_text(material.keys[task_named(splits[i].task).target].to_numpy()[learning])))
        by_classes.setdefault(n_classes, []).append(i)
    found: dict[int, Outcome | Untrained] = {}
    size = TOGETHER[run.device]
    for indices in by_classes.values():
        for chunk in (indices[start : start + size] for start in range(0, len(indices), size)):
            start = time.process_time()
            ready = {}
            for i in chunk:
                try:
                    ready[i] = prepare_one(run, material, splits[i])
                except NotHarmonized as why:
                    found[i] = _untrained(run, splits[i], why)
            jobs = [mlp_stack.Job(*one.arguments(run)) for one in ready.values()]
            trained = mlp_stack.train_together(jobs, run.device, run.threads) if jobs else []
            outcomes = [
                finish_one(run, material, *both, mlp_stack.log_proba)
                for both in zip(ready.values(), trained, strict=True)
            ]
            share = (time.process_time() - start) / len(chunk)
            found |= {i: replace(outcome, cpu_s=share) for i, outcome in zip(ready, outcomes, strict=True)}
    return [found[i] for i in range(len(splits))]


def _key(run: TrainingRun, split: Split) -> tuple:
    """Values of `PREDICTION_KEY`."""
    return split.task, run.extractor, run.classifier, split.ablation, split.scheme, split.n_train, split.fold


def _labelled(frames: list[pd.DataFrame], trainings: pd.DataFrame) -> pd.DataFrame:
    """All frames in one, each with the `PREDICTION_KEY` of its training in front."""
    counts = [len(frame) for frame in frames]
    labels = trainings[PREDICTION_KEY].loc[np.repeat(np.arange(len(frames)), counts)].reset_index(drop=True)
    return pd.concat([labels, pd.concat(frames, ignore_index=True)], axis=1)


def check_differences(trainings: pd.DataFrame) -> None:
    """Refuse a difference to torch beyond `VERIFY_TOLERANCE`."""
    difference = trainings.loc[trainings["n_steps_verified"] > 0, "largest_loss_difference"].fillna(np.inf)
    if difference.max() > VERIFY_TOLERANCE:
        row = trainings.loc[difference.idxmax(), PREDICTION_KEY]
        raise UserError(
            f"the loss of a step differs from torch's by {difference.max():.2g}, beyond {VERIFY_TOLERANCE:g} "
            f"({', '.join(map(str, row))}): the results would not be those of torch; report it with the machine's type"
        )


def train_part(
    run: TrainingRun, features: Features, splits: pd.DataFrame, features_of: FeaturesOf | None = None
) -> TrainingResults:
    """Train the run's part of an extractor's models. `splits` has the columns `splits.SPLIT_COLUMNS`.

    `features_of` gives a fold its features; by default they are those of `features`, as they are.
    """
    if run.classifier not in ("mlp", *CLASSIFIERS):
        raise UserError(f"--classifier {run.classifier} is not one of mlp, {', '.join(CLASSIFIERS)}")
    check_domain(splits, run.domain)
    plan = resolve(splits, features.keys)
    check_mode(plan, features.keys, run.mode)
    if run.classifier != "mlp":
        wanted = cells_of_table7(split.key for split in plan)
        plan = [split for split in plan if split.key in wanted]
    smallest = min(plan, key=lambda split: (len(split.training), split.key))
    material = Material(features.keys, features_of or unchanged(features.values), smallest.key)
    mine = part_of(plan, *run.part)
    if not mine:
        raise UserError(
            f"--part {run.part[0]}/{run.part[1]} is empty: the splits have {len(plan)} trainings; ask for fewer parts"
        )
    if run.classifier == "mlp" and (run.device, run.engine) != ("cpu", "kernels"):
        outcomes = train_stacked(run, material, mine)
    else:
        with ThreadPoolExecutor(run.threads) as pool:
            outcomes = list(pool.map(lambda split: train_one(run, material, split), mine))
    untrained = [outcome.about for outcome in outcomes if isinstance(outcome, Untrained)]
    outcomes = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    trainings = pd.DataFrame([outcome.about for outcome in outcomes]).reindex(columns=TRAINING_COLUMNS)
    check_differences(trainings)
    times = trainings[PREDICTION_KEY].assign(cpu_s=[outcome.cpu_s for outcome in outcomes])
    told = pd.DataFrame(untrained, columns=UNTRAINED_COLUMNS).sort_values(PREDICTION_KEY, ignore_index=True)
    if not outcomes:
        predictions, losses = (pd.DataFrame(columns=names) for names in (PREDICTION_COLUMNS, LOSS_COLUMNS))
        return TrainingResults(predictions, trainings, losses, times, told)
    losses = _labelled([outcome.losses for outcome in outcomes], trainings)
    frames = [outcome.predictions for outcome in outcomes]
    # a million rows, of which there are copies enough below
    del outcomes
    predictions = _labelled(frames, trainings)
    del frames
    rows = features.keys[[*ROW_KEY, "scan_id", "scanner"]].iloc[predictions.pop("row")].reset_index(drop=True)
    return TrainingResults(
        sort_predictions(pd.concat([predictions, rows], axis=1)),
        trainings.sort_values(PREDICTION_KEY, ignore_index=True),
        losses.sort_values([*PREDICTION_KEY, "epoch"], ignore_index=True)[LOSS_COLUMNS],
        times.sort_values(PREDICTION_KEY, ignore_index=True),
        told,
    )


def check_domain(splits: pd.DataFrame, domain: str | None) -> None:
    """Check that the splits' leave-one-out is over the domain."""
    tested = splits[(splits["scheme"] == "loso") & (splits["role"] == "test")]
    wrong = [kind for kind in tested["unit_kind"].unique() if domain is not None and kind != domain]
    if wrong:
        raise UserError(f"the splits leave out one {wrong[0]}, not one {domain}; plan them with --domain {domain}")
