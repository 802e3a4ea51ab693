"""Making the reference: read once, turned to the axes of the patient, cut to the block, its grid the common one."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import BOX_SPACING_MM, BOXES, PATCH_SHAPE
from ct4bench.core.checks import Checks
from ct4bench.core.errors import Refusal, UserError, few
from ct4bench.core.geometry import Grid, Rigid, bounding_box
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.index.ct import read_segmentation, read_series, read_stack
from ct4bench.index.files import locate
from ct4bench.index.masks import read_mask
from ct4bench.index.segmentation import FEWEST_VOXELS
from ct4bench.preprocess.block import Block, on_grid
from ct4bench.preprocess.body import find_body
from ct4bench.preprocess.find_block import find_block
from ct4bench.preprocess.reference import save_reference
from ct4bench.preprocess.resampling import lost_noise_variance, resample, resample_labels
from ct4bench.preprocess.select import files_of_reference, find_reference, name_of
from ct4bench.preprocess.verify import check_reading

LOG = logging.getLogger(__name__)
MARGIN_MM = 14.0
"""What is kept round the block: the registration looks up to 13 mm beyond its faces."""
PATCH_MARGIN_MM = 4.0
"""What is kept round the patches of the ROIs."""
OBLIQUE_DEG = 0.1


def along_patient_axes(array: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Return the volume with slices, rows and columns ascending along z, y and x of the patient, by flips and swaps
    only.

    No voxel is interpolated. `UserError` where an axis is more than `OBLIQUE_DEG` off those of the patient.
    """
    axes = grid.affine[:3, :3] / np.array(grid.spacing_mm)
    nearest = np.abs(axes).argmax(axis=0)
    off_deg = np.rad2deg(np.arccos(np.clip(np.abs(axes).max(axis=0), 0, 1))).max()
    if off_deg > OBLIQUE_DEG or len(set(nearest)) < 3:
        raise UserError(
            f"the reference's axes are {off_deg:.1f} degrees off those of the patient; the common grid must lie along "
            "them: name a series with axial slices by --reference"
        )
    order = [int(np.flatnonzero(nearest == axis)[0]) for axis in (2, 1, 0)]
    flips = [axis for axis, old in enumerate(order) if axes[2 - axis, old] < 0]
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, order]
    array = array.transpose(order)
    last = np.zeros(3)
    last[flips] = np.array(array.shape)[flips] - 1
    affine[:3, 3] += affine[:3, :3] @ last
    affine[:3, flips] *= -1
    return np.ascontiguousarray(np.flip(array, flips)), Grid(array.shape, affine)


def _boxes_mm(grid: Grid, box_origin_mm) -> list[np.ndarray]:
    """The published boxes as (3, 2) mm along slice, row, column from voxel 0 of `grid`."""
    shift = (np.asarray(box_origin_mm) - grid.origin_mm)[::-1]
    return [np.array(box) * np.array(BOX_SPACING_MM)[:, None] + shift[:, None] for box in BOXES.values()]


def crop_box(grid: Grid, block: Block, labels: np.ndarray, box_origin_mm=None) -> tuple[slice, slice, slice]:
    """Return the part of the reference that anything reads: block, patches of every ROI and, where `box_origin_mm` is
    given, the published boxes, with margins."""
    spacing = np.array(grid.spacing_mm)
    parts = [np.array(block.box) * spacing[:, None] + [-MARGIN_MM, MARGIN_MM]]
    half = np.array(PATCH_SHAPE) / 2 * spacing + PATCH_MARGIN_MM
    parts.append(label_box(labels) * spacing[:, None] + half[:, None] * [-1, 1])
    extent = np.array(grid.shape) * spacing
    boxes = [] if box_origin_mm is None else _boxes_mm(grid, box_origin_mm)
    parts += [box for box in boxes if np.all((box[:, 1] > 0) & (box[:, 0] < extent))]
    low, high = np.min([p[:, 0] for p in parts], axis=0), np.max([p[:, 1] for p in parts], axis=0)
    first = np.clip(np.floor(low / spacing), 0, None).astype(int)
    stop = np.minimum(np.ceil(high / spacing).astype(int) + 1, grid.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))


def label_box(labels: np.ndarray) -> np.ndarray:
    """Return the half open voxel ranges (3, 2) of all that is labelled."""
    box = bounding_box(labels)
    if box is None:
        raise UserError("the reference's segmentation is empty; name another one with --reference")
    return np.array([(part.start, part.stop) for part in box])


def patch_region(labels: np.ndarray, within=None) -> list[list[int]]:
    """Return the half open voxel ranges along slice, row, column that the patches of all ROIs can lie in, cut to the
    volume, or to the ranges `within`."""
    half = np.array(PATCH_SHAPE)[:, None] // 2 * [-1, 1]
    box = label_box(labels) + half - [0, 1]
    ends = np.array([(0, n) for n in labels.shape] if within is None else within)
    return np.clip(box, ends[:, :1], ends[:, 1:]).tolist()


def spaced_grid(grid: Grid, spacing_mm) -> Grid:
    """Return the grid of other voxel size (slice, row, column) over the centres of `grid`, from its first voxel on.

    The same size gives `grid` itself.
    """
    if np.allclose(spacing_mm, grid.spacing_mm, rtol=1e-6, atol=0):
        return grid
    reach = (np.array(grid.shape) - 1) * np.array(grid.spacing_mm)
    shape = np.floor(reach / np.array(spacing_mm) + 1e-6).astype(int) + 1
    if np.any(shape < np.array(PATCH_SHAPE)):
        raise UserError(
            f"--spacing gives a common grid of {' x '.join(map(str, shape))} voxels (slices, rows, columns), smaller "
            f"than a patch of {' x '.join(map(str, PATCH_SHAPE))}; give smaller voxels"
        )
    return Grid.axis_aligned(tuple(shape), spacing_mm, grid.origin_mm)


def moved_grid(grid: Grid, share: float) -> Grid:
    """Return the grid moved by a share of a voxel along slice, row and column, so that none of its voxels is one of
    `grid`; without a move `grid` itself."""
    if not share:
        return grid
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps([share] * 3)
    return Grid(grid.shape, affine)


def build_reference(
    volume,
    labels,
    grid: Grid,
    spacing_mm=None,
    box_origin_mm=None,
    move: float = 0.0,
    interpolator: str = "linear",
    phantom: Phantom = CT4HARMONIZATION,
) -> tuple:
    """Build the volume, labels, grid, block, values of reference.json, and own voxels of a series on axes along the
    patient's.

    Where `phantom` has no printed block, its body round the regions stands in the block's place.

    The default grid is the series' own, cut to what anything reads, and its voxels pass as they are. `move` (voxels)
    moves that grid, and `spacing_mm` (slice, row, column) lays another one: volume and labels are then resampled once,
    as every series is, and the own voxels (volume, grid) kept beside them, for series are registered to what no
    interpolation has touched.
    """
    origin = [float(v) for v in (grid.origin_mm if box_origin_mm is None else box_origin_mm)]
    block = find_block(volume, grid) if phantom.printed_block else find_body(volume, labels, grid, phantom)[1]
    box = crop_box(grid, block, labels, origin if phantom.printed_block else None)
    cropped = grid.crop(box)
    target = moved_grid(cropped, move) if spacing_mm is None else spaced_grid(cropped, spacing_mm)
    if target is cropped:
        volume, labels, lost, own = np.ascontiguousarray(volume[box]), np.ascontiguousarray(labels[box]), 0.0, None
    else:
        still, own = Rigid.identity(), (np.ascontiguousarray(volume[box]), cropped)
        lost = lost_noise_variance(grid, target, still, interpolator)
        volume = resample(volume, grid, target, still, interpolator)
        labels = resample_labels(labels, grid, target)
    counts = np.bincount(labels.ravel(), minlength=len(phantom.names) + 1)[1:]
    missing = [roi for roi, n in zip(phantom.names, counts, strict=False) if not n]
    if missing:
        raise UserError(f"the reference's segmentation has no voxel of {few(missing)}; name another --reference")
    small = [f"{roi} has {n}" for roi, n in zip(phantom.names, counts, strict=False) if n < FEWEST_VOXELS]
    if small:
        raise UserError(
            f"on the common grid {few(small)} of at least {FEWEST_VOXELS} voxels; give smaller voxels "
            "by --spacing, or name another --reference"
        )
    block = on_grid(block, target)
    values = {
        "box_origin_mm": origin,
        "full_grid": grid.to_dict(),
        "lost_noise_variance": lost,
        # a series need not reach beyond a phantom whose regions lie at its ends
        "patch_region": patch_region(labels, None if phantom.printed_block else block.box),
    }
    return volume, labels, target, block, values, own


def prepare_reference(
    series: pd.DataFrame,
    files: pd.DataFrame,
    folders,
    reference: str,
    output: Path | str,
    spacing_mm=None,
    box_origin_mm=None,
    threads: int = 1,
    checks: Checks | None = None,
    move: float = 0.0,
    interpolator: str = "linear",
    phantom: Phantom = CT4HARMONIZATION,
    mask: Path | str | None = None,
) -> None:
    """Write the folder `output` of the series that `reference` names (see `select.find_reference`).

    The regions of `phantom` are in the series' own segmentation, or in the file `mask`, which then serves all series.

    `folders` are those of the series' slices and segmentation in the order of `files.folders_of`; `move` and
    `interpolator` as in `build_reference`. `spacing_mm` is
    (slice, row, column). A slice is read anew by pydicom, and counted in `checks`: `UserError` where it differs.
    """
    uid = find_reference(series, reference)
    located = locate(files_of_reference(files, uid, ("ct",) if mask else ("ct", "seg")), folders)
    row = next(series[series["series_uid"] == uid].itertuples())
    try:
        paths = located.loc[located["role"] == "ct", "file"].tolist()
        sops = {s.sop_uid: k for k, s in enumerate(read_stack(paths, threads).slices)}
        volume, grid = read_series(paths, threads)
        check_reading(Checks() if checks is None else checks, uid, paths, volume, grid)
        if mask:
            labels = read_mask(mask, grid, sops, phantom)
        else:
            (seg_path,) = located.loc[located["role"] == "seg", "file"].tolist()
            labels = read_segmentation(seg_path, grid, sops, phantom)
    except Refusal as error:
        raise UserError(
            f"the reference {name_of(row)} ({uid}) cannot be read: {error.reason}, {error}; mend it or name another "
            "one with --reference"
        ) from error
    except ValueError as error:
        raise UserError(f"the reference {uid} has more than one segmentation; index the input again") from error
    labels, _ = along_patient_axes(labels, grid)
    volume, grid = along_patient_axes(volume, grid)
    volume, labels, target, block, values, own = build_reference(
        volume, labels, grid, spacing_mm, box_origin_mm, move, interpolator, phantom
    )
    attributes = {"series_uid": uid, "name": name_of(row), **values}
    if not phantom.is_published:
        attributes["phantom"] = phantom.to_dict()
    if mask:
        attributes["one_mask"] = True
    body = None if phantom.printed_block else find_body(volume, labels, target, phantom)[0]
    save_reference(output, volume, labels, target, block, attributes, own, body)
    LOG.info("reference %s on %d x %d x %d voxels", name_of(row), *target.shape)
