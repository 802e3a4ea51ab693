"""The contract of tables: it holds itself to its habits, the source to it, and the docs are made from it."""

import ast
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.conftest import ROOT

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY, SERIES_KEY
from ct4bench.core.contract import FOLDER, TYPES, columns_of, pattern, read_contract, table_of, text_columns
from ct4bench.core.metrics import PAIR_VALUES, WORDS
from ct4bench.core.tables import read_table, write_table

COLUMNS = pd.read_csv(FOLDER / "columns.csv", keep_default_na=False)
TABLES = pd.read_csv(FOLDER / "tables.csv", keep_default_na=False)
UNITS = {
    "_per_mm": "1/mm", "_mm": "mm", "_hu": "HU", "_hu2_median": "HU2", "_hu2_q1": "HU2", "_hu2_q3": "HU2",
    "_hu2": "HU2", "_deg": "degrees", "_mgy": "mGy", "_mgy_a": "mGy", "_mgy_b": "mGy", "_mas": "mAs", "_kv": "kV",
    "kvp": "kV", "_s": "s", "_bytes": "bytes",
}  # fmt: skip
"""What the end of a column's name says of its unit."""
NO_UNIT = {"displacement_s", "n_series", "n_<dose>mgy", "scan_options", "rows", "columns"}


def test_every_column_is_defined_and_used_once():
    used = {name.rstrip("?") for names in TABLES["columns"] for name in names.split()}
    assert used == set(COLUMNS["column"])
    assert not COLUMNS.duplicated(["column", "table"]).any() and not TABLES["table"].duplicated().any()
    for names in TABLES["columns"]:
        assert len(names.split()) == len(set(names.split())), names
    own = COLUMNS.loc[COLUMNS["table"] != "", "table"]
    assert [name for name in own if not any(name == t or pattern(name).fullmatch(t) for t in TABLES["table"])] == []


def test_every_column_has_a_type_and_says_what_it_is():
    assert set(COLUMNS["type"]) <= set(TYPES)
    assert (COLUMNS["meaning"].str.len() > 3).all()
    assert (TABLES["meaning"].str.split().str.len() >= 3).all()
    for text in [*COLUMNS["meaning"], *COLUMNS["blank"], *TABLES["meaning"]]:
        assert text == text.strip() and not text.endswith("."), text


def test_a_name_is_text_in_all_tables_or_in_none():
    kinds = COLUMNS[COLUMNS["table"] != "columns.csv"].groupby("column")["type"].agg(lambda t: set(t == "string"))
    assert kinds[kinds.map(len) > 1].empty


def test_names_have_one_habit():
    assert [name for name in COLUMNS["column"] if re.search(r"(^|_)std(_|$)", name)] == []
    for row in COLUMNS.itertuples():
        ends = [unit for end, unit in UNITS.items() if row.column.endswith(end)]
        if ends and row.column not in NO_UNIT and row.type != "string":
            assert row.unit == ends[0], row
    # a column of numbers has no words among its values: those are what `string` is for
    assert set(COLUMNS.loc[COLUMNS["column"].str.fullmatch("dose_mgy.*"), "type"]) == {"int64 or double"}


def test_keys_of_the_benchmark_are_those_of_the_contract():
    assert columns_of("<method>/features/<extractor>.parquet") == FEATURE_KEY
    assert set(SERIES_KEY) <= set(columns_of("index/series.csv"))
    for table in ("<method>/predictions.parquet", "<method>/embedding.parquet"):
        assert set(ROW_KEY) <= set(columns_of(table))
    assert set(PAIR_VALUES) <= set(columns_of("<method>/pairs.parquet", metric=PAIR_VALUES))
    sides = {f"{name}_{side}" for name in ("series_uid", "scanner", "recon", "dose_mgy") for side in "ab"}
    assert sides <= set(columns_of("<method>/pairs.parquet"))


def marked_tables(path) -> set[str]:
    return set(re.findall(r"^# code-(?:table|text): (\S+)", path.read_text(), re.M))


def named_tables(path) -> set[str]:
    """Tables of the contract that a file names in a string."""
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    return {text for text in strings if isinstance(text, str) and text in read_contract()}


def test_a_module_depends_on_the_tables_that_it_names():
    """By lines that subworkflows/utilities/code.nf reads: else -resume keeps results of other columns."""
    for path in sorted((ROOT / "bin").rglob("*.py")):
        named = named_tables(path) - {"columns.csv"}
        assert named == marked_tables(path), path


def test_parquet_files_are_written_with_their_words():
    """A script that writes a published Parquet file runs again where its words change."""
    published = {name for name in read_contract() if name.endswith(".parquet")}
    texts = [re.findall(r"^# code-text: (\S+)", path.read_text(), re.M) for path in (ROOT / "bin").rglob("*.py")]
    assert {name for names in texts for name in names} & published == published


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("none/tables/table3_rmse_hu.csv", "<method>/tables/<scanner_table>.csv"),
        ("none/tables/table3_rmse_hu_same_recon.csv", "<method>/tables/<scanner_table>_same_recon.csv"),
        ("mine/tables/similarity_nmi.csv", "<method>/tables/<scanner_table>.csv"),
        ("none/tables/similarity_by_choice.csv", "<method>/tables/similarity_by_choice.csv"),
        ("none/tables/table6_dose_same_recon.csv", "<method>/tables/table6_dose_same_recon.csv"),
        ("none/features/my_net.parquet", "<method>/features/<extractor>.parquet"),
        ("index/series.csv", "index/series.csv"),
        ("none/tables/table8.csv", None),
    ],
)
def test_a_path_leads_to_its_table(path, name):
    found = table_of(path)
    assert (found and found.table) == name


def test_families_are_resolved():
    table = table_of("none/tables/table6_dose.csv")
    mean, published, difference, end = table.described(
        ["rmse_hu_mean", "psnr_db_sd_published", "ssim_mean_difference", "rmse_hu_ci_high"], WORDS
    )
    assert (mean.type, mean.unit) == ("double", "HU") and mean.meaning.startswith("RMSE in HU: mean")
    assert (published.type, published.unit) == ("double", "dB") and difference.unit == ""
    assert end.blank == "as rmse_hu_ci_low"
    (pitch, model) = table_of("none/tables/table1_acquisition.csv").described(
        ["rotation_time_s_published", "manufacturer_model_published"], {}
    )
    assert (pitch.type, pitch.unit, model.type) == ("double", "s", "string")
    dose, series = table_of("none/tables/table2_series_counts.csv").described(["n_0.5mgy", "n_series_published"], {})
    assert (dose.meaning, series.type) == ("series at this dose", "int64")


def losses() -> pd.DataFrame:
    row = ("tissue", "radiomics", "mlp", "default", "loso", 3, "10", 1, 0.5, np.nan)
    return pd.DataFrame([row], columns=columns_of("<method>/losses.parquet"))


def test_parquet_carries_types_units_and_meanings(tmp_path):
    frame = losses().astype({"loss": np.float32})
    write_table(frame, tmp_path / "losses.parquet", table="<method>/losses.parquet")
    schema = pq.read_schema(tmp_path / "losses.parquet")
    expected = {row.column: row for row in COLUMNS[COLUMNS["table"] == ""].itertuples()}
    for field in schema:
        row = expected[field.name]
        metadata = {key.decode(): value.decode() for key, value in field.metadata.items()}
        assert str(field.type) == row.type
        assert metadata.get("description") == row.meaning and metadata.get("blank", "") == row.blank
    pairs = columns_of("<method>/pairs.parquet", metric=PAIR_VALUES)
    values = {name: ["x"] for name in pairs} | {name: [1] for name in pairs if name not in text_columns()}
    frame = pd.DataFrame(values).astype({"is_self_pair": bool, "dose_mgy_b": float})
    write_table(frame, tmp_path / "pairs.parquet", table="<method>/pairs.parquet", words=WORDS)
    fields = {field.name: field for field in pq.read_schema(tmp_path / "pairs.parquet")}
    assert fields["rmse_hu"].metadata[b"unit"] == b"HU" and str(fields["rmse_hu"].type) == "double"
    assert [str(fields[f"dose_mgy_{side}"].type) for side in "ab"] == ["int64", "double"]


def test_another_column_than_the_contracts_is_not_written(tmp_path):
    table = "<method>/losses.parquet"
    for frame, fault in (
        (losses().assign(more=1), "more is not in the contract"),
        (losses().drop(columns="epoch"), "epoch is missing"),
        (losses()[[*losses().columns[::-1]]], "another order"),
    ):
        with pytest.raises(ValueError, match=fault):
            write_table(frame, tmp_path / "l.parquet", table=table)
    assert not (tmp_path / "l.parquet").exists()
    write_table(losses().assign(prob_a=0.1)[["task"]], tmp_path / "free.csv")


def test_text_stays_text_where_it_looks_like_a_number(tmp_path):
    (tmp_path / "t.csv").write_text("fold,trained_on,n_train,dose_mgy\n01,10,3,1\n,NA,4,2.5\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["fold"].tolist() == ["01", ""] and frame["trained_on"].tolist() == ["10", "NA"]
    assert frame["n_train"].tolist() == [3, 4] and frame["dose_mgy"].tolist() == [1.0, 2.5]


def test_docs_have_every_table_and_column():
    """tests/unit/test_lists.py holds the page against what is made of the contract."""
    page = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")}
    assert {f"`{name}`" for name in COLUMNS["column"]} <= rows
    assert all(f"### `{name}`" in page for name in TABLES["table"])


def test_lines_can_be_cut_at_commas():
    """As subworkflows/utilities/code.nf does: names and types come before any quoted text, columns after it."""
    for line in (FOLDER / "columns.csv").read_text().splitlines():
        assert '"' not in ",".join(line.split(",", 3)[:3])
    for line, names in zip((FOLDER / "tables.csv").read_text().splitlines()[1:], TABLES["columns"], strict=True):
        assert line.split(",")[-1] == names
