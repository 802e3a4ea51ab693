"""Other ways in: features that exist already, and a twin made from the real series."""

import pandas as pd
import pytest
from published_a1 import read_published

pytestmark = pytest.mark.pipeline


def test_published_features_with_dose_as_the_domain(nextflow, tmp_path, shared_data):
    features = read_published(shared_data("a1_radiomics_published.csv"))
    features.to_csv(tmp_path / "radiomics.csv", index=False)
    run = nextflow(tmp_path, "--features", tmp_path / "radiomics.csv", "--domain", "dose_mgy", "--training_parts", "1")
    assert run.status == 0, run.text
    assert "REGISTER_SERIES" not in run.tasks()
    icc = pd.read_csv(run.outdir / "none" / "icc.csv")
    whole = icc[(icc["form"] == "ICC(3,1)") & (icc["stratum"] == "all")]
    assert set(whole["n_raters"]) == {5}
    assert set(whole["n_targets"]) == {6}
    assert len(whole) == 86
    predictions = pd.read_parquet(run.outdir / "none" / "predictions.parquet")
    loso = predictions[(predictions["scheme"] == "loso") & (predictions["classifier"] == "mlp")]
    assert set(loso["fold"]) == {"1", "3", "6", "10", "14"}
    assert set(loso["n_train"]) == {1, 2, 3, 4}
    # every series of the left-out dose, each with six regions
    assert (loso.groupby(["n_train", "fold"]).size() == 20 * 6).all()
    whole_rois = loso[loso["n_train"] == 4]
    assert (whole_rois["target"] == whole_rois["predicted"]).mean() > 0.9
    page = (run.outdir / "report.html").read_text()
    assert "features" in page
    assert "Figure 5" in page


@pytest.mark.slow
def test_a_twin_made_from_the_real_series(nextflow, tmp_path, real_series):
    run = nextflow(tmp_path, "-profile", "test", "--twin_like", real_series)
    assert run.status == 0, run.text
    transforms = pd.read_csv(run.outdir / "registration" / "transforms.csv")
    assert transforms["status"].value_counts().to_dict() == {"registered": 11, "reference": 1}
    table = pd.read_csv(run.outdir / "none" / "tables" / "table7_stability_classification.csv")
    assert len(table) == 3
    # normal liver and cysts of the real print, 90 and 0 HU apart in the published features
    radiomics = pd.read_parquet(run.outdir / "none" / "features" / "radiomics.parquet")
    means = radiomics.groupby("roi")["original_firstorder_Mean"].mean()
    assert abs(means["cyst1"]) < 25
    assert 60 < means["normal1"] < 110
    assert "synthetic" in (run.outdir / "report.html").read_text()
