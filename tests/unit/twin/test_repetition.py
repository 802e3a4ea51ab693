"""What changes between scans besides noise: drift, place, and the noise's grain and wave, against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from ct4bench.core.benchmark import RECONSTRUCTIONS
from ct4bench.twin.noise import noise_power
from ct4bench.twin.repetition import (
    DRIFT_SD_HU,
    GRAIN_SD,
    HELIX,
    MAX_SHIFT_MM,
    OWN_GRAIN_SD,
    SHIFT_SD_MM,
    Repetition,
    moved,
    repetition,
)
from ct4bench.twin.scanners import read_scanners


def drawn(number: int, dose_mgy: float = 10) -> Repetition:
    return repetition((0, 3, int(dose_mgy), number), dose_mgy, number)


def blob(z, y, x):
    """A smooth spot of 100 HU in -50 HU, of the sharpness that images have."""
    return 100 * np.exp(-((z - 12) ** 2 + (y - 20) ** 2 + (x - 21) ** 2) / (2 * 1.4**2)) - 50


def test_moved_images_are_the_blob_elsewhere():
    at = np.mgrid[:24, :40, :42].astype(float)
    shift = (0.2, -0.3, 0.25)
    found = moved(blob(*at).astype(np.float32), Repetition(0.0, shift, 0.0), (1.0, 1.0, 1.0))
    expected = blob(at[0] - shift[2], at[1] - shift[1], at[2] - shift[0])[2:-2]
    assert np.abs(found - expected).max() < 0.07 * np.abs(blob(*at)[2:-2] - expected).max()
    halved = moved(blob(*at).astype(np.float32), Repetition(0.0, (0.1, 0, 0), 0.0), (1.0, 1.0, 0.5))
    np.testing.assert_allclose(halved, blob(at[0], at[1], at[2] - 0.2)[2:-2], atol=0.5)


def test_drift_is_whole_at_zero_hu_and_none_in_air():
    images = np.broadcast_to(np.array([-996.0, 0.0, 996.0], np.float32)[:, None, None, None], (3, 6, 8, 8))
    found = [moved(np.ascontiguousarray(one), Repetition(0.5, (0.0, 0.0, 0.0), 0.0), (1, 1, 1)) for one in images]
    assert [float(one.mean()) for one in found] == pytest.approx([-996.0, 0.5, 997.0], abs=1e-3)


def test_the_first_scan_stays_and_the_others_scatter_as_stated():
    assert drawn(1).is_first and not drawn(1, 14).is_first
    states = [repetition((seed, 3, 14, 2), 14, 2) for seed in range(400)]
    assert np.std([state.drift_hu for state in states]) == pytest.approx(DRIFT_SD_HU, rel=0.1)
    shifts = np.array([state.shift_mm for state in states])
    cut = truncnorm(-MAX_SHIFT_MM / SHIFT_SD_MM, MAX_SHIFT_MM / SHIFT_SD_MM, scale=SHIFT_SD_MM)
    assert shifts[np.abs(shifts) < MAX_SHIFT_MM].std() == pytest.approx(cut.std(), rel=0.05)
    assert np.abs(shifts).max() == MAX_SHIFT_MM
    beyond = 2 * norm.sf(MAX_SHIFT_MM / SHIFT_SD_MM)
    assert (np.abs(shifts) == MAX_SHIFT_MM).mean() == pytest.approx(beyond, rel=0.3)
    assert drawn(2) == drawn(2) != drawn(3)


def test_noise_waves_are_opposite_in_two_scans_and_even_over_ten():
    z = np.linspace(0, 38.4, 200, endpoint=False)
    waves = [drawn(number).noise_along(z, 38.4) for number in range(1, 11)]
    assert all((wave**2).mean() == pytest.approx(1, abs=1e-6) for wave in waves)
    assert np.ptp(waves[0]) == pytest.approx(2 * HELIX, rel=0.01)
    np.testing.assert_allclose(waves[0] + waves[1], 2 / np.sqrt(1 + HELIX**2 / 2), atol=1e-6)
    assert np.ptp(np.mean(waves[:8], axis=0)) < 1e-6
    assert drawn(1).turn != repetition((0, 4, 10, 1), 10, 1).turn


def test_grain_scatters_as_stated_and_is_partly_common_to_reconstructions():
    """SD and correlation over 400 scans; the first scan at the main dose has the scanner's own."""
    fbp, ir, dl = np.array([list(repetition((n, 3, 14, 2), 14, 2).grain.values()) for n in range(400)]).T
    assert np.mean([fbp, ir, dl]) == pytest.approx(1, abs=0.003)
    sds = [np.hypot(GRAIN_SD, OWN_GRAIN_SD[recon]) for recon in RECONSTRUCTIONS]
    assert [values.std() for values in (fbp, ir, dl)] == pytest.approx(sds, rel=0.1)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        found = np.corrcoef((fbp, ir, dl)[first], (fbp, ir, dl)[second])[0, 1]
        assert found == pytest.approx(GRAIN_SD**2 / (sds[first] * sds[second]), abs=0.12)
    stated = read_scanners()["A1"].reconstructions["IR"].noise[10]
    assert drawn(1).noise_of("IR", stated) == stated
    assert drawn(2) == drawn(2) and tuple(drawn(2).grain) == RECONSTRUCTIONS


def test_grain_scales_the_frequencies_of_the_noise():
    stated = read_scanners()["A1"].reconstructions["FBP"].noise[10]
    finer = Repetition(0.0, (0.0, 0.0, 0.0), 0.0, {"FBP": 1.1}).noise_of("FBP", stated)
    fy, fx = np.array([[0.05], [0.2]]), np.array([[0.1, 0.3, 0.5]])
    np.testing.assert_allclose(noise_power(finer, 1.1 * fy, 1.1 * fx), 1.1 * noise_power(stated, fy, fx), rtol=1e-4)
