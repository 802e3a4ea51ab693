"""What a download is about to do: the series that are not there yet, what they take, and whether the disk has it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ct4bench.core.errors import UserError
from ct4bench.download.download import duration, size_text
from ct4bench.download.folders import Folders, is_whole
from ct4bench.download.manifest import Row
from ct4bench.download.sources import SOURCES

MEGABITS = (100, 10)
"""Rates of a line at which the time is told, in Mbit/s: none is known before the first byte."""


def to_fetch(rows: Sequence[Row], folders: Folders) -> list[Row]:
    """Return the rows whose series are not there, whole and as they were verified."""
    return [row for row in rows if not is_whole(folders, row)]


def refuse_others(rows: Sequence[Row], folders: Folders) -> None:
    """Raise a `UserError` where dicom/ has series that are not among `rows`: a run would take them for its input."""
    others = folders.others({row.series_instance_uid for row in rows})
    if others:
        raise UserError(
            f"{folders.dicom} holds {len(others)} series or files that are not asked for ({others[0]}, …); ask for "
            "them, too, name another --outdir, or run on the folder with --input"
        )


def bytes_needed(rows: Sequence[Row], source: str, parallel: int) -> int:
    """Compute the bytes that fetching `rows` takes on the disk, those on their way included."""
    largest = max((row.n_bytes for row in rows), default=0)
    return sum(row.n_bytes for row in rows) + (SOURCES[source].copies - 1) * min(parallel, len(rows)) * largest


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free for this user where a folder is or will be."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _listed(names) -> str:
    return ", ".join(dict.fromkeys(names))


def about_rows(rows: Sequence[Row]) -> str:
    """Say how many series there are, of what, and how large they are."""
    return (
        f"{len(rows)} series ({_listed(r.scanner for r in rows)} at {_listed(r.dose_mgy for r in rows)} mGy, "
        f"{_listed(r.recon for r in rows)}) with their segmentations, {size_text(sum(row.n_bytes for row in rows))}"
    )


def about_times(n_bytes: int) -> str:
    """Say how long bytes take at the rates of `MEGABITS`."""
    return ", ".join(f"{duration(n_bytes * 8 / (rate * 1e6))} at {rate} Mbit/s" for rate in MEGABITS)


def announce(rows: Sequence[Row], missing: Sequence[Row], source: str, folders: Folders, parallel: int) -> str:
    """Say what is fetched, from where, how large it is, what is free, and how long it takes.

    A `UserError` where the disk is too small for it.
    """
    about, needed, free = SOURCES[source], bytes_needed(missing, source, parallel), free_bytes(folders.dicom)
    size = sum(row.n_bytes for row in missing)
    if not missing:
        return f"Download: all {about_rows(rows)} are in {folders.dicom} already"
    if needed > free:
        raise UserError(
            f"{len(missing)} series take {size_text(needed)}, and {folders.dicom} has {size_text(free)} free; ask "
            "for fewer (doses, scanners, reconstructions, repetitions), or name a folder on a larger disk"
        )
    return (
        f"Download from {about.title}: {about_rows(rows)}; {len(missing)} of them, {size_text(size)}, are to be "
        f"fetched into {folders.dicom}, which has {size_text(free)} free: {about_times(size)}; at most {parallel} "
        "requests at once"
    )
