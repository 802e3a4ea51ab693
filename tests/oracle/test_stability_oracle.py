"""ICC against Shrout and Fleiss' own example, pingouin, and the coverage that its intervals promise."""

import re

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.benchmark import FEATURE_KEY
from ct4bench.stability.icc import FORMS, icc, icc_intervals, icc_table, mean_squares

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
"""Table 2 of Shrout and Fleiss 1979: six subjects rated by four judges."""
PINGOUIN = dict(zip(FORMS, ["ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)"], strict=True))


def test_the_example_of_shrout_and_fleiss():
    ms = mean_squares(SHROUT_FLEISS[None])
    assert ms.targets[0] == pytest.approx(11.24, abs=0.005)
    assert ms.within[0] == pytest.approx(6.26, abs=0.005)
    assert ms.raters[0] == pytest.approx(32.49, abs=0.005)
    assert ms.error[0] == pytest.approx(1.02, abs=0.005)
    published = {
        "ICC(1,1)": 0.17,
        "ICC(2,1)": 0.29,
        "ICC(3,1)": 0.71,
        "ICC(1,k)": 0.44,
        "ICC(2,k)": 0.62,
        "ICC(3,k)": 0.91,
    }
    assert {form: round(float(icc(ms, form)[0]), 2) for form in FORMS} == published


def table_of_pingouin(ratings: np.ndarray) -> pd.DataFrame:
    import pingouin

    pingouin.options["round.column.CI95"] = None
    n, k = ratings.shape
    target, rater = np.indices((n, k))
    long = pd.DataFrame({"target": target.ravel(), "rater": rater.ravel(), "rating": ratings.ravel()})
    return pingouin.intraclass_corr(long, "target", "rater", "rating").set_index("Type")


@pytest.mark.parametrize("shape, error", [((6, 4), 0.3), ((6, 13), 0.01), ((60, 13), 1.0), ((3, 2), 2.0)])
def test_values_and_intervals_are_those_of_pingouin(rng, shape, error):
    n, k = shape
    ratings = rng.normal(0, 1, (n, 1)) + rng.normal(0, 0.5, (1, k)) + error * rng.normal(0, 1, (n, k))
    expected = table_of_pingouin(ratings)
    ms = mean_squares(ratings[None])
    for form in FORMS:
        row = expected.loc[PINGOUIN[form]]
        assert icc(ms, form)[0] == pytest.approx(row["ICC"], rel=1e-9, abs=1e-12)
        low, high = icc_intervals(ms)[form]
        assert [low[0], high[0]] == pytest.approx(list(row["CI95"]), rel=1e-8, abs=1e-10)


def test_intervals_cover_as_often_as_they_say(rng):
    """95 % of the intervals hold the ICC that the ratings were drawn with; chance alone moves the share by 1.4 %."""
    n, k, n_tables = 8, 5, 2000
    targets, raters, error = 2.0, 1.0, 1.0
    values = (
        rng.normal(0, targets**0.5, (n_tables, n, 1))
        + rng.normal(0, raters**0.5, (n_tables, 1, k))
        + rng.normal(0, error**0.5, (n_tables, n, k))
    )
    ms = mean_squares(values)
    agreement, consistency = targets / (targets + raters + error), targets / (targets + error)
    truths = {
        "ICC(2,1)": agreement,
        "ICC(3,1)": consistency,
        "ICC(2,k)": targets / (targets + (raters + error) / k),
        "ICC(3,k)": targets / (targets + error / k),
    }
    for form, truth in truths.items():
        low, high = icc_intervals(ms)[form]
        covered = np.mean((low <= truth) & (truth <= high))
        # Satterthwaite's degrees of freedom are an approximation.
        assert covered == pytest.approx(0.95, abs=0.03 if form.startswith("ICC(2") else 0.015)
    one_way = rng.normal(0, 1, (n_tables, n, 1)) + rng.normal(0, 1, (n_tables, n, k))
    low, high = icc_intervals(mean_squares(one_way))["ICC(1,1)"]
    assert np.mean((low <= 0.5) & (high >= 0.5)) == pytest.approx(0.95, abs=0.015)


def test_a_table_of_features_gives_what_pingouin_gives(rng):
    from ct4bench.core.benchmark import ROIS, tissue_of

    rows = [
        (f"{s}.{n}", f"{s}_10mGy_{n:02d}", s, "GE", 10, "IR", n, roi, tissue_of(roi), p)
        for s in ("D1", "E2", "F1") for n in (1, 2) for roi in ROIS for p in (0, 1)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=FEATURE_KEY)
    table["f"] = table["roi"].map(len) + rng.normal(0, 1, len(table))
    means = table.groupby(["roi", "scanner"])["f"].mean().unstack().to_numpy()
    expected = table_of_pingouin(means)
    ours = icc_table(table, "radiomics")
    for form in FORMS:
        row = ours[(ours["form"] == form) & (ours["stratum"] == "all")].iloc[0]
        assert row["icc"] == pytest.approx(expected.loc[PINGOUIN[form], "ICC"], rel=1e-10)


@pytest.fixture(scope="module")
def published_a1(shared_data):
    """The published features of A1, as a table of features: ROIs told by their size, the rest by SeriesNumber."""
    raw = pd.read_csv(shared_data("a1_radiomics_published.csv"))
    voxels = raw["original_firstorder_Energy"] / raw["original_firstorder_RootMeanSquared"] ** 2
    names = [name for name in raw.columns if name.startswith("original_")]
    number = raw["SeriesNumber"].astype(str).str.extract(r"^1(\d\d)(\d)(\d\d)$").astype(int)
    tissue = raw["ROI"].str.strip().str.replace("metastatsis", "metastasis").str.rstrip("0123456789")
    large = {"cyst": 20_000, "normal": 6_800}
    roi = [
        t if t not in large else f"{t}{1 if (v > large[t]) == (t == 'cyst') else 2}"
        for t, v in zip(tissue, voxels, strict=True)
    ]
    key = pd.DataFrame(
        {
            "series_uid": raw["SeriesNumber"].astype(str),
            "scan_id": [f"A1_{d}mGy_{n:02d}" for d, n in zip(number[0], number[2], strict=True)],
            "scanner": "A1", "maker": "Siemens", "dose_mgy": number[0], "recon": number[1].map({1: "FBP", 2: "IR"}),
            "repetition": number[2], "roi": roi, "tissue": tissue, "patch": 0,
        }
    )  # fmt: skip
    assert len(key) == 600 and key.groupby("roi").size().tolist() == [100] * 6
    return pd.concat([key[FEATURE_KEY], raw[names]], axis=1)


def test_the_published_features_of_a1_over_doses(published_a1):
    """Real numbers: over five doses, means are stable and noise is not."""
    assert published_a1.shape[1] == len(FEATURE_KEY) + 86
    table = icc_table(published_a1, "radiomics", "dose_mgy")
    assert set(table["stratum"]) == {"all", "recon=FBP", "recon=IR"}
    assert set(table["n_targets"]) == {6} and set(table["n_raters"]) == {5}
    own = table[(table["stratum"] == "all") & (table["form"] == "ICC(2,1)")].set_index("feature")["icc"]
    assert own["original_firstorder_Mean"] > 0.999 and own["original_firstorder_Median"] > 0.99
    assert own["original_firstorder_Variance"] < 0.9
    means = published_a1.groupby(["roi", "dose_mgy"])["original_glcm_Contrast"].mean().unstack().to_numpy()
    expected = table_of_pingouin(means).loc["ICC(A,1)", "ICC"]
    assert own["original_glcm_Contrast"] == pytest.approx(expected, rel=1e-9)


def test_one_scanner_is_refused_with_the_remedy(published_a1):
    from ct4bench.core.errors import UserError

    with pytest.raises(UserError, match=re.escape("only A1; give features of two or more, or compare another factor")):
        icc_table(published_a1, "radiomics")
