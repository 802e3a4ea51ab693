"""Volumes through a method of images: they come one by one, and what comes back is looked at."""

import numpy as np
import pytest
from planted import plant

from ct4bench.harmonization.run_fold import Failure, NotApplicable, Sandbox
from ct4bench.harmonization.run_volumes import Done, Volume, harmonize_volumes

RNG = np.random.default_rng(2)
TRAINING = [Volume(RNG.normal(i, 1, (3, 4, 5)).astype(np.float32), (1.0, 0.5, 0.5), f"S{i}") for i in range(3)]
TARGETS = [Volume(RNG.normal(9, 1, (2, 3 + i, 4)).astype(np.float32), (1.0, 0.5, 0.5), "T") for i in range(2)]
MEAN = """
class Method:
    def __init__(self, *, seed, gain=1.0):
        self.gain = gain
    def fit(self, volumes):
        self.seen = [(float(v.mean()), spacing, domain) for v, spacing, domain in volumes]
        return self
    def transform(self, volume, spacing_mm, domain):
        assert spacing_mm == (1.0, 0.5, 0.5) and domain == "T"
        return volume * self.gain + sum(mean for mean, *_ in self.seen)
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["numpy"]) as one:
        yield one


def run(tmp_path, sandbox, code, **declared):
    variant = plant(tmp_path, code, level="image", **declared)
    kept = {}
    names = [volume.domain for volume in TRAINING]
    done = harmonize_volumes(variant, TRAINING, TARGETS, kept.__setitem__, domains=names, sandbox=sandbox)
    return done, kept


def test_volumes_are_handed_over_one_by_one(tmp_path, sandbox):
    done, kept = run(tmp_path, sandbox, MEAN, parameters={"gain": 2.0})
    assert isinstance(done, Done), done
    shift = sum(float(volume.hu.mean()) for volume in TRAINING)
    for i, target in enumerate(TARGETS):
        np.testing.assert_array_equal(kept[i], target.hu * np.float32(2) + shift)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("return volume *", "return volume[1:] *", "for a volume of"),
        ("+ sum", "+ float('nan') * sum", "missing or infinite"),
        ("return volume *", "return (volume *", "gave int64, not float32"),
        ("return volume *", "return 1 or volume *", "gave a int"),
    ],
)
def test_a_volume_that_is_none_is_refused(old, new, words, tmp_path, sandbox):
    code = MEAN.replace(old, new)
    done, _ = run(tmp_path, sandbox, code.rstrip() + ").astype(int)\n" if "(volume *" in new else code)
    assert isinstance(done, Failure)
    assert words in done.reason


def test_too_few_domains_are_said_before_anything_runs(tmp_path, sandbox):
    done, _ = run(tmp_path, sandbox, MEAN, min_domains=4)
    assert done == NotApplicable("needs 4 training domains, and has 3")
