"""From DICOM to the common grid: what registers, what is quarantined, and that the rest goes on."""

import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from phantom_series import SPACING, write_phantom
from scene import CENTRE_MM, STILL, scan_grid

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid, Rigid, worst_displacement_mm
from ct4bench.core.tables import read_table, write_table
from ct4bench.core.volumes import open_volume
from ct4bench.index.files import folders_of
from ct4bench.index.index import build_index
from ct4bench.preprocess.block import on_grid
from ct4bench.preprocess.draw import draw_centres, patch_table
from ct4bench.preprocess.patches import read_patches
from ct4bench.preprocess.prepare import prepare_reference
from ct4bench.preprocess.reference import open_reference
from ct4bench.preprocess.register import RegistrationRun, check_coverage, is_short, register_chunk
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, motion_of

BIN = Path(__file__).resolve().parents[3] / "bin"
ALL = slice(None)
MOTION = Rigid((2.0, -1.5, 3.0), (12.0, 48.0, -9.0), tuple(CENTRE_MM))


@dataclass
class Run:
    root: Path
    index: object
    uids: dict
    reference: Path

    def folders(self, *names) -> list[Path]:
        files = self.index.files
        uids = [self.uids[name] for name in names]
        chosen = files[files["series_uid"].isin(uids) & (files["role"] == "ct")]
        return [self.root / folder for _, folder in folders_of(chosen)]

    def register(self, output, *names, **options) -> pd.DataFrame:
        return register_chunk(
            RegistrationRun(open_reference(self.reference), output / "volumes", **options), self.index.series,
            self.index.files, self.folders(*names), [self.uids[name] for name in names],
        )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    root = tmp_path_factory.mktemp("phantoms")
    moved = scan_grid(SPACING, (380.0, 370.0, 390.0), MOTION.translation_mm)
    uids = {
        "a": write_phantom(root, "a"),
        "b": write_phantom(root, "b", "B1", motion=MOTION, grid=moved, seed=1),
        "flipped": write_phantom(root, "flipped", "C1", seed=2, change=lambda volume: volume[:, :, ::-1]),
        "air": write_phantom(root, "air", "D1", seed=3, change=lambda volume: np.full_like(volume, -1000)),
        # The phantom's upper 140 mm, with the last ROI and patches of others beyond the end.
        "short": write_phantom(root, "short", "E1", seed=4, grid=scan_grid(SPACING).crop((slice(0, 50), ALL, ALL))),
    }  # fmt: skip
    index = build_index([root])
    files = index.files[index.files["series_uid"] == uids["a"]]
    folders = [root / folder for _, folder in folders_of(files)]
    prepare_reference(index.series, index.files, folders, "A1 10mGy IR", root / "reference")
    return Run(root, index, uids, root / "reference")


def test_the_index_takes_all_series(run):
    assert sorted(run.index.series["series_uid"]) == sorted(run.uids.values())


def test_the_reference_passes_bit_for_bit(run, tmp_path):
    row = run.register(tmp_path, "a").iloc[0]
    reference, volume = open_reference(run.reference), open_volume(tmp_path / "volumes" / f"{run.uids['a']}.b2nd")
    np.testing.assert_array_equal(volume.read(), reference.read("volume"))
    assert row["status"] == volume.attributes["status"] == "reference"
    assert (row["similarity_after"], row["lost_noise_variance"], row["rotation_x_deg"]) == (1, 0, 0)
    assert motion_of(row) == Rigid.identity(reference.block.centre_mm)


def test_a_moved_series_comes_to_lie_on_the_reference(run, tmp_path):
    row = run.register(tmp_path, "b").iloc[0]
    reference, volume = open_reference(run.reference), open_volume(tmp_path / "volumes" / f"{run.uids['b']}.b2nd")
    assert row["status"] == "registered"
    assert worst_displacement_mm(motion_of(row), MOTION, reference.block.corners_mm) < 0.05
    assert volume.grid.same_as(reference.grid, 1e-9)
    assert volume.attributes["scan_id"] == "B1_10mGy_01"
    inside = reference.read("block") > 0
    same = reference.read("volume")[inside].astype(float), volume.read()[inside].astype(float)
    assert np.corrcoef(*same)[0, 1] > 0.98
    assert 0.5 < row["lost_noise_variance"] < 0.875
    labels = reference.read("labels")
    patches = read_patches(volume, patch_table(draw_centres(labels, 4, 0), labels, reference.grid))
    assert patches.shape == (24, 16, 32, 32)


def test_failures_are_rows_and_the_rest_goes_on(run, tmp_path):
    table = run.register(tmp_path, "flipped", "air", "a", "short", "b").set_index("series_uid")
    status = {name: table.loc[uid, "status"] for name, uid in run.uids.items()}
    assert status == {
        "a": "reference", "b": "registered", "flipped": "mirrored", "air": "registration_failed",
        "short": "too_few_slices",
    }  # fmt: skip
    assert sorted(path.stem for path in (tmp_path / "volumes").iterdir()) == sorted([run.uids["a"], run.uids["b"]])
    assert table.loc[run.uids["short"], "detail"].startswith("the slices end")
    assert table.loc[run.uids["air"], ["rotation_x_deg", "similarity_after"]].isna().all()
    assert table["detail"][table["status"].isin(["reference", "registered"])].eq("").all()


def test_an_unreadable_series_is_a_row_too(run, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in run.folders("b")[0].iterdir():
        (folder / path.name).symlink_to(path)
    victim = sorted(folder.iterdir())[4]
    data = bytearray(victim.read_bytes())
    victim.unlink()
    # The pixel data's tag becomes another one: of the right size, but no image.
    at = bytes(data).rfind(b"\xe0\x7f\x10\x00")
    data[at + 2] = 0x20
    victim.write_bytes(bytes(data))
    reference = open_reference(run.reference)
    table = register_chunk(
        RegistrationRun(reference, tmp_path / "volumes"), run.index.series, run.index.files, [folder], [run.uids["b"]]
    )
    assert table["status"].tolist() == ["unreadable"]
    assert victim.name in table["detail"][0]


def test_threads_and_repetition_give_the_same_bytes(run, tmp_path):
    for name, threads in (("one", 1), ("two", 2)):
        write_table(run.register(tmp_path / name, "b", threads=threads), tmp_path / name / "transforms.csv")
    for name in ("transforms.csv", f"volumes/{run.uids['b']}.b2nd"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_nifti_opens_where_the_reference_is(run, tmp_path):
    run.register(tmp_path, "b", nifti=tmp_path / "nifti")
    image = sitk.ReadImage(str(tmp_path / "nifti" / f"{run.uids['b']}.nii.gz"))
    grid = open_reference(run.reference).grid
    assert image.GetPixelID() == sitk.sitkInt16
    last = tuple(n - 1 for n in grid.shape[::-1])
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(last), grid.corners_mm()[-1], atol=1e-3)
    volume = open_volume(tmp_path / "volumes" / f"{run.uids['b']}.b2nd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.read())


def test_another_spacing_is_the_grid_of_all(run, tmp_path):
    files = run.index.files[run.index.files["series_uid"] == run.uids["a"]]
    folders = [run.root / folder for _, folder in folders_of(files)]
    prepare_reference(
        run.index.series, run.index.files, folders, run.uids["a"], tmp_path / "reference", spacing_mm=(5.0, 3.0, 3.0)
    )
    coarse = Run(run.root, run.index, run.uids, tmp_path / "reference")
    table = coarse.register(tmp_path, "a", "b").set_index("series_uid")
    reference = open_reference(tmp_path / "reference")
    assert reference.grid.spacing_mm == pytest.approx((5.0, 3.0, 3.0))
    assert table.loc[run.uids["a"], "lost_noise_variance"] > 0.3
    assert worst_displacement_mm(motion_of(table.loc[run.uids["b"]]), MOTION, reference.block.corners_mm) < 0.1
    for name in ("a", "b"):
        assert open_volume(tmp_path / "volumes" / f"{run.uids[name]}.b2nd").grid.same_as(reference.grid, 1e-9)


def test_a_series_that_is_not_in_the_index_is_an_error(run, tmp_path):
    with pytest.raises(UserError, match=r"no series 9\.9"):
        register_chunk(
            RegistrationRun(open_reference(run.reference), tmp_path / "volumes"),
            run.index.series,
            run.index.files,
            [],
            ["9.9"],
        )


def test_a_broken_reference_is_named(run, tmp_path):
    index = build_index([run.root])
    files = index.files[index.files["series_uid"] == run.uids["a"]]
    (tmp_path / "ct").mkdir()
    folders = []
    for number, (_, folder) in enumerate(folders_of(files)):
        copy = tmp_path / str(number)
        copy.mkdir()
        for path in (run.root / folder).iterdir():
            if path.is_file():
                (copy / path.name).write_bytes(path.read_bytes()[::-1])
        folders.append(copy)
    with pytest.raises(UserError, match="the reference A1 10mGy IR #1 .* cannot be read: unreadable"):
        prepare_reference(index.series, index.files, folders, "A1 10mGy IR", tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((slice(0, 60), slice(0, 60), slice(0, 60)), None),
        ((slice(3, 60), slice(0, 60), slice(0, 60)), "too_few_slices"),
        ((slice(0, 39), slice(0, 60), slice(0, 60)), "too_few_slices"),
        ((slice(0, 60), slice(6, 60), slice(0, 60)), "phantom_outside_fov"),
        ((slice(0, 60), slice(0, 60), slice(0, 39)), "phantom_outside_fov"),
    ],
)
def test_every_place_of_a_patch_must_be_in_the_series(box, reason):
    grid = Grid.axis_aligned((60, 60, 60), (1.0, 0.7, 0.7), (0.0, 0.0, 0.0))
    region = [[2, 40], [5, 40], [5, 40]]
    if reason is None:
        check_coverage(region, grid, grid.crop(box), STILL)
        check_coverage(region, grid, grid.crop((slice(2, 40), slice(5, 40), slice(5, 40))), STILL)
    else:
        with pytest.raises(Refusal) as caught:
            check_coverage(region, grid, grid.crop(box), STILL)
        assert caught.value.reason == reason


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", ["low", "high"])
def test_half_a_voxel_beyond_the_last_centre_is_still_covered(axis, end):
    """A voxel reaches half its size beyond its centre: a place just inside is covered, one just outside is not."""
    common = Grid.axis_aligned((60, 60, 60), (1.0, 0.7, 0.7), (0.0, 0.0, 0.0))
    region = [[10, 40]] * 3
    box = [slice(10, 40)] * 3
    series = common.crop(tuple(box))
    outwards = np.zeros(3)
    outwards[axis] = (-0.5 if end == "low" else 0.5) * common.spacing_mm[axis]
    shift_mm = outwards[::-1]  # voxels run along z, y, x
    check_coverage(region, common, series, Rigid((0.0, 0.0, 0.0), tuple(0.98 * shift_mm), (0.0, 0.0, 0.0)))
    with pytest.raises(Refusal) as caught:
        check_coverage(region, common, series, Rigid((0.0, 0.0, 0.0), tuple(1.02 * shift_mm), (0.0, 0.0, 0.0)))
    assert caught.value.reason == ("too_few_slices" if axis == 0 else "phantom_outside_fov")


@pytest.mark.parametrize(
    ("n_slices", "increment_mm", "short"),
    [(59, 1.0, True), (60, 1.0, False), (61, 1.0, False), (2, 1.0, True), (1, 1.0, False), (59, 1.0099, True),
     (59, 1.0101, False), (59, 0.9901, True), (59, 0.9899, False)],
)  # fmt: skip
def test_a_series_is_short_of_slices_alone(n_slices, increment_mm, short):
    """Fewer slices than the reference's 60, of its increment to 1 %."""
    full = Grid.axis_aligned((60, 50, 50), (1.0, 0.7, 0.7), (0.0, 0.0, 0.0))
    assert is_short(Grid.axis_aligned((n_slices, 50, 50), (increment_mm, 0.7, 0.7), (0.0, 0.0, 0.0)), full) == short


def script(name, *arguments, cwd):
    command = [sys.executable, str(BIN / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_the_scripts_do_the_same_from_index_to_merge(run, tmp_path):
    index = tmp_path / "index"
    write_table(run.index.series, index / "series.csv")
    write_table(run.index.quarantine, index / "quarantine.csv")
    write_table(run.index.files, index / "files.parquet")
    tables = ["--series", index / "series.csv", "--files", index / "files.parquet"]
    done = script("select_reference.py", *tables, "--output", "choice.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    choice = read_table(tmp_path / "choice.csv")
    folders = [run.root / folder for folder in choice["folder"]]
    uid = choice["series_uid"][0]
    steps = [
        ("prepare_reference.py", *tables, "--folders", *folders, "--reference", uid, "--output", "ref"),
        ("draw_patches.py", "--reference", "ref", "--patches_per_roi", 3, "--seed", 5, "--output", "patches.csv"),
        ("draw_patches.py", "--reference", "ref", "--centres", "patches.csv", "--output", "again.csv"),
    ]  # fmt: skip
    for number, names in enumerate((("a", "flipped"), ("b",))):
        uids = ",".join(run.uids[name] for name in names)
        steps.append(
            ("register_series.py", *tables, "--series_uids", uids, "--folders", *run.folders(*names), "--reference",
             "ref", "--volumes", "volumes", "--transforms", f"part{number}.csv")
        )  # fmt: skip
    for name, *arguments in steps:
        done = script(name, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "patches.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    own = tmp_path / "ref"
    for name in ("volume.b2nd", "labels.b2nd", "block.b2nd", "reference.json"):
        assert (own / name).read_bytes() == (run.reference / name).read_bytes()

    series = run.index.series
    some = series[series["series_uid"].isin([run.uids[name] for name in ("a", "b", "flipped")])]
    write_table(some, tmp_path / "some.csv")
    merge = ["--series", "some.csv", "--quarantine", index / "quarantine.csv", "--transforms", "part1.csv", "part0.csv"]
    done = script("merge_registration.py", *merge, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "registered.csv")["scanner"].tolist() == ["A1", "B1"]
    assert read_table(tmp_path / "quarantine.csv")["reason"].tolist() == ["mirrored"]
    assert list(read_table(tmp_path / "transforms.csv").columns) == TRANSFORM_COLUMNS
    strict = script("merge_registration.py", *merge, "--strict", "--registered", "strict.csv", cwd=tmp_path)
    assert strict.returncode == 2
    assert "--strict: 1 series could not be registered" in strict.stderr
    assert not (tmp_path / "strict.csv").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("prepare_reference.py", ["--spacing", "1,2"], "--spacing 1,2 must be three numbers"),
        ("prepare_reference.py", ["--spacing", "0,1,1"], "--spacing 0,1,1 must be three sizes"),
        ("prepare_reference.py", ["--box_origin_mm=a,b,c"], "--box_origin_mm a,b,c must be three numbers"),
        ("prepare_reference.py", ["--reference", "Z9 10mGy IR"], "the nearest is 'A1 10mGy IR #1'"),
    ],
)
def test_wrong_arguments_end_with_one_line(run, tmp_path, monkeypatch, name, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_table(run.index.series, "series.csv")
    write_table(run.index.files, "files.parquet")
    given = ["--series", "series.csv", "--files", "files.parquet", "--folders", ".", "--output", "ref", *arguments]
    with pytest.raises(UserError, match=message):
        runpy.run_path(str(BIN / name))["main"](given)
    assert not Path("ref").exists()


def test_the_block_is_the_same_on_the_common_grid(run):
    reference = open_reference(run.reference)
    assert on_grid(reference.block, reference.grid).box == reference.block.box


def test_stretching_is_that_of_a_zoom(rng):
    """scipy's, with first and last slice held, as point 11 of the deviations tells of the published code."""
    from scipy.ndimage import zoom

    from ct4bench.preprocess.resampling import stretched

    volume = rng.integers(-1000, 2000, (33, 5, 7)).astype(np.int16)
    grid = Grid.axis_aligned(volume.shape, (1.0, 0.7, 0.7), (3.0, 4.0, 5.0))
    found, wrong = stretched(volume, grid, 35)
    np.testing.assert_allclose(found, zoom(volume.astype(np.float64), (35 / 33, 1, 1), order=1), atol=0.501)
    assert (found.dtype, wrong.shape) == (np.int16, (35, 5, 7))
    np.testing.assert_array_equal(wrong.affine, grid.affine)


def test_a_short_series_is_stretched_on_request_alone_and_says_so(run, tmp_path):
    whole = scan_grid(SPACING)
    uid = write_phantom(tmp_path, "cut", "F1", seed=5, grid=whole.crop((slice(0, whole.shape[0] - 2), ALL, ALL)))
    index = build_index([tmp_path])
    folders = [tmp_path / folder for _, folder in folders_of(index.files[index.files["role"] == "ct"])]
    tables = {
        choice: register_chunk(
            RegistrationRun(open_reference(run.reference), tmp_path / choice, short_series=choice), index.series,
            index.files, folders, [uid],
        )
        for choice in ("pad", "stretch")
    }  # fmt: skip
    assert [table["status"].tolist() for table in tables.values()] == [["registered"]] * 2
    assert tables["pad"]["detail"].tolist() == [""]
    n = whole.shape[0]
    assert tables["stretch"]["detail"].tolist() == [f"stretched: {n - 2} slices to {n}"]
    assert tables["pad"]["similarity_after"][0] > tables["stretch"]["similarity_after"][0]
    as_it_is = run.register(tmp_path / "other", "b", short_series="stretch")
    assert as_it_is["detail"].tolist() == [""]
