"""Why a method has no result: the first reason, wherever it stands in the files of a run."""

import pandas as pd
import pytest

from ct4bench.core.contract import columns_of
from ct4bench.leaderboard.accuracies import NOT_TRAINED
from ct4bench.leaderboard.assemble import WITHOUT_SCORES, ending_of, read_methods, read_scores
from ct4bench.leaderboard.score import NOT_APART, SCORE_COLUMNS
from ct4bench.splits.fold import NOT_TRIED

NEEDS = "needs 2 training domains, and has 1"
LEFT_OUT = f"{NOT_TRIED} (fit B1)"


def write(folder, **tables):
    """A method's folder of the rows of its tables; columns that are not named are blank."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        columns = columns_of(f"<method>/{name}.csv")
        pd.DataFrame(rows).reindex(columns=columns).to_csv(folder / f"{name}.csv", index=False)
    return folder


def score(name, value="", reason="", fit="fold"):
    return dict(zip(SCORE_COLUMNS, ("radiomics", name, fit, "whole", "", value, value, 10, reason), strict=True))


def untrained(n_train, fold, status, reason, scheme="loso", classifier="mlp"):
    return {"task": "tissue", "extractor": "radiomics", "classifier": classifier, "ablation": "default",
            "scheme": scheme, "n_train": n_train, "fold": fold, "status": status, "reason": reason}  # fmt: skip


def fit(name, status, reason):
    return {"extractor": "radiomics", "fit": name, "status": status, "reason": reason}


def reasons(folder):
    methods = pd.DataFrame({"method": [folder.name]})
    return read_scores(methods, folder.parent).set_index("score")["reason"].to_dict()


def test_a_score_without_trainings_has_the_reason_of_the_trainings(tmp_path):
    scores = [score("tissue_n1", reason=NOT_TRAINED), score("tissue_n2", 0.9), score("tissue_n_most", 0.9),
              score("tissue_area", 0.9, "from N = 2, 4 alone")]  # fmt: skip
    folder = write(tmp_path / "combat", scores=scores, untrained=[
        untrained(1, "A1", "not applicable", NEEDS), untrained(2, "A1", "failed", "of another", classifier="svm"),
    ])  # fmt: skip
    assert reasons(folder) == {
        "tissue_n1": f"not applicable: {NEEDS}", "tissue_n2": "", "tissue_n_most": "",
        "tissue_area": f"from N = 2, 4 alone; not applicable: {NEEDS}",
    }  # fmt: skip


def test_the_first_failure_is_told_and_not_that_others_were_left_out(tmp_path):
    """Rows come by their key, so that the one that failed need not be the first."""
    folder = write(
        tmp_path / "mine",
        scores=[score("tissue_n2", reason=NOT_TRAINED), score("icc_2_1", reason=NOT_APART, fit="apart")],
        untrained=[untrained(2, "A1", "failed", LEFT_OUT), untrained(2, "B1", "failed", "ValueError: rough")],
        harmonization=[
            fit("all", "harmonized", ""), fit("A1", "failed", "KeyError: calm"), fit("B1", "failed", LEFT_OUT),
        ],
    )  # fmt: skip
    assert ending_of(folder) == "failed: ValueError: rough (N = 2, B1 left out)"
    assert reasons(folder) == {
        "tissue_n2": "failed: ValueError: rough", "icc_2_1": "failed: KeyError: calm (fit without A1)",
    }  # fmt: skip


def test_images_have_no_feature_set_in_their_reason(tmp_path):
    folder = write(tmp_path / "image", harmonization=[fit("all", "failed", "it ended") | {"extractor": ""}])
    assert ending_of(folder) == "failed: it ended"
    folder = write(tmp_path / "pooled", scores=[score("icc_2_1", reason=NOT_APART, fit="apart")], harmonization=[
        fit(name, *outcome) | {"extractor": ""} for name, outcome in
        {"all": ("harmonized", ""), "A1": ("harmonized", ""), "B1": ("failed", "it ended")}.items()
    ])  # fmt: skip
    assert reasons(folder) == {"icc_2_1": "failed: it ended (fit without B1)"}


@pytest.mark.parametrize("known", [True, False])
def test_what_a_leak_is_shown_by_has_the_reason_of_its_method(tmp_path, known):
    if known:
        write(tmp_path / "combat", harmonization=[fit("all", "failed", "rough")])
    table = pd.DataFrame({"method": ["none", "combat", "combat.leaky"], "role": ["control", "method", "leaky"]})
    table.reindex(columns=columns_of("methods.csv")).to_csv(tmp_path / "declared.csv", index=False)
    found = read_methods(tmp_path / "declared.csv", tmp_path).set_index("method")["reason"]
    assert found["combat.leaky"] == (
        f"{WITHOUT_SCORES}, as combat has no features (failed: rough (features radiomics))"
        if known
        else f"{WITHOUT_SCORES}, as combat has no features ({WITHOUT_SCORES})"
    )
