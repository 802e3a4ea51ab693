"""What many tests share: data beside the checkout, series made once, compiled kernels; and which tests run where."""

import os
import shutil
import tarfile
import time
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(os.environ.get("CT4BENCH_SHARED_DATA", ROOT.parent / "shared" / "data"))

os.environ.setdefault("MPLBACKEND", "Agg")


def kernels() -> Path:
    """Folder of compiled kernels for this state of their sources: numba sees no edit of what a kernel calls."""
    sources = [path.read_bytes() for path in sorted((ROOT / "bin").glob("ct4bench/*/*.py"))]
    return ROOT / ".numba" / f"{zlib.crc32(b''.join(text for text in sources if b'njit' in text)):08x}"


os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels()))


def pytest_sessionstart(session):
    """Take away the compiled kernels of last week's code."""
    for folder in (ROOT / ".numba").glob("*"):
        if folder != kernels() and time.time() - folder.stat().st_mtime > 7 * 86400:
            shutil.rmtree(folder, ignore_errors=True)


MADE_ONCE = ("small_run", "twin_of", "real_series")
"""Fixtures of a session that take long, the longest first: each is made in one process only."""


@cache
def group_of(path: str) -> str:
    """Group of tests that one process runs: those of a file, with all files that share what is made once."""
    text = (ROOT / path).read_text(encoding="utf-8")
    made_once = [name for name in MADE_ONCE if name in text]
    # twins and the real series have tests that use both
    return {"real_series": "twin_of"}.get(made_once[0], made_once[0]) if made_once else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Deal the tests to processes by `group_of`."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid.split("::")[0])

    return ByGroup(config, log)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run what is for a release only, too (make test-all)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Skip what is slow, and start with what waits most for others."""
    if not config.getoption("slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="for a release only: make test-all"))
    if config.pluginmanager.hasplugin("xdist"):
        items.sort(key=lambda item: (item.path.stem != "test_executors", item.get_closest_marker("pipeline") is None))


@pytest.fixture
def rng():
    return np.random.default_rng(20261125)


def shared_file(name: str) -> Path:
    """A file of the shared data, else a skip that says how to have it."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not at {SHARED_DATA}; name its folder in CT4BENCH_SHARED_DATA")
    return path


@pytest.fixture(scope="session")
def shared_data():
    """Function from a file's name to its path in the shared data; skips where it is absent."""
    return shared_file


@pytest.fixture(scope="session")
def real_series(tmp_path_factory) -> Path:
    """Folder with the 343 files of the real series, unpacked once a session."""
    folder = tmp_path_factory.mktemp("real_series")
    with tarfile.open(shared_file("real_phantom_series.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def twin_of(tmp_path_factory):
    """Function (slab, scanners, doses, recons, repetitions) -> Twin; the same arguments give the same one."""
    from twin_fixture import make_twin

    made = {}

    def make(slab: str, scanners=("A1",), doses=(10,), recons=("FBP", "IR", "DL"), repetitions: int = 1):
        key = (slab, tuple(scanners), tuple(doses), tuple(recons), repetitions)
        if key not in made:
            made[key] = make_twin(tmp_path_factory.mktemp("twin"), *key)
        return made[key]

    return make


@pytest.fixture(scope="session")
def nextflow():
    """Function that runs the pipeline in a folder (see pipeline_run.launch); skips where the engine is not set up."""
    from pipeline_run import ENGINE, launch

    if not ENGINE.exists():
        pytest.skip("no .engine/nextflow; run 'make setup'")
    return launch
