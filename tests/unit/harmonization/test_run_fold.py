"""A fold of a method: what it gets, in which order, and what becomes of it."""

import numpy as np
import pytest

from ct4bench.harmonization.methods import choose, find_methods
from ct4bench.harmonization.run_fold import (
    Harmonized,
    NotApplicable,
    Rows,
    Sandbox,
    harmonize_fold,
    imports_of,
)

RNG = np.random.default_rng(1)
TRAINING = Rows(RNG.normal(size=(120, 5)) * [1, 2, 3, 4, 0], np.repeat(["A1", "B1", "NA"], 40))
TARGET = Rows(RNG.normal(size=(60, 5)) + 4, np.repeat("01", 60))
ADAPT = Rows(RNG.normal(size=(60, 5)) + 4, np.repeat("01", 60))


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["numpy", "pandas"]) as one:
        yield one


@pytest.fixture(scope="module")
def zscore():
    (variant,) = choose(find_methods(), "zscore_by_domain")
    return variant


def test_none_gives_what_it_gets():
    (none,) = choose(find_methods(), "none")
    result = harmonize_fold(none, TRAINING, targets=TARGET)
    assert result.training is TRAINING.X and result.targets is TARGET.X


def test_rows_come_back_in_the_order_in_which_they_were_given(zscore, sandbox):
    result = harmonize_fold(zscore, TRAINING, targets=TARGET, adapt=ADAPT, sandbox=sandbox)
    assert isinstance(result, Harmonized), result
    mean, spread = TRAINING.X.mean(axis=0), TRAINING.X.std(axis=0)
    for name in ("A1", "B1", "NA"):
        own = np.asarray(TRAINING.domain) == name
        rows = TRAINING.X[own]
        spread_here = rows.std(axis=0)
        scaled = (rows - rows.mean(axis=0)) / np.where(spread_here > 0, spread_here, 1) * spread + mean
        np.testing.assert_allclose(result.training[own], scaled, rtol=1e-12, atol=1e-12)
    scaled = (TARGET.X - ADAPT.X.mean(axis=0)) / ADAPT.X.std(axis=0) * spread + mean
    np.testing.assert_allclose(result.targets, scaled, rtol=1e-12, atol=1e-12)
    again = harmonize_fold(zscore, TRAINING, targets=TARGET, adapt=ADAPT, sandbox=sandbox)
    assert again.targets.tobytes() == result.targets.tobytes()


def test_what_a_method_needs_is_looked_at_before_it_is_called(zscore, sandbox):
    for training, adapt, words in (
        (TRAINING, None, "needs rows of the target to adapt to: 01"),
        (TRAINING.take(np.r_[:40, 79]), ADAPT, "needs 2 rows of each domain; B1 has 1"),
    ):
        result = harmonize_fold(zscore, training, targets=TARGET, adapt=adapt, sandbox=sandbox)
        assert result == NotApplicable(words)


def test_imports_of_a_file_are_loaded_beforehand(zscore):
    assert imports_of([zscore]) == ["numpy"]
