"""Two folders of results against one another: lines by hand, intervals by SciPy."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from tests.conftest import ROOT

from ct4bench.core.contract import CONTRACT_VERSION, read_contract, table_of
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.results.compare import Tolerance, compare, compare_columns, compare_scores, compare_tables, read_keys

EXACT = Tolerance()


def folder_of(place, tables: dict[str, pd.DataFrame], run: dict | None = None):
    for name, frame in tables.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(place / name) if name.endswith("parquet") else frame.to_csv(place / name, index=False)
    (place / "pipeline_info").mkdir(parents=True, exist_ok=True)
    (place / "pipeline_info" / "complete.json").write_text(json.dumps({"contract": CONTRACT_VERSION}))
    facts = {"parameters": {}, "versions": {"ct4bench": "1"}, "container_engine": "none"} | (run or {})
    (place / "pipeline_info" / "run.json").write_text(json.dumps(facts))
    return place


def stability(icc, feature=("a", "b", "c")):
    frame = pd.DataFrame({"extractor": "radiomics", "feature": feature, "form": "ICC(2,1)", "domain": "scanner"})
    return frame.assign(stratum="all", icc=icc)


def line_of(lines, column):
    (found,) = [line for line in lines if line["column"] == column]
    return found


def test_rows_are_matched_by_key_whatever_their_order():
    one, other = stability([0.5, 0.25, np.nan]), stability([0.5, 0.75, np.nan], ("a", "d", "c")).iloc[::-1]
    lines = compare_columns("none/icc.csv", one, other, EXACT)
    assert line_of(lines, "(rows)")["n_only_first"] == line_of(lines, "(rows)")["n_only_second"] == 1
    assert line_of(lines, "icc")["status"] == "equal" and line_of(lines, "icc")["n_rows"] == 2


def test_the_largest_difference_is_placed_and_sized():
    lines = compare_columns("none/icc.csv", stability([0.5, 0.2, 0.3]), stability([0.5, 0.1, np.nan]), EXACT)
    line = line_of(lines, "icc")
    assert (line["n_different"], line["n_blank"]) == (2, 1)
    assert line["largest_absolute"] == pytest.approx(0.1) and line["largest_relative"] == pytest.approx(0.5)
    assert line["mean_difference"] == pytest.approx(-0.05)
    assert (line["first"], line["second"]) == (0.2, 0.1) and "radiomics, b, ICC(2,1)" in line["where"]


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [
        (EXACT, "different"),
        (Tolerance(relative=0.51), "equal"),
        (Tolerance(relative=0.49), "different"),
        (Tolerance(absolute=0.11), "equal"),
        (Tolerance(absolute=0.09), "different"),
    ],
)
def test_tolerances(tolerance, status):
    lines = compare_columns("none/icc.csv", stability([0.5, 0.2, 0.3]), stability([0.5, 0.1, 0.3]), tolerance)
    assert line_of(lines, "icc")["status"] == status


def test_a_blank_beside_a_number_is_within_no_tolerance():
    one, other = stability([0.5, 0.2, 0.3]), stability([0.5, 0.2, np.nan])
    assert line_of(compare_columns("none/icc.csv", one, other, Tolerance(9, 9)), "icc")["status"] == "different"


def test_columns_and_tables_of_one_folder_alone_are_told(tmp_path):
    one = folder_of(tmp_path / "a", {"none/icc.csv": stability(0.5).assign(x=1), "truth.csv": pd.DataFrame({"x": [1]})})
    other = folder_of(
        tmp_path / "b", {"none/icc.csv": stability(0.5).assign(y=1), "notes.csv": pd.DataFrame({"z": [1]})}
    )
    found = compare_tables(one, other, EXACT).set_index(["table", "column"])["status"]
    assert found["truth.csv", ""] == found["none/icc.csv", "x"] == "only in the first"
    assert found["none/icc.csv", "y"] == "only in the second" and "notes.csv" not in found


def predictions(rng, share: float, scanners="ABCDE") -> pd.DataFrame:
    """Leave one scanner out: a fold for each scanner, regions in each."""
    rows = pd.DataFrame(
        [(s, f"{s}{n}", roi, p) for s in scanners for n in range(2) for roi in ("cyst1", "normal1") for p in range(5)],
        columns=["scanner", "series_uid", "roi", "patch"],
    )
    rows["target"] = rows["roi"].map({"cyst1": "cyst", "normal1": "normal"})
    wrong = rng.random(len(rows)) > share
    rows["predicted"] = rows["target"].where(~wrong, rows["target"].map({"cyst": "normal", "normal": "cyst"}))
    names = {"task": "tissue", "extractor": "radiomics", "classifier": "mlp", "ablation": "default", "scheme": "loso"}
    return rows.assign(**names, n_train=len(scanners) - 1, fold=rows["scanner"], scan_id=rows["series_uid"])


def test_scores_are_compared_in_pairs(rng, tmp_path):
    frames = [predictions(rng, share) for share in (0.6, 0.8)]
    folders = [folder_of(tmp_path / f"{n}", {"none/predictions.parquet": frame}) for n, frame in enumerate(frames)]
    row = compare_scores(*folders).query("measure == 'accuracy'").iloc[0]
    right = [(f["target"] == f["predicted"]).groupby(f["fold"]).mean() for f in frames]
    change = right[1] - right[0]
    # without a scanner is without its fold, so that the jackknife is the paired t-test of the folds
    low, high = scipy.stats.ttest_1samp(change, 0).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(change.mean()) and row["value_first"] == pytest.approx(right[0].mean())
    assert (row["difference_ci_low"], row["difference_ci_high"]) == pytest.approx((low, high))
    assert (row["ci_unit"], row["n_ci_units"], row["reason"]) == ("scanner", 5, "")


def test_other_folds_have_no_interval(rng, tmp_path):
    frames = [predictions(rng, 0.7), predictions(rng, 0.7).query("series_uid != 'A1'")]
    folders = [folder_of(tmp_path / f"{n}", {"none/predictions.parquet": frame}) for n, frame in enumerate(frames)]
    row = compare_scores(*folders).iloc[0]
    assert row["reason"] == "folds or test rows differ" and np.isnan(row["difference_ci_low"])
    assert np.isfinite(row["difference"])


def icc_tables(means, left_out):
    key = {"extractor": "radiomics", "domain": "scanner", "stratum": "all", "form": "ICC(2,1)"}
    rows = [(unit, f"{unit}{n}", value) for unit, values in left_out.items() for n, value in enumerate(values)]
    parts = pd.DataFrame(rows, columns=["unit", "left_out", "icc_mean"]).assign(**key)
    return {"none/icc_intervals.csv": pd.DataFrame([key | {"icc_mean": means}]), "none/icc_left_out.csv": parts}


def test_mean_iccs_are_compared_in_pairs(rng, tmp_path):
    values = [{"scanner": 0.5 + rng.normal(0, 0.02, 6), "roi": 0.5 + rng.normal(0, 0.02, 4)} for _ in range(2)]
    more = {"none/predictions.parquet": predictions(rng, 0.7)}
    folders = [folder_of(tmp_path / f"{n}", {**icc_tables(0.5 + n / 10, v), **more}) for n, v in enumerate(values)]
    row = compare_scores(*folders).query("measure == 'mean ICC(2,1)'").iloc[0]
    assert (row["value_first"], row["value_second"]) == (0.5, 0.6) and row["difference"] == pytest.approx(0.1)
    without = values[1]["scanner"] - values[0]["scanner"]
    half = scipy.stats.t.ppf(0.975, 5) * np.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum())
    assert (row["difference_ci_low"], row["difference_ci_high"]) == pytest.approx((0.1 - half, 0.1 + half))


def test_why_they_may_differ_is_said(tmp_path):
    series = [pd.DataFrame({"series_uid": names}) for names in (["u", "v"], ["v", "w", "x"])]
    runs = [{"parameters": {"seed": n, "outdir": str(n)}, "versions": {"ct4bench": "1"}} for n in (1, 2)]
    folders = [folder_of(tmp_path / f"{n}", {"index/series.csv": series[n]}, runs[n]) for n in range(2)]
    for number, folder in enumerate(folders):
        (folder / "provenance").mkdir()
        versions = f'code_sha256: "c{number}"\npackages:\n  numpy: "2.{number}"\n  scipy: "1"\n'
        (folder / "provenance" / "versions.yml").write_text(versions)
        (folder / "none" / "features").mkdir(parents=True)
        facts = {"weights": {"sha256": f"s{number}"}, "verified": number, "largest_difference": number}
        (folder / "none" / "features" / "swin_unetr.json").write_text(json.dumps(facts))
    equal, lines = compare(*folders, EXACT)
    why = lines[lines.index("why they may differ:") + 1 :]
    assert not equal
    assert [line.strip() for line in why] == [
        "parameter seed: 1, then 2",
        "code: SHA-256 c0…, then c1…",
        'package numpy: "2.0", then "2.1"',
        "data: 1 series in both, 1 in the first only, 2 in the second only",
        'none/features/swin_unetr.json, weights.sha256: "s0", then "s1"',
    ]


def test_what_cannot_be_compared(tmp_path):
    whole = folder_of(tmp_path / "a", {})
    with pytest.raises(UserError, match="not the folder of a finished run"):
        compare_tables(whole, tmp_path, EXACT)
    (tmp_path / "b" / "pipeline_info").mkdir(parents=True)
    (tmp_path / "b" / "pipeline_info" / "complete.json").write_text("{}")
    with pytest.raises(UserError, match="contract of outputs 1"):
        compare_tables(whole, tmp_path / "b", EXACT)


@pytest.mark.parametrize(("icc", "status"), [(0.5, 0), (0.6, 1), (None, 2)])
def test_the_command_has_a_status_for_tests(tmp_path, icc, status):
    one = folder_of(tmp_path / "a", {"none/icc.csv": stability(0.5)})
    other = folder_of(tmp_path / "b", {"none/icc.csv": stability(icc)}) if icc else tmp_path / "absent"
    words = [sys.executable, ROOT / "ct4bench", "compare", one, other, "--output", tmp_path / "out.csv"]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode == status, done.stderr
    if status < 2:
        written = pd.read_csv(tmp_path / "out.csv").set_index("column")["status"]
        assert written["icc"] == ("different" if status else "equal") and (tmp_path / "out_scores.csv").is_file()


def test_keys_are_columns_of_tables_that_are_there():
    contract = read_contract()
    for name, key in read_keys().items():
        assert set(key) <= {column.column for column in contract[name].columns}, name


def test_keys_name_one_row_each_of_published_tables():
    """The tables of 0.1.0's results that are kept for tests, where today's contract has them."""
    folder = ROOT / "tests" / "data" / "v0.1.0"
    for path in sorted(folder.rglob("*.csv")):
        name, keys = path.relative_to(folder).as_posix(), read_keys()
        table = table_of(name)
        if table and table.table in keys:
            frame = read_table(path)
            assert not frame.duplicated([column for column in keys[table.table] if column in frame]).any(), name


def test_a_copy_is_equal(tmp_path, rng):
    one = folder_of(tmp_path / "a", {"none/icc.csv": stability(0.5), "none/predictions.parquet": predictions(rng, 0.7)})
    shutil.copytree(one, tmp_path / "b")
    equal, lines = compare(one, tmp_path / "b", EXACT)
    assert equal and lines == ["equal: 2 tables, 5 columns"]
    # the same rows in other bytes are read, and give the same lines
    frame = pd.read_parquet(one / "none" / "predictions.parquet")
    frame.to_parquet(tmp_path / "b" / "none" / "predictions.parquet", compression=None)
    assert compare(one, tmp_path / "b", EXACT) == (equal, lines)
