"""Merging the outcomes of all chunks: which series go on, and why others do not."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import recon_rank, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, registered_rows


def merge_transforms(series: pd.DataFrame, parts: Iterable[Path | str]) -> pd.DataFrame:
    """Stack the rows of all `parts`, one for each of `series`, in the paper's order of scanners, then dose, recon,
    repetition.

    `UserError` where a series has no row or two.
    """
    found = pd.concat([read_table(path, TRANSFORM_COLUMNS)[TRANSFORM_COLUMNS] for path in sorted(parts, key=str)])
    twice = found.loc[found["series_uid"].duplicated(), "series_uid"]
    without = sorted(set(series["series_uid"]) - set(found["series_uid"]))
    unknown = sorted(set(found["series_uid"]) - set(series["series_uid"]))
    for uids, fault in ((sorted(twice), "have two rows"), (without, "have no row"), (unknown, "are not in series.csv")):
        if uids:
            raise UserError(
                f"the transforms of the chunks do not fit series.csv: {len(uids)} series {fault}, the first is "
                f"{uids[0]}; register the series of one index, each in one chunk"
            )
    keys = series.assign(
        scanner_key=series["scanner"].map(scanner_rank),
        recon_key=series["recon"].map(recon_rank),
    ).sort_values(["scanner_key", "dose_mgy", "recon_key", "repetition", "series_uid"], kind="stable")
    return found.set_index("series_uid").loc[keys["series_uid"]].reset_index()[TRANSFORM_COLUMNS]


def unregistered(series: pd.DataFrame, transforms: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of `series` that do not go on, as rows of quarantine.csv."""
    status = transforms.set_index("series_uid")[["status", "detail"]]
    failed = series[~series["series_uid"].isin(set(registered_rows(series, transforms)["series_uid"]))]
    return failed[["path", "series_uid"]].assign(
        reason=failed["series_uid"].map(status["status"]), detail=failed["series_uid"].map(status["detail"])
    )


def _reasons(rows: pd.DataFrame) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in rows["reason"].value_counts(sort=False).sort_index().items())


def refuse_unregistered(rows: pd.DataFrame) -> None:
    """Raise a `UserError` where any series did not go on (`--strict`); `rows` are of `unregistered`."""
    if len(rows):
        first = rows.iloc[0]
        raise UserError(
            f"--strict: {len(rows)} series could not be registered ({_reasons(rows)}); the first is {first['path']}: "
            f"{first['reason']}, {first['detail']}; take them out of the input or leave out --strict"
        )


def split_by_status(series: pd.DataFrame, quarantine: pd.DataFrame, transforms: pd.DataFrame, strict: bool):
    """Split off the rows of `series` that go on, in their order, and `quarantine` with those that do not.

    `UserError` where the reference did not go on, where it alone did among several, or, with `strict`, where any series
    did not.
    """
    status = transforms.set_index("series_uid")[["status", "detail"]]
    registered = registered_rows(series, transforms)
    rows = unregistered(series, transforms)
    if not (status["status"] == "reference").any():
        raise UserError(
            "the reference series is not among the registered ones; prepare the reference and register the series "
            "from one index"
        )
    if len(series) > 1 and (registered["series_uid"].map(status["status"]) == "reference").all():
        first = rows.iloc[0]
        raise UserError(
            f"no series could be registered to the reference ({_reasons(rows)}); the first is {first['path']}: "
            f"{first['reason']}, {first['detail']}; name another reference with --reference"
        )
    if strict:
        refuse_unregistered(rows)
    columns = ["path", "series_uid", "reason", "detail"]
    # the index of an earlier run also has what that run's registration refused
    accepted = pd.MultiIndex.from_frame(series[["path", "series_uid"]].astype(str))
    earlier = pd.MultiIndex.from_frame(quarantine[["path", "series_uid"]].astype(str)).isin(accepted)
    quarantine = quarantine[~earlier]
    both = pd.concat([frame[columns] for frame in (quarantine, rows) if len(frame)] or [quarantine[columns]])
    return registered, both.sort_values(columns, kind="stable", ignore_index=True)
