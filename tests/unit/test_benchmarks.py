"""`make bench`: that it finds its benchmarks, and that none of them fails because the machine is busy."""

import ast
import importlib.util
import re
import shlex
import subprocess

import pytest
from tests.conftest import ROOT

FILES = sorted((ROOT / "tests" / "benchmarks").glob("bench_*.py"))


def test_make_bench_finds_every_benchmark():
    """The command is the Makefile's own, so a file that no longer imports is seen here."""
    # under `make test` this make is a second level, and says which folder it leaves
    said = subprocess.run(
        ["make", "--no-print-directory", "-n", "bench"], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout
    command = shlex.split(said.splitlines()[-1])
    done = subprocess.run([*command, "--collect-only"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"(bench_\w+\.py)::", done.stdout)) == {path.name for path in FILES}


def test_a_time_beyond_its_bound_is_said_and_fails_nothing():
    spec = importlib.util.spec_from_file_location("bench_conftest", ROOT / "tests" / "benchmarks" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expect = module.Recorder().expect
    assert expect("within", 10.0, at_most=10) and expect("within", 6.0, at_least=6)
    assert module.MISSED == []
    assert not expect("CPU s of a pair", 10.5, at_most=10)
    assert not expect("ratio", 5.5, at_least=6)
    assert not expect("a time that is none", float("nan"), at_most=1)
    assert module.MISSED[:2] == ["CPU s of a pair: 10.5, at most 10", "ratio: 5.5, at least 6"]
    assert len(module.MISSED) == 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_benchmark_asserts_a_time(path):
    """Names of times end in _s or are one of these; memory and values do not."""
    timed = re.compile(r"\w+_s|seconds|costs?|of_slice|off|times")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assert):
            names = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
            assert not [name for name in names if timed.fullmatch(name)], ast.unparse(node)
