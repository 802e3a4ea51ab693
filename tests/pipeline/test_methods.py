"""Several methods in one run: equal tables where they do nothing, and none of the first runs again for the second."""

import json
import re
from html.parser import HTMLParser

import pytest
from pipeline_run import ROOT

pytestmark = pytest.mark.pipeline

SPANNING = {"WRITE_REPORT", "COLLECT_RESULTS"}
"""Processes that see all methods."""
NOT_TABLES = (".png", ".svg")


class Ids(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name == "id"]


def without_name(path, method):
    """The bytes of a table; of JSON the values, less the method's name where it stands as a value."""
    if path.suffix != ".json":
        return path.read_bytes()
    return json.loads(path.read_text(), object_hook=lambda item: {
        key: None if key == "method" and value == method else value for key, value in item.items()
    })  # fmt: skip


def compare_methods(outdir, first="none", second="none_copy"):
    """Every file of the one method is a file of the other, and tables have the same bytes."""
    files = {
        method: {path.relative_to(outdir / method).as_posix(): path for path in (outdir / method).rglob("*.*")}
        for method in (first, second)
    }
    assert set(files[first]) == set(files[second])
    tables = [name for name in files[first] if not name.endswith(NOT_TABLES) and not name.startswith("figures/")]
    assert {"tables/table7_stability_classification.csv", "predictions.parquet", "icc.csv"} <= set(tables)
    for name in tables:
        assert without_name(files[first][name], first) == without_name(files[second][name], second), name
    facts = json.loads((outdir / second / "tables" / "run_facts.json").read_text())
    assert facts["method"] == second
    return tables


def rerun(trace) -> set[str]:
    """Names of the tasks that did run."""
    return set(trace.loc[trace["status"] != "CACHED", "name"].str.split(":").str[-1])


def check_second_run(run, earlier):
    assert run.status == 0, run.text
    before = set(earlier["name"].str.split(":").str[-1])
    ran = rerun(run.trace())
    assert ran
    assert {name.split(" (")[0] for name in ran & before} <= SPANNING
    again = {name for name in ran if name.split(" (")[0] not in SPANNING}
    assert {name for name in again if not re.search(r"\(none_copy\b", name)} == set(), again
    # the second method has all tasks that the first one has
    own = {name for name in before if re.search(r"\(none\b", name)}
    assert {name.replace("(none", "(none_copy", 1) for name in own} == again
    ids = Ids((run.outdir / "report.html").read_text()).found
    assert {"method_none", "method_none_copy", "none-features", "none_copy-features"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_method_that_does_nothing_is_equal_to_none_from_features(nextflow, tmp_path):
    arguments = ("--features", ROOT / "tests" / "data" / "radiomics.csv", "--tasks", "none", "--ablations", "none",
                 "--training_parts", "1", "--other_classifiers", "none", "--verify", "0")  # fmt: skip
    one = nextflow(tmp_path, *arguments)
    assert one.status == 0, one.text
    assert not (one.outdir / "none_copy").exists()
    earlier = one.trace()
    kept = {path: path.read_bytes() for path in (one.outdir / "none").rglob("*.*")}
    two = nextflow(tmp_path, *arguments, "--methods", "none,none_copy", "-resume")
    check_second_run(two, earlier)
    compare_methods(two.outdir)
    assert {path: path.read_bytes() for path in (two.outdir / "none").rglob("*.*")} == kept


@pytest.mark.slow
def test_a_method_that_does_nothing_is_equal_to_none_from_images(small_run, nextflow, tmp_path):
    earlier = small_run.trace()
    arguments = ("-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true", "-resume")
    two = nextflow(small_run.launch, *arguments, "--methods", "none,none_copy", outdir=tmp_path / "two")
    check_second_run(two, earlier)
    tables = compare_methods(two.outdir)
    assert {"pairs.parquet", "scanner_profile.csv", "features/swin_unetr.parquet", "tables/table6_dose.csv"} <= set(
        tables
    )
    for name in tables:
        assert (two.outdir / "none" / name).read_bytes() == (small_run.outdir / "none" / name).read_bytes(), name
