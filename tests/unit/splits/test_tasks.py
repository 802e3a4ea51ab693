import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from learning_data import keys_table

from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.learning.mlp_sizes import MAX_CLASSES
from ct4bench.learning.other_classifiers import CLASSIFIERS
from ct4bench.splits import tasks
from ct4bench.splits.plan import plan_splits, plan_tasks, several
from ct4bench.splits.splits import TRAINING_KEY, resolve, sorted_keys
from ct4bench.splits.tasks import ABLATIONS, CHEAP_TASKS, TASKS, Plan, cells_of_table7, choices

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def keys():
    return sorted_keys(keys_table(repetitions=2, patches=3))


def trainings(table):
    return table[table["n_train"] > 0].drop_duplicates(TRAINING_KEY)


def test_the_papers_plan_has_246_trainings(keys):
    table = plan_splits(Plan(keys, PAPER))
    counts = trainings(table).groupby("scheme").size()
    assert counts.to_dict() == {"kfold": 90, "loso": 156}
    assert set(table["role"]) == {"train", "test", "member"}
    assert set(table.loc[table["role"] == "member", "unit_kind"]) == {"row"}


def test_corrected_has_validation_and_folds_of_scans(keys):
    table = plan_splits(Plan(keys, CORRECTED))
    assert len(trainings(table)) == 246
    assert "validation" in set(table["role"])
    assert set(table.loc[table["role"] == "member", "unit_kind"]) == {"scan_id"}


def test_the_demo_of_one_scan_a_scanner_can_be_planned_in_both_modes():
    keys = sorted_keys(keys_table(patches=2))
    for mode in (PAPER, CORRECTED):
        assert len(resolve(plan_splits(Plan(keys, mode)), keys)) == 246


def test_cells_of_table_7(keys):
    table = trainings(plan_splits(Plan(keys, PAPER), all_cells=False))
    assert table.groupby(["scheme", "n_train"]).size().to_dict() == {
        ("kfold", 9): 10,
        ("loso", 1): 13,
        ("loso", 12): 13,
    }


def test_each_ablation_changes_one_choice():
    for mode in (PAPER, CORRECTED):
        base = choices(mode, "default")
        for name, changes in ABLATIONS.items():
            changed = choices(mode, name)
            for field in ("fold_unit", "early_stopping", "balanced", "scaler_rows"):
                if field not in changes:
                    assert getattr(changed, field) == getattr(base, field)
    with pytest.raises(UserError, match="ablation nonsense is not one of"):
        choices(PAPER, "nonsense")


def test_ablations_of_all_leave_out_what_the_mode_does_anyway(keys):
    for mode, left_out in ((PAPER, {"row_folds", "all_epochs"}), (CORRECTED, {"scan_folds", "early_stopping"})):
        splits, asked_for = plan_tasks(Plan(keys, mode), ["none"], ["all"], all_cells=False)
        assert set(splits["ablation"]) == set(ABLATIONS) - left_out
        without = asked_for[asked_for["n_trainings"] == 0]
        assert set(without["ablation"]) == left_out
        assert set(without["reason"]) == {f"what mode {mode.name} does anyway"}
        assert (asked_for.loc[asked_for["n_trainings"] > 0, "reason"] == "").all()


def test_more_classes_than_the_perceptron_has_are_not_asked_for(keys):
    assert tasks.MOST_CLASSES == MAX_CLASSES
    many = pd.concat([keys.assign(scanner=keys["scanner"] + i, scan_id=keys["scan_id"] + i) for i in "ab"])
    with pytest.raises(tasks.NotAnswerable, match="16 classes apart at most"):
        plan_splits(Plan(many.reset_index(drop=True), PAPER), ["scanner"])


def test_folds_of_scans_need_enough_of_them():
    few = sorted_keys(keys_table(["A1", "C1"], repetitions=2, patches=1))
    splits, asked_for = plan_tasks(Plan(few, PAPER), ["default"], ["default"])
    reasons = asked_for.set_index(["task", "ablation"])["reason"]
    for place in (("tissue", "scan_folds"), ("maker", "default"), ("scanner", "default")):
        assert reasons[place] == "10 folds of whole scans need as many scans, the features have 4"
    assert set(splits["ablation"]) == {"default"}
    with pytest.raises(UserError, match="ablation scan_folds cannot be trained: 10 folds of whole scans"):
        plan_tasks(Plan(few, PAPER), ["none"], ["scan_folds"])


def test_mode_corrected_does_without_folds_where_scans_are_too_few():
    few = sorted_keys(keys_table(["A1", "C1"], repetitions=2, patches=1))
    splits, asked_for = plan_tasks(Plan(few, CORRECTED), ["none"], ["default"])
    assert set(splits.loc[splits["ablation"] == "default", "scheme"]) == {"loso"}
    assert set(splits.loc[splits["ablation"] == "row_folds", "scheme"]) == {"kfold"}
    own = asked_for.set_index("ablation").loc["default"]
    assert own["n_trainings"] == 2
    assert own["reason"] == "10 folds of whole scans need as many scans, the features have 4"
    splits, asked_for = plan_tasks(Plan(few, CORRECTED), ["none"], ["unbalanced"])
    assert set(splits.loc[splits["ablation"] == "unbalanced", "scheme"]) == {"loso"}
    assert asked_for.set_index("ablation").loc["unbalanced", "reason"] == own["reason"]
    one = Plan(sorted_keys(keys_table(["A1"], patches=1)), CORRECTED)
    with pytest.raises(UserError, match="Table 7 cannot be trained: leave-one-out over scanner .* have A1; 10 folds"):
        plan_tasks(one, ["none"], ["none"])


def test_a_ablation_of_the_folds_leaves_loso_alone(keys):
    table = plan_splits(Plan(keys, PAPER), ablations=["scan_folds"], all_cells=False)
    assert set(table["scheme"]) == {"kfold"}
    table = plan_splits(Plan(keys, PAPER), ablations=["leaking_scaler"], all_cells=False)
    assert set(table["scheme"]) == {"kfold", "loso"}


def test_the_papers_own_trainings_are_there_whatever_is_asked(keys):
    own = plan_splits(Plan(keys, PAPER))
    for asked in ("none", "default", "all"):
        splits, _ = plan_tasks(Plan(keys, PAPER), [asked], [asked])
        mine = splits[(splits["task"] == "tissue") & (splits["ablation"] == "default")].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, own)


def test_second_opinions_train_the_cells_of_table_7(keys):
    splits, _ = plan_tasks(Plan(keys, PAPER), ["tissue_other_roi", "maker"], ["all"])
    chosen = cells_of_table7(trainings(splits)[TRAINING_KEY].itertuples(index=False, name=None))
    counts = pd.Series([(task, scheme, n) for task, _, scheme, n, _ in chosen]).value_counts().to_dict()
    assert counts == {
        ("tissue", "loso", 1): 13, ("tissue", "loso", 12): 13, ("tissue", "kfold", 9): 10,
        ("tissue_other_roi", "leave_one_out", 2): 2,
    }  # fmt: skip
    assert {ablation for _, ablation, *_ in chosen} == {"default"}


def test_parameters_allow_the_names_that_there_are():
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    rules = {name: rule for group in groups for name, rule in group["properties"].items()}
    for parameter, names in (
        ("tasks", set(TASKS) - {"tissue"}), ("ablations", set(ABLATIONS) - {"default"}),
        ("other_classifiers", set(CLASSIFIERS)),
    ):  # fmt: skip
        rule = rules[parameter]
        for good in (*names, "all", "none", ",".join(sorted(names))):
            assert re.fullmatch(rule["pattern"], good), (parameter, good)
        for bad in ("", "nonsense", "all,none", "roi,", "tissue"):
            assert not re.fullmatch(rule["pattern"], bad), (parameter, bad)
        assert all(name in rule["description"] for name in names)


def test_ablations_share_the_trainings_scanners(keys):
    table = plan_splits(Plan(keys, PAPER), ablations=["default", "leaking_scaler"], all_cells=False)
    one, other = (table[table["ablation"] == name].drop(columns="ablation") for name in ("default", "leaking_scaler"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_other_roi_never_tests_an_object_that_it_trained_on(keys):
    one, other = resolve(plan_splits(Plan(keys, PAPER), ["tissue_other_roi"]), keys)
    rois = keys["roi"].to_numpy()
    assert one.fold == "cyst1+normal1"
    assert (set(rois[one.test]), set(rois[one.training])) == ({"cyst1", "normal1"}, {"cyst2", "normal2"})
    assert (set(rois[other.test]), set(rois[other.training])) == ({"cyst2", "normal2"}, {"cyst1", "normal1"})
    assert one.n_train == other.n_train == 2


def test_other_maker_tests_all_scanners_of_a_maker(keys):
    found = resolve(plan_splits(Plan(keys, PAPER), ["tissue_other_maker"]), keys)
    makers = keys["maker"].to_numpy()
    assert [split.fold for split in found] == ["GE", "Philips", "Siemens", "Toshiba"]
    for split in found:
        assert set(makers[split.test]) == {split.fold}
        assert len(split.training) + len(split.test) == len(keys)
        assert split.fold not in makers[split.training]
        assert split.n_train == len(set(makers[split.training])) == 3


def test_other_dose_and_recon_train_on_one_and_test_on_the_others():
    keys = sorted_keys(keys_table(["A1", "E2"], doses=(1.0, 10.0), patches=1))
    for task, column, values in (
        ("tissue_other_dose", "dose_mgy", ["1", "10"]),
        ("tissue_other_recon", "recon", ["DL", "FBP", "IR"]),
    ):
        found = resolve(plan_splits(Plan(keys, PAPER), [task]), keys)
        assert [split.fold for split in found] == values
        text = keys[column].map(lambda value: value if isinstance(value, str) else f"{value:g}").to_numpy()
        for split in found:
            assert set(text[split.training]) == {split.fold}
            assert set(text[split.test]) == set(values) - {split.fold}
            assert split.n_train == 1


@pytest.mark.parametrize("task", ["scanner", "maker"])
def test_origin_is_learned_in_folds_of_whole_scans(keys, task):
    found = resolve(plan_splits(Plan(keys, PAPER), [task]), keys)
    assert len(found) == 10
    scans = keys["scan_id"].to_numpy()
    for split in found:
        assert not set(scans[split.training]) & set(scans[split.test])
        assert set(keys[task].to_numpy()[split.test]) <= set(keys[task].to_numpy()[split.training])


def test_inside_leaves_out_the_patches_that_reach_out(keys):
    patches = keys[["roi", "tissue", "patch"]].drop_duplicates()
    patches["share_inside"] = np.where(patches["patch"] == 0, 0.7, 1.0)
    found = resolve(plan_splits(Plan(keys, PAPER, patches=patches, share_inside=1.0), ["tissue_inside"]), keys)
    assert len(found) == 36
    for split in found:
        assert set(keys["patch"].to_numpy()[np.concatenate([split.training, split.test])]) == {1, 2}
    looser = resolve(plan_splits(Plan(keys, PAPER, patches=patches, share_inside=0.6), ["tissue_inside"]), keys)
    assert len(looser[0].training) > len(found[0].training)


def test_what_the_features_cannot_answer_is_an_error_where_it_is_asked_for_by_name(keys):
    for task, reason in (
        ("tissue_inside", "needs --patches"),
        ("tissue_other_dose", "all rows have the dose_mgy 10"),
    ):
        with pytest.raises(UserError, match=f"question {task} cannot be answered: .*{reason}"):
            plan_tasks(Plan(keys, PAPER), [task])
    with pytest.raises(UserError, match="task nonsense is not one of"):
        plan_tasks(Plan(keys, PAPER), ["nonsense"])
    with pytest.raises(UserError, match="ablation nonsense is not one of"):
        plan_tasks(Plan(keys, PAPER), ["none"], ["nonsense"])
    one_scan = sorted_keys(keys_table(patches=1))
    with pytest.raises(UserError, match="has one scan only"):
        plan_tasks(Plan(one_scan, PAPER), ["scanner"])
    outside = keys[["roi", "tissue", "patch"]].drop_duplicates().assign(share_inside=0.4)
    with pytest.raises(UserError, match="fewer than two tissues"):
        plan_tasks(Plan(keys, PAPER, patches=outside), ["tissue_inside"])
    few = keys[keys["scanner"].isin(keys["scanner"].unique()[:3])].groupby(["scanner", "tissue"]).head(1)
    with pytest.raises(UserError, match=r"only \d+ rows .* too few for 10 folds"):
        plan_tasks(Plan(few, PAPER, patches=outside.assign(share_inside=1.0)), ["tissue_inside"])


@pytest.mark.parametrize(("asked", "names"), [("all", set(TASKS)), ("default", {"tissue", *CHEAP_TASKS})])
def test_what_cannot_be_answered_is_left_out_with_its_reason(keys, asked, names):
    splits, asked_for = plan_tasks(Plan(keys, PAPER), [asked], ["none"], all_cells=False)
    assert set(splits["task"]) == names - {"tissue_inside", "tissue_other_dose"}
    assert set(asked_for["task"]) == names
    reasons = asked_for.set_index("task")["reason"]
    assert reasons["tissue_other_dose"] == "all rows have the dose_mgy 10"
    assert "--patches" in reasons["tissue_inside"]
    counts = trainings(splits).groupby("task").size()
    assert (asked_for.set_index("task")["n_trainings"].loc[counts.index] == counts).all()


@pytest.mark.parametrize("schemes", [(), ("loso", "tenfold")])
def test_unknown_schemes_are_an_error(keys, schemes):
    with pytest.raises(UserError, match="give one or both of loso,kfold"):
        plan_splits(Plan(keys, PAPER, schemes=schemes))


def test_features_of_one_tissue_are_an_error(keys):
    with pytest.raises(UserError, match="of one tissue"):
        plan_splits(Plan(keys[keys["tissue"] == "cyst"].reset_index(drop=True), PAPER))


def test_every_task_says_what_it_asks():
    assert all(task.description and task.target for task in tasks.TASKS.values())


def test_a_name_given_twice_counts_once():
    assert several(["roi", "roi", "maker"], ["roi", "maker"], []) == (["roi", "maker"], True)
    assert several(["all", "all"], ["roi", "maker"], []) == (["roi", "maker"], False)
