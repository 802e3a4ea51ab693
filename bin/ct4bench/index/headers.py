"""The head of a DICOM file, read quickly and only as far as its pixel data.

`read_header` walks the elements at the top level in little endian, explicit or implicit (DICOM PS3.5, section 7), and
keeps those that this pipeline uses. What it cannot walk (big endian, deflated, a malformed element) goes to pydicom.
Nothing in a header is trusted: lengths are checked against the file's size before anything is read or allocated.
"""

import logging
import os
import re
import struct
import warnings
from pathlib import Path

import numpy as np
from numba import njit

from ct4bench.core.errors import Refusal

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
EXPLICIT_BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF
_END_TAG = 0xFFFCFFFC
_END = b"\xfc\xff\xfc\xff\0\0\0\0\0\0\0\0"
"""Data Set Trailing Padding: put behind the last byte of a file, it ends the walk there."""

_FIELDS = {
    "SpecificCharacterSet": (0x00080005, "text"),
    "ImageType": (0x00080008, "text"),
    "SOPClassUID": (0x00080016, "text"),
    "SOPInstanceUID": (0x00080018, "text"),
    "AcquisitionDate": (0x00080022, "text"),
    "AcquisitionDateTime": (0x0008002A, "text"),
    "AcquisitionTime": (0x00080032, "text"),
    "Modality": (0x00080060, "text"),
    "Manufacturer": (0x00080070, "text"),
    "InstitutionName": (0x00080080, "text"),
    "StationName": (0x00081010, "text"),
    "StudyDescription": (0x00081030, "text"),
    "SeriesDescription": (0x0008103E, "text"),
    "ManufacturerModelName": (0x00081090, "text"),
    "IrradiationEventUID": (0x00083010, "text"),
    "PatientName": (0x00100010, "text"),
    "PatientID": (0x00100020, "text"),
    "ScanOptions": (0x00180022, "text"),
    "SliceThickness": (0x00180050, "text"),
    "KVP": (0x00180060, "text"),
    "DeviceSerialNumber": (0x00181000, "text"),
    "ReconstructionDiameter": (0x00181100, "text"),
    "ExposureTime": (0x00181150, "text"),
    "XRayTubeCurrent": (0x00181151, "text"),
    "Exposure": (0x00181152, "text"),
    "ExposureInuAs": (0x00181153, "text"),
    "ConvolutionKernel": (0x00181210, "text"),
    "PatientPosition": (0x00185100, "text"),
    "RevolutionTime": (0x00189305, "double"),
    "TotalCollimationWidth": (0x00189307, "double"),
    "TableFeedPerRotation": (0x00189310, "double"),
    "SpiralPitchFactor": (0x00189311, "double"),
    "CTDIvol": (0x00189345, "double"),
    "StudyInstanceUID": (0x0020000D, "text"),
    "SeriesInstanceUID": (0x0020000E, "text"),
    "ImagePositionPatient": (0x00200032, "text"),
    "ImageOrientationPatient": (0x00200037, "text"),
    "FrameOfReferenceUID": (0x00200052, "text"),
    "ImageComments": (0x00204000, "text"),
    "SamplesPerPixel": (0x00280002, "short"),
    "PhotometricInterpretation": (0x00280004, "text"),
    "NumberOfFrames": (0x00280008, "text"),
    "Rows": (0x00280010, "short"),
    "Columns": (0x00280011, "short"),
    "PixelSpacing": (0x00280030, "text"),
    "BitsAllocated": (0x00280100, "short"),
    "BitsStored": (0x00280101, "short"),
    "HighBit": (0x00280102, "short"),
    "PixelRepresentation": (0x00280103, "short"),
    "RescaleIntercept": (0x00281052, "text"),
    "RescaleSlope": (0x00281053, "text"),
    "RescaleType": (0x00281054, "text"),
}
_INDEX_OF = {name: index for index, name in enumerate(_FIELDS)}
_KINDS = [kind for _, kind in _FIELDS.values()]
_ESCAPES = re.compile("\x1b[ -/]+[0-~]")
"""What switches sets in ISO 2022; pydicom leaves some of them in the text."""
_TAGS = np.array([tag for tag, _ in _FIELDS.values()], np.int64)
_META_TAGS = np.array([0x00020010], np.int64)
_PIXEL_DATA = 0x7FE00010

FIRST_READ_BYTES = 16384
_STOPPED, _PIXELS, _MORE, _MALFORMED = 0, 1, 2, 3
"""What ends a walk: a tag past the wanted ones, the pixel data, the end of the bytes, an element that cannot be."""


class NotDicom(Refusal):
    """A file that does not begin as DICOM does."""


class Header:
    """What `read_header` keeps of one file.

    `transfer_syntax`: UID; `has_pixels`: whether there is PixelData; `pixels_at`: byte at which its value begins, -1
    where pydicom has to read it; `pixels_size`: its length, `UNDEFINED` for encapsulated frames; `file_size` in bytes.
    """

    __slots__ = ("_values", "file_size", "has_pixels", "pixels_at", "pixels_size", "transfer_syntax")

    def __init__(
        self, values, transfer_syntax: str, has_pixels: bool, pixels_at: int, pixels_size: int, file_size: int
    ):
        self._values = values
        self.has_pixels = has_pixels
        self.transfer_syntax = transfer_syntax
        self.pixels_at = pixels_at
        self.pixels_size = pixels_size
        self.file_size = file_size

    @property
    def values(self) -> tuple:
        """All values as stored, as the constructor takes them."""
        return tuple(self._values)

    def raw(self, *names: str) -> tuple:
        """Return the values of these keywords as stored (bytes, None where absent)."""
        values = self._values
        return tuple([values[_INDEX_OF[name]] for name in names])

    def text(self, name: str) -> str:
        """Return the value as text without padding; "" where absent or empty.

        Controls are made spaces, and what else cannot be shown becomes an escape: other texts stay other texts.
        """
        value = self._values[_INDEX_OF[name]]
        if not value:
            return ""
        if _KINDS[_INDEX_OF[name]] != "text":
            return "\\".join(f"{number:g}" for number in self.numbers(name))
        decoded = _decode(value, self._values[0] or b"").strip(" \0")
        return decoded if decoded.isprintable() else "".join(map(_shown, decoded)).strip()

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the value as numbers; () where absent, empty or not numeric."""
        index = _INDEX_OF[name]
        value, kind = self._values[index], _KINDS[index]
        if not value:
            return ()
        if kind == "short" and len(value) % 2 == 0:
            return struct.unpack(f"<{len(value) // 2}H", value)
        if kind == "double" and len(value) % 8 == 0:
            return struct.unpack(f"<{len(value) // 8}d", value)
        try:
            return tuple([float(part) for part in value.rstrip(b" \0").split(b"\\")])
        except ValueError:
            return ()

    def number(self, name: str) -> float:
        """Return the first number of a value; not a number where there is none."""
        numbers = self.numbers(name)
        return numbers[0] if numbers else float("nan")


def _decode(value: bytes, charset: bytes) -> str:
    """Text in the SpecificCharacterSet that a header names (PS3.3, C.12.1.1.2); Latin-1 where it is not in that."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    terms = [term.strip(b" \0").decode("latin-1") for term in charset.split(b"\\")]
    if terms not in ([""], ["ISO_IR 6"], ["ISO_IR 100"]):
        try:
            return _by_charset(value, terms)
        except (LookupError, UnicodeDecodeError):
            pass
    return value.decode("latin-1")


def _by_charset(value: bytes, terms: list[str]) -> str:
    charset = quiet_pydicom().charset
    with warnings.catch_warnings():
        # a misspelt term is taken for the right one
        warnings.simplefilter("ignore")
        encodings = charset.convert_encodings(terms)
        # bytes that are not of the set would become signs that are not there
        warnings.simplefilter("error")
        try:
            decoded = charset.decode_bytes(value, encodings, {0x0D, 0x0A, 0x09, 0x0C})
        except UserWarning as warning:
            raise LookupError from warning
    return _ESCAPES.sub("", decoded)


def _shown(sign: str) -> str:
    """A sign as it may stand in a table: a space for controls, an escape for what cannot be printed."""
    if sign.isprintable():
        return sign
    return " " if sign.isspace() or sign < " " or sign == "\x7f" else ascii(sign)[1:-1]


@njit(cache=True, nogil=True)
def _walk(data, at, end, explicit, stop_tag, wanted, offset, length):
    # Elements at depth 0 are looked up; sequences of undefined length are walked through, all others jumped over.
    # `implicit_from`: a UN element of undefined length holds implicit elements, whatever the file's syntax.
    depth, implicit_from = 0, 0
    while True:
        if at + 12 > end:
            return 2, at, 0
        group = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        tag = group << 16 | np.int64(data[at + 2]) | np.int64(data[at + 3]) << 8
        size = (
            np.int64(data[at + 4])
            | np.int64(data[at + 5]) << 8
            | np.int64(data[at + 6]) << 16
            | np.int64(data[at + 7]) << 24
        )
        if group == 0xFFFE:
            at += 8
            if depth == 0:
                return 3, at, 0
            if tag == 0xFFFEE000:
                if size == 0xFFFFFFFF:
                    depth += 1
                else:
                    at += size
            else:
                depth -= 1
                if depth < implicit_from:
                    implicit_from = 0
            continue
        if depth == 0 and tag >= stop_tag:
            return 0, at, 0
        head, unknown = 8, False
        if explicit and implicit_from == 0:
            first, second = data[at + 4], data[at + 5]
            if first < 65 or first > 90 or second < 65 or second > 90:
                return 3, at, 0
            # OB OD OF OL OV OW SQ SV UC UN UR UT UV have a length of four bytes after two that are reserved
            long_form = (
                (first == 79 and (second == 66 or second == 68 or second == 70 or second == 76))
                or (first == 79 and (second == 86 or second == 87))
                or (first == 83 and (second == 81 or second == 86))
                or (first == 85 and (second == 67 or second == 78 or second == 82 or second == 84 or second == 86))
            )
            unknown = first == 85 and second == 78
            if long_form:
                head = 12
                size = (
                    np.int64(data[at + 8])
                    | np.int64(data[at + 9]) << 8
                    | np.int64(data[at + 10]) << 16
                    | np.int64(data[at + 11]) << 24
                )
            else:
                size = np.int64(data[at + 6]) | np.int64(data[at + 7]) << 8
        at += head
        if depth == 0 and tag == _PIXEL_DATA:
            return 1, at, size
        if size == 0xFFFFFFFF:
            depth += 1
            if unknown:
                implicit_from = depth
            continue
        if depth == 0:
            low, high = 0, wanted.shape[0]
            while low < high:
                middle = (low + high) // 2
                if wanted[middle] < tag:
                    low = middle + 1
                else:
                    high = middle
            if low < wanted.shape[0] and wanted[low] == tag:
                offset[low] = at
                length[low] = size
        at += size


def _start(data: bytes) -> int:
    """Byte at which the elements begin, -1 where the file is not DICOM. Files without the preamble exist."""
    if data[128:132] == b"DICM":
        return 132
    if len(data) >= 8 and data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\x00":
        return 0
    return -1


class _NeedMore(Exception):
    """The walk goes on at byte `args[0]`, past what was read."""


class _ForeignForm(Exception):
    """A form that the walk does not know."""


def _walk_bytes(data: bytes, at: int, explicit: bool, stop_tag: int, tags):
    offset, length = np.full(len(tags), -1), np.zeros(len(tags), np.int64)
    status, at, size = _walk(np.frombuffer(data, np.uint8), at, len(data), explicit, stop_tag, tags, offset, length)
    if status == _MORE:
        raise _NeedMore(at)
    if status == _MALFORMED:
        raise _ForeignForm
    values = [data[p : p + n] if p >= 0 else None for p, n in zip(offset.tolist(), length.tolist(), strict=True)]
    return values, (at if status == _PIXELS else -1), at, size


def _parse(data: bytes, file_size: int) -> Header:
    if len(data) == file_size:
        data += _END  # an element of eight bytes may be the last one
    (syntax,), _, at, _ = _walk_bytes(data, _start(data), True, 0x00030000, _META_TAGS)
    if syntax is not None:
        syntax = syntax.rstrip(b" \0").decode("latin-1")
    else:
        syntax = EXPLICIT_LITTLE if data[at + 4 : at + 6].isupper() else IMPLICIT_LITTLE
    if syntax in (EXPLICIT_BIG, DEFLATED):
        raise _ForeignForm
    values, pixels_at, _, size = _walk_bytes(data, at, syntax != IMPLICIT_LITTLE, _END_TAG, _TAGS)
    if pixels_at > file_size:
        raise _NeedMore(pixels_at)
    return Header(values, syntax, pixels_at >= 0, pixels_at, size if pixels_at >= 0 else 0, file_size)


def read_header(path: Path | str) -> Header:
    """Read the header of one file; `Refusal` with reason `unreadable` where the file is not DICOM, or ends in its
    header."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise Refusal("unreadable", error.strerror) from error
    try:
        file_size = os.fstat(descriptor).st_size
        n_bytes = FIRST_READ_BYTES
        while True:
            data = os.pread(descriptor, n_bytes, 0)
            if _start(data) < 0:
                raise NotDicom("unreadable", "not a DICOM file")
            try:
                return _parse(data, file_size)
            except _NeedMore as need:
                if len(data) < n_bytes or need.args[0] > file_size:
                    raise Refusal("unreadable", f"cut off within its header at byte {file_size}") from None
                n_bytes = max(2 * n_bytes, need.args[0] + FIRST_READ_BYTES)
    except _ForeignForm:
        return _by_pydicom(path, file_size)
    except OSError as error:
        raise Refusal("unreadable", error.strerror) from error
    finally:
        os.close(descriptor)


def one_line(error: Exception) -> str:
    """Shorten what a library's error says for a table."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def quiet_pydicom():
    """Import pydicom without its warnings about values that break rules which do not matter here."""
    import pydicom

    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    return pydicom


def _by_pydicom(path: Path | str, file_size: int) -> Header:
    pydicom = quiet_pydicom()
    try:
        dataset = pydicom.dcmread(path)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        values = [_as_bytes(dataset.get(name), kind) for name, (_, kind) in _FIELDS.items()]
    except Exception as error:  # noqa: BLE001  pydicom raises many kinds on a broken file, all of which mean the same
        raise Refusal("unreadable", one_line(error)) from error
    values[_INDEX_OF["SpecificCharacterSet"]] = b"ISO_IR 192"
    return Header(values, syntax, "PixelData" in dataset, -1, 0, file_size)


def _as_bytes(value, kind: str) -> bytes | None:
    if value is None:
        return None
    values = value if hasattr(value, "append") else [value]
    if kind == "short":
        return struct.pack(f"<{len(values)}H", *[int(v) for v in values])
    if kind == "double":
        return struct.pack(f"<{len(values)}d", *[float(v) for v in values])
    return "\\".join(str(v) for v in values).encode()
