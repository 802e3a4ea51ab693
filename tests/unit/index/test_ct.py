import os

import numpy as np
import pydicom
import pytest
from tests.dicom_factory import SHAPE, ct_dataset, save, stored_pixels, uid, write_series

from ct4bench.core.errors import Refusal
from ct4bench.core.reasons import read_reasons
from ct4bench.index import ct

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
}


def refused(paths) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ct.read_series(paths)
    return caught.value


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_every_transfer_syntax_gives_the_same_hounsfield_units(tmp_path, syntax):
    stored = stored_pixels((3, 40, 36))
    array, grid = ct.read_series(write_series(tmp_path, pixels=stored, syntax=syntax))
    assert array.dtype == np.int16
    np.testing.assert_array_equal(array, stored - 1024)
    np.testing.assert_allclose(grid.to_lps([0, 0, 0]), [-2.5, -4, 100])
    np.testing.assert_allclose(grid.to_lps([2, 1, 1]), [-2.0, -3.25, 102.5])


@pytest.mark.parametrize("syntax", ["JPEG-LS", "JPEG 2000", "RLE", "JPEG lossless", "big endian"])
def test_signed_pixels_of_16_bits_keep_their_sign_in_every_syntax(tmp_path, syntax):
    stored = stored_pixels((2, 40, 36), low=-2000, high=3000)
    fields = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleIntercept": 0}
    array, _ = ct.read_series(write_series(tmp_path, pixels=stored, syntax=SYNTAXES[syntax], **fields))
    np.testing.assert_array_equal(array, stored)


def test_slices_are_ordered_by_place_not_by_number_or_name(tmp_path):
    stored = stored_pixels()

    def edit(index, dataset):
        dataset.InstanceNumber = (7 * index) % 18

    paths = write_series(tmp_path, pixels=stored, edit=edit)
    shuffled = [paths[k] for k in np.random.default_rng(1).permutation(len(paths))]
    array, _ = ct.read_series(shuffled)
    np.testing.assert_array_equal(array, stored - 1024)


ORIENTATIONS = {
    "head first supine": ([1, 0, 0, 0, 1, 0], [0, 0, 1.0]),
    "feet first supine": ([-1, 0, 0, 0, 1, 0], [0, 0, -1.0]),
    "head first prone": ([-1, 0, 0, 0, -1, 0], [0, 0, 1.0]),
    "mirrored rows": ([1, 0, 0, 0, -1, 0], [0, 0, -1.0]),
    "sagittal": ([0, 1, 0, 0, 0, -1], [-1.0, 0, 0]),
    "oblique": ([0.8, 0.6, 0, -0.6, 0.8, 0], [0, 0, 1.0]),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("direction", [1, -1])
def test_each_voxel_keeps_its_place_in_the_patient(tmp_path, name, direction):
    orientation, normal = ORIENTATIONS[name]
    stored = stored_pixels()
    step = 1.25 * direction * np.array(normal)
    paths = write_series(tmp_path, pixels=stored, step=step, ImageOrientationPatient=orientation)
    array, grid = ct.read_series(paths)
    for index in ((0, 0, 0), (4, 7, 3), (17, 11, 9)):
        # the place by the standard's equation C.7.6.2.1-1, from the slice that was written as number `index[0]`
        place = np.array([-2.5, -4.0, 100.0]) + index[0] * step
        place = place + index[1] * 0.75 * np.array(orientation[3:]) + index[2] * 0.5 * np.array(orientation[:3])
        found = np.round(grid.to_index(place)).astype(int)
        np.testing.assert_allclose(grid.to_lps(found), place, atol=1e-9)
        assert array[tuple(found)] == stored[index] - 1024
    assert np.linalg.det(grid.affine[:3, [2, 1, 0]]) > 0, "slices ascend along the normal: a right-handed grid"


def test_threads_do_not_change_the_result(tmp_path):
    paths = write_series(tmp_path)
    one, two = ct.read_series(paths, 1), ct.read_series(paths, 3)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1].affine, two[1].affine)


@pytest.mark.parametrize("slope, intercept", [(1, -1024), (2, -1000), (0.5, -1024), (0.25, 0.5), (-1, 500)])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_rescaling_equals_the_formula_rounded_half_to_even(bits, signed, slope, intercept):
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    stored = np.arange(max(low, -12000), min(high, 12000))
    frame = ct.SliceFormat("1", 1, 1, (1, 1), (), float(slope), float(intercept), bits, bits - 1, signed, "")
    pixels = stored.astype(np.uint16).view(np.int16).copy()
    ct.to_hu(pixels, frame)
    exact = stored * slope + intercept
    below = np.floor(exact)
    even = np.where(exact - below == 0.5, below + below % 2, np.floor(exact + 0.5))
    np.testing.assert_array_equal(pixels, even)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("slope", "intercept", "most"),
    [(1, -1024, 0), (-2, 500, 0), (0.5, -1024, 0.5), (1, 0.25, 0.25), (0.25, 0.125, 0.375), (2, -0.1, 0.1)],
)
def test_how_far_rounding_moves_a_value_is_the_largest_of_all(slope, intercept, most, signed):
    """Fractions of 0.5 n are 0 or 0.5; of n + 0.25, 0.25; of 0.25 n + 0.125, 0.125 or 0.375; of 2 n - 0.1, 0.1."""
    frame = ct.SliceFormat("1", 1, 1, (1, 1), (), float(slope), float(intercept), 12, 11, signed, "")
    assert ct.largest_rounding_hu(frame) == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize("slope", [1, 2, 0.5])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_outside_the_stored_ones_are_ignored(slope, signed):
    frame = ct.SliceFormat("1", 1, 1, (1, 1), (), float(slope), 0.0, 12, 12, signed, "")
    stored = np.array([0, 1, 5, 2047, -1, -2048] if signed else [0, 1, 5, 2047, 4095, 2048])
    words = ((stored & 4095) << 1 | 0b1110_0000_0000_0001).astype(np.uint16)
    pixels = words.view(np.int16).copy()
    ct.to_hu(pixels, frame)
    np.testing.assert_array_equal(pixels, np.round(stored * slope))


def test_values_outside_int16_are_refused(tmp_path):
    stored = np.full((2, 40, 36), 40000)
    fields = {"BitsStored": 16, "HighBit": 15, "RescaleIntercept": 0}
    assert refused(write_series(tmp_path / "a", pixels=stored, **fields)).reason == "bad_rescale"
    fields["RescaleIntercept"] = -8192
    array, _ = ct.read_series(write_series(tmp_path / "b", pixels=stored, **fields))
    assert (array == 31808).all()


def test_padding_outside_the_field_of_view_stays_as_stored(tmp_path):
    stored = stored_pixels((2, 40, 36))
    stored[:, :2] = -2000
    fields = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "PixelPaddingValue": -2000}
    array, _ = ct.read_series(write_series(tmp_path, pixels=stored, **fields))
    assert (array[:, :2] == -3024).all()


def _set(keyword, value, which=5):
    def edit(index, dataset):
        if index == which:
            setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize(
    "reason, fields",
    [
        ("missing_slices", {"skip": (4, 9, 10)}),
        ("duplicate_slices", {"edit": _set("ImagePositionPatient", [-2.5, -4, 105])}),
        ("duplicate_slices", {"edit": _set("SOPInstanceUID", uid("a", 3))}),
        ("mixed_geometry", {"edit": _set("ImagePositionPatient", [-2.5, -4, 106.6])}),
        ("mixed_geometry", {"edit": _set("ImagePositionPatient", [-2.0, -4, 106.25])}),
        ("mixed_geometry", {"edit": _set("PixelSpacing", [0.75, 0.51])}),
        ("mixed_geometry", {"edit": _set("SeriesInstanceUID", "1.2.3")}),
        ("mixed_geometry", {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}),
        ("mixed_geometry", {"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}),
        ("mixed_geometry", {"PixelSpacing": [0.75, 0.0]}),
        ("non_parallel_slices", {"edit": _set("ImageOrientationPatient", [1, 0, 0, 0, 0.9998, 0.02])}),
        ("gantry_tilt", {"step": (0, 0.2, 1.25)}),
        ("bad_rescale", {"edit": _set("BitsStored", 11)}),
        ("bad_rescale", {"RescaleSlope": 0}),
        ("bad_rescale", {"RescaleSlope": None}),
        ("bad_rescale", {"RescaleType": "OD"}),
        ("not_ct", {"Modality": "MR"}),
        ("not_an_image_series", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
        ("not_an_image_series", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("not_an_image_series", {"PixelSpacing": None}),
        ("not_an_image_series", {"ImageOrientationPatient": None}),
        ("not_an_image_series", {"edit": _set("ImagePositionPatient", None)}),
        ("not_an_image_series", {"edit": _set("ImagePositionPatient", ["0", "0", "1e300"])}),
        ("not_an_image_series", {"edit": _set("ImagePositionPatient", ["0", "0", "nan"])}),
        ("not_an_image_series", {"NumberOfFrames": 2}),
        ("not_an_image_series", {"Modality": None}),
        ("not_an_image_series", {"PhotometricInterpretation": "PALETTE COLOR"}),
        ("unreadable", {"Columns": None}),
        ("unreadable", {"HighBit": None}),
        ("unreadable", {"PixelRepresentation": None}),
        ("unreadable", {"BitsStored": 17}),
    ],
)
def test_a_series_that_is_no_regular_volume_is_refused(tmp_path, reason, fields):
    paths = write_series(tmp_path, **fields)
    error = refused(paths)
    assert error.reason == reason, str(error)
    assert str(error)


def test_the_message_tells_where_slices_are_missing(tmp_path):
    error = refused(write_series(tmp_path, skip=(4, 9, 10)))
    assert "3 missing at 2 positions" in str(error)
    assert "103.75 and 106.25 mm" in str(error)


def _shift(axis, mm, which=lambda index: index == 5):
    """Move the slices that `which` names along an axis of the patient."""

    def edit(index, dataset):
        if which(index):
            position = [float(v) for v in dataset.ImagePositionPatient]
            position[axis] += mm
            dataset.ImagePositionPatient = position

    return edit


EDGES = {
    "increments differ by a tenth": (
        {"edit": _shift(2, 0.0999 * 1.25)}, {"edit": _shift(2, 0.1001 * 1.25)}, "mixed_geometry"),
    "a slice lies aside": ({"edit": _shift(1, 0.0999)}, {"edit": _shift(1, 0.1001)}, "mixed_geometry"),
    "slices are sheared": (
        {"step": (0, 0.0999 / 17, 1.25)}, {"step": (0, 0.1001 / 17, 1.25)}, "gantry_tilt"),
    "a plane is turned": (
        {"edit": _set("ImageOrientationPatient", [1, 0, 0, 0, 1, 0.99e-4])},
        {"edit": _set("ImageOrientationPatient", [1, 0, 0, 0, 1, 1.01e-4])}, "non_parallel_slices"),
    "rows are long": (
        {"ImageOrientationPatient": [1.00099, 0, 0, 0, 1, 0]},
        {"ImageOrientationPatient": [1.00101, 0, 0, 0, 1, 0]}, "mixed_geometry"),
    "columns are short": (
        {"ImageOrientationPatient": [1, 0, 0, 0, 0.99901, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0.99899, 0]}, "mixed_geometry"),
    "rows and columns are not at right angles": (
        {"ImageOrientationPatient": [1, 0, 0, 0.00099, 1, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 0.00101, 1, 0]}, "mixed_geometry"),
    "pixels differ": (
        {"edit": _set("PixelSpacing", [0.75, 0.5000074])}, {"edit": _set("PixelSpacing", [0.75, 0.5000076])},
        "mixed_geometry"),
    "far away": (
        {"edit": _shift(0, 99_999, lambda _: True)}, {"edit": _shift(0, 100_003, lambda _: True)},
        "not_an_image_series"),
    "one bit, and none": ({"BitsStored": 1, "HighBit": 0}, {"BitsStored": 0, "HighBit": 0}, "unreadable"),
    "bits up to the high one": ({"BitsStored": 12, "HighBit": 11}, {"BitsStored": 12, "HighBit": 10}, "unreadable"),
    "two slices": ({"skip": range(2, 18)}, {"skip": range(1, 18)}, "too_few_slices"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges_of_what_is_accepted_lie_where_they_are_stated(tmp_path, name):
    accepted, refused_fields, reason = EDGES[name]
    array, grid = ct.read_series(write_series(tmp_path / "accepted", **accepted))
    assert array.shape == grid.shape == (18 - len(accepted.get("skip", ())), 40, 36)
    error = refused(write_series(tmp_path / "refused", **refused_fields))
    assert error.reason == reason, str(error)


def test_an_image_has_4096_columns_at_most(tmp_path):
    array, _ = ct.read_series(write_series(tmp_path / "a", pixels=np.zeros((2, 2, 4096), int)))
    assert array.shape == (2, 2, 4096)
    assert refused(write_series(tmp_path / "b", pixels=np.zeros((2, 2, 4097), int))).reason == "mixed_geometry"


@pytest.mark.parametrize(
    ("gap_steps", "reason"),
    [(0.0079, "duplicate_slices"), (0.0081, "mixed_geometry"), (1.89, "mixed_geometry"), (1.91, "missing_slices"),
     (2.09, "missing_slices"), (2.11, "mixed_geometry")],
)  # fmt: skip
def test_the_reason_depends_on_the_size_of_the_gap(tmp_path, gap_steps, reason):
    """Slices 0.01 mm apart (0.008 increments) are one twice; whole increments, to a tenth, are missing slices."""
    later = _shift(2, (gap_steps - 1) * 1.25, lambda index: index > 5)
    error = refused(write_series(tmp_path, edit=later))
    assert error.reason == reason, str(error)
    if reason == "missing_slices":
        assert "1 missing at 1 positions, the first between 106.25" in str(error)


@pytest.mark.parametrize("slope", [1, 2, 0.5])
@pytest.mark.parametrize(("hu", "fits"), [(32767, True), (-32768, True), (32768, False), (-32769, False)])
def test_values_of_16_bits_are_kept_to_the_last(tmp_path, slope, hu, fits):
    stored = np.full((2, 12, 10), 16000)
    stored[0, 0, 0] += 2 if hu < 0 else -2
    fields = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": slope}
    paths = write_series(tmp_path, pixels=stored, RescaleIntercept=hu - slope * 16000, **fields)
    other = int(hu + slope * (stored[0, 0, 0] - 16000))
    if fits:
        array, _ = ct.read_series(paths)
        assert array[0, 0, 0] == other and (array.ravel()[1:] == hu).all()
    else:
        low, high = sorted([hu, other])
        assert f"values from {low:g} to {high:g} HU" in str(refused(paths))


def test_slices_of_two_sizes_are_refused(tmp_path):
    paths = write_series(tmp_path, skip=(17,))
    pixels = np.zeros((40, 35), int)
    paths.append(save(ct_dataset("a", 17, pixels, (-2.5, -4, 121.25)), pixels, tmp_path / "odd.dcm"))
    assert refused(paths).reason == "mixed_geometry"


def test_two_transfer_syntaxes_in_one_series_are_refused(tmp_path):
    stored = stored_pixels()
    paths = write_series(tmp_path, pixels=stored)
    write_series(tmp_path, pixels=stored, syntax=SYNTAXES["implicit"], skip=range(1, 18))
    assert refused(paths).reason == "unsupported_transfer_syntax"


def test_lossy_compression_is_refused(tmp_path):
    path = write_series(tmp_path, pixels=stored_pixels((2, 40, 36)))[0]
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0\0\0", b"1.2.840.10008.1.2.1\0\0\0")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.51"
    dataset.PixelData = pydicom.encaps.encapsulate([data[:100]])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    assert refused([path, path]).reason == "unsupported_transfer_syntax"


def test_positions_rounded_to_a_tenth_of_the_increment_are_accepted(tmp_path):
    def edit(index, dataset):
        dataset.ImagePositionPatient = [-2.5, -4, round(100 + 1.25 * index, 1)]

    array, grid = ct.read_series(write_series(tmp_path, edit=edit))
    assert grid.spacing_mm[0] == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize("kept", [0, 60, 130, 400, 900, -300, -40, -2])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "JPEG-LS", "JPEG 2000", "RLE", "big endian", "deflated"])
def test_a_file_that_is_cut_is_unreadable_and_named(tmp_path, syntax, kept):
    paths = write_series(tmp_path, pixels=stored_pixels((3, 40, 36)), syntax=SYNTAXES[syntax])
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[:kept])
    error = refused(paths)
    assert error.reason == "unreadable", str(error)
    assert paths[1].name in str(error)


def test_a_missing_file_is_unreadable_and_named(tmp_path):
    paths = write_series(tmp_path)
    os.remove(paths[3])
    error = refused(paths)
    assert error.reason == "unreadable"
    assert paths[3].name in str(error)


def test_rounded_cosines_do_not_change_the_spacing(tmp_path):
    orientation = [0.9998, 0.017, 0, -0.017, 0.9998, 0]
    _, grid = ct.read_series(write_series(tmp_path, ImageOrientationPatient=orientation))
    assert grid.spacing_mm == pytest.approx((1.25, 0.75, 0.5), rel=1e-12)


def test_one_slice_is_too_few(tmp_path):
    assert refused(write_series(tmp_path, skip=range(1, 18))).reason == "too_few_slices"


def test_grid_shape_is_slices_rows_columns(tmp_path):
    array, grid = ct.read_series(write_series(tmp_path))
    assert array.shape == grid.shape == SHAPE
    assert grid.spacing_mm == pytest.approx((1.25, 0.75, 0.5))


def test_random_damage_to_headers_gives_a_reason_or_a_series(tmp_path, rng):
    paths = write_series(tmp_path, pixels=stored_pixels((3, 12, 10)))
    data = np.frombuffer(paths[1].read_bytes(), np.uint8)
    header_size = len(data) - 240
    for _ in range(400):
        damaged = data.copy()
        damaged[rng.integers(300, header_size, 3)] = rng.choice(list(b"0123456789.-\\ xENI\0\1\xff"), 3)
        paths[1].write_bytes(damaged.tobytes())
        try:
            array, grid = ct.read_series(paths)
        except Refusal as error:
            assert error.reason in read_reasons()
        else:
            assert array.shape == grid.shape == (3, 12, 10)
            assert np.isfinite(grid.affine).all()


STORED = [(12, 11, 0, None), (12, 11, 0, 63536), (16, 15, 1, -2000), (12, 11, 1, -2048), (16, 15, 0, 0)]
"""Bits stored, high bit, pixel representation, padding value."""


@pytest.mark.parametrize("bits, high_bit, signed, padding", STORED)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_hounsfield_units_do_not_depend_on_how_a_series_is_stored(
    tmp_path, syntax, photometric, bits, high_bit, signed, padding
):
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    low, high = max(low, -20000), min(high, 20000)
    stored = stored_pixels((2, 40, 36), low=low, high=high)
    stored[:, 0, :2] = low, high - 1
    fields = {
        "BitsStored": bits, "HighBit": high_bit, "PixelRepresentation": signed, "RescaleIntercept": -1024,
        "PhotometricInterpretation": photometric,
    }  # fmt: skip

    def edit(_, dataset):
        if padding is not None:
            dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)

    array, _ = ct.read_series(write_series(tmp_path, pixels=stored, syntax=SYNTAXES[syntax], edit=edit, **fields))
    np.testing.assert_array_equal(array, stored - 1024)


@pytest.mark.parametrize("syntax", ["explicit", "JPEG lossless", "JPEG-LS"])
def test_the_rescaling_may_change_from_slice_to_slice(tmp_path, syntax):
    stored = stored_pixels((18, 40, 36), high=900)
    slopes, intercepts = 1 + np.arange(18) % 3 / 2, -1000 - np.arange(18)

    def edit(index, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slopes[index]), str(intercepts[index])

    array, _ = ct.read_series(write_series(tmp_path, pixels=stored, edit=edit, syntax=SYNTAXES[syntax]))
    np.testing.assert_array_equal(array, np.rint(stored * slopes[:, None, None] + intercepts[:, None, None]))


def _at(places):
    def edit(index, dataset):
        dataset.ImagePositionPatient = [-2.5, -4, places[index]]

    return edit


@pytest.mark.parametrize("step", [1.25, 0.625, 0.7, 1.5, 2.25, 0.4])
@pytest.mark.parametrize("start", [100, 100.3])
def test_places_rounded_to_whole_mm_are_called_that(tmp_path, step, start):
    places = [float(round(start + step * k)) for k in range(40)]
    error = refused(write_series(tmp_path, pixels=stored_pixels((40, 8, 8)), edit=_at(places)))
    assert error.reason == "mixed_geometry"
    assert "rounded to 1 mm" in str(error)


@pytest.mark.parametrize(
    "reason, places",
    [
        ("missing_slices", [*range(20), *range(21, 41)]),
        ("missing_slices", [*range(10), *range(11, 25), *range(26, 42)]),
        ("missing_slices", [*range(10), *range(11, 14), *range(15, 18), *range(19, 43)]),
        ("duplicate_slices", np.repeat(range(20), 2)),
        ("duplicate_slices", [*range(20), *range(19, 39)]),
    ],
)
def test_what_is_missing_or_twice_is_not_called_rounded(tmp_path, reason, places):
    paths = write_series(tmp_path, pixels=stored_pixels((40, 8, 8)), edit=_at([float(z) for z in places]))
    assert refused(paths).reason == reason


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_rounded_places_within_a_tenth_of_the_increment_are_accepted(tmp_path, digits):
    step = 10.04 if digits == 0 else 1.25 if digits == 1 else 0.625
    places = [round(100 + step * k, digits) for k in range(18)]
    array, grid = ct.read_series(write_series(tmp_path, edit=_at(places)))
    assert grid.spacing_mm[0] == pytest.approx(step, rel=0.01)
