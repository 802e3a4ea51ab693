"""What a tree of files holds: CT slices, segmentations, and what is neither, by headers and never by names."""

import filecmp
import os
import stat
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.index.ct import Slice, make_slice
from ct4bench.index.headers import UNDEFINED, Header, NotDicom, one_line, quiet_pydicom, read_header
from ct4bench.index.segmentation import LABEL_MAP, SEGMENTATION, segment_numbers

CHUNK = 512
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
SYSTEM_FOLDERS = ("__MACOSX", "System Volume Information", "lost+found")
VARYING = ("Exposure", "ExposureInuAs", "XRayTubeCurrent", "ExposureTime")
"""Header fields that may change from slice to slice."""
SHARED = (
    "PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "PatientPosition", "Manufacturer",
    "ManufacturerModelName", "DeviceSerialNumber", "StationName", "InstitutionName", "StudyDescription",
    "SeriesDescription", "KVP", "ConvolutionKernel", "SliceThickness", "ReconstructionDiameter",
)  # fmt: skip
"""Header fields in which all slices of a series must agree."""
NUMERIC = ("KVP", "SliceThickness", "ReconstructionDiameter")
PERSONAL = ("PatientID", "PatientName")
"""Fields whose values are written nowhere."""


class File(NamedTuple):
    """One file of a tree. `folder` is relative to the root, "" for the root itself, with / on every system."""

    root: str
    folder: str
    name: str
    size_bytes: int

    @property
    def path(self) -> str:
        """root/folder/name."""
        return "/".join(part for part in (self.root, self.folder, self.name) if part)

    @property
    def folder_path(self) -> str:
        """root/folder."""
        return "/".join(part for part in (self.root, self.folder) if part)


class Refused(NamedTuple):
    """A file that is not a slice of an acceptable CT series; `series_uid` is "" where it could not be read."""

    file: File
    series_uid: str
    reason: str
    detail: str


@dataclass
class CtSeries:
    """Slices, files and metadata (of `SHARED`) of one series in the same order; counts of raw values that may vary.

    `header` is that of the slice with the lowest SOP instance UID, whatever the files are called. `first_time` is the
    earliest acquisition time of a slice (YYYYMMDDHHMMSS.F, "" where no slice has one).
    """

    header: Header
    header_sop: str
    first_time: str = ""
    files: list[File] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    shared: list[tuple[str, ...]] = field(default_factory=list)
    varying: Counter = field(default_factory=Counter)


class SegmentationFile(NamedTuple):
    """One segmentation object: what it refers to, and why it is refused ("" where it is not)."""

    file: File
    sop_uid: str
    series_uid: str
    referenced_series: frozenset[str]
    referenced_sops: frozenset[str]
    frame_of_reference: str
    reason: str
    detail: str


@dataclass
class Contents:
    """All that was found. `ignored` counts files that are no DICOM and do not look like it, by suffix."""

    series: dict[str, CtSeries] = field(default_factory=dict)
    segmentations: list[SegmentationFile] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored: Counter = field(default_factory=Counter)
    n_files: int = 0
    root_paths: dict[str, str] = field(default_factory=dict)
    """The roots' own paths by their names."""

    def path_of(self, file: File) -> str:
        """Find where a file is."""
        return os.path.join(self.root_paths[file.root], file.folder, file.name)

    def add(self, other: "Contents") -> None:
        """Take over what another part of the tree holds."""
        for uid, found in other.series.items():
            known = self.series.get(uid)
            if known is None:
                self.series[uid] = found
                continue
            known.files += found.files
            known.slices += found.slices
            known.shared += found.shared
            if found.header_sop < known.header_sop:
                known.header, known.header_sop = found.header, found.header_sop
            known.varying.update(found.varying)
            known.first_time = _earlier(known.first_time, found.first_time)
        self.segmentations += other.segmentations
        self.refused += other.refused
        self.ignored.update(other.ignored)
        self.n_files += other.n_files


def list_files(root: Path, aside: Counter | None = None, only: Container[str] = ()) -> list[File]:
    """List all files below `root`, sorted by folder and name. Links are followed, each folder and file once.

    `only` names the entries of `root` that belong to a part of it.

    Hidden folders and those of a system are left out, and so is a file's second name (a link, hard or symbolic);
    `aside` counts them.
    """
    aside = Counter() if aside is None else aside
    found, seen, folders = [], set(), [""]
    while folders:
        folder = folders.pop()
        path = root / folder
        try:
            status = path.stat()
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"folder {path} cannot be read ({error.strerror}); make it readable") from error
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if only and not folder and entry.name not in only:
                continue
            try:
                if not entry.is_dir():
                    found.append((entry.is_symlink(), *_file(root.name, folder, entry)))
                elif _is_of_system(entry.name):
                    aside["hidden folder"] += 1
                else:
                    folders.append(f"{folder}/{entry.name}".lstrip("/"))
            except OSError:  # a link that leads to itself
                found.append((True, None, File(root.name, folder, entry.name, -1)))
    # of a file's names, one that is no link is used
    files, inodes = [], set()
    for _, inode, file in sorted(found, key=lambda item: (item[0], item[2])):
        if inode in inodes:
            aside["another name of a file"] += 1
        else:
            files.append(file)
        inodes |= {inode} - {None}
    return sorted(files)


def _file(root: str, folder: str, entry: os.DirEntry) -> tuple[tuple[int, int] | None, File]:
    """What a file is known by on its disk, and the file; a size of -1 for what cannot be read as one."""
    try:
        status = entry.stat()
    except OSError:
        return None, File(root, folder, entry.name, -1)
    size = status.st_size if stat.S_ISREG(status.st_mode) else -1
    return ((status.st_dev, status.st_ino) if status.st_ino else None), File(root, folder, entry.name, size)


def _is_of_system(name: str) -> bool:
    """Whether a folder's name says that it holds no data of a person's: hidden, or made by a system."""
    return name.startswith((".", "$RECYCLE", "@eaDir", "#recycle", "#snapshot")) or name in SYSTEM_FOLDERS


def _looks_like_dicom(name: str) -> bool:
    """Whether the name of a file speaks for DICOM: its suffix, or none, or a UID as name."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in DICOM_SUFFIXES or suffix in ("", ".") or suffix[1:].isdigit()


def _is_text(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(512)
        return bool(start) and not any(byte < 9 or 13 < byte < 32 for byte in start)
    except OSError:
        return False


def _earlier(one: str, other: str) -> str:
    return min(time for time in (one, other) if time) if one or other else ""


def _read_chunk(files: Sequence[File], root_paths: dict[str, str], phantom: Phantom) -> Contents:
    contents, frames, texts = Contents(n_files=len(files)), {}, {}
    for file in files:
        if file.name.startswith(".") or file.name.upper() == "DICOMDIR":
            contents.ignored[file.name if file.name.upper() == "DICOMDIR" else "hidden"] += 1
            continue
        header, path = None, os.path.join(root_paths[file.root], file.folder, file.name)
        try:
            if file.size_bytes < 0:
                raise NotDicom("unreadable", "no regular file, or a link that leads nowhere")
            header = read_header(path)
            if header.text("SOPClassUID") in (SEGMENTATION, LABEL_MAP):
                contents.segmentations.append(_read_references(file, path, header, phantom))
                continue
            slice_ = make_slice(path, header, frames)
        except NotDicom as error:
            suffix = os.path.splitext(file.name)[1].lower()
            if not _looks_like_dicom(file.name) or (suffix == "" and _is_text(path)):
                contents.ignored[suffix or "text without suffix"] += 1
            else:
                contents.refused.append(Refused(file, "", error.reason, str(error)))
            continue
        except Refusal as error:
            uid = header.text("SeriesInstanceUID") if header else ""
            contents.refused.append(Refused(file, uid, error.reason, str(error)))
            continue
        series = contents.series.get(slice_.frame.series_uid)
        if series is None:
            series = contents.series[slice_.frame.series_uid] = CtSeries(header, slice_.sop_uid)
        elif slice_.sop_uid < series.header_sop:
            series.header, series.header_sop = header, slice_.sop_uid
        raw = header.raw("SpecificCharacterSet", *SHARED)
        if raw not in texts:
            texts[raw] = tuple(_comparable(header, name) for name in SHARED)
        series.shared.append(texts[raw])
        series.files.append(file)
        series.slices.append(slice_._replace(path=file.name))
        series.varying[header.raw(*VARYING)] += 1
        time = header.text("AcquisitionDateTime") or header.text("AcquisitionDate") + header.text("AcquisitionTime")
        series.first_time = _earlier(series.first_time, time)
    return contents


def _comparable(header: Header, name: str) -> str:
    """Value of a field as slices are compared by it: runs of blanks are one, and a number is a number (120, 120.0)."""
    text = " ".join(header.text(name).split())
    try:
        return f"{float(text):.10g}" if name in NUMERIC else text
    except ValueError:
        return text


def _is_cut(header: Header) -> bool:
    native = header.pixels_at >= 0 and header.pixels_size != UNDEFINED
    return native and header.pixels_at + header.pixels_size > header.file_size


def _read_references(file: File, path: str, header: Header, phantom: Phantom) -> SegmentationFile:
    """Read a segmentation up to its frames; their references only where nothing before them refers to a series."""
    pydicom = quiet_pydicom()
    sop_uid = series_uid = frame_of_reference = reason = detail = ""
    series, sops = set(), set()
    try:
        with open(path, "rb") as stream:
            dataset = pydicom.filereader.read_partial(stream, stop_when=lambda tag, _vr, _length: tag >= 0x52000000)
        sop_uid, series_uid = str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID)
        frame_of_reference = str(dataset.get("FrameOfReferenceUID") or "")
        series = {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or ()}
        sops = {str(item.ReferencedSOPInstanceUID) for item in dataset.get("SourceImageSequence") or ()}
        if not series and not sops:
            frames = pydicom.dcmread(path).get("PerFrameFunctionalGroupsSequence") or ()
            sops = {
                str(source.ReferencedSOPInstanceUID)
                for frame in frames
                for derivation in frame.get("DerivationImageSequence") or ()
                for source in derivation.get("SourceImageSequence") or ()
            }
        if not header.has_pixels or _is_cut(header):
            raise Refusal("unreadable", "cut off within its pixel data")
        if dataset.get("SegmentationType") == "FRACTIONAL":
            raise Refusal("segmentation_mismatch", "a FRACTIONAL segmentation; BINARY is needed")
        segment_numbers(dataset, phantom)
    except Refusal as error:
        reason, detail = error.reason, str(error)
    except Exception as error:  # noqa: BLE001  pydicom raises many kinds on broken data, all of which mean the same
        reason, detail = "unreadable", one_line(error)
    return SegmentationFile(
        file, sop_uid, series_uid, frozenset(series), frozenset(sops), frame_of_reference, reason, detail
    )


def same_segmentation(one: str, other: str) -> bool:
    """Tell whether two files hold the same segmentation, in whatever transfer syntax; no where one cannot be read."""
    pydicom = quiet_pydicom()
    try:
        if filecmp.cmp(one, other, shallow=False):
            return True
        both = [pydicom.dcmread(path) for path in (one, other)]
        if not np.array_equal(*(dataset.pixel_array for dataset in both)):
            return False
        for dataset in both:
            del dataset.PixelData
        return both[0].to_json_dict() == both[1].to_json_dict()
    except Exception:  # noqa: BLE001  pydicom raises many kinds on broken data, all of which mean the same
        return False


def read_tree(
    roots: Iterable[Path | str],
    threads: int = 1,
    only: Container[str] = (),
    phantom: Phantom = CT4HARMONIZATION,
) -> Contents:
    """Read the headers of all files below `roots`, or of those below their entries `only`; each root is known by its
    last name, and these must differ. Segmentations are those of `phantom`."""
    roots = [Path(os.path.abspath(root)) for root in roots]
    names = Counter(root.name for root in roots)
    for root in roots:
        if names[root.name] > 1:
            raise UserError(
                f"two input folders are named {root.name}; rename one, since paths are given below that name"
            )
        if not root.is_dir():
            raise UserError(f"input folder {root} does not exist or is no folder; name a folder of DICOM files")
    contents = Contents(root_paths={root.name: str(root) for root in roots})
    files = [f for root in sorted(roots, key=lambda root: root.name) for f in list_files(root, contents.ignored, only)]
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            for part in pool.map(_read_chunk, chunks, repeat(contents.root_paths), repeat(phantom)):
                contents.add(part)
    else:
        for chunk in chunks:
            contents.add(_read_chunk(chunk, contents.root_paths, phantom))
    return contents
