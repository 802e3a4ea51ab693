"""Figures of the scanner profile: what is drawn is what the table holds, read back from the figures."""

import numpy as np
import pandas as pd
import pytest
from drawn import cell_texts, contrasts, legend_looks, look_of, picture, ticks

from ct4bench.figures.draw_profiles import (
    ARROW_FACTOR,
    draw_bias,
    draw_calibration,
    draw_geometry,
    draw_noise,
    draw_sharpness,
    scanner_looks,
)
from ct4bench.profiles.merge import PROFILE_COLUMNS

FACTS = {"origin": "synthetic", "mode": "paper", "method": "none", "domain": "scanner", "part": "79 series",
         "weights": {}}  # fmt: skip
MAKERS = {"A1": "Siemens", "A2": "Siemens", "C1": "Philips", "E2": "GE"}
ALL_SCANNERS = ("A1", "A2", "B1", "B2", "G1", "G2")


def profile_of(rows, **given) -> pd.DataFrame:
    """Rows (scanner, measure, region, at, value, and what else there is) as a profile, at 10 mGy and IR unless said."""
    blank = {"dose_mgy": 10.0, "recon": "IR", "kind": "noise", "grid": "own", "at": np.nan, "at_unit": "", "sd": np.nan,
             "n_series": 1, "n_repetitions": 1, "reason": ""}  # fmt: skip
    names = ("scanner", "measure", "region", "at", "value")
    entries = [blank | given | dict(zip(names, row[:5], strict=True)) | (row[5] if len(row) > 5 else {})
               for row in rows]  # fmt: skip
    return pd.DataFrame([{"maker": MAKERS[entry["scanner"]], **entry} for entry in entries])[PROFILE_COLUMNS]


def scanner_of(figure) -> dict[tuple, str]:
    """Scanner by colour and dashes of a line, from the figure's legend."""
    legend = figure.legends[0]
    return {(line.get_color(), line._unscaled_dash_pattern): text.get_text()
            for text, line in zip(legend.get_texts(), legend.legend_handles, strict=True)}  # fmt: skip


def curves_of(figure, panel: int) -> dict[str, list]:
    """Points of each scanner's curve in a panel, by the legend."""
    scanners, found = scanner_of(figure), {}
    for line in figure.axes[panel].lines:
        name = scanners.get((line.get_color(), line._unscaled_dash_pattern))
        if name:
            found[name] = [tuple(point) for point in line.get_xydata()]
    return found


def by_scanner(axes) -> dict[tuple, dict[str, float]]:
    """Values by scanner, whose place on the axis is its tick's, for each marker and filling."""
    names, found = ticks(axes.xaxis), {}
    for line, *_ in axes.containers:
        (x,), (y,) = line.get_data()
        found.setdefault(look_of(line)[1:], {})[names[round(x)]] = y
    return found


SD = {("A1", "FBP"): 20.0, ("A1", "IR"): 12.0, ("C1", "FBP"): 25.0, ("C1", "IR"): 16.0, ("E2", "IR"): 14.0,
      ("E2", "DL"): 8.0}  # fmt: skip


def noise_profile(quantum: bool) -> pd.DataFrame:
    rows = [(scanner, "total_sd_hu", "cyst1", np.nan, sd, {"recon": recon, "sd": 0.1 * sd})
            for (scanner, recon), sd in SD.items()]  # fmt: skip
    if quantum:
        rows += [(scanner, "quantum_sd_hu", "cyst1", np.nan, 0.5 * sd, {"recon": recon})
                 for (scanner, recon), sd in SD.items()]  # fmt: skip
    rows += [(scanner, "total_sd_hu", "cyst1", np.nan, SD[scanner, "IR"] * factor, {"dose_mgy": dose})
             for scanner in ("A1", "C1") for dose, factor in ((1.0, 2.0), (14.0, 0.9))]  # fmt: skip
    rows += [(scanner, "total_nps_hu2_mm2", "cyst1", at, value * 10, {"at_unit": "per_mm"})
             for scanner, value in (("E2", 1), ("A1", 2), ("C1", 3)) for at in (0.3, 0.1)]  # fmt: skip
    return profile_of(rows)


@pytest.mark.parametrize("quantum", [False, True])
def test_noise_of_each_reconstruction_has_its_marker(quantum):
    figure, _ = draw_noise(noise_profile(quantum), FACTS)
    axes = figure.axes[0]
    drawn = by_scanner(axes)
    marker = {name: look[1] for name, look in legend_looks(axes.get_legend()).items()}
    assert {recon: marker[recon] for recon in ("FBP", "IR", "DL")} == {"FBP": "s", "IR": "o", "DL": "^"}
    for recon in ("FBP", "IR", "DL"):
        expected = {scanner: sd for (scanner, name), sd in SD.items() if name == recon}
        assert drawn.pop((marker[recon], "filled")) == expected
        if quantum:
            assert drawn.pop((marker[recon], "hollow")) == {scanner: 0.5 * sd for scanner, sd in expected.items()}
    assert drawn == {}
    if quantum:
        entries = legend_looks(axes.get_legend())
        assert (entries["total"][2], entries["quantum"][2]) == ("filled", "hollow")
    # FBP, IR and DL stand side by side in that order, each with its SD.
    at_c1 = [line for line, *_ in axes.containers if round(line.get_xdata()[0]) == 1 and look_of(line)[2] == "filled"]
    assert [line.get_marker() for line in sorted(at_c1, key=lambda line: line.get_xdata()[0])] == [
        marker["FBP"], marker["IR"]
    ]  # fmt: skip
    ends = sorted(tuple(np.round(segment[:, 1], 6)) for part in axes.collections for segment in part.get_segments())
    assert ends == sorted((round(0.9 * sd, 6), round(1.1 * sd, 6)) for sd in SD.values())
    assert axes.get_ylim()[1] > 27.5


@pytest.mark.parametrize("quantum", [False, True])
def test_the_legend_of_the_noise_lies_over_no_point(quantum):
    rows = noise_profile(quantum)
    rows["value"] = rows["value"].where(rows["scanner"] != "A1", 0.1 * rows["value"])
    registered = rows[rows["measure"] == "total_sd_hu"].assign(grid="common", value=lambda r: 0.9 * r["value"])
    figure, _ = draw_noise(pd.concat([rows, registered], ignore_index=True), FACTS)
    axes = figure.axes[0]
    box = axes.get_legend().get_window_extent()
    points = np.concatenate([line.get_xydata() for line, *_ in axes.containers])
    bars = np.concatenate([s for part in axes.collections for s in part.get_segments()])
    seen = axes.transData.transform(np.concatenate([points, bars]))
    assert len(points) > 6 and not [point for point in seen if box.padded(3).contains(*point)]
    assert axes.get_ylim()[0] == 0


def test_tables_of_colours_have_no_legend_of_lines():
    own = {"name": "own", "regions": [{"name": "a", "class": "x"}, {"name": "b", "class": "y"}]}
    measured = (("bias_hu", "a", 1.0), ("bias_hu", "b", -3.0), ("cnr", "x_y", 5.0))
    rows = [
        (scanner, measure, region, np.nan, value) for scanner in ("A1", "C1") for measure, region, value in measured
    ]
    figure, caption = draw_bias(profile_of(rows), FACTS | {"origin": "other", "phantom": own})
    assert figure.legends == [] and "Largest bias of a region -3.0 HU (A1, b)" in caption.alt
    assert ticks(figure.axes[0].yaxis) == ["a", "b"] and ticks(figure.axes[0].xaxis) == ["A1", "C1"]


def test_noise_power_and_sd_over_dose_are_drawn_for_each_scanner():
    figure, _ = draw_noise(noise_profile(False), FACTS)
    assert curves_of(figure, 1) == {"A1": [(0.1, 20), (0.3, 20)], "C1": [(0.1, 30), (0.3, 30)],
                                    "E2": [(0.1, 10), (0.3, 10)]}  # fmt: skip
    assert figure.axes[1].get_title() == "noise power (total), 10 mGy, IR"
    over = curves_of(figure, 2)
    np.testing.assert_allclose(over["A1"], [(1, 24), (10, 12), (14, 10.8)])
    np.testing.assert_allclose(over["C1"], [(1, 32), (10, 16), (14, 14.4)])
    assert set(over) == {"A1", "C1", "E2"}
    assert figure.axes[2].get_title() == "total SD in the large cyst over dose, IR"
    assert ticks(figure.axes[2].xaxis) == ["1", "10", "14"]
    low, high = figure.axes[2].get_ylim()
    assert low < 10.8 and high > 32


def test_quantum_noise_power_is_named_and_preferred():
    rows = noise_profile(True)
    more = profile_of([("A1", "quantum_nps_hu2_mm2", "cyst1", at, 1.0, {"at_unit": "per_mm"}) for at in (0.1, 0.2)])
    figure, caption = draw_noise(pd.concat([rows, more]), FACTS)
    assert curves_of(figure, 1) == {"A1": [(0.1, 1), (0.2, 1)]}
    assert figure.axes[1].get_title() == "noise power (quantum), 10 mGy, IR"
    assert caption.notes == []


def test_scanners_of_a_maker_share_a_colour_and_no_look():
    makers = pd.DataFrame({"scanner": ALL_SCANNERS + ("C1",), "maker": ["Siemens"] * 6 + ["Philips"]})
    looks = scanner_looks(makers)
    assert len({looks[name]["color"] for name in ALL_SCANNERS}) == 1
    assert looks["C1"]["color"] != looks["A1"]["color"]
    assert len({str(look) for look in looks.values()}) == 7


SIGMA = {"A1": 0.5, "C1": 0.7, "E2": 0.6}


def sharpness_profile() -> pd.DataFrame:
    rows = [(scanner, "ttf", "dots_to_wedge", at, 1 - at * sigma, {"at_unit": "per_mm"})
            for scanner, sigma in SIGMA.items() for at in (0.5, 0.0)]  # fmt: skip
    rows += [(scanner, "star_modulation", "star", at, 1 - at, {"at_unit": "per_mm"})
             for scanner in ("C1", "A1") for at in (0.2, 0.4)]  # fmt: skip
    rows += [(scanner, "edge_sigma_mm", "dots_to_wedge", np.nan, sigma) for scanner, sigma in SIGMA.items()]
    rows += [(scanner, "slice_sigma_mm", "block", np.nan, 2 * sigma) for scanner, sigma in SIGMA.items()]
    rows += [(scanner, "cnr", pair, np.nan, value * sigma) for scanner, sigma in SIGMA.items()
             for pair, value in (("normal_cyst", 10.0), ("normal_metastasis", 4.0))]  # fmt: skip
    return profile_of(rows, kind="sharpness")


def test_sharpness_is_drawn_as_it_is_in_the_table():
    figure, _ = draw_sharpness(sharpness_profile(), FACTS)
    transfer = curves_of(figure, 0)
    assert transfer == {name: [(0.0, 1.0), (0.5, 1 - 0.5 * sigma)] for name, sigma in SIGMA.items()}
    assert figure.axes[0].get_title() == "task transfer function, dots to wedge, 10 mGy, IR"
    assert curves_of(figure, 1) == {name: [(0.2, 0.8), (0.4, 0.6)] for name in ("A1", "C1")}
    axes = figure.axes[2]
    looks = {name: look[1:] for name, look in legend_looks(axes.get_legend()).items()}
    drawn = by_scanner(axes)
    assert drawn == {looks["in plane"]: SIGMA, looks["along z"]: {name: 2 * sigma for name, sigma in SIGMA.items()}}


def test_contrast_to_noise_stands_in_its_cell():
    figure, _ = draw_sharpness(sharpness_profile(), FACTS)
    axes = figure.axes[3]
    assert ticks(axes.xaxis) == ["A1", "C1", "E2"]
    assert ticks(axes.yaxis) == ["normal / cyst", "normal / metastasis"]
    expected = np.outer([10, 4], list(SIGMA.values()))
    np.testing.assert_allclose(picture(axes), expected)
    assert cell_texts(axes) == {cell: f"{value:.1f}" for cell, value in np.ndenumerate(expected)}
    assert min(contrasts(axes)) > 3
    assert axes.get_title() == "contrast-to-noise (total noise), 10 mGy, IR"
    assert key_of(figure, axes) == ("contrast-to-noise", axes.images[0].get_clim())


def key_of(figure, axes) -> tuple:
    """Words and ends of the colour bar that stands to the right of a picture."""
    right = axes.get_position().x1
    bar = min((a for a in figure.axes if a.get_position().x0 > right), key=lambda a: a.get_position().x0)
    return bar.get_ylabel(), tuple(bar.get_ylim())


BIAS = {("A1", "cyst1"): 0.0, ("C1", "cyst1"): -4.0, ("E2", "cyst1"): 2.25, ("A1", "normal2"): 0.0,
        ("C1", "normal2"): 3.0, ("E2", "normal2"): -0.04}  # fmt: skip


def test_biases_stand_in_their_cells_with_their_sign():
    rows = [(scanner, "bias_hu", roi, np.nan, value) for (scanner, roi), value in reversed(BIAS.items())]
    rows += [(scanner, "wedge_less_reference_hu", "wedge", at, slope * at, {"at_unit": "hu"})
             for scanner, slope in (("C1", 0.02), ("E2", -0.01)) for at in (200.0, -100.0)]  # fmt: skip
    figure, _ = draw_calibration(profile_of(rows, kind="calibration"), FACTS)
    assert curves_of(figure, 0) == {"C1": [(-100, -2), (200, 4)], "E2": [(-100, 1), (200, -2)]}
    axes = figure.axes[1]
    assert (ticks(axes.xaxis), ticks(axes.yaxis)) == (["A1", "C1", "E2"], ["cyst1", "normal2"])
    np.testing.assert_array_equal(picture(axes), [[0, -4, 2.25], [0, 3, -0.04]])
    assert cell_texts(axes) == {(0, 0): "+0.0", (0, 1): "-4.0", (0, 2): "+2.2", (1, 0): "+0.0", (1, 1): "+3.0",
                                (1, 2): "+0.0"}  # fmt: skip
    low, high = axes.images[0].get_clim()
    assert low == -high == -4
    assert key_of(figure, axes) == ("difference (HU)", (-4, 4))
    assert min(contrasts(axes)) > 3


def field(scanner, z, y, x, moved, error=0.04, **more) -> dict:
    names = [f"displacement_{axis}_mm" for axis in "xyz"]
    errors = {f"error_{axis}_mm": error for axis in "xyz"}
    about = {"scanner": scanner, "maker": MAKERS[scanner], "dose_mgy": 10.0, "recon": "IR"}
    return about | {"z_mm": z, "y_mm": y, "x_mm": x} | dict(zip(names, moved, strict=True)) | errors | more


def geometry():
    """A1 is the reference; C1's cells move by what their place says; A2's fields are of another reconstruction."""
    places = [(z, y, x) for z in (10.0, 50.0) for y in (-20.0, 20.0) for x in (-30.0, 30.0)]
    fields = [field("A1", *place, (0.0, 0.0, 0.0)) for place in places]
    fields += [field("C1", z, y, x, (0.001 * y, 0.002 * z, 0.0), error=0.02) for z, y, x in places]
    fields += [field("A2", *place, (5.0, 5.0, 5.0), recon="FBP") for place in places]
    measures = [(scanner, f"displacement_{name}_mm", "block", np.nan, value * factor)
                for scanner, factor in (("A1", 0.0), ("C1", 1.0), ("A2", 2.0))
                for name, value in (("median", 0.1), ("p95", 0.3), ("max", 0.5))]  # fmt: skip
    return profile_of(measures, kind="geometry"), pd.DataFrame(fields)


def test_displacements_are_drawn_by_layer_by_size_and_as_arrows():
    figure, _ = draw_geometry(*geometry(), FACTS)
    np.testing.assert_allclose(curves_of(figure, 0)["C1"], [(10, 0.02), (50, 0.1)])
    assert curves_of(figure, 0)["A1"] == [(10, 0), (50, 0)]
    sizes = by_scanner(figure.axes[1])
    looks = {name: look[1:] for name, look in legend_looks(figure.axes[1].get_legend()).items()}
    for name, value in (("median", 0.1), ("95th percentile", 0.3), ("largest", 0.5)):
        marks = {key: values for key, values in sizes.items() if key[0] == looks[name][0]}
        assert list(marks.values()) == [{"A1": 0, "A2": 2 * value, "C1": value}], name
    still, moved = figure.axes[2:]
    assert (still.get_title(), moved.get_title()) == ("A1, the reference", "C1")
    (arrows,) = moved.collections
    at = {(x, y): (u, v) for (x, y), u, v in zip(arrows.get_offsets(), arrows.U, arrows.V, strict=True)}
    assert set(at) == {(x, y) for x in (-30, 30) for y in (-20, 20)}
    for (_, y), (u, v) in at.items():
        assert (u, v) == pytest.approx((0.001 * y, 0.06))  # mean over z of 0.02 and 0.1
    assert arrows.scale == 1 / ARROW_FACTOR and arrows.angles == "xy"
    low, high = moved.get_ylim()
    assert low > high  # rows run down, as in an image


def test_cells_of_the_reference_are_not_counted():
    """Eight cells of C1 are four in plane, all beyond their error; A1's, the reference's, are zero by definition."""
    profile, fields = geometry()
    caption = draw_geometry(profile, fields, FACTS)[1]
    assert "(4 of 4 cells of all but the reference)" in caption.text and "series of A1" in caption.text
    assert "4 arrows on 4 cells of all but the reference" in caption.alt
    caption = draw_geometry(profile, fields[fields["scanner"] != "A1"], FACTS)[1]
    assert "(4 of 4 cells)." in caption.text and "reference is a series" not in caption.text


def test_the_words_say_whose_crosses_lie_on_the_points():
    """Of A1 the registered values are those as scanned, and of no scanner once A1 is interpolated as well."""
    for draw, own in ((draw_noise, noise_profile(False)), (draw_sharpness, sharpness_profile())):
        for factor, said in ((1.0, True), (0.9, False)):
            registered = own.assign(grid="common", value=own["value"] * own["scanner"].map({"A1": factor}).fillna(0.9))
            caption = draw(pd.concat([own, registered], ignore_index=True), FACTS)[1]
            assert ("Those of A1 (10 mGy, IR) lie on the points" in caption.text) == said, draw.__name__
            assert "crosses: the registered series" in caption.text


def test_only_displacements_beyond_their_error_have_an_arrow():
    """Of four cells along x, two of 0.1 mm and two of 0.05 mm, all known to 0.03 mm along either axis."""
    profile, _ = geometry()
    cells = [field("C1", 10.0, 0.0, x, (0.1 if x > 0 else 0.05, 0.0, 0.0), error=0.03) for x in (-60.0, -30, 30, 60)]
    figure, caption = draw_geometry(profile, pd.DataFrame(cells), FACTS)
    arrows = figure.axes[2].collections[0]
    assert [x for x, _ in arrows.get_offsets()] == [30, 60] and arrows.U.tolist() == pytest.approx([0.1, 0.1])
    assert len(figure.axes[2].lines[0].get_xdata()) == 4  # dots where it is known
    assert "(2 of 4 cells)" in caption.text and "2 arrows on 4 cells" in caption.alt
    assert "known to 0.03 mm" in caption.text


def test_the_words_do_not_say_that_noise_falls_where_it_rises():
    table = noise_profile(False)
    rising = table["dose_mgy"].map({1.0: 0.1, 10.0: 1.0, 14.0: 3.0})
    alts = [draw_noise(t, FACTS)[1].alt for t in (table, table.assign(value=table["value"] * rising))]
    assert "lower at the highest dose than at the lowest for 2 of 2 scanners" in alts[0]
    assert "for 0 of 2 scanners" in alts[1] and not any("fall" in alt for alt in alts)
    caption = draw_noise(table[table["dose_mgy"] == 10], FACTS)[1]
    assert "over dose" not in caption.text + caption.alt


def test_who_cannot_see_a_figure_is_told_its_numbers():
    alt = draw_noise(noise_profile(False), FACTS)[1].alt
    assert "Total SD at 10 mGy, IR, from 12.0 HU (A1) to 16.0 HU (C1)." in alt
    rows = [("A1", "calibration_slope", "wedge", np.nan, 1.0), ("C1", "calibration_slope", "wedge", np.nan, 0.97),
            ("A1", "bias_hu", "cyst1", np.nan, 2.0), ("C1", "bias_hu", "normal1", np.nan, -11.5)]  # fmt: skip
    alt = draw_calibration(profile_of(rows, grid="common", kind="calibration"), FACTS)[1].alt
    assert "Slope from 0.970 (C1) to 1.000 (A1)." in alt and "-11.5 HU (C1, normal1)" in alt and "Offset" not in alt
    assert "95th percentile from " in draw_geometry(*geometry(), FACTS)[1].alt


def test_cells_that_are_known_better_weigh_more():
    profile, _ = geometry()
    cells = [field("C1", 10.0, 0.0, 0.0, (1.0, 0.0, 0.0), error=0.1),
             field("C1", 50.0, 0.0, 0.0, (0.0, 0.0, 0.0), error=0.2),
             field("C1", 90.0, 0.0, 0.0, (np.nan, 0.0, 0.0), error=np.nan)]  # fmt: skip
    figure, _ = draw_geometry(profile, pd.DataFrame(cells), FACTS)
    arrows = figure.axes[2].collections[0]
    assert arrows.U.tolist() == pytest.approx([100 / 125])
