"""Features by PyRadiomics itself: settings that the fast engine does not serve, and the check of its values.

PyRadiomics is given a part of the image round the region, cut so that its values are those of the whole image: where
it resamples, the part lies on the points of the whole image's new grid; where it filters the whole image (its default,
`preCrop: false`), the part has all that reaches the region, wavelets' wrapped ends and the image's largest value, which
scales some filters, included. Tests hold this against PyRadiomics on whole images.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import bounding_box
from ct4bench.features.radiomics_settings import RadiomicsSettings, build_extractor

TOLERANCE = 1e-6
"""A larger relative difference between the engines fails the run."""
FLOOR = 1e-3
"""Values that are smaller than this are compared with it: near 0 (skewness, cluster shade) only rounding is left."""
LOG_REACH = 14
"""Widths sigma beyond which a recursive Gaussian's tail, e**(-1.37 / sigma) a unit, is below 1e-8."""
INTERPOLATION_REACH = 32
"""Voxels beyond which a B-spline's tail (0.43**voxels at most, of order 5) is below 1e-11."""
SCALED_BY_LARGEST = ("Square", "SquareRoot", "Logarithm", "Exponential")
"""Image types that change single voxels, by a factor from the largest absolute value of the image."""

Box = tuple[slice, slice, slice]


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


@dataclass(frozen=True)
class Whole:
    """The image that a region lies in: its shape (slices, rows, columns), the region's first voxel, and how to read it.

    `read` gives the voxels of a box; `largest` the largest absolute value of the image, asked for only where needed.
    """

    shape: tuple[int, int, int]
    start: tuple[int, int, int]
    read: Callable[[Box], np.ndarray]
    largest: Callable[[], float]

    def cut(self, low, high) -> tuple[np.ndarray, np.ndarray]:
        """Cut voxels from index `low` to before `high`, as far as the image reaches, and the index of the first."""
        first, last = np.maximum(low, 0), np.minimum(high, self.shape)
        return self.read(tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))), first

    def cut_wrapped(self, low, high) -> tuple[np.ndarray, np.ndarray]:
        """Cut voxels from `low` to before `high` of the image repeated, odd sizes made even by the first voxel."""
        box, chosen = [], []
        for a, b, n in zip(low, high, self.shape, strict=True):
            index = np.arange(a, b) % (n + n % 2)
            index[index == n] = 0
            inside = a >= 0 and b <= n
            box.append(slice(int(a), int(b)) if inside else slice(0, n))
            chosen.append(np.arange(b - a) if inside else index)
        return self.read(tuple(box))[np.ix_(*chosen)], np.asarray(low)


class PyRadiomics:
    """The extractor of a `RadiomicsSettings`. It is not safe for threads, because SimpleITK's tolerances are global."""

    def __init__(self, settings: RadiomicsSettings):
        import SimpleITK as sitk  # noqa: N813

        self._sitk = sitk
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        self.label = settings.general["label"]
        self._extractor = build_extractor(settings.parameters, settings.file)
        self._image_types = dict(self._extractor.enabledImagetypes)
        own = self._extractor.settings
        self._pad = own["padDistance"]
        self._pre_crop = own["preCrop"]
        self._new_mm = own["resampledPixelSpacing"] if own["interpolator"] is not None else None
        self._interpolator = own["interpolator"]
        # The diagnostics cost time and go into no table; what needs the whole image is done here and by the caller.
        own.update(additionalInfo=False, normalize=False, preCrop=False, resampledPixelSpacing=None)

    def reach(self, image_type: str, spacing_mm: tuple[float, float, float]) -> tuple[int, ...]:
        """Return the voxels (slices, rows, columns) round a region that its values of an image type depend on."""
        own = {**self._extractor.settings, **self._image_types[image_type]}
        if image_type == "Original" or image_type in SCALED_BY_LARGEST:
            return (0, 0, 0)
        if image_type == "Gradient":
            return (1, 1, 1)
        if image_type == "LoG":
            return tuple(math.ceil(LOG_REACH * max(own.get("sigma", []), default=0) / mm) for mm in spacing_mm)
        if image_type == "Wavelet":
            import pywt

            levels = own.get("start_level", 0) + own.get("level", 1)
            return (levels * pywt.Wavelet(own.get("wavelet", "coif1")).dec_len,) * 3
        return (10**6,) * 3

    def margin(self, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
        """Return the voxels (slices, rows, columns) round a region that a part needs to stand for the image."""
        if self._new_mm is not None:
            ratio = [max(1.0, new / old) for new, old in zip(self._new_mm[::-1], spacing_mm, strict=True)]
            return tuple(math.ceil((self._pad + 1) * r) + INTERPOLATION_REACH for r in ratio)
        if self._pre_crop:
            return (self._pad,) * 3
        reaches = [self.reach(image_type, spacing_mm) for image_type in self._image_types]
        return tuple(max(of_axis) for of_axis in zip(*reaches, strict=True))

    def __call__(
        self,
        voxels: np.ndarray,
        inside: np.ndarray,
        spacing_mm: tuple[float, float, float],
        whole: Whole | None = None,
    ) -> dict:
        """Features by name of the region `inside` (not 0) of `voxels` (slices, rows, columns).

        `voxels` are the image, or a part of the image `whole`. Raises `ValueError` with PyRadiomics' words where the
        region does not suit its settings.
        """
        whole = whole or Whole(
            voxels.shape, (0, 0, 0), voxels.__getitem__, lambda: float(np.abs(voxels.astype(float)).max())
        )
        box = bounding_box(inside)
        if box is None:
            raise ValueError("the mask is empty")
        inside = inside[box]
        low = np.array(whole.start) + [own.start for own in box]
        high = low + inside.shape
        spacing = np.array(spacing_mm, float)
        if self._new_mm is not None:
            new = np.array(self._new_mm[::-1], float)
            new = np.where((new == 0) | (np.array(inside.shape) == 1), spacing, new)
            if not np.allclose(spacing, new):
                return self._features(*self._resampled(whole, inside, low, high, spacing, new), self._image_types)
        if self._new_mm is not None or self._pre_crop:
            part = self._with_mask(whole.cut(low - self._pad, high + self._pad), inside, low, spacing)
            return self._features(*part, self._image_types)
        found = {}
        for image_type in self._image_types:
            reach = np.array(self.reach(image_type, spacing_mm))
            cut = whole.cut_wrapped if image_type == "Wavelet" else whole.cut
            part, first = cut(low - reach, high + reach)
            if image_type in SCALED_BY_LARGEST:
                part, first = np.pad(part, 1, mode="edge").astype(np.float64), first - 1
                part[0, 0, 0] = whole.largest()
            image_and_mask = self._with_mask((part, first), inside, low, spacing)
            found |= self._features(*image_and_mask, {image_type: self._image_types[image_type]})
        return found

    def _with_mask(self, part: tuple[np.ndarray, np.ndarray], inside: np.ndarray, low, spacing_mm):
        """Image and mask of a part of the whole image, each at its place in mm."""
        voxels, first = part
        mask = np.zeros(voxels.shape, np.uint32)
        box = tuple(slice(int(a), int(a) + n) for a, n in zip(low - first, inside.shape, strict=True))
        mask[box] = np.where(inside != 0, self.label, 0)
        if voxels.dtype.kind in "iu":
            # In int16 PyRadiomics' bin edges would overflow near the ends of the range.
            voxels = voxels.astype(np.int32)
        return self._image(voxels, spacing_mm, first * spacing_mm), self._image(mask, spacing_mm, first * spacing_mm)

    def _image(self, array: np.ndarray, spacing_mm, origin_mm):
        image = self._sitk.GetImageFromArray(array)
        image.SetSpacing([float(s) for s in spacing_mm[::-1]])
        image.SetOrigin([float(v) for v in origin_mm[::-1]])
        return image

    def _resampled(self, whole: Whole, inside: np.ndarray, low, high, spacing_mm, new_mm):
        """Image and mask on the grid of PyRadiomics' `imageoperations.resampleImage` for the whole image."""
        ratio = spacing_mm / new_mm
        first = np.maximum(np.floor((low - 0.5) * ratio - self._pad), 0)
        last = np.minimum(np.ceil((high - 0.5) * ratio + self._pad), np.ceil(np.array(whole.shape) * ratio) - 1)
        # the new grid begins at the corner of the whole image's first voxel
        start = 0.5 * (new_mm - spacing_mm) / spacing_mm + first / ratio
        stop = start + (last - first) / ratio
        reach = INTERPOLATION_REACH
        part = whole.cut(np.floor(start).astype(int) - reach, np.ceil(stop).astype(int) + reach + 1)
        image, mask = self._with_mask(part, inside, low, spacing_mm)
        sitk = self._sitk
        own = self._interpolator
        resampler = sitk.ResampleImageFilter()
        resampler.SetOutputSpacing([float(v) for v in new_mm[::-1]])
        resampler.SetOutputDirection(image.GetDirection())
        resampler.SetSize([int(v) for v in (last - first + 1)[::-1]])
        resampler.SetOutputOrigin([float(v) for v in (start * spacing_mm)[::-1]])
        resampled = []
        for item, interpolator in (
            (image, getattr(sitk, own, sitk.sitkBSpline) if isinstance(own, str) else own),
            (mask, sitk.sitkNearestNeighbor),
        ):
            resampler.SetOutputPixelType(item.GetPixelID())
            resampler.SetInterpolator(interpolator)
            resampled.append(resampler.Execute(item))
        return resampled

    def _features(self, image, mask, image_types: dict) -> dict:
        sitk = self._sitk
        if sitk.GetArrayViewFromImage(mask).all():
            # PyRadiomics refuses a mask without background.
            one = [1, 1, 1]
            image = sitk.ZeroFluxNeumannPad(image, one, one)
            mask = sitk.ConstantPad(mask, one, one, 0)
        self._extractor.enabledImagetypes = image_types
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
