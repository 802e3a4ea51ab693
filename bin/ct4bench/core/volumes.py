"""Volumes between tasks (Blosc2 arrays that carry their grid), and NIfTI and ITK transforms for users."""

import json
from dataclasses import dataclass
from pathlib import Path

import blosc2
import numpy as np

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.geometry import Grid, Rigid

SUFFIX = ".b2nd"


@dataclass(frozen=True)
class Volume:
    """An opened volume: `grid`, `attributes` (plain values), and its voxels, read on demand."""

    path: Path
    grid: Grid
    attributes: dict
    _array: blosc2.NDArray

    def read(self, box: tuple[slice, slice, slice] | None = None) -> np.ndarray:
        """Read voxels (slices, rows, columns) in the stored dtype, of the whole volume or of `box` only."""
        return self._array[...] if box is None else self._array[box]


def save_volume(path: Path | str, array: np.ndarray, grid: Grid, attributes: dict | None = None) -> None:
    """Write `array` (slices, rows, columns) losslessly; `attributes` must be JSON values."""
    if tuple(array.shape) != grid.shape:
        raise ValueError(f"array {array.shape} is not on grid {grid.shape}")
    chunk = (min(16, array.shape[0]), *(min(256, n) for n in array.shape[1:]))
    # Blocks of few rows: slabs of rows, slabs of slices and patches are all read without unpacking much beside them.
    block = (chunk[0], min(8, chunk[1]), chunk[2])
    stored = blosc2.asarray(
        np.ascontiguousarray(array),
        urlpath=str(path),
        mode="w",
        chunks=chunk,
        blocks=block,
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 1, "filters": [blosc2.Filter.BITSHUFFLE], "nthreads": 1},
    )
    stored.schunk.vlmeta["ct4bench"] = json.dumps({"grid": grid.to_dict(), "attributes": attributes or {}})


def open_volume(path: Path | str) -> Volume:
    """Open a volume that `save_volume` wrote, without reading its voxels."""
    try:
        array = blosc2.open(str(path), mode="r", dparams={"nthreads": 1})
        meta = json.loads(array.schunk.vlmeta["ct4bench"])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not a volume of this pipeline ({error_words(error)}); run the stage that makes it again"
        ) from error
    return Volume(Path(path), Grid.from_dict(meta["grid"]), meta["attributes"], array)


def write_nifti(path: Path | str, array: np.ndarray, grid: Grid) -> None:
    """Write `array` as NIfTI at its position in patient coordinates (SimpleITK turns LPS into NIfTI's RAS)."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(array)
    spacing = np.array(grid.spacing_mm)
    axes = grid.affine[:3, :3] / spacing
    image.SetSpacing([float(s) for s in spacing[::-1]])
    image.SetOrigin([float(v) for v in grid.origin_mm])
    image.SetDirection([float(v) for v in axes[:, ::-1].ravel()])
    sitk.WriteImage(image, str(path), useCompression=True)


def read_nifti(path: Path | str) -> tuple[np.ndarray, Grid]:
    """Read a NIfTI as an array (slices, rows, columns) in its own type, and its grid in patient coordinates (LPS)."""
    import SimpleITK as sitk  # noqa: N813

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"{path} cannot be read as NIfTI; write it again, as .nii or .nii.gz") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(f"{path} is not one volume of numbers; write one NIfTI with three axes for each series")
    spacing = np.array(image.GetSpacing()[::-1])
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3)[:, ::-1] * spacing
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return array, Grid(tuple(array.shape), affine)


def write_transform(path: Path | str, motion: Rigid) -> None:
    """Write a motion from the reference to a series as an ITK transform, text (`.tfm`), in LPS mm.

    ITK resamples a series onto the reference by it as it is; 3D Slicer moves a series, as scanned, onto the reference.
    As matrix and translation, since Euler angles have no one order in ITK's files.
    """
    values = [*motion.matrix.ravel(), *motion.translation_mm]
    lines = [
        "#Insight Transform File V1.0",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(repr(float(value)) for value in values)}",
        f"FixedParameters: {' '.join(repr(float(value)) for value in motion.centre_mm)}",
    ]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def to_hu(array: np.ndarray) -> np.ndarray:
    """Return finite HU rounded to int16, as registered volumes have them."""
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(array), limits.min, limits.max).astype(np.int16)
