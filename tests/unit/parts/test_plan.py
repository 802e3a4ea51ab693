"""What a download that streams says before it starts: parts, what passes and what stays, and what does not fit."""

import os
import re

import pytest
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row, read_rows, select, write_rows
from ct4bench.parts.plan import (
    OTHER_BYTES,
    announce_stream,
    check_answers,
    make_folders,
    needs_of,
    parts_at_once,
    parts_of,
    plan_stream,
    reference_row,
    room_for_volumes,
)


def row(number, scanner="A1", dose="10", recon="IR", repetition=1, size_mb=180.0):
    uids = f"1.2.3.{number}", f"1.2.4.{number}"
    uuids = f"{number:08x}-0000-0000-0000-000000000000", f"{number:08x}-0000-0000-0000-000000000001"
    return Row(*uids, *uuids, "a-bucket", "", scanner, dose, recon, repetition, 343, size_mb, 1, 5.0)


def collection() -> list[Row]:
    """Ten repetitions of A1 at 10 mGy, two of B1, one of A1 at 1 mGy."""
    return [
        *(row(n, repetition=n) for n in range(1, 11)),
        *(row(20 + n, scanner="B1", repetition=n) for n in (1, 2)),
        row(30, dose="1"),
    ]


def test_a_part_has_the_repetitions_of_a_scanner_dose_and_reconstruction():
    parts = parts_of(collection())
    assert {name: len(rows) for name, rows in parts.items()} == {"A1_10mGy_IR": 10, "B1_10mGy_IR": 2, "A1_1mGy_IR": 1}
    odd = parts_of([row(1, scanner="a/b $c"), row(2, scanner="a/b_$c")])
    assert list(odd) == ["a_b__c_10mGy_IR", "a_b__c_10mGy_IR_"]


def test_what_passes_and_what_stays():
    rows = collection()
    parts, reference = parts_of(rows), rows[0]
    one = 185_000_000
    for at_once, passing in ((1, 10 * one), (2, 12 * one), (9, 13 * one)):
        needs = needs_of(rows, reference, parts, "idc", 8, at_once)
        assert needs.passing == passing
        assert needs.kept == round(13 * one / 4) + one + OTHER_BYTES
    # a zip lies beside what it is unpacked to
    assert needs_of(rows, reference, parts, "tcia", 1, 1).passing == 11 * one
    assert room_for_volumes(needs, 10) == 10_000_000_000 - one - OTHER_BYTES - 13 * one


def test_it_is_said_and_refused_before_it_starts(tmp_path):
    rows = collection()
    parts, folders = parts_of(rows), Folders(tmp_path)
    needs = needs_of(rows, rows[0], parts, "idc", 8, 2)
    whole = needs.kept + needs.passing
    text = announce_stream(rows, parts, needs, "idc", folders, 8, whole / 1e9)
    assert "13 series (A1, B1 at 10, 1 mGy, IR)" in text and "3 parts of at most 10 series" in text
    assert f"about {whole / 1e9:.2f} GB at most" in text and "2.22 GB of DICOM on its way" in text
    with pytest.raises(UserError, match=r"takes about .* GB: .* that it keeps .*; --max_disk 3\.4 GB is less"):
        announce_stream(rows, parts, needs, "idc", folders, 8, 3.4)
    with pytest.raises(UserError, match="GB free: ask for fewer"):
        announce_stream(rows, parts, needs._replace(kept=10**18), "idc", folders, 8, 1e10)
    assert list(tmp_path.iterdir()) == []


def test_volumes_of_methods_of_images_count_before_it_starts(tmp_path):
    rows = collection()
    parts = parts_of(rows)
    one, three = (needs_of(rows, rows[0], parts, "idc", 8, 2, copies) for copies in (1, 3))
    assert three.volumes == 3 * one.volumes and three.kept - one.kept == 2 * one.volumes
    limit = (one.kept + one.passing) / 1e9 + 0.01
    announce_stream(rows, parts, one, "idc", Folders(tmp_path), 8, limit)
    with pytest.raises(UserError, match="GB is less"):
        announce_stream(rows, parts, three, "idc", Folders(tmp_path), 8, limit)


def test_the_whole_collection_needs_what_its_docs_say(tmp_path):
    rows, told = read_rows("assets/idc_series.csv"), (ROOT / "docs" / "download.md").read_text()
    some = {"doses": "10", "scanners": "A1,D1"}
    sizes = {"10 mGy of A1 and D1": some, "10 mGy": {"doses": "10"}, "the collection": {}}
    for name, choice in sizes.items():
        chosen = select(rows, **choice)
        needs = needs_of(chosen, reference_row(chosen, "A1 10mGy IR"), parts_of(chosen), "idc", 8, parts_at_once(8))
        kept = f"{needs.kept / 1e9:.1f}" if needs.kept < 1e10 else f"{needs.kept / 1e9:.0f}"
        assert f"| {name} | {len(chosen):,} | {kept} | {needs.passing / 1e9:.1f} |" in told
    # a plan that is made without the engine says the same
    chosen = select(rows, **some)
    text = plan_stream(chosen, Folders(tmp_path), "idc", 8, 7, "A1 10mGy IR").text
    assert re.search(r"about 6\.\d\d GB at most, 2\.5\d GB that it keeps .* and 3\.72 GB of DICOM on its way", text)
    alone = plan_stream(chosen, Folders(tmp_path), "idc", 1, 7, "A1 10mGy IR").text
    assert re.search(r"and 1\.86 GB of DICOM on its way", alone)


def test_the_reference_is_one_of_what_is_fetched():
    rows = collection()
    assert reference_row(rows, "a1 10 mGy ir") == rows[0]
    assert reference_row(rows, "A1 10mGy IR #3") == rows[2]
    assert reference_row(rows, "1.2.3.21") == rows[10]
    with pytest.raises(UserError, match="'D1 10mGy IR' is not among the 13 series"):
        reference_row(rows, "D1 10mGy IR")


def test_folders_of_parts_have_the_same_time_in_every_run(tmp_path):
    folders, parts = Folders(tmp_path), parts_of(collection())
    make_folders(folders, parts)
    times = {path.name: path.stat().st_mtime_ns for path in (folders.download / "stream").iterdir()}
    assert set(times) == set(parts) and len(set(times.values())) == 1
    left = folders.stream("A1_10mGy_IR").dicom
    left.mkdir()
    (folders.stream("A9").dicom).mkdir(parents=True)
    make_folders(folders, parts)
    # what was fetched of a part is gone on with; another's goes
    assert left.is_dir() and set(folders.streams()) == set(parts)
    assert {os.stat(left.parent).st_mtime_ns} == set(times.values())


def test_a_table_of_a_part_is_read_as_it_was_written(tmp_path):
    for name, rows in parts_of(collection()).items():
        write_rows(rows, tmp_path / f"{name}.csv")
        assert read_rows(tmp_path / f"{name}.csv") == rows


def test_a_part_that_cannot_answer_is_refused_before_it_is_fetched():
    rows = collection()
    check_answers(rows, "scanner", [10.0])
    check_answers(rows, "maker", [10.0])
    for domain, doses, words in (
        ("recon", [10.0], "have recon IR"),
        ("maker", [1.0], "have scanner A1"),
        ("scanner", [14.0], "at 14 mGy, where features are extracted; the input has 1, 10 mGy"),
    ):
        with pytest.raises(UserError, match=words):
            check_answers(rows, domain, doses)
