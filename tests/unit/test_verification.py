"""A kernel that gives wrong numbers ends its script: the run stops, by a message that names the place."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from learning_data import features_table, keys_table
from tests.conftest import ROOT

from ct4bench.core.benchmark import ROIS, tissue_of
from ct4bench.core.geometry import Grid
from ct4bench.core.modes import PAPER
from ct4bench.core.tables import write_table
from ct4bench.core.volumes import save_volume
from ct4bench.splits.plan import plan_splits
from ct4bench.splits.tasks import Plan

DISTURBED = """
import sys
from ct4bench.{package} import {module}
from ct4bench.core.script import run
from {script} import main

sound = {module}.{kernel}

def wrong(*args):
    result = sound(*args)
    {change}
    return result

{module}.{kernel} = wrong
run(main, sys.argv[1:])
"""
"""A script as the pipeline calls it, in a process of its own, with one kernel changed."""

GRID = Grid.axis_aligned((20, 40, 40), (1, 0.7, 0.7), (0, 0, 0))
IMAGES = "--registered registered.csv --series_uids 1.2 --volumes . --patches patches.csv --settings s.json"
CASES = {
    "radiomics": (
        "extract_radiomics", "features", "radiomics", "_glrlm", "args[-1][:] *= 1.0001",
        f"{IMAGES} --params {ROOT}/assets/radiomics.yaml --output out.parquet",
        ("series 1.2, ", "original_glrlm_", "but PyRadiomics gives", "tolerance 1e-06"),
    ),
    "deep features": (
        "extract_deep", "features", "shallow_cnn", "convolve", "result = result * 1.0001",
        f"{IMAGES} --extractor shallow_cnn --output out.parquet",
        ("shallow_cnn: features of series 1.2, cyst1", "differ by", "more than 1e-05"),
    ),
    "training": (
        "train_classifiers", "learning", "mlp_kernels", "train_epoch", "args[-2][:] += 0.001",
        "--features features.parquet --extractor made --splits splits.csv --output out.parquet --trainings t.csv "
        "--losses l.parquet",
        ("the loss of a step differs from torch's by 0.001, beyond 1e-05", "made, mlp", "loso, 1, A1"),
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, rng):
    """One small series with one patch, and features of two scanners with the splits of one training."""
    save_volume(tmp_path / "1.2.b2nd", rng.normal(50, 30, GRID.shape).astype(np.int16), GRID, {"series_uid": "1.2"})
    series = {"series_uid": "1.2", "scan_id": "A1_10mGy_01", "scanner": "A1", "maker": "Siemens"}
    write_table(pd.DataFrame([series | {"dose_mgy": 10, "recon": "IR", "repetition": 1}]), tmp_path / "registered.csv")
    place = dict(zip(("x_mm", "y_mm", "z_mm"), GRID.to_lps(np.array([10, 20, 20])), strict=True))
    patch = {"roi": ROIS[0], "tissue": tissue_of(ROIS[0]), "patch": 0, "slice": 10, "row": 20, "column": 20}
    write_table(pd.DataFrame([patch | place | {"share_inside": 1.0}]), tmp_path / "patches.csv")
    keys = keys_table(["A1", "C1"], patches=3)
    write_table(features_table(keys), tmp_path / "features.parquet")
    splits = plan_splits(Plan(keys, PAPER, n_folds=2, schemes=("loso",)))
    write_table(splits[splits["fold"] == "A1"], tmp_path / "splits.csv")
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_that_is_wrong_ends_the_task(folder, case):
    script, package, module, kernel, change, arguments, words = CASES[case]
    code = DISTURBED.format(script=script, package=package, module=module, kernel=kernel, change=change)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()],
        cwd=folder, env=os.environ | {"PYTHONPATH": f"{ROOT}/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert done.returncode == 2, done.stderr
    assert [word for word in words if word not in message] == [], message
    assert not (folder / "out.parquet").exists()
