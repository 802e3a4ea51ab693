"""Scores of images: closed forms on small tables, and that they fall where a scanner comes nearer to the reference."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ct4bench.leaderboard.images import DISTANCES, IMAGE_SCORES, NO_VALUE, Images, score_images
from ct4bench.leaderboard.rank import METHOD_COLUMNS, make_leaderboard
from ct4bench.leaderboard.score_list import read_scores

REFERENCE = ("A1", 10, "IR")


def pairs(rmse: dict) -> pd.DataFrame:
    """Pairs of equal reconstruction, and rows that do not count: another variant, another table, one scanner."""
    rows = [
        {"table": "tables3to5", "variant": "same_recon", "dose_mgy_a": 10, "scanner_a": a, "scanner_b": b,
         "rmse_hu": value, "psnr_db": 40.0, "ssim": 0.9}
        for (a, b), value in rmse.items()
    ]  # fmt: skip
    other = [{**rows[0], "variant": "published_draw", "rmse_hu": 1e3}, {**rows[0], "table": "table6", "rmse_hu": 1e3},
             {**rows[0], "scanner_b": rows[0]["scanner_a"], "rmse_hu": 1e3}]  # fmt: skip
    return pd.DataFrame(rows + other)


def profile(scanner: str, bias=(0.0, 0.0), sd=10.0, nps=1.0, ttf=1.0, star=1.0, grid="common", dose=10) -> pd.DataFrame:
    at = np.arange(3) / 10
    values = [("bias_hu", roi, np.nan, b) for roi, b in zip(("cyst1", "normal1"), bias, strict=True)]
    values += [("total_sd_hu", roi, np.nan, sd) for roi in ("cyst1", "normal1")]
    values += [("total_nps_hu2_mm2", "cyst1", f, nps * (1 + f)) for f in at]
    values += [("ttf", "dots_to_wedge", f, 1 - (1 - ttf) * f * 5) for f in at]
    values += [("ttf", "plain_to_wedge", f, 0.0) for f in at]
    values += [("star_amplitude_hu", "siemens_star", f, star * (100 - f)) for f in at]
    table = pd.DataFrame(values, columns=["measure", "region", "at", "value"])
    return table.assign(scanner=scanner, recon="IR", dose_mgy=dose, grid=grid)


def images(rmse=20.0, **other) -> Images:
    """A1 as the reference, and B1; rows of the own grid and of another dose say something else."""
    wrong = {"bias": (99.0, 99.0), "sd": 99.0}
    tables = [profile("A1"), profile("B1", **other), profile("B1", **wrong, grid="own"), profile("B1", **wrong, dose=1)]
    return Images(pairs({("A1", "B1"): rmse}), pd.concat(tables, ignore_index=True))


def value(table, score, part="whole", unit="", column="value"):
    (found,) = table.loc[(table["score"] == score) & (table["part"] == part) & (table["unit"] == unit), column]
    return found


def test_scores_are_their_formulas():
    before = images(bias=(4.0, -2.0), sd=20.0, nps=1.5, ttf=0.5)
    table = score_images(
        images(rmse=12.0, bias=(1.0, -1.0), sd=10.0 * np.e, nps=0.9, ttf=0.9, star=0.8), before, REFERENCE
    )
    assert value(table, "rmse_hu") == 12.0 and value(table, "rmse_hu", column="value_none") == 20.0
    assert value(table, "roi_bias") == 1.0 and value(table, "roi_bias", column="value_none") == 3.0
    assert value(table, "noise_difference") == pytest.approx(1.0)
    assert value(table, "noise_difference", column="value_none") == pytest.approx(np.log(2))
    assert value(table, "nps_difference") == pytest.approx(0.1)
    assert value(table, "mtf_difference") == pytest.approx(0.1)
    # of both scanners: A1 keeps all, B1 80 %
    assert value(table, "pattern_structure", "of", "B1") == pytest.approx(0.8)
    assert value(table, "pattern_structure") == pytest.approx(0.9)
    assert value(table, "pattern_structure", column="value_none") == pytest.approx(1.0)


def test_distances_leave_out_the_reference_and_are_to_it_as_the_method_left_it():
    """A method that moves all HU alike sets no scanner apart from another."""
    moved = images()
    shift = moved.profile["measure"] == "bias_hu"
    moved.profile.loc[shift, "value"] += 7.0
    table = score_images(moved, images(), REFERENCE)
    assert value(table, "roi_bias") == 0.0
    assert not ((table["unit"] == "A1") & table["score"].isin([distance.score for distance in DISTANCES])).any()


def test_what_was_not_measured_says_so():
    one = images()
    bare = Images(one.pairs, one.profile[one.profile["measure"] != "ttf"])
    table = score_images(bare, bare, REFERENCE)
    assert np.isnan(value(table, "mtf_difference")) and value(table, "mtf_difference", column="reason") == NO_VALUE


def of_scanners(effects: dict) -> Images:
    """Pairs whose RMSE is the sum of what each of their scanners adds to it."""
    values = {(a, b): effects[a] + effects[b] for a, b in itertools.combinations(effects, 2)}
    return Images(pairs(values), images().profile)


def test_each_pair_is_of_two_scanners():
    """Without a scanner all its pairs are gone: by hand, (n U - 2 m) / (n - 2) where all pairs are there."""
    rng = np.random.default_rng(0)
    n, names = 13, [f"S{i:02d}" for i in range(13)]
    rmse = {
        pair: float(value) for pair, value in zip(itertools.combinations(names, 2), rng.gamma(4, 5, 78), strict=True)
    }
    one = Images(pairs(rmse), images().profile)
    table = score_images(one, one, REFERENCE)
    whole = np.mean(list(rmse.values()))
    assert value(table, "rmse_hu") == pytest.approx(whole) and value(table, "rmse_hu", column="n_rows") == 78
    for name in names:
        own = np.mean([value for pair, value in rmse.items() if name in pair])
        assert value(table, "rmse_hu", "without", name) == pytest.approx((n * whole - 2 * own) / (n - 2))
        assert value(table, "rmse_hu", "without", name, "n_rows") == 66


def test_intervals_of_pairs_are_as_wide_as_scanners_differ():
    """A mean of pairs is twice the mean of what scanners add, and so is its standard error: it had less than half."""
    from scipy.stats import t

    effects = np.random.default_rng(1).normal(10, 2, (2, 13))
    names = [f"S{i:02d}" for i in range(13)]
    own, none = (of_scanners(dict(zip(names, row, strict=True))) for row in effects)
    scores = pd.concat([score_images(one, none, REFERENCE).assign(method=name)
                        for name, one in (("none", none), ("mine", own))])  # fmt: skip
    about = [("none", "control", "image", "inductive", ""), ("mine", "method", "image", "inductive", "")]
    methods = pd.DataFrame(about, columns=METHOD_COLUMNS)
    board = make_leaderboard(scores, methods)
    row = board[(board["score"] == "rmse_hu") & (board["method"] == "mine")].iloc[0]
    changes = effects[0] - effects[1]
    half = t.ppf(0.975, 12) * 2 * changes.std(ddof=1) / np.sqrt(13)
    assert row["difference"] == pytest.approx(2 * changes.mean())
    assert row["difference_ci_high"] - row["difference"] == pytest.approx(half)
    assert row["difference"] - row["difference_ci_low"] == pytest.approx(half) and row["n_ci_units"] == 13


def test_every_score_is_in_the_list_of_scores():
    listed = {score.score for score in read_scores().values() if score.level == "images"}
    assert listed == set(IMAGE_SCORES)
