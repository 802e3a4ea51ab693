"""The copied print of the regions: the file, its spectra, and how it comes onto other grids."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_cdt, map_coordinates

from ct4bench.core.benchmark import ROIS
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import A1_GRID, BLOCK
from ct4bench.preprocess.patches import patch_box
from ct4bench.twin.copied import (
    PRINT_FILE,
    PRINT_SD_HU,
    QUANTUM_SD_HU,
    CopiedPrint,
    Copy,
    copied_share,
    kept_share,
    move_labels,
    pack,
    print_power,
    printed,
    quantum_power,
    read_copy,
)

VOXELS = {
    # Range of the number of voxels of each segment over A1's hundred series, from the published features.
    "cyst1": (168_880, 170_390), "cyst2": (3_250, 3_260), "hemangioma": (84_180, 85_065),
    "metastasis": (10_764, 11_108), "normal1": (5_226, 5_308), "normal2": (8_328, 8_450),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy():
    return read_copy()


def test_the_file_is_small_and_holds_arrays_only():
    assert PRINT_FILE.stat().st_size < 1_000_000
    assert sum(p.stat().st_size for p in PRINT_FILE.parent.iterdir()) < 1_500_000
    with np.load(PRINT_FILE, allow_pickle=False) as file:
        assert set(file.files) == {"differences", "labels", "first", "step_hu"}


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="copy_print"):
        read_copy(tmp_path / "print.npz")


@pytest.mark.parametrize("content", [b"PK\3\4cut off", b"\x93NUMPY", b"text", b""])
def test_another_file_is_a_user_error(tmp_path, content):
    (tmp_path / "print.npz").write_bytes(content)
    with pytest.raises(UserError, match="is not the copied print"):
        read_copy(tmp_path / "print.npz")


def test_segments_have_the_published_sizes(copy):
    counts = np.bincount(copy.labels.ravel(), minlength=7)[1:]
    for roi, count in zip(ROIS, counts, strict=True):
        low, high = VOXELS[roi]
        assert low <= count <= high, roi


def test_the_copy_covers_every_patch_of_a_region(copy):
    index = np.argwhere(copy.labels)
    for place in (index.min(axis=0), index.max(axis=0)):
        assert (place >= 0).all()
    lowest, highest = ([f(index[:, axis]) for axis in range(3)] for f in (np.argmin, np.argmax))
    for number in (*lowest, *highest):
        assert (copy.share[patch_box(tuple(int(n) for n in index[number]))] > 0.999).all()
    # It ends where its file ends, and is no part of the test patterns.
    assert copy.grid.origin_mm[2] > BLOCK.liver_mm
    assert copy.share[:, 0].max() < 0.5 and copy.share[:, -1].max() < 0.5
    assert copy.share[:, :, 0].max() < 0.5 and copy.share[:, :, -1].max() < 0.5


def test_share_falls_within_four_voxels_of_the_patches():
    labels = np.zeros((40, 80, 80), np.uint8)
    labels[20, 40, 40] = 3
    share = copied_share(labels)
    inside = np.zeros(labels.shape, bool)
    inside[12:29, 24:57, 24:57] = True
    away = distance_transform_cdt(~inside)
    assert (share[inside] > 0.999).all() and (share[away > 4] == 0).all()
    assert np.unique(share[20, 40, :24]).size == 5


def test_packing_is_exact_to_its_step(rng, tmp_path):
    labels = np.zeros((30, 50, 50), np.uint8)
    labels[14:17, 20:30, 20:30] = 1
    hu = rng.normal(50, 80, labels.shape).astype(np.float32)
    hu[:, :, 40:] = 900
    np.savez_compressed(tmp_path / "print.npz", **pack(hu, labels, (100, 50, 60), 3))
    found = read_copy(tmp_path / "print.npz")
    copied = found.share > 0
    assert np.abs(found.hu - hu)[copied].max() <= 1.51
    assert found.grid.same_as(A1_GRID.crop((slice(100, 130), slice(50, 100), slice(60, 110))))
    np.testing.assert_array_equal(found.labels, labels)


def test_spectra_have_their_sd_and_share_out_the_print():
    shape = (24, 48, 50)
    twice = np.where(np.arange(26) % 25 == 0, 1.0, 2.0)

    def sd(power):
        return np.sqrt((power * twice).sum() / np.prod(shape))

    assert sd(print_power(shape)) == pytest.approx(PRINT_SD_HU)
    assert sd(quantum_power(shape)) == pytest.approx(QUANTUM_SD_HU)
    kept = kept_share(shape)
    assert kept.max() <= 1 and kept[0, 0, 0] == 1
    # What the filter keeps of print and noise, and what is drawn for the rest, has the print's power.
    both = kept**2 * (print_power(shape) + quantum_power(shape)) + print_power(shape) * (1 - kept)
    np.testing.assert_allclose(both, print_power(shape), rtol=1e-6, atol=1e-9)


def smooth_copy(rng) -> Copy:
    """A copy without texture: a slow wave."""
    grid = A1_GRID.crop((slice(130, 160), slice(150, 200), slice(200, 260)))
    z, y, x = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    hu = (60 + 40 * np.sin(z / 6) + 30 * np.cos(y / 7 + x / 9)).astype(np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    labels[14:16, 24:26, 28:32] = 2
    return Copy(grid, hu, np.ones(grid.shape, np.float32), labels)


def test_seeds_draw_other_rests_of_the_same_print(copy):
    one, other = printed(copy, 1), printed(copy, 2)
    np.testing.assert_array_equal(one, printed(copy, 1))
    inside = copy.labels == 1
    # What is common is the copy; what differs has the SD of the rest that the filter took, before the scan's blur.
    assert np.corrcoef(one[inside], other[inside])[0, 1] == pytest.approx(0.55, abs=0.2)
    assert (one - other)[inside].std() > 5


def test_blend_on_a_finer_grid_is_the_interpolated_print(rng):
    copy = smooth_copy(rng)
    origin = copy.grid.to_lps([3, 4, 5])
    fine = Grid.axis_aligned((40, 60, 70), (0.5, 0.5, 0.5), origin)
    placed = CopiedPrint(copy, fine, 7)
    expected = printed(copy, 7)
    at = copy.grid.to_index(fine.to_lps(np.stack(np.meshgrid([20], range(60), range(70), indexing="ij"), -1)))
    plane = np.full((60, 70), 12.0, np.float32)
    placed.blend(plane, 20)
    wanted = map_coordinates(expected, at[0].reshape(-1, 3).T, order=3, mode="nearest").reshape(60, 70)
    np.testing.assert_allclose(plane, wanted, atol=0.05)
    outside = np.full((60, 70), 12.0, np.float32)
    CopiedPrint(copy, Grid.axis_aligned((4, 60, 70), (0.5,) * 3, origin - [0, 0, 60]), 7).blend(outside, 2)
    assert (outside == 12.0).all()


def test_labels_on_their_own_grid_are_themselves(copy):
    moved = move_labels(copy.labels, copy.grid, A1_GRID, np.eye(3), np.zeros(3))
    box = tuple(np.rint(copy.grid.origin_mm - A1_GRID.origin_mm)[::-1] / A1_GRID.spacing_mm)
    first = np.rint(box).astype(int)
    part = tuple(slice(a, a + n) for a, n in zip(first, copy.labels.shape, strict=True))
    np.testing.assert_array_equal(moved[part], copy.labels)
    assert (moved > 0).sum() == (copy.labels > 0).sum()


def test_labels_follow_a_motion_of_the_grid(copy):
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    shift = np.array([4.0, -3.0, 2.0])
    value = ROIS.index("cyst2") + 1
    centre = copy.grid.to_lps(np.argwhere(copy.labels == value).mean(axis=0))
    grid = A1_GRID.crop((slice(165, 205), slice(100, 400), slice(60, 440)))
    labels = move_labels(copy.labels, copy.grid, grid, turn, shift + centre - turn @ centre)
    inside = labels == value
    found = grid.to_lps(np.argwhere(inside).mean(axis=0))
    np.testing.assert_allclose(turn @ (found - centre) + shift, 0, atol=0.15)
    assert inside.sum() == pytest.approx((copy.labels == value).sum(), rel=0.02)
