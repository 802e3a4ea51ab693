"""Merging of what the chunks say."""

import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Rigid
from ct4bench.core.tables import write_table
from ct4bench.preprocess.merge import merge_transforms, split_by_status
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, motion_columns, motion_of

MOTION = Rigid((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0))
SERIES = pd.DataFrame(
    [
        ("1.1", "H1", 10.0, "IR", 1, "r/h"), ("1.2", "A1", 10.0, "IR", 1, "r/a"), ("1.3", "A1", 1.0, "IR", 2, "r/b"),
        ("1.4", "A1", 1.0, "FBP", 2, "r/c"), ("1.5", "G1", 1.0, "IR", 1, "r/d"), ("1.6", "C1", 1.0, "IR", 1, "r/e"),
    ],
    columns=["series_uid", "scanner", "dose_mgy", "recon", "repetition", "path"],
)  # fmt: skip
QUARANTINE = pd.DataFrame([("r/z", "", "not_ct", "an MR")], columns=["path", "series_uid", "reason", "detail"])


def row(uid, status="registered", detail=""):
    motion = motion_columns(MOTION) if status in ("registered", "reference") else {}
    return {"series_uid": uid, **motion, "similarity_after": 0.99, "status": status, "detail": detail}


def parts(tmp_path, *chunks):
    paths = []
    for number, rows in enumerate(chunks):
        paths.append(tmp_path / f"part{number}.csv")
        write_table(pd.DataFrame(rows, columns=TRANSFORM_COLUMNS), paths[-1])
    return paths


def all_rows(**statuses):
    found = {"1.2": "reference"} | {uid.replace("_", "."): status for uid, status in statuses.items()}
    return [row(uid, found.get(uid, "registered"), found.get(uid, "") and "why") for uid in SERIES["series_uid"]]


def test_motion_survives_the_table(tmp_path):
    (path,) = parts(tmp_path, [row("1.1")])
    table = pd.read_csv(path)
    assert motion_of(table.iloc[0]) == MOTION


def test_rows_stand_in_the_papers_order_whatever_the_parts(tmp_path):
    rows = all_rows()
    one = merge_transforms(SERIES, parts(tmp_path, rows[:2], rows[2:]))
    other = merge_transforms(SERIES, parts(tmp_path, rows[3:][::-1], rows[:3])[::-1])
    assert one["series_uid"].tolist() == ["1.4", "1.3", "1.2", "1.5", "1.6", "1.1"]
    pd.testing.assert_frame_equal(one, other)
    assert list(one.columns) == TRANSFORM_COLUMNS


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (all_rows()[:-1], "1 series have no row, the first is 1.6"),
        (all_rows() + [row("1.3")], "1 series have two rows, the first is 1.3"),
        (all_rows() + [row("9.9")], "1 series are not in series.csv, the first is 9.9"),
    ],
)
def test_rows_that_do_not_fit_the_index_are_refused(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        merge_transforms(SERIES, parts(tmp_path, rows))


def split(tmp_path, rows, strict=False):
    return split_by_status(SERIES, QUARANTINE, merge_transforms(SERIES, parts(tmp_path, rows)), strict)


def test_what_failed_goes_to_quarantine_with_its_reason(tmp_path):
    registered, quarantine = split(tmp_path, all_rows(**{"1_5": "mirrored", "1_1": "unreadable"}))
    assert registered["series_uid"].tolist() == ["1.2", "1.3", "1.4", "1.6"]
    assert list(registered.columns) == list(SERIES.columns)
    assert quarantine.to_numpy().tolist() == [
        ["r/d", "1.5", "mirrored", "why"],
        ["r/h", "1.1", "unreadable", "why"],
        ["r/z", "", "not_ct", "an MR"],
    ]


def test_no_failure_leaves_the_quarantine_as_it_is(tmp_path):
    registered, quarantine = split(tmp_path, all_rows())
    assert len(registered) == len(SERIES)
    pd.testing.assert_frame_equal(quarantine, QUARANTINE)


def test_the_quarantine_of_an_earlier_run_does_not_double(tmp_path):
    transforms = merge_transforms(SERIES, parts(tmp_path, all_rows(**{"1_5": "mirrored"})))
    once = split_by_status(SERIES, QUARANTINE, transforms, False)[1]
    pd.testing.assert_frame_equal(split_by_status(SERIES, once, transforms, False)[1], once)
    copy = QUARANTINE.assign(path="r/copy", series_uid="1.5", reason="duplicate_series")
    assert len(split_by_status(SERIES, copy, transforms, False)[1]) == 2


def test_an_empty_quarantine_keeps_its_columns(tmp_path):
    transforms = merge_transforms(SERIES, parts(tmp_path, all_rows()))
    _, quarantine = split_by_status(SERIES, QUARANTINE.iloc[:0], transforms, True)
    assert quarantine.empty
    assert list(quarantine.columns) == list(QUARANTINE.columns)


def test_strict_makes_a_failure_an_error(tmp_path):
    with pytest.raises(UserError, match="--strict: 1 series could not be registered .1 mirrored.; the first is r/d"):
        split(tmp_path, all_rows(**{"1_5": "mirrored"}), strict=True)
    assert len(split(tmp_path, all_rows(), strict=True)[0]) == len(SERIES)


def test_no_series_at_all_is_an_error(tmp_path):
    failed = all_rows(**{uid.replace(".", "_"): "registration_failed" for uid in SERIES["series_uid"] if uid != "1.2"})
    with pytest.raises(UserError, match="no series could be registered"):
        split(tmp_path, failed)


def test_a_missing_reference_is_an_error(tmp_path):
    with pytest.raises(UserError, match="the reference series is not among"):
        split(tmp_path, all_rows(**{"1_2": "registered"}))


def test_the_reference_alone_is_no_error(tmp_path):
    alone = SERIES[SERIES["series_uid"] == "1.2"]
    transforms = merge_transforms(alone, parts(tmp_path, [row("1.2", "reference")]))
    registered, _ = split_by_status(alone, QUARANTINE, transforms, False)
    assert registered["series_uid"].tolist() == ["1.2"]
