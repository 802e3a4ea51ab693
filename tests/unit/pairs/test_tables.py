"""Tables 3-6 from the metrics of pairs: cells, layouts, intervals, and what is said where there is nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.conftest import ROOT

from ct4bench.core.benchmark import SCANNERS, SERIES_KEY, scan_id
from ct4bench.core.errors import UserError
from ct4bench.core.metrics import MAIN_METRICS, PAIR_METRICS
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.pairs.plan import CONTRASTS, plan_pairs
from ct4bench.pairs.tables import (
    CHOICES,
    cells_by_choice,
    choices,
    decomposition,
    doses_by_choice,
    scanner_table,
    table6,
    tables3to5,
    with_scans,
)

MAKER = {"A1": "Siemens", "A2": "Siemens", "B1": "Siemens", "C1": "Philips", "E2": "GE"}


def make_series(scanners=("A1", "A2", "E2"), doses=(1, 3, 6, 10, 14), recons=("FBP", "IR"), repetitions=4):
    rows = [
        (scan_id(s, d, n), f"{s}-{d}-{r}-{n}", s, MAKER.get(s, "Other"), d, r, n)
        for s in scanners for d in doses for r in recons for n in range(1, repetitions + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=SERIES_KEY)


def make_pairs(series, mode, seed=3):
    """Every pair of the plan with made-up metrics: a level of the cell, an effect of each scan, a rest."""
    rng = np.random.default_rng(seed)
    plan = plan_pairs(series, mode)
    keys = [frozenset(p) for p in zip(plan["series_uid_a"], plan["series_uid_b"], strict=True)]
    scan = series.set_index("series_uid")["scan_id"]
    effect = dict.fromkeys(sorted(scan.unique()))
    effect = {name: rng.normal(0, 2) for name in effect}
    rest = {key: rng.normal(0, 0.5) for key in dict.fromkeys(keys)}
    rmse = [0.0 if len(key) == 1 else 20 + sum(effect[scan[uid]] for uid in sorted(key)) + rest[key] for key in keys]
    rmse = np.array(rmse)
    with np.errstate(divide="ignore"):
        known = {"rmse_hu": rmse, "psnr_db": 20 * np.log10(2000 / rmse), "psnr_max_db": 20 * np.log10(300 / rmse)}
        known |= {"ssim": 1 - rmse / 1000, "ssim_global": 1 - rmse / 400}
    return plan.drop(columns="task").assign(
        n_voxels=1000, **{metric.name: known.get(metric.name, 1 - rmse / 500) for metric in PAIR_METRICS}
    )


@pytest.fixture(scope="module")
def corrected():
    series = make_series()
    return make_pairs(series, CORRECTED), series


@pytest.fixture(scope="module")
def paper():
    series = make_series()
    return make_pairs(series, PAPER), series


def test_cells_are_the_lower_triangle_in_the_papers_order():
    series = make_series(SCANNERS, (10,), ("IR",), 2)
    table = scanner_table(make_pairs(series, PAPER), series, "rmse_hu")
    expected = [(row, column) for i, row in enumerate(SCANNERS) for column in SCANNERS[: i + 1]]
    assert list(zip(table["scanner_row"], table["scanner_col"], strict=True)) == expected


def test_rows_and_columns_are_those_of_the_published_tables():
    series = make_series(SCANNERS, (10,), ("IR",), 2)
    tables = tables3to5(make_pairs(series, PAPER), series)
    papers = ["table3_rmse_hu", "table4_psnr_db", "table5_ssim"]
    assert list(tables)[:3] == papers and list(tables) == [metric.table for metric in MAIN_METRICS]
    for name, table in ((name, tables[name]) for name in papers):
        published = pd.read_csv(ROOT / "assets" / "published" / f"{name}.csv")
        assert table[["scanner_row", "scanner_col"]].equals(published[["scanner_row", "scanner_col"]])
        assert list(published.columns) == list(table.columns[:4])


def test_a_cell_is_the_mean_and_population_sd_of_its_pairs(corrected):
    pairs, series = corrected
    cell = pairs[(pairs["scanner_a"] == "A1") & (pairs["scanner_b"] == "E2") & (pairs["table"] == "tables3to5")]
    values = cell.loc[cell["variant"] == "all_pairs", "ssim"].to_numpy()
    assert len(values) == 64
    row = scanner_table(pairs, series, "ssim").set_index(["scanner_row", "scanner_col"]).loc["E2", "A1"]
    assert row["ssim_mean"] == pytest.approx(values.mean(), rel=1e-14)
    assert row["ssim_sd"] == pytest.approx(np.sqrt(((values - values.mean()) ** 2).mean()), rel=1e-12)
    assert (row["n_pairs"], row["variant"], row["reason"]) == (64, "all_pairs", "")
    assert row["ci_low"] < row["ssim_mean"] < row["ci_high"]


def scans(pairs):
    """Scanner and repetition of both series of pairs of made-up series at one dose, as their UIDs have them."""
    return [pairs[f"series_uid_{side}"].str.split("-").str[::3].str.join("-") for side in "ab"]


def test_pairs_of_one_scan_are_left_out_and_shown_beside():
    series = make_series(("A1", "A2"), (10,), repetitions=10)
    pairs = make_pairs(series, PAPER)
    drawn = pairs[(pairs["scanner_a"] == "A1") & (pairs["scanner_b"] == "A1") & (pairs["variant"] == "published_draw")]
    one, other = scans(drawn)
    assert drawn["is_self_pair"].sum() in (1, 2) and len(drawn) == 20
    n_left_out = int((one == other).sum())
    assert n_left_out > drawn["is_self_pair"].sum()
    others = drawn.loc[one != other, "rmse_hu"]
    tables = tables3to5(pairs, series)
    row = tables["table3_rmse_hu"].iloc[0]
    assert (row["n_pairs"], row["n_pairs_with_self"], row["variant"]) == (20 - n_left_out, 20, "published_draw")
    assert row["rmse_hu_mean"] == pytest.approx(others.mean())
    assert row["rmse_hu_mean_with_self"] == pytest.approx(drawn["rmse_hu"].sum() / 20)
    assert np.isfinite(tables["table4_psnr_db"]["psnr_db_mean"]).all()
    assert "psnr_db_mean_with_self" not in tables["table4_psnr_db"].columns
    assert tables["table5_ssim"].iloc[0]["ssim_mean_with_self"] > tables["table5_ssim"].iloc[0]["ssim_mean"]


@pytest.mark.parametrize("mode", [PAPER, CORRECTED])
def test_reconstructions_of_one_scan_are_no_repetition(mode):
    """One scan of two reconstructions a scanner, as in the demo; with them the diagonal would have 1.3 HU here."""
    series = make_series(("A1", "A2"), (10,), ("FBP", "IR"), 1)
    pairs = make_pairs(series, mode)
    inside = (pairs["scanner_a"] == pairs["scanner_b"]) & ~pairs["is_self_pair"]
    assert inside.any()
    pairs.loc[inside, ["rmse_hu", "psnr_db", "ssim"]] = 1.3, 63.7, 0.999
    for same_recon in (False, True):
        for name, table in tables3to5(pairs, series, same_recon).items():
            diagonal = table["scanner_row"] == table["scanner_col"]
            assert table.loc[diagonal, "n_pairs"].tolist() == [0, 0], name
            assert table.loc[diagonal, "reason"].tolist() == [
                f"one scan of {scanner} at 10 mGy: two reconstructions of it are no repetition"
                for scanner in ("A1", "A2")
            ]
            assert table.filter(like="_mean").loc[diagonal].isna().all(axis=None)
            assert table.loc[~diagonal, table.columns[2]].notna().all()
    by_cell = cells_by_choice(pairs, series)
    assert (by_cell["scanner_row"] != by_cell["scanner_col"]).all() and len(by_cell)
    assert set(choices(by_cell, doses_by_choice(pairs, series, mode))["cells"]) == {"between scanners"}
    # named for what they are
    contrast = decomposition(pairs).set_index("contrast")
    assert contrast.loc["other_recon", "mse_hu2_median"] == pytest.approx(1.3**2)


def test_small_cells_are_filled_up_to_five_pairs_of_two_scans():
    """Of two scans, the six drawn pairs of a diagonal cell are five of two series, but fewer of two scans."""
    series = make_series(("A1",), (10,), ("FBP", "IR", "DL"), 2)
    pairs = make_pairs(series, PAPER)
    drawn = pairs[(pairs["variant"] == "published_draw") & (pairs["table"] == "tables3to5")]
    one, other = scans(drawn)
    assert (one != other).sum() < 5 <= (~drawn["is_self_pair"]).sum()
    row = scanner_table(pairs, series, "rmse_hu").iloc[0]
    assert (row["variant"], row["n_pairs"]) == ("all_unordered", 9)


def test_mean_psnr_keeps_jensens_bound_in_every_cell(paper, corrected):
    for pairs, series in (paper, corrected):
        tables = tables3to5(pairs, series)
        bound = 20 * np.log10(2000 / tables["table3_rmse_hu"]["rmse_hu_mean"])
        assert (tables["table4_psnr_db"]["psnr_db_mean"] >= bound - 1e-9).all()


def test_the_interval_is_that_of_leaving_each_scan_out(corrected):
    """Written out: a scan takes all its pairs along, the variances of the two scanners add up, Welch's freedom, log."""
    pairs, series = corrected
    rows = with_scans(pairs[(pairs["table"] == "tables3to5") & (pairs["variant"] == "all_pairs")], series)
    table = scanner_table(pairs, series, "rmse_hu").set_index(["scanner_row", "scanner_col"])
    for a, b in (("A1", "E2"), ("A2", "A2")):
        own = rows[(rows["scanner_a"] == a) & (rows["scanner_b"] == b) & (rows["scan_id_a"] != rows["scan_id_b"])]
        parts = []
        for scanner in {a, b}:
            names = series.loc[(series["scanner"] == scanner) & (series["dose_mgy"] == 10), "scan_id"].unique()
            means = [own.loc[(own[["scan_id_a", "scan_id_b"]] != name).all(axis=1), "rmse_hu"].mean() for name in names]
            parts.append(3 / 4 * np.sum((np.array(means) - np.mean(means)) ** 2))
        df = sum(parts) ** 2 / sum(part**2 / 3 for part in parts)
        mean = own["rmse_hu"].mean()
        factor = np.exp(stats.t.ppf(0.975, df) * np.sqrt(sum(parts)) / mean)
        assert tuple(table.loc[(b, a), ["ci_low", "ci_high"]]) == pytest.approx((mean / factor, mean * factor))


def test_the_interval_covers_what_the_scans_come_from():
    """Clustered by scan: with strong effects of scans, an interval over pairs alone would be far too short."""
    hits, naive_hits, n = 0, 0, 30
    for seed in range(n):
        series = make_series(("A1", "A2"), (10,), ("FBP", "IR"), 10)
        pairs = make_pairs(series, CORRECTED, seed)
        row = scanner_table(pairs, series, "rmse_hu").iloc[1]
        hits += row["ci_low"] <= 20 <= row["ci_high"]
        naive = 1.96 * row["rmse_hu_sd"] / np.sqrt(row["n_pairs"])
        naive_hits += abs(row["rmse_hu_mean"] - 20) <= naive
    assert hits >= 0.9 * n > 0.6 * n > naive_hits


def test_intervals_need_two_scans_and_all_pairs(paper):
    series = make_series(("A1", "A2"), (10,), ("FBP", "IR"), 1)
    table = scanner_table(make_pairs(series, CORRECTED), series, "rmse_hu")
    assert table["ci_low"].isna().all()
    assert table["n_pairs"].tolist() == [0, 4, 0]
    assert table["rmse_hu_sd"].isna().tolist() == [True, False, True]
    pairs, series = paper
    drawn = scanner_table(pairs, series, "rmse_hu").set_index("variant").loc["published_draw"]
    assert drawn["ci_low"].isna().all()


def test_draws_that_all_hold_the_same_pairs_are_no_interval():
    """Two scans of one scanner meet in one way only."""
    series = make_series(("A1", "A2"), (10,), ("FBP", "IR"), 2)
    for same_recon, counts in ((True, [2, 8, 2]), (False, [4, 16, 4])):
        table = scanner_table(make_pairs(series, CORRECTED), series, "rmse_hu", same_recon=same_recon)
        assert table["n_pairs"].tolist() == counts
        assert table["ci_low"].isna().tolist() == [True, False, True] == table["ci_high"].isna().tolist()


def test_the_interval_does_not_depend_on_other_cells(corrected):
    pairs, series = corrected
    whole = scanner_table(pairs, series, "rmse_hu").set_index(["scanner_row", "scanner_col"])
    few = pairs[pairs["scanner_a"].isin(["A1"]) & pairs["scanner_b"].isin(["A1", "A2"])]
    part = scanner_table(few, series[series["scanner"] != "E2"], "rmse_hu").set_index(["scanner_row", "scanner_col"])
    pd.testing.assert_series_equal(whole.loc["A2", "A1"], part.loc["A2", "A1"])


def test_pairs_of_equal_reconstruction(corrected, paper):
    pairs, series = corrected
    table = scanner_table(pairs, series, "rmse_hu", same_recon=True)
    assert set(table["variant"]) == {"same_recon"}
    assert table.set_index(["scanner_row", "scanner_col"]).loc[("A2", "A1"), "n_pairs"] == 2 * 16
    # They are all of their kind in mode corrected, and have intervals there.
    assert table["n_pairs_with_self"].eq(0).all()
    assert (table["ci_low"] < table["rmse_hu_mean"]).all() and (table["rmse_hu_mean"] < table["ci_high"]).all()
    doses = table6(pairs, series, CORRECTED, same_recon=True)
    assert (doses["ssim_ci_low"] < doses["ssim_ci_high"]).all()
    pairs, series = paper
    drawn = scanner_table(pairs, series, "rmse_hu", same_recon=True)
    assert drawn[["ci_low", "rmse_hu_mean_with_self"]].isna().all(axis=None)


def test_one_scanner_has_one_cell():
    series = make_series(("A1",))
    for mode in (PAPER, CORRECTED):
        pairs = make_pairs(series, mode)
        table = scanner_table(pairs, series, "rmse_hu")
        assert table[["scanner_row", "scanner_col"]].to_numpy().tolist() == [["A1", "A1"]]
        assert table["rmse_hu_mean"].notna().all() and table["reason"].tolist() == [""]


def test_a_blank_cell_has_its_reason():
    series = pd.concat([make_series(("A1",)), make_series(("A2",), (1, 14)), make_series(("E2",), (10,), ("IR",), 1)])
    table = scanner_table(make_pairs(series, PAPER), series, "rmse_hu")
    reasons = table.set_index(["scanner_row", "scanner_col"])["reason"]
    assert reasons["A2", "A1"] == "no series of A2 at 10 mGy"
    assert reasons["E2", "E2"] == "one scan of E2 at 10 mGy: two reconstructions of it are no repetition"
    assert reasons["A1", "A1"] == reasons["E2", "A1"] == ""
    blank = table[table["reason"] != ""]
    assert blank["rmse_hu_mean"].isna().all() and (blank["n_pairs"] == 0).all()


def test_table_6_averages_medians_as_published_and_means_when_corrected(paper, corrected):
    for (pairs, series), mode, centre in ((paper, PAPER, np.median), (corrected, CORRECTED, np.mean)):
        table = table6(pairs, series, mode)
        assert table["row_kind"].tolist() == ["dose", "dose", "dose", "dose", "average"] * 3
        assert table["dose_mgy"].fillna(0).tolist() == [1, 3, 6, 10, 0] * 3
        rows = with_scans(pairs[pairs["table"] == "table6"], series)
        rows = rows[(rows["scanner_a"] == "A2") & (rows["variant"] == table.loc[5, "variant"])]
        centres = [centre(rows.loc[rows["dose_mgy_a"] == dose, "ssim"]) for dose in (1, 3, 6, 10)]
        average = table.set_index(["scanner", "row_kind"]).loc[("A2", "average")]
        assert average["ssim_mean"] == pytest.approx(np.mean(centres), rel=1e-13)
        assert average["ssim_sd"] == pytest.approx(np.std(centres), rel=1e-9)
        row = table.set_index(["scanner", "dose_mgy"]).loc[("A2", 6)]
        assert row["ssim_mean"] == pytest.approx(rows.loc[rows["dose_mgy_a"] == 6, "ssim"].mean(), rel=1e-13)
        assert average["n_pairs"] == len(rows)


def test_table_6_can_average_either_way_in_either_mode(paper):
    pairs, series = paper
    by_mean = table6(pairs, series, PAPER, average="mean").set_index(["scanner", "row_kind"])["rmse_hu_mean"]
    assert by_mean["A1", "average"] == pytest.approx(by_mean["A1", "dose"].mean())
    by_median = table6(pairs, series, PAPER).set_index(["scanner", "row_kind"])["rmse_hu_mean"]
    assert by_median["A1", "average"] != by_mean["A1", "average"]


def test_table_6_without_14_mgy_is_blank_with_its_reason():
    series = make_series(("A1", "A2"), (1, 10))
    for mode in (PAPER, CORRECTED):
        table = table6(make_pairs(series, mode), series, mode)
        assert len(table) == 10 and table["rmse_hu_mean"].isna().all() and (table["n_pairs"] == 0).all()
        reasons = table["reason"].tolist()[:5]
        assert reasons == ["no series at 14 mGy", "no series at 3 mGy and 14 mGy", "no series at 6 mGy and 14 mGy",
                           "no series at 14 mGy", "no pair"]  # fmt: skip


def test_an_average_says_which_doses_it_lacks():
    series = make_series(("A1",), (1, 10, 14))
    average = table6(make_pairs(series, PAPER), series, PAPER).iloc[-1]
    assert average["reason"] == "without 3 mGy, 6 mGy" and np.isfinite(average["rmse_hu_mean"])


def test_table_6_has_an_interval_for_rows_and_averages_when_corrected(corrected):
    pairs, series = corrected
    table = table6(pairs, series, CORRECTED)
    for metric in ("rmse_hu", "psnr_db", "ssim"):
        assert (table[f"{metric}_ci_low"] < table[f"{metric}_mean"]).all()
        assert (table[f"{metric}_mean"] < table[f"{metric}_ci_high"]).all()


def test_psnr_of_the_maximum_and_global_ssim_stand_beside(paper, corrected):
    for pairs, series in (paper, corrected):
        tables = tables3to5(pairs, series)
        rmse = tables["table3_rmse_hu"].set_index(["scanner_row", "scanner_col"])
        assert not any("psnr_max" in column or "global" in column for column in rmse.columns)
        for (row, column), cell in tables["table5_ssim"].set_index(["scanner_row", "scanner_col"]).iterrows():
            # Made up as 1 - RMSE / 400.
            assert cell["ssim_global_mean"] == pytest.approx(1 - rmse.loc[(row, column), "rmse_hu_mean"] / 400)
            assert cell["ssim_global_sd"] == pytest.approx(rmse.loc[(row, column), "rmse_hu_sd"] / 400)
        for table in (tables["table4_psnr_db"], table6(pairs, series, PAPER)):
            offset = table["psnr_db_mean"] - table["psnr_max_db_mean"]
            np.testing.assert_allclose(offset, 20 * np.log10(2000 / 300), rtol=1e-12)


def spread_by_place(pairs):
    """Pairs whose RMSE grows by 7 HU inside the mask and by 30 HU at full resolution."""
    extra = 7.0 * (pairs["region"] == "mask") + 30.0 * ((pairs["shrink"] == 1) & (pairs["table"] == "tables3to5"))
    return pairs.assign(rmse_hu=pairs["rmse_hu"] + extra.where(~pairs["is_self_pair"], 0.0))


@pytest.fixture(scope="module")
def many_repetitions():
    """Ten repetitions of two scanners: cells whose draw has self-pairs but stands."""
    return make_series(("A1", "A2"), (1, 3, 6, 10, 14), ("FBP", "IR"), 10)


def test_each_choice_takes_one_step_from_the_published_way(many_repetitions):
    series = many_repetitions
    pairs = spread_by_place(make_pairs(series, CORRECTED))
    table = cells_by_choice(pairs, series)
    assert list(table["choice"].unique()) == list(CHOICES)
    cell = table[(table["scanner_row"] == "A1") & (table["scanner_col"] == "A1")].set_index("choice")
    drawn = pairs[
        (pairs["scanner_b"] == "A1") & (pairs["variant"] == "published_draw") & (pairs["table"] == "tables3to5")
    ]
    one, other = scans(drawn)
    n_left = int((one != other).sum())
    assert 10 < n_left < 19 and cell["n_pairs"].tolist() == [20, n_left, n_left, 190 - 10, 190 - 10]
    assert list(zip(cell["variant"], cell["region"], cell["shrink"], strict=True)) == [
        ("published_draw", "box", 4), ("published_draw", "box", 4), ("drawn_in_mask", "mask", 4),
        ("all_pairs_shrunk", "mask", 4), ("all_pairs", "mask", 1),
    ]  # fmt: skip
    rmse = cell["rmse_hu_mean"]
    assert rmse["as published"] == pytest.approx(drawn["rmse_hu"].mean())
    assert rmse["pairs of two scans [6]"] == pytest.approx(drawn.loc[one != other, "rmse_hu"].mean())
    assert rmse["inside the block [3]"] - rmse["pairs of two scans [6]"] == pytest.approx(7)
    assert rmse["full resolution [4]"] - rmse["all pairs [7]"] == pytest.approx(30)
    assert cell["psnr_db_mean"].isna().tolist() == [True, False, False, False, False]
    assert cell["rmse_hu_ci_low"].notna().tolist() == [False, False, False, True, True]
    main = scanner_table(pairs, series, "rmse_hu").set_index(["scanner_row", "scanner_col"])
    own = main.loc["A1", "A1"]
    last = cell.loc["full resolution [4]"]
    assert (own["rmse_hu_mean"], own["ci_low"]) == (last["rmse_hu_mean"], last["rmse_hu_ci_low"])


def test_mode_paper_stops_before_full_resolution_and_fills_small_cells(paper):
    pairs, series = paper
    table = cells_by_choice(pairs, series)
    assert list(table["choice"].unique()) == list(CHOICES)[:-1]
    small = make_series(("A1", "A2"), (10,), ("FBP", "IR"), 1)
    cells = cells_by_choice(make_pairs(small, PAPER), small).set_index(["choice", "scanner_row", "scanner_col"])
    cells = cells[["variant", "n_pairs"]]
    assert cells.loc[("pairs of two scans [6]", "A2", "A1")].tolist() == ["all_unordered", 4]
    assert cells.loc[("inside the block [3]", "A2", "A1")].tolist() == ["drawn_in_mask", 4]


def test_table_6_by_choice_has_both_averages(many_repetitions):
    series = many_repetitions
    pairs = spread_by_place(make_pairs(series, CORRECTED))
    table = doses_by_choice(pairs, series, CORRECTED)
    assert table["choice"].unique().tolist() == ["as published", "inside the block [3]", "all pairs [7]"]
    for choice, average in (("as published", np.median), ("all pairs [7]", np.mean)):
        own = table[(table["choice"] == choice) & (table["scanner"] == "A2")].set_index("row_kind")
        assert list(own.index) == [*["dose"] * 4, "average of medians", "average of means"]
        assert own["dose_mgy"].fillna(0).tolist() == [1, 3, 6, 10, 0, 0]
        rows = with_scans(pairs[(pairs["table"] == "table6") & (pairs["variant"] == own["variant"].iloc[0])], series)
        rows = rows[rows["scanner_a"] == "A2"]
        centres = [average(rows.loc[rows["dose_mgy_a"] == dose, "rmse_hu"]) for dose in (1, 3, 6, 10)]
        name = {np.median: "average of medians", np.mean: "average of means"}[average]
        assert own.loc[name, "rmse_hu_mean"] == pytest.approx(np.mean(centres))
    first, second = (table[table["choice"] == c].reset_index(drop=True) for c in table["choice"].unique()[:2])
    np.testing.assert_allclose(second["rmse_hu_mean"] - first["rmse_hu_mean"], 7)
    assert first["region"].unique().tolist() == ["box_table6"] and second["region"].unique().tolist() == ["mask"]


def test_choices_are_means_over_cells(many_repetitions):
    series = many_repetitions
    pairs = spread_by_place(make_pairs(series, CORRECTED))
    by_cell, by_dose = cells_by_choice(pairs, series), doses_by_choice(pairs, series, CORRECTED)
    table = choices(by_cell, by_dose).set_index(["table", "choice", "cells"])
    assert len(table) == 2 * 5 + 2 * 3
    within = by_cell[(by_cell["scanner_row"] == by_cell["scanner_col"]) & (by_cell["choice"] == "all pairs [7]")]
    row = table.loc[("tables3to5", "all pairs [7]", "within a scanner")]
    assert (row["n_cells"], row["n_pairs"], row["shrink"]) == (2, 360, 4)
    assert row["ssim"] == pytest.approx(within["ssim_mean"].mean())
    averages = by_dose[(by_dose["choice"] == "as published") & (by_dose["row_kind"] == "average of means")]
    row = table.loc[("table6", "as published", "of means")]
    assert row["psnr_max_db"] == pytest.approx(averages["psnr_max_db_mean"].mean()) and row["n_cells"] == 2
    # A mean without the cells that have none would be of other scanners.
    assert np.isnan(table.loc[("tables3to5", "as published", "within a scanner"), "psnr_db"])
    assert np.isfinite(table.loc[("tables3to5", "as published", "between scanners"), "psnr_db"])


def test_contrasts_add_up_from_the_nearest_that_has_pairs(corrected):
    pairs, _ = corrected
    table = decomposition(pairs).set_index("contrast")
    assert list(table.index) == list(CONTRASTS)
    rows = pairs[(pairs["table"] == "contrast") & (pairs["variant"] == "other_dose")]
    assert table.loc["other_dose", "mse_hu2_median"] == pytest.approx(np.median(rows["rmse_hu"] ** 2))
    steps = table["increment_hu2"].iloc[1:].sum()
    assert steps == pytest.approx(table["mse_hu2_median"].iloc[-1] - table["mse_hu2_median"].iloc[0])
    without = decomposition(pairs[pairs["variant"] != "other_dose"]).set_index("contrast")
    assert without.loc["other_dose", "n_pairs"] == 0 and np.isnan(without.loc["other_dose", "mse_hu2_median"])
    assert without.loc["other_scanner", "increment_over"] == "other_repetition"


def test_no_pairs_at_all_gives_blank_tables():
    series = make_series(("A1",), (10,), ("IR",), 1)
    pairs = make_pairs(series, CORRECTED)
    assert pairs["is_self_pair"].tolist() == [True]
    by_cell, by_dose = cells_by_choice(pairs, series), doses_by_choice(pairs, series, CORRECTED)
    assert by_cell.empty and by_dose.empty and choices(by_cell, by_dose).empty
    pairs = pairs[:0]
    assert choices(cells_by_choice(pairs, series), doses_by_choice(pairs, series, CORRECTED)).empty
    assert scanner_table(pairs, series, "ssim")["reason"].tolist() == [
        "one scan of A1 at 10 mGy: two reconstructions of it are no repetition"
    ]
    assert table6(pairs, series, CORRECTED)["n_pairs"].sum() == 0
    assert decomposition(pairs)["n_pairs"].sum() == 0


def test_pairs_of_unknown_series_are_refused(paper):
    pairs, series = paper
    with pytest.raises(UserError, match="lacks, first A1-10"):
        scanner_table(pairs, series[series["scanner"] != "A1"], "rmse_hu")
