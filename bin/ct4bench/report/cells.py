"""Render DataFrames as report cells: plain strings and numbers, that the template escapes and lays out.

A cell is a dict with `main` (text), and where there is one `sd` (where it stands below), `range` (the 95 % interval),
`regions` (that over regions, where `range` is over scanners), `note` (words below),
`sub` (the published value), `delta` (computed - published), `mark` (why the published value is not a target), `n` (of
pairs), `tint` (0..1, how dark the cell's ground is), `title` (why it is blank), `left` (words), and `soft` (less
weight).
"""

import math

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import scanner_rank
from ct4bench.core.intervals import ROUNDING, UNITS
from ct4bench.core.metrics import BY_NAME as METRIC_BY_NAME
from ct4bench.core.metrics import BY_TABLE, MAIN_METRICS, PAIR_METRICS
from ct4bench.results.run_facts import CONTRAST_LABELS

BLANK = "\N{EN DASH}"
PLUS_MINUS = "\N{NO-BREAK SPACE}\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}"
PUBLISHED_DECIMALS = 3
HEADS = {
    "scanner": "Scanner", "manufacturer_model": "Maker and model", "tube_voltage_kv": "Tube voltage (kV)",
    "tube_current_time_product_mas": "Current x time (mAs)", "pitch": "Pitch",
    "rotation_time_s": "Rotation time (s)", "collimation_mm": "Collimation (mm)",
    "slice_thickness_mm": "Slice thickness (mm)", "slice_increment_mm": "Slice increment (mm)",
    "reconstructions": "Recon\N{SOFT HYPHEN}structions", "n_series": "Series", "features": "Features",
    "n_pairs": "pairs", "mse_hu2_median": "MSE, median (HU\N{SUPERSCRIPT TWO})",
    "mse_hu2_q1": "quartile 1 (HU\N{SUPERSCRIPT TWO})",
    "mse_hu2_q3": "quartile 3 (HU\N{SUPERSCRIPT TWO})", "increment_hu2": "increment (HU\N{SUPERSCRIPT TWO})",
    "contrast": "differs in",
    "increment_over": "over", **{metric.name: metric.head for metric in PAIR_METRICS},
    "n_train": "N", "n_folds": "folds", "n_rows": "test rows", "ci_low_lowest": "lowest lower end",
    "stratum_lowest": "where", "n_cells": "cells of the table", "icc": "ICC", "icc_mean": "mean ICC",
    "icc_sd": "SD of ICC",
    "n_features": "features", "n_undefined": "without an ICC", "feature_class": "class of features",
    "ci_low": "lower end", "ci_high": "upper end", "within_sd": "SD within a scanner",
    "reproducibility_sd": "SD between scanners", "tissue_contrast": "contrast of tissues",
    "within_relative": "SD within, of the contrast", "reproducibility_relative": "SD between, of the contrast",
    "within_relative_median": "SD within, of the contrast, median",
    "reproducibility_relative_median": "SD between, of the contrast, median",
    "value_first": "first value", "value_second": "second value", "chance": "chance, mean",
    "chance_high": "chance, 95 % are below", "trustworthiness_pca": "trust\N{SOFT HYPHEN}worthiness, components",
    "trustworthiness": "trust\N{SOFT HYPHEN}worthiness, UMAP", "continuity": "continuity, UMAP",
    "continuity_pca": "continuity, components", "pca_share_1": "variance of component 1",
    "pca_share_2": "variance of component 2", "silhouette_scanner": "silhouette by scanner",
    "silhouette_maker": "silhouette by maker", "silhouette_tissue": "silhouette by tissue",
    "n_left_out": "features left out", "n_anchors": "anchors", "layout_difference": "difference of layouts",
    "n_trainings": "trainings", "row_kind": "row", "dose_mgy": "dose (mGy)", "scanner_row": "scanner",
    "scanner_col": "other scanner", "target": "true", "n": "rows", "judged_by": "judged by",
    **{f"{metric.name}_mean": metric.head for metric in PAIR_METRICS},
    **{f"{metric.name}_sd": f"SD of {metric.label}" for metric in PAIR_METRICS},
    **{f"{metric.name}_ci_{end}": f"{metric.label}, {words}" for metric in PAIR_METRICS
       for end, words in (("low", "lower end"), ("high", "upper end"))},
}  # fmt: skip
"""Column heads with their units; other columns have their names."""


def is_number(value) -> bool:
    """Tell whether a value is a number and not NaN."""
    return isinstance(value, int | float | np.integer | np.floating) and not (
        isinstance(value, float | np.floating) and math.isnan(value)
    )


def number(value, decimals: int | None = None) -> str:
    """Write a number with a true minus sign; four significant digits where `decimals` is not given; a dash for none."""
    if not is_number(value):
        return BLANK
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if math.isinf(value):
        text = "inf" if value > 0 else "-inf"
    elif decimals is not None:
        text = f"{value:.{decimals}f}"
    elif float(value).is_integer() and abs(value) < 1e7:
        text = f"{value:.0f}"
    else:
        text = f"{value:.4g}"
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    return text.replace("-", "\N{MINUS SIGN}")


def mean_sd(mean, sd, decimals: int, tight: bool = False) -> str:
    """Return `mean ± sd`, the mean alone where there is no SD, a dash where there is none; `tight` has no spaces."""
    if not is_number(mean):
        return BLANK
    sign = PLUS_MINUS.strip() if tight else PLUS_MINUS
    return number(mean, decimals) + (sign + number(sd, decimals) if is_number(sd) else "")


def delta(value, decimals: int) -> str:
    """Return a signed difference, blank where there is none."""
    if not is_number(value):
        return ""
    return ("+" if value > 0 else "") + number(value, decimals)


def text_of(value) -> str:
    """Write any value of a frame as text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return number(value) if is_number(value) else str(value)


def head(column: str) -> str:
    """Return the words of a column's name, with its unit."""
    if column in HEADS:
        return HEADS[column]
    if column.startswith("n_") and column.endswith("mgy"):
        return f"{column[2:-3]} mGy"
    if column in ("n_fbp", "n_ir", "n_dl"):
        return column[2:].upper()
    return column.replace("_", " ").replace("discriminability", "discrimin\N{SOFT HYPHEN}ability")


def pair_cell(row, stem: str, decimals: int, tight: bool = False) -> dict:
    """Return the cell of <stem>_mean and <stem>_sd of a row (a mapping), with the published ones and their
    difference."""
    cell = {"main": mean_sd(row.get(f"{stem}_mean"), row.get(f"{stem}_sd"), decimals, tight)}
    if is_number(row.get(f"{stem}_mean_published")):
        published = row[f"{stem}_mean_published"], row.get(f"{stem}_sd_published")
        cell["sub"] = mean_sd(*published, decimals if tight else PUBLISHED_DECIMALS, tight)
    difference = delta(row.get(f"{stem}_mean_difference"), decimals)
    if difference:
        cell["delta"] = difference
    return cell


def matrix(frame: pd.DataFrame, name: str) -> dict:
    """Return the scanner table of the pair metric `name` as the paper's lower triangle; the ground is darker where
    images are less alike, on a scale of the table's own, whose ends are its `key`.

    Cells have their numbers of pairs where those differ.
    """
    metric = METRIC_BY_NAME[name]
    decimals = metric.decimals
    order = sorted({*frame["scanner_row"], *frame["scanner_col"]}, key=scanner_rank)
    cells = {(row["scanner_row"], row["scanner_col"]): row for row in frame.to_dict("records")}
    values = frame[f"{metric.name}_mean"].to_numpy(float)
    finite = values[np.isfinite(values)]
    differ = frame.loc[frame["n_pairs"] > 0, "n_pairs"].nunique() > 1 if "n_pairs" in frame.columns else False
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    rows = []
    for i, scanner in enumerate(order):
        line = []
        for other in order[: i + 1]:
            row = cells.get((scanner, other))
            if row is None:
                line.append({"main": ""})
                continue
            cell = pair_cell(row, metric.name, decimals, tight=True)
            value, sd = row[f"{metric.name}_mean"], row.get(f"{metric.name}_sd")
            cell["main"] = number(value, decimals)
            if is_number(sd):
                cell["sd"] = PLUS_MINUS.strip() + number(sd, decimals)
            if is_number(value) and math.isfinite(value) and high > low:
                share = (value - low) / (high - low)
                cell["tint"] = round(float(share if metric.low_is_alike else 1 - share), 3)
            if row.get("not_a_target"):
                cell["mark"] = row["not_a_target"]
            if cell["main"] == BLANK and row.get("reason"):
                cell["title"] = row["reason"]
            elif differ:
                cell["n"] = number(row["n_pairs"])
            ends = interval(row.get("ci_low"), row.get("ci_high"), decimals, BLANK)
            if ends:
                cell["range"] = ends
            line.append(cell)
        line += [{"main": "", "empty": True} for _ in order[i + 1 :]]
        rows.append({"head": scanner, "cells": line})
    key = None
    if high > low:
        ends = (low, high) if metric.low_is_alike else (high, low)
        key = {"name": metric.head, "ends": [number(end, decimals) for end in ends]}
    return {"columns": ["", *order], "rows": rows, "kind": "matrix", "key": key}


def value_grid(frame: pd.DataFrame, key: str) -> dict:
    """Return Tables 1 and 2: a row for each scanner, each value with the published one below where it differs."""
    ends, beside = ("_published", "_difference"), (key, "comparison", "not_a_target", "reason")
    columns = [c for c in frame.columns if not c.endswith(ends) and c not in beside]
    wordy = [
        any(isinstance(v, str) and v for c in (column, f"{column}_published") if c in frame for v in frame[c])
        for column in columns
    ]
    rows = []
    for row in frame.to_dict("records"):
        line = []
        for column, left in zip(columns, wordy, strict=True):
            own, published = text_of(row.get(column)), text_of(row.get(f"{column}_published"))
            cell = {"main": own or BLANK, "left": left}
            if published and published != own:
                cell["sub"] = published
            difference = row.get(f"{column}_difference")
            if is_number(difference) and difference:
                cell["delta"] = delta(difference, 0 if float(difference).is_integer() else 3)
            line.append(cell)
        if row.get("not_a_target"):
            line[-1]["mark"] = row["not_a_target"]
        rows.append({"head": str(row[key]), "cells": line})
    return {
        "columns": [head(key), *map(head, columns)],
        "rows": rows,
        "kind": "grid",
        "where_different": True,
        "left": [i for i, left in enumerate(wordy, 1) if left],
    }


def dose_grid(frame: pd.DataFrame) -> dict:
    """Return Table 6: a group of rows for each scanner; published values and differences in columns of their own,
    intervals below what they belong to."""
    beside = "comparison" in frame.columns
    compared = beside and (frame["comparison"] == "compared").any()
    columns = ["Scanner", "Dose"]
    for metric in MAIN_METRICS:
        published = beside and bool(metric.paper_table)
        columns += [
            metric.head, *(["published"] if published else []), *(["difference"] if compared and published else [])
        ]  # fmt: skip
    rows = []
    for row in frame.to_dict("records"):
        average = row["row_kind"] == "average"
        line = [{"main": "average" if average else f"{row['dose_mgy']:g} mGy"}]
        for metric in MAIN_METRICS:
            cell = pair_cell(row, metric.name, metric.decimals)
            if cell["main"] == BLANK and row.get("reason"):
                cell["title"] = row["reason"]
            cell["range"] = interval(
                row.get(f"{metric.name}_ci_low"), row.get(f"{metric.name}_ci_high"), metric.decimals
            )
            line.append({key: value for key, value in cell.items() if key in ("main", "title", "range")})
            if metric.paper_table:
                line += [{"main": cell.get("sub", BLANK), "soft": True}] if beside else []
                line += [{"main": cell.get("delta", BLANK), "soft": True}] if compared else []
        line.append({"main": number(row.get("n_pairs"))})
        rows.append({"head": row["scanner"], "cells": line, "strong": average})
    return {"columns": [*columns, "Pairs"], "rows": rows, "kind": "grid", "inline": True}


def _accuracy_head(stem: str, domain: str) -> str:
    """`loso_12_scanners_acc` in words."""
    scheme, n, _ = stem.split("_", 2)
    things = domain if n == "1" else f"{domain}s"
    return f"Accuracy, LOSO, {n} training {things}" if scheme == "loso" else f"Accuracy, 10-fold, {n} {things}"


def feature_grid(frame: pd.DataFrame, domain: str = "scanner") -> dict:
    """Return Table 7: a row for each extractor; ICC(2,1) or (3,1) beside the headline, balanced beside plain accuracy,
    each with its interval below."""
    rows = frame.to_dict("records")
    used = [row["icc_form"] for row in rows if row.get("icc_form")]
    headline = used[0] if used else "ICC"

    def cell(stem, column=""):
        """Maker of the cell of a value, with its intervals below; `column` has it where it is no mean with an SD."""

        def make(row) -> dict:
            if column:
                made = {"main": number(row.get(column), PUBLISHED_DECIMALS)}
            else:
                made = pair_cell(row, stem, PUBLISHED_DECIMALS, tight=True)
            return made if made["main"] == BLANK else {**made, **named_intervals(row, stem, domain)}

        return make

    columns, makers = ["Features", f"Mean {headline}"], [cell("icc")]
    for form, stem in (("ICC(2,1)", "icc_2_1"), ("ICC(3,1)", "icc_3_1")):
        if form != headline and f"{stem}_mean" in frame.columns:
            columns.append(f"Mean {form}")
            makers.append(cell(stem))
    for stem in [c.removesuffix("_mean") for c in frame.columns if c.endswith("_acc_mean")]:
        columns.append(_accuracy_head(stem, domain))
        makers.append(cell(stem))
        balanced = stem.removesuffix("_acc") + "_balanced"
        if f"{balanced}_accuracy" in frame.columns:
            columns.append("balanced")
            makers.append(cell(balanced, f"{balanced}_accuracy"))
    lines = []
    for row in rows:
        line = [make(row) for make in makers]
        if row.get("not_a_target"):
            line[0]["mark"] = row["not_a_target"]
        lines.append({"head": row["features"], "cells": line})
    return {"columns": columns, "rows": lines, "kind": "grid"}


def plain_grid(frame: pd.DataFrame, limit: int = 400) -> dict:
    """Render any other frame, column by column; rows beyond `limit` are counted, not shown."""
    columns = list(frame.columns)
    words = [column for column in columns if not pd.api.types.is_numeric_dtype(frame[column])]
    rows = [
        {
            "head": text_of(row[columns[0]]),
            "cells": [{"main": text_of(row[column]), "left": column in words} for column in columns[1:]],
        }
        for row in frame.head(limit).to_dict("records")
    ]
    rest = f"and {len(frame) - limit} more rows in the file" if len(frame) > limit else ""
    left = [i for i, column in enumerate(columns) if column in words]
    heads = [head(column) for column in columns]
    return {"columns": heads, "rows": rows, "kind": "grid", "rest": rest, "left": left, "names": columns}


FOLDED = {
    "accuracy": ("accuracy_mean", "accuracy"),
    "balanced": ("balanced_accuracy", "balanced accuracy"),
    "accuracy_change": ("accuracy_change", "change of accuracy"),
    "balanced_change": ("balanced_change", "change of balanced accuracy"),
    "icc": ("icc_mean", "mean ICC"),
    "difference": ("difference", "difference"),
}
"""Stems of columns that belong together (value, SD, intervals), the column of the value, and their head."""
INTERVAL = "95 % interval"


def interval_head(frame: pd.DataFrame, part: str) -> str:
    """Return the head of a column of intervals, with what they are over: `95 % interval over scanners`."""
    if part == "roi_ci":
        return f"{INTERVAL} over regions"
    if "n_pairs" in frame.columns:
        return f"{INTERVAL} over scans"
    named = [unit for column in ("icc_ci_unit", "ci_unit") for unit in frame.get(column, pd.Series()).dropna()]
    units = dict.fromkeys(unit for unit in named if unit)
    return f"{INTERVAL} over {' or '.join(UNITS.get(unit, unit) for unit in units)}" if units else INTERVAL


def interval(low, high, decimals: int = PUBLISHED_DECIMALS, between: str = " to ") -> str:
    """Return both ends of an interval, blank where there is none."""
    if not (is_number(low) and is_number(high)):
        return ""
    return number(low, decimals) + between + number(high, decimals)


def named_intervals(row, stem: str, domain: str) -> dict[str, str]:
    """Return the intervals of a value, and those over regions, each with its unit: `scanners 0.896 to 0.914`.

    `row` (a mapping) has <stem>_ci_low and so on, and what the first are over (icc_ci_unit, ci_unit; else `domain`).
    One without ends is a dash, so that none is taken for the other, and one without columns is left out.
    """
    unit, found = row.get("icc_ci_unit" if stem.startswith("icc") else "ci_unit"), {}
    unit = unit if isinstance(unit, str) and unit else domain
    for key, part, words in (("range", "ci", UNITS.get(unit, f"{unit}s")), ("regions", "roi_ci", "regions")):
        if f"{stem}_{part}_low" in row:
            found[key] = f"{words} {interval(row[f'{stem}_{part}_low'], row[f'{stem}_{part}_high']) or BLANK}"
    return found


NOT_BEYOND_CHANCE = "not beyond chance"


def chance_note(row) -> dict[str, str]:
    """Return the note where a balanced accuracy is no more than what 95 % of the permutations do not exceed; `row` is a
    mapping."""
    score, high = row.get("balanced_accuracy"), row.get("chance_high")
    known = is_number(score) and is_number(high)
    return {"note": NOT_BEYOND_CHANCE} if known and score <= high + ROUNDING else {}


COMPARED_VALUES = ("value_first", "value_second")
"""What a table of differences compares, in the same digits as the difference."""


def _decimals(frame: pd.DataFrame) -> list[int]:
    """Digits after the point of each row: of the metric of pairs that it is of, else of accuracies and ICC."""
    of_metric = {metric.head: metric.decimals for metric in PAIR_METRICS}
    return [of_metric.get(measure, PUBLISHED_DECIMALS) for measure in frame.get("measure", [""] * len(frame))]


def folded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with value, SD and intervals of each stem of `FOLDED` in columns of text, and their heads.

    Other columns stay, save those that say what the intervals are over, which is in their heads. A value that has no SD
    is a number of its own with intervals.
    """
    heads, columns = [], {}
    values = {column: stem for stem, (column, _) in FOLDED.items() if f"{stem}_ci_low" in frame.columns}
    parts = [
        f"{stem}_{end}" for stem in values.values() for end in ("sd", "ci_low", "ci_high", "roi_ci_low", "roi_ci_high")
    ]
    decimals = _decimals(frame)
    for column in frame.columns:
        if column in values:
            stem = values[column]
            deviations = frame.get(f"{stem}_sd", pd.Series(np.nan, frame.index))
            signed = stem.endswith("_change") or stem == "difference"
            columns[stem] = [
                delta(value, digits) or BLANK if signed else mean_sd(value, sd, digits)
                for value, sd, digits in zip(frame[column], deviations, decimals, strict=True)
            ]
            heads.append(FOLDED[stem][1])
            for part in ("ci", "roi_ci"):
                if f"{stem}_{part}_low" in frame.columns:
                    ends = zip(frame[f"{stem}_{part}_low"], frame[f"{stem}_{part}_high"], strict=True)
                    columns[f"{stem}_{part}_interval"] = [
                        interval(*pair, digits) for pair, digits in zip(ends, decimals, strict=True)
                    ]
                    heads.append(interval_head(frame, part))
        elif column in COMPARED_VALUES:
            columns[column] = [number(value, digits) for value, digits in zip(frame[column], decimals, strict=True)]
            heads.append(head(column))
        elif column not in (*parts, "ci_unit", "n_ci_units", "n_rois", "n_raters"):
            columns[column] = frame[column]
            heads.append(head(column))
    return pd.DataFrame(columns, index=frame.index), heads


def folded_grid(frame: pd.DataFrame) -> dict:
    """Return `plain_grid` of the folded frame; cells of numbers stay to the right."""
    small, heads = folded(frame)
    grid = plain_grid(small)
    numeric = {
        i
        for i, column in enumerate(small.columns)
        if column in (*FOLDED, *COMPARED_VALUES) or column.endswith("_interval")
    }
    for row in grid["rows"]:
        for i, cell in enumerate(row["cells"], 1):
            if i in numeric:
                cell["left"] = False
    if {"balanced", "chance_high"} <= set(small.columns):
        at = list(small.columns).index("balanced") - 1
        for row, values in zip(grid["rows"], frame.to_dict("records"), strict=False):
            row["cells"][at] |= chance_note(values)
    names = [FOLDED[name][0] if name in FOLDED else name for name in small.columns]
    return {**grid, "columns": heads, "left": [i for i in grid["left"] if i not in numeric], "names": names}


def cells_of(name: str, frame: pd.DataFrame, domain: str = "scanner") -> dict:
    """Return the cells of the table `name`; `domain` in words."""
    base = name.removesuffix("_same_recon")
    if base in BY_TABLE:
        return matrix(frame, BY_TABLE[base].name)
    if base == "table6_dose":
        return dose_grid(frame)
    if base in ("table1_acquisition", "table2_series_counts"):
        return value_grid(frame, "scanner")
    if base == "table7_stability_classification":
        return feature_grid(frame, domain)
    if base.endswith("_differences"):
        # the notes below it say whose weights are untrained
        return folded_grid(frame.drop(columns=[name for name in frame.columns if name.startswith("weights")]))
    if base.startswith("accuracy_") or base == "stability":
        return folded_grid(frame)
    if base == "stable_features":
        # one form, which the text above it says
        grid = plain_grid(frame.drop(columns=["form"]))
        if "reproducibility_relative" in frame.columns:
            at = [c for c in frame.columns if c != "form"].index("reproducibility_relative") - 1
            for row, share in zip(grid["rows"], frame["reproducibility_relative"], strict=False):
                row["cells"][at] |= {"note": "more than the contrast"} if share > 1 else {}
        return grid
    if base == "decomposition":
        # the text above it says region and bins
        words = {name: frame[name].replace(CONTRAST_LABELS) for name in ("contrast", "increment_over")}
        frame = frame.assign(**words).drop(columns=["shrink", "region"])
    return plain_grid(frame)
