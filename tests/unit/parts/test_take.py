"""A part of which nothing goes on is a part all the same, unless the user asked for all."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from tests.conftest import ROOT

import merge_registration
import take_series
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.index.contents import read_contents
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS

DATA = ROOT / "tests" / "data"
MADE = ("contents", "volumes", "registered", "transforms", "profile", "checks")


@pytest.fixture
def take(tmp_path):
    """Take a part, a folder of DICOM; the paths of what is made."""

    def made(root, *options):
        paths = {name: tmp_path / name for name in MADE} | {"profile": tmp_path / "profile.parquet"}
        words = [str(word) for name, path in paths.items() for word in (f"--{name}", path)]
        take_series.main(["--roots", str(root), "--reference", str(DATA / "reference"), *words, *options])
        return SimpleNamespace(**paths)

    return made


def test_a_part_whose_series_are_all_set_aside_says_why_and_makes_no_volume(take):
    made = take(DATA / "idc" / "none")
    transforms = pd.read_csv(made.transforms, dtype=str)
    assert transforms[["series_uid", "status"]].to_numpy().tolist() == [["1.9.0.3", "registration_failed"]]
    assert "too small" in transforms["detail"].iloc[0]
    assert list(read_table(made.registered)["series_uid"]) == []
    assert len(read_table(made.profile)) == 0
    assert list(made.volumes.glob("*")) == []


def test_what_is_set_aside_in_a_part_is_in_the_quarantine_of_all(take, tmp_path):
    part = read_table(take(DATA / "idc" / "none").transforms, TRANSFORM_COLUMNS)
    whole = pd.read_csv(DATA / "transforms.csv")
    whole[whole["series_uid"] != "1.9.0.3"].to_csv(tmp_path / "others.csv", index=False)
    part.to_csv(tmp_path / "part.csv", index=False)
    merge_registration.main([
        "--series", str(DATA / "index" / "series.csv"), "--quarantine", str(DATA / "index" / "quarantine.csv"),
        "--transforms", str(tmp_path / "part.csv"), str(tmp_path / "others.csv"),
        "--registered", str(tmp_path / "r.csv"), "--merged_quarantine", str(tmp_path / "q.csv"),
        "--merged_transforms", str(tmp_path / "t.csv"),
    ])  # fmt: skip
    assert "1.9.0.3" not in list(read_table(tmp_path / "r.csv")["series_uid"])
    aside = pd.read_csv(tmp_path / "q.csv").set_index("series_uid")["reason"]
    assert aside["1.9.0.3"] == "registration_failed"


def test_a_part_without_a_series_gives_empty_tables(take, tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "note.txt").write_text("no image")
    made = take(tmp_path / "part")
    assert [len(read_table(path)) for path in (made.registered, made.transforms, made.profile)] == [0, 0, 0]
    assert read_contents([made.contents]).n_files == 1


def test_strict_refuses_a_part_as_soon_as_it_is_seen(take, tmp_path):
    with pytest.raises(UserError, match="--strict: 1 series could not be registered .1 registration_failed."):
        take(DATA / "idc" / "none", "--strict")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "note.txt").write_text("no image")
    with pytest.raises(UserError, match="none of the 1 files"):
        take(tmp_path / "part", "--strict")


def test_slices_are_dropped_once_they_are_taken_and_not_unless_asked(take, tmp_path):
    root = tmp_path / "none"
    shutil.copytree(DATA / "idc" / "none", root)
    take(root)
    assert len(list(root.glob("*.dcm"))) == 17
    take(root, "--drop")
    assert [path.name for path in root.iterdir()] == ["seg.dcm"]
