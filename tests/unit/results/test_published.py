import numpy as np
import pandas as pd
import pytest
from tests.shared_tables import shared_published

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.errors import UserError
from ct4bench.results.published import (
    BY_NAME,
    IMPOSSIBLE_PAIRS,
    n_published_pairs,
    not_a_target,
    read_published,
)


def test_numbers_equal_the_shared_copies(shared_data):
    folder = shared_data("published")
    for name in BY_NAME:
        theirs = shared_published(folder / f"{name}.csv").astype(str).fillna("")
        pd.testing.assert_frame_equal(read_published(name).astype(str).fillna(""), theirs)


def test_matrices_are_lower_triangles_in_the_papers_order():
    for name in ("table3_rmse_hu", "table4_psnr_db", "table5_ssim"):
        frame = read_published(name)
        cells = [(row, col) for i, row in enumerate(SCANNERS) for col in SCANNERS[: i + 1]]
        assert list(zip(frame["scanner_row"], frame["scanner_col"], strict=True)) == cells


def test_table2_adds_up():
    frame = read_published("table2_series_counts").set_index("scanner").drop(columns="manufacturer_model")
    assert (frame.drop("Sum").sum() == frame.loc["Sum"]).all()
    doses = [column for column in frame if column.endswith("mgy")]
    assert (frame[doses].sum(axis=1) == frame["n_series"]).all()
    assert (frame[["n_fbp", "n_ir", "n_dl"]].sum(axis=1) == frame["n_series"]).all()


def test_impossible_cells_are_those_below_jensens_bound():
    keys = ["scanner_row", "scanner_col"]
    both = read_published("table3_rmse_hu").merge(read_published("table4_psnr_db"), on=keys)
    # The most that rounding to 0.0005 HU and 0.0005 dB can explain.
    rounding = 0.0005 + 20 * np.log10((both["rmse_hu_mean"] + 0.0005) / both["rmse_hu_mean"])
    impossible = both["psnr_db_mean"] < 20 * np.log10(2000 / both["rmse_hu_mean"]) - rounding
    assert set(map(tuple, both.loc[impossible, keys].to_numpy())) == set(IMPOSSIBLE_PAIRS)


def test_impossible_icc_is_beyond_the_largest_sd():
    row = read_published("table7_stability_classification").set_index("features").loc["Radiomics"]
    mean, n = row["icc_mean"], 86
    assert row["icc_sd"] > np.sqrt(mean * (1 - mean) * n / (n - 1))
    assert not_a_target("table7_stability_classification", {"features": "Radiomics"}, "icc_mean")
    assert not not_a_target("table7_stability_classification", {"features": "Radiomics"}, "loso_1_scanner_acc_mean")


def test_only_impossible_cells_are_no_targets():
    for name in ("table3_rmse_hu", "table4_psnr_db"):
        frame = read_published(name)
        marked = [row for row in frame.to_dict("records") if not_a_target(name, row, frame.columns[2])]
        assert {(row["scanner_row"], row["scanner_col"]) for row in marked} == set(IMPOSSIBLE_PAIRS)
    assert not not_a_target("table5_ssim", {"scanner_row": "H2", "scanner_col": "A1"}, "ssim_mean")


@pytest.mark.parametrize(("row", "col", "n"), [("A2", "A1", 20), ("E1", "A1", 18), ("E2", "E2", 30), ("E2", "A1", 20)])
def test_number_of_published_pairs(row, col, n):
    assert n_published_pairs(row, col) == n


def test_a_broken_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="table3_rmse_hu.csv"):
        read_published("table3_rmse_hu", tmp_path)
    (tmp_path / "table3_rmse_hu.csv").write_text("scanner_row,scanner_col,rmse_hu_mean\nA2,A1,1\nA2,A1,2\n")
    with pytest.raises(UserError, match="twice"):
        read_published("table3_rmse_hu", tmp_path)


def test_table1_contradicts_table2_on_dl_of_d1():
    counts = read_published("table2_series_counts").set_index("scanner").loc["D1"]
    settings = read_published("table1_acquisition").set_index("scanner").loc["D1"]
    # 30 DL series, and 10 more than two reconstructions make at 1, 3 and 6 mGy only.
    assert [counts[f"n_{dose}mgy"] - 20 for dose in (1, 3, 6, 10, 14)] == [10, 10, 10, 0, 0]
    assert "DL" in settings["reconstructions"]
    assert not_a_target("table1_acquisition", {"scanner": "D1"}, "reconstructions")
    assert not not_a_target("table1_acquisition", {"scanner": "D1"}, "pitch")
    assert not not_a_target("table1_acquisition", {"scanner": "E2"}, "reconstructions")
