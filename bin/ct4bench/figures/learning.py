"""Figures of what is learned beside Table 7: other questions, what was left out, and other classifiers."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ct4bench.core.benchmark import DOMAIN_LABELS, DOMAINS, MAKERS, ROIS, SCANNERS
from ct4bench.core.regions import phantom_of
from ct4bench.figures.feature_sets import feature_sets, look_of
from ct4bench.figures.style import WIDTH_IN, Caption, fitted_legend, lift, new_figure, stamp, styled
from ct4bench.results.run_facts import extractor_title, stamp_text
from ct4bench.splits.tasks import TASKS

LEFT_OUT_ROIS = "; with ROIs left out there are two classes, cyst and normal tissue"

CLASSIFIER_LABELS = {
    "mlp": "MLP",
    "logistic_regression": "logistic\nregression",
    "svm": "SVM",
    "gradient_boosting": "gradient\nboosting",
}
LEGEND_IN, LEGEND_ROW_IN = 0.24, 0.17
"""Where a legend starts over the lower edge, and what each of its rows takes."""
CHANCE_COLOUR = "#e4e4e4"
SCHEME_LABELS = {"loso": "one {domain} left out, N = {n}", "kfold": "10-fold, n = {n}"}


def _look(extractor: str, extractors: list[str], facts: dict) -> dict:
    return {**look_of(extractor, extractors, facts), "markersize": 5}


def _legend(figure: Figure, extractors: list[str], facts: dict, left: float, chance: bool = False) -> None:
    handles = [
        Line2D([], [], linestyle="", label=extractor_title(e, facts), **_look(e, extractors, facts)) for e in extractors
    ]
    if chance:
        bar = {"marker": "|", "color": "black", "markersize": 9, "markeredgewidth": 1.6}
        handles.append(Line2D([], [], linestyle="", label="chance", **bar))
        handles.append(Patch(color=CHANCE_COLOUR, label="up to 95 % of permutations"))
    _, rows = fitted_legend(figure, handles, 4, LEGEND_IN, left, columnspacing=1.4)
    lift(figure, (rows - 1) * LEGEND_ROW_IN)
    figure.legends[-1].set_bbox_to_anchor((left, LEGEND_IN / figure.get_figheight()))


def _cell_words(scheme: str, n_train: int, domain: str) -> str:
    return SCHEME_LABELS.get(scheme, "").format(domain=domain, n=n_train)


def _beside(extractors: list[str], step: float, facts: dict):
    """Each feature set, how far its points lie beside the middle of their row, and how they look."""
    for number, extractor in enumerate(extractors):
        yield extractor, step * (number - (len(extractors) - 1) / 2), _look(extractor, extractors, facts)


def _whiskers(axes, rows: pd.DataFrame, positions, horizontal: bool, look: dict, part: str = "ci") -> None:
    """Points of balanced accuracy with the part of their interval (over regions: `roi_ci`) to either side of them."""
    ends = (f"balanced_{what}" for what in ("accuracy", f"{part}_low", f"{part}_high"))
    values, low, high = (rows[column].to_numpy(float) for column in ends)
    below, above = (np.nan_to_num(np.maximum(part, 0)) for part in (values - low, high - values))
    spread = {"xerr" if horizontal else "yerr": np.stack([below, above])}
    where = (values, positions) if horizontal else (positions, values)
    axes.errorbar(*where, **spread, linestyle="", elinewidth=1, **look)


def _range_words(table: pd.DataFrame, by: str, column: str) -> str:
    """The lowest and highest value of a column for each value of another, in words."""
    ends = table.groupby(by, sort=False)[column].agg(["min", "max"]).dropna()
    return "; ".join(f"{name} {low:.3f} to {high:.3f}" for name, low, high in ends.itertuples())


@styled
def draw_accuracy_by_classifier(table: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the balanced accuracy of the cells of Table 7 by classifier, a point for each feature set."""
    rows = table[table["task"] == "tissue"]
    cells = sorted(set(zip(rows["scheme"], rows["n_train"], strict=True)), key=lambda c: (c[0] != "loso", c[1]))
    found = set(rows["classifier"])
    classifiers = [c for c in CLASSIFIER_LABELS if c in found] + sorted(found - set(CLASSIFIER_LABELS))
    extractors = feature_sets(rows["extractor"], facts)
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    figure = new_figure(min(WIDTH_IN, 2.4 + 2.4 * len(cells)), 3.7)
    grid = figure.add_gridspec(1, len(cells), left=0.075, right=0.985, top=0.92, bottom=0.255, wspace=0.12)
    lowest = np.nanmin([rows["balanced_ci_low"].min(), rows["balanced_accuracy"].min(), 0.9])
    for number, (scheme, n_train) in enumerate(cells):
        axes = figure.add_subplot(grid[number])
        axes.set_title(_cell_words(scheme, n_train, domain))
        for extractor, shift, look in _beside(extractors, 0.16, facts):
            own = rows[(rows["scheme"] == scheme) & (rows["n_train"] == n_train) & (rows["extractor"] == extractor)]
            own = own.set_index("classifier").reindex(classifiers)
            _whiskers(axes, own, np.arange(len(classifiers)) + shift, False, look)
        axes.set_xticks(range(len(classifiers)), [CLASSIFIER_LABELS.get(c, c) for c in classifiers])
        axes.set_xlim(-0.5, len(classifiers) - 0.5)
        axes.set_ylim(max(0.0, np.floor(20 * lowest - 0.2) / 20), 1.01)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        if number == 0:
            axes.set_ylabel("balanced accuracy")
        else:
            axes.set_yticklabels([])
    _legend(figure, extractors, facts, 0.06)
    stamp(figure, stamp_text(facts, extractors))
    caption = Caption(
        "accuracy_by_classifier",
        "Does the order of the feature sets depend on the classifier?",
        "Balanced accuracy of the tissue classifiers in the cells of Table 7, by classifier and feature set; whiskers: "
        "95 % intervals over scanners.",
        "Panels of points with whiskers, one panel for each cell of Table 7, one column for each classifier; balanced "
        f"accuracy from the lowest to the highest: {_range_words(rows, 'classifier', 'balanced_accuracy')}.",
    )
    return figure, caption


def _domain_words(asked: set[str]) -> str:
    """What points over the bar mean where the domain itself was asked for."""
    domains = [name for name, task in TASKS.items() if name in asked and task.target in DOMAINS]
    if not domains:
        return ""
    return f" Of {' and '.join(domains)}, a point over its bar says how much the features tell of it."


@styled
def draw_accuracy_tasks(table: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the balanced accuracy of every other question, a line for each and its chance level."""
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    order = {name: i for i, name in enumerate(TASKS)}
    keys = ["task", "scheme", "n_train"]
    cells = table.groupby(keys, as_index=False).agg({"chance": "mean", "chance_high": "max"})
    cells = cells.assign(order=cells["task"].map(lambda name: order.get(name, len(order))))
    cells = cells.sort_values(["order", "scheme", "n_train"], ascending=[True, False, True]).reset_index(drop=True)
    extractors = feature_sets(table["extractor"], facts)
    height = 1.15 + 0.36 * len(cells)
    figure = new_figure(9.2, height)
    axes = figure.add_axes([0.42, 0.95 / height, 0.56, 1 - 1.1 / height])
    names = []
    for position, cell in enumerate(cells.to_dict("records")):
        task, words = TASKS.get(cell["task"]), _cell_words(cell["scheme"], cell["n_train"], domain)
        names.append((phantom_of(facts).words(task.label) if task else cell["task"]) + (f": {words}" if words else ""))
        part = "roi_ci" if task and task.over_regions else "ci"
        axes.barh(position, cell["chance_high"] - cell["chance"], left=cell["chance"], height=0.8, color=CHANCE_COLOUR)
        axes.plot(cell["chance"], position, marker="|", color="black", markersize=11, markeredgewidth=1.6, linestyle="")
        own = table[np.all([table[name] == cell[name] for name in keys], axis=0)]
        for extractor, shift, look in _beside(extractors, 0.2, facts):
            row = own[own["extractor"] == extractor]
            _whiskers(axes, row, np.full(len(row), position + shift), True, look, part)
    axes.set_yticks(range(len(cells)), names)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("balanced accuracy")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    _legend(figure, extractors, facts, 0.04, chance=True)
    stamp(figure, stamp_text(facts, extractors))
    caption = Caption(
        "accuracy_tasks",
        "Other tasks from the same features",
        "Balanced accuracy of the MLP; whiskers: 95 % intervals over scanners (over makers where a maker, over regions "
        "where regions are left out; none where all are alike); black bars: guessing, by permutation of the true "
        "classes; grey: up to what 95 % of the permutations do not exceed, of "
        "the set with the widest."
        f"{_domain_words(set(table['task']))}",
        "A list of questions with points and whiskers for each feature set on an axis of balanced accuracy, from the "
        f"lowest to the highest: {_range_words(table, 'task', 'balanced_accuracy')}.",
    )
    return figure, caption


@styled
def draw_accuracy_left_out(table: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the accuracy on each scanner, maker and pair of ROIs that was left out."""
    known = [*SCANNERS, *MAKERS, *ROIS]
    order = {name: i for i, name in enumerate(known)}
    groups = sorted(set(table["task"]))
    extractors = feature_sets(table["extractor"], facts)
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    columns = []
    for task in groups:
        values = set(table.loc[table["task"] == task, "left_out"])
        columns += [
            (task, value) for value in sorted(values, key=lambda v: (order.get(v, len(order)), len(v.split(".")[0]), v))
        ]
    widths = [1.0 if task == "tissue" else 1.6 for task, _ in columns]
    gaps = [0.0, *(0.8 * (a[0] != b[0]) for a, b in zip(columns[1:], columns[:-1], strict=True))]
    middles = np.cumsum(widths) - np.array(widths) / 2 + np.cumsum(gaps)
    figure = new_figure(min(WIDTH_IN, max(6.0, 1.4 + 0.42 * middles[-1])), 3.6)
    axes = figure.add_axes([0.09, 0.34, 0.895, 0.59])
    positions = dict(zip(columns, middles, strict=True))
    for extractor, shift, look in _beside(extractors, 0.2, facts):
        own = table[table["extractor"] == extractor]
        x = [positions[key] + shift for key in zip(own["task"], own["left_out"], strict=True)]
        axes.plot(x, own["accuracy"], linestyle="", **look)
    names = [value.replace("+", "\n") for _, value in columns]
    axes.set_xticks(list(positions.values()), names)
    axes.set_ylim(min(0.9, float(table["accuracy"].min())) - 0.03, 1.015)
    axes.set_ylabel("accuracy")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    words = {task: TASKS[task].left_out.format(domain=domain) for task in groups}
    for task in groups:
        mine = [position for (name, _), position in positions.items() if name == task]
        axes.text(np.mean(mine), -0.235, words[task], transform=axes.get_xaxis_transform(), ha="center", fontsize=8.5)
    _legend(figure, extractors, facts, 0.08)
    stamp(figure, stamp_text(facts, extractors))
    caption = Caption(
        "accuracy_left_out",
        "Accuracy on what was left out of the training",
        f"Accuracy of classifiers on what their training left out ({', '.join(words.values())})"
        f"{LEFT_OUT_ROIS * ('tissue_other_roi' in words)}.",
        "Points for each value that was left out, one for each feature set, accuracy from the lowest to the highest: "
        f"{_range_words(table, 'task', 'accuracy')}; the lowest of all is "
        f"{table.loc[table['accuracy'].idxmin(), 'left_out']}.",
    )
    return figure, caption
