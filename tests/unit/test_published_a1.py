"""The published features of scanner A1: told apart rightly, and taken as given features."""

import numpy as np
import pytest
from tests.published_a1 import read_published

from ct4bench.core.benchmark import FEATURE_KEY, ROIS
from ct4bench.core.feature_tables import feature_columns, read_features
from ct4bench.core.tables import write_table
from ct4bench.features.merge import merge
from ct4bench.features.radiomics import FEATURES


@pytest.fixture(scope="module")
def table(shared_data):
    return read_published(shared_data("a1_radiomics_published.csv"))


def test_it_has_each_roi_of_each_series_once(table):
    assert len(table) == 600
    assert all(list(rows["roi"]) == list(ROIS) for _, rows in table.groupby("series_uid"))
    per_cell = table.drop_duplicates("series_uid").groupby(["dose_mgy", "recon"])["repetition"].agg(sorted)
    assert list(per_cell.index) == [(dose, recon) for dose in (1, 3, 6, 10, 14) for recon in ("FBP", "IR")]
    assert all(repetitions == list(range(1, 11)) for repetitions in per_cell)
    assert table["scan_id"].nunique() == 50


def test_it_has_the_86_features_that_decisions_name(table):
    lacking = {"original_glcm_MCC", "original_glcm_SumAverage"} | {n for n in FEATURES if "_ngtdm_" in n}
    assert set(feature_columns(table)) == set(FEATURES) - lacking
    assert list(table.columns[: len(FEATURE_KEY)]) == FEATURE_KEY


def test_it_goes_through_the_merge_as_given_features(table, tmp_path):
    path = tmp_path / "published.csv"
    write_table(table, path)
    merged, settings = merge("published", [path], [])
    assert merged.equals(read_features(path))
    np.testing.assert_array_equal(merged[feature_columns(table)], table[feature_columns(table)])
    assert settings["status"] == "given"
    assert settings["n_features"] == 86
