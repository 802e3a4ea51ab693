"""Reading against pydicom, SimpleITK and highdicom, on small series of every form and on the real one."""

import warnings

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from tests.dicom_factory import roi_labels, stored_pixels, write_series

from ct4bench.core.benchmark import ROIS
from ct4bench.core.errors import Refusal
from ct4bench.index import ct
from ct4bench.index.index import build_index

SPHERES = {
    "cyst1": ((180, 322, 157), 7.49, 15.82),
    "cyst2": ((233, 189, 186), 6.91, 20.81),
    "hemangioma": ((193, 212, 159), 41.85, 17.93),
    "metastasis": ((240, 111, 140), 38.31, 16.04),
    "normal1": ((226, 161, 149), 90.30, 19.47),
    "normal2": ((275, 159, 170), 83.65, 15.42),
}
"""Centre (row, column, slice by ascending z), mean and SD in HU within 5 mm, of the real series."""
REAL_PATTERN = r"^Harmonized b (?P<dose>\d+) mGy [\d.]+ +(?P<recon>\w+) axial - #(?P<repetition>\d+)$"


def by_pydicom(paths) -> np.ndarray:
    """HU in float32, which holds them exactly; slices by ascending place along the normal."""
    datasets = [pydicom.dcmread(path) for path in paths]
    across, down = np.split(np.array(datasets[0].ImageOrientationPatient, float), 2)
    normal = np.cross(across, down)
    datasets.sort(key=lambda d: np.dot(normal, np.array(d.ImagePositionPatient, float)))
    slices = [d.pixel_array * np.float32(d.RescaleSlope) + np.float32(d.RescaleIntercept) for d in datasets]
    return np.stack(slices, dtype=np.float32)


def by_simpleitk(paths, place) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in sorted(paths, key=place)])
    return reader.Execute()


def sphere(shape, centre, radius_mm, spacing_mm) -> np.ndarray:
    row, column, slice_ = centre
    index = np.ogrid[tuple(slice(n) for n in shape)]
    squares = [((i - c) * s) ** 2 for i, c, s in zip(index, (slice_, row, column), spacing_mm, strict=True)]
    return sum(squares) <= radius_mm**2


def test_the_real_series_equals_pydicom_and_simpleitk_at_the_same_place(real_series):
    paths = sorted(real_series.rglob("*.dcm"))
    array, grid = ct.read_series(paths)
    np.testing.assert_array_equal(array, by_pydicom(paths))
    heights = {path: float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]) for path in paths}
    image = by_simpleitk(paths, heights.get)
    np.testing.assert_array_equal(array, sitk.GetArrayViewFromImage(image))
    for index in ((0, 0, 0), (342, 511, 511), (17, 300, 100)):
        place = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        np.testing.assert_allclose(grid.to_lps(index), place, atol=1e-6)
    assert grid.spacing_mm == (1.0, 0.68359375, 0.68359375)
    for name, (centre, mean, sd) in SPHERES.items():
        inside = sphere(array.shape, centre, 5.0, grid.spacing_mm)
        assert inside.sum() == 1115
        assert array[inside].mean() == pytest.approx(mean, abs=0.05), name
        assert array[inside].std() == pytest.approx(sd, abs=0.05), name


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0], [0.6, 0, 0.8, 0, 1, 0]])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2"]
)
def test_geometry_equals_simpleitk(tmp_path, orientation, sign, syntax):
    pixels = stored_pixels((4, 40, 36), low=0, high=4096)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = write_series(
        tmp_path, pixels=pixels, step=sign * 1.25 * normal, syntax=syntax, ImageOrientationPatient=orientation
    )
    array, grid = ct.read_series(paths)
    paths = sorted(paths)[::sign]
    image = by_simpleitk(paths, paths.index)
    np.testing.assert_array_equal(array, sitk.GetArrayViewFromImage(image))
    for index in ((0, 0, 0), (3, 39, 35)):
        place = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        np.testing.assert_allclose(grid.to_lps(index), place, atol=1e-5)


@pytest.mark.parametrize("bits, signed", [(12, False), (16, True), (16, False), (14, True)])
@pytest.mark.parametrize("slope, intercept", [(1, -1024), (2, -3000), (1, 0)])
def test_values_equal_pydicom_for_all_kinds_of_pixels(tmp_path, bits, signed, slope, intercept):
    low, high = (-(1 << bits - 2), 1 << bits - 2) if signed else (0, 1 << bits - 1)
    paths = write_series(
        tmp_path, pixels=stored_pixels((3, 40, 36), low=max(low, -9000), high=min(high, 9000)), BitsStored=bits,
        HighBit=bits - 1, PixelRepresentation=int(signed), RescaleSlope=slope, RescaleIntercept=intercept,
    )  # fmt: skip
    for path in paths:
        dataset = pydicom.dcmread(path)
        if signed and bits < 16:  # sign extension of the unused bits is what writers do
            assert (dataset.pixel_array < 0).any()
    np.testing.assert_array_equal(ct.read_series(paths)[0], by_pydicom(paths))


def write_by_highdicom(path, ct_paths, labels, kind="BINARY", omit_empty_frames=True, **options):
    import highdicom as hd
    from highdicom.sr.coding import CodedConcept

    code = CodedConcept("85756007", "SCT", "Tissue")
    names = ["metastatsis" if roi == "metastasis" else roi for roi in ROIS]
    segments = [hd.seg.SegmentDescription(k, name, code, code, "MANUAL") for k, name in enumerate(names, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = [pydicom.dcmread(p) for p in ct_paths]
        for dataset in datasets:
            for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate",
                            "StudyTime", "AccessionNumber", "ReferringPhysicianName"):  # fmt: skip
                if keyword not in dataset:
                    setattr(dataset, keyword, "")
        hd.seg.Segmentation(
            datasets, labels, kind, segments, hd.UID(), 1, hd.UID(), 1, "maker", "model", "1", "1",
            omit_empty_frames=omit_empty_frames, **options,
        ).save_as(path)  # fmt: skip
    return path


@pytest.mark.parametrize("omit_empty_frames", [True, False])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("sign", [1, -1])
def test_segmentations_of_highdicom_come_back(tmp_path, kind, omit_empty_frames, sign):
    paths = write_series(tmp_path / "ct", step=(0, 0, sign * 1.25))
    path = write_by_highdicom(tmp_path / "s.dcm", paths, roi_labels(), kind, omit_empty_frames)
    stack = ct.read_stack(paths)
    places = {s.sop_uid: k for k, s in enumerate(stack.slices)}
    labels = ct.read_segmentation(path, stack.grid, places)
    np.testing.assert_array_equal(labels, roi_labels()[::sign])


def test_fractional_segmentations_of_highdicom_are_refused(tmp_path):
    paths = write_series(tmp_path / "ct")
    path = write_by_highdicom(tmp_path / "s.dcm", paths, roi_labels(), "FRACTIONAL")
    with pytest.raises(Refusal, match="FRACTIONAL") as caught:
        ct.read_segmentation(path, ct.read_stack(paths).grid)
    assert caught.value.reason == "segmentation_mismatch"


def test_segmentations_read_as_highdicom_reads_them(tmp_path):
    import highdicom as hd

    paths = write_series(tmp_path / "ct")
    path = write_by_highdicom(tmp_path / "s.dcm", paths, roi_labels())
    theirs = hd.seg.segread(path).get_volume(combine_segments=True).array
    ours = ct.read_segmentation(path, ct.read_stack(paths).grid)
    first = np.flatnonzero(ours.any(axis=(1, 2)))[0]
    if not np.array_equal(theirs, ours[first : first + len(theirs)]):
        # highdicom orders a volume's slices from head to foot or back; both are one volume
        np.testing.assert_array_equal(theirs[::-1], ours[first : first + len(theirs)])


def test_the_real_series_is_left_out_by_default_and_taken_with_a_pattern_and_a_segmentation(real_series, tmp_path):
    paths = sorted(real_series.rglob("*.dcm"))
    root = tmp_path / "data"
    root.mkdir()
    (root / "ct").symlink_to(paths[0].parent)
    stack = ct.read_stack(paths)
    labels = np.zeros(stack.grid.shape, np.uint8)
    for number, roi in enumerate(ROIS, 1):
        labels[sphere(labels.shape, SPHERES[roi][0], 5.0, stack.grid.spacing_mm)] = number
    write_by_highdicom(root / "seg.dcm", [s.path for s in stack.slices], labels)
    write_series(root / "good", "good", SeriesDescription="B1_Harmonized_10mGy_FBP - #1", StudyDescription="B1")
    from tests.dicom_factory import write_segmentation

    write_segmentation(root / "good.dcm", sorted((root / "good").glob("*")), roi_labels())
    index = build_index([root])
    assert list(index.series["scanner"]) == ["B1"]
    assert list(index.quarantine["reason"]) == ["description_unmatched"]
    assert list(index.quarantine["path"]) == ["data/ct"]

    index = build_index([root], REAL_PATTERN)
    (row,) = index.series.to_dict("records")
    assert (row["dose_mgy"], row["recon"], row["repetition"], row["n_slices"]) == (10, "B30f", 18, 343)
    assert (row["maker"], row["model"], row["origin"]) == ("Siemens", "SOMATOM Definition Edge", "other")
    assert (row["exposure_mas"], row["pitch"], row["rotation_time_s"]) == (148, 1, 0.5)
    assert row["rotation_time_source"] == "ExposureTime x pitch"
    read = ct.read_segmentation(root / "seg.dcm", stack.grid)
    np.testing.assert_array_equal(read, labels)
