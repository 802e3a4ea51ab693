"""From the files of the methods of a run to what the leaderboard is computed of."""

from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.leaderboard.accuracies import CELLS, NO_SUCH, NOT_TRAINED, cell_of
from ct4bench.leaderboard.rank import LEAKY
from ct4bench.leaderboard.score import ALL_ROWS, NOT_APART, SCORE_COLUMNS, WHOLE
from ct4bench.splits.fold import NOT_TRIED
from ct4bench.splits.tasks import COMPARED_N, PAPERS_TASK

# code-table: methods.csv

WITHOUT_SCORES = "failed: no scores were made"
UNTRAINED_CELLS = CELLS | {"tissue_area": cell_of(PAPERS_TASK, "loso")}
"""Rows of untrained.csv that a score lacks."""
OF_MOST = ("tissue_n_most", "tissue_tenfold")
"""Scores whose rows there are known only where all of them are lacking."""


def _rows_of(folder: Path, name: str) -> pd.DataFrame:
    """Rows of a table of a method; empty where it has none."""
    path = folder / name
    return read_table(path) if path.is_file() else pd.DataFrame()


def first_reason(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Return the row that says why there is no result: the first of `rows`, or where these were left out after another
    one had failed, that one, of `others`."""
    first = rows[~rows["reason"].str.startswith(NOT_TRIED)]
    if first.empty:
        first = others[(others["reason"] != "") & ~others["reason"].str.startswith(NOT_TRIED)]
    return (first if len(first) else rows).iloc[0]


def ending_of(folder: Path) -> str:
    """Return why the method of a folder of results has no scores; blank where it has."""
    fits = _rows_of(folder, "harmonization.csv")
    if len(fits):
        whole = fits[(fits["fit"] == ALL_ROWS) & (fits["reason"] != "")]
        if len(whole):
            first = first_reason(whole, fits)
            of = f" (features {first['extractor']})" if first["extractor"] else ""
            return f"{first['status']}: {first['reason']}{of}"
    if not (folder / "scores.csv").is_file():
        return WITHOUT_SCORES
    untrained = _rows_of(folder, "untrained.csv")
    if len(untrained):
        own = cell_of(PAPERS_TASK, "loso", COMPARED_N)(untrained[untrained["ablation"] == "default"])
        if len(own):
            first = first_reason(own, untrained)
            return f"{first['status']}: {first['reason']} (N = {first['n_train']}, {_fold_words(first)})"
    return ""


def _fold_words(row: pd.Series) -> str:
    return f"{row['fold']} left out" if row["scheme"] == "loso" else f"fold {row['fold']}"


def told_reasons(scores: pd.DataFrame, folder: Path) -> pd.Series:
    """Return the reasons of a method's scores, where they point at untrained.csv or harmonization.csv with what stands
    there: of a score without a value, and of one that lacks some trainings."""
    untrained, fits = (_rows_of(folder, name) for name in ("untrained.csv", "harmonization.csv"))
    reasons = scores["reason"].astype(str).copy()
    if len(untrained):
        untrained = untrained[(untrained["classifier"] == "mlp") & (untrained["ablation"] == "default")]
    for number, row in scores[scores["part"] == WHOLE].iterrows():
        known = row["score"] in UNTRAINED_CELLS and (row["score"] not in OF_MOST or row["reason"] == NOT_TRAINED)
        if known and len(untrained):
            own = untrained[untrained["extractor"] == row["extractor"]]
            lacking = UNTRAINED_CELLS[row["score"]](own)
            if len(lacking):
                first = first_reason(lacking, own)
                told = "" if row["reason"] in (NO_SUCH, NOT_TRAINED) else row["reason"]
                reasons[number] = "; ".join(filter(None, (told, f"{first['status']}: {first['reason']}")))
        if row["reason"] == NOT_APART and len(fits):
            # a fit of volumes is of all feature sets
            own = fits[fits["extractor"].isin(["", row["extractor"]])]
            lacking = own[(own["fit"] != ALL_ROWS) & (own["reason"] != "")]
            if len(lacking):
                first = first_reason(lacking, own)
                reasons[number] = f"{first['status']}: {first['reason']} (fit without {first['fit']})"
    return reasons


def read_methods(declared: Path | str, results: Path | str) -> pd.DataFrame:
    """Return methods.csv: what the methods of a run declare, how they were held to it, and why one has no result."""
    table = read_table(declared, ["method", "role"])
    if not len(table) or table["method"].iloc[0] != NO_METHOD:
        raise UserError(f"{declared} does not begin with {NO_METHOD}, which all methods are compared with")
    folders = [Path(results) / name for name in table["method"]]
    table["enforced"] = [_enforced(folder) for folder in folders]
    table["reason"] = [ending_of(folder) for folder in folders]
    # what is made of another method's features has no reason of its own
    reasons = dict(zip(table["method"], table["reason"], strict=True))
    leaky = (table["role"] == LEAKY) & (table["reason"] == WITHOUT_SCORES)
    bases = [name.rpartition(".")[0] for name in table.loc[leaky, "method"]]
    table.loc[leaky, "reason"] = [
        f"{WITHOUT_SCORES}, as {name} has no features ({reasons[name]})" if reasons.get(name) else WITHOUT_SCORES
        for name in bases
    ]
    return table[columns_of("methods.csv")]


def _enforced(folder: Path) -> str:
    outcome = folder / "harmonization.csv"
    known = sorted({str(value) for value in read_table(outcome)["enforced"] if value}) if outcome.is_file() else []
    return known[0] if known else ""


def read_scores(methods: pd.DataFrame, results: Path | str) -> pd.DataFrame:
    """Read the scores of all methods, with the column `method` before those of scores.csv."""
    parts = []
    for name in methods["method"]:
        path = Path(results) / name / "scores.csv"
        if path.is_file():
            table = read_table(path, SCORE_COLUMNS)
            table["reason"] = told_reasons(table, path.parent)
            table.insert(0, "method", name)
            parts.append(table)
    if not parts:
        raise UserError("no method has scores")
    return pd.concat(parts, ignore_index=True)
