"""Which scans of a target may be adapted to, and that none of them is tested."""

import numpy as np
import pytest
from learning_data import keys_table

from ct4bench.core.modes import PAPER
from ct4bench.splits.adaptation import adaptation_scans, rows_tested
from ct4bench.splits.plan import plan_tasks
from ct4bench.splits.splits import resolve, sorted_keys
from ct4bench.splits.tasks import COMPARED_TASKS, HALF, ONE_TISSUE, Plan


@pytest.fixture(scope="module")
def keys():
    """Four scanners with three scans each."""
    table = keys_table(repetitions=3, patches=2)
    return sorted_keys(table[table["scanner"].isin(["A1", "B1", "C1", "E2"])])


def planned(keys, adaptation):
    splits, _ = plan_tasks(Plan(keys, PAPER, sizes=(2,), adaptation=adaptation), ["none"], ["none"], all_cells=False)
    return resolve(splits, keys)


def test_the_smaller_half_of_each_scanners_scans_is_given(keys):
    given = adaptation_scans(keys, "scanner", 0)
    assert {name: len(scans) for name, scans in given.items()} == dict.fromkeys(["A1", "B1", "C1", "E2"], 1)
    rows = rows_tested(keys, "scanner", 0)
    assert set(keys["scan_id"][~rows]) == {scan for scans in given.values() for scan in scans}
    assert given == adaptation_scans(keys.sample(frac=1, random_state=1), "scanner", 0)
    drawn = {tuple(sorted(adaptation_scans(keys, "scanner", seed).items(), key=str)).__repr__() for seed in range(20)}
    assert len(drawn) > 5


def test_doses_take_turns():
    keys = sorted_keys(keys_table(repetitions=2, patches=1, doses=(10.0, 14.0)))
    doses = keys.drop_duplicates("scan_id").set_index("scan_id")["dose_mgy"]
    for scans in adaptation_scans(keys, "scanner", 3).values():
        assert sorted(doses[scans]) == [10, 14]


def test_one_scan_cannot_be_halved():
    keys = sorted_keys(keys_table(patches=1))
    assert not any(adaptation_scans(keys, "scanner", 0).values())
    assert rows_tested(keys, "scanner", 0).all()


@pytest.mark.parametrize("adaptation", [None, HALF, 0, 1, 2])
def test_rows_that_are_adapted_to_are_in_no_other_part(keys, adaptation):
    tested, scanner = rows_tested(keys, "scanner", 0), keys["scanner"].to_numpy()
    for split in planned(keys, adaptation):
        parts = [split.training, split.validation, split.test, split.adaptation]
        together = np.concatenate(parts)
        assert len(together) == len(set(together))
        if split.scheme == "kfold" or adaptation is None:
            assert not len(split.adaptation)
            continue
        target = scanner == split.fold
        # the same rows are tested whatever the method is given
        np.testing.assert_array_equal(split.test, np.flatnonzero(target & tested))
        expected = np.flatnonzero(target & ~tested) if adaptation in (HALF, 1) else []
        if split.ablation != ONE_TISSUE:
            np.testing.assert_array_equal(split.adaptation, expected)


def test_an_unbalanced_target_has_one_tissue_and_is_tested_in_all(keys):
    tissue, n = keys["tissue"].to_numpy(), 0
    for split in planned(keys, HALF):
        if split.ablation == ONE_TISSUE:
            n += 1
            assert split.n_train == 2
            assert len(set(tissue[split.adaptation])) == 1
            assert set(tissue[split.test]) == set(tissue)
    assert n == 4


def test_compared_methods_have_n_of_two_and_no_ablation(keys):
    plan = Plan(keys, PAPER, sizes=(2,))
    splits, asked = plan_tasks(plan, ["all"], ["none"], all_cells=False, of=COMPARED_TASKS)
    counts = splits[(splits["n_train"] > 0) & (splits["task"] == "tissue")].groupby("scheme")["n_train"].unique()
    assert {scheme: sorted(n) for scheme, n in counts.items()} == {"loso": [1, 2, 3], "kfold": [9]}
    assert set(asked["task"]) == {"tissue", *COMPARED_TASKS}
    assert set(splits["ablation"]) == {"default"}
