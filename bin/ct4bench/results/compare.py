"""Two folders of results against one another: every column of every table, scores in pairs, and why they may differ.

Rows belong together by the keys of `keys.csv`; scores by the folds that both have (`results.differences` makes their
intervals: the same scanner or region is left out of both). No process runs this; `./ct4bench compare` does.
"""

# code-table: pipeline_info/<method>/training_times.csv

import csv
import filecmp
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from ct4bench.core.contract import CONTRACT_VERSION, table_of
from ct4bench.core.errors import UserError
from ct4bench.core.json_files import read_object
from ct4bench.core.tables import read_table
from ct4bench.results.differences import accuracy_pair, icc_pair

SUFFIXES = (".csv", ".parquet")
TIMES = "pipeline_info/<method>/training_times.csv"
"""The one table of the contract that differs from run to run."""
ROWS = "(rows)"
"""Stands for the column in the line that tells of rows that only one folder has."""
COLUMN_FIELDS = (
    "table", "column", "status", "n_rows", "n_different", "n_blank", "largest_absolute", "largest_relative",
    "mean_difference", "where", "first", "second", "n_only_first", "n_only_second",
)  # fmt: skip
SCORE_FIELDS = (
    "method", "extractor", "cell", "measure", "value_first", "value_second", "difference", "ci_unit", "n_ci_units",
    "difference_ci_low", "difference_ci_high", "n_rois", "difference_roi_ci_low", "difference_roi_ci_high", "reason",
)  # fmt: skip
EQUAL, DIFFERENT, ONLY_FIRST, ONLY_SECOND = "equal", "different", "only in the first", "only in the second"
CELL = ["task", "extractor", "classifier", "ablation", "scheme", "n_train"]
PREDICTED = ["scan_id", "scanner", "target", "predicted"]
TEST_ROW = ["fold", "series_uid", "roi", "patch"]


@dataclass(frozen=True)
class Tolerance:
    """What counts as equal: a difference of at most `relative` times the larger number, or of at most `absolute`."""

    relative: float = 0.0
    absolute: float = 0.0


def read_keys() -> dict[str, list[str]]:
    """Read the columns that name a row, by table of the contract."""
    with open(Path(__file__).with_name("keys.csv"), encoding="utf-8", newline="") as stream:
        return {row["table"]: row["key"].split() for row in csv.DictReader(stream)}


def tables_of(folder: Path) -> list[str]:
    """List the tables of a folder of results, but for that of times, by their paths; `UserError` where it is none of
    this contract."""
    mark = folder / "pipeline_info" / "complete.json"
    if not mark.is_file():
        raise UserError(f"{folder} is not the folder of a finished run (it has no pipeline_info/complete.json)")
    contract = read_object(mark).get("contract", 1)
    if contract != CONTRACT_VERSION:
        raise UserError(
            f"{folder} is of another version of ct4bench (contract of outputs {contract}, this one compares "
            f"{CONTRACT_VERSION}); tools/compare_renamed.py compares across versions"
        )
    paths = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if (table := table_of(name)) and table.table != TIMES]


def _texts(values: pd.Series) -> pd.Series:
    """Values of a key column as texts; numbers to nine digits, so that rounding parts no rows."""
    if pd.api.types.is_float_dtype(values):
        return values.map(lambda value: "" if pd.isna(value) else f"{value:.9g}")
    return values.astype(str).where(values.notna(), "")


def _keyed(frame: pd.DataFrame, key: list[str]) -> pd.Index:
    """The name of each row: its key, and a number where several have the same."""
    names = _texts(frame[key[0]]) if key else pd.Series("", index=frame.index)
    for column in key[1:]:
        names = names + "\x1f" + _texts(frame[column])
    again = names.groupby(names, sort=False).cumcount()
    return pd.Index(names.where(again == 0, names + "\x1f#" + again.astype(str)))


def key_of(name: str, frame: pd.DataFrame) -> list[str]:
    """Return the key columns of a table by its path: those of `keys.csv` that it has, else all of its texts."""
    table = table_of(name)
    listed = read_keys().get(table.table)
    if listed is None:
        listed = [column for column in frame.columns if (found := table.column(column)) and found.type == "string"]
    return [column for column in listed if column in frame.columns]


def compare_columns(name: str, first: pd.DataFrame, second: pd.DataFrame, tolerance: Tolerance) -> list[dict]:
    """Return a line for each column of a table that two folders have, and one for rows that only one of them has."""
    key = [column for column in key_of(name, first) if column in second.columns]
    rows = []
    same_order = len(first) == len(second) and first[key].equals(second[key])
    if same_order:
        names = None
    else:
        one, other = _keyed(first, key), _keyed(second, key)
        common = one[one.isin(other)]
        lone = [int((~one.isin(other)).sum()), int((~other.isin(one)).sum())]
        if any(lone):
            rows.append({"table": name, "column": ROWS, "status": DIFFERENT, "n_rows": len(common),
                         "n_only_first": lone[0], "n_only_second": lone[1]})  # fmt: skip
        first, second, names = first[one.isin(other)], second.iloc[other.get_indexer(common)], common
    for column in dict.fromkeys([*first.columns, *second.columns]):
        if column not in second.columns or column not in first.columns:
            status = ONLY_FIRST if column in first.columns else ONLY_SECOND
            rows.append({"table": name, "column": column, "status": status})
        elif column not in key:
            found = _compare_values(first[column], second[column], tolerance)
            at = found.pop("at")
            if at is not None:
                found |= {
                    "where": ", ".join(map(str, first[key].iloc[at])) if names is None else _shown(names[at]),
                    "first": first[column].iloc[at], "second": second[column].iloc[at],
                }  # fmt: skip
            rows.append({"table": name, "column": column, "n_rows": len(first)} | found)
    return rows


def _shown(name: str) -> str:
    return name.replace("\x1f", ", ")


def _compare_values(first: pd.Series, second: pd.Series, tolerance: Tolerance) -> dict:
    """How the values of one column differ, row by row; `at` is the row of the largest difference."""
    numbers = [pd.api.types.is_numeric_dtype(s) and not pd.api.types.is_bool_dtype(s) for s in (first, second)]
    if not all(numbers):
        differ = (_texts(first).to_numpy() != _texts(second).to_numpy()).nonzero()[0]
        status = DIFFERENT if len(differ) else EQUAL
        return {"status": status, "n_different": len(differ), "at": int(differ[0]) if len(differ) else None}
    one, other = first.to_numpy(float), second.to_numpy(float)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    # a blank, or an infinite number, beside another one is a difference without a size
    finite = np.isfinite(one) & np.isfinite(other)
    apart = np.where(finite, np.abs(np.where(finite, other, 0.0) - np.where(finite, one, 0.0)), 0.0)
    larger = np.where(finite, np.maximum(np.abs(one), np.abs(other)), 1.0)
    relative = apart / np.where(larger > 0, larger, 1.0)
    differ = np.where(finite, (relative > tolerance.relative) & (apart > tolerance.absolute), ~same)
    found = {
        "status": DIFFERENT if differ.any() else EQUAL,
        "n_different": int(differ.sum()),
        "n_blank": int((np.isnan(one) != np.isnan(other)).sum()),
        "largest_absolute": float(apart.max(initial=0.0)),
        "largest_relative": float(relative.max(initial=0.0)),
        "mean_difference": float((other[finite] - one[finite]).mean()) if finite.any() else np.nan,
        "at": int(np.argmax(np.where(differ, apart, -1.0))) if differ.any() else None,
    }
    return found


def compare_tables(first: Path, second: Path, tolerance: Tolerance) -> pd.DataFrame:
    """Return a line for each column of each table of two folders of results (`COLUMN_FIELDS`).

    Columns of a key have none; a table that one folder lacks has one line. Differences are the second less the first.
    """
    names = [tables_of(folder) for folder in (first, second)]
    rows = []
    for name in sorted({*names[0], *names[1]}):
        if name not in names[0] or name not in names[1]:
            rows.append({"table": name, "column": "", "status": ONLY_FIRST if name in names[0] else ONLY_SECOND})
        elif filecmp.cmp(first / name, second / name, shallow=False):
            rows += _equal_columns(name, first / name)
        else:
            rows += compare_columns(name, read_table(first / name), read_table(second / name), tolerance)
    return pd.DataFrame(rows, columns=list(COLUMN_FIELDS))


def _equal_columns(name: str, path: Path) -> list[dict]:
    """Lines of a table that has the same bytes in both folders, of which little is read: some have millions of rows."""
    if path.suffix == ".parquet":
        about = pq.read_metadata(path)
        frame, n_rows = pd.DataFrame(columns=about.schema.to_arrow_schema().names), about.num_rows
    else:
        frame = read_table(path)
        n_rows = len(frame)
    key = key_of(name, frame)
    facts = {"table": name, "status": EQUAL, "n_rows": n_rows, "n_different": 0}
    return [facts | {"column": column} for column in frame.columns if column not in key]


def methods_of(folder: Path) -> list[str]:
    """List the methods of a folder of results."""
    return sorted(path.parent.name for path in folder.glob("*/predictions.parquet"))


def compare_scores(first: Path, second: Path) -> pd.DataFrame:
    """Return the paired differences of accuracies and of mean ICCs (`SCORE_FIELDS`), the second less the first, for the
    methods that both folders have.

    `reason` says why a difference has no interval: the folds or their test rows, or the raters, are not the same.
    Predictions and ICCs that are the same bytes have no line.
    """
    rows = []
    for method in [name for name in methods_of(first) if name in methods_of(second)]:
        for row in [*_accuracies(first, second, method), *_iccs(first / method, second / method)]:
            rows.append({"method": method} | row)
    return pd.DataFrame(rows, columns=list(SCORE_FIELDS))


def _predictions(folder: Path, method: str) -> pd.DataFrame:
    """Predictions with the maker of each row, where the folder tells."""
    frame = read_table(folder / method / "predictions.parquet", only=[*CELL, *TEST_ROW, *PREDICTED])
    series = folder / "index" / "series.csv"
    if series.is_file():
        known = read_table(series).drop_duplicates("series_uid").set_index("series_uid")["maker"]
        frame = frame.assign(maker=frame["series_uid"].map(known))
    return frame


def _test_rows(part: pd.DataFrame) -> np.ndarray:
    """A number for each test row of each fold, sorted: equal arrays mean equal folds."""
    return np.sort(pd.util.hash_pandas_object(part[TEST_ROW].astype(str), index=False).to_numpy())


def _accuracies(first: Path, second: Path, method: str) -> Iterator[dict]:
    paths = [folder / method / "predictions.parquet" for folder in (first, second)]
    if filecmp.cmp(*paths, shallow=False):
        return
    domains = [_parameters(folder).get("domain", "scanner") for folder in (first, second)]
    groups = [_predictions(folder, method).groupby(CELL, sort=True) for folder in (first, second)]
    others = dict(iter(groups[1]))
    for cell, one in groups[0]:
        other = others.get(cell)
        if other is None:
            continue
        task, extractor, classifier, ablation, scheme, n_train = cell
        words = [task, scheme, f"{n_train}", classifier, *([ablation] if ablation != "default" else [])]
        agree = domains[0] == domains[1] and np.array_equal(_test_rows(one), _test_rows(other))
        reason = "" if agree else "folds or test rows differ"
        for row in accuracy_pair(one, other, domains[0]):
            kept = (
                row if agree else {k: v for k, v in row.items() if "_ci_" not in k and not k.startswith(("n_", "ci_"))}
            )
            yield {"extractor": extractor, "cell": ", ".join(words), "reason": reason} | kept


def _iccs(first: Path, second: Path) -> Iterator[dict]:
    names = ("icc_intervals.csv", "icc_left_out.csv")
    if not all((folder / name).is_file() for folder in (first, second) for name in names):
        return
    if all(filecmp.cmp(first / name, second / name, shallow=False) for name in names):
        return
    tables = [[read_table(folder / name) for name in names] for folder in (first, second)]
    yield from icc_pair(*tables)


def _parameters(folder: Path) -> dict:
    """Parameters of a run; empty where the folder does not tell."""
    path = folder / "pipeline_info" / "run.json"
    return read_object(path).get("parameters", {}) if path.is_file() else {}


def explain(first: Path, second: Path) -> list[str]:
    """Return what of versions, parameters, code, data and weights two folders say differently: why they may differ."""
    return [
        *_by_run(first, second),
        *_by_software(first, second),
        *_by_data(first, second),
        *_by_settings(first, second),
    ]


def _by_run(first: Path, second: Path) -> Iterator[str]:
    runs = []
    for folder in (first, second):
        path = folder / "pipeline_info" / "run.json"
        runs.append(read_object(path) if path.is_file() else {})
    if not all(runs):
        yield "versions and parameters: a folder does not tell them (pipeline_info/run.json)"
        return
    for kind in ("versions", "parameters"):
        one, other = (run.get(kind, {}) for run in runs)
        for name in sorted({*one, *other} - {"outdir", "help"}):
            if one.get(name) != other.get(name):
                yield f"{kind[:-1]} {name}: {_said(one, name)}, then {_said(other, name)}"
    engines = [run.get("container_engine", "none") for run in runs]
    if engines[0] != engines[1]:
        yield f"container engine: {engines[0]}, then {engines[1]}"


def _by_software(first: Path, second: Path) -> Iterator[str]:
    """Code and packages, by provenance/versions.yml."""
    told = [_versions(folder) for folder in (first, second)]
    codes = [str(versions.get("code_sha256", ""))[:12] for versions in told]
    if not all(codes):
        yield "code: a folder does not tell it (provenance/versions.yml); the same version may have been edited"
    elif codes[0] != codes[1]:
        yield f"code: SHA-256 {codes[0]}…, then {codes[1]}…"
    one, other = (versions.get("packages") or {} for versions in told)
    for name in sorted({*one, *other}) if one and other else ():
        if one.get(name) != other.get(name):
            yield f"package {name}: {_said(one, name)}, then {_said(other, name)}"


def _versions(folder: Path) -> dict:
    path = folder / "provenance" / "versions.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _said(values: dict, name: str) -> str:
    return json.dumps(values[name]) if name in values else "not given"


def _by_data(first: Path, second: Path) -> Iterator[str]:
    tables = [folder / "index" / "series.csv" for folder in (first, second)]
    if not all(path.is_file() for path in tables):
        return
    one, other = ({row.series_uid for row in read_table(path).itertuples()} for path in tables)
    if one != other:
        alone = f"{len(one - other)} in the first only, {len(other - one)} in the second only"
        yield f"data: {len(one & other)} series in both, {alone}"
    files = [folder / "index" / "files.parquet" for folder in (first, second)]
    if all(path.is_file() for path in files):
        sizes = [read_table(path).groupby(["series_uid", "name"])["size_bytes"].sum() for path in files]
        a, b = sizes[0].align(sizes[1], join="inner")
        if (a != b).any():
            yield f"data: {int((a != b).sum())} files of the same series and name have other sizes"


def _by_settings(first: Path, second: Path) -> Iterator[str]:
    for path in sorted(first.glob("*/features/*.json")):
        name = path.relative_to(first)
        if (second / name).is_file():
            one, other = _flat(read_object(path)), _flat(read_object(second / name))
            for entry in sorted({*one, *other}):
                if one.get(entry) != other.get(entry):
                    yield f"{name.as_posix()}, {entry}: {_said(one, entry)}, then {_said(other, entry)}"


def _flat(values: dict, before: str = "") -> dict:
    """Entries of nested objects by their path: `weights.sha256`. What was checked and how far off it was differs."""
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        elif not name.startswith(("largest_", "verified", "checks")):
            found[before + name] = value
    return found


def report_lines(columns: pd.DataFrame, scores: pd.DataFrame, reasons: list[str], most: int = 20) -> list[str]:
    """Return the lines that tell of a comparison; no more than `most` columns and scores each."""
    differ = columns[columns["status"] != EQUAL]
    n_tables, n_columns = columns["table"].nunique(), len(columns)
    if differ.empty:
        return [f"equal: {n_tables} tables, {n_columns} columns"]
    lines = [f"different: {len(differ)} of {n_columns} columns, in {differ['table'].nunique()} of {n_tables} tables"]
    tables = list(differ.groupby("table", sort=True))
    lines += ["  " + _table_line(name, rows) for name, rows in tables[:most]]
    lines += [f"  … and {len(tables) - most} more tables (--output writes all)"] if len(tables) > most else []
    moved = scores[scores["difference"].fillna(0) != 0]
    if len(scores):
        lines.append(f"scores: {len(moved)} of {len(scores)} differ (second less first, 95 % interval)")
    largest = moved.reindex(moved["difference"].abs().sort_values(ascending=False, kind="stable").index)
    for row in largest.head(most).itertuples():
        lines.append("  " + _score_line(row))
    lines.append("why they may differ:")
    lines += [f"  {reason}" for reason in reasons] or [
        "  nothing that the folders tell: same versions, parameters and data"
    ]
    return lines


def _table_line(name: str, rows: pd.DataFrame) -> str:
    """What differs in one table: rows that only one has, how many columns, and the one that is furthest apart."""
    words = []
    lone = rows[rows["column"] == ROWS]
    for row in lone.itertuples():
        words.append(f"{int(row.n_only_first)} rows only in the first, {int(row.n_only_second)} only in the second")
    for status in (ONLY_FIRST, ONLY_SECOND):
        names = rows.loc[rows["status"] == status, "column"]
        words += [f"{', '.join(names)} {status}".strip()] if len(names) else []
    values = rows[(rows["status"] == DIFFERENT) & (rows["column"] != ROWS)]
    if len(values):
        worst = values.loc[values["largest_relative"].astype(float).fillna(-1).idxmax()]
        size = "" if pd.isna(worst["largest_absolute"]) else (
            f", at most {worst['largest_absolute']:.3g} ({worst['largest_relative']:.2g} relative)"
        )  # fmt: skip
        words.append(
            f"{len(values)} column{'s differ' if len(values) > 1 else ' differs'}, most {worst['column']}: "
            f"{int(worst['n_different'])} of {int(worst['n_rows'])} rows{size}; {worst['first']} | {worst['second']} "
            f"at {worst['where']}"
        )
    return f"{name}: {'; '.join(words)}"


def _score_line(row) -> str:
    spread = "no interval" + (f": {row.reason}" if row.reason else "")
    if not pd.isna(row.difference_ci_low):
        spread = (
            f"{row.difference_ci_low:+.3f} to {row.difference_ci_high:+.3f} over {int(row.n_ci_units)} {row.ci_unit}s"
        )
    return (
        f"{row.method}, {row.extractor}, {row.cell}, {row.measure}: {row.value_first:.3f} | {row.value_second:.3f}, "
        f"{row.difference:+.3f} ({spread})"
    )


def compare(first: Path, second: Path, tolerance: Tolerance, output: Path | None = None) -> tuple[bool, list[str]]:
    """Compare two folders of results; return whether they are equal, and the lines that tell of it.

    `output` names a CSV file for all columns; that of all scores lies beside it, with `_scores` in its name.
    """
    columns = compare_tables(first, second, tolerance)
    is_equal = bool((columns["status"] == EQUAL).all())
    scores = compare_scores(first, second)
    if output is not None:
        columns.to_csv(output, index=False, lineterminator="\n")
        scores.to_csv(output.with_name(f"{output.stem}_scores{output.suffix}"), index=False, lineterminator="\n")
    return is_equal, report_lines(columns, scores, [] if is_equal else explain(first, second))
