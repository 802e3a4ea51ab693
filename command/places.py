"""Where the checkout is, and what it holds of a set-up."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / ".engine" / "nextflow"
PYTHON = ROOT / ".venv" / "bin" / "python"
LOCKED = ("requirements/uv.lock", "requirements/test.lock", "tools/setup.sh")
"""What tools/setup.sh makes .venv from; its digest stands in .venv/.locked."""


def find_engine() -> str | None:
    """Find the engine: that of set-up, else the one on PATH; None where there is neither."""
    return str(ENGINE) if os.access(ENGINE, os.X_OK) else shutil.which("nextflow")


def is_set_up() -> bool:
    """Return whether set-up has made .venv and .engine, whatever their age."""
    return os.access(PYTHON, os.X_OK) and os.access(ENGINE, os.X_OK)


def venv_is_current() -> bool:
    """Return whether .venv was made from the locks of this checkout."""
    stamp = ROOT / ".venv" / ".locked"
    wanted = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in LOCKED)).hexdigest()
    return stamp.is_file() and stamp.read_text() == wanted


def version() -> str:
    """Return the version that the pipeline's manifest names."""
    found = re.search(r"^ *version *= *'([^']*)'", (ROOT / "nextflow.config").read_text(encoding="utf-8"), re.M)
    return found[1] if found else "of no known version"


def shown(path: Path | str) -> str:
    """Return a path as a user would type it here: relative where it lies below the current folder."""
    absolute, here = os.path.abspath(path), os.getcwd()
    inside = absolute == here or absolute.startswith(here.rstrip("/") + "/")
    return os.path.relpath(absolute, here) if inside else absolute
