"""The shipped table of series against the list that the collection's index has, and what is chosen of it."""

import csv
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.download.manifest import COLUMNS, TABLE, read_rows, select, write_rows


@pytest.fixture(scope="module")
def rows():
    return read_rows(TABLE)


def test_the_shipped_table_is_the_collections_list(shared_data):
    ours = pd.read_csv(TABLE, dtype=str).set_index("series_instance_uid").sort_index()
    other = pd.read_csv(shared_data("idc_series_index.csv"), dtype=str).set_index("series_instance_uid").sort_index()
    common = [name for name in ours.columns if name in other.columns]
    assert set(common) == {"seg_series_instance_uid", "crdc_series_uuid", "n_instances", "size_mb", "seg_size_mb"}
    numbers = ["size_mb", "seg_size_mb"]
    pd.testing.assert_frame_equal(ours[common].astype(dict.fromkeys(numbers, float)),
                                  other[common].astype(dict.fromkeys(numbers, float)))  # fmt: skip
    said = other["series_description"].str.extract(r"^(\w\d)_Harmonized_(\d+)mGy_(\w+) - #(\d+)$")
    for column, found in zip(("scanner", "dose_mgy", "recon", "repetition"), said, strict=True):
        assert (ours[column] == said[found]).all(), column


def test_the_shipped_table_has_the_collections_size(rows):
    """By idc-index-data 25.0.5, whose version the table's card names."""
    assert (len(rows), round(sum(row.size_mb for row in rows) / 1e3, 2)) == (1378, 245.52)
    assert sum(row.n_instances for row in rows) == 465_846
    assert {row.bucket for row in rows} == {"idc-open-data"} and {row.seg_n_instances for row in rows} == {1}
    assert len({row.seg_crdc_series_uuid for row in rows} | {row.crdc_series_uuid for row in rows}) == 2756
    assert "idc-index-data 25.0.5" in TABLE.with_suffix(".md").read_text()
    assert TABLE.stat().st_size < 1_000_000


def test_the_shipped_table_is_what_the_package_has():
    found = importlib.util.find_spec("idc_index_data")
    if found is None:
        pytest.skip("idc-index-data is not installed; tools/make_idc_table.py <folder> --check compares with it")
    folder = Path(found.origin).parents[1]
    done = subprocess.run([sys.executable, ROOT / "tools" / "make_idc_table.py", folder, "--check"])
    assert done.returncode == 0


def test_the_card_and_the_docs_say_what_every_column_is():
    for text in (TABLE.with_suffix(".md").read_text(), (ROOT / "docs" / "download.md").read_text()):
        named = re.findall(r"`(\w+)`", text)
        assert set(COLUMNS) <= set(named)


@pytest.mark.parametrize(
    ("choice", "n", "gb"),
    [({"doses": "10"}, 268, 47.73), ({"doses": "10.0", "scanners": "A1,D1"}, 40, 7.23),
     ({"doses": "10", "scanners": "d1, a1", "reconstructions": "ir", "repetitions": "1-3"}, 6, 1.08),
     ({"doses": "", "repetitions": None}, 1378, 245.52)],
)  # fmt: skip
def test_choices(rows, choice, n, gb):
    found = select(rows, **choice)
    assert (len(found), round(sum(row.size_mb for row in found) / 1e3, 2)) == (n, gb)
    assert [row for row in rows if row in set(found)] == found


@pytest.mark.parametrize(
    ("choice", "words"),
    [({"doses": "11"}, "--doses: no series of 11"), ({"doses": "ten"}, "--doses ten"), ({"doses": "nan"}, "no dose"),
     ({"scanners": "A1,Z9"}, "no series of Z9 in the table; it has A1"), ({"reconstructions": "XX"}, "it has FBP, IR"),
     ({"repetitions": "3-1"}, "--repetitions 3-1"), ({"repetitions": "0"}, "write 1, or 1-3"),
     ({"repetitions": "1-2-3"}, "is no number or range"), ({"repetitions": "99"}, "no series has all"),
     ({"scanners": "A1", "reconstructions": "DL"}, "no series has all")],
)  # fmt: skip
def test_a_choice_of_what_is_not_there_is_refused(rows, choice, words):
    with pytest.raises(UserError, match=re.escape(words)):
        select(rows, **choice)


WRONG = {
    "no segmentation": ("seg_series_instance_uid", ""), "seg_crdc_series_uuid is blank": ("seg_crdc_series_uuid", " "),
    "is no UUID": ("crdc_series_uuid", "../../etc"), "is no name of a bucket": ("bucket", "a/../b"),
    "is no DICOM UID": ("series_instance_uid", "../1.2"), "'0' is not at least 1": ("n_instances", "0"),
    "is no dose": ("dose_mgy", "-1"), "is no size": ("size_mb", "inf"), "invalid literal": ("repetition", "#1"),
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_line_is_refused_by_its_number(words, rows, tmp_path):
    lines = [row._asdict() for row in rows[:3]]
    column, value = WRONG[words]
    lines[1][column] = value
    with open(tmp_path / "t.csv", "w", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS)
        table.writeheader()
        table.writerows(lines)
    with pytest.raises(UserError, match=re.escape(words)) as error:
        read_rows(tmp_path / "t.csv")
    assert "t.csv, line 3: " in str(error.value)


def test_a_table_without_a_column_twice_a_series_or_none_is_refused(rows, tmp_path):
    (tmp_path / "a.csv").write_text("series_instance_uid\n1.2\n")
    write_rows([rows[0], rows[1], rows[0]], tmp_path / "b.csv")
    write_rows([rows[0]._replace(seg_series_instance_uid=rows[0].series_instance_uid)], tmp_path / "c.csv")
    write_rows([], tmp_path / "d.csv")
    for name, words in {"a": "lacks the columns seg_series", "b": "line 4 is also on line 2", "c": "line 2",
                        "d": "has no series", "e": "cannot be read"}.items():  # fmt: skip
        with pytest.raises(UserError, match=words):
            read_rows(tmp_path / f"{name}.csv")


def test_a_table_is_read_as_it_was_written(rows, tmp_path):
    write_rows(rows[:20], tmp_path / "t.csv")
    assert read_rows(tmp_path / "t.csv") == rows[:20]
