"""Shipped methods of images against the twin's truth, formulas and scikit-image.

The twin's series are brought to A1's grid by their true poses. A method learns from one repetition of the reference and
is held against the other one, whose noise it has not seen.
"""

import sys

import numpy as np
import pandas as pd
import pytest
from skimage.exposure import match_histograms
from twin_fixture import pose_of

from ct4bench.core.benchmark import ROIS
from ct4bench.core.phantom import FIRST_VOXEL_MM
from ct4bench.harmonization.fold_server import load_class
from ct4bench.harmonization.methods import choose, find_methods
from ct4bench.image_methods.phantom import boxes_of
from ct4bench.preprocess.find_block import find_block
from ct4bench.preprocess.resampling import resample
from ct4bench.profiles import noise
from ct4bench.profiles.profiler import Profiler

SLAB = "110:210,105:415,50:460"
SCANNERS = ("A1", "C1", "E2", "H1")
OTHERS = SCANNERS[1:]
BIG = ("cyst1", "hemangioma")
"""ROIs of more than 40,000 voxels, whose rim and noise move a mean by less than 0.2 HU."""


@pytest.fixture(scope="module")
def twin(twin_of):
    return twin_of(SLAB, SCANNERS, recons=("IR",), repetitions=2)


@pytest.fixture(scope="module")
def scans(twin):
    """Volumes (float32) of both repetitions by scanner, on A1's grid."""
    _, grid = twin.read("A1", "IR")
    back, found = pose_of(twin.row("A1", "IR")).inverse(), {}
    for scanner in SCANNERS:
        for repetition in (1, 2):
            volume, own = twin.read(scanner, "IR", repetition=repetition)
            motion = pose_of(twin.row(scanner, "IR", repetition=repetition)).after(back)
            found[scanner, repetition] = resample(volume, own, grid, motion).astype(np.float32)
    return found, grid


@pytest.fixture(scope="module")
def profiler(twin, scans):
    volumes, grid = scans
    first = volumes["A1", 1].astype(np.int16)
    labels = twin.phantom.region_labels(grid, np.eye(3), np.zeros(3))
    return Profiler(first, labels, grid, find_block(first, grid), FIRST_VOXEL_MM)


def made(name: str, **more):
    """A shipped variant, and its module."""
    (variant,) = choose(find_methods(), name)
    kind = load_class(str(variant.declaration.folder), variant.declaration.entry)
    return kind(seed=7, **variant.parameters | {"reference": "A1"} | more), sys.modules["method"]


@pytest.fixture(scope="module")
def fitted(scans, profiler):
    """Function from a variant of `reference_matching` to its volumes of all scanners, each once."""
    volumes, grid = scans
    done = {}

    def of(name: str):
        if name not in done:
            method, _ = made(name, phantom=boxes_of(profiler))
            method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1")]))
            used = [("A1", 2), *((scanner, 1) for scanner in OTHERS)]
            done[name] = {s: method.transform(volumes[s, r].copy(), grid.spacing_mm, s) for s, r in used}
        return done[name]

    return of


def measured(profiler, volume, *measures) -> dict[tuple[str, str], np.ndarray]:
    rows = pd.DataFrame(
        profiler._roi_rows(volume) + profiler._step_rows(volume) + profiler._single_spectrum_rows(volume)
    )
    return {key: own["value"].to_numpy() for key, own in rows.groupby(["measure", "region"]) if key[0] in measures}


# ------------------------------------------------------------------------------------------------- calibration
@pytest.mark.parametrize("scanner", OTHERS)
def test_recalibration_takes_the_twins_line_back(twin, scans, profiler, scanner):
    """By the truth alone: what A1's mean of a ROI becomes on the scanner, and by the map that is found."""
    volumes, grid = scans
    phantom = boxes_of(profiler)
    method, module = made("reference_matching.calibration", phantom=phantom)
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1")]))
    own, _ = module.curve(volumes[scanner, 1], phantom, grid.spacing_mm)
    slope, offset = module.calibration(own, *method.curve)
    row, first = twin.row(scanner, "IR"), twin.row("A1", "IR")
    assert slope == pytest.approx(1 / row["slope"], abs=0.002)
    for roi in ROIS:
        hu = first[f"{roi}_mean_hu"]
        assert abs(slope * (row["slope"] * hu + row["offset_hu"]) + offset - hu) < 0.5, roi


@pytest.mark.parametrize("scanner", OTHERS)
def test_recalibration_brings_biases_below_half_a_hu(scans, fitted, profiler, scanner):
    before = measured(profiler, scans[0][scanner, 1], "bias_hu")
    after = measured(profiler, fitted("reference_matching.calibration")[scanner], "bias_hu")
    for roi in BIG:
        assert abs(before["bias_hu", roi][0]) > 1.5
        assert abs(after["bias_hu", roi][0]) < 0.5, roi
    # the small ones have the noise of both scans in them
    assert np.abs([after["bias_hu", roi][0] for roi in ROIS]).mean() < 0.6


def test_shading_is_taken_from_the_body_and_from_nothing_else(twin, scans, fitted, profiler):
    """Liver near the ribs less liver further inwards, to that of A1: 8 HU more on C1 by its model, none afterwards."""
    before, after = (profiler._shading_rows(v)[0]["value"] for v in
                     (scans[0]["C1", 1], fitted("reference_matching.calibration")["C1"]))  # fmt: skip
    assert before > 5 and abs(after) < 1
    window = profiler.wedge[0]
    phantom = boxes_of(profiler)
    method, module = made("reference_matching.calibration", phantom=phantom)
    method.fit(iter([(scans[0]["A1", 1], scans[1].spacing_mm, "A1")]))
    own, _ = module.curve(scans[0]["C1", 1], phantom, scans[1].spacing_mm)
    line = module.calibrated(scans[0]["C1", 1][window], *module.calibration(own, *method.curve))
    np.testing.assert_array_equal(fitted("reference_matching.calibration")["C1"][window], line)


def test_what_a_scan_does_not_show_is_no_shading(scans, profiler):
    """Columns beyond a field of view are air there, and their neighbours keep their HU."""
    volumes, grid = scans
    method, _ = made("reference_matching.calibration", phantom=boxes_of(profiler))
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1")]))
    cut = volumes["C1", 1].copy()
    cut[:, :, :45] = -1024
    whole, part = (method.transform(v.copy(), grid.spacing_mm, "C1") for v in (volumes["C1", 1], cut))
    assert np.abs(part - whole)[:, :, 60:].max() < 1.5


def test_air_stays_air(scans, fitted):
    before = scans[0]["C1", 1]
    air = before < -900
    np.testing.assert_array_equal(fitted("reference_matching.calibration")["C1"][air], before[air])


# --------------------------------------------------------------------------------------------------- sharpness
def test_curves_of_transfer_come_together(scans, fitted, profiler):
    curves = {}
    for scanner, volume in fitted("reference_matching.sharpness").items():
        curves[scanner] = measured(profiler, volume, "ttf")["ttf", "dots_to_wedge"]
    truth = np.exp(-2 * (np.pi * 1.0 * 0.05 * np.arange(15)) ** 2)
    before = measured(profiler, scans[0]["A1", 2], "ttf")["ttf", "dots_to_wedge"]
    assert np.abs(before - truth).max() > 0.09
    for scanner, curve in curves.items():
        assert np.abs(curve - curves["A1"]).max() < 0.03, scanner
        assert np.abs(curve - truth).max() < 0.03, scanner


def test_a_blurrier_volume_is_left_as_it_is(scans, profiler):
    volumes, grid = scans
    method, _ = made("reference_matching.sharpness", phantom=boxes_of(profiler), plane_sigma_mm=0.5, slice_sigma_mm=0.5)
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1")]))
    np.testing.assert_array_equal(method.transform(volumes["C1", 1].copy(), grid.spacing_mm, "C1"), volumes["C1", 1])


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.6])
def test_a_gaussian_of_any_width_has_its_transfer(sigma):
    _, module = made("reference_matching.sharpness", phantom={"steps": ["any"]})
    taps = module.gaussian_taps(sigma)
    f = np.linspace(0, 0.5, 11)
    found = [(taps * np.cos(2 * np.pi * one * (np.arange(len(taps)) - len(taps) // 2))).sum() for one in f]
    np.testing.assert_allclose(found, np.exp(-2 * (np.pi * sigma * f) ** 2), atol=8e-3)


# ------------------------------------------------------------------------------------------------------- noise
BANDS = np.arange(0.08, 0.57, 0.08)


def bands(profiler, volume) -> np.ndarray:
    """Noise power in plane of the large cyst in bands of 0.08/mm, where the trend of the second order has no part."""
    block = noise.detrended(volume[profiler.homogeneous])
    rings = noise.in_plane(noise.power_spectrum(block, profiler.grid.spacing_mm), profiler.grid.spacing_mm)
    inside = [(rings.f_per_mm >= low) & (rings.f_per_mm < low + 0.08) for low in BANDS]
    return np.array([np.average(rings.power[one], weights=rings.count[one]) for one in inside])


@pytest.mark.parametrize("scanner", OTHERS)
def test_noise_has_the_references_level_and_spectrum(scans, fitted, profiler, scanner):
    """Of the reference series. A1's other scan, 22 % off it itself, since its noise waves the other way along z and it
    lies between the grid's voxels, is in the mean of both, which 12 % are reached of."""
    volumes, _ = scans
    one, other = (bands(profiler, volumes["A1", n]) for n in (1, 2))
    own, done = bands(profiler, volumes[scanner, 1]), bands(profiler, fitted("reference_matching.noise")[scanner])
    assert np.abs(done - one).sum() < 0.1 * one.sum()
    assert np.abs(done - one).sum() < 0.5 * np.abs(own - one).sum()
    both = 0.5 * (one + other)
    assert np.abs(one - other).sum() > 0.2 * both.sum()
    assert np.abs(done - both).sum() < 0.13 * both.sum()
    sd = [measured(profiler, v, "total_sd_hu")["total_sd_hu", BIG[0]][0] for v in
          (volumes["A1", 1], fitted("reference_matching.noise")[scanner])]  # fmt: skip
    assert sd[1] == pytest.approx(sd[0], rel=0.05)


def coloured(rng, shape, cutoff) -> np.ndarray:
    """Noise of unit SD whose power falls as a Gaussian of the frequency in cycles per voxel."""
    f2 = sum(np.square(np.fft.fftfreq(n)).reshape([-1 if a == b else 1 for b in range(3)]) for a, n in enumerate(shape))
    field = np.fft.ifftn(np.fft.fftn(rng.normal(size=shape)) * np.exp(-f2 / (2 * cutoff**2))).real
    return (field / field.std()).astype(np.float32)


@pytest.mark.parametrize(("sd", "cutoff"), [(30.0, 0.2), (9.0, 0.2), (18.0, 0.12), (18.0, 0.35)])
def test_noise_that_is_too_much_too_little_or_of_another_colour(sd, cutoff):
    """Where the truth is a formula: from any noise to an SD of 15 HU and a cutoff of 0.2, seen outside of the block."""
    shape, rng = (48, 128, 128), np.random.default_rng(1)
    box = [[10, 38], [10, 50], [10, 60]]
    method, _ = made(
        "reference_matching.noise", phantom={"homogeneous": box, "wedge": box, "regions": [box], "steps": []}
    )
    method.fit(iter([(15 * coloured(rng, shape, 0.2) + 40, (1.0, 0.7, 0.7), "A1")]))
    done = method.transform((sd * coloured(rng, shape, cutoff) + 60).astype(np.float32), (1.0, 0.7, 0.7), "X")
    elsewhere = done[4:-4, 64:120, 64:120]
    assert elsewhere.mean() == pytest.approx(60, abs=1)
    assert elsewhere.std() == pytest.approx(15, rel=0.05)


def test_the_printed_texture_is_not_taken_away(scans, fitted, profiler):
    """What both repetitions of a scanner have in common after the method, to what they had before."""
    volumes, grid = scans
    method, _ = made("reference_matching.noise", phantom=boxes_of(profiler))
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1")]))
    both = [fitted("reference_matching.noise")["C1"], method.transform(volumes["C1", 2].copy(), grid.spacing_mm, "C1")]
    for roi, floor in (("cyst1", 8.0), ("hemangioma", 16.0)):
        index = profiler.rois[roi]
        texture = [noise.separate(np.stack([v.reshape(-1)[index] for v in pair])).texture_sd_hu for pair in
                   ((volumes["C1", 1], volumes["C1", 2]), both)]  # fmt: skip
        assert texture[1] > max(0.85 * texture[0], floor)


# --------------------------------------------------------------------------------------------------- histogram
def test_histogram_matching_is_scikit_images_on_whole_numbers():
    rng = np.random.default_rng(4)
    own, reference = (np.rint(rng.normal(mean, sd, (8, 20, 30))) for mean, sd in ((40, 30), (55, 12)))
    _, module = made("histogram_matching")
    counts = [module.counts_of(volume, 0) for volume in (own, reference)]
    hu, mapped, _ = module.quantile_map(*counts)
    found = np.interp(own, hu, mapped)
    np.testing.assert_allclose(found, match_histograms(own, reference), atol=1e-9)


def test_histogram_matching_moves_no_hu_where_only_noise_differs(scans, profiler):
    """SD of 31 against 13 HU in the large cyst, the same HU."""
    volumes, grid = scans
    noisy = volumes["A1", 2] + 1.75 * (volumes["C1", 1] - volumes["C1", 2])
    method, _ = made("histogram_matching")
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1"), (noisy, grid.spacing_mm, "N")]))
    done = method.transform(noisy.copy(), grid.spacing_mm, "N")
    for roi, index in profiler.rois.items():
        assert abs(float((done - noisy).reshape(-1)[index].mean())) < 0.4, roi


@pytest.mark.parametrize("scanner", OTHERS)
def test_histogram_matching_takes_most_of_the_bias(scans, profiler, scanner):
    volumes, grid = scans
    method, _ = made("histogram_matching")
    method.fit(iter([(volumes["A1", 1], grid.spacing_mm, "A1"), (volumes[scanner, 1], grid.spacing_mm, scanner)]))
    done = method.transform(volumes[scanner, 1].copy(), grid.spacing_mm, scanner)
    before, after = (
        np.mean([abs(measured(profiler, v, "bias_hu")["bias_hu", roi][0]) for roi in ROIS])
        for v in (volumes[scanner, 1], done)
    )
    assert after < 0.5 * before
