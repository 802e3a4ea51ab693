import numpy as np
import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.results.acquisition import TABLE1_COLUMNS, read_scanner_names, table1, table2


def rows(scanner, dose, recon, n, **fields):
    base = {
        "scanner": scanner, "maker": "Siemens", "model": "Edge", "dose_mgy": dose, "recon": recon, "kvp": 120.0,
        "exposure_mas": 148.2, "pitch": 0.98449, "rotation_time_s": 0.5, "collimation_mm": 38.4,
        "slice_thickness_mm": 2.0, "slice_increment_mm": 1.25,
    }  # fmt: skip
    return [base | fields] * n


def test_table1_has_one_row_a_scanner_in_the_papers_order_at_the_main_dose():
    series = pd.DataFrame(
        rows("H2", 10, "IR", 1) + rows("G1", 10, "FBP", 2) + rows("G1", 10, "DL", 1) + rows("A1", 14, "FBP", 1)
    )
    table = table1(series, {"G1": "Siemens X"})
    assert list(table.columns) == TABLE1_COLUMNS
    assert list(table["scanner"]) == ["G1", "H2"]
    assert list(table["manufacturer_model"]) == ["Siemens X", "Siemens Edge"]
    assert list(table["reconstructions"]) == ["FBP/DL", "IR"]
    assert list(table["pitch"]) == [0.984, 0.984]
    assert list(table["tube_current_time_product_mas"]) == [148.2, 148.2]
    assert list(table1(series, dose_mgy=14)["scanner"]) == ["A1"]


def test_table1_takes_the_median_of_what_is_known_and_leaves_blank_what_is_not():
    series = pd.DataFrame(
        rows("A1", 10, "IR", 2, exposure_mas=100.0, pitch=np.nan)
        + rows("A1", 10, "IR", 1, exposure_mas=np.nan, pitch=np.nan)
    )
    table = table1(series)
    assert table.loc[0, "tube_current_time_product_mas"] == 100
    assert np.isnan(table.loc[0, "pitch"])


def test_table2_counts_and_sums():
    series = pd.DataFrame(
        rows("B1", 10, "IR", 3) + rows("A1", 1, "FBP", 2) + rows("A1", 14, "DL", 1) + rows("x", 2.5, "Br40", 1)
    )
    table = table2(series).set_index("scanner")
    assert list(table.index) == ["A1", "B1", "x", "Sum"]
    assert table.loc["A1", ["n_1mgy", "n_10mgy", "n_14mgy", "n_fbp", "n_dl", "n_series"]].tolist() == [2, 0, 1, 2, 1, 3]
    assert table.loc["x", ["n_2.5mgy", "n_br40"]].tolist() == [1, 1]
    assert table.loc["Sum", ["n_10mgy", "n_2.5mgy", "n_ir", "n_series"]].tolist() == [3, 1, 3, 7]


def test_names_of_the_collections_scanners_come_from_the_assets(request):
    names = read_scanner_names(request.config.rootpath / "assets" / "scanners.csv")
    assert len(names) == 13
    assert names["A1"] == "Siemens SOMATOM Definition Edge"


def test_a_table_of_names_without_names_is_an_error(tmp_path):
    (tmp_path / "x.csv").write_text("scanner\nA1\n")
    with pytest.raises(UserError, match="manufacturer_model"):
        read_scanner_names(tmp_path / "x.csv")
