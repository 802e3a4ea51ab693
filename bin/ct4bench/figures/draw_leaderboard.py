"""Figures of the leaderboard: differences to `none` with their intervals, and harmony against content kept."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ct4bench.core.benchmark import DOMAIN_LABELS, NO_METHOD
from ct4bench.core.intervals import UNITS
from ct4bench.core.regions import phantom_of
from ct4bench.figures.style import (
    WIDTH_IN,
    Caption,
    add_legend,
    fitted_legend,
    lift,
    new_figure,
    save_figure,
    stamp,
    styled,
)
from ct4bench.leaderboard.content import LEAST_CONTENT
from ct4bench.leaderboard.rank import INFORMATION, METHOD, OUTSIDE_WORDS
from ct4bench.leaderboard.score import ALL_ROWS
from ct4bench.leaderboard.score_list import PRIMARY, read_scores
from ct4bench.leaderboard.statistics import HARMS, HELPS
from ct4bench.results.run_facts import extractor_title, stamp_text

VERDICT_COLOURS = {HELPS: "#0072B2", HARMS: "#D55E00"}
NOT_TOLD_COLOUR, BESIDE_COLOUR = "#000000", "#888888"
"""Methods that are not told from `none` (or where this cannot be told), and what is shown beside methods."""
INFORMATION_MARKERS = dict(zip(INFORMATION, ("o", "s", "D", "^", "X"), strict=True))
INFORMATION_WORDS = {
    "inductive": "training scanners alone",
    "calibration": "training scanners and calibration scans",
    "transductive": "training scanners and half of the target's scans",
    "labels": "tissues, too",
    OUTSIDE_WORDS: "fitted outside: not known",
}
HARMONY, CONTENT = "domain_nonlinear", "content"
"""The scores of the scatter's axes."""


def _titled(method: str, titles: dict[str, str]) -> str:
    return titles.get(method, method)


@styled
def draw_differences(
    board: pd.DataFrame, facts: dict, extractor: str, titles: dict[str, str] | None = None
) -> tuple[Figure, Caption]:
    """Draw the difference to `none` of the score that ranks, a point with its interval for each method of a feature
    set, grouped by what methods may see.

    `board` are the rows of leaderboard.csv, `facts` those of the run of `none`, `titles` methods in words.
    """
    titles = titles or {}
    rows = board[(board["extractor"] == extractor) & (board["score"] == PRIMARY) & (board["method"] != NO_METHOD)]
    groups = [(name, rows[rows["information"] == name]) for name in INFORMATION if (rows["information"] == name).any()]
    n_lines = len(rows) + len(groups)
    height = 1.15 + 0.22 * max(4, n_lines)
    figure = new_figure(8.6, height)
    axes = figure.add_axes([0.33, 0.72 / height, 0.64, 1 - 0.86 / height])
    position, labels, places = 0, [], []
    for information, part in groups:
        seen = phantom_of(facts).words(INFORMATION_WORDS[information])
        axes.text(0.0, position, f"may see: {seen}", transform=axes.get_yaxis_transform(),
                  fontsize=7.5, style="italic", va="center", color="#333333",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
        position += 1
        for row in part.itertuples():
            _point(axes, row, position)
            rank = f"{row.rank:g}. " if np.isfinite(row.rank) else ""
            labels.append(f"{rank}{_titled(row.method, titles)}")
            places.append(position)
            position += 1
    axes.axvline(0, color="black", linewidth=0.9)
    axes.set_yticks(places, labels)
    axes.set_ylim(position - 0.4, -0.8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    label = phantom_of(facts).words(read_scores()[PRIMARY].label)
    axes.set_xlabel(f"{label[0].lower()}{label[1:]}: accuracy less that of none")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=words)
        for words, colour in (*VERDICT_COLOURS.items(), ("not told from none, or cannot be told", NOT_TOLD_COLOUR),
                              ("shown beside, never ranked", BESIDE_COLOUR))
    ]  # fmt: skip
    _, lines = fitted_legend(figure, handles, 4, 0.05, 0.04, columnspacing=1.2, handletextpad=0.3)
    lift(figure, (lines - 1) * 0.17)
    stamp(figure, stamp_text(facts, [extractor]))
    unit = UNITS.get(next(iter(rows["ci_unit"][rows["ci_unit"] != ""]), "scanner"), "scanners")
    missing = [f"{_titled(row.method, titles)}: {row.reason}." for row in rows.itertuples() if not np.isfinite(row.raw)]
    told = rows[np.isfinite(rows["difference"])]
    said = ", ".join(f"{_titled(r.method, titles)} {r.difference:+.3f}" for r in told.itertuples())
    caption = Caption(
        f"leaderboard_{extractor}",
        f"Harmonization methods beside none, {extractor_title(extractor, facts)}",
        f"Accuracy of the tissue on a scanner that is left out, with two to train on, less that of none on the same "
        f"test rows: mean over {unit}. Whiskers: 95 % intervals of the sign-flip test over {unit} (none with fewer "
        "than six). Methods are ranked within what they may see; controls and the like are never ranked. Hollow: "
        "content is lost. Nothing is said of other makers.",
        f"Points with whiskers about a line at zero, a row for each method: {said or 'none has a value'}.",
        missing,
    )
    return figure, caption


def _point(axes, row, position: float) -> None:
    """The difference of one method with its interval."""
    if not np.isfinite(row.difference):
        axes.text(0.995, position, "no value", transform=axes.get_yaxis_transform(), fontsize=7, ha="right",
                  va="center", color=BESIDE_COLOUR)  # fmt: skip
        return
    ranked = np.isfinite(row.rank)
    colour = VERDICT_COLOURS.get(row.verdict, NOT_TOLD_COLOUR) if ranked else BESIDE_COLOUR
    axes.plot([row.difference_ci_low, row.difference_ci_high], [position, position], color=colour, linewidth=1.2)
    face = {"markerfacecolor": "white"} if row.content_lost else {}
    axes.plot(row.difference, position, marker="o", color=colour, markersize=5.5, linestyle="", **face)


@styled
def draw_harmony_content(
    board: pd.DataFrame, facts: dict, extractor: str, titles: dict[str, str] | None = None
) -> tuple[Figure, Caption]:
    """Draw how well trees tell the scanner from the harmonized features against the content that they keep, a numbered
    point for each method of a feature set.

    Arguments as those of `draw_differences`; scores are those of features that were fitted on all rows.
    """
    titles = titles or {}
    own = board[(board["extractor"] == extractor) & (board["fit"] == ALL_ROWS)]
    columns = {name: own[own["score"] == name].set_index("method") for name in (HARMONY, CONTENT)}
    both = columns[HARMONY].join(columns[CONTENT][["raw"]], rsuffix="_content", how="inner")
    both = both[np.isfinite(both["raw"]) & np.isfinite(both["raw_content"])]
    figure = new_figure(WIDTH_IN, 4.9)
    axes = figure.add_axes([0.065, 0.11, 0.50, 0.85])
    chance = both["chance_high"].max() if len(both) else np.nan
    if np.isfinite(chance):
        axes.axhspan(0, chance, color="#e8f1e4", linewidth=0)
        axes.text(0.99, chance, "guessing, up to 95 % of permutations", transform=axes.get_yaxis_transform(),
                  ha="right", va="bottom", fontsize=7, color="#55774a")  # fmt: skip
    axes.axvspan(0, LEAST_CONTENT, color="#f6e5dc", linewidth=0)
    handles = []
    for number, (method, row) in enumerate(both.iterrows(), 1):
        plain = row["role"] == METHOD
        look = {"marker": INFORMATION_MARKERS[row["information"]], "linestyle": "", "markersize": 7,
                "color": NOT_TOLD_COLOUR if method == NO_METHOD else "#0072B2" if plain else BESIDE_COLOUR}  # fmt: skip
        axes.plot(row["raw_content"], row["raw"], **look, alpha=0.85)
        axes.annotate(str(number), (row["raw_content"], row["raw"]), xytext=(5, 4), textcoords="offset points",
                      fontsize=7.5)  # fmt: skip
        handles.append(Line2D([], [], **look, label=f"{number}  {_titled(method, titles)}"))
    axes.set_xlim(left=-0.03)
    axes.set_ylim(1.02, -0.02)
    axes.set_xlabel(f"content kept: spread within {phantom_of(facts).class_word}, relative to none (shaded: lost)")
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    axes.set_ylabel(f"{domain} told by trees trained on other scans (up: more harmony)")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    if handles:
        add_legend(figure, handles, loc="upper left", bbox_to_anchor=(0.575, 0.97), ncols=2 if len(handles) > 24 else 1,
                   fontsize=7.5, labelspacing=0.35)  # fmt: skip
    stamp(figure, stamp_text(facts, [extractor]))
    said = "; ".join(
        f"{_titled(method, titles)} {row['raw']:.2f} at {row['raw_content']:.2f}" for method, row in both.iterrows()
    )
    caption = Caption(
        f"harmony_content_{extractor}",
        f"Harmony against content kept, {extractor_title(extractor, facts)}",
        f"Balanced accuracy with which trees, trained on the harmonized features of other scans, tell the {domain}, "
        "against the spread within tissues that is left, relative to none. A good method lies at the upper right; "
        "what lies at the left has lost what was measured. Grey: controls and what else is never ranked; markers: "
        f"{'; '.join(f'{marker_words(name)} {words}' for name, words in INFORMATION_WORDS.items())}.",
        f"A scatter of points, {domain} told at content kept: {said or 'none has both values'}.",
    )
    return figure, caption


def marker_words(information: str) -> str:
    """Return the shape of a level of information in words."""
    shapes = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "X": "cross"}
    return shapes[INFORMATION_MARKERS[information]]


def draw_leaderboard(
    board: pd.DataFrame, facts: dict, folder: Path | str, titles: dict[str, str] | None = None
) -> list[str]:
    """Draw both figures of each feature set of leaderboard.csv into a folder, and return their names."""
    names = []
    for extractor in dict.fromkeys(board["extractor"]):
        if not extractor:
            continue
        for draw in (draw_differences, draw_harmony_content):
            figure, caption = draw(board, facts, extractor, titles)
            save_figure(figure, caption, folder, phantom_of(facts).words)
            names.append(caption.name)
    return names
