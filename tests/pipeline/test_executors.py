"""Faults on a real Slurm of one node, where there is one: memory, SIGKILL of the head process, and -resume."""

import os
import shutil
import subprocess

import pytest
from pipeline_run import ROOT

pytestmark = pytest.mark.pipeline


def test_slurm_retries_with_more_memory_and_a_killed_run_resumes(nextflow, tmp_path):
    if os.environ.get("CT4BENCH_EXECUTORS") != "1":
        pytest.skip("starts the daemons of a Slurm of one node: CT4BENCH_EXECUTORS=1 allows it")
    installs = os.environ.get("CT4BENCH_INSTALL") == "1" and shutil.which("apt-get")
    if os.geteuid() or not (shutil.which("slurmctld") or installs):
        pytest.skip("needs root, and Slurm on PATH or CT4BENCH_INSTALL=1 on Debian or Ubuntu")
    done = subprocess.run(
        [ROOT / "tests" / "executors" / "faults.sh", tmp_path],
        env={**os.environ, "SIZE": "small"}, text=True, capture_output=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    if "skipped" in said:
        pytest.skip(said.strip().splitlines()[-1])
    assert said.count("passed:") == 2, said
