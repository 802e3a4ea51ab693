"""The first screen: its sentences are computed from the tables, and say on what data."""

import math

import numpy as np
import pandas as pd
import pytest

from ct4bench.report.answers import (
    added,
    answer_picture,
    answers,
    before_and_after,
    data_words,
    method_answer,
    stable_share,
    told_of,
)

FACTS = {
    "origin": "synthetic", "part": "4 series", "n_series": 4, "scanners": ["A1", "B1"], "doses_mgy": [3.0, 10.0],
    "domain": "scanner",
    "weights": {"deep": {"status": "random", "words": "seeded", "file": "", "sha256": ""}},
    "extractors": {name: {"title": title, "colour": colour, "classified": True, "paper": True, "marker": "o"}
                   for name, title, colour in (("deep", "Deep", "#111111"), ("radiomics", "Radiomics", "#222222"))},
}  # fmt: skip


def tables():
    triangle = pd.DataFrame(
        {"scanner_row": ["A1", "B1", "B1"], "scanner_col": ["A1", "A1", "B1"], "rmse_hu_mean": [6.0, 31.25, 8.0]}
    )
    steps = pd.DataFrame(
        [("other_recon", 4.0, np.nan, ""), ("other_dose", 10.0, 6.0, "other_recon"), ("other_maker", 9.0, -1.0, "x"),
         ("other_scanner", 60.0, 50.0, "other_dose")],
        columns=["contrast", "mse_hu2_median", "increment_hu2", "increment_over"],
    )  # fmt: skip
    seven = pd.DataFrame([
        {"features": "Deep", "extractor": "deep", "icc_form": "ICC(3,1)", "icc_mean": 0.9, "icc_2_1_mean": 0.5,
         "icc_2_1_ci_low": 0.4, "icc_2_1_ci_high": 0.625, "loso_1_scanner_acc_mean": 0.25},
        {"features": "Radiomics", "extractor": "radiomics", "icc_form": "ICC(2,1)", "icc_mean": 0.75,
         "icc_ci_low": 0.7, "icc_ci_high": 0.8, "loso_1_scanner_acc_mean": 0.8125, "loso_1_scanner_acc_ci_low": 0.8,
         "loso_1_scanner_acc_ci_high": 0.875},
    ])  # fmt: skip
    grades = pd.DataFrame(
        [("radiomics", "ICC(2,1)", "estimate", 0.1, 0.2, 0.3, 0.4), ("radiomics", "ICC(2,1)", "lower end", 1, 0, 0, 0),
         ("radiomics", "ICC(3,1)", "estimate", 0, 0, 0, 1)],
        columns=["extractor", "form", "judged_by", "poor", "moderate", "good", "excellent"],
    )  # fmt: skip
    return {
        "table3_rmse_hu": triangle, "decomposition": steps, "table7_stability_classification": seven,
        "stability_grades": grades,
    }  # fmt: skip


def test_the_sentences_have_the_tables_numbers():
    image, feature, classifier = answers(tables(), FACTS)
    assert "differ by 31.2 HU between two scanners (RMSE, one pair of scanners)" in image.text
    assert "by 7.0 HU between two scans of one" in image.text  # the median of 6 and 8
    assert image.text.endswith("another scanner of the maker 50.0, the dose 6.0 and the reconstruction 4.0.")
    assert "0.750 [0.700 to 0.800] for Radiomics, 70 % of them" in feature.text
    assert "0.500 [0.400 to 0.625] for Deep (random weights)" in feature.text and "0.900" not in feature.text
    # what is told first is of trained features, though others stand before them
    assert "With Radiomics the tissue is known on an unseen scanner, trained on 1: 0.812 [0.800 to" in classifier.text
    assert {name for answer in (image, feature, classifier) for name in answer.tables} == set(tables())


def test_only_steps_that_add_something_are_named_the_largest_first():
    assert added(tables()["decomposition"]) == [("other_scanner", 50.0), ("other_dose", 6.0), ("other_recon", 4.0)]


OWN = {
    "name": "Water", "main_region": "oil",
    "regions": [{"name": "oil", "class": "fat"}, {"name": "pool", "class": "water"}],
}  # fmt: skip


def test_of_two_scans_no_share_of_a_cause_is_told():
    """Two scans of two scanners are one contrast, whose own median is all there is: nothing adds to anything."""
    found = tables()
    found["table3_rmse_hu"] = found["table3_rmse_hu"].iloc[[1]]
    steps = pd.DataFrame(
        [("other_recon", np.nan, np.nan, ""), ("other_dose", np.nan, np.nan, ""), ("other_maker", 976.5, np.nan, "")],
        columns=["contrast", "mse_hu2_median", "increment_hu2", "increment_over"],
    )
    found["decomposition"] = steps
    image = answers(found, FACTS)[0]
    said = "differ by 31.2 HU between two scanners (RMSE, one pair of scanners)."
    assert image.text == f"Images of the same object {said}"
    assert image.tables == ("table3_rmse_hu",)
    assert "What makes images differ" not in str(answer_picture(found, FACTS))
    # where all but one of the steps add nothing, they are named
    found["decomposition"] = pd.DataFrame(
        [("other_repetition", 320.0, np.nan, ""), ("other_maker", 240.0, -80.0, "other_repetition")],
        columns=steps.columns,
    )
    text = answers(found, FACTS)[0].text
    assert text.endswith(
        "in HU\N{SUPERSCRIPT TWO}: a repeated scan (noise) 320.0, to which another maker adds nothing."
    )
    # of scans that were not repeated, what the first of two steps adds is with their noise
    found["decomposition"] = pd.concat([
        pd.DataFrame([("other_scanner", 400.0, np.nan, "")], columns=steps.columns),
        steps.iloc[2:].assign(increment_hu2=576.5, increment_over="other_scanner"),
    ])  # fmt: skip
    text = answers(found, FACTS)[0].text
    assert text.endswith("another maker 576.5 and another scanner of the maker, noise included 400.0.")


def test_of_a_phantom_of_ones_own_classes_are_known():
    facts = FACTS | {"origin": "other", "phantom": OWN}
    assert data_words(facts).startswith("On a phantom of your own, Water: 4 series")
    assert "tissue" not in " ".join(answer.text for answer in answers(tables(), facts))
    assert "tissue" not in str(answer_picture(tables(), facts))
    assert "Accuracy of the class" in str(answer_picture(tables(), facts))


@pytest.mark.parametrize("left_out", sorted(tables()))
def test_a_run_that_lacks_a_table_says_what_it_can(left_out):
    rest = {name: frame for name, frame in tables().items() if name != left_out}
    found = answers(rest, FACTS)
    assert found and all(set(answer.tables) <= set(rest) for answer in found)
    assert answer_picture(rest, FACTS)
    assert answers({}, FACTS) == [] and answer_picture({}, FACTS) is None


def test_the_share_of_stable_features_is_that_of_estimates_by_agreement():
    assert math.isclose(stable_share(tables()["stability_grades"], "radiomics"), 0.7)
    assert stable_share(tables()["stability_grades"], "deep") is None


@pytest.mark.parametrize(
    ("origin", "start"),
    [("synthetic", "On synthetic data: 4 series of 2 scanners at 3 and 10 mGy"),
     ("collection", "On real data: 4 series"), ("other", "On other data than the collection's"),
     ("mixed", "On data of mixed origin"), ("unknown", "On features")],
)  # fmt: skip
def test_the_first_words_say_on_what_data(origin, start):
    assert data_words({**FACTS, "origin": origin}).startswith(start)


def test_where_all_weights_are_untrained_the_first_is_told_of():
    assert told_of(["deep"], FACTS) == "deep" and told_of(["deep", "radiomics"], FACTS) == "radiomics"


def test_the_picture_says_its_values_in_words_and_on_hover():
    drawn = str(answer_picture(tables(), FACTS))
    assert drawn.count('<svg class="chart" role="img"') == 3
    assert "Radiomics: 0.750 [0.700 to 0.800]" in drawn
    assert 'fill="#222222" data-tip="Radiomics: 0.812' in drawn and "style=" not in drawn


def test_before_and_after_have_the_values_of_both():
    after = tables()
    after["table7_stability_classification"] = after["table7_stability_classification"].assign(
        icc_mean=[0.9, 0.875], loso_1_scanner_acc_mean=[0.25, 0.9375]
    )
    found = before_and_after(after, tables(), {**FACTS, "method": "mine"})
    assert "RMSE between two scanners 31.2 HU before, 31.2 HU after" in found["text"]
    assert "Radiomics 0.750 before, 0.875 after" in found["text"]
    drawn = str(found["picture"])
    assert "on an unseen scanner, trained on 1 0.812 before, 0.938 after" in drawn and "method mine" in drawn
    assert before_and_after({}, tables(), {**FACTS, "method": "mine"}) is None


def test_accuracies_before_and_after_are_of_the_same_rows():
    """The tables of `none` are of all trainings and all scans; a method may lack some, as its scores know."""
    rows = [("radiomics", "tissue_other_recon", "fold", "whole", "", 0.924, 0.965),
            ("radiomics", "tissue_other_recon", "fold", "of", "A1", 0.9, 0.96),
            ("radiomics", "tissue_other_recon", "fold", "of", "B1", 0.948, 0.97),
            ("radiomics", "tissue_n1", "fold", "whole", "", np.nan, np.nan)]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["extractor", "score", "fit", "part", "unit", "value", "value_none"])
    drawn = str(before_and_after(tables(), tables(), {**FACTS, "method": "mine"}, scores)["picture"])
    assert "Tissue, any other reconstruction 0.965 before, 0.924 after" in drawn
    assert "N = 1" not in drawn and "trained on 1" not in drawn


def test_the_method_that_helps_is_the_first_of_its_level_with_what_is_sure_of_it():
    rows = [
        ("radiomics", "none", "inductive", np.nan, 0.5, 0.0, np.nan, np.nan, np.nan, ""),
        ("radiomics", "mine", "inductive", 1, 0.75, 0.25, 0.125, 0.375, 0.004, "helps"),
        ("radiomics", "worse", "inductive", 2, 0.625, 0.125, 0.0, 0.25, 0.04, ""),
        ("radiomics", "seen", "transductive", 1, 0.9, 0.4, 0.3, 0.5, 0.01, ""),
        ("deep", "other", "inductive", 1, 0.99, 0.4, 0.3, 0.5, 0.01, ""),
    ]
    names = ["extractor", "method", "information", "rank", "raw", "difference", "difference_ci_low",
             "difference_ci_high", "p_holm", "verdict"]  # fmt: skip
    scores = pd.DataFrame(rows, columns=names).assign(score="tissue_n2")
    found = method_answer(scores, {"mine": "My method"}, FACTS)
    assert "Of 3 ranked with Radiomics" in found.text and "other" not in found.text and "worse" not in found.text
    assert (
        "My method (inductive) 0.750, +0.250 [+0.125 to +0.375] to none, p = 0.004 (Holm), helps; by seen" in found.text
    )
    assert method_answer(scores.assign(rank=np.nan), {}, FACTS) is None
