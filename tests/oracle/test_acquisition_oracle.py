"""Tables 1 and 2 against the published ones, from the public list of the collection's series."""

import subprocess
import sys

import pandas as pd
import pytest

from ct4bench.core.benchmark import SCANNERS
from ct4bench.index.index import SERIES_COLUMNS, index_of_idc_table, series_from_idc_table
from ct4bench.results.acquisition import read_scanner_names, table1, table2


@pytest.fixture(scope="module")
def idc_table(shared_data):
    return pd.read_csv(shared_data("idc_series_index.csv"))


@pytest.fixture(scope="module")
def names(request):
    return read_scanner_names(request.config.rootpath / "assets" / "scanners.csv")


def test_table2_equals_the_published_one_in_every_number(shared_data, idc_table, names):
    published = pd.read_csv(shared_data("published/table2_series_counts.csv"))
    computed = table2(series_from_idc_table(idc_table)[0], names)
    assert list(computed.columns) == list(published.columns)
    assert list(computed["scanner"]) == list(published["scanner"])
    pd.testing.assert_frame_equal(computed[published.columns[2:]], published[published.columns[2:]])
    differing = computed["manufacturer_model"] != published["manufacturer_model"].fillna("")
    assert list(computed.loc[differing, "scanner"]) == ["F1"]


def test_table1_has_the_published_scanners_and_reconstructions(shared_data, idc_table, names):
    published = pd.read_csv(shared_data("published/table1_acquisition.csv"))
    computed = table1(series_from_idc_table(idc_table)[0], names)
    assert list(computed.columns) == list(published.columns)
    assert list(computed["manufacturer_model"]) == list(published["manufacturer_model"])
    # D1 has no DL series at 10 mGy, as the footnote of Table 1 says (docs/deviations.md, point 21)
    differing = computed["reconstructions"] != published["reconstructions"]
    assert list(computed.loc[differing, "scanner"]) == ["D1"]


def test_the_collections_list_is_1378_series_of_649_scans(idc_table):
    index = index_of_idc_table(idc_table)
    series = index.series
    assert list(series.columns) == SERIES_COLUMNS
    assert len(series) == series["series_uid"].nunique() == 1378
    assert series["scan_id"].nunique() == 649
    assert tuple(dict.fromkeys(series["scanner"])) == SCANNERS
    assert series.groupby("maker")["scanner"].nunique().to_dict() == {"GE": 3, "Philips": 2, "Siemens": 6, "Toshiba": 2}
    assert sorted(series["n_slices"].unique()) == [275, 337, 342, 343]
    assert (series["dose_mgy"] == 10).sum() == 268
    assert index.inputs["folders"].str.fullmatch("idc/[0-9a-f-]{36}").all()
    assert index.inputs["folders"].is_unique


def test_the_script_writes_an_index_of_the_list_for_a_stub_run(shared_data, request, tmp_path):
    script = request.config.rootpath / "bin" / "index_series.py"
    table = shared_data("idc_series_index.csv")
    subprocess.run([sys.executable, script, "--idc_table", table, "--output", tmp_path], check=True)
    assert len(pd.read_csv(tmp_path / "series.csv")) == len(pd.read_csv(tmp_path / "inputs.csv")) == 1378
    assert len(pd.read_csv(tmp_path / "quarantine.csv")) == len(pd.read_parquet(tmp_path / "files.parquet")) == 0
