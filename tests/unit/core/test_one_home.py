"""What the benchmark knows stands once: orders, domains, the main dose, sizes of pixels, boxes of masks."""

import json
import re

import numpy as np
import pytest
from pipeline_run import ROOT

from ct4bench.core.benchmark import (
    BOX_SPACING_MM,
    DOMAINS,
    FEATURE_KEY,
    RECONSTRUCTIONS,
    ROIS,
    SCANNERS,
    recon_rank,
    roi_rank,
    scanner_rank,
)
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import bounding_box
from ct4bench.core.json_files import read_object, read_reference_values

SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "bin").rglob("*.py"))}
HOMES = {
    r"0\.68359375": "core/benchmark.py",
    r"^MAIN_DOSE_MGY\b.*=": "core/benchmark.py",
    r"^DOMAINS\b.*=": "core/benchmark.py",
    r"^def (_?)(scanner|recon|roi)_rank\(": "core/benchmark.py",
    r"^def (_?)extractor_rank\(": "core/extractors.py",
    r"^def (_?)feature_columns\(": "core/feature_tables.py",
    r"not in FEATURE_KEY": "core/feature_tables.py",
    r"\.any\(axis=tuple\(": "core/geometry.py",
    r"\"reference\.json\"": "core/json_files.py",
}
"""What tells that something is known, and the one module of the package that may."""


@pytest.mark.parametrize("pattern", HOMES)
def test_it_has_one_home(pattern):
    found = {name.removeprefix("bin/ct4bench/") for name, text in SOURCES.items() if re.search(pattern, text, re.M)}
    assert found == {HOMES[pattern]}


@pytest.mark.parametrize(("rank", "order"), [(scanner_rank, SCANNERS), (recon_rank, RECONSTRUCTIONS), (roi_rank, ROIS)])
def test_ranks_follow_the_papers_order_then_names(rank, order):
    assert sorted([*reversed(order), "zz", "aa"], key=rank) == [*order, "aa", "zz"]


def test_domains_are_those_of_the_schema_and_columns_of_features():
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    (rule,) = [group["properties"]["domain"] for group in groups if "domain" in group["properties"]]
    assert rule["enum"] == list(DOMAINS)
    assert set(DOMAINS) < set(FEATURE_KEY)


def test_the_pixels_are_350_mm_over_512():
    assert BOX_SPACING_MM == (1.0, 350 / 512, 350 / 512)


def test_a_box_holds_all_that_is_set_and_no_more():
    rng = np.random.default_rng(3)
    for shape in ((7, 9, 11), (5, 6)):
        mask = np.zeros(shape, np.uint8)
        at = np.stack([rng.integers(1, n - 1, 3) for n in shape])
        mask[tuple(at)] = 2
        box = bounding_box(mask)
        assert [(part.start, part.stop) for part in box] == [(row.min(), row.max() + 1) for row in at]
    assert bounding_box(np.zeros((3, 4, 5), bool)) is None
    assert bounding_box(np.ones((3, 4), bool)) == (slice(0, 3), slice(0, 4))


@pytest.mark.parametrize("text", ["{", "[1]", None])
def test_json_that_holds_no_object_is_refused(text, tmp_path):
    if text is not None:
        (tmp_path / "reference.json").write_text(text)
    with pytest.raises(UserError, match=r"reference\.json is not a reference: .*; run prepare_reference\.py again"):
        read_reference_values(tmp_path)
    with pytest.raises(UserError, match="make it again with the stage before"):
        read_object(tmp_path / "reference.json")
