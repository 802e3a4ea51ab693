"""Slices in the page: every picture is there, in its place, with its difference in words; names cannot break out."""

import base64
import re

import pytest
from markupsafe import escape

from ct4bench.report.slices import difference_words, slices_view

HOSTILE = "<img src=x onerror=alert(1)>\"'"
VALUES = {
    "reference": "A1", "dose_mgy": 10.0, "recon": "IR", "slice_mm": 131.9, "from_first_face": True, "width": 60,
    "height": 40, "pixel_mm": [0.7, 0.7], "bin": 1, "step_hu": 50, "limit_hu": 100, "inset_mm": 40.0,
    "gray_hu": [-150, 250], "colours": ["#0000ff", "#8888ff", "#ffffff", "#ff8888", "#ff0000"],
    "insets": [{"roi": "cyst1", "tissue": "cyst", "colour": "#0072B2", "box": [3, 4, 10, 10]}],
    "scanners": [
        {"scanner": "A1", "name": "Siemens", "repetition": 1, "image": base64.b64encode(b"one").decode()},
        {"scanner": HOSTILE, "name": "", "repetition": 2, "image": base64.b64encode(b"two").decode(),
         "difference": base64.b64encode(b"three").decode(), "mean_hu": -1.25, "sd_hu": 14.0,
         "regions_hu": {"cyst1": 5.04, "normal1": 0.0}},
    ],
    "missing": {"C1": "no IR at 10 mGy in this run", "H1": "not kept", "G1": "no IR at 10 mGy in this run"},
}  # fmt: skip


@pytest.fixture(scope="module")
def view():
    return slices_view(VALUES, "m_")


def test_every_picture_is_in_the_page_once_and_its_close_ups_are_parts_of_it(view):
    first, second = view.panels
    assert first.difference is None
    # in the paper's order
    assert view.missing == ["Not shown: G1, C1 (no IR at 10 mGy in this run).", "Not shown: H1 (not kept)."]
    for panel, kind, name, data in ((first, "image", "m_slice_0", b"one"), (second, "image", "m_slice_1", b"two"),
                                    (second, "difference", "m_difference_1", b"three")):  # fmt: skip
        drawn = getattr(panel, kind)
        (address,) = re.findall(r'href="data:image/(?:webp|png);base64,([^"]*)"', drawn)
        assert base64.b64decode(address) == data
        assert f'id="{name}"' in drawn and f'href="#{name}"' in drawn and 'viewBox="3 4 10 10"' in drawn
    assert HOSTILE not in str(second) and str(escape(HOSTILE)) in second.image


def test_the_difference_is_told_with_its_sign(view):
    told = view.panels[1].told
    assert told == "mean \N{MINUS SIGN}1.2, SD 14.0 HU; cyst1 +5.0; normal1 0.0 HU"
    assert told in view.panels[1].difference  # for who cannot see it
    assert difference_words(VALUES["scanners"][0]) == ""


def test_the_legend_has_its_ends_in_hu_and_every_colour(view):
    for colour in VALUES["colours"]:
        assert colour in view.legend
    for end in ("\N{MINUS SIGN}100", "\N{MINUS SIGN}50", ">0<", "+50", "+100"):
        assert end in view.legend


def test_a_run_without_slices_has_none():
    assert slices_view(None) is None
