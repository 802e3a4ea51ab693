"""Features by PyRadiomics itself: settings that the fast engine does not serve, and the check of its values.

PyRadiomics sees the region's box with a margin of the volume around it (its setting padDistance, as its own preCrop
would leave it), so that filters and interpolation find the voxels that are really there.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from ct4bench.core.errors import UserError
from ct4bench.features.radiomics_settings import RadiomicsSettings, build_extractor

TOLERANCE = 1e-6
"""A larger relative difference between the engines fails the run."""
FLOOR = 1e-3
"""Values that are smaller than this are compared with it: near 0 (skewness, cluster shade) only rounding is left."""


@dataclass(frozen=True)
class Normalization:
    """PyRadiomics' normalize: (voxel - mean) / sd, cut at `outliers`, times `scale`; mean and SD of a whole image."""

    mean: float
    sd: float
    outliers: float | None
    scale: float

    def __call__(self, voxels: np.ndarray) -> np.ndarray:
        """Normalized voxels, float64."""
        values = (voxels - self.mean) / self.sd
        if self.outliers is not None:
            values = np.clip(values, -self.outliers, self.outliers)
        return values * self.scale


class PyRadiomics:
    """The extractor of a `RadiomicsSettings`. It is not safe for threads, because SimpleITK's tolerances are global."""

    def __init__(self, settings: RadiomicsSettings):
        import SimpleITK as sitk  # noqa: N813

        self._sitk = sitk
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        self.label = settings.general["label"]
        self._extractor = build_extractor(settings.parameters, settings.file)
        # The diagnostics cost time and go into no table; normalization is the caller's, who has the whole image.
        self._extractor.settings.update(additionalInfo=False, normalize=False, preCrop=False)

    def margin(self, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
        """Return the voxels (slices, rows, columns) that a box needs on each side: padDistance, after resampling if
        any."""
        general = self._extractor.settings
        new_mm = general.get("resampledPixelSpacing") or (0, 0, 0)
        ratio = [max(1.0, new / old) for new, old in zip(new_mm[::-1], spacing_mm, strict=True)]
        return tuple(math.ceil(general["padDistance"] * r) + 1 for r in ratio)

    def __call__(self, voxels: np.ndarray, inside: np.ndarray, spacing_mm: tuple[float, float, float]) -> dict:
        """Features by name of the region `inside` (not 0) of `voxels` (slices, rows, columns).

        Raises `ValueError` with PyRadiomics' words where the region does not suit its settings.
        """
        if inside.all():
            # PyRadiomics refuses a mask without background.
            voxels, inside = np.pad(voxels, 1, mode="edge"), np.pad(inside, 1)
        if voxels.dtype.kind in "iu":
            # In int16 PyRadiomics' bin edges would overflow near the ends of the range.
            voxels = voxels.astype(np.int32)
        image = self._sitk.GetImageFromArray(voxels)
        mask = self._sitk.GetImageFromArray(np.where(inside != 0, self.label, 0).astype(np.uint32))
        for item in (image, mask):
            item.SetSpacing([float(s) for s in spacing_mm[::-1]])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = self._extractor.execute(image, mask)
        return {name: float(value) for name, value in found.items() if not name.startswith("diagnostics_")}


def check_image_types(columns: tuple[str, ...], settings: RadiomicsSettings) -> None:
    """Refuse an image type of which PyRadiomics gave no feature: it leaves out, with a log line only, what fails."""
    images = {name.split("_")[0].lower().replace("-", "") for name in columns}
    for image_type, own in settings.resolved["imageType"].items():
        start = {"LoG": "logsigma", "Wavelet": "wavelet", "LBP3D": "lbp3d"}.get(image_type)
        made = sum(name.startswith(start) if start else name == image_type.lower() for name in images)
        wanted = len({**settings.general, **own}.get("sigma", [])) if image_type == "LoG" else 1
        if made < max(1, wanted):
            raise UserError(
                f"{settings.file}: PyRadiomics made {made} images of type {image_type} where {max(1, wanted)} "
                "were asked for; LoG needs a list sigma of widths that fit into the region, LBP2D the package "
                "scikit-image, LBP3D scipy and trimesh"
            )


def relative_difference(values: np.ndarray, reference: np.ndarray, features: tuple[str, ...]) -> np.ndarray:
    """Return |values - reference| / max(|reference|, floor); 0 where both are not a number, infinite where one is.

    The floor is `FLOOR`, for cluster shade, a third moment, times the 1.5th power of the second, cluster tendency.
    """
    floor = np.full(len(features), FLOOR)
    shade, tendency = (f"original_glcm_Cluster{name}" for name in ("Shade", "Tendency"))
    if shade in features and tendency in features:
        floor[features.index(shade)] *= max(1.0, np.nan_to_num(reference[features.index(tendency)]) ** 1.5)
    difference = np.abs(values - reference) / np.maximum(np.abs(reference), floor)
    difference[(values == reference) | (np.isnan(values) & np.isnan(reference))] = 0
    difference[np.isnan(values) != np.isnan(reference)] = np.inf
    return difference


def check(values: np.ndarray, reference: dict, features: tuple[str, ...], where: str) -> float:
    """Return the largest relative difference of a region's `values` from PyRadiomics' `reference`.

    Beyond `TOLERANCE` a `UserError` names the region (`where`) and the feature.
    """
    expected = np.array([reference[name] for name in features])
    difference = relative_difference(values, expected, features)
    worst = int(np.argmax(difference)) if len(difference) else 0
    if len(difference) and not difference[worst] <= TOLERANCE:
        raise UserError(
            f"radiomics: {where}: {features[worst]} is {values[worst]!r}, but PyRadiomics gives {expected[worst]!r} "
            f"(relative difference {difference[worst]:.3g}, tolerance {TOLERANCE:g}); report this with the volume, and "
            "until it is settled let PyRadiomics compute all: extract_radiomics.py --engine pyradiomics"
        )
    return float(difference.max(initial=0.0))
