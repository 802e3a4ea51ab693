import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.dicom_factory import ct_dataset, save, stored_pixels

from ct4bench.core.errors import Refusal
from ct4bench.index.headers import _FIELDS, NotDicom, _decode, read_header

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]


def _nested(undefined: bool) -> Dataset:
    """A data set with sequences in sequences whose items hold tags that are also wanted at the top."""
    inner, middle = Dataset(), Dataset()
    inner.SeriesInstanceUID, inner.Rows = "9.9.9", 7
    inner.is_undefined_length_sequence_item = undefined
    middle.SeriesDescription = "inner"
    middle.ReferencedSeriesSequence = Sequence([inner, inner])
    middle["ReferencedSeriesSequence"].is_undefined_length = undefined
    middle.is_undefined_length_sequence_item = undefined
    pixels = stored_pixels((12, 10))
    dataset = ct_dataset("n", 0, pixels, (0, 0, 0))
    for keyword in ("SourceImageSequence", "RequestAttributesSequence", "ReferencedStudySequence"):
        setattr(dataset, keyword, Sequence([middle, Dataset(), middle]))
        dataset[keyword].is_undefined_length = undefined
    dataset.add_new(0x00091010, "UN", b"private")
    dataset.add_new(0x00E10010, "LO", "ELSCINT1")
    return dataset


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_fields_equal_pydicom_whatever_is_nested_before_them(tmp_path, syntax, undefined):
    path = save(_nested(undefined), stored_pixels((12, 10)), tmp_path / "a.dcm", syntax)
    header, dataset = read_header(path), pydicom.dcmread(path)
    assert header.transfer_syntax == syntax
    compared = 0
    for name, (tag, kind) in list(_FIELDS.items())[1:]:
        if tag not in dataset:
            assert header.text(name) == ""
            assert np.isnan(header.number(name))
            continue
        value = dataset[tag].value
        values = list(value) if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
        if kind == "text":
            assert header.text(name) == "\\".join(str(v) for v in values)
        else:
            assert list(header.numbers(name)) == values
        compared += 1
    assert compared > 30


@pytest.mark.parametrize("syntax", SYNTAXES[:2])
def test_pixels_are_where_the_header_says(tmp_path, syntax):
    pixels = stored_pixels((12, 10))
    path = save(_nested(True), pixels, tmp_path / "a.dcm", syntax)
    header = read_header(path)
    data = path.read_bytes()[header.pixels_at : header.pixels_at + header.pixels_size]
    np.testing.assert_array_equal(np.frombuffer(data, "<u2"), pixels.ravel())


def test_an_unknown_element_of_undefined_length_is_walked_through_as_implicit(tmp_path):
    item = b"\x08\x00\x16\x00" + (4).to_bytes(4, "little") + b"9.9\0"
    private = b"\x19\x00\x10\x10UN\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    private += b"\xfe\xff\xdd\xe0\0\0\0\0"
    path = save(_nested(False), stored_pixels((12, 10)), tmp_path / "a.dcm")
    data = path.read_bytes()
    at = data.index(b"\x20\x00\x0d\x00UI")
    path.write_bytes(data[:at] + private + data[at:])
    assert read_header(path).number("Rows") == 12
    assert read_header(path).text("SOPClassUID") == "1.2.840.10008.5.1.4.1.1.2"


def test_a_header_longer_than_the_first_read(tmp_path):
    dataset = _nested(True)
    dataset.add_new(0x00291010, "OB", bytes(200_001 + 1))
    path = save(dataset, stored_pixels((12, 10)), tmp_path / "a.dcm")
    assert read_header(path).number("Columns") == 10
    dataset.add_new(0x00291011, "OB", bytes(3_000_000))
    path = save(dataset, stored_pixels((12, 10)), tmp_path / "a.dcm")
    assert read_header(path).number("Columns") == 10


@pytest.mark.parametrize("syntax", SYNTAXES[:2])
def test_files_without_preamble_and_meta_information_are_read(tmp_path, syntax):
    path = save(_nested(True), stored_pixels((12, 10)), tmp_path / "a.dcm", syntax)
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"\x08\x00\x08\x00") :])
    header = read_header(path)
    assert header.transfer_syntax == syntax
    assert header.number("Rows") == 12
    path.write_bytes(data[132:])
    assert read_header(path).number("Rows") == 12


def test_text_in_utf8_and_latin_and_without_control_characters(tmp_path):
    for charset, text in (("ISO_IR 192", "Zürich 東京"), ("ISO_IR 100", "Zürich")):
        dataset = ct_dataset("n", 0, np.zeros((2, 2)), (0, 0, 0), SpecificCharacterSet=charset, InstitutionName=text)
        assert read_header(save(dataset, np.zeros((2, 2)), tmp_path / "a.dcm")).text("InstitutionName") == text
    dataset = ct_dataset("n", 0, np.zeros((2, 2)), (0, 0, 0), ImageComments="a\r\n\x1b[31mb")
    assert read_header(save(dataset, np.zeros((2, 2)), tmp_path / "a.dcm")).text("ImageComments") == "a   [31mb"


def test_numbers_of_a_value_that_is_no_number_are_none(tmp_path):
    dataset = ct_dataset("n", 0, np.zeros((2, 2)), (0, 0, 0))
    path = save(dataset, np.zeros((2, 2)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"120.0", b"12x.0").replace(b"0.75\\0.5", b"0.75\\x.5"))
    header = read_header(path)
    assert header.numbers("KVP") == ()
    assert header.numbers("PixelSpacing") == ()


@pytest.mark.parametrize("data", [b"", b"x", b"text\n" * 100, bytes(500), b"\x89PNG" + bytes(300)])
def test_what_is_no_dicom_is_told_apart(tmp_path, data):
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(NotDicom) as caught:
        read_header(path)
    assert caught.value.reason == "unreadable"


def test_no_part_of_a_header_passes_as_whole(tmp_path):
    path = save(_nested(True), stored_pixels((12, 10)), tmp_path / "a.dcm")
    data, whole = path.read_bytes(), read_header(path)
    for size in range(132, whole.pixels_at):
        path.write_bytes(data[:size])
        try:
            header = read_header(path)
        except Refusal as error:
            assert error.reason == "unreadable"
        else:
            assert not header.has_pixels, f"cut at byte {size}"


def test_random_damage_neither_hangs_nor_escapes(tmp_path, rng):
    path = save(_nested(True), stored_pixels((12, 10)), tmp_path / "a.dcm")
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(300):
        damaged = data.copy()
        damaged[rng.integers(132, len(data), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            read_header(path)
        except Refusal as error:
            assert error.reason == "unreadable"


TEXTS = {
    "GB18030": "剂量 10 für",
    "GBK": "剂量",
    "ISO_IR 192": "Север 東京",
    "ISO_IR 144": "Север",
    "ISO_IR 100": "für",
    "ISO_IR 126": "Βορράς",
    "ISO_IR 166": "เหนือ",
    "\\ISO 2022 IR 87": "東京 Yamada",
    "\\ISO 2022 IR 149": "서울",
    "ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ",
    "ISO-IR 192": "Юг",
}


@pytest.mark.parametrize("charset", TEXTS)
def test_text_is_read_in_the_character_set_that_the_header_names(tmp_path, charset):
    text, pixels = TEXTS[charset], stored_pixels((12, 10))
    dataset = ct_dataset("c", 0, pixels, (0, 0, 0), SpecificCharacterSet=charset.split("\\"), StationName=None)
    dataset.StudyDescription = text
    path = save(dataset, pixels, tmp_path / "a.dcm")
    assert str(pydicom.dcmread(path).StudyDescription) == text
    assert read_header(path).text("StudyDescription") == text


def test_escapes_of_a_set_are_no_part_of_a_text():
    # as PS3.5, annex K.2, has it for Simplified Chinese; pydicom leaves the escape in
    assert _decode(b"Zhang^\x1b$)A" + "张".encode("gb2312"), b"\\ISO 2022 IR 58") == "Zhang^张"


def test_bytes_that_are_not_of_their_set_stay_apart(tmp_path):
    pixels, texts = stored_pixels((12, 10)), set()
    for k, raw in enumerate((b"\xd1\x81", b"\xd1\x82", b"\xff\xfe", b"\xff\xfd", b"\x81", b"\x82")):
        for charset in (None, "ISO_IR 192", "ISO_IR 100", "no such set"):
            dataset = ct_dataset("c", 0, pixels, (0, 0, 0), SpecificCharacterSet=charset, StudyDescription="??")
            path = save(dataset, pixels, tmp_path / f"{k}.dcm")
            path.write_bytes(path.read_bytes().replace(b"??", raw.ljust(2)))
            texts.add((charset, read_header(path).text("StudyDescription")))
    assert len(texts) == 24
