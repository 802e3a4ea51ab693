"""The few numbers of the report's first screen, in the order of what a harmonization or a new scanner would move.

Agreement, ICC(2,1), stands before consistency, ICC(3,1), which does not see constant offsets between scanners; accuracy
after training on one scanner, on another region, reconstruction or dose stands before that after training on all other
scanners, which is near 1 without any harmonization. A published value is shown where the input is the collection only.
"""

import re

import pandas as pd

from ct4bench.core.benchmark import DOMAIN_LABELS
from ct4bench.core.extractors import extractors_of, title_of
from ct4bench.core.metrics import MAIN_METRICS
from ct4bench.report.cells import BLANK, PUBLISHED_DECIMALS, interval, is_number, number
from ct4bench.results.run_facts import COLLECTION
from ct4bench.splits.tasks import TASKS

TABLE_7 = "table7_stability_classification"
TASKS_TABLE = "accuracy_tasks"
FIRST_FORM, LAST_FORM = "ICC(2,1)", "ICC(3,1)"
FORM_LABELS = {FIRST_FORM: "absolute agreement", LAST_FORM: "consistency"}


def between_and_within(frame: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the medians of a column of Tables 3-5 over the cells of two scanners and over those of one."""
    same = frame["scanner_row"] == frame["scanner_col"]
    return float(frame.loc[~same, column].median()), float(frame.loc[same, column].median())


def image_headlines(tables: dict[str, pd.DataFrame], facts: dict) -> list[dict]:
    """Return name, value, unit and published value (blank where it is no yardstick) of the metrics of pairs."""
    found = []
    for metric in MAIN_METRICS:
        if metric.headline_decimals is None or metric.table not in tables:
            continue
        column, decimals = f"{metric.name}_mean", metric.headline_decimals
        frame = tables[metric.table]
        frame = frame[frame[column].notna()]
        own, paper = between_and_within(frame, column), (None, None)
        if f"{column}_published" in frame.columns and facts["origin"] == COLLECTION:
            paper = between_and_within(frame, f"{column}_published")
        words = (f"{metric.label} between two scanners, median", f"{metric.label} within a scanner, median")
        found += [
            {"name": name, "value": number(v, decimals), "unit": metric.unit, "published": _published(p, decimals)}
            for name, v, p in zip(words, own, paper, strict=True)
        ]
    return [item for item in found if item["value"] != BLANK]


def _published(value, decimals: int) -> str:
    return number(value, decimals) if is_number(value) else ""


def _cell(row: dict, stem: str, column: str, published=None) -> dict:
    """The value of a column with its intervals over the domain's values (makers, scans) and over regions."""
    cell = {"main": number(row.get(column), PUBLISHED_DECIMALS)}
    more = {
        "range": interval(row.get(f"{stem}_ci_low"), row.get(f"{stem}_ci_high")),
        "regions": interval(row.get(f"{stem}_roi_ci_low"), row.get(f"{stem}_roi_ci_high")),
        "sub": _published(published, PUBLISHED_DECIMALS),
    }
    return cell | {key: text for key, text in more.items() if text}


def _icc_cells(form: str, table7: pd.DataFrame, published: bool) -> list[dict]:
    """Mean ICC of a form for each row of Table 7."""
    cells = []
    for row in table7.to_dict("records"):
        stem = "icc" if row.get("icc_form") == form else f"icc_{form[4]}_{form[6]}"
        paper = row.get("icc_mean_published") if published and form == LAST_FORM else None
        cells.append(_cell(row, stem, f"{stem}_mean", paper))
    return cells


def _accuracy_cells(stem: str, table7: pd.DataFrame, published: bool) -> list[dict]:
    return [
        _cell(row, stem, f"{stem}_mean", row.get(f"{stem}_mean_published") if published else None)
        for row in table7.to_dict("records")
    ]


def _task_cells(rows: pd.DataFrame, titles: list[str], facts: dict) -> list[dict]:
    known = extractors_of(facts)
    by_title = {title_of(row["extractor"], known): row for row in rows.to_dict("records")}
    return [_cell(by_title.get(title, {}), "accuracy", "accuracy_mean") for title in titles]


def _loso_stems(table7: pd.DataFrame) -> dict[int, str]:
    """Columns of accuracies that leave a value of the domain out and have values in this run, by training size."""
    stems = {}
    for column in table7.columns:
        match = re.fullmatch(r"(loso_(\d+)_\w+?_acc)_mean", column)
        if match and table7[column].notna().any():
            stems[int(match[2])] = match[1]
    return dict(sorted(stems.items()))


def feature_headlines(tables: dict[str, pd.DataFrame], facts: dict) -> dict | None:
    """Return the grid of the features' headlines, a row for each and a column for each feature set; None without any.

    Each row names the form of the ICC, or the number N of training scanners.
    """
    table7 = tables.get(TABLE_7)
    if table7 is None:
        return None
    known = extractors_of(facts)
    own = [c for c in table7.columns if c.endswith("_mean")]
    table7 = table7[table7[own].notna().any(axis=1)]
    titles = [str(title) for title in table7["features"]]
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    published = facts["origin"] == COLLECTION
    tasks = tables.get(TASKS_TABLE, pd.DataFrame({"task": []}))
    tasks = tasks[tasks["task"].isin([n for n, t in TASKS.items() if t.headline])]
    if len(tasks):
        tasks = tasks[tasks["extractor"].map(lambda name: title_of(name, known)).isin(titles)]
    sizes = _loso_stems(table7)
    least, most = min(sizes, default=0), max(sizes, default=0)

    def icc(form: str) -> tuple[str, list[dict]]:
        words = f"Mean {form}, {FORM_LABELS[form]} between {domain}s"
        return words, _icc_cells(form, table7, published)

    def unseen(n: int) -> tuple[str, list[dict]]:
        words = f"Accuracy on an unseen {domain}, {n} training {domain}{'' if n == 1 else 's'} (N = {n})"
        return words, _accuracy_cells(sizes[n], table7, published)

    rows = [icc(FIRST_FORM)]
    rows += [unseen(least)] if least else []
    for name, task in TASKS.items():
        part = tasks[tasks["task"] == name]
        if len(part):
            rows.append((f"Accuracy {task.headline}", _task_cells(part, titles, facts)))
    rows.append(icc(LAST_FORM))
    rows += [unseen(most)] if most > least else []
    rows = [(words, cells) for words, cells in rows if any(cell["main"] != BLANK for cell in cells)]
    if not rows:
        return None
    lines = [{"head": words, "cells": cells} for words, cells in rows]
    return {"columns": ["", *titles], "rows": lines, "kind": "headlines"}
