"""Slices for the page: differences are those of the volumes, with their sign, within a step; all fit their limit."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from block_reference import phantom, write_reference
from PIL import Image
from report_data import series_table

from ct4bench.core.benchmark import ROIS
from ct4bench.core.regions import CT4HARMONIZATION
from ct4bench.core.volumes import save_volume
from ct4bench.figures.slices import LIMIT_HU, read_same_slice, shown_series, slices_view
from ct4bench.figures.views import gray_limits, make_view
from ct4bench.preprocess.reference import open_reference

SCANNERS = ("A1", "C1", "E2")
OFFSETS = {"A1": 0, "C1": 13, "E2": -31}
NOISE_HU = 20.0


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write_reference(folder)
    return make_view(open_reference(folder))


@pytest.fixture(scope="module")
def volumes(frame, tmp_path_factory):
    """The phantom with an offset for each scanner and noise; E2 is 300 HU denser in its first region."""
    folder, series = tmp_path_factory.mktemp("volumes"), series_table("synthetic", SCANNERS)
    hu, labels = phantom()
    generator, kept = np.random.default_rng(4), {}
    for scanner in SCANNERS:
        noise = generator.normal(0, NOISE_HU, hu.shape)
        kept[scanner] = np.rint(hu + OFFSETS[scanner] + noise).astype(np.int16)
        if scanner == "E2":
            kept[scanner][labels == 1] += 300
        save_volume(folder / f"{shown_series(series, scanner)[0]}.b2nd", kept[scanner], frame.reference.grid)
    return folder, series, kept


@pytest.fixture(scope="module")
def same(frame, volumes):
    return read_same_slice(frame, volumes[1], volumes[0])


@pytest.fixture(scope="module")
def view(frame, same):
    return slices_view(frame, same, {"C1": "Philips X"})


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_differences_are_those_of_the_volumes(view, same, volumes):
    _, _, kept = volumes
    part = (same.k, same.rows, same.columns)
    found = {one["scanner"]: one for one in view["scanners"]}
    assert list(found) == list(SCANNERS) and view["reference"] == "A1" and "difference" not in found["A1"]
    assert sorted(view["missing"]) == sorted({"A2", "B1", "B2", "G1", "G2", "H2", "D1", "F1", "E1", "H1"})
    for scanner in ("C1", "E2"):
        picture = opened(found[scanner]["difference"])
        assert (picture.format, picture.mode) == ("PNG", "P")
        levels, side = np.asarray(picture).astype(int), int(LIMIT_HU / view["step_hu"])
        true = kept[scanner][part].astype(float) - kept["A1"][part]
        shown = (levels - side) * view["step_hu"]
        assert np.abs(shown - np.clip(true, -LIMIT_HU, LIMIT_HU)).max() <= view["step_hu"] / 2
        # the sign can be seen: red where it is more, blue where it is less, and the legend has these colours
        colours = np.asarray(picture.convert("RGB")).astype(int)
        more, less = colours[true > 50].mean(axis=0), colours[true < -50].mean(axis=0)
        assert more[0] > more[2] + 40 and less[2] > less[0] + 40
        at = tuple(colours[np.unravel_index(np.argmax(true), true.shape)])
        assert "#{:02x}{:02x}{:02x}".format(*at) == view["colours"][levels.flat[np.argmax(true)]]


def test_numbers_beside_the_pictures_are_the_slices(view, frame, same, volumes):
    _, _, kept = volumes
    _, labels = phantom()
    for one in view["scanners"][1:]:
        true = kept[one["scanner"]][same.k].astype(float) - kept["A1"][same.k]
        cut = [roi for i, roi in enumerate(ROIS, 1) if (labels[same.k] == i).any()]
        assert list(one["regions_hu"]) == cut
        for roi in cut:
            inside = labels[same.k] == ROIS.index(roi) + 1
            assert one["regions_hu"][roi] == pytest.approx(true[inside].mean(), abs=0.006)
            planted = OFFSETS[one["scanner"]] + (300 if (one["scanner"], roi) == ("E2", "cyst1") else 0)
            assert one["regions_hu"][roi] == pytest.approx(planted, abs=4 * NOISE_HU * 2**0.5 / inside.sum() ** 0.5)
        if one["scanner"] == "C1":
            assert one["sd_hu"] == pytest.approx(NOISE_HU * 2**0.5, rel=0.05)
            assert one["mean_hu"] == pytest.approx(13, abs=1)


def test_regions_of_ones_own_are_between_black_and_white(frame, same, volumes):
    """Cork of -780 HU was all black, and so was the only region of its slice."""
    assert gray_limits([-780.0, -350.0, 60.0, 75.0, 420.0]) == (-900.0, 550.0)
    assert gray_limits([20.0, 30.0]) == (-200.0, 250.0)
    assert frame.gray_hu == (-150.0, 250.0)
    own = replace(frame.reference, values=frame.reference.values | {
        "phantom": CT4HARMONIZATION.to_dict() | {"name": "own", "printed_block": False}})  # fmt: skip
    hu, labels = phantom()
    means = [hu[labels == i].mean() for i in range(1, 7)]
    assert make_view(own).gray_hu == gray_limits(means)
    view = slices_view(replace(frame, gray_hu=(-900.0, 550.0)), same, {})
    gray = np.asarray(opened(view["scanners"][1]["image"]).convert("L")).astype(float)
    true = volumes[2]["C1"][same.k, same.rows, same.columns]
    assert view["gray_hu"] == [-900.0, 550.0]
    assert np.abs(gray / 255 * 1450 - 900 - np.clip(true, -900, 550)).mean() < 20


def test_gray_pictures_look_like_the_slices(view, same, volumes):
    _, _, kept = volumes
    low, high = view["gray_hu"]
    for one in view["scanners"]:
        gray = np.asarray(opened(one["image"]).convert("L")).astype(float)
        assert gray.shape == (view["height"], view["width"])
        true = np.clip(kept[one["scanner"]][same.k, same.rows, same.columns], low, high)
        assert np.sqrt(np.mean((gray / 255 * (high - low) + low - true) ** 2)) < 12  # HU, of noise of 20
    for inset in view["insets"]:
        x, y, w, h = inset["box"]
        assert min(x, y) >= 0 and x + w <= view["width"] and y + h <= view["height"]


def test_pictures_fit_their_limit_by_coarser_steps_then_larger_pixels(frame, same):
    sizes, kinds = [], []
    for limit in (10**9, 16_000, 5_000):
        made = slices_view(frame, same, {}, limit)
        n = sum(len(base64.b64decode(one[kind])) for one in made["scanners"] for kind in ("image", "difference")
                if kind in one)  # fmt: skip
        assert n <= limit
        sizes.append(n)
        kinds.append((made["bin"], made["step_hu"]))
    assert sizes == sorted(sizes, reverse=True) and kinds[0] == (1, 4) and kinds[-1][0] > 1


def test_differences_are_to_the_scanner_of_the_reference_series(frame, volumes, same):
    uid, _ = shown_series(volumes[1], "E2")
    other = replace(frame, reference=replace(frame.reference, series_uid=uid))
    view = slices_view(other, same, {})
    assert view["reference"] == "E2"
    assert [one["mean_hu"] for one in view["scanners"][:2]] == pytest.approx([31, 44], abs=8)


def test_one_scanner_has_nothing_to_be_compared_to(frame, volumes, tmp_path):
    folder, series, _ = volumes
    alone = read_same_slice(frame, series[series["scanner"] == "C1"], folder)
    assert slices_view(frame, alone, {}) is None
