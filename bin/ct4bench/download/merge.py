"""What came of a download: the series that are there, and those that are missing with the reason of each."""

# code-table: download/series.csv
# code-table: download/missing.csv

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.tables import read_table, write_table
from ct4bench.download.fetch import Download, Missing
from ct4bench.download.folders import Folders, is_whole, read_state
from ct4bench.download.manifest import Row

SERIES_TABLE, MISSING_TABLE = "download/series.csv", "download/missing.csv"
NOT_TRIED = ("not_tried", "the download ended before")


def _about(row: Row) -> tuple:
    dose = float(row.dose_mgy)
    return row.series_instance_uid, row.scanner, int(dose) if dose.is_integer() else dose, row.recon, row.repetition


def missing_table(missing: Iterable[Missing]) -> pd.DataFrame:
    """Return the rows of missing.csv, in the order given."""
    rows = [(*_about(item.row), item.reason, _printable(item.detail)) for item in missing]
    return pd.DataFrame(rows, columns=columns_of(MISSING_TABLE))


def _printable(text: str) -> str:
    text = " ".join(text.split())
    return text if text.isprintable() else ascii(text)[1:-1]


def series_table(rows: Sequence[Row], folders: Folders) -> pd.DataFrame:
    """Return the rows of series.csv: the series that are whole, from their states."""
    found = []
    for row in rows:
        state = read_state(folders.state(row.series_instance_uid))
        if state is not None:
            about = state.seg_series_uid, *_about(row)[1:]
            found.append((state.series_uid, *about, len(state.files), state.n_bytes, state.source, state.checked))
    return pd.DataFrame(found, columns=columns_of(SERIES_TABLE))


def read_reasons_of(paths: Iterable[Path | str]) -> dict[str, tuple[str, str]]:
    """Read why series are missing by UID, from the tables of missing series of a download's tasks."""
    found = {}
    for path in sorted(map(str, paths)):
        table = read_table(path, columns_of(MISSING_TABLE))
        found |= {uid: (reason, detail) for uid, reason, detail in table[["series_uid", "reason", "detail"]].to_numpy()}
    return found


def list_missing(rows: Sequence[Row], folders: Folders, reasons: Mapping[str, tuple[str, str]]) -> list[Missing]:
    """List the rows whose series are not there whole, with reason and detail by UID; what has none was not tried."""
    return [
        Missing(row, *reasons.get(row.series_instance_uid, NOT_TRIED)) for row in rows if not is_whole(folders, row)
    ]


def list_not_fetched(wanted: Sequence[Row], download: Download) -> list[Missing]:
    """List what of `wanted` a download has not fetched so far, in their order."""
    found = {item.row.series_instance_uid: item for item in download.missing}
    rest = [row for row in wanted if row.series_instance_uid not in download.whole]
    return [found.get(row.series_instance_uid) or Missing(row, *NOT_TRIED) for row in rest]


def read_series(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Read the tables of series of a download's tasks as one."""
    tables = [read_table(path, columns_of(SERIES_TABLE)) for path in sorted(map(str, paths))]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns_of(SERIES_TABLE))


def list_absent(
    rows: Sequence[Row], series: pd.DataFrame, reasons: Mapping[str, tuple[str, str]]
) -> tuple[pd.DataFrame, list[Missing]]:
    """Return the rows of `series` in the order of `rows`, and what is not among them, with its reason as above."""
    place = {row.series_instance_uid: number for number, row in enumerate(rows)}
    there = series[series["series_uid"].isin(place)].sort_values("series_uid", key=lambda uids: uids.map(place))
    known = set(there["series_uid"])
    absent = [row for row in rows if row.series_instance_uid not in known]
    return there, [Missing(row, *reasons.get(row.series_instance_uid, NOT_TRIED)) for row in absent]


def write_missing(missing: Iterable[Missing], folders: Folders) -> None:
    """Write download/missing.csv."""
    write_table(missing_table(missing), folders.output / MISSING_TABLE, table=MISSING_TABLE)


def write_outcome(rows: Sequence[Row], missing: Sequence[Missing], folders: Folders) -> None:
    """Write download/series.csv, of the rows that are not missing, and download/missing.csv."""
    absent = {item.row.series_instance_uid for item in missing}
    there = [row for row in rows if row.series_instance_uid not in absent]
    write_tables(series_table(there, folders), missing, folders)


def write_tables(series: pd.DataFrame, missing: Iterable[Missing], folders: Folders) -> None:
    """Write download/series.csv and download/missing.csv."""
    write_table(series, folders.output / SERIES_TABLE, table=SERIES_TABLE)
    write_missing(missing, folders)


def refuse_missing(missing: Sequence[Missing], n_series: int, folders: Folders, streamed: bool = False) -> None:
    """Raise a `UserError` where series are missing: how many, why, where they are listed, and what asks for them."""
    if missing:
        counts = ", ".join(f"{reason} {n}" for reason, n in Counter(item.reason for item in missing).items())
        first = missing[0]
        whole = "the others are whole, and " if len(missing) < n_series else ""
        again = "the same command again with -resume" if streamed else "the same command again"
        raise UserError(
            f"{len(missing)} of {n_series} series are missing ({counts}), the first {first.row.series_instance_uid}: "
            f"{first.detail}; {folders.output / MISSING_TABLE} lists them; {whole}{again} "
            "asks for the missing ones only"
        )
