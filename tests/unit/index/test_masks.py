"""One mask of all regions: NIfTI, RT structure set and DICOM segmentation give the same labels, or what is wrong."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import roi_labels, write_segmentation, write_series
from foreign_phantoms import write_structures

from ct4bench.core.errors import UserError
from ct4bench.core.regions import Phantom
from ct4bench.core.volumes import write_nifti
from ct4bench.index.ct import read_series
from ct4bench.index.masks import read_mask

NAMES = ("bone", "water", "fat", "lung", "air", "oil")
PHANTOM = Phantom.from_dict({"name": "six", "regions": [{"name": name, "class": name[0]} for name in NAMES]})


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    paths = write_series(folder / "ct")
    return folder, paths, read_series(paths)[1]


def as_segmentation(folder, paths, labels, grid):
    return write_segmentation(folder / "seg.dcm", paths, labels, names=NAMES)


def as_structures(folder, paths, labels, grid):
    return write_structures(folder / "structures.dcm", paths, labels, grid, NAMES)


def as_nifti(folder, paths, labels, grid):
    write_nifti(folder / "mask.nii.gz", labels, grid)
    return folder / "mask.nii.gz"


WRITERS = {"segmentation": as_segmentation, "structures": as_structures, "nifti": as_nifti}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_gives_the_labels_that_were_drawn(kind, series):
    folder, paths, grid = series
    labels = roi_labels()
    assert np.array_equal(read_mask(WRITERS[kind](folder, paths, labels, grid), grid, {}, PHANTOM), labels)


def test_a_contour_within_another_is_a_hole_and_a_tilted_one_is_refused(series):
    folder, paths, grid = series
    labels = np.where(roi_labels() == 2, 0, roi_labels())
    labels[3:6, 20:31, 20:31] = 2
    path = write_structures(folder / "hole.dcm", paths, labels, grid, NAMES)
    dataset = pydicom.dcmread(path)
    inner = np.zeros_like(labels)
    inner[4, 23:28, 24:27] = 2
    other = pydicom.dcmread(write_structures(folder / "inner.dcm", paths, inner, grid, NAMES))
    dataset.ROIContourSequence[1].ContourSequence.extend(other.ROIContourSequence[1].ContourSequence)
    dataset.save_as(path)
    found = read_mask(path, grid, {}, PHANTOM)
    assert np.array_equal(found, np.where(inner == 2, 0, labels))
    data = [float(v) for v in dataset.ROIContourSequence[0].ContourSequence[0].ContourData]
    data[2] += 0.6
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = data
    dataset.save_as(path)
    with pytest.raises(UserError, match="segmentation_mismatch, a contour of bone .* lies on none of the slices"):
        read_mask(path, grid, {}, PHANTOM)


def test_a_nifti_on_other_voxels_is_read_at_the_centres(series):
    folder, paths, grid = series
    labels = np.zeros(grid.shape, np.uint8)
    for number in range(1, 7):
        labels[4:14, 1 + 6 * (number - 1) : 6 * number, 4:30] = number
    image = sitk.GetImageFromArray(np.kron(labels, np.ones((2, 2, 1), np.uint8)))
    slice_mm, row_mm, column_mm = grid.spacing_mm
    image.SetSpacing((column_mm, row_mm / 2, slice_mm / 2))
    image.SetOrigin([float(v) for v in grid.origin_mm - [0, row_mm / 4, slice_mm / 4]])
    sitk.WriteImage(image, str(folder / "fine.nii.gz"))
    assert np.array_equal(read_mask(folder / "fine.nii.gz", grid, {}, PHANTOM), labels)
    # a mask of another series, 9 mm aside
    image.SetOrigin([float(v) for v in grid.origin_mm + [9, 0, 0]])
    sitk.WriteImage(image, str(folder / "aside.nii.gz"))
    with pytest.raises(UserError, match="was drawn on another series"):
        read_mask(folder / "aside.nii.gz", grid, {}, PHANTOM)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: np.where(labels == 3, 0, labels), "missing_label, no voxel of fat"),
        (lambda labels: np.where(labels == 3, 9, labels), "unknown_label, the value 9 is no region's label"),
        (lambda labels: labels[0], "it must be a volume of whole numbers"),
        (lambda labels: labels + np.float32(0.5), "it must be a volume of whole numbers"),
    ],
)
def test_a_nifti_that_does_not_fit_is_refused(change, said, series):
    folder, _, grid = series
    path = folder / "wrong.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(change(roi_labels())), str(path))
    with pytest.raises(UserError, match="the mask wrong.nii.gz cannot be used") as caught:
        read_mask(path, grid, {}, PHANTOM)
    assert said in str(caught.value)


def test_what_is_no_mask_is_refused(series):
    folder, paths, grid = series
    with pytest.raises(UserError, match="neither a DICOM segmentation nor an RT structure set"):
        read_mask(paths[0], grid, {}, PHANTOM)
    (folder / "text.txt").write_text("no mask")
    with pytest.raises(UserError, match="unreadable, neither DICOM nor named .nii or .nii.gz"):
        read_mask(folder / "text.txt", grid, {}, PHANTOM)
    path = write_structures(folder / "few.dcm", paths, roi_labels(), grid, NAMES[:5])
    with pytest.raises(
        UserError, match="missing_label, no structure oil; it has bone, water, fat, lung, air, External"
    ):
        read_mask(path, grid, {}, PHANTOM)


def test_a_structure_set_of_another_series_is_refused(series):
    folder, paths, grid = series
    dataset = pydicom.dcmread(write_structures(folder / "elsewhere.dcm", paths, roi_labels(), grid, NAMES))
    own = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): n for n, path in enumerate(paths)}
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    image = pydicom.Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", next(iter(own))
    contour.ContourImageSequence = [image]
    dataset.save_as(folder / "elsewhere.dcm")
    assert read_mask(folder / "elsewhere.dcm", grid, own, PHANTOM).any()
    image.ReferencedSOPInstanceUID = "1.2.3"
    dataset.save_as(folder / "elsewhere.dcm")
    with pytest.raises(UserError, match="1 of the 1 images that it was drawn on are not the series'"):
        read_mask(folder / "elsewhere.dcm", grid, own, PHANTOM)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_structure_that_leaves_the_image_is_refused(axis, series):
    folder, paths, grid = series
    dataset = pydicom.dcmread(write_structures(folder / "aside.dcm", paths, roi_labels(), grid, NAMES))
    for item in dataset.ROIContourSequence:
        for contour in item.ContourSequence or ():
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            points[:, axis] += 0.9 * grid.shape[2 - axis] * grid.spacing_mm[2 - axis]
            contour.ContourData = [float(value) for value in points.ravel()]
    dataset.save_as(folder / "aside.dcm")
    with pytest.raises(UserError, match="segmentation_mismatch, a contour of .* lies outside the series"):
        read_mask(folder / "aside.dcm", grid, {}, PHANTOM)


def _with(folder, paths, grid, contours, labels=None):
    """A structure set whose contours of `water` are followed by others: (type, corners as slice, row, column)."""
    dataset = pydicom.dcmread(write_structures(folder / "more.dcm", paths, labels, grid, NAMES))
    own = dataset.ROIContourSequence[1].ContourSequence
    for kind, corners in contours:
        item = pydicom.Dataset()
        item.ContourGeometricType, item.NumberOfContourPoints = kind, len(corners)
        item.ContourData = [f"{v:.4f}" for v in grid.to_lps(np.array(corners, float)).ravel()]
        own.append(item)
    dataset.save_as(folder / "more.dcm")
    return folder / "more.dcm"


BOX = [(4, 19.5, 19.5), (4, 19.5, 30.5), (4, 30.5, 30.5), (4, 30.5, 19.5)]
"""The edge of the box that the next test draws on slice 4: 11 x 11 voxels."""


@pytest.mark.parametrize(
    ("again", "left"),
    [
        ([("CLOSED_PLANAR", BOX)], 11 * 11),
        # from another corner, the other way round, closed by its first point, three times in all
        ([("CLOSED_PLANAR", [*BOX[2:], *BOX[:2]][::-1]), ("CLOSED_PLANAR", [*BOX, BOX[0]])], 11 * 11),
        # a hole of 3 x 3, drawn twice, is one hole
        ([("CLOSED_PLANAR", [(4, a, b) for a, b in ((23.5, 23.5), (23.5, 26.5), (26.5, 26.5), (26.5, 23.5))])] * 2,
         11 * 11 - 9),
        # what has no area takes none away
        ([("POINT", BOX[:1]), ("CLOSED_PLANAR", BOX[:1]), ("CLOSED_PLANAR", BOX[:2]),
          ("CLOSED_PLANAR", [*BOX[:2], BOX[0]])], 11 * 11),
        # DICOM has this type so that two that are equal cancel
        ([("CLOSEDPLANAR_XOR", BOX)], 0),
    ],
)  # fmt: skip
def test_a_contour_counts_once_and_what_has_no_area_not_at_all(again, left, series, caplog):
    folder, paths, grid = series
    labels = np.where(roi_labels() == 2, 0, roi_labels())
    labels[3:6, 20:31, 20:31] = 2
    found = read_mask(_with(folder, paths, grid, again, labels), grid, {}, PHANTOM)
    assert (found[4] == 2).sum() == left
    assert (found[[3, 5]] == 2).sum() == 2 * 11 * 11
    assert ("water" in caplog.text) == (again[0][0] != "CLOSEDPLANAR_XOR")


def _box(first, last, z=4):
    """The edge of a box of whole voxels on a slice, from its first to its last row and column."""
    (a, b), (c, d) = np.subtract(first, 0.5), np.add(last, 0.5)
    return [(z, a, b), (z, a, d), (z, c, d), (z, c, b)]


@pytest.mark.parametrize(
    ("kind", "boxes", "left"),
    [
        # of 11 x 11 voxels: a hole of 5 x 5, in it a part of 3 x 3, and a part of 4 x 4 that touches the outer edge
        ("CLOSED_PLANAR", [_box((22, 22), (26, 26)), _box((23, 23), (25, 25)), _box((31, 20), (34, 23))],
         121 - 25 + 9 + 16),
        # the same, whichever is drawn first
        ("CLOSED_PLANAR", [_box((31, 20), (34, 23)), _box((23, 23), (25, 25)), _box((22, 22), (26, 26))],
         121 - 25 + 9 + 16),
        # a hole that touches the edge from inside, and a larger box round all, of which the first one is then the hole
        ("CLOSED_PLANAR", [_box((20, 20), (22, 30))], 121 - 33),
        ("CLOSED_PLANAR", [_box((19, 19), (31, 31))], 169 - 121),
        # a slip of less than a hundredth, one of 121 voxels, is neither taken out nor refused
        ("CLOSED_PLANAR", [[(4, row, column) for row, column in (
            (29.5, 19.5), (29.5, 20.5), (30.5, 20.5), (30.5, 34.5), (38.5, 34.5), (38.5, 19.5))]], 121 + 120),
        # exclusive or is what this type means: 11 x 11 and 6 x 6, of which 4 x 4 are in both
        ("CLOSEDPLANAR_XOR", [_box((27, 27), (32, 32))], 121 + 36 - 2 * 16),
        # a keyhole: one contour goes in, round the hole of 3 x 3 and out again on the same way
        ("CLOSED_PLANAR", [[(4, row, column) for row, column in (
            (30.5, 19.5), (30.5, 30.5), (38.5, 30.5), (38.5, 25.2), (35.5, 25.2), (35.5, 26.5), (32.5, 26.5),
            (32.5, 23.5), (35.5, 23.5), (35.5, 25.2), (38.5, 25.2), (38.5, 19.5))]], 121 + 88 - 9),
    ],
)  # fmt: skip
def test_contours_of_a_slice_add_up_as_they_were_drawn(kind, boxes, left, series):
    folder, paths, grid = series
    labels = np.where(roi_labels() == 2, 0, roi_labels())
    labels[3:6, 20:31, 20:31] = 2
    found = read_mask(_with(folder, paths, grid, [(kind, box) for box in boxes], labels), grid, {}, PHANTOM)
    assert (found[4] == 2).sum() == left


@pytest.mark.parametrize("box", [_box((27, 27), (32, 32)), _box((20, 21), (30, 31))])
def test_contours_that_overlap_in_part_are_refused(box, series):
    """Even and odd took what both have out of the region: 16 of 141 voxels, and of two that are nearly equal all."""
    folder, paths, grid = series
    labels = np.where(roi_labels() == 2, 0, roi_labels())
    labels[3:6, 20:31, 20:31] = 2
    said = "segmentation_mismatch, two contours of water at z .* overlap in part, and DICOM does not say .* join them"
    with pytest.raises(UserError, match=said):
        read_mask(_with(folder, paths, grid, [("CLOSED_PLANAR", box)], labels), grid, {}, PHANTOM)


def test_an_open_contour_and_one_without_numbers_are_refused(series):
    folder, paths, grid = series
    with pytest.raises(UserError, match="a contour of water is OPEN_PLANAR; CLOSED_PLANAR is needed"):
        read_mask(_with(folder, paths, grid, [("OPEN_PLANAR", BOX)], roi_labels()), grid, {}, PHANTOM)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_region_of_fewer_voxels_than_can_be_measured_is_refused(kind, series):
    folder, paths, grid = series
    labels = roi_labels()
    first = np.argwhere(labels == 3)[0]
    labels[labels == 3] = 0
    labels[first[0], first[1] : first[1] + 2, first[2] : first[2] + 3] = 3
    said = "small_region, .*fat has 6 of at least 8 voxels: draw whole regions"
    with pytest.raises(UserError, match=said):
        read_mask(WRITERS[kind](folder, paths, labels, grid), grid, {}, PHANTOM)


def test_messages_have_no_words_of_a_library(series, tmp_path):
    folder, paths, grid = series
    (tmp_path / "cut.nii.gz").write_bytes(as_nifti(tmp_path, paths, roi_labels(), grid).read_bytes()[:40])
    (tmp_path / "none.dcm").mkdir()
    many = Phantom.from_dict({"name": "m", "regions": [{"name": f"r{n}", "class": f"c{n % 2}"} for n in range(99)]})
    for path, phantom, said in (
        (tmp_path / "cut.nii.gz", PHANTOM, "no NIfTI image, or a part of one"),
        (tmp_path / "none.dcm", PHANTOM, "it is a folder; name the file in it"),
        (tmp_path / "mask.nii.gz", many, "no voxel of r6, r7, r8, r9, r10 and 88 more"),
        (as_structures(tmp_path, paths, roi_labels(), grid), many, "no structure r0, r1, r2, r3, r4 and 94 more"),
        (as_segmentation(tmp_path, paths, roi_labels(), grid), many, "known are r0, r1, r2, r3, r4, r5, r6, r7 and 91"),
    ):
        with pytest.raises(UserError) as caught:
            read_mask(path, grid, {}, phantom)
        message = str(caught.value)
        assert said in message and len(message) < 400
        assert not [word for word in ("Errno", "sitk", "ITK", "Error", str(tmp_path)) if word in message], message
