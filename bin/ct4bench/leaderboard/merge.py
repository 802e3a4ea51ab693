"""Results of several runs in one leaderboard: they must be of the same data, splits, contract and versions."""

from pathlib import Path

import pandas as pd


def comparison_of(
    features: dict[str, pd.DataFrame], splits: pd.DataFrame, settings: dict, versions: dict[str, str]
) -> dict:
    """Return the contents of comparison.json: what two runs must share for their methods to be compared.

    `features` are the tables of `none` by extractor, `splits` the rows of splits.csv of `none`, `settings` what else
    decides a score (mode, domain, harmonize_by, seed, trained doses …: plain values), `versions` those of the bundle
    and of packages. Rows, names and splits go in as SHA-256; values as mean and SD of every feature, which another kind
    of machine repeats to its last digits only and which are compared to 1e-6 of the SD.
    """
    raise NotImplementedError


def differences_between(one: dict, other: dict) -> list[str]:
    """Return what two comparison.json differ in, a sentence each; empty where their methods can be compared."""
    raise NotImplementedError


def merge_leaderboards(folders: list[Path | str], seed: int = 0) -> dict[str, pd.DataFrame]:
    """Merge the results of several runs into one leaderboard: `UserError` naming what differs.

    Each folder is one of results: comparison.json, methods.csv, and `<method>/scores.csv` of each method. `none` and
    controls that several runs have must have the same scores. Returns the tables by file name.
    """
    raise NotImplementedError
