"""An index of parts is that of the whole, byte for byte."""

import shutil

import pytest
from tests.dicom_factory import roi_labels, seg_uid, uid, write_segmentation, write_series
from tests.unit.index.test_index import add

import index_series
import merge_index
from ct4bench.core.errors import UserError
from ct4bench.index.contents import read_contents

TABLES = ("series.csv", "quarantine.csv", "files.parquet", "inputs.csv")


def copied(part, to):
    shutil.copytree(part, to)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Parts that can only be understood together."""
    root = tmp_path_factory.mktemp("tree") / "data"
    add(root, "a/one", "a1")
    add(root, "b/one", "b1", "B1_Harmonized_10mGy_FBP - #1")
    # a copy in another part, and one that is no copy
    copied(root / "a" / "one", root / "c" / "copy")
    add(root, "c/two", "c1", "C1_Harmonized_10mGy_IR - #1", AcquisitionDateTime="20240102030405")
    copied(root / "c" / "two", root / "a" / "other")
    moved = sorted((root / "a" / "other").glob("*.dcm"))[0]
    raw = bytearray(moved.read_bytes())
    raw[-10] ^= 1
    moved.write_bytes(raw)
    # slices in one part, the others and the segmentation in the next
    paths = sorted(add(root, "a/split", "s1", "D1_Harmonized_10mGy_IR - #1"))
    (root / "b" / "split").mkdir()
    for path in paths[9:]:
        path.rename(root / "b" / "split" / path.name)
    # a segmentation alone, a series without one, what claims the name of another, and what is no DICOM
    lone = write_series(
        root / "b" / "lone", "l1", StudyDescription="E1", SeriesDescription="E1_Harmonized_1mGy_IR - #1"
    )
    write_segmentation(root / "c" / "lone.dcm", sorted(lone), roi_labels()[: len(lone)])
    add(root, "c/bare", "n1", "F1_Harmonized_1mGy_IR - #1", seg=False)
    add(root, "c/twin", "t1", "B1_Harmonized_10mGy_FBP - #1")
    (root / "b" / "note.txt").write_text("not an image")
    (root / "c" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\7" * 40)
    (root / "loose").write_bytes(b"\0" * 200)
    return root


def in_parts(root, folder, options=(), roots=()):
    """Index the folders of `root`, each by itself, and what lies loose; the bytes of the merged tables."""
    folder.mkdir(exist_ok=True)
    parts = []
    for number, entry in enumerate(sorted(root.iterdir(), reverse=True)):
        parts.append(folder / f"part{number}.json")
        (folder / "entries").write_text(f"{entry.name}\0")
        index_series.main(["--roots", str(root), "--only", str(folder / "entries"), "--contents", str(parts[-1])])
    merge_index.main(
        ["--parts", *map(str, parts), "--roots", *map(str, roots), "--output", str(folder / "x"), *options]
    )
    return {name: (folder / "x" / name).read_bytes() for name in TABLES}


def test_parts_give_the_tables_of_the_whole(tree, tmp_path):
    index_series.main(["--roots", str(tree), "--output", str(tmp_path / "whole")])
    whole = {name: (tmp_path / "whole" / name).read_bytes() for name in TABLES}
    merged = in_parts(tree, tmp_path, roots=[tree])
    for name in TABLES:
        assert merged[name] == whole[name], name
    # the tree is as hard as it is meant to be
    accepted, reasons = whole["series.csv"].decode(), whole["quarantine.csv"].decode()
    assert [uid(name) in accepted for name in ("a1", "s1", "l1", "b1", "t1", "c1")] == [True] * 3 + [False] * 3
    assert reasons.count("duplicate_series") >= 4
    for part in (
        "a copy; the one at data/a/one is used",
        "two versions of the series",
        "no_segmentation",
        "unreadable",
    ):
        assert part in reasons
    assert seg_uid(uid("l1"), "lone.dcm") in accepted


def test_entries_may_be_named_like_options_and_have_several_lines(tmp_path):
    root = tmp_path / "data"
    own = add(root, "--contents", "a1")
    add(root, "two\nlines", "b1", "B1_Harmonized_10mGy_FBP - #1")
    for number in range(3000):
        (root / f"{number:0200d}").touch()
    (tmp_path / "entries").write_text("".join(f"{path.name}\0" for path in root.iterdir() if "two" not in path.name))
    words = ["--roots", str(root), "--only", str(tmp_path / "entries"), "--contents", str(tmp_path / "part.json")]
    index_series.main(words)
    found = read_contents([tmp_path / "part.json"])
    assert list(found.series) == [uid("a1")]
    assert found.n_files == 3000 + len(own) + 1


def test_a_pattern_without_scanners_and_numbers_is_told_over_all_parts(tmp_path):
    """Repetitions are numbered by time, and scanners of like names told apart, over all parts."""
    root = tmp_path / "data"
    for name, station, time in (("x", "CT 1", "10"), ("y", "CT 1", "09"), ("z", "CT_1", "08")):
        add(root, name, name, "10mGy IR", StudyDescription="", StationName=station, AcquisitionDateTime=f"202401{time}")
    pattern = ["--series_pattern", r"(?P<dose>\d+)mGy (?P<recon>\w+)"]
    index_series.main(["--roots", str(root), "--output", str(tmp_path / "whole"), *pattern])
    merged = in_parts(root, tmp_path / "parts", pattern)
    assert merged == {name: (tmp_path / "whole" / name).read_bytes() for name in TABLES}
    rows = [line.split(",") for line in merged["inputs.csv"].decode().splitlines()[1:]]
    assert sorted((row[0], row[4]) for row in rows) == sorted([(uid("x"), "2"), (uid("y"), "1"), (uid("z"), "1")])
    assert len({row[1] for row in rows}) == 2


def test_copies_that_are_gone_cannot_be_told_from_other_versions(tree, tmp_path):
    merged = in_parts(tree, tmp_path)
    assert uid("a1") not in merged["series.csv"].decode()
    assert uid("s1") in merged["series.csv"].decode()


@pytest.mark.parametrize("text", ["{", "[]", '{"form": "another"}'])
def test_what_is_no_file_of_contents_is_refused(tmp_path, text):
    (tmp_path / "part.json").write_text(text)
    with pytest.raises(UserError, match="index that part again"):
        merge_index.main(["--parts", str(tmp_path / "part.json"), "--output", str(tmp_path / "x")])


def test_a_tree_without_series_names_its_folder(tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "note.txt").write_text("no image")
    with pytest.raises(UserError, match="none of the 1 files in data"):
        in_parts(tmp_path / "data", tmp_path)
    assert (tmp_path / "x" / "series.csv").exists()


def test_an_empty_folder_names_itself(tmp_path):
    """The part that the workflow makes of it: an entry without a name, which no folder has."""
    (tmp_path / "data").mkdir()
    part, entries = str(tmp_path / "part.json"), tmp_path / "entries"
    entries.write_text("\0")
    index_series.main(["--roots", str(tmp_path / "data"), "--only", str(entries), "--contents", part])
    with pytest.raises(UserError, match="no file in data"):
        merge_index.main(["--parts", part, "--output", str(tmp_path / "x")])
