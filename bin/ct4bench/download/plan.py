"""What a download is about to do: the series that are not there yet, what they take, and whether the disk has it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ct4bench.core.errors import UserError
from ct4bench.download.fetch import Missing, duration, size_text
from ct4bench.download.folders import Folders, is_whole
from ct4bench.download.manifest import Row, write_rows
from ct4bench.download.merge import NOT_TRIED, write_missing
from ct4bench.download.sources import SOURCES

MEGABITS = (100, 10)
"""Rates of a line at which the time is told, in Mbit/s: none is known before the first byte."""


class Planned(NamedTuple):
    """What a plan is written as: all `rows`, those of each part by its name, and what is said before it begins."""

    rows: Sequence[Row]
    parts: Mapping[str, Sequence[Row]]
    text: str
    reference: Row | None = None
    """Of a stream: the series that all others are registered to."""
    room: int | None = None
    """Of a stream: bytes that the volumes of all may take."""


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

    A `UserError` where the folder cannot be one, or the disk is too small.
    """
    folders.check()
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


def plan_folder(
    rows: Sequence[Row], folders: Folders, source: str, parallel: int, alone: bool, part_size: int
) -> Planned:
    """Plan what is to come into dicom/, in parts of `part_size` series, and make the folders.

    A `UserError` as of `announce`, and with `alone` as of `refuse_others`.
    """
    if alone:
        refuse_others(rows, folders)
    wanted = to_fetch(rows, folders)
    text = announce(rows, wanted, source, folders, parallel)
    folders.make()
    write_missing([Missing(row, *NOT_TRIED) for row in wanted], folders)
    starts = range(0, len(wanted), part_size)
    parts = {f"{number:04d}": wanted[start : start + part_size] for number, start in enumerate(starts)}
    return Planned(rows, parts, text)


def write_plan(planned: Planned, output: Path, more: str = "") -> None:
    """Write manifest.csv, parts/<name>.csv and announcement.txt, with `more` to say; of a stream also reference.csv,
    and room.csv (how many bytes the volumes of all may take)."""
    (output / "parts").mkdir(parents=True, exist_ok=True)
    write_rows(planned.rows, output / "manifest.csv")
    for name, members in planned.parts.items():
        write_rows(members, output / "parts" / f"{name}.csv")
    if planned.reference:
        write_rows([planned.reference], output / "reference.csv")
        room = f"n_series,n_bytes\n{len(planned.rows)},{planned.room}\n"
        (output / "room.csv").write_text(room, encoding="utf-8")
    said = f"{planned.text}; {more}" if more else planned.text
    (output / "announcement.txt").write_text(f"{said}\n", encoding="utf-8")
