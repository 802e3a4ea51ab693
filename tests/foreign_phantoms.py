"""Two drawn phantoms that are not the benchmark's: a water phantom with inserts, and a stack of textured cartridges.

    .venv/bin/python tests/foreign_phantoms.py water DIR        # or cartridges

writes DIR/dicom (CT series of three scanners), DIR/phantom.yml, DIR/mask.nii.gz or DIR/mask.dcm (an RT structure set),
DIR/params.json, the parameters of a run on them, and DIR/truth.json, the motion of each series. Both are drawn, from
nobody's measurements.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

sys.path[:0] = [str(Path(__file__).parents[1] / "bin"), str(Path(__file__).parent)]

from dicom_factory import _item, uid, write_series  # noqa: E402

from ct4bench.core.geometry import Grid, Rigid  # noqa: E402
from ct4bench.core.volumes import write_nifti  # noqa: E402
from ct4bench.index.masks import STRUCTURE_SET  # noqa: E402

PATTERN = r"(?P<scanner>\w+) (?P<dose>\d+)mGy (?P<recon>\w+) #(?P<repetition>\d+)"
"""--series_pattern of both."""
REFERENCE = "Alpha 10mGy IR"


@dataclass(frozen=True)
class Scanner:
    """How a scanner shows the phantom: blur and noise in mm and HU, gain, offset, voxels, and how it lay."""

    manufacturer: str
    blur_mm: float
    noise_hu: float
    gain: float
    offset_hu: float
    spacing_mm: tuple[float, float, float]
    rotation_deg: tuple[float, float, float]
    translation_mm: tuple[float, float, float]


SCANNERS = {
    "Alpha": Scanner("SIEMENS", 0.6, 8.0, 1.0, 0.0, (2.0, 1.1, 1.1), (0, 0, 0), (0, 0, 0)),
    "Beta": Scanner("Philips", 0.8, 11.0, 1.01, 3.0, (2.0, 1.2, 1.2), (0.8, -1.1, 6.0), (7.0, -4.0, 3.0)),
    "Gamma": Scanner("GE MEDICAL", 0.5, 14.0, 0.99, -4.0, (1.875, 1.3, 1.3), (-0.6, 0.9, -9.0), (-5.0, 6.0, -4.0)),
}  # fmt: skip


def _share(distance_mm: np.ndarray, blur_mm: float) -> np.ndarray:
    """How much of a voxel lies inside of a surface, by the distance inwards."""
    return 0.5 * (1 + np.tanh(1.25 * distance_mm / blur_mm))


def _waves(points: np.ndarray, seed: int, period_mm: float, n: int = 24) -> np.ndarray:
    """A texture of mean 0 and SD 1 at points: plane waves of random directions and phases round one period."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 3))
    directions *= (2 * np.pi / (period_mm * rng.uniform(0.8, 1.3, n)) / np.linalg.norm(directions, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, n)
    total = np.zeros(points.shape[:-1])
    for direction, phase in zip(directions, phases, strict=True):
        total += np.cos(points @ direction + phase)
    return total * np.sqrt(2 / n)


class Water:
    """A cylinder of water along z, 164 mm wide and 72 mm long, with five inserts; the sixth region is water.

    Regions are wide enough for patches of 35 x 35 x 32 mm to lie in them for the most part.
    """

    name = "Water phantom with inserts"
    size_mm = (88.0, 212.0, 212.0)
    inserts = {
        "bone1": ("bone", 500.0, 53.0, 20.0, 23.0), "bone2": ("bone", 320.0, 53.0, 164.0, 23.0),
        "lung": ("lung", -700.0, 53.0, 308.0, 23.0), "fat1": ("plastic", -90.0, 53.0, 92.0, 23.0),
        "acrylic": ("plastic", 120.0, 53.0, 236.0, 23.0),
    }  # fmt: skip
    """Class, HU, distance from the axis in mm, angle in degrees, radius in mm."""
    classes = {**{name: values[0] for name, values in inserts.items()}, "water": "water"}
    length_mm = 56.0

    def _middle(self, name: str) -> tuple[float, float, float]:
        if name == "water":
            return 0.0, 0.0, 24.0
        _, _, distance, angle, radius = self.inserts[name]
        return distance * np.cos(np.deg2rad(angle)), distance * np.sin(np.deg2rad(angle)), radius

    def draw(self, points: np.ndarray, blur_mm: float) -> np.ndarray:
        """HU at points (..., 3) of the phantom's frame."""
        x, y, z = np.moveaxis(points, -1, 0)
        hu = np.zeros(x.shape)
        for name, (_, value, *_rest) in self.inserts.items():
            a, b, radius = self._middle(name)
            hu += (value - hu) * _share(radius - np.hypot(x - a, y - b), blur_mm)
        # what tells one end from the other: a bar across at one end
        hu += 200.0 * _share(5.0 - np.abs(y + 20.0), blur_mm) * _share(z - 30.0, blur_mm)
        body = _share(82.0 - np.hypot(x, y), blur_mm) * _share(36.0 - np.abs(z), blur_mm)
        return -1000.0 + body * (1000.0 + hu)

    def labels(self, points: np.ndarray) -> np.ndarray:
        """Number of the region at points, 0 for none."""
        x, y, z = np.moveaxis(points, -1, 0)
        out = np.zeros(x.shape, np.uint8)
        for number, name in enumerate(self.classes, 1):
            a, b, radius = self._middle(name)
            out[(np.hypot(x - a, y - b) < radius - 2) & (np.abs(z) < 0.5 * self.length_mm)] = number
        return out


class Cartridges:
    """Five cartridges of 64 x 64 x 32 mm one behind another, textures of their own, in the manner of those that are
    used to compare radiomics between scanners."""

    name = "Cartridge phantom"
    size_mm = (180.0, 100.0, 100.0)
    materials = {
        "cork": ("cork", -780.0, 40.0, 7.0), "wood": ("wood", -350.0, 55.0, 5.0),
        "rubber1": ("rubber", 60.0, 80.0, 9.0), "rubber2": ("rubber", 75.0, 80.0, 9.0),
        "plaster": ("plaster", 420.0, 60.0, 6.0),
    }  # fmt: skip
    """Class, mean and SD in HU, period of the texture in mm."""
    classes = {name: values[0] for name, values in materials.items()}

    def draw(self, points: np.ndarray, blur_mm: float) -> np.ndarray:
        """HU at points (..., 3) of the phantom's frame."""
        x, y, z = np.moveaxis(points, -1, 0)
        hu = np.full(x.shape, -1000.0)
        for number, (_, mean, sd, period) in enumerate(self.materials.values()):
            own = mean + sd * np.exp(-2 * (np.pi * blur_mm / period) ** 2) * _waves(points, number, period)
            inside = _share(16.0 - np.abs(z - 32.0 * (number - 2)), blur_mm)
            hu += inside * (own - hu)
        walls = _share(35.0 - np.maximum(np.abs(x), np.abs(y)), blur_mm)
        core = _share(32.0 - np.maximum(np.abs(x), np.abs(y)), blur_mm)
        long = _share(83.0 - np.abs(z), blur_mm)
        return -1000.0 + long * (walls * 1100.0 + core * (hu - 100.0))

    def labels(self, points: np.ndarray) -> np.ndarray:
        """Number of the region at points, 0 for none."""
        x, y, z = np.moveaxis(points, -1, 0)
        out = np.zeros(x.shape, np.uint8)
        inside = np.maximum(np.abs(x), np.abs(y)) < 27
        for number in range(len(self.materials)):
            out[inside & (np.abs(z - 32.0 * (number - 2)) < 13)] = number + 1
        return out


PHANTOMS = {"water": Water(), "cartridges": Cartridges()}
MASKS = {"water": "mask.nii.gz", "cartridges": "mask.dcm"}


def grid_of(phantom, scanner: Scanner) -> Grid:
    """Grid of a scanner's images, centred on the middle of the image."""
    shape = [int(round(size / step)) for size, step in zip(phantom.size_mm, scanner.spacing_mm, strict=True)]
    origin = [-0.5 * (n - 1) * step for n, step in zip(shape[::-1], scanner.spacing_mm[::-1], strict=True)]
    return Grid.axis_aligned(shape, scanner.spacing_mm, origin)


def motion_of(scanner: Scanner, repetition: int) -> Rigid:
    """Motion from the reference (the first scan of Alpha) to a series; each repetition is laid down anew."""
    rng = np.random.default_rng(repetition)
    aside = rng.uniform(-1, 1, 6) * (repetition > 1)
    turn = np.add(scanner.rotation_deg, 0.5 * aside[:3])
    shift = np.add(scanner.translation_mm, 2.0 * aside[3:])
    return Rigid(tuple(map(float, turn)), tuple(map(float, shift)), (0.0, 0.0, 0.0))


def points_of(grid: Grid, motion: Rigid) -> np.ndarray:
    """Positions of all voxels in the phantom's frame."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return motion.inverse()(grid.to_lps(index))


def scan(phantom, scanner: Scanner, recon: str, repetition: int) -> tuple[np.ndarray, Grid, Rigid]:
    """One series: int16 HU, grid, motion from the reference; a couch lies below, which does not move with it."""
    grid, motion = grid_of(phantom, scanner), motion_of(scanner, repetition)
    hu = phantom.draw(points_of(grid, motion), scanner.blur_mm * (1.3 if recon == "IR" else 1.0))
    y = grid.to_lps(np.stack([np.zeros(grid.shape[1]), np.arange(grid.shape[1]), np.zeros(grid.shape[1])], 1))[:, 1]
    couch = _share(2.0 - np.abs(y - (0.5 * phantom.size_mm[1] - 5.0)), scanner.blur_mm)
    hu = np.maximum(hu, -1000.0 + 700.0 * couch[None, :, None])
    seed = [*(list(SCANNERS.values()).index(scanner), len(recon), repetition)]
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), (0.4, 0.7, 0.7))
    noise *= scanner.noise_hu * (0.6 if recon == "IR" else 1.0) / noise.std()
    hu = scanner.gain * (hu + noise) + scanner.offset_hu
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid, motion


def write_structures(path: Path, ct_paths: list[Path], labels: np.ndarray, grid: Grid, names) -> Path:
    """An RT structure set of the rectangles round the labels, whose edges lie between voxels, and an outline that is no
    region."""
    first = pydicom.dcmread(ct_paths[0], stop_before_pixels=True)
    dataset = _item(
        SOPClassUID=STRUCTURE_SET, SOPInstanceUID=uid(str(path.name), "structures"), Modality="RTSTRUCT",
        SeriesInstanceUID=uid("structures"), StudyInstanceUID=first.StudyInstanceUID, StructureSetLabel="regions",
    )  # fmt: skip
    dataset.StructureSetROISequence = Sequence(
        [_item(ROINumber=n, ROIName=name) for n, name in enumerate([*names, "External"], 1)]
    )
    contours = []
    for number in range(1, len(names) + 1):
        own = []
        for k in range(grid.shape[0]):
            where = np.argwhere(labels[k] == number)
            if len(where):
                (a, b), (c, d) = where.min(axis=0) - 0.5, where.max(axis=0) + 0.5
                corners = grid.to_lps(np.array([[k, a, b], [k, a, d], [k, c, d], [k, c, b]]))
                data = [f"{v:.4f}" for v in corners.ravel()]
                own.append(_item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=4, ContourData=data))
        contours.append(_item(ReferencedROINumber=number, ContourSequence=Sequence(own)))
    dataset.ROIContourSequence = Sequence(contours)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return path


LABELS = {"water": {"bone1": "[Bone insert left, 1]", "bone2": "[Bone insert right, 2]"}, "cartridges": {}}
"""What a mask calls a region, beside its number, where that is not its name."""
MAIN = {"water": "water"}


def description(kind: str) -> str:
    """The YAML of a drawn phantom; that of the water phantom is the example of docs/own-phantom.md."""
    phantom = PHANTOMS[kind]
    lines = [f"name: {phantom.name}", "regions:"]
    lines += [f"  - {{name: {name}, class: {tissue}, label: {LABELS[kind].get(name, n)}}}"
              for n, (name, tissue) in enumerate(phantom.classes.items(), 1)]  # fmt: skip
    lines += [f"main_region: {MAIN[kind]}"] if kind in MAIN else []
    return "\n".join(lines) + "\n"


def write_phantom(kind: str, folder: Path, recons=("IR",), repetitions: int = 2, scanners=tuple(SCANNERS)) -> dict:
    """Write everything; returns the true motion of each series by its UID."""
    phantom, truth = PHANTOMS[kind], {}
    for name in scanners:
        scanner = SCANNERS[name]
        for recon in recons:
            for repetition in range(1, repetitions + 1):
                hu, grid, motion = scan(phantom, scanner, recon, repetition)
                series = f"{kind} {name} {recon} {repetition}"
                paths = write_series(
                    folder / "dicom" / name / f"{recon}_{repetition}", series, hu.astype(np.int32) + 1024,
                    origin=grid.origin_mm, step=(0.0, 0.0, scanner.spacing_mm[0]),
                    PixelSpacing=[scanner.spacing_mm[1], scanner.spacing_mm[2]], SliceThickness=scanner.spacing_mm[0],
                    Manufacturer=scanner.manufacturer, ManufacturerModelName=f"{name} CT",
                    StudyDescription=phantom.name,
                    SeriesDescription=f"{name} 10mGy {recon} #{repetition}", ReconstructionDiameter=phantom.size_mm[1],
                    FrameOfReferenceUID=uid(kind, name, repetition), StudyInstanceUID=uid(kind, name, repetition, "s"),
                )  # fmt: skip
                truth[uid(series)] = {"rotation_deg": motion.rotation_deg, "translation_mm": motion.translation_mm}
                if (name, recon, repetition) == ("Alpha", "IR", 1):
                    labels = phantom.labels(points_of(grid, motion))
                    if kind == "water":
                        write_nifti(folder / MASKS[kind], labels, grid)
                    else:
                        write_structures(folder / MASKS[kind], paths, labels, grid, list(phantom.classes))
    (folder / "phantom.yml").write_text(description(kind))
    values = {"input": "dicom", "phantom": "phantom.yml", "mask": MASKS[kind]}
    parameters = {name: str((folder / file).absolute()) for name, file in values.items()}
    parameters |= {"series_pattern": PATTERN, "reference": REFERENCE}
    (folder / "params.json").write_text(json.dumps(parameters, indent=1) + "\n")
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    return truth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(PHANTOMS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reconstructions", default="FBP,IR")
    parser.add_argument("--repetitions", type=int, default=2)
    args = parser.parse_args()
    write_phantom(args.kind, args.folder, args.reconstructions.split(","), args.repetitions)
