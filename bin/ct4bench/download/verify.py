"""Whether the files of a series are that series: UIDs, numbers of files, and slices without a gap."""

from collections.abc import Sequence
from pathlib import Path

from ct4bench.core.errors import Refusal
from ct4bench.download.folders import File
from ct4bench.download.manifest import Row
from ct4bench.index.ct import make_slice, stack_slices
from ct4bench.index.headers import read_header

GAPS = {"missing_slices", "duplicate_slices", "unreadable", "too_few_slices"}
"""Reasons of the index that a faithful copy may not have; others are of the original, and left to the index."""


def check_counts(row: Row, role: str, n_files: int, told_by: str) -> None:
    """Refuse a list of files that is longer or shorter than the table says."""
    due = row.n_instances if role == "ct" else row.seg_n_instances
    if n_files != due:
        what = "CT series" if role == "ct" else "segmentation"
        raise Refusal("incomplete_series", f"{told_by} has {n_files} objects of its {what}, the table {due}")


def check_series(folder: Path, files: Sequence[File], row: Row) -> str:
    """Refuse files that are not of the series by their UIDs, or leave gaps; return what the index will say of it.

    The note is "" where the slices make one regular volume.
    """
    uids = {"ct": row.series_instance_uid, "seg": row.seg_series_instance_uid}
    frames, slices, seen, note = {}, [], set(), ""
    for file in files:
        try:
            header = read_header(folder / file.name)
        except Refusal as error:
            raise Refusal("wrong_content", f"{file.name}: {error}") from error
        series_uid, sop_uid = header.text("SeriesInstanceUID"), header.text("SOPInstanceUID")
        if series_uid != uids[file.role]:
            raise Refusal("wrong_content", f"{file.name} is of the series {series_uid[:64]}")
        if not sop_uid or sop_uid in seen:
            raise Refusal("wrong_content", f"{file.name} has the SOP instance UID {sop_uid[:64]} of another file")
        seen.add(sop_uid)
        if file.role == "ct" and not note:
            try:
                slices.append(make_slice(folder / file.name, header, frames))
            except Refusal as error:
                note = _note(error)
    if not note:
        try:
            stack_slices(slices)
        except Refusal as error:
            note = _note(error)
    return note


def _note(error: Refusal) -> str:
    if error.reason in GAPS:
        raise Refusal("wrong_content", f"{error.reason}: {error}") from error
    return f"{error.reason}: {error}"
