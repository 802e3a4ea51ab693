"""Paired differences beside scipy's paired t-test and beside numbers that are computed without the unit."""

import numpy as np
import pandas as pd
import pytest
from learning_data import features_table, keys_table
from scipy import stats

from ct4bench.core.benchmark import SCANNERS
from ct4bench.results.differences import (
    COLUMNS,
    accuracy_differences,
    dose_differences,
    icc_differences,
    value_differences,
)
from ct4bench.stability.icc import icc_summary, icc_table, mean_icc_intervals

ENDS = ["difference_ci_low", "difference_ci_high"]
ROI_ENDS = ["difference_roi_ci_low", "difference_roi_ci_high"]


def table6(values: dict[str, dict]) -> pd.DataFrame:
    """Rows of Table 6: RMSE by scanner and dose; the other metrics follow."""
    rows = [
        {"scanner": scanner, "row_kind": "dose", "dose_mgy": dose, "n_pairs": 1, "rmse_hu_mean": value,
         "psnr_db_mean": 80 - value, "ssim_mean": 1 - value / 100}
        for scanner, doses in values.items() for dose, value in doses.items()
    ]  # fmt: skip
    average = {"scanner": "A1", "row_kind": "average", "dose_mgy": None, "n_pairs": 9, "rmse_hu_mean": 1e6}
    return pd.DataFrame([*rows, average]).astype({"dose_mgy": "Int64"})


def test_doses_are_compared_within_scanners(rng):
    """Scanners differ by 30 HU, doses by 3: the paired interval sees the doses, those of the means alone would not."""
    level = dict(zip(SCANNERS, rng.normal(60, 30, 13), strict=True))
    values = {s: {1: level[s] + 3 + rng.normal(0, 1), 10: level[s] + rng.normal(0, 1)} for s in SCANNERS}
    values["H1"] = {1: 50.0}
    found = dose_differences(table6(values))
    assert list(found["measure"]) == ["RMSE (HU)", "PSNR (dB)", "SSIM"]
    row = found.iloc[0]
    pairs = np.array([[doses[1], doses[10]] for doses in values.values() if len(doses) == 2])
    assert (row["first"], row["second"], row["ci_unit"], row["n_ci_units"]) == ("1 mGy", "10 mGy", "scanner", 12)
    assert row["difference"] == pytest.approx(np.diff(pairs).mean() * -1)
    assert row["value_first"] - row["value_second"] == pytest.approx(row["difference"])
    expected = stats.ttest_rel(pairs[:, 0], pairs[:, 1]).confidence_interval()
    assert tuple(row[ENDS]) == pytest.approx(tuple(expected))
    assert row[ENDS[0]] > 0 > stats.ttest_ind(pairs[:, 0], pairs[:, 1]).confidence_interval().low


def test_doses_of_one_scanner_have_no_interval_and_one_dose_no_row():
    row = dose_differences(table6({"A1": {1: 9.0, 3: 7.0}})).iloc[0]
    assert row["difference"] == 2 and np.isnan(row[ENDS[0]]) and row["n_ci_units"] == 1
    assert dose_differences(table6({"A1": {1: 9.0}, "B1": {3: 7.0}})).empty


@pytest.fixture(scope="module")
def feature_sets():
    keys = keys_table(("A1", "B1", "C1", "D1", "H1"), patches=3)
    keys = keys.assign(recon=keys["recon"].where(keys["recon"] != "DL", "FBP"))
    other = features_table(keys, spread=3.0, seed=8)
    return {"radiomics": features_table(keys, spread=1.0), "mine": other, "swin_unetr": features_table(keys, seed=9)}


def test_mean_iccs_are_compared_without_the_same_scanner_and_region(feature_sets):
    made = [mean_icc_intervals(table, name) for name, table in feature_sets.items()]
    intervals, left_out = (pd.concat(parts, ignore_index=True) for parts in zip(*made, strict=True))
    sets, strata = icc_differences(intervals, left_out, list(feature_sets))
    assert list(sets["measure"]) == ["mean ICC(2,1)"] * 3 + ["mean ICC(3,1)"] * 3
    assert list(zip(sets["first"], sets["second"], strict=True))[:3] == [
        ("radiomics", "mine"), ("radiomics", "swin_unetr"), ("mine", "swin_unetr")
    ]  # fmt: skip
    assert set(sets.columns) | {"extractor"} == set(COLUMNS)

    def mean(name: str, without: tuple = ("scanner", ""), stratum: str = "all") -> float:
        table = feature_sets[name]
        summary = icc_summary(icc_table(table[table[without[0]] != without[1]], name))
        return summary.set_index(["form", "stratum"]).loc[("ICC(2,1)", stratum), "icc_mean"]

    row = sets.iloc[0]
    assert row["difference"] == pytest.approx(mean("radiomics") - mean("mine"))
    for column, units, ends in (("scanner", ["A1", "B1", "C1", "D1", "H1"], ENDS),
                                ("roi", sorted(feature_sets["mine"]["roi"].unique()), ROI_ENDS)):  # fmt: skip
        x = np.array([mean("radiomics", (column, unit)) - mean("mine", (column, unit)) for unit in units])
        n = len(units)
        half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((x - x.mean()) ** 2).sum())
        expected = np.clip([row["difference"] - half, row["difference"] + half], -1, 1)
        assert list(row[ends]) == pytest.approx(list(expected))
    own = strata[(strata["extractor"] == "mine") & (strata["measure"] == "mean ICC(2,1)")]
    assert own[["first", "second"]].to_numpy().tolist() == [["recon=FBP", "recon=IR"]]
    expected = mean("mine", stratum="recon=FBP") - mean("mine", stratum="recon=IR")
    assert own["difference"].iloc[0] == pytest.approx(expected)


def test_a_reconstruction_that_other_scanners_have_is_not_compared(feature_sets):
    table = feature_sets["radiomics"]
    some = table[(table["recon"] == "IR") & table["scanner"].isin(["A1", "B1", "C1"])].assign(recon="DL")
    some["series_uid"] += ".DL"
    intervals, left_out = mean_icc_intervals(pd.concat([table, some], ignore_index=True), "radiomics")
    assert "recon=DL" in set(intervals["stratum"])
    strata = icc_differences(intervals, left_out, ["radiomics"])[1]
    assert set(strata["first"]) == {"recon=FBP"} and set(strata["second"]) == {"recon=IR"}


def predictions(rng, extractors=("radiomics", "mine"), **fields) -> pd.DataFrame:
    """LOSO of six scanners: a scanner's difficulty is shared by the feature sets; series are FBP and IR in turn."""
    keys = keys_table(("A1", "B1", "C1", "D1", "F1", "H1"), patches=4)
    hard = dict(zip(sorted(set(keys["scanner"])), rng.uniform(0.2, 0.9, 6), strict=True))
    draw = rng.random(len(keys))
    parts = []
    for number, extractor in enumerate(extractors):
        right = draw < keys["scanner"].map(hard) + 0.1 * number + 0.02 * rng.normal(size=len(keys))
        wrong = np.where(keys["tissue"] == "cyst", "normal", "cyst")
        parts.append(
            keys.assign(extractor=extractor, target=keys["tissue"], predicted=np.where(right, keys["tissue"], wrong))
        )
    base = {"task": "tissue", "classifier": "mlp", "ablation": "default", "scheme": "loso", "n_train": 5}
    table = pd.concat(parts, ignore_index=True)
    return table.assign(fold=table["scanner"], **{**base, **fields})


def test_accuracies_of_feature_sets_are_compared_by_scanner(rng):
    rows = predictions(rng)
    found = accuracy_differences(rows, "scanner", ["mine", "radiomics"])
    assert found[["measure", "cell", "first", "second"]].to_numpy().tolist() == [
        [measure, "tissue, loso, 5", "mine", "radiomics"] for measure in ("accuracy", "balanced accuracy")
    ]
    right = rows["target"] == rows["predicted"]
    by_scanner = right.groupby([rows["extractor"], rows["scanner"]]).mean().unstack(0)
    test = stats.ttest_rel(by_scanner["mine"], by_scanner["radiomics"]).confidence_interval()
    row = found.iloc[0]
    assert row["difference"] == pytest.approx((by_scanner["mine"] - by_scanner["radiomics"]).mean())
    assert tuple(row[ENDS]) == pytest.approx(tuple(test))
    assert (row["value_first"], row["value_second"]) == pytest.approx(tuple(by_scanner.mean()[["mine", "radiomics"]]))
    # The two differ surely, though the interval of either holds the other.
    assert row[ENDS[0]] > 0
    alone = stats.ttest_ind(by_scanner["mine"], by_scanner["radiomics"]).confidence_interval()
    assert alone.low < 0 and np.diff(test)[0] < 0.3 * np.diff(alone)[0]


def test_lines_of_a_table_by_value_are_compared_where_they_share_a_value_or_change_the_two(rng):
    rows = predictions(rng, ["mine"], task="tissue_other_recon", scheme="one_to_others", n_train=1)
    rows = rows[rows["recon"] != "DL"]
    series = rows.drop_duplicates("series_uid")
    fbp, ir = (rows[rows["recon"] == tested].assign(fold=trained) for trained, tested in (("IR", "FBP"), ("FBP", "IR")))
    found = value_differences(pd.concat([fbp, ir]), series, "recon", "scanner", ["radiomics", "mine"])
    assert (
        found[["extractor", "first", "second"]].to_numpy().tolist()
        == [["mine", "FBP, tested on IR", "IR, tested on FBP"]] * 2
    )
    right = {
        name: (part["target"] == part["predicted"]).groupby(part["scanner"]).mean()
        for name, part in (("a", ir), ("b", fbp))
    }
    change = (ir["target"] == ir["predicted"]).mean() - (fbp["target"] == fbp["predicted"]).mean()
    assert found["difference"].iloc[0] == pytest.approx(change)
    test = stats.ttest_rel(right["a"], right["b"]).confidence_interval()
    assert tuple(found.loc[0, ENDS]) == pytest.approx(tuple(test))
    fewer = pd.concat([fbp[fbp["scanner"] != "A1"], ir])
    assert value_differences(fewer, series, "recon", "scanner", ["mine"]).empty
