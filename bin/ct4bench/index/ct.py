"""CT series and segmentations out of DICOM files: voxels, their grid, and every check on the way.

A series becomes one int16 array in HU on a regular grid. Slices are ordered by their positions along the normal of the
image plane, never by numbers or names. Values outside the field of view (PixelPaddingValue) stay as they are stored:
the scanner's filling is a value like any other, and nothing downstream reads it as tissue.
"""

import os
import struct
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

from ct4bench.core.errors import Refusal, counted
from ct4bench.core.geometry import Grid
from ct4bench.index.headers import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Header,
    one_line,
    quiet_pydicom,
    read_header,
)
from ct4bench.index.segmentation import read_segmentation

__all__ = ["read_header", "read_segmentation", "read_series", "read_stack", "stack_slices"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NATIVE_SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)
WHOLE_FILE_SYNTAXES = (EXPLICIT_BIG, DEFLATED)
"""Read by pydicom as a whole."""
LOSSLESS_SYNTAXES = {
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.201": "HTJ2K Lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K Lossless RPCL",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless SV1",
}
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
"""Decoded by SimpleITK: what pydicom would need for them is under the GPL, and not required here."""

MOST_PIXELS = 4096
FARTHEST_MM = 1e5
"""More rows or columns, or a position farther away, no CT scanner has: a header says so only if it is damaged."""
SAME_POSITION_MM = 0.01
"""Slices nearer than this along the normal lie at the same position."""
UNEVEN_SHARE = 0.1
"""Share of the slice increment by which a slice may be off its position: what rounded positions need."""
FEWEST_ROUNDED = 3
"""Increments of each kind that tell rounded positions from slices that are missing."""
SHEAR_MM = 0.1
"""How far the slices' origins may drift in plane from first to last."""
PARALLEL = 1e-4
"""Largest difference of direction cosines between slices."""
_ITEM, _DELIMITER = 0xE000FFFE, 0xE0DDFFFE
INT16 = np.iinfo(np.int16)
HU_TYPES = ("", "HU", "US")
"""RescaleType: Hounsfield units, or not said (US, unspecified, in older headers)."""


class SliceFormat(NamedTuple):
    """What all slices of a series must share. Spacing is (row, column) in mm, orientation six direction cosines."""

    series_uid: str
    rows: int
    columns: int
    spacing_mm: tuple[float, float]
    orientation: tuple[float, ...]
    slope: float
    intercept: float
    bits_stored: int
    high_bit: int
    is_signed: bool
    transfer_syntax: str


class Slice(NamedTuple):
    """One file of a CT series; `pixels_at` is the byte of its pixel data, -1 where pydicom has to read it."""

    path: str
    sop_uid: str
    position_mm: tuple[float, float, float]
    frame: SliceFormat
    pixels_at: int
    pixels_size: int

    @property
    def name(self) -> str:
        """Name of the file without its folder."""
        return os.path.basename(self.path)


@dataclass(frozen=True)
class Stack:
    """Slices in the order of the array, their positions in mm along the normal (ascending), and the grid."""

    slices: tuple[Slice, ...]
    position_mm: np.ndarray
    grid: Grid


_DECODED_FROM = (
    "SOPClassUID", "SOPInstanceUID", "Modality", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip
_FRAME_FIELDS = (
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "Rows", "Columns", "PixelSpacing",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "RescaleType", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation",
)  # fmt: skip


def check_is_ct_image(header: Header) -> None:
    """Refuse what is no single-frame slice of an ordinary CT image."""
    modality, sop_class = header.text("Modality"), header.text("SOPClassUID")
    if sop_class == CT_IMAGE and not (header.has_pixels and header.numbers("Rows")):
        raise Refusal("unreadable", f"cut off: rows or pixel data are missing in {header.file_size} bytes")
    if not modality and sop_class not in quiet_pydicom().uid.UID_dictionary:
        raise Refusal("unreadable", "neither Modality nor a known SOP class: cut off, or no object of DICOM")
    if not modality:
        raise Refusal("not_an_image_series", "no Modality says what it is")
    if not header.numbers("Rows"):
        raise Refusal("not_an_image_series", f"objects of modality {modality} hold no image")
    if modality != "CT":
        raise Refusal("not_ct", f"modality is {modality}")
    if sop_class != CT_IMAGE:
        raise Refusal("not_an_image_series", f"SOP class {sop_class or 'missing'} is not CT Image Storage")
    if "LOCALIZER" in header.text("ImageType").upper().split("\\"):
        raise Refusal("not_an_image_series", "a localizer (topogram, scout)")
    n_frames = header.number("NumberOfFrames")
    if n_frames > 1 or header.number("SamplesPerPixel") != 1 or header.number("BitsAllocated") != 16:
        raise Refusal("not_an_image_series", "not one frame of one sample of 16 bits a pixel")
    photometric = header.text("PhotometricInterpretation")
    if photometric not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise Refusal("not_an_image_series", f"pixels are {photometric}, not grey levels")


def _numbers(header: Header, name: str, count: int, reason: str) -> tuple[float, ...]:
    numbers = header.numbers(name)
    if len(numbers) != count or not all(np.isfinite(numbers)):
        raise Refusal(reason, f"{name} is '{header.text(name)}', not {count} numbers")
    return numbers


def read_slice_format(header: Header) -> SliceFormat:
    """Read what a slice shares with its series, checked for itself."""
    check_is_ct_image(header)
    sizes = [_numbers(header, name, 1, "unreadable")[0] for name in ("Rows", "Columns")]
    rows, columns = (int(size) for size in sizes)
    spacing = _numbers(header, "PixelSpacing", 2, "not_an_image_series")
    orientation = _numbers(header, "ImageOrientationPatient", 6, "not_an_image_series")
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if not (1 <= rows <= MOST_PIXELS and 1 <= columns <= MOST_PIXELS) or min(spacing) <= 0:
        raise Refusal("mixed_geometry", f"{rows} x {columns} pixels of {spacing[0]:g} x {spacing[1]:g} mm")
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(across @ down)) > 1e-3:
        raise Refusal("mixed_geometry", f"image orientation {header.text('ImageOrientationPatient')} is not a rotation")
    (slope,) = _numbers(header, "RescaleSlope", 1, "bad_rescale")
    (intercept,) = _numbers(header, "RescaleIntercept", 1, "bad_rescale")
    rescale_type = header.text("RescaleType")
    if slope == 0 or rescale_type.upper() not in HU_TYPES:
        raise Refusal("bad_rescale", f"slope {slope:g}, intercept {intercept:g}, type '{rescale_type}'; not HU")
    fields = ("BitsStored", "HighBit", "PixelRepresentation")
    bits, high_bit, is_signed = (int(_numbers(header, name, 1, "unreadable")[0]) for name in fields)
    if not 1 <= bits <= high_bit + 1 <= 16:
        raise Refusal("unreadable", f"{bits} bits stored with high bit {high_bit} cannot be")
    syntax = header.transfer_syntax
    if syntax not in NATIVE_SYNTAXES + WHOLE_FILE_SYNTAXES and syntax not in LOSSLESS_SYNTAXES:
        raise Refusal("unsupported_transfer_syntax", f"{syntax}; convert the files to an uncompressed one")
    uid = header.text("SeriesInstanceUID")
    return SliceFormat(
        uid, rows, columns, spacing, orientation, slope, intercept, bits, high_bit, is_signed == 1, syntax
    )


def make_slice(path: Path | str, header: Header, frames: dict) -> Slice:
    """Make one slice of a series. `frames` keeps what was decoded, so that equal headers are decoded once."""
    key = (header.transfer_syntax, *header.raw(*_FRAME_FIELDS))
    frame = frames.get(key)
    if frame is None:
        frame = frames[key] = read_slice_format(header)
    position = header.numbers("ImagePositionPatient")
    if len(position) != 3 or not all(abs(p) < FARTHEST_MM for p in position):
        text = header.text("ImagePositionPatient")
        raise Refusal("not_an_image_series", f"ImagePositionPatient is '{text}', not a position in a scanner")
    at, size = header.pixels_at, header.pixels_size
    if at >= 0 and frame.transfer_syntax in NATIVE_SYNTAXES:
        due = 2 * frame.rows * frame.columns
        there = max(0, min(size, header.file_size - at))
        if there < due:
            raise Refusal("unreadable", f"cut off: {there} of {due} bytes of pixel data are there")
    elif at >= 0:
        _check_fragments(path, at, header)
    return Slice(os.fspath(path), header.text("SOPInstanceUID"), position, frame, at, size)


def _check_fragments(path: Path | str, at: int, header: Header) -> None:
    """Refuse encapsulated pixel data that do not reach their end (PS3.5, A.4): decoders may accept a part."""
    with open(path, "rb") as file:
        while True:
            file.seek(at)
            tag, size = struct.unpack("<II", file.read(8).ljust(8, b"\0"))
            at += 8 + (size if tag == _ITEM else 0)
            if tag not in (_ITEM, _DELIMITER) or at > header.file_size:
                raise Refusal("unreadable", f"cut off within its pixel data at byte {header.file_size}")
            if tag == _DELIMITER:
                return


def _check_same_frame(slices: Sequence[Slice]) -> None:
    first = slices[0].frame
    for frame in {s.frame for s in slices} - {first}:
        if frame.series_uid != first.series_uid:
            raise Refusal("mixed_geometry", f"two series in one: {first.series_uid} and {frame.series_uid}")
        if (frame.rows, frame.columns) != (first.rows, first.columns):
            sizes = f"{first.rows} x {first.columns} and {frame.rows} x {frame.columns}"
            raise Refusal("mixed_geometry", f"slices of {sizes} pixels")
        if np.abs(np.subtract(frame.orientation, first.orientation)).max() > PARALLEL:
            turn = np.rad2deg(np.arccos(np.clip(_normal(first) @ _normal(frame), -1, 1)))
            raise Refusal("non_parallel_slices", f"image planes are turned, their normals by {turn:.2f} degrees")
        if np.abs(np.subtract(frame.spacing_mm, first.spacing_mm)).max() > 1e-5 * max(first.spacing_mm):
            raise Refusal("mixed_geometry", f"pixel spacings {first.spacing_mm} and {frame.spacing_mm} mm")
        if frame.transfer_syntax != first.transfer_syntax:
            both = f"{first.transfer_syntax} and {frame.transfer_syntax}"
            raise Refusal("unsupported_transfer_syntax", f"two transfer syntaxes in one series: {both}")
        if frame[7:10] != first[7:10]:
            raise Refusal("bad_rescale", "bits stored or sign of the pixels change from slice to slice")


def _normal(frame: SliceFormat) -> np.ndarray:
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return normal / np.linalg.norm(normal)


def _check_spacing(along_mm: np.ndarray, slices: Sequence[Slice]) -> None:
    """Refuse positions (n,) in mm along the normal, ascending, that are not evenly spaced."""
    gaps = np.diff(along_mm)
    step = float(np.median(gaps))
    even = np.linspace(along_mm[0], along_mm[-1], len(along_mm))
    off = np.abs(gaps - step).max() > UNEVEN_SHARE * step or np.abs(along_mm - even).max() > UNEVEN_SHARE * step
    if not off and gaps.min() >= SAME_POSITION_MM:
        return
    unit = _rounding_mm(along_mm)
    if unit:
        text = f"slice increments of {gaps.min():g} and {gaps.max():g} mm take turns as evenly as positions rounded to"
        raise Refusal("mixed_geometry", f"{text} {unit:g} mm do where slices are {even[1] - even[0]:.3f} mm apart")
    if gaps.min() < SAME_POSITION_MM:
        k = int(gaps.argmin())
        names = f"{slices[k].name} and {slices[k + 1].name}"
        raise Refusal("duplicate_slices", f"{names} lie at the same position, {along_mm[k]:.2f} mm along the normal")
    steps = gaps / step
    wide = np.flatnonzero(steps > 1.5)
    if len(wide) and np.abs(steps - np.round(steps)).max() <= UNEVEN_SHARE:
        missing, k = int(np.round(steps[wide] - 1).sum()), wide[0]
        where = f"{along_mm[k]:.2f} and {along_mm[k + 1]:.2f} mm"
        raise Refusal("missing_slices", f"{missing} missing at {len(wide)} positions, the first between {where}")
    raise Refusal("mixed_geometry", f"slice increments from {gaps.min():.3f} to {gaps.max():.3f} mm")


def _rounding_mm(along_mm: np.ndarray) -> float:
    """Find the unit in mm that positions (n,) on an even line were rounded to, where two increments tell it, else 0.

    Rounded positions have increments of k and k + 1 units, and lie within half a unit of an even line. So do those of a
    series that lacks a slice or two, or has every slice twice: with few increments of one kind, or two in strict turns
    with 0, it is not said.
    """
    gaps = np.diff(along_mm)
    low, high = gaps.min(), gaps.max()
    unit = high - low
    is_high = gaps > low + unit / 2
    spread = np.where(is_high, high - gaps, gaps - low).max()
    if unit < SAME_POSITION_MM or spread > 1e-3 or abs(low / unit - round(low / unit)) > 1e-3:
        return 0.0
    in_turns = low < SAME_POSITION_MM and len(gaps) > 2 and np.all(is_high[:-1] != is_high[1:])
    if min(is_high.sum(), (~is_high).sum()) < FEWEST_ROUNDED or in_turns:
        return 0.0
    # the width of the narrowest even band that holds all positions; it is convex in the slope
    slopes = np.polyfit(np.arange(len(along_mm)), along_mm, 1)[0] + unit / len(along_mm) * np.linspace(-1, 1, 4001)
    bands = np.ptp(along_mm - slopes[:, None] * np.arange(len(along_mm)), axis=1)
    return float(unit) if bands.min() <= 1.02 * unit else 0.0


def _check_shear(positions: np.ndarray, normal: np.ndarray, along_mm: np.ndarray) -> None:
    aside = positions - along_mm[:, None] * normal
    drift = aside - aside[0]
    if np.linalg.norm(drift, axis=1).max() <= SHEAR_MM:
        return
    share = (along_mm - along_mm[0]) / (along_mm[-1] - along_mm[0])
    if np.linalg.norm(drift - share[:, None] * drift[-1], axis=1).max() <= SHEAR_MM:
        angle = np.rad2deg(np.arctan2(np.linalg.norm(drift[-1]), along_mm[-1] - along_mm[0]))
        raise Refusal("gantry_tilt", f"slices are sheared by {angle:.2f} degrees against their normal")
    raise Refusal("mixed_geometry", f"slices are shifted in plane by up to {np.abs(drift).max():.2f} mm")


def stack_slices(slices: Iterable[Slice]) -> Stack:
    """Order slices along the normal of the image plane and check that they are one regular volume.

    `Refusal` where they are not: two sizes, orientations, spacings or transfer syntaxes; a slice twice or missing;
    uneven increments; slices sheared against their normal. The rescaling may differ from slice to slice.
    """
    slices = sorted(slices, key=lambda s: (s.sop_uid, s.path))
    if len(slices) < 2:
        raise Refusal("too_few_slices", counted(len(slices), "slice"))
    _check_same_frame(slices)
    for one, other in zip(slices, slices[1:], strict=False):
        if one.sop_uid == other.sop_uid:
            raise Refusal("duplicate_slices", f"{one.name} and {other.name} are the same object")
    frame = slices[0].frame
    normal = _normal(frame)
    positions = np.array([s.position_mm for s in slices])
    along_mm = positions @ normal
    order = np.argsort(along_mm, kind="stable")
    slices, positions, along_mm = [slices[k] for k in order], positions[order], along_mm[order]
    _check_spacing(along_mm, slices)
    _check_shear(positions, normal, along_mm)
    affine = np.eye(4)
    affine[:3, 0] = (positions[-1] - positions[0]) / (len(slices) - 1)
    # Cosines are rounded in headers; the spacing is not to shrink with them.
    for axis, cosines, spacing in ((1, frame.orientation[3:], 0), (2, frame.orientation[:3], 1)):
        affine[:3, axis] = cosines / np.linalg.norm(cosines) * frame.spacing_mm[spacing]
    affine[:3, 3] = positions[0]
    return Stack(tuple(slices), along_mm, Grid((len(slices), frame.rows, frame.columns), affine))


@njit(cache=True, nogil=True)
def _add(pixels, low, mask, sign, intercept):
    for i in range(pixels.size):
        pixels[i] = np.int16((((np.uint16(pixels[i]) >> low) & mask) ^ sign) - sign + intercept)


@njit(cache=True, nogil=True)
def _scale(pixels, low, mask, sign, slope, intercept):
    lowest, highest = np.int32(2**31 - 1), np.int32(-(2**31))
    for i in range(pixels.size):
        stored = np.int32((((np.int32(np.uint16(pixels[i])) >> low) & mask) ^ sign) - sign)
        value = np.int32(stored * slope + intercept)
        lowest, highest = min(lowest, value), max(highest, value)
        pixels[i] = np.int16(value)
    return lowest, highest


@njit(cache=True, nogil=True)
def _scale_and_round(pixels, low, mask, sign, slope, intercept):
    lowest, highest = np.inf, -np.inf
    for i in range(pixels.size):
        stored = np.int32((((np.int32(np.uint16(pixels[i])) >> low) & mask) ^ sign) - sign)
        value = np.rint(stored * slope + intercept)
        lowest, highest = min(lowest, value), max(highest, value)
        pixels[i] = np.int16(min(max(value, -32768.0), 32767.0))
    return lowest, highest


def to_hu(pixels: np.ndarray, frame: SliceFormat) -> None:
    """Turn stored pixels (int16, the 16 bits as they are in the file) into HU in place.

    Bits above the high bit and below the stored ones are ignored. Values that are no integers are rounded half to even;
    those that do not fit int16 are a `Refusal`.
    """
    slope, intercept = frame.slope, frame.intercept
    sign = 1 << (frame.bits_stored - 1) if frame.is_signed else 0
    mask = (1 << frame.bits_stored) - 1
    bits = [np.int32(v) for v in (frame.high_bit + 1 - frame.bits_stored, mask, sign)]
    ends = [float(np.rint(stored * slope + intercept)) for stored in (-sign, mask - sign)]
    whole = slope == int(slope) and intercept == int(intercept) and max(map(abs, ends)) < 2**31
    flat = pixels.reshape(-1)
    if whole and slope == 1 and INT16.min <= min(ends) and max(ends) <= INT16.max:
        _add(flat, *bits, np.int32(intercept))
        return
    if whole:
        lowest, highest = _scale(flat, *bits, np.int32(slope), np.int32(intercept))
    else:
        lowest, highest = _scale_and_round(flat, *bits, slope, intercept)
    if lowest < INT16.min or highest > INT16.max:
        raise Refusal("bad_rescale", f"values from {lowest:g} to {highest:g} HU do not fit 16 bits")


def largest_rounding_hu(frame: SliceFormat) -> float:
    """Return how far rounding to whole HU moves a value at most, over all values that can be stored; 0 where none is a
    fraction."""
    sign = 1 << (frame.bits_stored - 1) if frame.is_signed else 0
    values = np.arange(-sign, (1 << frame.bits_stored) - sign) * frame.slope + frame.intercept
    return float(np.abs(values - np.rint(values)).max())


def _read_native(slice_: Slice, out: np.ndarray) -> None:
    descriptor = os.open(slice_.path, os.O_RDONLY)
    try:
        n_bytes = os.preadv(descriptor, [out], slice_.pixels_at)
    finally:
        os.close(descriptor)
    if n_bytes != out.nbytes:
        raise Refusal("unreadable", f"cut off: {n_bytes} of {out.nbytes} bytes of pixel data are there")


def _decode(slice_: Slice) -> np.ndarray:
    """Stored pixels (rows, columns) by pydicom and its decoders, or by SimpleITK."""
    dataset = quiet_pydicom().dcmread(slice_.path)
    if slice_.frame.transfer_syntax in JPEG_LOSSLESS:
        return _decode_jpeg_lossless(dataset, slice_.frame)
    return dataset.pixel_array


def _decode_jpeg_lossless(dataset, frame: SliceFormat) -> np.ndarray:
    """Stored pixels by SimpleITK, of a file with nothing that it would apply to them: no rescaling, no MONOCHROME1."""
    import SimpleITK as sitk  # noqa: N813
    from pydicom.datadict import tag_for_keyword

    kept = {tag_for_keyword(name) for name in _DECODED_FROM}
    for tag in [tag for tag in dataset.keys() if tag not in kept]:  # noqa: SIM118  a data set iterates over elements
        del dataset[tag]
    dataset.PhotometricInterpretation = "MONOCHROME2"
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        dataset.save_as(file, enforce_file_format=True)
        file.flush()
        image = sitk.ReadImage(file.name, imageIO="GDCMImageIO")
    return sitk.GetArrayFromImage(image).reshape(frame.rows, frame.columns)


def _read_pixels(slice_: Slice, out: np.ndarray) -> None:
    """Fill `out` (rows, columns), int16, with the slice in HU."""
    try:
        if slice_.frame.transfer_syntax in NATIVE_SYNTAXES and slice_.pixels_at >= 0:
            _read_native(slice_, out)
        else:
            pixels = _decode(slice_)
            if pixels.shape != out.shape:
                raise Refusal("unreadable", f"decodes to {pixels.shape} pixels, not {out.shape}")
            out[...] = pixels.astype(np.uint16).view(np.int16)
        to_hu(out, slice_.frame)
    except Refusal as error:
        raise Refusal(error.reason, f"{slice_.name}: {error}") from error
    except Exception as error:  # noqa: BLE001  decoders raise many kinds on broken data, all of which mean the same
        raise Refusal("unreadable", f"{slice_.name}: {one_line(error)}") from error


def read_pixels(slice_: Slice) -> np.ndarray:
    """Read the HU (rows, columns), int16, of one slice; its `path` must be the file's own."""
    out = np.empty((slice_.frame.rows, slice_.frame.columns), np.int16)
    _read_pixels(slice_, out)
    return out


def same_position(one: Slice, other: Slice) -> bool:
    """Tell whether two slices have their pixels at the same positions."""
    apart = np.abs(np.subtract(one.position_mm, other.position_mm)).max()
    turned = np.abs(np.subtract(one.frame.orientation, other.frame.orientation)).max()
    sizes = [(s.frame.rows, s.frame.columns, *s.frame.spacing_mm) for s in (one, other)]
    return apart < SAME_POSITION_MM and turned < PARALLEL and np.allclose(*sizes, rtol=1e-5)


def read_stack(paths: Iterable[Path | str], threads: int = 1) -> Stack:
    """Read the headers of all files of one series, ordered and checked; no pixel is read."""
    frames = {}

    def one(path):
        try:
            return make_slice(path, read_header(path), frames)
        except Refusal as error:
            raise Refusal(error.reason, f"{os.path.basename(path)}: {error}") from error

    paths = list(paths)
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            return stack_slices(pool.map(one, paths))
    return stack_slices(map(one, paths))


def read_series(paths: Iterable[Path | str], threads: int = 1) -> tuple[np.ndarray, Grid]:
    """Read voxels of one CT series, int16 HU (slices, rows, columns), and their grid.

    `paths`: all files of the series, in any order. Slices ascend along the normal of the image plane (the cross product
    of the direction of a row and that of a column). `Refusal` (a quarantine reason and a detail that names the
    file) where the files are not one whole, regular, readable series.
    """
    stack = read_stack(paths, threads)
    array = np.empty(stack.grid.shape, np.int16)
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_read_pixels, stack.slices, array))
    else:
        for slice_, out in zip(stack.slices, array, strict=True):
            _read_pixels(slice_, out)
    return array, stack.grid
