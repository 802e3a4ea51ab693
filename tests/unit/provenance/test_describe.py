"""Provenance of a made folder of results: the words of checklists, what is left out, what is left open."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from report_data import series_table
from tests.conftest import ROOT

from ct4bench.provenance.checklists import answer, fill, read_checklist
from ct4bench.provenance.crate import make_crate
from ct4bench.provenance.croissant import make_croissant
from ct4bench.provenance.describe import describe
from ct4bench.provenance.known import NOT_SHOWN, Known, package_versions, shown_parameters, without_paths
from ct4bench.provenance.words import bibliography, methods_text, words_of
from ct4bench.results.run_facts import make_run_facts, write_run_facts

ENDED = datetime(2026, 11, 29, 12, 30, 15, tzinfo=UTC)
SCHEMA = json.loads((ROOT / "nextflow_schema.json").read_text())
SETTINGS = {
    "radiomics": {
        "n_features": 93, "versions": {"pyradiomics": "3.0.1"},
        "settings": {"setting": {"binWidth": 20}, "imageType": {"Original": 0, "LoG": 0}, "featureClass": {"glcm": 0}},
    },
    "swin_unetr": {"n_features": 768, "weights": {"status": "user", "words": "weights of w.pt", "sha256": "ab" * 32}},
}  # fmt: skip
VERSIONS = {"ct4bench": "9.8.7", "nextflow": "25.04.4", "contract": 2, "code_sha256": "0" * 64, "packages": {}}


def known_of(origin="synthetic", images=True, parameters=None, **more) -> Known:
    series = series_table(origin, ("A1", "E2"), (1, 10)).assign(spacing_row_mm=0.7)
    values = {"seed": 5, "reference": "A1 10mGy IR", "patches_per_roi": 7, "other_classifiers": "svm"} | (
        parameters or {}
    )
    return Known(
        parameters=shown_parameters(values, SCHEMA),
        versions=VERSIONS,
        facts={"none": make_run_facts(series, "paper", SETTINGS)},
        settings=SETTINGS,
        series=tuple(series.astype(str).to_dict("records")) if images else (),
        n_quarantined=3 if images else None,
        **more,
    )


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("input", "/home/someone/dicom", NOT_SHOWN),
        ("outdir", "results/run", NOT_SHOWN),
        ("features", "a/radiomics.csv,b/mine.csv", NOT_SHOWN),
        ("extractors", "my_net=/home/someone/net.py,other=nets/o.pt", f"my_net={NOT_SHOWN},other={NOT_SHOWN}"),
        ("extractor_weights", "my_net=C:\\nets\\w.pt", f"my_net={NOT_SHOWN}"),
        ("reference", "A1 10mGy IR", "A1 10mGy IR"),
        ("strict", True, "true"),
    ],
)
def test_a_parameter_is_shown_without_paths(name, value, shown):
    assert [p.value for p in shown_parameters({name: value}, SCHEMA)] == [shown]


def test_every_parameter_of_a_path_is_known_by_its_schema():
    """One that takes a path and does not say so would be shown as it is, but for its separators."""
    rules = {name: rule for group in SCHEMA["$defs"].values() for name, rule in group["properties"].items()}
    for name, rule in rules.items():
        for path in ("/home/someone/x", "some/x"):
            assert "someone" not in without_paths(path), name
        if "exists" in rule:
            assert rule["format"].endswith("path"), name


def test_where_a_run_was_is_no_parameter_of_its_results():
    values = {"queue": "long", "account": "department", "aws_cli": "/usr/local/bin/aws", "seed": 1}
    assert [p.name for p in shown_parameters(values, SCHEMA)] == ["seed"]


def test_versions_of_all_tasks_are_joined():
    notes = [{"versions": {"numpy": "2.4.6"}}, {"versions": {"numpy": "2.4.5", "torch": "2.15"}}, {}]
    assert package_versions(notes) == {"numpy": "2.4.5, 2.4.6", "torch": "2.15"}


@pytest.mark.parametrize(
    ("name", "n", "doi"), [("clear", 58, "10.1186/s13244-023-01415-8"), ("metrics", 30, "10.1186/s13244-023-01572-w")]
)
def test_checklists_have_the_published_items(name, n, doi):
    checklist = read_checklist(name)
    assert [item["number"] for item in checklist["items"]] == list(range(1, n + 1))
    assert checklist["doi"] == doi and checklist["licence"] == "CC BY 4.0"


def test_weights_of_metrics_are_the_published_ones():
    weights = [item["weight"] for item in read_checklist("metrics")["items"]]
    assert sum(weights) == pytest.approx(1, abs=1e-9)
    # summed over its sections, from study design to open science
    ends = [3, 7, 10, 13, 17, 19, 25, 27, 30]
    sums = [round(sum(weights[a:b]), 4) for a, b in zip([0, *ends], ends, strict=False)]
    assert sums == [0.2022, 0.146, 0.0674, 0.1348, 0.09, 0.0899, 0.1348, 0.1124, 0.0225]


def test_an_answer_needs_all_of_its_words():
    item = {"answer": "{part} with {seed}"}
    assert answer(item, {"part": "all", "seed": "5"}) == "all with 5"
    assert answer(item, {"part": "all", "seed": ""}) == answer(item, {"part": "all"}) == answer({}, {}) == ""


def test_words_are_those_of_settings_and_series():
    words = words_of(known_of())
    assert words["discretization_words"].startswith("Bins of 20 HU") and words["image_types"] == "LoG and Original"
    assert "2 scanners" in words["protocol_words"] and "1 and 10 mGy" in words["protocol_words"]
    assert "0.700 to 0.700 mm" in words["protocol_words"]
    assert words["n_quarantined"] == "3 listed here" and words["patches_per_roi"] == "7"
    assert "synthetic" in words["limits_words"].lower()


@pytest.mark.parametrize("name", ["clear", "metrics"])
def test_a_run_from_features_leaves_questions_of_images_open(name):
    items = {item["number"]: item for item in read_checklist(name)["items"]}
    protocol = {"clear": 16, "metrics": 6}[name]
    assert answer(items[protocol], words_of(known_of())) and not answer(
        items[protocol], words_of(known_of(images=False))
    )


def test_only_the_collection_is_cited_as_data():
    synthetic, collection = methods_text(known_of()), methods_text(known_of("collection"))
    assert "@ct4harmonization_data" in collection and "@ct4harmonization_data" not in synthetic
    assert "says anything about real scanners" in synthetic and "real scanners" not in collection
    assert "version = {9.8.7}" in bibliography(collection, known_of("collection"))


OWN = {"name": "Oil phantom", "regions": [{"name": "a", "class": "oil"}, {"name": "b", "class": "oil"},
                                          {"name": "pool", "class": "water"}]}  # fmt: skip


@pytest.mark.parametrize("mask", ["mask.nii.gz", None])
def test_a_phantom_of_ones_own_is_told_by_its_description(mask):
    files = {"provenance/main.nf": (1, "a" * 64)}
    known = known_of("other", parameters={"mask": mask}, files=files)
    known.first["phantom"] = OWN
    words, text = words_of(known), methods_text(known)
    crate = json.dumps(make_crate(known, ENDED))
    croissant = json.dumps({k: v for k, v in make_croissant(known, Path("."), ENDED.date()).items() if k != "@context"})
    lists = "".join(fill(name, words, []) for name in ("clear", "metrics"))
    for told in (text, croissant, lists):
        assert "Oil phantom" in told
        for word in (
            "cyst",
            "six regions",
            "six objects",
            "printed",
            "tissue is",
            "the printed tissue",
            "by tissue",
            "DICOM SEG" * bool(mask),
        ):
            assert not word or word not in told, (word, told)
    assert "series of Oil phantom" in crate
    assert "compared by RMSE, PSNR and SSIM [@ssim]." in text
    known.first["missing"] = {"table5_ssim": "too thin"}
    assert "compared by RMSE and PSNR." in methods_text(known) and "SSIM" not in methods_text(known)
    assert "ICC for stability; RMSE and PSNR for images." in fill("clear", words_of(known), [])
    assert "oil (a, b), water (pool)" in lists and "classes 1 to 2 regions" in lists
    assert ("drawn once, on the reference" in lists) == bool(mask)
    assert "in the manner of the CT4Harmonization benchmark" in text and "In each of 3 regions" in text
    # the benchmark's own words stay
    assert "hemangioma" in fill("clear", words_of(known_of()), []) and "six regions" in methods_text(known_of())


def test_methods_are_cited_as_they_declare():
    rows = ({"method": "combat", "title": "ComBat {x}", "citation": "Johnson & Li 2007, doi:10.1093/a_b"},)
    known = known_of(harmonization=rows)
    known.facts["combat"] = known.first
    text = methods_text(known)
    assert "[@method_combat]" in text
    entry = bibliography(text, known)
    assert "title = {ComBat x}" in entry and r"note = {Johnson \& Li 2007, doi:10.1093/a\_b}" in entry


def test_a_crate_has_its_time_and_quotes_names():
    files = {
        "provenance/main.nf": (1, "a" * 64),
        "report.html": (2, "b" * 64),
        "none/features/my net.parquet": (3, "c" * 64),
    }
    crate = make_crate(known_of(files=files | {"pipeline_info/run.json": (4, "d" * 64)}), ENDED)
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert entities["./"]["datePublished"] == entities["#run"]["endTime"] == "2026-11-29T12:30:15+00:00"
    assert "none/features/my%20net.parquet" in entities and not [name for name in entities if "pipeline_info" in name]
    assert len(entities) == len(crate["@graph"])


@pytest.fixture
def results(tmp_path):
    """The least that a run publishes."""
    folder = tmp_path / "results"
    for name in ("pipeline_info", "provenance", "none/features"):
        (folder / name).mkdir(parents=True)
    run = {"parameters": {"seed": 5, "outdir": str(folder)}, "versions": {"ct4bench": "9.8.7", "nextflow": "25.04.4"}}
    (folder / "pipeline_info" / "run.json").write_text(json.dumps(run))
    for name in ("main.nf", "nextflow_schema.json"):
        shutil.copy(ROOT / name, folder / "provenance")
    (folder / "report.html").write_text("page")
    write_run_facts(known_of().first, folder / "none" / "tables" / "run_facts.json")
    for name, values in SETTINGS.items():
        (folder / "none" / "features" / f"{name}.json").write_text(json.dumps(values | {"extractor": name}))
    return folder


def test_the_same_results_are_described_by_the_same_bytes(results):
    written = describe(results, [], ENDED)
    first = {name: (results / name).read_bytes() for name in written}
    # as a run has it: nothing of an earlier description is there
    for name in written:
        (results / name).unlink()
    assert describe(results, [], ENDED) == written
    assert {name: (results / name).read_bytes() for name in written} == first
    assert not [name for name, content in first.items() if re.search(rb"/(tmp|home|root)/", content)]


def test_a_folder_that_is_no_runs_is_left_alone(results):
    (results / "pipeline_info" / "run.json").unlink()
    assert describe(results, [], ENDED) == [] and not (results / "README.md").exists()
