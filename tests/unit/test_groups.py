"""Tests that share a run stand in one group, so that no two processes make it."""

import os
import re
import subprocess
import sys

from tests.conftest import MADE_ONCE, ROOT, group_of

FILES = """
import os, pathlib, pytest
@pytest.mark.parametrize("i", range(4))
def test_one(i):
    pathlib.Path("{name}_" + os.environ["PYTEST_XDIST_WORKER"]).touch()  # {fixture}
"""


def test_files_that_share_a_run_are_in_its_group():
    for name in MADE_ONCE:
        users = [
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "tests").rglob("test_*.py")
            if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) and path.name != "test_groups.py"
        ]
        assert len(users) > 1, name
        assert len({group_of(path) for path in users if group_of(path) in (name, "twin_of")}) == 1, name
        assert all(group_of(path) in MADE_ONCE for path in users), name


def test_a_group_has_one_process(tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    for name, fixture in (("a", "small_run"), ("b", "small_run"), ("c", ""), ("d", "")):
        (tests / f"test_{name}.py").write_text(FILES.format(name=name, fixture=fixture))
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "--dist", "loadscope", "--no-loadscope-reorder", "tests"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert "16 passed" in done.stdout, done.stdout + done.stderr
    made = sorted(path.name for path in tmp_path.glob("?_gw*"))
    assert [name[0] for name in made] == ["a", "b", "c", "d"], made
    assert made[0][2:] == made[1][2:], made
