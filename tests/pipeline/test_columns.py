"""The tables of a run against the contract: names, types, meanings; and which edit of the contract runs what again."""

import csv
import re
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pipeline_run import ENGINE, ROOT

from ct4bench.core.contract import FOLDER, read_contract, table_of
from ct4bench.core.metrics import WORDS

pytestmark = pytest.mark.pipeline

CELLS = {
    "int64": re.compile(r"-?\d+"),
    "double": re.compile(r"-?(\d+(\.\d*)?([eE][-+]?\d+)?|inf)"),
    "bool": re.compile("True|False"),
    "string": re.compile(r".*", re.S),
}
"""What a cell of a CSV looks like that is not blank."""
CELLS["int64 or double"] = CELLS["double"]


def tables_of(run) -> list[str]:
    """All tables of the results, those about the run, too."""
    paths = (path for path in run.outdir.rglob("*") if path.suffix in (".csv", ".parquet"))
    return sorted(path.relative_to(run.outdir).as_posix() for path in paths)


def described(run, name) -> pd.DataFrame:
    columns = pd.read_csv(run.outdir / "columns.csv", keep_default_na=False)
    return columns[columns["table"] == name].set_index("column")


def test_every_table_of_a_run_is_in_the_contract(small_run):
    names = tables_of(small_run)
    assert {"columns.csv", "none/pairs.parquet", "index/series.csv", "truth.csv"} <= set(names)
    assert [name for name in names if table_of(name) is None] == []
    columns = pd.read_csv(small_run.outdir / "columns.csv", keep_default_na=False)
    assert sorted(set(columns["table"])) == names
    made = {table_of(name).table for name in names}
    # mode paper has no ablation that is not its own way, nothing was downloaded, and none is the only method
    others = {"<method>/tables/accuracy_ablations.csv", "download/series.csv", "download/missing.csv"}
    others |= {"methods.csv", "leaderboard.csv", "leaderboard_makers.csv", "leaderboard_seeds.csv"}
    others |= {"<method>/harmonization.csv", "<method>/scores.csv", "<method>/untrained.csv"}
    assert set(read_contract()) - made == others


def test_columns_are_those_of_the_contract(small_run):
    for name in tables_of(small_run):
        path = small_run.outdir / name
        table = table_of(name)
        names = pq.read_schema(path).names if path.suffix == ".parquet" else next(csv.reader(path.open()))
        assert table.faults(names) == [], name
        columns = described(small_run, name)
        plain = [column for column in names if table.column(column).column != "<feature>"]
        assert list(columns.index) == plain + ["<feature>"] * (len(plain) < len(names)), name
        assert (columns["meaning"] != "").all() and (columns["type"] != "same").all()
        for place in ("meaning", "unit", "blank"):
            assert not columns.drop("<feature>", errors="ignore")[place].str.contains(r"<\w+>").any(), name


def test_cells_are_of_their_types_and_blank_only_where_that_means_something(small_run):
    for name in tables_of(small_run):
        path = small_run.outdir / name
        columns = described(small_run, name)
        if path.suffix == ".parquet":
            for field in pq.read_schema(path):
                row = columns.loc[field.name if field.name in columns.index else "<feature>"]
                assert str(field.type) in row["type"].split(" or "), (name, field.name)
                facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
                assert facts == {
                    key: text
                    for key, text in (("unit", row["unit"]), ("description", row["meaning"]), ("blank", row["blank"]))
                    if text
                }, (name, field.name)
            continue
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column in frame.columns:
            row, cells = columns.loc[column], frame[column]
            filled = cells[cells != ""]
            assert row["blank"] or len(filled) == len(cells), (name, column)
            wrong = filled[~filled.map(lambda text, kind=row["type"]: bool(CELLS[kind].fullmatch(text)))]
            assert wrong.empty, (name, column, wrong.head(3).tolist())


def test_blank_cells_of_parquet_mean_something(small_run):
    for name in (name for name in tables_of(small_run) if name.endswith(".parquet")):
        frame, columns = pd.read_parquet(small_run.outdir / name), described(small_run, name)
        blank = [c for c in frame.columns if (frame[c].isna() | (frame[c].astype(str) == "")).any()]
        assert [c for c in blank if c in columns.index and not columns.loc[c, "blank"]] == [], name


def test_metrics_of_pairs_have_their_units(small_run):
    schema = pq.read_schema(small_run.outdir / "none" / "pairs.parquet")
    for metric, (unit, meaning) in WORDS.items():
        facts = schema.field(metric).metadata
        assert facts.get(b"unit", b"").decode() == unit and facts[b"description"].decode().startswith(meaning)


SCRIPTS = ("compare_pairs.py", "merge_pairs.py", "merge_predictions.py", "index_series.py", "register_series.py",
           "make_tables.py", "collect_results.py")  # fmt: skip


def test_an_edit_of_the_contract_runs_again_what_it_touches(tmp_path):
    """By digests that the engine itself makes: words, types and new columns of one table, of another none."""
    import subprocess

    for name in ("bin", "subworkflows"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.nf.test*"))
    (tmp_path / "main.nf").write_text(
        "include { codeDigest } from './subworkflows/utilities/code'\n"
        f'workflow {{ {list(SCRIPTS)!r}.each {{ name -> println("digest ${{name}} ${{codeDigest(name)}}") }} }}\n'
    )

    def digests() -> dict[str, str]:
        run = subprocess.run([ENGINE, "run", "main.nf"], cwd=tmp_path, capture_output=True, text=True, check=True)
        return dict(re.findall(r"^digest (\S+) (\w+)", run.stdout, re.M))

    def changed_by(file, old, new) -> set[str]:
        path = tmp_path / "bin" / "ct4bench" / "core" / file
        text = path.read_text()
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new))
        after = digests()
        path.write_text(text)
        return {name for name in SCRIPTS if before[name] != after[name]}

    before = digests()
    assert set(before) == set(SCRIPTS) and len(set(before.values())) == len(SCRIPTS)
    row = next(line for line in (FOLDER / "columns.csv").read_text().splitlines() if line.startswith("pair_index,"))
    assert changed_by("columns.csv", row, row.replace("number of the pair", "the pair's number")) == {
        "merge_pairs.py", "collect_results.py",
    }  # fmt: skip
    of_pairs = {"compare_pairs.py", "merge_pairs.py", "collect_results.py"}
    assert changed_by("columns.csv", row, row.replace("int64", "double")) == of_pairs
    assert changed_by("tables.csv", "table variant pair_index", "table pair_index variant") == of_pairs
