"""ICC of tables of features: ratings, strata, what is blank, summaries, and the intervals of the mean."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, scan_id, tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.intervals import SHARE, jackknife_interval
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.stability.icc import (
    ALL,
    FORMS,
    ICC_COLUMNS,
    WHAT_EACH_SEES,
    feature_class,
    group_means,
    icc,
    icc_intervals,
    icc_summary,
    icc_table,
    mean_icc,
    mean_icc_intervals,
    mean_icc_without,
    mean_squares,
    ratings,
    table7_icc_summary,
)

MAKER = {"A1": "Siemens", "B1": "Siemens", "C1": "Philips", "E2": "GE", "H1": "Toshiba"}
ROI_MEANS_HU = np.array([-3.4, 1.9, 37.8, 42.4, 87.2, 99.8])
"""Measured means of the six ROIs, in the order of `ROIS`."""


def make_features(rng, scanners=("A1", "C1", "E2", "H1"), doses=(10,), recons=("FBP", "IR"), repetitions=2, patches=3):
    """A table of features: `level` differs by ROI, `offset` also by scanner, `flat` is constant, `noise` is noise."""
    rows = [
        (f"{s}.{d}.{r}.{n}", scan_id(s, d, n), s, MAKER[s], d, r, n, roi, tissue_of(roi), p)
        for s in scanners for d in doses for r in recons for n in range(1, repetitions + 1)
        for roi in ROIS for p in range(patches)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=FEATURE_KEY)
    level = table["roi"].map(dict(zip(ROIS, ROI_MEANS_HU, strict=True)))
    offset = table["scanner"].map({s: 40.0 * i for i, s in enumerate(scanners)})
    table["original_firstorder_Mean"] = level + rng.normal(0, 3, len(table))
    table["original_glcm_Offset"] = level + offset + rng.normal(0, 3, len(table))
    table["original_ngtdm_Flat"] = 0.1
    table["deep_0"] = rng.normal(0, 1, len(table))
    return table


@pytest.fixture
def features(rng):
    return make_features(rng)


def test_ratings_are_means_over_what_shares_roi_and_scanner(features):
    rated = ratings(features, "scanner")
    assert rated.targets == list(ROIS) and rated.raters == ["A1", "C1", "E2", "H1"]
    assert rated.values.shape == (4, 6, 4)
    rows = features[(features["roi"] == "metastasis") & (features["scanner"] == "E2")]
    assert len(rows) == 2 * 2 * 3
    for i, name in enumerate(rated.features):
        assert rated.values[i, 3, 2] == pytest.approx(rows[name].mean(), rel=1e-13)


def test_scanners_are_in_the_papers_order_and_patches_within_their_roi(rng):
    table = make_features(rng, scanners=("H1", "E2", "C1", "A1"))
    assert ratings(table, "scanner").raters == ["A1", "C1", "E2", "H1"]
    by_patch = ratings(table, "scanner", by_patch=True)
    assert by_patch.targets[:4] == [("cyst1", 0), ("cyst1", 1), ("cyst1", 2), ("cyst2", 0)]
    assert by_patch.values.shape == (4, 18, 4)


def test_the_order_of_rows_changes_no_bit(features):
    one = icc_table(features, "radiomics")
    other = icc_table(features.sample(frac=1, random_state=3), "radiomics")
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_table_has_the_columns_and_vocabulary_of_the_contract(features):
    table = icc_table(features, "radiomics")
    assert list(table.columns) == ICC_COLUMNS
    assert set(table["form"]) == set(FORMS)
    assert set(table["stratum"]) == {ALL, "recon=FBP", "recon=IR", "targets=18"}
    assert len(table) == 4 * 6 * 4
    n = table.groupby("stratum")[["n_targets", "n_raters"]].first()
    assert n.loc["all"].tolist() == [6, 4] and n.loc["targets=18"].tolist() == [18, 4]
    classes = table.drop_duplicates("feature").set_index("feature")["feature_class"]
    assert classes.tolist() == ["firstorder", "glcm", "ngtdm", "latent"]
    assert (table["ci_low"] <= table["icc"] + 1e-12).sum() == (table["icc"] <= table["ci_high"] + 1e-12).sum()


def test_between_targets_is_not_between_scanners(features):
    """Point 13: BMS is the mean square between ROIs; swapped with that between scanners, the offset would pass."""
    table = icc_table(features, "radiomics")
    row = table[(table["feature"] == "original_glcm_Offset") & (table["stratum"] == ALL)].set_index("form")
    means = features.groupby(["roi", "scanner"])["original_glcm_Offset"].mean().unstack()
    assert row.loc["ICC(3,1)", "ms_targets"] == pytest.approx(4 * means.mean(axis=1).var(ddof=1))
    assert row.loc["ICC(3,1)", "ms_raters"] == pytest.approx(6 * means.mean(axis=0).var(ddof=1))
    assert row.loc["ICC(3,1)", "icc"] > 0.99 > 0.6 > row.loc["ICC(2,1)", "icc"]


def test_the_example_of_the_report_holds(rng):
    """Six ROIs and offsets between scanners of SD 30 HU."""
    offsets = rng.normal(0, 1, 13)
    offsets = 30 * (offsets - offsets.mean()) / offsets.std(ddof=1)
    noise = rng.normal(0, 1, (6, 13))
    noise -= noise.mean(axis=0) + noise.mean(axis=1, keepdims=True) - noise.mean()
    noise *= 1.9 / np.sqrt((noise**2).sum() / 60)
    ms = mean_squares((ROI_MEANS_HU[:, None] + offsets + noise)[None])
    assert icc(ms, "ICC(3,1)")[0] == pytest.approx(0.998, abs=5e-4)
    assert icc(ms, "ICC(2,1)")[0] == pytest.approx(0.65, abs=0.02)
    assert "0.998" in WHAT_EACH_SEES and "0.65" in WHAT_EACH_SEES


def test_a_constant_feature_has_no_icc(features):
    table = icc_table(features, "radiomics")
    flat = table[table["feature"] == "original_ngtdm_Flat"]
    assert flat[["icc", "icc_clipped", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (flat[["ms_targets", "ms_raters", "ms_error"]] == 0).all(axis=None)
    summary = icc_summary(table).set_index(["form", "stratum"]).loc[("ICC(3,1)", ALL)]
    assert (summary["n_features"], summary["n_undefined"]) == (3, 1)


def test_a_feature_that_is_not_finite_is_blank_and_leaves_others_alone(features):
    before = icc_table(features, "x")
    features.loc[5, "deep_0"] = np.nan
    after = icc_table(features, "x")
    broken = after["feature"] == "deep_0"
    blank = after[broken & (after["stratum"] == ALL)]
    assert blank[["icc", "icc_clipped", "ms_targets"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(after[~broken], before[~broken], check_exact=True)


def test_raters_that_agree_wholly_have_icc_1_with_interval_1():
    values = np.broadcast_to(ROI_MEANS_HU[:, None], (6, 5))[None].copy()
    ms = mean_squares(values)
    for form in FORMS:
        assert icc(ms, form)[0] == pytest.approx(1)
        low, high = icc_intervals(ms)[form]
        assert low[0] == pytest.approx(1) and high[0] == pytest.approx(1)


def test_targets_that_do_not_differ_have_an_icc_of_0_at_most(rng):
    values = rng.normal(0, 1, (1, 6, 4))
    values -= values.mean(axis=2, keepdims=True)
    ms = mean_squares(values)
    assert ms.targets[0] == pytest.approx(0, abs=1e-25)
    for form in FORMS:
        assert np.clip(icc(ms, form), 0, 1)[0] == 0


def test_a_shift_and_a_scale_of_a_feature_change_no_icc(rng):
    values = rng.normal(0, 1, (3, 6, 5)) + ROI_MEANS_HU[:, None]
    one, other = mean_squares(values), mean_squares(1e-3 * values + 7)
    for form in FORMS:
        np.testing.assert_allclose(icc(one, form), icc(other, form), rtol=1e-9)


@pytest.mark.parametrize("domain, raters", [("scanner", 4), ("maker", 4), ("dose_mgy", 2), ("recon", 2)])
def test_every_domain_can_be_compared(rng, domain, raters):
    table = icc_table(make_features(rng, doses=(3, 10)), "radiomics", domain)
    assert set(table["domain"]) == {domain} and set(table["n_raters"]) == {raters}
    assert not table["stratum"].str.startswith(f"{domain}=").any()


def test_strata_of_doses_and_of_a_reconstruction_of_one_scanner(rng, caplog):
    table = make_features(rng, doses=(3, 10))
    dl = table[(table["scanner"] == "E2") & (table["recon"] == "IR")].assign(recon="DL")
    dl["series_uid"] = dl["series_uid"].str.replace("IR", "DL")
    with caplog.at_level("INFO"):
        strata = set(icc_table(pd.concat([table, dl], ignore_index=True), "x")["stratum"])
    assert strata == {ALL, "recon=FBP", "recon=IR", "dose_mgy=3", "dose_mgy=10", "targets=18"}
    assert "stratum recon=DL has a single scanner" in caplog.text


def test_one_patch_a_roi_has_no_stratum_of_patches(rng):
    assert not icc_table(make_features(rng, patches=1), "x")["stratum"].str.startswith("targets").any()


def test_a_scanner_without_a_roi_is_named(features):
    lacking = features[~((features["scanner"] == "E2") & (features["roi"] == "cyst2"))]
    with pytest.raises(UserError, match="no row of cyst2 with scanner E2 .*1 of 24"):
        icc_table(lacking, "radiomics")
    lacking = features[~((features["scanner"] == "C1") & (features["roi"] == "normal1") & (features["patch"] == 2))]
    with pytest.raises(UserError, match="no row of normal1, patch 2, with scanner C1"):
        icc_table(lacking, "radiomics")


def test_one_scanner_one_roi_no_row_and_rows_that_repeat_are_refused(features):
    with pytest.raises(UserError, match="only A1; give features of two or more"):
        icc_table(features[features["scanner"] == "A1"], "x")
    with pytest.raises(UserError, match="only cyst1"):
        icc_table(features[features["roi"] == "cyst1"], "x")
    with pytest.raises(UserError, match="no row or no feature"):
        icc_table(features.iloc[:0], "x")
    with pytest.raises(UserError, match="no row or no feature"):
        icc_table(features[FEATURE_KEY], "x")
    with pytest.raises(UserError, match="is duplicated"):
        icc_table(pd.concat([features, features.iloc[[7]]]), "x")


def test_feature_classes():
    assert feature_class("original_glcm_Contrast") == "glcm"
    assert feature_class("wavelet-HLL_firstorder_Mean") == "firstorder"
    assert feature_class("log-sigma-3-0-mm-3D_shape2D_Elongation") == "shape2D"
    assert feature_class("swin_767") == "latent"


def test_table_7_has_the_headline_of_the_mode_with_the_others_beside(features):
    rows = pd.concat([icc_table(features, "radiomics"), icc_table(features.drop(columns="deep_0"), "swin_unetr")])
    paper, corrected = table7_icc_summary(rows, PAPER), table7_icc_summary(rows, CORRECTED)
    assert paper["extractor"].tolist() == ["radiomics", "swin_unetr"]
    assert set(paper["icc_form"]) == {"ICC(3,1)"} and set(corrected["icc_form"]) == {"ICC(2,1)"}
    own = rows[(rows["extractor"] == "radiomics") & (rows["stratum"] == ALL) & (rows["form"] == "ICC(3,1)")]
    clipped = own["icc_clipped"].dropna().to_numpy()
    assert paper["icc_mean"][0] == pytest.approx(clipped.sum() / 3)
    assert paper["icc_sd"][0] == pytest.approx(np.sqrt(((clipped - clipped.mean()) ** 2).sum() / 2))
    assert paper["icc_2_1_mean"].tolist() == corrected["icc_mean"].tolist()
    pairs = [
        (f"{name}_mean", f"{name}_sd") for name in ("icc", "icc_1_1", "icc_2_1", "icc_3_1", "icc_3_k", "icc_patches")
    ]
    names = [name for pair in pairs for name in pair]
    assert list(paper.columns) == ["extractor", *names[:2], "icc_form", "n_features", "n_undefined", *names[2:]]
    assert list(paper.index) == [0, 1]
    intervals = mean_icc_intervals(features, "radiomics")[0]
    with_intervals = table7_icc_summary(rows, PAPER, intervals)
    for stem in ("icc", "icc_2_1"):
        for part in ("ci", "roi_ci"):
            assert with_intervals[f"{stem}_{part}_low"].notna().tolist() == [True, False]
            assert (with_intervals[f"{stem}_{part}_low"] < with_intervals[f"{stem}_mean"])[0]


def test_the_mean_without_a_unit_is_that_of_the_table_without_it(features):
    rated = ratings(features, "scanner")
    found = {(unit, name): means for unit, name, means in mean_icc_without(rated, "scanner")}
    assert list(found) == [("scanner", name) for name in rated.raters] + [("roi", name) for name in ROIS]
    for column, name in (("scanner", "C1"), ("roi", "cyst2")):
        rows = icc_summary(icc_table(features[features[column] != name], "x")).set_index(["form", "stratum"])[
            "icc_mean"
        ]
        for form in FORMS[:3]:
            assert found[column, name][form] == pytest.approx(rows[form, ALL], rel=1e-12)
    # With k raters less one, a form of k raters still says what k of them would: Spearman and Brown.
    single = np.clip(icc(mean_squares(np.delete(rated.values, 1, axis=2)), "ICC(3,1)"), 0, 1)
    single = single[np.isfinite(single)]
    assert found["scanner", "C1"]["ICC(3,k)"] == pytest.approx((4 * single / (1 + 3 * single)).mean())
    ms = mean_squares(rated.values)
    for form, mean in mean_icc(rated.values, 4).items():
        assert mean == pytest.approx(np.nanmean(np.clip(icc(ms, form), 0, 1)))


def test_intervals_follow_from_what_is_left_out(features):
    """Delete-one jackknife and Student's t, on the scale of the logit, over scanners and over ROIs."""
    table, left_out = mean_icc_intervals(features, "radiomics")
    assert table["stratum"].unique().tolist() == ["all", "recon=FBP", "recon=IR", "targets=18"]
    assert table["form"].tolist() == list(FORMS) * 4
    assert set(table["n_features"]) == {3} and set(table["n_raters"]) == {4} and set(table["n_rois"]) == {6}
    for row in table.itertuples():
        own = left_out[(left_out["stratum"] == row.stratum) & (left_out["form"] == row.form)]
        for unit, n, low, high in (("scanner", 4, row.icc_ci_low, row.icc_ci_high),
                                   ("roi", 6, row.icc_roi_ci_low, row.icc_roi_ci_high)):  # fmt: skip
            x = own.loc[own["unit"] == unit, "icc_mean"].to_numpy()
            assert len(x) == n
            se = np.sqrt((n - 1) / n * ((x - x.mean()) ** 2).sum()) / (row.icc_mean * (1 - row.icc_mean))
            ends = special.logit(row.icc_mean) + np.array([-1, 1]) * stats.t.ppf(0.975, n - 1) * se
            assert (low, high) == pytest.approx(tuple(special.expit(ends)))


def test_two_raters_and_a_constant_table_have_no_interval(rng):
    table = make_features(rng, scanners=("A1", "C1"))
    found = mean_icc_intervals(table, "x")[0]
    assert (
        found["icc_ci_low"].isna().all() and found["icc_roi_ci_low"].notna().all() and found["icc_mean"].notna().all()
    )
    flat = table.drop(columns=["original_firstorder_Mean", "original_glcm_Offset", "deep_0"])
    found = mean_icc_intervals(flat, "x")[0]
    assert (
        found[["icc_mean", "icc_ci_low", "icc_roi_ci_high"]].isna().all(axis=None) and (found["n_features"] == 0).all()
    )


@pytest.mark.parametrize("n_raters", [4, 13])
def test_intervals_of_the_mean_hold_the_truth(n_raters):
    """Forty features that three hidden effects move together; docs/statistics.md has the whole simulation."""
    rng = np.random.default_rng(5)
    n_features, hits, n = 40, dict.fromkeys(FORMS[1:3], 0), 150
    spread = {name: np.exp(rng.normal(middle, 0.7, n_features)) for name, middle in (("raters", -0.9), ("rest", -1.2))}
    loads = {name: rng.normal(size=(n_features, 3)) for name in ("targets", *spread)}
    loads = {name: load / np.linalg.norm(load, axis=1, keepdims=True) for name, load in loads.items()}
    targets = loads["targets"] @ rng.normal(size=(3, 6))
    between, raters, rest = targets.var(axis=1, ddof=1), spread["raters"] ** 2, spread["rest"] ** 2
    truth = {"ICC(2,1)": between / (between + raters + rest), "ICC(3,1)": between / (between + rest)}
    for _ in range(n):
        shift = spread["raters"][:, None] * (loads["raters"] @ rng.normal(size=(3, n_raters)))
        error = np.einsum("pq,qrk->prk", loads["rest"], rng.normal(size=(3, 6, n_raters)))
        values = targets[:, :, None] + shift[:, None] + spread["rest"][:, None, None] * error
        whole = mean_icc(values, n_raters)
        without = [mean_icc(np.delete(values, i, axis=2), n_raters) for i in range(n_raters)]
        for form in hits:
            ends = jackknife_interval(whole[form], [np.array([means[form] for means in without])], SHARE)
            hits[form] += ends[0] <= truth[form].mean() <= ends[1]
    assert all(0.9 * n <= count for count in hits.values()), hits


def test_script_writes_its_tables(features, tmp_path):
    from measure_stability import main

    features.to_parquet(tmp_path / "radiomics.parquet", index=False)
    names = ["output", "repeatability", "intervals", "left_out", "stable_features"]
    for turn in "ab":
        files = [f"--{name}={tmp_path}/{turn}_{name}.csv" for name in names]
        main(["--features", f"{tmp_path}/radiomics.parquet", "--extractor", "radiomics", *files])
    for name in names:
        assert (tmp_path / f"a_{name}.csv").read_bytes() == (tmp_path / f"b_{name}.csv").read_bytes()
    written = pd.read_csv(tmp_path / "a_output.csv")
    assert list(written.columns) == ICC_COLUMNS
    assert set(pd.read_csv(tmp_path / "a_stable_features.csv")["form"]) == {"ICC(2,1)"}


def test_script_rates_extractors_together_as_it_rates_each_alone(features, tmp_path):
    from measure_stability import main

    names = ["output", "repeatability", "intervals", "left_out", "stable_features"]
    for name, scale in (("b", 1.0), ("a", -2.0)):
        columns = [column for column in features.columns if column not in FEATURE_KEY]
        features.assign(**scale * features[columns]).to_parquet(tmp_path / f"{name}.parquet", index=False)
    for chosen in ("b", "a"), ("b",), ("a",):
        files = [f"--{name}={tmp_path}/{'+'.join(chosen)}_{name}.csv" for name in names]
        main(["--features", *(f"{tmp_path}/{name}.parquet" for name in chosen), "--extractor", *chosen, *files])
    for name in names:
        both, a, b = ((tmp_path / f"{who}_{name}.csv").read_text().splitlines() for who in ("b+a", "a", "b"))
        assert both == a + b[1:]
    with pytest.raises(UserError, match="1 tables of features for 2 extractors"):
        main(["--features", f"{tmp_path}/a.parquet", "--extractor", "a", "b", "--output", f"{tmp_path}/x.csv"])


def test_a_group_without_rows_has_no_mean():
    means, counts = group_means(np.array([[1.0], [5.0], [3.0]]), np.array([3, 0, 0]), 5)
    assert counts.tolist() == [2, 0, 0, 1, 0]
    np.testing.assert_array_equal(means[:, 0], [4, np.nan, np.nan, 1, np.nan])
