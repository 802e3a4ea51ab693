"""The leaderboard's words in the report, apart from its page."""

import pandas as pd
import pytest

from ct4bench.core.contract import columns_of
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.report.board import (
    Board,
    board_view,
    class_table,
    leak_words,
    maker_table,
    score_table,
    score_words,
)

OTHER = Phantom.from_dict({"name": "rods", "regions": [{"name": "a", "class": "x"}, {"name": "b", "class": "y"}]})


@pytest.mark.parametrize(
    ("phantom", "score", "said"),
    [
        (CT4HARMONIZATION, "tissue_other_roi", "cyst or normal told on another region"),
        (OTHER, "tissue_other_roi", "classes with two regions told on another region"),
        (CT4HARMONIZATION, "nps_difference", "in plane of the large cyst is"),
        (OTHER, "nps_difference", "in plane of the main region is"),
    ],
)
def test_scores_are_told_as_they_hold_of_the_phantom_that_was_scanned(phantom, score, said):
    (line,) = score_words(pd.DataFrame({"score": [score], "raw": [0.5]}), phantom)
    assert said in line["words"]
    assert phantom.is_published or not any(name in line["words"] for name in ("cyst", "normal", "hemangioma"))


def test_classes_of_features_name_the_form_of_their_icc():
    """ICC(3,1) of the classes stood below a mean ICC(2,1), without its name, and gains did not add up to a reader."""
    own, none = (
        pd.DataFrame({"extractor": "radiomics", "feature_class": ["glcm"], "icc_mean": [value], "n_features": [24]})
        for value in (0.95, 0.90)
    )
    table = class_table({"stability_by_class": own}, {"stability_by_class": none}, "ICC(3,1)")
    assert table["columns"][1] == "mean ICC(3,1)"
    assert "0.05" in table["rows"][0]["cells"][0]["delta"]


def board_rows(*rows) -> pd.DataFrame:
    """Rows of leaderboard.csv: (method, score, raw, value_none, reason)."""
    found = pd.DataFrame(rows, columns=["method", "score", "raw", "value_none", "reason"])
    found = found.assign(difference=found["raw"] - found["value_none"], extractor="radiomics", fit="fold")
    return found.reindex(columns=columns_of("leaderboard.csv")).assign(information="inductive", role="method")


NEEDS = "not applicable: needs 2 training domains, and has 1"
FEWER = "on 200 of the 300 test rows of none, which has 0.944 on these"
ROWS = board_rows(
    ("none", "tissue_n1", 0.7, 0.7, ""), ("none", "tissue_area", 0.885, 0.885, ""),
    ("combat", "tissue_n1", None, None, NEEDS), ("combat", "tissue_area", 0.94, 0.944, FEWER),
    ("combat", "tissue_unbalanced", 0.6, 0.9, ""),
    ("coral", "tissue_n1", 0.72, 0.7, ""), ("coral", "tissue_area", 0.89, 0.885, ""),
)  # fmt: skip


def test_a_score_on_other_rows_than_those_of_none_stands_beside_none_on_the_same():
    """0.940 stood over the 0.885 of `none` as a gain, though on the same trainings it is 0.004 less."""
    table = score_table(ROWS, {"combat": "ComBat"})
    assert table["columns"][2:] == ["Tissue, N = 1 ↑", "Tissue, area over N ↑", "Tissue, one tissue in the target ↑"]
    cells = {row["head"]: row["cells"] for row in table["rows"]}
    _, first, area, unbalanced = cells["ComBat"]
    assert (area["main"], area["delta"]) == ("0.940", "none there 0.944: \N{MINUS SIGN}0.004")
    assert unbalanced["delta"] == "none there 0.900: \N{MINUS SIGN}0.300"  # `none` has no line of it
    assert (first["main"], first["note"], first["title"]) == ("–", "not applicable", NEEDS)
    assert "delta" not in cells["coral"][2] and "delta" not in cells["none"][2]
    assert {(item["name"], item["methods"], item["reason"]) for item in table["why"]} == {
        ("Tissue, N = 1", "ComBat", NEEDS), ("Tissue, area over N", "ComBat", FEWER),
    }  # fmt: skip


def test_lines_have_the_name_and_the_page_of_their_method_and_what_failed_is_said():
    failed = board_rows(("mine", "tissue_n1", None, None, "failed: rough"), ("mine", "tissue_n2", 0.5, 0.6, ""))
    scores = pd.concat([ROWS, failed], ignore_index=True)
    names = ["none", "combat", "mine", "coral"]
    methods = pd.DataFrame({"method": names, "title": ["None", "ComBat", "ComBat", "CORAL"]})
    methods = methods.assign(information="inductive", reason="")
    makers = pd.DataFrame(columns=columns_of("leaderboard_makers.csv"))
    view = board_view(Board(scores, methods, makers), {"domain": "scanner"}, {"mine": "report_mine.html"})
    heads = {(row["head"], row["name"], row["page"]) for row in view["sets"][0]["scores"][0]["table"]["rows"]}
    assert {("ComBat", "", ""), ("ComBat", "mine", "report_mine.html"), ("None", "", "")} <= heads
    assert view["failed"] == [{"name": "ComBat (mine)", "of": "Tissue, N = 1", "reason": "failed: rough"}]


def ranks(*rows) -> pd.DataFrame:
    columns = ["method", "role", "information", "raw"]
    return pd.DataFrame(rows, columns=columns).assign(score="tissue_n2")


LEAKS = (
    ("none", "control", "inductive", 0.963), ("combat", "method", "inductive", 0.958),
    ("combat.leaky", "leaky", "inductive", 0.994),
)  # fmt: skip


def test_a_leak_is_told_beside_what_adaptation_gives():
    """A leak of +0.036 was said, of which a variant that adapts by a rule that is kept has +0.034."""
    titles = {"combat": "ComBat", "combat.adapt": "ComBat, adapt"}
    alone = leak_words(ranks(*LEAKS), titles)
    assert alone.endswith("ComBat has 0.994 in place of 0.958: a leak of +0.036.")
    adapts = [("combat.adapt", "method", "transductive", 0.992), ("combat.covbat", "method", "transductive", 0.99)]
    other = [("coral", "method", "transductive", 0.999), ("combat.tissue", "oracle", "transductive", 0.999)]
    words = leak_words(ranks(*LEAKS, *adapts, *other), titles)
    assert words.startswith(alone) and "ComBat, adapt has 0.992 and combat.covbat has 0.990" in words
    assert words.endswith("beyond that the leak is +0.002.")
    assert leak_words(ranks(*LEAKS[:2], *adapts), titles) == ""


def test_every_number_shows_its_level():
    """The information that methods may see stood beside their ranks alone."""
    names = ["scaled", "chance", "value_none", "difference", "raw_ci_low", "reason"]
    rows = ranks(*LEAKS, ("coral", "method", "transductive", 0.9)).reindex(columns=[*ranks().columns, *names])
    table = score_table(rows, {})
    assert table["columns"][:2] == ["Method", "May see"]
    assert [row["cells"][0]["main"] for row in table["rows"]] == [*["inductive"] * 3, "transductive"]
    makers = pd.DataFrame({"method": ["coral", "coral"], "left_out": ["GE", "Siemens"], "difference": [0.1, -0.1],
                           "information": "transductive", "n_ci_units": [9, 7]})  # fmt: skip
    table = maker_table(makers, {})
    assert table["columns"] == ["Method", "May see", "without GE", "without Siemens"]
    assert [cell["main"] for cell in table["rows"][0]["cells"]] == ["transductive", "+0.100", "\N{MINUS SIGN}0.100"]
