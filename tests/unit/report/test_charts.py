"""Pictures drawn from tables: each square, point and word is the table's."""

import re

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.metrics import BY_NAME
from ct4bench.report.charts import (
    before_charts,
    charts_of,
    dose_charts,
    learning_charts,
    pair_charts,
    pair_map,
    profile_charts,
)
from ct4bench.report.svg import Curve, curves, element, nice_ticks, shade

FACTS = {"weights": {}, "extractors": {}, "domain": "scanner"}


def triangle(**more):
    cells = [("A1", "A1"), ("B1", "A1"), ("B1", "B1")]
    return pd.DataFrame(cells, columns=["scanner_row", "scanner_col"]).assign(**more)


def fills(drawn: str) -> list[str]:
    return re.findall(r'<rect[^>]* fill="(#[0-9a-f]{6})"[^>]*data-tip', drawn)


def test_each_map_is_on_its_own_scale_and_darker_where_images_are_less_alike():
    (chart,) = pair_charts({
        "table3_rmse_hu": triangle(rmse_hu_mean=[4.0, 16.0, 6.0], rmse_hu_mean_published=[8.0, 80.0, 20.0])
    })  # fmt: skip
    (own_name, own), (paper_name, paper) = chart.parts
    assert (own_name, paper_name) == ("this run", "published") and chart.tables == ("table3_rmse_hu",)
    assert fills(own) == [shade(0), shade(1), shade((6 - 4) / 12)]
    assert fills(paper) == [shade(0), shade(1), shade((20 - 8) / 72)]
    assert "B1 and A1: RMSE (HU) 16.00" in own and "from 4.00 (most alike) to 16.00 (least alike)" in own
    ssim = pair_map(triangle(ssim_mean=[1.0, 0.5, 0.75]), BY_NAME["ssim"], "ssim_mean", "this run")
    assert fills(ssim) == [shade(0), shade(1), shade(0.5)]  # a low SSIM is dark


def test_a_map_of_equal_or_missing_values_is_not_drawn():
    assert pair_charts({"table3_rmse_hu": triangle(rmse_hu_mean=[2.0, 2.0, 2.0])}) == []
    assert pair_charts({"table3_rmse_hu": triangle(rmse_hu_mean=np.nan, rmse_hu_mean_published=[1.0, 2.0, 3.0])}) == []
    drawn = pair_map(triangle(psnr_db_mean=[np.inf, 30.0, 40.0]), BY_NAME["psnr_db"], "psnr_db_mean", "this run")
    assert len(fills(drawn)) == 2 and "A1 and A1: PSNR (dB) inf" in drawn


def places(drawn: str) -> list[tuple[float, float]]:
    points = re.search(r'<polyline points="([^"]+)"', drawn)[1]
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_a_curve_goes_through_its_values_in_proportion():
    (x0, y0), (x1, y1), (x2, y2) = places(
        curves("label", [Curve("a", "#000000", [0, 1, 4], [10.0, 20.0, 50.0])], "x", "y")
    )
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 4, abs=1e-3)
    assert (y0 - y1) / (y0 - y2) == pytest.approx(10 / 40, abs=1e-3) and y0 > y2


def test_dose_curves_stand_beside_the_published_ones():
    rows = [
        (scanner, kind, dose)
        for scanner in ("A1", "B1")
        for kind, dose in (("dose", 1), ("dose", 10), ("average", np.nan))
    ]  # noqa: E501
    frame = pd.DataFrame(rows, columns=["scanner", "row_kind", "dose_mgy"])
    frame = frame.assign(rmse_hu_mean=[20.0, 10.0, 15.0, np.nan, 9.0, 9.0], rmse_hu_mean_published=np.arange(6.0) + 30)
    (chart,) = dose_charts({"table6_dose": frame})
    own, paper = (drawn for _, drawn in chart.parts)
    assert own.count("<polyline") == 1 and paper.count("<polyline") == 2
    assert "A1 20.00 at 1 mGy, 10.00 at 10 mGy" in own and "B1" not in own  # one dose is no curve


def profile():
    rows = [
        ("A1", 10.0, "IR", "ttf", "dots_to_wedge", grid, at, value)
        for grid, scale in (("own", 1.0), ("common", 0.5))
        for at, value in ((0.0, scale), (0.5, 0.2 * scale))
    ]
    rows += [("A1", dose, "IR", "total_sd_hu", "cyst1", "own", np.nan, sd) for dose, sd in ((1.0, 40.0), (10.0, 12.5))]
    names = ["scanner", "dose_mgy", "recon", "measure", "region", "grid", "at", "value"]
    return pd.DataFrame(rows, columns=names)


def test_profiles_are_drawn_as_scanned():
    sharpness, noise = profile_charts(profile())
    ((recon, drawn),) = sharpness.parts
    assert recon == "IR" and "contrast left" in drawn and drawn.count("<polyline") == 1
    assert "A1 40.0 to 12.5 HU" in noise.parts[0][1]
    assert profile_charts(None) == [] and profile_charts(profile().iloc[:0]) == []


def test_a_methods_curves_stand_over_those_without_it():
    """Half the contrast at every frequency is half the area; both are of the registered series."""
    before = profile()
    after = before[before["grid"] == "common"].assign(value=lambda rows: 0.5 * rows["value"])
    (chart,) = before_charts(after, before, "mine")
    ((scanner, drawn),) = chart.parts
    assert scanner == "A1" and "IR 0.50 of the area before" in drawn and "0.50 (A1 IR) to 0.50 (A1 IR)" in chart.text
    old, new = re.findall(r'<polyline points="([^"]*)"([^>]*)>', drawn)
    assert 'stroke-dasharray="4 3"' in old[1] and "dasharray" not in new[1]
    heights = [[float(place.split(",")[1]) for place in points.split()] for points, _ in (old, new)]
    foot = 180 - 40  # of a small picture, where 0 lies
    assert [foot - y for y in heights[1]] == pytest.approx([0.5 * (foot - y) for y in heights[0]], abs=0.1)
    assert drawn.count('data-group="IR"') == 2  # a click on the name hides both
    assert before_charts(None, before, "mine") == [] == before_charts(after, None, "mine")


def confusion_table():
    rows = [("A1", "cyst", "cyst", 3, 0.75), ("A1", "cyst", "normal", 1, 0.25), ("A1", "normal", "cyst", 0, 0.0),
            ("A1", "normal", "normal", 4, 1.0)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["left_out", "target", "predicted", "n", "share"])
    more = frame.assign(n_train=12, share=1.0)
    return pd.concat([frame.assign(n_train=1), more]).assign(extractor="radiomics")


def test_confusions_are_those_of_the_fewest_to_train_on():
    (chart,) = learning_charts({"confusion_left_out": confusion_table()}, FACTS)
    ((title, drawn),) = chart.parts
    assert title == "A1, 88 % right" and "most often cyst for normal" in drawn
    assert fills(drawn) == [shade(0.75), shade(0.25), shade(0.0), shade(1.0)]
    assert "cyst taken for normal: 25 % (1)" in drawn and "trained on 1 scanner," in chart.text
    assert chart.text.endswith("tested on the one named. norm: normal.")


def test_classes_that_begin_alike_are_written_whole():
    frame = confusion_table().replace({"cyst": "bone_hard", "normal": "bone_soft"})
    (chart,) = learning_charts({"confusion_left_out": frame}, FACTS)
    ((_, drawn),) = chart.parts
    assert drawn.count(">bone_hard<") == drawn.count(">bone_soft<") == 2 and ">bone<" not in drawn
    assert chart.text.endswith("tested on the one named.")


def test_accuracy_over_n_has_both_schemes_and_intervals():
    frame = pd.DataFrame([("radiomics", scheme, n, 0.8 + n / 100, 0.7, 0.95) for scheme in ("loso", "kfold")
                          for n in (1, 2)], columns=["extractor", "scheme", "n_train", "accuracy_mean",
                                                     "accuracy_ci_low", "accuracy_ci_high"])  # fmt: skip
    (chart,) = learning_charts({"accuracy_by_n": frame}, FACTS)
    assert [title for title, _ in chart.parts] == [
        "a scanner left out, by training scanners",
        "ten folds, by training folds",
    ]  # noqa: E501
    assert all("radiomics 0.810 at N = 1, 0.820 at N = 2" in drawn for _, drawn in chart.parts)
    assert chart.parts[0][1].count('class="whisker"') == 2


def test_a_run_without_tables_has_no_pictures():
    assert charts_of({}, None, FACTS) == {"images": [], "profile": [], "learning": []}


def test_words_in_pictures_are_escaped():
    hostile = '"><script>alert(1)</script>'
    drawn = curves(hostile, [Curve(hostile, "#000000", [0, 1], [0.0, 1.0])], hostile, hostile)
    assert "<script" not in drawn and drawn.count("&lt;script&gt;") >= 4
    safe = "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    assert element("g", {"data_tip": hostile}, hostile) == f'<g data-tip="{safe}">{safe}</g>'


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 973, [0, 200, 400, 600, 800]), (2, 2, [2])]
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high) == ticks
