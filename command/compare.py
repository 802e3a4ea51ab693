"""`ct4bench compare`: the one command that needs what set-up brings; it calls itself by the Python of .venv."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from command.places import PYTHON, ROOT

PACKAGES = ("numpy", "pandas", "pyarrow", "scipy")
AGAIN = "CT4BENCH_AGAIN"
"""Set in the environment of the call by .venv's Python, which makes no third one."""


def can_compare() -> bool:
    """Return whether this Python has what a comparison needs."""
    return sys.version_info >= (3, 11) and all(importlib.util.find_spec(name) for name in PACKAGES)


def main(args: argparse.Namespace, words: list[str]) -> int:
    """Compare two folders; 0: equal, 1: different, 2: they cannot be compared. `words` are those of the command."""
    if (
        AGAIN not in os.environ
        and os.access(PYTHON, os.X_OK)
        and Path(sys.prefix).resolve() != PYTHON.parents[1].resolve()
    ):
        os.environ |= {AGAIN: "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "ct4bench"), *words])  # noqa: S606
    if not can_compare():
        print("comparing needs numpy, pandas, pyarrow and scipy: 'make setup' gets them", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT / "bin"))
    from ct4bench.core.errors import UserError, error_words
    from ct4bench.results.compare import Tolerance, compare

    try:
        equal, lines = compare(args.first, args.second, Tolerance(args.tolerance, args.absolute), args.output)
    except UserError as problem:
        print(f"cannot compare: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"cannot compare: {problem.filename or args.output}: {error_words(problem)}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return int(not equal)
