"""The version is the same everywhere, the contract of outputs has its own, and what 0.1.0 wrote is read or refused."""

import json
import re
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from report_data import load_script

from ct4bench.core.benchmark import FEATURE_KEY
from ct4bench.core.contract import CONTRACT_VERSION, columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table, write_table
from ct4bench.results.run_facts import make_run_facts, read_run_facts, write_run_facts

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests" / "data" / "v0.1.0"
"""Extracts of the results of 0.1.0's demo."""
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NAMED = {
    "CITATION.cff": 1, "nextflow.config": 1, "conf/containers.config": 2, "conf/sif.config": 4,
    "containers/imaging/Dockerfile": 1, "containers/imaging/apptainer.def": 2, "containers/deep/Dockerfile": 1,
    "containers/deep/apptainer.def": 2, "CHANGELOG.md": 1,
}  # fmt: skip
"""How often each file names the version, at least."""


def test_all_files_name_one_version():
    assert VERSION == "0.2.0"
    before = r"(?:^version: |    version = '|VERSION=|ct4bench-(?:imaging|deep)[:-]|^## \[)"
    pattern = re.compile(before + r"(\d+\.\d+\.\d+)", re.MULTILINE)
    for name, n in NAMED.items():
        found = pattern.findall((ROOT / name).read_text(encoding="utf-8"))
        assert len(found) >= n and found[0] == VERSION, name
        assert name == "CHANGELOG.md" or set(found) == {VERSION}, name


@pytest.fixture
def results(tmp_path):
    """A folder of results, as the engine lays it out, with 0.1.0's index: links to the user's own files."""
    folder = tmp_path / "results"
    (folder / "index").mkdir(parents=True)
    for path in (OLD / "index").iterdir():
        (folder / "index" / path.name).symlink_to(path)
    return folder


def test_an_index_of_0_1_0_is_published_under_this_contract(results):
    before = (OLD / "index" / "files.parquet").read_bytes()
    mark = results / "pipeline_info" / "complete.json"
    load_script("collect_results").main(["--results", str(results), "--output", str(mark)])
    files, old = (pq.read_table(folder / "index" / "files.parquet") for folder in (results, OLD))
    assert files.column_names == columns_of("index/files.parquet") and "position_mm" not in old.column_names
    assert files["position_mm"].to_pylist() == old["place_mm"].to_pylist()
    assert (OLD / "index" / "files.parquet").read_bytes() == before
    assert json.loads(mark.read_text())["contract"] == CONTRACT_VERSION
    columns = pd.read_csv(results / "columns.csv")
    assert {"index/series.csv", "index/files.parquet", "index/inputs.csv"} <= set(columns["table"])


def test_an_index_of_0_1_0_chooses_the_reference(tmp_path):
    arguments = ["--series", f"{OLD}/index/series.csv", "--files", f"{OLD}/index/files.parquet"]
    load_script("select_reference").main([*arguments, "--output", f"{tmp_path}/chosen.csv"])
    chosen = pd.read_csv(tmp_path / "chosen.csv")
    series = pd.read_csv(OLD / "index" / "series.csv").set_index("series_uid").loc[chosen["series_uid"]]
    assert set(zip(series["scanner"], series["recon"], strict=True)) == {("A1", "IR")}


def test_features_of_0_1_0_are_read_with_their_weights(tmp_path):
    """Its tables say nothing of their origin, the JSON beside says that the weights are random."""
    table = OLD / "none" / "features" / "swin_unetr.parquet"
    arguments = ["--tables", str(table), "--extractor", "swin_unetr", "--beside", str(table.with_suffix(".json"))]
    load_script("merge_features").main([*arguments, "--output", f"{tmp_path}/f.parquet", "--merged_settings",
                                        f"{tmp_path}/f.json"])  # fmt: skip
    old, new = pq.read_table(table).to_pandas(), pq.read_table(tmp_path / "f.parquet").to_pandas()
    keys = ["series_uid", "roi", "patch"]
    old, new = (frame.sort_values(keys).reset_index(drop=True) for frame in (old, new))
    pd.testing.assert_frame_equal(new[old.columns], old, check_dtype=False)
    assert list(new.columns[: len(FEATURE_KEY)]) == FEATURE_KEY
    settings = json.loads((tmp_path / "f.json").read_text())
    facts = make_run_facts(new, "paper", {"swin_unetr": settings})
    assert facts["weights"]["swin_unetr"]["status"] == "random" and facts["origin"] == "unknown"


def test_tables_of_0_1_0_are_refused_with_what_to_do():
    with pytest.raises(UserError, match="tables of ct4bench 0.1.0 .labels.json .*make them again"):
        read_run_facts(OLD / "none" / "tables" / "run_facts.json")
    with pytest.raises(UserError, match="0.1.0, which has ablation as variant; make it again"):
        read_table(OLD / "none" / "predictions.parquet", columns_of("<method>/predictions.parquet"))


def test_facts_of_a_later_contract_are_refused(tmp_path):
    series = pd.read_csv(OLD / "index" / "series.csv")
    facts = make_run_facts(series, "paper", {})
    assert facts["contract"] == CONTRACT_VERSION
    write_run_facts(facts | {"contract": CONTRACT_VERSION + 1}, tmp_path / "run_facts.json")
    with pytest.raises(UserError, match="later version of ct4bench"):
        read_run_facts(tmp_path / "run_facts.json")


def test_parquet_says_which_contract_it_follows(tmp_path):
    files = read_table(OLD / "index" / "files.parquet").rename(columns={"place_mm": "position_mm"})
    write_table(files, tmp_path / "files.parquet", table="index/files.parquet")
    assert pq.read_schema(tmp_path / "files.parquet").metadata[b"ct4bench.contract"] == b"%d" % CONTRACT_VERSION
