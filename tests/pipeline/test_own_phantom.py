"""Phantoms that are not the benchmark's, from a folder of DICOM and one mask to the report: water with inserts and,
for a release, a stack of cartridges."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from foreign_phantoms import PHANTOMS, SCANNERS, write_phantom

from ct4bench.core.geometry import Rigid, worst_displacement_mm
from ct4bench.preprocess.transforms import motion_of

pytestmark = pytest.mark.pipeline

SMALL = ("-profile", "test", "--feature_sets", "radiomics", "--other_classifiers", "none", "--ablations", "none",
         "--patches_per_roi", "4")  # fmt: skip
CORNERS = np.array([[x, y, z] for x in (-60, 60) for y in (-60, 60) for z in (-30, 30)], float)


def run_of(kind: str, nextflow, folder, *arguments: str, recons=("IR",)):
    """A run on a drawn phantom, and the true motion of each series."""
    truth = write_phantom(kind, folder, recons)
    done = nextflow(folder, "-params-file", "params.json", *arguments)
    assert done.status == 0, done.text
    return done, truth


@pytest.fixture(scope="module")
def water(nextflow, tmp_path_factory):
    return run_of("water", nextflow, tmp_path_factory.mktemp("water"), *SMALL)


def check_run(run, truth: dict, kind: str) -> str:
    """What holds of any phantom; returns the report's text."""
    transforms = pd.read_csv(run.outdir / "registration/transforms.csv")
    assert len(transforms) == len(truth) and set(transforms["status"]) == {"reference", "registered"}
    for row in transforms.to_dict("records"):
        due = Rigid(*(tuple(truth[row["series_uid"]][key]) for key in ("rotation_deg", "translation_mm")), (0, 0, 0))
        assert worst_displacement_mm(motion_of(row), due, CORNERS) < 0.6
    classes = PHANTOMS[kind].classes
    patches = pd.read_csv(run.outdir / "index/patches.csv")
    assert dict(zip(patches["roi"], patches["tissue"], strict=True)) == classes
    features = pd.read_parquet(run.outdir / "none/features/radiomics.parquet")
    assert dict(zip(features["roi"], features["tissue"], strict=True)) == classes
    assert features["series_uid"].nunique() == len(truth)
    facts = json.loads((run.outdir / "none/tables/run_facts.json").read_text())
    assert facts["origin"] == "other"
    assert [region["name"] for region in facts["phantom"]["regions"]] == list(classes)
    # nothing published stands beside it
    assert not any(table["published"] for table in facts["tables"].values())
    for path in (run.outdir / "none/tables").glob("*.csv"):
        table = pd.read_csv(path)
        shown = [name for name in table.columns if name.endswith("_published") and not name.startswith("n_")]
        assert not [name for name in shown if table[name].notna().any()], path
    figures = {path.stem for path in (run.outdir / "none/figures").glob("*.png")}
    assert {
        "regions",
        "same_slice",
        "profile_noise",
        "profile_bias",
        "profile_geometry",
        "figure5",
        "figure6",
    } < figures
    assert not figures & {"figure2", "figure3", "figure4", "profile_sharpness", "profile_calibration"}
    measures = set(pd.read_csv(run.outdir / "none/scanner_profile.csv")["measure"])
    assert "bias_hu" in measures
    assert not measures & {"ttf", "calibration_slope", "star_modulation", "zone_modulation", "edge_sigma_mm"}
    page = (run.outdir / "report.html").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.S)))
    assert PHANTOMS[kind].name in text and "no published number stands next to" in text
    assert "registered by the image content" in text and "this phantom has no printed test patterns" in text
    for word in (
        "cyst",
        "hemangioma",
        "metastasis",
        "wedge",
        "Siemens star",
        "six ROIs",
        "six regions",
        "the tissue",
        "tissues",
    ):
        assert word not in text, text[max(0, text.find(word) - 80) : text.find(word) + 80]
    return text


def test_a_water_phantom_with_one_nifti_mask(water):
    run, truth = water
    text = check_run(run, truth, "water")
    # regions are larger than half of their patches, so that nothing is warned of
    assert "less than half of their voxels" not in text and "smaller than half of its patches" not in run.text
    assert pd.read_csv(run.outdir / "index/patches.csv").groupby("roi")["share_inside"].mean().min() > 0.5
    # 36 slices have no room for SSIM's window of 11 bins of four, and no dose but 10 mGy was scanned
    assert "table5_ssim its window of 11 bins" in text and "--mode corrected" in text
    assert "table6_dose it compares other doses" in text
    counts = pd.read_csv(run.outdir / "none/tables/table2_series_counts.csv")
    assert {"n_10mgy", "n_ir"} < set(counts.columns) and not {"n_1mgy", "n_dl"} & set(counts.columns)
    # gain and offset of each scanner, as they were drawn
    profile = pd.read_csv(run.outdir / "none/scanner_profile.csv")
    bias = profile[(profile["measure"] == "bias_hu") & (profile["grid"] == "common")].set_index(["scanner", "region"])
    for name, hu in (("water", 0.0), ("bone1", 500.0), ("lung", -700.0)):
        for scanner in ("Beta", "Gamma"):
            drawn = SCANNERS[scanner]
            due = (drawn.gain - 1) * hu + drawn.offset_hu
            assert bias.loc[(scanner, name), "value"] == pytest.approx(due, abs=0.6), (scanner, name)


def test_phantom_and_mask_need_series_of_ones_own(nextflow, tmp_path):
    write = tmp_path / "phantom.yml"
    write.write_text("name: x\n")
    run = nextflow(tmp_path, "--phantom", "phantom.yml")
    assert run.status != 0
    assert "--phantom is of series of your own; give their folder by --input" in run.text


@pytest.mark.slow
def test_a_cartridge_phantom_with_one_structure_set(nextflow, tmp_path):
    small = ("-profile", "test", "--feature_sets", "radiomics,radiomics_roi,shallow_cnn", "--mode", "corrected",
             "--region", "both")  # fmt: skip
    run, truth = run_of("cartridges", nextflow, tmp_path, *small, recons=("FBP", "IR"))
    text = check_run(run, truth, "cartridges")
    # the run and the first screen of its report warn of the same regions, those of which patches hold less than half
    shares = pd.read_csv(run.outdir / "index/patches.csv").groupby("roi")["share_inside"].mean()
    warned = text[text.index("What to know of these numbers") : text.index("Mode corrected")]
    for roi, share in shares.items():
        assert (f"{roi} is smaller than half of its patches" in run.text) == (share < 0.5), roi
        assert (f"{roi} ({100 * share:.0f} %)" in warned) == (share < 0.5), roi
    # textures of their own are told apart on a scanner that was not trained on
    table7 = pd.read_csv(run.outdir / "none/tables/table7_stability_classification.csv").set_index("features")
    assert table7.loc["Radiomics", "loso_2_scanners_acc_mean"] > 0.7
    whole = pd.read_parquet(run.outdir / "none/features/radiomics_roi.parquet")
    assert set(whole["roi"]) == set(PHANTOMS["cartridges"].classes)
