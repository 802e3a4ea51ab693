"""Tables 1-7 and their companions in the paper's layout, each computed value beside the published one.

A difference is claimed only where every series behind a row is one of the collection's. Everywhere else the published
value stands beside for orientation, and `comparison` says why the two are not comparable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.benchmark import SCANNERS
from ct4bench.labels import COLLECTION, NOT_COMPARABLE, origin_of, write_labels
from ct4bench.modes import Mode
from ct4bench.published import (
    BY_NAME,
    FOLDER,
    N_PUBLISHED_PAIRS_OF_A_DOSE,
    n_published_pairs,
    not_a_target,
    read_published,
)
from ct4bench.tables import write_table

COMPARED, NOT_RUN = "compared", "not run"
DECIMALS = 6
"""Digits of computed values in the tables; the last one is far below what any of them means."""


@dataclass(frozen=True)
class ResultTable:
    """A table with what a reader must know of it."""

    frame: pd.DataFrame
    title: str
    text: str
    """What it shows, how it was computed, units and n."""
    published: bool = False
    """Whether the published values stand beside."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """What was made and what was not: tables by name of their file, and a reason by name of a missing one."""

    tables: dict[str, ResultTable] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def _published_rows(computed: pd.DataFrame, published: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Computed rows with those that only the paper has, in the paper's order; further computed rows follow.

    A phantom of the user's own, none of whose scanners the paper names, gets no rows of the paper's.
    """
    scanner_keys = [key for key in keys if key.startswith("scanner")]
    if scanner_keys and not set(computed[scanner_keys[0]]) & set(SCANNERS):
        return computed
    index = pd.MultiIndex.from_frame(published[keys])
    have = pd.MultiIndex.from_frame(computed[keys])
    rows = computed.set_axis(have, axis=0)
    order = index.append(have[~have.isin(index)])
    missing = index[~index.isin(have)]
    wide = rows.reindex(order)
    for position, key in enumerate(keys):
        wide[key] = order.get_level_values(position)
    wide["_absent"] = order.isin(missing)
    return wide.reset_index(drop=True)


def beside_published(
    computed: pd.DataFrame,
    name: str,
    origin: Callable[[pd.Series], str],
    folder=FOLDER,
    n_published: Callable[[pd.Series], int] | None = None,
) -> pd.DataFrame:
    """`computed` with the published values of table `name` and, where both are comparable, their difference.

    The published file's columns come first, in its order, then the other computed ones, then for each value
    <column>_published and, for numbers, <column>_difference (computed - published), n_pairs_published where
    `n_published` gives it, comparison (`compared`, `not run`, or why not), and not_a_target (why the published value
    cannot be reached, blank where it can). `origin` gives the origin of the series behind a row.
    """
    table = BY_NAME[name]
    keys = list(table.keys)
    published = read_published(name, folder)
    values = [column for column in published.columns if column not in keys]
    numbers = [column for column in values if column not in table.text]
    computed = computed.astype(dict.fromkeys(keys, str))
    for column in values:
        if column not in computed.columns:
            computed[column] = np.nan if column in numbers else ""
    rows = _published_rows(computed, published, keys)
    rows = rows.merge(published.rename(columns={c: f"{c}_published" for c in values}), on=keys, how="left")
    absent = rows.pop("_absent").astype(bool) if "_absent" in rows else pd.Series(False, rows.index)
    has_values = rows[numbers].notna().any(axis=1) & ~absent
    has_published = rows[[f"{column}_published" for column in numbers]].notna().any(axis=1)
    comparison = []
    for i, row in rows.iterrows():
        if not has_published[i]:
            comparison.append("not published")
        elif not has_values[i]:
            comparison.append(NOT_RUN)
        else:
            found = origin(row)
            comparison.append(COMPARED if found == COLLECTION else NOT_COMPARABLE[found])
    rows["comparison"] = comparison
    reasons = [{column: not_a_target(name, row, column) for column in values} for _, row in rows.iterrows()]
    compared = rows["comparison"] == COMPARED
    for column in numbers:
        target = np.array([not reason[column] for reason in reasons], bool)
        difference = rows[column].astype(float) - rows[f"{column}_published"].astype(float)
        rows[f"{column}_difference"] = difference.where(compared & target).round(DECIMALS)
    rows["not_a_target"] = ["; ".join(dict.fromkeys(r for r in reason.values() if r)) for reason in reasons]
    if n_published is not None:
        rows["n_pairs_published"] = [n_published(row) if has_published[i] else 0 for i, row in rows.iterrows()]
    if "reason" in rows.columns:
        rows.loc[absent, "reason"] = "no such series in this run"
    else:
        rows["reason"] = np.where(absent, "no such series in this run", "")
    for column in rows.columns:
        if column in ("n_pairs", "n_pairs_with_self"):
            rows[column] = rows[column].fillna(0).astype(int)
        elif column.startswith("n_"):
            rows[column] = rows[column].astype("Int64")
        elif rows[column].dtype.kind not in "fiub":
            rows[column] = rows[column].fillna("")
    beside = [f"{column}{suffix}" for column in values for suffix in ("_published", "_difference")]
    beside = [column for column in beside if column in rows.columns]
    tail = [c for c in ("n_pairs_published", "comparison", "not_a_target", "reason") if c in rows.columns]
    middle = [c for c in rows.columns if c not in {*keys, *values, *beside, *tail}]
    return rows[[*keys, *values, *middle, *beside, *tail]]


def origin_by_scanners(series: pd.DataFrame, *columns: str) -> Callable[[pd.Series], str]:
    """Origin of the series of the scanners that a row names in `columns`; of all series where it names none of them."""
    by_scanner = {scanner: origin_of(part) for scanner, part in series.groupby("scanner")}
    whole = origin_of(series)

    def origin(row: pd.Series) -> str:
        found = {by_scanner[row[column]] for column in columns if row[column] in by_scanner}
        return whole if not found else found.pop() if len(found) == 1 else "mixed"

    return origin


PAIR_NOTE = (
    "Pairs are drawn like the paper's, not the same: the published code sorted series by file names that the public "
    "collection lacks."
)
METRIC_WORDS = {
    "table3_rmse_hu": ("RMSE in HU, lower is more alike", "rmse_hu"),
    "table4_psnr_db": ("PSNR in dB, 20 log10(2000 / RMSE), higher is more alike", "psnr_db"),
    "table5_ssim": ("SSIM with a Gaussian window of 11 x 11 x 11 voxels, higher is more alike", "ssim"),
}
REGION_WORDS = {
    "box": "inside the paper's box, intensities clipped to -1000..2000 HU",
    "mask": "inside the phantom's block",
}


@dataclass(frozen=True)
class Inputs:
    """Frames of a run; None where the run has none."""

    series: pd.DataFrame
    """Registered series, or the series of a table of features."""
    index: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    icc: pd.DataFrame | None = None
    repeatability: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    embedding_quality: pd.DataFrame | None = None


def _acquisition_tables(inputs: Inputs, names: dict[str, str], folder, results: Results) -> None:
    """Tables 1 and 2."""
    from ct4bench.acquisition import table1, table2

    if inputs.index is None:
        for name in ("table1_acquisition", "table2_series_counts"):
            results.missing[name] = "no index: the run did not start from DICOM series"
        return
    origin = origin_by_scanners(inputs.index, "scanner")
    frame = table1(inputs.index, names)
    if frame.empty:
        results.missing["table1_acquisition"] = "the input has no series at 10 mGy"
    else:
        results.tables["table1_acquisition"] = ResultTable(
            beside_published(frame, "table1_acquisition", origin, folder),
            BY_NAME["table1_acquisition"].title,
            "From the headers of each scanner's series at 10 mGy: the median of each setting, rounded as in the paper.",
            True,
        )
    results.tables["table2_series_counts"] = ResultTable(
        beside_published(table2(inputs.index, names), "table2_series_counts", origin, folder),
        BY_NAME["table2_series_counts"].title,
        "Accepted series of the index, by dose and by reconstruction.",
        True,
    )


def _pairs_words(frame: pd.DataFrame) -> str:
    """How many pairs the cells hold, and what happened to the small ones."""
    counts = frame.loc[frame["n_pairs"] > 0, "n_pairs"]
    if counts.empty:
        return "No cell has a pair."
    least, most = int(counts.min()), int(counts.max())
    words = f"{least} to {most} pairs a cell" if least < most else f"{most} pair{'' if most == 1 else 's'} a cell"
    if (frame["variant"] == "all_unordered").any():
        words += ": a cell whose draw leaves fewer than five pairs of two different series takes all of its pairs"
    return f"{words[0].upper()}{words[1:]}."


def _pair_tables(inputs: Inputs, mode: Mode, folder, results: Results) -> None:
    """Tables 3-6, each also over pairs of equal reconstruction, and the decomposition by contrast."""
    from ct4bench.similarity_tables import decomposition, table6, tables3to5

    if inputs.pairs is None:
        reason = "no registered volumes: the run started from features"
        results.missing.update(dict.fromkeys([*METRIC_WORDS, "table6_dose", "decomposition"], reason))
        return
    pairs, series = inputs.pairs, inputs.series
    where = REGION_WORDS[mode.pair_region]
    bins = "on volumes averaged over bins of 4 x 4 x 4 voxels, " if mode.pair_shrink == 4 else "at full resolution, "
    choice = "over all pairs" if mode.all_pairs else "over the seeded draw of 20 pairs (18 with E1, 30 for E2-E2)"
    for same in (False, True):
        suffix, which = ("_same_recon", " of equal reconstruction") if same else ("", "")
        for name, frame in tables3to5(pairs, series, same).items():
            words, _metric = METRIC_WORDS[name]
            text = (
                f"{words}: mean and population SD {choice}{which} of series at 10 mGy; {bins}{where}. "
                f"{_pairs_words(frame)}"
            )
            title = BY_NAME[name].title + (", equal reconstruction only" if same else "")
            if not same:
                origin = origin_by_scanners(series, "scanner_row", "scanner_col")
                frame = beside_published(
                    frame, name, origin, folder, lambda row: n_published_pairs(row["scanner_row"], row["scanner_col"])
                )
            results.tables[name + suffix] = ResultTable(frame, title, text, not same, [PAIR_NOTE])
        frame = table6(pairs, series, mode, same)
        centre = {"median": "medians", "mean": "means"}[mode.dose_average]
        choice6 = "all pairs" if mode.all_pairs else "five pairs"
        text = (
            f"Each dose against 14 mGy of the same scanner, {choice6}{which}: mean and population SD; at full "
            f"resolution, {where}. The average is the mean and population SD of the doses' {centre}. "
            f"{_pairs_words(frame[frame['dose_mgy'] != 'average'])}"
        )
        title = BY_NAME["table6_dose"].title + (", equal reconstruction only" if same else "")
        if not same:
            frame = beside_published(
                frame,
                "table6_dose",
                origin_by_scanners(series, "scanner"),
                folder,
                lambda row: N_PUBLISHED_PAIRS_OF_A_DOSE * (4 if row["dose_mgy"] == "average" else 1),
            )
        results.tables["table6_dose" + suffix] = ResultTable(frame, title, text, not same, [PAIR_NOTE])
    results.tables["decomposition"] = ResultTable(
        decomposition(pairs),
        "What each step away from a series adds",
        "Median and quartiles of the mean squared error (HU\N{SUPERSCRIPT TWO}) between series that differ in one "
        "thing only, from the smallest step to the largest, and the increment over the step before; on volumes "
        f"averaged over bins of 4 x 4 x 4 voxels, {where}.",
    )


def make_tables(inputs: Inputs, mode: Mode, names: dict[str, str], folder=FOLDER) -> Results:
    """All tables that the inputs allow, and why the others are missing.

    `names` gives display names by scanner code, `folder` holds the published tables.
    """
    results = Results()
    _acquisition_tables(inputs, names, folder, results)
    _pair_tables(inputs, mode, folder, results)
    return results


def write_results(results: Results, labels: dict, folder: Path | str) -> None:
    """Write `<name>.csv` for each table, and labels.json: `labels`, what each table shows, and what is missing."""
    folder = Path(folder)
    for name, table in results.tables.items():
        write_table(table.frame, folder / f"{name}.csv")
    about = {
        name: {
            "title": table.title, "text": table.text, "notes": table.notes, "published": table.published,
            "n_rows": len(table.frame),
        }
        for name, table in sorted(results.tables.items())
    }  # fmt: skip
    write_labels({**labels, "tables": about, "missing": dict(sorted(results.missing.items()))}, folder / "labels.json")
