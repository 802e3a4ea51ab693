"""What each process runs: tools/closures.py against Python's own parser, and the numbers in docs/processes.csv."""

import importlib.util

import pandas as pd
import pytest
from tests.conftest import ROOT
from tests.unit.test_house import PACKAGE, imported

PROCESSES = pd.read_csv(ROOT / "docs" / "processes.csv", keep_default_na=False).query("process != ''")
SPEC = importlib.util.spec_from_file_location("closures", ROOT / "tools" / "closures.py")
closures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(closures)

MUST_NOT = {
    "TRAIN_CLASSIFIERS": r"features\.(?!radiomics_settings)|figures\.|results\.|preprocess\.",
    "MERGE_PREDICTIONS": r"mlp|classifiers|features\.",
    "MERGE_FEATURES": r"swin|shallow|encoder|radiomics",
    "MERGE_PAIRS": r"similarity|volumes",
    "MERGE_PROFILES": r"profiler|noise|sharpness|volumes",
    "MERGE_REGISTRATION": r"registration$|resampling|volumes|index\.ct$",
    "PLAN_PAIRS": r"similarity|volumes",
    "PLAN_SPLITS": r"learning\.|features\.",
    "MAKE_TABLES": r"similarity|mlp|features\.(?!merge)|registration|umap",
    "WRITE_REPORT": r"figures\.|registration|similarity|mlp",
    "COLLECT_RESULTS": r"figures\.|report\.",
}
"""Modules whose edit must not run a process again."""


def reached(script: str) -> set[str]:
    """Modules that a script of bin/ imports, however indirectly, by Python's own parser."""
    seen, waiting = set(), imported(ROOT / "bin" / script)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting |= imported(PACKAGE / f"{name.replace('.', '/')}.py")
    return seen


@pytest.mark.parametrize("process", PROCESSES["process"])
def test_closure_is_what_python_imports(process):
    files = closures.closure(f"{process.lower()}.py")
    assert set(closures.modules(files)) == reached(f"{process.lower()}.py")


def test_data_files_belong_to_a_closure():
    assert "../assets/report.html.j2" in closures.closure("write_report.py")


def test_the_number_of_modules_is_that_of_the_list():
    """An import that is added or taken away shows here; `tools/closures.py --write` writes the numbers."""
    found = {name: len(closures.modules(closures.closure(f"{name.lower()}.py"))) for name in PROCESSES["process"]}
    assert found == dict(zip(PROCESSES["process"], PROCESSES["modules"].astype(int), strict=True))


@pytest.mark.parametrize("process", MUST_NOT)
def test_no_process_depends_on_what_it_does_not_use(process):
    names = pd.Series(closures.modules(closures.closure(f"{process.lower()}.py")))
    assert list(names[names.str.contains(MUST_NOT[process], regex=True)]) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [("import a.b as c, d\n", {"a.py", "a/b.py", "d.py"}),
     ("from .x import (y,\n  z)\n", {"p.py", "p/x.py", "p/x/y.py", "p/x/z.py"}),
     ("# import a\nfrom a import b  # c\n", {"a.py", "a/b.py"}), ("from . import q\n", {"p.py", "p/q.py"}),
     ("    import lazy\n", {"lazy.py"}), ("# code-data: ../t.csv\n", {"../t.csv"})],
)  # fmt: skip
def test_forms_of_imports(source, expected):
    found = {name for name in closures.imports(source, "p/m.py") if not name.endswith("__init__.py")}
    assert found == expected
