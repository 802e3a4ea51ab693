"""Probes: what they tell of features whose scanners are known, and what guessing scores."""

import numpy as np
import pandas as pd
import pytest
from tests.leaderboard_data import centred_by, feature_table, replaced, shuffled, values_of

from ct4bench.leaderboard.probes import chance_of, halves_of_scans, probe_predictions, recalls, standardised


@pytest.fixture(scope="module")
def table():
    return feature_table(shift=3.0)


def test_scans_are_whole_and_halves_hold_each_scanner_and_dose():
    table = feature_table(doses=(1, 10), n_patches=1)
    first = halves_of_scans(table, seed=3)
    assert (table.assign(first=first).groupby("scan_id")["first"].nunique() == 1).all()
    scans = table.assign(first=first).drop_duplicates("scan_id")
    assert (scans.groupby(["scanner", "dose_mgy"])["first"].mean() == 0.5).all()
    assert np.array_equal(first, halves_of_scans(table, seed=3))
    # the order of the table is no matter
    mixed = table.sample(frac=1, random_state=0)
    assert np.array_equal(halves_of_scans(mixed, 3), first[mixed.index])
    assert halves_of_scans(feature_table(n_repetitions=1), 0) is None


def test_both_probes_tell_shifted_scanners(table):
    for probe in ("linear", "nonlinear"):
        found = probe_predictions(table, "scanner", probe)
        assert recalls(found).mean() > 0.9
        low, high = chance_of(found)
        assert low == pytest.approx(0.2, abs=0.02) and 0.2 < high < 0.5


def test_a_linear_probe_does_not_see_what_trees_see(table):
    """Scanners without shifts that differ in the sign of a product of two features."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=values_of(table).shape)
    group = table["scanner"].isin(["A1", "B1"]).to_numpy()
    values[:, 1] = np.where(group, np.abs(values[:, 1]), -np.abs(values[:, 1])) * np.sign(values[:, 0])
    two = replaced(table, values).assign(scanner=np.where(group, "A1", "B1"))
    linear, trees = (recalls(probe_predictions(two, "scanner", probe)).mean() for probe in ("linear", "nonlinear"))
    assert linear < 0.65 and trees > 0.8


def test_without_a_trace_probes_guess(table):
    for probe in ("linear", "nonlinear"):
        found = probe_predictions(shuffled(table), "scanner", probe)
        mean, high = chance_of(found)
        assert recalls(found).mean() < high and mean == pytest.approx(0.2, abs=0.02)
    centred = probe_predictions(centred_by(table, "scanner"), "scanner", "linear")
    assert recalls(centred).mean() < 0.35


def test_a_probe_is_trained_on_the_other_scans():
    """Values that are a scan's own: a probe that had seen the scan would tell its scanner, this one guesses."""
    table = feature_table(shift=0.0, n_repetitions=6)
    numbers, names = pd.factorize(table["scan_id"], sort=True)
    own = np.random.default_rng(1).normal(0, 50, (len(names), 8))[numbers]
    found = probe_predictions(replaced(table, values_of(table) + own), "scanner", "nonlinear")
    assert recalls(found).mean() < 0.5


def test_makers_and_what_cannot_be_asked(table):
    found = probe_predictions(table, "maker", "linear")
    assert set(found["target"]) == {"Siemens", "Philips", "GE", "Toshiba"} and recalls(found).mean() > 0.9
    assert probe_predictions(table[table["maker"] == "Siemens"], "maker", "linear") is None
    assert probe_predictions(replaced(table, np.ones_like(values_of(table))), "scanner", "linear") is not None


def test_features_that_are_constant_are_left_out():
    values = np.array([[1.0, 2, np.nan], [1, 4, 0], [1, 6, 1]])
    assert np.allclose(standardised(values)[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)])
    assert standardised(values).shape == (3, 1)
    assert np.allclose(standardised(1e200 * values), standardised(values))
