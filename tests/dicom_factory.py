"""Small CT series and segmentations, written with pydicom in every form that the reader must know."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from ct4bench.core.benchmark import ROIS

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SHAPE = (18, 40, 36)
NAMES = tuple("metastatsis" if roi == "metastasis" else roi for roi in ROIS)


def uid(*parts) -> str:
    """A UID of its own for each tuple of parts, the same in every run."""
    return pydicom.uid.generate_uid(prefix="1.2.826.0.1.3680043.8.498.", entropy_srcs=[str(part) for part in parts])


def seg_uid(series_uid: str, name: str) -> str:
    """Series UID of the segmentation that `write_segmentation` writes for a series under a name."""
    return uid(series_uid, name, "series")


def stored_pixels(shape=SHAPE, seed=0, low=0, high=4096) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape)


def ct_dataset(series: str, index: int, pixels: np.ndarray, position, **fields) -> Dataset:
    """One slice; `fields` are DICOM keywords that replace or add to the defaults, None takes one away."""
    dataset = Dataset()
    defaults = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": uid(series, index),
        "AcquisitionDate": "20210320",
        "AcquisitionTime": "101500.5",
        "Modality": "CT",
        "Manufacturer": "SIEMENS",
        "StudyDescription": "A1",
        "SeriesDescription": "A1_Harmonized_10mGy_IR - #1",
        "ManufacturerModelName": "SOMATOM Definition Edge",
        "SliceThickness": 2,
        "KVP": 120,
        "ReconstructionDiameter": 350,
        "ExposureTime": 500,
        "XRayTubeCurrent": 296,
        "Exposure": 148,
        "ConvolutionKernel": "B30f",
        "TotalCollimationWidth": 38.4,
        "SpiralPitchFactor": 1.0,
        "CTDIvol": 9.97,
        "StudyInstanceUID": uid(series, "study"),
        "SeriesInstanceUID": uid(series),
        "SeriesNumber": 1041001,
        "InstanceNumber": index + 1,
        "ImagePositionPatient": [float(f"{v:.9g}") for v in position],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "FrameOfReferenceUID": uid(series, "frame"),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "PixelSpacing": [0.75, 0.5],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "RescaleType": "HU",
    }
    for keyword, value in (defaults | fields).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: Dataset, pixels: np.ndarray, path: Path, syntax=ExplicitVRLittleEndian) -> Path:
    """Write a slice in a transfer syntax; `pixels` are the 16 bits as they shall stand in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT_IMAGE)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    words = np.ascontiguousarray(pixels).astype(np.int64).astype(np.uint16)
    dataset.PixelData = words.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    if syntax == JPEGLosslessSV1:
        _jpeg_lossless(dataset, words, path)
    elif UID(syntax).is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(UID(syntax), generate_instance_uid=False)
    dataset.save_as(
        path,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


def _jpeg_lossless(dataset: Dataset, words: np.ndarray, path: Path) -> None:
    import SimpleITK as sitk

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(words[None].view(np.int16 if dataset.PixelRepresentation else np.uint16)))
    dataset.PixelData = encapsulate([get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)])
    dataset["PixelData"].is_undefined_length = True


def write_series(
    folder: Path,
    series: str = "a",
    pixels: np.ndarray | None = None,
    syntax=ExplicitVRLittleEndian,
    origin=(-2.5, -4.0, 100.0),
    step=(0.0, 0.0, 1.25),
    file_name="{index:03d}.dcm",
    edit=None,
    skip=(),
    **fields,
) -> list[Path]:
    """Slices of one series, written last to first. `edit(index, dataset)` changes a slice, `skip` leaves some out."""
    pixels = stored_pixels() if pixels is None else pixels
    paths = []
    for index in reversed(range(len(pixels))):
        if index in skip:
            continue
        position = np.add(origin, np.multiply(index, step))
        dataset = ct_dataset(series, index, pixels[index], position, **fields)
        if edit:
            edit(index, dataset)
        paths.append(save(dataset, pixels[index], folder / file_name.format(index=index, series=series), syntax))
    return paths[::-1]


def _item(**fields) -> Dataset:
    item = Dataset()
    for keyword, value in fields.items():
        setattr(item, keyword, value)
    return item


def roi_labels(shape=SHAPE) -> np.ndarray:
    """Six separate boxes, labelled 1 to 6."""
    labels = np.zeros(shape, np.uint8)
    for k in range(6):
        labels[2 + 2 * k : 5 + 2 * k, 1 + k : 4 + k, (1 if k % 2 else 6) : (4 if k % 2 else 9)] = k + 1
    return labels


def write_segmentation(
    path: Path,
    ct_paths: list[Path],
    labels: np.ndarray,
    names=NAMES,
    references="series",
    empty_frames=False,
    order=None,
    edit=None,
    **fields,
) -> Path:
    """A BINARY segmentation as pydicom-seg writes them: measures and orientation shared, the rest by frame.

    `labels` lie on the slices of `ct_paths` in their order; `references` to the series: `series`, `source`, `frame` or
    `none`; `order(frames)` rearranges the frames (segment number, index of slice); `edit(dataset)` changes all.
    """
    cts = [pydicom.dcmread(p, stop_before_pixels=True) for p in ct_paths]
    first = cts[0]
    frames = [
        (number, k)
        for number in range(1, len(names) + 1)
        for k in range(len(cts))
        if empty_frames or (labels[k] == number).any()
    ]
    frames = order(frames) if order else frames
    dataset = _item(
        SOPClassUID=SEGMENTATION, SOPInstanceUID=uid(first.SeriesInstanceUID, path.name), Modality="SEG",
        SeriesInstanceUID=seg_uid(first.SeriesInstanceUID, path.name),
        FrameOfReferenceUID=first.get("FrameOfReferenceUID"),
        Rows=labels.shape[1], Columns=labels.shape[2], BitsAllocated=1, BitsStored=1, HighBit=0,
        PixelRepresentation=0, SamplesPerPixel=1, NumberOfFrames=len(frames), SegmentationType="BINARY",
    )  # fmt: skip
    dataset.SegmentSequence = Sequence([_item(SegmentNumber=k, SegmentLabel=name) for k, name in enumerate(names, 1)])
    if references == "series":
        dataset.ReferencedSeriesSequence = Sequence([_item(SeriesInstanceUID=first.SeriesInstanceUID)])
    if references == "source":
        dataset.SourceImageSequence = Sequence([_item(ReferencedSOPInstanceUID=ct.SOPInstanceUID) for ct in cts])
    shared = _item(
        PixelMeasuresSequence=Sequence([_item(PixelSpacing=first.PixelSpacing, SliceThickness=1)]),
        PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=first.ImageOrientationPatient)]),
    )
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for number, k in frames:
        group = _item(
            PlanePositionSequence=Sequence([_item(ImagePositionPatient=cts[k].ImagePositionPatient)]),
            SegmentIdentificationSequence=Sequence([_item(ReferencedSegmentNumber=number)]),
        )
        if references in ("frame", "series"):
            source = _item(ReferencedSOPInstanceUID=cts[k].SOPInstanceUID)
            group.DerivationImageSequence = Sequence([_item(SourceImageSequence=Sequence([source]))])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    bits = np.concatenate([(labels[k] == number).ravel() for number, k in frames])
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    if edit:
        edit(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    packed = np.packbits(bits, bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset["PixelData"].VR = "OB"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return path
