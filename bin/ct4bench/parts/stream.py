"""A part of a download that streams: fetched, taken to what is kept of it, and deleted."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ct4bench.core.checks import Checks
from ct4bench.download.download import Download, Missing, run_until_signal
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row
from ct4bench.download.merge import list_not_fetched, write_outcome
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
