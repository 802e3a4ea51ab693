"""A download of what is chosen: what is said before, what is fetched, and the tables of what came and what did not."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ct4bench.core.tables import write_table
from ct4bench.download.arguments import Access
from ct4bench.download.fetch import Download, end_by, run_until_signal
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row
from ct4bench.download.merge import (
    MISSING_TABLE,
    list_not_fetched,
    missing_table,
    refuse_missing,
    write_missing,
    write_outcome,
)
from ct4bench.download.plan import announce, to_fetch


def download(
    rows: Sequence[Row],
    access: Access,
    folders: Folders,
    plan_only: bool = False,
    missing_path: Path | str | None = None,
) -> None:
    """Fetch what of `rows` is not there yet, and write download/series.csv and download/missing.csv.

    `UserError` where series are missing in the end. As a task of the engine, whose tables are made of those of all
    tasks, it writes what is missing to `missing_path` alone, and that is no error. A signal ends the process, with
    status 128 + its number. With `plan_only` it says what it would do.
    """
    wanted = to_fetch(rows, folders)
    logging.info(announce(rows, wanted, access.source.name, folders, access.parallel))
    if plan_only:
        return
    folders.make()
    made = Download(wanted, access.source, access.client, folders, access.parallel)
    in_engine = missing_path is not None
    if not in_engine:  # true also of a run that is killed
        write_missing(list_not_fetched(wanted, made), folders)
    ended_by = run_until_signal(made)
    missing = list_not_fetched(wanted, made)
    if ended_by:
        if not in_engine:
            write_missing(missing, folders)
        end_by(ended_by)
    if in_engine:
        write_table(missing_table(missing), Path(missing_path), table=MISSING_TABLE)
    else:
        write_outcome(rows, missing, folders)
        refuse_missing(missing, len(rows), folders)
