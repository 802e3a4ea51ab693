"""Positions in the reference volume that figures show, and its rendered views.

Positions in a picture are millimetres along the reference's rows and columns from the middle of its paper block.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from scipy.ndimage import gaussian_filter

from ct4bench.core.colours import class_colour
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import bounding_box
from ct4bench.core.regions import Phantom
from ct4bench.figures.style import GRAY_LIMITS_HU, WINDOW_HU
from ct4bench.figures.surfaces import View, box_planes, convex_span, first_inside, sample, shade, soften, trim
from ct4bench.preprocess.pyramids import bin_means
from ct4bench.preprocess.reference import Reference

SEGMENTS_MM = {"test patterns": (1.0, 96.5), "liver": (96.5, 172.5), "thorax": (172.5, 299.6)}
"""The phantom's segments as distances from the block's first face, measured on a series of scanner A1's model."""
BLOCK_MM, CYST1_MM = 299.6, 134.0
"""Length of the block, and distance of cyst1's centre from its first face."""
MARGIN_MM = 6.0
DENSE_HU = 150.0
"""What is denser stays where the block is cut away: printed bone and the wedge."""
RENDER_MM = 1.4
"""Bin of the volume that is rendered."""
BESIDE_HU = 100
"""How far beyond the regions' mean CT values black and white lie at least."""
PIXEL_MM, FINER = 0.8, 2
"""Pixel of a rendered picture, and how many rays a side it averages."""
CUT_SHARE = np.array([0.12, 0.5, 0.5])
"""Where the block is cut away, as shares of its extent: from there on along slices and columns, up to it along rows."""
PAPER_COLOUR, BONE_COLOUR = np.array([0.87, 0.84, 0.78]), np.array([0.95, 0.90, 0.80])


@dataclass(frozen=True)
class ReferenceView:
    """The reference made ready for drawing: positions of block and segments, and each ROI's extent."""

    reference: Reference
    middle: np.ndarray
    """Index (3,) of the block's middle."""
    first_face_mm: float
    """Where the block's first face lies or would lie, along slices from voxel 0."""
    rois: dict[str, tuple[slice, slice, slice]]
    """Bounding box of each ROI in voxels."""
    areas: np.ndarray
    """Voxels (ROIs, slices) of each ROI in each slice."""
    gray_hu: tuple[float, float] = GRAY_LIMITS_HU
    """CT values of black and white."""

    @property
    def phantom(self) -> Phantom:
        """What was scanned."""
        return self.reference.phantom

    def colour(self, roi: str) -> str:
        """Return the colour of a ROI's tissue."""
        return class_colour(self.phantom.tissue_of(roi), self.phantom.tissues)

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size (3,) along slice, row, column."""
        return np.array(self.reference.grid.spacing_mm)

    def box(self, axis: int) -> slice:
        """Return the voxels of the block along an axis with a margin, inside the grid."""
        low, high = self.reference.block.box[axis]
        margin = int(round(MARGIN_MM / self.spacing_mm[axis]))
        return slice(max(0, low - margin), min(self.reference.grid.shape[axis], high + margin))

    def edges_mm(self, axis: int, part: slice) -> tuple[float, float]:
        """Return both outer edges of voxels `part` along an axis, from the block's middle."""
        return tuple(float((e - 0.5 - self.middle[axis]) * self.spacing_mm[axis]) for e in (part.start, part.stop))

    def extent_mm(self, rows: slice, columns: slice) -> tuple[float, float, float, float]:
        """Return the left, right, bottom, top edge of an axial picture from the block's middle."""
        left, right = self.edges_mm(2, columns)
        top, bottom = self.edges_mm(1, rows)
        return left, right, bottom, top

    def slice_mm(self, k: float) -> float:
        """Return the position of slice `k` as distance from the block's first face."""
        return float(k * self.spacing_mm[0] - self.first_face_mm)

    def slice_at(self, position_mm: float) -> int:
        """Return the slice nearest to a distance from the block's first face."""
        return int(round((position_mm + self.first_face_mm) / self.spacing_mm[0]))

    def axial(self, k: int, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return a part of one slice (int16 HU)."""
        return self.reference.read("volume", (slice(k, k + 1), rows, columns))[0]

    def best_slice(self) -> int:
        """Return the slice that cuts the most ROIs; of those, the one with the largest area of its smallest."""
        count = (self.areas > 0).sum(axis=0)
        smallest = np.where(self.areas > 0, self.areas, np.iinfo(int).max).min(axis=0)
        return max(range(len(count)), key=lambda k: (count[k], smallest[k] if count[k] else 0, -k))


def _face_position_mm(reference: Reference, middle: np.ndarray, side: int) -> float:
    """Where the line along slices through the block's middle meets its first or last face, in mm from voxel 0."""
    grid, face = reference.grid, reference.block.faces[side]
    normal = np.array(face.normal)
    start = grid.to_lps([0.0, middle[1], middle[2]])
    k = (face.offset_mm - normal @ start) / (normal @ grid.affine[:3, 0])
    return float(k * grid.spacing_mm[0])


def gray_limits(means_hu: list[float]) -> tuple[float, float]:
    """Return CT values of black and white in which all regions of a phantom are seen, by their means: at least as far
    apart as the benchmark's, in whole steps of 50 HU."""
    low, high = min(means_hu) - BESIDE_HU, max(means_hu) + BESIDE_HU
    more = max(0.0, 0.5 * (WINDOW_HU - (high - low)))
    return float(50 * np.floor((low - more) / 50)), float(50 * np.ceil((high + more) / 50))


def make_view(reference: Reference) -> ReferenceView:
    """Make what the figures need to know of a reference; `UserError` where a ROI is not in its labels.

    The segments are placed by a face of the block that the volume holds, in a slab by the centre of cyst1.
    """
    labels, phantom = reference.read("labels"), reference.phantom
    areas = np.stack([(labels == i).sum(axis=(1, 2)) for i in range(1, len(phantom.regions) + 1)])
    rois = {}
    for i, roi in enumerate(phantom.names):
        slices = np.flatnonzero(areas[i])
        if not len(slices):
            raise UserError(f"{reference.folder} has no voxel of {roi}; prepare the reference again with all its ROIs")
        part = slice(int(slices[0]), int(slices[-1]) + 1)
        _, rows, columns = bounding_box(labels[part] == i + 1)
        rois[roi] = (part, rows, columns)
    middle = reference.grid.to_index(reference.block.centre_mm)
    first, last = reference.block.faces[:2]
    if not first.cut:
        first_face_mm = _face_position_mm(reference, middle, 0)
    elif not last.cut:
        first_face_mm = _face_position_mm(reference, middle, 1) - BLOCK_MM
    else:
        centre = np.average(np.arange(areas.shape[1]), weights=areas[phantom.names.index(phantom.main_region)])
        first_face_mm = float(centre * reference.grid.spacing_mm[0]) - CYST1_MM
    limits = GRAY_LIMITS_HU
    if not phantom.is_published:
        inside = [reference.read("volume", box)[labels[box] == i] for i, box in enumerate(rois.values(), 1)]
        limits = gray_limits([float(hu.mean()) for hu in inside])
    return ReferenceView(reference, middle, first_face_mm, rois, areas, limits)


def _gray(hu: np.ndarray) -> np.ndarray:
    return np.clip((hu - GRAY_LIMITS_HU[0]) / WINDOW_HU, 0, 1)


def _binned(reference: Reference, factors: tuple[int, int, int]) -> np.ndarray:
    """Bin means (float32) of the reference volume, lightly smoothed, read a few slices at a time."""
    n, thick, parts = reference.grid.shape[0] // factors[0], 16, []
    for first in range(0, n, thick):
        part = slice(first * factors[0], min(n, first + thick) * factors[0])
        parts.append(bin_means(reference.read("volume", (part, slice(None), slice(None))), factors))
    return gaussian_filter(np.concatenate(parts), 0.8, output=np.float32)


def render_block(frame: ReferenceView) -> np.ndarray:
    """Render the block (rows, columns, 3), a part cut away: CT values on the cuts, dense print left standing."""
    reference = frame.reference
    grid, spacing, faces = reference.grid, frame.spacing_mm, reference.block.faces
    factors = tuple(max(1, int(round(RENDER_MM / s))) for s in spacing)
    small = _binned(reference, factors)
    bin_mm = spacing * factors
    # Positions count from the first voxel's centre; that of the first bin lies half a bin less half a voxel further.
    shift = 0.5 * (bin_mm - spacing)
    box = np.array(reference.block.box) * spacing[:, None]
    low, high = box[:, 0], box[:, 1] - spacing
    view = View.on_box(low, high, azimuth_deg=35, elevation_deg=25, pixel_mm=PIXEL_MM / FINER)
    normals = np.array([np.array(face.normal) @ grid.affine[:3, :3] / spacing for face in faces])
    offsets = np.array([face.offset_mm - np.array(face.normal) @ grid.origin_mm for face in faces])
    cut = low + (high - low) * CUT_SHARE
    enter, leave = convex_span(view, normals, offsets)
    # What is cut away lies above, in front, and on the patient's left.
    enter_cut, leave_cut = convex_span(view, np.diag([-1.0, 1.0, -1.0]), cut * [-1.0, 1.0, -1.0])
    gone = np.isfinite(enter) & (enter_cut <= enter) & (enter < leave_cut)

    def hu(points):
        return sample(small, bin_mm, points - shift)

    start = np.where(gone, enter, np.inf)
    dense = first_inside(view, lambda points: hu(points) > DENSE_HU, start, np.minimum(leave_cut, leave), 2.0)
    standing = np.isfinite(dense)
    behind = np.where(gone, np.where(leave_cut < leave, leave_cut, np.inf), enter)
    depth = np.where(standing, dense, behind)
    hit = np.isfinite(depth)
    points = view.points(*np.indices(view.shape), np.where(hit, depth, 0.0))
    colour = np.repeat(0.08 + 0.92 * _gray(hu(points + 0.7 * view.away))[..., None], 3, axis=2)
    for face, normal, offset in zip(faces, normals, offsets, strict=True):
        if not face.cut:
            colour[~gone & (np.abs(points @ normal - offset) < 1e-6)] = PAPER_COLOUR
    colour[standing] = BONE_COLOUR
    return trim(soften(np.where(hit[..., None], colour * shade(depth, view.pixel_mm)[..., None], 1.0), FINER))[0]


def render_rois(frame: ReferenceView) -> tuple[np.ndarray, dict[str, np.ndarray], float]:
    """Render the six ROIs as solids above an axial slice.

    Returns the picture (rows, columns, 3), the pixel (column, row) of each ROI's middle, and the slice's position
    in mm.
    """
    spacing = frame.spacing_mm
    block = np.array(frame.reference.block.box) * spacing[:, None]
    k = max(frame.box(0).start, min(box[0].start for box in frame.rois.values()) - int(round(4 / spacing[0])))
    top = max(box[0].stop for box in frame.rois.values()) * spacing[0]
    low, high = np.array([k * spacing[0], *block[1:, 0]]), np.array([top, *(block[1:, 1] - spacing[1:])])
    view = View.on_box(low, high, azimuth_deg=-20, elevation_deg=38, pixel_mm=PIXEL_MM / FINER)
    start = view.points(*np.indices(view.shape), np.zeros(view.shape))
    depth = (low[0] - start[..., 0]) / view.away[0]
    floor = start + depth[..., None] * view.away
    on_floor = ((floor >= low) & (floor <= high))[..., 1:].all(axis=-1)
    depth = np.where(on_floor, depth, np.inf)
    plane = np.repeat(frame.axial(k).astype(np.float32)[None], 2, axis=0)
    gray = _gray(sample(plane, spacing, floor * np.array([0, 1, 1])))
    picture = np.where(on_floor[..., None], 0.2 + 0.7 * gray[..., None], 1.0).repeat(3, axis=2)
    middles = {}
    for number, (roi, box) in enumerate(frame.rois.items(), start=1):
        pad = [int(np.ceil(4 / s)) for s in spacing]
        wide = tuple(slice(max(0, b.start - p), b.stop + p) for b, p in zip(box, pad, strict=True))
        mask = (frame.reference.read("labels", wide) == number).astype(np.float32)
        mask = gaussian_filter(mask, 1.2 / spacing)
        origin = np.array([s.start for s in wide]) * spacing
        span = convex_span(view, *box_planes(origin, origin + (np.array(mask.shape) - 1) * spacing))

        def inside(points, mask=mask, origin=origin):
            return sample(mask, spacing, points - origin) > 0.5

        own = first_inside(view, inside, *span, 1.5)
        first = own < depth
        colour = np.array(to_rgb(frame.colour(roi)))
        picture[first] = (colour * shade(own, view.pixel_mm)[..., None])[first]
        depth = np.where(first, own, depth)
        middle_mm = [0.5 * (b.start + b.stop) * s for b, s in zip(box, spacing, strict=True)]
        middles[roi] = view.project(middle_mm) / FINER
    picture, corner = trim(soften(picture, FINER))
    return picture, {roi: pixel - corner for roi, pixel in middles.items()}, frame.slice_mm(k)
