"""The real series moved by known motions (cubic B-splines), with noise of its own in each copy."""

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from ct4bench.core.geometry import Grid, Rigid

NOISE_HU = 15.0
MOTIONS = {
    # rotation in degrees, shift in mm, (slice, row, column) spacing in mm or None for its own, shift of the patient
    "m1": ((1.2, -0.8, 1.5), (3.0, -2.0, 4.0), None, (0.0, 0.0, 0.0)),
    "m2": ((3.0, -2.5, 4.0), (6.0, -5.0, 7.0), None, (0.0, 0.0, 0.0)),
    "m3": ((-2.0, 1.5, 2.5), (-4.0, 3.0, 5.0), (1.25, 0.78125, 0.78125), (0.0, -60.0, 33.0)),
}
"""Start errors of 10, 25 and, with the patient's shift, 82 mm at the block's corners."""


def add_noise(volume: np.ndarray, seed: int, sd_hu: float = NOISE_HU) -> np.ndarray:
    """int16 HU of `volume` with Gaussian noise whose neighbours correlate as a scanner's do."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(volume.shape, dtype=np.float32), 0.8)
    noise *= sd_hu / noise.std()
    noise += volume
    return np.clip(np.rint(noise, out=noise), -1024, 3071).astype(np.int16)


def as_image(volume: np.ndarray, grid: Grid) -> sitk.Image:
    """A volume on axes along the patient's as SimpleITK has it."""
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(tuple(grid.origin_mm))
    return image


def as_transform(motion: Rigid) -> sitk.AffineTransform:
    """A motion as SimpleITK has it."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(motion.matrix.ravel().tolist())
    transform.SetTranslation(motion.offset.tolist())
    return transform


def moved(volume: np.ndarray, grid: Grid, name: str, seed: int) -> tuple[np.ndarray, Grid, Rigid]:
    """The series as another scan: voxels (int16 HU), grid, and the motion from the series' frame to it."""
    rotation, shift, spacing, patient = MOTIONS[name]
    centre = grid.corners_mm().mean(axis=0)
    motion = Rigid(rotation, shift, tuple(centre))
    target = grid
    if spacing is not None:
        reach = np.array(grid.shape) * np.array(grid.spacing_mm)
        shape = np.minimum(np.ceil(reach / spacing), grid.shape).astype(int)
        target = Grid.axis_aligned(shape, spacing, centre - ((shape - 1) * spacing / 2)[::-1])
    like = sitk.Image([int(n) for n in target.shape[::-1]], sitk.sitkUInt8)
    like.SetSpacing(target.spacing_mm[::-1])
    like.SetOrigin(tuple(target.origin_mm))
    image = as_image(volume, grid)
    out = sitk.Resample(image, like, as_transform(motion.inverse()), sitk.sitkBSpline3, -1000.0, sitk.sitkFloat32)
    affine = target.affine.copy()
    affine[:3, 3] += patient
    placed = Rigid.from_affine(motion.matrix, motion.offset + patient, centre)
    return add_noise(sitk.GetArrayViewFromImage(out), seed), Grid(target.shape, affine), placed
