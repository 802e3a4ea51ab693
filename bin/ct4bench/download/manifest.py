"""Which series are to be fetched: rows of the table of series, chosen by scanner, dose, reconstruction, repetition."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ct4bench.core.errors import UserError

TABLE = Path(__file__).resolve().parents[3] / "assets" / "idc_series.csv"
"""The collection's own table; its card beside it says what each column is."""
UID = re.compile(r"[0-9]+(\.[0-9]+)+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Row(NamedTuple):
    """A CT series with its segmentation; the fields are the columns of the table. Sizes are in 10^6 bytes."""

    series_instance_uid: str
    seg_series_instance_uid: str
    crdc_series_uuid: str
    seg_crdc_series_uuid: str
    bucket: str
    collection: str
    scanner: str
    dose_mgy: str
    recon: str
    repetition: int
    n_instances: int
    size_mb: float
    seg_n_instances: int
    seg_size_mb: float

    @property
    def n_bytes(self) -> int:
        """Bytes of CT and segmentation together."""
        return round((self.size_mb + self.seg_size_mb) * 1e6)


COLUMNS = Row._fields


def _uid(text: str) -> str:
    if not UID.fullmatch(text) or len(text) > 64:
        raise ValueError(f"'{text[:80]}' is no DICOM UID")
    return text


def _uuid(text: str) -> str:
    if not UUID.fullmatch(text):
        raise ValueError(f"'{text[:80]}' is no UUID in lower case")
    return text


def _bucket(text: str) -> str:
    if not BUCKET.fullmatch(text) or ".." in text:
        raise ValueError(f"'{text[:80]}' is no name of a bucket")
    return text


def _dose(text: str) -> str:
    """A dose as it is compared: 10 and 10.0 are one."""
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError(f"'{text}' is no dose in mGy")
    return f"{number:g}"


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"'{text}' is not at least 1")
    return number


def _size(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError(f"'{text}' is no size in MB")
    return number


PARSERS: dict[str, Callable] = {
    "series_instance_uid": _uid, "seg_series_instance_uid": _uid, "crdc_series_uuid": _uuid,
    "seg_crdc_series_uuid": _uuid, "bucket": _bucket, "collection": str, "scanner": str, "dose_mgy": _dose,
    "recon": str, "repetition": _count, "n_instances": _count, "size_mb": _size, "seg_n_instances": _count,
    "seg_size_mb": _size,
}  # fmt: skip


def read_rows(path: Path | str) -> list[Row]:
    """Read a table of series.

    A `UserError` names the line where a value is not what its column holds, a series is there twice or has no
    segmentation.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
            if missing:
                raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/download.md says what each is")
            rows = [_row(path, number, line) for number, line in enumerate(lines, 2)]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a table ({error}); give CSV with a header line") from error
    if not rows:
        raise UserError(f"{path} has no series; give one a line")
    seen = {}
    for number, row in enumerate(rows, 2):
        for uid in (row.series_instance_uid, row.seg_series_instance_uid):
            if seen.setdefault(uid, number) != number or row.series_instance_uid == row.seg_series_instance_uid:
                raise UserError(f"{path}: the series {uid} of line {number} is also on line {seen[uid]}; keep one")
    return rows


def _row(path: Path, number: int, line: dict) -> Row:
    values = {name: (line[name] or "").strip() for name in COLUMNS}
    for name in ("seg_series_instance_uid", "seg_crdc_series_uuid"):
        if not values[name]:
            raise UserError(
                f"{path}, line {number}: the series {values['series_instance_uid']} has no segmentation ({name} is "
                "blank); the benchmark needs one of each series, so leave that line out"
            )
    try:
        return Row(**{name: PARSERS[name](value) for name, value in values.items()})
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}") from error


def write_rows(rows: Iterable[Row], path: Path | str) -> None:
    """Write rows as the table that `read_rows` reads."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(rows)


def _names(text: str | None) -> list[str] | None:
    """`A1, D1` -> A1 and D1; None where nothing was chosen."""
    if not (text or "").strip():
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_repetitions(text: str) -> set[int]:
    """Parse `1-3,7` into the numbers that it means."""
    found = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 1 <= first <= last:
            raise UserError(f"--repetitions {text}: '{part}' is no number or range; write 1, or 1-3, or 1-3,7")
        found.update(range(first, last + 1))
    return found


def _chosen(rows: Sequence[Row], option: str, column: str, wanted: list[str] | None) -> list[Row]:
    if wanted is None:
        return list(rows)
    there = {getattr(row, column).upper() for row in rows}
    absent = [name for name in wanted if name.upper() not in there]
    if absent:
        known = ", ".join(dict.fromkeys(getattr(row, column) for row in rows))
        raise UserError(f"--{option}: no series of {', '.join(absent)} in the table; it has {known}")
    names = {name.upper() for name in wanted}
    return [row for row in rows if getattr(row, column).upper() in names]


def select(
    rows: Sequence[Row],
    doses: str | None = None,
    scanners: str | None = None,
    reconstructions: str | None = None,
    repetitions: str | None = None,
) -> list[Row]:
    """Select the rows of all that is named (lists with commas, repetitions also as ranges); all where nothing is.

    `UserError` where a name is in no row of the table, or the names have no row in common.
    """
    try:
        mgy = [_dose(dose) for dose in _names(doses) or ()] or None
    except ValueError as error:
        raise UserError(f"--doses {doses}: {error}; write 10, or 1,10") from error
    numbers = parse_repetitions(repetitions) if _names(repetitions) else None
    parts = [
        _chosen(rows, "doses", "dose_mgy", mgy),
        _chosen(rows, "scanners", "scanner", _names(scanners)),
        _chosen(rows, "reconstructions", "recon", _names(reconstructions)),
        [row for row in rows if numbers is None or row.repetition in numbers],
    ]
    common = set.intersection(*({row.series_instance_uid for row in part} for part in parts))
    if not common:
        raise UserError("no series has all that is asked for together (doses, scanners, reconstructions, repetitions)")
    return [row for row in rows if row.series_instance_uid in common]
