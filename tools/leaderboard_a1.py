#!/usr/bin/env python3
"""Make the leaderboard of the authors' published features of scanner A1, dose x reconstruction in place of scanners.

    .venv/bin/python tools/leaderboard_a1.py table <published CSV> --output <table>
    .engine/nextflow run . --features <table> --methods all --outdir <results>
    .venv/bin/python tools/leaderboard_a1.py page <results>

The first makes a table of features whose ten scanners are the doses and reconstructions of A1, each with ten
repetitions; the last prints the tables of docs/real-numbers.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests")]

from published_a1 import read_published  # noqa: E402

from ct4bench.core.benchmark import NO_METHOD  # noqa: E402
from ct4bench.core.tables import read_table, write_table  # noqa: E402
from ct4bench.leaderboard.score_list import PRIMARY, read_scores  # noqa: E402

SHOWN = (
    "tissue_n1", "tissue_n_most", "tissue_unbalanced", "icc_2_1", "icc_3_1", "domain_linear", "domain_nonlinear",
    "mixing", "variance_explained", "discriminability", "repeatability", "content",
)  # fmt: skip
"""Scores of the second table, fitted on all rows or in each fold."""


def table_of_domains(published: Path | str) -> pd.DataFrame:
    """Read the published features with dose and reconstruction as the scanner: `1mGy_FBP`, its scans its own."""
    table = read_published(published)
    scanner = [f"{dose:g}mGy_{recon}" for dose, recon in zip(table["dose_mgy"], table["recon"], strict=True)]
    scans = [f"{name}_{number:02d}" for name, number in zip(scanner, table["repetition"], strict=True)]
    return table.assign(scanner=scanner, scan_id=scans)


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def ranks_table(board: pd.DataFrame) -> str:
    """Return the ranks as Markdown: the score that ranks, by level of information."""
    rows = board[board["score"] == PRIMARY]
    heads = ("method", "may see", "rank (resampled)", "accuracy", "less none (95 % interval)", "p, Holm", "in words")
    lines = [_line(heads), _line(["---"] * len(heads))]
    for row in rows.itertuples():
        low, high = row.difference_ci_low, row.difference_ci_high
        ends = f" ({low:+.3f} to {high:+.3f})" if np.isfinite(low) else ""
        rank = (
            f"{row.rank:g} ({row.rank_low:g} to {row.rank_high:g})"
            if np.isfinite(row.rank)
            else row.role.replace("method", "")
        )
        why = "" if row.role in ("control", "oracle", "leaky") else row.reason
        words = "; ".join(filter(None, (row.verdict, "content lost" if row.content_lost else "", why)))
        lines.append(_line((
            f"`{row.method}`", row.information, rank, _number(row.raw),
            f"{row.difference:+.3f}{ends}" if np.isfinite(row.difference) else "",
            f"{row.p_holm:.2g}" if np.isfinite(row.p_holm) else "", words,
        )))  # fmt: skip
    return "\n".join(lines)


def scores_table(board: pd.DataFrame) -> str:
    """Return the other scores as Markdown, a line for each method."""
    own = board[(board["fit"] != "apart") & board["score"].isin(SHOWN)]
    wide = own.pivot(index="method", columns="score", values="raw")
    labels = [read_scores()[name].label for name in SHOWN]
    lines = [_line(["method", *labels]), _line(["---"] * (len(SHOWN) + 1))]
    for method in sorted(wide.index, key=lambda name: (name != NO_METHOD, name)):
        lines.append(_line([f"`{method}`", *(_number(wide.loc[method].get(name, np.nan), 2) for name in SHOWN)]))
    return "\n".join(lines)


def main(argv=None):
    """Make the table, or print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("table", help="the table of features")
    make.add_argument("published", type=Path, help="radiomics_features.csv of the authors' repository")
    make.add_argument("--output", required=True, type=Path, help="table of features, Parquet")
    show = commands.add_parser("page", help="the tables of docs/real-numbers.md")
    show.add_argument("results", type=Path, help="folder of results")
    args = parser.parse_args(argv)
    if args.command == "table":
        write_table(table_of_domains(args.published), args.output)
        return
    board = read_table(args.results / "leaderboard.csv")
    print(f"{ranks_table(board)}\n\n{scores_table(board)}")


if __name__ == "__main__":
    main()
