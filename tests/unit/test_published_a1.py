"""The published features of scanner A1: told apart rightly, and consistent with the definitions of the features."""

import numpy as np
import pytest
from tests.published_a1 import VOXELS, n_voxels, read_published

from ct4bench.core.benchmark import FEATURE_KEY, ROIS
from ct4bench.core.feature_tables import feature_columns, read_features
from ct4bench.core.tables import write_table
from ct4bench.features.merge import merge
from ct4bench.features.radiomics import FEATURES

SPACING_MM = 350 / 512


@pytest.fixture(scope="module")
def table(shared_data):
    return read_published(shared_data("a1_radiomics_published.csv"))


def feature(table, name):
    return table[f"original_{name}"].to_numpy()


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


def test_voxel_counts_are_whole_and_tell_the_rois_apart(table):
    counts = n_voxels(table)
    np.testing.assert_allclose(counts, np.rint(counts), rtol=1e-9)
    for roi, (fewest, most) in VOXELS.items():
        own = counts[table["roi"] == roi]
        assert len(own) == 100
        assert fewest < own.min() <= own.max() < most


def test_the_means_are_those_of_the_tissues(table):
    at_ten = table[(table["dose_mgy"] == 10) & (table["recon"] == "FBP")]
    means = at_ten.groupby("roi")["original_firstorder_Mean"].mean()
    for roi, mean_hu in {"cyst1": -3.4, "cyst2": 1.9, "hemangioma": 37.8, "metastasis": 42.4}.items():
        assert means[roi] == pytest.approx(mean_hu, abs=0.1)
    assert means["normal1"] == pytest.approx(87.2, abs=0.1)
    assert means["normal2"] == pytest.approx(99.8, abs=0.1)


@pytest.mark.parametrize(
    ("recon", "sd_hu"), [("FBP", (35.4, 27.2, 22.0, 19.1, 17.6)), ("IR", (26.0, 20.3, 17.0, 15.1, 14.2))]
)
def test_noise_falls_with_dose_as_measured(table, recon, sd_hu):
    cyst = table[(table["roi"] == "cyst1") & (table["recon"] == recon)]
    sd = np.sqrt(cyst["original_firstorder_Variance"]).groupby(cyst["dose_mgy"]).mean()
    np.testing.assert_allclose(sd, sd_hu, atol=0.06)


def test_features_of_different_matrices_agree(table):
    n = n_voxels(table)
    zones = n * feature(table, "glszm_ZonePercentage")
    for left, right in (
        (
            feature(table, "firstorder_Variance"),
            feature(table, "firstorder_RootMeanSquared") ** 2 - feature(table, "firstorder_Mean") ** 2,
        ),
        (feature(table, "firstorder_TotalEnergy"), feature(table, "firstorder_Energy") * SPACING_MM**2),
        (
            feature(table, "glcm_SumSquares"),
            (feature(table, "glcm_ClusterTendency") + feature(table, "glcm_Contrast")) / 4,
        ),
        (feature(table, "gldm_GrayLevelNonUniformity"), n * feature(table, "firstorder_Uniformity")),
        (feature(table, "gldm_DependenceNonUniformity"), n * feature(table, "gldm_DependenceNonUniformityNormalized")),
        (
            feature(table, "glszm_SizeZoneNonUniformity"),
            zones * feature(table, "glszm_SizeZoneNonUniformityNormalized"),
        ),
        (
            feature(table, "firstorder_Range"),
            feature(table, "firstorder_Maximum") - feature(table, "firstorder_Minimum"),
        ),
    ):
        np.testing.assert_allclose(left, right, rtol=1e-8)


def test_it_goes_through_the_merge_as_given_features(table, tmp_path):
    path = tmp_path / "published.csv"
    write_table(table, path)
    merged, settings = merge("published", [path], [])
    assert merged.equals(read_features(path))
    np.testing.assert_array_equal(merged[feature_columns(table)], table[feature_columns(table)])
    assert settings["status"] == "given"
    assert settings["n_features"] == 86
