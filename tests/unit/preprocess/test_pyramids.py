"""Bin averages and their grids."""

import numpy as np
import pytest

from ct4bench.core.geometry import Grid
from ct4bench.preprocess.pyramids import LEVELS_MM, bin_means, binned_grid, pyramid


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 2), (1, 2, 3), (3, 4, 4)])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_bins_are_means_and_a_remainder_is_left_out(rng, factors, dtype):
    volume = rng.integers(-1024, 3072, (13, 17, 19)).astype(dtype)
    shape = [n // f for n, f in zip(volume.shape, factors, strict=True)]
    whole = volume[tuple(slice(0, n * f) for n, f in zip(shape, factors, strict=True))].astype(float)
    expected = whole.reshape(shape[0], factors[0], shape[1], factors[1], shape[2], factors[2]).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(bin_means(volume, factors), expected, atol=1e-3)


def test_a_bin_lies_in_the_middle_of_its_voxels(rng):
    grid = Grid.axis_aligned((12, 20, 30), (1.0, 0.7, 0.8), (-5, -6, 7))
    binned = binned_grid(grid, (3, 2, 4))
    places = grid.to_lps([[i, j, k] for i in (3, 4, 5) for j in (2, 3) for k in (8, 9, 10, 11)])
    np.testing.assert_allclose(binned.to_lps([1, 1, 2]), places.mean(axis=0))
    assert binned.shape == (4, 10, 7)


def test_a_ramp_keeps_its_values_at_its_places():
    grid = Grid.axis_aligned((64, 96, 96), (1.0, 0.68, 0.68), (0, 0, 0))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    weights = np.array([4.0, -3.0, 2.0])
    volume = np.rint(grid.to_lps(index) @ weights).astype(np.int16)
    for level, level_grid in pyramid(volume, grid):
        at = np.array(level_grid.shape) // 2
        assert level[tuple(at)] == pytest.approx(level_grid.to_lps(at) @ weights, abs=0.6)


@pytest.mark.parametrize(
    "spacing", [(1.0, 0.684, 0.684), (1.25, 0.78, 0.78), (5.0, 0.684, 0.684), (2.0, 0.342, 0.342), (0.5, 1.4, 1.4)]
)
def test_levels_of_any_voxel_size_are_alike(spacing):
    shape = tuple(int(64 * 2 / s) for s in spacing)
    levels = pyramid(np.zeros(shape, np.int16), Grid.axis_aligned(shape, spacing, (0, 0, 0)))
    for (_, grid), bins in zip(levels, LEVELS_MM, strict=True):
        for size, wanted, own in zip(grid.spacing_mm, bins, spacing, strict=True):
            assert size == pytest.approx(wanted, rel=0.35) or (size == own > wanted)


@pytest.mark.parametrize(
    ("slice_mm", "factors"),
    [(1.0, (2, 4, 1)), (2.0, (2, 2, 1)), (2.6, (2, 2, 1)), (2.7, (2, 1, 1)), (5.3, (2, 1, 1)), (5.4, (1, 1, 1))],
)
def test_a_level_bins_four_from_three_on_and_two_from_one_and_a_half_on(slice_mm, factors):
    """8, 4 and 1 mm are wanted along slices; factors from coarse to fine, by the rule written out."""
    spacing = (slice_mm, 1.37, 1.37)
    grids = [
        grid
        for _, grid in pyramid(np.zeros((64, 16, 16), np.int16), Grid.axis_aligned((64, 16, 16), spacing, (0, 0, 0)))
    ]
    found = [grid.spacing_mm[0] / slice_mm for grid in grids]
    steps = (found[0] / found[1], found[1] / found[2], found[2])
    assert steps == pytest.approx(factors)
