"""Parts of profiles become tables, figures and a section of the report."""

import json

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table, write_table
from ct4bench.figures.draw_profiles import as_scanned, choose, draw_profiles
from ct4bench.profiles.merge import (
    FIELD_COLUMNS,
    PROFILE_COLUMNS,
    SERIES_COLUMNS,
    at_unit,
    merge_fields,
    merge_profiles,
)
from ct4bench.profiles.profile import profile_chunk
from ct4bench.profiles.profiler import ONE_REPETITION, absent, contrast_rows, row
from ct4bench.report.profile import profile_view

LABELS = {"origin": "synthetic", "origin_words": "synthetic input", "mode": "paper", "method": "none"}
MAKERS = {"C1": "Philips", "A1": "Siemens", "E2": "GE"}


def series_table(scanner, recon, repetition, entries, n_repetitions, dose=10.0, grid="own") -> pd.DataFrame:
    frame = pd.DataFrame(entries).assign(grid=grid)
    frame["at_unit"] = frame["measure"].map(at_unit).where(frame["at"].notna(), "")
    uid = "" if repetition is None else f"1.{scanner}.{recon}.{repetition}"
    about = {"scanner": scanner, "maker": MAKERS[scanner], "dose_mgy": dose, "recon": recon, "series_uid": uid}
    return frame.assign(n_repetitions=n_repetitions, **about)[SERIES_COLUMNS]


def entries_of(sd: float) -> list[dict]:
    found = [row("noise", "total_sd_hu", "cyst1", sd), row("noise", "bias_hu", "cyst1", sd - 15)]
    found += [row("noise", "total_nps_hu2_mm2", "cyst1", 900 * np.exp(-f / 0.2), f) for f in (0.1, 0.2, 0.3)]
    found += [row("sharpness", "ttf", "dots_to_wedge", np.exp(-f), f) for f in (0.0, 0.1, 0.2)]
    found += [row("sharpness", "star_modulation", "siemens_star", np.exp(-f), f) for f in (0.1, 0.2)]
    found.append(row("sharpness", "edge_sigma_mm", "dots_to_wedge", 0.7))
    found += [row("calibration", "wedge_less_reference_hu", "wedge", 0.02 * hu, hu) for hu in (50, 200, 500)]
    found.append(row("calibration", "calibration_slope", "wedge", 1.02))
    found.append(row("geometry", "displacement_p95_mm", "block", 0.08))
    found += contrast_rows({"cyst1": (0, 10), "cyst2": (2, 10), "normal1": (90, 12), "hemangioma": (40, 14)}, "cnr")
    return [*found, absent("sharpness", "zone_modulation", "zone_plate", "the zone plate is not in the volume")]


@pytest.fixture
def parts(tmp_path):
    """Two parts: A1 with two repetitions, and C1 and E2 with one."""
    one = [series_table("A1", "IR", n, entries_of(sd), 2) for n, sd in ((1, 14.0), (2, 16.0))]
    one.append(series_table("A1", "IR", None, [row("noise", "quantum_sd_hu", "cyst1", 9.5)], 2))
    other = [series_table("E2", "IR", 1, entries_of(15.0), 1), series_table("C1", "IR", 1, entries_of(17.0), 1)]
    other.append(series_table("C1", "IR", None, [absent("noise", "quantum_sd_hu", "cyst1", ONE_REPETITION)], 1))
    paths = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    for path, tables in zip(paths, (one, other), strict=True):
        write_table(pd.concat(tables), path)
    return paths


def field_part(path, scanner, shift):
    cells = [(x, y, z) for x in (-20.0, 0.0, 20.0) for y in (-10.0, 15.0) for z in (130.0, 155.0)]
    frame = pd.DataFrame(cells, columns=["x_mm", "y_mm", "z_mm"])
    for axis in "xyz":
        frame[f"displacement_{axis}_mm"], frame[f"error_{axis}_mm"] = shift, 0.04
    frame.loc[0, "displacement_y_mm"] = np.nan
    frame = frame.assign(scanner=scanner, maker=MAKERS[scanner], dose_mgy=10.0, recon="IR")
    write_table(frame[FIELD_COLUMNS], path)
    return path


def test_means_and_spread_over_series(parts):
    series, profile = merge_profiles(parts)
    assert list(profile.columns) == PROFILE_COLUMNS
    assert list(profile["scanner"].drop_duplicates()) == ["A1", "C1", "E2"]
    found = profile[(profile["measure"] == "total_sd_hu")].set_index("scanner")
    assert found.loc["A1", ["value", "n_series", "n_repetitions"]].tolist() == [15.0, 2, 2]
    assert found.loc["A1", "sd"] == pytest.approx(np.sqrt(2))
    assert np.isnan(found.loc["C1", "sd"]) and found.loc["C1", "n_series"] == 1
    assert len(series) == sum(len(pd.read_parquet(path)) for path in parts)


def test_the_order_of_parts_does_not_matter(parts, tmp_path):
    for name, order in (("a", parts), ("b", parts[::-1])):
        for kind, table in zip(("series", "profile"), merge_profiles(order), strict=True):
            write_table(table, tmp_path / f"{kind}_{name}.csv")
    for kind in ("series", "profile"):
        assert (tmp_path / f"{kind}_a.csv").read_bytes() == (tmp_path / f"{kind}_b.csv").read_bytes()


def test_what_all_repetitions_tell_counts_no_series(parts):
    profile = merge_profiles(parts)[1]
    found = profile[profile["measure"] == "quantum_sd_hu"].set_index("scanner")
    assert pd.isna(found.loc["A1", "n_series"]) and found.loc["A1", "reason"] == ""
    assert np.isnan(found.loc["C1", "value"]) and found.loc["C1", "reason"] == ONE_REPETITION


def test_every_row_has_a_value_or_a_reason(parts):
    for table in merge_profiles(parts):
        assert (table["value"].notna() ^ (table["reason"] != "")).all()
        assert (table["at"].notna() == (table["at_unit"] != "")).all()


def test_fields_are_averaged_over_series(tmp_path):
    paths = [field_part(tmp_path / "1.parquet", "C1", 0.1), field_part(tmp_path / "2.parquet", "C1", 0.2)]
    merged = merge_fields(paths)
    assert list(merged.columns) == [*FIELD_COLUMNS, "n_series"]
    assert len(merged) == 12 and (merged["n_series"] == 2).all()
    assert merged["displacement_x_mm"].tolist() == pytest.approx([0.15] * 12)
    assert merged["error_x_mm"].tolist() == pytest.approx([0.04 / np.sqrt(2)] * 12)
    assert merged["displacement_y_mm"].isna().sum() == 1


def test_report_has_a_row_for_each_scanner_and_the_reasons(parts, tmp_path):
    write_table(merge_profiles(parts)[1], tmp_path / "p.csv")
    profile = read_table(tmp_path / "p.csv", PROFILE_COLUMNS)
    view = profile_view(profile)
    assert [r["head"] for r in view["table"]["rows"]] == ["A1 IR", "C1 IR", "E2 IR"]
    assert view["table"]["rows"][0]["cells"][0]["main"] == "15.0"
    assert {item["reason"] for item in view["reasons"]} == {ONE_REPETITION, "the zone plate is not in the volume"}
    elsewhere = profile[profile["reason"] == "the zone plate is not in the volume"].assign(dose_mgy=1, reason="gone")
    view = profile_view(pd.concat([profile, elsewhere], ignore_index=True))
    assert "gone" not in {item["reason"] for item in view["reasons"]}
    assert profile_view(None) is None


def test_the_registered_value_stands_beside_what_was_scanned(tmp_path):
    tables = [
        series_table("A1", "IR", 1, entries_of(sd), 1, grid=grid) for sd, grid in ((15.0, "own"), (12.0, "common"))
    ]
    tables.append(series_table("C1", "IR", 1, entries_of(17.0), 1, grid="common"))
    write_table(pd.concat(tables), tmp_path / "p.parquet")
    profile = merge_profiles([tmp_path / "p.parquet"])[1]
    assert list(profile.loc[profile["measure"] == "total_sd_hu", "grid"]) == ["own", "common", "common"]
    first, second = (row["cells"][0] for row in profile_view(profile)["table"]["rows"])
    assert (first["main"], first["sd"]) == ("15.0", "(12.0)")
    assert second == {"main": "17.0"}
    shown = as_scanned(profile)
    assert shown.loc[shown["measure"] == "total_sd_hu", ["scanner", "grid"]].to_numpy().tolist() == [
        ["A1", "own"], ["C1", "common"],
    ]  # fmt: skip


def test_figures_of_each_kind_are_drawn(parts, tmp_path):
    profile = merge_profiles(parts)[1]
    fields = merge_fields([field_part(tmp_path / f"{s}.parquet", s, 0.05) for s in ("A1", "C1")])
    draw_profiles(profile, fields, LABELS, tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {"profile_noise", "profile_sharpness", "profile_calibration", "profile_geometry"}
    for name in names:
        caption = json.loads((tmp_path / "figures" / f"{name}.json").read_text())
        assert caption["title"] and caption["alt"] and len(caption["text"]) > 60
        assert "synthetic" in (tmp_path / "figures" / f"{name}.svg").read_text()


def test_figures_without_patterns_say_why(tmp_path):
    rows = [row("noise", "total_sd_hu", "cyst1", 15.0), row("noise", "bias_hu", "cyst1", 0.0)]
    rows += [absent("calibration", "calibration_slope", "wedge", "the wedge is not in the volume")]
    rows += [absent("sharpness", "edge_sigma_mm", "plain_to_wedge", "the step is not in the volume")]
    write_table(series_table("A1", "IR", 1, rows, 1), tmp_path / "p.parquet")
    profile = merge_profiles([tmp_path / "p.parquet"])[1]
    draw_profiles(profile, pd.DataFrame(columns=[*FIELD_COLUMNS, "n_series"]), LABELS, tmp_path / "figures")
    assert "the wedge is not in the" in " ".join((tmp_path / "figures/profile_calibration.svg").read_text().split("\n"))


def test_the_dose_and_reconstruction_of_most_scanners_are_shown(tmp_path):
    tables = [series_table(s, "FBP", 1, entries_of(15.0), 1) for s in ("A1", "C1", "E2")]
    tables += [series_table("A1", "IR", 1, entries_of(15.0), 1), series_table("A1", "IR", 2, entries_of(9.0), 1, 14.0)]
    write_table(pd.concat(tables), tmp_path / "p.parquet")
    chosen = choose(merge_profiles([tmp_path / "p.parquet"])[1])
    assert (chosen.dose_mgy, chosen.recon) == (10.0, "FBP")


def test_an_unknown_series_is_said(tmp_path):
    about = {"scanner": "A1", "maker": "Siemens", "dose_mgy": 10, "recon": "IR", "repetition": 1}
    registered = pd.DataFrame([{"series_uid": "1.2", **about}])
    with pytest.raises(UserError, match="no series 9.9"):
        profile_chunk(registered, ["9.9"], tmp_path, tmp_path)
