"""Every module and subworkflow by itself: the cases and snapshots of the nf-test files, run by Nextflow alone."""

import hashlib
import json
import re
import subprocess
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nf_cases import all_cases, of_outputs, of_tasks, script_of
from pipeline_run import ENGINE, ROOT

pytestmark = pytest.mark.pipeline

CASES = all_cases()


@pytest.fixture(scope="session")
def outcomes(nextflow, tmp_path_factory):
    """Outputs by emit, names and messages of tasks, of each case; stub cases in one run, the others in a second."""
    found = {}
    for stub in (True, False):
        cases = [case for case in CASES if case.stub == stub]
        folder = tmp_path_factory.mktemp("stub_cases" if stub else "cases")
        # in the project's folder, as nf-test does it: bin/ and assets/ are looked for beside the script that is run
        script = ROOT / f".nf-test-{uuid.uuid4().hex}.nf"
        settings = folder / "cases.config"
        settings.write_text("process.errorStrategy = 'ignore'\nprocess.cache = false\n")
        try:
            script.write_text(script_of(cases))
            command = [ENGINE, "-log", "nextflow.log", "-c", settings, "run", script, "-ansi-log", "false"]
            done = subprocess.run(
                [*command, "-profile", "test", "--outdir", folder / "results", *(["-stub-run"] if stub else [])],
                cwd=folder, text=True, capture_output=True,
            )  # fmt: skip
        finally:
            script.unlink()
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        for number, case in enumerate(cases):
            files = folder.glob(f"case_{number}_*.json")
            outputs = {path.stem.removeprefix(f"case_{number}_"): json.loads(path.read_text()) for path in files}
            tasks = re.findall(rf"^\[(\S+)\] Submitted process > (RUN_{number}:.*)$", said, re.MULTILINE)
            folders = [next((folder / "work").glob(f"{task}*")) for task, _ in tasks]
            errors = "".join(
                (task / ".command.err").read_text() for task in folders if (task / ".command.err").exists()
            )
            exits = {(task / ".exitcode").read_text() for task in folders}
            found[case.label] = outputs, [name for _, name in tasks], errors, exits
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_case_gives_its_snapshot(case, outcomes):
    outputs, tasks, errors, exits = outcomes[case.label]
    if case.error:
        assert case.error in errors
        assert not any(outputs.values())
    else:
        assert exits <= {"0"}, errors
        case.check([of_outputs(outputs)] if case.kind == "process" else [of_outputs(outputs), of_tasks(tasks)], errors)


@pytest.fixture
def made(outcomes):
    """Files that a case has made, by name, with those of the folders among them."""

    def files(label: str) -> dict[str, Path]:
        outputs, _, errors, _ = outcomes[label]
        values = [value for items in outputs.values() for value in flat(items)]
        paths = [Path(value) for value in values if isinstance(value, str) and value.startswith("/")]
        found = {file.name: file for path in paths for file in (path.iterdir() if path.is_dir() else [path])}
        assert found, errors
        return found

    return files


def flat(item) -> list:
    return [value for part in item for value in flat(part)] if isinstance(item, list) else [item]


def test_merged_pairs_are_those_of_all_parts_sorted(made):
    pairs = pd.read_parquet(made("merge_pairs: parts in any order")["pairs.parquet"])
    expected = [("table6", 0, "1.2", "1.5", False, 12.5), ("tables3to5", 0, "1.2", "1.2", True, 0.0),
                ("tables3to5", 0, "1.2", "1.3", False, 8.5), ("tables3to5", 1, "1.4", "1.3", False, 9.25)]  # fmt: skip
    columns = ["table", "pair_index", "series_uid_a", "series_uid_b", "is_self_pair", "rmse_hu"]
    assert list(pairs[columns].itertuples(index=False, name=None)) == expected


def test_volumes_that_differ_by_a_constant_have_it_as_rmse(made):
    pairs = pd.read_parquet(made("compare_pairs: volumes that differ by a constant")["pairs.parquet"])
    assert list(pairs["rmse_hu"]) == pytest.approx([5, 20, 0], abs=1e-4)
    assert pairs["psnr_db"].iloc[1] == pytest.approx(20 * np.log10(2000 / 20), abs=1e-4)
    assert list(pairs["ssim"] == 1) == [False, False, True]


def test_radiomics_of_patches_that_differ_by_a_constant(made):
    found = made("extract_radiomics: patches that differ by a constant")
    features = pd.read_parquet(found["radiomics.parquet"]).set_index(["series_uid", "roi"])
    mean, variance = (features[f"original_firstorder_{name}"].unstack("series_uid") for name in ("Mean", "Variance"))
    for uid, shift in (("1.9.0.3", 5), ("1.9.1.2", 20)):
        assert np.allclose(mean[uid] - mean["1.9.0.2"], shift, atol=1e-9)
        assert np.allclose(variance[uid], variance["1.9.0.2"], rtol=1e-9)
    assert (variance > 0).all(axis=None)


def test_every_patch_was_encoded_by_the_library_too(made):
    found = made("extract_deep: patches of two series, all computed twice")
    features = pd.read_parquet(found["shallow_cnn.parquet"])
    assert len(features) == len(features[["series_uid", "roi"]].drop_duplicates()) == 12
    settings = json.loads(found["shallow_cnn.json"].read_text())
    assert settings["verified"] == 12
    assert settings["largest_difference"] < 1e-5
    values = features.filter(regex=r"\d$").to_numpy(float)
    assert np.isfinite(values).all()
    assert values.std(axis=0).max() > 0


def test_embedding_has_every_patch(made):
    places = pd.read_parquet(made("embed_features: three features of 96 patches")["embedding.parquet"])
    assert places.groupby("figure").size().to_dict() == {"figure5": 16, "figure6": 96}
    assert not places.duplicated(["figure", "series_uid", "roi", "patch"]).any()


def test_each_patch_is_tested_once_by_the_scanner_left_out(made):
    merged = pd.read_parquet(made("merge_predictions: parts in any order")["predictions.parquet"])
    assert len(merged) == len(merged[["series_uid", "roi", "patch"]].drop_duplicates()) == 96
    assert (merged["target"] == merged["roi"].str.rstrip("12")).all()
    assert (merged["fold"] == merged["scanner"]).all()
    trained = pd.read_csv(made("train_classifiers: two of four scanners left out")["trainings.csv"])
    assert list(zip(trained["n_rows_train"], trained["n_rows_test"], strict=True)) == [(72, 24)] * 2


def test_drawn_patches_lie_in_their_spheres(made):
    drawn = pd.read_csv(made("draw_patches: two in each sphere")["patches.csv"])
    centres = pd.read_csv(ROOT / "tests" / "data" / "patches.csv").set_index("roi").loc[drawn["roi"]]
    axes = ["x_mm", "y_mm", "z_mm"]
    assert (np.linalg.norm(drawn[axes].to_numpy() - centres[axes].to_numpy(), axis=1) < 12).all()
    assert drawn.groupby("roi").size().to_dict() == dict.fromkeys(centres.index, 2)


def test_index_of_a_series_has_its_geometry(made):
    series = pd.read_csv(made("index_series: a series and its segmentation")["series.csv"])
    columns = ["scanner", "dose_mgy", "recon", "n_slices", "rows", "columns", "spacing_row_mm", "spacing_col_mm"]
    assert series[columns].to_numpy().tolist() == [["A1", 10, "FBP", 16, 10, 12, 0.75, 0.5]]


def test_tables_have_the_mean_of_the_iccs(made):
    stability = pd.read_csv(made("make_tables: stability of three features")["stability.csv"])
    assert stability["icc_mean"].to_numpy() == pytest.approx((0.95 + 0.8 + 0.4) / 3)
    page = made("write_report: stability of three features")["report.html"].read_text()
    assert f"{(0.95 + 0.8 + 0.4) / 3:.4f}" in page


def test_mark_of_a_complete_folder_has_the_digests_of_its_files(made):
    found = made("collect_results: files of two folders")
    mark = json.loads(found["complete.json"].read_text())
    expected = {
        f"{folder}/{name}": hashlib.sha256((ROOT / "tests" / "data" / name).read_bytes()).hexdigest()
        for folder, name in (("registration", "transforms.csv"), ("none", "icc.csv"))
    }
    assert {file["path"]: file["sha256"] for file in mark["files"] if file["path"] != "columns.csv"} == expected
    described = pd.read_csv(found["columns.csv"])
    assert {"registration/transforms.csv", "none/icc.csv"} <= set(described["table"])


def test_profile_of_a_scanner_is_the_mean_of_its_series(made):
    profile = pd.read_csv(made("merge_profiles: two series of a scanner")["scanner_profile.csv"])
    noise = profile[profile["measure"] == "sd_hu"].iloc[0]
    assert (noise["value"], noise["n_series"]) == (12, 2)
    assert noise["sd"] == pytest.approx(8**0.5)


def test_every_module_has_a_case_with_rows():
    assert {case.called for case in CASES if case.kind == "process"} == {
        case.called for case in CASES if case.kind == "process" and not case.stub
    }


def test_every_module_and_subworkflow_has_a_stub_case():
    named = {case.called for case in CASES if case.stub}
    scripts = [*ROOT.glob("modules/*/main.nf"), *ROOT.glob("subworkflows/*/main.nf")]
    there = {name for path in scripts for name in re.findall(r"^(?:process|workflow) (\w+) \{", path.read_text(), re.M)}
    assert named == there
