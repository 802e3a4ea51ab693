"""Schema and docs say what the lists in the source say; what is accepted is tried, not compared with itself."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from pipeline_run import ROOT

from ct4bench.core.metrics import PAIR_METRICS
from ct4bench.splits.plan import several
from ct4bench.splits.tasks import ABLATIONS, CHEAP_ABLATIONS, CHEAP_TASKS, TASKS

spec = importlib.util.spec_from_file_location("write_lists", ROOT / "tools" / "write_lists.py")
lists = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lists)


def rule(name):
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    (found,) = [group["properties"][name] for group in groups if name in group["properties"]]
    return found


def test_files_are_as_the_lists_say():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_lists.py", "--check"], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "own", "everything", "cheap"),
    [("tasks", "tissue", TASKS, CHEAP_TASKS), ("ablations", "default", ABLATIONS, CHEAP_ABLATIONS)],
)
def test_the_schema_takes_every_name_and_no_other(name, own, everything, cheap):
    taken = re.compile(rule(name)["pattern"])
    others = [other for other in everything if other != own]
    for words in ("default", "all", "none", *others, ",".join(others)):
        assert taken.fullmatch(words), words
        assert several(words.split(","), others, cheap)[0] is not None
    for words in ("", "tissue", f"{others[0]},", f"{others[0]},all", f"{others[0]}x", "default,none"):
        assert not taken.fullmatch(words), words
    assert all(other in rule(name)["description"] for other in others)


def test_a_name_that_the_source_has_and_the_schema_lacks_is_written(monkeypatch):
    word, names = lists.LISTS["tasks"]
    monkeypatch.setitem(lists.LISTS, "tasks", (word, (*names, "new_one")))
    old = (ROOT / "nextflow_schema.json").read_text()
    new = lists.schema_text(old)
    groups = json.loads(new)["$defs"].values()
    (found,) = [group["properties"]["tasks"] for group in groups if "tasks" in group["properties"]]
    assert re.fullmatch(found["pattern"], "roi,new_one")
    assert found["description"].endswith(", new_one")
    changed = [a for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b]
    assert len(changed) == 1


def test_docs_have_a_row_for_each_metric_and_question():
    outputs, learning = ((ROOT / "docs" / f"{page}.md").read_text() for page in ("outputs", "learning"))
    for metric in PAIR_METRICS:
        assert f"| `{metric.name}` | {metric.meaning}" in outputs
    for name in set(TASKS) - {"tissue"}:
        assert f"\n| `{name}` | " in learning


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(SystemExit, match="end of tasks"):
        lists.page_text("<!-- tasks: by tools/write_lists.py -->\n", {"tasks": lists.tasks_table})
