"""The picture of the data flow is the engine's own graph, and the page that shows it names every package."""

import importlib.util
import re

import pytest
from pipeline_run import ROOT

spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "tools" / "draw_architecture.py")
drawing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawing)


@pytest.mark.pipeline
def test_the_picture_shows_the_flow_of_the_code():
    graphs = drawing.engines_graphs()
    edges, downloading = map(drawing.process_edges, graphs)
    assert ("DOWNLOAD_SERIES", "MERGE_DOWNLOAD") in downloading and ("MERGE_DOWNLOAD", "INDEX_SERIES") in downloading
    assert {("REGISTER_SERIES", "COMPARE_PAIRS"), ("PLAN_SPLITS", "TRAIN_CLASSIFIERS")} <= edges
    assert not {("COMPARE_PAIRS", "REGISTER_SERIES"), ("WRITE_REPORT", "MAKE_TABLES")} & edges
    shown = drawing.PICTURE.read_text(encoding="utf-8")
    assert shown == drawing.picture_of(graphs), "draw it again: tools/draw_architecture.py"


def test_arrows_that_a_longer_way_implies_are_left_out():
    packages = {"A": "one", "B": "two", "C": "three", "D": "three", "COLLECT_RESULTS": "one"}
    edges = {("A", "B"), ("B", "C"), ("A", "C"), ("C", "D"), ("D", "COLLECT_RESULTS")}
    assert drawing.package_edges(edges, packages) == {("one", "two"), ("two", "three")}


def test_a_circle_is_refused():
    with pytest.raises(SystemExit, match="circle"):
        drawing.rows_of({("a", "b"), ("b", "c"), ("c", "a")})


def test_the_page_has_a_paragraph_for_every_package():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, floors = drawing.read_lists()
    named = dict(re.findall(r"\*\*(\w+)\*\* \((?:floor )?(\d+)\)", page))
    assert {name: int(floor) for name, floor in named.items()} == floors


def test_modules_that_the_page_names_exist():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:bin|tools|tests|subworkflows|modules|assets|docs|conf|workflows)/[\w./]+)`", page)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
