"""docs/methods.md, followed literally: its files make methods that pass the check and do what the page says."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from pipeline_run import ROOT

from ct4bench.harmonization.methods import choose, find_methods
from ct4bench.harmonization.run_fold import Harmonized, Rows, harmonize_fold

PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RNG = np.random.default_rng(4)
TRAINING = Rows(RNG.normal(size=(90, 3)), np.repeat(["A1", "NA", "01"], 30).astype(object))
ADAPT, TARGETS = (Rows(RNG.normal(5, 1, (n, 3)), np.full(n, "no", object)) for n in (41, 20))


@pytest.mark.parametrize("name", ["median_shift", "median_shift_r"])
def test_the_page_builds_a_method(name, tmp_path):
    if name.endswith("_r") and shutil.which("Rscript") is None:
        pytest.skip("R is not installed (Rscript)")
    for path, text in FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (command,) = re.findall(rf"^make (check-method METHOD={name})$", PAGE, re.MULTILINE)
    target, method = command.split(" METHOD=")
    rule = (ROOT / "Makefile").read_text().split(f"{target}: ")[1].split("\n\t@")[1].split("\n")[0]
    script, argument = rule.split()[1:]
    assert argument == "$(METHOD)"
    done = subprocess.run(
        [sys.executable, ROOT / script, method, "--seed", "5"], cwd=tmp_path, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all checks passed" in done.stdout

    (variant,) = choose(find_methods([tmp_path / name]), name)
    result = harmonize_fold(variant, TRAINING, targets=TARGETS, adapt=ADAPT)
    assert isinstance(result, Harmonized), result
    median = np.median(TRAINING.X, axis=0)
    np.testing.assert_allclose(result.targets, TARGETS.X + median - np.median(ADAPT.X, axis=0), rtol=1e-14, atol=1e-14)
    for domain in ("A1", "NA", "01"):
        np.testing.assert_allclose(np.median(result.training[TRAINING.domain == domain], axis=0), median, atol=1e-14)


def test_the_page_has_two_methods_of_two_files():
    assert [path for path, _ in FILES] == [
        f"{name}/{file}" for name, end in (("median_shift", "py"), ("median_shift_r", "R"))
        for file in ("method.yml", f"method.{end}")
    ]  # fmt: skip
