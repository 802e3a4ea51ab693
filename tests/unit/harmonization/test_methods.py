"""Folders of methods: what is found, what is refused and why, and which variants a run chooses."""

import re

import pytest
from pipeline_run import ROOT

from ct4bench.core.benchmark import RESULT_FOLDERS
from ct4bench.core.contract import read_contract
from ct4bench.core.errors import UserError
from ct4bench.core.yaml_files import read_schema
from ct4bench.harmonization.methods import Declaration, choose, find_methods, read_declaration, variants_of

PLAIN = """\
api: "1"
name: mine
version: "1.0"
citation: "nobody, no"
licence: MIT
level: feature
information: inductive
unseen: identity
learns: pooled
"""


def write(folder, text=PLAIN, name="mine", entry="method.py"):
    place = folder / name
    place.mkdir(parents=True)
    (place / "method.yml").write_text(text)
    (place / entry).write_text("class Method: ...\n")
    (place / "program").write_text("#!/bin/sh\n")
    return place


def test_controls_are_shown_and_never_ranked():
    """Those that the benchmark names: the z-score by domain was first among what adapts."""
    controls = {name for name, declared in find_methods().items() if declared.role == "control"}
    assert controls == {"none", "shuffled", "tissue_means", "zscore_by_domain"}


def test_the_schema_and_the_declaration_name_the_same_entries():
    own = {"folder", "shipped"}
    assert set(read_schema("method")["properties"]) == set(Declaration.__dataclass_fields__) - own


def test_the_projects_own_methods_are_found_after_none():
    found = find_methods()
    assert next(iter(found)) == "none"
    assert all(declared.shipped for declared in found.values())
    assert [v.name for v in choose(found, "none")] == ["none"]


def test_a_folder_of_methods_and_a_method_itself_are_taken(tmp_path):
    place = write(tmp_path)
    for folder in (tmp_path, place):
        assert find_methods([folder])["mine"].file == place / "method.py"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('version: "1.0"', "version: 1.0", r"version: 1.0 is not of type 'string'.*in quotes"),
        ("name: mine", "name: other", "name is other, the folder's is mine"),
        ("name: mine", "name: ../mine", "name: '../mine' does not match"),
        ("name: mine", "name: no", "name is no, the folder's is mine"),
        ("level: feature", "level: feature\nlevel: image", "line 7 .*duplicate key"),
        ('api: "1"', '\tapi: "1"', "line 1: .*tab|line 1: .*cannot start any token"),
        ("level: feature", "level: feature: image", "line 6: mapping values"),
        ("level: feature", "level: feature\x07", "line 6: special characters"),
        ("level: feature", "level: !!str feature", "a tag .* line 6"),
        ("level: feature", "level: !!python/object:os.system feature", "a tag .* line 6"),
        ("level: feature", "level: &a feature", "an anchor"),
        ('api: "1"', '%YAML 1.1\n---\napi: "1"', "a directive"),
        ("level: feature", "level: feature\n---\nlevel: image", "not YAML"),
        ("level: feature", "level: feature\nshuffle: true", "'shuffle' was unexpected"),
        ("licence: MIT", "licence: no\nentry: ../../x.py", "entry: '../../x.py' does not match"),
        ("licence: MIT", "licence: MIT\nentry: other.py", "entry: other.py is no file"),
        ("unseen: identity", "unseen: adapt", "adapt needs information transductive or calibration"),
        ("information: inductive", "information: labels", "labels is for role control or oracle"),
        ("licence: MIT", "licence: MIT\ncovariates: [tissue]", "tissue is for information labels"),
        ("information: inductive", "information: calibration", "needs calibration_series"),
        ("level: feature", "level: patch", "halo_voxels: level patch needs them"),
        ("licence: MIT", "licence: MIT\nhalo_voxels: [1, 2, 3]", "halo_voxels: .* no other level has them"),
        ("level: feature", "level: patch\nhalo_voxels: [1, 2]", r"halo_voxels: 2 entries"),
        ("level: feature", "level: patch\nhalo_voxels: [1, -2, 3]", "halo_voxels.1: -2 is less"),
        ("information: inductive\nunseen: identity", "information: calibration\ncalibration_series: 1\nunseen: adapt\n"
         "halo_voxels: [1, 1, 1]", "halo_voxels: .* no other level has them"),
        ("level: feature\ninformation: inductive", "level: patch\nhalo_voxels: [1, 1, 1]\ncalibration_series: 1\n"
         "information: calibration", "calibration is not for level patch"),
        ("licence: MIT", "licence: MIT\nentry: program", "program is a program and not executable"),
        ("level: feature", "level: image\nentry: program", "level image takes a class"),
        ("licence: MIT", "licence: MIT\nvariants: {default: {}}", "variants: 'default'"),
        ("licence: MIT", "licence: MIT\nvariants: {a.b: {}}", "variants: 'a.b'"),
        ("licence: MIT", "licence: MIT\nvariants: {leaky: {}}", "variants.leaky: .* such as leaky_mine"),
        ("licence: MIT", "licence: MIT\nvariants: {csv: {}}", "variants.csv: a run's results have something else"),
        ("licence: MIT", "licence: MIT\nvariants: {a: {eb: false}}", "variants.a: eb is no parameter"),
        ("licence: MIT", "licence: MIT\nparameters: {seed: 1}", "parameters.seed: the name is taken"),
        ("licence: MIT", "licence: MIT\nvariants: {a: {unseen: adapt}}", "variants.a: unseen: adapt needs"),
        ("licence: MIT", "licence: MIT\ntolerance: 0.1", "tolerance: 0.1 is greater"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place_and_reason(old, new, words, tmp_path):
    write(tmp_path, PLAIN.replace(old, new))
    with pytest.raises(UserError, match=rf"method\.yml .*{words}.*docs/methods.md"):
        find_methods([tmp_path])


def test_a_fault_is_told_at_the_place_that_its_user_knows(tmp_path):
    """A task has the folder under another path than the one that was given."""
    place = write(tmp_path / "task")
    for level, words in (("[feature", "line 7 .begun in line 6."), ("scan", "level: 'scan' is not one of")):
        (place / "method.yml").write_text(PLAIN.replace("level: feature", f"level: {level}"))
        with pytest.raises(UserError, match=f"^/my/mine/method.yml .*{words}"):
            read_declaration(place, called="/my/mine")


def test_yaml_is_read_as_1_2(tmp_path):
    """YAML 1.1 reads `no` as false, `0123` in octal and 1:30 as ninety."""
    text = PLAIN.replace("licence: MIT", "licence: no\nparameters: {a: on, b: 1:30, c: 010}")
    assert read_declaration(write(tmp_path, "---\n" + text)).parameters == {"a": "on", "b": "1:30", "c": 10}


def test_names_of_others_and_empty_folders_are_refused(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "two")
    with pytest.raises(UserError, match="a method mine is in .*one/mine"):
        find_methods([tmp_path / "one", tmp_path / "two"])
    taken = write(tmp_path / "three", PLAIN.replace("mine", "zscore_by_domain"), "zscore_by_domain")
    with pytest.raises(UserError, match="zscore_by_domain is of the project's own methods"):
        find_methods([taken])
    with pytest.raises(UserError, match="the name none has a meaning of its own"):
        find_methods([write(tmp_path / "four", PLAIN.replace("mine", "none"), "none")])
    (tmp_path / "empty").mkdir()
    for folder, words in ((tmp_path / "empty", "holds no method"), (tmp_path / "nowhere", "is no folder")):
        with pytest.raises(UserError, match=words):
            find_methods([folder])


def folders_of_results():
    """Folders that a run's results have beside those of methods: by the contract and by what the workflow lays."""
    found = {name.split("/")[0] for name in read_contract() if "/" in name}
    found |= set(re.findall(r"'results/run'\}/(\w+)[/\"]", (ROOT / "conf" / "publish.config").read_text()))
    for script in (ROOT / "subworkflows").rglob("*.nf"):
        found |= set(re.findall(r"\bplaced\('(\w+)'", script.read_text()))
    return found - {"<method>", "none"}


@pytest.mark.parametrize("name", ["all", "default", *sorted(folders_of_results())])
def test_a_method_is_not_called_like_a_folder_of_a_runs_results(name, tmp_path):
    place = write(tmp_path, PLAIN.replace("mine", name), name)
    with pytest.raises(UserError, match=f"the name {name} has a meaning .*method and its folder .*{name}_mine"):
        find_methods([place])


def test_the_list_of_folders_of_results_is_whole():
    assert set(RESULT_FOLDERS) == folders_of_results()


def test_variants_have_their_parameters_and_what_they_declare(tmp_path):
    text = PLAIN + "parameters: {eb: true, k: 2}\nvariants:\n  plain: {eb: false}\n" \
        "  near: {information: transductive, unseen: adapt, k: 3}\ndefault: ['', near]\n"  # fmt: skip
    found = find_methods([write(tmp_path, text)])
    whole, plain, near = variants_of(found["mine"])
    assert [v.name for v in (whole, plain, near)] == ["mine", "mine.plain", "mine.near"]
    assert [v.parameters for v in (whole, plain, near)] == [
        {"eb": True, "k": 2}, {"eb": False, "k": 2}, {"eb": True, "k": 3}]  # fmt: skip
    assert (plain.declaration.information, near.declaration.information) == ("inductive", "transductive")
    assert [v.name for v in choose(found, "mine.near,none,mine.near")] == ["mine.near", "none"]
    usual = [v.name for v in choose(found, "default")]
    assert usual[0] == "none" and [name for name in usual if name.startswith("mine")] == ["mine", "mine.near"]
    assert {"mine", "mine.plain", "mine.near", "none"} < {v.name for v in choose(found, "all")}
    for text in ("", "mine,", "mine.other", "other"):
        with pytest.raises(UserError, match="--methods: .* is not one of default, all, none.*--method_folders"):
            choose(found, text)
