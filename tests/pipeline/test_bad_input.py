"""Bad input ends in one clear message, an exit status, and nothing in --outdir."""

import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def dicom(small_run, tmp_path_factory):
    """Function that links the 10 mGy series of some scanners of the small run into a new folder."""

    def choose(*scanners):
        folder = tmp_path_factory.mktemp("input") / "dicom"
        for scanner in scanners:
            (folder / scanner).mkdir(parents=True)
            for series in (small_run.outdir / "dicom" / scanner).glob("*_10mGy_*"):
                (folder / scanner / series.name).symlink_to(series)
        return folder

    return choose


def refused(run, *words):
    assert run.status != 0
    said = [line for line in run.text.splitlines() if line.startswith("ct4bench ERROR: ")]
    assert len(said) == 1, run.text
    assert all(word in said[0] for word in words), said[0]
    assert run.published() == []


def test_an_empty_folder(nextflow, tmp_path):
    (tmp_path / "nothing_here").mkdir()
    refused(nextflow(tmp_path, "--input", "nothing_here"), "nothing_here", "DICOM")


def test_no_reference_scanner(nextflow, tmp_path, dicom):
    run = nextflow(tmp_path, "--input", dicom("B1", "C1"))
    refused(run, "--reference 'A1 10mGy IR' is not among the 4 series", "nearest", "B1 10mGy IR #1")


def test_one_scanner_only(nextflow, tmp_path, dicom):
    refused(nextflow(tmp_path, "--input", dicom("A1")), "all 2 accepted series at 10 mGy have scanner A1", "--domain")


def test_a_patch_outside_the_volume(nextflow, tmp_path, dicom):
    centres = tmp_path / "centres.csv"
    pd.DataFrame({"roi": ["cyst1"], "patch": [0], "slice": [2], "row": [50], "column": [50]}).to_csv(
        centres, index=False
    )
    run = nextflow(tmp_path, "--input", dicom("A1", "B1"), "--patches", centres)
    refused(run, "centres.csv", "outside", "cyst1")


def test_a_truncated_file(nextflow, tmp_path, dicom):
    folder = dicom("A1", "B1")
    series = next((folder / "B1").glob("*_IR_*"))
    target = series.resolve()
    series.unlink()
    shutil.copytree(target, series)
    cut = sorted(path for path in series.rglob("*") if path.is_file() and "seg" not in str(path.relative_to(series)))[
        40
    ]
    cut.write_bytes(cut.read_bytes()[:30_000])
    run = nextflow(tmp_path, "--input", folder, "--strict", "true")
    refused(run, cut.name, "unreadable")


def test_weights_of_another_shape(nextflow, tmp_path, dicom):
    save_file({"conv1.weight": np.zeros((3, 1, 5, 5, 5), np.float32)}, tmp_path / "other.safetensors")
    run = nextflow(tmp_path, "--input", dicom("A1", "B1"), "--shallow_cnn_weights", tmp_path / "other.safetensors")
    refused(run, "other.safetensors", "conv1.weight")
