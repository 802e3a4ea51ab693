"""The list of methods before set-up says what YAML's own reader finds."""

import subprocess
import sys

import pytest
import yaml
from command.methods import detail_text, find_methods, list_text, read_declared
from tests.conftest import ROOT

SHIPPED = sorted(path.parent for path in (ROOT / "methods").glob("*/method.yml"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_is_listed_is_what_yaml_says(folder):
    declared, whole = read_declared(folder), yaml.safe_load((folder / "method.yml").read_text())
    assert declared.variants == tuple(whole.get("variants", {}))
    for name in ("name", "title", "about", "version", "citation", "licence", "role", "level", "information", "unseen"):
        assert declared[name] == whole.get(name, ""), name


def test_every_method_has_a_line():
    text = list_text(find_methods([]))
    assert all(f"  {folder.name} " in text for folder in SHIPPED) and len(SHIPPED) > 5


def test_a_folder_of_ones_own(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "method.yml").write_text(
        "name: mine  # by me\ntitle: 'Mine: first'\nlevel: feature\n"
        "variants:\n  one: {a: 1}\n\n  # and\n  two:\n    a: 2\n"
    )
    found = find_methods([tmp_path])[-1]
    assert (found["name"], found["title"], found.variants) == ("mine", "Mine: first", ("one", "two"))
    assert find_methods([tmp_path / "mine"])[-1] == found and "Mine: first" in detail_text(found)


def test_an_unknown_method_is_said_so():
    words = [sys.executable, ROOT / "ct4bench", "methods", "no_such"]
    assert subprocess.run(words, capture_output=True).returncode == 1
