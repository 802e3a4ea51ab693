"""Repeatability, reproducibility, discriminability: closed forms and known components of variance."""

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, scan_id, tissue_of
from ct4bench.stability.icc import Ratings, icc_table
from ct4bench.stability.repeatability import (
    REPEATABILITY_COLUMNS,
    discriminability,
    repeatability_table,
    stable_features,
    tissue_contrast,
)

SCANNERS = ("A1", "A2", "B1", "B2", "G1", "G2", "C1", "H2", "D1", "E2", "F1", "E1", "H1")


def make_table(scanners=SCANNERS, recons=("FBP", "IR"), repetitions=5, patches=2, doses=(10,)):
    rows = [
        (f"{s}.{d}.{r}.{n}", scan_id(s, d, n), s, s[0], d, r, n, roi, tissue_of(roi), p)
        for s in scanners for d in doses for r in recons for n in range(1, repetitions + 1)
        for roi in ROIS for p in range(patches)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=FEATURE_KEY)


def test_components_of_variance_are_recovered(rng):
    table = make_table(repetitions=10)
    cells = table.groupby(["scanner", "recon", "roi", "patch"]).ngroup()
    effect = rng.normal(0, 4, cells.max() + 1)
    table["f"] = 100 + effect[cells] + rng.normal(0, 2, len(table))
    row = repeatability_table(table, "radiomics").iloc[0]
    assert row["n_repeated"] == 13 * 2 * 6 * 2 and row["df_within"] == 9 * row["n_repeated"]
    assert row["n_compared"] == 2 * 6 * 2
    assert row["within_sd"] == pytest.approx(2, rel=0.04)
    assert row["between_sd"] == pytest.approx(4, rel=0.12)
    assert row["reproducibility_sd"] == pytest.approx(np.hypot(row["between_sd"], row["within_sd"]), rel=1e-12)
    assert row["repeatability_coefficient"] == pytest.approx(2.77 * row["within_sd"], rel=2e-3)


def test_within_is_the_pooled_variance_of_repetitions_by_hand(rng):
    table = make_table(("A1", "B1"), ("IR",), 3, 1)
    table = table.drop(index=[0, 6]).reset_index(drop=True)
    table["f"] = rng.normal(5, 1, len(table))
    squares, df = 0.0, 0
    for _, part in table.groupby(["scanner", "roi"]):
        if len(part) > 1:
            squares += ((part["f"] - part["f"].mean()) ** 2).sum()
            df += len(part) - 1
    row = repeatability_table(table, "x").iloc[0]
    assert (row["df_within"], row["n_repeated"]) == (df, 11) == (22, 11)
    assert row["within_sd"] == pytest.approx(np.sqrt(squares / df), rel=1e-12)


def test_between_is_the_one_way_analysis_of_variance_by_hand(rng):
    table = make_table(("A1", "B1", "C1"), ("IR",), 4, 1)
    table = table.drop(index=[0, 9, 30]).reset_index(drop=True)
    table["f"] = rng.normal(0, 1, len(table)) + table["scanner"].map({"A1": 0, "B1": 2, "C1": 5})
    between, within, df_between, df_within, replicates = 0.0, 0.0, 0, 0, 0.0
    for _, part in table.groupby("roi"):
        groups = [g["f"].to_numpy() for _, g in part.groupby("scanner")]
        between += sum(len(g) * (g.mean() - part["f"].mean()) ** 2 for g in groups)
        within += sum(((g - g.mean()) ** 2).sum() for g in groups)
        df_between += len(groups) - 1
        df_within += len(part) - len(groups)
        replicates += len(part) - sum(len(g) ** 2 for g in groups) / len(part)
    ms_within = within / df_within
    variance = (between / df_between - ms_within) / (replicates / df_between)
    row = repeatability_table(table, "x").iloc[0]
    assert row["between_sd"] == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert row["reproducibility_sd"] == pytest.approx(np.sqrt(variance + ms_within), rel=1e-12)


def test_without_repetitions_within_is_blank_and_reproducibility_is_not(rng):
    table = make_table(repetitions=1)
    table["f"] = 50 + rng.normal(0, 3, len(table))
    row = repeatability_table(table, "x").iloc[0]
    assert row[["within_sd", "within_relative", "repeatability_coefficient", "between_sd"]].isna().all()
    assert (row["n_repeated"], row["df_within"]) == (0, 0)
    assert row["reproducibility_sd"] == pytest.approx(3, rel=0.1)


def test_a_condition_of_one_scanner_does_not_count(rng):
    table = make_table(("A1", "E2"), ("IR",), 2, 1)
    table["f"] = rng.normal(0, 1, len(table))
    before = repeatability_table(table, "x").iloc[0]
    dl = table[table["scanner"] == "E2"].assign(recon="DL", f=1e6)
    dl["series_uid"] = dl["series_uid"].str.replace("IR", "DL")
    after = between_columns(repeatability_table(pd.concat([table, dl]), "x"))
    assert after == between_columns(before.to_frame().T)


def between_columns(frame):
    return frame[["n_compared", "between_sd", "reproducibility_sd"]].iloc[0].tolist()


def test_makers_are_compared_with_their_scanners_as_replicates(rng):
    table = make_table(("A1", "A2", "B1", "B2"), ("IR",), 2, 1)
    table["maker"] = table["scanner"].str[0]
    scanner = table["scanner"].map({"A1": -1.0, "A2": 1.0, "B1": -1.0, "B2": 1.0})
    table["f"] = scanner + 10 * (table["maker"] == "B")
    row = repeatability_table(table, "x", "maker").iloc[0]
    assert row["within_sd"] == 0 and row["n_compared"] == 6
    # Makers' means are 10 apart; scanners within a maker, in pairs of equal repetitions, have a variance of 4 / 3.
    assert row["reproducibility_sd"] ** 2 == pytest.approx((4 * 2 * 25 - 4 / 3) / 4 + 4 / 3)


def rated(values):
    return Ratings(np.asarray(values, float), ["f"] * len(values), list(ROIS), list("abcd")[: np.shape(values)[2]])


def test_perfect_and_chance_discriminability(rng):
    perfect = np.arange(6.0)[None, :, None] * 10 + rng.uniform(0, 1, (1, 6, 4))
    assert discriminability(rated(perfect))[0] == 1 and discriminability(rated(perfect), True)[0] == 1
    noise = rng.normal(0, 1, (300, 6, 4))
    assert discriminability(rated(noise)).mean() == pytest.approx(0.5, abs=0.01)
    assert discriminability(rated(np.ones((1, 6, 4))))[0] == 0.5


def test_tissues_that_differ_do_not_help_within_a_tissue(rng):
    """Both cysts alike and both normals alike: 100 HU between tissues make the one high, the other stays at chance."""
    level = np.array([0, 0, 40, 45, 90, 90.0])
    values = level[None, :, None] + rng.normal(0, 1, (200, 6, 4))
    assert discriminability(rated(values)).mean() > 0.85
    assert discriminability(rated(values), True).mean() == pytest.approx(0.5, abs=0.02)


def test_discriminability_by_plain_loops(rng):
    values = rng.normal(0, 1, (1, 6, 3)) + np.arange(6)[:, None]
    wins, n = 0, 0
    x = values[0]
    for i in range(6):
        for r in range(3):
            for s in range(3):
                for j in range(6):
                    for t in range(3):
                        if s != r and t != r and j != i:
                            n += 1
                            wins += abs(x[i, r] - x[i, s]) < abs(x[i, r] - x[j, t])
    assert discriminability(rated(values))[0] == pytest.approx(wins / n)


def test_tissues_of_one_roi_have_no_discriminability_within():
    two = Ratings(np.random.default_rng(0).normal(size=(1, 2, 3)), ["f"], ["hemangioma", "metastasis"], list("abc"))
    assert np.isnan(discriminability(two, True)).all() and np.isfinite(discriminability(two)).all()


def test_columns_and_features_that_are_not_finite(rng):
    table = make_table(("A1", "B1"), repetitions=2)
    table["f"], table["g"] = rng.normal(0, 1, len(table)), np.nan
    found = repeatability_table(table, "radiomics")
    assert list(found.columns) == REPEATABILITY_COLUMNS and found["feature"].tolist() == ["f", "g"]
    numbers = [
        "within_sd",
        "within_relative",
        "between_sd",
        "reproducibility_sd",
        "tissue_contrast",
        "discriminability",
    ]
    assert found.loc[1, numbers].isna().all() and found.loc[0, numbers].notna().all()


def test_the_most_stable_feature_everywhere_comes_first(rng):
    table = make_table(repetitions=2)
    level = table["roi"].map({roi: 30.0 * i for i, roi in enumerate(ROIS)})
    noise = rng.normal(0, 1, (3, len(table)))
    table["good"], table["bad"], table["flat"] = level + noise[0], noise[1], 3.0
    # Stable with IR, not with FBP: the mean over both is not the worst.
    table["sometimes"] = level + 80 * noise[2] * (table["recon"] == "FBP")
    rows = icc_table(table, "radiomics")
    ranked = stable_features(rows, repeatability_table(table, "radiomics"))
    assert ranked["feature"].tolist()[0] == "good" and ranked["feature"].tolist()[-1] == "flat"
    assert ranked["rank"].tolist() == [1, 2, 3, 4]
    assert ranked["stable"].tolist() == [True, False, False, False]
    row = ranked.set_index("feature").loc["sometimes"]
    own = rows[(rows["feature"] == "sometimes") & (rows["form"] == "ICC(2,1)")].set_index("stratum").drop("targets=12")
    assert row["ci_low_lowest"] == own["ci_low"].min() and row["stratum_lowest"] == own["ci_low"].idxmin()
    assert (row["icc"], row["ci_low"]) == tuple(own.loc["all", ["icc", "ci_low"]])
    assert {"within_relative", "reproducibility_relative", "discriminability_within_tissue"} <= set(ranked.columns)


def test_a_feature_that_shifts_between_scanners_is_not_stable(rng):
    """By ICC(3,1), which does not see the shift, it would be the most stable of all."""
    table = make_table(repetitions=1, recons=("IR",))
    level = table["roi"].map({roi: 30.0 * i for i, roi in enumerate(ROIS)})
    table["shifts"] = level + table["scanner"].map({s: 25.0 * i for i, s in enumerate(SCANNERS)})
    table["agrees"] = level + rng.normal(0, 5, len(table))
    rows = icc_table(table, "x")
    consistency = rows[(rows["form"] == "ICC(3,1)") & (rows["stratum"] == "all")].set_index("feature")["icc"]
    assert consistency["shifts"] > consistency["agrees"] > 0.9
    ranked = stable_features(rows).set_index("feature")
    assert ranked["rank"].to_dict() == {"agrees": 1, "shifts": 2}
    assert ranked.loc["agrees", "stable"] and not ranked.loc["shifts", "stable"]


def test_an_estimate_of_few_raters_ranks_behind_a_surer_one():
    rows = pd.DataFrame({"extractor": "x", "feature": ["lucky", "sure"], "feature_class": "glcm", "form": "ICC(2,1)",
                         "stratum": "all", "icc": [0.97, 0.95], "ci_low": [0.5, 0.91], "ci_high": 0.99})  # fmt: skip
    ranked = stable_features(rows)
    assert ranked["feature"].tolist() == ["sure", "lucky"] and ranked["stable"].tolist() == [True, False]


@pytest.mark.parametrize("shift", [0.0, -47.3, 1e4])
def test_spread_is_measured_by_the_contrast_between_tissues_wherever_0_lies(rng, shift):
    """HU and signed features: a coefficient of variation of the same spread would be 1.42 or 0.004 by where 0 lies."""
    table = make_table(repetitions=10, recons=("IR",))
    of_roi = {"cyst1": -4.0, "cyst2": 4.0, "hemangioma": 40.0, "metastasis": 40.0, "normal1": 88.0, "normal2": 96.0}
    cells = table.groupby(["scanner", "roi", "patch"]).ngroup().to_numpy()
    table["f"] = (
        shift + table["roi"].map(of_roi) + rng.normal(0, 6, cells.max() + 1)[cells] + rng.normal(0, 2, len(table))
    )
    row = repeatability_table(table, "x").iloc[0]
    # Tissues of 0, 40, 40 and 92 HU: differences of 40, 40, 92, 0, 52 and 52.
    contrast = np.sqrt((2 * 40**2 + 92**2 + 2 * 52**2) / 6)
    assert row["tissue_contrast"] == pytest.approx(contrast, rel=0.03)
    assert row["within_relative"] == pytest.approx(2 / contrast, rel=0.08)
    assert row["reproducibility_relative"] == pytest.approx(np.hypot(2, 6) / contrast, rel=0.15)
    assert not {"wcv", "between_cv"} & set(row.index)
    scaled = repeatability_table(table.assign(f=-1e-3 * table["f"]), "x").iloc[0]
    assert scaled["within_relative"] == pytest.approx(row["within_relative"], rel=1e-6)


def test_without_a_contrast_nothing_is_relative_to_it(rng):
    table = make_table(("A1", "B1", "C1"), repetitions=2)
    table["f"] = rng.normal(0, 1, len(table))
    cysts = table[table["roi"].isin(["cyst1", "cyst2"])]
    row = repeatability_table(cysts, "x").iloc[0]
    assert row[["tissue_contrast", "within_relative", "reproducibility_relative"]].isna().all() and row["within_sd"] > 0
    flat = Ratings(np.full((1, 6, 3), 0.1), ["f"], list(ROIS), list("abc"))
    assert np.isnan(tissue_contrast(flat)).all()


def test_ranks_are_by_extractor(rng):
    table = make_table(("A1", "B1", "C1"), repetitions=1)
    table["f"], table["g"] = rng.normal(0, 1, (2, len(table)))
    rows = pd.concat([icc_table(table, "radiomics"), icc_table(table, "swin_unetr")])
    assert stable_features(rows)["rank"].tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("repetitions", [1, 3])
def test_two_scanners_are_enough_to_compare(rng, repetitions):
    """By scipy's one-way analysis of variance, summed over the conditions, and by the means' own SD."""
    table = make_table(("A1", "C1"), recons=("FBP", "IR"), repetitions=repetitions, patches=1)
    alone = make_table(("E2",), recons=("DL",), repetitions=repetitions, patches=1)  # compared with nobody
    table = pd.concat([table, alone], ignore_index=True)
    table["f"] = 50 + 5 * (table["scanner"] == "A1") + rng.normal(0, 1, len(table))
    row = repeatability_table(table, "radiomics").iloc[0]
    assert row["n_compared"] == 2 * 6
    both = table[table["scanner"] != "E2"]
    means = both.groupby(["recon", "roi", "scanner"])["f"].mean().unstack()
    spread = means.std(axis=1, ddof=1)
    ms_between = repetitions * (spread**2).mean()
    if repetitions == 1:
        assert np.isnan(row["between_sd"])
        assert row["reproducibility_sd"] == pytest.approx(np.sqrt(ms_between), rel=1e-9)
    else:
        ms_within = both.groupby(["recon", "roi", "scanner"])["f"].var(ddof=1).mean()
        between = (ms_between - ms_within) / repetitions
        assert row["between_sd"] == pytest.approx(np.sqrt(between), rel=1e-9)
        assert row["reproducibility_sd"] == pytest.approx(np.sqrt(between + ms_within), rel=1e-9)
