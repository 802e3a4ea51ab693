"""Computing a plan of pairs on registered volumes within a bound of memory.

Volumes are worked through in slabs of rows: a slab of every volume of the batch is read, with its local moments, then
every pair adds its sums of that slab. The rows that the next slab's windows reach back to are kept, so each voxel is
read once however many pairs its volume has, and memory depends on the slab, not on the volume. A pair filters its
products along rows and columns first, then along slices, all of which a slab has: thin slabs cost it little.
"""

# code-table: <method>/pairs.parquet

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import BOX_SPACING_MM, BOXES
from ct4bench.core.checks import Checks
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, bounding_box
from ct4bench.core.json_files import REFERENCE, read_reference_values
from ct4bench.core.metrics import PAIR_METRICS, PAIR_VALUES
from ct4bench.core.volumes import SUFFIX, open_volume
from ct4bench.pairs.similarity import (
    HU_RANGE,
    REACH,
    Similarity,
    combine,
    intensity_sums,
    local_moments,
    pair_sums,
    shrink,
    shrink_mask,
    windows_inside,
)
from ct4bench.pairs.verify import check_pair, drawn, middle_box

PAIR_COLUMNS = columns_of("<method>/pairs.parquet", metric=PAIR_VALUES)

SLAB_BYTES = 1.0e9
"""What the slabs of all volumes of a batch may take."""
FEWEST_ROWS = 12
BATCH_SIDE = 28
"""Where a task's volumes do not fit in slabs of `FEWEST_ROWS`, pairs are computed in tiles of up to so many volumes on
either side. Wider tiles read volumes less often, thinner slabs multiply the rows of products that two slabs share."""


@dataclass(frozen=True)
class PairRegion:
    """Where pairs are compared: `box` in voxels of the reference grid, then bins of `shrink`^3 voxels.

    `inside` and `windows` (uint8, of the shrunk box; each axis 10 shorter) tell which voxels and which SSIM windows
    count.
    """

    box: tuple[slice, slice, slice]
    shrink: int
    inside: np.ndarray
    windows: np.ndarray

    @classmethod
    def of_mask(cls, box: tuple[slice, slice, slice], shrink: int, mask: np.ndarray) -> "PairRegion":
        """Return the PairRegion of a mask (uint8, of the shape of the unshrunk box)."""
        inside = shrink_mask(mask, shrink)
        return cls(box, shrink, inside, windows_inside(inside))

    def part(self, bins: tuple[slice, slice, slice]) -> "PairRegion":
        """Return the part of the region in a box of its bins."""
        inside = np.ascontiguousarray(self.inside[bins])
        box = tuple(
            slice(whole.start + own.start * self.shrink, whole.start + own.stop * self.shrink)
            for whole, own in zip(self.box, bins, strict=True)
        )
        return PairRegion(box, self.shrink, inside, windows_inside(inside))


def box_in_grid(name: str, grid: Grid, origin_mm) -> tuple[slice, slice, slice]:
    """Return a published box as voxels of `grid`, cut to its extent.

    `origin_mm` (x, y, z) is where voxel 0 of the box's own grid lies. A voxel belongs to the box where its centre does.
    """
    offset = grid.to_index(origin_mm)
    box = []
    for axis, (low, high) in enumerate(BOXES[name]):
        position = (np.arange(grid.shape[axis]) - offset[axis]) * grid.spacing_mm[axis] / BOX_SPACING_MM[axis]
        # A grid that was written with rounded numbers must not lose a voxel at an edge that falls between two.
        chosen = np.flatnonzero((position >= low - 0.5 + 1e-3) & (position < high - 0.5 + 1e-3))
        if not len(chosen):
            edges = f"{position[0]:.0f} to {position[-1]:.0f}"
            raise UserError(
                f"the {name} of the paper (voxels {low} to {high} along {('slices', 'rows', 'columns')[axis]}) lies "
                f"outside the reference volume ({edges}); prepare the reference again with --box_origin_mm, the "
                "position x,y,z of voxel 0 of the full grid, or use --mode corrected, which takes the block instead"
            )
        box.append(slice(int(chosen[0]), int(chosen[-1]) + 1))
    return tuple(box)


def _reference_grid(reference: Path) -> tuple[Grid, list[float]]:
    """Grid of the folder `reference`, and where voxel 0 of the full grid lies from which the published boxes count."""
    values = read_reference_values(reference)
    try:
        origin_mm = [float(v) for v in values["box_origin_mm"]]
        if len(origin_mm) != 3:
            raise ValueError("box_origin_mm is not x, y, z")
        return Grid.from_dict(values["grid"]), origin_mm
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{reference / REFERENCE} cannot be used ({error!r}); run prepare_reference.py again"
        ) from error


def make_region(name: str, factor: int, reference: Path) -> PairRegion:
    """Make the region `name` (a key of `BOXES`, or `mask`: the filled block) shrunk by `factor`, from the folder
    `reference`."""
    if name in BOXES:
        box = box_in_grid(name, *_reference_grid(reference))
        return PairRegion.of_mask(box, factor, np.ones([s.stop - s.start for s in box], np.uint8))
    if name != "mask":
        raise UserError(f"the plan names the region {name!r}; known are mask, {', '.join(BOXES)}: plan the pairs again")
    block = open_volume(reference / f"block{SUFFIX}").read()
    box = bounding_box(block)
    if box is None:
        raise UserError(f"{reference}/block{SUFFIX} is empty; prepare the reference again")
    return PairRegion.of_mask(box, factor, (block[box] > 0).astype(np.uint8))


def slab_rows(n_volumes: int, region: PairRegion) -> int:
    """Return the rows of a slab such that `n_volumes` of them fit in `SLAB_BYTES`."""
    row = region.inside.shape[0] * region.inside.shape[2]
    voxel = 2 if region.shrink == 1 else 4
    return int((SLAB_BYTES / (n_volumes * row) - 2 * REACH * voxel) / (voxel + 8))


def _even(n: int, most: int) -> list[tuple[int, int]]:
    """Parts (start, stop) of 0 to n of nearly equal size, none greater than `most`."""
    n_parts = -(-n // max(1, most))
    edges = [i * n // n_parts for i in range(n_parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def batches(pairs: list[tuple[str, str]], region: PairRegion) -> list[list[tuple[str, str]]]:
    """Group the pairs so that the volumes of a group fit in memory together."""
    n_volumes = len({uid for pair in pairs for uid in pair})
    depth = min(FEWEST_ROWS, region.inside.shape[1])
    if slab_rows(n_volumes, region) >= depth:
        return [pairs]
    sides = [list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1)]
    # Where the sides share volumes, one division serves both: pairs within a tile need no more than that tile.
    lists = sides if set(sides[0]).isdisjoint(sides[1]) else [list(dict.fromkeys([*sides[0], *sides[1]]))]
    tiles = [uids[slice(*part)] for uids in lists for part in _even(len(uids), BATCH_SIDE)]
    tile_of = {uid: number for number, uids in enumerate(tiles) for uid in uids}
    groups: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for a, b in pairs:
        groups.setdefault(tuple(sorted((tile_of[a], tile_of[b]))), []).append((a, b))
    return [groups[numbers] for numbers in sorted(groups)]


def compare_batch(
    pairs: list[tuple[str, str]], read: Callable[[str, tuple], np.ndarray], region: PairRegion, threads: int = 1
) -> dict[tuple[str, str], Similarity]:
    """Compute the metrics of pairs of different series. `read(uid, box)` gives int16 voxels (HU) of a box of the
    reference grid."""
    n_slices, n_rows, n_columns = region.inside.shape
    uids = sorted({uid for pair in pairs for uid in pair})
    indices = np.array([[uids.index(a), uids.index(b)] for a, b in pairs])
    slabs = _even(n_rows, slab_rows(len(uids), region))
    depth = max(stop - start for start, stop in slabs)
    inner = max(0, n_slices - 2 * REACH), depth, max(0, n_columns - 2 * REACH)
    voxels = np.empty(
        (len(uids), n_slices, depth + 2 * REACH, n_columns), np.int16 if region.shrink == 1 else np.float32
    )
    means, variances = (np.empty((len(uids), *inner), np.float32) for _ in range(2))
    squared = np.zeros((len(pairs), n_rows))
    unlike = np.zeros((len(pairs), region.windows.shape[1]))
    intensities = np.zeros((len(uids), n_rows, 3))
    whole = bool(region.inside.all() and region.windows.all())
    shares = [share for share in np.array_split(np.arange(len(pairs)), threads) if len(share)]
    held = 0, 0
    with ThreadPoolExecutor(threads) as pool:
        for start, stop in slabs:
            # The slab has a margin for the windows that are centred in it.
            low, high = max(0, start - REACH), min(n_rows, stop + REACH)
            first, kept = start - low, max(0, held[1] - low)
            windows = slice(low, max(low, high - 2 * REACH))
            inside = np.ascontiguousarray(region.inside[:, start:stop])
            fitting = np.ascontiguousarray(region.windows[:, windows])
            source = slice(low - held[0], held[1] - held[0])
            at = region.box[1].start + region.shrink * (low + kept), region.box[1].start + region.shrink * high

            def load(i, source=source, kept=kept, at=at, first=first, inside=inside, n=high - low, slab=(start, stop)):
                voxels[i, :, :kept] = voxels[i, :, source].copy()
                new = np.clip(read(uids[i], (region.box[0], slice(*at), region.box[2])), *HU_RANGE)
                voxels[i, :, kept:n] = shrink(new, region.shrink) if region.shrink > 1 else new
                intensities[i, slice(*slab)] = intensity_sums(voxels[i], inside, first)
                local_moments(voxels[i], (means[i], variances[i]), n)

            def add(share, first=first, inside=inside, fitting=fitting, windows=windows, slab=(start, stop)):
                sums = pair_sums(voxels, means, variances, inside, fitting, indices[share], first, whole)
                squared[share, slice(*slab)], unlike[share, windows] = sums

            list(pool.map(load, range(len(uids))))
            list(pool.map(add, shares))
            held = low, high
    n_voxels, n_windows = int(region.inside.sum()), int(region.windows.sum())
    return {
        pair: combine(
            squared[k], unlike[k], intensities[indices[k, 0]], intensities[indices[k, 1]], n_voxels, n_windows
        )
        for k, pair in enumerate(pairs)
    }


def compare_plan(
    plan: pd.DataFrame,
    read: Callable[[str, tuple], np.ndarray],
    region_of: Callable[[str, int], PairRegion],
    threads: int = 1,
    checks: Checks | None = None,
) -> pd.DataFrame:
    """Compute the metrics of every row of `plan`, in its order, as the columns `PAIR_COLUMNS`.

    Each pair is computed once, however many rows name it and in whichever order. A series with itself has the values
    that metrics have by definition (RMSE 0). One pair of each region is computed anew by NumPy and SciPy, of a large
    region its middle, and counted in `checks`: `UserError` where it differs.
    """
    checks = Checks() if checks is None else checks
    found: dict[tuple, Similarity] = {}
    for (name, factor), rows in plan.groupby(["region", "shrink"], sort=True):
        region = region_of(name, int(factor))
        pairs = {tuple(sorted(p)): p for p in zip(rows["series_uid_a"], rows["series_uid_b"], strict=True)}
        different = [pair for key, pair in pairs.items() if key[0] != key[1]]
        inside = int(region.inside.sum())
        for key in (key for key in pairs if key[0] == key[1]):
            found[name, factor, *key] = Similarity(inside, **{metric.name: metric.of_self for metric in PAIR_METRICS})
        for batch in batches(different, region) if different else []:
            for pair, values in compare_batch(batch, read, region, threads).items():
                found[name, factor, *sorted(pair)] = values
        if different:
            pair = drawn(different, f"{name} {factor} {rows['task'].iloc[0]}")
            middle = middle_box(region.inside.shape)
            part = region.part(middle)
            whole = part.inside.shape == region.inside.shape
            own = found[name, factor, *sorted(pair)] if whole else compare_batch([pair], read, part, threads)[pair]
            check_pair(checks, pair, read, part, own)
    keys = zip(plan["region"], plan["shrink"], plan["series_uid_a"], plan["series_uid_b"], strict=True)
    values = pd.DataFrame(
        [vars(found[name, factor, *sorted(pair)]) for name, factor, *pair in keys],
        columns=list(Similarity.__dataclass_fields__),
    )
    return pd.concat([plan.reset_index(drop=True), values], axis=1)[PAIR_COLUMNS]


def compare_task(
    plan: pd.DataFrame, task: str, volumes: Path, reference: Path, threads: int = 1, checks: Checks | None = None
) -> pd.DataFrame:
    """Compute the rows of `plan` that `task` names on `volumes`/<series_uid>.b2nd and the folder `reference`; `checks`
    as in `compare_plan`."""
    rows = plan[plan["task"] == task]
    if rows.empty:
        known = ", ".join(sorted(plan["task"].unique())) or "none"
        raise UserError(f"the plan has no task {task!r}; it has: {known}")
    uids = sorted({*rows["series_uid_a"], *rows["series_uid_b"]})
    missing = [uid for uid in uids if not (volumes / f"{uid}{SUFFIX}").is_file()]
    if missing:
        raise UserError(
            f"{volumes} does not have the volumes of {len(missing)} series of the plan, first "
            f"{missing[0]}{SUFFIX}; plan "
            "the pairs from the registered series only"
        )
    opened = {uid: open_volume(volumes / f"{uid}{SUFFIX}") for uid in uids}
    # Every volume lies on the reference grid: one on another would be compared shifted, without an error.
    grid, _ = _reference_grid(reference)
    for uid, volume in opened.items():
        if not volume.grid.same_as(grid):
            raise UserError(f"{volumes}/{uid}{SUFFIX} is not on the grid of {reference}; register the series again")
    return compare_plan(
        rows,
        lambda uid, box: opened[uid].read(box),
        lambda name, factor: make_region(name, factor, reference),
        threads,
        checks,
    )
