"""The 93 radiomics features of a patch against PyRadiomics' extractor, one core each."""

import json
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
from tests.conftest import ROOT
from tests.radiomics_reference import noise_patch, reference_features

from ct4bench.core.benchmark import ROIS
from ct4bench.core.geometry import Grid
from ct4bench.core.tables import write_table
from ct4bench.core.volumes import save_volume
from ct4bench.features.pyradiomics import relative_difference
from ct4bench.features.radiomics import FEATURES, region_features
from ct4bench.features.radiomics_settings import build_extractor, load_settings
from ct4bench.preprocess.draw import patch_table

SPACING_MM = (1.0, 0.68359375, 0.68359375)
PATCHES = 12
SERIES = 4


def bench_radiomics(record, tmp_path):
    """A patch of noise of 15 to 35 HU (5 to 11 grey levels); peak memory of a whole task of extract_radiomics.py."""
    rng = np.random.default_rng(20261125)
    patches = [noise_patch(rng, sd_hu, 40) for sd_hu in np.linspace(15, 35, PATCHES)]
    settings = load_settings(ROOT / "assets" / "radiomics.yaml")
    extractor = build_extractor(settings.parameters, settings.file)
    own = [region_features(patch, SPACING_MM) for patch in patches]
    reference = [reference_features(extractor, patch, SPACING_MM) for patch in patches]
    largest = max(float(relative_difference(a, b, FEATURES).max()) for a, b in zip(own, reference, strict=True))
    seconds = record.cpu_seconds(lambda: [region_features(patch, SPACING_MM) for patch in patches * 5], 5) / 5
    reference_seconds = record.cpu_seconds(
        lambda: [reference_features(extractor, patch, SPACING_MM) for patch in patches]
    )
    record(
        "radiomics",
        "PyRadiomics 3.0.1 RadiomicsFeatureExtractor, one patch of 16x32x32",
        reference_seconds / PATCHES,
        seconds / PATCHES,
        largest,
        task_peak_mb(tmp_path, rng),
    )


def task_peak_mb(folder, rng) -> float:
    """Peak RSS of a task with the 60 patches of each of four volumes of the registered size, verification included."""
    grid = Grid.axis_aligned((200, 300, 420), SPACING_MM, (0.0, 0.0, 0.0))
    slab = noise_patch(rng, 25, 40, (20, *grid.shape[1:]))
    rows = [(f"1.{n}", "A1_10mGy_01", "A1", "Siemens", 10, "IR", n) for n in range(SERIES)]
    columns = ["series_uid", "scan_id", "scanner", "maker", "dose_mgy", "recon", "repetition"]
    for uid, *_ in rows:
        save_volume(folder / f"{uid}.b2nd", np.tile(slab, (10, 1, 1)), grid, {"series_uid": uid})
    write_table(pd.DataFrame(rows, columns=columns), folder / "registered.csv")
    centres = pd.DataFrame(
        [(roi, n, *(rng.integers(20, size - 20) for size in grid.shape)) for roi in ROIS for n in range(10)],
        columns=["roi", "patch", "slice", "row", "column"],
    )
    write_table(patch_table(centres, np.zeros(grid.shape, np.uint8), grid), folder / "patches.csv")
    arguments = {
        "registered": folder / "registered.csv", "series_uids": ",".join(row[0] for row in rows), "volumes": folder,
        "patches": folder / "patches.csv", "params": ROOT / "assets" / "radiomics.yaml",
        "output": folder / "out.parquet", "settings": folder / "out.json",
    }  # fmt: skip
    command = [sys.executable, ROOT / "bin" / "extract_radiomics.py"]
    for name, value in arguments.items():
        command += [f"--{name}", str(value)]
    subprocess.run(command, check=True)
    assert json.loads((folder / "out.json").read_text())["verified"] >= 1
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
