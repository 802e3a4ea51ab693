"""The drawn phantom as small DICOM series with segmentations, for whatever reads, registers or extracts."""

from pathlib import Path

import numpy as np
from dicom_factory import NAMES, uid, write_segmentation, write_series
from scene import CENTRE_MM, STILL, image, scan_grid

from ct4bench.core.geometry import Grid, Rigid

SPACING = (4.0, 2.8, 2.8)
ROI_PLACES_MM = ((40, -30, -20), (-50, 10, 15), (-30, -25, -5), (-60, 20, -25), (-5, 25, 25), (30, 20, 10))
ROI_RADII_MM = (22, 12, 20, 14, 13, 15)


def roi_labels(grid: Grid, motion: Rigid = STILL) -> np.ndarray:
    """Six spheres in the phantom's frame, 1 to 6, on `grid`."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    places = motion.inverse()(grid.to_lps(index)) - CENTRE_MM
    labels = np.zeros(grid.shape, np.uint8)
    for number, (place, radius) in enumerate(zip(ROI_PLACES_MM, ROI_RADII_MM, strict=True), 1):
        labels[np.linalg.norm(places - place, axis=-1) <= radius] = number
    return labels


def write_phantom(
    folder: Path, name: str, scanner: str = "A1", recon: str = "IR", repetition: int = 1, motion: Rigid = STILL,
    grid: Grid | None = None, noise_hu: float = 15.0, seed: int = 0, change=None, dose: str = "10",
) -> str:  # fmt: skip
    """Write `folder/name/ct` and `folder/name/seg.dcm`; `change(volume)` alters the voxels. Returns the series' UID."""
    grid = scan_grid(SPACING) if grid is None else grid
    volume = image(grid, motion, noise_hu, seed)
    volume = volume if change is None else change(volume)
    paths = write_series(
        folder / name / "ct", name, volume.astype(np.int32) + 1024, origin=grid.origin_mm,
        step=grid.affine[:3, 0], StudyDescription=scanner, PixelSpacing=list(grid.spacing_mm[1:]),
        SeriesDescription=f"{scanner}_Harmonized_{dose}mGy_{recon} - #{repetition}",
    )  # fmt: skip
    write_segmentation(folder / name / "seg.dcm", paths, roi_labels(grid, motion), NAMES)
    return uid(name)
