"""Figures of results: what is drawn is what the tables hold, read back from the figures."""

import json

import numpy as np
import pandas as pd
import pytest
from drawn import bars, cell_texts, contrasts, legend_looks, look_of, picture, ticks

from ct4bench.core.benchmark import scanner_rank
from ct4bench.core.extractors import read_extractors, shown_of
from ct4bench.core.metrics import PAIR_METRICS
from ct4bench.figures.draw_results import (
    draw_accuracy_by_n,
    draw_decomposition,
    draw_icc_grades,
    draw_matrix,
)
from ct4bench.figures.style import save_figure

FACTS = {"origin": "synthetic", "mode": "paper", "method": "none", "domain": "scanner", "part": "79 series",
         "weights": {}, "extractors": shown_of(read_extractors())}  # fmt: skip
(RMSE,) = (metric for metric in PAIR_METRICS if metric.name == "rmse_hu")
OWN = {("A1", "A1"): 5.0, ("C1", "A1"): 41.0, ("C1", "C1"): 9.0, ("E2", "A1"): 60.0, ("E2", "C1"): 22.0,
       ("E2", "E2"): np.nan}  # fmt: skip
PUBLISHED = {key: 100 + i for i, key in enumerate(OWN)}


def rmse_table(**columns) -> pd.DataFrame:
    """Table 3 of three scanners, its rows out of order."""
    rows = [{"scanner_row": a, "scanner_col": b, **{name: values[a, b] for name, values in columns.items()}}
            for a, b in reversed(OWN)]  # fmt: skip
    return pd.DataFrame(rows)


def triangle(values) -> list[list]:
    order = ("A1", "C1", "E2")
    return [[values.get((row, column), np.nan) for column in order] for row in order]


def test_each_rmse_matrix_has_the_values_of_its_title():
    figure, _ = draw_matrix(rmse_table(rmse_hu_mean=OWN, rmse_hu_mean_published=PUBLISHED), FACTS, RMSE)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.images and axes.get_title()}
    assert list(panels) == ["this run", "published"]
    for title, values in (("this run", OWN), ("published", PUBLISHED)):
        axes = panels[title]
        np.testing.assert_array_equal(picture(axes), triangle(values))
        assert ticks(axes.xaxis) == ticks(axes.yaxis) == ["A1", "C1", "E2"]
        finite = {(row, column): value for (row, column), value in np.ndenumerate(triangle(values)) if value == value}
        assert cell_texts(axes) == {cell: f"{value:.0f}" for cell, value in finite.items()}
        shown = [value for value in values.values() if value == value]
        assert axes.images[0].get_clim() == (min(shown), max(shown))  # a scale of its own, with its key beside it
        key = next(
            a for a in figure.axes if a.get_ylabel() == "mean RMSE (HU)" and a.get_ylim() == (min(shown), max(shown))
        )
        assert 0 < key.get_position().x0 - axes.get_position().x1 < 0.02
        assert min(contrasts(axes)) > 3
    assert panels["this run"].get_position().x0 < panels["published"].get_position().x0


def test_a_run_without_published_values_has_one_matrix():
    figure, caption = draw_matrix(rmse_table(rmse_hu_mean=OWN), FACTS, RMSE)
    assert [axes.get_title() for axes in figure.axes] == ["this run", ""]
    assert figure.axes[1].get_ylabel() == "mean RMSE (HU)"
    assert figure.axes[0].images[0].get_clim() == (5, 60)
    assert caption.notes == []


@pytest.mark.parametrize(("one", "two"), [(9.0, 41.0), (41.0, 9.0)])
def test_the_words_of_a_matrix_have_its_medians_whichever_is_lower(one, two):
    values = {key: one if key[0] == key[1] else two for key in OWN}
    alt = draw_matrix(rmse_table(rmse_hu_mean=values), FACTS, RMSE)[1].alt
    assert f"median {two:.2f} HU between two scanners and {one:.2f} HU within a scanner" in alt
    assert "lower than" not in alt


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, "in the paper's order of scanners;"),
        ({"C1": "Zeta"}, "in the paper's order of scanners, others after them by name;"),
        ({"A1": "Alpha", "C1": "Gamma", "E2": "Somatom of the ward"}, "rows and columns by the scanner's name;"),
    ],
)
def test_scanners_of_ones_own_are_named_whole_and_in_no_order_of_the_paper(names, said, tmp_path):
    """Names longer than four signs left the figure, and stood in it as [1] and [2]."""
    table = rmse_table(rmse_hu_mean=OWN).replace({"scanner_row": names, "scanner_col": names})
    figure, caption = draw_matrix(table, FACTS, RMSE)
    assert said in caption.text
    save_figure(figure, caption, tmp_path)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == sorted({*table["scanner_row"]} | {*table["scanner_col"]}, key=scanner_rank)
    assert min(label.get_window_extent().x0 for label in figure.axes[0].get_yticklabels()) >= 0
    assert json.loads((tmp_path / f"{caption.name}.json").read_text())["notes"] == caption.notes


def test_the_words_of_the_bars_are_their_lengths():
    table = pd.DataFrame(
        {"contrast": ["other_recon", "other_dose", "other_maker"], "n_pairs": [4, 0, 7],
         "mse_hu2_q1": [400.0, np.nan, 1.0], "mse_hu2_median": [400.0, np.nan, 9.0],
         "mse_hu2_q3": [400.0, np.nan, 25.0]}
    )  # fmt: skip
    caption = draw_decomposition(table, FACTS)[1]
    assert caption.alt == "Horizontal bars of RMSE: other reconstruction of the same scan 20.0 HU, other maker 3.0 HU."
    assert "smallest" not in caption.text and "grow" not in caption.alt


def test_falling_accuracies_are_not_said_to_rise():
    table = curves()
    table["accuracy_mean"] = 1 - table["accuracy_mean"] / 2
    caption = draw_accuracy_by_n(table, FACTS)[1]
    assert "Radiomics 0.745 to 0.690 (leave one out), 0.695 to 0.655 (10-fold)" in caption.alt
    assert "rise" not in caption.alt and "published" not in caption.text and caption.notes == []


def test_a_panel_that_was_not_trained_is_not_described():
    table = curves()
    caption = draw_accuracy_by_n(table[table["scheme"] == "kfold"], FACTS)[1]
    assert "Left:" not in caption.text and "Right: 10-fold" in caption.text


def test_darker_cells_of_the_rmse_matrix_are_larger():
    figure, _ = draw_matrix(rmse_table(rmse_hu_mean=OWN), FACTS, RMSE)
    (image,) = figure.axes[0].images
    rgb = image.to_rgba(image.get_array())[..., :3].sum(axis=-1)
    assert rgb[0, 0] > rgb[1, 1] > rgb[2, 1] > rgb[1, 0] > rgb[2, 0]


def test_steps_are_drawn_as_roots_of_their_squared_errors():
    table = pd.DataFrame(
        {"contrast": ["other_recon", "other_dose", "other_maker"], "n_pairs": [4, 0, 7],
         "mse_hu2_q1": [4.0, np.nan, 100.0], "mse_hu2_median": [9.0, np.nan, 400.0],
         "mse_hu2_q3": [25.0, np.nan, 900.0]}
    )  # fmt: skip
    figure, _ = draw_decomposition(table, FACTS)
    (axes,) = figure.axes
    assert ticks(axes.yaxis) == ["other maker", "other reconstruction of the same scan"]
    assert bars(axes) == [(0, 0, 20), (1, 0, 3)]
    whiskers = [segment[:, 0].tolist() for part in axes.collections for segment in part.get_segments()]
    assert whiskers == [[10, 30], [2, 5]]
    texts = [(*text.get_position(), text.get_text().strip()) for text in axes.texts]
    assert texts == [(30, 0, "20.0 HU, n = 7"), (5, 1, "3.0 HU, n = 4")]
    assert axes.get_xlim()[1] > 30 and axes.get_ylim()[0] < axes.get_ylim()[1]


def test_shares_of_grades_lie_side_by_side_in_their_colours():
    shares = {"poor": [0.1, 0.4], "moderate": [0.05, 0.3], "good": [0.35, 0.2], "excellent": [0.5, 0.1]}
    head = {
        "extractor": ["radiomics", "mine"],
        "form": ["ICC(3,1)", "ICC(2,1)"],
        "judged_by": ["estimate", "lower end"],
    }
    table = pd.DataFrame({**head, **shares})
    figure, _ = draw_icc_grades(table, FACTS)
    (axes,) = figure.axes
    assert ticks(axes.yaxis) == ["mine ICC(2,1), lower end", "Radiomics ICC(3,1)"]
    colours = dict(zip((text.get_text() for text in axes.get_legend().get_texts()),
                       (patch.get_facecolor() for patch in axes.get_legend().legend_handles), strict=True))  # fmt: skip
    assert list(colours) == list(shares) and len(set(colours.values())) == 4
    for place, row in ((1, 0), (0, 1)):
        drawn = {patch.get_facecolor(): (start, end) for patch, (middle, start, end)
                 in zip(axes.patches, bars(axes), strict=True) if round(middle) == place}  # fmt: skip
        edges = np.concatenate([[0], np.cumsum([values[row] for values in shares.values()])])
        for grade, start, end in zip(shares, edges, edges[1:], strict=False):
            assert drawn[colours[grade]] == pytest.approx((start, end)), grade
        texts = sorted((round(x, 4), t.get_text()) for t in axes.texts for x, y in [t.get_position()] if y == place)
        shown = [(start + end) / 2 for start, end in zip(edges, edges[1:], strict=False) if end - start > 0.055]
        assert [x for x, _ in texts] == pytest.approx(shown)
    assert [text.get_text() for text in axes.texts if text.get_position()[1] == 0] == ["40 %", "30 %", "20 %", "10 %"]


def test_names_of_grades_fit_the_figure():
    """Three feature sets with the words of their weights, as in the demo."""
    names = ["radiomics"] * 3 + ["shallow_cnn"] * 3 + ["swin_unetr"] * 3
    how = {"form": ["ICC(2,1)", "ICC(2,1)", "ICC(3,1)"] * 3, "judged_by": ["estimate", "lower end", "estimate"] * 3}
    table = pd.DataFrame({"extractor": names, **how, **dict.fromkeys(("poor", "moderate", "good", "excellent"), 0.25)})
    weights = {"shallow_cnn": {"status": "stand-in", "words": "?"}, "swin_unetr": {"status": "random", "words": "?"}}
    figure, _ = draw_icc_grades(table, FACTS | {"weights": weights})
    boxes = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert "stand-in weights" in figure.axes[0].get_yticklabels()[4].get_text()
    assert min(box.x0 for box in boxes) >= 0
    assert all(low.y1 <= high.y0 for low, high in zip(boxes, boxes[1:], strict=False))


def curves() -> pd.DataFrame:
    """Accuracies of two extractors that are told apart by their values, rows out of order."""
    rows = []
    for extractor, start in (("radiomics", 0.5), ("mine", 0.7)):
        for scheme, sizes, more in (("loso", (12, 1, 3), 0.0), ("kfold", (9, 1), 0.1)):
            for n in sizes:
                mean = start + more + 0.01 * n
                rows.append((extractor, scheme, n, mean, mean - 0.02, mean + 0.03))
    columns = ["extractor", "scheme", "n_train", "accuracy_mean", "accuracy_ci_low", "accuracy_ci_high"]
    return pd.DataFrame(rows, columns=columns)


PUBLISHED_ACCURACIES = pd.DataFrame(
    {"features": ["Radiomics"], "loso_1_scanner_acc_mean_published": [0.91], "loso_12_scanners_acc_mean_published":
     [0.93], "tenfold_13_scanners_acc_mean_published": [0.97]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("panel", "scheme", "title", "published"),
    [(0, "loso", "one scanner left out", {1: 0.91, 12: 0.93}), (1, "kfold", "10-fold", {9: 0.97})],
)
def test_accuracies_and_published_ones_stand_where_they_belong(panel, scheme, title, published):
    table = curves()
    figure, _ = draw_accuracy_by_n(table, FACTS, PUBLISHED_ACCURACIES)
    axes, looks = figure.axes[panel], legend_looks(figure.legends[0])
    assert axes.get_title() == title
    assert set(looks) == {"Radiomics", "mine", "published"} and len(set(looks.values())) == 3
    found = {}
    for line in axes.lines:
        found.setdefault(look_of(line), []).extend((round(x), y) for x, y in line.get_xydata())
    own = {name: table[(table["extractor"] == name.lower()) & (table["scheme"] == scheme)].sort_values("n_train")
           for name in ("Radiomics", "mine")}  # fmt: skip
    for name, rows in own.items():
        expected = list(zip(rows["n_train"], rows["accuracy_mean"], strict=True))
        assert found.pop(looks[name]) == expected, name
    ((colour, marker, filling), points) = found.popitem()
    assert found == {} and (colour, marker) == looks["Radiomics"][:2] and filling == looks["published"][2] == "hollow"
    assert dict(points) == published
    bands = {tuple(np.round(band.get_facecolor()[0][:3], 3)): band.get_paths()[0].vertices[:, 1]
             for band in axes.collections}  # fmt: skip
    assert len(bands) == 2
    for rows in own.values():
        low, high = rows["accuracy_ci_low"].min(), rows["accuracy_ci_high"].max()
        assert any((ends.min(), ends.max()) == pytest.approx((low, high)) for ends in bands.values())


def test_accuracies_of_another_domain_have_no_published_ones():
    figure, _ = draw_accuracy_by_n(curves(), FACTS | {"domain": "maker"}, PUBLISHED_ACCURACIES)
    assert not any(look_of(line)[2] == "hollow" for axes in figure.axes for line in axes.lines)
    assert [axes.get_title() for axes in figure.axes] == ["one maker left out", "10-fold"]


def test_a_phantom_of_ones_own_has_no_published_accuracies_nor_places_for_them():
    own = {"name": "own", "regions": [{"name": "a", "class": "x"}, {"name": "b", "class": "y"}]}
    table = curves()
    table = table[table["n_train"] <= 3]
    table7 = PUBLISHED_ACCURACIES[["features"]].assign(loso_1_scanner_acc_mean=0.6)
    figure, _ = draw_accuracy_by_n(table, FACTS | {"origin": "other", "phantom": own}, table7)
    assert not any(look_of(line)[2] == "hollow" for axes in figure.axes for line in axes.lines)
    assert [list(axes.get_xticks()) for axes in figure.axes] == [[1, 3], [1]]
