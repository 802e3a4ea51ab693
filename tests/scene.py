"""A block with a board and organs as a function of place: images on any grid, moved exactly, without interpolation."""

import numpy as np
from scipy.special import erf

from ct4bench.core.geometry import Grid, Rigid

SIZE_MM = np.array([264.0, 190.0, 300.0])
CENTRE_MM = np.array([-2.0, -165.0, 196.0])
STILL = Rigid.identity(tuple(CENTRE_MM))
PAPER_HU, AIR_HU, BOARD_HU = -100.0, -1000.0, -300.0
BOARD_MM = 17.0


def _organs(seed: int = 7, count: int = 60):
    rng = np.random.default_rng(seed)
    place = (rng.random((count, 3)) - 0.5) * (SIZE_MM - 40)
    return place, rng.uniform(8, 25, (count, 3)), rng.uniform(60, 320, count)


ORGANS = _organs()


def _step(distance_mm, sigma_mm):
    return 0.5 * (1 + erf(distance_mm / (np.sqrt(2) * sigma_mm)))


def _inside(p, low, high, sigma_mm):
    return _step(p - low, sigma_mm) * _step(high - p, sigma_mm)


def scene(points_mm: np.ndarray, sigma_mm: float = 1.6, board_y_mm: float = 0.0) -> np.ndarray:
    """HU at LPS points (..., 3) of the phantom's frame; the board starts `board_y_mm` below the block."""
    x, y, z = np.moveaxis(np.asarray(points_mm) - CENTRE_MM, -1, 0)
    half = SIZE_MM / 2
    block = (
        _inside(x, -half[0], half[0], sigma_mm)
        * _inside(y, -half[1], half[1], sigma_mm)
        * _inside(z, -half[2], half[2], sigma_mm)
    )
    value = np.full(x.shape, PAPER_HU)
    for centre, width, height in zip(*ORGANS, strict=True):
        value += height * np.exp(
            -0.5 * sum(((a - c) / w) ** 2 for a, c, w in zip((x, y, z), centre, width, strict=True))
        )
    top = half[1] + board_y_mm
    board = (_step(top + BOARD_MM - y, sigma_mm) - _step(top - y, sigma_mm)) * _inside(
        z, -half[2] - 40, half[2], sigma_mm
    )
    return AIR_HU + block * (value - AIR_HU) + board * (BOARD_HU - AIR_HU)


def image(grid: Grid, motion: Rigid = STILL, noise_hu: float = 0.0, seed: int = 0, **kinds) -> np.ndarray:
    """The phantom moved by `motion` on `grid`, int16 HU, with white noise."""
    inverse = motion.inverse()
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape[1:]), indexing="ij"), axis=-1)
    out = np.empty(grid.shape, np.int16)
    rng = np.random.default_rng(seed)
    for k in range(grid.shape[0]):
        places = grid.to_lps(np.concatenate([np.full((*grid.shape[1:], 1), k), index], axis=-1))
        values = scene(inverse(places), **kinds) + noise_hu * rng.standard_normal(grid.shape[1:])
        out[k] = np.clip(np.rint(values), -1024, 3071)
    return out


def scan_grid(spacing_mm=(4.0, 2.8, 2.8), size_mm=(344.0, 330.0, 350.0), shift_mm=(0.0, 0.0, 0.0)) -> Grid:
    """A field of view round the phantom: spacing and size along slice, row, column."""
    shape = [int(round(size / step)) for size, step in zip(size_mm, spacing_mm, strict=True)]
    reach = (np.array(shape) - 1) * np.array(spacing_mm) / 2
    return Grid.axis_aligned(shape, spacing_mm, CENTRE_MM + np.array(shift_mm) - reach[::-1])
