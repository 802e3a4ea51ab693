"""The leaderboard in the report: ranks, scores side by side, what makers change, and a card for each method."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD, scanner_rank
from ct4bench.core.extractors import extractors_of, in_order, title_of
from ct4bench.core.regions import CT4HARMONIZATION, Phantom, phantom_of
from ct4bench.leaderboard.rank import OUTSIDE_WORDS, titles_of
from ct4bench.leaderboard.score_list import PRIMARY, read_scores
from ct4bench.report.cells import delta, number

DIGITS = 3
SAME = 1e-6
"""Scores of `none` on two sets of rows that differ by less are those of the same rows."""
FAILED = "failed"
ENDINGS = (FAILED, "not applicable")
"""How the reason begins of what a method was asked for and has not."""
ALL = "any result"
FIT_TITLES = {"fold": "fitted in each fold", "all": "fitted on all rows", "apart": "each scanner by a fit without it"}
"""What a method was fitted on for a score, in words, in the order of the page."""
LEVEL_WORDS = {
    "inductive": "inductive: rows of the training domains",
    "transductive": "transductive: also unlabelled rows of half of the target's scans",
    "calibration": "calibration: also some scans of the target, and which rows are the same patch",
    "labels": "labels: tissues, too; never ranked",
    OUTSIDE_WORDS: OUTSIDE_WORDS,
}
ARROWS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}"}
THIRTEEN = (
    "The unit is the scanner: {n} of them here, of {makers} makers. With thirteen scanners, after correction for "
    "eleven methods, a paired difference of 1.5 SD is found in 93 % of cases and one of 1 SD in 54 %; with "
    "fewer than six no p can be below 0.05. Scanners of one maker are alike: where makers share an effect, "
    "noise alone helps in 28 to 54 % of cases (docs/statistics.md), so that nothing is said of other makers, and "
    "beside each rank stands what is left without the scanners of one (an effect, not a test). N of all other "
    "scanners and ten folds are near 1 for everything, and rank nothing. The range beside a rank is over scanners "
    "that are drawn anew, with one seed of all trainings; what another seed moves, several runs tell together "
    "(merge_leaderboards.py --over_seeds)."
)


@dataclass(frozen=True)
class Board:
    """What the leaderboard of a run is made of; figures are as `write.read_figures` gives them."""

    scores: pd.DataFrame
    """leaderboard.csv."""
    methods: pd.DataFrame
    """methods.csv."""
    makers: pd.DataFrame
    """leaderboard_makers.csv."""
    figures: dict = field(default_factory=dict)


def _ends(row: dict, name: str, signed: bool = False) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    write = delta if signed else number
    return f"{write(low, DIGITS)} to {write(high, DIGITS)}" if pd.notna(low) and pd.notna(high) else ""


def _rank_words(row: dict) -> str:
    if pd.isna(row["rank"]):
        return {"control": "control", "oracle": "oracle", "leaky": "leaky"}.get(row["role"], "not ranked")
    return number(row["rank"])


def _stability_words(row: dict) -> str:
    if pd.isna(row["rank_low"]) or pd.isna(row["rank"]):
        return ""
    return f"{number(row['rank_low'])} to {number(row['rank_high'])}"


def score_head(name: str, words: Callable[[str], str] = CT4HARMONIZATION.words) -> str:
    """Return the head of a score's column in a phantom's words, with an arrow to where it is better."""
    score = read_scores()[name]
    return f"{words(score.label)} {ARROWS.get(score.direction, '')}".strip()


def _head(method: str, titles: dict[str, str], pages: dict[str, str]) -> dict[str, str]:
    """The head of a method's line: its title, its name where that is another, and its page."""
    title = titles.get(method, method)
    own = title.removesuffix(f" ({method})")
    return {"head": own, "name": "" if own.casefold() == method else method, "page": pages.get(method, "")}


def rank_table(
    rows: pd.DataFrame,
    titles: dict[str, str],
    words: Callable[[str], str] = CT4HARMONIZATION.words,
    pages: dict[str, str] | None = None,
) -> dict:
    """Return the cells of the ranks of one feature set: the primary score of each method, by level of information.

    `pages` are the addresses of the methods' pages.
    """
    own = rows[rows["score"] == PRIMARY]
    levels = list(LEVEL_WORDS)
    keyed = own.assign(
        first=(own["method"] != NO_METHOD).astype(int),
        level_=[levels.index(name) if name in levels else len(levels) for name in own["information"]],
        place=own["rank"].fillna(1e9),
    ).sort_values(["first", "level_", "place", "method"], kind="stable")
    lines = []
    for row in keyed.to_dict("records"):
        said = [text for text in (row["verdict"], row["content_lost"], row["reason"]) if isinstance(text, str) and text]
        cells = [
            {"main": row["information"], "left": True},
            {"main": _rank_words(row), "note": _stability_words(row)},
            {"main": number(row["raw"], DIGITS), "range": _ends(row, "raw_ci")},
            {"main": delta(row["difference"], DIGITS) or number(row["difference"], DIGITS),
             "range": _ends(row, "difference_ci", signed=True)},
            {"main": number(row["p_holm"], DIGITS)},
            {"main": number(row["scaled"], 2)},
            {"main": "; ".join(said), "left": True},
        ]  # fmt: skip
        head = _head(row["method"], titles, pages or {})
        lines.append({**head, "cells": cells, "strong": row["method"] == NO_METHOD})
    columns = ["Method", "May see", "Rank, and under resampling", score_head(PRIMARY, words),
               "less none", "p (Holm)", "Scaled", "In words"]  # fmt: skip
    return {"columns": columns, "rows": lines, "kind": "grid"}


def on_other_rows(row: dict, none: dict[str, float]) -> bool:
    """Return whether a score of classifiers does not compare with that of `none` in its own line, since the method
    lacks trainings that `none` has, or `none` has no line of it; `none` are its raw scores."""
    if not read_scores()[row["score"]].trained or pd.isna(row["value_none"]):
        return False
    own = none.get(row["score"])
    return own is None or pd.isna(own) or abs(row["value_none"] - own) > SAME


def _beside_none(row: dict) -> str:
    """The score of `none` on the rows of a method, and the difference to it."""
    change = delta(row["difference"], DIGITS) or number(row["difference"], DIGITS)
    return f"none there {number(row['value_none'], DIGITS)}: {change}"


def score_table(
    rows: pd.DataFrame,
    titles: dict[str, str],
    words: Callable[[str], str] = CT4HARMONIZATION.words,
    pages: dict[str, str] | None = None,
) -> dict | None:
    """Return the cells of all scores of one feature set with one fit: raw, below it scaled between controls; where a
    method lacks trainings that `none` has, what `none` has on the same rows, and the difference to it.

    Each line shows what its method may see. A score that no method has is left out. `why` says of each reason which
    methods have no value, or lack trainings.
    """
    known = rows[rows["raw"].notna()]
    scores = [name for name in read_scores() if name in set(known["score"])]
    if not scores:
        return None
    lines = []
    of_none = rows[rows["method"] == NO_METHOD].set_index("score")["raw"].to_dict()
    why: dict[tuple[str, str], list[str]] = {}
    # what all are held against stands first
    for method in sorted(dict.fromkeys(rows["method"]), key=lambda name: name != NO_METHOD):
        own = rows[rows["method"] == method].set_index("score", drop=False)
        cells = [{"main": own["information"].iloc[0], "left": True}]
        for name in scores:
            row = own.loc[name] if name in own.index else None
            reason = "" if row is None else str(row["reason"])
            if row is None or pd.isna(row["raw"]):
                ending = next((words for words in ENDINGS if reason.startswith(words)), "")
                cells.append({"main": number(None), "title": reason, "note": ending})
                why.setdefault((name, reason), []).append(titles.get(method, method))
                continue
            other = on_other_rows(row, of_none)
            told = [f"scaled {number(row['scaled'], 2)}"] if pd.notna(row["scaled"]) else []
            told += (
                [f"chance {number(row['chance'], 2)} to {number(row['chance_high'], 2)}"]
                if pd.notna(row["chance"])
                else []
            )
            cell = {"main": number(row["raw"], DIGITS), "note": "; ".join(told)}
            cells.append(cell | ({"delta": _beside_none(row), "title": reason} if other else {}))
            if other:
                why.setdefault((name, reason), []).append(titles.get(method, method))
        lines.append({**_head(method, titles, pages or {}), "cells": cells, "strong": method == NO_METHOD})
    columns = ["Method", "May see", *(score_head(name, words) for name in scores)]
    told = [
        {"name": words(read_scores()[name].label), "methods": ", ".join(methods), "reason": reason}
        for (name, reason), methods in sorted(why.items(), key=lambda item: scores.index(item[0][0]))
        if reason
    ]
    return {"columns": columns, "rows": lines, "kind": "grid", "why": told}


def maker_table(makers: pd.DataFrame, titles: dict[str, str], pages: dict[str, str] | None = None) -> dict | None:
    """Return the cells of the difference to none without the scanners of each maker, and what each method may see."""
    if makers.empty:
        return None
    names = sorted(set(makers["left_out"]))
    lines = []
    for method in dict.fromkeys(makers["method"]):
        own = makers[makers["method"] == method].set_index("left_out")
        cells = [{"main": own["information"].iloc[0], "left": True}] + [
            {
                "main": delta(own["difference"].get(name), DIGITS) or number(None),
                "n": number(own["n_ci_units"].get(name)),
            }
            for name in names
        ]
        lines.append({**_head(method, titles, pages or {}), "cells": cells})
    columns = ["Method", "May see", *(f"without {name}" for name in names)]
    return {"columns": columns, "rows": lines, "kind": "grid"}


def leak_words(rows: pd.DataFrame, titles: dict[str, str]) -> str:
    """Return the size of the leak of the method that was fitted on all rows before splitting, and what of it its
    variants have, too, that adapt to half of a target; blank without one."""
    own = rows[(rows["score"] == PRIMARY) & rows["raw"].notna()].set_index("method")
    parts = []
    for method in own.index[own["role"] == "leaky"]:
        of = method.rpartition(".")[0]
        if of not in own.index:
            continue
        leaky, honest = own.loc[method, "raw"], own.loc[of, "raw"]
        parts.append(
            f"Fitted on all rows before they are divided, {titles.get(of, of)} has {number(leaky, DIGITS)} in "
            f"place of {number(honest, DIGITS)}: a leak of {_change(leaky - honest)}."
        )
        same = own.index.str.partition(".").get_level_values(0) == of.partition(".")[0]
        adapts = own[same & (own["information"] == "transductive") & (own["role"] == "method")]
        if len(adapts):
            ordered = adapts["raw"].sort_values(ascending=False, kind="stable")
            found = " and ".join(f"{titles.get(name, name)} has {number(raw, DIGITS)}" for name, raw in ordered.items())
            parts.append(
                "Adaptation gives what a target has of its own by a rule that is kept: with half of the target's "
                f"scans, without classes, and tested on the others, {found}; beyond that the leak is "
                f"{_change(leaky - ordered.iloc[0])}."
            )
    return " ".join(parts)


def _change(value: float) -> str:
    return delta(value, DIGITS) or number(0, DIGITS)


def score_words(rows: pd.DataFrame, phantom: Phantom = CT4HARMONIZATION) -> list[dict[str, str]]:
    """Tell how each score of the page is computed, as it holds of a phantom, and where it comes from."""
    known, told = read_scores(), phantom.words
    shown = set(rows.loc[rows["raw"].notna(), "score"])
    words = {
        name: (told(score.meaning), told(score.formula), score.citation)
        for name, score in known.items()
        if name in shown
    }
    return [{"name": score_head(name, told), "words": "; ".join(filter(None, texts))} for name, texts in words.items()]


def lacking(board: Board, method: str, words: Callable[[str], str] = CT4HARMONIZATION.words) -> list[dict[str, str]]:
    """Return what a method was asked for and has not, with the reason: all of it, or scores by their heads.

    The reason of methods.csv comes first. A score that nobody asked for is left out.
    """
    whole = str(board.methods.set_index("method").loc[method, "reason"])
    own = board.scores[board.scores["method"] == method]
    found: dict[str, list[str]] = {whole: [] if own["raw"].notna().any() else [ALL]} if whole else {}
    for row in own[own["raw"].isna()].to_dict("records"):
        reason = str(row["reason"])
        if reason.startswith(ENDINGS) and row["score"] in read_scores() and found.get(whole) != [ALL]:
            key = whole if whole and reason.startswith(whole) else reason
            found.setdefault(key, []).append(words(read_scores()[row["score"]].label))
    return [{"name": "; ".join(dict.fromkeys(names)), "reason": reason} for reason, names in found.items()]


def board_view(board: Board, facts: dict, pages: dict[str, str] | None = None) -> dict:
    """Return the values of the leaderboard's part of the page; `pages` are the addresses of the methods' pages."""
    scores, titles = board.scores, titles_of(board.methods)
    known, sets, told = extractors_of(facts), [], phantom_of(facts).words
    for extractor in in_order({name for name in scores["extractor"] if name}, known):
        rows = scores[scores["extractor"] == extractor]
        tables = [
            {"title": f"{words[0].upper()}{words[1:]}", "table": table}
            for fit, words in FIT_TITLES.items()
            if (table := score_table(rows[rows["fit"] == fit], titles, told, pages))
        ]
        weights = next((str(name) for name in rows["weights"] if isinstance(name, str) and name), "")
        sets.append(
            {
                "id": extractor, "title": title_of(extractor, known), "weights": weights,
                "ranks": rank_table(rows, titles, told, pages), "scores": tables,
                "leak": leak_words(rows, titles),
                "makers": maker_table(board.makers[board.makers["extractor"] == extractor], titles, pages),
            }
        )  # fmt: skip
    failed = [
        {"name": titles[method], "of": one["name"], "reason": one["reason"]}
        for method, reason in zip(board.methods["method"], board.methods["reason"].astype(str), strict=True)
        for one in lacking(board, method, told)
        if one["reason"] == reason or one["reason"].startswith(FAILED)
    ]
    primary = scores[(scores["score"] == PRIMARY) & (scores["method"] == NO_METHOD)]
    n_scanners = int(scores.loc[scores["score"] == PRIMARY, "n_ci_units"].max()) if len(primary) else 0
    return {
        "sets": sets,
        "failed": failed,
        "words": score_words(scores, phantom_of(facts)),
        "levels": [told(words) for name, words in LEVEL_WORDS.items() if name in set(board.methods["information"])],
        "units": THIRTEEN.format(n=n_scanners, makers=max(board.makers["left_out"].nunique(), 1)),
    }  # fmt: skip


def method_card(
    board: Board,
    method: str,
    scores: pd.DataFrame | None,
    tables: dict[str, pd.DataFrame],
    none_tables: dict[str, pd.DataFrame],
    icc_form: str,
    words: Callable[[str], str] = CT4HARMONIZATION.words,
) -> dict:
    """Return what the page says of one method: what it declares, which scanners it helps and harms, what it did to each
    class of features by the ICC `icc_form`, that of the mode.

    `scores` are those of its scores.csv, `tables` its tables and those without harmonization by name; `words` are the
    phantom's.
    """
    row = board.methods[board.methods["method"] == method].iloc[0].to_dict()
    facts = [
        ("What it does", row["about"]),
        ("Level", row["level"]),
        ("May see", LEVEL_WORDS.get(row["information"], row["information"])),
        ("A domain that it was not fitted on", row["unseen"]),
        ("Learns from", row["learns"]),
        ("Held to it", row["enforced"]),
        ("Version", row["version"]),
        ("Licence", row["licence"]),
        ("Cite", row["citation"]),
    ]
    return {
        "facts": [(name, str(value).replace("_", " ")) for name, value in facts if isinstance(value, str) and value],
        "lacking": lacking(board, method, words),
        "scanners": None if scores is None or method == NO_METHOD else scanner_table(scores),
        "classes": None if method == NO_METHOD else class_table(tables, none_tables, icc_form),
        "icc_form": icc_form,
    }


def scanner_table(scores: pd.DataFrame) -> dict | None:
    """Return the cells of the primary score on each scanner, less that without harmonization."""
    own = scores[(scores["score"] == PRIMARY) & (scores["part"] == "of")]
    if own.empty:
        return None
    names, lines = sorted(set(own["unit"].astype(str)), key=scanner_rank), []
    for extractor in dict.fromkeys(own["extractor"]):
        rows = own[own["extractor"] == extractor].assign(unit=lambda table: table["unit"].astype(str)).set_index("unit")
        cells = []
        for name in names:
            if name not in rows.index:
                cells.append({"main": number(None)})
                continue
            value, other = rows.loc[name, ["value", "value_none"]]
            cells.append({"main": number(value, DIGITS), "delta": delta(value - other, DIGITS)})
        lines.append({"head": extractor, "cells": cells})
    return {"columns": ["Features", *names], "rows": lines, "kind": "grid"}


def class_table(tables: dict[str, pd.DataFrame], none_tables: dict[str, pd.DataFrame], icc_form: str) -> dict | None:
    """Return the cells of the mean ICC of each class of features, and what it is more than without harmonization."""
    name, keys = "stability_by_class", ["extractor", "feature_class"]
    if name not in tables or name not in none_tables:
        return None
    both = tables[name].merge(none_tables[name], on=keys, suffixes=("", "_none"))
    if both.empty:
        return None
    lines = [
        {
            "head": f"{row['extractor']}, {row['feature_class']}",
            "cells": [
                {
                    "main": number(row["icc_mean"], DIGITS),
                    "delta": delta(row["icc_mean"] - row["icc_mean_none"], DIGITS),
                },
                {"main": number(row["icc_mean_none"], DIGITS)},
                {"main": number(row["n_features"])},
            ],
        }
        for row in both.to_dict("records")
    ]
    return {
        "columns": ["Class of features", f"mean {icc_form}", "without harmonization", "features"],
        "rows": lines,
        "kind": "grid",
    }
