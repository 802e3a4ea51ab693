"""A fold's training sees the features that the function of its method gave it, and nothing else of the table."""

import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pandas as pd
import pytest
from learning_data import features_table, keys_table
from sklearn.preprocessing import StandardScaler
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.core.tables import write_table
from ct4bench.learning import mlp
from ct4bench.learning.train import Material, TrainingRun, prepare, prepare_one, train_part
from ct4bench.splits.fold import Fold, unchanged
from ct4bench.splits.plan import plan_splits
from ct4bench.splits.splits import resolve
from ct4bench.splits.tasks import Plan

SCANNERS = ["A1", "C1", "D1", "E1"]
WAYS = {
    "kernels": {},
    "torch": {"engine": "torch"},
    "logistic_regression": {"classifier": "logistic_regression"},
    "svm": {"classifier": "svm"},
    "gradient_boosting": {"classifier": "gradient_boosting"},
}
"""What trains: options of a run."""
MODES = {"paper": PAPER, "corrected": CORRECTED}
CASES = [("paper", "kernels"), *(("corrected", way) for way in WAYS)]
"""Modes, of which `corrected` has validation rows, and what trains."""


@pytest.fixture(scope="module")
def features():
    return prepare(features_table(keys_table(SCANNERS, repetitions=3, patches=2)), "made.parquet")


@pytest.fixture(scope="module")
def splits(features):
    """Splits of two folds by mode; those of mode corrected have validation rows."""
    found = {}
    for name, mode in MODES.items():
        plan = Plan(features.keys, mode, n_folds=3)
        table = plan_splits(
            plan, ablations=["default", "early_stopping", "all_epochs", "leaking_scaler"], all_cells=False
        )
        found[name] = table[(table["scheme"] == "loso") & table["fold"].isin(["A1", "E1"]) & (table["n_train"] == 3)]
    return found


def default(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["ablation"] == "default"]


def of_split(split) -> np.ndarray:
    return np.concatenate([split.training, split.validation, split.test])


def equal(one, other) -> None:
    for name in ("predictions", "trainings", "losses"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(("mode", "way"), CASES)
def test_each_split_asks_once_for_exactly_its_rows(features, splits, mode, way):
    asked = []

    def record(fold):
        asked.append(fold)
        return features.values[fold.rows]

    table = default(splits[mode])
    train_part(TrainingRun("made", MODES[mode], **WAYS[way]), features, table, record)
    plan = {split.key: split for split in resolve(table, features.keys)}
    assert sorted(fold.split.key for fold in asked) == sorted(plan)
    for fold in asked:
        split = plan[fold.split.key]
        assert (len(split.validation) > 0) == (mode == "corrected")
        np.testing.assert_array_equal(fold.rows, of_split(split))
        assert (fold.n_training, fold.n_learning) == (
            len(split.training),
            len(split.training) + len(split.validation),
        )


@pytest.mark.parametrize(("mode", "way"), CASES)
def test_rows_outside_the_split_are_not_seen(features, splits, mode, way):
    def poisoned(fold):
        values = np.full_like(features.values, np.nan)
        own = of_split(fold.split)
        values[own] = features.values[own]
        return unchanged(values)(fold)

    table = default(splits[mode])
    few = table[table["unit"] != "C1"]  # C1 does not train, so that rows are left out
    run = TrainingRun("made", MODES[mode], **WAYS[way])
    assert len(of_split(resolve(few, features.keys)[0])) < len(features.values)
    equal(train_part(run, features, few, poisoned), train_part(run, features, few))


@pytest.mark.parametrize("way", WAYS)
def test_a_training_learns_what_the_function_gave(features, splits, way):
    """The function's rows are those of another table: results are that table's, not the given one's."""
    other = prepare(features_table(features.keys, seed=11), "other.parquet")
    run, table = TrainingRun("made", CORRECTED, **WAYS[way]), default(splits["corrected"])
    found = train_part(run, features, table, lambda fold: other.values[fold.rows])
    equal(found, train_part(run, other, table))
    assert not found.predictions.equals(train_part(run, features, table).predictions)


@pytest.mark.parametrize("way", ["kernels", "logistic_regression"])
def test_the_order_is_training_validation_test(features, splits, way):
    """Only test rows are given another value; the training must not move, and those rows must."""
    table = default(splits["corrected"])

    def moved(fold):
        values = features.values[fold.rows]
        values[fold.n_learning :] += 3 * features.values.std(axis=0)
        return values

    run = TrainingRun("made", CORRECTED, **WAYS[way])
    one, other = train_part(run, features, table), train_part(run, features, table, moved)
    pd.testing.assert_frame_equal(one.losses, other.losses)
    pd.testing.assert_frame_equal(one.trainings, other.trainings)
    assert not one.predictions.equals(other.predictions)


def test_another_number_of_rows_is_an_error(features, splits):
    with pytest.raises(UserError, match=r"rows of features came for the \d+ of a fold \(tissue, default, loso with 3"):
        train_part(
            TrainingRun("made", PAPER), features, default(splits["paper"]), lambda fold: features.values[fold.rows][1:]
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ablation", ["default", "early_stopping", "all_epochs", "leaking_scaler"])
def test_the_scaler_is_scikit_learns_of_the_training_rows_alone(features, splits, mode, ablation):
    run, folds = TrainingRun("made", MODES[mode]), []

    def record(fold):
        folds.append(fold)
        return unchanged(features.values)(fold)

    plan = [split for split in resolve(splits[mode], features.keys) if split.ablation == ablation]
    if not plan:
        assert (mode, ablation) in {
            ("paper", "all_epochs"),
            ("corrected", "early_stopping"),
        }  # what the mode does anyway
        return
    stops_early = ablation == "early_stopping" or (mode == "corrected" and ablation != "all_epochs")
    for split in plan:
        assert (len(split.validation) > 0) == stops_early
        found = prepare_one(run, Material(features.keys, record, ()), split).rows
        leaks = ablation == "leaking_scaler"
        np.testing.assert_array_equal(
            np.sort(folds[-1].beyond), np.setdiff1d(np.arange(len(features.values)), of_split(split)) if leaks else []
        )
        scaler = StandardScaler().fit(features.values if leaks else features.values[split.training])
        expected = scaler.transform(features.values[of_split(split)])
        np.testing.assert_allclose(found.values[:-1, : found.n_features], expected, atol=1e-5)
        learning = StandardScaler().fit(features.values[np.concatenate([split.training, split.validation])])
        if stops_early and not leaks:
            assert np.abs(learning.transform(features.values[of_split(split)]) - expected).max() > 1e-3


@pytest.mark.parametrize("engine", ["kernels", "torch"])
def test_validation_rows_do_not_reach_scaler_or_steps(features, splits, engine):
    """The training's own losses stay to the bit, whatever the validation rows are; they choose the epoch alone."""
    table = default(splits["corrected"])

    def far(fold):
        values = features.values[fold.rows]
        values[fold.n_training : fold.n_learning] *= 1000
        return values

    run = TrainingRun("made", CORRECTED, engine=engine)
    one, other = (train_part(run, features, table, given) for given in (None, far))
    joined = one.losses.merge(other.losses, on=["fold", "epoch"], suffixes=("", "_far"))
    assert joined.groupby("fold").size().min() >= 6  # patience and the first epoch
    np.testing.assert_array_equal(joined["loss"], joined["loss_far"])
    assert (joined["validation_loss"] != joined["validation_loss_far"]).all()


@pytest.mark.parametrize(("mode", "way"), CASES)
def test_test_rows_reach_nothing_but_their_own_prediction(features, splits, mode, way):
    table = default(splits[mode])
    roi = features.keys["roi"].to_numpy()

    def far(fold):
        values = features.values[fold.rows]
        own = np.arange(len(values)) >= fold.n_learning
        values[own & (roi[fold.rows] == "normal2")] *= -1000
        return values

    run = TrainingRun("made", MODES[mode], **WAYS[way])
    one, other = (train_part(run, features, table, given) for given in (None, far))
    pd.testing.assert_frame_equal(one.losses, other.losses)
    pd.testing.assert_frame_equal(one.trainings, other.trainings)
    rest = (one.predictions["roi"] != "normal2").to_numpy()
    if way == "torch":  # its products round otherwise beside other rows
        probabilities = [name for name in one.predictions if name.startswith("prob_")]
        a, b = (found.predictions.loc[rest, probabilities].to_numpy() for found in (one, other))
        np.testing.assert_allclose(a, b, atol=1e-6)
    else:
        pd.testing.assert_frame_equal(one.predictions[rest], other.predictions[rest])
    assert not one.predictions[~rest].equals(other.predictions[~rest])


def test_each_fold_has_weights_order_and_dropout_of_its_own_number(features, splits):
    """As documented: seeded by [seed, CRC-32 of scheme|N|fold], not by one key for all folds."""
    table = default(splits["paper"])
    found = train_part(TrainingRun("made", PAPER, seed=5), features, table).predictions
    numbers = {name: number for number, name in enumerate(sorted(set(features.keys["tissue"])))}
    targets = features.keys["tissue"].map(numbers).to_numpy()
    names = [f"prob_{name}" for name in numbers]
    for split in resolve(table, features.keys):
        scaler = StandardScaler().fit(features.values[split.training])
        rows = mlp.standardise(features.values, np.arange(len(targets)), mlp.Scaler(scaler.mean_, 1 / scaler.scale_))
        own = {}
        for fold in ("A1", "E1"):
            key = (5, zlib.crc32(f"loso|3|{fold}".encode()))
            trained = mlp.train(rows, targets, 4, split.training, split.validation, mlp.TrainingSettings(), key)
            own[fold] = np.exp(mlp.log_proba(trained.model, rows, split.test))
        order = features.keys.iloc[split.test].reset_index(drop=True)
        rows_of = found[found["fold"] == split.fold].merge(order.reset_index(), on=["series_uid", "roi", "patch"])
        of_run = rows_of.sort_values("index")[names].to_numpy()
        np.testing.assert_allclose(of_run, own.pop(split.fold), atol=1e-5)
        assert np.abs(of_run - own.popitem()[1]).max() > 1e-3


def test_features_as_they_are_are_not_copied(features, splits):
    values = np.repeat(features.values, 40, axis=1)
    (first, *_) = resolve(default(splits["paper"]), features.keys)
    tracemalloc.start()
    given = unchanged(values)(Fold(first))
    shape, some = given.shape, given[np.array([0, len(first.training)])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shape == (len(of_split(first)), values.shape[1])
    np.testing.assert_array_equal(some, values[[first.training[0], first.test[0]]])
    assert peak < values.nbytes / 50


def test_ids_tell_nothing_of_a_row(features, splits):
    folds = [Fold(split, seed=3) for split in resolve(splits["paper"], features.keys)]
    for fold in folds:
        n = len(fold.rows)
        assert sorted(fold.ids) == list(range(n))
        assert abs(np.corrcoef(fold.ids, fold.rows)[0, 1]) < 5 / np.sqrt(n)
        assert abs(np.corrcoef(fold.ids, np.arange(n) < fold.n_training)[0, 1]) < 5 / np.sqrt(n)
    by_name = {fold.split.fold: fold.ids for fold in folds if fold.split.ablation == "default"}
    assert not np.array_equal(by_name["A1"], by_name["E1"])
    assert np.array_equal(by_name["A1"], Fold(folds[0].split, seed=3).ids)
    assert not np.array_equal(by_name["A1"], Fold(folds[0].split, seed=4).ids)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
from ct4bench.core.script import run
from train_classifiers import main
run(main, sys.argv[1:])
"""


@pytest.mark.parametrize("mode", MODES)
def test_trainings_without_numba_are_those_of_the_kernels(features, splits, tmp_path, mode):
    table = pd.concat([features.keys, pd.DataFrame(features.values, columns=features.names)], axis=1)
    write_table(table, tmp_path / "features.parquet")
    write_table(default(splits[mode]), tmp_path / "splits.csv")
    arguments = ["--features", "features.parquet", "--extractor", "made", "--splits", "splits.csv", "--mode", mode]
    arguments += ["--output", "predictions.parquet", "--trainings", "trainings.csv", "--losses", "losses.parquet"]
    command = [sys.executable, "-c", WITHOUT_NUMBA, *arguments]
    environment = {"PYTHONPATH": f"{ROOT}/bin", "PATH": ""}
    if mode == "paper":  # once: numba is not there indeed
        failed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert failed.returncode != 0 and "halted; None in sys.modules" in failed.stderr
    command += ["--engine", "torch"]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    expected = train_part(TrainingRun("made", MODES[mode]), features, default(splits[mode]))
    found = pd.read_parquet(tmp_path / "predictions.parquet")
    probabilities = [name for name in found if name.startswith("prob_")]
    assert (found["predicted"] == expected.predictions["predicted"]).all()
    np.testing.assert_allclose(found[probabilities], expected.predictions[probabilities], atol=1e-5)
    losses = pd.read_parquet(tmp_path / "losses.parquet")
    pd.testing.assert_frame_equal(losses, expected.losses, rtol=0, atol=1e-5, check_dtype=False)
