"""The words that name a reference."""

import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.preprocess.select import choose_reference, confirm_reference, find_reference

SERIES = pd.DataFrame(
    [
        ("1.1", "A1", 10.0, "IR", 3), ("1.2", "A1", 10.0, "IR", 2), ("1.3", "A1", 10.0, "FBP", 1),
        ("1.4", "B2", 14.0, "IR", 1), ("1.5", "lab 7", 2.5, "IR", 1), ("1.6", "E2", 10.0, "DL", 1),
        ("1.7", "E2", 10.0, "DL", 1),
    ],
    columns=["series_uid", "scanner", "dose_mgy", "recon", "repetition"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        ("A1 10mGy IR", "1.2"), ("A1 10mGy IR #3", "1.1"), ("a1  10 mGy ir#2", "1.2"), ("A1 10.0mGy FBP", "1.3"),
        ("lab 7 2.5mGy IR", "1.5"), ("1.4", "1.4"),
    ],
)  # fmt: skip
def test_reference_is_found(text, uid):
    assert find_reference(SERIES, text) == uid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A2 10mGy IR", "is not among the 7 series; the nearest is 'A1 10mGy IR #2'"),
        ("A1 10mGy IR #9", "nearest is 'A1 10mGy IR"),
        ("A1", "must be 'SCANNER DOSEmGy RECON"),
        ("1.9", "no series of the input has this UID"),
        ("E2 10mGy DL", "names 2 series; give the UID of one: 1.6, 1.7"),
    ],
)
def test_what_does_not_match_is_told_with_what_there_is(text, message):
    with pytest.raises(UserError, match=message):
        find_reference(SERIES, text)


def test_another_reference_in_the_whole_index_than_in_the_part_is_refused():
    one, other = (pd.DataFrame({"series_uid": uid, "root": "data", "folder": ["a", "b"]}) for uid in ("1.1", "1.2"))
    confirm_reference(one, one.head(1))
    with pytest.raises(UserError, match=r"names series 1\.2 in the index of all parts, .* registered to 1\.1"):
        confirm_reference(other, one)


def test_an_empty_index_is_told():
    with pytest.raises(UserError, match="no series was accepted"):
        find_reference(SERIES.iloc[:0], "A1 10mGy IR")


FILES = pd.DataFrame(
    [("1.3", "ct", "r", "x"), ("1.3", "ct", "r", "x"), ("1.3", "seg", "r-2", "a/seg"), ("1.4", "ct", "r", "y")],
    columns=["series_uid", "role", "root", "folder"],
)


def test_folders_of_the_reference_are_listed_once_in_the_order_of_a_task():
    chosen = choose_reference(SERIES, FILES, "A1 10mGy FBP")
    # By the texts root/folder, in which "-" comes before "/".
    assert chosen.to_numpy().tolist() == [["1.3", "r-2", "a/seg"], ["1.3", "r", "x"]]


def test_a_reference_without_segmentation_is_refused():
    with pytest.raises(UserError, match="no segmentation of the reference series 1.4"):
        choose_reference(SERIES, FILES, "1.4")
