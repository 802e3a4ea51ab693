"""Harmonizers and their ranks, on features whose shift between scanners is known."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import rank_harmonizers as tool

TISSUES = np.repeat(["cyst", "normal"], 30)


def table(seed, shift, stretch=1.0):
    """Two scanners with the same patches of two tissues; B1 shows features stretched and shifted."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 4)) + 2 * (TISSUES == "normal")[:, None]
    parts = []
    for code, values in (("A1", x), ("B1", stretch * x + shift)):
        parts.append(pd.DataFrame(values, columns=[f"f{n}" for n in range(4)]).assign(scanner=code, tissue=TISSUES))
    return pd.concat(parts, ignore_index=True)


def split(frame):
    return frame.filter(like="f").to_numpy(), frame["scanner"].to_numpy(str)


def test_at_least_twelve_of_different_names_and_parameters():
    kinds = {(one.function, tuple(one.parameters.items())) for one in tool.HARMONIZERS.values()}
    assert len(kinds) == len(tool.HARMONIZERS) >= 12


@pytest.mark.parametrize("name", ["standardize", "standardize_by_quartiles", "standardize_by_tails", "quantiles_50"])
def test_what_takes_shift_and_stretch_gives_back_the_reference(name):
    x, scanner = split(table(0, 5.0, 3.0))
    found = tool.HARMONIZERS[name](x, scanner)
    np.testing.assert_allclose(found[scanner == "B1"], x[scanner == "A1"], atol=1e-9)
    np.testing.assert_allclose(found[scanner == "A1"], x[scanner == "A1"], atol=1e-9)


def test_coral_gives_the_covariance_of_the_reference():
    x, scanner = split(table(1, 5.0, 3.0))
    found = tool.Harmonizer(tool.coral, parameters={"shrinkage": 0.0})(x, scanner)
    of = [np.cov(found[scanner == "B1"], rowvar=False), np.cov(x[scanner == "A1"], rowvar=False)]
    np.testing.assert_allclose(*of, atol=1e-6)


@pytest.mark.parametrize("name", list(tool.HARMONIZERS))
def test_each_gives_finite_values_of_the_same_shape(name):
    x, scanner = split(table(2, 5.0, 3.0))
    found = tool.HARMONIZERS[name](x.copy(), scanner)
    assert found.shape == x.shape and np.isfinite(found).all()


def test_a_shift_is_harmful_and_taken_away():
    names = ("none", "centre", "combat", "combat_means", "drop_3_axes")
    found = tool.scores(table(3, 8.0), {name: tool.HARMONIZERS[name] for name in names})
    assert found["none"] < 0.7
    assert found.drop(["none", "drop_3_axes"]).min() > 0.95


def test_tau_counts_exchanged_pairs():
    """Of twelve in order, one exchange of neighbours is two parts in 66."""
    one = pd.Series(np.arange(12.0))
    other = one.copy()
    other[[4, 5]] = other[[5, 4]].to_numpy()
    found = tool.compare([one, one], [other, one])
    assert found["between_prints"] == pytest.approx((64 / 66 + 1) / 2)
    assert found["between_seeds"] == pytest.approx((1 + 64 / 66) / 2)
    assert tool.tau(one, other) == pytest.approx(kendalltau(one, other).statistic)
