"""What harmonized features still hold, on tables whose contents are known."""

import numpy as np
import pytest
from tests.leaderboard_data import centred_by, feature_table, means_by, names_of, replaced, shuffled, values_of

from ct4bench.leaderboard.content import LEAST_CONTENT, content_kept, dose_effects, dose_kept, verbatim_rows


@pytest.fixture(scope="module")
def table():
    return feature_table()


def test_shift_scale_and_units_keep_content(table):
    values = values_of(table)
    scale = np.logspace(-9, 9, values.shape[1])
    assert content_kept(replaced(table, 5 + scale * values), table) == pytest.approx(dict.fromkeys(
        ("A1", "A2", "B1", "C1", "G1"), 1.0))  # fmt: skip
    assert min(content_kept(centred_by(table, "scanner"), table).values()) == pytest.approx(1)


def test_spread_that_is_taken_from_tissues_is_lost(table):
    """Tissue means and a twentieth of what is left about them; by the formula of the score."""
    means = values_of(means_by(table, "tissue"))
    shrunk = replaced(table, means + 0.05 * (values_of(table) - means))
    kept = content_kept(shrunk, centred_by(table, "scanner"))
    assert max(content_kept(means_by(table, "tissue"), table).values()) < 1e-12
    assert max(content_kept(shrunk, table).values()) < LEAST_CONTENT and max(kept.values()) < LEAST_CONTENT
    half = replaced(table, means + 0.5 * (values_of(table) - means))
    assert min(content_kept(half, table).values()) > 0.4
    own = table[(table.scanner == "A1") & (table.recon == "IR")]
    one = own[["tissue", "f0"]]
    within = one["f0"] - one.groupby("tissue")["f0"].transform("mean")
    share = np.sqrt((within**2).mean() / ((one["f0"] - one["f0"].mean()) ** 2).mean())
    lone = own[[*own.columns[:10], "f0"]]
    flat = replaced(lone, lone[["f0"]].to_numpy() ** 3)
    cubed = flat["f0"] - flat.groupby("tissue")["f0"].transform("mean")
    expected = np.sqrt((cubed**2).mean() / ((flat["f0"] - flat["f0"].mean()) ** 2).mean()) / share
    assert content_kept(flat, lone) == pytest.approx({"A1": expected})


def test_a_constant_table_has_no_content(table):
    constant = replaced(table, np.ones_like(values_of(table)))
    assert set(content_kept(constant, table).values()) == {0.0}
    assert verbatim_rows(constant, table).all()


def test_rows_of_other_series_are_found(table):
    assert not verbatim_rows(table, table).any()
    assert not verbatim_rows(centred_by(table, "scanner"), table).any()
    values = values_of(table)
    values[7], values[311] = values[900], values[12] * (1 + 1e-9)
    found = verbatim_rows(replaced(table, values), table)
    assert list(np.flatnonzero(found)) == [7, 311] or set(np.flatnonzero(found)) == {7, 311, 900, 12}
    assert verbatim_rows(shuffled(table), table).mean() > 0.95
    assert verbatim_rows(means_by(table, "tissue"), table).all()
    # rows that a method copies after it has changed all of them
    moved = 2 * values_of(table) + 3
    moved[5] = moved[1000]
    assert verbatim_rows(replaced(table, moved), table)[5]


def test_one_feature_tells_no_rows_apart(table):
    lone = table[[*table.columns[:10], "f0"]]
    assert not verbatim_rows(replaced(lone, np.round(lone[["f0"]].to_numpy())), lone).any()


def test_dose_effect_in_closed_form():
    table = feature_table(n_features=3, doses=(1, 3, 14), n_patches=2, scanners=("A1", "B1"), dose_step=2.0)
    kept = dose_kept(table, table)
    assert kept["A1"] == pytest.approx((1, 1)) and sorted(kept) == ["A1", "B1"]
    values = values_of(table)
    scanner_mean = values_of(means_by(table.assign(cell=table.scanner + table.dose_mgy.astype(str)).drop(columns=[])
                                      [[*table.columns]], "scanner"))  # fmt: skip
    # all doses of a scanner get its mean: no effect is left
    by_dose = table.groupby(["scanner", "dose_mgy"])[names_of(table)].transform("mean").to_numpy()
    gone = dose_kept(replaced(table, values - by_dose + scanner_mean), table)
    assert max(size for size, _ in gone.values()) < 0.35
    turned = dose_kept(replaced(table, values - 2 * (by_dose - scanner_mean)), table)
    for size, cosine in turned.values():
        assert size == pytest.approx(1, abs=0.25) and cosine < -0.9
    units = dose_kept(replaced(table, 1e6 * values), table)
    assert units["B1"] == pytest.approx((1, 1))


def test_dose_effect_is_in_sd_within_regions():
    """One feature, one region's step known: mean at 1 mGy less mean at 14 mGy by the pooled SD."""
    table = feature_table(n_features=1, doses=(1, 14), scanners=("A1",), recons=("IR",), n_patches=3, dose_step=1.0)
    cell = table.groupby(["dose_mgy", "roi"])["f0"]
    sd = np.sqrt(((table["f0"] - cell.transform("mean")) ** 2).mean())
    means = cell.mean().unstack()
    expected = (means.loc[1] - means.loc[14]) / sd
    assert np.allclose(dose_effects(table)["A1"], expected.to_numpy())
    assert dose_effects(feature_table(n_features=1, scanners=("A1",))) == {}
