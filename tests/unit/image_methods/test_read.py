"""Volumes that were harmonized elsewhere: NIfTI and DICOM by series UID, on the registered grid."""

import numpy as np
import pytest
from dicom_factory import write_series

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import open_volume, read_nifti, save_volume, write_nifti
from ct4bench.image_methods.read import read_volumes

GRID = Grid.axis_aligned((6, 8, 9), (2.0, 1.5, 1.0), (-3.0, 4.0, 5.0))
RNG = np.random.default_rng(3)


@pytest.fixture
def registered(tmp_path):
    folder = tmp_path / "registered"
    folder.mkdir()
    for uid in ("1.2", "1.3"):
        save_volume(folder / f"{uid}.b2nd", np.zeros(GRID.shape, np.int16), GRID, {"series_uid": uid, "scanner": "A1"})
    return folder


def volume() -> np.ndarray:
    return RNG.normal(50, 300, GRID.shape).astype(np.float32)


def given(tmp_path, volumes: dict, grid: Grid = GRID):
    folder = tmp_path / "given"
    folder.mkdir()
    for uid, array in volumes.items():
        write_nifti(folder / f"{uid}.nii.gz", array, grid)
    return folder


def test_nifti_comes_back_with_its_grid(tmp_path):
    tilted = Grid(GRID.shape, GRID.affine @ np.diag([1.0, 1.0, 1.0, 1.0]))
    tilted.affine[:3, :3] = np.roll(GRID.affine[:3, :3], 1, axis=0)
    array = volume()
    write_nifti(tmp_path / "one.nii.gz", array, tilted)
    found, grid = read_nifti(tmp_path / "one.nii.gz")
    np.testing.assert_array_equal(found, array)
    assert grid.same_as(tilted)


def test_nifti_is_rounded_to_whole_hu_and_keeps_what_is_known_of_the_series(tmp_path, registered):
    both = {"1.2": volume(), "1.3": volume()}
    both["1.3"][0, 0, 0] = 1e6
    read_volumes(given(tmp_path, both), registered, ["1.2", "1.3"], tmp_path / "out")
    for uid, array in both.items():
        found = open_volume(tmp_path / "out" / f"{uid}.b2nd")
        np.testing.assert_array_equal(found.read(), np.clip(np.rint(array), -32768, 32767))
        assert found.read().dtype == np.int16 and found.grid.same_as(GRID)
        assert found.attributes["series_uid"] == uid and found.attributes["scanner"] == "A1"


def test_dicom_is_read_by_its_folders_name(tmp_path, registered):
    array = np.rint(volume()).astype(np.int32)
    spacing = list(GRID.spacing_mm[1:])
    write_series(tmp_path / "given" / "1.2", "1.2", array + 1024, origin=GRID.origin_mm, step=[0, 0, 2.0],
                 PixelSpacing=spacing)  # fmt: skip
    read_volumes(tmp_path / "given", registered, ["1.2"], tmp_path / "out")
    np.testing.assert_array_equal(open_volume(tmp_path / "out" / "1.2.b2nd").read(), array)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "1.3.nii.gz").unlink(), "lacks 1 of 2 series, the first is 1.3"),
        (lambda folder: (folder / "1.3").mkdir(), "has 1.3.nii.gz and 1.3; keep one"),
        (lambda folder: (folder / "1.3.nii.gz").write_bytes(b"no"), "cannot be read as NIfTI"),
        (lambda folder: write_nifti(folder / "1.3.nii.gz", volume() * np.nan, GRID), "not finite"),
        (
            lambda folder: write_nifti(
                folder / "1.3.nii.gz", volume(), Grid.axis_aligned(GRID.shape, (2, 1.5, 1), (0, 0, 0))
            ),
            "not on the grid of the registered series",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_it(tmp_path, registered, change, words):
    folder = given(tmp_path, {"1.2": volume(), "1.3": volume()})
    change(folder)
    with pytest.raises(UserError, match=words):
        read_volumes(folder, registered, ["1.2", "1.3"], tmp_path / "out")


def test_a_folder_that_is_none_is_named(tmp_path, registered):
    with pytest.raises(UserError, match="is no folder"):
        read_volumes(tmp_path / "nowhere", registered, ["1.2"], tmp_path / "out")
