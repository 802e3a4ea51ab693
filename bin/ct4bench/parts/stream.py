"""A part of a download that streams: fetched, taken to what is kept of it, and deleted."""

import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ct4bench.core.checks import Checks
from ct4bench.download.arguments import Access
from ct4bench.download.fetch import Download, Missing, end_by, run_until_signal
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row
from ct4bench.download.merge import SERIES_TABLE, list_not_fetched, write_outcome
from ct4bench.download.plan import announce, to_fetch
from ct4bench.parts.take import Taken, take_part
from ct4bench.preprocess.register import RegistrationRun

SERIES_MISSING = 75
"""The status of a task whose part is not whole: the others go on, and a later run asks for it again."""


def fetch_part(
    rows: Sequence[Row], folders: Folders, begin: Callable[[Sequence[Row]], Download], wanted: Sequence[Row]
) -> tuple[list[Missing], int]:
    """Fetch the `wanted` of `rows` by the download that `begin` makes of them; what is missing, and the number of the
    signal that ended it, or 0.

    What came stays where a later try finds it, but for a part that lacks series: its files go, so that no more lies
    on the disk than was said.
    """
    folders.make()
    download = begin(wanted)
    ended_by = run_until_signal(download)
    missing = list_not_fetched(wanted, download)
    write_outcome(rows, missing, folders)
    if missing and not ended_by:
        shutil.rmtree(folders.dicom)
    return missing, ended_by


def fetch_or_end(rows: Sequence[Row], access: Access, folders: Folders, series_path: Path | str) -> None:
    """Fetch a part; what vouches for each series goes to `series_path`.

    Ends the process where a series is missing, with status `SERIES_MISSING`, and by a signal.
    """
    wanted = to_fetch(rows, folders)
    logging.info(announce(rows, wanted, access.source.name, folders, access.parallel))

    def begin(due: Sequence[Row]) -> Download:
        return Download(due, access.source, access.client, folders, access.parallel)

    missing, ended_by = fetch_part(rows, folders, begin, wanted)
    if ended_by:
        end_by(ended_by)
    if missing:
        print(f"ERROR: {len(missing)} of {len(rows)} series of the part are missing", file=sys.stderr)
        raise SystemExit(SERIES_MISSING)
    shutil.copyfile(folders.output / SERIES_TABLE, series_path)


def stream_part(
    folders: Folders,
    run: RegistrationRun,
    contents_path: Path | str,
    pattern: str | None,
    checks: Checks,
    strict: bool = False,
) -> Taken:
    """Take a part that is whole as `take.take_part` does, then delete its files."""
    taken = take_part([folders.dicom], run, contents_path, pattern, checks, strict)
    for place in (folders.dicom, folders.download):
        shutil.rmtree(place)
    return taken
