"""Filters, resampling and normalization: values of a region equal PyRadiomics' on the whole image, wherever it lies."""

import logging
import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from ct4bench.features.pyradiomics import PyRadiomics, Whole
from ct4bench.features.radiomics_settings import load_settings

SPACING_MM = (1.0, 0.68359375, 0.68359375)
SHAPE = (41, 90, 76)
CLASSES = "featureClass: {firstorder: , glcm: [Contrast, Idm, Correlation], gldm: [DependenceVariance]}\n"
SETTINGS = {
    "original": "imageType: {Original: {}}",
    "LoG": "imageType: {LoG: {sigma: [1.0, 2.5]}}",
    "LoG, wide": "imageType: {LoG: {sigma: [5.0]}}",
    "LoG, precropped": "imageType: {LoG: {sigma: [2.0]}}\nsetting: {preCrop: true, padDistance: 4}",
    "wavelet": "imageType: {Wavelet: {}}",
    "wavelets of two levels": "imageType: {Wavelet: {wavelet: db2, level: 2, start_level: 1, binWidth: 10}}",
    "wavelet, precropped": "imageType: {Wavelet: {}}\nsetting: {preCrop: true}",
    "wavelet in 2D": "imageType: {Wavelet: {}}\nsetting: {force2D: true}",
    "gradient": "imageType: {Gradient: {}}",
    "points": "imageType: {Square: {}, SquareRoot: {}, Logarithm: {}, Exponential: {binWidth: 5}}",
    "points, precropped": "imageType: {Square: {}, Exponential: {binWidth: 5}}\nsetting: {preCrop: true}",
    "resampled": "setting: {resampledPixelSpacing: [1.4, 1.4, 2]}",
    "resampled finer": "setting: {resampledPixelSpacing: [0.5, 0.5, 0.8], interpolator: sitkLinear, padDistance: 2}",
    "resampled in plane": "setting: {resampledPixelSpacing: [1, 1, 0], interpolator: sitkNearestNeighbor}",
    "resampled to itself": "imageType: {LoG: {sigma: [1.0]}}\nsetting: {resampledPixelSpacing: [0, 0, 0]}",
    "resampled and filtered": (
        "imageType: {Original: {}, LoG: {sigma: [2.0]}, Wavelet: {}, Square: {}, Gradient: {}}\n"
        "setting: {resampledPixelSpacing: [1, 1, 1], padDistance: 8, preCrop: true}"
    ),
    "normalized": "imageType: {Original: {}, Wavelet: {}, Square: {}}\nsetting: {normalize: true, normalizeScale: 100}",
}
BOXES = {
    "inside": (slice(12, 28), slice(30, 62), slice(20, 52)),
    "at the first corner": (slice(0, 16), slice(0, 32), slice(0, 20)),
    "at the last corner": (slice(25, 41), slice(58, 90), slice(44, 76)),
}


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(5)
    noise = gaussian_filter(rng.normal(size=SHAPE), (0.6, 0.9, 0.9))
    z, y, x = np.indices(SHAPE)
    smooth = 60 * np.sin(x / 13) + 50 * np.cos(y / 17) + 30 * np.sin(z / 7) - 900 * (x + y > 140)
    return np.rint(noise / noise.std() * 30 + smooth).astype(np.int16)


def of_the_whole_image(text_file, image, mask):
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    both = [sitk.GetImageFromArray(array) for array in (image.astype(np.int32), mask)]
    for item in both:
        item.SetSpacing([float(s) for s in SPACING_MM[::-1]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = RadiomicsFeatureExtractor(str(text_file)).execute(*both)
    return {name: float(value) for name, value in found.items() if not name.startswith("diagnostics_")}


@pytest.mark.parametrize("where", BOXES)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_region_has_the_values_of_the_whole_image(tmp_path, image, name, where):
    path = tmp_path / "own.yaml"
    path.write_text(CLASSES + SETTINGS[name])
    box, mask = BOXES[where], np.zeros(SHAPE, np.uint8)
    mask[box] = 1
    if where != "inside":
        mask[box][::3, 5:9, 2] = 0
    due = of_the_whole_image(path, image, mask)
    apply = lambda voxels: voxels  # noqa: E731
    if name == "normalized":
        mean, sd = image.mean(), image.std(ddof=1)
        apply = lambda voxels: (voxels - mean) / sd * 100  # noqa: E731
    first = tuple(s.start for s in box)
    largest = float(np.abs(apply(image.astype(float))).max())
    whole = Whole(SHAPE, first, lambda some: apply(image[some]), lambda: largest)
    found = PyRadiomics(load_settings(path))(image[box], mask[box], SPACING_MM, whole)
    assert found.keys() == due.keys()
    for feature, value in due.items():
        assert found[feature] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), feature


def test_a_part_with_its_margin_stands_for_the_image(tmp_path, image):
    path = tmp_path / "own.yaml"
    path.write_text(CLASSES + "imageType: {LoG: {sigma: [1.0]}, Gradient: {}}")
    own, box, mask = PyRadiomics(load_settings(path)), BOXES["inside"], np.zeros(SHAPE, np.uint8)
    mask[box] = 1
    wide = tuple(slice(s.start - m, s.stop + m) for s, m in zip(box, (12, 20, 20), strict=True))
    assert (np.array(own.margin(SPACING_MM)) <= (14, 21, 21)).all()
    due, found = of_the_whole_image(path, image, mask), own(image[wide], mask[wide], SPACING_MM)
    assert found == pytest.approx(due, rel=1e-5)
