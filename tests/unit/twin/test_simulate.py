"""The files of a simulated scanner: which, how named, with what headers, the same from every run."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from tests.conftest import ROOT
from twin_fixture import Twin, pose_of, simulate

from ct4bench.core.benchmark import DOSES_MGY, RECONSTRUCTIONS, ROIS, SCANNERS
from ct4bench.index.index import build_index
from ct4bench.index.segmentation import read_segmentation
from ct4bench.pairs.plan import ordered, seeded_dose_pairs
from ct4bench.results.acquisition import table1
from ct4bench.twin.scan import full_grid
from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.simulate import Design, PlannedScan, plan_scans
from ct4bench.twin.write_ct import make_uid

MODELS = read_scanners()
ROI_SLAB = "128:195,140:305,90:372"
"""All six regions and no face of the block: the smallest twin that an index accepts."""
SMALL_SLAB = "176:198,216:250,172:206"
"""The small cyst: enough for whatever is about files."""

PUBLISHED_HU = {
    "cyst1": -3.4, "cyst2": 1.9, "hemangioma": 37.8, "metastasis": 42.4, "normal1": 87.2, "normal2": 99.8,
}  # fmt: skip
"""Means of scanner A1 at 10 mGy, FBP."""
COLUMN = {"cyst1": 322, "cyst2": 187, "hemangioma": 210, "metastasis": 110, "normal1": 155, "normal2": 178}
"""Middle of the regions on A1's grid."""


@pytest.fixture(scope="module")
def twin(twin_of) -> Twin:
    return twin_of(ROI_SLAB, tuple(MODELS), recons=("IR",))


@pytest.fixture(scope="module")
def small(twin_of) -> Twin:
    return twin_of(SMALL_SLAB, ("A1", "C1", "E2", "H1"))


def headers(twin: Twin, scanner: str, recon: str = "IR") -> list[pydicom.Dataset]:
    """Headers of a series, by ascending z."""
    paths = (twin.folder(scanner, recon) / "ct").glob("*.dcm")
    found = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return sorted(found, key=lambda ds: ds.ImagePositionPatient[2])


# ------------------------------------------------------------------------------------------------- which series
def test_plan_has_what_the_collection_has():
    assert plan_scans(MODELS["A1"], Design((10,), ("FBP", "DL"), 1, ("IR",), 1)) == [PlannedScan(10, 1, ("FBP",))]
    assert plan_scans(MODELS["D1"], Design((6, 10), ("DL", "IR"), 1, ("DL",), 1)) == [
        PlannedScan(6, 1, ("DL",)), PlannedScan(10, 1, ("IR",)),
    ]  # fmt: skip
    nine = plan_scans(MODELS["E1"], Design((10,), ("IR",), 10, (), 10))
    assert [scan.repetition for scan in nine] == list(range(1, 10))
    one_of_each = Design(DOSES_MGY, RECONSTRUCTIONS, 1, ("IR",), 1, other_scanners=("E2", "A1"))
    plan = plan_scans(MODELS["E2"], one_of_each)
    assert [(scan.dose_mgy, len(scan.recons)) for scan in plan] == [(1, 1), (3, 1), (6, 1), (10, 3), (14, 1)]
    assert plan_scans(MODELS["F1"], one_of_each) == [PlannedScan(10, 1, ("FBP", "IR"))]


WHOLE = Design(DOSES_MGY, RECONSTRUCTIONS, 10, RECONSTRUCTIONS, 10)


def test_whole_plan_is_the_collection():
    plans = {code: plan_scans(model, WHOLE) for code, model in MODELS.items()}
    assert sum(len(scans) for scans in plans.values()) == 649
    assert sum(len(scan.recons) for scans in plans.values() for scan in scans) == 1378


def test_series_of_table_6_are_the_five_a_dose_that_its_draw_takes():
    """Against the plan of pairs of the whole collection."""
    design = replace(WHOLE, other_series="table6")
    for code, model in MODELS.items():
        rows = [
            (f"{dose} {recon} {n}", code, float(dose), recon, n)
            for dose in DOSES_MGY
            for recon in RECONSTRUCTIONS
            for n in range(1, 11)
            if model.n_slices_of(dose, recon, n)
        ]
        series = pd.DataFrame(rows, columns=["series_uid", "scanner", "dose_mgy", "recon", "repetition"])
        pairs = seeded_dose_pairs({dose: ordered(group) for dose, group in series.groupby("dose_mgy")})
        compared = {uid for pair in pairs.values() for one in pair for uid in one if not uid.startswith("10 ")}
        found = {f"{scan.dose_mgy} {r} {scan.repetition}" for scan in plan_scans(model, design) for r in scan.recons}
        assert len(compared) == 20
        assert {name for name in found if not name.startswith("10 ")} == compared, code
        assert {name for name in found if name.startswith("10 ")} == set(series.query("dose_mgy == 10")["series_uid"])


# -------------------------------------------------------------------------------------------- names and headers
def test_names_are_the_collections(twin):
    for number, scanner in enumerate(sorted(MODELS), start=1):
        ds = headers(twin, scanner)[0]
        assert ds.StudyDescription == scanner
        assert ds.SeriesDescription == f"{scanner}_Harmonized_10mGy_IR - #1"
        assert int(ds.SeriesNumber) == int(f"{number}10201")
        assert ds.Manufacturer == MODELS[scanner].manufacturer
        assert ds.ImageComments.startswith("synthetic: ct4bench digital twin")
        assert ds.PatientPosition == "HFS"


def test_slices_lie_where_the_truth_says(twin):
    for scanner in ("A1", "F1", "H1"):
        row, stack = twin.row(scanner, "IR"), headers(twin, scanner)
        assert len(stack) == row["n_slices"]
        z = np.array([float(ds.ImagePositionPatient[2]) for ds in stack])
        np.testing.assert_allclose(np.diff(z), MODELS[scanner].increment_mm, atol=1e-6)
        numbers = [int(ds.InstanceNumber) for ds in stack]
        expected = list(range(1, len(stack) + 1))
        assert numbers == (expected[::-1] if MODELS[scanner].descending else expected)
        whole = full_grid(MODELS[scanner])
        index = whole.to_index([float(v) for v in stack[0].ImagePositionPatient])
        np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
        origin = [row[f"box_origin_{axis}_mm"] for axis in "xyz"]
        np.testing.assert_allclose(origin, whole.origin_mm, atol=1e-8)


def test_boxes_count_from_the_first_voxel_of_scanner_a1(twin):
    assert twin.phantom.values["box_origin_mm"] == [-174.658203125, -340.158203125, 24.0]
    row = twin.row("A1", "IR")
    assert [row[f"box_origin_{axis}_mm"] for axis in "xyz"] == twin.phantom.values["box_origin_mm"]


def test_uids_are_valid_and_unique(small):
    folders = [small.folder("A1", recon) for recon in ("FBP", "IR")]
    files = [pydicom.dcmread(path, stop_before_pixels=True) for f in folders for path in sorted(f.rglob("*.dcm"))]
    sops = [ds.SOPInstanceUID for ds in files]
    assert len(set(sops)) == len(sops)
    assert not set(sops) & {ds.SeriesInstanceUID for ds in files}
    assert len({ds.SeriesInstanceUID for ds in files}) == 4
    assert len({ds.StudyInstanceUID for ds in files}) == 2
    for uid in sops:
        assert uid.is_valid and len(uid) == 44
        assert uid.name == uid
    ct = [ds for ds in files if ds.Modality == "CT"]
    assert len({ds.FrameOfReferenceUID for ds in ct}) == len({ds.IrradiationEventUID for ds in ct}) == 1
    assert make_uid("a", 1) == make_uid("a", 1) != make_uid("a", 2)


def test_pixels_are_read_alike_by_pydicom(small):
    syntaxes = set()
    for scanner in ("A1", "C1", "E2", "H1"):
        volume, _ = small.read(scanner, "IR")
        paths = sorted((small.folder(scanner, "IR") / "ct").glob("*.dcm"))
        stack = sorted((pydicom.dcmread(p) for p in paths), key=lambda ds: ds.ImagePositionPatient[2])
        for k in (0, len(stack) // 2, len(stack) - 1):
            hu = stack[k].pixel_array.astype(int) * int(stack[k].RescaleSlope) + int(stack[k].RescaleIntercept)
            np.testing.assert_array_equal(hu, volume[k])
        assert len({p.stat().st_size for p in paths}) > 1 or not stack[0].file_meta.TransferSyntaxUID.is_compressed
        syntaxes.add(stack[0].file_meta.TransferSyntaxUID)
        assert stack[0].PixelRepresentation == int(MODELS[scanner].signed)
    assert len(syntaxes) == 3


# ----------------------------------------------------------------------------------------- index, segmentation
@pytest.fixture(scope="module")
def index(twin):
    return build_index([twin.root])


def test_index_takes_all_and_table_1_is_the_published(index):
    import pandas as pd

    assert index.quarantine.empty
    assert tuple(index.series["scanner"]) == SCANNERS
    assert set(index.series["origin"]) == {"synthetic"}
    computed = table1(index.series).set_index("scanner")
    published = pd.read_csv(ROOT / "assets" / "published" / "table1_acquisition.csv").set_index("scanner")
    columns = [c for c in published.columns if c not in ("manufacturer_model", "reconstructions")]
    pd.testing.assert_frame_equal(computed.loc[published.index, columns], published[columns], check_dtype=False)
    ctdi = index.series["ctdivol_mgy"]
    assert ((ctdi - 10).abs() / 10).max() < 0.02 and ctdi.nunique() > 8


@pytest.mark.parametrize("scanner", ["A1", "D1", "F1", "H2"])
def test_segmentation_is_the_regions_through_the_pose(twin, scanner):
    _, grid = twin.read(scanner, "IR")
    path = twin.folder(scanner, "IR") / "seg" / "1-1.dcm"
    slices = {ds.SOPInstanceUID: n for n, ds in enumerate(headers(twin, scanner))}
    labels = read_segmentation(path, grid, slices)
    row = twin.row(scanner, "IR")
    back = pose_of(row).inverse()
    np.testing.assert_array_equal(labels, twin.phantom.region_labels(grid, back.matrix, back.offset))
    assert list(np.bincount(labels.ravel())[1:]) == [row[f"{roi}_voxels"] for roi in ROIS]
    ds = pydicom.dcmread(path)
    names = [item.SegmentLabel for item in ds.SegmentSequence]
    assert names == ["cyst1", "cyst2", "hemangioma", "metastatsis", "normal1", "normal2"]
    assert ds.SegmentationType == "BINARY"
    assert "synthetic" in ds.ImageComments


def shading_at(column: float) -> float:
    """The eighth power of the distance from the body's middle, in half widths."""
    return min(abs(column - 255) / 185, 1) ** 8


CALIBRATED_AT = np.mean([shading_at(column) for column in (117, 400, 322, 212, 370)])
"""Liver, spleen, cyst, hemangioma, stomach: shading leaves the mean of the places where calibration was measured."""


@pytest.mark.parametrize("scanner", sorted(MODELS))
def test_regions_have_the_calibrated_means(twin, scanner):
    """What A1 shows, times slope, plus offset, plus what shading differs there: in the truth and in the images."""
    row, first = twin.row(scanner, "IR"), twin.row("A1", "IR")
    volume, grid = twin.read(scanner, "IR")
    back = pose_of(row).inverse()
    labels = twin.phantom.region_labels(grid, back.matrix, back.offset)
    for value, roi in enumerate(ROIS, start=1):
        more = (row["shading_hu"] - first["shading_hu"]) / (shading_at(94) - shading_at(141))
        here = shading_at(COLUMN[roi]) - CALIBRATED_AT
        expected = row["slope"] * first[f"{roi}_mean_hu"] + row["offset_hu"] + more * here
        # Small regions see their surroundings through thicker slices, most of all the discs of four slices.
        assert row[f"{roi}_mean_hu"] == pytest.approx(expected, abs=1.6 if roi.startswith("normal") else 1.2), roi
        inside = volume[labels == value]
        # Noise of neighbours is correlated: some twelve voxels say as much as one.
        error = np.sqrt(12 / len(inside))
        assert inside.mean() == pytest.approx(row[f"{roi}_mean_hu"], abs=0.2 + 3 * error * row["noise_sd_hu"]), roi
        assert inside.std() == pytest.approx(row[f"{roi}_total_sd_hu"], rel=0.01 + 2.5 * error), roi


def test_reference_regions_are_the_published(twin):
    """Means of scanner A1 at 10 mGy."""
    row = twin.row("A1", "IR")
    for roi, mean_hu in PUBLISHED_HU.items():
        assert row[f"{roi}_mean_hu"] == pytest.approx(mean_hu, abs=1.0), roi


# ------------------------------------------------------------------------------------------------- determinism
def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("scanner", ["A1", "E2"])
def test_same_bytes_from_other_threads_and_selections(small, tmp_path, scanner):
    first = all_bytes(small.root / scanner)
    truth = simulate(small.phantom.folder, tmp_path / "a", scanner, (10,), ("FBP", "IR", "DL"), 1, threads=3)
    assert all_bytes(tmp_path / "a" / "dicom" / scanner) == first
    own = small.truth[small.truth["scanner"] == scanner].reset_index(drop=True)
    assert truth.equals(own)
    # Another dose and repetition before it, one reconstruction only: the file of a series does not change.
    simulate(small.phantom.folder, tmp_path / "b", scanner, (3, 10), ("IR",), 2, threads=2)
    wider = all_bytes(tmp_path / "b" / "dicom" / scanner)
    name = f"{scanner}_Harmonized_10mGy_IR_01"
    chosen = {key: value for key, value in first.items() if key.startswith(name)}
    assert len(chosen) > 16
    assert {key: wider[key] for key in chosen} == chosen


COMPRESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import openjpeg

from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.write_ct import JPEG_2000, CtSeriesWriter

writer = SimpleNamespace(syntax=JPEG_2000, scanner=read_scanners()["H1"])
frames = [np.random.default_rng(k).integers(0, 900, (64, 64)).astype("<i2") for k in range(400)]
with ThreadPoolExecutor(4) as pool:
    packed = list(pool.map(lambda frame: CtSeriesWriter._compress(writer, frame), frames))
assert all((openjpeg.decode(a) == b).all() for a, b in zip(packed, frames, strict=True))
"""


def test_threads_compress_frames_at_once(request):
    """In a process of its own, which a crash of the encoder ends."""
    bin_ = request.config.rootpath / "bin"
    done = subprocess.run([sys.executable, "-c", COMPRESS], cwd=bin_, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_seed_is_another_data_set(small, tmp_path):
    truth = simulate(small.phantom.folder, tmp_path, "A1", (10,), ("IR",), 1, seed=1)
    assert truth["series_uid"].item() not in set(small.truth["series_uid"])
    other = Twin(small.phantom, tmp_path / "dicom", truth).read("A1", "IR")[0]
    assert (other != small.read("A1", "IR")[0]).mean() > 0.8


def test_drawing_twice_and_by_threads_gives_the_same_bytes(small, tmp_path):
    from ct4bench.twin.draw import draw_phantom
    from ct4bench.twin.phantom import parse_slab

    draw_phantom(parse_slab(SMALL_SLAB), 0, tmp_path, threads=2)
    for name in ("phantom.json", "phantom.b2nd"):
        assert (tmp_path / name).read_bytes() == (small.phantom.folder / name).read_bytes(), name


# --------------------------------------------------------------------------------------------------- validation
@pytest.mark.parametrize("scanner", ["A1", "B1", "C1", "E1", "F1", "H1"])
def test_dciodvfy_finds_no_error(twin, scanner):
    """Each maker, and each transfer syntax: implicit, explicit, JPEG-LS, JPEG 2000."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not on PATH; it is in Debian's dicom3tools")
    folder = twin.folder(scanner, "IR")
    for path in (sorted((folder / "ct").glob("*.dcm"))[20], folder / "seg" / "1-1.dcm"):
        found = subprocess.run([program, str(path)], capture_output=True, text=True)
        said = found.stdout + found.stderr
        assert "CTImage" in said or "Segmentation" in said
        assert "Error" not in said, said


# ------------------------------------------------------------------------------------------------------ scripts
def test_scanners_of_one_call_get_what_each_gets_alone(small, tmp_path):
    import simulate_series

    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.dcm")}

    for scanners in ("A1", "B1", "A1,B1"):
        simulate_series.main(
            f"--phantom {small.phantom.folder} --scanner {scanners} --doses 10 --reconstructions IR "
            f"--output {tmp_path / scanners} --truth {tmp_path / scanners}.csv".split()
        )
    alone = files(tmp_path / "A1") | files(tmp_path / "B1")
    assert len(alone) > 10 and {path.parts[0] for path in alone} == {"A1", "B1"}
    assert files(tmp_path / "A1,B1") == alone
    first, second = ((tmp_path / f"{scanner}.csv").read_text() for scanner in ("A1", "B1"))
    assert (tmp_path / "A1,B1.csv").read_text() == first + second.split("\n", 1)[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scanner", "A1", "--doses", "5"], "dose '5' is not known; choose from 1, 3, 6, 10, 14"),
        (["--scanner", "A1", "--reconstructions", "SBP"], "reconstruction 'SBP' is not known"),
        (["--scanner", "A1", "--doses", "10", "--reconstructions", "DL"], "scanner A1 has no series of these doses"),
        (["--scanner", "A1", "--phantom", "nowhere"], "run draw_phantom.py again"),
        (["--scanner", "A1", "--repetitions", "0", "--doses", "10"], "--repetitions 0 must be 1 to 10"),
    ],
)
def test_wrong_choices_end_with_one_line(request, small, tmp_path, options, words):
    script = request.config.rootpath / "bin" / "simulate_series.py"
    given = [
        "--phantom",
        str(small.phantom.folder),
        "--output",
        str(tmp_path / "o"),
        "--truth",
        str(tmp_path / "t.csv"),
    ]
    found = subprocess.run([sys.executable, str(script), *given, *options], capture_output=True, text=True)
    assert found.returncode == 2
    assert words in found.stderr
    assert found.stderr.count("ERROR") == 1 and "Traceback" not in found.stderr
    assert not (tmp_path / "t.csv").exists() and not (tmp_path / "o").exists()
