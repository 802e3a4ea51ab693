"""The leaderboard of methods whose scores are known."""

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.contract import columns_of
from ct4bench.leaderboard.accuracies import NO_SUCH, NOT_TRAINED
from ct4bench.leaderboard.rank import (
    METHOD_COLUMNS,
    OUTSIDE_WORDS,
    content_lost,
    make_leaderboard,
    maker_effects,
    titles_of,
)
from ct4bench.leaderboard.score import SCORE_COLUMNS
from ct4bench.leaderboard.score_list import PRIMARY, read_scores
from ct4bench.leaderboard.statistics import CANNOT, HARMS, HELPS, NOT_TOLD, holm, sign_flip_p

SCANNERS = ["A1", "A2", "B1", "B2", "G1", "G2", "C1", "H2", "D1", "E2", "F1", "E1", "H1"]
BASE = dict(zip(SCANNERS, np.linspace(0.6, 0.9, 13), strict=True))
MAKERS = {name: "Siemens" if number < 6 else "GE" for number, name in enumerate(SCANNERS)}


def scores_of(method, change, extractor="radiomics", score=PRIMARY, fit="fold", base=None) -> pd.DataFrame:
    base = base or BASE
    changes = np.broadcast_to(np.asarray(change, float), len(base))
    rows = [(extractor, score, fit, "whole", "", np.mean(list(base.values())) + changes.mean(),
             np.mean(list(base.values())), 100, "")]  # fmt: skip
    rows += [(extractor, score, fit, "of", name, value + step, value, 100, "")
             for (name, value), step in zip(base.items(), changes, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).assign(method=method)


def methods_of(*rows) -> pd.DataFrame:
    return pd.DataFrame([(*row, "")[: len(METHOD_COLUMNS)] for row in rows], columns=METHOD_COLUMNS)


RNG = np.random.default_rng(0)
SMALL = 0.001 * RNG.normal(size=13)
METHODS = methods_of(
    ("none", "control", "feature", "inductive"),
    ("good", "method", "feature", "inductive"),
    ("bad", "method", "feature", "inductive"),
    ("idle", "method", "feature", "inductive"),
    ("seer", "method", "feature", "transductive"),
    ("shuffled", "control", "feature", "inductive"),
    ("tissue_means", "control", "feature", "labels"),
    ("best_of_all", "oracle", "feature", "labels"),
    ("theirs", "outside", "", OUTSIDE_WORDS),
    ("leak", "leaky", "feature", "inductive"),
    ("broken", "method", "feature", "inductive", "failed: it ended by signal 9"),
)
CHANGES = {
    "none": 0, "good": 0.05 + SMALL, "bad": -0.05 + SMALL, "idle": 0.01 * np.sign(SMALL), "seer": 0.08 + SMALL,
    "shuffled": -0.5, "tissue_means": 0.25, "best_of_all": 0.2, "theirs": 0.09 + SMALL, "leak": 0.15,
}  # fmt: skip
SCORES = pd.concat([scores_of(method, change) for method, change in CHANGES.items()], ignore_index=True)


@pytest.fixture(scope="module")
def board():
    return make_leaderboard(SCORES, METHODS).set_index("method")


def test_columns_are_the_contracts(board):
    assert list(board.reset_index()[columns_of("leaderboard.csv")]) == columns_of("leaderboard.csv")
    assert sorted(board.index) == sorted(METHODS["method"])


def test_methods_are_ranked_within_their_level_of_information(board):
    ranked = board[board["rank"].notna()]
    assert sorted(ranked.index) == ["bad", "good", "idle", "seer", "theirs"]
    assert list(ranked.loc[["good", "idle", "bad"], "rank"]) == [1, 2, 3]
    assert board.loc["seer", "rank"] == 1 and board.loc["theirs", "rank"] == 1
    assert list(board.loc[["good", "bad", "idle"], "verdict"]) == [HELPS, HARMS, NOT_TOLD]
    assert board.loc["theirs", "verdict"].startswith("fitted outside")
    assert (board.loc[["good", "bad"], ["rank_low", "rank_high"]].to_numpy() == [[1, 1], [3, 3]]).all()
    for name in ("none", "shuffled", "tissue_means", "best_of_all", "leak"):
        assert board.loc[name, "reason"] == "not ranked: shown beside methods" and board.loc[name, "verdict"] == ""


def test_p_is_of_the_scanners_and_adjusted_for_the_methods_beside(board):
    p = {name: sign_flip_p(np.broadcast_to(CHANGES[name], 13)) for name in ("good", "bad", "idle")}
    assert p["good"] == 2 / 2**13
    assert list(board.loc[list(p), "p"]) == list(p.values())
    assert np.allclose(board.loc[list(p), "p_holm"], holm(np.array(list(p.values()))))
    assert board.loc["seer", "p_holm"] == board.loc["seer", "p"] == 2 / 2**13


def test_differences_and_scale(board):
    assert board.loc["good", "difference"] == pytest.approx(0.05 + SMALL.mean())
    assert board.loc["good", "difference_ci_low"] < 0.05 + SMALL.mean() < board.loc["good", "difference_ci_high"]
    assert board.loc["good", "n_ci_units"] == 13 and board.loc["good", "ci_unit"] == "scanner"
    # 0 is the table shuffled over all rows, 1 the means of tissues
    assert board.loc["none", "scaled"] == pytest.approx(0.5 / 0.75)
    assert board.loc["shuffled", "scaled"] == 0 and board.loc["tissue_means", "scaled"] == 1
    assert board.loc["good", "raw_ci_low"] < board.loc["good", "raw"] < board.loc["good", "raw_ci_high"]


def test_what_has_one_tissue_in_the_target_is_scaled_by_controls_of_the_same_rows():
    """Its controls adapt to nothing, so that they have no such score, and it was never scaled."""
    (row,) = scores_of("seer", -0.1, score="tissue_unbalanced")[:1].to_dict("records")
    found = make_leaderboard(pd.concat([SCORES, pd.DataFrame([row])]), METHODS)
    own = found[found["score"] == "tissue_unbalanced"].iloc[0]
    # shuffled has 0.25, tissue means 1.0, and this 0.65
    assert own["scaled"] == pytest.approx((0.65 - 0.25) / 0.75)


def test_a_failed_method_has_a_row_with_its_reason(board):
    row = board.loc["broken"]
    assert row["reason"] == "failed: it ended by signal 9" and np.isnan(row["raw"]) and np.isnan(row["rank"])
    assert row["score"] == PRIMARY and row["extractor"] == "radiomics"


@pytest.mark.parametrize(
    ("of_method", "of_score", "said"),
    [
        ("not applicable: needs 4 training domains", NO_SUCH, "not applicable: needs 4 training domains"),
        ("not applicable: needs 4 training domains", NOT_TRAINED, "not applicable: needs 4 training domains"),
        ("", NOT_TRAINED, NOT_TRAINED),
        ("not applicable: needs 4 training domains", "from N = 1, 2 alone",
         "not applicable: needs 4 training domains; from N = 1, 2 alone"),
    ],
)  # fmt: skip
def test_of_two_reasons_for_no_training_the_methods_own_is_said(of_method, of_score, said):
    blank = scores_of("idle", np.nan, score="tissue_n1")[:1].assign(reason=of_score)
    methods = methods_of(METHODS.iloc[0], ("idle", "method", "feature", "inductive", of_method))
    board = make_leaderboard(pd.concat([scores_of("none", 0, score="tissue_n1"), blank]), methods)
    (row,) = board[(board["method"] == "idle") & (board["score"] == "tissue_n1")].itertuples()
    assert row.reason == said


def test_a_method_without_a_value_on_a_scanner_is_not_ranked():
    scores = pd.concat([scores_of("good", 0.05), scores_of("bad", -0.05), scores_of("none", 0)])
    scores = scores[~((scores["method"] == "bad") & (scores["unit"] == "A1"))]
    board = make_leaderboard(scores, METHODS[:3]).set_index("method")
    assert board.loc["bad", "reason"] == "not ranked: 12 of 13 values" and np.isnan(board.loc["bad", "rank"])
    assert board.loc["good", "rank"] == 1


def test_random_weights_are_shown_and_not_ranked():
    scores = pd.concat([scores_of(name, CHANGES[name], extractor) for name in ("none", "good")
                        for extractor in ("swin_unetr", "radiomics")])  # fmt: skip
    board = make_leaderboard(scores, METHODS[:2], weights={"swin_unetr": "random", "radiomics": "released"})
    own = board[(board["extractor"] == "swin_unetr") & (board["method"] == "good")].iloc[0]
    assert own["weights"] == "random" and own["reason"] == "not ranked: random weights" and np.isnan(own["p"])
    assert board.loc[board["extractor"] == "radiomics", "rank"].max() == 1


def test_fewer_than_six_scanners_cannot_tell():
    base = {name: BASE[name] for name in SCANNERS[:5]}
    scores = pd.concat([scores_of("none", 0, base=base), scores_of("good", 0.3, base=base)])
    row = make_leaderboard(scores, METHODS[:2]).set_index("method").loc["good"]
    assert row["verdict"] == CANNOT and row["rank"] == 1 and np.isnan(row["difference_ci_low"])


def test_scores_without_a_unit_have_jackknife_intervals():
    """A mean over scanners, given as what it is without each: the t interval of the differences."""
    from scipy.stats import t

    values, none = 0.7 + SMALL, np.full(13, 0.6)
    left_out = [(v.sum() - v) / 12 for v in (values, none)]
    rows = [("radiomics", "icc_2_1", "all", "whole", "", values.mean(), none.mean(), 10, "")]
    rows += [("radiomics", "icc_2_1", "all", "without", *row, 10, "") for row in zip(SCANNERS, *left_out, strict=True)]
    scores = pd.concat([SCORES, pd.DataFrame(rows, columns=SCORE_COLUMNS).assign(method="good")])
    board = make_leaderboard(scores, METHODS)
    row = board[board["score"] == "icc_2_1"].iloc[0]
    half = t.ppf(0.975, 12) * SMALL.std(ddof=1) / np.sqrt(13)
    assert row["difference_ci_low"] == pytest.approx(0.1 + SMALL.mean() - half)
    assert np.isnan(row["p"]) and np.isnan(row["rank"]) and row["verdict"] == ""


def test_content_that_is_lost_is_said():
    def row(score, value, none, method):
        return pd.DataFrame(
            [("radiomics", score, "all", "whole", "", value, none, 9, "")], columns=SCORE_COLUMNS
        ).assign(method=method)

    scores = pd.concat([row("content", 0.05, 1, "flat"), row("content", 0.4, 1, "fine"),
                        row("verbatim", 0.3, 0.1, "copy"), row("verbatim", 0.1, 0.1, "fine")])  # fmt: skip
    found = content_lost(scores)
    assert sorted(found) == [("radiomics", "copy"), ("radiomics", "flat")]
    assert found["radiomics", "flat"].startswith("0.05 of the spread") and "20.0%" in found["radiomics", "copy"]


def test_effects_without_each_maker():
    found = maker_effects(SCORES, METHODS, MAKERS).set_index(["method", "left_out"])
    assert "none" not in found.index.get_level_values("method")
    assert found.loc[("good", "Siemens"), "difference"] == pytest.approx((0.05 + SMALL)[6:].mean())
    assert found.loc[("good", "Siemens"), "n_ci_units"] == 7


def test_the_list_of_scores_is_whole():
    scores = read_scores()
    assert [name for name, score in scores.items() if score.ranks] == [PRIMARY]
    for score in scores.values():
        assert score.direction in ("higher", "lower", "") and score.kind in ("share", "positive", "change", "plain")
        assert score.level in ("trained", "features", "images") and bool(score.zero) == bool(score.one), score
        assert score.label and score.meaning and score.formula and not score.meaning.endswith(".")
        assert score.citation, score


def area_board(controls_rows):
    """ComBat has no N = 1: 0.94 over the rest, where `none` has 0.944; over all N `none` has 0.885."""
    wholes = {"none": (0.885, 0.885, 300), "combat": (0.94, 0.944, 200), "shuffled": (0.25, 0.885, controls_rows),
              "tissue_means": (1.0, 0.885, controls_rows)}  # fmt: skip
    rows = [("radiomics", "tissue_area", "fold", "whole", "", *values, "", method) for method, values in wholes.items()]
    methods = methods_of(
        *((name, "control" if name != "combat" else "method", "feature", "inductive") for name in wholes)
    )
    board = make_leaderboard(pd.DataFrame(rows, columns=[*SCORE_COLUMNS, "method"]), methods)
    return board[board["score"] == "tissue_area"].set_index("method")


@pytest.mark.parametrize("controls_rows", [300, 200])
def test_a_score_of_fewer_trainings_says_what_none_has_there(controls_rows):
    """It stood beside the 0.885 of `none` as if it were better, and on one scale with it."""
    board = area_board(controls_rows)
    said = "on 200 of the 300 test rows of none, which has 0.944 on these"
    assert board.loc["combat", "reason"].startswith(said) and "test rows of none" not in board.loc["none", "reason"]
    assert board.loc["combat", "difference"] == pytest.approx(-0.004)
    # a scale is of the rows of its controls
    scaled = board["scaled"].notna()
    assert scaled["combat"] == (controls_rows == 200) and scaled["none"] == (controls_rows == 300)
    assert ("not scaled" in board.loc["combat", "reason"]) == (not scaled["combat"])


def test_titles_that_are_shared_have_the_names_with_them():
    methods = pd.DataFrame({"method": ["none", "combat", "mine", "other"], "title": ["None", "ComBat", "combat", ""]})
    assert titles_of(methods) == {
        "none": "None", "combat": "ComBat (combat)", "mine": "combat (mine)", "other": "other",
    }  # fmt: skip
