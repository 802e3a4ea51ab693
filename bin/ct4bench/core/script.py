"""Entry point of a script: one line for an error that a user is meant to read, and a note of what the process cost."""

import json
import logging
import os
import resource
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ct4bench.core.errors import UserError

CODE = Path(__file__).resolve().parents[1]

PACKAGES = {
    "SimpleITK": "SimpleITK", "blosc2": "blosc2", "highdicom": "highdicom", "matplotlib": "matplotlib",
    "monai": "monai", "numba": "numba", "numpy": "numpy", "pandas": "pandas", "pyarrow": "pyarrow",
    "pydicom": "pydicom", "radiomics": "pyradiomics", "scipy": "scipy", "sklearn": "scikit-learn", "torch": "torch",
    "umap": "umap-learn",
}  # fmt: skip
"""Importable name and distribution of the packages whose versions a result may depend on."""


def keep_kernels() -> None:
    """Make numba a folder of the caller's for compiled kernels where neither the code's nor the home can be written.

    Numba ends with an error otherwise. The folder lies under the system's one for temporary files, and is used only if
    nobody else can write into it: what lies in it is code.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "/") / ".cache")
    if "NUMBA_CACHE_DIR" in os.environ or any(_can_be_made(place) for place in (CODE / "index/__pycache__", home)):
        return
    place = Path(tempfile.gettempdir()) / f"ct4bench-kernels-{os.getuid()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        status = place.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise PermissionError(f"{place} is another's")
    except OSError:
        place = Path(tempfile.mkdtemp(prefix="ct4bench-kernels-"))
    os.environ["NUMBA_CACHE_DIR"] = str(place)


def _can_be_made(place: Path) -> bool:
    """Whether a folder can be written, or made below the nearest one that is there."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _versions() -> dict[str, str]:
    """Versions of Python and of the packages that this process has loaded."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name, distribution in PACKAGES.items():
        if name in sys.modules:
            try:
                found[distribution] = version(distribution)
            except PackageNotFoundError:
                found[distribution] = "unknown"
    return found


def _age_s(called_s: float) -> float:
    """Seconds since this process began, the interpreter's start and its imports included where /proc tells."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return time.time() - called_s


def _peak_rss_kb() -> int:
    """Peak RSS of this process. getrusage() would count that of the process it was forked from."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def usage(called_s: float) -> dict:
    """Measure the cost of this process and its children (CPU and wall seconds, peak RSS in MB), and list versions."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "script": Path(sys.argv[0]).name,
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 2),
        "wall_s": round(_age_s(called_s), 2),
        "peak_rss_mb": round(max(_peak_rss_kb(), children.ru_maxrss) / 1024, 1),
        "versions": _versions(),
    }


def run(main: Callable[[list[str] | None], None], argv: list[str] | None = None) -> None:
    """Run a script's `main`; a `UserError` becomes one line on stderr and exit status 2.

    Where CT4BENCH_USAGE names a file, what the process cost is written there.
    """
    start = time.time()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        main(argv)
    except UserError as error:
        message = " ".join(str(error).split())
        print(f"ERROR: {message}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(1)
    if os.environ.get("CT4BENCH_USAGE"):
        Path(os.environ["CT4BENCH_USAGE"]).write_text(json.dumps(usage(start)) + "\n", encoding="utf-8")


keep_kernels()  # before any module with kernels is imported, which is after this one
