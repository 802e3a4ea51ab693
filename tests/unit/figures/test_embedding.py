"""Figures 5 and 6 and the principal components: each point stands where the table has it, in the look of its legend."""

import itertools

import numpy as np
import pandas as pd
import pytest
from drawn import look_of
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from ct4bench.core.extractors import read_extractors, shown_of
from ct4bench.figures.draw_embedding import draw_figure5, draw_figure6, draw_pca, with_series

FACTS = {"origin": "synthetic", "mode": "paper", "method": "none", "domain": "scanner", "part": "79 series",
         "weights": {}, "extractors": shown_of(read_extractors())}  # fmt: skip
SERIES = pd.DataFrame(
    [("a1f", "A1", "Siemens", "FBP"), ("a1i", "A1", "Siemens", "IR"), ("a2i", "A2", "Siemens", "IR"),
     ("e2d", "E2", "GE", "DL"), ("e2f", "E2", "GE", "FBP"), ("h2i", "H2", "Philips", "IR")],
    columns=["series_uid", "scanner", "maker", "recon"],
)  # fmt: skip
TISSUE = {"cyst1": "cyst", "hemangioma": "hemangioma", "metastasis": "metastasis", "normal2": "normal"}


def embedding(rois) -> pd.DataFrame:
    """A row for each extractor, series and ROI; no two values are the same."""
    keys = list(itertools.product(("radiomics", "swin_unetr"), SERIES["series_uid"], rois))
    rows = pd.DataFrame(keys, columns=["extractor", "series_uid", "roi"]).assign(patch=0)
    for i, name in enumerate(("umap_1", "umap_2", "pca_1", "pca_2")):
        rows[name] = np.arange(len(rows)) * (1.0 + i) + 0.25 * i
    return with_series(rows.sample(frac=1, random_state=4), SERIES)


def shape_of(path) -> tuple:
    return tuple(np.round(path.vertices, 4).ravel())


def marker_shape(marker) -> tuple:
    style = MarkerStyle(marker)
    return shape_of(style.get_path().transformed(style.get_transform()))


def drawn_points(axes) -> dict[tuple, tuple]:
    """Colour, marker and filling (`hollow`, `filled`, `black edge`) of each point of a panel."""
    found = {}
    for part in axes.collections:
        ground, edge = part.get_facecolors(), to_hex(part.get_edgecolors()[0])
        form = "hollow" if not len(ground) else "black edge" if edge == "#000000" else "filled"
        colour = to_hex(ground[0]) if len(ground) else edge
        for x, y in np.asarray(part.get_offsets()):
            found[round(x, 4), round(y, 4)] = (colour, shape_of(part.get_paths()[0]), form)
    return found


def legends(figure) -> dict[str, dict]:
    """Title (or number) of each legend: its entries with colour, marker and filling."""
    found = {}
    for number, legend in enumerate(figure.legends):
        entries = {}
        for text, line in zip(legend.get_texts(), legend.legend_handles, strict=True):
            colour, marker, form = look_of(line)
            edge = to_hex(line.get_markeredgecolor())
            entries[text.get_text()] = (colour, marker_shape(marker), "black edge" if edge == "#000000" else form)
        found[legend.get_title().get_text() or number] = entries
    return found


def points_of(rows, plane="umap"):
    return {(round(row[f"{plane}_1"], 4), round(row[f"{plane}_2"], 4)): row for row in rows.to_dict("records")}


@pytest.mark.parametrize(
    ("panel", "extractor", "title"), [(0, "radiomics", "Radiomics"), (2, "swin_unetr", "SwinUNETR")]
)
def test_figure5_tells_maker_scanner_and_reconstruction(panel, extractor, title):
    rows = embedding(["cyst1"])
    figure, caption = draw_figure5(rows, FACTS)
    keys = legends(figure)
    assert {maker: list(keys[maker]) for maker in ("Siemens", "Philips", "GE")} == {
        "Siemens": ["A1", "A2"], "Philips": ["H2"], "GE": ["E2"]
    }  # fmt: skip
    # The caption says so: hollow FBP, filled IR, a black edge for DL.
    assert {recon: look[2] for recon, look in keys["reconstruction"].items()} == {
        "FBP": "hollow", "IR": "filled", "DL": "black edge"
    }  # fmt: skip
    assert "hollow: FBP, filled: IR, black edge: DL" in caption.text
    axes = figure.axes[panel]
    assert axes.get_title() == title and (axes.get_xlabel(), axes.get_ylabel()) == ("UMAP 1", "UMAP 2")
    drawn, expected = drawn_points(axes), points_of(rows[rows["extractor"] == extractor])
    assert set(drawn) == set(expected)
    for at, row in expected.items():
        colour, marker, form = drawn[at]
        assert (colour, marker) == keys[row["maker"]][row["scanner"]][:2], row
        assert form == keys["reconstruction"][row["recon"]][2], row
    assert len({keys["Siemens"][name][1] for name in ("A1", "A2")}) == 2


def test_a_missing_extractors_panel_says_so():
    figure, caption = draw_figure5(embedding(["cyst1"]), FACTS)
    assert figure.axes[1].get_title() == "Shallow CNN" and not figure.axes[1].collections
    assert "no features of this" in figure.axes[1].texts[0].get_text()
    assert caption.notes == ["No features of shallow_cnn in this run."]
    assert "UMAP of the 6 feature vectors of cyst1 from 6 series of 4 scanners" in caption.text


@pytest.mark.parametrize(("draw", "plane"), [(draw_figure6, "UMAP"), (draw_pca, "PCA")])
def test_figure6_and_its_components_tell_maker_and_tissue(draw, plane):
    rows = embedding(list(TISSUE))
    figure, _ = draw(rows, FACTS)
    makers, tissues = legends(figure).values()
    assert list(makers) == ["Siemens", "Philips", "GE"] and list(tissues) == list(TISSUE.values())
    for number, (extractor, title) in enumerate((("radiomics", "Radiomics"), ("swin_unetr", "SwinUNETR"))):
        left, right = figure.axes[4 * number : 4 * number + 2]
        assert (left.get_title(), right.get_title()) == (f"{title}, by maker", f"{title}, by tissue")
        assert left.get_xlabel() == f"{plane} 1" and right.get_ylabel() == f"{plane} 2"
        assert left.get_position().x0 < right.get_position().x0
        expected = points_of(rows[rows["extractor"] == extractor], plane.lower())
        by_maker, by_tissue = drawn_points(left), drawn_points(right)
        assert set(by_maker) == set(by_tissue) == set(expected)
        for at, row in expected.items():
            assert by_maker[at][0] == makers[row["maker"]][0], row
            assert by_tissue[at][:2] == tissues[TISSUE[row["roi"]]][:2], row
    assert len({look[0] for look in tissues.values()}) == 4
