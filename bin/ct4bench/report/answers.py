"""The answer on the first screen: on what data, three sentences computed from the tables, and one picture.

How far apart are the scanners and what makes it; what does it do to features; what does it do to a classifier on what
it was not trained on? Each sentence names the tables that its numbers are from. A sentence whose tables a run lacks is
left out, and so is a part of it.
"""

import math
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from ct4bench.core.benchmark import DOMAIN_LABELS
from ct4bench.core.colours import MANY_COLOURS, colour_of
from ct4bench.core.extractors import extractors_of, in_order, title_of
from ct4bench.core.metrics import BY_NAME
from ct4bench.core.regions import phantom_of
from ct4bench.leaderboard.rank import score_interval
from ct4bench.leaderboard.score import OF, WHOLE
from ct4bench.leaderboard.score_list import PRIMARY, read_scores
from ct4bench.report.cells import delta, is_number, number
from ct4bench.report.headlines import TABLE_7, TASKS_TABLE, between_and_within, loso_stems
from ct4bench.report.svg import Mark, bars, intervals, legend
from ct4bench.results.run_facts import CONTRAST_LABELS, SYNTHETIC, extractor_title, weights_mark
from ct4bench.splits.tasks import TASKS

SOURCES = {
    SYNTHETIC: "On synthetic data: {what}, simulated to stand in for the collection. They show that the pipeline "
    "works, not how real scanners compare.",
    "collection": "On real data: {what} of the collection.",
    "other": "On other data than the collection's: {what}.",
    "own": "On a phantom of your own, {name}: {what}.",
    "mixed": "On data of mixed origin: {what}.",
    "unknown": "On features of unknown origin: {what}.",
}
CAUSES = {
    "other_recon": "the reconstruction",
    "other_repetition": "a repeated scan (noise)",
    "other_dose": "the dose",
    "other_scanner": "another scanner of the maker",
    "other_maker": "another maker",
}
"""What a step of the decomposition adds, in words."""
RMSE = BY_NAME["rmse_hu"]
AT_LEAST = ("good", "excellent")
"""Grades of features that are counted as stable."""
DIGITS = 3
PANEL_PX = 310


@dataclass(frozen=True)
class Answer:
    """A sentence of the first screen: its question, and the names of the tables that its numbers are from."""

    question: str
    text: str
    tables: tuple[str, ...]


def data_words(facts: dict) -> str:
    """Say on what data the run was made; synthetic ones are called so."""
    doses = [f"{dose:g}" for dose in facts.get("doses_mgy", [])]
    n = len(facts["scanners"])
    what = f"{facts['n_series']} series of {n} scanner{'' if n == 1 else 's'}"
    what += f" at {_and(doses)} mGy" if doses else ""
    own = facts["phantom"]["name"] if "phantom" in facts else ""
    return SOURCES["own" if own else facts["origin"]].format(what=what, name=own)


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


NOISE_ALONE = ("other_recon", "other_repetition")
"""Steps before which nothing else makes two series differ."""


def step_words(step: str, first: str) -> str:
    """Return what a step of the decomposition adds, in words. The `first` that a run has holds what would stand before
    it: of scans that were not repeated, another scanner's noise is in what it adds."""
    words = CAUSES.get(step, step)
    return f"{words}, noise included" if step == first and step not in NOISE_ALONE else words


def first_step(decomposition: pd.DataFrame) -> str:
    """Return the first contrast that has pairs; blank where none has."""
    known = decomposition[decomposition["mse_hu2_median"].notna()]
    return str(known["contrast"].iloc[0]) if len(known) else ""


def added(decomposition: pd.DataFrame) -> list[tuple[str, float]]:
    """Return what each step adds to the mean-square difference of two series (HU²), the largest first.

    The first step's is its own median; one that adds nothing, or less, is left out. Of a single step nothing can be
    told apart: empty.
    """
    if decomposition["mse_hu2_median"].notna().sum() < 2:
        return []
    found = []
    for row in decomposition.to_dict("records"):
        first = not is_number(row["increment_hu2"]) and not row["increment_over"]
        value = row["mse_hu2_median"] if first else row["increment_hu2"]
        if is_number(value) and value > 0:
            found.append((row["contrast"], float(value)))
    return sorted(found, key=lambda item: -item[1])


def _nothing_more(decomposition: pd.DataFrame, steps: list[tuple[str, float]]) -> str:
    """Name what adds nothing where one step alone adds something, which would read as if nothing else was looked at."""
    known = decomposition.loc[decomposition["mse_hu2_median"].notna(), "contrast"]
    others = [CAUSES.get(name, name) for name in known if name != steps[0][0]]
    return f", to which {_and(others)} add{'s' * (len(others) == 1)} nothing" if len(steps) == 1 and others else ""


def image_answer(tables: dict[str, pd.DataFrame]) -> Answer | None:
    """Say how far apart images of two scanners are, and what makes it."""
    frame = tables.get(RMSE.table)
    if frame is None:
        return None
    column = f"{RMSE.name}_mean"
    frame = frame[frame[column].notna()]
    between, within = between_and_within(frame, column)
    if not is_number(between):
        return None
    n = int((frame["scanner_row"] != frame["scanner_col"]).sum())
    of = f"median of {n} pairs of scanners" if n > 1 else "one pair of scanners"
    text = f"Images of the same object differ by {number(between, 1)} HU between two scanners (RMSE, {of})"
    text += f", by {number(within, 1)} HU between two scans of one" if is_number(within) else ""
    names = [RMSE.table]
    steps = added(tables["decomposition"]) if "decomposition" in tables else []
    if steps:
        names.append("decomposition")
        first = first_step(tables["decomposition"])
        words = [f"{step_words(name, first)} {number(value, 1)}" for name, value in steps]
        text += (
            f"; what adds to it, in HU\N{SUPERSCRIPT TWO}: {_and(words)}{_nothing_more(tables['decomposition'], steps)}"
        )
    return Answer("How far apart are the scanners?", f"{text}.", tuple(names))


def _ends(low, high) -> str:
    return f" [{number(low, DIGITS)} to {number(high, DIGITS)}]" if is_number(low) and is_number(high) else ""


def _rows_of(table7: pd.DataFrame, facts: dict) -> list[dict]:
    """Rows of Table 7 that have an extractor, in its order, each with its title and mark of weights."""
    rows = {row["extractor"]: row for row in table7.to_dict("records") if isinstance(row.get("extractor"), str)}
    known = extractors_of(facts)
    return [
        {**rows[name], "title": extractor_title(name, facts), "short": title_of(name, known)}
        for name in in_order(rows, known)
        if name
    ]


def _icc_of(row: dict) -> tuple:
    """Mean ICC(2,1) of a row of Table 7 with the ends of its interval."""
    stem = "icc" if row.get("icc_form") == "ICC(2,1)" else "icc_2_1"
    return tuple(row.get(f"{stem}_{part}") for part in ("mean", "ci_low", "ci_high"))


def feature_answer(tables: dict[str, pd.DataFrame], facts: dict) -> Answer | None:
    """Say how well features agree between scanners: mean ICC(2,1), and how many are good or better."""
    table7 = tables.get(TABLE_7)
    if table7 is None:
        return None
    grades, names, parts = tables.get("stability_grades"), [TABLE_7], []
    domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
    for row in _rows_of(table7, facts):
        value, low, high = _icc_of(row)
        if not is_number(value):
            continue
        words = f"{number(value, DIGITS)}{_ends(low, high)} for {row['title']}"
        share = stable_share(grades, row["extractor"])
        if share is not None:
            names += [] if "stability_grades" in names else ["stability_grades"]
            words += f", {100 * share:.0f} % of them" + (" good or excellent" if not parts else "")
        parts.append(words)
    if not parts:
        return None
    text = f"Mean agreement between {domain}s, ICC(2,1), is {'; '.join(parts)}."
    return Answer("What does it do to features?", text, tuple(names))


def stable_share(grades: pd.DataFrame | None, extractor: str) -> float | None:
    """Return the share of an extractor's features whose ICC(2,1) is good or excellent; None where it is not known."""
    if grades is None:
        return None
    own = grades[
        (grades["extractor"] == extractor) & (grades["form"] == "ICC(2,1)") & (grades["judged_by"] == "estimate")
    ]
    return float(own.iloc[0][list(AT_LEAST)].sum()) if len(own) else None


def _task_values(tables: dict[str, pd.DataFrame], facts: dict) -> list[tuple[str, dict[str, dict]]]:
    """(words, row by extractor) of the tasks that test on what the training did not see."""
    frame = tables.get(TASKS_TABLE)
    found = []
    for name, task in TASKS.items() if frame is not None else ():
        own = frame[frame["task"] == name]
        if task.headline and len(own):
            words = phantom_of(facts).words(task.headline)
            found.append((words, {row["extractor"]: row for row in own.to_dict("records")}))
    return found


def unseen_values(tables: dict[str, pd.DataFrame], facts: dict) -> list[tuple[str, dict[str, dict]]]:
    """Return (words, row by extractor with accuracy, its interval) of all that tests on what was not trained on:
    a scanner with the fewest and the most to train on, and other doses, reconstructions, regions."""
    table7 = tables.get(TABLE_7)
    found = []
    if table7 is not None:
        stems = loso_stems(table7)
        domain = DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")
        for n in sorted({min(stems, default=0), max(stems, default=0)} - {0}):
            stem, rows = stems[n], {}
            for row in _rows_of(table7, facts):
                rows[row["extractor"]] = {part: row.get(f"{stem}_{part}") for part in ("mean", "ci_low", "ci_high")}
            words = f"on an unseen {domain}, trained on {n}"
            found.append((words, {name: row for name, row in rows.items() if is_number(row["mean"])}))
    for words, rows in _task_values(tables, facts):
        values = {
            name: {part: row.get(f"accuracy_{part}") for part in ("mean", "ci_low", "ci_high")}
            for name, row in rows.items()
            if is_number(row.get("accuracy_mean"))
        }
        found.append((words, values))
    return [(words, rows) for words, rows in found if rows]


def told_of(names: list[str], facts: dict) -> str:
    """Return the extractor that a sentence tells of: the first whose weights are trained ones or that has none, else
    the first."""
    return next((name for name in names if not weights_mark(facts, name)), names[0])


def classifier_answer(tables: dict[str, pd.DataFrame], facts: dict) -> Answer | None:
    """Say how often the tissue is known on an unseen scanner, and on another dose, reconstruction, region."""
    found = unseen_values(tables, facts)
    if not found:
        return None
    name = told_of(in_order({name for _, rows in found for name in rows}, extractors_of(facts)), facts)
    parts = [
        f"{words}: {number(rows[name]['mean'], DIGITS)}{_ends(rows[name]['ci_low'], rows[name]['ci_high'])}"
        for words, rows in found
        if name in rows
    ]
    names = [table for table in (TABLE_7, TASKS_TABLE) if table in tables]
    text = f"With {extractor_title(name, facts)} the {phantom_of(facts).class_word} is known {'; '.join(parts)}."
    return Answer("What does it do to a classifier?", text, tuple(names))


def answers(tables: dict[str, pd.DataFrame], facts: dict) -> list[Answer]:
    """Return the sentences of the first screen that the tables have numbers for."""
    found = [image_answer(tables), feature_answer(tables, facts), classifier_answer(tables, facts)]
    return [answer for answer in found if answer]


def method_answer(scores: pd.DataFrame, titles: dict[str, str], facts: dict) -> Answer | None:
    """Say which harmonization method ranks first at each level of information, by how much and how surely.

    `scores` are leaderboard.csv, `titles` those of methods. It tells of one feature set, whose weights are trained ones
    where there is such; None where nothing is ranked there.
    """
    own = scores[(scores["score"] == PRIMARY) & scores["rank"].notna()]
    if own.empty:
        return None
    name = told_of(in_order(own["extractor"], extractors_of(facts)), facts)
    own = own[own["extractor"] == name]
    first = own[own["rank"] == own.groupby("information")["rank"].transform("min")]
    parts = []
    for row in first.sort_values(["information", "method"]).to_dict("records"):
        low, high = row["difference_ci_low"], row["difference_ci_high"]
        ends = f" [{delta(low, DIGITS)} to {delta(high, DIGITS)}]" if is_number(low) and is_number(high) else ""
        words = f"{titles.get(row['method'], row['method'])} ({row['information']}) {number(row['raw'], DIGITS)}"
        change = delta(row["difference"], DIGITS) or number(row["difference"], DIGITS)
        words += f", {change}{ends} to none"
        words += f", p = {number(row['p_holm'], DIGITS)} (Holm)" if is_number(row["p_holm"]) else ""
        words += f", {row['verdict']}" if isinstance(row["verdict"], str) and row["verdict"] else ""
        parts.append(words)
    n = own["method"].nunique()
    what = phantom_of(facts).class_word
    text = (
        f"Of {n} ranked with {extractor_title(name, facts)}, the {what} on a scanner left out (two to train on) is "
        f"known best by {'; by '.join(parts)}."
    )
    return Answer("Which method helps?", text, ("leaderboard",))


def extractor_colours(names: list[str], facts: dict) -> dict[str, str]:
    """Return the colour of each extractor, as in the figures."""
    own = {name: entry.get("colour", "") for name, entry in facts.get("extractors", {}).items()}
    own = {name: colour for name, colour in own.items() if colour}
    return {name: colour_of(name, own, names) for name in names}


def _mark(value, low, high, colour: str, name: str) -> Mark:
    ends = (float(low), float(high)) if is_number(low) and is_number(high) else (None, None)
    said = f"{name}: {number(value, DIGITS)}{_ends(low, high)}"
    return Mark(float(value), *ends, colour, said)


def answer_picture(tables: dict[str, pd.DataFrame], facts: dict) -> Markup | None:
    """Draw the answer: what makes images differ, agreement of features, and accuracy on what was not trained on.

    None where the run has none of the three.
    """
    panels, known = [], extractors_of(facts)
    steps = added(tables["decomposition"]) if "decomposition" in tables else []
    if steps:
        rows = [(CONTRAST_LABELS.get(name, name), value, f"{number(value, 1)}") for name, value in steps]
        label = "What each step adds to the difference of two series: " + _and([f"{w} {s}" for w, _, s in rows])
        drawn = bars(label, rows, "added mean square difference (HU\N{SUPERSCRIPT TWO})", MANY_COLOURS[0], PANEL_PX)
        panels.append(("What makes images differ", drawn))
    table7 = tables.get(TABLE_7)
    names = _rows_of(table7, facts) if table7 is not None else []
    colours = extractor_colours([row["extractor"] for row in names], facts)
    rows = []
    for row in names:
        if is_number(_icc_of(row)[0]):
            rows.append((row["title"], [_mark(*_icc_of(row), colours[row["extractor"]], row["title"])]))
    if rows:
        label = "Mean ICC(2,1): " + _and([marks[0].words for _, marks in rows])
        panels.append(("Agreement of features", intervals(label, rows, (0, 1), "mean ICC(2,1)", PANEL_PX)))
    tests = unseen_values(tables, facts)
    shown = in_order({name for _, values in tests for name in values}, known)
    if tests:
        colours = extractor_colours(shown, facts)
        rows = [
            (words, [_mark(values[name]["mean"], values[name]["ci_low"], values[name]["ci_high"], colours[name],
                           title_of(name, known)) for name in shown if name in values])
            for words, values in tests
        ]  # fmt: skip
        least = min(min(mark.value, mark.value if mark.low is None else mark.low) for _, own in rows for mark in own)
        low = max(0.0, math.floor(least * 10) / 10)
        word = phantom_of(facts).class_word
        label = f"Accuracy of the {word}: " + "; ".join(f"{w}, {_and([m.words for m in own])}" for w, own in rows)
        panels.append((f"Accuracy of the {word}", intervals(label, rows, (low, 1), "accuracy", PANEL_PX)))
    if not panels:
        return None
    keys = legend([(title_of(name, known), colour) for name, colour in colours.items()]) if colours else ""
    parts = [Markup('<div><p class="panel">{}</p>{}</div>').format(title, drawn) for title, drawn in panels]
    return Markup('<div class="panels">{}</div>{}').format(Markup("").join(parts), keys)


BEFORE_COLOUR = "#8A8A8A"


BESIDE = ("tissue_n1", "tissue_n2", "tissue_n_most", "tissue_other_dose", "tissue_other_recon", "tissue_other_roi",
          "tissue_other_maker")  # fmt: skip
"""Scores of what was not trained on, which the page of a method shows before and after."""


def score_pairs(scores: pd.DataFrame, facts: dict) -> dict[str, list[tuple[str, list[Mark]]]]:
    """Return (words, [mark of `none`, mark of the method]) of each score of an extractor, on the rows that both have.

    `scores` are those of a method's scores.csv. A method may lack trainings, and scans that others adapt to are not
    tested, so that the tables of `none` may be of other rows.
    """
    words, found = phantom_of(facts).words, {}
    for extractor in dict.fromkeys(scores["extractor"]):
        own = scores[scores["extractor"] == extractor]
        for name in BESIDE:
            cell = own[own["score"] == name]
            whole = cell[(cell["part"] == WHOLE) & cell["value"].notna()]
            if whole.empty:
                continue
            kind, ends = read_scores()[name].kind, {}
            for column in ("value_none", "value"):
                units = cell[(cell["part"] == OF) & cell[column].notna()]
                ends[column] = score_interval(float(whole[column].iloc[0]), units[column], units["part"], kind)
            marks = [
                _mark(whole[column].iloc[0], *ends[column], colour, said)
                for column, colour, said in (
                    ("value_none", BEFORE_COLOUR, "before"),
                    ("value", MANY_COLOURS[0], "after"),
                )
            ]
            found.setdefault(extractor, []).append((words(read_scores()[name].label), marks))
    return found


def before_and_after(
    tables: dict[str, pd.DataFrame], plain: dict[str, pd.DataFrame], facts: dict, scores: pd.DataFrame | None = None
) -> dict | None:
    """Return `text` and `picture` of what a method changed: values without harmonization in gray, its own in colour.

    None where there is nothing to compare. `plain` are the tables without harmonization; accuracies are those of the
    method's `scores` where it has any, which are on the same test rows as those of `none` beside them.
    """
    told, panels = [], []
    between = [_between(found) for found in (plain, tables)]
    if all(map(is_number, between)):
        told.append(f"RMSE between two scanners {number(between[0], 1)} HU before, {number(between[1], 1)} HU after")
    known = extractors_of(facts)
    stable = [_stable_values(found, facts) for found in (plain, tables)]
    rows = _paired(stable)
    if rows:
        told.append("mean ICC(2,1) " + "; ".join(f"{name} {_change(marks)}" for name, marks in rows))
        label = "Mean ICC(2,1) before and after: " + "; ".join(f"{name} {_change(marks)}" for name, marks in rows)
        panels.append(("Agreement of features", intervals(label, rows, (0, 1), "mean ICC(2,1)", PANEL_PX)))
    paired = _table_pairs(tables, plain, facts) if scores is None else score_pairs(scores, facts)
    for name in in_order(paired, known):
        rows = paired[name]
        if rows:
            least = min(
                min(mark.value, mark.value if mark.low is None else mark.low) for _, own in rows for mark in own
            )
            low = max(0.0, math.floor(least * 10) / 10)
            title = f"Accuracy of the {phantom_of(facts).class_word}, {extractor_title(name, facts)}"
            label = f"{title}, before and after: " + "; ".join(f"{words} {_change(own)}" for words, own in rows)
            panels.append((title, intervals(label, rows, (low, 1), "accuracy", PANEL_PX)))
    if not panels and not told:
        return None
    parts = [Markup('<div><p class="panel">{}</p>{}</div>').format(title, drawn) for title, drawn in panels]
    keys = legend([("without harmonization", BEFORE_COLOUR), (f"method {facts['method']}", MANY_COLOURS[0])])
    words = "; ".join(told)
    text = f"{words[:1].upper()}{words[1:]}." if words else ""
    return {"text": text, "picture": Markup('{}<div class="panels">{}</div>').format(keys, Markup("").join(parts))}


def _table_pairs(
    tables: dict[str, pd.DataFrame], plain: dict[str, pd.DataFrame], facts: dict
) -> dict[str, list[tuple[str, list[Mark]]]]:
    """Accuracies on what was not trained on, of each extractor, from the tables of both."""
    seen = [dict(unseen_values(found, facts)) for found in (plain, tables)]
    found = {}
    for name in {name for values in seen for rows in values.values() for name in rows}:
        pairs = [{words: values[words][name] for words in values if name in values[words]} for values in seen]
        found[name] = _paired([{w: (v["mean"], v["ci_low"], v["ci_high"]) for w, v in of.items()} for of in pairs])
    return found


def _between(tables: dict[str, pd.DataFrame]) -> float:
    frame, column = tables.get(RMSE.table), f"{RMSE.name}_mean"
    return between_and_within(frame[frame[column].notna()], column)[0] if frame is not None else math.nan


def _stable_values(tables: dict[str, pd.DataFrame], facts: dict) -> dict[str, tuple]:
    table7 = tables.get(TABLE_7)
    rows = _rows_of(table7, facts) if table7 is not None else []
    return {row["title"]: _icc_of(row) for row in rows if is_number(_icc_of(row)[0])}


def _paired(found: list[dict[str, tuple]]) -> list[tuple[str, list[Mark]]]:
    """Rows that both have, each with the mark before and the one after."""
    before, after = found
    return [
        (name, [_mark(*before[name], BEFORE_COLOUR, "before"), _mark(*values, MANY_COLOURS[0], "after")])
        for name, values in after.items()
        if name in before
    ]


def _change(marks: list[Mark]) -> str:
    return f"{number(marks[0].value, DIGITS)} before, {number(marks[1].value, DIGITS)} after"
