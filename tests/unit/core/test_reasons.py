"""Reasons of quarantine: the codes that the source raises are those of the list, no more and no fewer."""

import ast

import pytest
from tests.conftest import ROOT

from ct4bench.core.errors import Refusal
from ct4bench.core.reasons import read_reasons

STAGES = {"index": ("index",), "preprocess": ("registration",), "download": ("download",)}
REFUSING = ("Refusal", "NotDicom", "Faulty", "_fail", "_give_up")
"""What is called with a code: the first of its arguments, or the second after a series."""


def literals(package) -> set[str]:
    """Codes in a package: first arguments of refusals, and what stands in the column reason of a quarantine row."""
    found = set()
    for path in (ROOT / "bin" / "ct4bench" / package).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _called(node.func) in REFUSING:
                found |= _strings(node.args[_called(node.func).startswith("_")])
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
                found |= _strings(node.value)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "NOT_TRIED":
                found |= _strings(node.value.elts[0])
            elif isinstance(node, ast.Tuple) and len(node.elts) == 4:
                found |= _strings(node.elts[2]) & set(read_reasons())
    return found


def _called(function) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def _strings(node) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


@pytest.mark.parametrize("package", STAGES)
def test_codes_of_the_source_are_those_of_the_list(package):
    (stage,) = STAGES[package]
    listed = {code for code, reason in read_reasons().items() if stage in reason.found_by}
    assert literals(package) == listed


def test_every_reason_says_what_it_means_and_what_to_do():
    for reason in read_reasons().values():
        assert len(reason.meaning.split()) >= 4 and len(reason.remedy.split()) >= 3, reason
        assert not reason.meaning.endswith(".") and not reason.remedy.endswith(".")


def test_a_refusal_has_a_code_and_a_detail():
    error = Refusal("mirrored", "as seen in a glass")
    assert (error.reason, str(error)) == ("mirrored", "as seen in a glass")
