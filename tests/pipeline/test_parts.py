"""The input in parts gives what it gives as a whole; the DICOM of a part lives as long as its task."""

import filecmp
import importlib.util
import shutil

import pandas as pd
import pytest
from pipeline_run import ROOT

from ct4bench.core.checks import Checks
from ct4bench.core.tables import read_table
from ct4bench.index.contents import write_contents
from ct4bench.index.merge import merge_index
from ct4bench.index.tree import read_tree
from ct4bench.index.write import write_index
from ct4bench.parts.take import take_part
from ct4bench.preprocess.reference import open_reference
from ct4bench.preprocess.register import RegistrationRun

pytestmark = pytest.mark.pipeline


def made_by(run, name):
    """The file or folder of a task that made it; other tasks have links to it."""
    (found,) = [path for path in run.launch.glob(f"work/*/*/{name}") if not path.is_symlink()]
    return found


def test_a_part_taken_in_one_pass_is_what_the_stages_made(small_run, tmp_path):
    reference = made_by(small_run, "reference")
    run, checks = RegistrationRun(open_reference(reference), tmp_path / "volumes"), Checks()
    taken = take_part([small_run.outdir / "dicom" / "B1"], run, tmp_path / "contents.json", checks=checks)
    uids = list(taken.registered["series_uid"])
    assert len(uids) == 3
    transforms = read_table(small_run.outdir / "registration" / "transforms.csv").set_index("series_uid")
    columns = [name for name in transforms if transforms[name].dtype == float]
    found = taken.transforms.set_index("series_uid").loc[uids, columns].astype(float)
    pd.testing.assert_frame_equal(found, transforms.loc[uids, columns], check_exact=True)
    for uid in uids:
        made = made_by(small_run, f"volumes/{uid}.b2nd")
        assert filecmp.cmp(made, tmp_path / "volumes" / made.name, shallow=False)
    (rows,) = (small_run.outdir / "none").glob("series_profile.parquet")
    rows = read_table(rows).query("scanner == 'B1' and grid == 'own'")
    keys = ["dose_mgy", "recon", "series_uid", "kind", "measure", "region", "at"]
    found, expected = (
        table[[*keys, "value", "reason", "n_repetitions"]].sort_values(keys, ignore_index=True)
        for table in (taken.own_profile.fillna({"reason": ""}), rows.fillna({"reason": ""}))
    )
    assert len(expected) > 100
    # BLAS rounds otherwise with other numbers of threads
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12, atol=1e-12, check_dtype=False)
    assert checks.found["reading"]["n"] == 3


def test_the_index_of_scanners_taken_apart_is_that_of_all(small_run, tmp_path):
    parts = []
    for folder in sorted((small_run.outdir / "dicom").iterdir()):
        parts.append(tmp_path / f"{folder.name}.json")
        write_contents(read_tree([folder]), parts[-1])
    write_index(merge_index(parts), tmp_path / "index")
    names = ["series.csv", "files.parquet", "inputs.csv"]
    assert filecmp.cmpfiles(small_run.outdir / "index", tmp_path / "index", names, shallow=False) == (names, [], [])


def test_an_edited_copy_is_told_from_its_original_again(nextflow, tmp_path):
    """Contents of parts have no pixels, by which copies are compared when they are merged."""
    data = tmp_path / "data"
    shutil.copytree(ROOT / "tests" / "data" / "idc", data)
    arguments = ("--input", data, "--in_parts", "-stub-run", "-resume")
    first = nextflow(tmp_path, *arguments)
    assert first.status == 0, first.text
    again = nextflow(tmp_path, *arguments)
    assert set(again.trace()["status"]) == {"CACHED"}
    with open(data / "none" / "000.dcm", "r+b") as file:
        file.seek(-2, 2)
        file.write(b"\1")
    edited = nextflow(tmp_path, *arguments).trace()
    ran = edited.loc[edited["status"] == "COMPLETED", "name"].str.split(":").str[-1]
    assert {"INDEX_SERIES", "MERGE_INDEX"} <= {name.split(" ")[0] for name in ran}


@pytest.mark.slow
def test_the_twin_in_parts_has_the_results_of_the_whole(small_run, nextflow, tmp_path):
    run = nextflow(tmp_path, "-profile", "test", "--in_parts")
    assert run.status == 0, run.text
    assert not list(tmp_path.glob("work/*/*/dicom"))
    aside = {"report.html", "none/tables/run_facts.json", "ro-crate-metadata.json", "croissant.json"}
    names = [name for name in run.published() if name not in aside]
    whole = [
        name for name in small_run.published() if not name.startswith(("dicom/", "none/volumes/")) and name not in aside
    ]
    assert names == whole
    assert filecmp.cmpfiles(small_run.outdir, run.outdir, names, shallow=False) == (names, [], [])
    assert run.facts() == small_run.facts()
    assert faults_of_memory(run.outdir, tmp_path / "work") == []
    again = nextflow(tmp_path, "-profile", "test", "--in_parts", "-resume")
    assert set(again.trace()["status"]) == {"CACHED"}


@pytest.mark.slow
def test_a_method_of_images_has_the_volumes_of_the_whole_in_parts(nextflow, tmp_path):
    method = "reference_matching.calibration"
    arguments = ("-profile", "test", "--twin_scanners", "A1,B1", "--twin_doses", "10", "--twin_reconstructions", "IR",
                 "--tasks", "none", "--feature_sets", "radiomics", "--ablations", "none", "--other_classifiers", "none",
                 "--methods", f"none,{method}")  # fmt: skip
    whole, parts = (
        nextflow(tmp_path / name, *arguments, *more) for name, more in (("whole", ()), ("parts", ("--in_parts",)))
    )
    for run in (whole, parts):
        assert run.status == 0, run.text
    assert not list(tmp_path.glob("parts/work/*/*/dicom"))
    for name in ("features/radiomics.parquet", "pairs.parquet", "icc.csv", "scores.csv", "scanner_profile.csv"):
        made = (whole.outdir / method / name).read_bytes()
        assert made == (parts.outdir / method / name).read_bytes(), name
        assert made != (whole.outdir / "none" / name).read_bytes(), name


def faults_of_memory(outdir, work):
    """Processes of a run that asked for less than they took, or for much more."""
    specification = importlib.util.spec_from_file_location("measure_costs", ROOT / "tools" / "measure_costs.py")
    costs = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(costs)
    trace = min((outdir / "pipeline_info").glob("trace_*.txt"))
    rows = costs.memory_rows(costs.read_run(trace, work))
    assert len(rows) > 25
    return [row for row in rows if row[-1]]


def test_tasks_ask_for_what_they_take_and_not_for_much_more(small_run):
    assert faults_of_memory(small_run.outdir, small_run.launch / "work") == []
