"""Whether a run can answer its questions, asked of the index before anything costs time."""

import pandas as pd

from ct4bench.core.errors import UserError


def check_domains(series: pd.DataFrame, domain: str, doses_mgy: list[float]) -> None:
    """`UserError` unless the series at `doses_mgy` have two values of `domain` at least: one cannot be left out.

    `series` are rows of series.csv; `domain` is one of its columns.
    """
    chosen = series[series["dose_mgy"].astype(float).isin(doses_mgy)]
    listed = ", ".join(f"{dose:g}" for dose in doses_mgy)
    if chosen.empty:
        there = ", ".join(f"{dose:g}" for dose in sorted(series["dose_mgy"].astype(float).unique()))
        raise UserError(
            f"no accepted series is at {listed} mGy, where features are extracted; the input has {there or 'no'} mGy: "
            "choose with --feature_doses"
        )
    values = sorted(chosen[domain].astype(str).unique())
    if len(values) < 2:
        raise UserError(
            f"all {len(chosen)} accepted series at {listed} mGy have {domain} {values[0]}; leaving one out takes two "
            f"{domain} values: add series to --input, or compare another factor with --domain"
        )
