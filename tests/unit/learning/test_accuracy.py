import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.learning import accuracy

PUBLISHED = [
    "loso_1_scanner_acc_mean", "loso_1_scanner_acc_sd", "loso_12_scanners_acc_mean", "loso_12_scanners_acc_sd",
    "tenfold_13_scanners_acc_mean", "tenfold_13_scanners_acc_sd",
]  # fmt: skip


def cell(rng, scheme="loso", n_train=1, folds=None, right=0.8, n=40, **fields):
    """Predictions of one cell; `right` is the share, or one for each fold."""
    folds = folds or [f"S{i:02d}" for i in range(13)]
    shares = np.broadcast_to(right, len(folds))
    tables = []
    for fold, share in zip(folds, shares, strict=True):
        target = np.array(["cyst", "normal", "cyst", "hemangioma"] * (n // 4))
        predicted = np.where(rng.random(n) < share, target, "metastasis")
        scanner = fold if scheme == "loso" else [f"S{i % 13:02d}" for i in range(n)]
        tables.append(pd.DataFrame({"fold": fold, "scanner": scanner, "target": target, "predicted": predicted}))
    base = {"task": "tissue", "extractor": "radiomics", "classifier": "mlp", "ablation": "default"}
    table = pd.concat(tables, ignore_index=True).assign(**base | fields, scheme=scheme, n_train=n_train)
    number = np.arange(len(table))
    uids, rois = (
        [f"1.2.{i % 3}" for i in number],
        [f"{t}{i // 4 % 2}" for t, i in zip(table["target"], number, strict=True)],
    )
    return table.assign(series_uid=uids, scan_id=table["scanner"].astype(str) + "_10mGy_01", roi=rois)


def test_accuracies_of_a_fold_by_hand():
    target = ["cyst", "cyst", "cyst", "normal"]
    predicted = ["cyst", "cyst", "normal", "cyst"]
    rows = pd.DataFrame({"target": target, "predicted": predicted, "fold": "A1", "scanner": "A1", "n_train": 1})
    rows = rows.assign(task="tissue", extractor="x", classifier="mlp", ablation="default", scheme="loso")
    found = accuracy.fold_accuracies(rows).iloc[0]
    assert (found["n"], found["n_right"], found["accuracy"]) == (4, 2, 0.5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 0) / 2)


def test_mean_and_sd_are_over_folds(rng):
    rows = cell(rng, folds=["A", "B", "C"], right=[1.0, 1.0, 0.0])
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_mean"] == pytest.approx(2 / 3)
    assert found["accuracy_sd"] == pytest.approx(np.std([1, 1, 0], ddof=1))
    assert (found["n_folds"], found["n_rows"]) == (3, 120)


def test_loso_interval_is_the_t_interval_of_the_scanners_on_the_logits_scale(rng):
    rows = cell(rng, right=rng.uniform(0.5, 1, 13))
    folds = accuracy.fold_accuracies(rows)["accuracy"].to_numpy()
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    mean, half = folds.mean(), stats.t.ppf(0.975, 12) * stats.sem(folds)
    ends = special.expit(special.logit(mean) + np.array([-1, 1]) * half / (mean * (1 - mean)))
    np.testing.assert_allclose([found["accuracy_ci_low"], found["accuracy_ci_high"]], ends)
    assert (found["ci_unit"], found["n_ci_units"], found["n_rois"]) == ("scanner", 13, 6)


def test_regions_are_a_source_of_their_own(rng):
    """Every scanner is alike and one region of six is wrong: nothing is known of scanners, much of regions."""
    rows = cell(rng, right=1.0, n=48)
    rows["roi"] = rows["target"] + (rows.groupby(["fold", "target"]).cumcount() % 2).astype(str)
    rows.loc[rows["roi"] == "cyst1", "predicted"] = "normal"
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_mean"] == pytest.approx(0.75)
    assert np.isnan([found[f"{m}_ci_{end}"] for m in ("accuracy", "balanced") for end in ("low", "high")]).all()
    assert 0 < found["accuracy_roi_ci_low"] < 0.4 and 0.9 < found["accuracy_roi_ci_high"] < 1


def test_folds_of_1_and_of_a_half_have_no_interval_over_scanners_that_are_alike(rng):
    """0.750 (0.750 to 0.750) for two folds of regions that all scanners answer alike, 1.0 and 0.5."""
    rows = cell(rng, "leave_one_out", 2, ["cyst1+normal1", "cyst2+normal2"], right=1.0, n=52, task="tissue_other_roi")
    rows = rows[rows["target"].isin(["cyst", "normal"])].assign(scanner=[f"S{i % 13}" for i in range(78)])
    rows["roi"] = rows["target"] + rows["fold"].str[4]
    rows.loc[rows["roi"] == "normal2", "predicted"] = "cyst"
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    assert np.isnan(found["balanced_ci_low"]) and np.isnan(found["balanced_ci_high"])
    assert found["balanced_roi_ci_low"] < 0.1 and found["balanced_roi_ci_high"] > 0.99
    # All 24 orders of four regions: half a right, all right or all wrong.
    assert found["chance"] == pytest.approx(0.5) and found["chance_high"] >= 0.75


def guess(rng, scans_of, predicted, rows_of_scan=60, task="maker"):
    """Predictions of folds of one scan each; `scans_of` are the scans of each maker."""
    makers = [maker for maker, n in scans_of.items() for _ in range(n)]
    rows = [cell(rng, "kfold", 9, [str(i)], n=rows_of_scan, task=task) for i in range(len(makers))]
    table = pd.concat(rows, ignore_index=True).assign(target=np.repeat(makers, rows_of_scan))
    names = np.repeat([f"S{i:02d}" for i in range(len(makers))], rows_of_scan)
    return table.assign(scanner=names, scan_id=names + "_10mGy_01", predicted=predicted)


def test_guessing_one_maker_scores_chance_where_folds_hold_one_maker_each(rng):
    """Mean recalls of folds that hold a maker or two would be 6 / 13 for who says Siemens always."""
    rows = guess(rng, {"Siemens": 6, "Philips": 2, "GE": 3, "Toshiba": 2}, "Siemens")
    assert accuracy.fold_accuracies(rows)["balanced_accuracy"].mean() == pytest.approx(6 / 13)
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["balanced_accuracy"] == 0.25
    assert found["chance"] == pytest.approx(0.25) and found["chance_high"] == pytest.approx(0.25)


@pytest.mark.parametrize("task", ["maker", "tissue", "which_recon"])
def test_permutations_have_the_mean_and_the_spread_of_theory(rng, task):
    """Blocks of equal size: recalls are means of draws without replacement of the blocks' shares of the class."""
    scans = {"Siemens": 12, "Philips": 12, "GE": 12}
    rows = guess(rng, scans, rng.choice(["Siemens", "Philips", "GE", "?"], 36 * 60, p=[0.5, 0.2, 0.2, 0.1]), task=task)
    rows["roi"] = "cyst1"
    found = accuracy.chance(rows, seed=4, n_permutations=20_000)
    shares = pd.crosstab(rows["scan_id"], rows["predicted"], normalize="index")[sorted(scans)].to_numpy()
    assert found["chance"] == pytest.approx(shares.sum() / 36 / 3, abs=2e-4)
    # Hoeffding 1951: the sum of a matrix's entries over a random permutation.
    entries = np.repeat(shares, 12, axis=1) / 12 / 3
    centred = entries - entries.mean(axis=0) - entries.mean(axis=1, keepdims=True) + entries.mean()
    sd = np.sqrt((centred**2).sum() / 35)
    assert found["chance_high"] == pytest.approx(found["chance"] + stats.norm.ppf(0.95) * sd, rel=0.01)


def test_permutations_are_seeded_and_keep_rows_of_a_scan_together(rng):
    scans = {"Siemens": 5, "Philips": 4, "GE": 4}
    rows = guess(rng, scans, np.repeat(rng.choice(list(scans), 13), 60))
    assert accuracy.chance(rows, seed=1) == accuracy.chance(rows.sample(frac=1, random_state=2), seed=1)
    assert accuracy.chance(rows, seed=1) != accuracy.chance(rows, seed=2)
    # One answer for each scan: as uncertain as thirteen rows, not as thirteen times sixty.
    few = rows.groupby("scan_id", as_index=False).first()
    assert accuracy.chance(few, seed=1) == accuracy.chance(rows, seed=1)
    apart = rows.assign(scan_id=[f"{i:04d}" for i in range(len(rows))])
    assert accuracy.chance(apart, seed=1)["chance_high"] < accuracy.chance(rows, seed=1)["chance_high"] - 0.1


def test_kfold_interval_is_of_scanners_not_of_rows(rng):
    # Half of the scanners are always wrong: the folds hardly differ, the scanners do.
    rows = cell(rng, "kfold", 9, [str(i) for i in range(1, 11)], right=1.0, n=520)
    wrong = rows["scanner"].isin([f"S{i:02d}" for i in range(6)])
    rows.loc[wrong, "predicted"] = "metastasis"
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_sd"] < 1e-9
    assert found["accuracy_mean"] == pytest.approx(7 / 13)
    half_width = stats.t.ppf(0.975, 12) * np.sqrt(6 / 13 * 7 / 13 / 12)
    ends = special.expit(special.logit(7 / 13) + np.array([-1, 1]) * half_width / (7 / 13 * 6 / 13))
    assert [found["accuracy_ci_low"], found["accuracy_ci_high"]] == pytest.approx(list(ends), abs=0.01)


def test_scores_are_the_mean_over_folds_and_the_recalls_of_all_folds_together(rng):
    for scheme, folds in (("loso", None), ("kfold", [str(i) for i in range(10)])):
        rows = cell(rng, scheme, folds=folds, n=52, right=rng.uniform(0.3, 1, len(folds or range(13))))
        rows = rows[(rows["fold"] != "S03") | (rows["target"] == "cyst")]
        plain, balanced = accuracy.scores(*accuracy._cube(accuracy.counts(rows, "scanner"), "scanner"))
        assert plain == pytest.approx(accuracy.fold_accuracies(rows)["accuracy"].mean())
        right = rows["target"] == rows["predicted"]
        assert balanced == pytest.approx(right.groupby(rows["target"]).mean().mean())


def test_one_scanner_has_no_interval_and_one_fold_no_sd(rng):
    found = accuracy.accuracy_by_cell(cell(rng, folds=["A"])).iloc[0]
    assert np.isnan(found["accuracy_sd"])
    assert np.isnan(found["accuracy_ci_low"])


def test_rows_of_one_scanner_are_drawn_by_scan(rng):
    rows = cell(rng, "kfold", folds=["1", "2"]).assign(scanner="A1")
    rows = rows.assign(scan_id=[f"A1_10mGy_{i % 5:02d}" for i in range(len(rows))])
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_ci_low"] < found["accuracy_mean"] < found["accuracy_ci_high"]
    assert (found["ci_unit"], found["n_ci_units"]) == ("scan", 5)


def test_makers_are_the_unit_where_makers_are_left_out(rng):
    rows = cell(rng, "leave_one_out", 3, ["GE", "Philips", "Toshiba"], right=[0.9, 0.5, 0.7], task="tissue_other_maker")
    rows = rows.assign(maker=rows["fold"], scanner=[f"S{i % 7}" for i in range(len(rows))])
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert (found["ci_unit"], found["n_ci_units"]) == ("maker", 3)
    assert accuracy.accuracy_by_cell(rows.assign(task="tissue"), "maker").iloc[0]["ci_unit"] == "maker"
    assert accuracy.accuracy_by_cell(rows.assign(task="tissue")).iloc[0]["ci_unit"] == "scanner"


def test_changes_leave_the_same_scanner_out_of_both(rng):
    base = cell(rng, right=rng.uniform(0.2, 1, 13))
    same = base.assign(ablation="leaking_scaler")
    found = accuracy.changes(same, base).iloc[0]
    assert [found[f"{what}_change"] for what in ("accuracy", "balanced")] == [0, 0]
    assert np.isnan([found["accuracy_change_ci_low"], found["balanced_change_roi_ci_high"]]).all()
    wrong = rng.random(len(base)) < 0.2
    worse = same.assign(predicted=base["predicted"].mask(wrong, "none"))
    found = accuracy.changes(worse, base).iloc[0]
    pairs = [accuracy.fold_accuracies(rows)["accuracy"].to_numpy() for rows in (worse, base)]
    expected = stats.ttest_rel(*pairs).confidence_interval()
    assert found["accuracy_change"] == pytest.approx(np.mean(pairs[0] - pairs[1]))
    ends = [found["accuracy_change_ci_low"], found["accuracy_change_ci_high"]]
    assert ends == pytest.approx(list(expected))
    # Far narrower than the interval of either.
    alone = accuracy.accuracy_by_cell(base).iloc[0]
    assert np.ptp(ends) < 0.5 * (alone["accuracy_ci_high"] - alone["accuracy_ci_low"])


def test_a_cell_that_the_base_lacks_has_no_change(rng):
    found = accuracy.changes(cell(rng, ablation="unbalanced"), cell(rng, n_train=2)).iloc[0]
    assert np.isnan(found["accuracy_change"]) and found["accuracy_mean"] > 0.5


def test_left_out_has_the_folds_with_the_most_data(rng):
    rows = pd.concat(
        [cell(rng, n_train=1, folds=["A", "B"], right=0.0), cell(rng, n_train=12, folds=["A", "B"], right=[1.0, 0.0])]
    )
    found = accuracy.left_out(rows)
    assert list(found["left_out"]) == ["A", "B"] and list(found["accuracy"]) == [1.0, 0.0]
    assert set(found["n_train"]) == {12} and set(found["n_rows"]) == {40}


def whole_table(rng, extractors=("swin_unetr", "radiomics", "mine"), n_scanners=13):
    folds = [f"S{i:02d}" for i in range(n_scanners)]
    return pd.concat(
        cell(rng, *place, extractor=extractor)
        for extractor in extractors
        for place in (
            ("loso", 1, folds),
            ("loso", n_scanners - 1, folds),
            ("kfold", 1, ["1", "2"]),
            ("kfold", 9, ["1", "2"]),
        )
    )


def test_table_7_has_the_papers_columns_and_order(rng):
    found = accuracy.table7_classification(whole_table(rng))
    assert list(found["features"]) == ["Radiomics", "SwinUNETR", "mine"]
    published = pd.read_csv(ROOT / "assets" / "published" / "table7_stability_classification.csv")
    assert [name for name in published.columns if "_acc_" in name] == PUBLISHED
    assert set(PUBLISHED) <= set(found.columns)
    assert (found["loso_1_scanner_acc_n"] == 13).all()
    assert (found["tenfold_13_scanners_acc_n"] == 2).all()


def test_table_7_takes_the_cells_of_the_largest_training(rng):
    rows = whole_table(rng, ["radiomics"])
    rows.loc[(rows["scheme"] == "kfold") & (rows["n_train"] == 1), "predicted"] = "nothing"
    found = accuracy.table7_classification(rows).iloc[0]
    cells = accuracy.accuracy_by_cell(rows).set_index(["scheme", "n_train"])
    assert found["tenfold_13_scanners_acc_mean"] == cells.loc[("kfold", 9), "accuracy_mean"] > 0.5
    assert found["loso_12_scanners_acc_sd"] == cells.loc[("loso", 12), "accuracy_sd"]
    assert found["loso_1_scanner_balanced_accuracy"] == cells.loc[("loso", 1), "balanced_accuracy"]


def test_table_7_says_how_many_scanners_there_were(rng):
    found = accuracy.table7_classification(cell(rng, n_train=3, folds=list("ABCD")))
    assert "loso_3_scanners_acc_mean" in found.columns
    assert "loso_12_scanners_acc_mean" not in found.columns


def test_table_7_of_nothing_is_an_error(rng):
    with pytest.raises(UserError, match="none of svm, default"):
        accuracy.table7_classification(cell(rng), classifier="svm")


def test_confusion_counts_every_row_once(rng):
    rows = pd.concat([cell(rng), cell(rng, extractor="mine")])
    found = accuracy.confusion(rows)
    assert found["n"].sum() == len(rows)
    one = found[(found["extractor"] == "mine") & (found["target"] == "cyst")]
    assert one["share"].sum() == pytest.approx(1)
    right = one.loc[one["predicted"] == "cyst", "n"].item()
    own = rows[(rows["extractor"] == "mine") & (rows["target"] == "cyst")]
    assert right == (own["predicted"] == "cyst").sum()
    assert one.loc[one["predicted"] == "normal", "n"].item() == 0


def test_confusion_of_each_value_left_out_adds_up_to_that_of_all(rng):
    rows = pd.concat([cell(rng, n_train=n) for n in (1, 2, 4)] + [cell(rng, "kfold")])
    found = accuracy.confusion_left_out(rows)
    assert set(found["n_train"]) == {1, 4} and set(found["scheme"]) == {"loso"}  # the fewest and the most
    assert set(found["left_out"]) == set(rows.loc[rows["scheme"] == "loso", "fold"])
    key = ["n_train", "target", "predicted"]
    whole = accuracy.confusion(rows[(rows["scheme"] == "loso") & (rows["n_train"] != 2)])
    pd.testing.assert_series_equal(found.groupby(key)["n"].sum(), whole.set_index(key)["n"].sort_index())
    shares = found.groupby(["n_train", "left_out", "target"])["share"].sum()
    assert np.allclose(shares[shares > 0], 1)
    assert accuracy.confusion_left_out(cell(rng, "kfold")).empty


def test_accuracy_by_value_divides_the_test_rows(rng):
    rows = cell(rng, "one_to_others", folds=["1", "3"], right=1.0)
    series = pd.DataFrame({"series_uid": ["1.2.0", "1.2.1", "1.2.2"], "dose_mgy": [3.0, 10.0, 0.5]})
    rows.loc[rows["series_uid"] == "1.2.1", "predicted"] = "nothing"
    found = accuracy.accuracy_by_value(rows, series, "dose_mgy")
    assert set(zip(found["trained_on"], found["tested_on"], strict=True)) == {
        (a, b) for a in "13" for b in ("3", "10", "0.5")
    }
    assert found.set_index("tested_on")["accuracy"].to_dict() == {"3": 1.0, "10": 0.0, "0.5": 1.0}
    assert found["n_rows"].sum() == len(rows)
    with pytest.raises(UserError, match=r"series 1.2.2 is not in the table"):
        accuracy.accuracy_by_value(rows, series.head(2), "dose_mgy")


def test_ranking_is_within_classifier_and_cell(rng):
    rows = pd.concat(
        cell(rng, extractor=extractor, classifier=classifier, right=share)
        for classifier, shares in (("mlp", (0.9, 0.5)), ("svm", (0.4, 0.8)))
        for extractor, share in zip(("radiomics", "mine"), shares, strict=True)
    )
    found = accuracy.ranking(rows).set_index(["classifier", "extractor"])["rank"].to_dict()
    assert found == {("mlp", "radiomics"): 1, ("mlp", "mine"): 2, ("svm", "radiomics"): 2, ("svm", "mine"): 1}


def test_intervals_repeat(rng):
    rows = cell(rng)
    pd.testing.assert_frame_equal(accuracy.accuracy_by_cell(rows), accuracy.accuracy_by_cell(rows.sample(frac=1)))
