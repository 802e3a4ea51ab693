"""Volumes between tasks come back as they were written, and NIfTI opens at its place."""

import numpy as np
import pytest
import SimpleITK as sitk

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid, euler_zyx_matrix
from ct4bench.core.volumes import open_volume, save_volume, write_nifti, write_transform


@pytest.fixture
def grid():
    affine = np.eye(4)
    affine[:3, :3] = euler_zyx_matrix((3.0, -4.0, 5.0)) @ np.array([[0, 0, 0.7], [0, 0.8, 0], [1.25, 0, 0]])
    affine[:3, 3] = (-174.5, -340.25, 24.0)
    return Grid((21, 34, 45), affine)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_volume_round_trip(tmp_path, rng, grid, dtype):
    array = rng.integers(0, 200, grid.shape).astype(dtype)
    save_volume(tmp_path / "v.b2nd", array, grid, {"series_uid": "1.2.3", "dose_mgy": 10.0})
    volume = open_volume(tmp_path / "v.b2nd")
    assert volume.attributes == {"series_uid": "1.2.3", "dose_mgy": 10.0}
    assert volume.grid.same_as(grid, 0)
    assert volume.read().dtype == dtype
    np.testing.assert_array_equal(volume.read(), array)
    box = (slice(3, 9), slice(0, 34), slice(10, 11))
    np.testing.assert_array_equal(volume.read(box), array[box])


def test_the_same_volume_gives_the_same_bytes(tmp_path, rng, grid):
    array = rng.integers(-1024, 3000, grid.shape).astype(np.int16)
    for name in ("a", "b"):
        save_volume(tmp_path / f"{name}.b2nd", array, grid, {"series_uid": "1"})
    assert (tmp_path / "a.b2nd").read_bytes() == (tmp_path / "b.b2nd").read_bytes()


def test_a_volume_of_another_shape_than_its_grid_is_refused(tmp_path, grid):
    with pytest.raises(ValueError, match="not on grid"):
        save_volume(tmp_path / "v.b2nd", np.zeros((2, 3, 4), np.int16), grid)


def test_what_is_no_volume_is_named(tmp_path):
    (tmp_path / "v.b2nd").write_bytes(b"nothing of the kind")
    for name in ("v.b2nd", "absent.b2nd"):
        with pytest.raises(UserError, match=name):
            open_volume(tmp_path / name)


def test_nifti_opens_at_the_same_place(tmp_path, rng, grid):
    array = rng.integers(-1024, 3000, grid.shape).astype(np.int16)
    write_nifti(tmp_path / "v.nii.gz", array, grid)
    image = sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    for index in ((0, 0, 0), (20, 33, 44), (7, 30, 2)):
        there = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        np.testing.assert_allclose(there, grid.to_lps(index), atol=1e-3)


def test_a_motion_is_the_same_as_an_itk_transform(tmp_path, rng):
    """Angles about fixed axes, x first, then y, then z, about the centre; computed by SciPy."""
    from scipy.spatial.transform import Rotation

    angles, translation, centre = (4.0, -7.0, 11.0), (1.5, -20.25, 3.0), (12.0, -100.0, 250.0)
    write_transform(tmp_path / "m.tfm", Rigid(angles, translation, centre))
    transform = sitk.ReadTransform(str(tmp_path / "m.tfm"))
    points = rng.uniform(-300, 300, (20, 3))
    expected = Rotation.from_euler("xyz", angles, degrees=True).apply(points - centre) + centre + translation
    np.testing.assert_allclose([transform.TransformPoint(p) for p in points.tolist()], expected, atol=1e-9)
