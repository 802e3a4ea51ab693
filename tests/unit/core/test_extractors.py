"""The list of extractors agrees with the encoders, the parameters and the published table."""

import json

import pytest
import torch
from pipeline_run import ROOT

from ct4bench.core.errors import UserError
from ct4bench.core.extractors import Extractor, extractor_rank, in_order, read_extractors, title_of
from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.results.published import read_published

KNOWN = read_extractors()
DEEP = [name for name, entry in KNOWN.items() if entry.module]


def parameters():
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    return {name for group in groups for name in group["properties"]}


def test_the_papers_extractors_have_its_names_in_its_order():
    titles = [entry.title for entry in KNOWN.values() if entry.paper]
    assert titles == list(read_published("table7_stability_classification")["features"])


@pytest.mark.parametrize("name", DEEP)
def test_an_encoder_is_found_and_gives_what_the_list_says(name):
    encoder = build_encoder(name, EncoderOptions(device="meta"))
    assert (encoder.name, encoder.n_features) == (name, KNOWN[name].features)
    assert encoder.features(torch.zeros(1, 32, 32, 16)).shape == (1, KNOWN[name].features)


@pytest.mark.parametrize("name", DEEP)
def test_parameters_and_files_of_an_encoder_exist(name):
    entry = KNOWN[name]
    named = {*entry.options.values(), *([entry.weights["parameter"]] if "parameter" in entry.weights else [])}
    assert named <= parameters()
    script = (ROOT / "bin" / "extract_deep.py").read_text()
    assert all(f'"--{option}"' in script for option in entry.options)
    assert (ROOT / entry.weights.get("file", "assets")).exists()


def test_no_module_of_a_script_imports_a_shipped_encoder():
    """Else an edit of one would run the others, or trainings, again."""
    names = {KNOWN[name].module.rpartition(".")[2] for name in DEEP}
    for path in (ROOT / "bin" / "ct4bench").rglob("*.py"):
        if path.parent.name != "pretraining" and path.stem not in names:
            text = path.read_text()
            assert not any(f"features.{name} import" in text or f"features import {name}" in text for name in names), (
                path
            )


def test_others_follow_those_of_the_list():
    known = {**KNOWN, "new": Extractor("New", module="x")}
    assert in_order(["zeta", "radiomics_roi", "new", "alpha", "swin_unetr", "radiomics"], known) == [
        "radiomics", "swin_unetr", "new", "alpha", "radiomics_roi", "zeta"
    ]  # fmt: skip
    assert extractor_rank("radiomics", known) < extractor_rank("alpha", known)
    assert (title_of("new", known), title_of("mine", known)) == ("New", "mine")


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: {title: x, widht: 3}", "a: [", "a: {features: 3}"])
def test_a_list_that_is_none_is_refused(text, tmp_path):
    (tmp_path / "list.yaml").write_text(text)
    with pytest.raises(UserError, match="not a list of extractors"):
        read_extractors(tmp_path / "list.yaml")


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml is not a list"):
        read_extractors(tmp_path / "none.yaml")
