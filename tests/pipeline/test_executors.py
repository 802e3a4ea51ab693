"""Real engines and a real Slurm of one node, where they can be had: the same tables from each, faults, -resume.

They start daemons and may install packages, so they run where CT4BENCH_EXECUTORS=1 says that they may (.ci/run does).
"""

import os
import re
import shutil
import subprocess

import pytest
from pipeline_run import ROOT

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(
        os.environ.get("CT4BENCH_EXECUTORS") != "1", reason="starts daemons: CT4BENCH_EXECUTORS=1 allows it"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="starts daemons, which needs root"),
]
WAYS = ("local", "docker", "podman", "apptainer", "slurm")


def script(name: str, folder, *arguments: str) -> tuple[int, str]:
    """Status and words of a small run of one of tests/executors' scripts."""
    done = subprocess.run(
        [ROOT / "tests" / "executors" / name, folder, *arguments], env={**os.environ, "SIZE": "small"},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def same_data_every_way(nextflow, tmp_path_factory):
    """One table of features, evaluated every way that can be had here."""
    folder = tmp_path_factory.mktemp("ways")
    yield script("run.sh", folder, *WAYS)
    for store in ("docker-store", "podman-store", "sif"):
        shutil.rmtree(folder / store, ignore_errors=True)


@pytest.mark.parametrize("way", WAYS)
def test_way_runs_to_its_end(way, same_data_every_way):
    _, said = same_data_every_way
    skipped = re.search(rf"skipped: ({way} cannot be had here.*)", said)
    if skipped:
        pytest.skip(skipped.group(1))
    assert f"done: {way} in" in said, said


def test_every_way_gives_the_same_tables(same_data_every_way):
    status, said = same_data_every_way
    assert status == 0, said
    if "nothing to compare" in said:
        pytest.skip("no engine can be had here")
    agreeing = re.search(r"(\d+) ways agree: (.*)", said)
    assert agreeing.group(2).split() == [way for way in WAYS if f"done: {way} in" in said], said


def test_slurm_retries_with_more_memory_and_a_killed_run_resumes(nextflow, tmp_path):
    status, said = script("faults.sh", tmp_path)
    assert status == 0, said
    if "skipped" in said:
        pytest.skip(said.strip().splitlines()[-1])
    assert said.count("passed:") == 3, said
