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


def test_the_one_liners_of_the_docs_name_a_series_of_the_table(rows):
    text = (ROOT / "docs" / "download.md").read_text()
    lines = text[text.index("## Is the server there?") :].split("```")[1]
    (row,) = (row for row in rows if row.crdc_series_uuid in lines)
    assert set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", lines)) == {row.crdc_series_uuid}
    assert set(re.findall(r"SeriesInstanceUID=([0-9.]+)", lines)) == {row.series_instance_uid}
    assert set(re.findall(r"Collection=([\w-]+)", lines)) == {row.collection}
    assert f"{row.n_instances} objects" in lines and f"/{row.bucket}" in lines


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
    [({"doses": "11"}, "--doses 11: no series of 11 in the table; it has 1, 3, 6, 10, 14"),
     ({"doses": "ten"}, "--doses ten: 'ten' is no dose in mGy; write"), ({"doses": "nan"}, "no dose"),
     ({"doses": ","}, "--doses ',' names nothing; the table has 1, 3, 6, 10, 14"),
     ({"scanners": ", "}, "--scanners ', ' names nothing; the table has A1, A2"),
     ({"repetitions": ","}, "--repetitions ',' names nothing; the table has 1-10"),
     ({"repetitions": "11"}, "--repetitions 11: no series of 11 in the table; it has 1-10"),
     ({"repetitions": "2,9-12,14"}, "no series of 11-12, 14 in the table; it has 1-10"),
     ({"scanners": "A1,Z9"}, "no series of Z9 in the table; it has A1"), ({"reconstructions": "XX"}, "it has FBP, IR"),
     ({"repetitions": "3-1"}, "--repetitions 3-1"), ({"repetitions": "0"}, "write 1, or 1-3"),
     ({"repetitions": "1-2-3"}, "is no number or range"),
     ({"scanners": "A1", "reconstructions": "DL"}, "no series has all of --scanners A1 --reconstructions DL together; "
      "--scanners may be D1"),
     ({"scanners": "A1", "reconstructions": "DL"}, "--reconstructions may be FBP, IR beside")],
)  # fmt: skip
def test_a_choice_of_what_is_not_there_is_refused(rows, choice, words):
    with pytest.raises(UserError, match=re.escape(words)):
        select(rows, **choice)


WRONG = {
    "no segmentation": ("seg_series_instance_uid", ""), "seg_crdc_series_uuid is blank": ("seg_crdc_series_uuid", " "),
    "is no UUID": ("crdc_series_uuid", "../../etc"), "is no name of a bucket": ("bucket", "a/../b"),
    "is no DICOM UID": ("series_instance_uid", "../1.2"), "'0' is no whole number of at least 1": ("n_instances", "0"),
    "is no dose": ("dose_mgy", "-1"), "is no size": ("size_mb", "inf"),
    "'#1' is no whole number of at least 1": ("repetition", "#1"),
    "scanner is blank; give": ("scanner", ""), "recon is blank; give": ("recon", ""),
    "dose_mgy is blank": ("dose_mgy", ""),
    "column dose_mgy: '1,5' is no dose": ("dose_mgy", "1,5"),
    "column size_mb: '181,5' is no size": ("size_mb", "181,5"),
    "'1_0' is no whole number": ("n_instances", "1_0"), "column scanner: 'A,1' has a comma": ("scanner", "A,1"),
    "'A\\n1' has a comma or what cannot be printed": ("scanner", "A\n1"), "column bucket": ("bucket", "B_"),
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
    assert "t.csv, line " in str(error.value) and column in str(error.value)
    assert "could not convert" not in str(error.value) and "invalid literal" not in str(error.value)


def test_a_table_without_a_column_twice_a_series_or_none_is_refused(rows, tmp_path):
    (tmp_path / "a.csv").write_text("series_instance_uid\n1.2\n")
    write_rows([rows[0], rows[1], rows[0]], tmp_path / "b.csv")
    write_rows([rows[0]._replace(seg_series_instance_uid=rows[0].series_instance_uid)], tmp_path / "c.csv")
    write_rows([], tmp_path / "d.csv")
    write_rows([rows[0], rows[1]._replace(seg_crdc_series_uuid=rows[0].crdc_series_uuid)], tmp_path / "f.csv")
    (tmp_path / "g.csv").mkdir()
    for name, words in {"a": "lacks the columns seg_series", "b": "line 4 is also on line 2", "c": "line 2: the series",
                        "d": "has no series", "e": "cannot be read: No such file or directory; name a CSV file",
                        "f": "the UUID .* of line 3 is also on line 2; keep one",
                        "g": "cannot be read: Is a directory"}.items():  # fmt: skip
        with pytest.raises(UserError, match=words):
            read_rows(tmp_path / f"{name}.csv")


def changed(text: str, tmp_path, encoding="utf-8") -> Path:
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda text: text.replace(",", ";"), "semicolons between its columns; save it with commas"),
     (lambda text: text.replace(",", "\t"), "tabs between its columns; save it with commas"),
     (lambda text: text.replace(",A1,", ",A,1,", 1), "line 2 has 15 values, and the header 14"),
     (lambda text: text.rpartition(",")[0], "line 4 ends after 13 values"),
     (lambda text: text.replace("bucket", "bucket,bucket", 1), "has the column bucket more than once"),
     (lambda text: "\0".join(text), "no CSV|is not CSV|lacks the columns")],
)  # fmt: skip
def test_a_table_of_another_form_is_refused_in_words(change, words, rows, tmp_path):
    write_rows(rows[:3], tmp_path / "t.csv")
    with pytest.raises(UserError, match=words):
        read_rows(changed(change((tmp_path / "t.csv").read_text()), tmp_path))


def test_what_programs_of_tables_do_to_a_table_is_read(rows, tmp_path):
    """A mark of the byte order, lines of CR LF, blanks round names, empty lines and commas at an end."""
    write_rows(rows[:3], tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    text = "\r\n".join([lines[0].replace(",", " ,"), lines[1], "", lines[2] + ",,", lines[3], ",,,,"])
    assert read_rows(changed(text, tmp_path, "utf-8-sig")) == rows[:3]
    with pytest.raises(UserError, match="is no text in UTF-8; save"):
        read_rows(changed(text, tmp_path, "utf-16"))
    with pytest.raises(UserError, match="line 5, column repetition"):  # as an editor counts, the empty line, too
        read_rows(changed(text.replace(f",{rows[2].repetition},", ",x,"), tmp_path))


def test_a_table_is_read_as_it_was_written(rows, tmp_path):
    write_rows(rows[:20], tmp_path / "t.csv")
    assert read_rows(tmp_path / "t.csv") == rows[:20]
