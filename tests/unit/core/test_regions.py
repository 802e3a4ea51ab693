"""Descriptions of phantoms: the benchmark's is the file that ships, another one is read and told what is wrong."""

import json
import re

import pytest
from foreign_phantoms import PHANTOMS, description
from pipeline_run import ROOT

from ct4bench.core.benchmark import ROIS, TISSUES, bare_name
from ct4bench.core.errors import UserError
from ct4bench.core.regions import CT4HARMONIZATION, Phantom, phantom_of, read_phantom
from ct4bench.core.yaml_files import fault_of
from ct4bench.results.deviations import read_deviations

SHIPPED = ROOT / "bin/ct4bench/core/ct4harmonization.json"
WATER = """
name: Water
regions:
  - {name: insert10, class: bone, label: [Bone insert, 7]}
  - {name: pool, class: water, label: 2}
"""


def written(tmp_path, text: str):
    path = tmp_path / "phantom.yml"
    path.write_text(text)
    return path


def test_the_shipped_description_is_the_benchmark_and_can_be_given_as_a_users_own():
    assert fault_of(json.loads(SHIPPED.read_text()), "phantom") == ""
    assert read_phantom(None) == read_phantom(SHIPPED) == CT4HARMONIZATION
    assert CT4HARMONIZATION.is_published
    # as the collection's SEG, its paper's tables and its classifier have them
    assert CT4HARMONIZATION.names == ROIS == ("cyst1", "cyst2", "hemangioma", "metastasis", "normal1", "normal2")
    assert CT4HARMONIZATION.tissues == TISSUES == ("cyst", "hemangioma", "metastasis", "normal")
    assert CT4HARMONIZATION.named("Metastatsis ") == bare_name("Metastatsis ") == "metastasis"


def test_the_example_of_the_docs_is_the_phantom_that_is_drawn(tmp_path):
    (example,) = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "docs/own-phantom.md").read_text(), re.S)
    assert example == description("water")
    phantom = read_phantom(written(tmp_path, example))
    assert (phantom.names, phantom.main_region) == (tuple(PHANTOMS["water"].classes), "water")
    # the numbers of its mask
    assert [phantom.numbered(n) for n in range(1, 7)] == list(phantom.names)


def test_points_of_the_paper_are_told_without_its_scanners_and_boxes(tmp_path):
    points, _ = read_deviations()
    phantom = read_phantom(written(tmp_path, WATER))
    told = {point.number: phantom.words(point.finding) for point in points if not point.benchmark_alone}
    assert not [n for n, text in told.items() if re.search(r"\b[A-H][12]\b|13 scanners|\[[0-9]+:", text)]
    assert "inside [40:280" in next(point.finding for point in points if point.number == 4)


def test_a_users_own_has_its_names_labels_and_numbers(tmp_path):
    phantom = read_phantom(written(tmp_path, WATER))
    assert (phantom.names, phantom.tissues) == (("insert10", "pool"), ("bone", "water"))
    assert [phantom.named(text) for text in ("BONE_insert", "insert-10", "Pool", "cyst1")] == [
        "insert10",
        "insert10",
        "pool",
        None,
    ]
    assert [phantom.numbered(n) for n in (7, 2, 1)] == ["insert10", "pool", None]
    assert not phantom.is_published and not phantom.printed_block
    assert phantom.main_region == "insert10"
    assert Phantom.from_dict(json.loads(json.dumps(phantom.to_dict()))) == phantom
    assert phantom_of({"phantom": phantom.to_dict()}) == phantom
    assert phantom_of({}) == CT4HARMONIZATION


def test_a_number_in_quotes_is_the_number(tmp_path):
    phantom = read_phantom(written(tmp_path, WATER.replace("label: 2", 'label: "3"')))
    assert [phantom.numbered(n) for n in (3, 2)] == ["pool", None]
    assert Phantom.from_dict(phantom.to_dict()) == phantom


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: Water", "nome: Water", "nome"),
        ("class: water", "class: bone", "all regions are of one class"),
        ("name: pool", "name: Insert_10", "two regions are named insert10"),
        ("label: 2", "label: bone insert", "two regions have the label boneinsert"),
        ("label: 2", "label: 7", "two regions have the label 7"),
        ("label: 2", "label: 0", "from 1 in a NIfTI file"),
        ("name: pool", "name: pool|1", "of letters, digits, _ and -"),
        ("name: Water", "name: Water\nmain_region: bone", "main_region bone is none of its regions"),
        ("name: Water", "name: Water\nsolid_hu: -2000", "-900 to 500 HU"),
        ("name: Water", "name: Water\nsolid_hu: .nan", "solid_hu is no number"),
        ("label: 2", 'label: "7"', "two regions have the label 7"),
        ("regions:", "regions: [", "it is not YAML"),
    ],
)
def test_what_is_wrong_is_said(old, new, said, tmp_path):
    with pytest.raises(UserError, match="is not a description of a phantom") as caught:
        read_phantom(written(tmp_path, WATER.replace(old, new)))
    assert said in str(caught.value)
    assert "docs/own-phantom.md" in str(caught.value)


def test_a_folder_and_too_many_regions_are_said_in_a_line(tmp_path):
    with pytest.raises(UserError, match="it is a folder, name the file in it") as caught:
        read_phantom(tmp_path)
    assert "does not exist" not in str(caught.value)
    many = "name: m\nregions:\n" + "".join(f"  - {{name: r{n}, class: c{n % 2}}}\n" for n in range(256))
    with pytest.raises(UserError) as caught:
        read_phantom(written(tmp_path, many))
    message = str(caught.value)
    assert "regions: 256 entries (r0, r1, r2 and 253 more); it must be a list of 2 to 255 regions" in message
    assert len(message) < 400
    long = WATER.replace("name: pool", f"name: {'p' * 5000}")
    with pytest.raises(UserError) as caught:
        read_phantom(written(tmp_path, long))
    assert len(str(caught.value)) < 600
