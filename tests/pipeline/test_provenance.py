"""What a run says of how its results came about, read back by the programs that it is written for."""

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from pipeline_run import ROOT
from read_back import read_back
from ruamel.yaml import YAML

pytestmark = pytest.mark.pipeline

FOLDER = "provenance"
DOCUMENTS = [
    "README.md", "croissant.json", "ro-crate-metadata.json", f"{FOLDER}/clear.md", f"{FOLDER}/metrics.md",
    f"{FOLDER}/methods.md", f"{FOLDER}/references.bib", f"{FOLDER}/versions.yml",
]  # fmt: skip
APART = ("dicom/", "none/volumes/", "ro-crate-metadata.json")
"""What is published as it is made, and the crate itself."""
UNKNOWN = {
    "ro-crate-1.1_22.2": "./",  # who the author of the results is
    "ro-crate-1.1_22.3": "./",  # nor who publishes them
    "process-run-crate-0.5_8.6": "./#run",  # nor who started the run
    "process-run-crate-0.5_3.2": "./provenance/main.nf",  # the workflow lies in the crate and has no address
}
"""Recommendations that a run cannot follow."""
OF_THE_VALIDATOR = {"process-run-crate-0.5_5.1"}
"""A check that takes types for programs: its entities are no part of the crate."""


@pytest.fixture(scope="module")
def crate(small_run) -> dict:
    return json.loads((small_run.outdir / "ro-crate-metadata.json").read_text())


@pytest.fixture(scope="module")
def entities(crate) -> dict:
    return {entity["@id"]: entity for entity in crate["@graph"]}


def test_the_crate_is_a_workflow_run_crate(small_run, entities):
    issues = read_back("crate", small_run.outdir)
    assert [issue for issue in issues if issue["severity"] == "REQUIRED"] == []
    open_ = {issue["check"]: issue["entity"] for issue in issues if issue["check"] not in OF_THE_VALIDATOR}
    assert open_ == UNKNOWN, issues
    assert not {issue["entity"] for issue in issues if issue["check"] in OF_THE_VALIDATOR} & set(entities)


def test_the_crate_has_every_file_with_its_digest(small_run, entities):
    files = {name: entity for name, entity in entities.items() if "File" in entity["@type"]}
    assert set(files) == {name for name in small_run.published() if not name.startswith(APART)}
    for name, entity in files.items():
        content = (small_run.outdir / name).read_bytes()
        assert (entity["contentSize"], entity["sha256"]) == (str(len(content)), hashlib.sha256(content).hexdigest()), (
            name
        )
    assert {part["@id"] for part in entities["./"]["hasPart"]} == set(files)


def test_the_crate_has_the_parameters_of_the_run(small_run, entities):
    run = json.loads((small_run.outdir / "pipeline_info" / "run.json").read_text())["parameters"]
    values = {entity["name"]: entity["value"] for entity in entities.values() if entity["@type"] == "PropertyValue"}
    assert {"seed", "mode", "twin_scanners", "outdir"} <= set(values)
    assert values["seed"] == str(run["seed"]) and values["twin_scanners"] == run["twin_scanners"]
    assert values["publish_volumes"] == "true"
    # where a run was is nothing of its results
    assert not {"queue", "account", "registry", "aws_cli"} & set(values)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_has_a_path_of_the_machine(small_run, name):
    text = (small_run.outdir / name).read_text()
    run = (small_run.outdir / "pipeline_info" / "run.json").read_text()
    assert str(small_run.outdir) in run.replace("\\/", "/")  # which a document could have copied
    for place in (small_run.outdir, small_run.launch, ROOT, Path.home(), Path("/tmp")):
        assert not re.search(rf"(?<![\w.:/-]){re.escape(str(place))}(?![\w-])", text), place


def test_croissant_loads_what_the_tables_have(small_run):
    names = ("none/features/radiomics.parquet", "none/icc.csv", "none/tables/table7_stability_classification.csv")
    found = read_back("croissant", small_run.outdir, "20", *names)
    assert found["version"] == "http://mlcommons.org/croissant/1.1" and found["faults"] == []
    for name in names:
        path = small_run.outdir / name
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        read = pd.DataFrame(found["rows"][name])
        assert found["described"][name] == list(frame.columns)
        assert len(read) == min(20, len(frame))
        for column in frame.columns:
            ours = frame[column].head(20)
            if ours.notna().all():
                assert read[column].tolist() == ours.tolist(), (name, column)


def test_croissant_describes_every_table_of_features_and_scores(small_run):
    described = json.loads((small_run.outdir / "croissant.json").read_text())
    names = {record["@id"] for record in described["recordSet"]}
    there = {f"none/features/{path.name}" for path in (small_run.outdir / "none" / "features").glob("*.parquet")}
    assert there and names == there | {
        "none/icc.csv", "none/pairs.parquet", "none/predictions.parquet", "none/tables/accuracy_by_n.csv",
        "none/tables/table7_stability_classification.csv",
    }  # fmt: skip
    for file in described["distribution"]:
        assert file["sha256"] == hashlib.sha256((small_run.outdir / file["contentUrl"]).read_bytes()).hexdigest()


def test_versions_are_those_that_tasks_had_loaded(small_run):
    versions = YAML(typ="safe").load((small_run.outdir / FOLDER / "versions.yml").read_text())
    packages = versions["packages"]
    assert {"python", "numpy", "pandas", "SimpleITK", "torch", "pydicom", "numba"} <= set(packages)
    assert {name: packages[name] for name in packages if name != "python"} == {
        name: version(name) for name in packages if name != "python"
    }
    assert re.fullmatch(r"[0-9a-f]{64}", versions["code_sha256"])
    assert versions["data"]["origin"] == "synthetic"


def test_the_methods_paragraph_cites_what_its_bibliography_has(small_run):
    text = (small_run.outdir / FOLDER / "methods.md").read_text()
    keys = re.findall(r"^@\w+\{([^,]+),", (small_run.outdir / FOLDER / "references.bib").read_text(), re.M)
    assert keys == sorted(set(re.findall(r"@([a-z0-9_]+)", text))) and "pyradiomics" in keys
    series = pd.read_csv(small_run.outdir / "index" / "series.csv")
    assert f"{len(series)} synthetic series" in text and "no number says anything about real scanners" in text
    assert "seed 0" in text


@pytest.mark.parametrize(("name", "n"), [("clear", 58), ("metrics", 30)])
def test_checklists_are_filled_in_where_the_run_knows(small_run, name, n):
    lines = (small_run.outdir / FOLDER / f"{name}.md").read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| \d+ \|", line)]
    assert [int(row.split(" | ")[0][2:]) for row in rows] == list(range(1, n + 1))
    answered = [row for row in rows if not re.search(r"\| open(: [^|]*)? \|  \|$", row)]
    assert f"{len(answered)} of {n} items are answered" in "\n".join(lines)
    assert 0 < len(answered) < n
    assert not re.search(r"[{}]", "\n".join(rows))
    named = {cell for row in answered for cell in row.rstrip(" |").split(" | ")[-1].split(", ") if "/" in cell}
    for place in named - {"none/tables/"}:
        folder = ROOT if place.startswith("docs/") else small_run.outdir
        assert list(folder.glob(place)), place
