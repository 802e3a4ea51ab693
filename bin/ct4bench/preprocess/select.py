"""Which series is the reference: by scanner, dose and reconstruction, or by its UID."""

import difflib
import re
from collections.abc import Sequence

import pandas as pd

from ct4bench.core.benchmark import recon_rank, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.index.files import folders_of

GRAMMAR = re.compile(
    r"(?P<scanner>\S.*?)\s+(?P<dose>\d+(?:\.\d+)?)\s*mGy\s+(?P<recon>\S+?)(?:\s*#\s*(?P<repetition>\d+))?"
)
FORM = "'SCANNER DOSEmGy RECON [#REPETITION]', as in 'A1 10mGy IR #1', or a series UID"


def name_of(row) -> str:
    """Name a series as `--reference` does."""
    return f"{row.scanner} {row.dose_mgy:g}mGy {row.recon} #{int(row.repetition)}"


def _order(row) -> tuple:
    return scanner_rank(row.scanner), row.dose_mgy, recon_rank(row.recon), row.repetition, row.series_uid


def _what_there_is(series: pd.DataFrame, text: str) -> str:
    names = [name_of(row) for row in sorted(series.itertuples(), key=_order)]
    if not names:
        return "no series was accepted: see quarantine.csv"
    nearest = max(names, key=lambda name: difflib.SequenceMatcher(None, text.lower(), name.lower()).ratio())
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"the nearest is '{nearest}'; there are {shown}"


def find_reference(series: pd.DataFrame, text: str) -> str:
    """Find the series UID that `text` names among `series` (series_uid, scanner, dose_mgy, recon, repetition).

    Without a repetition the lowest is taken. `UserError` where nothing matches, or more than one series does.
    """
    text = " ".join(text.split())
    if text in set(series["series_uid"]):
        return text
    match = GRAMMAR.fullmatch(text)
    if not match:
        kind = "no series of the input has this UID" if re.fullmatch(r"[0-9.]+", text) else f"it must be {FORM}"
        raise UserError(f"--reference '{text}': {kind}; {_what_there_is(series, text)}")
    same = (
        (series["scanner"].str.lower() == match["scanner"].lower())
        & ((series["dose_mgy"].astype(float) - float(match["dose"])).abs() < 1e-9)
        & (series["recon"].str.lower() == match["recon"].lower())
    )
    found = series[same]
    repetition = int(match["repetition"]) if match["repetition"] else found["repetition"].min()
    found = found[found["repetition"] == repetition]
    if found.empty:
        raise UserError(f"--reference '{text}' is not among the {len(series)} series; {_what_there_is(series, text)}")
    if len(found) > 1:
        uids = ", ".join(sorted(found["series_uid"]))
        raise UserError(f"--reference '{text}' names {len(found)} series; give the UID of one: {uids}")
    return str(found["series_uid"].iloc[0])


def files_of_reference(files: pd.DataFrame, uid: str, roles: Sequence[str] = ("ct", "seg")) -> pd.DataFrame:
    """Return the rows of files.parquet that the reference is made of: its slices (`ct`) and its segmentation (`seg`).

    `UserError` where one of `roles` has none.
    """
    rows = files[(files["series_uid"] == uid) & files["role"].isin(list(roles))]
    for role in roles:
        if not (rows["role"] == role).any():
            what = {"ct": "slice", "seg": "segmentation"}[role]
            raise UserError(f"index/files.parquet has no {what} of the reference series {uid}; index the input again")
    return rows


def choose_reference(series: pd.DataFrame, files: pd.DataFrame, text: str, one_mask: bool = False) -> pd.DataFrame:
    """Choose the reference and where its files lie: columns series_uid, root, folder, a row for each of
    `folders_of`. With `one_mask` its segmentation is not among them."""
    uid = find_reference(series, text)
    roles = ("ct",) if one_mask else ("ct", "seg")
    folders = pd.DataFrame(folders_of(files_of_reference(files, uid, roles)), columns=["root", "folder"])
    folders.insert(0, "series_uid", uid)
    return folders


def confirm_reference(chosen: pd.DataFrame, used: pd.DataFrame) -> None:
    """Raise a `UserError` unless the series that is chosen in the whole index is the one that was used.

    Both are rows of `choose_reference`.
    """
    (uid,), (before,) = chosen["series_uid"].unique(), used["series_uid"].unique()
    if uid != before:
        raise UserError(
            f"--reference names series {uid} in the index of all parts, but they were registered to {before}, which "
            "alone was there at first; name the reference with its repetition, as in 'A1 10mGy IR #1'"
        )


def check_domains(series: pd.DataFrame, domain: str, doses_mgy: list[float]) -> None:
    """Raise a `UserError` unless the series at `doses_mgy` have two values of `domain` at least: one cannot be left
    out.

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
