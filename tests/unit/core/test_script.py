"""The entry point of scripts: one line for a user's error, and what the task cost."""

import json
import os
import subprocess
import sys
import tempfile

from ct4bench.core import script

SCRIPT = """
import sys, time
from ct4bench.core.errors import UserError\nfrom ct4bench.core.script import run

def main(argv=None):
    block = bytearray(200_000_000)
    if sys.argv[1] == "wrong":
        raise UserError("volume.nii is\\n  not a volume; give another")
    if sys.argv[1] == "bug":
        raise ValueError("unforeseen")

time.sleep(0.5)
run(main)
"""


def start(tmp_path, monkeypatch, word):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    monkeypatch.setenv("CT4BENCH_USAGE", str(tmp_path / "usage.json"))
    return subprocess.run([sys.executable, script, word], text=True, capture_output=True)


def test_a_user_error_is_one_line_and_status_2(tmp_path, monkeypatch):
    done = start(tmp_path, monkeypatch, "wrong")
    assert done.returncode == 2
    assert done.stderr == "ERROR: volume.nii is not a volume; give another\n"
    assert not (tmp_path / "usage.json").exists()


def test_a_bug_keeps_its_traceback(tmp_path, monkeypatch):
    done = start(tmp_path, monkeypatch, "bug")
    assert done.returncode == 1
    assert "ValueError: unforeseen" in done.stderr


def test_usage_is_noted(tmp_path, monkeypatch):
    assert start(tmp_path, monkeypatch, "fine").returncode == 0
    usage = json.loads((tmp_path / "usage.json").read_text())
    assert usage["script"] == "script.py"
    assert 200 < usage["peak_rss_mb"] < 400
    assert usage["wall_s"] >= 0.5 > usage["cpu_s"] - 0.5
    assert usage["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_kernels_have_a_private_folder_where_nothing_else_can_be_written(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    script.keep_kernels()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setattr(script, "_can_be_made", lambda _folder: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / f"ct4bench-kernels-{os.getuid()}"
    script.keep_kernels()
    assert os.environ["NUMBA_CACHE_DIR"] == str(own) and own.stat().st_mode & 0o777 == 0o700
    # a folder that others could fill is not read from
    own.chmod(0o777)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    script.keep_kernels()
    assert os.environ["NUMBA_CACHE_DIR"] != str(own) and os.path.isdir(os.environ["NUMBA_CACHE_DIR"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    script.keep_kernels()
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


def test_what_can_be_made_is_told_from_what_cannot(tmp_path):
    assert script._can_be_made(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    assert not script._can_be_made(tmp_path / "file" / "b")
