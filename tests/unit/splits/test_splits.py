import numpy as np
import pandas as pd
import pytest
from learning_data import MAKERS, keys_table

from ct4bench.core.errors import UserError
from ct4bench.splits import splits
from ct4bench.splits.splits import as_table, kfold_lines, loso_lines, resolve, sorted_keys


@pytest.fixture(scope="module")
def keys():
    return sorted_keys(keys_table(repetitions=3, patches=2))


@pytest.fixture(scope="module")
def loso(keys):
    return resolve(as_table(loso_lines(keys, "scanner", 0, False)), keys)


def scanners(keys, rows):
    return set(keys["scanner"].to_numpy()[rows])


def test_loso_has_each_scanner_and_number_once(loso):
    assert len(loso) == 13 * 12
    assert len({(split.n_train, split.fold) for split in loso}) == 13 * 12


def test_loso_tests_all_of_a_scanner_and_trains_on_none_of_it(keys, loso):
    for split in loso:
        assert scanners(keys, split.test) == {split.fold}
        assert len(split.test) == (keys["scanner"] == split.fold).sum()
        trained = scanners(keys, split.training)
        assert split.fold not in trained
        assert len(trained) == split.n_train
        assert len(split.training) == keys["scanner"].isin(trained).sum()
        assert not set(keys["scan_id"].to_numpy()[split.training]) & set(keys["scan_id"].to_numpy()[split.test])


def test_loso_trainings_are_nested_and_take_other_makers_first(keys, loso):
    for test in MAKERS:
        before = set()
        n_other = sum(maker != MAKERS[test] for maker in MAKERS.values())
        for split in sorted((split for split in loso if split.fold == test), key=lambda split: split.n_train):
            trained = scanners(keys, split.training)
            assert before < trained
            own_maker = sum(MAKERS[name] == MAKERS[test] for name in trained)
            assert own_maker == max(0, split.n_train - n_other)
            before = trained


def test_loso_orders_differ_between_scanners_and_seeds():
    values = sorted(MAKERS)
    orders = {tuple(splits.training_order(values, index, None, seed)) for index in range(13) for seed in range(3)}
    assert len(orders) == 39


def test_training_order_is_the_stable_partition_of_the_written_down_permutation():
    values = sorted(MAKERS)
    index = values.index("C1")
    others = [value for value in values if value != "C1"]
    permuted = np.random.default_rng([7, index]).permutation(others).tolist()
    expected = [name for name in permuted if name != "H2"] + ["H2"]
    assert splits.training_order(values, index, MAKERS, 7) == expected


def test_loso_over_doses_takes_them_as_they_come():
    keys = sorted_keys(keys_table(["A1"], doses=(1.0, 3.0, 6.0, 10.0, 14.0), patches=1))
    table = as_table(loso_lines(keys, "dose_mgy", 0, False))
    found = resolve(table, keys)
    assert len(found) == 5 * 4
    assert {split.fold for split in found} == {"1", "3", "6", "10", "14"}
    assert splits.domain_values(keys, "dose_mgy") == ["1", "3", "6", "10", "14"]
    for split in found:
        assert {f"{dose:g}" for dose in keys["dose_mgy"].to_numpy()[split.test]} == {split.fold}


@pytest.mark.parametrize("unit", ["row", "scan"])
def test_kfold_tests_every_row_once_and_trains_on_n_whole_folds(keys, unit):
    found = resolve(as_table(kfold_lines(keys, "scanner", 0, False, unit)), keys)
    assert len(found) == 10 * 9
    fold_of_row = np.empty(len(keys), int)
    for n in range(1, 10):
        tested = np.zeros(len(keys), int)
        for split in (split for split in found if split.n_train == n):
            tested[split.test] += 1
            fold_of_row[split.test] = int(split.fold)
        assert (tested == 1).all()
    for split in found:
        trained = set(fold_of_row[split.training])
        assert len(trained) == split.n_train
        assert int(split.fold) not in trained
        assert len(split.training) == np.isin(fold_of_row, list(trained)).sum()


def test_kfold_trainings_are_nested(keys):
    found = resolve(as_table(kfold_lines(keys, "scanner", 0, False, "scan")), keys)
    by_place = {(split.fold, split.n_train): set(split.training) for split in found}
    assert all(by_place[fold, n] < by_place[fold, n + 1] for fold, n in by_place if n < 9)


@pytest.mark.parametrize("unit", ["row", "scan"])
def test_kfold_orders_are_the_written_down_permutations_another_for_each_fold(keys, unit):
    """Read back from the nested trainings: the fold that joins at each step."""
    found = resolve(as_table(kfold_lines(keys, "scanner", 7, False, unit)), keys)
    fold_of_row = np.empty(len(keys), int)
    for split in found:
        fold_of_row[split.test] = int(split.fold)
    trained = {(int(split.fold), split.n_train): set(fold_of_row[split.training]) for split in found}
    orders = {}
    for fold in range(1, 11):
        steps = [trained[fold, n] - trained.get((fold, n - 1), set()) for n in range(1, 10)]
        assert [len(step) for step in steps] == [1] * 9
        orders[fold] = [step.pop() for step in steps]
        others = [other for other in range(1, 11) if other != fold]
        assert orders[fold] == np.random.default_rng([7, 1, fold]).permutation(others).tolist()
    # Places in the order, the test fold left out: one permutation for all folds would give one of them only.
    places = {tuple(int(other) - (other > fold) for other in order) for fold, order in orders.items()}
    assert len(places) == 10


def test_loso_orders_are_the_written_down_permutations_another_for_each_scanner(keys, loso):
    scanner_of_row = keys["scanner"].to_numpy()
    names = sorted(set(scanner_of_row))
    trained = {(split.fold, split.n_train): set(scanner_of_row[split.training]) for split in loso}
    for index, test in enumerate(names):
        order = [(trained[test, n] - trained.get((test, n - 1), set())).pop() for n in range(1, len(names))]
        others = [name for name in names if name != test]
        permuted = np.random.default_rng([0, index]).permutation(others).tolist()
        assert order == sorted(permuted, key=lambda name: MAKERS[name] == MAKERS[test])


@pytest.mark.parametrize("unit", ["row", "scan"])
def test_validation_scans_are_the_written_down_draw_another_for_each_fold(keys, unit):
    lines = loso_lines(keys, "scanner", 7, True) + kfold_lines(keys, "scanner", 7, True, unit)
    scans, scanners_there = keys["scan_id"].to_numpy(), sorted(set(keys["scanner"]))
    for split in resolve(as_table(lines), keys):
        learning = sorted(set(scans[np.concatenate([split.training, split.validation])]))
        place = (0, scanners_there.index(split.fold)) if split.scheme == "loso" else (1, int(split.fold))
        drawn = np.random.default_rng([7, 3, *place]).permutation(learning)
        assert set(scans[split.validation]) == set(drawn[: max(1, round(len(learning) / 10))])


def test_scan_folds_keep_scans_whole_and_balance_scanners():
    scans = pd.DataFrame({"scan_id": [f"{s}_{i}" for s in "ABC" for i in range(10)], "domain": list("ABC" * 1) * 10})
    scans["domain"] = scans["scan_id"].str[0]
    folds = splits.scan_folds(scans, 10, 3)
    assert sorted(folds.index) == sorted(scans["scan_id"])
    for scanner in "ABC":
        own = folds[folds.index.str[0] == scanner]
        assert sorted(own) == list(range(1, 11))


def test_scan_folds_differ_by_one_scan_at_most(rng):
    sizes = rng.integers(1, 8, 6)
    scans = pd.DataFrame(
        [(f"{d}_{i}", f"{d}") for d, n in enumerate(sizes) for i in range(n)], columns=["scan_id", "domain"]
    )
    counts = splits.scan_folds(scans, 10, 0).value_counts().reindex(range(1, 11), fill_value=0)
    assert counts.max() - counts.min() <= 1


def test_row_level_folds_put_patches_of_a_scan_on_both_sides_and_scan_level_ones_do_not(keys):
    scans = keys["scan_id"].to_numpy()
    for unit, shared in (("row", True), ("scan", False)):
        split = resolve(as_table(kfold_lines(keys, "scanner", 0, False, unit, sizes=[9])), keys)[0]
        assert bool(set(scans[split.training]) & set(scans[split.test])) is shared


@pytest.mark.parametrize("unit", ["row", "scan"])
def test_validation_is_a_tenth_of_the_training_scans(keys, unit):
    lines = loso_lines(keys, "scanner", 0, True) + kfold_lines(keys, "scanner", 0, True, unit)
    scans = keys["scan_id"].to_numpy()
    for split in resolve(as_table(lines), keys):
        training, validation = set(scans[split.training]), set(scans[split.validation])
        assert not training & validation
        assert len(validation) == max(1, round(0.1 * len(training | validation)))
        assert not set(split.validation) & set(split.test)


def test_a_training_of_one_scan_has_no_validation():
    assert splits.validation_scans(["A1_10mGy_01"], (0, 1), 0) == []
    assert len(splits.validation_scans(["a", "b"], (0, 1), 0)) == 1


def test_splits_survive_csv_and_any_order_of_lines(keys, tmp_path, rng):
    from ct4bench.core.tables import read_table, write_table

    table = as_table(loso_lines(keys, "scanner", 0, True) + kfold_lines(keys, "scanner", 0, True, "row"))
    write_table(table.sample(frac=1, random_state=1), tmp_path / "splits.csv")
    again = resolve(read_table(tmp_path / "splits.csv", splits.SPLIT_COLUMNS), keys)
    for one, other in zip(resolve(table, keys), again, strict=True):
        assert one.key == other.key
        for role in ("training", "validation", "test"):
            np.testing.assert_array_equal(getattr(one, role), getattr(other, role))


def test_splits_do_not_depend_on_the_order_of_the_features(keys):
    shuffled = sorted_keys(keys.sample(frac=1, random_state=2))
    for lines in (loso_lines, lambda keys, *rest: kfold_lines(keys, *rest, "row")):
        pd.testing.assert_frame_equal(
            as_table(lines(keys, "scanner", 0, True)), as_table(lines(shuffled, "scanner", 0, True))
        )


def test_one_scanner_is_an_error_that_says_what_to_do():
    keys = sorted_keys(keys_table(["A1"]))
    with pytest.raises(UserError, match="at least two values, the features have A1.*kfold"):
        loso_lines(keys, "scanner", 0, False)


def test_two_scanners_are_enough():
    keys = sorted_keys(keys_table(["A1", "C1"]))
    assert [split.n_train for split in resolve(as_table(loso_lines(keys, "scanner", 0, False)), keys)] == [1, 1]


def test_too_few_scans_is_an_error_that_says_how_many():
    keys = sorted_keys(keys_table(["A1", "C1"], repetitions=3))
    with pytest.raises(UserError, match="10 folds of whole scans need as many scans, the features have 6"):
        kfold_lines(keys, "scanner", 0, False, "scan")
    assert len(resolve(as_table(kfold_lines(keys, "scanner", 0, False, "scan", 6)), keys)) == 6 * 5


def test_a_scanner_of_two_makers_is_an_error():
    keys = keys_table(["A1", "C1"])
    keys.loc[0, "maker"] = "Acme"
    with pytest.raises(UserError, match="scanner A1 has two makers"):
        loso_lines(sorted_keys(keys), "scanner", 0, False)


def test_a_row_that_stands_twice_is_an_error():
    keys = keys_table(["A1", "C1"])
    with pytest.raises(UserError, match="two rows for series"):
        sorted_keys(pd.concat([keys, keys.iloc[:1]]))


def test_splits_of_other_features_are_an_error(keys):
    table = as_table(loso_lines(keys, "scanner", 0, False) + kfold_lines(keys, "scanner", 0, False, "row"))
    fewer = keys[keys["scanner"] != "A1"].reset_index(drop=True)
    with pytest.raises(UserError, match="which the features lack|plan the splits again"):
        resolve(table, fewer)
    partly = table[(table["role"] != "member") | (table.index % 2 == 0)]
    with pytest.raises(UserError, match="do not name a fold for every row"):
        resolve(partly, keys)


def test_overlap_of_training_and_test_is_an_error(keys):
    name = ("tissue", "default", "loso", 1, "A1")
    lines = splits.lines(name, "scanner", ["A1"], "test") + splits.lines(name, "scanner", ["A1"], "train")
    with pytest.raises(UserError, match="both train and test"):
        resolve(as_table(lines), keys)


def test_excluded_rows_take_no_part(keys):
    lines = loso_lines(keys, "scanner", 0, False, [1])
    lines += splits.lines(("tissue", "default", "loso", 0, ""), "patch", ["cyst1|0", "normal2|1"], "exclude")
    for split in resolve(as_table(lines), keys):
        rows = keys.iloc[np.concatenate([split.training, split.test])]
        names = set(rows["roi"] + "|" + rows["patch"].astype(str))
        assert len(names) == 10
        assert not names & {"cyst1|0", "normal2|1"}
