"""Figures of the leaderboard: what is drawn is what its table holds."""

import numpy as np
import pandas as pd
import pytest
from tests.unit.figures.test_learning import LABELS, points

from ct4bench.core.contract import columns_of
from ct4bench.figures.draw_leaderboard import draw_differences, draw_harmony_content, draw_leaderboard
from ct4bench.leaderboard.rank import OUTSIDE_WORDS
from ct4bench.leaderboard.statistics import HARMS, HELPS, NOT_TOLD

TITLES = {"combat": "ComBat", "coral": "CORAL, Ledoit-Wolf"}
METHODS = {
    "none": ("control", "inductive", 0.0, "", np.nan),
    "combat": ("method", "inductive", 0.04, HELPS, 1),
    "zscore": ("method", "inductive", -0.02, HARMS, 2),
    "coral": ("method", "transductive", 0.01, NOT_TOLD, 1),
    "tissue_means": ("control", "labels", 0.2, "", np.nan),
    "broken": ("method", "inductive", np.nan, "", np.nan),
    "theirs": ("outside", OUTSIDE_WORDS, 0.15, OUTSIDE_WORDS, 1),
}


@pytest.fixture(scope="module")
def board() -> pd.DataFrame:
    rows = []
    for number, (method, (role, information, change, verdict, rank)) in enumerate(METHODS.items()):
        same = {
            "extractor": "radiomics", "method": method, "role": role, "level": "feature", "ci_unit": "scanner",
            "information": information, "weights": "", "content_lost": "spread" if number == 4 else "",
            "verdict": verdict, "reason": "failed: it ended" if method == "broken" else "", "rank": rank,
        }  # fmt: skip
        rows.append(same | {"score": "tissue_n2", "fit": "fold", "raw": 0.7 + change, "difference": change,
                            "difference_ci_low": change - 0.01, "difference_ci_high": change + 0.02})  # fmt: skip
        if method != "broken":
            rows.append(
                same | {"score": "domain_nonlinear", "fit": "all", "raw": 0.9 - 0.1 * number, "chance_high": 0.1}
            )
            rows.append(same | {"score": "content", "fit": "all", "raw": 1.0 - 0.2 * number})
    return pd.DataFrame(rows).reindex(columns=columns_of("leaderboard.csv"))


def test_each_method_has_its_difference_and_interval(board):
    figure, caption = draw_differences(board, LABELS, "radiomics", TITLES)
    at = {round(x, 3) for x, _ in points(figure)}
    assert {0.04, 0.03, 0.06, -0.02, 0.01, 0.2} <= at and 0.7 not in at
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["1. ComBat", "2. zscore", "broken", "1. CORAL, Ledoit-Wolf", "tissue_means", "1. theirs"]
    assert caption.name == "leaderboard_radiomics" and "ComBat +0.040" in caption.alt
    assert caption.notes == ["broken: failed: it ended."]
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert {"#0072B2", "#D55E00", "#000000", "#888888"} <= colours


def test_harmony_lies_against_content(board):
    figure, caption = draw_harmony_content(board, LABELS, "radiomics", TITLES)
    at = {(round(x, 3), round(y, 3)) for x, y in points(figure)}
    assert at == {(round(1 - 0.2 * n, 3), round(0.9 - 0.1 * n, 3)) for n in (0, 1, 2, 3, 4, 6)}
    top, bottom = sorted(figure.axes[0].get_ylim())
    assert figure.axes[0].get_ylim() == (bottom, top)  # less told is higher
    assert "CORAL" in caption.alt and "broken" not in caption.alt


def test_files_are_the_same_twice_and_scores_of_images_have_none(board, tmp_path):
    more = pd.concat([board, board[:1].assign(extractor="", score="ssim")], ignore_index=True)
    names = draw_leaderboard(more, LABELS, tmp_path / "one", TITLES)
    assert names == ["leaderboard_radiomics", "harmony_content_radiomics"]
    draw_leaderboard(board, LABELS, tmp_path / "two", TITLES)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
