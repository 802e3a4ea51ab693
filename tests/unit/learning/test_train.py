import dataclasses
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from learning_data import features_table, keys_table

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.core.tables import concatenate, write_table
from ct4bench.learning import train
from ct4bench.learning.merge import merge_losses, merge_predictions, merge_trainings
from ct4bench.learning.predictions import PREDICTION_KEY
from ct4bench.learning.train import TrainingRun, part_of, prepare, training_number
from ct4bench.splits.plan import plan_splits
from ct4bench.splits.splits import TRAINING_KEY, resolve
from ct4bench.splits.tasks import Plan

SCANNERS = ["A1", "C1", "D1", "E1"]


def train_part(features, extractor, splits, mode, seed, classifier="mlp", features_of=None, **options):
    run = TrainingRun(extractor, mode, seed, classifier, **options)
    return train.train_part(run, features, splits, features_of)


@pytest.fixture(scope="module")
def features():
    return prepare(features_table(keys_table(SCANNERS, repetitions=3, patches=3)), "made.parquet")


@pytest.fixture(scope="module")
def splits(features):
    return plan_splits(Plan(features.keys, PAPER, n_folds=3))


@pytest.fixture(scope="module")
def whole(features, splits):
    return train_part(features, "made", splits, PAPER, 0)


def test_there_is_a_prediction_for_every_test_row_of_every_training(features, splits, whole):
    plan = resolve(splits, features.keys)
    assert len(plan) == 4 * 3 + 3 * 2 == len(whole.trainings)
    assert len(whole.predictions) == sum(len(split.test) for split in plan)
    tissue = features.keys.set_index(ROW_KEY)["tissue"]
    for split in plan:
        mask = np.all(
            [whole.predictions[name] == value for name, value in zip(TRAINING_KEY, split.key, strict=True)], 0
        )
        rows = whole.predictions[mask].set_index(ROW_KEY)
        expected = features.keys.iloc[split.test].set_index(ROW_KEY)
        assert sorted(rows.index) == sorted(expected.index)
        assert (rows["target"] == tissue.reindex(rows.index)).all()
        assert (rows["scanner"] == expected["scanner"].reindex(rows.index)).all()
        assert (rows["scan_id"] == expected["scan_id"].reindex(rows.index)).all()


def test_cpu_time_is_that_of_the_training_alone(features, splits, whole):
    start = time.process_time()
    found = train_part(features, "made", splits, PAPER, 0, part=(1, 2))
    spent = time.process_time() - start
    assert len(found.times) == 9 and (found.times["cpu_s"] > 0).all()
    assert found.times["cpu_s"].sum() < spent


def test_columns_are_those_of_the_contract(whole):
    probabilities = [f"prob_{name}" for name in ("cyst", "hemangioma", "metastasis", "normal")]
    expected = [
        "task",
        "extractor",
        "classifier",
        "ablation",
        "scheme",
        "n_train",
        "fold",
        "series_uid",
        "roi",
        "patch",
    ]
    expected += ["scan_id", "scanner", "target", "predicted", *probabilities]
    assert list(whole.predictions.columns) == expected
    best = whole.predictions[probabilities].to_numpy().argmax(axis=1)
    assert (whole.predictions["predicted"] == np.array(probabilities)[best]).sum() == 0
    assert ("prob_" + whole.predictions["predicted"] == np.array(probabilities)[best]).all()
    np.testing.assert_allclose(whole.predictions[probabilities].sum(axis=1), 1, atol=1e-5)


def test_what_can_be_learned_is_learned(whole):
    full = whole.predictions[whole.predictions["n_train"] >= 2]
    assert (full["target"] == full["predicted"]).mean() > 0.6


def test_curves_are_kept(whole):
    assert len(whole.losses) == 30 * len(whole.trainings)
    one = whole.losses.groupby(PREDICTION_KEY)["loss"].agg(["first", "last"])
    assert (one["last"] < one["first"]).all()
    assert whole.losses["validation_loss"].isna().all()
    assert (whole.trainings["epochs"] == 30).all()
    assert len(whole.times) == len(whole.trainings)
    assert (whole.times["cpu_s"] > 0).all()


def merged(parts, splits, folder) -> dict[str, pd.DataFrame]:
    """Predictions, trainings and losses of parts (tables by name), through files as the script merges them."""
    paths = {name: [] for name in ("predictions", "trainings", "losses")}
    for number, part in enumerate(parts):
        for name, found in paths.items():
            found.append(folder / f"{number}.{name}.parquet")
            write_table(part[name], found[-1])
    trainings = merge_trainings(concatenate(paths["trainings"], ["extractor"]), splits)
    pieces = list(merge_predictions(paths["predictions"], paths["trainings"], trainings))
    assert max(map(len, pieces)) == trainings["n_rows_test"].max()
    predictions = pa.concat_tables(pieces).to_pandas()
    return {
        "predictions": predictions,
        "trainings": trainings,
        "losses": merge_losses(concatenate(paths["losses"], ["extractor"])),
    }


@pytest.mark.parametrize(("n_parts", "threads"), [(3, 1), (2, 2)])
def test_parts_and_threads_change_nothing(features, splits, whole, n_parts, threads, tmp_path):
    parts = [
        train_part(features, "made", splits, PAPER, 0, part=(i, n_parts), verify=0.01, threads=threads)
        for i in range(1, n_parts + 1)
    ]
    found = merged([vars(part) for part in reversed(parts)], splits, tmp_path)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, getattr(whole, name))


def test_a_training_does_not_depend_on_the_rest_of_the_plan(features, splits, whole):
    few = splits[(splits["scheme"] == "loso") & (splits["n_train"] == 2) & (splits["fold"] == "C1")]
    alone = train_part(features, "made", few, PAPER, 0).predictions
    same = (
        (whole.predictions["scheme"] == "loso")
        & (whole.predictions["n_train"] == 2)
        & (whole.predictions["fold"] == "C1")
    )
    pd.testing.assert_frame_equal(alone, whole.predictions[same].reset_index(drop=True))


def test_the_order_of_the_features_rows_changes_nothing(splits, features, whole):
    table = features_table(keys_table(SCANNERS, repetitions=3, patches=3)).sample(frac=1, random_state=4)
    again = train_part(prepare(table, "made.parquet"), "made", splits[splits["fold"] == "A1"], PAPER, 0).predictions
    same = whole.predictions[whole.predictions["fold"] == "A1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, same)


def test_another_seed_gives_other_models_of_the_same_rows(features, splits, whole):
    few = splits[(splits["scheme"] == "loso") & (splits["n_train"] == 1)]
    other = train_part(features, "made", few, PAPER, 1).predictions
    same = whole.predictions[(whole.predictions["scheme"] == "loso") & (whole.predictions["n_train"] == 1)]
    assert (other[ROW_KEY].to_numpy() == same[ROW_KEY].to_numpy()).all()
    assert np.abs(other["prob_cyst"].to_numpy() - same["prob_cyst"].to_numpy()).max() > 1e-3


def test_first_steps_are_checked_against_torch(whole):
    checked = whole.trainings[whole.trainings["n_steps_verified"] > 0]
    assert len(checked) >= 1
    assert checked["largest_loss_difference"].between(0, 1e-5).all()
    assert whole.trainings["largest_loss_difference"].notna().sum() == len(checked)


def test_a_difference_beyond_the_tolerance_fails_the_run(features, splits, monkeypatch):
    few = splits[(splits["scheme"] == "loso") & (splits["n_train"] == 1) & (splits["fold"] == "A1")]
    monkeypatch.setattr(train, "torch_losses", lambda *_: np.array([3.0]))
    with pytest.raises(UserError, match="differs from torch's by .* beyond 1e-05 .*made, mlp"):
        train_part(features, "made", few, PAPER, 0)
    assert train_part(features, "made", few, PAPER, 0, verify=0).trainings["n_steps_verified"].sum() == 0


def test_corrected_stops_early_on_scans_that_do_not_train(features):
    splits = plan_splits(Plan(features.keys, CORRECTED, n_folds=3, schemes=("loso",)), all_cells=False)
    results = train_part(features, "made", splits, CORRECTED, 0, verify=0)
    assert (results.trainings["n_rows_validation"] > 0).all()
    assert results.losses["validation_loss"].notna().all()
    best = results.losses.loc[results.losses.groupby(PREDICTION_KEY)["validation_loss"].idxmin()]
    assert (best["epoch"].to_numpy() == results.trainings["best_epoch"].to_numpy()).all()


def test_splits_of_the_other_mode_are_an_error(features, splits):
    with pytest.raises(UserError, match="no validation rows .* unlike mode corrected"):
        train_part(features, "made", splits, CORRECTED, 0)
    other = plan_splits(Plan(features.keys, CORRECTED, n_folds=3))
    with pytest.raises(UserError, match="have validation rows .* unlike mode paper"):
        train_part(features, "made", other, PAPER, 0)
    with pytest.raises(UserError, match="leave out one scanner, not one dose_mgy"):
        train_part(features, "made", splits, PAPER, 0, domain="dose_mgy")


def test_ablations_do_what_they_say(features):
    plan = Plan(features.keys, PAPER, n_folds=3, schemes=("loso",))
    splits = plan_splits(plan, ablations=["default", "leaking_scaler", "unbalanced"], all_cells=False)
    predictions = train_part(features, "made", splits[splits["fold"] == "A1"], PAPER, 0, verify=0).predictions
    by_ablation = {name: rows["prob_cyst"].to_numpy() for name, rows in predictions.groupby("ablation")}
    assert set(by_ablation) == {"default", "leaking_scaler", "unbalanced"}
    for name in ("leaking_scaler", "unbalanced"):
        assert np.abs(by_ablation[name] - by_ablation["default"]).max() > 1e-6


def test_test_rows_do_not_leak_into_the_scaler(features, splits):
    few = splits[(splits["scheme"] == "loso") & (splits["fold"] == "A1") & (splits["n_train"] == 3)]
    values = features.values.copy()
    far = (features.keys["scanner"] == "A1") & (features.keys["roi"] == "normal2")
    values[far.to_numpy()] *= 1000
    changed = train.Features(features.keys, features.names, values)
    one, other = (train_part(f, "made", few, PAPER, 0, verify=0).predictions for f in (features, changed))
    rest = (one["roi"] != "normal2").to_numpy()
    np.testing.assert_array_equal(one.loc[rest, "prob_cyst"], other.loc[rest, "prob_cyst"])
    assert not np.array_equal(one["prob_cyst"], other["prob_cyst"])


@pytest.mark.parametrize("classifier", ["logistic_regression", "svm", "gradient_boosting"])
def test_second_opinions_have_the_same_table(features, splits, classifier):
    few = splits[(splits["scheme"] == "loso") & (splits["n_train"] == 3)]
    results = train_part(features, "made", few, PAPER, 0, classifier)
    assert (results.predictions["classifier"] == classifier).all()
    assert (results.predictions["target"] == results.predictions["predicted"]).mean() > 0.5
    assert results.predictions["prob_cyst"].isna().all() == (classifier == "svm")
    assert len(results.losses) == 0
    if classifier != "svm":
        names = [name for name in results.predictions.columns if name.startswith("prob_")]
        best = results.predictions[names].to_numpy().argmax(axis=1)
        assert ("prob_" + results.predictions["predicted"] == np.array(names)[best]).mean() > 0.99


def test_other_tasks_have_their_own_classes(features):
    splits = plan_splits(Plan(features.keys, PAPER, n_folds=3), ["roi", "maker", "tissue_other_roi"])
    predictions = train_part(features, "made", splits, PAPER, 0, verify=0).predictions
    by_task = predictions.groupby("task")["target"].agg(set)
    assert by_task["maker"] == {"GE", "Philips", "Siemens", "Toshiba"}
    assert by_task["tissue_other_roi"] == {"cyst", "normal"}
    assert len(by_task["roi"]) == 6
    rows = predictions[predictions["task"] == "maker"]
    assert rows["prob_cyst"].isna().all()
    assert rows["prob_GE"].notna().all()


def test_parts_share_all_trainings_evenly(features, splits):
    plan = resolve(splits, features.keys)
    parts = [part_of(plan, i, 4) for i in range(1, 5)]
    assert sorted(split.key for part in parts for split in part) == sorted(split.key for split in plan)
    loads = [sum(len(split.training) for split in part) for part in parts]
    assert max(loads) < 1.3 * min(loads)
    with pytest.raises(UserError, match="--part 5/4 does not exist"):
        part_of(plan, 5, 4)
    with pytest.raises(UserError, match="is empty"):
        train_part(features, "made", splits, PAPER, 0, part=(19, 19))


def test_numbers_of_trainings_are_all_different(features, splits):
    plan = resolve(splits, features.keys)
    assert len({training_number(split) for split in plan}) == len(plan)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_missing_is_an_error_that_names_it(bad):
    table = features_table(keys_table(["A1", "C1"], patches=1), n_features=3)
    table.loc[4, "f01"] = bad
    with pytest.raises(UserError, match=r"made.csv: feature f01 is missing or infinite in 1 row \(.*normal1 0"):
        prepare(table, "made.csv")


def test_a_constant_feature_counts_for_nothing(features, splits, whole):
    few = splits[(splits["scheme"] == "loso") & (splits["fold"] == "A1") & (splits["n_train"] == 3)]
    values = np.concatenate([features.values, np.full((len(features.values), 1), 0.1)], axis=1)
    values[(features.keys["scanner"] == "A1").to_numpy(), -1] = 1e9
    one = train.Features(features.keys, [*features.names, "constant"], values)
    results = train_part(one, "made", few, PAPER, 0, verify=0)
    assert results.trainings["n_features_constant"].tolist() == [1]
    assert (results.predictions["target"] == results.predictions["predicted"]).mean() > 0.5


def test_merging_without_a_part_is_an_error(splits, whole, tmp_path):
    first, tables = whole.trainings.index < 5, vars(whole)
    with pytest.raises(UserError, match="made, mlp: 5 of 18 trainings are missing"):
        merge_trainings(whole.trainings[~first], splits)
    with pytest.raises(UserError, match="there twice"):
        merge_trainings(pd.concat([whole.trainings, whole.trainings[first]]), splits)
    with pytest.raises(UserError, match="trainings are not in the splits"):
        merge_trainings(whole.trainings, splits[splits["scheme"] == "loso"])
    rows = whole.predictions
    for other in (rows.iloc[1:], rows.iloc[:-1], rows.iloc[:0], pd.concat([rows, rows.iloc[-1:]]), rows.iloc[::-1]):
        with pytest.raises(UserError, match="predictions do not have the rows"):
            merged([{**tables, "predictions": other}], splits, tmp_path)


def test_stacks_give_what_single_trainings_give(features, splits, whole, monkeypatch):
    monkeypatch.setattr(train, "TOGETHER", {"cpu": 5})
    found = train_part(features, "made", splits, PAPER, 0, engine="torch")
    names = [name for name in whole.predictions.columns if not name.startswith("prob_")]
    probabilities = [name for name in whole.predictions.columns if name.startswith("prob_")]
    pd.testing.assert_frame_equal(found.predictions[names], whole.predictions[names])
    np.testing.assert_allclose(found.predictions[probabilities], whole.predictions[probabilities], atol=1e-5)
    pd.testing.assert_frame_equal(found.losses, whole.losses, rtol=0, atol=1e-5)
    pd.testing.assert_frame_equal(found.trainings, whole.trainings, rtol=0, atol=1e-5)
    assert (found.times["cpu_s"] > 0).all()


def test_torch_repeats_the_share_of_mlps_that_was_asked_and_the_smallest(features, splits):
    plan = resolve(splits, features.keys)
    material = train.Material(pd.DataFrame(), None, plan[0].key)

    def repeated(**options):
        run = TrainingRun("radiomics", PAPER, **options)
        return [split.key for split in plan if train.is_verified(run, material, split)]

    everything = [split.key for split in plan]
    assert repeated(verify=1.0) == everything
    assert repeated(verify=1e-9) == [plan[0].key]
    assert repeated(verify=0.0) == repeated(verify=1.0, classifier="logistic_regression") == []
    share = len(repeated(verify=0.3)) / len(plan)
    assert 0.05 < share < 0.7


def test_a_leaking_scaler_is_given_all_other_rows_and_none_else(features, splits):
    split = resolve(splits, features.keys)[0]
    material = train.Material(features.keys, None, split.key)
    run = TrainingRun("radiomics", PAPER)
    assert len(train.fold_of(run, material, split).beyond) == 0
    leaking = train.fold_of(run, material, dataclasses.replace(split, ablation="leaking_scaler"))
    own = {*split.training, *split.validation, *split.test}
    assert set(leaking.beyond) == set(range(len(features.keys))) - own


def test_other_classifiers_train_the_cells_of_table_7_alone(features, splits):
    about = train_part(features, "radiomics", splits, PAPER, 0, "logistic_regression").trainings
    most = len(SCANNERS) - 1
    trained = {scheme: set(rows["n_train"]) for scheme, rows in about.groupby("scheme")}
    assert trained == {"loso": {1, most}, "kfold": {2}}
