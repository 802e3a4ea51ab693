"""A series as the phantom: noise taken away, block cut out, grain added, wrong folders refused."""

import numpy as np
import pytest
from dicom_factory import write_series
from scipy.ndimage import gaussian_filter

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import AIR_HU
from ct4bench.twin.from_series import add_grain, phantom_from_series, read_one_series, reduce_noise

SPACING = (1.0, 0.68359375, 0.68359375)


def test_noise_is_worn_down_and_edges_stay(rng):
    clean = np.full((30, 60, 70), 90.0, np.float32)
    clean[:, :, 35:] = 0.0
    noise = gaussian_filter(rng.standard_normal(clean.shape), (0.95, 0.8, 0.8))
    noisy = clean + 15 * noise / noise.std()
    out = reduce_noise(np.rint(noisy).astype(np.int16))
    inner = np.s_[6:24, 10:50, 8:27]
    assert (out - clean)[inner].std() < 0.45 * 15
    assert out[6:24, 10:50, 45:60].mean() == pytest.approx(0, abs=1)
    profile = out[6:24, 10:50].mean(axis=(0, 1))
    assert profile[33] > 70 and profile[36] < 20
    np.testing.assert_array_equal(out, reduce_noise(np.rint(noisy).astype(np.int16), threads=2))


def test_grain_has_its_sd_in_the_block_and_none_in_air():
    grid = Grid.axis_aligned((24, 64, 80), SPACING, (0, 0, 0))
    volume = np.full(grid.shape, 40.0, np.float32)
    volume[:, :, 60:] = AIR_HU
    add_grain(volume, grid, 0, 7.5, 3)
    assert volume[:, :, :60].std() == pytest.approx(7.5, rel=0.05)
    assert (volume[:, :, 60:] == AIR_HU).all()
    # A slab has the grain of the whole.
    part = np.full((8, 64, 80), 40.0, np.float32)
    add_grain(part, Grid.axis_aligned(part.shape, SPACING, (0, 0, 10)), 10, 7.5, 3)
    np.testing.assert_allclose(part[:, :, :60], volume[10:18, :, :60], atol=1e-4)


def test_grain_adds_nothing_coarse():
    """What is coarser than the mean that reduces noise is still in the series: no second unevenness on top of it."""
    grid = Grid.axis_aligned((24, 64, 80), SPACING, (0, 0, 0))
    grain = np.zeros(grid.shape, np.float32)
    add_grain(grain, grid, 0, 1.0, 5)
    white = np.random.default_rng(5).standard_normal(grid.shape)
    plain = gaussian_filter(white, (0.95, 1.55, 1.55), mode="wrap")
    coarse = [gaussian_filter(field / field.std(), (4.0, 6.0, 6.0), mode="wrap").std() for field in (grain, plain)]
    assert coarse[0] < 0.6 * coarse[1]


def test_a_folder_must_hold_one_series(tmp_path):
    with pytest.raises(UserError, match="holds 0 readable CT series"):
        read_one_series(tmp_path)
    write_series(tmp_path / "a", "a")
    volume, grid, uid = read_one_series(tmp_path)
    assert volume.shape == grid.shape and uid
    write_series(tmp_path / "b", "b")
    with pytest.raises(UserError, match="exactly one series"):
        phantom_from_series(tmp_path, None, 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()
