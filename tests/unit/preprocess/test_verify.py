"""Checks of reading, registration and resampling: they pass what is right, and end a task whose kernels are wrong."""

from pathlib import Path

import numpy as np
import pytest
from dicom_factory import write_series

from ct4bench.core.checks import Checks
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.index.ct import read_series
from ct4bench.preprocess import verify
from ct4bench.preprocess.resampling import resample

MOTION = Rigid((0.6, -0.4, 0.8), (1.3, -0.7, 2.2), (10.0, 12.0, 20.0))
HERE = Grid.axis_aligned((40, 36, 32), (1.0, 0.7, 0.7), (0.0, 0.0, 0.0))
THERE = Grid.axis_aligned((44, 40, 36), (1.1, 0.8, 0.6), (-2.0, -3.0, -4.0))


@pytest.fixture
def scan(rng) -> np.ndarray:
    """Smooth structures, and noise, on `THERE`."""
    z, y, x = np.indices(THERE.shape)
    return (300 * np.sin(0.3 * x + 0.2 * y) * np.cos(0.25 * z) + rng.normal(0, 20, THERE.shape)).astype(np.int16)


def test_a_slice_read_by_pydicom_is_the_readers(tmp_path):
    paths = write_series(tmp_path)
    volume, grid = read_series(paths)
    checks = Checks()
    verify.check_reading(checks, "1.2", paths, volume, grid)
    found = checks.found["reading"]
    assert (found["n"], found["largest"]) == (1, 0)
    assert found["at"] in {f"series 1.2, {path.name}" for path in map(Path, paths)}
    with pytest.raises(UserError, match="voxels of slices read from DICOM differ from pydicom's by 1 HU"):
        verify.check_reading(Checks(), "1.2", paths, volume + 1, grid)
    with pytest.raises(UserError, match="pydicom"):
        verify.check_reading(Checks(), "1.2", paths, volume[::-1], grid)


def test_resampled_voxels_are_scipys_before_rounding(scan):
    made = resample(scan, THERE, HERE, MOTION)
    checks = Checks()
    verify.check_resampling(checks, "1.2", scan, THERE, MOTION, made, HERE)
    assert checks.found["resampling"]["n"] == verify.VOXELS
    assert 0.4 < checks.found["resampling"]["largest"] < 0.501
    moved = Rigid(MOTION.rotation_deg, (1.3, -0.7, 2.25), MOTION.centre_mm)
    with pytest.raises(UserError, match=r"SciPy's by .* HU \(tolerance 0.51\)"):
        verify.check_resampling(Checks(), "1.2", scan, THERE, moved, made, HERE)


def test_the_motion_found_is_where_the_correlation_is_largest(scan):
    made = resample(scan, THERE, HERE, MOTION)
    voxels = np.argwhere(made > -1000)[::5]
    places, values = HERE.to_lps(voxels), made[tuple(voxels.T)].astype(np.float32)
    level, checks = (scan.astype(np.float32), THERE), Checks()
    here = verify.correlation(places, values, level, MOTION)
    assert here > 0.99
    verify.check_registration(checks, "1.2", places, values, here + 2e-5, level, MOTION)
    assert checks.found["registration"]["largest"] == pytest.approx(2e-5, rel=1e-6)
    assert checks.found["registration_place"]["largest"] < 0
    with pytest.raises(UserError, match="correlation of reference and series"):
        verify.check_registration(Checks(), "1.2", places, values, here + 2e-4, level, MOTION)
    off = Rigid(MOTION.rotation_deg, (2.4, -0.7, 2.2), MOTION.centre_mm)
    with pytest.raises(UserError, match="1 mm to each side"):
        there = verify.correlation(places, values, level, off)
        verify.check_registration(Checks(), "1.2", places, values, there, level, off)
