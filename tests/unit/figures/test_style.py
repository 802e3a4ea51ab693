"""Figures 2-6 and the figures of results: which files, of what size, with which words, the same bytes twice."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from block_reference import FIRST_FACE_MM, SHAPE, SPACING_MM, phantom, write_reference
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from report_data import embedding_table, pairs_table, series_table

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.colours import MAKER_COLOURS, TISSUE_COLOURS
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.modes import PAPER
from ct4bench.core.tables import write_table
from ct4bench.core.volumes import save_volume
from ct4bench.figures.draw_embedding import MARKERS, SCANNER_COLOURS, draw_embedding, looks_of, with_series
from ct4bench.figures.draw_images import draw_images
from ct4bench.figures.draw_results import draw_results
from ct4bench.figures.slices import read_same_slice, shown_series
from ct4bench.figures.style import Caption, add_legend, replace_crowded, replace_undrawable, save_figure, stamp, styled
from ct4bench.figures.views import SEGMENTS_MM, make_view
from ct4bench.pairs.tables import decomposition, tables3to5
from ct4bench.preprocess.find_block import find_block
from ct4bench.preprocess.reference import open_reference, save_reference
from ct4bench.results.run_facts import make_run_facts


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    hu, grid = write_reference(folder)
    series = series_table("synthetic")
    volumes = tmp_path_factory.mktemp("volumes")
    for scanner in SCANNERS:
        uid, _ = shown_series(series, scanner)
        if scanner != "F1":
            save_volume(volumes / f"{uid}.b2nd", hu, grid)
    return folder, volumes, series[series["scanner"] != "H1"]


@pytest.fixture(scope="module")
def slab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slab")
    write_reference(folder, slice(30, 56))
    return folder


@pytest.fixture(scope="module")
def image_figures(reference, tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    folder, volumes, series = reference
    draw_images(folder, series, volumes, {"A1": "Siemens Edge"}, "synthetic data", out)
    return out


def caption(folder, name):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def assert_drawn(folder, name):
    """PNG at 150 dpi that is neither blank nor tiny, SVG without a date, caption with all its parts."""
    with Image.open(folder / f"{name}.png") as picture:
        assert round(picture.info["dpi"][0]) == 150
        assert min(picture.size) > 250
        gray = np.asarray(picture.convert("L"), float)
    assert gray.std() > 10
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in svg
    words = caption(folder, name)
    assert words["name"] == name
    assert words["title"] and words["text"] and words["alt"]


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure4"])
def test_image_figures_are_drawn(image_figures, name):
    assert_drawn(image_figures, name)
    assert ">synthetic data<" in re.sub(r"\s*\n\s*", "", (image_figures / f"{name}.svg").read_text(encoding="utf-8"))


def test_image_figures_are_the_same_twice(image_figures, reference, tmp_path):
    folder, volumes, series = reference
    draw_images(folder, series, volumes, {"A1": "Siemens Edge"}, "synthetic data", tmp_path)
    for path in image_figures.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_missing_scanners_are_said(image_figures):
    words = caption(image_figures, "figure4")
    assert "11 scanners" in words["text"]
    assert words["notes"] == ["Not shown, since this run has no such series: F1, H1."]


def test_the_photograph_is_left_out_with_a_note(image_figures):
    assert any("photograph" in note for note in caption(image_figures, "figure3")["notes"])


def test_a_volume_on_another_grid_is_refused(reference, tmp_path):
    folder, _, series = reference
    uid, _ = shown_series(series, "A1")
    grid = Grid.axis_aligned((4, 4, 4), (1, 1, 1), (0, 0, 0))
    save_volume(tmp_path / f"{uid}.b2nd", np.zeros((4, 4, 4), np.int16), grid)
    with pytest.raises(UserError, match="not on the grid"):
        read_same_slice(make_view(open_reference(folder)), series, tmp_path)


def test_segments_are_placed_by_the_blocks_face(reference):
    frame = make_view(open_reference(reference[0]))
    assert abs(frame.first_face_mm - FIRST_FACE_MM) < 0.75 * SPACING_MM[0]
    low, high = SEGMENTS_MM["liver"]
    assert all(low < frame.slice_mm(0.5 * (box[0].start + box[0].stop)) < high for box in frame.rois.values())


def test_a_slab_is_placed_by_its_first_cyst(slab):
    frame = make_view(open_reference(slab))
    assert abs(frame.first_face_mm - (FIRST_FACE_MM - 30 * SPACING_MM[0])) < SPACING_MM[0]


def test_missing_segments_are_said(slab, tmp_path):
    draw_images(slab, series_table(), tmp_path, {}, "", tmp_path / "out")
    assert_drawn(tmp_path / "out", "figure2")
    assert "without its test patterns" in " ".join(caption(tmp_path / "out", "figure2")["notes"])
    assert "0 scanners" in caption(tmp_path / "out", "figure4")["text"]


def test_best_slice_cuts_the_most_rois(reference):
    frame = make_view(open_reference(reference[0]))
    count = (frame.areas > 0).sum(axis=0)
    assert count[frame.best_slice()] == count.max()


def test_a_reference_without_a_roi_is_refused(reference, tmp_path):
    hu, labels = phantom()
    labels[labels == 3] = 0
    grid = Grid.axis_aligned(SHAPE, SPACING_MM, (0, 0, 0))
    save_reference(tmp_path, hu, labels, grid, find_block(hu, grid), {"series_uid": "1"})
    with pytest.raises(UserError, match="hemangioma"):
        make_view(open_reference(tmp_path))


WEIGHTS = {
    "shallow_cnn": {"weights": {"status": "stand-in", "words": "stand-in, of test tissue"}},
    "swin_unetr": {"weights": {"status": "random"}},
}


@pytest.fixture(scope="module")
def embedding_figures(tmp_path_factory):
    out = tmp_path_factory.mktemp("embedding")
    series = series_table("synthetic")
    draw_embedding(embedding_table(series), series, make_run_facts(series, "paper", WEIGHTS), out)
    return out


@pytest.mark.parametrize("name", ["figure5", "figure6", "pca"])
def test_embedding_figures_are_drawn_and_labelled(embedding_figures, name):
    assert_drawn(embedding_figures, name)
    svg = (embedding_figures / f"{name}.svg").read_text(encoding="utf-8")
    for words in ("synthetic data", "Shallow CNN (stand-in weights)", "SwinUNETR (random weights)", *MAKER_COLOURS,
                  "stand-in, of test tissue: shallow_cnn"):  # fmt: skip
        assert words in svg


def test_figure5_names_all_scanners(embedding_figures):
    svg = (embedding_figures / "figure5.svg").read_text(encoding="utf-8")
    for word in (*SCANNERS, "FBP", "IR", "DL"):
        assert re.search(rf">\s*{word}\s*</text>", svg), word
    assert "27 series of 13 scanners" in caption(embedding_figures, "figure5")["text"]


def test_figure6_names_the_tissues(embedding_figures):
    svg = (embedding_figures / "figure6.svg").read_text(encoding="utf-8")
    for tissue in TISSUE_COLOURS:
        assert re.search(rf">\s*{tissue}\s*</text>", svg)


def test_embedding_figures_are_the_same_twice(embedding_figures, tmp_path):
    series = series_table("synthetic")
    shuffled = series.sample(frac=1, random_state=1)
    draw_embedding(embedding_table(series), shuffled, make_run_facts(series, "paper", WEIGHTS), tmp_path)
    for path in embedding_figures.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_missing_extractor_is_said(tmp_path):
    series = series_table("collection", ("A1", "C1"))
    draw_embedding(embedding_table(series, ["radiomics"]), series, make_run_facts(series, "paper", {}), tmp_path)
    assert "shallow_cnn, swin_unetr" in " ".join(caption(tmp_path, "figure6")["notes"])


def test_many_points_are_one_picture_in_the_svg(tmp_path):
    series = series_table("collection", SCANNERS, (10,))
    rows = embedding_table(series, ["radiomics"])
    many = pd.concat([rows.assign(patch=rows["patch"] + 2 * i) for i in range(10)], ignore_index=True)
    draw_embedding(many, series, make_run_facts(series, "paper", {}), tmp_path)
    assert (tmp_path / "figure6.svg").stat().st_size < 1_500_000


def test_unknown_series_is_refused():
    series = series_table()
    with pytest.raises(UserError, match="which the table of series lacks"):
        with_series(embedding_table(series), series[series["scanner"] != "A1"])


def test_an_embedding_without_a_figure_is_refused(tmp_path):
    series = series_table()
    rows = embedding_table(series)
    with pytest.raises(UserError, match="figure5"):
        draw_embedding(rows[rows["figure"] == "figure6"], series, make_run_facts(series, "paper", {}), tmp_path)


def test_scanners_of_a_maker_have_looks_of_their_own():
    looks = looks_of([f"S{i}" for i in range(90)])
    assert len({tuple(look.values()) for look in looks.values()}) == 90
    six = [looks_of(["A1", "A2", "B1", "B2", "G1", "G2"])[name] for name in ("A1", "A2", "B1", "B2", "G1", "G2")]
    assert len({look["colour"] for look in six}) == len({look["marker"] for look in six}) == 6
    assert len(set(SCANNER_COLOURS)) == 7 and len(set(MARKERS)) == 13


def drawn_sizes_pt(folder, name) -> list[float]:
    """Sizes of all texts of a figure in points; its SVG has 72 units an inch."""
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    return [float(size) for size in re.findall(r"font(?:-size)?: ?(?:[a-z]+ )*([\d.]+)px", svg)]


@pytest.mark.parametrize("folder", ["image_figures", "embedding_figures"])
def test_no_text_is_smaller_than_7_points_and_no_figure_wider_than_a_page(folder, request):
    """The report shows a figure no smaller than it is; a landscape A4 page has 273 mm between its margins."""
    folder = request.getfixturevalue(folder)
    names = [path.stem for path in folder.glob("*.png")]
    assert len(names) == 3
    for name in names:
        sizes = drawn_sizes_pt(folder, name)
        assert sizes and min(sizes) >= 7, name
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width / 150 <= 273 / 25.4 - 0.2 and picture.height / 150 <= 180 / 25.4, name


@pytest.mark.parametrize("colours", [MAKER_COLOURS, TISSUE_COLOURS])
def test_colours_differ_in_lightness_or_hue_for_the_colour_blind(colours):
    # Machado et al. 2009, deuteranopia: what a reader without green cones sees of linear RGB.
    seen = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours.values()])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    shown = np.clip(linear @ seen.T, 0, 1) ** (1 / 2.4)
    apart = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    assert apart[np.triu_indices(len(shown), 1)].min() > 0.15


def test_result_figures_are_drawn(tmp_path):
    series = series_table("synthetic", ("A1", "A2", "C1", "E2"))
    pairs = pairs_table(series, PAPER)
    write_table(tables3to5(pairs, series)["table3_rmse_hu"], tmp_path / "table3_rmse_hu.csv")
    write_table(decomposition(pairs), tmp_path / "decomposition.csv")
    labels = make_run_facts(series, "paper", {})
    for folder in ("a", "b"):
        draw_results(tmp_path, labels, tmp_path / folder)
    for name in ("rmse_matrix", "decomposition"):
        assert_drawn(tmp_path / "a", name)
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_no_table_no_figure(tmp_path):
    draw_results(tmp_path, make_run_facts(series_table(), "paper", {}), tmp_path / "out")
    assert not list(tmp_path.rglob("*.png"))


def test_style_is_that_of_the_figures_whatever_the_callers(tmp_path):
    import matplotlib

    @styled
    def draw():
        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([0, 1])
        stamp(figure, "synthetic data")
        return figure

    words = Caption("f", "t", "x", "a")
    save_figure(draw(), words, tmp_path / "a")
    with matplotlib.rc_context({"font.size": 20, "savefig.facecolor": "black", "svg.hashsalt": "other"}):
        save_figure(draw(), words, tmp_path / "b")
    for suffix in ("png", "svg"):
        assert (tmp_path / "a" / f"f.{suffix}").read_bytes() == (tmp_path / "b" / f"f.{suffix}").read_bytes()


def curves(scheme, sizes):
    rows = []
    for extractor in ("radiomics", "shallow_cnn", "swin_unetr"):
        for n in sizes:
            rows.append(("tissue", extractor, "mlp", "default", scheme, n, 13, 100, 0.8 + 0.01 * n, 0.02, 0.75, 0.95))
    columns = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "n_folds", "n_rows", "accuracy_mean",
               "accuracy_sd", "accuracy_ci_low", "accuracy_ci_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def test_feature_results_are_drawn(tmp_path):
    table = pd.concat([curves("loso", range(1, 13)), curves("kfold", range(1, 10))], ignore_index=True)
    write_table(table, tmp_path / "accuracy_by_n.csv")
    grades = pd.DataFrame(
        {"extractor": ["radiomics", "swin_unetr"], "form": "ICC(3,1)", "judged_by": "estimate",
         "n_features": [93, 768], "poor": [0.1, 0.4],
         "moderate": [0.2, 0.3], "good": [0.3, 0.2], "excellent": [0.4, 0.1]}
    )  # fmt: skip
    write_table(grades, tmp_path / "stability_grades.csv")
    labels = make_run_facts(series_table("synthetic"), "corrected", WEIGHTS)
    for folder in ("a", "b"):
        draw_results(tmp_path, labels, tmp_path / folder)
    for name in ("accuracy_by_n", "icc_grades"):
        assert_drawn(tmp_path / "a", name)
        svg = (tmp_path / "a" / f"{name}.svg").read_text(encoding="utf-8")
        assert "SwinUNETR (random weights)" in svg
        assert "random weights: swin_unetr" in svg
        assert "synthetic data \N{MIDDLE DOT} mode corrected" in svg
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_a_scheme_that_was_not_trained_is_said(tmp_path):
    write_table(curves("loso", range(1, 5)), tmp_path / "accuracy_by_n.csv")
    draw_results(tmp_path, make_run_facts(series_table("collection"), "paper", {}), tmp_path)
    assert "not trained in this run" in (tmp_path / "accuracy_by_n.svg").read_text(encoding="utf-8")


def test_dollars_in_a_name_are_no_formula(tmp_path):
    @styled
    def draw():
        figure = Figure()
        figure.text(0.5, 0.5, "A$1_b$ at $5")
        save_figure(figure, Caption("x", "t", "", ""), tmp_path)

    draw()
    assert ">A$1_b$ at $5<" in (tmp_path / "x.svg").read_text()


def test_names_in_other_scripts_are_drawn_or_named():
    """The font has Greek, not Chinese; nothing becomes an empty box, and two names stay two."""
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    names = ["\u6771\u4eac CT", "\u6771\u4eac\u90fd", "\u0391\u03b8\u03ae\u03bd\u03b1", "\u05d0\u05d1"]
    axes.set_xticks(range(4), names)
    add_legend(axes, [Line2D([], [], label=name) for name in names])
    notes = replace_undrawable(figure)
    figure.draw_without_rendering()
    drawn = ["[1] CT", "[2]", "\u0391\u03b8\u03ae\u03bd\u03b1", "[3]"]
    assert [label.get_text() for label in axes.get_xticklabels()] == drawn
    assert [text.get_text() for text in axes.get_legend().get_texts()] == drawn
    assert notes == [f"In the figure, [{i}] stands for {run}." for i, run in
                     enumerate(("\u6771\u4eac", "\u6771\u4eac\u90fd", "\u05d0\u05d1"), start=1)]  # fmt: skip


def test_no_figure_has_an_empty_box_and_all_names_are_in_its_legend(tmp_path, recwarn):
    """Names that matplotlib leaves out of legends, or its font cannot draw."""
    scanners = ("_A", "\u6771\u4eac")
    series = series_table("other", scanners)
    draw_embedding(embedding_table(series, ["_mine"]), series, make_run_facts(series, "paper", {}), tmp_path)
    svg = (tmp_path / "figure5.svg").read_text(encoding="utf-8")
    shown = [text.strip() for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]
    assert "_A" in shown and "[1]" in shown
    assert "In the figure, [1] stands for \u6771\u4eac." in caption(tmp_path, "figure5")["notes"]
    assert not [w for w in recwarn if "Glyph" in str(w.message) or "legend" in str(w.message)]


def test_names_that_do_not_fit_their_axis_are_numbered():
    """Names of stations may be long; none lies over another, and each is named below."""
    figure = Figure(figsize=(4, 2), dpi=100)
    axes = figure.subplots()
    names = ["C1", "Department of Radiology", "Second Department of Radiology", "D1"]
    axes.set_xticks(range(4), names)
    axes.set_yticks([0.0, 1.0], ["A1", "a name far longer than the margin at the left of these axes"])
    notes = replace_crowded(figure, 3)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["C1", "[3]", "[4]", "D1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A1", "[5]"]
    assert notes[0] == "In the figure, [3] stands for Department of Radiology." and len(notes) == 3
    short = Figure(figsize=(4, 2), dpi=100)
    short.subplots().set_xticks(range(3), ["first", "second", "third"])
    assert replace_crowded(short, 1) == []
