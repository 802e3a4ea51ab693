"""Patch centres, drawn or the user's own, and reading the patches of a volume.

A patch with centre voxel c covers [c - 8, c + 8) slices and [c - 16, c + 16) rows and columns of the common grid.
"""

# code-table: index/patches.csv

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import PATCH_SHAPE
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.volumes import Volume

VOXEL = ["slice", "row", "column"]
POSITION_MM = ["x_mm", "y_mm", "z_mm"]
COLUMNS = columns_of("index/patches.csv")
HALF = np.array(PATCH_SHAPE) // 2
POSITION_TOLERANCE_MM = 0.05
"""A table whose mm and voxels disagree by more belongs to another grid."""


def patch_box(centre) -> tuple[slice, slice, slice]:
    """Return the voxels of the patch with centre voxel (slice, row, column)."""
    return tuple(slice(int(c) - int(h), int(c) + int(h)) for c, h in zip(centre, HALF, strict=True))


def leaves_volume(centres: np.ndarray, shape) -> np.ndarray:
    """Tell which patches (n) with centre voxels (n, 3) leave a volume of `shape`."""
    return np.any((centres - HALF < 0) | (centres + HALF > np.array(shape)), axis=1)


def read_patches(volume: Volume, patches: pd.DataFrame) -> np.ndarray:
    """Read the patches (n, 16, 32, 32) in the stored dtype (int16 HU) of the rows of `patches`, in their order.

    Only the box round all patches is read from the disk. A patch that leaves the volume, or the part of it that the
    series covers (where the volume carries `source_grid` and `motion`), is a `UserError` that names series and patch,
    and so is a table whose positions in mm do not lie at their voxels on the volume's grid.
    """
    series = volume.attributes.get("series_uid", volume.path.stem)
    voxels = patches[VOXEL].to_numpy(int)
    if not len(voxels):
        return np.empty((0, *PATCH_SHAPE), np.int16)
    apart = np.linalg.norm(volume.grid.to_lps(voxels) - patches[POSITION_MM].to_numpy(float), axis=1).max()
    if not apart <= POSITION_TOLERANCE_MM:
        raise UserError(
            f"the patches lie {apart:.2f} mm from their voxels on the grid of {volume.path}; draw the patches on the "
            "reference that the series were registered to"
        )
    outside = np.flatnonzero(leaves_volume(voxels, volume.grid.shape) | ~_covered(voxels, volume))
    if len(outside):
        row = patches.iloc[outside[0]]
        raise UserError(
            f"patch outside the volume: series {series}, {row['roi']}, patch {row['patch']}, at "
            f"{', '.join(f'{row[name]:.1f}' for name in POSITION_MM)} mm; take the series out of the input, or give "
            "other centres with --patches"
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
