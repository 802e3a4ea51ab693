"""Table 7 and its companions from icc.csv, repeatability.csv and predictions."""

import numpy as np
import pandas as pd
import pytest
from report_data import features_table, series_table

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.extractors import read_extractors
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.report.cells import cells_of, feature_grid
from ct4bench.results.comparison import Inputs, Results
from ct4bench.results.features import NAME, feature_tables, icc_grades, repeatability_summary, stable_words
from ct4bench.results.published import FOLDER, read_published
from ct4bench.stability.icc import icc_table
from ct4bench.stability.repeatability import repeatability_table, stable_features

EXTRACTORS = ("radiomics", "shallow_cnn", "swin_unetr")


def predictions_table(scanners, share_right, extractors=EXTRACTORS):
    """One LOSO fold a scanner for N = 1 and all others, ten folds of ten; every n-th row wrong."""
    rows = []
    for extractor in extractors:
        for scheme, sizes, folds in (("loso", (1, len(scanners) - 1), scanners), ("kfold", (1, 9), range(10))):
            for n in sizes:
                for i, fold in enumerate(folds):
                    for k in range(40):
                        target = ("cyst", "normal", "metastasis", "hemangioma")[k % 4]
                        predicted = target if k < 40 * share_right else "nothing"
                        rows.append(("tissue", extractor, "mlp", "default", scheme, n, str(fold), f"1.{i}", "cyst1", k,
                                     "s", scanners[i % len(scanners)], target, predicted))  # fmt: skip
    columns = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold", "series_uid", "roi", "patch",
               "scan_id", "scanner", "target", "predicted"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def stability():
    features = features_table(series_table())
    icc = [icc_table(features, extractor) for extractor in EXTRACTORS]
    repeatability = [repeatability_table(features, extractor) for extractor in EXTRACTORS]
    return pd.concat(icc, ignore_index=True), pd.concat(repeatability, ignore_index=True)


def made(origin="collection", mode=PAPER, scanners=SCANNERS, **frames):
    results = Results()
    feature_tables(Inputs(series_table(origin, scanners), **frames), mode, FOLDER, results)
    return results


@pytest.fixture(scope="module")
def collection(stability):
    return made(icc=stability[0], repeatability=stability[1], predictions=predictions_table(SCANNERS, 0.75))


def test_table7_has_the_papers_rows_and_columns(collection):
    frame, published = collection.tables[NAME].frame, read_published(NAME)
    assert list(frame["features"]) == list(published["features"])
    assert list(frame.columns[: published.shape[1]]) == list(published.columns)


def test_accuracies_and_their_differences(collection):
    frame = collection.tables[NAME].frame
    published = read_published(NAME)
    for stem in ("loso_1_scanner_acc", "loso_12_scanners_acc", "tenfold_13_scanners_acc"):
        np.testing.assert_allclose(frame[f"{stem}_mean"], 0.75)
        np.testing.assert_allclose(frame[f"{stem}_sd"], 0, atol=1e-12)
        np.testing.assert_allclose(frame[f"{stem}_mean_difference"], 0.75 - published[f"{stem}_mean"], atol=1e-6)
    assert list(frame["loso_12_scanners_acc_n"]) == [13] * 3
    assert list(frame["tenfold_13_scanners_acc_n"]) == [10] * 3


def test_mean_icc_is_that_of_the_clipped_values(collection, stability):
    icc = stability[0]
    own = icc[(icc["extractor"] == "radiomics") & (icc["form"] == "ICC(3,1)") & (icc["stratum"] == "all")]
    row = collection.tables[NAME].frame.set_index("features").loc["Radiomics"]
    assert row["icc_mean"] == pytest.approx(np.clip(own["icc"], 0, 1).mean())
    assert row["icc_sd"] == pytest.approx(np.clip(own["icc"], 0, 1).std(ddof=1))


def test_the_impossible_icc_has_no_difference(collection):
    frame = collection.tables[NAME].frame.set_index("features")
    assert frame.loc["Radiomics", "not_a_target"].startswith("not a target")
    assert np.isnan(frame.loc["Radiomics", "icc_mean_difference"])
    assert np.isfinite(frame.loc["Radiomics", "loso_1_scanner_acc_mean_difference"])
    assert np.isfinite(frame.loc["SwinUNETR", "icc_mean_difference"])


def test_another_form_of_icc_is_not_compared(stability):
    table = made(mode=CORRECTED, icc=stability[0]).tables[NAME]
    assert set(table.frame["icc_form"]) == {"ICC(2,1)"}
    assert table.frame["icc_mean_difference"].isna().all()
    assert any("published mean ICC is ICC(3,1)" in note for note in table.notes)


def test_synthetic_input_claims_no_difference(stability):
    frame = made("synthetic", icc=stability[0], predictions=predictions_table(SCANNERS, 0.75)).tables[NAME].frame
    differences = [column for column in frame.columns if column.endswith("_difference")]
    assert frame[differences].isna().all(axis=None)
    assert set(frame["comparison"]) == {"not comparable: synthetic input"}


def test_another_domain_is_not_compared(stability):
    frame = made(icc=stability[0], domain="dose_mgy").tables[NAME].frame
    differences = [column for column in frame.columns if column.endswith("_difference")]
    assert frame[differences].isna().all(axis=None)
    assert set(frame["comparison"]) == {"not comparable: over the dose, not over scanners"}


def test_what_each_icc_sees_stands_beside_in_both_modes(stability):
    for mode in (PAPER, CORRECTED):
        notes = " ".join(made(mode=mode, icc=stability[0]).tables[NAME].notes)
        assert "does not see a constant offset between scanners" in notes
        assert "overlap" in notes


def test_fewer_scanners_have_columns_of_their_own():
    few = SCANNERS[:4]
    frame = made(scanners=few, predictions=predictions_table(few, 0.5, ["radiomics"])).tables[NAME].frame
    row = frame.set_index("features").loc["Radiomics"]
    assert row["loso_3_scanners_acc_mean"] == pytest.approx(0.5)
    assert np.isnan(row["loso_12_scanners_acc_mean"])
    assert np.isnan(row["loso_12_scanners_acc_mean_difference"])
    assert frame.set_index("features").loc["SwinUNETR", "comparison"] == "not run"
    assert "Accuracy, LOSO, 3 training scanners" in feature_grid(frame)["columns"]


def test_companions_are_made(collection):
    assert {"accuracy_by_n", "confusion", "stability", "stability_by_class", "stability_grades",
            "repeatability_summary", "table7_differences"} <= set(collection.tables)  # fmt: skip
    curves = collection.tables["accuracy_by_n"].frame
    assert set(zip(curves["scheme"], curves["n_train"], strict=True)) == {
        ("loso", 1),
        ("loso", 12),
        ("kfold", 1),
        ("kfold", 9),
    }


def test_the_seed_of_a_run_reaches_what_guessing_scores_and_no_interval():
    rows = predictions_table(SCANNERS, 0.75, ["radiomics"])
    guesses = np.random.default_rng(3).choice(["cyst", "normal", "hemangioma", "metastasis"], len(rows))
    right = np.arange(len(rows)) % 3 > 0
    rows = rows.assign(scan_id=rows["scanner"], predicted=rows["target"].where(right, guesses))
    first, second = (made(predictions=rows, seed=seed).tables for seed in (1, 2))
    one, other = (tables["accuracy_by_n"].frame for tables in (first, second))
    assert (one["chance"] != other["chance"]).all()
    assert one.drop(columns=["chance", "chance_high"]).equals(other.drop(columns=["chance", "chance_high"]))
    assert one["accuracy_ci_low"].notna().all() and first[NAME].frame.equals(second[NAME].frame)


def test_tasks_get_a_table_of_their_own():
    rows = predictions_table(SCANNERS[:3], 1.0, ["radiomics"])
    other = rows[rows["scheme"] == "kfold"].assign(task="maker", target="GE", predicted="GE")
    tables = made(predictions=pd.concat([rows, other], ignore_index=True)).tables
    tasks = tables["accuracy_tasks"].frame
    assert set(tasks["task"]) == {"maker"}
    assert tasks["description"].str.contains("maker").all()
    assert set(tables["accuracy_by_n"].frame["task"]) == {"tissue"}


def test_ablations_left_out_values_and_classifiers_get_tables():
    rows = predictions_table(SCANNERS[:3], 1.0, ["radiomics", "swin_unetr"])
    swin = rows["extractor"] == "swin_unetr"
    worse = rows.assign(predicted=rows["predicted"].mask(swin & (rows["patch"] % 2 == 0), "metastasis"))
    parts = [rows, worse.assign(ablation="leaking_scaler"), worse.assign(classifier="logistic_regression")]
    tables = made(predictions=pd.concat(parts, ignore_index=True)).tables
    ablations = tables["accuracy_ablations"].frame
    assert set(ablations["ablation"]) == {"leaking_scaler"}
    assert ablations["changed"].str.contains("scaler").all()
    assert (ablations.loc[ablations["extractor"] == "radiomics", "accuracy_change"] == 0).all()
    held_out = tables["accuracy_left_out"].frame
    assert set(held_out["left_out"]) == set(SCANNERS[:3]) and set(held_out["scheme"]) == {"loso"}
    classifiers = tables["accuracy_by_classifier"].frame
    ranks = classifiers[classifiers["classifier"] == "logistic_regression"].set_index("extractor")["rank"]
    assert (ranks["radiomics"] == 1).all() and (ranks["swin_unetr"] == 2).all()
    assert set(classifiers.loc[classifiers["classifier"] == "mlp", "rank"]) == {1.5}


def test_what_was_asked_stands_in_a_table():
    asked = pd.DataFrame(
        {"task": ["maker"], "ablation": "default", "description": "?", "n_trainings": 0, "reason": "none"}
    )
    assert made(tasks=asked).tables["tasks"].frame.equals(asked)


def test_table_7_says_what_the_scans_were_too_few_for():
    rows = predictions_table(SCANNERS[:3], 1.0, ["radiomics"])
    few = pd.DataFrame({"task": ["tissue", "tissue"], "ablation": ["default", "scan_folds"], "description": "?",
                        "n_trainings": [6, 0], "reason": ["10 folds need ten scans", "another"]})  # fmt: skip
    notes = made(predictions=rows, tasks=few).tables[NAME].notes
    assert "Left out: 10 folds need ten scans." in notes
    assert not any("another" in note for note in notes)
    assert not any(note.startswith("Left out") for note in made(predictions=rows).tables[NAME].notes)


def test_counts_of_stable_features_say_over_which_rows_and_of_how_many():
    """Of four features one is stable everywhere, two over all rows, one has no ICC."""
    icc = {"icc": [0.99, 0.98, 0.5, np.nan], "ci_low": [0.95, 0.9, 0.2, np.nan]}
    stable = pd.DataFrame({"extractor": "radiomics", **icc, "stable": [True, False, False, False]})
    words = stable_words(stable, read_extractors(), ["all", "recon=FBP", "dose_mgy=3"])
    assert "in every stratum (all rows, FBP, 3 mGy): 1 of 3 of Radiomics (over all rows alone 2)" in words
    assert "1 of Radiomics" in words.split("no ICC")[1]
    whole = stable_words(stable.assign(stable=[True, True, False, False]).iloc[:3], read_extractors(), ["all"])
    assert whole.endswith("interval: 2 of 3 of Radiomics.")


def test_stable_features_say_what_their_icc_and_their_spread_are_of(stability):
    frame = stable_features(*stability)
    text = made(icc=stability[0], repeatability=stability[1], stable_features=frame).tables["stable_features"].text
    assert "means over the patches" in text and "single patches" in text and "in every stratum (all rows" in text
    for share in (0.999, 1.344):
        grid = cells_of("stable_features", frame.head(2).assign(reproducibility_relative=[share, np.nan]))
        at = grid["columns"].index("SD between, of the contrast") - 1
        notes = [row["cells"][at].get("note") for row in grid["rows"]]
        assert notes == ["more than the contrast" if share > 1 else None, None]


def test_nothing_computed_is_said():
    results = made()
    assert not results.tables
    assert set(results.missing) == {NAME, "accuracy_by_n", "stability"}


def test_grades_count_each_feature_once():
    values = [0.0, 0.49, 0.5, 0.74, 0.75, 0.89, 0.9, 1.0, np.nan]
    icc = pd.DataFrame({"extractor": "radiomics", "form": "ICC(3,1)", "stratum": "all", "icc_clipped": values})
    row = icc_grades(icc).iloc[0]
    assert row["n_features"] == 8
    assert [row[grade] for grade in ("poor", "moderate", "good", "excellent")] == [0.25] * 4


def test_repeatability_is_summed_up_by_class(stability):
    frame = repeatability_summary(stability[1])
    own = frame[frame["extractor"] == "radiomics"].set_index("feature_class")
    assert list(own.index) == ["all", "firstorder", "glcm"]
    assert list(own["n_features"]) == [12, 6, 6]
    raw = stability[1][stability[1]["extractor"] == "radiomics"]["discriminability"]
    assert own.loc["all", "discriminability_median"] == pytest.approx(raw.median())


def test_grid_marks_and_shows_both_forms(collection):
    grid = feature_grid(collection.tables[NAME].frame)
    assert grid["columns"][:3] == ["Features", "Mean ICC(3,1)", "Mean ICC(2,1)"]
    assert "mark" in grid["rows"][0]["cells"][0]
    assert "mark" not in grid["rows"][1]["cells"][0]
    assert grid["rows"][0]["cells"][2]["sub"].startswith("0.920")


def recon_predictions(recon_by_scanner) -> pd.DataFrame:
    """tissue_other_recon trained on each reconstruction: right where training and test are FBP or IR, else wrong."""
    rows = []
    values = sorted({recon for recons in recon_by_scanner.values() for recon in recons})
    for fold in values:
        for scanner, recons in recon_by_scanner.items():
            for recon in set(recons) - {fold}:
                predicted = "cyst" if {fold, recon} == {"FBP", "IR"} else "normal"
                rows.append(("tissue_other_recon", "radiomics", "mlp", "default", "one_to_others", 1, fold,
                             f"{scanner}_{recon}", "cyst1", 0, scanner, scanner, "cyst", predicted))  # fmt: skip
    columns = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold", "series_uid", "roi", "patch",
               "scan_id", "scanner", "target", "predicted"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def tables_of_recons(recon_by_scanner):
    series = pd.DataFrame(
        [(f"{scanner}_{recon}", scanner, recon) for scanner, recons in recon_by_scanner.items() for recon in recons],
        columns=["series_uid", "scanner", "recon"],
    ).assign(dose_mgy=10.0, origin="synthetic", maker="Siemens", scan_id="s", repetition=1)
    predictions = pd.concat([predictions_table(SCANNERS[:3], 0.5, ["radiomics"]), recon_predictions(recon_by_scanner)])
    results = Results()
    feature_tables(Inputs(series, predictions=predictions), PAPER, FOLDER, results)
    return results.tables


def test_a_reconstruction_of_one_scanner_has_no_part_in_the_mean_over_reconstructions():
    tables = tables_of_recons({"A1": ["FBP", "IR"], "C1": ["FBP", "IR"], "E2": ["FBP", "IR", "DL"]})
    (row,) = tables["accuracy_tasks"].frame.to_dict("records")
    assert (row["accuracy_mean"], row["n_folds"], row["n_rows"]) == (1.0, 2, 6)
    text = tables["accuracy_tasks"].text
    assert "tissue_other_recon averages over FBP, IR, without DL (1 of 3 scanners), which accuracy_other_recon" in text
    assert set(tables["accuracy_other_recon"].frame["trained_on"]) == {"FBP", "IR", "DL"}


def test_where_scanners_share_no_two_reconstructions_the_mean_says_so():
    tables = tables_of_recons({"A1": ["FBP", "IR"], "C1": ["FBP", "DL"], "E2": ["IR", "DL"]})
    assert tables["accuracy_tasks"].frame["n_folds"].tolist() == [3]
    assert "averages over DL (2 of 3 scanners), FBP (2 of 3 scanners)" in tables["accuracy_tasks"].text


def test_texts_name_what_was_asked_and_left_out_only():
    tables = tables_of_recons({"A1": ["FBP", "IR"], "C1": ["FBP", "IR"]})
    assert "tissue_other_roi" not in tables["accuracy_tasks"].text and "the maker" not in tables["accuracy_tasks"].text
    assert tables["accuracy_tasks"].text.endswith("tissue_other_recon averages over FBP, IR.")
    assert "(scanner left out)" in tables["accuracy_left_out"].text and "ROIs" not in tables["accuracy_left_out"].text
    rows = predictions_table(SCANNERS, 0.5, ["radiomics"])
    text = made(predictions=rows[rows["scheme"] == "loso"]).tables[NAME].text
    assert "(LOSO)" in text and "10-fold" not in text


def test_few_steps_on_one_scanner_are_said():
    """Three rows a scanner are 3 / 1,200 of the published 4,500 steps; 1,200 rows are all of them."""
    rows = predictions_table(SCANNERS[:3], 1.0, ["radiomics"])
    loso = rows[(rows["scheme"] == "loso") & (rows["n_train"] == 1)]
    a_fold = len(loso) / loso["fold"].nunique()
    (note,) = [note for note in made(predictions=rows).tables[NAME].notes if note.startswith("With N = 1")]
    assert f"about {a_fold * 3.75:,.0f} steps" in note and "limited by the number of steps" in note
    many = rows.assign(n_rows=int(1200 / a_fold))
    assert not any(note.startswith("With N = 1") for note in made(predictions=many).tables[NAME].notes)
