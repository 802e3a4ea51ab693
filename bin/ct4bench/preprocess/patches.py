"""Patch centres, drawn or the user's own, and reading the patches of a volume.

A patch with centre voxel c covers [c - 8, c + 8) slices and [c - 16, c + 16) rows and columns of the common grid.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import PATCH_SHAPE, ROIS, tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.tables import read_table
from ct4bench.core.volumes import Volume

VOXEL = ["slice", "row", "column"]
PLACE = ["x_mm", "y_mm", "z_mm"]
COLUMNS = ["roi", "tissue", "patch", *PLACE, *VOXEL, "share_inside"]
HALF = np.array(PATCH_SHAPE) // 2
PLACE_TOLERANCE_MM = 0.05
"""A table whose mm and voxels disagree by more belongs to another grid."""


def patch_box(centre) -> tuple[slice, slice, slice]:
    """Voxels of the patch with centre voxel (slice, row, column)."""
    return tuple(slice(int(c) - int(h), int(c) + int(h)) for c, h in zip(centre, HALF, strict=True))


def _outside(centres: np.ndarray, shape) -> np.ndarray:
    """Which patches (n) with centre voxels (n, 3) leave a volume of `shape`."""
    return np.any((centres - HALF < 0) | (centres + HALF > np.array(shape)), axis=1)


def draw_centres(labels: np.ndarray, patches_per_roi: int, seed: int) -> pd.DataFrame:
    """Distinct random voxels of each ROI: columns roi, patch, slice, row, column.

    `labels` (uint8, slices x rows x columns) has the values 1 to 6 in the order of `benchmark.ROIS`. A ROI's voxels
    are counted in C order and drawn without replacement by `default_rng([seed, index of the ROI])`, so that they do
    not depend on the other ROIs, nor on how far the volume reaches around them. `UserError` where a ROI is too small.
    """
    tables = []
    for number, roi in enumerate(ROIS):
        voxels = np.flatnonzero(labels.ravel() == number + 1)
        if len(voxels) < patches_per_roi:
            raise UserError(
                f"the reference's segmentation has {len(voxels)} voxels of {roi}, too few for {patches_per_roi} "
                "patches; name another --reference, give fewer --patches_per_roi or your own centres with --patches"
            )
        drawn = np.random.default_rng([seed, number]).choice(len(voxels), patches_per_roi, replace=False)
        table = pd.DataFrame(np.stack(np.unravel_index(voxels[drawn], labels.shape), axis=1), columns=VOXEL)
        table.insert(0, "patch", np.arange(patches_per_roi))
        table.insert(0, "roi", roi)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def read_centres(path: Path | str, grid: Grid) -> pd.DataFrame:
    """A user's own centres: columns roi, tissue, patch, slice, row, column, in the file's order.

    The file has roi, patch and either x_mm, y_mm, z_mm (LPS, reference frame; the nearest voxel is taken) or slice,
    row, column (counted from 0 on the common grid `grid`); with both, they must agree. A column tissue may name the
    class of ROIs that the benchmark does not have. Every fault is a `UserError` that names the line.
    """
    table = read_table(path, ["roi", "patch"])
    if table.empty:
        raise UserError(f"{path} has no row; give a line for each patch")
    by_place, by_voxel = (all(name in table.columns for name in names) for names in (PLACE, VOXEL))
    if not by_place and not by_voxel:
        raise UserError(f"{path} has neither x_mm, y_mm, z_mm nor slice, row, column; give one of the two")
    numbers = ["patch", *(PLACE if by_place else []), *(VOXEL if by_voxel else [])]
    values = table[numbers].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    whole = np.isfinite(values)
    for name in ["patch", *VOXEL]:
        if name in numbers:
            whole[:, numbers.index(name)] &= values[:, numbers.index(name)] % 1 == 0
    if not whole.all():
        row, column = np.argwhere(~whole)[0]
        kind = "number" if numbers[column] in PLACE else "whole number"
        wrong = table[numbers[column]].iloc[row]
        raise UserError(f"{path}, line {row + 2}: {numbers[column]} is {wrong}; it must be a {kind}")
    values = pd.DataFrame(values, columns=numbers)
    centres = np.rint(grid.to_index(values[PLACE].to_numpy())) if by_place else values[VOXEL].to_numpy()
    if by_place and by_voxel:
        apart = np.linalg.norm(grid.to_lps(values[VOXEL].to_numpy()) - values[PLACE].to_numpy(), axis=1)
        if apart.max() > PLACE_TOLERANCE_MM:
            row = int(np.argmax(apart > PLACE_TOLERANCE_MM))
            raise UserError(
                f"{path}, line {row + 2}: slice, row, column and x_mm, y_mm, z_mm are {apart[row]:.2f} mm apart on "
                "this reference; leave out one of the two"
            )
    centres = centres.astype(int)
    for row, outside in enumerate(_outside(centres, grid.shape)):
        if outside:
            raise UserError(
                f"{path}, line {row + 2}: patch outside the volume: {table['roi'].iloc[row]}, patch "
                f"{int(values['patch'].iloc[row])}, centre voxel {tuple(map(int, centres[row]))}; the common grid "
                f"has {grid.shape} voxels, and a patch reaches {tuple(map(int, HALF))} from its centre"
            )
    result = pd.DataFrame({"roi": table["roi"].astype(str).str.strip(), "patch": values["patch"].astype(int)})
    nameless = np.flatnonzero(result["roi"] == "")
    if len(nameless):
        raise UserError(f"{path}, line {nameless[0] + 2}: roi is empty; name the region that the patch stands for")
    twice = np.flatnonzero(result.duplicated(["roi", "patch"]))
    if len(twice):
        row = result.iloc[twice[0]]
        raise UserError(f"{path}, line {twice[0] + 2}: {row['roi']}, patch {row['patch']} stands there twice")
    tissue = table["tissue"] if "tissue" in table.columns else pd.Series("", index=table.index)
    tissue = tissue.astype(str).str.strip()
    result.insert(1, "tissue", tissue.where(tissue != "", result["roi"].map(tissue_of)))
    result[VOXEL] = centres
    return result


def patch_table(centres: pd.DataFrame, labels: np.ndarray, grid: Grid) -> pd.DataFrame:
    """`patches.csv` (`COLUMNS`) of centres with roi, patch, slice, row, column on `grid`.

    share_inside is the share of the patch's voxels that lie in its ROI, blank for a ROI that `labels` does not have.
    `UserError` where a patch leaves the volume.
    """
    table = centres.copy()
    if "tissue" not in table.columns:
        table["tissue"] = table["roi"].map(tissue_of)
    voxels = table[VOXEL].to_numpy(int)
    outside = np.flatnonzero(_outside(voxels, grid.shape))
    if len(outside):
        row = table.iloc[outside[0]]
        raise UserError(
            f"patch outside the volume: {row['roi']}, patch {row['patch']}, centre voxel "
            f"{tuple(int(v) for v in voxels[outside[0]])} of a common grid of {grid.shape} voxels; the reference must "
            f"reach {tuple(map(int, HALF))} voxels beyond the ROI: name another --reference or give --patches"
        )
    table[PLACE] = grid.to_lps(voxels)
    present = set(np.unique(labels).tolist())
    shares = []
    for roi, centre in zip(table["roi"], voxels, strict=True):
        number = ROIS.index(roi) + 1 if roi in ROIS else 0
        known = number > 0 and number in present
        shares.append(float(np.mean(labels[patch_box(centre)] == number)) if known else np.nan)
    table["share_inside"] = shares
    return table[COLUMNS]


def read_patches(volume: Volume, patches: pd.DataFrame) -> np.ndarray:
    """Patches (n, 16, 32, 32) in the stored dtype (int16 HU) of the rows of `patches`, in their order.

    Only the box round all patches is read from the disk. A patch that leaves the volume, or the part of it that the
    series covers (where the volume carries `source_grid` and `motion`), is a `UserError` that names series and patch,
    and so is a table whose places in mm do not lie at their voxels on the volume's grid.
    """
    series = volume.attributes.get("series_uid", volume.path.stem)
    voxels = patches[VOXEL].to_numpy(int)
    if not len(voxels):
        return np.empty((0, *PATCH_SHAPE), np.int16)
    apart = np.linalg.norm(volume.grid.to_lps(voxels) - patches[PLACE].to_numpy(float), axis=1).max()
    if not apart <= PLACE_TOLERANCE_MM:
        raise UserError(
            f"the patches lie {apart:.2f} mm from their voxels on the grid of {volume.path}; draw the patches on the "
            "reference that the series were registered to"
        )
    outside = np.flatnonzero(_outside(voxels, volume.grid.shape) | ~_covered(voxels, volume))
    if len(outside):
        row = patches.iloc[outside[0]]
        raise UserError(
            f"patch outside the volume: series {series}, {row['roi']}, patch {row['patch']}, at "
            f"{', '.join(f'{row[name]:.1f}' for name in PLACE)} mm; take the series out of the input, or give other "
            "centres with --patches"
        )
    first, last = voxels.min(axis=0) - HALF, voxels.max(axis=0) + HALF
    box = volume.read(tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True)))
    return np.stack([box[patch_box(voxel - first)] for voxel in voxels])


def _covered(voxels: np.ndarray, volume: Volume) -> np.ndarray:
    """Which patches (n) lie wholly in the field that the series itself covers."""
    if "source_grid" not in volume.attributes:
        return np.ones(len(voxels), bool)
    source = Grid.from_dict(volume.attributes["source_grid"])
    motion = Rigid(**{name: tuple(values) for name, values in volume.attributes["motion"].items()})
    ends = np.stack([-HALF, HALF - 1])
    reach = np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners = voxels[:, None, :] + reach
    index = source.to_index(motion(volume.grid.to_lps(corners)))
    return np.all((index >= -0.5) & (index < np.array(source.shape) - 0.5), axis=(1, 2))
