"""CT volumes with labels of normal organs, and patches of their tissue to train an encoder on.

Three sources: folders in TotalSegmentator's layout (`<case>/ct.nii.gz` and `<case>/segmentations/<organ>.nii.gz`) or in
BTCV's (`img/*NNNN.nii.gz` and `label/*NNNN.nii.gz`), and the printed phantom's drawing, whose organs are known by their
positions. All volumes come on the benchmark's voxel size, axes (slice, row, column) towards (head, back, left).
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from ct4bench.core.benchmark import BOX_SPACING_MM, PATCH_SHAPE
from ct4bench.core.errors import UserError

ORGANS = ("liver", "spleen", "kidney", "stomach", "aorta")
"""The five classes, in the order of their label values 1 to 5."""

"""Of the benchmark's grid, as (slice, row, column)."""

TOTALSEGMENTATOR = {
    "liver": ("liver",),
    "spleen": ("spleen",),
    "kidney": ("kidney_left", "kidney_right"),
    "stomach": ("stomach",),
    "aorta": ("aorta",),
}
"""Files of TotalSegmentator by organ."""

BTCV = {"liver": (6,), "spleen": (1,), "kidney": (2, 3), "stomach": (7,), "aorta": (8,)}
"""Label values of BTCV's abdomen by organ."""

SHARE_INSIDE = 0.35
"""Least share of a patch's voxels inside the organ of its centre: what an aorta of 20 mm fills."""

GRID_TOLERANCE_MM = 0.1

HALF = np.array(PATCH_SHAPE) // 2


@dataclass(frozen=True)
class Case:
    """One volume: HU (int16) and labels (uint8, 0 or the number of an organ), both (slices, rows, columns)."""

    name: str
    hu: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class CaseFiles:
    """Where a case lies: the CT, and for each organ the files and the label values in them (None: any but 0)."""

    name: str
    image: Path
    organs: dict[str, list[tuple[Path, tuple[int, ...] | None]]]


def find_cases(folder: Path | str) -> list[CaseFiles]:
    """Find the cases of a folder in one of the two layouts, by name; a `UserError` says what was looked for."""
    folder = Path(folder)
    if (folder / "img").is_dir() and (folder / "label").is_dir():
        cases = _btcv_cases(folder)
    else:
        cases = [
            CaseFiles(
                case.parent.name,
                case,
                {
                    organ: [
                        (path, None)
                        for path in (case.parent / "segmentations" / f"{n}.nii.gz" for n in names)
                        if path.is_file()
                    ]
                    for organ, names in TOTALSEGMENTATOR.items()
                },
            )
            for case in sorted(folder.glob("*/ct.nii.gz"))
        ]
    if not cases:
        raise UserError(
            f"{folder} has no case; it must have <case>/ct.nii.gz with segmentations/*.nii.gz (TotalSegmentator), or "
            "img/*NNNN.nii.gz with label/*NNNN.nii.gz (BTCV)"
        )
    for case in cases:
        if not any(case.organs.values()):
            raise UserError(f"{case.image} has no label of {', '.join(ORGANS)} beside it; add its segmentations")
    return cases


def _btcv_cases(folder: Path) -> list[CaseFiles]:
    def by_number(part: str) -> dict[str, Path]:
        return {
            match.group(1): path
            for path in sorted((folder / part).glob("*.nii.gz"))
            if (match := re.search(r"(\d+)\.nii\.gz$", path.name))
        }

    images, labels = by_number("img"), by_number("label")
    lonely = sorted(set(images) ^ set(labels))
    if lonely:
        raise UserError(f"{folder}: number {lonely[0]} is in img or label only; give both files of every case")
    return [
        CaseFiles(number, images[number], {organ: [(labels[number], values)] for organ, values in BTCV.items()})
        for number in sorted(images)
    ]


def read_case(files: CaseFiles) -> Case:
    """Read the volume and labels on the benchmark's voxel size: HU linear, labels nearest. `UserError` names a wrong
    file."""
    import SimpleITK as sitk  # noqa: N813

    def read(path):
        try:
            return sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
        except RuntimeError as error:
            line = str(error).strip().splitlines()[-1]
            raise UserError(f"{path} cannot be read as NIfTI ({line}); get the file again") from error

    image = read(files.image)
    if image.GetDimension() != 3:
        raise UserError(f"{files.image} has {image.GetDimension()} dimensions; give one CT volume a file")
    spacing = BOX_SPACING_MM[::-1]
    size = [
        max(1, int(n * s / wanted)) for n, s, wanted in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)
    ]
    grid = (size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1024.0)
    hu = sitk.GetArrayFromImage(sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), *grid))
    labels = np.zeros(hu.shape, np.uint8)
    opened = {}
    for number, organ in enumerate(ORGANS, 1):
        for path, values in files.organs[organ]:
            if path not in opened:
                mask = read(path)
                if mask.GetSize() != image.GetSize() or _apart_mm(mask, image) > GRID_TOLERANCE_MM:
                    raise UserError(f"{path} is not on the grid of {files.image}; resample the labels to the CT")
                mask.CopyInformation(image)
                nearest = (*grid[:2], sitk.sitkNearestNeighbor, *grid[3:6], 0)
                opened = {path: sitk.GetArrayFromImage(sitk.Resample(mask, *nearest))}
            inside = opened[path] != 0 if values is None else np.isin(opened[path], values)
            labels[inside & (labels == 0)] = number
    return Case(files.name, np.clip(np.rint(hu), -1024, 3071).astype(np.int16), labels)


def _apart_mm(one, other) -> float:
    """Largest distance of the first and last voxels of two images of the same size."""
    ends = ((0, 0, 0), tuple(n - 1 for n in one.GetSize()))
    ends_mm = [[image.TransformIndexToPhysicalPoint(end) for end in ends] for image in (one, other)]
    return float(np.abs(np.array(ends_mm[0]) - np.array(ends_mm[1])).max())


# ------------------------------------------------------------------------------------------------ the phantom's drawing
PHANTOM_SLICES = (120, 196)
"""Slices of scanner A1's grid that the liver part of the phantom takes."""

PHANTOM_SEED = 70_000
"""First seed of drawings for training, far from those of data sets."""

SCAN_SIGMA_MM = (0.85, 0.65, 0.65)
"""Blur of scanner A1's FBP along (slice, row, column)."""

PHANTOM_ORGANS = {
    "liver": (((164, 315, 130), (23, 24, 20)), ((166, 207, 133), (15, 15, 13))),
    "spleen": (((166, 338, 393), (17, 22, 24)),),
    "kidney": (((131, 333, 336), (14, 19, 15)), ((131, 338, 180), (13, 17, 15))),
    "stomach": (((160, 262, 366), (22, 24, 26)),),
    "aorta": tuple(
        ((slice_number, row, column), (8, 8, 8))
        for slice_number, row, column in (
            (128, 254, 284), (134, 258, 284), (140, 261, 285), (146, 264, 285), (152, 268, 286), (157, 270, 286),
            (163, 272, 285), (169, 275, 284), (175, 277, 283), (181, 280, 282), (187, 282, 281),
        )
    ),
}  # fmt: skip
"""Ellipsoids well inside the printed organs: centres (slice, row, column) on A1's grid, semi-axes (x, y, z) in mm.
The liver's lies apart from the six regions of the benchmark."""


def phantom_case(folder: Path, seed: int, threads: int = 1) -> Case:
    """Draw the phantom's liver part with the grain of `seed` in `folder` and seen without noise by scanner A1."""
    from ct4bench.core.phantom import A1_GRID
    from ct4bench.core.volumes import SUFFIX, open_volume
    from ct4bench.twin.draw import draw_phantom
    from ct4bench.twin.phantom import Ellipsoid

    slab = (slice(*PHANTOM_SLICES), slice(110, 410), slice(52, 460))
    draw_phantom(slab, seed, folder, threads)
    drawn = open_volume(Path(folder) / f"phantom{SUFFIX}")
    fine_mm = np.array(drawn.grid.spacing_mm)
    seen = gaussian_filter(drawn.read().astype(np.float32), np.array(SCAN_SIGMA_MM) / fine_mm)
    grid = A1_GRID.crop(slab)
    step = np.array(grid.spacing_mm) / fine_mm
    hu = affine_transform(seen, step, drawn.grid.to_index(grid.origin_mm), grid.shape, order=1, mode="nearest")
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    labels = np.zeros(grid.shape, np.uint8)
    for number, organ in enumerate(ORGANS, 1):
        for centre, semi_axes in PHANTOM_ORGANS[organ]:
            solid = Ellipsoid(centre, semi_axes)
            box = tuple(
                slice(max(0, int(c - s.start - r)), int(c - s.start + r) + 2)
                for c, s, r in zip(centre, slab, np.array(semi_axes[::-1]) / BOX_SPACING_MM, strict=True)
            )
            away = grid.to_lps(index[box]) - solid.centre_mm
            labels[box][np.einsum("...i,ij,...j->...", away, solid.form, away) <= 1] = number
    return Case(f"phantom {seed}", np.rint(hu).astype(np.int16), labels)


# ------------------------------------------------------------------------------------------------------------- patches
def draw_patches(case: Case, per_organ: int, seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw patches (n, 16, 32, 32) int16 and their classes 0 to 4 (n,) of one case, at most `per_organ` of each organ.

    Centres are voxels of the organ, drawn by `default_rng([seed, number, organ])`, whose patch lies in the volume and
    for at least `SHARE_INSIDE` in the organ.
    """
    half = HALF
    patches, classes = [], []
    for organ in range(len(ORGANS)):
        mask = case.labels == organ + 1
        centres = np.argwhere(mask)
        centres = centres[np.all((centres >= half) & (centres + half <= mask.shape), axis=1)]
        order = np.random.default_rng([seed, number, organ]).permutation(len(centres))[: 6 * per_organ]
        found = 0
        for centre in centres[order]:
            box = tuple(slice(c - h, c + h) for c, h in zip(centre, half, strict=True))
            if mask[box].mean() >= SHARE_INSIDE:
                patches.append(case.hu[box])
                classes.append(organ)
                found += 1
                if found == per_organ:
                    break
    if not patches:
        return np.empty((0, *PATCH_SHAPE), np.int16), np.empty(0, np.int64)
    return np.stack(patches), np.array(classes, np.int64)


def draw_body_patches(case: Case, n: int, seed: int, number: int, lowest_mean_hu: float = -200.0) -> np.ndarray:
    """Draw patches (at most n, 16, 32, 32) int16 anywhere in the body: those whose mean is above `lowest_mean_hu`."""
    rng = np.random.default_rng([seed, number])
    last = np.array(case.hu.shape) - PATCH_SHAPE
    if (last < 0).any():
        raise UserError(f"case {case.name} is smaller than a patch; leave it out")
    found = []
    for corner in rng.integers(0, last + 1, (8 * n, 3)):
        patch = case.hu[tuple(slice(a, a + size) for a, size in zip(corner, PATCH_SHAPE, strict=True))]
        if patch.mean() > lowest_mean_hu:
            found.append(patch)
            if len(found) == n:
                break
    return np.stack(found) if found else np.empty((0, *PATCH_SHAPE), np.int16)


def iterate_cases(folder: Path | str) -> Iterator[Case]:
    """Yield the cases of a folder one after another, so that one is in memory at a time."""
    for files in find_cases(folder):
        yield read_case(files)


def phantom_cases(seed: int, n: int, threads: int = 1) -> Iterator[Case]:
    """Yield `n` drawings of the phantom that differ in the printed grain, in folders that are gone afterwards."""
    for number in range(n):
        with tempfile.TemporaryDirectory() as folder:
            yield phantom_case(Path(folder), PHANTOM_SEED + 100 * seed + number, threads)
