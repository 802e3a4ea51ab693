"""The conformance run has no false alarm: honest methods of each kind pass, shipped ones and others."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from pipeline_run import ROOT
from planted import plant

from ct4bench.harmonization.check import (
    CHECKS,
    FAIL,
    NOTE,
    PASS,
    Conformance,
    check_method,
    check_variant,
    draw_exam,
)
from ct4bench.harmonization.check_volumes import check_images
from ct4bench.harmonization.methods import choose, find_methods, variants_of
from ct4bench.harmonization.run_fold import Sandbox, imports_of

FEATURE_LEVEL = [name for name, d in find_methods().items() if d.level == "feature" and name != "none"]
QUICK = [*FEATURE_LEVEL, "combat.covbat", "paired_map.shift_scale", "shuffled.within_tissue"]
"""Each of them once, and all levels of information."""
IMAGE_LEVEL = [name for name, d in find_methods().items() if d.level == "image"]
REFUSING = """
class NotApplicable(Exception):
    pass
class Method:
    def __init__(self, *, seed, least):
        self.least = least
    def fit(self, X, domain):
        if domain.nunique() < self.least:
            raise NotApplicable(f"needs {self.least} domains")
        self.mean, self.means = X.mean(), X.groupby(domain).mean()
        return self
    def transform(self, X, domain):
        return (X - self.means.loc[domain].set_axis(X.index) + self.mean).where(X.nunique() > 0, X)
"""
PROGRAM = """#!/usr/bin/env python3
import csv, json, os, sys
op, given, made = sys.argv[1], sys.argv[3], sys.argv[5]
rows = list(csv.DictReader(open(f"{given}/X.csv")))
features = [name for name in rows[0] if name != "row"]
if op == "fit":
    json.dump({f: min(float(row[f]) for row in rows) for f in features}, open(f"{made}/low.json", "w"))
else:
    low = json.load(open(f"{given}/state/low.json"))
    gain = json.load(open(f"{given}/parameters.json"))["gain"]
    with open(f"{made}/X.csv", "w", newline="") as file:
        out = csv.DictWriter(file, ["row", *features])
        out.writeheader()
        for row in reversed(rows):
            moved = {f: repr(low[f] + gain * (float(row[f]) - low[f])) for f in features}
            out.writerow({"row": row["row"], **moved})
"""


@pytest.fixture(scope="module")
def sandboxes():
    libraries = imports_of([*choose(find_methods(), ",".join(QUICK))])
    with Sandbox(libraries) as first, Sandbox(libraries, threads=2, hash_seed=4711) as second:
        yield first, second


def failures(variant, sandboxes, seed=3):
    verdicts = list(check_variant(Conformance(variant, seed, *sandboxes)))
    assert {verdict.verdict for verdict in verdicts} <= {PASS, NOTE, FAIL} and len(verdicts) > 10
    return [verdict for verdict in verdicts if verdict.verdict == FAIL]


@pytest.mark.parametrize("name", QUICK)
def test_every_shipped_method_passes(name, sandboxes):
    (variant,) = choose(find_methods(), name)
    assert failures(variant, sandboxes) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FEATURE_LEVEL)
def test_every_shipped_method_passes_with_all_variants(name):
    for seed in (1, 2):
        verdicts = list(check_method(variants_of(find_methods()[name]), seed))
        assert [verdict for verdict in verdicts if verdict.verdict == FAIL] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGE_LEVEL)
def test_every_shipped_method_of_images_passes_with_all_variants(name):
    less = {"cnn_to_reference": {"steps": 20}}.get(name, {})  # of 600, which take over three minutes
    variants = [replace(v, parameters=v.parameters | less) for v in variants_of(find_methods()[name])]
    verdicts = list(check_images(variants, 3))
    assert len(verdicts) >= 3
    assert [verdict for verdict in verdicts if verdict.verdict == FAIL] == []


def test_a_method_that_refuses_unseen_domains_passes(tmp_path, sandboxes):
    variant = plant(tmp_path, REFUSING, unseen="refuse", parameters={"least": 2}, min_domains=2)
    assert failures(variant, sandboxes) == []


LABELLED = """
class Method:
    def __init__(self, *, seed, leaks):
        self.leaks = leaks
    def fit(self, X, domain, covariates):
        return self
    def transform(self, X, domain, covariates):
        return X.add(1e14 * self.leaks * covariates["tissue"].map(hash_of), axis=0)
def hash_of(tissue):
    return sum(map(ord, tissue)) % 97
"""


@pytest.mark.parametrize("leaks", [True, False])
def test_permuted_labels_come_out_of_a_method_that_lets_them_leak(leaks, tmp_path, sandboxes):
    """Tissues that are drawn anew cannot be told from what was measured: who tells them has them from the labels."""
    variant = plant(
        tmp_path, LABELLED, information="labels", role="control", covariates=["tissue"], parameters={"leaks": leaks}
    )
    (check,) = (check for check in CHECKS if check.__name__ == "_labels")
    (verdict,) = check(Conformance(variant, 3, *sandboxes), None)
    told, without = (int(share) for share in re.findall(r"(\d+) %", verdict.words))
    assert verdict.verdict == NOTE and verdict.check == "permuted labels" and "never ranked" in verdict.words
    assert without < 50
    assert told == (100 if leaks else without)


def test_a_reason_for_no_result_is_said_with_what_to_mend(tmp_path, sandboxes):
    variant = plant(tmp_path, REFUSING, unseen="refuse", parameters={"least": 99})
    (verdict,) = check_variant(Conformance(variant, 3, *sandboxes))
    assert verdict.verdict == FAIL and "not applicable: needs 99 domains" in verdict.words
    assert "min_domains" in verdict.mend


def test_a_program_of_any_language_passes(tmp_path, sandboxes):
    variant = plant(tmp_path, PROGRAM, entry="method", parameters={"gain": 0.5})
    assert failures(variant, sandboxes) == []


def test_the_exam_is_drawn_anew_and_has_what_hides_faults(tmp_path):
    variant = plant(tmp_path, REFUSING, parameters={"least": 2}, min_rows=1)
    one, other = draw_exam(variant, 1).training, draw_exam(variant, 2).training
    assert len(one) != len(other) or (one.X != other.X).any()
    counts = one.covariates.groupby([one.domain, "tissue"]).size().unstack(fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0).drop(index="X")
    assert (shares.max() - shares.min()).max() > 0.3  # tissues differ by domain
    assert counts.loc["X"].sum() == 1 and {"NA", "no", "01"} < set(one.domain)
    whole = (one.X.round() == one.X).all(axis=0)  # a count, which R's and other readers of CSV take for integers
    assert [name for name, is_whole in zip(one.features, whole, strict=True) if is_whole] == ["count"]
    assert len(draw_exam(plant(tmp_path, REFUSING, parameters={"least": 2}, min_rows=500), 1).training) > 4 * 1000


def test_the_command_says_what_cannot_be_read(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "method.yml").write_text("name: ../mine\n")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_method.py", tmp_path / "mine"], text=True, capture_output=True
    )
    assert done.returncode == 2 and done.stdout.startswith("FAIL  method.yml: ")
