"""All scores of a method beside `none`: predictions that are written out, and tables whose controls are known."""

import numpy as np
import pandas as pd
import pytest
from tests.leaderboard_data import MAKERS, centred_by, feature_table, means_by, replaced, shuffled, values_of

from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED
from ct4bench.core.tables import read_table, write_table
from ct4bench.leaderboard import score
from ct4bench.leaderboard.accuracies import NO_SUCH, NOT_TRAINED
from ct4bench.leaderboard.rank import METHOD_COLUMNS, make_leaderboard
from ct4bench.leaderboard.score import (
    NOT_GIVEN,
    SCORE_COLUMNS,
    FeatureSet,
    compared_rows,
    measure_features,
    score_features,
    score_method,
    score_predictions,
)
from ct4bench.leaderboard.score_list import read_scores
from ct4bench.splits.adaptation import rows_tested
from ct4bench.splits.plan import plan_tasks
from ct4bench.splits.splits import SPLIT_COLUMNS, TRAINING_KEY, resolve, sorted_keys
from ct4bench.splits.tasks import COMPARED_TASKS, HALF, Plan
from ct4bench.stability.icc import icc_summary, icc_table


def predictions(right, scheme="loso", n_train=2, task="tissue", seed=0) -> pd.DataFrame:
    """Ten rows of each scanner, of which the share `right[scanner]` is right."""
    rows = []
    for scanner, share in right.items():
        for number in range(10):
            told = "cyst" if number < round(10 * share) else "normal"
            rows.append((task, "radiomics", "mlp", "default", scheme, n_train, scanner, f"{scanner}{number // 5}",
                         "cyst1", number % 5, f"{scanner}_{number // 5}", scanner, MAKERS[scanner], "cyst",
                         told))  # fmt: skip
    columns = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold", "series_uid", "roi", "patch"]
    return pd.DataFrame(rows, columns=[*columns, "scan_id", "scanner", "maker", "target", "predicted"])


NO_SPLITS = pd.DataFrame(columns=SPLIT_COLUMNS)


def one(scores, score, part="whole", unit=""):
    found = scores[(scores["score"] == score) & (scores["part"] == part) & (scores["unit"] == unit)]
    assert len(found) == 1, found
    return found.iloc[0]


def test_accuracies_are_of_scanners_and_their_mean():
    own, none = predictions({"A1": 0.9, "B1": 0.5}), predictions({"A1": 0.6, "B1": 0.6})
    found = score_predictions(own, none)
    assert list(found) == SCORE_COLUMNS
    whole = one(found, "tissue_n2")
    assert (whole["value"], whole["value_none"], whole["n_rows"]) == (pytest.approx(0.7), pytest.approx(0.6), 20)
    assert one(found, "tissue_n2", "of", "B1")["value"] == 0.5
    assert one(found, "tissue_n1")["reason"] and np.isnan(one(found, "tissue_n1")["value"])


def test_none_is_taken_on_the_rows_that_the_method_was_tested_on():
    own, none = predictions({"A1": 0.9, "B1": 0.5}), predictions({"A1": 0.6, "B1": 0.6})
    half = own[own["scan_id"].str.endswith("_1")]
    found = score_predictions(half, none)
    # rows 5 to 9 of each: of none one is right (the sixth), of the method four and none
    assert one(found, "tissue_n2", "of", "A1")[["value", "value_none"]].tolist() == [0.8, 0.2]
    assert one(found, "tissue_n2", "of", "B1")[["value", "value_none"]].tolist() == [0.0, 0.2]


def test_what_a_fold_leaves_out_is_the_unit():
    """Two scanners of one maker share its training: they counted as two, and so did all scanners of a region's fold."""
    own = predictions({"A1": 0.9, "A2": 0.7, "B1": 0.2}, "leave_one_out", 1, "tissue_other_maker")
    regions = predictions({"A1": 0.9, "A2": 0.7, "B1": 0.2}, "leave_one_out", 2, "tissue_other_roi")
    regions["roi"] = np.where(regions["patch"] < 2, "cyst1", "cyst2")
    both = pd.concat([own, regions])
    found = score_predictions(both, both)
    of = found[found["part"] == "of"].groupby("score")[["unit", "value"]].agg(list)
    assert of.loc["tissue_other_maker", "unit"] == ["Philips", "Siemens"]
    assert of.loc["tissue_other_maker", "value"] == pytest.approx([0.2, 0.8])
    assert one(found, "tissue_other_maker")["value"] == pytest.approx(0.5)
    # of rows 0, 1, 5 and 6 of each scanner 4, 4 and 2 are right, of the others 5, 3 and 0
    assert of.loc["tissue_other_roi", "unit"] == ["cyst1", "cyst2"]
    assert of.loc["tissue_other_roi", "value"] == pytest.approx([10 / 12, 8 / 18])
    methods = pd.DataFrame([("none", "control", "feature", "inductive", "")], columns=METHOD_COLUMNS)
    units = make_leaderboard(found.assign(method="none"), methods).set_index("score")["ci_unit"]
    assert (units["tissue_other_maker"], units["tissue_other_roi"], units["tissue_n2"]) == ("maker", "roi", "scanner")


def test_what_none_has_and_the_method_lacks_was_asked_for():
    none = pd.concat([predictions({"A1": 0.6, "B1": 0.6}, n_train=n) for n in (1, 2)])
    found = score_predictions(none[none["n_train"] == 2], none)
    assert {name: one(found, name)["reason"] for name in ("tissue_n1", "tissue_tenfold", "tissue_area")} == {
        "tissue_n1": NOT_TRAINED, "tissue_tenfold": NO_SUCH, "tissue_area": NOT_TRAINED}  # fmt: skip


def test_the_largest_n_is_that_of_none():
    """The largest N of a method that lacks some stood beside a larger one of `none`."""
    none = pd.concat([predictions({"A1": 0.6, "B1": 0.6}, n_train=n) for n in (1, 2, 4)])
    found = score_predictions(none[none["n_train"] < 4], none)
    assert one(found, "tissue_n_most")["reason"] == NOT_TRAINED and one(found, "tissue_n2")["value"] == 0.6


def test_other_classifiers_and_ablations_do_not_count():
    own = predictions({"A1": 1.0, "B1": 1.0})
    more = own.assign(classifier="svm", predicted="normal")
    found = score_predictions(pd.concat([own, more]), pd.concat([own, more]))
    assert one(found, "tissue_n2")["value"] == 1.0


def test_area_is_by_trapezoids():
    sizes = {1: 0.4, 2: 0.6, 4: 1.0}
    own = pd.concat([predictions({"A1": share, "B1": share}, n_train=n) for n, share in sizes.items()])
    whole = one(score_predictions(own, own), "tissue_area")
    assert whole["value"] == pytest.approx((0.5 + 2 * 0.8) / 3)
    assert whole["reason"] == "from N = 1, 2, 4 alone"


def test_an_unbalanced_target_has_its_score():
    own, none = predictions({"A1": 0.9, "B1": 0.5}), predictions({"A1": 0.6, "B1": 0.6})
    found = score_predictions(own, none, unbalanced=predictions({"A1": 0.3, "B1": 0.3}), none_unbalanced=none)
    assert one(found, "tissue_unbalanced")["value"] == pytest.approx(0.3)


@pytest.fixture(scope="module")
def table():
    return feature_table(n_features=6, shift=3.0, doses=(1, 10), n_repetitions=2, n_patches=3, dose_step=0.5)


@pytest.fixture(scope="module")
def scores(table):
    """Whole scores of `none`, of what removes shifts, and of controls."""
    base = score_features(table, table, "x")
    tables = {
        "none": table, "centred": centred_by(table, "scanner"), "tissue_means": means_by(table, "tissue"),
        "shuffled_all": shuffled(table), "shuffled_tissue": shuffled(table, "tissue"),
    }  # fmt: skip
    found = {name: score_features(own, table, "x", of_none=base) for name, own in tables.items()}
    return {name: own[own["part"] == "whole"].set_index("score")["value"] for name, own in found.items()}


def test_every_score_of_features_is_there(scores):
    expected = [name for name, score in read_scores().items() if score.level == "features"]
    assert sorted(scores["none"].index) == sorted(expected)
    assert scores["none"].notna().all()


def test_controls_lie_at_their_ends(scores):
    """What pins 0 and 1 in the list of scores is what the controls do."""
    both = ["domain_linear", "domain_nonlinear", "maker_linear", "maker_nonlinear", "variance_explained", "mixing"]
    for name in both:
        better = 1 if read_scores()[name].direction == "higher" else -1
        gain = better * (scores["shuffled_tissue"][name] - scores["none"][name])
        kept = better * (scores["centred"][name] - scores["none"][name])
        assert gain > 0 and kept > 0.5 * gain, name
    assert scores["tissue_means"]["icc_2_1"] == pytest.approx(1) and scores["shuffled_all"]["icc_2_1"] < 0.1
    assert scores["centred"]["icc_2_1"] > scores["none"]["icc_2_1"] + 0.1
    assert scores["tissue_means"]["discriminability"] == pytest.approx(0.5, abs=0.15)
    assert scores["tissue_means"]["content"] < 1e-9 and scores["centred"]["content"] == pytest.approx(1)
    assert scores["tissue_means"]["verbatim"] == 1 and scores["centred"]["verbatim"] == 0
    assert scores["tissue_means"]["repeatability"] < 1e-9
    assert scores["none"]["dose_direction"] == pytest.approx(1) and scores["none"]["dose_size"] == pytest.approx(1)


def test_the_mean_icc_is_that_of_the_paper_s_table(table, scores):
    summary = icc_summary(icc_table(table, "x")).set_index(["form", "stratum"])["icc_mean"]
    assert scores["none"]["icc_2_1"] == pytest.approx(summary["ICC(2,1)", "all"], rel=1e-12)
    assert scores["none"]["icc_3_1"] == pytest.approx(summary["ICC(3,1)", "all"], rel=1e-12)


def test_units_of_features_do_not_move_scores(table, scores):
    scale = np.logspace(-6, 6, 6)
    own = measure_features(replaced(table, 3 + scale * values_of(table)), table)
    for name, found in own.items():
        assert found.whole == pytest.approx(scores["none"][name], abs=0.02), name


def test_order_of_rows_and_columns_is_no_matter(table):
    names = list(table.columns)
    other = table.sample(frac=1, random_state=3)[names[:10] + names[:9:-1]]
    pd.testing.assert_frame_equal(score_features(other, table, "x"), score_features(table, table, "x"))


def test_nothing_differs_from_itself(table):
    """What is drawn over rows was drawn over those of none in another order: trees told 0.396 beside 0.405."""
    mixed = table.sample(frac=1, random_state=5, ignore_index=True)
    own = mixed[["series_uid", "roi", "patch", "scan_id", "scanner"]].assign(
        task="tissue", extractor="x", classifier="mlp", ablation="default", scheme="loso", n_train=2, fold="A1",
        target=mixed["tissue"], predicted="cyst",
    )  # fmt: skip
    found = score_method([FeatureSet("x", mixed, mixed)], own, NO_SPLITS, own, "scanner", 0, unfitted=True)
    known = found[found["value"].notna()]
    assert set(known["score"]) > {"tissue_n2", "domain_nonlinear", "mixing", "verbatim", "icc_2_1"}
    assert (known["value"] == known["value_none"]).all(), known[known["value"] != known["value_none"]]


def test_none_is_measured_once_for_all_methods_of_its_rows(table, tmp_path, monkeypatch):
    """Read back from its scores.csv to the last bit; of other rows it is measured anew."""
    small = table[table["patch"] == 0]
    own = predictions({"A1": 0.9, "B1": 0.5})
    tested = small[rows_tested(small, "scanner", 0)]
    measured = []
    monkeypatch.setattr(score, "measure_features", lambda *a: measured.append(len(a[0])) or measure_features(*a))

    def scores_of(apart, unfitted=False, of_none=None):
        sets = [FeatureSet("x", small if unfitted else centred_by(small, "scanner"), small, apart)]
        measured.clear()
        return score_method(sets, own, NO_SPLITS, own, "scanner", 0, unfitted, of_none)

    write_table(scores_of(None, unfitted=True), tmp_path / "scores.csv")
    assert measured == [len(small), len(tested)]
    of_none = read_table(tmp_path / "scores.csv", SCORE_COLUMNS)
    for n_rows, n_measured in ((len(tested), 2), (len(tested) - 1, 3)):
        apart = centred_by(tested, "scanner").sample(n_rows, random_state=0)
        alone = scores_of(apart)
        assert len(measured) == 4
        beside = scores_of(apart, of_none=of_none)
        assert len(measured) == n_measured
        pd.testing.assert_frame_equal(beside, alone, check_exact=True)


@pytest.fixture(scope="module")
def planned():
    """Keys of which one scanner alone has the reconstruction DL, and what is planned for methods that adapt or not."""
    keys = feature_table(n_features=1, n_repetitions=3, n_patches=1, recons=("FBP", "IR", "DL"))
    keys = sorted_keys(keys[(keys["recon"] != "DL") | (keys["scanner"] == "G1")])
    plans = {
        given: plan_tasks(
            Plan(keys, CORRECTED, sizes=(2,), adaptation=given), ["all"], ["none"], all_cells=False, of=COMPARED_TASKS
        )[0]
        for given in (None, 0, 1, HALF)
    }
    return keys, plans


def answers(splits, keys):
    """Each test row once for each of its trainings, as predictions have them."""
    parts = [
        keys.iloc[split.test][["series_uid", "roi", "patch", "scan_id", "scanner"]].assign(
            extractor="radiomics", classifier="mlp", target="cyst", predicted="cyst",
            **dict(zip(TRAINING_KEY, split.key, strict=True)),
        )
        for split in resolve(splits, keys)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_every_method_is_compared_on_the_same_rows(planned):
    """Of a fold that trains on DL, which one scanner has, other scanners are targets; their halves were taken from the
    methods that adapt alone, so that `none` was 0.731 beside one method and 0.808 beside another."""
    keys, plans = planned
    key = [*TRAINING_KEY, "series_uid", "roi", "patch"]
    found = {}
    for given, splits in plans.items():
        rows = compared_rows(answers(splits, keys), splits, keys, "scanner", 0)
        found[given] = set(rows.loc[rows["ablation"] == "default", key].itertuples(index=False, name=None))
    assert found[None] == found[0] == found[1] == found[HALF]
    # by hand: of the fold DL the tested half of the others, of the folds FBP and IR all rows
    tested = rows_tested(keys, "scanner", 0)
    by_fold = {
        "DL": int(((keys["recon"] != "DL") & (tested | (keys["scanner"] == "G1"))).sum()),
        "FBP": int((keys["recon"] != "FBP").sum()), "IR": int((keys["recon"] != "IR").sum()),
    }  # fmt: skip
    counts = {fold: sum(row[0] == "tissue_other_recon" and row[4] == fold for row in found[None]) for fold in by_fold}
    assert counts == by_fold and by_fold["DL"] < (keys["recon"] != "DL").sum()


def test_what_no_fold_makes_has_no_value_with_one_tissue_in_the_target(table):
    """A method of images showed its N = 2 value there: it had mapped whole volumes, with all tissues."""
    own = predictions({"A1": 0.9, "B1": 0.5})
    both = pd.concat([own, own.assign(ablation="one_tissue")], ignore_index=True)
    splits = pd.DataFrame([("tissue", "one_tissue", "loso", 2, "A1", "scanner", "A1", "test")], columns=SPLIT_COLUMNS)
    found = {
        unfitted: score_method([FeatureSet("radiomics", table, table)], both, splits, own, "scanner", 0, unfitted)
        for unfitted in (True, False)
    }
    assert one(found[True], "tissue_unbalanced")["reason"] == NOT_GIVEN
    assert np.isnan(one(found[True], "tissue_unbalanced")["value"])
    assert one(found[False], "tissue_unbalanced")["value"] == pytest.approx(0.7)


def test_other_rows_or_features_are_refused(table):
    with pytest.raises(UserError, match="other rows"):
        score_features(table[1:], table, "x")
    with pytest.raises(UserError, match="other features"):
        score_features(table.rename(columns={"f0": "g"}), table, "x")


def test_what_is_not_finite_has_its_reason(table):
    values = values_of(table)
    values[3, 2] = np.nan
    found = score_features(replaced(table, values), table, "x")
    assert (found["reason"] == "a feature is not finite").all() and found["value"].isna().all()
