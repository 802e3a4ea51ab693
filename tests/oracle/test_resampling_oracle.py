"""Resampling against SimpleITK, and the loss of noise variance against simulated noise."""

import numpy as np
import pytest
import SimpleITK as sitk

from ct4bench.core.geometry import Grid, Rigid
from ct4bench.preprocess.resampling import lost_noise_variance, resample

SOURCE = Grid.axis_aligned((40, 62, 71), (1.25, 0.78125, 0.78125), (-30.0, 12.0, 100.0))
CENTRE = tuple(SOURCE.corners_mm().mean(axis=0))


def as_image(array, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(tuple(grid.origin_mm))
    axes = grid.affine[:3, :3] / np.array(grid.spacing_mm)
    image.SetDirection(axes[:, ::-1].ravel().tolist())
    return image


def by_simpleitk(array, grid: Grid, target: Grid, motion: Rigid, kind) -> np.ndarray:
    """Float output of the filter, rounded half to even."""
    transform = sitk.Euler3DTransform()
    transform.SetComputeZYX(True)
    transform.SetCenter(motion.centre_mm)
    transform.SetRotation(*np.deg2rad(motion.rotation_deg))
    transform.SetTranslation(motion.translation_mm)
    like = as_image(np.zeros(target.shape, np.int16), target)
    out = sitk.Resample(as_image(array, grid), like, transform, kind, -1024.0, sitk.sitkFloat64)
    return np.rint(sitk.GetArrayFromImage(out))


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (1.2, -0.8, 0.5), (-6.0, 4.0, 9.0), (0.0, 180.0, 3.0)])
def test_linear_is_simpleitks(rng, angles):
    # The Euler angles are ITK's with ComputeZYX, so this checks the motion's convention too.
    volume = rng.integers(-1024, 3072, SOURCE.shape).astype(np.int16)
    motion = Rigid(angles, (2.3, -1.1, 3.7), CENTRE)
    target = Grid.axis_aligned((52, 70, 80), (1.0, 0.68359375, 0.68359375), (-30.5, 11.0, 99.0))
    ours = resample(volume, SOURCE, target, motion)
    theirs = by_simpleitk(volume, SOURCE, target, motion, sitk.sitkLinear)
    different = np.abs(ours - theirs)
    # float32 weights: a value that is a half to seven digits may round the other way.
    assert different.max() <= 1
    assert (different > 0).mean() < 2e-4
    assert (ours == -1024).mean() < 0.5


@pytest.mark.parametrize("orientation", [((1, 0, 0), (0, 1, 0), (0, 0, -1)), ((0, 1, 0), (0, 0, 1), (1, 0, 0))])
def test_linear_reads_any_orientation(rng, orientation):
    affine = np.eye(4)
    affine[:3, :3] = np.array(orientation, float).T[:, ::-1] * [1.5, 0.9, 0.7]
    affine[:3, 3] = (5.0, -8.0, 60.0)
    grid = Grid((30, 40, 50), affine)
    volume = rng.integers(-1024, 3072, grid.shape).astype(np.int16)
    motion = Rigid((3.0, 2.0, -1.0), (0.4, 0.2, -0.3), tuple(grid.corners_mm().mean(axis=0)))
    low = grid.corners_mm().min(axis=0)
    target = Grid.axis_aligned((28, 30, 30), (1.0, 1.0, 1.0), low + 2)
    different = np.abs(
        resample(volume, grid, target, motion) - by_simpleitk(volume, grid, target, motion, sitk.sitkLinear)
    )
    assert different.max() <= 1
    assert (different > 0).mean() < 2e-4


@pytest.mark.parametrize(("name", "kind"), [("nearest", sitk.sitkNearestNeighbor), ("bspline", sitk.sitkBSpline)])
def test_other_interpolators_are_simpleitks(rng, name, kind):
    volume = rng.integers(-200, 300, SOURCE.shape).astype(np.int16)
    motion = Rigid((1.0, 2.0, -1.0), (0.4, 0.2, -0.3), CENTRE)
    target = Grid.axis_aligned((45, 60, 70), (1.0, 0.8, 0.8), SOURCE.origin_mm + 1)
    ours = resample(volume, SOURCE, target, motion, name)
    assert np.abs(ours - by_simpleitk(volume, SOURCE, target, motion, kind)).max() <= (0 if name == "nearest" else 1)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (1.0, -2.0, 1.5)])
@pytest.mark.parametrize("shift", [(0.2, 0.35, 0.1), (0.39, 0.39, 0.6)])
def test_lost_variance_is_that_of_simulated_white_noise(rng, angles, shift):
    noise = np.rint(500 * rng.standard_normal(SOURCE.shape)).astype(np.int16)
    motion = Rigid(angles, shift, CENTRE)
    inner = SOURCE.crop((slice(6, 34), slice(8, 54), slice(8, 63)))
    left = resample(noise, SOURCE, inner, motion).astype(float).var() / noise.astype(float).var()
    assert lost_noise_variance(SOURCE, inner, motion) == pytest.approx(1 - left, abs=0.02)
