"""What a run can choose of features: whole ROIs, settings of PyRadiomics, outputs of SwinViT, encoders of your own."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from ct4bench.core.benchmark import FEATURE_KEY, ROIS

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

FILTERED = """
imageType:
  Original: {}
  Wavelet: {}
  LoG: {sigma: [2.0]}
featureClass:
  firstorder: [Mean, Variance]
  shape: [VoxelVolume]
"""
MEAN = """
def build(weights, seed):
    '''The mean HU of a patch and its square.'''
    import torch

    return lambda x: torch.stack([x.mean((1, 2, 3, 4)), x.mean((1, 2, 3, 4)) ** 2], 1)
"""
STAND_IN = "stand-in, trained on synthetic tissue"
SMALL = ("-profile", "test", "--twin_scanners", "A1,B1", "--twin_doses", "10", "--twin_reconstructions", "IR")


@pytest.fixture(scope="module")
def run(nextflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("extractors")
    (folder / "filtered.yaml").write_text(FILTERED)
    (folder / "mean.py").write_text(MEAN)
    (folder / "net.yaml").write_text("patch: [16, 16, 8]\nscaling: {low_hu: 0, high_hu: 100, low: 0, high: 1}\n")
    torch.jit.save(torch.jit.script(torch.nn.MaxPool3d(8)), folder / "net.pt")
    done = nextflow(
        folder, *SMALL, "--region", "both", "--radiomics_params", "filtered.yaml", "--extractors",
        "mean=mean.py:build,net=net.yaml", "--extractor_weights", "net=net.pt", "--swinunetr_layer", "0",
        "--swinunetr_pooling", "max", "--swinunetr_intensity", "scaled",
    )  # fmt: skip
    assert done.status == 0, done.text
    return done


def features(run, name):
    table = pd.read_parquet(run.outdir / f"none/features/{name}.parquet")
    return table, json.loads((run.outdir / f"none/features/{name}.json").read_text())


def test_encoders_of_the_users_own(run):
    table, notes = features(run, "mean")
    radiomics, _ = features(run, "radiomics")
    assert np.allclose(table["mean_000"], radiomics["original_firstorder_Mean"], atol=1e-3)
    assert notes["source"] == "mean.py:build"
    table, notes = features(run, "net")
    assert table.filter(like="net_").to_numpy().max() <= 1
    assert notes["patch_voxels"] == [16, 16, 8]
    assert notes["intensity"] == "0..100 HU to 0..1, clipped"
    assert (notes["weights"]["file"], len(notes["weights"]["sha256"])) == ("net.pt", 64)


def test_swinvits_output_is_chosen(run):
    table, notes = features(run, "swin_unetr")
    assert table.shape[1] == len(FEATURE_KEY) + 48
    assert (notes["layer"], notes["pooling"], notes["intensity"]) == (0, "max", "scaled")
    assert notes["verified"] > 0
    assert 0 <= notes["largest_difference"] < 1e-5


def test_filters_are_pyradiomics_own(run):
    table, notes = features(run, "radiomics")
    filtered = {"log-sigma-2-0-mm-3D_firstorder_Mean", "wavelet-LLL_firstorder_Mean", "wavelet-HHH_firstorder_Variance"}
    assert filtered | {"original_firstorder_Variance"} < set(table.columns)
    assert notes["engine"] == "pyradiomics"
    assert "LoG" in notes["engine_reason"] and "Wavelet" in notes["engine_reason"]


def test_whole_rois_have_a_table_and_a_stability_of_their_own(run):
    table, notes = features(run, "radiomics_roi")
    assert table.shape[0] == 2 * len(ROIS)
    assert set(table["patch"]) == {0}
    voxel_mm3 = 0.68359375**2
    volume = table.groupby("roi")["original_shape_VoxelVolume"].first() / voxel_mm3
    assert volume.round().astype(int).to_dict() == notes["roi_voxels"]
    icc = pd.read_csv(run.outdir / "none/icc.csv")
    assert "radiomics_roi" in set(icc["extractor"])
    predictions = pd.read_parquet(run.outdir / "none/predictions.parquet")
    assert set(predictions["extractor"]) == {"radiomics", "shallow_cnn", "swin_unetr", "mean", "net"}


def test_table_7_has_a_row_for_each(run):
    table = pd.read_csv(run.outdir / "none/tables/table7_stability_classification.csv").set_index("extractor")
    assert {"radiomics", "radiomics_roi", "shallow_cnn", "swin_unetr", "mean", "net"} <= set(table.index)
    untrained = table.index[table["loso_1_scanner_acc_mean"].isna()]
    assert list(untrained) == ["radiomics_roi"]
    assert table.loc["shallow_cnn", "weights"] == STAND_IN
    assert table.loc["swin_unetr", "weights"].startswith("seeded random weights")


def test_the_stand_in_and_the_engine_are_named(run):
    page = (run.outdir / "report.html").read_text()
    for words in (f"Shallow CNN: {STAND_IN}", "pyradiomics engine", "image type LoG", "Radiomics, whole ROIs"):
        assert words in page
    for name in ("figure5", "figure6", "accuracy_by_n", "icc_grades"):
        assert STAND_IN in (run.outdir / f"none/figures/{name}.svg").read_text()
    assert features(run, "shallow_cnn")[1]["weights"]["status"] == "stand-in"


WRONG = {
    "taken": (("--extractors", "swin_unetr=a.b:c"), "swin_unetr=…: that name is the benchmark's"),
    "no file": (("--extractors", "mine=absent.py:build"), "absent.py of --extractors"),
    "alone": (("--extractor_weights", "mine=absent.pt"), "names no encoder of --extractors"),
    "form": (("--extractors", "Mine"), "--extractors 'Mine' has not the right form"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_encoders_are_refused_before_any_task(nextflow, tmp_path, case):
    arguments, words = WRONG[case]
    done = nextflow(tmp_path, *SMALL, *arguments)
    assert done.status != 0
    assert words in done.text
    assert "Submitted process" not in done.text
