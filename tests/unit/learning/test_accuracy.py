import numpy as np
import pandas as pd
import pytest
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
    return table.assign(series_uid=[f"1.2.{i % 3}" for i in range(len(table))])


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


def test_loso_interval_is_the_plain_bootstrap_of_the_folds(rng):
    rows = cell(rng, right=rng.uniform(0.5, 1, 13))
    folds = accuracy.fold_accuracies(rows)["accuracy"].to_numpy()
    found = accuracy.accuracy_by_cell(rows, n_draws=20000).iloc[0]
    drawn = rng.choice(folds, (20000, 13)).mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose([found["accuracy_ci_low"], found["accuracy_ci_high"]], expected, atol=0.01)
    assert found["accuracy_ci_low"] < found["accuracy_mean"] < found["accuracy_ci_high"]


def test_kfold_interval_is_of_scanners_not_of_rows(rng):
    # Half of the scanners are always wrong: the folds hardly differ, the scanners do.
    rows = cell(rng, "kfold", 9, [str(i) for i in range(1, 11)], right=1.0, n=520)
    wrong = rows["scanner"].isin([f"S{i:02d}" for i in range(6)])
    rows.loc[wrong, "predicted"] = "metastasis"
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_sd"] < 1e-9
    assert found["accuracy_mean"] == pytest.approx(7 / 13)
    half_width = 1.96 * np.sqrt(6 / 13 * 7 / 13 / 13)
    assert found["accuracy_ci_high"] - found["accuracy_ci_low"] == pytest.approx(2 * half_width, rel=0.2)


def test_each_scanner_drawn_once_gives_the_mean_over_folds(rng):
    for scheme, folds in (("loso", None), ("kfold", [str(i) for i in range(10)])):
        rows = cell(rng, scheme, folds=folds, n=52, right=0.7)
        n, right = accuracy._cube(accuracy.counts(rows), "scanner")
        plain, balanced = accuracy.resampled_means(n, right, np.ones((1, 13)))
        folds = accuracy.fold_accuracies(rows)
        assert plain[0] == pytest.approx(folds["accuracy"].mean())
        assert balanced[0] == pytest.approx(folds["balanced_accuracy"].mean())


def test_one_scanner_has_no_interval_and_one_fold_no_sd(rng):
    found = accuracy.accuracy_by_cell(cell(rng, folds=["A"]), "scanner").iloc[0]
    assert np.isnan(found["accuracy_sd"])
    assert np.isnan(found["accuracy_ci_low"])


def test_rows_of_one_scanner_are_drawn_by_scan(rng):
    rows = cell(rng, "kfold", folds=["1", "2"]).assign(scanner="A1")
    rows = rows.assign(scan_id=[f"A1_10mGy_{i % 5:02d}" for i in range(len(rows))])
    found = accuracy.accuracy_by_cell(rows).iloc[0]
    assert found["accuracy_ci_low"] < found["accuracy_mean"] < found["accuracy_ci_high"]
    expected = accuracy.accuracy_by_cell(rows, "scan_id").iloc[0]
    pd.testing.assert_series_equal(found, expected)


def test_changes_are_differences_of_the_same_draws(rng):
    base = cell(rng, right=rng.uniform(0.2, 1, 13))
    same = base.assign(ablation="leaking_scaler")
    found = accuracy.changes(same, base).iloc[0]
    for what in ("accuracy", "balanced"):
        assert [found[f"{what}_change{end}"] for end in ("", "_ci_low", "_ci_high")] == [0, 0, 0]
    wrong = (base["fold"] == "S03") & (base.groupby("fold").cumcount() < 13)
    worse = same.assign(predicted=base["predicted"].mask(wrong, "none"))
    found = accuracy.changes(worse, base).iloc[0]
    lost = (wrong & (base["predicted"] == base["target"])).sum() / 40 / 13
    assert found["accuracy_change"] == pytest.approx(-lost)
    assert found["accuracy_change_ci_low"] < -lost < found["accuracy_change_ci_high"] == 0


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
    assert found["loso_1_scanner_balanced_mean"] == cells.loc[("loso", 1), "balanced_mean"]


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
