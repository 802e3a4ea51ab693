"""Pictures of the page as SVG: words have room in them, whatever scanners and classes are called."""

import re

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from ct4bench.report.svg import TEXT_PX, Square, squares, width_px

NAMES = (
    "A1",
    "Gamma",
    "Alpha",
    "SOMATOM Force",
    "WWMW",
    "GE_Revolution-CT",
    "iQon (spectral)",
    "M\u00fcnchen 2",
    "0.75",
)


def drawn_px(words: str) -> float:
    """Width of words in DejaVu Sans, the widest of the fonts that browsers take for a page."""
    return TextPath((0, 0), words, size=TEXT_PX, prop=FontProperties(family="DejaVu Sans")).get_extents().x1


@pytest.mark.parametrize("words", NAMES)
def test_words_are_as_wide_as_they_are_taken_for(words):
    assert drawn_px(words) <= width_px(words) <= 1.45 * drawn_px(words)


@pytest.mark.parametrize("names", [("Alpha", "Beta", "Gamma"), ("SOMATOM Force", "WWMW"), ("A1", "B1")])
def test_names_of_a_map_are_whole(names):
    cells = [[Square(0.5, "1", "one")] * len(names)] * len(names)
    picture = str(squares("a map", names, names, cells, 29.0))
    width, height = map(float, re.search(r'viewBox="0 0 ([0-9]+) ([0-9]+)"', picture).groups())
    for x, y, turn, name in re.findall(
        r'<text x="([0-9.-]+)" y="([0-9.-]+)" text-anchor="end" class="axis"( transform="[^"]*")?>([^<]*)<', picture
    ):
        share = 0.643 if turn else 0.0
        assert float(x) - drawn_px(name) * (0.766 if turn else 1) >= 0, name
        assert float(y) + share * drawn_px(name) <= height and float(x) <= width, name
    assert all(picture.count(f">{name}<") == 2 for name in names)
