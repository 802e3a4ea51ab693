"""The conformance run of methods of images: an honest one passes, and each fault is named."""

import pytest
from planted import plant

from ct4bench.harmonization.check import FAIL
from ct4bench.harmonization.check_volumes import ImageConformance, check_image_variant
from ct4bench.harmonization.run_fold import Sandbox

CODE = """
import time
import numpy as np

class Method:
    def __init__(self, *, seed):
        self.seed = seed
    def fit(self, volumes):
        self.means = {}
        for volume, spacing_mm, domain in volumes:
            self.means.setdefault(domain, float(volume.mean()))
            self.last = volume
        self.all = sum(self.means.values()) / len(self.means)
        return self
    def transform(self, volume, spacing_mm, domain):
        return RESULT
"""
SHIFT = "volume + np.float32(self.all - self.means.get(domain, self.all))"


@pytest.fixture(scope="module")
def sandboxes():
    with Sandbox(["numpy"]) as first, Sandbox(["numpy"], threads=2, hash_seed=4711) as second:
        yield first, second


@pytest.mark.parametrize(
    ("result", "declared", "failed"),
    [
        (SHIFT, {"unseen": "identity"}, []),
        ("volume[::2]", {}, ["runs, and gives volumes"]),
        ("self.last", {}, ["a volume stays that volume"]),
        ("volume / 1000", {"unseen": "identity"}, ["a domain that is not trained on"]),
        ("volume * 0", {}, ["a volume stays that volume"]),
        ("volume + time.time_ns() % 1000 / np.float32(100)", {},
         ["the same seed again", "hash seed", "another order", "a volume alone"]),
        ("volume + np.float32(self.all - self.means.get(domain, self.all))",
         {"level": "patch", "halo_voxels": [0, 0, 0], "unseen": "identity"}, []),
        ("volume - np.float32(0.1) * volume.mean()", {"level": "patch", "halo_voxels": [2, 2, 2]}, ["cut into other"]),
        ("volume + np.float32(0.1) * (np.roll(volume, 1, 2) - volume) * (np.arange(volume.shape[2]) > 0)",
         {"level": "patch", "halo_voxels": [0, 0, 0]}, ["cut into other"]),
        ("(volume + np.float32(0.1) * (np.roll(volume, 1, 2) - volume) * (np.arange(volume.shape[2]) > 0))"
         ".astype(np.float32)", {"level": "patch", "halo_voxels": [0, 0, 1]}, []),
        ("volume + np.float32(hash('a') % 100)", {}, ["hash seed"]),
    ],
)  # fmt: skip
def test_faults_are_named_and_an_honest_method_has_none(result, declared, failed, tmp_path, sandboxes):
    variant = plant(tmp_path, CODE.replace("RESULT", result), **{"level": "image"} | declared)
    verdicts = list(check_image_variant(ImageConformance(variant, 2, *sandboxes)))
    found = [verdict for verdict in verdicts if verdict.verdict == FAIL]
    assert len(found) == len(failed) and len(verdicts) > len(failed) - 1, verdicts
    for verdict, words in zip(found, failed, strict=True):
        assert words in verdict.check and verdict.mend
