"""The physics of a simulated scan, measured in the written images: noise, its spectrum, sharpness, calibration."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import erf
from twin_fixture import Twin, make_twin, pose_of, simulate

from ct4bench.core.benchmark import ROIS
from ct4bench.core.geometry import Rigid
from ct4bench.core.phantom import AIR_HU, BLOCK
from ct4bench.twin import repetition
from ct4bench.twin.noise import noise_filter, streak_power, streaks_in_plane, white_slice
from ct4bench.twin.scan import spline_taps
from ct4bench.twin.scanners import read_scanners

SLAB = "145:171,130:230,270:460"
"""The large cyst, liver, paper, and the block's right side, in the middle of the liver part."""
SCANNERS = read_scanners()
KINDS = [(code, recon) for code, model in SCANNERS.items() for recon in model.reconstructions if
         (code, recon) != ("D1", "DL")]  # fmt: skip


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Twin:
    """Two repetitions of all scanners that lie in one place, so that their difference is noise alone, without waves
    along z, of which the slab is shorter than one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repetition, "SHIFT_SD_MM", 0.0)
        patch.setattr(repetition, "HELIX", 0.0)
        folder = tmp_path_factory.mktemp("still")
        return make_twin(folder, SLAB, tuple(SCANNERS), (10,), ("FBP", "IR", "DL"), 2)


def noise_of(twin: Twin, scanner: str, recon: str) -> np.ndarray:
    """Quantum noise by the difference of two repetitions (slices, rows, columns)."""
    one, other = (twin.read(scanner, recon, repetition=n)[0].astype(float) for n in (1, 2))
    return (one - other) / np.sqrt(2)


def cyst_of(twin: Twin, scanner: str, recon: str) -> np.ndarray:
    """Voxels inside of the large cyst."""
    _, grid = twin.read(scanner, recon)
    back = pose_of(twin.row(scanner, recon)).inverse()
    return twin.phantom.region_labels(grid, back.matrix, back.offset) == ROIS.index("cyst1") + 1


@pytest.mark.parametrize(("scanner", "recon"), KINDS)
def test_quantum_noise_and_total_are_the_truths(twin, scanner, recon):
    row, cyst = twin.row(scanner, recon), cyst_of(twin, scanner, recon)
    assert cyst.sum() == row["cyst1_voxels"] > 50_000
    quantum = noise_of(twin, scanner, recon)[cyst].std()
    assert quantum == pytest.approx(row["cyst1_quantum_sd_hu"], rel=0.03)
    assert quantum == pytest.approx(row["noise_sd_hu"], rel=0.05)
    total = np.mean([twin.read(scanner, recon, repetition=n)[0][cyst].std() for n in (1, 2)])
    assert total == pytest.approx(row["cyst1_total_sd_hu"], rel=0.03)
    mean = np.mean([twin.read(scanner, recon, repetition=n)[0][cyst].mean() for n in (1, 2)])
    assert mean == pytest.approx(row["cyst1_mean_hu"], abs=0.5)


def test_noise_of_iterative_reconstructions_has_a_tail(twin):
    """Kurtosis of n + k n^3 of a normal n, by its moments; FBP's noise is normal."""
    for recon, tail in (("FBP", 0.0), ("IR", SCANNERS["A1"].reconstructions["IR"].noise[10].tail)):
        cyst = cyst_of(twin, "A1", recon)
        noise = noise_of(twin, "A1", recon)[cyst]
        noise -= noise.mean()
        second = 1 + 6 * tail + 15 * tail**2
        fourth = 3 + 60 * tail + 630 * tail**2 + 3780 * tail**3 + 10395 * tail**4
        # Half a difference of two independent fields has half the excess of one.
        excess = 0.5 * (fourth / second**2 - 3)
        assert (noise**4).mean() / (noise**2).mean() ** 2 - 3 == pytest.approx(excess, abs=0.12), recon
    assert tail > 0


def test_noise_falls_with_dose(twin, tmp_path):
    simulate(twin.phantom.folder, tmp_path, "A1", (1, 3, 6, 14), ("FBP",), 2)
    again = Twin(twin.phantom, tmp_path / "dicom", twin.truth)
    cyst = cyst_of(twin, "A1", "FBP")
    sds = [np.mean([again.read("A1", "FBP", dose, n)[0][cyst].std() for n in (1, 2)]) for dose in (1, 3, 6, 14)]
    # A1's published features.
    assert sds == pytest.approx([35.4, 27.2, 22.0, 17.6], rel=0.05)


@pytest.mark.parametrize("scanner", ["A1", "E2", "H1"])
def test_reconstructions_of_a_scan_share_noise_and_repetitions_do_not(twin, scanner):
    def correlation(a, b):
        return np.corrcoef(a[cyst], b[cyst])[0, 1]

    cyst = cyst_of(twin, scanner, "FBP")
    fbp = noise_of(twin, scanner, "FBP")
    for recon in SCANNERS[scanner].reconstructions:
        if recon != "FBP":
            assert correlation(fbp, noise_of(twin, scanner, recon)) > 0.75, recon
    # The texture, which all share, cancels in the difference of two reconstructions of equal sharpness but for a rest.
    images = {(r, n): twin.read(scanner, r, repetition=n)[0].astype(float) for r in ("FBP", "IR") for n in (1, 2)}
    changes = [images["FBP", n] - images["IR", n] for n in (1, 2)]
    assert abs(correlation(*changes)) < 0.1


def test_scanners_have_noise_of_their_own(twin):
    one, other = noise_of(twin, "A1", "FBP"), noise_of(twin, "G1", "FBP")
    part = tuple(slice(0, min(a, b)) for a, b in zip(one.shape, other.shape, strict=True))
    assert abs(np.corrcoef(one[part].ravel(), other[part].ravel())[0, 1]) < 0.02


def radial_power(noise: np.ndarray, pixel_mm: float, edges) -> np.ndarray:
    """Mean noise power in plane by ring of spatial frequency, over all slices, by windowed FFTs."""
    noise = noise - noise.mean(axis=(1, 2), keepdims=True)
    window = np.hanning(noise.shape[1])[:, None] * np.hanning(noise.shape[2])[None, :]
    power = (np.abs(np.fft.fft2(noise * window)) ** 2).mean(axis=0)
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, pixel_mm) for n in noise.shape[1:]), indexing="ij"))
    ring = np.digitize(f.ravel(), edges)
    return np.array([power.ravel()[ring == n].mean() for n in range(1, len(edges))])


@pytest.mark.parametrize(("scanner", "recon"), KINDS)
def test_noise_spectrum_is_the_truths(twin, scanner, recon):
    """Peak and mean frequency of the power in plane, which vanishes at frequency zero; of two scans, whose grain
    differs a little."""

    def form(f, height, peak, p):
        return height * f * np.exp(-((f / peak) ** p) / p)

    row = twin.row(scanner, recon)
    stated_peak = np.mean([twin.row(scanner, recon, repetition=n)["nps_peak_per_mm"] for n in (1, 2)])
    edges = np.arange(0.01, 0.731, 0.02)
    middle = 0.5 * (edges[1:] + edges[:-1])
    power = radial_power(noise_of(twin, scanner, recon)[:, :, :165], 0.68359375, edges)
    power /= power.max()
    (_, peak, _), _ = curve_fit(form, middle, power, (10.0, 0.2, 2.0))
    assert peak == pytest.approx(stated_peak, rel=0.06)
    stated = form(middle, 1.0, stated_peak, row["nps_power"])
    means = [(values * middle**2).sum() / (values * middle).sum() for values in (power, stated)]
    assert means[0] == pytest.approx(means[1], rel=0.03)
    assert power[0] < 0.35


def test_noise_is_correlated_along_z_as_stated(twin):
    for scanner in ("A1", "F1"):
        row, noise = twin.row(scanner, "FBP"), noise_of(twin, scanner, "FBP")
        step = SCANNERS[scanner].increment_mm
        for lag in (1, 2, 3):
            found = (noise[lag:] * noise[:-lag]).mean() / (noise**2).mean()
            expected = np.exp(-((lag * step) ** 2) / (4 * row["noise_slice_sigma_mm"] ** 2))
            assert found == pytest.approx(expected, abs=0.04), (scanner, lag)


@pytest.mark.parametrize(("scanner", "recon"), KINDS)
def test_edge_of_the_block_is_as_sharp_as_stated(twin, scanner, recon):
    """The block's right side, drawn as a step of 0.2 mm, over its distance in the phantom's frame."""
    row = twin.row(scanner, recon)
    image, grid = twin.read(scanner, recon)
    image = 0.5 * (image + twin.read(scanner, recon, repetition=2)[0].astype(float))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    away = pose_of(row).inverse()(grid.to_lps(index))[..., 0] - BLOCK.high_mm[0]
    # The sheet's bare margin, which fades to paper at 2.7 mm, is left out, and so is half of the edge.
    near = (away > -0.2) & (away < 5)
    bins = np.arange(-0.2, 5.01, 0.1)
    number = np.digitize(away[near], bins)
    count = np.bincount(number)
    profile, at = (np.bincount(number, v[near])[count > 0] / count[count > 0] for v in (image, away))

    def edge(x, sigma, height, place):
        return AIR_HU + height * 0.5 * (1 - erf((x - place) / (np.sqrt(2) * sigma)))

    (sigma, _, place), _ = curve_fit(edge, at, profile, (0.8, 880.0, 0.0))
    # the stated blur has a step of 0.3 mm in it
    stated = np.sqrt(row["mtf_sigma_mm"] ** 2 + 0.2**2 - 0.3**2)
    assert sigma == pytest.approx(stated, rel=0.05)
    assert abs(place) < 0.15


def test_spline_taps_give_the_blurred_signal():
    x = np.arange(200)
    for sigma in (0.0, 0.8, 1.7):
        signal = np.exp(-0.5 * ((x - 100.3) / 4.0) ** 2)
        blurred = 4.0 / np.hypot(4.0, sigma) * np.exp(-0.5 * ((x - 100.3) / np.hypot(4.0, sigma)) ** 2)
        spline = np.convolve(np.convolve(signal, spline_taps(sigma), "same"), [1 / 6, 2 / 3, 1 / 6], "same")
        np.testing.assert_allclose(spline[40:160], blurred[40:160], atol=2e-4)


def test_white_noise_depends_on_slice_and_seeds_only():
    first = white_slice((0, 1, 10, 1), 1005, (20, 24))
    np.testing.assert_array_equal(first, white_slice((0, 1, 10, 1), 1005, (20, 24)))
    for seeds, number in (((1, 1, 10, 1), 1005), ((0, 2, 10, 1), 1005), ((0, 1, 10, 2), 1005), ((0, 1, 10, 1), 1006)):
        assert abs(np.corrcoef(first.real.ravel(), white_slice(seeds, number, (20, 24)).real.ravel())[0, 1]) < 0.25


def coherence(noise: np.ndarray) -> tuple[float, float]:
    """Of the structure tensor: coherence, and direction of the streaks in degrees from columns to rows."""
    gy, gx = (noise[:, 2:, 1:-1] - noise[:, :-2, 1:-1]), (noise[:, 1:-1, 2:] - noise[:, 1:-1, :-2])
    yy, xx, xy = (gy * gy).mean(), (gx * gx).mean(), (gx * gy).mean()
    return np.hypot(xx - yy, 2 * xy) / (xx + yy), (np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) + 90) % 180


def test_streaks_run_towards_the_middle_as_in_the_real_series():
    """At the upper corners of the block the real series has .48 at 45 and .42 at 136 degrees, print included; in the
    middle of its upper edge none to speak of."""
    at_mm = [BLOCK.to_mm((157, 139, column)) for column in (79, 429, 255)]
    white = np.stack([white_slice((0,), n, (270, 270)) for n in range(40)])
    noise_model = SCANNERS["A1"].reconstructions["FBP"].noise[10]
    shaping = noise_filter(noise_model, (270, 270))
    noise = np.stack([np.fft.irfft2(w * shaping, s=(270, 270)) for w in white])
    found = []
    for place in at_mm:
        strength = streaks_in_plane(place[None, None], Rigid.identity(BLOCK.centre_mm))[0, 0]
        turned = np.roll(noise, (1, 1), (1, 2)) + np.roll(noise, (-1, -1), (1, 2))
        turned -= np.roll(noise, (1, -1), (1, 2)) + np.roll(noise, (-1, 1), (1, 2))
        turned = noise + strength * turned
        # Their variance is what images are divided by.
        assert turned.var() == pytest.approx(1 + streak_power(shaping, 270) * strength**2, rel=0.03)
        found.append(coherence(turned))
    assert found[0][0] == pytest.approx(0.48, abs=0.08) and abs(found[0][1] - 45) < 10
    assert found[1][0] == pytest.approx(0.42, abs=0.12) and abs(found[1][1] - 136) < 10
    assert found[2][0] < 0.2


def test_starved_noise_has_streaks_along_the_long_side():
    shape = (128, 128)
    for code in ("H2", "D1", "F1"):
        model = SCANNERS[code].reconstructions["FBP"].noise
        by_dose = []
        for dose in (1, 10):
            shaping = noise_filter(model[dose], shape)
            noise = np.stack([np.fft.irfft2(white_slice((1,), n, shape) * shaping, s=shape) for n in range(20)])
            by_dose.append(coherence(noise))
        assert by_dose[0][0] > 2 * by_dose[1][0] and min(by_dose[0][1], 180 - by_dose[0][1]) < 10
