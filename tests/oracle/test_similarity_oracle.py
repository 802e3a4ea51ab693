"""SSIM, RMSE and PSNR against scikit-image, MONAI, and float64 arithmetic by scipy."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from ssim_float64 import ssim_map_float64

from ct4bench.pairs.similarity import compare, local_moments, shrink, windows_inside


def phantom_like(rng, shape=(40, 60, 70), noise_hu=20.0) -> np.ndarray:
    """Blobs, a step to air and noise, int16 HU: what makes variances small, large and cancelling."""
    volume = gaussian_filter(rng.normal(0, 1, shape), 4)
    volume = 60 * volume / volume.std()
    volume[:, :12] = -1000
    volume[:, 40:45, 30:50] = 1200
    volume += gaussian_filter(rng.normal(0, 1, shape), 0.8) * noise_hu * 4
    return np.clip(np.rint(volume), -1000, 2000).astype(np.int16)


@pytest.fixture
def pair(rng):
    a = phantom_like(rng)
    b = np.clip(1.02 * a + 15 + gaussian_filter(rng.normal(0, 60, a.shape), 0.7), -1000, 2000)
    return a, np.rint(b).astype(np.int16)


@pytest.mark.parametrize("kind", ["int16", "shrunk", "same_air", "far_apart"])
def test_ssim_is_within_1e_7_of_float64(pair, rng, kind):
    a, b = pair
    if kind == "shrunk":
        a, b = (shrink(np.repeat(v, 2, axis=0) + np.int16(i), 2) for i, v in enumerate(pair))
    elif kind == "same_air":
        a, b = (np.where(v > 500, v, np.int16(-1000)) for v in pair)
    elif kind == "far_apart":
        a, b = np.full(a.shape, -1000, np.int16), rng.integers(-1000, 2000, a.shape).astype(np.int16)
    assert compare(a, b).ssim == pytest.approx(ssim_map_float64(a, b).mean(), abs=1e-7)


@pytest.mark.parametrize("hu", [(37, 40), (100, 140), (-103, -100), (500, 545)])
def test_flat_volumes_where_rounding_does_not_average_out_stay_within_2e_5(hu):
    a, b = (np.full((16, 40, 40), value, np.int16) for value in hu)
    assert compare(a, b).ssim == pytest.approx(ssim_map_float64(a, b).mean(), abs=2e-5)


def test_on_the_real_phantom_ssim_is_within_1e_7_of_float64(real_series, rng):
    import pydicom

    slices = [pydicom.dcmread(path) for path in sorted(real_series.rglob("*.dcm"))]
    slices = sorted(slices, key=lambda s: float(s.ImagePositionPatient[2]))[140:190]
    hu = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    a = np.clip(np.stack(hu)[:, 120:395, 64:445], -1000, 2000).astype(np.int16)
    noise = 60 * gaussian_filter(rng.normal(0, 1, a.shape).astype(np.float32), 0.8)
    b = np.clip(np.rint(a + 5 + noise), -1000, 2000).astype(np.int16)
    result = compare(a, b)
    assert 5 < result.rmse_hu < 40
    assert result.ssim == pytest.approx(ssim_map_float64(a, b).mean(), abs=2e-8)
    small = shrink(a, 4), shrink(b, 4)
    assert compare(*small).ssim == pytest.approx(ssim_map_float64(*small).mean(), abs=1e-7)


def test_ssim_inside_a_mask_is_the_mean_of_the_float64_map_over_its_windows(pair):
    a, b = pair
    z, y, x = np.indices(a.shape)
    inside = ((z - 20) ** 2 + (y - 30) ** 2 + (x - 35) ** 2 < 19**2).astype(np.uint8)
    windows = windows_inside(inside).astype(bool)
    assert 100 < windows.sum() < windows.size / 2
    expected = ssim_map_float64(a, b)[windows].mean()
    assert compare(a, b, inside).ssim == pytest.approx(expected, abs=1e-7)


def test_moments_are_those_of_float64(pair):
    a = pair[0].astype(np.float64)
    mean, square = a, a * a
    for axis in range(3):
        mean, square = (gaussian_filter1d(v, 1.5, axis=axis, radius=5) for v in (mean, square))
    mean, square = (v[5:-5, 5:-5, 5:-5] for v in (mean, square))
    ours = local_moments(pair[0])
    assert np.abs(ours[0] - mean).max() < 2e-3
    assert np.abs(ours[1] - (square - mean**2)).max() < 2.0
    assert abs((ours[1] - (square - mean**2)).mean()) < 0.02


def test_scikit_image_gives_the_same_ssim_rmse_and_psnr(pair):
    from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

    a, b = (v.astype(np.float64) for v in pair)
    _, windows = structural_similarity(
        a, b, data_range=3000, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    ours = compare(*pair)
    assert ours.ssim == pytest.approx(windows[5:-5, 5:-5, 5:-5].mean(), abs=1e-7)
    assert ours.rmse_hu == pytest.approx(np.sqrt(mean_squared_error(a, b)), rel=1e-12)
    assert ours.psnr_db == pytest.approx(peak_signal_noise_ratio(a, b, data_range=2000), rel=1e-12)


def test_monai_gives_the_same_ssim_rmse_and_psnr(pair):
    import torch
    from monai.metrics import PSNRMetric, RMSEMetric, SSIMMetric

    pair = [v[10:32, 10:40, 20:50].copy() for v in pair]
    torch.set_num_threads(1)
    a, b = (torch.from_numpy(v.astype(np.float32))[None, None] for v in pair)
    metric = SSIMMetric(spatial_dims=3, data_range=3000.0, kernel_type="gaussian", win_size=11, kernel_sigma=1.5)
    ours = compare(*pair)
    # MONAI works in float32 without the care of one minus SSIM.
    assert ours.ssim == pytest.approx(float(metric(a, b)), abs=1e-5)
    assert ours.rmse_hu == pytest.approx(float(RMSEMetric()(a, b)), rel=1e-6)
    assert ours.psnr_db == pytest.approx(float(PSNRMetric(max_val=2000.0)(a, b)), rel=1e-6)


def test_global_ssim_is_equation_3(pair):
    a, b = (v.astype(np.float64) for v in pair)
    cov = np.mean((a - a.mean()) * (b - b.mean()))
    upper = (2 * a.mean() * b.mean() + 900) * (2 * cov + 8100)
    lower = (a.mean() ** 2 + b.mean() ** 2 + 900) * (a.var() + b.var() + 8100)
    assert compare(*pair).ssim_global == pytest.approx(upper / lower, abs=1e-12)


def test_shrinking_is_the_bin_mean_of_simpleitk(pair):
    import SimpleITK as sitk  # noqa: N813

    image = sitk.Cast(sitk.GetImageFromArray(pair[0]), sitk.sitkFloat64)
    expected = sitk.GetArrayFromImage(sitk.BinShrink(image, [4, 4, 4]))
    n = tuple(min(a, b) for a, b in zip(expected.shape, (10, 15, 17), strict=True))
    np.testing.assert_allclose(shrink(pair[0], 4)[: n[0], : n[1], : n[2]], expected[: n[0], : n[1], : n[2]], rtol=1e-6)
