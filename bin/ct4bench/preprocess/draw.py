"""Patch centres: drawn in the ROIs of the reference, or a user's own; and the table of them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.core.tables import read_table
from ct4bench.preprocess.patches import (
    COLUMNS,
    HALF,
    POSITION_MM,
    POSITION_TOLERANCE_MM,
    VOXEL,
    leaves_volume,
    patch_box,
)

TISSUE_RGB = {"cyst": (0, 114, 178), "hemangioma": (213, 94, 0), "metastasis": (230, 159, 0), "normal": (0, 158, 115)}
"""Colours that most colour-blind people tell apart, by tissue; other regions are grey."""


def draw_centres(
    labels: np.ndarray, patches_per_roi: int, seed: int, phantom: Phantom = CT4HARMONIZATION
) -> pd.DataFrame:
    """Draw distinct random voxels of each ROI: columns roi, patch, slice, row, column.

    `labels` (uint8, slices x rows x columns) has the values 1, 2, ... in the order of the phantom's ROIs. A ROI's
    voxels are counted in C order and drawn without replacement by `default_rng([seed, index of the ROI])`, so that they
    do not depend on the other ROIs, nor on how far the volume reaches around them. `UserError` where a ROI is too
    small.
    """
    tables = []
    for number, roi in enumerate(phantom.names):
        voxels = np.flatnonzero(labels.ravel() == number + 1)
        if len(voxels) < patches_per_roi:
            raise UserError(
                f"the reference's segmentation has {len(voxels)} voxels of {roi}, too few for {patches_per_roi} "
                "patches; name another --reference, give fewer --patches_per_roi or your own centres with --patches"
            )
        tables.append(_drawn(voxels, labels.shape, roi, patches_per_roi, [seed, number]))
    return pd.concat(tables, ignore_index=True)


def _drawn(voxels: np.ndarray, shape, roi: str, n: int, seed: list[int]) -> pd.DataFrame:
    drawn = np.random.default_rng(seed).choice(len(voxels), n, replace=False)
    table = pd.DataFrame(np.stack(np.unravel_index(voxels[drawn], shape), axis=1), columns=VOXEL)
    table.insert(0, "patch", np.arange(n))
    table.insert(0, "roi", roi)
    return table


def draw_fitting_centres(labels: np.ndarray, patches_per_roi: int, seed: int, phantom: Phantom, region) -> pd.DataFrame:
    """Draw centres as `draw_centres` does, of the voxels whose patch lies in `region` only, as many as there are.

    `region` has half open ranges along slice, row and column (`patch_region` of the reference).

    A ROI without such a voxel has no patch. `UserError` where fewer than two classes have any.
    """
    tables = []
    for number, roi in enumerate(phantom.names):
        voxels = np.flatnonzero(labels.ravel() == number + 1)
        places = np.stack(np.unravel_index(voxels, labels.shape), axis=1)
        low, high = np.array(region).T
        voxels = voxels[~leaves_volume(places - low, high - low)]
        tables.append(_drawn(voxels, labels.shape, roi, min(patches_per_roi, len(voxels)), [seed, number]))
    table = pd.concat(tables, ignore_index=True)
    if len({phantom.tissue_of(roi) for roi in table["roi"]}) < 2:
        raise UserError(
            "patches of fewer than two classes of regions lie in the phantom, as far as the reference shows it; a "
            f"patch reaches {tuple(map(int, HALF))} voxels (slices, rows, columns) from its centre: give a larger "
            "margin_mm, smaller voxels by --spacing, or your own centres by --patches"
        )
    return table


def read_centres(path: Path | str, grid: Grid, phantom: Phantom = CT4HARMONIZATION) -> pd.DataFrame:
    """Read a user's own centres: columns roi, tissue, patch, slice, row, column, in the file's order.

    The file has roi, patch and either x_mm, y_mm, z_mm (LPS, reference frame; the nearest voxel is taken) or slice,
    row, column (counted from 0 on the common grid `grid`); with both, they must agree. A column tissue may name the
    class of ROIs that the benchmark does not have. Every fault is a `UserError` that names the line.
    """
    table = read_table(path, ["roi", "patch"])
    if table.empty:
        raise UserError(f"{path} has no row; give a line for each patch")
    by_position, by_voxel = (all(name in table.columns for name in names) for names in (POSITION_MM, VOXEL))
    if not by_position and not by_voxel:
        raise UserError(f"{path} has neither x_mm, y_mm, z_mm nor slice, row, column; give one of the two")
    numbers = ["patch", *(POSITION_MM if by_position else []), *(VOXEL if by_voxel else [])]
    values = table[numbers].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    whole = np.isfinite(values)
    for name in ["patch", *VOXEL]:
        if name in numbers:
            whole[:, numbers.index(name)] &= values[:, numbers.index(name)] % 1 == 0
    if not whole.all():
        row, column = np.argwhere(~whole)[0]
        kind = "number" if numbers[column] in POSITION_MM else "whole number"
        wrong = table[numbers[column]].iloc[row]
        raise UserError(f"{path}, line {row + 2}: {numbers[column]} is {wrong}; it must be a {kind}")
    values = pd.DataFrame(values, columns=numbers)
    centres = np.rint(grid.to_index(values[POSITION_MM].to_numpy())) if by_position else values[VOXEL].to_numpy()
    if by_position and by_voxel:
        apart = np.linalg.norm(grid.to_lps(values[VOXEL].to_numpy()) - values[POSITION_MM].to_numpy(), axis=1)
        if apart.max() > POSITION_TOLERANCE_MM:
            row = int(np.argmax(apart > POSITION_TOLERANCE_MM))
            raise UserError(
                f"{path}, line {row + 2}: slice, row, column and x_mm, y_mm, z_mm are {apart[row]:.2f} mm apart on "
                "this reference; leave out one of the two"
            )
    centres = centres.astype(int)
    for row, outside in enumerate(leaves_volume(centres, grid.shape)):
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
    result.insert(1, "tissue", tissue.where(tissue != "", result["roi"].map(phantom.class_of)))
    result[VOXEL] = centres
    return result


def label_patches(centres: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Fill the voxels of patches with `centres` (n, 3; slice, row, column) with their numbers, from 1 on; 0 elsewhere.

    uint8, or uint16 for more than 255 patches. A voxel of several patches has the number of that whose centre is
    nearest, in halves of a patch; of two as near, the first.
    """
    labels = np.zeros(shape, np.uint8 if len(centres) < 256 else np.uint16)
    nearest = np.full(shape, np.inf, np.float32)
    steps = np.meshgrid(*(np.arange(-half, half) / half for half in HALF), indexing="ij")
    distance = sum(step**2 for step in steps).astype(np.float32)
    for number, centre in enumerate(centres, 1):
        box = patch_box(centre)
        nearer = distance < nearest[box]
        labels[box][nearer] = number
        nearest[box][nearer] = distance[nearer]
    return labels


def colour_table(names: Iterable[str]) -> str:
    """Return the names of labels, from 1 on, as a colour table of 3D Slicer: number, name, red, green, blue, alpha.

    Patches of a region (`<roi>_<patch>`) have one colour, that of its tissue.
    """
    lines = ["# patches of ct4bench: label, region and patch, colour", "0 background 0 0 0 0"]
    for number, name in enumerate(names, 1):
        colour = TISSUE_RGB.get(tissue_of(name.rpartition("_")[0]), (128, 128, 128))
        lines.append(f"{number} {name} {' '.join(map(str, colour))} 255")
    return "\n".join(lines) + "\n"


def patch_table(
    centres: pd.DataFrame, labels: np.ndarray, grid: Grid, phantom: Phantom = CT4HARMONIZATION
) -> pd.DataFrame:
    """Return `patches.csv` (`COLUMNS`) of centres with roi, patch, slice, row, column on `grid`.

    share_inside is the share of the patch's voxels that lie in its ROI, blank for a ROI that `labels` does not have.
    `UserError` where a patch leaves the volume.
    """
    table = centres.copy()
    if "tissue" not in table.columns:
        table["tissue"] = table["roi"].map(phantom.class_of)
    voxels = table[VOXEL].to_numpy(int)
    outside = np.flatnonzero(leaves_volume(voxels, grid.shape))
    if len(outside):
        row = table.iloc[outside[0]]
        raise UserError(
            f"patch outside the volume: {row['roi']}, patch {row['patch']}, centre voxel "
            f"{tuple(int(v) for v in voxels[outside[0]])} of a common grid of {grid.shape} voxels; the reference must "
            f"reach {tuple(map(int, HALF))} voxels beyond the ROI: name another --reference or give --patches"
        )
    table[POSITION_MM] = grid.to_lps(voxels)
    present = set(np.unique(labels).tolist())
    shares = []
    for roi, centre in zip(table["roi"], voxels, strict=True):
        number = phantom.names.index(roi) + 1 if roi in phantom.names else 0
        known = number > 0 and number in present
        shares.append(float(np.mean(labels[patch_box(centre)] == number)) if known else np.nan)
    table["share_inside"] = shares
    return table[COLUMNS]
