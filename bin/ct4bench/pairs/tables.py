"""Tables 3-6 and the decomposition by contrast, from the metrics of pairs. Frames in, frames out."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.intervals import jackknife_interval
from ct4bench.core.metrics import BY_NAME, BY_TABLE, MAIN_METRICS, PAIR_METRICS, shown_next_to
from ct4bench.core.modes import Mode
from ct4bench.pairs.plan import (
    CONTRAST,
    CONTRASTS,
    REFERENCE_DOSE_MGY,
    TABLE_6,
    TABLE_6_DOSES_MGY,
    TABLES_3_TO_5,
)

METRICS = tuple(metric.name for metric in MAIN_METRICS)
ALL_METRICS = tuple(metric.name for metric in PAIR_METRICS)
SECONDARY = tuple(metric.name for metric in PAIR_METRICS if metric.shown_next_to)
"""Shown next to others: the paper's Eq. 2 and 3 [points 1 and 2]."""
TOO_NARROW = "no window of the metric lies wholly inside what is compared"
DOSE, AVERAGE = "dose", "average"
"""Kinds of rows of Table 6."""
COMPLETE_VARIANTS = ("all_pairs", "all_unordered", "all_pairs_shrunk")
"""Variants that hold every pair of a cell, the only ones for which leaving a scan out means something."""
PUBLISHED_WAY = ("all_unordered", "published_draw")
MAIN_VARIANTS = ("all_pairs", *PUBLISHED_WAY)
"""A cell's value is taken from the first of these that it has."""
CHOICES = {
    "as published": (("published_draw",), True),
    "pairs of two scans [6]": (PUBLISHED_WAY, False),
    "inside the block [3]": (("drawn_in_mask",), False),
    "all pairs [7]": (("all_pairs_shrunk",), False),
    "full resolution [4]": (("all_pairs",), False),
}
"""From the published way to the corrected one, a point of docs/deviations.md at a time: variants, of which a cell takes
the first that it has, and whether pairs of one scan count. The last is computed in mode corrected only."""
DOSE_CHOICES = {
    "as published": PUBLISHED_WAY,
    "inside the block [3]": ("drawn_in_mask",),
    "all pairs [7]": ("all_pairs",),
}
"""The same of Table 6, which has no self-pairs and full resolution throughout."""


def with_scans(pairs: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """Add scan_id and dose of both series to `pairs`; `series` has a row for each series (`benchmark.SERIES_KEY`)."""
    known = series.set_index("series_uid")["scan_id"]
    unknown = sorted({*pairs["series_uid_a"], *pairs["series_uid_b"]} - set(known.index))
    if unknown:
        raise UserError(
            f"the pairs name {len(unknown)} series that the table of series lacks, first {unknown[0]}; give the table "
            "that the pairs were planned from"
        )
    for side in "ab":
        pairs = pairs.join(known.rename(f"scan_id_{side}"), on=f"series_uid_{side}")
    return pairs


def of_two_scans(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows (of `with_scans`) whose two series come from two scans.

    A series with itself is no pair, and two reconstructions of one scan share its noise: neither says how alike two
    scans of a scanner are.
    """
    return rows[rows["scan_id_a"] != rows["scan_id_b"]]


def _why_blank(column: str, row: str, n_scans: dict[str, int]) -> str:
    """Why a cell has no pair; `n_scans` counts the scans at the main dose by scanner."""
    absent = [scanner for scanner in dict.fromkeys((column, row)) if not n_scans.get(scanner)]
    if absent:
        return f"no series of {' and '.join(absent)} at {MAIN_DOSE_MGY} mGy"
    if column == row and n_scans[row] == 1:
        return f"one scan of {row} at {MAIN_DOSE_MGY} mGy: two reconstructions of it are no repetition"
    return "no pair of two scans"


def _mean_and_sd(values: pd.Series) -> tuple[float, float]:
    """Mean and population SD; the SD of a single value is blank."""
    values = values.to_numpy(float)
    return (values.mean() if len(values) else np.nan, values.std() if len(values) > 1 else np.nan)


def means_without(rows: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    """Return the means of `metric` over `rows` without each scan in turn, in the order of the scans' names, by sample.

    `rows` come from `with_scans`; the scans of a scanner and dose are a sample (`<scanner>_<dose>mGy`). A scan takes
    all its pairs along. Not a number where no pair is left.
    """
    if rows.empty:
        return {}
    first, value = rows.iloc[0], rows[metric].to_numpy(float)
    scans = {side: rows[f"scan_id_{side}"].to_numpy(object) for side in "ab"}
    of_sample: dict[str, set] = {}
    for side in "ab":
        sample = f"{first[f'scanner_{side}']}_{first[f'dose_mgy_{side}']:g}mGy"
        of_sample.setdefault(sample, set()).update(scans[side])
    found = {}
    for sample, names in of_sample.items():
        kept = [(scans["a"] != name) & (scans["b"] != name) for name in sorted(names)]
        found[sample] = np.array([value[keep].mean() if keep.any() else np.nan for keep in kept])
    return found


def _interval(metric: str, mean: float, without: dict[str, np.ndarray]) -> tuple[float, float]:
    """Ends of the interval of a mean of a metric; blank where there is nothing to leave out."""
    return jackknife_interval(mean, list(without.values()), BY_NAME[metric].kind) if without else (np.nan, np.nan)


def _combined(parts: list[tuple[float, dict[str, np.ndarray]]], weights: list[float]) -> dict[str, np.ndarray]:
    """What the weighted sum of means is without each scan; `parts` are a mean and what `means_without` gives of it.

    A scan that several means share is left out of all of them.
    """
    samples = dict.fromkeys(sample for _, without in parts for sample in without)
    return {
        sample: sum(w * without.get(sample, mean) for w, (mean, without) in zip(weights, parts, strict=True))
        for sample in samples
    }


def _chosen(rows: pd.DataFrame, variants: tuple[str, ...]) -> tuple[pd.DataFrame, str]:
    """Rows of the first of `variants` that has any, and its name."""
    for variant in variants:
        part = rows[rows["variant"] == variant]
        if len(part):
            return part, variant
    return rows.iloc[:0], ""


def _holds_all(variant: str, cell: pd.DataFrame) -> bool:
    """Whether the cell's rows of a variant are all pairs of their kind; those of equal reconstruction are where the
    cell has all pairs."""
    return variant in COMPLETE_VARIANTS or (variant == "same_recon" and (cell["variant"] == "all_pairs").any())


def _beside(rows: pd.DataFrame) -> dict[str, float]:
    """Mean and SD of the metrics that are shown next to others."""
    found = {}
    for metric in SECONDARY:
        found[f"{metric}_mean"], found[f"{metric}_sd"] = _mean_and_sd(rows[metric])
    return found


def _region_of(rows: pd.DataFrame) -> dict:
    """Variant, region and shrink of the rows of one cell."""
    first = rows.iloc[0]
    return {"variant": first["variant"], "region": first["region"], "shrink": int(first["shrink"])}


def scanner_table(pairs: pd.DataFrame, series: pd.DataFrame, metric: str, same_recon: bool = False) -> pd.DataFrame:
    """Return Table 3, 4 or 5 in long form: a row for each cell of the lower triangle, in the paper's order of scanners.

    `pairs` are the rows of pairs.parquet, `series` those of the registered series, `metric` is the name of one of
    `MAIN_METRICS`. Columns: scanner_row, scanner_col, <metric>_mean, <metric>_sd (population; blank for one pair),
    n_pairs, variant (of `pairs.plan`), mean and SD of the metrics shown next to it, ci_low, ci_high (95 % over scans,
    where the cell holds all its pairs and more than one scan of each scanner), reason (why a cell is blank). Pairs of
    one scan (`of_two_scans`) do not count. For a metric that is finite for a series with itself also
    <metric>_mean_with_self, <metric>_sd_with_self and n_pairs_with_self: the whole published draw, self-pairs and pairs
    of one scan included (blank in mode corrected, and of equal reconstruction). `same_recon` takes the pairs of equal
    reconstruction.
    """
    pairs = with_scans(pairs[pairs["table"] == TABLES_3_TO_5], series)
    # What is shown next to a cell of mode corrected would be of another region and resolution.
    beside = not same_recon and not (pairs["variant"] == "all_pairs").any()
    cells = dict(iter(pairs.groupby(["scanner_a", "scanner_b"], sort=False)))
    at_main_dose = series[series["dose_mgy"] == MAIN_DOSE_MGY]
    n_scans = at_main_dose.groupby("scanner")["scan_id"].nunique().to_dict()
    scanners = sorted(set(series["scanner"]), key=scanner_rank)
    table = []
    for column, row in combinations_with_replacement(scanners, 2):
        drawn = cells.get((column, row), pairs.iloc[:0])
        own, variant = _chosen(drawn, ("same_recon",) if same_recon else MAIN_VARIANTS)
        own = of_two_scans(own)
        mean, sd = _mean_and_sd(own[metric])
        complete = _holds_all(variant, drawn)
        low, high = _interval(metric, mean, means_without(own, metric) if complete else {})
        reason = _why_blank(column, row, n_scans) if own.empty else TOO_NARROW * bool(np.isnan(mean))
        cell = {
            "scanner_row": row,
            "scanner_col": column,
            f"{metric}_mean": mean,
            f"{metric}_sd": sd,
            "n_pairs": len(own),
            "variant": variant,
        }
        for other in shown_next_to(metric):
            cell[f"{other}_mean"], cell[f"{other}_sd"] = _mean_and_sd(own[other])
        if BY_NAME[metric].finite_of_self:
            published = drawn[(drawn["variant"] == "published_draw") & (beside and len(of_two_scans(drawn)) > 0)]
            mean, sd = _mean_and_sd(published[metric])
            cell |= {
                f"{metric}_mean_with_self": mean,
                f"{metric}_sd_with_self": sd,
                "n_pairs_with_self": len(published),
            }
        table.append(cell | {"ci_low": low, "ci_high": high, "reason": reason})
    frame = pd.DataFrame(table)
    ranks = [
        (scanner_rank(r), scanner_rank(c)) for r, c in zip(frame["scanner_row"], frame["scanner_col"], strict=True)
    ]
    return frame.iloc[sorted(range(len(frame)), key=ranks.__getitem__)].reset_index(drop=True)


def tables3to5(pairs: pd.DataFrame, series: pd.DataFrame, same_recon: bool = False) -> dict[str, pd.DataFrame]:
    """Return Tables 3, 4 and 5, and those of further metrics, by the names of their files (`table3_rmse_hu`, …); see
    `scanner_table`."""
    return {name: scanner_table(pairs, series, metric.name, same_recon) for name, metric in BY_TABLE.items()}


def table6(
    pairs: pd.DataFrame,
    series: pd.DataFrame,
    mode: Mode,
    same_recon: bool = False,
    average: str | None = None,
    variants: tuple[str, ...] = MAIN_VARIANTS,
) -> pd.DataFrame:
    """Return Table 6 in long form: for each scanner a row for each of 1, 3, 6 and 10 mGy against 14 mGy, then
    their average.

    Columns: scanner, row_kind (`dose`, `average`), dose_mgy (blank for an average), <metric>_mean, <metric>_sd
    (population) of each of `METRICS`, <metric>_ci_low, <metric>_ci_high (95 %), n_pairs, variant, reason (why a row is
    blank, or what an average lacks), and mean and SD of `SECONDARY`. An average is the mean and population SD of the
    per-dose medians or means, as `average` says (by default `mode.dose_average`); its n_pairs is the sum. A row takes
    the first of `variants` that it has; `same_recon` takes the pairs of equal reconstruction.
    """
    average = average or mode.dose_average
    variants = ("same_recon",) if same_recon else variants
    pairs = with_scans(pairs[pairs["table"] == TABLE_6], series)
    pairs = pairs[~pairs["is_self_pair"].astype(bool)]
    cells = dict(iter(pairs.groupby(["scanner_a", "dose_mgy_a"], sort=False)))
    doses = {scanner: set(part) for scanner, part in series["dose_mgy"].groupby(series["scanner"])}
    table = []
    for scanner in sorted(doses, key=scanner_rank):
        centres: dict[str, list[float]] = {metric: [] for metric in ALL_METRICS}
        parts: dict[str, list] = {metric: [] for metric in METRICS}
        n_pairs, absent, used = 0, [], []
        for dose in TABLE_6_DOSES_MGY:
            cell = cells.get((scanner, dose), pairs.iloc[:0])
            own, variant = _chosen(cell, variants)
            row = {"scanner": scanner, "row_kind": DOSE, "dose_mgy": dose}
            for metric in METRICS:
                row[f"{metric}_mean"], row[f"{metric}_sd"] = _mean_and_sd(own[metric])
                mean = row[f"{metric}_mean"]
                without = means_without(own, metric) if _holds_all(variant, cell) else {}
                row[f"{metric}_ci_low"], row[f"{metric}_ci_high"] = _interval(metric, mean, without)
                if len(own):
                    parts[metric].append((mean, without))
            row |= {"n_pairs": len(own), "variant": variant, "reason": ""} | _beside(own)
            if own.empty:
                lacking = [d for d in (dose, REFERENCE_DOSE_MGY) if d not in doses[scanner]]
                named = " and ".join(f"{d:g} mGy" for d in lacking)
                row["reason"] = f"no series at {named}" if lacking else "no pair of equal reconstruction"
                absent.append(f"{dose:g} mGy")
            else:
                for metric in ALL_METRICS:
                    centres[metric].append(float(getattr(own[metric], average)()))
            n_pairs += len(own)
            used.append(variant)
            table.append(row)
        row = {"scanner": scanner, "row_kind": AVERAGE, "dose_mgy": None}
        for metric in METRICS:
            row[f"{metric}_mean"], row[f"{metric}_sd"] = _mean_and_sd(pd.Series(centres[metric], dtype=float))
            usable = average == "mean" and all(without for _, without in parts[metric])
            n = len(parts[metric])
            without = _combined(parts[metric], [1 / n] * n) if usable and n else {}
            row[f"{metric}_ci_low"], row[f"{metric}_ci_high"] = _interval(metric, row[f"{metric}_mean"], without)
        lacks = f"without {', '.join(absent)}" if absent and n_pairs else "no pair" if absent else ""
        kinds = sorted({variant for variant in used if variant})
        row |= {"n_pairs": n_pairs, "variant": "+".join(kinds), "reason": lacks}
        table.append(row | _beside(pd.DataFrame(centres, dtype=float)))
    return pd.DataFrame(table).astype({"dose_mgy": "Int64"})


def cells_by_choice(pairs: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """Return Tables 3-5 by each of `CHOICES` that has pairs: a row for each cell that has some.

    Columns: choice, scanner_row, scanner_col, variant, region, shrink, n_pairs, mean and SD (population) of each
    metric, ci_low and ci_high (95 %) of each of `METRICS` where the cell holds all its pairs and more than one scan of
    each scanner. A metric that is infinite for a series with itself (PSNR) is blank where such pairs count. The cell of
    a scanner of one scan, which has reconstructions of it alone, is left out.
    """
    pairs = with_scans(pairs[pairs["table"] == TABLES_3_TO_5], series)
    cells = sorted(
        pairs.groupby(["scanner_b", "scanner_a"], sort=False), key=lambda cell: [scanner_rank(name) for name in cell[0]]
    )
    table = []
    for choice, (variants, all_drawn) in CHOICES.items():
        for (row, column), drawn in cells:
            own, variant = _chosen(drawn, variants)
            is_self_pair = own["is_self_pair"].astype(bool)
            own = own if all_drawn and len(of_two_scans(drawn)) else of_two_scans(own)
            if own.empty:
                continue
            cell = {"choice": choice, "scanner_row": row, "scanner_col": column, **_region_of(own), "n_pairs": len(own)}
            for metric in ALL_METRICS:
                infinite = all_drawn and is_self_pair.any() and not BY_NAME[metric].finite_of_self
                cell[f"{metric}_mean"], cell[f"{metric}_sd"] = (
                    (np.nan, np.nan) if infinite else _mean_and_sd(own[metric])
                )
            for metric in METRICS:
                without = means_without(own, metric) if variant in COMPLETE_VARIANTS else {}
                ends = _interval(metric, cell[f"{metric}_mean"], without)
                cell[f"{metric}_ci_low"], cell[f"{metric}_ci_high"] = ends
            table.append(cell)
    names = [f"{metric}_{part}" for metric in ALL_METRICS for part in ("mean", "sd")]
    names += [f"{metric}_{part}" for metric in METRICS for part in ("ci_low", "ci_high")]
    head = ["choice", "scanner_row", "scanner_col", "variant", "region", "shrink", "n_pairs"]
    return pd.DataFrame(table, columns=[*head, *names])


def doses_by_choice(pairs: pd.DataFrame, series: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Return Table 6 by each of `DOSE_CHOICES` that has pairs, with both averages [point 8]: of medians and of means.

    Columns: choice, region, then those of `table6`, where an average has the row_kind `average of medians` or
    `average of means`.
    """
    rows = pairs[pairs["table"] == TABLE_6]
    tables = []
    for choice, variants in DOSE_CHOICES.items():
        own = rows[rows["variant"].isin(variants)]
        if own.empty:
            continue
        by_median, by_mean = (
            table6(pairs, series, mode, average=average, variants=variants) for average in ("median", "mean")
        )
        by_median["row_kind"] = by_median["row_kind"].replace(AVERAGE, f"{AVERAGE} of medians")
        last = by_mean["row_kind"] == AVERAGE
        table = pd.concat([by_median, by_mean[last].assign(row_kind=f"{AVERAGE} of means")])
        table = table.sort_index(kind="stable").reset_index(drop=True)
        table.insert(0, "choice", choice)
        table.insert(1, "region", own["region"].iloc[0])
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["choice", "region"])


def choices(by_cell: pd.DataFrame, by_dose: pd.DataFrame) -> pd.DataFrame:
    """Return how far each choice moves the metrics: means over cells, from `cells_by_choice` and `doses_by_choice`.

    Columns: table (`tables3to5`, `table6`), choice, cells (`between scanners`, `within a scanner`; of Table 6 the
    average over doses and scanners, `of medians` or `of means`), region, shrink, n_cells, n_pairs, then the mean over
    the cells of each metric; PSNR is blank where a cell of it is.
    """
    names = [f"{metric}_mean" for metric in ALL_METRICS]
    table = []

    def add(kind, choice, cells, rows, shrink):
        rows = rows[rows["n_pairs"] > 0]
        if len(rows):
            means = {name.removesuffix("_mean"): rows[name].mean(skipna=False) for name in names}
            head = {"table": kind, "choice": choice, "cells": cells, "region": rows["region"].iloc[0], "shrink": shrink}
            table.append(head | {"n_cells": len(rows), "n_pairs": int(rows["n_pairs"].sum())} | means)

    for choice, rows in by_cell.groupby("choice", sort=False):
        diagonal, shrink = rows["scanner_row"] == rows["scanner_col"], int(rows["shrink"].iloc[0])
        add(TABLES_3_TO_5, choice, "between scanners", rows[~diagonal], shrink)
        add(TABLES_3_TO_5, choice, "within a scanner", rows[diagonal], shrink)
    for choice, rows in by_dose.groupby("choice", sort=False):
        for centre in ("of medians", "of means"):
            add(TABLE_6, choice, centre, rows[rows["row_kind"] == f"{AVERAGE} {centre}"], 1)
    columns = ["table", "choice", "cells", "region", "shrink", "n_cells", "n_pairs", *ALL_METRICS]
    return pd.DataFrame(table, columns=columns)


def decomposition(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the contribution of each factor to the error: median of MSE (HU^2) over the pairs of each contrast, and
    the increment.

    Columns: contrast (of `pairs.plan.CONTRASTS`, in this order), n_pairs, mse_hu2_median,
    mse_hu2_q1, mse_hu2_q3, increment_hu2 (over the nearest contrast before it that has pairs; blank for the first),
    increment_over (that contrast), shrink, region.
    """
    pairs = pairs[pairs["table"] == CONTRAST]
    table, before = [], None
    for contrast in CONTRASTS:
        rows = pairs[pairs["variant"] == contrast]
        mse = rows["rmse_hu"].to_numpy(float) ** 2
        q1, median, q3 = np.quantile(mse, [0.25, 0.5, 0.75]) if len(mse) else (np.nan,) * 3
        table.append(
            {
                "contrast": contrast,
                "n_pairs": len(mse),
                "mse_hu2_median": median,
                "mse_hu2_q1": q1,
                "mse_hu2_q3": q3,
                "increment_hu2": median - before["mse_hu2_median"] if before and len(mse) else np.nan,
                "increment_over": before["contrast"] if before and len(mse) else "",
                "region": rows["region"].iloc[0] if len(rows) else "",
                "shrink": int(rows["shrink"].iloc[0]) if len(rows) else 0,
            }
        )
        before = table[-1] if len(mse) else before
    return pd.DataFrame(table)
