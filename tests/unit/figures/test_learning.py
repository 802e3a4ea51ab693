"""Figures of questions, left-out values and classifiers: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.extractors import read_extractors, shown_of
from ct4bench.figures.learning import draw_accuracy_by_classifier, draw_accuracy_left_out, draw_accuracy_tasks
from ct4bench.report.cells import BLANK, folded_grid

LABELS = {"origin": "synthetic", "mode": "paper", "method": "none", "domain": "scanner", "part": "79 series",
          "weights": {}, "extractors": shown_of(read_extractors())}  # fmt: skip
EXTRACTORS = ("radiomics", "mine")


def cells(**fields) -> pd.DataFrame:
    """A cell of each extractor, scheme and size."""
    rows = [
        {"extractor": extractor, "scheme": scheme, "n_train": n, "n_folds": 4, "n_rows": 40,
         "accuracy_mean": 0.8, "accuracy_sd": 0.1, "balanced_accuracy": 0.7 + 0.02 * i,
         "ci_unit": "scanner", "n_ci_units": 4, "n_rois": 6, "accuracy_ci_low": 0.7, "accuracy_ci_high": 0.9,
         "accuracy_roi_ci_low": 0.5, "accuracy_roi_ci_high": 0.95, "balanced_ci_low": 0.6, "balanced_ci_high": np.nan,
         "balanced_roi_ci_low": 0.35, "balanced_roi_ci_high": 0.99, "chance_high": 0.45}
        for extractor in EXTRACTORS
        for i, (scheme, n) in enumerate((("loso", 1), ("loso", 3), ("kfold", 9)))
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**fields)


def points(figure) -> np.ndarray:
    """Every x and y that a panel draws as a point."""
    drawn = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    return np.concatenate(drawn)


def test_each_classifier_has_a_point_in_each_panel():
    table = pd.concat(
        [cells(task="tissue", classifier=name) for name in ("mlp", "svm")] + [cells(task="roi", classifier="mlp")]
    )
    figure, caption = draw_accuracy_by_classifier(table, LABELS)
    assert len(figure.axes) == 3
    assert sorted(points(figure)[:, 1].round(3)) == sorted([0.7, 0.72, 0.74] * 4)
    assert [axes.get_title() for axes in figure.axes] == [
        "one scanner left out, N = 1", "one scanner left out, N = 3", "10-fold, n = 9"
    ]  # fmt: skip
    assert caption.name == "accuracy_by_classifier" and caption.alt


def test_each_question_has_its_chance():
    table = pd.concat([cells(task="roi", chance=1 / 6), cells(task="maker", chance=0.25).iloc[[2, 5]]])
    figure, caption = draw_accuracy_tasks(table, LABELS)
    assert "of the set with the widest" in caption.text  # one grey bar for all sets
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [
        "which of six ROIs: one scanner left out, N = 1", "which of six ROIs: one scanner left out, N = 3",
        "which of six ROIs: 10-fold, n = 9", "which maker: 10-fold, n = 9",
    ]  # fmt: skip
    at = points(figure)
    assert {(round(x, 4), round(y)) for x, y in at if x < 0.5} == {(0.1667, 0), (0.1667, 1), (0.1667, 2), (0.25, 3)}
    # Behind it, grey up to what 95 % of the permutations do not exceed.
    bars = [(round(bar.get_x(), 4), round(bar.get_x() + bar.get_width(), 4)) for bar in axes.patches]
    assert bars == [(0.1667, 0.45)] * 3 + [(0.25, 0.45)]


def whiskers(figure) -> set[tuple]:
    """Ends of all horizontal whiskers."""
    segments = [part for bars in figure.axes[0].collections for part in bars.get_segments()]
    return {(round(part[0][0], 3), round(part[1][0], 3)) for part in segments}


def test_the_whiskers_of_regions_left_out_are_over_regions():
    for task, ends in (("tissue_other_roi", (0.35, 0.99)), ("tissue_other_maker", (0.6, 0.7))):
        table = cells(task=task, chance=0.5).iloc[[0]]
        assert whiskers(draw_accuracy_tasks(table, LABELS)[0]) == {ends}


@pytest.mark.parametrize("draw", ["classifier", "questions", "left_out"])
def test_legends_of_many_extractors_keep_clear(draw):
    """Within the figure, below all that axes have around them."""
    names = ("radiomics", "shallow_cnn", "swin_unetr", "an_encoder_of_ones_own", "another")
    rows = pd.concat([cells(task="tissue_other_roi", chance=0.5).iloc[[0]].assign(extractor=name) for name in names])
    if draw == "classifier":
        known = rows.assign(task="tissue")
        figure, _ = draw_accuracy_by_classifier(
            pd.concat([known.assign(classifier=name) for name in ("mlp", "logistic_regression")]), LABELS
        )
    elif draw == "questions":
        figure, _ = draw_accuracy_tasks(rows.assign(scheme="leave_one_out"), LABELS)
    else:
        figure, _ = draw_accuracy_left_out(rows.assign(left_out="cyst1+normal1", accuracy=0.7), LABELS)
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert box.x0 >= 0 and box.x1 <= whole.x1 and box.y0 > 0
    assert box.y1 <= min(axes.get_tightbbox().y0 for axes in figure.axes) + 2
    markers = [handle.get_marker() for handle in legend.legend_handles[: len(names)]]
    assert len(set(markers)) == len(names)


def test_left_out_values_stand_in_the_papers_order():
    tasks = ["tissue"] * 3 + ["tissue_other_maker", "tissue_other_roi"]
    values = ["H1", "A1", "G1", "GE", "cyst1+normal1"]
    table = pd.DataFrame({"task": tasks, "left_out": values, "extractor": "mine", "accuracy": [1, 0.5, 0.75, 1, 0.25]})
    figure, _ = draw_accuracy_left_out(table, LABELS)
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert names == ["A1", "G1", "H1", "GE", "cyst1\nnormal1"]
    at = points(figure)
    by_name = dict(zip(at[:, 0].argsort().argsort(), at[:, 1], strict=True))
    assert [by_name[i] for i in range(5)] == [0.5, 0.75, 1, 1, 0.25]


def test_doses_that_were_left_out_stand_in_their_order():
    table = pd.DataFrame({"task": "tissue", "left_out": ["10", "14", "1", "3"], "extractor": "mine", "accuracy": 1.0})
    figure, _ = draw_accuracy_left_out(table, LABELS | {"domain": "dose_mgy"})
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "3", "10", "14"]


@pytest.mark.parametrize("draw", [draw_accuracy_by_classifier, draw_accuracy_tasks])
def test_cells_without_an_interval_are_drawn(draw):
    table = cells(task="tissue" if draw is draw_accuracy_by_classifier else "roi", classifier="mlp", chance=0.5)
    blank = table.assign(**{f"{what}_ci_{end}": np.nan for what in ("accuracy", "balanced") for end in ("low", "high")})
    figure, _ = draw(blank, LABELS)
    assert np.isfinite(points(figure)).all()


def test_means_and_intervals_share_cells_in_the_report():
    grid = folded_grid(cells(task="roi", accuracy_change=-0.02, accuracy_change_ci_low=np.nan,
                             accuracy_change_ci_high=0.0)[["task", "extractor", "accuracy_mean", "accuracy_sd",
                             "accuracy_ci_low", "accuracy_ci_high", "accuracy_roi_ci_low", "accuracy_roi_ci_high",
                             "ci_unit", "balanced_accuracy", "balanced_ci_low", "balanced_ci_high",
                             "accuracy_change", "accuracy_change_ci_low",
                             "accuracy_change_ci_high"]])  # fmt: skip
    over = "95 % interval over scanners"
    assert grid["columns"] == ["task", "extractor", "accuracy", over, "95 % interval over regions", "balanced accuracy",
                               over, "change of accuracy", over]  # fmt: skip
    texts = [cell["main"].replace("\N{NO-BREAK SPACE}", " ") for cell in grid["rows"][0]["cells"]]
    assert texts == ["radiomics", "0.800 \N{PLUS-MINUS SIGN} 0.100", "0.700 to 0.900",
                     "0.500 to 0.950", "0.700", "",
                     "\N{MINUS SIGN}0.020", ""]  # fmt: skip
    assert BLANK not in texts
