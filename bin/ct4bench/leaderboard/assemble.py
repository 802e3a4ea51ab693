"""From the files of the methods of a run to what the leaderboard is computed of."""

from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.leaderboard.score import ALL_ROWS, SCORE_COLUMNS
from ct4bench.splits.tasks import COMPARED_N, PAPERS_TASK

# code-table: methods.csv

WITHOUT_SCORES = "failed: no scores were made"


def ending_of(folder: Path) -> str:
    """Return why the method of a folder of results has no scores; blank where it has."""
    outcome = folder / "harmonization.csv"
    if outcome.is_file():
        fits = read_table(outcome)
        whole = fits[(fits["fit"] == ALL_ROWS) & (fits["reason"] != "")]
        if len(whole):
            return f"{whole['status'].iloc[0]}: {whole['reason'].iloc[0]} (features {whole['extractor'].iloc[0]})"
    if not (folder / "scores.csv").is_file():
        return WITHOUT_SCORES
    untrained = folder / "untrained.csv"
    if untrained.is_file():
        rows = read_table(untrained)
        cell = (rows["task"] == PAPERS_TASK) & (rows["ablation"] == "default") & (rows["scheme"] == "loso")
        rows = rows[cell & (rows["n_train"] == COMPARED_N)]
        if len(rows):
            first = rows.iloc[0]
            return f"{first['status']}: {first['reason']} (N = {COMPARED_N}, {first['fold']} left out)"
    return ""


def read_methods(declared: Path | str, results: Path | str) -> pd.DataFrame:
    """Return methods.csv: what the methods of a run declare, how they were held to it, and why one has no result."""
    table = read_table(declared, ["method", "role"])
    if not len(table) or table["method"].iloc[0] != NO_METHOD:
        raise UserError(f"{declared} does not begin with {NO_METHOD}, which all methods are compared with")
    folders = [Path(results) / name for name in table["method"]]
    table["enforced"] = [_enforced(folder) for folder in folders]
    table["reason"] = [ending_of(folder) for folder in folders]
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
            table.insert(0, "method", name)
            parts.append(table)
    if not parts:
        raise UserError("no method has scores")
    return pd.concat(parts, ignore_index=True)
