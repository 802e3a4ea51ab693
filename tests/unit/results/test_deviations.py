import pytest

from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.results.deviations import ROOT, markdown, read_deviations
from ct4bench.results.run_facts import EXCEPTIONS


def test_there_are_the_22_points_with_the_four_exceptions():
    points, _ = read_deviations()
    assert [point.number for point in points] == list(range(1, 23))
    assert [point.number for point in points if point.exception] == [5, 6, 11, 15] == list(EXCEPTIONS["paper"])


def test_the_page_is_made_from_the_source():
    assert (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8") == markdown(*read_deviations()), (
        "docs/deviations.md is not what assets/deviations.yaml gives; run make lists"
    )


def test_named_files_exist():
    points, choices = read_deviations()
    missing = {name for item in (*points, *choices) for name in item.where if not (ROOT / name).is_file()}
    assert not missing


def test_every_point_says_where():
    points, choices = read_deviations()
    assert not [item.subject for item in (*points, *choices) if not item.where]


def test_a_point_differs_between_modes_where_the_modes_do():
    numbers = {3, 4, 7, 8, 13, 15, 16}
    points = {point.number: point for point in read_deviations()[0]}
    assert PAPER != CORRECTED
    for number in numbers:
        assert points[number].paper != points[number].corrected
        assert "bin/ct4bench/core/modes.py" in points[number].where


@pytest.mark.parametrize("text", ["points: 3", "points:\n  - number: 1\nchoices: []", "{", "points: []"])
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="mine.yaml"):
        read_deviations(path)
