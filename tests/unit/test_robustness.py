"""Series that lie, are cut, are stored or are scanned in an unusual way, from DICOM to the common grid.

Each is found to within a tenth of a millimetre or is quarantined for the right reason, with a clean reference and with
a noisy one.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import NAMES, uid, write_segmentation, write_series
from phantom_series import write_phantom
from scene import CENTRE_MM, image, scan_grid

from ct4bench.core.geometry import Grid, Rigid, worst_displacement_mm
from ct4bench.index.files import folders_of
from ct4bench.index.index import build_index
from ct4bench.preprocess.prepare import prepare_reference
from ct4bench.preprocess.reference import open_reference
from ct4bench.preprocess.register import RegistrationRun, register_chunk
from ct4bench.preprocess.transforms import motion_of

MOTION = Rigid((2.0, -1.5, 3.0), (9.0, 48.0, -9.0), tuple(CENTRE_MM))
"""The table stands 48 mm lower than for the reference."""
FEET_FIRST, PRONE, UPSIDE_DOWN = np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1]), np.diag([1.0, -1, -1])
ALL = slice(None)


@dataclass
class Series:
    volume: np.ndarray
    grid: Grid
    motion: Rigid = MOTION

    def part(self, *box) -> "Series":
        return Series(self.volume[box], self.grid.crop(box), self.motion)

    def turned(self, matrix) -> "Series":
        """The same voxels where the patient's axes are turned: the phantom lies turned in patient coordinates."""
        affine = self.grid.affine.copy()
        affine[:3, :3] = matrix @ affine[:3, :3]
        affine[:3, 3] = CENTRE_MM + matrix @ (affine[:3, 3] - CENTRE_MM)
        offset = CENTRE_MM + matrix @ (self.motion.offset - CENTRE_MM)
        motion = Rigid.from_affine(matrix @ self.motion.matrix, offset, CENTRE_MM)
        return Series(self.volume, Grid(self.grid.shape, affine), motion)

    def stored_backwards(self, *axes: int) -> "Series":
        """The same place with the order of voxels reversed along some axes."""
        affine, first = self.grid.affine.copy(), np.zeros(3)
        for axis in axes:
            first[axis] = self.grid.shape[axis] - 1
            affine[:3, axis] *= -1
        affine[:3, 3] = self.grid.to_lps(first)
        return Series(np.flip(self.volume, axes), Grid(self.grid.shape, affine), self.motion)

    def mirrored(self, axis: int) -> "Series":
        return Series(np.flip(self.volume, axis), self.grid, self.motion)

    def thick(self) -> "Series":
        """Slices of 5 mm: the means of two."""
        n = len(self.volume) // 2
        means = self.volume[: 2 * n].reshape(n, 2, *self.grid.shape[1:]).mean(axis=1)
        affine = self.grid.affine.copy()
        affine[:3, 3] = self.grid.to_lps([0.5, 0, 0])
        affine[:3, 0] *= 2
        return Series(np.rint(means), Grid(means.shape, affine), self.motion)

    def fine(self, factor: int) -> "Series":
        """Pixels divided into `factor` x `factor` alike."""
        volume = self.volume.repeat(factor, axis=1).repeat(factor, axis=2)
        affine = self.grid.affine.copy()
        affine[:3, 3] = self.grid.to_lps([0, 0.5 / factor - 0.5, 0.5 / factor - 0.5])
        affine[:3, 1:3] /= factor
        return Series(volume, Grid(volume.shape, affine), self.motion)

    def seen_within(self, radius_mm: float) -> "Series":
        rows, columns = (np.arange(n) - (n - 1) / 2 for n in self.grid.shape[1:])
        volume = self.volume.copy()
        volume[:, np.hypot(*np.meshgrid(rows, columns, indexing="ij")) * self.grid.spacing_mm[1] > radius_mm] = -1024
        return Series(volume, self.grid, self.motion)

    def write(self, folder: Path, name: str, repetition: int, labels: np.ndarray, **fields) -> str:
        slices, rows, columns = (self.grid.affine[:3, axis] for axis in range(3))
        unit = [float(v) for step in (columns, rows) for v in step / np.linalg.norm(step)]
        fields = {
            "StudyDescription": "B1",
            "SeriesDescription": f"B1_Harmonized_10mGy_IR - #{repetition}",
            "ImageOrientationPatient": unit,
            "PixelSpacing": list(self.grid.spacing_mm[1:]),
            **fields,
        }
        paths = write_series(
            folder / name / "ct", name, self.volume.astype(np.int32) + 1024, origin=self.grid.origin_mm, step=slices,
            **fields,
        )  # fmt: skip
        write_segmentation(folder / name / "seg.dcm", paths, labels, NAMES)
        return uid(name)


def tilted(angle_deg: float = 10.0) -> list[float]:
    """Orientation of slices of a tilted gantry, whose table moves along z nevertheless."""
    angle = np.deg2rad(angle_deg)
    return [1.0, 0.0, 0.0, 0.0, float(f"{np.cos(angle):.9g}"), float(f"{np.sin(angle):.9g}")]


CASES = {
    "table lower by 48 mm": (lambda series: series, "registered"),
    "feet first": (lambda series: series.turned(FEET_FIRST), "registered"),
    "prone": (lambda series: series.turned(PRONE), "registered"),
    "upside down": (lambda series: series.turned(UPSIDE_DOWN), "registered"),
    "rows from below": (lambda series: series.stored_backwards(1), "registered"),
    "columns and slices backwards": (lambda series: series.stored_backwards(0, 2), "registered"),
    "left and right swapped": (lambda series: series.mirrored(2), "mirrored"),
    "slices in the wrong order": (lambda series: series.mirrored(0), "mirrored"),
    "front and back swapped": (lambda series: series.mirrored(1), "mirrored"),
    "feet end cut": (lambda series: series.part(slice(34, None), ALL, ALL), "registered"),
    "head end cut": (lambda series: series.part(slice(0, -34), ALL, ALL), "registered"),
    "cut in the ROIs": (lambda series: series.part(slice(60, None), ALL, ALL), "too_few_slices"),
    "slices of 5 mm": (lambda series: series.thick(), "registered"),
    "1024 x 1024": (
        lambda series: series.thick().part(slice(13, 63), slice(2, 130), slice(4, 132)).fine(8), "registered"
    ),
    "circle of reconstruction too small": (lambda series: series.seen_within(150), "phantom_outside_fov"),
    "image too small": (lambda series: series.part(ALL, ALL, slice(28, None)), "phantom_outside_fov"),
}  # fmt: skip


@dataclass
class World:
    index: object
    uids: dict
    motions: dict
    tables: dict
    references: dict


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("robust")
    data = root / "data"
    references = {
        "clean": write_phantom(data, "clean"),
        "noisy": write_phantom(data, "noisy", "A2", noise_hu=60.0, seed=5),
    }
    grid = scan_grid((2.5, 2.8, 2.8), (380.0, 370.0, 390.0), MOTION.translation_mm)
    series = Series(image(grid, MOTION, 15.0, seed=1), grid)
    uids, motions = {}, {}
    for number, (name, (change, _)) in enumerate(CASES.items(), 1):
        case = change(series)
        motions[name] = case.motion
        uids[name] = case.write(data, name, number, small_labels(case))
    uids["tilted gantry"] = series.write(
        data, "tilted gantry", 90, small_labels(series), ImageOrientationPatient=tilted()
    )
    index = build_index([data])
    tables, opened = {}, {}
    for name, reference in references.items():
        files = index.files[index.files["series_uid"] == reference]
        folders = [data / folder for _, folder in folders_of(files)]
        prepare_reference(index.series, index.files, folders, reference, root / name)
        opened[name] = open_reference(root / name)
        chosen = [uid for uid in uids.values() if uid in set(index.series["series_uid"])]
        files = index.files[index.files["series_uid"].isin(chosen) & (index.files["role"] == "ct")]
        tables[name] = register_chunk(
            RegistrationRun(opened[name], root / "volumes"), index.series, index.files,
            [data / folder for _, folder in folders_of(files)], chosen,
        ).set_index("series_uid")  # fmt: skip
    yield World(index, uids, motions, tables, opened)
    shutil.rmtree(root)


def small_labels(series: Series) -> np.ndarray:
    """Some voxels of every ROI: the segmentation of a series other than the reference is only checked."""
    labels = np.zeros(series.grid.shape, np.uint8)
    for number in range(1, 7):
        labels[20, 40 + number, 40] = number
    return labels


@pytest.mark.parametrize("reference", ["clean", "noisy"])
@pytest.mark.parametrize("name", list(CASES))
def test_a_series_is_found_or_quarantined_for_the_right_reason(world, name, reference):
    row = world.tables[reference].loc[world.uids[name]]
    assert row["status"] == CASES[name][1], row["detail"]
    if row["status"] == "registered":
        corners = world.references[reference].block.corners_mm
        assert worst_displacement_mm(motion_of(row), world.motions[name], corners) < 0.1
        assert row["similarity_after"] > (0.9 if reference == "clean" else 0.75)
    else:
        assert row["detail"]


def test_what_is_cut_at_an_end_says_so(world):
    overlap = world.tables["clean"]["overlap"]
    assert overlap[world.uids["feet first"]] == 1
    assert all(0.7 < overlap[world.uids[name]] < 1 for name in ("feet end cut", "head end cut"))


def test_the_scans_of_a_tilted_gantry_never_reach_registration(world):
    quarantine = world.index.quarantine.set_index("series_uid")
    assert quarantine.loc[world.uids["tilted gantry"], "reason"] == "gantry_tilt"
    assert len(world.index.quarantine) == 1


def test_a_large_image_is_one(world):
    series = world.index.series.set_index("series_uid")
    assert tuple(series.loc[world.uids["1024 x 1024"], ["rows", "columns"]]) == (1024, 1024)
