"""The three scripts of the classification, as the workflow calls them."""

import numpy as np
import pytest
from learning_data import features_table, keys_table

import merge_predictions
import plan_splits
import train_classifiers
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table, write_table
from ct4bench.harmonization.methods import find_methods, variants_of


@pytest.fixture
def folder(tmp_path):
    keys = keys_table(["A1", "C1", "D1"], patches=2)
    for name, n_features in (("radiomics", 8), ("swin_unetr", 20)):
        write_table(features_table(keys, n_features), tmp_path / f"{name}.parquet")
    return tmp_path


def plan(folder, *options):
    plan_splits.main(
        ["--features", f"{folder}/radiomics.parquet", "--output", f"{folder}/splits.csv", "--folds", "3", *options]
    )


def train(folder, extractor, part, *options):
    name = f"{folder}/{extractor}_{part.replace('/', 'of')}"
    arguments = ["--features", f"{folder}/{extractor}.parquet", "--extractor", extractor, "--part", part]
    arguments += ["--splits", f"{folder}/splits.csv", "--output", f"{name}.predictions.parquet"]
    arguments += ["--trainings", f"{name}.trainings.csv", "--losses", f"{name}.losses.parquet", *options]
    train_classifiers.main(arguments)


def merge(folder, suffix=""):
    arguments = ["--splits", f"{folder}/splits.csv", "--output", f"{folder}/predictions{suffix}.parquet"]
    arguments += ["--merged_trainings", f"{folder}/trainings.csv", "--merged_losses", f"{folder}/losses.parquet"]
    for kind, end in (("predictions", "parquet"), ("trainings", "csv"), ("losses", "parquet")):
        arguments += [f"--{kind}", *map(str, sorted(folder.glob(f"*of*.{kind}.{end}"), reverse=True))]
    merge_predictions.main(arguments)


def test_splits_are_planned_for_what_each_shipped_method_is_given_of_a_target(folder):
    declared = [v.declaration for method in find_methods().values() for v in variants_of(method)]
    given = {str(d.calibration_series) for d in declared if d.information == "calibration"}
    assert "0" in given
    for text in sorted({"half", *given}):
        plan(folder, "--adaptation", text)


def test_from_features_to_merged_predictions_twice_with_the_same_bytes(folder):
    plan(folder)
    for extractor in ("radiomics", "swin_unetr"):
        train(folder, extractor, "1/2")
        train(folder, extractor, "2/2", "--threads", "2", "--domain", "scanner", "--times", f"{folder}/times.csv")
    merge(folder)
    first = {name: (folder / name).read_bytes() for name in ("predictions.parquet", "trainings.csv", "losses.parquet")}
    for path in folder.glob("*of*"):
        path.unlink()
    for extractor in ("radiomics", "swin_unetr"):
        train(folder, extractor, "1/1")
    merge(folder)
    for name, content in first.items():
        assert (folder / name).read_bytes() == content
    predictions = read_table(folder / "predictions.parquet")
    assert predictions.groupby("extractor").size().to_dict() == {"radiomics": 72 * 2 + 72 * 2, "swin_unetr": 288}
    trainings = read_table(folder / "trainings.csv")
    assert len(trainings) == 2 * (3 * 2 + 3 * 2)
    assert trainings["n_steps_verified"].max() > 0
    assert "cpu_s" not in trainings.columns
    assert (read_table(folder / "times.csv")["cpu_s"] > 0).all()


def test_another_dose_as_the_domain(folder):
    keys = keys_table(["A1"], doses=(1.0, 10.0), repetitions=2, patches=1)
    write_table(features_table(keys, 8), folder / "radiomics.parquet")
    plan(folder, "--domain", "dose_mgy")
    train(folder, "radiomics", "1/1", "--domain", "dose_mgy")
    merge(folder)
    predictions = read_table(folder / "predictions.parquet")
    assert set(predictions.loc[predictions["scheme"] == "loso", "fold"]) == {"1", "10"}


def test_user_errors(folder, capsys):
    plan(folder)
    for part in ("half", "3/2", "0/1"):
        with pytest.raises(SystemExit, match="2"):
            train(folder, "radiomics", part)
        assert f"argument --part: '{part}' is not i/n, part i of n; give for example 1/3" in capsys.readouterr().err
    with pytest.raises(UserError, match="--classifier forest is not one of mlp"):
        train(folder, "radiomics", "1/1", "--classifier", "forest")
    train(folder, "radiomics", "1/2")
    with pytest.raises(UserError, match="of 12 trainings are missing"):
        merge(folder)
    table = read_table(folder / "radiomics.parquet")
    table.loc[0, "f03"] = np.nan
    write_table(table, folder / "radiomics.parquet")
    with pytest.raises(UserError, match="radiomics.parquet: feature f03 is missing or infinite in 1 row"):
        train(folder, "radiomics", "1/1")
    write_table(table[table["scanner"] == "A1"], folder / "radiomics.parquet")
    plan(folder)
    assert set(read_table(folder / "splits.csv")["scheme"]) == {"kfold"}
    with pytest.raises(UserError, match="needs two values, the features have A1; 50 folds of whole scans need"):
        plan(folder, "--mode", "corrected", "--folds", "50")


def test_schemes_tasks_and_cells_by_option(folder):
    plan(folder, "--schemes", "loso", "--cells", "table7", "--tasks", "tissue_other_maker", "--ablations", "all")
    splits = read_table(folder / "splits.csv")
    assert set(splits["scheme"]) == {"loso", "leave_one_out"}
    assert set(splits["task"]) == {"tissue", "tissue_other_maker"}
    assert {"leaking_scaler", "unbalanced"} < set(splits["ablation"])


def test_tables_of_other_regions_are_named_before_any_training(folder):
    table = features_table(keys_table(["A1", "C1", "D1"], patches=2), 3)
    write_table(table.assign(roi=table["roi"].replace("cyst1", "cyst9")), folder / "mine.parquet")
    tables = [f"{folder}/{name}.parquet" for name in ("radiomics", "swin_unetr", "mine")]
    words = r"radiomics and mine have not the same rows.*cyst1 \(radiomics\); cyst9 \(mine\)"
    with pytest.raises(UserError, match=words):
        plan_splits.main(["--features", *tables, "--output", f"{folder}/splits.csv"])
