"""The leaderboard: each method and score, raw and scaled, with its difference to `none`; ranks by one score.

Frames in, frames out. Ranks are by the score that is declared before a run (`score_list.PRIMARY`), among methods of one
feature set and one level of information; everything else stands beside them.
"""

# code-table: leaderboard.csv
# code-table: leaderboard_makers.csv

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.contract import columns_of
from ct4bench.core.intervals import CHANGE, PLAIN, SHARE, jackknife_interval
from ct4bench.leaderboard.accuracies import NO_SUCH, NOT_TRAINED, unit_of
from ct4bench.leaderboard.content import LEAST_CONTENT
from ct4bench.leaderboard.score import ALL_ROWS, CHANCE, CHANCE_HIGH, OF, WHOLE, WITHOUT
from ct4bench.leaderboard.score_list import PRIMARY, Score, read_scores
from ct4bench.leaderboard.statistics import (
    holm,
    left_out_effects,
    rank_stability,
    ranks,
    scaled,
    sign_flip_interval,
    sign_flip_p,
    verdict,
)

METHOD, CONTROL, ORACLE, OUTSIDE, LEAKY = ROLES = ("method", "control", "oracle", "outside", "leaky")
"""What a row is: a method, a control (`none` is one), an oracle, a result that was fitted elsewhere, and one that was
fitted on all rows before splitting. Methods are ranked, and results that were fitted elsewhere, apart from them."""
OUTSIDE_WORDS = "fitted outside: what it has seen is not known"
INFORMATION = ("inductive", "calibration", "transductive", "labels", OUTSIDE_WORDS)
"""Levels of information in the order of tables; that of what was fitted elsewhere is not known."""
METHOD_COLUMNS = ["method", "role", "level", "information", "reason"]
"""What ranks need of methods.csv: a method's name (`combat`, `combat.mean_only`), role (`ROLES`), level (image,
feature), information (`INFORMATION`), and why it has no result (`not applicable: …`, `failed: …`; blank where it has
one)."""
COLUMNS = columns_of("leaderboard.csv")
MAKER_COLUMNS = columns_of("leaderboard_makers.csv")
TRAINED = ("released", "user", "")
"""Status of weights that may be ranked."""
CELL = ["extractor", "score", "fit"]
"""What the values of one method stand for."""
NO_RESULT = "no result"
NO_SCALE = "not scaled: the controls have other test rows"


def titles_of(methods: pd.DataFrame) -> dict[str, str]:
    """Return the title of each method of methods.csv, with its name where another one has the same title or it has
    none."""
    titles = {row["method"]: str(row["title"] or row["method"]) for row in methods.to_dict("records")}
    shared = pd.Series(titles, dtype=object).str.casefold().duplicated(keep=False)
    return {name: f"{title} ({name})" if shared[name] else title for name, title in titles.items()}


def make_leaderboard(
    scores: pd.DataFrame, methods: pd.DataFrame, *, weights: dict[str, str] | None = None, seed: int = 0,
    domain: str = "scanner", extractors: list[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return leaderboard.csv: a row for each extractor, score and method, and one of the score that ranks for a method
    without a result.

    `scores` are the rows of all methods' scores.csv with a column `method`; `methods` has a row for each method
    (`METHOD_COLUMNS`). `none` and controls are among them: what scales a score is looked up there. `weights` is the
    status of extractors' weights: those that are not trained ones (`random`, `stand-in`) are never ranked. `seed` is
    that of the resampling of scanners, `domain` what the units of scores are, `extractors` their order (by name without
    it).
    """
    marks = {name: status for name, status in (weights or {}).items() if status not in TRAINED}
    known = read_scores()
    order = extractors or sorted(set(scores["extractor"]) - {""})
    about = methods.set_index("method").to_dict("index")
    lost = content_lost(scores)
    wholes = scores[scores["part"] == WHOLE].set_index([*CELL, "method"])[["value", "n_rows"]]
    cells = dict(list(scores.groupby([*CELL, "method"], sort=False)))
    rows = []
    for (extractor, score, fit, method), cell in cells.items():
        if score in known and method in about:
            named = {"extractor": extractor, "score": score, "fit": fit, "method": method}
            row = named | about[method] | _row(cell, known[score], wholes, domain)
            own = _why(about[method]["reason"], str(cell.loc[cell["part"] == WHOLE, "reason"].iloc[0]))
            row["reason"] = "; ".join(filter(None, (own, row["reason"])))
            row["content_lost"] = lost.get((extractor, method), "")
            rows.append(row | {"weights": marks.get(extractor, "")})
    ranked = {(row["extractor"], row["method"]) for row in rows if row["score"] == PRIMARY}
    for method, told in about.items():
        for extractor in order:
            if (extractor, method) not in ranked:
                reason = told["reason"] or NO_RESULT
                named = {"extractor": extractor, "score": PRIMARY, "fit": "fold", "method": method}
                rows.append(named | told | {"reason": reason, "weights": marks.get(extractor, "")})
    board = pd.DataFrame(rows, columns=COLUMNS)
    texts = [name for name in ("content_lost", "weights", "reason", "verdict", "ci_unit") if name in board]
    board[texts] = board[texts].astype(object).where(board[texts].notna(), "")
    board["n_ci_units"] = board["n_ci_units"].fillna(0).astype(np.int64)
    numbers = board.columns.difference([*texts, "n_ci_units", *CELL, "method", "role", "level", "information"])
    board[numbers] = board[numbers].astype(np.float64)
    board = _ranked(board, unit_differences(scores), seed)
    return _sorted(board, order, list(known))


def _why(of_method: str, of_score: str) -> str:
    """Reasons together; that classifiers have nothing of a method says no more than why the method has no result."""
    missing = of_method and (of_score in (NO_SUCH, NOT_TRAINED) or of_score in of_method)
    return "; ".join(filter(None, (of_method, "" if missing else of_score)))


def _row(cell: pd.DataFrame, score: Score, wholes: pd.DataFrame, domain: str) -> dict:
    """Values of one method's score, without ranks."""
    whole = cell[cell["part"] == WHOLE].iloc[0]
    raw, of_none = float(whole["value"]), float(whole["value_none"])
    units = cell[cell["part"].isin([OF, WITHOUT])]
    units = units[np.isfinite(units["value"])]
    row = {"raw": raw, "value_none": of_none, "difference": raw - of_none}
    row |= {"ci_unit": unit_of(score.score, domain), "n_ci_units": len(units)}
    notes = [_fewer_rows(whole, wholes) if score.trained else ""]
    values, others = (units[name].to_numpy(float) for name in ("value", "value_none"))
    row |= dict(zip(("raw_ci_low", "raw_ci_high"), score_interval(raw, values, units["part"], score.kind), strict=True))
    if np.isfinite(row["difference"]) and np.isfinite(others).all() and len(units):
        ends = _difference_interval(row["difference"], values - others, units["part"], score.kind)
        row |= dict(zip(("difference_ci_low", "difference_ci_high"), ends, strict=True))
    anchors = [_anchor(name, whole, wholes) for name in (score.zero, score.one)]
    row["scaled"] = scaled(raw, *(value for value, _ in anchors))
    if score.trained and np.isfinite(row["scaled"]) and any(n != whole["n_rows"] for _, n in anchors):
        row["scaled"] = np.nan
        notes.append(NO_SCALE)
    row["reason"] = "; ".join(filter(None, notes))
    for part in (CHANCE, CHANCE_HIGH):
        found = cell.loc[cell["part"] == part, "value"]
        row[part] = float(found.iloc[0]) if len(found) else np.nan
    return row


def _fewer_rows(whole: pd.Series, wholes: pd.DataFrame) -> str:
    """Say where a method lacks trainings that `none` has, so that its score does not compare with that of `none`; blank
    where it has all."""
    key = (*whole[CELL], NO_METHOD)
    if not np.isfinite(whole["value"]) or key not in wholes.index:
        return ""
    of_none, n = wholes.loc[key, "value"], wholes.loc[key, "n_rows"]
    if not np.isfinite(of_none) or n == whole["n_rows"]:
        return ""
    return f"on {whole['n_rows']} of the {n} test rows of {NO_METHOD}, which has {whole['value_none']:.3f} on these"


def _anchor(name: str, whole: pd.Series, wholes: pd.DataFrame) -> tuple[float, int]:
    """What pins an end of the scale, and its number of rows: a number, `none` on the same rows, or a control of the run
    (fitted on all rows, where it has no other fit), `shuffled (tissue_n2)` by another score; NaN where it is not
    there."""
    if name == NO_METHOD:
        return float(whole["value_none"]), whole["n_rows"]
    try:
        return float(name), whole["n_rows"]
    except ValueError:
        pass
    method, _, other = name.removesuffix(")").partition(" (")
    for fit in (whole["fit"], ALL_ROWS):
        key = (whole["extractor"], other or whole["score"], fit, method)
        if key in wholes.index:
            return float(wholes.loc[key, "value"]), wholes.loc[key, "n_rows"]
    return np.nan, 0


def _left_out(values: np.ndarray, parts: pd.Series) -> np.ndarray:
    """The whole without each unit: as it was measured, or the mean of the other units."""
    if (parts == WITHOUT).all():
        return values
    n = len(values)
    return (values.sum() - values) / (n - 1) if n > 1 else np.empty(0)


def score_interval(whole: float, values: pd.Series, parts: pd.Series, kind: str) -> tuple[float, float]:
    """Return the 95 % interval of a score over its units, from the `values` of each unit or without it (`parts`); NaN
    where it has none."""
    return jackknife_interval(whole, [_left_out(np.asarray(values, float), parts)], kind)


def _difference_interval(
    difference: float, differences: np.ndarray, parts: pd.Series, kind: str
) -> tuple[float, float]:
    """Interval of a difference to `none`: exact over values of units, by the jackknife over values without them."""
    if (parts == OF).all():
        return sign_flip_interval(differences)
    return jackknife_interval(difference, [differences], CHANGE if kind == SHARE else PLAIN)


def unit_differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the differences to `none` of the score that ranks: a row for each extractor and method, a column for each
    unit (scanner), NaN where it has none."""
    own = scores[(scores["score"] == PRIMARY) & (scores["part"] == OF)]
    own = own.assign(change=own["value"] - own["value_none"])
    return own.pivot(index=["extractor", "method"], columns="unit", values="change")


def content_lost(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return why the content of a method's features counts as lost, by extractor and method; those that keep it are
    left out.

    The spread within tissues is less than a tenth of that of `none`, or rows equal rows of other series that did not in
    `none` (docs/statistics.md).
    """
    own = scores[(scores["part"] == WHOLE) & scores["score"].isin(["content", "verbatim"])]
    found: dict[tuple[str, str], list[str]] = {}
    for row in own.sort_values(["score", "fit"]).itertuples():
        words = ""
        if row.score == "content" and row.value < LEAST_CONTENT:
            words = f"{row.value:.2g} of the spread within tissue is left"
        if row.score == "verbatim" and row.value > row.value_none:
            words = f"{row.value - row.value_none:.1%} of the rows are rows of another series"
        if words and words not in found.setdefault((row.extractor, row.method), []):
            found[row.extractor, row.method].append(words)
    return {key: "; ".join(words) for key, words in found.items() if words}


def not_ranked(row: pd.Series, units: int, most: int) -> str:
    """Return why a row of the score that ranks takes part in no rank; blank where it does.

    `units` and `most` are the units that it and the most complete row beside it have.
    """
    if row["role"] not in (METHOD, OUTSIDE) or row["information"] == "labels" or row["method"] == NO_METHOD:
        return "not ranked: shown beside methods"
    if row["weights"]:
        return f"not ranked: {row['weights']} weights"
    if not np.isfinite(row["difference"]):
        return row["reason"] or NO_RESULT
    return f"not ranked: {units} of {most} values" if units < most else ""


def _ranked(board: pd.DataFrame, differences: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The board with p, ranks and verdicts in the rows of the score that ranks."""
    board = board.copy()
    outside = board["role"] == OUTSIDE
    primary = board[board["score"] == PRIMARY].groupby(["extractor", "information", outside], sort=True)
    for (extractor, _, apart), rows in primary:
        found = differences.reindex([(extractor, method) for method in rows["method"]])
        counts = found.notna().sum(axis=1).to_numpy()
        reasons = [not_ranked(row, n, counts.max()) for (_, row), n in zip(rows.iterrows(), counts, strict=True)]
        board.loc[rows.index, "reason"] = [
            reason if reason == own else "; ".join(filter(None, (own, reason)))
            for own, reason in zip(rows["reason"], reasons, strict=True)
        ]
        chosen = np.array([not reason for reason in reasons])
        if not chosen.any():
            continue
        own = found[chosen].dropna(axis=1, how="all").to_numpy()
        where = rows.index[chosen]
        effects, p = own.mean(axis=1), np.array([sign_flip_p(row) for row in own])
        adjusted = holm(p)
        low, high = rank_stability(own, seed)
        board.loc[where, ["p", "p_holm", "rank", "rank_low", "rank_high"]] = np.stack(
            [p, adjusted, ranks(effects), low, high], axis=1
        )
        words = [verdict(effect, q, own.shape[1]) for effect, q in zip(effects, adjusted, strict=True)]
        board.loc[where, "verdict"] = [OUTSIDE_WORDS] * len(words) if apart else words
    return board


def _sorted(board: pd.DataFrame, extractors: list[str], scores: list[str]) -> pd.DataFrame:
    """Rows by extractor, score, fit, information and role; the best rank, then the largest difference, comes first."""

    def place(names, values: pd.Series) -> pd.Series:
        numbers = {name: number for number, name in enumerate(names)}
        return values.map(lambda value: numbers.get(value, len(numbers)))

    keys = pd.DataFrame(
        {
            "extractor": place(["", *extractors], board["extractor"]),
            "score": place(scores, board["score"]),
            "fit": board["fit"],
            "information": place(INFORMATION, board["information"]),
            "role": place(ROLES, board["role"]),
            "rank": board["rank"].fillna(np.inf),
            "difference": -board["difference"].fillna(-np.inf),
            "method": board["method"],
        }
    )
    return board.loc[keys.sort_values(list(keys), kind="stable").index].reset_index(drop=True)[COLUMNS]


def maker_effects(scores: pd.DataFrame, methods: pd.DataFrame, makers: dict[str, str]) -> pd.DataFrame:
    """Return leaderboard_makers.csv: the mean difference to `none` of the score that ranks without the scanners of each
    maker.

    `makers` gives the maker of each unit (scanner); methods are those of `methods` that have the score. Effects, not
    tests.
    """
    information = methods.set_index("method")["information"]
    rows = []
    for (extractor, method), row in unit_differences(scores).iterrows():
        if method == NO_METHOD or method not in information.index:
            continue
        known = row.dropna()
        groups = np.array([makers[unit] for unit in known.index])
        for maker, (effect, n) in left_out_effects(known.to_numpy(), groups).items():
            rows.append((extractor, method, information[method], maker, n, effect))
    return pd.DataFrame(rows, columns=MAKER_COLUMNS)
