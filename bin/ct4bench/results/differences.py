"""Paired differences between what tables show side by side: feature sets, doses, reconstructions.

Two numbers of the same scanners and regions vary together, so that intervals of each say little of their difference.
Here the same scanner, or region, is left out of both (`core/intervals.py`). Frames in, frames out; every table has
`COLUMNS`, or those of them that it needs.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from ct4bench.core.intervals import CHANGE, PLAIN, jackknife_interval
from ct4bench.core.metrics import MAIN_METRICS

COLUMNS = [
    "measure", "cell", "extractor", "first", "second", "value_first", "value_second", "difference", "ci_unit",
    "n_ci_units", "difference_ci_low", "difference_ci_high", "n_rois", "difference_roi_ci_low",
    "difference_roi_ci_high",
]  # fmt: skip
FORMS = ("ICC(2,1)", "ICC(3,1)")
"""Forms of the ICC whose means are compared."""
ALL = "all"
ROI = "roi"


def _named(rows: list[dict]) -> pd.DataFrame:
    """Rows as a frame with the columns of `COLUMNS` that any of them has, in this order."""
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=[name for name in COLUMNS if name in frame.columns])


def _icc_row(left_out: pd.DataFrame, means: pd.Series, first: tuple, second: tuple) -> dict | None:
    """Return the difference of two mean ICCs, keys (extractor, stratum, form); None where they are not of the same
    scanners and regions."""
    row = {"value_first": means[first], "value_second": means[second], "difference": means[first] - means[second]}
    for unit in left_out.index.get_level_values("unit").unique():
        try:
            one, other = left_out.loc[(*first, unit)], left_out.loc[(*second, unit)]
        except KeyError:
            return None
        if sorted(one.index) != sorted(other.index):
            return None
        without = (one - other.reindex(one.index)).to_numpy()
        ends = jackknife_interval(row["difference"], [without], CHANGE)
        if unit == ROI:
            row |= {"n_rois": len(without), "difference_roi_ci_low": ends[0], "difference_roi_ci_high": ends[1]}
        else:
            row |= {"ci_unit": unit, "n_ci_units": len(without)}
            row |= {"difference_ci_low": ends[0], "difference_ci_high": ends[1]}
    return row


def icc_differences(
    intervals: pd.DataFrame, left_out: pd.DataFrame, extractors: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the differences of the mean ICC between feature sets over all rows, and those between reconstructions and
    between doses of each feature set.

    `intervals` are the rows of icc_intervals.csv, `left_out` those of icc_left_out.csv, `extractors` their order. A
    reconstruction or dose that other scanners have is not compared.
    """
    key = ["extractor", "stratum", "form"]
    means = intervals.set_index(key)["icc_mean"]
    parts = left_out.set_index([*key, "unit", "left_out"])["icc_mean"].sort_index()
    sets, strata = [], []
    for form in FORMS:
        for first, second in combinations([e for e in extractors if (e, ALL, form) in means.index], 2):
            found = _icc_row(parts, means, (first, ALL, form), (second, ALL, form))
            if found:
                sets.append({"measure": f"mean {form}", "cell": "", "first": first, "second": second} | found)
    for extractor in extractors:
        known = [stratum for name, stratum, form in means.index if name == extractor and form == FORMS[0]]
        for prefix in ("recon=", "dose_mgy="):
            for first, second in combinations([name for name in known if name.startswith(prefix)], 2):
                for form in FORMS:
                    found = _icc_row(parts, means, (extractor, first, form), (extractor, second, form))
                    if found:
                        names = {"extractor": extractor, "first": first, "second": second}
                        strata.append({"measure": f"mean {form}"} | names | found)
    return _named(sets), _named(strata)


def icc_pair(first: list[pd.DataFrame], second: list[pd.DataFrame]) -> list[dict]:
    """Return the differences of the mean ICCs of two runs, the second less the first, in each feature set, stratum and
    form that both have.

    `first` and `second` are the rows of icc_intervals.csv and of icc_left_out.csv of each. Rows have `extractor`,
    `cell`, `measure` and columns of `COLUMNS`; one whose raters or regions are not the same in both has a `reason` in
    place of intervals.
    """
    key, unit = ["extractor", "stratum", "form"], ["unit", "left_out"]
    whole, parts = (
        pd.concat([run[number].assign(run=name) for name, run in (("first", first), ("second", second))])
        for number in (0, 1)
    )
    means = whole.set_index(["run", *key])["icc_mean"]
    left_out = parts.set_index(["run", *key, *unit])["icc_mean"].sort_index()
    rows = []
    for names in [names[1:] for names in means.index if names[0] == "first" and ("second", *names[1:]) in means.index]:
        ends = ("second", *names), ("first", *names)
        found = _icc_row(left_out, means, *ends)
        if found is None:
            found = {
                "value_first": means[ends[0]],
                "value_second": means[ends[1]],
                "reason": "raters or regions differ",
            }
            found["difference"] = found["value_first"] - found["value_second"]
        found["value_first"], found["value_second"] = found["value_second"], found["value_first"]
        rows.append({"extractor": names[0], "cell": names[1], "measure": f"mean {names[2]}"} | found)
    return rows


def accuracy_pair(first: pd.DataFrame, second: pd.DataFrame, domain: str) -> list[dict]:
    """Return the differences of accuracy and balanced accuracy between the predictions of one cell by two runs, the
    second less the first; the same rows must be in both for its intervals to hold."""
    from ct4bench.learning.accuracy import counts, unit_of

    unit = unit_of(first, domain)
    rows = _accuracy_rows(counts(second, unit), counts(first, unit), unit)
    return [row | {"value_first": row["value_second"], "value_second": row["value_first"]} for row in rows]


def accuracy_differences(predictions: pd.DataFrame, domain: str, extractors: list[str]) -> pd.DataFrame:
    """Return the differences of accuracy and balanced accuracy between feature sets, in each task, scheme and size.

    `predictions` are of one classifier and ablation, with the columns of predictions.parquet and `maker`; `extractors`
    are their order.
    """
    from ct4bench.learning.accuracy import counts, unit_of

    rows = []
    for task, part in predictions.groupby("task", sort=True):
        unit = unit_of(part, domain)
        cells = dict(iter(counts(part, unit).groupby(["scheme", "n_train", "extractor"], sort=True)))
        for scheme, n_train in dict.fromkeys(key[:2] for key in cells):
            have = [name for name in extractors if (scheme, n_train, name) in cells]
            for first, second in combinations(have, 2):
                one, other = (cells[scheme, n_train, name] for name in (first, second))
                names = {"cell": f"{task}, {scheme}, {n_train}", "first": first, "second": second}
                rows += [names | row for row in _accuracy_rows(one, other, unit)]
    return _named(rows)


def _accuracy_rows(one: pd.DataFrame, other: pd.DataFrame, unit: str) -> list[dict]:
    """Rows of both measures of two cells of `counts`."""
    from ct4bench.learning.accuracy import MEASURES, REGION, difference, scores_of

    found, values = difference(one, other, unit), (scores_of(one, unit), scores_of(other, unit))
    sizes = {
        "ci_unit": "scan" if unit == "scan_id" else unit,
        "n_ci_units": one[unit].nunique(),
        "n_rois": one[REGION].nunique(),
    }
    rows = []
    for number, measure in enumerate(MEASURES):
        row = {"measure": {"accuracy": "accuracy", "balanced": "balanced accuracy"}[measure], **sizes}
        row |= {"value_first": values[0][number], "value_second": values[1][number]}
        row["difference"] = found[f"{measure}_change"]
        for part in ("ci", "roi_ci"):
            row |= {f"difference_{part}_{end}": found[f"{measure}_change_{part}_{end}"] for end in ("low", "high")}
        rows.append(row)
    return rows


def value_differences(
    predictions: pd.DataFrame, series: pd.DataFrame, column: str, domain: str, extractors: list[str]
) -> pd.DataFrame:
    """Return the differences of accuracies between the lines of `learning.accuracy.accuracy_by_value` of each feature
    set: trained on one value of a column of the series and tested on another.

    Compared are lines that train on the same value, or test on the same, or change the two. Lines whose scanners differ
    have no difference.
    """
    from ct4bench.learning.accuracy import counts, unit_of, value_of_rows

    marked = predictions.assign(fold=predictions["fold"] + "\n" + value_of_rows(predictions, series, column))
    unit, rows = unit_of(predictions, domain), []
    for extractor in extractors:
        own = marked[marked["extractor"] == extractor]
        if own.empty:
            continue
        lines = dict(iter(counts(own, unit).groupby("fold", sort=True)))
        for first, second in combinations(sorted(lines, key=_by_numbers), 2):
            (a, b), (c, d) = first.split("\n"), second.split("\n")
            same = set(lines[first][unit]) == set(lines[second][unit])
            if same and (a == c or b == d or (a, b) == (d, c)):
                words = {"first": f"{a}, tested on {b}", "second": f"{c}, tested on {d}"}
                made = _accuracy_rows(lines[first], lines[second], unit)
                rows += [{"extractor": extractor} | words | row for row in made]
    return _named(rows)


def _by_numbers(line: str) -> list[tuple]:
    """Sort key of a line's values: numbers by size, then names."""
    return [(0, float(part), "") if part.replace(".", "", 1).isdigit() else (1, 0.0, part) for part in line.split("\n")]


def dose_differences(table6: pd.DataFrame) -> pd.DataFrame:
    """Return the differences between the doses of Table 6, each against 14 mGy: means over the scanners that have both.

    `table6` has the columns of `pairs.tables.table6`. Intervals are over scanners.
    """
    by_dose = table6[table6["dose_mgy"].notna() & (table6["n_pairs"] > 0)]
    rows = []
    for metric in (metric for metric in MAIN_METRICS if f"{metric.name}_mean" in table6.columns):
        values = by_dose.pivot_table(index="scanner", columns="dose_mgy", values=f"{metric.name}_mean", observed=True)
        for first, second in combinations(sorted(values.columns), 2):
            both = values[[first, second]].dropna().to_numpy(float)
            if not len(both):
                continue
            change = both[:, 0] - both[:, 1]
            without = (change.sum() - change) / (len(change) - 1) if len(change) > 1 else np.empty(0)
            low, high = jackknife_interval(float(change.mean()), [without], PLAIN)
            rows.append(
                {
                    "measure": metric.head, "first": f"{first:g} mGy", "second": f"{second:g} mGy",
                    "value_first": both[:, 0].mean(), "value_second": both[:, 1].mean(), "difference": change.mean(),
                    "ci_unit": "scanner", "n_ci_units": len(change), "difference_ci_low": low,
                    "difference_ci_high": high,
                }
            )  # fmt: skip
    return _named(rows)
