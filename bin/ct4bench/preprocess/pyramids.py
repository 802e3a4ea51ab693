"""Bin averages of volumes: the levels that blocks are found and series are registered on."""

import numpy as np
from numba import njit

from ct4bench.core.geometry import Grid

LEVELS_MM = ((8.0, 5.48, 5.48), (4.0, 2.74, 2.74), (1.0, 1.37, 1.37))
"""Bins along slice, row, column, coarse to fine. Slices are about twice as thick as they are apart, so the finest bins
need no more than one; a slab, whose tilt is told by what is inside only, gains a third in accuracy by that."""


@njit(cache=True, error_model="numpy", nogil=True)
def _bin(volume, fz, fy, fx, out):
    scale = np.float32(1.0 / (fz * fy * fx))
    row = np.empty(volume.shape[2], np.float32)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            row[:] = 0
            for dk in range(fz):
                for dj in range(fy):
                    line = volume[k * fz + dk, j * fy + dj]
                    for i in range(len(row)):
                        row[i] += np.float32(line[i])
            if fx == 2:
                for i in range(out.shape[2]):
                    out[k, j, i] = (row[2 * i] + row[2 * i + 1]) * scale
            else:
                for i in range(out.shape[2]):
                    total = np.float32(0)
                    for di in range(fx):
                        total += row[i * fx + di]
                    out[k, j, i] = total * scale


def bin_means(volume: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Return the means (float32) over blocks of `factors` voxels of an int16 or float32 volume; a remainder is left
    out."""
    out = np.empty([n // f for n, f in zip(volume.shape, factors, strict=True)], np.float32)
    _bin(np.ascontiguousarray(volume), *factors, out)
    return out


def binned_grid(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """Return the grid of `bin_means`: a bin's centre is the middle of its voxels."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps((np.array(factors) - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * np.array(factors)
    return Grid(tuple(n // f for n, f in zip(grid.shape, factors, strict=True)), affine)


def pyramid(volume: np.ndarray, grid: Grid) -> list[tuple[np.ndarray, Grid]]:
    """Return the pairs of bin means (float32) and grid for `LEVELS_MM`, coarse to fine, of a volume in int16 HU.

    Bins are whole voxels, and each level's are one, two or four of the next finer one's, as near as can be to what is
    wanted: thick slices are binned less, so that the levels of any two series are alike.
    """
    factors = tuple(max(1, int(round(f / s))) for f, s in zip(LEVELS_MM[-1], grid.spacing_mm, strict=True))
    levels = [(bin_means(volume, factors), binned_grid(grid, factors))]
    for wanted in LEVELS_MM[-2::-1]:
        small, small_grid = levels[0]
        ratios = np.array(wanted) / small_grid.spacing_mm
        factors = tuple(4 if ratio >= 3 else 2 if ratio >= 1.5 else 1 for ratio in ratios)
        levels.insert(0, (bin_means(small, factors), binned_grid(small_grid, factors)))
    return levels
