"""Figures of results beside the paper's: matrices of metrics, what each step adds, accuracy over training size."""

import functools
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ct4bench.core.benchmark import DOMAIN_LABELS, SCANNERS, scanner_rank
from ct4bench.core.extractors import extractors_of, title_of
from ct4bench.core.intervals import UNITS
from ct4bench.core.metrics import MAIN_METRICS, PairMetric
from ct4bench.core.regions import phantom_of
from ct4bench.core.tables import read_table
from ct4bench.figures.feature_sets import feature_sets, look_of
from ct4bench.figures.learning import draw_accuracy_by_classifier, draw_accuracy_left_out, draw_accuracy_tasks
from ct4bench.figures.style import (
    WIDTH_IN,
    Caption,
    add_legend,
    colour_bar,
    fitted_legend,
    message_panel,
    new_figure,
    save_figure,
    stamp,
    styled,
)
from ct4bench.results.run_facts import CONTRAST_LABELS, NOT_COMPARABLE, extractor_title, stamp_text


def _triangle(frame: pd.DataFrame, column: str, order: list[str]) -> np.ndarray:
    """Values of a long table as a square matrix (rows, columns), not a number above the diagonal."""
    index = {scanner: i for i, scanner in enumerate(order)}
    values = np.full((len(order), len(order)), np.nan)
    for row, col, value in zip(frame["scanner_row"], frame["scanner_col"], frame[column], strict=True):
        values[index[row], index[col]] = value
    return values


def _heatmap(axes, values: np.ndarray, order: list[str], limits: tuple[float, float], decimals: int = 0):
    picture = axes.imshow(np.ma.masked_invalid(values), cmap="cividis_r", vmin=limits[0], vmax=limits[1])
    axes.set_xticks(range(len(order)), order)
    axes.set_yticks(range(len(order)), order)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    middle = 0.55 * limits[1] + 0.45 * limits[0]
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        colour = "white" if values[i, j] > middle else "black"
        axes.text(j, i, f"{values[i, j]:.{decimals}f}", ha="center", va="center", fontsize=7, color=colour)
    return picture


def _own_scale(values: np.ndarray) -> tuple[float, float]:
    """The finite ends of a matrix, a little apart where there is one value; 0 to 1 without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _beside_diagonal(values: np.ndarray, metric: PairMetric) -> str:
    """How the cells of two scanners compare with those of one, in words; what there is of both."""
    one = np.diag(values)
    two = values[~np.eye(len(values), dtype=bool)]
    parts = [
        f"{np.median(part[np.isfinite(part)]):.{metric.decimals}f} {f'{metric.unit} ' if metric.unit else ''}{words}"
        for part, words in ((two, "between two scanners"), (one, "within a scanner"))
        if np.isfinite(part).any()
    ]
    return f"median {' and '.join(parts)}" if parts else "no cell has a value"


def _order_words(order: list[str]) -> str:
    """How scanners are sorted, in words."""
    known = [name in SCANNERS for name in order]
    if not any(known):
        return "by the scanner's name"
    return f"in the paper's order of scanners{'' if all(known) else ', others after them by name'}"


@styled
def draw_matrix(table: pd.DataFrame, facts: dict, metric: PairMetric) -> tuple[Figure, Caption]:
    """Draw a metric's scanner table as triangles of colours, this run and, where there is one, published, each on a
    scale of its own with its key."""
    order = sorted({*table["scanner_row"], *table["scanner_col"]}, key=scanner_rank)
    panels = [("this run", _triangle(table, f"{metric.name}_mean", order))]
    if f"{metric.name}_mean_published" in table.columns and "phantom" not in facts:
        panels.append(("published", _triangle(table, f"{metric.name}_mean_published", order)))
    width = WIDTH_IN if len(panels) == 2 else 0.55 * WIDTH_IN
    figure = new_figure(width, 4.6)
    grid = figure.add_gridspec(
        1, len(panels), left=0.35 / width, right=1 - 0.75 / width, top=0.93, bottom=0.07, wspace=0.26
    )
    for number, (title, values) in enumerate(panels):
        axes = figure.add_subplot(grid[number])
        axes.set_title(title)
        if np.isfinite(values).any():
            picture = _heatmap(axes, values, order, _own_scale(values), metric.figure_decimals)
            axes.set_aspect("auto")
            colour_bar(figure, axes, picture, f"mean {metric.head}")
        else:
            message_panel(axes, "no pair of series in this run")
    stamp(figure, stamp_text(facts))
    note = NOT_COMPARABLE.get(facts["origin"], "")
    source = f"Table {metric.paper_table}" if metric.paper_table else f"{metric.table}.csv"
    both = len(panels) == 2
    caption = Caption(
        metric.figure,
        f"{metric.label} between scanners at a glance",
        f"The means of {source}{f' in {metric.unit}' if metric.unit else ''}, rows and columns {_order_words(order)}; "
        "on the diagonal pairs of two scans of one scanner"
        f"{'. Each panel has a scale of its own' if both else ''}.",
        f"{'Two triangular colour maps' if both else 'A triangular colour map'} of the {metric.label} between scanners"
        f": {'; '.join(f'{title}, {_beside_diagonal(values, metric)}' for title, values in panels)}.",
        [f"{note[0].upper()}{note[1:]}."] if note and both else [],
    )
    return figure, caption


def _bars_in_words(table: pd.DataFrame) -> str:
    rows = table[table["n_pairs"] > 0]
    words = [
        f"{CONTRAST_LABELS.get(row.contrast, row.contrast)} {np.sqrt(row.mse_hu2_median):.1f} HU"
        for row in rows.itertuples()
    ]
    return ", ".join(words) or "none"


@styled
def draw_decomposition(table: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the median and quartiles of the RMSE of pairs that differ in one thing, a bar for each contrast."""
    rows = table[table["n_pairs"] > 0].iloc[::-1]
    figure = new_figure(7.2, 0.9 + 0.52 * max(1, len(rows)))
    axes = figure.add_axes([0.25, 0.52 / figure.get_figheight(), 0.71, 1 - 0.74 / figure.get_figheight()])
    root = np.sqrt(rows[["mse_hu2_q1", "mse_hu2_median", "mse_hu2_q3"]].to_numpy(float))
    positions = np.arange(len(rows))
    axes.barh(positions, root[:, 1], color="#56B4E9", height=0.62)
    spread = np.stack([root[:, 1] - root[:, 0], root[:, 2] - root[:, 1]])
    axes.errorbar(root[:, 1], positions, xerr=spread, fmt="none", ecolor="black", elinewidth=1, capsize=3)
    axes.set_yticks(positions, [fill(CONTRAST_LABELS.get(name, name), 21) for name in rows["contrast"]])
    for position, (_, median, q3), n in zip(positions, root, rows["n_pairs"], strict=True):
        axes.text(q3, position, f"  {median:.1f} HU, n = {n}", va="center", fontsize=7.5)
    axes.set_xlim(0, 1.3 * max(1.0, float(root[:, 2].max()) if len(root) else 1.0))
    axes.set_xlabel("RMSE (HU): root of the median squared error; whiskers: quartiles")
    stamp(figure, stamp_text(facts))
    caption = Caption(
        "decomposition",
        "Contribution of each factor to the error",
        "Pairs of series that differ in one thing only, a bar for each: RMSE in HU as the root of the median squared "
        "error, with quartiles over pairs.",
        f"Horizontal bars of RMSE: {_bars_in_words(table)}.",
    )
    return figure, caption


GRADE_COLOURS = {"poor": "#D55E00", "moderate": "#E69F00", "good": "#56B4E9", "excellent": "#0072B2"}


@styled
def draw_icc_grades(table: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the shares of features that are poor to excellent, a bar for each extractor and form of the ICC."""
    rows = table.iloc[::-1]
    figure = new_figure(8.4, 1.15 + 0.40 * len(rows))
    height = figure.get_figheight()
    axes = figure.add_axes([0.30, 0.86 / height, 0.67, 1 - 1.02 / height])
    positions, left = np.arange(len(rows)), np.zeros(len(rows))
    for grade, colour in GRADE_COLOURS.items():
        share = rows[grade].to_numpy(float)
        axes.barh(positions, share, left=left, color=colour, height=0.7)
        for position, start, part in zip(positions, left, share, strict=True):
            if part >= 0.06:
                axes.text(start + part / 2, position, f"{100 * part:.0f} %", ha="center", va="center", fontsize=7.5,
                          color="white" if grade in ("poor", "excellent") else "black")  # fmt: skip
        left = left + share
    names = [
        f"{extractor_title(row.extractor, facts)}\n{row.form}" + f", {row.judged_by}" * (row.judged_by != "estimate")
        for row in rows.itertuples()
    ]
    axes.set_yticks(positions, names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of features")
    handles = [Patch(color=colour, label=grade) for grade, colour in GRADE_COLOURS.items()]
    add_legend(axes, handles, loc="upper left", bbox_to_anchor=(-0.01, -0.48 / (height - 1.02)), ncols=4)
    stamp(figure, stamp_text(facts, dict.fromkeys(table["extractor"])))
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    caption = Caption(
        "icc_grades",
        "Number of stable features",
        f"Share of features by their ICC over {domain}s, ROIs as targets: poor (below 0.5), moderate (below 0.75), "
        "good (below 0.9), excellent. ICC(3,1) does not see constant offsets, ICC(2,1) does; lower end: that of the "
        "95 % interval of ICC(2,1) by an F test.",
        "Stacked bars, one for each feature extractor and form of the ICC; good or excellent are "
        + ", ".join(
            f"{100 * (row.good + row.excellent):.0f} % of {extractor_title(row.extractor, facts)} by {row.form}"
            for row in table[table["judged_by"] == "estimate"].itertuples()
        )
        + ".",
    )
    return figure, caption


SCHEMES = {
    "loso": ("one {domain} left out", "training {domain}s", ((1, "loso_1_scanner_acc"), (12, "loso_12_scanners_acc"))),
    "kfold": ("10-fold", "training folds", ((9, "tenfold_13_scanners_acc"),)),
}
"""Title, axis, and where the published accuracies lie, by scheme."""


@styled
def draw_accuracy_by_n(table: pd.DataFrame, facts: dict, table7: pd.DataFrame | None = None) -> tuple[Figure, Caption]:
    """Draw the accuracy over the number of training scanners and of training folds, a line for each extractor.

    Where `table7` is given, its published accuracies are shown next to them.
    """
    extractors = feature_sets(table["extractor"], facts)
    beside_none = table7 is None or not phantom_of(facts).is_published
    published = pd.DataFrame() if beside_none else table7.set_index("features")
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    figure = new_figure(9.6, 4.3)
    grid = figure.add_gridspec(1, 2, left=0.065, right=0.985, top=0.93, bottom=0.235, wspace=0.1, width_ratios=[12, 9])
    lows = [float(table["accuracy_ci_low"].min()), float(table["accuracy_mean"].min())]
    bottom = max(0.0, np.floor(20 * np.nanmin([*lows, 0.8]) - 0.2) / 20)
    for number, (scheme, (title, axis, positions)) in enumerate(SCHEMES.items()):
        axes = figure.add_subplot(grid[number])
        axes.set_title(title.format(domain=domain))
        rows = table[table["scheme"] == scheme]
        if rows.empty:
            message_panel(axes, "not trained in this run")
            continue
        for position, extractor in enumerate(extractors):
            own = rows[rows["extractor"] == extractor].sort_values("n_train")
            look = look_of(extractor, extractors, facts)
            colour, marker = look["color"], look["marker"]
            x = own["n_train"] + 0.06 * (position - 1)
            axes.fill_between(x, own["accuracy_ci_low"], own["accuracy_ci_high"], color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, own["accuracy_mean"], color=colour, marker=marker, markersize=4.5, linewidth=1.4)
            name = title_of(extractor, extractors_of(facts))
            if name in published.index and domain == "scanner":
                for n, stem in positions:
                    value = published.loc[name, f"{stem}_mean_published"]
                    hollow = {**look, "markersize": 9, "markerfacecolor": "none"}
                    if np.isfinite(value):
                        axes.plot(n + 0.06 * (position - 1), value, linestyle="", **hollow)
        axes.set_xlabel(f"number of {axis.format(domain=domain)}")
        beside = {n for n, _ in positions} if domain == "scanner" and len(published) else set()
        axes.set_xticks(sorted(set(rows["n_train"]) | beside))
        axes.set_ylim(bottom, 1.005)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        if number == 0:
            axes.set_ylabel("accuracy, mean over folds")
    handles = [
        Line2D([], [], **look_of(e, extractors, facts), markersize=4.5, label=extractor_title(e, facts))
        for e in extractors
    ]
    beside_published = any(_hollow(figure))
    if beside_published:
        handles.append(
            Line2D(
                [], [], color="#555555", marker="o", markersize=9, markerfacecolor="none", linestyle="",
                label="published",
            )
        )  # fmt: skip
    fitted_legend(figure, handles, 4, 0.15, 0.055, columnspacing=1.6)
    stamp(figure, stamp_text(facts, extractors))
    note = NOT_COMPARABLE.get(facts["origin"], "")
    panels = {
        "loso": f"Left: one {domain} left out, trained on N others"
        f"{', those of other makers first' if domain == 'scanner' else ''}.",
        "kfold": "Right: 10-fold, trained on n of the nine other folds.",
    }
    said = " ".join(words for scheme, words in panels.items() if scheme in set(table["scheme"]))
    caption = Caption(
        "accuracy_by_n",
        "Accuracy over the amount of training data",
        f"Mean over folds of the accuracy of the tissue classifier. {said} Bands: 95 % intervals over "
        f"{UNITS.get(next(iter(table.get('ci_unit', [])), ''), 'scanners')}"
        f"{'; hollow: the published values of Table 7' if beside_published else ''}.",
        "Two panels of lines over the amount of training data, one line for each feature set; mean accuracy from the "
        f"least to the most: {_ends_in_words(table, extractors, facts)}.",
        [f"{note[0].upper()}{note[1:]}."] if note and beside_published else [],
    )
    return figure, caption


def _hollow(figure: Figure):
    """Whether each line of a figure's panels is drawn as published values are."""
    return (line.get_markerfacecolor() == "none" for axes in figure.axes for line in axes.lines)


def _ends_in_words(table: pd.DataFrame, extractors: list[str], facts: dict) -> str:
    """Accuracy of each feature set with the least and the most training data, by scheme."""
    parts = []
    for extractor in extractors:
        ends = []
        for scheme, rows in table[table["extractor"] == extractor].groupby("scheme", sort=False):
            rows = rows.sort_values("n_train")
            first, last = rows["accuracy_mean"].iloc[0], rows["accuracy_mean"].iloc[-1]
            ends.append(f"{first:.3f} to {last:.3f} ({SCHEME_NAMES.get(scheme, scheme)})")
        parts.append(f"{title_of(extractor, extractors_of(facts))} {', '.join(ends)}")
    return "; ".join(parts)


SCHEME_NAMES = {"loso": "leave one out", "kfold": "10-fold"}


def draw_results(tables: Path, facts: dict, folder: Path) -> None:
    """Draw the figures that the tables of a folder allow."""

    def table(name: str) -> pd.DataFrame | None:
        path = Path(tables) / f"{name}.csv"
        return read_table(path) if path.is_file() else None

    for name, draw in DRAWN.items():
        frame = table(name)
        if frame is not None:
            more = [table("table7_stability_classification")] if draw is draw_accuracy_by_n else []
            save_figure(*draw(frame, facts, *more), folder, phantom_of(facts).words)


DRAWN = {
    **{metric.table: functools.partial(draw_matrix, metric=metric) for metric in MAIN_METRICS if metric.figure},
    "decomposition": draw_decomposition,
    "stability_grades": draw_icc_grades,
    "accuracy_by_n": draw_accuracy_by_n,
    "accuracy_tasks": draw_accuracy_tasks,
    "accuracy_left_out": draw_accuracy_left_out,
    "accuracy_by_classifier": draw_accuracy_by_classifier,
}
"""The figure that each table is drawn as."""
