"""The few numbers of the report's first screen, in the order of what a harmonization or a new scanner would move.

Agreement, ICC(2,1), stands before consistency, ICC(3,1), which does not see constant offsets between scanners; accuracy
after training on one scanner, on another region, reconstruction or dose stands before that after training on all other
scanners, which is near 1 without any harmonization. A published value is shown where the input is the collection only.
"""

import re
from itertools import combinations

import pandas as pd

from ct4bench.core.benchmark import DOMAIN_LABELS
from ct4bench.core.extractors import extractors_of, title_of
from ct4bench.core.metrics import MAIN_METRICS
from ct4bench.core.regions import phantom_of
from ct4bench.report.cells import BLANK, PUBLISHED_DECIMALS, chance_note, is_number, named_intervals, number
from ct4bench.results.run_facts import COLLECTION, extractor_title
from ct4bench.splits.tasks import TASKS, value_table

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


def _cell(row: dict, stem: str, column: str, domain: str, published=None) -> dict:
    """The value of a column with its intervals over what the row says (else the domain) and over regions."""
    cell = {"main": number(row.get(column), PUBLISHED_DECIMALS)}
    if cell["main"] == BLANK:
        return cell
    paper = _published(published, PUBLISHED_DECIMALS)
    return cell | named_intervals(row, stem, domain) | ({"sub": paper} if paper else {})


def _icc_cells(form: str, table7: pd.DataFrame, domain: str, published: bool) -> list[dict]:
    """Mean ICC of a form for each row of Table 7."""
    cells = []
    for row in table7.to_dict("records"):
        stem = "icc" if row.get("icc_form") == form else f"icc_{form[4]}_{form[6]}"
        paper = row.get("icc_mean_published") if published and form == LAST_FORM else None
        cells.append(_cell(row, stem, f"{stem}_mean", domain, paper))
    return cells


def _accuracy_cells(stem: str, table7: pd.DataFrame, domain: str, published: bool) -> list[dict]:
    cells = []
    for row in table7.to_dict("records"):
        paper = row.get(f"{stem}_mean_published") if published else None
        cells.append(_cell(row, stem, f"{stem}_mean", domain, paper))
    return cells


def _task_cells(rows: pd.DataFrame, titles: list[str], facts: dict) -> list[dict]:
    known = extractors_of(facts)
    by_title = {title_of(row["extractor"], known): row for row in rows.to_dict("records")}
    found = [by_title.get(title, {}) for title in titles]
    domain = facts.get("domain", "scanner")
    return [_cell(row, "accuracy", "accuracy_mean", domain) | chance_note(row) for row in found]


def averaged_values(rows: pd.DataFrame, by_value: pd.DataFrame) -> list[str]:
    """Return the values (reconstructions, doses) that a task's cells average over, as far as they can be told.

    `rows` of accuracy_tasks.csv count the folds, one for each value, and the test rows of all; `by_value`, the task's
    own table, has the test rows of each pair of values, also of values that the average leaves out. Empty where no set
    of values, or more than one, has that many.
    """
    n_folds, n_rows = rows.iloc[0][["n_folds", "n_rows"]]
    first = by_value[by_value["extractor"] == rows.iloc[0]["extractor"]].astype({"trained_on": str, "tested_on": str})
    names = sorted(
        set(first["trained_on"]), key=lambda name: (float(name) if name.replace(".", "", 1).isdigit() else 0.0, name)
    )
    fits = [
        chosen
        for chosen in combinations(names, int(n_folds))
        if first.loc[first["trained_on"].isin(chosen) & first["tested_on"].isin(chosen), "n_rows"].sum() == n_rows
    ]
    return list(fits[0]) if len(fits) == 1 else []


def _task_head(name: str, rows: pd.DataFrame, tables: dict[str, pd.DataFrame], facts: dict) -> str:
    """What a task's accuracy is, with the values it averages over where the task has several."""
    task, by_value = TASKS[name], tables.get(value_table(name))
    words = f"Accuracy {phantom_of(facts).words(task.headline)}"
    if not task.by_value or by_value is None:
        return words
    values = averaged_values(rows, by_value)
    unit = " mGy" if task.by_value == "dose_mgy" else ""
    return f"{words} ({', '.join(values)}{unit})" if values else words


def loso_stems(table7: pd.DataFrame) -> dict[int, str]:
    """Return the columns of accuracies that leave a value of the domain out and have values in this run, by size."""
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
    of = facts.get("domain", "scanner")
    published = facts["origin"] == COLLECTION
    tasks = tables.get(TASKS_TABLE, pd.DataFrame({"task": []}))
    tasks = tasks[tasks["task"].isin([n for n, t in TASKS.items() if t.headline])]
    if len(tasks):
        tasks = tasks[tasks["extractor"].map(lambda name: title_of(name, known)).isin(titles)]
    sizes = loso_stems(table7)
    least, most = min(sizes, default=0), max(sizes, default=0)

    def icc(form: str) -> tuple[str, list[dict]]:
        words = f"Mean {form}, {FORM_LABELS[form]} between {domain}s"
        return words, _icc_cells(form, table7, of, published)

    def unseen(n: int) -> tuple[str, list[dict]]:
        words = f"Accuracy on an unseen {domain}, {n} training {domain}{'' if n == 1 else 's'} (N = {n})"
        return words, _accuracy_cells(sizes[n], table7, of, published)

    rows = [icc(FIRST_FORM)]
    rows += [unseen(least)] if least else []
    for name in TASKS:
        part = tasks[tasks["task"] == name]
        if len(part):
            rows.append((_task_head(name, part, tables, facts), _task_cells(part, titles, facts)))
    rows.append(icc(LAST_FORM))
    rows += [unseen(most)] if most > least else []
    rows = [(words, cells) for words, cells in rows if any(cell["main"] != BLANK for cell in cells)]
    if not rows:
        return None
    lines = [{"head": words, "cells": cells} for words, cells in rows]
    marked = {title_of(name, known): extractor_title(name, facts) for name in facts.get("weights", {})}
    heads = [marked.get(title, title) for title in titles]
    return {"columns": ["", *heads], "rows": lines, "kind": "headlines"}
