"""Figures 2 to 4: each picture is the part of the volume that its title and axes say, in the paper's window."""

import re

import numpy as np
import pytest
from block_reference import CENTRES_MM, FIRST_FACE_MM, SPACING_MM, phantom, write_reference
from drawn import ticks
from matplotlib.colors import to_hex
from report_data import series_table

from ct4bench.core.benchmark import ROIS, TISSUES, tissue_of
from ct4bench.core.colours import TISSUE_COLOURS
from ct4bench.core.volumes import save_volume
from ct4bench.figures.draw_images import draw_figure2, draw_figure3, draw_figure4
from ct4bench.figures.slices import read_same_slice, shown_series
from ct4bench.figures.views import make_view
from ct4bench.preprocess.reference import open_reference

FACE_MM = FIRST_FACE_MM - 0.5 * SPACING_MM[0]
MIDDLE_MM, HALF_MM = (FACE_MM + 150.0, 115.5, 156.0), (150.0, 96.0, 133.5)
"""First face, middle and half the size of the block as its voxels have them, along slice, row, column."""
NUMBER = r"(-?\d+(?:\.\d+)?)"


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write_reference(folder)
    return make_view(open_reference(folder))


@pytest.fixture(scope="module")
def figure3(view):
    return draw_figure3(view, "")


def voxels(low_mm, high_mm, axis):
    """Voxels whose edges, in mm from the block's middle, are given."""
    edges = [(mm + MIDDLE_MM[axis]) / SPACING_MM[axis] + 0.5 for mm in (low_mm, high_mm)]
    np.testing.assert_allclose(edges, np.rint(edges), atol=0.2)  # the block is found to a part of a voxel
    return slice(*(int(round(edge)) for edge in edges))


def shown(axes) -> tuple[np.ndarray, slice, slice]:
    """The gray picture of a panel and the rows and columns that its axes say it has; in the paper's window."""
    image = axes.images[0]
    assert image.get_cmap().name == "gray"
    assert image.get_clim() == (-150, 250)
    left, right, bottom, top = image.get_extent()
    return np.asarray(image.get_array()), voxels(top, bottom, 1), voxels(left, right, 2)


def slice_of(text: str) -> int:
    """The slice that words place in mm from the block's first face."""
    place = re.search(rf"at {NUMBER} mm", text)
    return int(round((float(place[1]) + FACE_MM) / SPACING_MM[0]))


def best_slice(labels) -> int:
    """The slice of most regions, and of those the one where the smallest is largest."""

    def worth(k):
        areas = [n for n in np.bincount(labels[k].ravel(), minlength=7)[1:] if n]
        return len(areas), min(areas, default=0)

    return max(range(len(labels)), key=lambda k: (*worth(k), -k))


def test_figure4_shows_the_same_slice_of_each_scanners_own_volume(view, tmp_path):
    hu, labels = phantom()
    series = series_table("synthetic", ("A1", "C1", "E2"), repetitions=2)
    series = series[~((series["scanner"] == "C1") & (series["repetition"] == 1))]
    volumes = {}
    for number, scanner in enumerate(("A1", "C1", "E2")):
        uid, repetition = shown_series(series, scanner)
        assert repetition == (2 if scanner == "C1" else 1)
        own = series.set_index("series_uid").loc[uid]
        assert (own["scanner"], own["recon"], own["dose_mgy"]) == (scanner, "IR", 10)
        volumes[scanner] = hu + np.int16(number)
        save_volume(tmp_path / f"{uid}.b2nd", volumes[scanner], view.reference.grid)
    figure, caption = draw_figure4(view, read_same_slice(view, series, tmp_path), {"C1": "Philips X"}, "")
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}
    assert [title.split("\n")[0] for title in list(panels)[:6]] == ["A1", "A2", "B1", "B2", "G1", "G2"]
    assert "C1, #2\nPhilips X" in panels
    k = slice_of(caption.text)
    assert k == best_slice(labels)
    for title, axes in panels.items():
        scanner = title[:2]
        if scanner in volumes:
            image, rows, columns = shown(axes)
            np.testing.assert_array_equal(image, volumes[scanner][k, rows, columns])
            for axis, part in ((1, rows), (2, columns)):
                around = [MIDDLE_MM[axis] + side * HALF_MM[axis] for side in (-1, 1)]
                ends = np.array([part.start, part.stop - 1]) * SPACING_MM[axis]
                assert 3 < around[0] - ends[0] < 9 and 3 < ends[1] - around[1] < 9
        else:
            assert not axes.images and inset_axes(figure, axes) == []
            assert " ".join(axes.texts[0].get_text().split()) == "no IR at 10 mGy in this run"
    bar = panels["A1\n"].lines[-1].get_xdata()
    assert bar[1] - bar[0] == 50 and panels["A1\n"].texts[-1].get_text() == "50 mm"


def inset_axes(figure, axes) -> list:
    """Close-ups to the right of a scanner's slice."""
    own = axes.get_position()
    others = [(a, a.get_position()) for a in figure.axes if not a.get_title(loc="left")]
    return [a for a, at in others if -0.01 < own.y1 - at.y1 < 0.15 and 0 < at.x0 - own.x1 < own.width]


def test_figure4_has_the_regions_of_its_slice_close_up(view, tmp_path):
    hu, labels = phantom()
    series = series_table("synthetic", ("A1", "C1"))
    for number, scanner in enumerate(("A1", "C1")):
        save_volume(tmp_path / f"{shown_series(series, scanner)[0]}.b2nd", hu + np.int16(number), view.reference.grid)
    figure, caption = draw_figure4(view, read_same_slice(view, series, tmp_path), {}, "")
    k = slice_of(caption.text)
    first = next(roi for roi in ROIS if roi in caption.text)
    gray = 10 * (ROIS.index(first) + 1)
    assert f"Mean CT value in {first} on it: from {gray:.1f} HU (A1) to {gray + 1:.1f} HU (C1)" in caption.alt
    cut = [roi for i, roi in enumerate(ROIS, start=1) if (labels[k] == i).any()]
    tissues = list(dict.fromkeys(map(tissue_of, cut)))
    for number, scanner in enumerate(("A1", "C1")):
        main = next(a for a in figure.axes if a.get_title(loc="left").startswith(scanner))
        frames = {to_hex(line.get_color()): line.get_xydata() for line in main.lines if len(line.get_xdata()) == 5}
        close_ups = inset_axes(figure, main)
        assert len(close_ups) == min(4, len(cut))
        drawn = []
        for axes in close_ups:
            image, rows, columns = shown(axes)
            np.testing.assert_array_equal(image, hu[k, rows, columns] + number)
            assert [(part.stop - part.start) * SPACING_MM[1] for part in (rows, columns)] == pytest.approx(
                [40] * 2, abs=3
            )
            inside = np.bincount(labels[k, rows, columns].ravel(), minlength=7)
            roi = max(cut, key=lambda name: inside[ROIS.index(name) + 1])
            assert inside[ROIS.index(roi) + 1] == (labels[k] == ROIS.index(roi) + 1).sum()  # whole
            drawn.append(roi)
            colour = to_hex(axes.spines["left"].get_edgecolor())
            assert colour == to_hex(TISSUE_COLOURS[tissue_of(roi)]) and roi in caption.text
            left, right, bottom, top = axes.images[0].get_extent()
            assert colour in frames
            if len({tissue_of(name) for name in cut}) == len(cut):
                np.testing.assert_allclose(frames[colour].min(axis=0), [left, top])
                np.testing.assert_allclose(frames[colour].max(axis=0), [right, bottom])
        assert drawn == [roi for roi in ROIS if roi in drawn] and set(map(tissue_of, drawn)) == set(tissues)


def test_scale_bars_can_be_read_over_bone(view, figure3):
    """White bars and their words have a black outline."""
    axes = figure3[0].axes[3]
    for artist in (axes.lines[1], axes.texts[-1]):
        (effect,) = artist.get_path_effects()
        assert effect._gc["foreground"] == "black" and effect._gc["linewidth"] > 1.5
    assert axes.lines[1].get_path_effects()[0]._gc["linewidth"] > axes.lines[1].get_linewidth()


def test_figure2_shows_each_segment_where_it_says(view):
    hu, labels = phantom()
    figure, _ = draw_figure2(view, "")
    expected = {"thorax": (172.5 + 299.6) / 2, "liver": None, "test patterns": (1.0 + 96.5) / 2}
    places = {}
    for name, axes in zip(expected, figure.axes, strict=False):
        assert axes.get_title().startswith(f"{name}, axial, at ")
        k = slice_of(axes.get_title())
        image, rows, columns = shown(axes)
        np.testing.assert_array_equal(image, hu[k, rows, columns])
        if name == "liver":
            assert k == best_slice(labels)
        else:
            assert k * SPACING_MM[0] - FACE_MM == pytest.approx(expected[name], abs=0.75 * SPACING_MM[0])
        places[name] = k * SPACING_MM[0] - FACE_MM
        assert [text.get_text() for text in axes.texts] == ["R", "L"]
        assert axes.texts[0].get_position()[0] < axes.texts[1].get_position()[0]


def test_figure2s_section_runs_from_the_first_face_through_the_second_cyst(view):
    hu, _ = phantom()
    figure, caption = draw_figure2(view, "")
    axes = figure.axes[3]
    column = int(round(CENTRES_MM["cyst2"][2] / SPACING_MM[2]))
    left, right, bottom, top = axes.images[0].get_extent()
    rows = voxels(top, bottom, 1)
    slices = slice(*(int(round((mm + FACE_MM) / SPACING_MM[0] + 0.5)) for mm in (left, right)))
    np.testing.assert_array_equal(axes.images[0].get_array(), hu[slices, rows, column].T)
    assert f"at {(column * SPACING_MM[2] - MIDDLE_MM[2]):+.0f} mm" in caption.text
    # Bars below the section span the segments, in the colours of the axial views' borders; lines mark their slices.
    borders = {axes.get_title().split(",")[0]: to_hex(axes.spines["left"].get_edgecolor()) for axes in figure.axes[:3]}
    spans = {"test patterns": (1.0, 96.5), "liver": (96.5, 172.5), "thorax": (172.5, 299.6)}
    drawn = {to_hex(line.get_color()): line.get_xdata() for line in axes.lines if line.get_linewidth() == 5}
    marks = {to_hex(line.get_color()): line.get_xdata()[0] for line in axes.lines if line.get_linewidth() < 5}
    assert len(set(borders.values())) == 3
    for number, name in enumerate(("thorax", "liver", "test patterns")):
        np.testing.assert_allclose(drawn[borders[name]], spans[name], atol=SPACING_MM[0])
        k = slice_of(figure.axes[number].get_title())
        assert marks[borders[name]] == pytest.approx(k * SPACING_MM[0] - FACE_MM, abs=2)


def test_figure3_marks_each_region_with_its_letter_and_the_colour_of_its_tissue(figure3):
    hu, labels = phantom()
    figure, caption = figure3
    axes = figure.axes[1]
    image, rows, columns = shown(axes)
    k = best_slice(labels)
    np.testing.assert_array_equal(image, hu[k, rows, columns])
    letters = dict(zip("efghij", ROIS, strict=True))
    found = {text.get_text(): text.get_position() for text in axes.texts if text.get_text() in letters}
    assert sorted(found) == sorted(letters)
    for letter, roi in letters.items():
        _, row, column = CENTRES_MM[roi]
        np.testing.assert_allclose(found[letter], (column - MIDDLE_MM[2], row - MIDDLE_MM[1]), atol=3)
    legend = axes.get_legend()
    keys = {text.get_text(): to_hex(patch.get_facecolor()) for text, patch
            in zip(legend.get_texts(), legend.legend_handles, strict=True)}  # fmt: skip
    assert list(keys) == list(TISSUES)
    cut = {i for i in range(1, 7) if (labels[k] == i).any()}
    areas = axes.images[1:]
    assert len(areas) == len(cut)
    for number, area in zip(sorted(cut), areas, strict=True):
        rgba = np.asarray(area.get_array())
        np.testing.assert_array_equal(rgba[..., 3] > 0, labels[k, rows, columns] == number)
        assert to_hex(rgba[0, 0, :3]) == keys[tissue_of(ROIS[number - 1])]
    named = [note for note in caption.notes if "does not cut" in note]
    for number, roi in enumerate(ROIS, start=1):
        assert any(roi in note for note in named) == (number not in cut)


def test_the_words_of_figures_2_and_3_have_their_numbers(view, figure3):
    for number, roi in enumerate(ROIS, 1):
        assert f"{roi} {10 * number} HU in 7." in figure3[1].alt  # spheres of 12 mm
    hu, _ = phantom()
    figure, caption = draw_figure2(view, "")
    image, *_ = shown(figure.axes[0])
    assert f"(mean {image.mean():.0f} HU)" in caption.alt and re.search(r"of 3\d\d mm along the block", caption.alt)


@pytest.mark.parametrize("number", range(6))
def test_each_close_up_of_figure3_holds_its_region(figure3, number):
    hu, labels = phantom()
    roi, axes = ROIS[number], figure3[0].axes[3 + number]
    own = labels == number + 1
    title = axes.get_title()
    assert title.startswith(f"{'efghij'[number]}) ")
    k = slice_of(title)
    assert own[k].sum() == own.sum(axis=(1, 2)).max()
    volume_cm3 = float(re.search(rf"{NUMBER} cm", title)[1])
    assert volume_cm3 == pytest.approx(own.sum() * np.prod(SPACING_MM) / 1000, abs=0.05)
    image, rows, columns = shown(axes)
    np.testing.assert_array_equal(image, hu[k, rows, columns])
    assert own[k, rows, columns].sum() == own[k].sum()
    assert [(part.stop - part.start) * SPACING_MM[1] for part in (rows, columns)] == pytest.approx([80, 80], abs=3)
    # The outline lies half way between voxels of the region and others, in the colour of its tissue.
    (outline,) = axes.collections
    assert to_hex(outline.get_edgecolor()[0]) == to_hex(TISSUE_COLOURS[tissue_of(roi)])
    edge = np.concatenate([path.vertices for path in outline.get_paths()])
    middle = np.array(CENTRES_MM[roi][:0:-1]) - np.array(MIDDLE_MM[:0:-1])
    np.testing.assert_allclose(np.hypot(*(edge - middle).T), 12, atol=3.2)
    # The dashed square is 32 x 32 voxels round the region's middle.
    square = axes.lines[0].get_xydata()
    np.testing.assert_allclose(np.ptp(square, axis=0), [32 * SPACING_MM[2], 32 * SPACING_MM[1]])
    np.testing.assert_allclose(0.5 * (square.min(axis=0) + square.max(axis=0)), middle, atol=2)
    bar = axes.lines[1].get_xdata()
    assert bar[1] - bar[0] == pytest.approx(20) and axes.texts[-1].get_text() == "20 mm"
    assert ticks(axes.xaxis) == []
