"""Writing of the twin's DICOM SEG by highdicom.

All series of a scanner have the same segments on the same grid; what differs are identifiers of fixed length. So
highdicom encodes the object once for a scanner, with stand-ins for these, and a series' file is that with its own put
in.
"""

import io
import logging
import re
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ct4bench.core.benchmark import ROIS, tissue_of
from ct4bench.twin.scanners import Scanner
from ct4bench.twin.write_ct import SYNTHETIC, CtSeriesWriter, SeriesIdentity

SEGMENT_LABELS = {"metastasis": "metastatsis"}
"""Spelling of a label in the collection where it is not the ROI's name."""
SEGMENT_TYPES = {
    "cyst": ("Cyst", "41398003"),
    "hemangioma": ("Hemangioma", "400210000"),
    "metastasis": ("Metastasis", "128462008"),
    "normal": ("Liver", "10200004"),
}
"""SNOMED CT meaning and code of a segment by tissue."""
TIME_MARK = "235959.977531"
NUMBER_MARK = "97753199"
DESCRIPTION_MARK = "description of the series".ljust(60, "_")
UIDS = ("study", "series", "segmentation series", "segmentation", "dimension organization")


def _segment_descriptions() -> list:
    import highdicom as hd
    from highdicom.sr.coding import CodedConcept

    finding = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
    anatomy = CodedConcept("91723000", "SCT", "Anatomical Structure")
    descriptions = []
    for value, roi in enumerate(ROIS, start=1):
        meaning, code = SEGMENT_TYPES[tissue_of(roi)]
        descriptions.append(
            hd.seg.SegmentDescription(
                segment_number=value,
                segment_label=SEGMENT_LABELS.get(roi, roi),
                segmented_property_category=anatomy if tissue_of(roi) == "normal" else finding,
                segmented_property_type=CodedConcept(code, "SCT", meaning),
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            )
        )
    return descriptions


def _settle(ds: Dataset, name: SeriesIdentity, scanner: Scanner) -> None:
    """Replace what highdicom takes from the clock and from random numbers: the same twin has the same bytes."""
    ds.SeriesDate = ds.ContentDate = ds.InstanceCreationDate = scanner.study_date
    ds.SeriesTime = ds.ContentTime = ds.InstanceCreationTime = TIME_MARK
    organization = name.uid("dimension organization")
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    for item in ds.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = scanner.study_date + TIME_MARK
    ds.ImageComments = SYNTHETIC


class SegmentationWriter:
    """The segmentation of one scanner's grid: binary segments, frames where there is one, that refer to CT slices."""

    def __init__(self, writer: CtSeriesWriter, header: Dataset, labels: np.ndarray, scanner: Scanner):
        """Encode it by the example of one series; `labels` (slices, rows, columns; uint8) are 1 to 6 as in `ROIS`."""
        self.filled = [int(n) for n in np.flatnonzero(labels.any(axis=(1, 2)))]
        self.example = writer.name
        self._bytes = self._encode(writer, header, labels, scanner) if self.filled else b""

    def _encode(self, writer: CtSeriesWriter, header: Dataset, labels: np.ndarray, scanner: Scanner) -> bytes:
        import highdicom as hd

        logging.getLogger("highdicom").setLevel(logging.WARNING)
        marked = Dataset()
        marked.update(header)
        marked.StudyTime, marked.StudyID = TIME_MARK, NUMBER_MARK
        name = self.example
        ds = hd.seg.Segmentation(
            source_images=[writer.slice_header(marked, number) for number in self.filled],
            pixel_array=labels[self.filled],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_segment_descriptions(),
            series_instance_uid=name.uid("segmentation series"),
            series_number=int(NUMBER_MARK),
            sop_instance_uid=name.uid("segmentation"),
            instance_number=1,
            manufacturer="CT4Bench",
            manufacturer_model_name="ct4bench digital twin",
            software_versions="1",
            device_serial_number="0",
            content_description="Regions of interest",
            content_creator_name="CT4BENCH^TWIN",
            series_description=DESCRIPTION_MARK,
            omit_empty_frames=True,
        )
        _settle(ds, name, scanner)
        buffer = io.BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def _identifiers(self, name: SeriesIdentity) -> list[str]:
        whats = [*UIDS, *(f"slice {number}" for number in self.filled)]
        return [*(name.uid(what) for what in whats), name.scan_uid("frame of reference")]

    def write(self, folder: Path, name: SeriesIdentity) -> None:
        """Write the file of one series; none where the slab holds no segment."""
        if not self.filled:
            return
        pairs = zip(self._identifiers(self.example), self._identifiers(name), strict=True)
        swap = {old.encode(): new.encode() for old, new in pairs}
        swap |= {
            TIME_MARK.encode(): name.time.encode(),
            NUMBER_MARK.encode(): str(name.number).ljust(len(NUMBER_MARK)).encode(),
            DESCRIPTION_MARK.encode(): f"Segmentation of {name.description}".ljust(len(DESCRIPTION_MARK)).encode(),
        }
        pattern = b"|".join(
            [rb"2\.25\.[0-9]{39}", *(re.escape(m.encode()) for m in (TIME_MARK, NUMBER_MARK, DESCRIPTION_MARK))]
        )
        folder.mkdir(parents=True, exist_ok=True)
        data = re.sub(pattern, lambda found: swap.get(found.group(), found.group()), self._bytes)
        (folder / "1-1.dcm").write_bytes(data)
