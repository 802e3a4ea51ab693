"""A method that fails says why, with what it printed last, and its author is told what to do about that."""

import re

import numpy as np
import pytest
from pipeline_run import ROOT
from planted import plant

from ct4bench.harmonization import remedies
from ct4bench.harmonization.check import FAIL, Conformance, check_variant
from ct4bench.harmonization.run_fold import Failure, Rows, Sandbox, harmonize_fold

RNG = np.random.default_rng(5)
TRAINING = Rows(RNG.normal(size=(40, 3)), np.repeat(["A1", "B1"], 20))
TARGET = Rows(RNG.normal(size=(20, 3)), np.repeat(["A1", "Y"], 10))
CLASS = """
class Method:
    def __init__(self, *, seed):
        self.means = {}
    def fit(self, X, domain):
        self.means = {name: X[domain == name].mean() for name in domain.unique()}
        return self
    def transform(self, X, domain):
        result = X.copy()
        for name in domain.unique():
            result[domain == name] -= self.means[name]
        return result
"""
PROGRAMS = [
    ("#!/bin/sh\nexit 0\n", 0o644, remedies.NOT_EXECUTABLE, "method is not executable", ""),
    ("#!/no/such/thing\n", 0o755, remedies.NO_INTERPRETER, "names /no/such/thing, which is not there", ""),
    ("#!/usr/bin/env no-such-thing\n", 0o755, remedies.NO_INTERPRETER, "exit status 127", "no-such-thing"),
    ("#!/bin/sh\r\nexit 0\r\n", 0o755, remedies.LINE_ENDS, "as in Windows", ""),
    ("#!/usr/bin/env sh\r\nexit 0\r\n", 0o755, remedies.LINE_ENDS, "exit status 127", "sh"),
    ("print(1)\n", 0o755, remedies.NO_FIRST_LINE, "is not #!", ""),
    ("#!/usr/bin/env python3\nimport no_such\n", 0o755, remedies.PACKAGE, "exit status 1", "No module named 'no_such'"),
    ("#!/bin/sh\necho 'is singular' >&2\nexit 4\n", 0o755, remedies.STATUS, "exit status 4", "is singular"),
    ("#!/bin/sh\nkill -11 $$\n", 0o755, remedies.STATUS, "ended by signal 11", ""),
    ("#!/bin/sh\nexit 0\n", 0o755, remedies.NO_OUTPUT, "wrote no X.csv", ""),
    ("#!/bin/sh\necho a,b > $5/X.csv\n", 0o755, remedies.NO_TABLE, "no column row", ""),
    ("#!/bin/sh\n: > $5/X.csv\n", 0o755, remedies.NO_TABLE, "cannot be read", ""),
]
CLASSES = [
    ("x = 1\n", remedies.NO_CLASS, "method.py has no class Method", ""),
    ("import no_such\n", remedies.IMPORT, "No module named 'no_such'", "import no_such"),
    ("def f(:\n", remedies.SYNTAX, "SyntaxError", "def f(:"),
    (CLASS.replace(", *, seed", ""), remedies.CONSTRUCTOR, "unexpected keyword argument 'seed'", ""),
    (CLASS.replace("X, domain):\n        self", "X):\n        self"), remedies.CALL, "fit.. takes 2 positional", ""),
    (CLASS.replace("def fit", "def train"), remedies.NO_FUNCTION, "no attribute 'fit'", ""),
    (CLASS, remedies.UNSEEN, "of 10 rows of .*Y .not fitted on: Y.: KeyError: 'Y'", "in transform"),
    (CLASS.replace("return self", "1 / 0"), remedies.RAISES, "fit of 40 rows of A1, B1: ZeroDivisionError", "1 / 0"),
    (CLASS.replace("self.means[name]\n", "1.0\n").replace("return result", "return result.to_numpy()"), remedies.TYPE,
     "gave a ndarray", ""),
    (CLASS.replace("self.means[name]\n", "1 / 0\n").replace("X.copy()", "X"), remedies.RAISES, "ZeroDivision", "1 / 0"),
    (CLASS.replace("self.means[name]\n", "1.0\n").replace("X.copy()", "X"), remedies.INPUT, "changed what", ""),
    (CLASS.replace("return self", "exit(7)"), remedies.ENDED, "ended with status 1", "SystemExit: 7"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["numpy", "pandas"]) as one:
        yield one


def failure(variant, sandbox) -> Failure:
    result = harmonize_fold(variant, TRAINING, targets=TARGET, sandbox=sandbox)
    assert isinstance(result, Failure), result
    return result


def check_told(variant, result, kind, reason, line):
    assert result.kind == kind and re.search(reason, result.reason), result
    assert line in "\n".join(result.lines)
    assert "fold_server" not in "\n".join(result.lines)  # what called it is of no use to its author
    assert remedies.remedy(result.kind, variant.declaration) != remedies.SEE


@pytest.mark.parametrize(("code", "mode", "kind", "reason", "line"), PROGRAMS)
def test_a_program_that_fails_says_why(code, mode, kind, reason, line, tmp_path, sandbox):
    variant = plant(tmp_path, code, entry="method")
    variant.declaration.file.write_bytes(code.encode())
    variant.declaration.file.chmod(mode)
    check_told(variant, failure(variant, sandbox), kind, reason, line)


@pytest.mark.parametrize(("code", "kind", "reason", "line"), CLASSES)
def test_a_class_that_fails_says_why(code, kind, reason, line, tmp_path, sandbox):
    variant = plant(tmp_path, code)
    check_told(variant, failure(variant, sandbox), kind, reason, line)


def test_without_r_an_r_method_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    variant = plant(tmp_path, "", entry="method.R")
    with Sandbox(["numpy", "pandas"]) as alone:
        assert failure(variant, alone).kind == remedies.NO_R


def test_the_check_shows_what_a_program_said_and_what_to_do(tmp_path, sandbox):
    """The program's words stand at the end of what is printed, not the traceback of what called it."""
    code = "#!/bin/sh\ntest $1 = fit && exit 0\nfor i in 1 2 3 4 5 6; do echo line $i >&2; done\nexit 4\n"
    variant = plant(tmp_path, code, entry="method")
    (verdict,) = check_variant(Conformance(variant, 3, sandbox, sandbox))
    assert verdict.verdict == FAIL and verdict.lines == tuple(f"line {i}" for i in range(1, 7))
    assert verdict.mend.startswith("mend what the program says")


def test_words_to_mend_name_headings_that_are_there(tmp_path):
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    declared = plant(tmp_path, "").declaration
    for kind in (*remedies.MEND, "of another kind"):
        words = remedies.remedy(kind, declared)
        assert "{" not in words
        assert set(re.findall(r"'([A-Z][\w ]+)'", words)) <= set(headings), words
