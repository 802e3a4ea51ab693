"""tools/compare_renamed.py: equal but for what docs/renames.csv names, and not one value more."""

import importlib.util
import shutil

import pandas as pd
import pytest
from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("compare_renamed", ROOT / "tools" / "compare_renamed.py")
compare_renamed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compare_renamed)

RENAMES = """kind,table,old,new
file,,<method>/a.csv,<method>/b.csv
new file,,,columns.csv
column,<method>/tables/*.csv,*_std,*_sd
column,<method>/tables/*.csv,*_std_*,*_sd_*
split,<method>/tables/t.csv,dose,kind dose
new column,<method>/p.parquet,,more
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An old and a new folder of results that differ in what the renames name, and in nothing else."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "renames.csv").write_text(RENAMES)
    monkeypatch.setattr(compare_renamed, "ROOT", tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        (folder / "none" / "tables").mkdir(parents=True)
    (old / "none" / "a.csv").write_text("x\n1\n")
    (new / "none" / "b.csv").write_text("x\n1\n")
    (new / "columns.csv").write_text("table\n")
    (old / "none" / "tables" / "t.csv").write_text(
        "dose,m_std,n_sd,m_std_published,why\n1,2.50,3,,\naverage,4.0,5,6,few\n"
    )
    (new / "none" / "tables" / "t.csv").write_text(
        "kind,dose,m_sd,n_sd,m_sd_published,why\ndose,1,2.50,3,,\naverage,,4.0,5,6,few\n"
    )
    pd.DataFrame({"a": [1, 2]}).to_parquet(old / "none" / "p.parquet")
    pd.DataFrame({"a": [1, 2], "more": ["x", "y"]}).to_parquet(new / "none" / "p.parquet")
    return old, new


def compare(monkeypatch, folders, *options) -> int:
    monkeypatch.setattr("sys.argv", ["compare_renamed.py", *map(str, folders), *options])
    return compare_renamed.main()


def test_what_is_named_is_no_difference(folders, monkeypatch, capsys):
    assert compare(monkeypatch, folders) == 0
    assert "3 of 3 tables are equal" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "changed", "fault"),
    [
        ("none/tables/t.csv", "dose,1,", "dose,3,", "dose, row 0: 1 was, 3 is"),
        ("none/tables/t.csv", "average,,", "mean,,", "dose, row 1: average was, mean is"),
        ("none/tables/t.csv", "2.50", "2.5", "m_sd, row 0: 2.50 was, 2.5 is"),
        ("none/tables/t.csv", "n_sd", "n_spread", "2 rows, 2 now; columns gone ['n_sd'], new ['n_spread']"),
        ("none/b.csv", "1", "1.0", "x, row 0"),
    ],
)
def test_a_value_more_is_one(folders, monkeypatch, capsys, name, text, changed, fault):
    path = folders[1] / name
    path.write_text(path.read_text().replace(text, changed, 1))
    assert compare(monkeypatch, folders) == 1
    assert f"{name}: {fault}" in capsys.readouterr().out


def test_files_that_are_missing_or_not_named_are_differences(folders, monkeypatch, capsys):
    (folders[1] / "none" / "p.parquet").unlink()
    (folders[1] / "other.csv").write_text("x\n")
    assert compare(monkeypatch, folders) == 1
    out = capsys.readouterr().out
    assert "none/p.parquet is missing" in out and "other.csv is new" in out


def test_a_tolerance_holds_for_the_tables_that_are_named(folders, monkeypatch):
    path = folders[1] / "none" / "tables" / "t.csv"
    path.write_text(path.read_text().replace("4.0", "4.0000001"))
    assert compare(monkeypatch, folders) == 1
    assert compare(monkeypatch, folders, "--tolerance", "1e-6", "--only", "t.csv") == 0
    assert compare(monkeypatch, folders, "--tolerance", "1e-9", "--only", "t.csv") == 1
    assert compare(monkeypatch, folders, "--tolerance", "1e-6", "--only", "b.csv") == 1


def test_folders_of_today_are_compared_column_by_column(folders, monkeypatch, capsys):
    """Columns that were new once are in both: a difference in one of them is a difference."""
    _, new = folders
    again = new.parent / "again"
    shutil.copytree(new, again)
    assert compare(monkeypatch, (new, again)) == 0
    pd.DataFrame({"a": [1, 2], "more": ["x", "z"]}).to_parquet(again / "none" / "p.parquet")
    (again / "none" / "tables" / "t.csv").write_text(
        "kind,dose,m_sd,n_sd,m_sd_published,why\nmean,1,2.50,3,,\naverage,,4.0,5,6,few\n"
    )
    assert compare(monkeypatch, (new, again)) == 1
    said = capsys.readouterr().out
    assert "more, row 1: y was, z is" in said and "kind, row 0: dose was, mean is" in said


def test_folders_without_tables_are_not_equal(folders, monkeypatch, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert compare(monkeypatch, (tmp_path / "empty", tmp_path / "empty")) == 1
    assert "has no tables" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        compare(monkeypatch, (tmp_path / "nowhere", folders[1]))
    assert "there is no folder" in capsys.readouterr().err
