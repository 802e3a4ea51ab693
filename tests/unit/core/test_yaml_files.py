"""YAML files by their schemas: the project's own are right, and a fault is said in one line with what belongs there."""

import pytest
import yaml
from jsonschema import Draft202012Validator
from pipeline_run import ROOT

from ct4bench.core.errors import UserError
from ct4bench.core.extractors import Extractor
from ct4bench.core.yaml_files import SCHEMAS, fault_of, read_schema, read_yaml
from ct4bench.features.encoder import SHAPE

KINDS = sorted(path.stem for path in SCHEMAS.glob("*.json"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one(kind):
    Draft202012Validator.check_schema(read_schema(kind))


@pytest.mark.parametrize("kind", ["extractors", "deviations"])
def test_the_projects_files_are_right(kind):
    assert fault_of(yaml.safe_load((ROOT / "assets" / f"{kind}.yaml").read_text()), kind) == ""


def test_the_example_of_the_docs_is_right():
    page = (ROOT / "docs" / "encoders.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    values = yaml.safe_load(example)
    assert set(values) == set(read_schema("encoder_settings")["properties"])
    assert fault_of(values, "encoder_settings") == ""


def test_schemas_agree_with_the_code():
    assert set(read_schema("extractors")["additionalProperties"]["properties"]) == set(Extractor.__dataclass_fields__)
    patch = read_schema("encoder_settings")["properties"]["patch"]
    assert tuple(rule["maximum"] for rule in patch["prefixItems"]) == SHAPE


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("encoder_settings", "patch: [32, 32, 17]", r"patch\.2: 17 .*\[32, 32, 16\] voxels"),
        ("encoder_settings", "patch: [32, 32]", "patch: .*rows, columns, slices"),
        ("encoder_settings", "patch: [true, 2, 2]", r"patch\.0: True is not of type 'integer'"),
        ("encoder_settings", "scaling: {low_hu: 1, high_hu: 2, low: 0, high: x}", r"scaling\.high: 'x'"),
        ("encoder_settings", "[]", "it must be a mapping"),
        ("extractors", "a: {title: x}", "a: .*a module or a region"),
        ("extractors", "a: {title: x, module: m, colour: red}", r"a\.colour: 'red' .*#rrggbb"),
        ("deviations", "points: []\nchoices: [{subject: a, choice: b, where: c}]", r"choices\.0\.where: 'c'.*files of"),
        ("deviations", "points: [", "not YAML .line 1: "),
        ("deviations", "points: []\npoints: []", "not YAML .line 2 .begun in line 1.: .*duplicate key"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_belongs_there(kind, text, words, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"mine\.yaml is not a thing: .*{words}.*; do so") as found:
        read_yaml(tmp_path / "mine.yaml", kind, "a thing", "do so")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "patch: [1, 1, 1]", "layer: head", "patch: [32, 32, 16]\npooling: max\nlayer: 0"])
def test_settings_at_their_edges_are_taken(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    assert read_yaml(tmp_path / "mine.yaml", "encoder_settings", "a thing", "do so") == (yaml.safe_load(text) or {})
