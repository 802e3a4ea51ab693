"""Checks that tasks make of themselves: added up in any order, and an error beyond tolerance."""

import json

import pytest

from ct4bench.core.checks import KINDS, Checks, merge_checks
from ct4bench.core.errors import UserError


def test_tasks_add_up_in_any_order(tmp_path):
    one, other = Checks(), Checks()
    one.add("rmse_hu", 2, 3.14159e-6, "a and b")
    one.add("rmse_hu", 1, 1e-6, "c and d")
    other.add("rmse_hu", 4, 2.5e-5, "e and f")
    other.add("reading", 3, 0.0, "series a")
    paths = [tmp_path / "one.json", tmp_path / "other.json"]
    for checks, path in zip((one, other), paths, strict=True):
        checks.write(path)
    assert json.loads(paths[0].read_text()) == {"rmse_hu": {"n": 3, "largest": 3.1e-6, "at": "a and b"}}
    merged = merge_checks(paths)
    assert merged == merge_checks(paths[::-1])
    assert [(m["kind"], m["n"], m["largest"], m["at"]) for m in merged] == [
        ("reading", 3, 0.0, "series a"), ("rmse_hu", 7, 2.5e-5, "e and f"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_tolerance_the_task_ends_and_says_what_and_how_far(kind):
    about = KINDS[kind]
    Checks().add(kind, 1, about.tolerance, "series a")
    for difference in (1.01 * about.tolerance, float("nan")):
        with pytest.raises(UserError, match=f"series a: .*{about.library}'s.*tolerance"):
            Checks().add(kind, 1, difference, "series a")
