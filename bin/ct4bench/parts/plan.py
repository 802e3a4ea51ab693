"""What a download that streams is about to do: its parts, what lies on the disk while they pass, and what stays."""

import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.download.fetch import Missing, size_text
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row
from ct4bench.download.merge import NOT_TRIED, write_missing
from ct4bench.download.plan import Planned, about_rows, about_times, bytes_needed, free_bytes
from ct4bench.download.sources import SOURCES
from ct4bench.preprocess.select import check_domains, find_reference

VOLUME_SHARE = 0.25
"""Bytes of a registered volume of those of the reference's DICOM: 40 of 181 MB at full size, and some more."""
OTHER_BYTES = 500_000_000
"""Features, tables, figures, logs, compiled kernels: what a run of a thousand series keeps beside its volumes."""

TIME_NS = 10**18
"""Time of the folder of a part."""


class Needs(NamedTuple):
    """Bytes that a run which streams has on the disk: `kept` to its end, of which `volumes`, and `passing`."""

    kept: int
    volumes: int
    passing: int


def _series_of(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        [(row.series_instance_uid, row.scanner, float(row.dose_mgy), row.recon, row.repetition) for row in rows],
        columns=["series_uid", "scanner", "dose_mgy", "recon", "repetition"],
    )


def check_answers(rows: Sequence[Row], domain: str, doses_mgy: list[float]) -> None:
    """Raise a `UserError` where `rows` cannot answer the run's questions: see `preprocess.select.check_domains`.

    Makers are not known before the series are there.
    """
    series = _series_of(rows)
    check_domains(series, domain if domain in series else "scanner", doses_mgy)


def reference_row(rows: Sequence[Row], text: str) -> Row:
    """Return the row of the series that `--reference` names; `UserError` where none or several are."""
    uid = find_reference(_series_of(rows), text)
    return next(row for row in rows if row.series_instance_uid == uid)


def parts_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group rows into parts by name: the repetitions of a scanner, dose and reconstruction, which tell its noise
    together."""
    groups = {}
    for row in rows:
        groups.setdefault((row.scanner, row.dose_mgy, row.recon), []).append(row)
    parts = {}
    for (scanner, dose, recon), members in groups.items():
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{scanner}_{dose}mGy_{recon}")
        while name in parts:
            name += "_"
        parts[name] = members
    return parts


def parts_at_once(parallel: int) -> int:
    """Return how many parts are on the disk at a time: one is registered while another comes, unless there is but one
    request at a time to share (subworkflows/utilities/download.nf has the same)."""
    return 1 if parallel == 1 else 2


def needs_of(
    rows: Sequence[Row], reference: Row, parts: Mapping, source: str, parallel: int, at_once: int, copies: int = 1
) -> Needs:
    """Compute what streaming `rows` has on the disk, `at_once` parts at a time, with `copies` volumes of a series."""
    volumes = round(len(rows) * copies * VOLUME_SHARE * reference.n_bytes)
    passing = sorted((bytes_needed(members, source, parallel) for members in parts.values()), reverse=True)
    return Needs(volumes + reference.n_bytes + OTHER_BYTES, volumes, sum(passing[:at_once]))


def room_for_volumes(needs: Needs, max_disk_gb: float) -> int:
    """Return the bytes that the volumes may take within `max_disk_gb` (10^9 bytes)."""
    return round(max_disk_gb * 1e9) - (needs.kept - needs.volumes) - needs.passing


def announce_stream(
    rows: Sequence[Row], parts: Mapping, needs: Needs, source: str, folders: Folders, parallel: int, max_disk_gb: float
) -> str:
    """Say what is fetched, what lies on the disk meanwhile and what the run keeps.

    A `UserError` where that is more than `max_disk_gb` (10^9 bytes), or than is free, or the folder cannot be one.
    """
    folders.check()
    whole, free = needs.kept + needs.passing, free_bytes(folders.download)
    split = (
        f"{size_text(needs.kept)} that it keeps (registered volumes, the reference's DICOM, tables) and "
        f"{size_text(needs.passing)} of DICOM on its way"
    )
    for limit, words in (
        (max_disk_gb * 1e9, f"--max_disk {max_disk_gb:g} GB is less"),
        (free, f"{folders.output} has {size_text(free)} free"),
    ):
        if whole > limit:
            raise UserError(
                f"streaming {len(rows)} series takes about {size_text(whole)}: {split}; {words}: ask for fewer "
                "(doses, scanners, reconstructions, repetitions), or give more"
            )
    largest = max(len(members) for members in parts.values())
    return (
        f"Download from {SOURCES[source].title}: {about_rows(rows)}; streamed in {len(parts)} parts of at most "
        f"{largest} series, each deleted when it is registered: about {size_text(whole)} at most, {split}, within "
        f"--max_disk {max_disk_gb:g} GB, and {size_text(free)} are free: {about_times(sum(r.n_bytes for r in rows))}; "
        f"at most {parallel} requests at once"
    )


def make_folders(folders: Folders, parts: Mapping) -> None:
    """Make what a run that streams writes into, and take away what an earlier one left of other parts.

    The engine knows a folder by its time, which is always the same for a part that is to come or was taken.
    """
    folders.reference.make()
    for name in set(folders.streams()) - set(parts):
        shutil.rmtree(folders.stream(name).output)
    for name in parts:
        place = folders.stream(name).output
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place, ns=(TIME_NS, TIME_NS))


def plan_stream(
    rows: Sequence[Row],
    folders: Folders,
    source: str,
    parallel: int,
    max_disk_gb: float,
    reference: str,
    answers: tuple[str, list[float]] | None = None,
    at_once: int | None = None,
    copies: int = 1,
) -> Planned:
    """Plan what is to pass through download/stream/ within `max_disk_gb` (10^9 bytes), and make the folders.

    `answers` are domain and doses in mGy for `check_answers`. A `UserError` as of it, `reference_row` and
    `announce_stream`.
    """
    if not 0 < max_disk_gb < math.inf:
        raise UserError(f"--max_disk {max_disk_gb:g} is no number of GB above 0")
    first, parts = reference_row(rows, reference), parts_of(rows)
    if answers:
        check_answers(rows, *answers)
    needs = needs_of(rows, first, parts, source, parallel, at_once or parts_at_once(parallel), copies)
    text = announce_stream(rows, parts, needs, source, folders, parallel, max_disk_gb)
    make_folders(folders, parts)
    write_missing([Missing(row, *NOT_TRIED) for row in rows], folders)
    return Planned(rows, parts, text, first, room_for_volumes(needs, max_disk_gb))
