"""Cells and headlines of the report: numbers, marks, tints and columns are read back and held against the tables."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from report_data import load_script, series_table

from ct4bench.core.extractors import read_extractors, shown_of
from ct4bench.core.metrics import PAIR_METRICS
from ct4bench.core.tables import write_table
from ct4bench.report.cells import BLANK, cells_of, interval_head, matrix
from ct4bench.report.headlines import between_and_within, feature_headlines, image_headlines
from ct4bench.report.profile import profile_view

CELLS = {("A1", "A1"): 7.0, ("C1", "A1"): 40.0, ("C1", "C1"): 9.0, ("E2", "A1"): 60.0, ("E2", "C1"): 50.0,
         ("E2", "E2"): 5.0}  # fmt: skip
METRICS = {metric.name: metric for metric in PAIR_METRICS if metric.table}


def scanner_table(values, name="rmse_hu", **more) -> pd.DataFrame:
    rows = [(a, b, value) for (a, b), value in values.items()]
    return pd.DataFrame(rows, columns=["scanner_row", "scanner_col", f"{name}_mean"]).assign(**more)


def cell_by_scanners(grid) -> dict[tuple[str, str], dict]:
    """Cells of a matrix by the scanners of row and column."""
    return {(row["head"], column): cell for row in grid["rows"]
            for column, cell in zip(grid["columns"][1:], row["cells"], strict=True)}  # fmt: skip


@pytest.mark.parametrize("name", ["rmse_hu", "psnr_db", "ssim"])
def test_the_least_alike_cell_has_the_darkest_ground(name):
    """Lower RMSE is better, higher PSNR and SSIM are; the best cell has no tint, the worst all of it."""
    better_is_lower = {"rmse_hu": True, "psnr_db": False, "ssim": False}[name]
    values = {key: value / 100 for key, value in CELLS.items()}
    cells = cell_by_scanners(matrix(scanner_table(values, name), name))
    tints = {key: cells[key]["tint"] for key in values}
    order = sorted(values, key=values.get, reverse=not better_is_lower)
    assert sorted(tints, key=tints.get) == order
    assert tints[order[0]] == 0 and tints[order[-1]] == 1
    share = (values["C1", "A1"] - 0.05) / 0.55
    assert tints["C1", "A1"] == pytest.approx(share if better_is_lower else 1 - share, abs=5e-4)


def test_cells_without_a_number_have_no_tint_and_say_why():
    values = CELLS | {("E2", "E2"): np.nan, ("A1", "A1"): math.inf}
    frame = scanner_table(values, "psnr_db", n_pairs=4, reason="", not_a_target="")
    frame.loc[5, "reason"] = "one series"
    frame.loc[1, "not_a_target"] = "below the bound"
    cells = cell_by_scanners(matrix(frame.iloc[::-1], "psnr_db"))
    assert (cells["E2", "E2"]["main"], cells["E2", "E2"]["title"]) == (BLANK, "one series")
    assert cells["A1", "A1"]["main"] == "inf"
    assert not any("tint" in cells[key] for key in (("E2", "E2"), ("A1", "A1")))
    assert [key for key, cell in cells.items() if "mark" in cell] == [("C1", "A1")]
    assert [cells["A1", other]["main"] for other in ("C1", "E2")] == ["", ""]


def test_tints_reach_the_page(page_of_tables):
    page = page_of_tables(table3_rmse_hu=rmse_beside_published())
    for value, tint in (("7.00", 1), ("40.00", 13), ("60.00", 20), ("5.00", 0)):
        assert f'class="t{tint}">{value}' in page
        assert f".t{tint} {{ --t:{tint / 20:g}; }}" in page


def rmse_beside_published() -> pd.DataFrame:
    published = [100.0, 200.0, 110.0, 300.0, 220.0, 130.0]
    return scanner_table(CELLS, rmse_hu_sd=1.0, n_pairs=4, rmse_hu_mean_published=published,
                         rmse_hu_sd_published=2.0, comparison="compared", reason="", not_a_target="",
                         rmse_hu_mean_difference=np.array(list(CELLS.values())) - published)  # fmt: skip


@pytest.fixture
def page_of_tables(tmp_path):
    """Function from tables by name to the text of a report of them alone, of three scanners of the collection."""

    def make(**tables) -> str:
        series = series_table("collection", ("A1", "C1", "E2"))
        write_table(series, tmp_path / "series.csv")
        load_script("make_tables").main(["--series", f"{tmp_path}/series.csv", "--output", f"{tmp_path}/tables"])
        for name, frame in tables.items():
            write_table(frame, tmp_path / "tables" / f"{name}.csv")
        load_script("write_report").main(["--methods", str(tmp_path), "--output", f"{tmp_path}/report.html"])
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return make


def cards(page: str) -> dict[str, tuple[str, str]]:
    """Headlines of the first screen: value and published value (blank where there is none) by name."""
    pattern = (
        r'<span class="name">(.*?)</span><span class="value">(.*?)</span>(?:<span class="sub">published (.*?)</span>)?'
    )
    return {name: (value, published) for name, value, published in re.findall(pattern, page)}


def test_headlines_name_the_medians_between_and_within_scanners(page_of_tables):
    """Between: 40, 50, 60, published 200, 220, 300; within: 5, 7, 9, published 100, 110, 130."""
    found = cards(page_of_tables(table3_rmse_hu=rmse_beside_published()))
    assert found == {
        "RMSE between two scanners, median": ("50.0 HU", "220.0 HU"),
        "RMSE within a scanner, median": ("7.0 HU", "110.0 HU"),
    }


def test_between_and_within_take_their_own_cells():
    assert between_and_within(rmse_beside_published(), "rmse_hu_mean") == (50, 7)


def test_headlines_leave_out_cells_that_were_not_run(page_of_tables):
    frame = rmse_beside_published()
    frame.loc[frame["scanner_row"] == "E2", "rmse_hu_mean"] = np.nan
    found = cards(page_of_tables(table3_rmse_hu=frame))
    assert found["RMSE between two scanners, median"] == ("40.0 HU", "200.0 HU")
    assert found["RMSE within a scanner, median"] == ("8.0 HU", "105.0 HU")


def table7(most=12, form="ICC(3,1)") -> pd.DataFrame:
    others = f"loso_{most}_scanners"
    values = {"icc_mean": 0.8, "icc_sd": 0.1, "icc_mean_published": 0.99, "icc_sd_published": 0.12,
              "icc_mean_difference": -0.19, "icc_form": form, "icc_2_1_mean": 0.6, "icc_2_1_sd": 0.2,
              "icc_3_1_mean": 0.8, "icc_3_1_sd": 0.1,
              "icc_ci_low": 0.7, "icc_ci_high": 0.85, "loso_1_scanner_acc_mean": 0.71, "loso_1_scanner_acc_sd": 0.02,
              "loso_1_scanner_acc_ci_low": 0.65, "loso_1_scanner_acc_ci_high": 0.75,
              f"{others}_acc_mean": 0.92, f"{others}_acc_sd": 0.03,
              f"{others}_acc_mean_published": 0.986, f"{others}_acc_sd_published": 0.024,
              f"{others}_acc_mean_difference": -0.066, f"{others}_balanced_accuracy": 0.88,
              f"{others}_balanced_ci_low": 0.8, f"{others}_balanced_ci_high": 0.93,
              f"{others}_balanced_roi_ci_low": 0.5, f"{others}_balanced_roi_ci_high": 0.97, "ci_unit": "scanner",
              "tenfold_13_scanners_acc_mean": 0.95, "tenfold_13_scanners_acc_sd": 0.01, "not_a_target": "",
              "comparison": "compared", "reason": ""}  # fmt: skip
    if form == "ICC(2,1)":
        values |= {"icc_mean": 0.6, "icc_ci_low": 0.5, "icc_ci_high": 0.65}
    radiomics = {"features": "Radiomics", "extractor": "radiomics", **values}
    mine = {"features": "mine", "extractor": "mine", **values, "icc_mean": 0.5, "icc_mean_published": np.nan,
            "icc_mean_difference": np.nan, f"{others}_acc_mean": 0.99,
            f"{others}_acc_mean_published": np.nan}  # fmt: skip
    return pd.DataFrame([radiomics, mine])


def tasks_table(*tasks) -> pd.DataFrame:
    """Accuracies of other tasks for `mine` and `radiomics`, in this order, 0.1 apart."""
    rows = [(task, extractor, 0.5 + 0.1 * i + 0.01 * j, 0.4, 0.7)
            for i, task in enumerate(tasks) for j, extractor in enumerate(("mine", "radiomics"))]  # fmt: skip
    return pd.DataFrame(rows, columns=["task", "extractor", "accuracy_mean", "accuracy_ci_low", "accuracy_ci_high"])


FACTS = {"origin": "collection", "domain": "scanner", "extractors": shown_of(read_extractors())}
OTHER_TASKS = ("tissue_other_roi", "tissue_other_recon", "tissue_other_maker", "scanner")


@pytest.mark.parametrize("most", [12, 3])
@pytest.mark.parametrize("form", ["ICC(3,1)", "ICC(2,1)"])
def test_headlines_begin_with_what_a_harmonization_would_move(most, form):
    tables = {"table7_stability_classification": table7(most, form), "accuracy_tasks": tasks_table(*OTHER_TASKS)}
    grid = feature_headlines(tables, FACTS)
    assert grid["columns"] == ["", "Radiomics", "mine"]
    assert [(row["head"], row["cells"][0]["main"]) for row in grid["rows"]] == [
        ("Mean ICC(2,1), absolute agreement between scanners", "0.600"),
        ("Accuracy on an unseen scanner, 1 training scanner (N = 1)", "0.710"),
        ("Accuracy on another region (cyst or normal)", "0.510"),
        ("Accuracy on another reconstruction of the same scans", "0.610"),
        ("Mean ICC(3,1), consistency between scanners", "0.800"),
        (f"Accuracy on an unseen scanner, {most} training scanners (N = {most})", "0.920"),
    ]
    by_head = {row["head"]: row["cells"] for row in grid["rows"]}
    assert by_head["Accuracy on another region (cyst or normal)"][1]["main"] == "0.500"
    assert [cell["range"] for cell in by_head["Accuracy on another reconstruction of the same scans"]] == [
        "scanners 0.400 to 0.700"
    ] * 2
    agreement, last = grid["rows"][0]["cells"][0], grid["rows"][-1]["cells"][0]
    assert ("range" in agreement) == (form == "ICC(2,1)") and "sub" not in agreement
    assert last["sub"] == "0.986" and grid["rows"][-1]["cells"][1]["main"] == "0.990"


def test_headlines_have_intervals_over_scanners_and_over_regions():
    ends = {"icc_2_1_ci_low": 0.55, "icc_2_1_ci_high": 0.65, "icc_2_1_roi_ci_low": 0.3, "icc_2_1_roi_ci_high": 0.8}
    tasks = tasks_table("tissue_other_roi").assign(accuracy_roi_ci_low=0.1, accuracy_roi_ci_high=0.99)
    tasks[["accuracy_ci_low", "accuracy_ci_high"]] = np.nan
    tables = {"table7_stability_classification": table7().assign(**ends), "accuracy_tasks": tasks}
    rows = {row["head"]: row["cells"][0] for row in feature_headlines(tables, FACTS)["rows"]}
    agreement = rows["Mean ICC(2,1), absolute agreement between scanners"]
    assert (agreement["range"], agreement["regions"]) == ("scanners 0.550 to 0.650", "regions 0.300 to 0.800")
    region = rows["Accuracy on another region (cyst or normal)"]
    assert (region["range"], region["regions"]) == (f"scanners {BLANK}", "regions 0.100 to 0.990")


def test_each_interval_of_a_headline_names_its_own_unit_and_none_takes_the_place_of_another():
    """Where regions are left out scanners are all alike: the interval over regions must not stand for theirs."""
    frame = table7().assign(icc_ci_unit="dose_mgy", ci_unit="maker", icc_roi_ci_low=np.nan, icc_roi_ci_high=np.nan)
    tasks = tasks_table("tissue_other_roi", "tissue_other_recon").assign(ci_unit=["scanner"] * 2 + ["scan"] * 2)
    tables = {"table7_stability_classification": frame, "accuracy_tasks": tasks}
    rows = {row["head"]: row["cells"][0] for row in feature_headlines(tables, FACTS)["rows"]}
    assert rows["Mean ICC(3,1), consistency between scanners"]["range"] == "doses 0.700 to 0.850"
    assert rows["Mean ICC(3,1), consistency between scanners"]["regions"] == f"regions {BLANK}"
    assert "range" not in rows["Mean ICC(2,1), absolute agreement between scanners"]  # its ends are no columns here
    assert rows["Accuracy on an unseen scanner, 1 training scanner (N = 1)"]["range"] == "makers 0.650 to 0.750"
    assert rows["Accuracy on another reconstruction of the same scans"]["range"] == "scans 0.400 to 0.700"
    cells = cells_of("table7_stability_classification", frame)["rows"][0]["cells"]
    assert (cells[0]["range"], cells[0]["regions"]) == ("doses 0.700 to 0.850", f"regions {BLANK}")


def test_the_first_screen_has_the_unit_in_sight_and_the_weights_in_the_heads(page_of_tables):
    page = page_of_tables(table7_stability_classification=table7())
    table = re.search(r'<table class="headlines">.*?</table>', page, re.DOTALL)[0]
    assert "</span>scanners 0.650 to 0.750</span>" in table
    assert "first over" not in page
    weights = {"radiomics": {"status": "random", "words": "", "file": "", "sha256": ""}}
    facts = FACTS | {"weights": weights}
    columns = feature_headlines({"table7_stability_classification": table7()}, facts)["columns"]
    assert columns == ["", "Radiomics (random weights)", "mine"]


@pytest.mark.parametrize(("balanced", "said"), [(0.99, True), (1.0, True), (1.0001, False)])
def test_what_guessing_scores_as_well_is_said_beside_it(balanced, said):
    tasks = tasks_table("tissue_other_roi").assign(balanced_accuracy=balanced, balanced_ci_low=0.4,
                                                   balanced_ci_high=1.0, chance=0.5, chance_high=1.0)  # fmt: skip
    tables = {"table7_stability_classification": table7(), "accuracy_tasks": tasks}
    (row,) = (row for row in feature_headlines(tables, FACTS)["rows"] if "another region" in row["head"])
    assert [cell.get("note") for cell in row["cells"]] == (["not beyond chance"] * 2 if said else [None] * 2)
    grid = cells_of("accuracy_tasks", tasks)
    at = grid["columns"].index("balanced accuracy") - 1
    assert [row["cells"][at].get("note") for row in grid["rows"]] == (["not beyond chance"] * 2 if said else [None] * 2)


@pytest.mark.parametrize(("n_folds", "n_rows", "words"), [(2, 20, " (FBP, IR)"), (3, 26, " (DL, FBP, IR)"), (2, 7, "")])
def test_another_reconstruction_names_those_that_it_averages(n_folds, n_rows, words):
    """Ten test rows of FBP and of IR, one or two of DL, which one scanner alone has."""
    lines = [("FBP", "IR", 10), ("IR", "FBP", 10), ("FBP", "DL", 1), ("IR", "DL", 2), ("DL", "FBP", 2), ("DL", "IR", 1)]
    by_value = pd.DataFrame(lines, columns=["trained_on", "tested_on", "n_rows"]).assign(extractor="mine")
    tasks = tasks_table("tissue_other_recon").assign(n_folds=n_folds, n_rows=n_rows)
    tables = {"table7_stability_classification": table7(), "accuracy_tasks": tasks, "accuracy_other_recon": by_value}
    heads = [row["head"] for row in feature_headlines(tables, FACTS)["rows"]]
    assert f"Accuracy on another reconstruction of the same scans{words}" in heads


def test_another_dose_is_a_headline_where_it_was_asked_for(page_of_tables):
    asked = tasks_table(*OTHER_TASKS, "tissue_other_dose")
    page = page_of_tables(table7_stability_classification=table7(), accuracy_tasks=asked)
    heads = re.findall(r'<table class="headlines">.*?</table>', page, re.DOTALL)
    heads = re.findall(r'<th scope="row">(.*?)</th>', heads[0])
    assert heads.index("Accuracy at another dose") < heads.index("Mean ICC(3,1), consistency between scanners")


def test_published_values_are_no_yardstick_beside_other_input():
    facts = FACTS | {"origin": "synthetic"}
    tables = {"table7_stability_classification": table7(), "table3_rmse_hu": rmse_beside_published()}
    assert not any("sub" in cell for row in feature_headlines(tables, facts)["rows"] for cell in row["cells"])
    assert [card["published"] for card in image_headlines(tables, facts)] == ["", ""]


def test_headlines_of_another_domain_name_it():
    frame = table7().rename(columns=lambda name: name.replace("loso_12_scanners", "loso_3_scanners"))
    heads = [row["head"] for row in feature_headlines({"table7_stability_classification": frame},
                                                      FACTS | {"domain": "maker"})["rows"]]  # fmt: skip
    assert "Accuracy on an unseen maker, 1 training maker (N = 1)" in heads and not any("scanner" in h for h in heads)


PLUS = "\N{PLUS-MINUS SIGN}"
MINUS = "\N{MINUS SIGN}"


def test_cells_of_table_7_stand_below_their_heads():
    grid = cells_of("table7_stability_classification", table7())
    row = dict(zip(grid["columns"][1:], grid["rows"][0]["cells"], strict=True))
    assert {head: cell["main"] for head, cell in row.items()} == {
        "Mean ICC(3,1)": f"0.800{PLUS}0.100", "Mean ICC(2,1)": f"0.600{PLUS}0.200",
        "Accuracy, LOSO, 1 training scanner": f"0.710{PLUS}0.020",
        "Accuracy, LOSO, 12 training scanners": f"0.920{PLUS}0.030", "balanced": "0.880",
        "Accuracy, 10-fold, 13 scanners": f"0.950{PLUS}0.010",
    }  # fmt: skip
    assert row["Mean ICC(3,1)"]["sub"] == f"0.990{PLUS}0.120"
    assert row["Mean ICC(3,1)"]["delta"] == f"{MINUS}0.190"
    assert row["Mean ICC(3,1)"]["range"] == "scanners 0.700 to 0.850"
    assert (row["balanced"]["range"], row["balanced"]["regions"]) == (
        "scanners 0.800 to 0.930",
        "regions 0.500 to 0.970",
    )
    assert row["Accuracy, LOSO, 12 training scanners"]["sub"] == f"0.986{PLUS}0.024"
    assert [line["head"] for line in grid["rows"]] == ["Radiomics", "mine"]


def test_what_weights_are_is_said_once_with_a_table(page_of_tables):
    """The note below it says it; columns of it, or a line above, would say it again."""
    frame = pd.DataFrame({"extractor": ["radiomics"] * 2, "feature_class": ["glcm", "glrlm"], "icc_mean": [0.5, 0.75],
                          "weights": "seeded ones"})  # fmt: skip
    page = page_of_tables(stability_by_class=frame)
    item = page[page.index('id="stability_by_class"') :].split("Full digits")[0]
    assert "glrlm" in item and "seeded ones" not in item and ">weights<" not in item


def test_differences_have_signs_and_intervals_and_leave_the_weights_to_the_notes():
    frame = pd.DataFrame({"measure": ["accuracy"], "first": "mine", "second": "radiomics", "value_first": 0.75,
                          "value_second": 0.5, "difference": 0.25, "ci_unit": "scanner", "n_ci_units": 13,
                          "difference_ci_low": -0.1, "difference_ci_high": 0.6, "n_rois": 6,
                          "difference_roi_ci_low": np.nan, "difference_roi_ci_high": np.nan,
                          "weights_first": "random"})  # fmt: skip
    grid = cells_of("table7_differences", frame)
    assert grid["columns"] == ["measure", "first", "second", "first value", "second value", "difference",
                               "95 % interval over scanners", "95 % interval over regions"]  # fmt: skip
    texts = [cell["main"] for cell in grid["rows"][0]["cells"]]
    assert texts == ["mine", "radiomics", "0.750", "0.500", "+0.250", f"{MINUS}0.100 to 0.600", ""]


def test_differences_of_pairs_have_as_many_digits_as_their_metric_in_every_row():
    frame = pd.DataFrame({"measure": ["RMSE (HU)", "SSIM"], "first": "1 mGy", "second": "3 mGy",
                          "value_first": [22.4512, 0.5], "value_second": [13.0, 0.25], "difference": [9.4512, 0.25],
                          "ci_unit": "scanner", "n_ci_units": 13, "difference_ci_low": [9.0, 0.1],
                          "difference_ci_high": [10.0, 0.4]})  # fmt: skip
    rows = [[cell["main"] for cell in row["cells"]] for row in cells_of("table6_dose_differences", frame)["rows"]]
    assert rows == [["1 mGy", "3 mGy", "22.45", "13.00", "+9.45", "9.00 to 10.00"],
                    ["1 mGy", "3 mGy", "0.500", "0.250", "+0.250", "0.100 to 0.400"]]  # fmt: skip


def test_intervals_name_all_that_they_are_over():
    frame = table7().assign(icc_ci_unit=["dose_mgy", ""], ci_unit=["scan", ""])
    assert interval_head(frame, "ci") == "95 % interval over doses or scans"
    assert interval_head(frame, "roi_ci") == "95 % interval over regions"
    assert interval_head(table7().assign(icc_ci_unit="scanner"), "ci") == "95 % interval over scanners"


def test_differences_are_this_run_less_published_with_their_sign(page_of_tables):
    cells = cell_by_scanners(matrix(rmse_beside_published(), "rmse_hu"))
    assert cells["C1", "A1"]["delta"] == f"{MINUS}160.00"
    assert cells["C1", "A1"]["sub"] == f"200.00{PLUS}2.00"
    frame = rmse_beside_published()
    frame["rmse_hu_mean_difference"] *= -1
    assert cell_by_scanners(matrix(frame, "rmse_hu"))["C1", "A1"]["delta"] == "+160.00"


def test_the_ground_grows_darker_with_the_tint(page_of_tables):
    """No tint leaves the page's own ground; all of it mixes in more than half of the tint's colour."""
    page = page_of_tables(table3_rmse_hu=rmse_beside_published())
    mixed = re.search(r"\.matrix td \{ background:color-mix\(in srgb, var\((.*?)\) calc\((.*?)\), var\((.*?)\)\)", page)
    assert mixed.groups() == ("--tint", "var(--t, 0) * 55%", "--ground")


def test_each_number_of_a_profile_stands_below_its_head():
    about = {"scanner": "C1", "recon": "IR", "dose_mgy": 10.0, "reason": "", "grid": "own"}
    rows = [("total_sd_hu", "cyst1", 15.24), ("quantum_sd_hu", "cyst1", 11.0), ("total_nps_mean_per_mm", "cyst1", 0.31),
            ("edge_sigma_mm", "dots_to_wedge", 0.62), ("slice_sigma_mm", "wedge_to_liver", 1.21),
            ("cnr", "cyst_normal", 4.3), ("calibration_slope", "wedge", 1.012),
            ("calibration_offset_hu", "wedge", -2.6), ("shading_hu", "liver", 11.64),
            ("displacement_p95_mm", "block", 0.07),
            ("total_sd_hu", "normal1", 99.0)]  # fmt: skip
    entries = [{**about, "measure": name, "region": region, "value": value} for name, region, value in rows]
    entries += [{**about, "recon": "FBP", "measure": "total_sd_hu", "region": "cyst1", "value": 20.0},
                {**about, "dose_mgy": 14.0, "measure": "total_sd_hu", "region": "cyst1", "value": 9.0},
                {**about, "scanner": "A1", "measure": "total_sd_hu", "region": "cyst1", "value": 12.0}]  # fmt: skip
    view = profile_view(pd.DataFrame(entries))
    assert view["dose"] == "10 mGy"
    assert [row["head"] for row in view["table"]["rows"]] == ["A1 IR", "C1 FBP", "C1 IR"]
    heads = [head.replace("\N{SOFT HYPHEN}", "") for head in view["table"]["columns"][1:]]
    first, second, third = (
        dict(zip(heads, (cell["main"] for cell in row["cells"]), strict=True)) for row in view["table"]["rows"]
    )
    assert third == {
        "SD in the large cyst, total (HU)": "15.2", "quantum (HU)": "11.0",
        "Mean frequency of noise and print (1/mm)": "0.310", "Sigma in plane (mm)": "0.62",
        "Sigma along z (mm)": "1.21", "CNR cyst to normal": "4.3", "Slope of HU": "1.012",
        "Offset (HU)": f"{MINUS}2.6", "Shading (HU, to the reference)": "11.6",
        "Displacement, 95th percentile (mm)": "0.07",
    }  # fmt: skip
    assert (first["SD in the large cyst, total (HU)"], second["SD in the large cyst, total (HU)"]) == ("12.0", "20.0")
    assert first["quantum (HU)"] == BLANK


def test_the_mean_frequency_is_of_one_measure_that_its_head_names():
    """Noise alone where repetitions tell it of all; noise and print of all where one scanner has one repetition."""
    about = {"recon": "IR", "dose_mgy": 10.0, "reason": "", "grid": "own", "region": "cyst1"}
    values = {("A1", "total_nps_mean_per_mm"): 0.2, ("A1", "quantum_nps_mean_per_mm"): 0.3,
              ("C1", "total_nps_mean_per_mm"): 0.25, ("C1", "quantum_nps_mean_per_mm"): 0.35}  # fmt: skip
    rows = pd.DataFrame([{**about, "scanner": s, "measure": name, "value": v} for (s, name), v in values.items()])
    for chosen, head, shown in ((rows, "Mean frequency of noise (1/mm)", ["0.300", "0.350"]),
                                (rows[:-1], "Mean frequency of noise and print (1/mm)",
                                 ["0.200", "0.250"])):  # fmt: skip
        table = profile_view(chosen)["table"]
        place = table["columns"].index(head)
        assert [row["cells"][place - 1]["main"] for row in table["rows"]] == shown


def dose_table() -> pd.DataFrame:
    """A row of a dose and the average of a scanner: 10 and 20 HU, 40 and 30 dB, SSIM of 0.9 and 0.8."""
    rows = []
    for kind, dose, rmse, psnr, ssim in (("dose", 3, 10.0, 40.0, 0.9), ("average", np.nan, 20.0, 30.0, 0.8)):
        row = {
            "scanner": "C1",
            "row_kind": kind,
            "dose_mgy": dose,
            "n_pairs": 5,
            "comparison": "compared",
            "reason": "",
        }
        for name, value, published in (("rmse_hu", rmse, 12.5), ("psnr_db", psnr, 35.0), ("ssim", ssim, 0.95)):
            row |= {f"{name}_mean": value, f"{name}_sd": 0.5, f"{name}_mean_published": published,
                    f"{name}_sd_published": 0.25, f"{name}_mean_difference": value - published,
                    f"{name}_ci_low": value - 1, f"{name}_ci_high": value + 2}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def test_cells_of_table_6_stand_below_their_heads():
    grid = cells_of("table6_dose", dose_table())
    published = ["Scanner", "Dose", "RMSE (HU)", "published", "difference", "PSNR (dB)", "published",
                 "difference", "SSIM", "published", "difference"]  # fmt: skip
    # then metrics that the paper has not, none today
    assert grid["columns"][:11] == published and grid["columns"][-1] == "Pairs"
    first, average = grid["rows"]
    assert (first["head"], first["strong"], average["strong"]) == ("C1", False, True)
    space = "\N{NO-BREAK SPACE}"
    assert [cell["main"].replace(space, "") for cell in (*first["cells"][:10], first["cells"][-1])] == [
        "3 mGy".replace(space, ""), f"10.00{PLUS}0.50", f"12.500{PLUS}0.250", f"{MINUS}2.50", f"40.00{PLUS}0.50",
        f"35.000{PLUS}0.250", "+5.00", f"0.900{PLUS}0.500", f"0.950{PLUS}0.250", f"{MINUS}0.050", "5",
    ]  # fmt: skip
    assert [cell["range"] for cell in first["cells"] if cell.get("range")] == [
        "9.00 to 12.00", "39.00 to 42.00", f"{MINUS}0.100 to 2.900"
    ]  # fmt: skip
    assert average["cells"][0]["main"] == "average"
    assert average["cells"][3]["main"] == "+7.50"


def test_table_6_without_comparison_has_no_column_of_differences():
    frame = dose_table().assign(comparison="not comparable: synthetic input")
    for name in ("rmse_hu", "psnr_db", "ssim"):
        frame[f"{name}_mean_difference"] = np.nan
    grid = cells_of("table6_dose", frame)
    assert "difference" not in grid["columns"] and grid["columns"].count("published") == 3
    assert len(grid["rows"][0]["cells"]) == len(grid["columns"]) - 1


def test_tables_1_and_2_show_the_published_value_where_it_differs():
    frame = pd.DataFrame(
        {"scanner": ["A1", "C1"], "pitch": [1.0, 0.9], "pitch_published": [1.0, 1.2], "pitch_difference": [0.0, -0.3],
         "n_series": [100.0, 99.0], "n_series_published": [100.0, 106.0], "n_series_difference": [0.0, -7.0],
         "not_a_target": ["", "counted otherwise"]}
    )  # fmt: skip
    grid = cells_of("table1_acquisition", frame)
    equal, other = grid["rows"]
    assert [cell["main"] for cell in equal["cells"]] == ["1", "100"]
    assert not any(key in cell for cell in equal["cells"] for key in ("sub", "delta", "mark"))
    assert [(cell["main"], cell["sub"], cell["delta"]) for cell in other["cells"]] == [
        ("0.9", "1.2", f"{MINUS}0.300"), ("99", "106", f"{MINUS}7")
    ]  # fmt: skip
    assert other["cells"][-1]["mark"] == "counted otherwise"
