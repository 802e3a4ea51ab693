"""Properties that the features must have whatever computes them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.radiomics_reference import noise_patch

from ct4bench.features.radiomics import (
    FEATURE_CLASSES,
    FEATURES,
    RadiomicsOptions,
    TooManyLevelsError,
    _second_eigenvalue,
    bin_edges,
    region_features,
)

SPACING_MM = (1.0, 0.68359375, 0.68359375)
PLACE = {name: i for i, name in enumerate(FEATURES)}


def value(features, name):
    return features[PLACE[f"original_{name}"]]


def test_there_are_the_93_features_in_alphabetical_order():
    assert {name: len(features) for name, features in FEATURE_CLASSES.items()} == {
        "firstorder": 18, "glcm": 24, "gldm": 14, "glrlm": 16, "glszm": 16, "ngtdm": 5,
    }  # fmt: skip
    assert len(set(FEATURES)) == 93
    assert list(FEATURES) == sorted(FEATURES)


def test_a_flat_region_has_the_values_that_follow_from_its_definition():
    features = region_features(np.full((16, 32, 32), 37, np.int16), SPACING_MM)
    n = 16 * 32 * 32
    expected = {
        "firstorder_Energy": 37**2 * n, "firstorder_TotalEnergy": 37**2 * n * 0.68359375**2, "firstorder_Mean": 37,
        "firstorder_Skewness": 0, "firstorder_Kurtosis": 0, "firstorder_Uniformity": 1, "firstorder_Variance": 0,
        "glcm_Contrast": 0, "glcm_Correlation": 1, "glcm_MCC": 1, "glcm_JointEnergy": 1, "glcm_Imc2": 0,
        "glszm_LargeAreaEmphasis": n**2, "glszm_ZonePercentage": 1 / n, "ngtdm_Coarseness": 1e6, "ngtdm_Strength": 0,
        "gldm_GrayLevelNonUniformity": n, "gldm_DependenceNonUniformity":
            ((14 * 30 * 30) ** 2 + (2 * 30 * 30 + 4 * 14 * 30) ** 2 + (4 * 14 + 8 * 30) ** 2 + 8**2) / n,
    }  # fmt: skip
    for name, wanted in expected.items():
        assert value(features, name) == pytest.approx(wanted, rel=1e-12, abs=1e-15), name
    # A run of a flat box is a line through it: (32, 32, 16) long along the axes.
    along = [32.0**2, 32.0**2, 16.0**2]
    flat = region_features(np.zeros((1, 1, 32), np.int16), SPACING_MM)
    assert value(flat, "glrlm_LongRunEmphasis") == along[0]
    assert np.isfinite(features).all()


def test_features_do_not_change_under_mirroring_and_turning(rng):
    """The 13 directions are mapped onto each other, so only rounding may differ."""
    patch = noise_patch(rng, shape=(10, 20, 20))
    spacing = (1.0, 0.7, 0.7)
    first = region_features(patch, spacing)
    for other in (patch[::-1], patch[:, ::-1], patch[:, :, ::-1], patch.transpose(0, 2, 1)):
        np.testing.assert_allclose(region_features(np.ascontiguousarray(other), spacing), first, rtol=1e-11)


def test_texture_does_not_change_when_all_intensities_rise_by_whole_bins(rng):
    patch = noise_patch(rng)
    first, raised = (region_features(p, SPACING_MM) for p in (patch, patch + np.int16(75)))
    np.testing.assert_array_equal(first[18:], raised[18:])
    assert value(raised, "firstorder_Mean") == pytest.approx(value(first, "firstorder_Mean") + 75, rel=1e-12)


def test_voxels_outside_the_mask_do_not_count(rng):
    patch = noise_patch(rng, shape=(8, 12, 14))
    inside = rng.random(patch.shape) < 0.7
    first = region_features(patch, SPACING_MM, inside)
    changed = np.where(inside, patch, -3000).astype(np.int16)
    wider = np.pad(changed, ((2, 1), (0, 3), (4, 0)), constant_values=777)
    np.testing.assert_array_equal(region_features(wider, SPACING_MM, np.pad(inside, ((2, 1), (0, 3), (4, 0)))), first)


def test_relations_between_features_hold(rng):
    """Identities of the definitions, of features that come from different matrices."""
    f = region_features(noise_patch(rng), SPACING_MM)
    n = 16 * 32 * 32
    zones = value(f, "glszm_ZonePercentage") * n
    for left, right in (
        (
            value(f, "firstorder_Variance"),
            value(f, "firstorder_RootMeanSquared") ** 2 - value(f, "firstorder_Mean") ** 2,
        ),
        (value(f, "glcm_SumSquares"), (value(f, "glcm_ClusterTendency") + value(f, "glcm_Contrast")) / 4),
        (value(f, "glcm_SumAverage"), 2 * value(f, "glcm_JointAverage")),
        (value(f, "gldm_GrayLevelNonUniformity"), n * value(f, "firstorder_Uniformity")),
        (value(f, "glszm_SizeZoneNonUniformity"), zones * value(f, "glszm_SizeZoneNonUniformityNormalized")),
        (value(f, "glszm_GrayLevelNonUniformity"), zones * value(f, "glszm_GrayLevelNonUniformityNormalized")),
        (value(f, "gldm_DependenceNonUniformity"), n * value(f, "gldm_DependenceNonUniformityNormalized")),
    ):
        assert left == pytest.approx(right, rel=1e-11)


def test_values_do_not_depend_on_threads_or_on_other_work(rng):
    patches = [noise_patch(rng, sd_hu) for sd_hu in (10, 20, 30, 60) * 3]
    alone = [region_features(patch, SPACING_MM) for patch in patches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda patch: region_features(patch, SPACING_MM), patches))
    np.testing.assert_array_equal(alone, together)


def test_bins_are_half_open_and_aligned_to_zero():
    np.testing.assert_array_equal(bin_edges(-26, 24, RadiomicsOptions()), [-50, -25, 0, 25, 50])
    np.testing.assert_array_equal(bin_edges(0, 25, RadiomicsOptions()), [0, 25, 50])
    np.testing.assert_array_equal(bin_edges(0, 100, RadiomicsOptions(bin_count=4)), [0, 25, 50, 75, 101])


def test_too_many_levels_are_refused_with_a_remedy():
    patch = np.linspace(-1000, 3000, 4 * 4 * 64).astype(np.int16).reshape(4, 4, 64)
    with pytest.raises(TooManyLevelsError, match="4001 grey levels.*binWidth"):
        region_features(patch, SPACING_MM, None, RadiomicsOptions(bin_width=1))


def test_an_empty_region_is_refused():
    with pytest.raises(ValueError, match="empty"):
        region_features(np.zeros((2, 2, 2), np.int16), SPACING_MM, np.zeros((2, 2, 2), np.uint8))


@pytest.mark.parametrize("n", [2, 3, 5, 12, 40])
def test_the_second_eigenvalue_is_that_of_the_matrix_of_the_definition(rng, n):
    """Haralick's Q, which is not symmetric, by NumPy's general solver; with a level that no pair has."""
    for counts in (rng.integers(0, 9, (n, n)), np.diag(np.arange(n)) + 1, np.ones((n, n))):
        pairs = (counts + counts.T).astype(float)
        pairs[0] = pairs[:, 0] = 0 if n > 3 else pairs[0]
        p = pairs / pairs.sum()
        px, py = p.sum(axis=1), p.sum(axis=0)
        q = np.einsum("ik,jk->ij", p / np.maximum(px[:, None], 1e-300), p / np.maximum(py, 1e-300))
        expected = np.sort(np.linalg.eigvals(q).real)[-2]
        assert _second_eigenvalue(p, px, py) == pytest.approx(expected, rel=1e-10, abs=1e-13)
