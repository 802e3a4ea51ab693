#!/usr/bin/env python3
"""Make assets/phantom/print.npz from the public series of the phantom (DOI 10.7937/A1V1-RC66, CC BY 4.0).

    .venv/bin/python tools/copy_print.py --series FOLDER --output assets/phantom/print.npz

The series has no segmentation. Lesions are outlined where smoothed HU pass between the lesion's and the liver's, and
as large as the published features of scanner A1 say that their segments are (number of voxels; mean, skewness and
kurtosis at 1, 6 and 14 mGy choose between outlines). The normal regions are flat discs, for their published size zones
are those of discs of four slices and of no ball; they lie where mean and variance are the published. HU are turned
into those of A1 by the means of the large cyst and of normal1, each region's mean and contrast fitted to its
features, and A1's shading, which every simulated scan adds, taken off.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import fft
from scipy.ndimage import binary_dilation, gaussian_filter, label

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from ct4bench.core.benchmark import ROIS  # noqa: E402
from ct4bench.core.phantom import A1_GRID, AIR_HU  # noqa: E402
from ct4bench.twin.copied import BLEND, PATCH_REACH, kept_share, pack  # noqa: E402
from ct4bench.twin.from_series import read_one_series, reduce_noise  # noqa: E402
from ct4bench.twin.scanners import read_scanners  # noqa: E402
from ct4bench.twin.shading import BODY  # noqa: E402

SLOPE, OFFSET_HU = 1.049, -9.5
"""HU of scanner A1 by those of the public series: -3.4 and 87.2 HU where that has 5.8 and 92.1."""
LIVER_HU = 90.0
STEP_HU = 4
FIRST_SLICE = 121
"""The first one of the liver part: the copy does not reach into the test patterns."""
DARKER_HU = 30.0
"""Voxels darker than a lesion by more (smoothed by a pixel and a half) are fat in a fissure, and no part of it."""
NEAR = 1.4
"""How far from its ellipsoid a lesion is looked for, in that's size."""
PAD = 14
ROUNDS = 4
"""Regions near to one another move each other's means."""


@dataclass(frozen=True)
class Lesion:
    """How a lesion is outlined: an ellipsoid that it lies in (centre as slice, row, column; semi-axes in mm), the
    smoothing in pixels, how much voxels outside of the ellipsoid are held back, and by how much the outline is moved.
    """

    centre: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    voxels: int
    sigma_px: float
    held_back: float
    turn_deg: float = 0.0
    moved: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Disc:
    """A normal region: centre and number of slices."""

    centre: tuple[int, int, int]
    slices: int
    voxels: int


@dataclass(frozen=True)
class Fit:
    """Mean in HU, and contrast about it, that bring a region nearest to the published features of A1."""

    mean_hu: float
    gain: float = 1.0


REGIONS = {
    "cyst1": (Lesion((157, 180, 322), (30.83, 23.52, 26.07), 169_490, 1.5, 1.0), Fit(-3.5)),
    "cyst2": (Lesion((186, 233, 189), (7.53, 6.94, 6.95), 3_255, 1.0, 0.25), Fit(1.43, 0.85)),
    "hemangioma": (
        Lesion((159, 193, 212), (22.0, 17.24, 25.0), 84_609, 3.0, 1.0, 42.0, (4, 0, 0)),
        Fit(38.7, 1.15),
    ),
    "metastasis": (Lesion((140, 240, 111), (11.34, 10.54, 10.08), 10_841, 4.0, 2.0, 20.0), Fit(43.7, 1.06)),
    "normal1": (Disc((161, 242, 155), 4, 5_249), Fit(89.25, 1.04)),
    "normal2": (Disc((155, 274, 178), 4, 8_362), Fit(101.7, 1.15)),
}


def outline(volume: np.ndarray, lesion: Lesion) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return a box of the volume and the lesion's voxels in it (bool)."""
    spacing = np.array(A1_GRID.spacing_mm)
    reach = np.ceil(NEAR * max(lesion.semi_axes_mm) / spacing).astype(int) + 4
    low = np.array(lesion.centre, int) - reach
    box = tuple(slice(int(a), int(a + 2 * r + 1)) for a, r in zip(low, reach, strict=True))
    dz, dy, dx = np.meshgrid(*(s * np.arange(-r, r + 1) for s, r in zip(spacing, reach, strict=True)), indexing="ij")
    cos, sin = np.cos(np.deg2rad(lesion.turn_deg)), np.sin(np.deg2rad(lesion.turn_deg))
    a, b, c = lesion.semi_axes_mm
    away = np.sqrt(((cos * dx + sin * dy) / a) ** 2 + ((cos * dy - sin * dx) / b) ** 2 + (dz / c) ** 2)
    smooth = gaussian_filter(volume[box].astype(np.float32), (lesion.sigma_px * spacing[1], *(lesion.sigma_px,) * 2))
    own = np.median(smooth[away < 0.5])
    unlike = np.abs(smooth - own) / (LIVER_HU - own) + lesion.held_back * np.maximum(away - 0.8, 0)
    unlike = gaussian_filter(unlike, 0.7)
    box = tuple(slice(s.start + m, s.stop + m) for s, m in zip(box, lesion.moved, strict=True))
    sigma = (1.5 * spacing[1], 1.5, 1.5)
    unlike[gaussian_filter(volume[box].astype(np.float32), sigma) < own - DARKER_HU] = np.inf
    least, most = 0.0, 5.0
    for _ in range(40):
        level = 0.5 * (least + most)
        parts, _ = label(unlike < level)
        middle = parts[tuple(reach)]
        inside = (parts == middle) & (middle > 0)
        least, most = (least, level) if inside.sum() > lesion.voxels else (level, most)
    return box, inside


def disc(disc: Disc) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return a box and the disc's voxels in it (bool)."""
    squared = disc.voxels / disc.slices / np.pi
    half = int(np.sqrt(squared)) + 1
    z, y, x = disc.centre
    first = z - disc.slices // 2
    across = np.arange(-half, half + 1)
    round_ = across[:, None] ** 2 + across[None, :] ** 2 < squared
    box = (slice(first, first + disc.slices), slice(y - half, y + half + 1), slice(x - half, x + half + 1))
    return box, np.broadcast_to(round_, (disc.slices, *round_.shape))


def without_noise(volume: np.ndarray) -> np.ndarray:
    """Return the HU without quantum noise: a mean over like neighbours, and what the Wiener filter keeps of the rest.

    The mean keeps edges, where the filter, which knows of texture only, would blur them.
    """
    even = reduce_noise(volume)
    rest = volume - even
    return even + fft.irfftn(fft.rfftn(rest) * kept_share(volume.shape), s=volume.shape)


def copy_print(volume: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of print.npz from the HU (slices, rows, columns) of the series."""
    labels = np.zeros(volume.shape, np.uint8)
    for value, roi in enumerate(ROIS, start=1):
        shape, _ = REGIONS[roi]
        box, inside = outline(volume, shape) if isinstance(shape, Lesion) else disc(shape)
        part = labels[box]
        part[inside & (part == 0)] = value
    found = np.argwhere(labels)
    margin = np.array(PATCH_REACH) + 2 * BLEND + 1
    low = np.maximum(found.min(axis=0) - margin, (FIRST_SLICE, 0, 0))
    high = np.minimum(found.max(axis=0) + margin + 1, volume.shape)
    wide = tuple(slice(int(a) - PAD, int(b) + PAD) for a, b in zip(low, high, strict=True))
    hu = SLOPE * without_noise(volume[wide].astype(np.float32) + 0.0) + OFFSET_HU
    hu = hu[PAD:-PAD, PAD:-PAD, PAD:-PAD]
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    labels = np.ascontiguousarray(labels[box])
    own = {roi: labels == value for value, roi in enumerate(ROIS, start=1)}
    share = {roi: gaussian_filter(binary_dilation(own[roi], iterations=3).astype(np.float32), 1.5) for roi in ROIS}
    for roi in ROIS:
        hu += share[roi] * (REGIONS[roi][1].gain - 1) * (hu - hu[own[roi]].mean())
    for _ in range(ROUNDS):
        for roi in ROIS:
            hu += share[roi] * (REGIONS[roi][1].mean_hu - hu[own[roi]].mean())
    shading_hu = read_scanners()["A1"].shading_hu
    scale, _ = BODY.factors(shading_hu, shading_hu)
    shading = scale * np.array([BODY.at(column) for column in range(box[2].start, box[2].stop)])
    return pack(AIR_HU + (hu - AIR_HU) / (1 + shading), labels, tuple(int(a) for a in low), STEP_HU)


def main(argv=None):
    """Read the series, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", required=True, type=Path, help="folder of the series' DICOM")
    parser.add_argument("--output", required=True, type=Path)
    args = parser.parse_args(argv)
    volume, grid, _ = read_one_series(args.series)
    if not grid.same_as(A1_GRID):
        raise SystemExit(f"{args.series} is not the public series: its grid is not that of scanner A1")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.output, **copy_print(volume))
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
