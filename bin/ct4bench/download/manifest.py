"""Which series are to be fetched: rows of the table of series, chosen by scanner, dose, reconstruction, repetition."""

import csv
import math
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


MOST_SHOWN = 30
"""Values of a column that a message lists."""


def _uid(text: str) -> str:
    if not UID.fullmatch(text) or len(text) > 64:
        raise ValueError(f"'{text[:80]}' is no DICOM UID; write digits and dots, at most 64")
    return text


def _uuid(text: str) -> str:
    if not UUID.fullmatch(text):
        raise ValueError(f"'{text[:80]}' is no UUID in lower case; write it as the index of IDC has it")
    return text


def _bucket(text: str) -> str:
    if not BUCKET.fullmatch(text) or ".." in text:
        raise ValueError(f"'{text[:80]}' is no name of a bucket; write one such as idc-open-data")
    return text


def _name(text: str) -> str:
    if "," in text or not text.isprintable():
        raise ValueError(f"'{ascii(text[:80])[1:-1]}' has a comma or what cannot be printed; give it another name")
    return text


def _number(text: str, most: float) -> float:
    """A number above 0 and below `most`, written with a point; NaN where it is none."""
    number = float(text) if re.fullmatch(r"[0-9]*[.]?[0-9]+([eE][+-]?[0-9]{1,3})?|[0-9]+[.]", text) else math.nan
    return number if 0 < number < most else math.nan


def _dose(text: str) -> str:
    """A dose as it is compared: 10 and 10.0 are one."""
    number = _number(text, 1e6)
    if math.isnan(number):
        raise ValueError(f"'{text[:80]}' is no dose in mGy; write a number above 0, such as 10 or 0.5")
    return f"{number:g}"


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise ValueError(f"'{text[:80]}' is no whole number of at least 1; write one, such as 3")
    return int(text)


def _size(text: str) -> float:
    number = _number(text, 1e9)
    if math.isnan(number):
        raise ValueError(f"'{text[:80]}' is no size in MB; write a number above 0 with a point, such as 181.5")
    return number


PARSERS: dict[str, Callable] = {
    "series_instance_uid": _uid, "seg_series_instance_uid": _uid, "crdc_series_uuid": _uuid,
    "seg_crdc_series_uuid": _uuid, "bucket": _bucket, "collection": str, "scanner": _name, "dose_mgy": _dose,
    "recon": _name, "repetition": _count, "n_instances": _count, "size_mb": _size, "seg_n_instances": _count,
    "seg_size_mb": _size,
}  # fmt: skip


MAY_BE_BLANK = {"collection"}
"""Columns without which a series can be fetched all the same, from IDC."""


def read_rows(path: Path | str) -> list[Row]:
    """Read a table of series.

    A `UserError` names the line and column where a value is not what its column holds, is blank or is there twice, and
    what to do about it.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream)
            header = next(lines, [])
            place = _columns(path, header)
            found = [
                (lines.line_num, _row(path, lines.line_num, place, len(header), line)) for line in lines if any(line)
            ]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; name a CSV file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num + 1} is not CSV ({error}); save the table as CSV") from error
    if not found:
        raise UserError(f"{path} has no series; give one a line")
    _refuse_twice(path, found)
    return [row for _, row in found]


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """The place of each column by the header line."""
    names = [name.strip() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        for mark, words in {";": "semicolons", "\t": "tabs"}.items():
            if any(mark in name for name in names):
                raise UserError(f"{path} has {words} between its columns; save it with commas, and points in numbers")
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; docs/download.md says what each is")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise UserError(f"{path} has the column {twice[0]} more than once; keep one")
    return {name: names.index(name) for name in COLUMNS}


def _refuse_twice(path: Path, found: Sequence[tuple[int, Row]]) -> None:
    seen = {}
    for number, row in found:
        for what, names in (
            ("series", (row.series_instance_uid, row.seg_series_instance_uid)),
            ("UUID", (row.crdc_series_uuid, row.seg_crdc_series_uuid)),
        ):
            for name in names:
                if seen.setdefault(name, number) != number:
                    raise UserError(
                        f"{path}: the {what} {name} of line {number} is also on line {seen[name]}; keep one"
                    )
            if names[0] == names[1]:
                raise UserError(
                    f"{path}, line {number}: the {what} {names[0]} is that of the CT series and of its segmentation, "
                    "too; give each its own"
                )


def _row(path: Path, number: int, place: dict[str, int], n_columns: int, line: Sequence[str]) -> Row:
    if any(line[n_columns:]):
        raise UserError(
            f"{path}, line {number} has {len(line)} values, and the header {n_columns}; put a value with a comma in "
            "quotes"
        )
    if len(line) <= max(place.values()):
        raise UserError(f"{path}, line {number} ends after {len(line)} values, before its last column; complete it")
    values = {name: line[column].strip() for name, column in place.items()}
    for name, value in values.items():
        if not value and name.startswith("seg_"):
            raise UserError(
                f"{path}, line {number}: the series {values['series_instance_uid']} has no segmentation ({name} is "
                "blank); the benchmark needs one of each series, so leave that line out"
            )
        if not value and name not in MAY_BE_BLANK:
            raise UserError(
                f"{path}, line {number}: {name} is blank; give its value (only {', '.join(MAY_BE_BLANK)} may be blank)"
            )
    parsed = {}
    for name, value in values.items():
        try:
            parsed[name] = PARSERS[name](value)
        except ValueError as error:
            raise UserError(f"{path}, line {number}, column {name}: {error}") from error
    return Row(**parsed)


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
    for part in filter(str.strip, text.split(",")):
        match = re.fullmatch(r"\s*([0-9]{1,6})\s*(?:-\s*([0-9]{1,6})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 1 <= first <= last:
            raise UserError(f"--repetitions {text}: '{part}' is no number or range; write 1, or 1-3, or 1-3,7")
        found.update(range(first, last + 1))
    return found


def _ranges(numbers: Iterable[int]) -> list[str]:
    """1, 2, 3, 7 -> 1-3 and 7: what `parse_repetitions` reads."""
    found = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{first}-{last}" if last > first else f"{first}" for first, last in found]


def _shown(values: Iterable[str]) -> str:
    values = list(dict.fromkeys(values))
    more = f" and {len(values) - MOST_SHOWN} more" if len(values) > MOST_SHOWN else ""
    return ", ".join(values[:MOST_SHOWN]) + more


def _values(rows: Iterable[Row], column: str) -> str:
    """What rows have in a column, as a message lists it."""
    found = [getattr(row, column) for row in rows]
    return _shown(_ranges(set(found)) if column == "repetition" else found)


def _doses(text: str) -> list[str]:
    try:
        return [_dose(dose) for dose in _names(text)]
    except ValueError as error:
        raise UserError(f"--doses {text}: {error}") from error


CHOICES: dict[str, tuple[str, Callable]] = {
    "doses": ("dose_mgy", _doses),
    "scanners": ("scanner", _names),
    "reconstructions": ("recon", _names),
    "repetitions": ("repetition", parse_repetitions),
}
"""Options that choose rows: the column that each goes by, and how its text is read."""


def _key(value: str | int) -> str | int:
    return value.upper() if isinstance(value, str) else value


def _chosen(rows: Sequence[Row], option: str, text: str) -> set[Row]:
    """Rows of what an option names; a `UserError` where it names nothing, or what no row has."""
    column, parse = CHOICES[option]
    wanted = parse(text)
    if not wanted:
        raise UserError(f"--{option} '{text}' names nothing; the table has {_values(rows, column)}")
    there = {_key(getattr(row, column)) for row in rows}
    absent = [name for name in wanted if _key(name) not in there]
    if absent:
        names = _shown(_ranges(absent) if column == "repetition" else absent)
        raise UserError(f"--{option} {text}: no series of {names} in the table; it has {_values(rows, column)}")
    names = {_key(name) for name in wanted}
    return {row for row in rows if _key(getattr(row, column)) in names}


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
    asked = dict(zip(CHOICES, (doses, scanners, reconstructions, repetitions), strict=True))
    given = {option: text for option, text in asked.items() if _names(text) is not None}
    parts = {option: _chosen(rows, option, text) for option, text in given.items()}
    common = set(rows).intersection(*parts.values())
    if not common:
        together = " ".join(f"--{option} {text}" for option, text in given.items())
        raise UserError(f"no series has all of {together} together; {_what_there_is(rows, parts)}")
    return [row for row in rows if row in common]


def _what_there_is(rows: Sequence[Row], parts: dict[str, set[Row]]) -> str:
    """What each option could name beside the others."""
    said = []
    for option in parts:
        rest = set(rows).intersection(*(found for other, found in parts.items() if other != option))
        if rest:
            known = _values([row for row in rows if row in rest], CHOICES[option][0])
            said.append(f"--{option} may be {known} beside the rest")
    return "; ".join(said) or "ask for less at once"
