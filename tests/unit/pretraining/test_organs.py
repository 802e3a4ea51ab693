"""Cases of organ labels in the two layouts, and patches of their tissue."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ct4bench.core.errors import UserError
from ct4bench.pretraining import organs as module
from ct4bench.pretraining.organs import (
    ORGANS,
    SHARE_INSIDE,
    Case,
    draw_body_patches,
    draw_patches,
    find_cases,
    iterate_cases,
    read_case,
)

SPACING = (1.5, 1.5, 2.0)
HU = {"liver": 90, "spleen": 60, "kidney": 120, "stomach": 20, "aorta": 200}


def boxes(shape=(40, 50, 60)):
    """HU and labels (slices, rows, columns) of five boxes along the columns."""
    hu, labels = np.full(shape, -60, np.int16), np.zeros(shape, np.uint8)
    for number, organ in enumerate(ORGANS, 1):
        box = np.s_[5:35, 5:45, 12 * number - 11 : 12 * number - 1]
        hu[box], labels[box] = HU[organ], number
    return hu, labels


def image(array, origin=(0, 0, 0), direction=None):
    found = sitk.GetImageFromArray(array)
    found.SetSpacing(SPACING)
    found.SetOrigin(origin)
    if direction is not None:
        found.SetDirection(direction)
    return found


@pytest.fixture
def totalsegmentator(tmp_path):
    hu, labels = boxes()
    (tmp_path / "s01" / "segmentations").mkdir(parents=True)
    sitk.WriteImage(image(hu), str(tmp_path / "s01" / "ct.nii.gz"))
    for number, organ in enumerate(ORGANS, 1):
        mask = (labels == number).astype(np.uint8)
        if organ == "kidney":
            left = mask.copy()
            left[:20] = 0
            sitk.WriteImage(image(left), str(tmp_path / "s01/segmentations/kidney_left.nii.gz"))
            sitk.WriteImage(image(mask - left), str(tmp_path / "s01/segmentations/kidney_right.nii.gz"))
        else:
            sitk.WriteImage(image(mask), str(tmp_path / f"s01/segmentations/{organ}.nii.gz"))
    return tmp_path


def btcv(folder, direction=None, origin=(0, 0, 0)):
    hu, labels = boxes()
    values = np.array([0, 6, 1, 2, 7, 8], np.uint8)[labels]
    values[:20][values[:20] == 2] = 3
    (folder / "img").mkdir()
    (folder / "label").mkdir()
    sitk.WriteImage(image(hu, origin, direction), str(folder / "img" / "img0007.nii.gz"))
    sitk.WriteImage(image(values, origin, direction), str(folder / "label" / "label0007.nii.gz"))


def check(case: Case):
    assert case.hu.shape == case.labels.shape == (80, 109, 131)
    assert (case.hu.dtype, case.labels.dtype) == (np.int16, np.uint8)
    for number, organ in enumerate(ORGANS, 1):
        inside = case.labels == number
        assert inside.sum() == pytest.approx(30 * 40 * 10 * 1.5 * 1.5 * 2 / (0.68359375**2), rel=0.1)
        assert np.median(case.hu[inside]) == HU[organ]


def test_both_layouts_give_the_same_on_the_benchmarks_voxels(totalsegmentator, tmp_path):
    (tmp_path / "b").mkdir()
    btcv(tmp_path / "b")
    (one,), (other,) = iterate_cases(totalsegmentator), iterate_cases(tmp_path / "b")
    check(one)
    assert (one.name, other.name) == ("s01", "0007")
    assert np.array_equal(one.hu, other.hu)
    assert np.array_equal(one.labels, other.labels)


def test_axes_are_turned_to_head_back_left(tmp_path):
    """A file whose columns run to the right and whose slices run to the feet gives the same body."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    btcv(tmp_path / "a")
    btcv(tmp_path / "b", direction=(-1, 0, 0, 0, 1, 0, 0, 0, -1))
    (plain,), (turned,) = iterate_cases(tmp_path / "a"), iterate_cases(tmp_path / "b")
    columns = [np.argwhere(plain.labels == n)[:, 2].mean() for n in range(1, 6)]
    assert columns == sorted(columns)
    columns = [np.argwhere(turned.labels == n)[:, 2].mean() for n in range(1, 6)]
    assert columns == sorted(columns, reverse=True)


def test_what_is_no_case_is_refused(totalsegmentator, tmp_path):
    with pytest.raises(UserError, match="TotalSegmentator"):
        find_cases(tmp_path / "s01")
    (tmp_path / "b" / "img").mkdir(parents=True)
    (tmp_path / "b" / "label").mkdir()
    (tmp_path / "b" / "img" / "img0001.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="number 0001"):
        find_cases(tmp_path / "b")
    mask = totalsegmentator / "s01" / "segmentations" / "liver.nii.gz"
    sitk.WriteImage(image(np.ones((40, 50, 60), np.uint8), origin=(3, 0, 0)), str(mask))
    with pytest.raises(UserError, match=r"liver\.nii\.gz is not on the grid"):
        read_case(find_cases(totalsegmentator)[0])
    mask.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"liver\.nii\.gz cannot be read"):
        read_case(find_cases(totalsegmentator)[0])
    for path in (totalsegmentator / "s01" / "segmentations").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no label of liver"):
        find_cases(totalsegmentator)


@pytest.fixture
def case():
    hu, labels = boxes((40, 60, 200))
    labels[:] = 0
    labels[5:35, 10:50, 20:60] = 1
    labels[5:35, 10:50, 100:104] = 2
    labels[5:35, 10:50, 150:190] = 3
    hu[:] = np.arange(200, dtype=np.int16)
    return Case("c", hu, labels)


def test_patches_lie_in_their_organ(case):
    patches, classes = draw_patches(case, 7, 1, 0)
    assert patches.shape == (14, 16, 32, 32)
    assert classes.tolist() == [0] * 7 + [2] * 7
    for patch, organ in zip(patches, classes, strict=True):
        first = patch[0, 0, 0]
        columns = np.arange(first, first + 32)
        assert np.array_equal(patch, np.broadcast_to(columns, patch.shape))
        assert np.isin(case.labels[20, 30, columns], organ + 1).mean() >= SHARE_INSIDE
    again, _ = draw_patches(case, 7, 1, 0)
    other, _ = draw_patches(case, 7, 1, 1)
    assert np.array_equal(patches, again)
    assert not np.array_equal(patches, other)


def test_no_organ_gives_no_patch():
    patches, classes = draw_patches(Case("c", *boxes((16, 32, 60))), 3, 0, 0)
    assert patches.shape == (0, 16, 32, 32)
    assert len(classes) == 0


def test_places_lie_in_the_body(case):
    air = case.hu.copy()
    air[:, :, 100:] = -1000
    patches = draw_body_patches(Case("c", air, case.labels), 30, 0, 0)
    assert len(patches) == 30
    assert (patches.mean((1, 2, 3)) > -200).all()
    with pytest.raises(UserError, match="smaller than a patch"):
        draw_body_patches(Case("small", air[:10], air[:10]), 3, 0, 0)


def test_the_phantoms_organs_are_where_they_are_said_to_be(tmp_path):
    """Means and SDs of the printed organs as the styles of the drawing have them, away from the six regions."""
    from ct4bench.core.phantom import A1_GRID
    from ct4bench.twin.copied import move_labels, read_copy

    case = module.phantom_case(tmp_path, 3)
    for organ, mean, width in (("liver", 87, 4), ("spleen", 85, 8), ("kidney", 92, 12), ("stomach", 38, 8)):
        inside = case.hu[case.labels == ORGANS.index(organ) + 1]
        assert abs(np.median(inside) - mean) < width, organ
    aorta = case.hu[case.labels == ORGANS.index("aorta") + 1]
    assert 90 < np.median(aorta) < 120
    grid = A1_GRID.crop((slice(*module.PHANTOM_SLICES), slice(110, 410), slice(52, 460)))
    copy = read_copy()
    regions = move_labels(copy.labels, copy.grid, grid, np.eye(3), np.zeros(3))
    assert not (regions[case.labels > 0] > 0).any()
