"""What a method of images at level `calibration` is told of the phantom: boxes of a reference's grid.

A registered volume shows the same place of the phantom in the same voxel, so that boxes found once in the reference
hold for all. They are those that the profiles measure, and they have no names: which region is of which tissue is not
told.
"""

from ct4bench.core.benchmark import ROIS
from ct4bench.preprocess.reference import Reference
from ct4bench.profiles.profiler import Profiler

STEPS = ("wedge_to_liver", "dots_to_wedge")
"""Steps of the print: along slices, and along columns."""
INNER = 0.27
"""Half of an inner box's side over the region's extent: a box inscribed in an ellipsoid has 0.29."""


def describe_phantom(reference: Reference) -> dict:
    """Return where the phantom lies in the volumes of a reference's grid: `boxes_of` its profiler."""
    volume, labels = reference.read("volume"), reference.read("labels")
    return boxes_of(Profiler(volume, labels, reference.grid, reference.block, reference.box_origin_mm))


def boxes_of(profiler: Profiler) -> dict:
    """Return where what a profiler has found lies, as values of JSON.

    A box is [first, stop) in voxels along slices, rows and columns. `wedge`: the printed ramp, whose HU rise with the
    row; `homogeneous`: the inside of a plain region; `regions`: the inside of each region, in an order without meaning;
    `steps`: box, `axis` across the step, its place `at_mm` from the box's first voxel, and `period_mm` of the pattern
    on its lower side, or null. What the volume does not hold is absent.
    """
    found: dict = {"regions": sorted(_inner_boxes(profiler)), "steps": []}
    if profiler.wedge:
        found["wedge"] = _box(profiler.wedge[0])
    if profiler.homogeneous:
        found["homogeneous"] = _box(profiler.homogeneous)
    for name in STEPS:
        if name in profiler.steps:
            window, axis, position_mm, period_mm = profiler.steps[name]
            grid = profiler.grid
            first_mm = grid.origin_mm[2 - axis] + grid.spacing_mm[axis] * window[axis].start
            step = {"box": _box(window), "axis": axis, "at_mm": float(position_mm - first_mm), "period_mm": period_mm}
            found["steps"].append(step)
    return found


def _box(window) -> list[list[int]]:
    return [[int(part.start), int(part.stop)] for part in window]


def _inner_boxes(profiler: Profiler) -> list[list[list[int]]]:
    """Boxes about the regions' middles, those that lie wholly in them."""
    found = []
    for roi, bounds in profiler.roi_box.items():
        middle, half = zip(*((0.5 * (b.start + b.stop), INNER * (b.stop - b.start)) for b in bounds), strict=True)
        box = [[round(m - h), max(round(m + h), round(m - h) + 1)] for m, h in zip(middle, half, strict=True)]
        inside = profiler.labels[tuple(slice(*ends) for ends in box)] == ROIS.index(roi) + 1
        if inside.size and inside.all():
            found.append(box)
    return found
