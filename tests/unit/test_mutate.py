"""The tool that makes wrong edits: where it edits, that each edit is a program of as many lines, and what it runs."""

import ast
import importlib.util
import subprocess
import sys

import pytest
from tests.conftest import ROOT

spec = importlib.util.spec_from_file_location("mutate", ROOT / "tools" / "mutate.py")
mutate = importlib.util.module_from_spec(spec)
sys.modules["mutate"] = mutate
spec.loader.exec_module(mutate)

SOURCE = b'''"""Adds 1 + 1 < 3."""
import numpy as np

LIMIT: int = 4
"""More than 3 - 1."""


@njit(cache=True)
def mean(values: "list[1]", at=0, *, low: int | None = None) -> "1 + 2":
    """Mean of 2 or 3 values."""
    total = 0.5
    for i in range(at, len(values)):
        if values[i] < LIMIT and not np.isnan(values[i]):
            total += values[i] - low
        else:
            raise ValueError(f"{i + 1} of {len(values) - 1} is above " + str(LIMIT - 2))
    return total / len(values), np.sum(
        values,
        axis=0,
    )
'''


def edits() -> set[tuple]:
    return {(m.line, m.operator, m.before) for m in mutate.mutants_of("core.toy", SOURCE, 1)}


def test_edits_are_of_code_and_not_of_words():
    found = edits()
    assert {(line, operator) for line, operator, _ in found} == {
        (4, "constant"), (9, "constant"), (11, "constant"), (12, "arguments exchanged"), (13, "comparison"),
        (13, "boolean"), (13, "sign"), (13, "index"), (13, "condition negated"), (14, "arithmetic"),
        (14, "statement dropped"), (14, "index"), (16, "statement dropped"), (17, "arithmetic"),
        (18, "option dropped"), (17, "values exchanged"), (19, "constant"),
    }  # fmt: skip
    assert (16, "statement dropped", SOURCE.decode().split("\n")[15].strip()) in found


def test_every_edit_is_another_program_of_as_many_lines():
    before = ast.dump(ast.parse(SOURCE))
    for mutant in mutate.mutants_of("core.toy", SOURCE, 1):
        after = SOURCE[: mutant.start] + mutant.after.encode() + SOURCE[mutant.end :]
        assert ast.dump(ast.parse(after)) != before, mutant
        assert after.count(b"\n") == SOURCE.count(b"\n"), mutant
        assert SOURCE[: mutant.start].count(b"\n") + 1 == mutant.line


def test_a_draw_depends_on_the_seed_and_an_edit_elsewhere_leaves_it():
    first, again, other = (
        [m.turn for m in mutate.mutants_of("core.toy", source, seed)]
        for source, seed in ((SOURCE, 1), (b"\n\n" + SOURCE, 1), (SOURCE, 2))
    )
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == len(first)


def test_every_module_of_the_list_is_there_and_drawn_from():
    assert [name for name in mutate.MODULES if not mutate.file_of(ROOT, name).exists()] == []
    assert len(set(mutate.MODULES)) == len(mutate.MODULES)


CODE = """from ct4bench.low.base import LIMIT


def above(value):
    return value > LIMIT


def untested(value):
    return value + 1
"""
TEST = """from ct4bench.high.top import above


def test_edge():
    assert above(3) and not above(2)


def test_fails_anyway():
    assert above(0)
"""


@pytest.fixture
def project(tmp_path):
    """A package of two modules with one file of tests, and the tool in it."""
    for name, text in (
        ("bin/ct4bench/__init__.py", ""), ("bin/ct4bench/low/__init__.py", ""), ("bin/ct4bench/high/__init__.py", ""),
        ("bin/ct4bench/low/base.py", "LIMIT = 2\n"), ("bin/ct4bench/high/top.py", CODE),
        ("tests/unit/high/test_top.py", TEST), ("tests/conftest.py", ""),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["bin"]\naddopts = "--import-mode=importlib"\n'),
        ("tools/mutate.py", (ROOT / "tools" / "mutate.py").read_text()),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def test_what_a_test_notices_is_caught_and_the_rest_survives(project):
    command = [
        sys.executable,
        "tools/mutate.py",
        "--modules",
        "low.base",
        "high.top",
        "--folder",
        str(project / "copy"),
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert "test_fails_anyway" in done.stdout and "failing without an edit" in done.stdout
    caught = [line.split(",")[0] for line in lines if line.startswith("caught")]
    assert caught == ["caught  low.base:1 constant", "caught  high.top:5 comparison"]
    survived = [line for line in lines if line.startswith("passes ")]
    assert len(survived) == 2 and all("high.top:9" in line and "no test calls it" in line for line in survived)
    assert "- return value + 1" in done.stdout and "+ return value - 1" in done.stdout
    assert lines[-1].startswith("2 of 4 caught (50.0 %), 0 not tried")
    again = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert not [line for line in again.stdout.splitlines() if line.startswith(("caught ", "noted"))]
    assert again.stdout.splitlines()[-1] == lines[-1]
    assert (project / "bin/ct4bench/high/top.py").read_text() == CODE
