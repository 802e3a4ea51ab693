"""Writing of the twin's DICOM CT: the image files of one series.

A series' header is encoded once, with placeholders of fixed length where slices differ, and each slice's file is that
with its own values put in; so a file costs what its pixels cost.
"""

import hashlib
import io
import logging
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from ct4bench.core.benchmark import DOSES_MGY, PIXEL_MM
from ct4bench.core.geometry import Grid
from ct4bench.twin.scanners import FOV_MM, Reconstruction, Scanner

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLEMENTATION_UID = "2.25.113316437582964318370164211325117204013"
IMPLEMENTATION_NAME = "CT4BENCH"
SYNTHETIC = "synthetic: ct4bench digital twin"
RECON_DIGIT = {"FBP": 1, "IR": 2, "DL": 2}
SCANNER_NUMBERS = {
    code: n
    for n, code in enumerate(("A1", "A2", "B1", "B2", "C1", "D1", "E1", "E2", "F1", "G1", "G2", "H1", "H2"), start=1)
}
ENCODING = threading.Lock()
"""Held while a frame is compressed: openjpeg's encoder ends the process where two threads use it at once."""
IMPLICIT, JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


def make_uid(*names) -> str:
    """Make a UID of 44 characters under 2.25 that depends on `names` only."""
    digest = hashlib.sha256("|".join(str(n) for n in names).encode()).digest()
    number = 10**38 + int.from_bytes(digest[:16], "big") % (2**128 - 10**38)
    return f"2.25.{number}"


@dataclass(frozen=True)
class SeriesIdentity:
    """What a series is called; `root` (any text) keeps UIDs of different phantoms and seeds apart."""

    root: str
    scanner: str
    dose_mgy: int
    recon: str
    repetition: int

    @property
    def description(self) -> str:
        """SeriesDescription as the collection writes it."""
        return f"{self.scanner}_Harmonized_{self.dose_mgy}mGy_{self.recon} - #{self.repetition}"

    @property
    def folder(self) -> str:
        """Name of the series' folder."""
        return f"{self.scanner}_Harmonized_{self.dose_mgy}mGy_{self.recon}_{self.repetition:02d}"

    @property
    def number(self) -> int:
        """SeriesNumber: scanner, dose (2 digits), reconstruction (1), repetition (2)."""
        head = f"{SCANNER_NUMBERS[self.scanner]}{self.dose_mgy:02d}{RECON_DIGIT[self.recon]}{self.repetition:02d}"
        return int(head)

    def uid(self, *what) -> str:
        """Return the UID of something of this series (`study`, `series`, `slice 3`)."""
        return make_uid(self.root, self.scanner, self.dose_mgy, self.recon, self.repetition, *what)

    def scan_uid(self, what: str) -> str:
        """Return the UID of something that all reconstructions of the scan share."""
        return make_uid(self.root, self.scanner, self.dose_mgy, self.repetition, what)

    @property
    def time(self) -> str:
        """A fixed time of day, 13 characters: a scanner's scans follow each other, the series of a scan share it."""
        minutes = 9 * 60 + 24 * DOSES_MGY.index(self.dose_mgy) + 2 * self.repetition
        return f"{minutes // 60:02d}{minutes % 60:02d}00.000000"


def _decimal(value: float) -> str:
    """DICOM decimal string, 16 characters at most."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def ct_header(name: SeriesIdentity, scanner: Scanner, reconstruction: Reconstruction, grid: Grid, seed: int) -> Dataset:
    """Set every attribute of a series that its slices share, and no pixel data."""
    ds = Dataset()
    exposure = scanner.exposure_at(name.dose_mgy)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CT_IMAGE_STORAGE
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = scanner.study_date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = name.time
    ds.AccessionNumber = ""
    ds.Modality = "CT"
    ds.Manufacturer = scanner.manufacturer
    ds.ReferringPhysicianName = ""
    ds.StationName = scanner.station
    ds.StudyDescription = scanner.code
    ds.SeriesDescription = name.description
    ds.ManufacturerModelName = scanner.model
    ds.IrradiationEventUID = name.scan_uid("irradiation event")
    ds.PatientName = "CT4BENCH^TWIN"
    ds.PatientID = "CT4BENCH-TWIN"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.QualityControlSubject = "YES"
    ds.BodyPartExamined = "ABDOMEN"
    if scanner.scan_options:
        ds.ScanOptions = scanner.scan_options
    ds.SliceThickness = _decimal(scanner.thickness_mm)
    ds.KVP = "120"
    ds.DataCollectionDiameter = "500"
    ds.DeviceSerialNumber = ""
    ds.SoftwareVersions = scanner.software
    ds.ProtocolName = f"Harmonized {name.dose_mgy} mGy"
    ds.ReconstructionDiameter = _decimal(FOV_MM)
    ds.GantryDetectorTilt = "0"
    ds.TableHeight = _decimal(scanner.table_height_mm)
    ds.RotationDirection = "CW"
    exposure_time_ms = scanner.rotation_time_s * 1000 / scanner.pitch
    ds.ExposureTime = str(round(exposure_time_ms))
    ds.XRayTubeCurrent = str(round(exposure / exposure_time_ms * 1000))
    ds.Exposure = str(round(exposure))
    ds.ExposureInuAs = str(round(exposure * 1000))
    ds.FilterType = "FLAT"
    ds.ConvolutionKernel = list(reconstruction.kernel)
    ds.PatientPosition = "HFS"
    if scanner.has_revolution_time:
        ds.RevolutionTime = scanner.rotation_time_s
    ds.SingleCollimationWidth = scanner.detector_row_mm
    ds.TotalCollimationWidth = scanner.collimation_mm
    feed = scanner.collimation_mm * scanner.pitch
    ds.TableSpeed = round(feed / scanner.rotation_time_s, 4)
    ds.TableFeedPerRotation = round(feed, 4)
    ds.SpiralPitchFactor = scanner.pitch
    centre = [0.0, scanner.image_centre_y_mm]
    ds.ExposureModulationType = "NONE"
    ds.CTDIvol = round(float(name.dose_mgy) * scanner.ctdi_ratio, 4)
    ds.CTDIPhantomTypeCodeSequence = Sequence([_code("113691", "DCM", "IEC Body Dosimetry Phantom")])
    ds.ReconstructionTargetCenterPatient = [*centre, round(float(grid.origin_mm[2]), 3)]
    ds.StudyInstanceUID = name.uid("study")
    ds.SeriesInstanceUID = name.uid("series")
    ds.StudyID = str(name.number)
    ds.SeriesNumber = str(name.number)
    ds.AcquisitionNumber = "1"
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.FrameOfReferenceUID = name.scan_uid("frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.ImageComments = f"{SYNTHETIC}, seed {seed}"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = grid.shape[1], grid.shape[2]
    ds.PixelSpacing = [_decimal_full(PIXEL_MM)] * 2
    ds.BitsAllocated = 16
    ds.BitsStored = 16 if scanner.signed else 12
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(scanner.signed)
    ds.WindowCenter, ds.WindowWidth = "50", "400"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(scanner.intercept), "1", "HU"
    return ds


def _decimal_full(value: float) -> str:
    return f"{value:.8f}".rstrip("0").rstrip(".")


_UID_MARK = "2.25." + "9" * 39
_NUMBER_MARK = "99999999"
_POSITION_MARKS = ("-7777777.7777771", "-7777777.7777772", "-7777777.7777773")
_LOCATION_MARK = "-8888888.8888888"


class CtSeriesWriter:
    """Writes the slices of one series, in any order, as `<folder>/1-<instance>.dcm`."""

    def __init__(self, folder: Path, name: SeriesIdentity, header: Dataset, scanner: Scanner, grid: Grid):
        self.folder, self.name, self.grid, self.scanner = folder, name, grid, scanner
        folder.mkdir(parents=True, exist_ok=True)
        self.syntax = scanner.transfer_syntax
        self._head = self._encode(header)

    def _encode(self, header: Dataset) -> bytes:
        ds = Dataset()
        ds.update(header)
        ds.SOPInstanceUID = _UID_MARK
        ds.InstanceNumber = _NUMBER_MARK
        ds.ImagePositionPatient = list(_POSITION_MARKS)
        ds.SliceLocation = _LOCATION_MARK
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
        meta.MediaStorageSOPInstanceUID = _UID_MARK
        meta.TransferSyntaxUID = self.syntax
        meta.ImplementationClassUID = IMPLEMENTATION_UID
        meta.ImplementationVersionName = IMPLEMENTATION_NAME
        ds.file_meta = meta
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
        return buffer.getvalue()

    def instance(self, number: int) -> int:
        """Return the InstanceNumber of the slice at index `number` of the grid."""
        return self.grid.shape[0] - number if self.scanner.descending else number + 1

    def sop_uid(self, number: int) -> str:
        """Return the SOPInstanceUID of a slice."""
        return self.name.uid(f"slice {number}")

    def position(self, number: int) -> list[str]:
        """Return the ImagePositionPatient of a slice, as it is written."""
        return [_decimal_full(v) for v in self.grid.to_lps([number, 0, 0])]

    def path(self, number: int) -> Path:
        """Return the file of a slice."""
        return self.folder / f"1-{self.instance(number):03d}.dcm"

    def slice_header(self, header: Dataset, number: int) -> Dataset:
        """Return the header of one slice as a dataset, for a segmentation that refers to it."""
        ds = Dataset()
        ds.update(header)
        ds.SOPInstanceUID = self.sop_uid(number)
        ds.InstanceNumber = str(self.instance(number))
        ds.ImagePositionPatient = self.position(number)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = self.syntax
        return ds

    def write(self, number: int, hu: np.ndarray) -> None:
        """Write the slice at index `number` (rows, columns; int16 HU)."""
        head = self._head
        position = self.position(number)
        for mark, text in (
            (_UID_MARK, self.sop_uid(number)),
            (_NUMBER_MARK, str(self.instance(number))),
            *zip(_POSITION_MARKS, position, strict=True),
            (_LOCATION_MARK, position[2]),
        ):
            head = head.replace(mark.encode(), text.ljust(len(mark)).encode())
        stored = hu.astype(np.int32) - self.scanner.intercept
        stored = stored.astype("<i2" if self.scanner.signed else "<u2")
        with self.path(number).open("wb") as file:
            file.write(head)
            file.write(self._pixel_element(stored))

    def _pixel_element(self, stored: np.ndarray) -> bytes:
        if self.syntax in (JPEG_LS, JPEG_2000):
            frame = self._compress(stored)
            if len(frame) % 2:
                frame += b"\x00"
            item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
            item += struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
            return struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + item
        pixels = stored.tobytes()
        if self.syntax == IMPLICIT:
            return struct.pack("<HHI", 0x7FE0, 0x0010, len(pixels)) + pixels
        return struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(pixels)) + pixels

    def _compress(self, stored: np.ndarray) -> bytes:
        import jpeg_ls
        import openjpeg

        # It tells of every tile that it encodes.
        logging.getLogger("openjpeg").setLevel(logging.WARNING)
        encode = jpeg_ls.encode_pixel_data if self.syntax == JPEG_LS else openjpeg.encode_pixel_data
        with ENCODING:
            frame = encode(
                stored.tobytes(),
                rows=stored.shape[0],
                columns=stored.shape[1],
                samples_per_pixel=1,
                bits_allocated=16,
                bits_stored=16 if self.scanner.signed else 12,
                pixel_representation=int(self.scanner.signed),
                photometric_interpretation="MONOCHROME2",
                planar_configuration=0,
            )
        return bytes(frame)
