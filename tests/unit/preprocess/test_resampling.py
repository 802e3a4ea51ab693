"""Resampling: what must pass untouched, what lies outside, and what noise loses."""

import numpy as np
import pytest

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.preprocess.resampling import (
    INTERPOLATORS,
    choose_interpolator,
    index_map,
    lost_noise_variance,
    resample,
    resample_labels,
)

STILL = Rigid.identity()
GRID = Grid.axis_aligned((14, 23, 31), (1.25, 0.68359375, 0.68359375), (-174.66, -340.16, 24.0))


@pytest.fixture
def volume(rng):
    return rng.integers(-1024, 3072, GRID.shape).astype(np.int16)


def test_its_own_grid_gives_every_bit_back(volume):
    np.testing.assert_array_equal(resample(volume, GRID, GRID, STILL), volume)


def test_a_shift_by_whole_voxels_gives_every_bit_back(volume):
    box = (slice(2, 10), slice(3, 20), slice(5, 30))
    np.testing.assert_array_equal(resample(volume, GRID, GRID.crop(box), STILL), volume[box])
    steps = np.array([2, -3, 4]) * GRID.spacing_mm
    moved = resample(volume, GRID, GRID, Rigid((0.0, 0.0, 0.0), tuple(steps[::-1]), (0.0, 0.0, 0.0)))
    np.testing.assert_array_equal(moved[:-2, 3:, :-4], volume[2:, :-3, 4:])
    assert np.all(moved[-2:] == -1024)
    assert np.all(moved[:, :3] == -1024)
    assert np.all(moved[:, :, -4:] == -1024)


def test_a_turn_by_180_degrees_reverses_the_order(volume):
    turned = resample(volume, GRID, GRID, Rigid((0.0, 0.0, 180.0), (0.0, 0.0, 0.0), tuple(GRID.corners_mm().mean(0))))
    np.testing.assert_array_equal(turned, volume[:, ::-1, ::-1])


def test_halves_round_to_even():
    grid = Grid.axis_aligned((2, 2, 6), (1, 1, 1), (0, 0, 0))
    volume = np.tile(np.array([0, 1, 2, 5, 6, 9], np.int16), (2, 2, 1))
    half = Rigid((0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(resample(volume, grid, grid, half)[0, 0, :5], [0, 2, 4, 6, 8])


def test_half_a_voxel_beyond_the_rim_takes_the_rim_and_more_is_air():
    grid = Grid.axis_aligned((2, 2, 3), (1, 1, 1), (0, 0, 0))
    volume = np.tile(np.array([10, 20, 30], np.int16), (2, 2, 1))
    for shift, expected in ((0.4, 30), (0.6, -1024), (-0.4, None)):
        out = resample(volume, grid, grid, Rigid((0.0, 0.0, 0.0), (shift, 0.0, 0.0), (0.0, 0.0, 0.0)))
        if expected is not None:
            assert np.all(out[:, :, 2] == expected)
        else:
            assert np.all(out[:, :, 0] == 10)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.4, -0.3, 0.6), (4.0, -3.0, 8.0), (20.0, 30.0, -170.0)])
@pytest.mark.parametrize("spacing", [(1.25, 0.68359375, 0.68359375), (1.0, 0.78, 0.78)])
def test_every_way_through_the_rows_gives_the_plain_formula(volume, angles, spacing):
    motion = Rigid(angles, (0.31, -0.57, 0.83), tuple(GRID.corners_mm().mean(axis=0)))
    target = Grid.axis_aligned((12, 20, 29), spacing, GRID.origin_mm + [0.2, 0.3, 0.1])
    matrix, offset = index_map(target, GRID, motion)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape), indexing="ij"), axis=-1)
    at = index @ matrix.T + offset
    last = np.array(GRID.shape) - 1
    inside = np.all((at >= -0.5) & (at < last + 0.5), axis=-1)
    at = np.clip(at, 0, last)
    low = np.floor(at).astype(int)
    high, weight = np.minimum(low + 1, last), at - low
    expected = np.zeros(target.shape)
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                pick = [high[..., a] if side else low[..., a] for a, side in enumerate((i, j, k))]
                share = np.prod([weight[..., a] if s else 1 - weight[..., a] for a, s in enumerate((i, j, k))], axis=0)
                expected += share * volume[tuple(pick)]
    found = resample(volume, GRID, target, motion)
    assert np.all(found[~inside] == -1024)
    assert inside.mean() > 0.05
    assert np.abs(found[inside] - expected[inside]).max() < 0.5 + 1e-3


@pytest.mark.parametrize("interpolator", INTERPOLATORS)
def test_threads_do_not_change_a_bit(volume, interpolator):
    motion = Rigid((1.0, -2.0, 3.0), (0.3, 0.4, 0.5), tuple(GRID.corners_mm().mean(axis=0)))
    one, three = (resample(volume, GRID, GRID, motion, interpolator, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_what_resample_does_not_take_is_refused(volume):
    with pytest.raises(ValueError, match="int16"):
        resample(volume.astype(np.float32), GRID, GRID, STILL)
    with pytest.raises(ValueError, match="cubic"):
        resample(volume, GRID, GRID, STILL, "cubic")


def test_labels_take_the_nearest_voxel(rng):
    labels = rng.integers(0, 7, GRID.shape).astype(np.uint8)
    target = Grid.axis_aligned((20, 30, 40), (1.0, 0.5, 0.5), GRID.origin_mm + [0.11, 0.12, 0.13])
    found = resample_labels(labels, GRID, target)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape), indexing="ij"), axis=-1)
    at = np.rint(GRID.to_index(target.to_lps(index))).astype(int)
    inside = np.all(at < np.array(GRID.shape), axis=-1)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[inside], labels[tuple(at[inside].T)])
    assert np.all(found[~inside] == 0)
    assert not inside.all()


def test_labels_keep_their_own_grid(rng):
    labels = rng.integers(0, 7, GRID.shape).astype(np.uint8)
    np.testing.assert_array_equal(resample_labels(labels, GRID, GRID), labels)


def test_noise_is_lost_only_between_voxels():
    assert lost_noise_variance(GRID, GRID, STILL) == 0
    half = Rigid((0.0, 0.0, 0.0), tuple(0.5 * s for s in GRID.spacing_mm[::-1]), (0.0, 0.0, 0.0))
    assert lost_noise_variance(GRID, GRID, half) == pytest.approx(0.875)
    assert lost_noise_variance(GRID, GRID, half, "nearest") == 0
    # cardinal weights of the cubic B-spline halfway: 0.756 of the variance along each axis
    assert lost_noise_variance(GRID, GRID, half, "bspline") == pytest.approx(1 - 0.7561**3, abs=1e-3)
    away = Rigid((0.0, 0.0, 0.0), (1000.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert np.isnan(lost_noise_variance(GRID, GRID, away))


def test_an_interpolator_that_there_is_not_is_refused_by_its_name():
    assert choose_interpolator("nearest", "paper") == "nearest"
    assert choose_interpolator(None, "corrected") == "bspline"
    with pytest.raises(UserError, match="--interpolator cubic is not known; choose from linear, nearest, bspline"):
        choose_interpolator("cubic", "paper")
