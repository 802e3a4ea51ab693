"""The check of pairs: its own metrics are those of scikit-image, and a wrong kernel ends the task."""

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from ct4bench.core.checks import Checks
from ct4bench.core.errors import UserError
from ct4bench.pairs import compare, verify
from ct4bench.pairs.plan import PLAN_COLUMNS


@pytest.fixture
def volumes(rng) -> dict[str, np.ndarray]:
    smooth = 100 * np.sin(np.arange(80) / 9)[:, None, None] * np.ones((80, 84, 88))
    return {
        uid: (smooth + rng.normal(0, 15, smooth.shape) + shift).astype(np.int16) for uid, shift in (("a", 0), ("b", 9))
    }


def plan_of(*rows) -> pd.DataFrame:
    return pd.DataFrame(
        [("t", "tables3to5", "all_pairs", n, "a", "b", "A1", "B1", "IR", "IR", 10.0, 10.0, False, region, shrink)
         for n, (region, shrink) in enumerate(rows)],
        columns=PLAN_COLUMNS,
    )  # fmt: skip


def region_of(name: str, factor: int) -> compare.PairRegion:
    box = (slice(2, 78), slice(4, 80), slice(0, 84))
    mask = np.ones((76, 76, 84), np.uint8)
    if name == "mask":
        mask[:, :6] = 0
    return compare.PairRegion.of_mask(box, factor, mask)


def test_metrics_are_scikit_images(volumes):
    a, b = (volume[:30].astype(float) for volume in volumes.values())
    found = verify.plain_metrics(a, b, np.ones(a.shape, np.uint8))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 3000}
    assert found["ssim"] == pytest.approx(structural_similarity(a, b, **options), rel=1e-12)
    assert found["rmse_hu"] == pytest.approx(np.sqrt(((a - b) ** 2).mean()), rel=1e-12)


def test_every_region_of_a_task_has_a_pair_checked(volumes):
    checks = Checks()
    plan = plan_of(("box", 1), ("mask", 4))
    table = compare.compare_plan(plan, lambda uid, box: volumes[uid][box], region_of, checks=checks)
    assert {kind: own["n"] for kind, own in checks.found.items()} == dict.fromkeys(verify.CHECKED, 2)
    assert checks.found["rmse_hu"]["largest"] < 1e-4 and checks.found["ssim"]["largest"] < 1e-6
    # the plain box holds more bins than are checked, the shrunk one is checked whole
    shapes = [region_of("box", 1).inside.shape, region_of("mask", 4).inside.shape]
    assert [verify.middle_box(shape) == tuple(slice(0, n) for n in shape) for shape in shapes] == [False, True]
    inside = region_of("mask", 4)
    a, b = (verify.binned(volumes[uid][inside.box], 4) for uid in "ab")
    assert table["rmse_hu"][1] == pytest.approx(verify.plain_metrics(a, b, inside.inside)["rmse_hu"], abs=1e-4)


@pytest.mark.parametrize("name", ["squared", "unlike"])
@pytest.mark.parametrize("region", [("box", 1), ("mask", 4)])
def test_a_kernel_that_computes_wrongly_ends_the_task(volumes, monkeypatch, name, region):
    true = compare.pair_sums

    def wrong(*arguments):
        squared, unlike = true(*arguments)
        return (squared * 1.0005, unlike) if name == "squared" else (squared, unlike * 1.01)

    monkeypatch.setattr(compare, "pair_sums", wrong)
    words = {"squared": "RMSE of pairs differ from NumPy's", "unlike": "SSIM of pairs differ from SciPy's"}[name]
    with pytest.raises(UserError, match=f"series a and b: {words}"):
        compare.compare_plan(plan_of(region), lambda uid, box: volumes[uid][box], region_of)
