"""Which pairs are compared: the published draw written out, cells, tasks, and the contrasts."""

# The published procedure uses the legacy generator, and so does the version of it that is written out here.
# ruff: noqa: NPY002

import zlib
from itertools import product

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.benchmark import DOSES_MGY, RECONSTRUCTIONS, SCANNERS, SERIES_KEY, scan_id
from ct4bench.core.errors import UserError
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.pairs.plan import (
    CONTRAST,
    CONTRASTS,
    GROUP_SERIES,
    PLAN_COLUMNS,
    SHRUNK,
    TABLE_6,
    TABLES_3_TO_5,
    VARIANTS,
    ordered,
    plan_pairs,
    scanner_groups,
    seeded_dose_pairs,
    seeded_pairs,
)
from ct4bench.twin.scanners import read_scanners

MAKERS = {"A": "Siemens", "B": "Siemens", "G": "Siemens", "C": "Philips", "D": "GE", "F": "GE"}
MAKERS |= {"H2": "Philips", "E2": "GE", "E1": "Toshiba", "H1": "Toshiba"}


def series_rows(kinds) -> pd.DataFrame:
    """Series of (scanner, dose, reconstruction, repetition); the UIDs do not sort like these."""
    rows = [
        (scan_id(s, d, n), f"1.{zlib.crc32(repr((s, d, r, n)).encode())}", s, MAKERS.get(s, MAKERS.get(s[0])), d, r, n)
        for s, d, r, n in kinds
    ]
    return pd.DataFrame(rows, columns=SERIES_KEY)


@pytest.fixture(scope="module")
def collection():
    """The 1378 series of the collection as a table of registered series, in no order."""
    models = read_scanners()
    possible = product(SCANNERS, DOSES_MGY, RECONSTRUCTIONS, range(1, 11))
    kinds = [(scanner, *key) for scanner, *key in possible if models[scanner].n_slices_of(*key)]
    assert len(kinds) == 1378
    return series_rows(kinds).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def paper_plan(collection):
    return plan_pairs(collection, PAPER)


@pytest.fixture(scope="module")
def corrected_plan(collection):
    return plan_pairs(collection, CORRECTED)


@pytest.fixture(scope="module")
def by_hand(collection):
    """Function from scanner and dose to their list in the stated order, by plain loops."""
    columns = ("scanner", "dose_mgy", "recon", "repetition")
    uid_of = {tuple(row[c] for c in columns): row["series_uid"] for row in collection.to_dict("records")}

    def listed(scanner, dose):
        keys = [(scanner, dose, recon, n) for recon in ("FBP", "IR", "DL") for n in range(1, 20)]
        return [uid_of[key] for key in keys if key in uid_of]

    return listed


def test_lists_are_ordered_by_reconstruction_and_repetition(collection, by_hand):
    for scanner in ("A1", "E2", "E1"):
        own = collection[(collection["scanner"] == scanner) & (collection["dose_mgy"] == 10)]
        assert ordered(own.sample(frac=1, random_state=0)) == by_hand(scanner, 10)


def test_tables_3_to_5_are_the_published_procedure_written_out(collection, paper_plan, by_hand):
    drawn = paper_plan[(paper_plan["table"] == TABLES_3_TO_5) & (paper_plan["variant"] == "published_draw")]
    cells = dict(iter(drawn.groupby(["scanner_a", "scanner_b"])))
    assert len(cells) == 13 * 14 // 2
    for i, a in enumerate(SCANNERS):
        for b in SCANNERS[i:]:
            first, second = by_hand(a, 10), by_hand(b, 10)
            np.random.seed(42)
            np.random.shuffle(first)
            np.random.seed(84)
            np.random.shuffle(second)
            n = min(len(first), len(second))
            rows = cells[a, b].sort_values("pair_index")
            assert list(rows["series_uid_a"]) == first[:n]
            assert list(rows["series_uid_b"]) == second[:n]
            assert n == (30 if a == b == "E2" else 18 if "E1" in (a, b) else 20)


def test_a_series_meets_itself_on_the_diagonal_only(paper_plan):
    drawn = paper_plan[(paper_plan["table"] == TABLES_3_TO_5) & (paper_plan["variant"] == "published_draw")]
    diagonal = drawn["scanner_a"] == drawn["scanner_b"]
    assert not drawn.loc[~diagonal, "is_self_pair"].any()
    counts = drawn[diagonal].groupby("scanner_a")["is_self_pair"].sum()
    of_twenty = counts.drop(["E1", "E2"])
    assert set(of_twenty) <= {1, 2} and of_twenty.nunique() == 1
    assert (drawn["is_self_pair"] == (drawn["series_uid_a"] == drawn["series_uid_b"])).all()


def test_table_6_is_the_published_procedure_written_out(collection, paper_plan, by_hand):
    drawn = paper_plan[(paper_plan["table"] == TABLE_6) & (paper_plan["variant"] == "published_draw")]
    doses = collection.set_index("series_uid")["dose_mgy"]
    assert len(drawn) == 13 * 4 * 5
    for scanner in SCANNERS:
        lists = {}
        np.random.seed(42)
        for dose in (1, 3, 6, 10, 14):
            lists[dose] = by_hand(scanner, dose)
            np.random.shuffle(lists[dose])
        own = drawn[drawn["scanner_a"] == scanner]
        for dose in (1, 3, 6, 10):
            rows = own[own["series_uid_a"].map(doses) == dose].sort_values("pair_index")
            assert list(rows["series_uid_a"]) == lists[dose][:5]
            assert list(rows["series_uid_b"]) == lists[14][:5]


def test_the_plan_does_not_depend_on_the_order_of_its_series(collection, paper_plan):
    again = plan_pairs(collection.sample(frac=1, random_state=7), PAPER)
    pd.testing.assert_frame_equal(again, paper_plan)


def test_the_legacy_generator_of_the_caller_is_left_alone():
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    seeded_pairs(list("abcdefgh"), list("ijklmnop"))
    seeded_dose_pairs({1: list("abc"), 14: list("def")})
    assert np.random.random() == expected


def test_corrected_mode_has_every_pair_once(collection, corrected_plan):
    rows = corrected_plan[corrected_plan["table"] == TABLES_3_TO_5]
    everything = rows[rows["variant"] == "all_pairs"]
    n = (collection["dose_mgy"] == 10).sum()
    assert n == 268 and len(everything) == n * (n - 1) // 2 == 35_778
    keys = {frozenset(p) for p in zip(everything["series_uid_a"], everything["series_uid_b"], strict=True)}
    assert len(keys) == len(everything) and not everything["is_self_pair"].any()
    recon = collection.set_index("series_uid")["recon"]
    same = rows[rows["variant"] == "same_recon"]
    assert (same["series_uid_a"].map(recon) == same["series_uid_b"].map(recon)).all()
    equal = everything["series_uid_a"].map(recon) == everything["series_uid_b"].map(recon)
    assert len(same) == equal.sum()
    for variant in (everything, same):
        assert set(variant["region"]) == {"mask"} and set(variant["shrink"]) == {1}


PLACES = {
    (TABLES_3_TO_5, "published_draw"): ("box", 4),
    (TABLES_3_TO_5, "drawn_in_mask"): ("mask", 4),
    (TABLES_3_TO_5, "all_pairs_shrunk"): ("mask", 4),
    (TABLE_6, "published_draw"): ("box_table6", 1),
    (TABLE_6, "drawn_in_mask"): ("mask", 1),
}


def places_of(plan):
    rows = plan[["table", "variant", "region", "shrink"]].drop_duplicates()
    assert not rows.duplicated(["table", "variant"]).any()
    return {(r.table, r.variant): (r.region, r.shrink) for r in rows.itertuples() if r.table != CONTRAST}


def test_every_variant_names_one_region_and_resolution(paper_plan, corrected_plan):
    """The published way and what leads from it to the corrected one are in both modes."""
    assert places_of(paper_plan) == PLACES | {
        (TABLES_3_TO_5, "same_recon"): ("box", 4),
        (TABLE_6, "same_recon"): ("box_table6", 1),
    }
    of_mode = {(table, name): ("mask", 1) for table in (TABLES_3_TO_5, TABLE_6) for name in ("all_pairs", "same_recon")}
    assert places_of(corrected_plan) == PLACES | of_mode
    assert set(paper_plan["variant"]) | set(corrected_plan["variant"]) | {"all_unordered"} == set(VARIANTS)
    assert list(paper_plan.columns) == PLAN_COLUMNS


def test_the_published_pairs_are_the_same_in_both_modes(paper_plan, corrected_plan):
    for key in PLACES:
        own, other = (
            plan[(plan["table"] == key[0]) & (plan["variant"] == key[1])].drop(columns="task").reset_index(drop=True)
            for plan in (paper_plan, corrected_plan)
        )
        pd.testing.assert_frame_equal(own, other)


def test_the_pairs_in_the_mask_are_the_drawn_ones_less_self_pairs(paper_plan):
    for table in (TABLES_3_TO_5, TABLE_6):
        rows = paper_plan[paper_plan["table"] == table]
        drawn = rows[(rows["variant"] == "published_draw") & ~rows["is_self_pair"]]
        inside = rows[rows["variant"] == "drawn_in_mask"]
        columns = ["series_uid_a", "series_uid_b", "scanner_a", "scanner_b"]
        assert inside[columns].to_numpy().tolist() == drawn[columns].to_numpy().tolist()


def test_tasks_are_bounded_and_hold_whole_cells(corrected_plan, paper_plan):
    for plan in (corrected_plan, paper_plan):
        cells = plan.groupby(["table", "scanner_a", "scanner_b", "shrink"])["task"].nunique()
        assert cells.max() == 1
        # those that Tables 3-5 and the contrasts share are read once
        assert plan.loc[plan["shrink"] > 1, "task"].unique().tolist() == [SHRUNK]
        assert SHRUNK not in set(plan.loc[plan["shrink"] == 1, "task"])
    few = plan_pairs(series_rows([(s, 10, "IR", n) for s in SCANNERS[:4] for n in (1, 2)]), CORRECTED)
    few = few[few["table"] == TABLES_3_TO_5].groupby("shrink")["task"].unique()
    assert few[4].tolist() == [SHRUNK] and few[1].tolist() == [f"{TABLES_3_TO_5}_1_1"]
    assert not plan_pairs(series_rows([("A1", 10, "IR", 1)]), PAPER)["task"].str.contains("[^A-Za-z0-9_]").any()


def test_tasks_of_all_pairs_stage_each_series_a_few_times_only(corrected_plan):
    """Every task stages the volumes of its pairs, and their bytes are hashed: a task for each cell would take 13 times
    all series, a task for two groups of scanners takes 4 times."""
    rows = corrected_plan[(corrected_plan["table"] == TABLES_3_TO_5) & (corrected_plan["shrink"] == 1)]
    tasks = [task for _, task in rows.groupby("task")]
    staged = [len({*task["series_uid_a"], *task["series_uid_b"]}) for task in tasks]
    assert len(tasks) == 10 and sum(staged) == 4 * 268 and max(staged) <= 2 * GROUP_SERIES
    pairs = [(task["variant"] == "all_pairs").sum() for task in tasks]
    # None is so long that the others wait for it.
    assert sum(pairs) == 35_778 and max(pairs) < 6000


def test_scanners_of_few_series_share_a_task_of_table_6(paper_plan):
    def scanners_of_tasks(plan):
        return plan[plan["table"] == TABLE_6].groupby("task")["scanner_a"].unique().map(len).tolist()

    assert scanners_of_tasks(paper_plan) == [1] * 13
    few = [(scanner, dose, "IR", 1) for scanner in SCANNERS for dose in (1, 3, 6, 10, 14)]
    assert scanners_of_tasks(plan_pairs(series_rows(few), PAPER)) == [6, 7]
    # series of scanners that Table 6 does not have make no task of it
    both, one = ("A1", "D1", "E1", "H2"), sorted(set(SCANNERS) - {"A1", "D1", "E1", "H2"})
    few = [(s, dose, "IR", 1) for s in both for dose in (6, 14)] + [(s, 10, "IR", n) for s in one for n in range(1, 9)]
    assert scanners_of_tasks(plan_pairs(series_rows(few), PAPER)) == [4]


def test_groups_are_neighbours_of_about_equal_size():
    assert scanner_groups({"A": 20, "B": 20, "C": 20, "D": 20}, 40) == {"A": 0, "B": 0, "C": 1, "D": 1}
    assert scanner_groups({"A": 5, "B": 5}, 40) == {"A": 0, "B": 0}
    assert scanner_groups({"A": 90, "B": 10, "C": 80}, 60) == {"A": 0, "B": 1, "C": 2}
    assert scanner_groups({}) == {}


def test_pairs_of_equal_reconstruction_in_paper_mode(collection, paper_plan):
    recon = collection.set_index("series_uid")["recon"]
    same = paper_plan[paper_plan["variant"] == "same_recon"]
    assert (same["series_uid_a"].map(recon) == same["series_uid_b"].map(recon)).all()
    n = same[same["table"] == TABLES_3_TO_5].groupby(["scanner_a", "scanner_b"]).size()
    assert n["A1", "A2"] == 20 and n["E2", "E2"] == 30 and n["A1", "E1"] == 18


def test_contrasts_change_one_thing_only(collection, paper_plan):
    rows = paper_plan[paper_plan["table"] == CONTRAST]
    a, b = (collection.set_index("series_uid").loc[rows[f"series_uid_{side}"]].reset_index() for side in "ab")
    same = {name: (a[name] == b[name]).to_numpy() for name in ("scanner", "maker", "dose_mgy", "recon", "repetition")}
    expected = {
        "other_recon": ("scanner", "maker", "dose_mgy", "repetition"),
        "other_repetition": ("scanner", "maker", "dose_mgy", "recon"),
        "other_dose": ("scanner", "maker", "recon", "repetition"),
        "other_scanner": ("maker", "dose_mgy", "recon", "repetition"),
        "other_maker": ("dose_mgy", "recon", "repetition"),
    }
    changed = {"other_recon": "recon", "other_repetition": "repetition", "other_dose": "dose_mgy",
               "other_scanner": "scanner", "other_maker": "maker"}  # fmt: skip
    assert set(rows["variant"]) == set(CONTRASTS)
    for contrast in CONTRASTS:
        chosen = (rows["variant"] == contrast).to_numpy()
        assert chosen.any() and not same[changed[contrast]][chosen].any()
        assert all(same[name][chosen].all() for name in expected[contrast])


def test_a_demo_cell_takes_all_its_unordered_pairs():
    kinds = [(s, 10, r, 1) for s in ("A1", "A2", "E2") for r in ("FBP", "IR")] + [("E2", 10, "DL", 1)]
    kinds += [(s, d, "IR", 1) for s in ("A1", "A2", "E2") for d in (1, 3, 6, 14)]
    plan = plan_pairs(series_rows(kinds), PAPER)
    n = plan[plan["variant"] == "all_unordered"].groupby(["table", "scanner_a", "scanner_b"]).size()
    cells = n[TABLES_3_TO_5]
    assert (cells["A1", "A1"], cells["A1", "A2"], cells["E2", "E2"], cells["A1", "E2"]) == (1, 4, 3, 6)
    # 1 x 1 at 1, 3 and 6 mGy, and 2 x 1 at 10 mGy.
    assert n[TABLE_6]["A1", "A1"] == 5
    drawn = plan[(plan["variant"] == "published_draw") & (plan["table"] == TABLES_3_TO_5)]
    assert drawn.groupby(["scanner_a", "scanner_b"]).size()["A1", "A1"] == 2


def test_one_scanner_gives_one_cell():
    kinds = [("A1", d, r, n) for d in (10, 14) for r in ("FBP", "IR") for n in (1, 2, 3)]
    for mode in (PAPER, CORRECTED):
        plan = plan_pairs(series_rows(kinds), mode)
        cells = plan[plan["table"] == TABLES_3_TO_5][["scanner_a", "scanner_b"]].drop_duplicates()
        assert cells.to_numpy().tolist() == [["A1", "A1"]]
        contrasts = set(plan.loc[plan["table"] == CONTRAST, "variant"])
        assert contrasts == {"other_recon", "other_repetition", "other_dose"}


def test_without_14_mgy_there_is_no_table_6():
    kinds = [(s, d, "IR", n) for s in ("A1", "B1") for d in (1, 10) for n in (1, 2)]
    for mode in (PAPER, CORRECTED):
        plan = plan_pairs(series_rows(kinds), mode)
        assert TABLE_6 not in set(plan["table"]) and TABLES_3_TO_5 in set(plan["table"])


def test_one_series_alone_meets_itself():
    plan = plan_pairs(series_rows([("A1", 10, "IR", 1)]), PAPER)
    assert plan[["variant", "is_self_pair"]].to_numpy().tolist() == [["published_draw", True]]


def test_no_series_gives_an_empty_plan():
    plan = plan_pairs(series_rows([]), PAPER)
    assert len(plan) == 0 and list(plan.columns) == PLAN_COLUMNS


def test_a_series_that_stands_twice_is_refused():
    series = series_rows([("A1", 10, "IR", 1)] * 2)
    with pytest.raises(UserError, match="is duplicated"):
        plan_pairs(series, PAPER)


def test_plan_script_writes_the_plan(tmp_path):
    from plan_pairs import main

    series_rows([("A1", 10, "IR", n) for n in (1, 2)]).to_csv(tmp_path / "series.csv", index=False)
    main(["--series", str(tmp_path / "series.csv"), "--output", str(tmp_path / "plan.csv")])
    written = pd.read_csv(tmp_path / "plan.csv")
    assert list(written.columns) == PLAN_COLUMNS and written["is_self_pair"].dtype == bool
