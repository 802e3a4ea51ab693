"""A fold of a method: what it gets, in which order, and what becomes of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from learning_data import keys_table
from planted import plant

from ct4bench.core.modes import PAPER
from ct4bench.harmonization import fold_server
from ct4bench.harmonization.features_of import MethodFeatures
from ct4bench.harmonization.methods import choose, find_methods
from ct4bench.harmonization.run_fold import (
    Failure,
    Harmonized,
    NotApplicable,
    Rows,
    Sandbox,
    harmonize_fold,
    imports_of,
    not_applicable,
    resolve_parameters,
)
from ct4bench.splits.fold import Fold
from ct4bench.splits.plan import plan_tasks
from ct4bench.splits.splits import resolve, sorted_keys
from ct4bench.splits.tasks import Plan

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


COUNTING = """
class Method:
    def __init__(self, *, seed):
        self.rows = {}
    def fit(self, X, domain, pair):
        return self
    def adapt(self, X, domain, pair):
        self.rows = domain.value_counts().to_dict()
        return self
    def transform(self, X, domain):
        return X.add(domain.map(self.rows).fillna(0), axis=0)
"""


def test_five_calibration_series_reach_a_fold_of_a_run(tmp_path):
    """Ten scans of a target: five are tested, and all of the others are given where five are declared."""
    keys = sorted_keys(
        keys_table(["A1", "B1", "E1"], repetitions=10, recons=("IR",), rois=("cyst1", "normal1"), patches=2)
    )
    values = np.zeros((len(keys), 1))
    for given in (1, 5):
        variant = plant(tmp_path / str(given), COUNTING, information="calibration", calibration_series=given,
                        unseen="adapt")  # fmt: skip
        plan = Plan(keys, PAPER, sizes=(2,), adaptation=variant.declaration.calibration_series)
        splits, _ = plan_tasks(plan, ["none"], ["none"], all_cells=False)
        (split,) = (one for one in resolve(splits, keys) if (one.scheme, one.n_train, one.fold) == ("loso", 2, "B1"))
        with MethodFeatures(variant, keys, ["f"], values) as features_of:
            found = features_of(Fold(split))[len(split.training) :]
        # rows of a scan are its two regions' two patches
        assert set(found[:, 0]) == {4.0 * given} and len(found) == 4 * 5


def test_imports_of_a_file_are_loaded_beforehand(zscore):
    assert imports_of([zscore]) == ["numpy"]


def test_a_reference_that_is_not_trained_on_gives_way_to_the_first_domain():
    (reference, plain) = choose(find_methods(), "combat.reference,combat")
    assert resolve_parameters(reference, ["B1", "A1"])[0]["reference"] == "A1"
    parameters, notes = resolve_parameters(reference, ["C1", "B1"])
    assert parameters["reference"] == "B1"
    assert notes == ("reference B1 in place of A1, which is not trained on",)
    assert resolve_parameters(plain, ["B1"])[0]["reference"] is None


def test_what_is_missing_is_said_by_name():
    combat, acquisition, paired = choose(find_methods(), "combat,combat.acquisition,paired_map")
    first = TRAINING.take(np.arange(40))
    assert not_applicable(combat, first, TARGET, None) == "needs 2 training domains, and has 1"
    assert (
        not_applicable(acquisition, TRAINING, TARGET, None) == "needs dose_mgy, recon of each row, which is not known"
    )
    told = replace(TRAINING, covariates=pd.DataFrame({"dose_mgy": 1.0, "recon": "IR"}, index=range(120)))
    assert not_applicable(acquisition, told, TARGET, None) == ""
    assert not_applicable(paired, TRAINING, TARGET, ADAPT) == "needs to know which rows are the same patch"
    refusing = replace(combat, declaration=replace(combat.declaration, unseen="refuse"))
    assert not_applicable(refusing, TRAINING, TARGET, None) == "refuses domains that it has not seen: 01"


PROGRAM = """#!/bin/sh
test "$1" = transform || exit 0
{}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("echo 'too few rows' >&2; exit 3", NotApplicable("too few rows")),
        ("echo 'no such thing' >&2; exit 4", "transform of 120 rows of A1, B1, NA: exit status 4"),
        ("exit 0", ": it ended with status 0 and wrote no X.csv"),
        ('sed "s/^row,.*/row,a,b/" "$3/X.csv" > "$5/X.csv"', "transform"),
    ],
)
def test_what_a_program_ends_with_is_said(body, expected, tmp_path, sandbox):
    variant = plant(tmp_path, PROGRAM.format(body), entry="method")
    result = harmonize_fold(variant, TRAINING, targets=TARGET, sandbox=sandbox)
    if isinstance(expected, NotApplicable):
        assert result == expected
    else:
        assert isinstance(result, Failure) and expected in result.reason


def test_a_program_gets_and_gives_parquet(tmp_path, sandbox):
    pytest.importorskip("pyarrow")
    code = PROGRAM.format('cp "$3/X.parquet" "$5/"; test -s "$3/rows.parquet" && grep -q gain "$3/parameters.json"')
    variant = plant(tmp_path, code, entry="method", format="parquet", parameters={"gain": 2})
    result = harmonize_fold(variant, TRAINING, targets=TARGET, sandbox=sandbox)
    assert isinstance(result, Harmonized), result
    np.testing.assert_array_equal(result.targets, TARGET.X)
    np.testing.assert_array_equal(result.training, TRAINING.X)


def test_without_namespaces_a_method_runs_and_the_result_says_so(zscore, tmp_path):
    variant = plant(tmp_path, PROGRAM.format('cp "$3/X.csv" "$5/"'), entry="method")
    with Sandbox(["numpy", "pandas"], isolate=False) as open_:
        mine = harmonize_fold(variant, TRAINING, targets=TARGET, sandbox=open_)
        shipped = harmonize_fold(zscore, TRAINING, targets=TARGET, adapt=ADAPT, sandbox=open_)
    assert (mine.enforced, shipped.enforced) == ("declared, not enforced", "built in")
    np.testing.assert_array_equal(mine.targets, TARGET.X)


def test_whole_numbers_are_written_as_numbers_that_are_not_integers(tmp_path):
    """pandas reads `3` as an integer, which no mean can shift: a program passed the check and failed in a run."""
    values = np.array([[3.0, -4.0, 1e300], [12.0, 0.1, 2.0**60]])
    rows = pd.DataFrame(values, index=pd.Index(["a", "b"], name="row"), columns=["x", "y", "z"])
    fold_server.write_rows(tmp_path, rows, {"domain": pd.Series(["A", "B"], index=rows.index, name="domain")}, "csv")
    back = pd.read_csv(tmp_path / "X.csv", index_col="row", float_precision="round_trip")
    assert set(back.dtypes.astype(str)) == {"float64"}
    np.testing.assert_array_equal(back.to_numpy(), values)


def test_whole_numbers_of_a_program_are_numbers_as_others_are(tmp_path):
    """CSV has no types: R writes 3 for 3.0, and C more than 2^63."""
    (tmp_path / "X.csv").write_text("row,x,y,z\na,3,12000000000000000000,0.5\nb,-4,7,2\n")
    back = fold_server.read_rows(tmp_path, "csv")
    assert set(back.dtypes.astype(str)) == {"float64"}
    np.testing.assert_array_equal(back.to_numpy(), [[3, 1.2e19, 0.5], [-4, 7, 2]])
