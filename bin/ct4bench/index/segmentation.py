"""Labels of the ROIs on the grid of a CT series, out of a DICOM segmentation (PS3.3, A.51)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ct4bench.core.errors import Refusal, few
from ct4bench.core.geometry import Grid
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.index.headers import one_line, quiet_pydicom

LOG = logging.getLogger(__name__)
SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
ON_GRID = 0.15
"""Share of a voxel by which a frame may be off the grid: slices at rounded positions are, by up to 0.1."""
FEWEST_VOXELS = 8
"""Of a region: 2 x 2 x 2, the least that has a difference along every axis."""
MOST_SHARED = 0.01
"""Share of a segment's voxels that another may claim too."""


def background_number(dataset) -> int:
    """Return the number that is no segment: 0, or in a LABELMAP its Pixel Padding Value (PS3.3, C.8.20)."""
    padding = dataset.get("PixelPaddingValue")
    return int(padding) if padding is not None and dataset.get("SegmentationType") == "LABELMAP" else 0


def segment_numbers(dataset, phantom: Phantom = CT4HARMONIZATION) -> dict[int, str]:
    """Return the ROI name by segment number, from a pydicom dataset that holds SegmentSequence.

    Names are compared without case, spaces, hyphens and underscores. `Refusal` where the phantom's ROIs are not each
    there once, or another segment is.
    """
    names, background = {}, background_number(dataset)
    for segment in dataset.get("SegmentSequence") or ():
        if int(segment.SegmentNumber) == background:
            continue
        label = str(segment.get("SegmentLabel") or "")
        name = phantom.named(label)
        if name is None:
            raise Refusal("unknown_label", f"segment '{label[:60]}'; known are {few(phantom.names, 8)}")
        if name in names.values():
            raise Refusal("ambiguous_segmentation", f"two segments are named {name}")
        names[int(segment.SegmentNumber)] = name
    missing = [roi for roi in phantom.names if roi not in names.values()]
    if missing:
        raise Refusal("missing_label", f"no segment {few(missing)}")
    return names


def _from_groups(groups: Sequence, sequence: str, keyword: str):
    """Value in the first of the functional groups (the frame's own, then the shared ones) that has it, else None."""
    for group in groups:
        items = group.get(sequence) if group is not None else None
        if items and keyword in items[0]:
            return items[0].get(keyword)
    return None


def _referenced_sops(groups: Sequence) -> list[str]:
    return [
        str(source.ReferencedSOPInstanceUID)
        for group in groups
        if group is not None
        for derivation in group.get("DerivationImageSequence") or ()
        for source in derivation.get("SourceImageSequence") or ()
        if "ReferencedSOPInstanceUID" in source
    ]


def _frame_pixels(dataset, n_frames: int):
    """Pixels (rows, columns) of each frame: 0 and 1 of a BINARY segmentation, segment numbers of a LABELMAP."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns
    if int(dataset.BitsAllocated) != 1 or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = dataset.pixel_array.reshape(n_frames, rows, columns)
        yield from frames
        return
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    if 8 * len(packed) < n_frames * size:
        raise Refusal("unreadable", f"cut off, {len(packed)} of {-(-n_frames * size // 8)} bytes of pixel data")
    for k in range(n_frames):
        # Frames follow each other bit by bit, so one need not begin on a byte (PS3.5, section 8.1.1).
        first, last = k * size, (k + 1) * size
        bits = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")
        yield bits[first % 8 : first % 8 + size].reshape(rows, columns)


def _mm(position) -> str:
    return ", ".join(f"{float(v):g}" for v in position)


def _frame_on_grid(grid: Grid, position, orientation, spacing, shape) -> tuple[int, np.ndarray, np.ndarray]:
    """(slice, rows, columns) of the grid that a frame's pixels fall on; they may lie outside it.

    `Refusal` where the frame's pixels are not on the grid's voxels.
    """
    axes = np.array([orientation[3:], orientation[:3]], float)
    axes *= np.array(spacing, float)[:, None] / np.linalg.norm(axes, axis=1, keepdims=True)
    corner = np.array(position, float)
    origin = grid.to_index(corner)
    down, across = grid.to_index(corner + axes[0]) - origin, grid.to_index(corner + axes[1]) - origin
    steps = np.round([origin, down, across]).astype(int)
    last = origin + down * (shape[0] - 1) + across * (shape[1] - 1)
    due = steps[0] + steps[1] * (shape[0] - 1) + steps[2] * (shape[1] - 1)
    along_axes = np.abs(steps[1:]).tolist() == [[0, 1, 0], [0, 0, 1]]
    if not along_axes or max(np.abs(origin - steps[0]).max(), np.abs(last - due).max()) > ON_GRID:
        raise Refusal("segmentation_mismatch", f"a frame at {_mm(position)} mm is off the series' grid")
    rows = steps[0, 1] + steps[1, 1] * np.arange(shape[0])
    columns = steps[0, 2] + steps[2, 2] * np.arange(shape[1])
    return int(steps[0, 0]), rows, columns


def read_segmentation(
    path: Path | str,
    grid: Grid,
    slice_of_sop: dict[str, int] | None = None,
    phantom: Phantom = CT4HARMONIZATION,
) -> np.ndarray:
    """Read labels, uint8 on `grid`: 0 outside, 1, 2, ... in the order of the phantom's ROIs.

    Each frame goes where its position says, whatever the order of frames; slices without a frame hold no segment.
    `slice_of_sop` (index of the grid's slice by SOP instance UID) is checked against the frames' references, and places
    frames that carry no position. A voxel of two segments goes to the smaller one. `Refusal` (`unreadable`,
    `unknown_label`, `missing_label`, `ambiguous_segmentation`, `small_region`, `segmentation_mismatch`) where that
    cannot be done.
    """
    pydicom = quiet_pydicom()
    name = Path(path).name
    try:
        dataset = pydicom.dcmread(path)
        return _labels_on_grid(dataset, grid, slice_of_sop or {}, phantom)
    except Refusal as error:
        raise Refusal(error.reason, f"{name}: {error}") from error
    except Exception as error:  # noqa: BLE001  pydicom raises many kinds on broken data, all of which mean the same
        raise Refusal("unreadable", f"{name}: {one_line(error)}") from error


def _labels_on_grid(dataset, grid: Grid, slice_of_sop: dict[str, int], phantom: Phantom) -> np.ndarray:
    kind = str(dataset.get("SegmentationType") or "")
    if "SOPClassUID" not in dataset:
        raise Refusal("unreadable", "cut off, or no data set: there is no SOP class")
    if dataset.SOPClassUID not in (SEGMENTATION, LABEL_MAP):
        raise Refusal("segmentation_mismatch", "is no DICOM segmentation")
    if kind not in ("BINARY", "LABELMAP"):
        raise Refusal("segmentation_mismatch", f"type {kind or 'missing'}; BINARY or LABELMAP is needed")
    names = segment_numbers(dataset, phantom)
    per_frame = dataset.PerFrameFunctionalGroupsSequence
    if len(per_frame) != int(dataset.NumberOfFrames):
        raise Refusal("unreadable", f"{dataset.NumberOfFrames} frames, but positions of {len(per_frame)}")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    voxels = {roi: [] for roi in phantom.names}
    # a value of 0 that no segment has is background, too
    outside = {background_number(dataset)} | ({0} - set(names))
    for own, pixels in zip(per_frame, _frame_pixels(dataset, len(per_frame)), strict=True):
        if not (set(np.unique(pixels).tolist()) - outside):
            continue
        index = _frame_index((own, shared), pixels.shape, grid, slice_of_sop)
        if kind == "LABELMAP":
            parts = {number: pixels == number for number in set(np.unique(pixels).tolist()) - outside}
        else:
            number = _from_groups((own, shared), "SegmentIdentificationSequence", "ReferencedSegmentNumber")
            parts = {int(number): pixels}
        for number, part in parts.items():
            if number not in names:
                raise Refusal("unknown_label", f"a frame of segment {number}, which has no name")
            voxels[names[number]].append(_voxels(part, index, grid.shape))
    found = {roi: np.unique(np.concatenate(parts)) for roi, parts in voxels.items() if parts}
    return merge_labels(found, grid.shape, phantom.names)


def _frame_index(groups, shape, grid: Grid, slice_of_sop: dict[str, int]):
    position = _from_groups(groups, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _from_groups(groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _from_groups(groups, "PixelMeasuresSequence", "PixelSpacing")
    referenced = {slice_of_sop[uid] for uid in _referenced_sops(groups) if uid in slice_of_sop}
    if position is None or orientation is None or spacing is None:
        if len(referenced) != 1 or tuple(shape) != grid.shape[1:]:
            raise Refusal("segmentation_mismatch", "a frame has neither position nor a reference to one slice")
        return referenced.pop(), np.arange(shape[0]), np.arange(shape[1])
    index = _frame_on_grid(grid, position, orientation, spacing, shape)
    if referenced and index[0] not in referenced:
        where = f"slice {index[0]}, by reference on {sorted(referenced)}"
        raise Refusal("segmentation_mismatch", f"a frame lies by position on {where}")
    return index


def _voxels(pixels: np.ndarray, frame_index: tuple, shape: tuple[int, int, int]) -> np.ndarray:
    """Flat indices (n,) in an array of `shape` of a frame's pixels that are set."""
    slice_, rows, columns = frame_index
    down, across = np.nonzero(pixels)
    index = np.full_like(down, slice_), rows[down], columns[across]
    try:
        return np.ravel_multi_index(index, shape)
    except ValueError as error:
        raise Refusal("segmentation_mismatch", "segmented voxels lie outside the series") from error


def merge_labels(voxels: dict[str, np.ndarray], shape: tuple[int, int, int], rois: Sequence[str]) -> np.ndarray:
    """Merge flat indices by ROI name into labels (uint8) of `shape`, 1, 2, ... in the order of `rois`.

    What two claim goes to the one with fewer voxels. `Refusal` where a ROI has none or fewer than `FEWEST_VOXELS`, or
    two share too many.
    """
    empty = [roi for roi in rois if not len(voxels.get(roi, ()))]
    if empty:
        raise Refusal("missing_label", f"no voxel of {few(empty)}")
    small = [f"{roi} has {len(voxels[roi])}" for roi in rois if len(voxels[roi]) < FEWEST_VOXELS]
    if small:
        raise Refusal("small_region", f"{few(small)} of at least {FEWEST_VOXELS} voxels: draw whole regions")
    labels = np.zeros(shape, np.uint8)
    flat = labels.reshape(-1)
    for roi in sorted(rois, key=lambda roi: (-len(voxels[roi]), rois.index(roi))):
        own = voxels[roi]
        shared = f"{np.count_nonzero(flat[own])} of {len(own)} voxels of the region {roi}"
        if np.count_nonzero(flat[own]) > MOST_SHARED * len(own):
            raise Refusal("segmentation_mismatch", f"{shared} are of another one too")
        if flat[own].any():
            LOG.warning("%s are of a larger one too; they are taken from that", shared)
        flat[own] = rois.index(roi) + 1
    return labels
