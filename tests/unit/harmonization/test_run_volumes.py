"""Volumes through a method of images: they come one by one, and what comes back is looked at."""

import numpy as np
import pytest
from planted import plant

from ct4bench.harmonization.run_fold import Failure, NotApplicable, Sandbox
from ct4bench.harmonization.run_volumes import Done, Volume, harmonize_volumes, patches_of

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


LOCAL = """
import numpy as np
class Method:
    def __init__(self, *, seed):
        pass
    def fit(self, volumes):
        self.shift = np.float32(sum(float(volume.mean()) for volume, *_ in volumes))
        return self
    def transform(self, volume, spacing_mm, domain):
        rows = np.pad(volume, ((0, 0), (0, 0), (2, 2)), mode="edge")
        volume = sum(rows[:, :, i : i + volume.shape[2]] for i in range(5))
        slices = np.pad(volume, ((1, 1), (0, 0), (0, 0)), mode="edge")
        return sum(slices[i : i + len(volume)] for i in range(3)) + self.shift
"""
"""Sums over five columns and three slices: what it says of a voxel depends on these alone."""


def mapped(tmp_path, sandbox, **how):
    target = Volume(np.random.default_rng(3).normal(0, 99, (11, 12, 23)).astype(np.float32), (1.0, 0.5, 0.5), "T")
    kept = {}
    code, patch = how.pop("code", LOCAL), how.pop("patch", (4, 5, 6))
    variant = plant(tmp_path, code, **how)
    done = harmonize_volumes(
        variant, TRAINING, [target], kept.__setitem__, domains=["S0"], sandbox=sandbox, patch=patch
    )
    return done, kept.get(0)


def test_patches_cover_a_volume_once():
    rng = np.random.default_rng(4)
    for _ in range(50):
        shape, patch, halo = rng.integers(1, 14, 3), rng.integers(1, 9, 3), rng.integers(0, 5, 3)
        volume, count = rng.normal(size=shape), np.zeros(shape, int)
        for given, kept, place in patches_of(shape, patch, halo):
            count[place] += 1
            np.testing.assert_array_equal(volume[given][kept], volume[place])
            for axis, part in enumerate(given):  # the halo is there wherever the volume is
                assert part.start == max(place[axis].start - halo[axis], 0)
                assert part.stop == min(place[axis].stop + halo[axis], shape[axis])
        assert (count == 1).all()


def test_patches_with_a_halo_make_the_volume_of_the_whole(tmp_path, sandbox):
    """Equal to the last bit for a filter that reaches as far as the halo; not where the halo is too small."""
    _, whole = mapped(tmp_path / "whole", sandbox, level="image")
    done, parts = mapped(tmp_path / "parts", sandbox, level="patch", halo_voxels=[1, 0, 2])
    assert isinstance(done, Done), done
    np.testing.assert_array_equal(parts, whole)
    _, less = mapped(tmp_path / "less", sandbox, level="patch", halo_voxels=[1, 0, 1])
    assert (less != whole).any()
    np.testing.assert_array_equal(less[:, :, :4], whole[:, :, :4])  # but within a patch


def test_a_patch_knows_no_other_patch(tmp_path, sandbox):
    counting = LOCAL.replace("        rows", "        self.shift += 1\n        rows")
    assert counting != LOCAL
    _, one = mapped(tmp_path / "one", sandbox, code=counting, level="patch", halo_voxels=[1, 0, 2])
    _, whole = mapped(tmp_path / "whole", sandbox, code=counting, level="image")
    np.testing.assert_array_equal(one, whole)


def test_why_a_patch_is_none_is_told_with_its_domain(tmp_path, sandbox):
    refusing = LOCAL.replace("        rows", "        raise NotApplicable('no way')\n        rows")
    code = f"class NotApplicable(Exception):\n    pass\n{refusing}"
    done, _ = mapped(tmp_path / "a", sandbox, code=code, level="patch", halo_voxels=[0, 0, 0])
    assert done == NotApplicable("no way (domain T)")
    code = LOCAL.replace("return sum(slices", "return volume[:1]  # sum(slices")
    done, _ = mapped(tmp_path / "b", sandbox, code=code, level="patch", halo_voxels=[0, 0, 0])
    assert isinstance(done, Failure) and "for a volume of (4, 5, 6)" in done.reason
