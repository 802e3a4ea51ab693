"""Fixtures that many tests share: the data beside the checkout, and the real series unpacked once."""

import os
import tarfile
import zlib
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
