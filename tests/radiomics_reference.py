"""PyRadiomics itself, and what counts as equal to it, for the tests of the radiomics kernels."""

import logging
import warnings

import numpy as np
import SimpleITK as sitk

from ct4bench.features.radiomics import FEATURE_CLASSES, FEATURES

TOLERANCE = 1e-9
"""Relative; values below `FLOOR` are compared with it, since near 0 only the rounding of two summations is left."""
FLOOR = 1e-3
SHADE, TENDENCY = (FEATURES.index(f"original_glcm_Cluster{name}") for name in ("Shade", "Tendency"))


def extractor(**setting):
    """A `RadiomicsFeatureExtractor` of the 93 features."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    made = RadiomicsFeatureExtractor({"setting": setting} if setting else {})
    made.disableAllFeatures()
    for name in FEATURE_CLASSES:
        made.enableFeatureClassByName(name)
    return made


def reference_features(made, voxels, spacing_mm=(1.0, 0.68359375, 0.68359375), inside=None) -> np.ndarray:
    """PyRadiomics' features (93,) of a region; with a border, because it refuses masks that fill the image."""
    inside = np.ones(voxels.shape, np.uint8) if inside is None else np.asarray(inside, np.uint8)
    image = sitk.GetImageFromArray(np.pad(voxels.astype(np.int32), 1))
    mask = sitk.GetImageFromArray(np.pad(inside, 1))
    for item in (image, mask):
        item.SetSpacing([float(s) for s in spacing_mm[::-1]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = made.execute(image, mask)
    return np.array([float(found[name]) for name in FEATURES])


def differences(values: np.ndarray, reference: np.ndarray) -> dict[str, tuple[float, float]]:
    """Value and reference of the features that are not equal, by name; not a number equals itself only.

    Cluster shade is a third moment, so its rounding is that of the second to the power 1.5.
    """
    floor = np.full(len(FEATURES), FLOOR)
    floor[SHADE] *= max(1.0, np.nan_to_num(reference[TENDENCY]) ** 1.5)
    with np.errstate(invalid="ignore"):
        close = np.abs(values - reference) <= TOLERANCE * np.maximum(np.abs(reference), floor)
    close |= np.isnan(values) & np.isnan(reference)
    return {name: (a, b) for name, a, b, same in zip(FEATURES, values, reference, close, strict=True) if not same}


def noise_patch(rng, sd_hu=25.0, mean_hu=40.0, shape=(16, 32, 32), sigma=(0.6, 0.8, 0.8)) -> np.ndarray:
    """A patch of correlated noise, int16 HU."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=shape), sigma)
    return np.rint(noise / noise.std() * sd_hu + mean_hu).astype(np.int16)
