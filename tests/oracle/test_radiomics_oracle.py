"""All 93 features against PyRadiomics' own extractor, on patches and masks, common and degenerate."""

import numpy as np
import pytest
import SimpleITK as sitk
from tests.radiomics_reference import differences, extractor, noise_patch, reference_features

from ct4bench.features.radiomics import FEATURE_CLASSES, FEATURES, RadiomicsOptions, region_features

SPACING_MM = (1.0, 0.68359375, 0.68359375)
SHAPE = (16, 32, 32)
CENTRES = {  # row, column, slice (by descending InstanceNumber) of the phantom's ROIs
    "cyst1": (180, 322, 157), "cyst2": (233, 189, 186), "hemangioma": (193, 212, 159), "metastasis": (240, 111, 140),
    "normal1": (226, 161, 149), "normal2": (275, 159, 170),
}  # fmt: skip


@pytest.fixture(scope="module")
def default():
    return extractor()


def assert_equal(made, voxels, inside=None, options=RadiomicsOptions(), spacing_mm=SPACING_MM):  # noqa: B008
    own = region_features(voxels, spacing_mm, inside, options)
    assert differences(own, reference_features(made, voxels, spacing_mm, inside)) == {}
    return own


def test_the_features_are_those_that_pyradiomics_enables():
    from radiomics import getFeatureClasses

    for name, features in FEATURE_CLASSES.items():
        known = getFeatureClasses()[name].getFeatureNames()
        assert features == tuple(sorted(feature for feature, deprecated in known.items() if not deprecated))


@pytest.mark.parametrize("sd_hu", [3, 12, 20, 26, 35, 60, 150])
def test_patches_of_correlated_noise(default, rng, sd_hu):
    features = assert_equal(default, noise_patch(rng, sd_hu, mean_hu=rng.uniform(-120, 120)))
    assert np.isfinite(features).all()


def test_a_patch_of_white_noise(default, rng):
    assert_equal(default, np.rint(rng.normal(0, 30, SHAPE)).astype(np.int16))


def structured(kind: str, rng) -> np.ndarray:
    """Patches whose matrices are sparse, singular or empty in places."""
    z, y, x = np.indices(SHAPE)
    return {
        "constant": np.full(SHAPE, 37),
        "constant at a bin's edge": np.full(SHAPE, 50),
        "two levels": rng.choice([10, 60], SHAPE),
        "two adjacent levels": rng.choice([24, 25], SHAPE),
        "checkerboard": (z + y + x) % 2 * 100,
        "stripes": y % 2 * 100,
        "halves": (x >= 16) * 500,
        "one voxel": ((z == 7) & (y == 3) & (x == 31)) * 90,
        "two voxels that touch nothing else": ((z == 7) & (y == 3) & ((x == 3) | (x == 20))) * 90,
        "ramp": 25 * (z + y + x),
        "ramp in one direction": 25 * x,
        "levels with gaps": rng.choice([0, 30, 400, 900], SHAPE, p=[0.5, 0.3, 0.19, 0.01]),
        "rare levels": np.where(rng.random(SHAPE) < 1e-3, rng.integers(-900, 900, SHAPE), 20),
        "blocks": rng.integers(0, 3, (4, 8, 8)).repeat(4, 0).repeat(4, 1).repeat(4, 2) * 25,
        "percentiles on voxels": np.arange(16 * 32 * 32).reshape(SHAPE) // 1639 * 10 - 50,
    }[kind].astype(np.int16)


KINDS = (
    "constant", "constant at a bin's edge", "two levels", "two adjacent levels", "checkerboard", "stripes", "halves",
    "one voxel", "two voxels that touch nothing else", "ramp", "ramp in one direction", "levels with gaps",
    "rare levels", "blocks", "percentiles on voxels",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_structured_patches(default, rng, kind):
    assert_equal(default, structured(kind, rng))


@pytest.mark.parametrize(
    "setting",
    [
        {"binWidth": 5}, {"binWidth": 12.5}, {"binWidth": 2.7}, {"binWidth": 100}, {"binWidth": 1000},
        {"binCount": 1}, {"binCount": 4}, {"binCount": 33}, {"gldm_a": 1}, {"gldm_a": 3, "binWidth": 7},
        {"voxelArrayShift": 1000}, {"symmetricalGLCM": False}, {"symmetricalGLCM": False, "binWidth": 6},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_the_fast_engine_serves(rng, setting):
    options = RadiomicsOptions(
        setting.get("binWidth", 25), setting.get("binCount"), setting.get("symmetricalGLCM", True),
        setting.get("gldm_a", 0), setting.get("voxelArrayShift", 0),
    )  # fmt: skip
    made = extractor(**setting)
    assert_equal(made, noise_patch(rng, 25), None, options)
    assert_equal(made, noise_patch(rng, 40, shape=(9, 20, 14)), rng.random((9, 20, 14)) < 0.8, options)


def test_more_levels_than_a_byte_holds(rng):
    voxels = np.rint(rng.normal(0, 250, (4, 9, 12))).astype(np.int16)
    assert np.ptp(voxels) > 4 * 270
    assert_equal(extractor(binWidth=4), voxels, None, RadiomicsOptions(bin_width=4))


@pytest.mark.parametrize("symmetrical", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_small_masks_of_any_shape(seed, symmetrical):
    """Lines, planes, scattered voxels, single pairs: directions without a pair, eigenvalues that vanish."""
    rng = np.random.default_rng([seed, 7])
    made = extractor(minimumROIDimensions=1, symmetricalGLCM=symmetrical)
    seen = 0
    while seen < 40:
        shape = tuple(rng.integers(1, 7, 3))
        inside = rng.random(shape) < rng.choice([0.15, 0.4, 0.7, 1.0])
        voxels = (
            rng.choice([10, 60], shape), rng.integers(0, 4, shape) * 25, np.rint(rng.normal(30, 25, shape)),
            np.full(shape, rng.integers(-60, 60)), rng.integers(-1000, 1000, shape),
        )[rng.integers(5)].astype(np.int16)  # fmt: skip
        if inside.sum() < 2:
            continue
        own = region_features(voxels, SPACING_MM, inside, RadiomicsOptions(symmetrical=symmetrical))
        found = differences(own, reference_features(made, voxels, SPACING_MM, inside))
        assert found == {}, (voxels.tolist(), inside.astype(int).tolist())
        seen += 1


@pytest.fixture(scope="module")
def liver(real_series):
    """Slices 110 to 220 of the real series, HU, and the function from a ROI's name to its centre in them."""
    reader = sitk.ImageSeriesReader()
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(real_series))
    reader.SetFileNames(names[110:220])
    volume = sitk.GetArrayFromImage(reader.Execute()).astype(np.int16)
    return volume, lambda roi: (CENTRES[roi][2] - 110, *CENTRES[roi][:2])


@pytest.mark.parametrize("roi", CENTRES)
def test_real_patches(default, liver, rng, roi):
    volume, centre_of = liver
    for _ in range(3):
        z, y, x = np.array(centre_of(roi)) + rng.integers(-5, 6, 3)
        assert_equal(default, volume[z - 8 : z + 8, y - 16 : y + 16, x - 16 : x + 16])


@pytest.mark.parametrize(("roi", "radius_mm"), [("cyst2", 6), ("metastasis", 9), ("hemangioma", 18)])
def test_real_rois(default, liver, roi, radius_mm):
    volume, centre_of = liver
    reach = [int(np.ceil(radius_mm / s)) + 2 for s in SPACING_MM]
    box = tuple(slice(c - r, c + r + 1) for c, r in zip(centre_of(roi), reach, strict=True))
    voxels = volume[box]
    place = np.indices(voxels.shape) - np.reshape(reach, (3, 1, 1, 1))
    inside = ((place * np.reshape(SPACING_MM, (3, 1, 1, 1))) ** 2).sum(axis=0) < radius_mm**2
    features = assert_equal(default, voxels, inside)
    n = features[FEATURES.index("original_firstorder_Energy")]
    n /= features[FEATURES.index("original_firstorder_RootMeanSquared")] ** 2
    assert n == pytest.approx(inside.sum())
