"""Words that repeat stand once above a table, and nothing else of it goes."""

import pytest

from ct4bench.report.repeats import lift_repeats


def grid(*rows, columns=("task", "about", "scheme", "accuracy"), **more):
    lines = [{"head": row[0], "cells": [{"main": cell} for cell in row[1:]]} for row in rows]
    return {"columns": list(columns), "rows": lines, "kind": "grid", "left": [0, 1, 2], **more}


LONG = {
    "maker": "which maker it was, from patches of other scans",
    "tissue": "which tissue it is, on an unseen scanner",
}
ROWS = [(task, LONG[task], "loso", f"0.{i}") for i, task in enumerate(("maker", "maker", "tissue", "tissue"))]


def test_a_word_of_every_row_stands_once_above():
    lifted = lift_repeats(grid(*ROWS))
    assert ("scheme", "loso") in lifted["above"]
    assert lifted["columns"] == ["task", "accuracy"] and lifted["left"] == [0]
    assert [[row["head"], *(cell["main"] for cell in row["cells"])] for row in lifted["rows"]] == [
        [row[0], row[3]] for row in ROWS
    ]


def test_long_words_that_follow_from_a_short_name_stand_once_for_each():
    assert [item for item in lift_repeats(grid(*ROWS))["above"] if item[0].startswith("about")] == [
        ("about, maker", LONG["maker"]), ("about, tissue", LONG["tissue"])
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:2],  # two rows are no repetition
        [("a", "same", "x", "1"), ("b", "same", "y", "2"), ("c", "other", "z", "3")],
    ],
)
def test_what_does_not_repeat_stays(rows):
    assert lift_repeats(grid(*rows)) == {**grid(*rows), **({"above": []} if len(rows) > 2 else {})}


def test_a_cell_with_more_than_words_keeps_its_column():
    given = grid(*[(name, "b", "c", "1") for name in "xyz"])
    given["rows"][1]["cells"][0]["range"] = "0 to 1"
    assert lift_repeats(given)["columns"] == ["task", "about"]


def test_blank_columns_go_without_a_word():
    lifted = lift_repeats(grid(*[(name, "", f"s{name}", name) for name in "xyz"]))
    assert lifted["columns"] == ["task", "scheme", "accuracy"] and lifted["above"] == []
