import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence
from tests.dicom_factory import NAMES, SHAPE, roi_labels, write_segmentation, write_series

from ct4bench.core.benchmark import ROIS
from ct4bench.core.errors import Refusal
from ct4bench.index import ct as ct_reading


@pytest.fixture
def ct(tmp_path):
    paths = write_series(tmp_path / "ct")
    return paths, ct_reading.read_stack(paths).grid


def refused(path, grid, places=None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ct_reading.read_segmentation(path, grid, places)
    return caught.value


@pytest.mark.parametrize("references", ["series", "source", "frame", "none"])
@pytest.mark.parametrize("empty_frames", [True, False])
def test_labels_come_back_on_the_grid(tmp_path, ct, references, empty_frames):
    paths, grid = ct
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), references=references, empty_frames=empty_frames)
    labels = ct_reading.read_segmentation(path, grid)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, roi_labels())


def test_frames_are_placed_by_position_whatever_their_order(tmp_path, ct):
    paths, grid = ct

    def order(frames):
        return [frames[k] for k in np.random.default_rng(3).permutation(len(frames))]

    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), order=order)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())


@pytest.mark.parametrize("compressed", [False, True])
def test_a_label_map_has_the_number_of_its_segment_in_each_pixel(tmp_path, ct, compressed):
    """8 bits a pixel, one frame a slice, as they are or as RLE."""
    paths, grid = ct
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), names=NAMES[::-1], empty_frames=True)
    dataset = pydicom.dcmread(path)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)[: SHAPE[0]]
    dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames = Sequence(groups), len(groups)
    dataset.SegmentationType, dataset.PhotometricInterpretation = "LABELMAP", "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = roi_labels().tobytes()
    if compressed:
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(path)
    labels = ct_reading.read_segmentation(path, grid)
    np.testing.assert_array_equal(labels, np.where(roi_labels(), 7 - roi_labels().astype(int), 0))


def test_frames_that_do_not_begin_on_a_byte(tmp_path):
    shape = (18, 37, 33)
    paths = write_series(tmp_path / "ct", pixels=np.zeros(shape, int))
    labels = roi_labels(shape)
    path = write_segmentation(tmp_path / "s.dcm", paths, labels)
    assert labels[0].size % 8
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, ct_reading.read_stack(paths).grid), labels)


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, -1, 0], [-1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]])
@pytest.mark.parametrize("sign", [1, -1])
def test_slices_that_run_against_the_normal(tmp_path, orientation, sign):
    normal = np.cross(orientation[:3], orientation[3:])
    paths = write_series(tmp_path / "ct", step=sign * 1.25 * normal, ImageOrientationPatient=orientation)
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels())
    labels = ct_reading.read_segmentation(path, ct_reading.read_stack(paths).grid)
    np.testing.assert_array_equal(labels, roi_labels()[::sign])


def test_rounded_cosines_do_not_shift_a_wide_frame(tmp_path):
    shape = (18, 40, 300)
    orientation = [0.9995, 0.017, 0, -0.017, 0.9995, 0]
    paths = write_series(tmp_path / "ct", pixels=np.zeros(shape, int), ImageOrientationPatient=orientation)
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(shape))
    np.testing.assert_array_equal(
        ct_reading.read_segmentation(path, ct_reading.read_stack(paths).grid), roi_labels(shape)
    )


def test_a_segmentation_flipped_against_its_series_is_turned(tmp_path, ct):
    paths, grid = ct

    def flip(dataset):
        # the same voxels written from the lower right corner
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        for group in dataset.PerFrameFunctionalGroupsSequence:
            position = group.PlanePositionSequence[0]
            x, y, z = (float(v) for v in position.ImagePositionPatient)
            position.ImagePositionPatient = [x + 0.5 * (SHAPE[2] - 1), y + 0.75 * (SHAPE[1] - 1), z]

    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels()[:, ::-1, ::-1], edit=flip)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())


def test_a_segmentation_of_a_part_of_the_plane_is_placed(tmp_path, ct):
    paths, grid = ct

    def shift(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            position = group.PlanePositionSequence[0]
            x, y, z = (float(v) for v in position.ImagePositionPatient)
            position.ImagePositionPatient = [x + 0.5, y + 0.75, z]

    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels()[:, 1:20, 1:30], edit=shift)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())


def test_frames_without_position_go_to_the_slice_they_refer_to(tmp_path, ct):
    paths, grid = ct
    places = {s.sop_uid: k for k, s in enumerate(ct_reading.read_stack(paths).slices)}

    def edit(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            del group.PlanePositionSequence

    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), edit=edit)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid, places), roi_labels())
    assert refused(path, grid).reason == "segmentation_mismatch"


def test_position_and_reference_that_disagree_are_refused(tmp_path, ct):
    paths, grid = ct
    places = {s.sop_uid: k for k, s in enumerate(ct_reading.read_stack(paths).slices)}
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels())
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid, places), roi_labels())
    error = refused(path, grid, {uid: k + 1 for uid, k in places.items()})
    assert error.reason == "segmentation_mismatch"


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda n: n[:-1] + " " + n[-1], lambda n: f" {n}_"])
def test_names_are_read_whatever_their_case_and_spaces(tmp_path, ct, spelling):
    paths, grid = ct
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), names=tuple(map(spelling, NAMES)))
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())


def test_names_decide_the_labels_not_the_segment_numbers(tmp_path, ct):
    paths, grid = ct
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), names=NAMES[::-1])
    labels = ct_reading.read_segmentation(path, grid)
    np.testing.assert_array_equal(labels, np.where(roi_labels(), 7 - roi_labels().astype(int), 0))


def _types(kind):
    def edit(dataset):
        dataset.SegmentationType = kind

    return edit


def _off_grid(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = (float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        group.PlanePositionSequence[0].ImagePositionPatient = [x + 0.25, y, z]


def _moved(axis, mm):
    def edit(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            position = [float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient]
            position[axis] += mm
            group.PlanePositionSequence[0].ImagePositionPatient = position

    return edit


@pytest.mark.parametrize("axis, spacing", [(0, 0.5), (1, 0.75), (2, 1.25)])
@pytest.mark.parametrize("sign", [1, -1])
def test_frames_may_lie_up_to_0_15_voxels_off_the_grid(tmp_path, ct, axis, spacing, sign):
    paths, grid = ct
    path = write_segmentation(tmp_path / "a.dcm", paths, roi_labels(), edit=_moved(axis, sign * 0.149 * spacing))
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())
    path = write_segmentation(tmp_path / "b.dcm", paths, roi_labels(), edit=_moved(axis, sign * 0.151 * spacing))
    assert refused(path, grid).reason == "segmentation_mismatch"


def test_far_pixels_may_lie_up_to_0_15_voxels_off_the_grid(tmp_path, ct):
    """Spacings that are a little wrong move the last row, 39 rows from the first."""
    paths, grid = ct

    def rows_of(spacing):
        def edit(dataset):
            dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [spacing, 0.5]

        return edit

    fits, not_any_more = (0.75 * (1 + off / 39) for off in (0.149, 0.151))
    path = write_segmentation(tmp_path / "a.dcm", paths, roi_labels(), edit=rows_of(fits))
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())
    path = write_segmentation(tmp_path / "b.dcm", paths, roi_labels(), edit=rows_of(not_any_more))
    assert refused(path, grid).reason == "segmentation_mismatch"


@pytest.mark.parametrize("n_shared, fits", [(4, True), (5, False)])
def test_a_hundredth_of_a_segment_may_be_anothers(tmp_path, n_shared, fits):
    """Of the smaller segment: 400 voxels, of which up to four also belong to another."""
    paths = write_series(tmp_path / "ct", pixels=np.zeros((18, 80, 80), int))
    labels = roi_labels((18, 80, 80))
    labels[2:12, 40:60, 40:60] = 1
    labels[labels == 6] = 0
    labels[12, 40:60, 40:60] = 6
    labels[12, 40, 40 : 40 + n_shared] = 0
    path = write_segmentation(tmp_path / "s.dcm", paths, labels)
    _overlap(path, n_shared)
    grid = ct_reading.read_stack(paths).grid
    assert np.count_nonzero(labels == 6) == 400 - n_shared
    if fits:
        assert np.count_nonzero(ct_reading.read_segmentation(path, grid) == 6) == 400
    else:
        assert refused(path, grid).reason == "segmentation_mismatch"


def _outside(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = (float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        group.PlanePositionSequence[0].ImagePositionPatient = [x, y, z + 12.5]


def _other_spacing(dataset):
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.75, 0.55]


def _fewer_places(dataset):
    dataset.PerFrameFunctionalGroupsSequence = Sequence(list(dataset.PerFrameFunctionalGroupsSequence)[1:])


@pytest.mark.parametrize(
    "reason, options",
    [
        ("unknown_label", {"names": (*NAMES, "spleen")}),
        ("missing_label", {"names": NAMES[:5]}),
        ("ambiguous_segmentation", {"names": (*NAMES[:5], "Cyst 1")}),
        ("segmentation_mismatch", {"edit": _types("FRACTIONAL")}),
        ("segmentation_mismatch", {"edit": _off_grid}),
        ("segmentation_mismatch", {"edit": _outside}),
        ("segmentation_mismatch", {"edit": _other_spacing}),
        ("segmentation_mismatch", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
        ("unreadable", {"edit": _fewer_places}),
        ("missing_label", {"SegmentSequence": Sequence([])}),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, ct, reason, options):
    paths, grid = ct
    error = refused(write_segmentation(tmp_path / "s.dcm", paths, roi_labels(), **options), grid)
    assert error.reason == reason, str(error)
    assert str(error).startswith("s.dcm: ")


def test_a_segment_without_a_voxel_is_missing(tmp_path, ct):
    paths, grid = ct
    labels = roi_labels()
    labels[labels == 3] = 0
    error = refused(write_segmentation(tmp_path / "s.dcm", paths, labels, empty_frames=True), grid)
    assert error.reason == "missing_label"
    assert ROIS[2] in str(error)


@pytest.mark.parametrize("kept", [0, 200, 1500, -60])
def test_a_cut_segmentation_is_unreadable(tmp_path, ct, kept):
    paths, grid = ct
    path = write_segmentation(tmp_path / "s.dcm", paths, roi_labels())
    path.write_bytes(path.read_bytes()[:kept])
    assert refused(path, grid).reason == "unreadable"


def _overlap(path, n_shared):
    """Let the last segment claim voxels of the first one's lowest slice too: new bits in its own new frame."""
    dataset = pydicom.dcmread(path)
    rows, columns = dataset.Rows, dataset.Columns
    n = int(dataset.NumberOfFrames)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")[: n * rows * columns]
    first = bits[: rows * columns].copy()
    first[np.flatnonzero(first)[n_shared:]] = 0
    dataset.PixelData = np.packbits(np.concatenate([bits, first]), bitorder="little").tobytes()
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    copy = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence[0]
    copy.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 6
    dataset.PerFrameFunctionalGroupsSequence = Sequence([*groups, copy])
    dataset.NumberOfFrames = n + 1
    dataset.save_as(path)


def test_few_voxels_of_two_segments_go_to_the_smaller_with_a_warning(tmp_path, caplog):
    shape = (18, 80, 80)
    paths = write_series(tmp_path / "ct", pixels=np.zeros(shape, int))
    labels = roi_labels(shape)
    labels[2:12, 40:60, 40:60] = 1
    path = write_segmentation(tmp_path / "s.dcm", paths, labels)
    grid = ct_reading.read_stack(paths).grid
    _overlap(path, 0)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), labels)
    assert not caplog.records
    labels[12, 40:60, 40:60] = 6
    path = write_segmentation(tmp_path / "s.dcm", paths, labels)
    _overlap(path, 3)
    assert np.count_nonzero(ct_reading.read_segmentation(path, grid) == 6) == np.count_nonzero(labels == 6) + 3
    assert "normal2" in caplog.text
    _overlap(path, 9)
    assert refused(path, grid).reason == "segmentation_mismatch"


def write_label_map(path, ct_paths, labels, values, background, segments, padding=None):
    """A LABELMAP in which ROI k + 1 is stored as `values[k]`; `segments` are its (number, label)."""
    write_segmentation(path, ct_paths, labels)
    dataset = pydicom.dcmread(path)
    used = [k for k in range(len(labels)) if labels[k].any()]
    stored = np.array([background, *values], np.uint8)[labels]
    groups = []
    for k in used:
        group, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = pydicom.dcmread(ct_paths[k]).ImagePositionPatient
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames = Sequence(groups), len(groups)
    dataset.SegmentSequence = Sequence([pydicom.Dataset() for _ in segments])
    for item, (number, label) in zip(dataset.SegmentSequence, segments, strict=True):
        item.SegmentNumber, item.SegmentLabel = number, label
    dataset.SegmentationType, dataset.PhotometricInterpretation = "LABELMAP", "MONOCHROME2"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    if padding is not None:
        dataset.add_new("PixelPaddingValue", "US", padding)
    dataset.PixelData = stored[used].tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


SIX = range(1, 7)
BACKGROUND = "Background"


@pytest.mark.parametrize(
    "values, background, extra, padding",
    [
        (SIX, 0, [], None),
        (SIX, 0, [(0, BACKGROUND)], None),
        (SIX, 0, [(0, BACKGROUND)], 0),
        (SIX, 255, [(255, BACKGROUND)], 255),
        (SIX, 255, [], 255),
        (range(6), 255, [(255, BACKGROUND)], 255),
        (range(6), 6, [], 6),
    ],
)
def test_the_background_of_a_label_map_is_what_its_padding_value_names(
    tmp_path, ct, values, background, extra, padding
):
    paths, grid = ct
    segments = [*zip(values, NAMES, strict=True), *extra]
    path = write_label_map(tmp_path / "s.dcm", paths, roi_labels(), values, background, segments, padding)
    np.testing.assert_array_equal(ct_reading.read_segmentation(path, grid), roi_labels())


@pytest.mark.parametrize("extra, reason", [([(255, BACKGROUND)], "unknown_label"), ([], "unknown_label")])
def test_a_segment_that_no_padding_value_names_is_no_background(tmp_path, ct, extra, reason):
    paths, grid = ct
    segments = [*zip(SIX, NAMES, strict=True), *extra]
    path = write_label_map(tmp_path / "s.dcm", paths, roi_labels(), SIX, 255, segments)
    assert refused(path, grid).reason == reason
