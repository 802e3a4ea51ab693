"""Tables 1-7 and their companions in the paper's layout: which are made, of what, and why the others are not."""

# code-data: ../assets/extractors.yaml
# code-data: ../assets/scanners.csv

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, NO_METHOD
from ct4bench.core.extractors import SOURCE, read_extractors
from ct4bench.core.metrics import BY_TABLE, MAIN_METRICS, PAIR_METRICS
from ct4bench.core.modes import MODES, Mode
from ct4bench.core.regions import read_phantom
from ct4bench.core.tables import read_table, write_table
from ct4bench.learning.counts import read_counts
from ct4bench.results.acquisition import read_scanner_names
from ct4bench.results.comparison import Inputs, Results, ResultTable, beside_published, origin_by_scanners
from ct4bench.results.differences import dose_differences
from ct4bench.results.features import _differences, feature_tables
from ct4bench.results.paper_layout import paper_grids, to_docx, to_tex
from ct4bench.results.published import BY_NAME, FOLDER, N_PUBLISHED_PAIRS_OF_A_DOSE, n_published_pairs
from ct4bench.results.run_facts import (
    CONTRAST_LABELS,
    IMAGELESS,
    WEIGHED,
    checks_of,
    make_run_facts,
    read_series,
    read_settings,
    weights_words,
    write_run_facts,
)

SCANNERS = Path(__file__).resolve().parents[3] / "assets" / "scanners.csv"
TABLES = (
    "index", "pairs", "icc", "intervals", "repeatability", "predictions", "embedding_quality", "tasks",
    "stable_features", "icc_left_out",
)  # fmt: skip
"""Fields of `Inputs` that are tables, each of which may be absent."""
PAIR_NOTE = (
    "Pairs are drawn like the paper's, not the same: the published code sorted series by file names that the public "
    "collection lacks."
)
INTERVAL_NOTE = (
    "Intervals (95 %) are over the scans of each scanner, by the jackknife and Student's t; there are none where a "
    "scanner has one scan, or where no scan makes a difference. They say what other scans of these scanners would "
    "give, not other scanners."
)
DIAGONAL_NOTE = (
    "The diagonal holds pairs of two scans of one scanner, and is blank where it has one: reconstructions of one scan "
    "are no repetition of it. What they differ by is in 'Contribution of each factor to the error'."
)
NO_PAIRS = "no two registered series at 10 mGy, nor of one scanner at 14 mGy and another dose"
MIXED_NOTE = (
    "As in the paper, pairs may differ in reconstruction besides the dose; the table of equal reconstruction has those "
    "that do not."
)
REGION_LABELS = {
    "box": "inside the paper's box, intensities clipped to -1000..2000 HU",
    "mask": "inside the phantom's block",
    "whole": "inside the phantom",
}
OF_THE_PRINT = "the choices are of the CT4Harmonization phantom's boxes; in this phantom all pairs are compared alike"


def _acquisition_tables(inputs: Inputs, names: dict[str, str], folder, results: Results) -> None:
    """Tables 1 and 2."""
    from ct4bench.results.acquisition import table1, table2

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
        beside_published(
            table2(inputs.index, names, inputs.phantom.is_published), "table2_series_counts", origin, folder
        ),
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
        words += ": a cell whose draw leaves fewer than five pairs of two scans takes all of its pairs"
    return f"{words[0].upper()}{words[1:]}."


def is_drawn(frame: pd.DataFrame, series: pd.DataFrame, same_recon: bool) -> bool:
    """Tell whether any cell of Tables 3-5, or dose of Table 6, holds a draw, fewer pairs than all of two scans.

    Tables of equal reconstruction do not say how a cell's pairs were chosen; `series` (the registered ones) tell how
    many there are.
    """
    if not same_recon:
        return bool((frame["variant"] == "published_draw").any())
    from ct4bench.pairs.plan import REFERENCE_DOSE_MGY

    keys = ["scanner", "dose_mgy", "recon"]
    of_scan = series.groupby([*keys, "scan_id"]).size()
    of_recon = of_scan.groupby(keys).sum().unstack("recon", fill_value=0)
    of_one_scan = (of_scan * (of_scan - 1) // 2).groupby(keys).sum().unstack("recon", fill_value=0)
    for row in frame[frame["n_pairs"] > 0].to_dict("records"):
        if row.get("row_kind") == "average":
            continue
        ends = (
            ((row["scanner"], row["dose_mgy"]), (row["scanner"], REFERENCE_DOSE_MGY))
            if "row_kind" in row
            else ((row["scanner_row"], MAIN_DOSE_MGY), (row["scanner_col"], MAIN_DOSE_MGY))
        )
        one, other = (of_recon.loc[end] for end in ends)
        within = one * (one - 1) // 2 - of_one_scan.loc[ends[0]]
        n_all = (within if ends[0] == ends[1] else one * other).sum()
        if row["n_pairs"] < n_all:
            return True
    return False


def steps_words(frame: pd.DataFrame) -> str:
    """Return whether the error grows from contrast to contrast of `pairs.tables.decomposition`, and where it does not.

    A single contrast has no step.
    """
    steps = frame[frame["increment_hu2"].notna()]
    down = steps[steps["increment_hu2"] <= 0]
    if steps.empty:
        return ""
    if down.empty:
        return "In this run each contrast is larger than the one before it."
    named = [
        f"{CONTRAST_LABELS.get(row.contrast, row.contrast)} ({row.increment_hu2:.3g} HU\N{SUPERSCRIPT TWO} over "
        f"{CONTRAST_LABELS.get(row.increment_over, row.increment_over)})".replace("(-", "(\N{MINUS SIGN}")
        for row in down.itertuples()
    ]
    return f"In this run the error does not grow at every step: {'; '.join(named)}."


def doses_words(frame: pd.DataFrame) -> str:
    """Return how many scanners of Table 6 are less like 14 mGy at 10 than at 6 mGy, which less dose does not explain.

    Blank where no scanner has both doses.
    """
    column = f"{MAIN_METRICS[0].name}_mean"
    by_dose = frame[frame["dose_mgy"].notna()].pivot_table(index="scanner", columns="dose_mgy", values=column)
    if not {6, 10} <= set(by_dose.columns):
        return ""
    both = by_dose[[6, 10]].dropna()
    n_worse = int((both[10] > both[6]).sum())
    return (
        f"By {MAIN_METRICS[0].label}, {n_worse} of {len(both)} scanner{'' if len(both) == 1 else 's'} "
        f"{'is' if n_worse == 1 else 'are'} less like 14 mGy at 10 than at 6 mGy."
    )


def _choice_tables(inputs: Inputs, mode: Mode, results: Results) -> None:
    """Tables 3-6 from the published way to the corrected one, a point at a time."""
    if not inputs.phantom.is_published:
        results.missing["similarity_choices"] = OF_THE_PRINT
        return
    from ct4bench.pairs.tables import cells_by_choice, choices, doses_by_choice

    by_cell = cells_by_choice(inputs.pairs, inputs.series)
    by_dose = doses_by_choice(inputs.pairs, inputs.series, mode)
    if by_cell.empty and by_dose.empty:
        results.missing["similarity_choices"] = NO_PAIRS
        return
    steps = (
        "from the published way a step at a time, with the points of docs/deviations.md in brackets: pairs of a series "
        "with itself or of one scan left out, the block instead of the box, all pairs instead of the draw"
    )
    secondary = ", ".join(f"{metric.name} is {metric.meaning}" for metric in PAIR_METRICS if metric.shown_next_to)
    infinite = " and ".join(metric.label for metric in MAIN_METRICS if not metric.finite_of_self)
    last = ", full resolution" if mode.all_pairs else "; full resolution and all pairs of Table 6 are in mode corrected"
    results.tables["similarity_choices"] = ResultTable(
        choices(by_cell, by_dose),
        "How the choices of Tables 3-6 move the metrics",
        f"Means over cells (Tables 3-5) and over scanners (Table 6, average over doses of medians or of means), {steps}"
        f"{last}. {secondary}. {infinite} of a series with itself is infinite, so that a mean with such pairs has "
        "none.",
    )
    results.tables["similarity_by_choice"] = ResultTable(
        by_cell,
        "Tables 3-5 by choice",
        f"Each cell, mean and population SD, {steps}{last}. Intervals (95 %) are over "
        "the scans of each scanner, where a cell holds all its pairs.",
    )
    if len(by_dose):
        results.tables["dose_by_choice"] = ResultTable(
            by_dose,
            "Table 6 by choice",
            "Each dose against 14 mGy, in the paper's box and inside the block"
            f"{', and of all pairs' if mode.all_pairs else ''}, with both averages over doses (point 8).",
        )


def _choice_notes(drawn: bool, same_recon: bool, mode: Mode) -> list[str]:
    """What the choice of pairs means; those of equal reconstruction have intervals in mode corrected alone."""
    return [PAIR_NOTE] if drawn else [INTERVAL_NOTE] if mode.all_pairs or not same_recon else []


NO_DOSES = (
    "it compares other doses of a scanner with its 14 mGy, and no scanner of this run has both at one of 1, 3, 6, 10 "
    "mGy"
)
TOO_THIN = (
    "its window of 11 bins of 4 x 4 x 4 voxels, 44 slices, does not fit into the phantom; --mode corrected compares at "
    "full resolution, where 11 slices are enough"
)
TOO_THIN_FOR_VOXELS = "its window of 11 x 11 x 11 voxels does not fit into the phantom"


def _too_thin(frame: pd.DataFrame, metric, mode: Mode) -> str:
    """Why a scanner table has pairs and no value; blank where it has some."""
    if metric.name != "ssim" or not (frame["n_pairs"] > 0).any() or frame[f"{metric.name}_mean"].notna().any():
        return ""
    return TOO_THIN if mode.pair_shrink > 1 else TOO_THIN_FOR_VOXELS


def doses_there(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `pairs.tables.table6` that have pairs: the doses that were scanned, and averages of them."""
    return frame[frame["n_pairs"] > 0].reset_index(drop=True)


def _pair_tables(inputs: Inputs, mode: Mode, folder, results: Results) -> None:
    """Tables 3-6, each also over pairs of equal reconstruction, and the decomposition by contrast."""
    from ct4bench.pairs.tables import AVERAGE, decomposition, table6, tables3to5

    if inputs.pairs is None:
        reason = "no registered volumes: the run started from features" if inputs.index is None else NO_PAIRS
        reason = IMAGELESS if inputs.imageless and inputs.index is not None else reason
        absent = [*BY_TABLE, "table6_dose", "decomposition", "similarity_choices"]
        results.missing.update(dict.fromkeys(absent, reason))
        return
    pairs, series = inputs.pairs, inputs.series
    own = not inputs.phantom.is_published
    where = REGION_LABELS[mode.pair_region if inputs.phantom.is_published else "whole"]
    bins = "on volumes averaged over bins of 4 x 4 x 4 voxels, " if mode.pair_shrink == 4 else "at full resolution, "
    for same in (False, True):
        suffix, which = ("_same_recon", " of equal reconstruction") if same else ("", "")
        for name, frame in tables3to5(pairs, series, same).items():
            metric = BY_TABLE[name]
            if own and (reason := _too_thin(frame, metric, mode)):
                results.missing[name + suffix] = reason
                continue
            drawn = is_drawn(frame, series, same)
            choice = (
                "over the published seeded draw (there 20 pairs, 18 with E1, 30 for E2-E2)"
                if drawn
                else "over all pairs"
            )
            text = (
                f"{metric.meaning}, {metric.direction}: mean and population SD {choice}{which} of series at 10 mGy; "
                f"{bins}{where}. {_pairs_words(frame)}"
            )
            title = metric.title + (", equal reconstruction only" if same else "")
            published = bool(metric.paper_table) and not same
            if published:
                origin = origin_by_scanners(series, "scanner_row", "scanner_col")
                frame = beside_published(
                    frame, name, origin, folder, lambda row: n_published_pairs(row["scanner_row"], row["scanner_col"])
                )
            notes = [*_choice_notes(drawn, same, mode), DIAGONAL_NOTE]
            results.tables[name + suffix] = ResultTable(frame, title, text, published, notes)
        frame = table6(pairs, series, mode, same)
        frame = doses_there(frame) if own else frame
        if frame.empty:
            results.missing["table6_dose" + suffix] = NO_DOSES
            continue
        centre = {"median": "medians", "mean": "means"}[mode.dose_average]
        drawn = is_drawn(frame, series, same)
        choice6 = "the published seeded draw of five pairs at most" if drawn else "all pairs"
        text = (
            f"Each dose against 14 mGy of the same scanner, {choice6}{which}: mean and population SD; at full "
            f"resolution, {where}. The average is the mean and population SD of the doses' {centre}. "
            f"{_pairs_words(frame[frame['row_kind'] != AVERAGE])} {doses_words(frame)}".rstrip()
        )
        if not same:
            text += f" {MIXED_NOTE}"
        title = BY_NAME["table6_dose"].title + (", equal reconstruction only" if same else "")
        if not same:
            frame = beside_published(
                frame,
                "table6_dose",
                origin_by_scanners(series, "scanner"),
                folder,
                lambda row: N_PUBLISHED_PAIRS_OF_A_DOSE * (4 if row["row_kind"] == AVERAGE else 1),
            )
        results.tables["table6_dose" + suffix] = ResultTable(
            frame, title, text, not same, _choice_notes(drawn, same, mode)
        )
    _differences(
        results,
        "table6_dose",
        dose_differences(table6(pairs, series, mode, same_recon=True)),
        "Table 6: differences between doses",
        "Means over the scanners that have both doses, of pairs of equal reconstruction; intervals over these "
        "scanners.",
    )
    frame = decomposition(pairs)
    frame = frame[frame["n_pairs"] > 0].reset_index(drop=True) if own else frame
    if frame.empty:
        results.missing["decomposition"] = "no two series differ in one thing only"
    else:
        _decomposition_table(frame, where, results)
    _choice_tables(inputs, mode, results)


def _decomposition_table(frame: pd.DataFrame, where: str, results: Results) -> None:
    results.tables["decomposition"] = ResultTable(
        frame,
        "Contribution of each factor to the error",
        "Median and quartiles of the mean squared error (HU\N{SUPERSCRIPT TWO}) between series that differ in one "
        "thing only, and the increment over the contrast above that has pairs; on volumes averaged over bins of "
        f"4 x 4 x 4 voxels, {where}. {steps_words(frame)}".rstrip(),
    )


def make_tables(inputs: Inputs, mode: Mode, names: dict[str, str], folder=FOLDER) -> Results:
    """Make all tables that the inputs allow, and why the others are missing.

    `names` gives display names by scanner code, `folder` holds the published tables.
    """
    results, folder = Results(), folder if inputs.phantom.is_published else None
    _acquisition_tables(inputs, names, folder, results)
    _pair_tables(inputs, mode, folder, results)
    feature_tables(inputs, mode, folder, results)
    return results if folder else of_another(results, inputs.phantom.words)


def of_another(results: Results, words: Callable[[str], str]) -> Results:
    """Return results as they hold of a phantom of the user's own: in its `words`, without published values."""
    tables = {
        name: replace(
            table, title=words(table.title), text=words(table.text), notes=[*map(words, table.notes)], published=False
        )
        for name, table in results.tables.items()
    }
    return Results(tables, {name: words(reason) for name, reason in results.missing.items()})


def write_results(results: Results, facts: dict, folder: Path | str) -> None:
    """Write `<name>.csv` for each table, run_facts.json (`facts`, what each table shows, and what is missing), and
    Tables 1-7 for a manuscript, tables.tex and tables.docx.

    A table by extractor has a last column `weights`: what each extractor's weights are, blank where it has none; one of
    differences between extractors has two.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in results.tables.items():
        frame = table.frame
        for column, name_of_words in WEIGHED.items():
            weights = facts.get("weights", {})
            known = weights if column == "extractor" else set(frame.get(column, ())) & set(weights)
            if column in frame.columns and known:
                words = [weights_words(facts, extractor) for extractor in frame[column]]
                frame = frame.assign(**{name_of_words: words})
        write_table(frame, folder / f"{name}.csv", table=f"<method>/tables/{name}.csv")
    grids = paper_grids({name: (table.frame, table.title) for name, table in results.tables.items()})
    (folder / "tables.tex").write_text(to_tex(grids, facts), encoding="utf-8")
    to_docx(grids, facts, folder / "tables.docx")
    about = {
        name: {
            "title": table.title,
            "text": table.text,
            "notes": table.notes,
            "published": table.published,
            "n_rows": len(table.frame),
        }
        for name, table in sorted(results.tables.items())
    }
    write_run_facts(
        {**facts, "tables": about, "missing": dict(sorted(results.missing.items()))}, folder / "run_facts.json"
    )


@dataclass(frozen=True)
class Files:
    """What tables are made of."""

    series: Path | str
    """Registered series, or a table of features without an index."""
    tables: Mapping[str, Path | str | None]
    """By the names in `TABLES`."""
    trainings: Path | str | None = None
    settings: Sequence[Path | str] = ()
    """Of the extractors, `<extractor>.json`."""
    checks: Sequence[Path | str] = ()
    published: Path | str = FOLDER
    scanners: Path | str = SCANNERS
    extractors: Path | str = SOURCE
    phantom: Path | str | None = None


@dataclass(frozen=True)
class Choice:
    """Of what run they are."""

    mode: str = "paper"
    method: str = NO_METHOD
    domain: str = "scanner"
    seed: int = 0
    imageless: bool = False
    """The method maps features, not images."""


def read_frames(paths: Mapping[str, Path | str | None]) -> dict[str, pd.DataFrame]:
    """Read the tables that there are by name; predictions as `learning.counts.read_counts` does, none where they are
    empty: a harmonization method may have no features for any fold."""
    frames = {
        name: read_counts(path) if name == "predictions" else read_table(path) for name, path in paths.items() if path
    }
    return {name: frame for name, frame in frames.items() if name != "predictions" or not frame.empty}


def make_files(files: Files, choice: Choice, output: Path | str) -> None:
    """Make all tables that the files allow, and write them with run_facts.json into the folder `output`."""
    series, frames = read_series(files.series), read_frames(files.tables)
    extractors, phantom = read_extractors(files.extractors), read_phantom(files.phantom)
    facts = make_run_facts(series, choice.mode, read_settings(files.settings), choice.method, choice.domain, extractors)
    facts |= {} if phantom.is_published else {"phantom": phantom.to_dict()}
    trainings = read_table(files.trainings) if files.trainings else None
    facts["checks"] = checks_of(files.checks, trainings, frames.get("embedding_quality"))
    names = read_scanner_names(files.scanners)
    inputs = Inputs(
        series, **frames, domain=choice.domain, seed=choice.seed, extractors=extractors, imageless=choice.imageless,
        phantom=phantom,
    )  # fmt: skip
    write_results(make_tables(inputs, MODES[choice.mode], names, files.published), facts, output)
