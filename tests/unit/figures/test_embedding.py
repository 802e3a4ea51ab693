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


@pytest.mark.parametrize(("row", "extractor", "title"), [(0, "radiomics", "Radiomics"), (2, "swin_unetr", "SwinUNETR")])
def test_figure5_tells_maker_scanner_and_reconstruction(row, extractor, title):
    rows = embedding(["cyst1"])
    figure, caption = draw_figure5(rows, FACTS)
    *makers, recons = legends(figure).values()
    assert [list(keys) for keys in makers] == [["A1", "A2"], ["H2"], ["E2"]]
    # The caption says so: hollow FBP, filled IR, a black edge for DL.
    assert {recon: look[2] for recon, look in recons.items()} == {
        "FBP": "hollow", "IR": "filled", "DL": "black edge", "other makers": "filled"
    }  # fmt: skip
    assert "hollow: FBP, filled: IR, black edge: DL" in caption.text
    panels = figure.axes[3 * row : 3 * row + 3]
    assert [axes.get_title() for axes in panels] == ["Siemens", "Philips", "GE"]
    assert panels[0].get_ylabel() == f"{title}\nUMAP 2" and panels[1].get_xlabel() == ("UMAP 1" if row == 2 else "")
    expected = points_of(rows[rows["extractor"] == extractor])
    gray = recons["other makers"][0]
    for axes, keys in zip(panels, makers, strict=True):
        drawn = drawn_points(axes)
        assert set(drawn) == set(expected)
        for at, own in expected.items():
            if own["scanner"] in keys:
                assert drawn[at][:2] == keys[own["scanner"]][:2], own
                assert drawn[at][2] == recons[own["recon"]][2], own
            else:
                assert drawn[at][0] == gray
    a1, a2 = (makers[0][name] for name in ("A1", "A2"))
    assert a1[0] != a2[0] and a1[1] != a2[1]  # told apart by colour as well as by marker


def test_a_missing_extractors_panel_says_so():
    figure, caption = draw_figure5(embedding(["cyst1"]), FACTS)
    assert figure.axes[3].get_ylabel() == "Shallow CNN\nUMAP 2" and not figure.axes[3].collections
    assert "no features of this" in figure.axes[3].texts[0].get_text()
    assert caption.notes == ["No features of shallow_cnn in this run."]
    assert "UMAP of the 6 feature vectors of cyst1 from 6 series of 4 scanners" in caption.text


def test_of_a_phantom_of_ones_own_only_what_there_is_has_panels():
    own = {"name": "own", "regions": [{"name": "a", "class": "x"}, {"name": "b", "class": "y"}]}
    rows = embedding(["cyst1"])
    figure, caption = draw_figure5(rows[rows["extractor"] == "radiomics"], FACTS | {"origin": "other", "phantom": own})
    assert [axes.get_ylabel() for axes in figure.axes] == ["Radiomics\nUMAP 2", "", ""] and caption.notes == []


def test_the_words_claim_no_clusters_and_no_reconstruction_that_is_not_there():
    """Points at random: nothing lies in clusters by maker."""
    rows = embedding(["cyst1"])
    generator = np.random.default_rng(1)
    rows[["umap_1", "umap_2"]] = generator.normal(size=(len(rows), 2))
    caption = draw_figure5(rows[rows["recon"] != "DL"], FACTS)[1]
    assert "cluster" not in caption.alt and "DL" not in caption.text
    assert "embedding_quality" in caption.text


@pytest.mark.parametrize(("draw", "plane"), [(draw_figure6, "UMAP"), (draw_pca, "PCA")])
def test_figure6_and_its_components_tell_maker_and_tissue(draw, plane):
    rows = embedding(list(TISSUE))
    figure, _ = draw(rows, FACTS)
    makers, tissues = legends(figure).values()
    assert list(makers) == ["Siemens", "Philips", "GE"] and list(tissues) == list(TISSUE.values())
    for number, (extractor, title) in enumerate((("radiomics", "Radiomics"), ("swin_unetr", "SwinUNETR"))):
        left, right = figure.axes[4 * number : 4 * number + 2]  # above and below
        assert (left.get_title(), right.get_title()) == (f"{title}, by maker", f"{title}, by tissue")
        assert left.get_xlabel() == f"{plane} 1" and right.get_ylabel() == f"{plane} 2"
        assert left.get_position().y0 > right.get_position().y0
        expected = points_of(rows[rows["extractor"] == extractor], plane.lower())
        by_maker, by_tissue = drawn_points(left), drawn_points(right)
        assert set(by_maker) == set(by_tissue) == set(expected)
        for at, row in expected.items():
            assert by_maker[at][:2] == makers[row["maker"]][:2], row
            assert by_tissue[at][:2] == tissues[TISSUE[row["roi"]]][:2], row
    assert len({look[0] for look in tissues.values()}) == 4
    assert len({look[1] for look in makers.values()}) == 3
