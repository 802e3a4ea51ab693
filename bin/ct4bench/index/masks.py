"""One mask of the regions of a phantom, drawn on the reference series: DICOM SEG, RT structure set, or NIfTI."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from ct4bench.core.errors import Refusal, UserError, error_words, few
from ct4bench.core.geometry import Grid
from ct4bench.core.regions import Phantom
from ct4bench.index.headers import quiet_pydicom
from ct4bench.index.segmentation import LABEL_MAP, MOST_SHARED, SEGMENTATION, merge_labels, read_segmentation

LOG = logging.getLogger(__name__)
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
NIFTI = (".nii", ".nii.gz")
AREAS, NO_AREAS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"), ("POINT",)
"""Geometric types of contours that bound an area, and those that mark a place (PS3.3, C.8.8.6.3)."""
SAME_MM = 0.01
"""Two contours whose points are as near are one that was drawn twice."""
OFF_SLICE = 0.3
"""Share of the slices' distance by which a contour may lie off a slice."""
MOST_LOST = 0.1
"""Share of a region's volume that may go, or come, where its mask has other voxels than the series."""


def read_mask(path: Path | str, grid: Grid, slice_of_sop: dict[str, int], phantom: Phantom) -> np.ndarray:
    """Read the regions of a phantom from a mask on the voxels of a series, uint8 on `grid`, 0 outside.

    A file that ends with .nii or .nii.gz is NIfTI, another one DICOM: a segmentation, or a structure set. `UserError`
    says what is wrong with it.
    """
    try:
        if Path(path).is_dir():
            raise Refusal("unreadable", "it is a folder; name the file in it")
        if str(path).lower().endswith(NIFTI):
            return _read_nifti(path, grid, phantom)
        return _read_dicom(path, grid, slice_of_sop, phantom)
    except Refusal as error:
        raise UserError(
            f"the mask {Path(path).name} cannot be used: {error.reason}, {error}; docs/own-phantom.md says what a mask "
            "must be"
        ) from error


def _read_dicom(path, grid: Grid, slice_of_sop: dict[str, int], phantom: Phantom) -> np.ndarray:
    pydicom = quiet_pydicom()
    try:
        dataset = pydicom.dcmread(path)
        kind = str(dataset.SOPClassUID)
    except Exception as error:  # noqa: BLE001  pydicom raises many kinds on broken data, all of which mean the same
        raise Refusal("unreadable", f"neither DICOM nor named .nii or .nii.gz ({error_words(error)})") from error
    if kind in (SEGMENTATION, LABEL_MAP):
        return read_segmentation(path, grid, slice_of_sop, phantom)
    if kind != STRUCTURE_SET:
        raise Refusal("segmentation_mismatch", "it is neither a DICOM segmentation nor an RT structure set")
    try:
        contours, images = _contours_of(dataset, phantom)
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise Refusal("unreadable", f"a structure set without its contours ({error_words(error)})") from error
    if slice_of_sop and not images <= set(slice_of_sop):
        n = len(images - set(slice_of_sop))
        raise Refusal(
            "segmentation_mismatch", f"{n} of the {len(images)} images that it was drawn on are not the series'"
        )
    voxels = {roi: _filled(own, grid, roi) for roi, own in contours.items()}
    return merge_labels(voxels, grid.shape, phantom.names)


Contour = tuple[np.ndarray, bool]
"""Points (n, 3) in LPS mm of the edge of an area, and whether it is of the type CLOSEDPLANAR_XOR."""


def _contours_of(dataset, phantom: Phantom) -> tuple[dict[str, list[Contour]], set[str]]:
    """Contours by region, and the SOP instances of the images that they name.

    Structures that are no region (a couch, the outline) are left out, and with a warning contours without an area:
    points, and what has fewer than three different ones.
    """
    names = {}
    for structure in dataset.StructureSetROISequence:
        roi = phantom.named(str(structure.get("ROIName") or ""))
        if roi in names.values():
            raise Refusal("ambiguous_segmentation", f"two structures are named {roi}")
        if roi:
            names[int(structure.ROINumber)] = roi
    missing = [roi for roi in phantom.names if roi not in names.values()]
    if missing:
        known = ", ".join(str(s.get("ROIName") or "") for s in dataset.StructureSetROISequence)[:200]
        raise Refusal("missing_label", f"no structure {few(missing)}; it has {known}")
    found, images, flat = {roi: [] for roi in phantom.names}, set(), Counter()
    for item in dataset.ROIContourSequence:
        roi = names.get(int(item.ReferencedROINumber))
        for contour in (item.get("ContourSequence") or ()) if roi else ():
            kind = str(contour.ContourGeometricType)
            if kind not in AREAS + NO_AREAS:
                raise Refusal("segmentation_mismatch", f"a contour of {roi} is {kind}; CLOSED_PLANAR is needed")
            points = np.array(contour.ContourData or (), float).reshape(-1, 3)
            if not np.isfinite(points).all():
                raise Refusal("unreadable", f"a contour of {roi} has a coordinate that is no number")
            if kind in NO_AREAS or len(np.unique(np.rint(points / SAME_MM), axis=0)) < 3:
                flat[roi] += 1
                continue
            found[roi].append((points, kind == AREAS[1]))
            images |= {str(image.ReferencedSOPInstanceUID) for image in contour.get("ContourImageSequence") or ()}
    for roi, n in flat.items():
        LOG.warning("%d contour%s of %s left out: points and lines have no area", n, "" if n == 1 else "s", roi)
    return found, images


def _outline_key(points: np.ndarray) -> bytes:
    """The same for a contour wherever it begins and whichever way it runs; its last point may repeat the first."""
    steps = np.rint(points / SAME_MM).astype(np.int64)
    steps = steps[:-1] if np.array_equal(steps[0], steps[-1]) else steps
    start = int(np.lexsort(steps.T[::-1])[0])
    forth = np.roll(steps, -start, axis=0)
    back = np.roll(forth[::-1], 1, axis=0)
    return min(forth.tobytes(), back.tobytes())


def _drawn_once(contours: list[Contour], roi: str) -> list[Contour]:
    """Contours without those that repeat another."""
    kept, seen = [], set()
    for points, is_xor in contours:
        key = _outline_key(points)
        if key not in seen:
            kept.append((points, is_xor))
        seen.add(key)
    n = len(contours) - len(kept)
    if n:
        LOG.warning("%d contour%s of %s drawn twice: each counts once", n, " is" if n == 1 else "s are", roi)
    return kept


def _filled(contours: list[Contour], grid: Grid, roi: str) -> np.ndarray:
    """Flat indices of the voxels whose centres lie in a region of closed contours."""
    from matplotlib.path import Path as Outline

    # DICOM combines all contours of a region where it has this type, also two that are equal, which cancel
    combine = _exclusive if any(is_xor for _, is_xor in contours) else _nested
    by_slice: dict[int, list[np.ndarray]] = {}
    rows, columns = np.mgrid[: grid.shape[1], : grid.shape[2]]
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    for points, _ in contours if combine is _exclusive else _drawn_once(contours, roi):
        index = grid.to_index(points)
        k = int(np.rint(index[:, 0].mean()))
        if np.abs(index[:, 0] - k).max() > OFF_SLICE:
            raise Refusal(
                "segmentation_mismatch", f"a contour of {roi} at z {points[0, 2]:g} mm lies on none of the slices"
            )
        if not (np.all(index > -1) and np.all(index < grid.shape)):
            raise Refusal("segmentation_mismatch", f"a contour of {roi} lies outside the series")
        by_slice.setdefault(k, []).append(Outline(index[:, :0:-1], closed=False).contains_points(centres))
    slices = sorted(by_slice)
    if slices and len(slices) < 0.75 * (slices[-1] - slices[0] + 1):
        gaps = f"on {len(slices)} of {slices[-1] - slices[0] + 1} slices"
        raise Refusal("segmentation_mismatch", f"{roi} is drawn {gaps}; interpolate its contours to every slice")
    size = grid.shape[1] * grid.shape[2]
    parts = [
        k * size + np.flatnonzero(combine(by_slice[k], f"{roi} at z {float(grid.to_lps(np.array([k, 0, 0]))[2]):g} mm"))
        for k in slices
    ]
    return np.concatenate(parts) if parts else np.empty(0, int)


def _exclusive(areas: list[np.ndarray], where: str) -> np.ndarray:
    """What lies in an odd number of areas, as DICOM defines it for CLOSEDPLANAR_XOR."""
    return np.logical_xor.reduce(areas)


def _nested(areas: list[np.ndarray], where: str) -> np.ndarray:
    """What lies in closed contours of a slice, each given as the mask (n,) of its inside.

    One within another is a hole, one within that belongs to the region again, as those do that lie apart. DICOM (PS3.3,
    C.8.8.6.3) leaves open what CLOSED_PLANAR contours are that overlap in part: their union, or that less what they
    share. `Refusal` where it is more than `MOST_SHARED` of the smaller.
    """
    areas = sorted(areas, key=np.count_nonzero, reverse=True)
    inside = np.zeros_like(areas[0])
    for number, own in enumerate(areas):
        size, depth = np.count_nonzero(own), 0
        least = MOST_SHARED * size
        for larger in areas[:number]:
            shared = np.count_nonzero(own & larger)
            beyond, left = size - shared, np.count_nonzero(larger) - shared
            apart, within = shared <= least, beyond == 0 or beyond <= least < left
            if not (apart or within):
                raise Refusal(
                    "segmentation_mismatch",
                    f"two contours of {where} overlap in part, and DICOM does not say whether what they share belongs "
                    "to it: join them into one, or write them as CLOSEDPLANAR_XOR where it does not",
                )
            depth += within and not apart
        inside = inside & ~own if depth % 2 else inside | own
    return inside


def _read_nifti(path, grid: Grid, phantom: Phantom) -> np.ndarray:
    """Labels by numbers; a mask on other voxels than the series' is read at the centres of these."""
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
        numbers = sitk.GetArrayFromImage(image)
    except RuntimeError as error:
        raise Refusal("unreadable", "no NIfTI image, or a part of one: it cannot be read") from error
    if numbers.ndim != 3 or not np.array_equal(numbers, np.rint(numbers)):
        raise Refusal("segmentation_mismatch", "it must be a volume of whole numbers")
    known = {int(n): phantom.numbered(int(n)) for n in np.unique(numbers) if n}
    strange = [str(n) for n, roi in known.items() if roi is None]
    if strange:
        raise Refusal("unknown_label", f"the value {few(strange)} is no region's label")
    missing = [roi for roi in phantom.names if roi not in known.values()]
    if missing:
        raise Refusal("missing_label", f"no voxel of {few(missing)}")
    on_grid = _at_centres(numbers, _grid_of(image), grid)
    voxel = float(np.prod(image.GetSpacing())), float(np.prod(grid.spacing_mm))
    voxels = {}
    for roi in phantom.names:
        own = [n for n, name in known.items() if name == roi]
        before, after = np.isin(numbers, own).sum() * voxel[0], np.isin(on_grid, own)
        if abs(after.sum() * voxel[1] - before) > MOST_LOST * before + 4 * max(voxel):
            now = f"{before / 1000:.2f} ml, {after.sum() * voxel[1] / 1000:.2f} ml on the series' voxels"
            raise Refusal("segmentation_mismatch", f"{roi} has {now}: it was drawn on another series")
        voxels[roi] = np.flatnonzero(after)
    return merge_labels(voxels, grid.shape, phantom.names)


def _grid_of(image) -> Grid:
    """Grid (LPS) of a SimpleITK image, whose axes are columns, rows and slices."""
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions[:, ::-1], image.GetOrigin()
    return Grid(image.GetSize()[::-1], affine)


def _at_centres(numbers: np.ndarray, own: Grid, grid: Grid) -> np.ndarray:
    """Values of the nearest voxel at each voxel of another grid, 0 outside."""
    matrix = np.linalg.inv(own.affine) @ grid.affine
    out = np.zeros(grid.shape, np.int64)
    rows, columns = np.mgrid[: grid.shape[1], : grid.shape[2]]
    for k in range(grid.shape[0]):
        at = np.rint(np.stack([np.full(rows.shape, k), rows, columns], -1) @ matrix[:3, :3].T + matrix[:3, 3])
        inside = np.all((at >= 0) & (at < own.shape), axis=-1)
        out[k][inside] = numbers[tuple(at[inside].astype(int).T)]
    return out
