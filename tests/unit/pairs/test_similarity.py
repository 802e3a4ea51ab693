"""Metrics of a pair: closed forms, masks, windows."""

import numpy as np
import pytest
from scipy.stats import norm

from ct4bench.pairs import similarity
from ct4bench.pairs.similarity import (
    compare,
    intensity_sums,
    local_moments,
    pair_sums,
    psnr_db,
    shrink,
    shrink_mask,
    windows_inside,
)

WEIGHTS = norm.pdf(np.arange(-5, 6), scale=1.5) / norm.pdf(np.arange(-5, 6), scale=1.5).sum()
"""Of the window of 11 voxels along one axis, by scipy."""


@pytest.fixture
def pair(rng):
    a = rng.integers(-200, 400, (24, 41, 53)).astype(np.int16)
    return a, (a + rng.integers(-60, 60, a.shape)).astype(np.int16)


def sums_of(volumes, inside, pairs):
    moments = [local_moments(v) for v in volumes]
    means, variances = (np.stack(kind) for kind in zip(*moments, strict=True))
    return pair_sums(np.stack(volumes), means, variances, inside, windows_inside(inside), pairs)


def test_a_constant_offset_has_a_closed_form():
    a = np.full((12, 13, 14), 100, np.int16)
    result = compare(a, a + np.int16(40))
    assert result.n_voxels == 12 * 13 * 14
    assert result.rmse_hu == 40.0
    assert result.psnr_db == pytest.approx(20 * np.log10(2000 / 40))
    assert result.psnr_max_db == pytest.approx(20 * np.log10(140 / 40))
    expected = (2 * 100 * 140 + 900) / (100**2 + 140**2 + 900)
    assert result.ssim == pytest.approx(expected, abs=1e-6)
    assert result.ssim_global == pytest.approx(expected, abs=1e-12)


def test_a_volume_with_itself_is_alike():
    a = np.random.default_rng(1).integers(-900, 1500, (15, 16, 17)).astype(np.int16)
    result = compare(a, a.copy())
    assert (result.rmse_hu, result.psnr_db) == (0.0, np.inf)
    assert result.ssim == pytest.approx(1, abs=1e-7)
    assert result.ssim_global == pytest.approx(1, abs=1e-14)


def test_both_orders_of_a_pair_give_the_same(pair):
    a, b = pair
    one, other = compare(a, b), compare(b, a)
    assert (one.rmse_hu, one.psnr_max_db) == (other.rmse_hu, other.psnr_max_db)
    # Fused multiplication and addition may round the two orders differently.
    assert one.ssim == pytest.approx(other.ssim, abs=1e-9)
    assert one.ssim_global == pytest.approx(other.ssim_global, abs=1e-14)


def test_only_voxels_of_the_mask_count(pair):
    a, b = (v.copy() for v in pair)
    inside = np.zeros(a.shape, np.uint8)
    inside[4:20, 5:30, 7:40] = 1
    before = compare(a, b, inside)
    a[inside == 0], b[inside == 0] = 2000, -1000
    assert compare(a, b, inside) == before
    cropped = compare(a[4:20, 5:30, 7:40], b[4:20, 5:30, 7:40])
    assert before.n_voxels == cropped.n_voxels == 16 * 25 * 33
    assert before.rmse_hu == pytest.approx(cropped.rmse_hu, rel=1e-14)
    assert before.psnr_max_db == cropped.psnr_max_db
    assert before.ssim == pytest.approx(cropped.ssim, abs=1e-9)


def test_rmse_and_maximum_are_those_of_the_masked_voxels(pair, rng):
    a, b = pair
    inside = (rng.random(a.shape) < 0.3).astype(np.uint8)
    chosen = inside.astype(bool)
    d = a[chosen].astype(float) - b[chosen]
    result = compare(a, b, inside)
    assert result.rmse_hu == pytest.approx(np.sqrt(np.mean(d * d)), rel=1e-13)
    peak = max(a[chosen].max(), b[chosen].max())
    assert result.psnr_max_db == pytest.approx(20 * np.log10(peak / result.rmse_hu), rel=1e-13)
    # No window of 11^3 lies wholly inside scattered voxels.
    assert np.isnan(result.ssim)
    sums = intensity_sums(a, inside).sum(axis=0)
    assert sums[:2].tolist() == [a[chosen].sum(dtype=float), (a[chosen].astype(float) ** 2).sum()]


@pytest.mark.parametrize("shape", [(10, 30, 30), (30, 10, 30), (30, 30, 10), (3, 4, 5)])
def test_a_volume_thinner_than_a_window_has_rmse_but_no_ssim(shape):
    a = np.zeros(shape, np.int16)
    result = compare(a, a + np.int16(7))
    assert result.rmse_hu == 7 and np.isnan(result.ssim)


def test_a_volume_of_one_window_has_the_weighted_moments():
    rng = np.random.default_rng(3)
    a, b = rng.integers(-100, 100, (2, 11, 11, 11)).astype(np.int16)
    w = np.einsum("i,j,k->ijk", *[WEIGHTS] * 3)
    mean_a, mean_b = (w * a).sum(), (w * b).sum()
    var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
    cov = (w * (a - mean_a) * (b - mean_b)).sum()
    upper, lower = (
        (2 * mean_a * mean_b + 900) * (2 * cov + 8100),
        (mean_a**2 + mean_b**2 + 900) * (var_a + var_b + 8100),
    )
    assert compare(a, b).ssim == pytest.approx(upper / lower, abs=1e-7)


def test_an_empty_mask_gives_no_numbers():
    a = np.zeros((12, 12, 12), np.int16)
    result = compare(a, a, np.zeros(a.shape, np.uint8))
    assert result.n_voxels == 0 and np.isnan([result.rmse_hu, result.psnr_db, result.ssim, result.ssim_global]).all()


def test_windows_lie_wholly_inside_the_mask():
    inside = np.zeros((14, 15, 16), np.uint8)
    inside[1:13, 2:15, 3:16] = 1
    expected = np.zeros((4, 5, 6), np.uint8)
    expected[1:3, 2:5, 3:6] = 1
    np.testing.assert_array_equal(windows_inside(inside), expected)
    inside[6, 7, 8] = 0
    assert windows_inside(inside).sum() == 0


def test_rows_of_several_strips_give_what_one_strip_gives(pair):
    a, b = pair
    inside = np.ones(a.shape, np.uint8)
    assert a.shape[1] > similarity.STRIP
    squared, unlike = sums_of([a, b], inside, [(0, 1)])
    d = a.astype(float) - b
    np.testing.assert_array_equal(squared[0], (d * d).sum(axis=(0, 2)))
    # Rows upside down: other rows meet in a strip, the windows are the same.
    again = sums_of([a[:, ::-1], b[:, ::-1]], inside, [(0, 1)])[1]
    np.testing.assert_allclose(unlike, again[:, ::-1], rtol=2e-6)


def test_pairs_do_not_depend_on_what_is_computed_with_them(rng):
    volumes = list(rng.integers(-300, 300, (4, 13, 40, 30)).astype(np.int16))
    inside = np.ones(volumes[0].shape, np.uint8)
    pairs = [(0, 1), (2, 3), (1, 3), (0, 2)]
    squared, unlike = sums_of(volumes, inside, pairs)
    for i in (3, 1, 0, 2):
        one = sums_of(volumes, inside, [pairs[i]])
        np.testing.assert_array_equal(one[0][0], squared[i])
        np.testing.assert_array_equal(one[1][0], unlike[i])


def test_a_mask_of_ones_takes_no_other_path(rng):
    a, b = rng.integers(-300, 300, (2, 16, 20, 24)).astype(np.int16)
    ones = np.ones(a.shape, np.uint8)
    holed = ones.copy()
    holed[15, 19, 23] = 0
    whole, partial = sums_of([a, b], ones, [(0, 1)]), sums_of([a, b], holed, [(0, 1)])
    np.testing.assert_array_equal(whole[0][0, :19], partial[0][0, :19])
    np.testing.assert_array_equal(whole[1][0, :9], partial[1][0, :9])
    assert partial[1][0, 9] < whole[1][0, 9] and partial[0][0, 19] < whole[0][0, 19]


def test_psnr_edges():
    assert psnr_db(2.0, 2000) == pytest.approx(60)
    assert psnr_db(0.0, 2000) == np.inf
    assert np.isnan(psnr_db(5.0, -10))


def test_shrinking_averages_bins_and_drops_the_rest(rng):
    array = rng.integers(-1000, 2000, (9, 10, 11)).astype(np.int16)
    expected = array[:8, :8, :8].reshape(2, 4, 2, 4, 2, 4).mean(axis=(1, 3, 5))
    small = shrink(array, 4)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, expected, rtol=1e-7)
    np.testing.assert_array_equal(shrink(np.full((8, 8, 8), -1000, np.int16), 4), np.full((2, 2, 2), -1000, np.float32))


def test_a_bin_counts_where_all_its_voxels_do():
    inside = np.ones((8, 8, 9), np.uint8)
    inside[5, 1, 7] = 0
    expected = np.ones((2, 2, 2), np.uint8)
    expected[1, 0, 1] = 0
    np.testing.assert_array_equal(shrink_mask(inside, 4), expected)
    np.testing.assert_array_equal(shrink_mask(inside, 1), inside)
