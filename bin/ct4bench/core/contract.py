"""The contract of tables: which columns each table that a run publishes has, and of which type, from one source.

`tables.csv` lists the columns of each table, `columns.csv` says of each column its type, unit, meaning and what a blank
means (`table` names the tables where that differs). `<name>` stands for any value of that name, a trailing `?` marks a
column that not every run has. Both files lie beside this module, which is all that a task in a cloud has.

A module that takes a table's columns from here has a line `# code-table: NAME`, by which -resume depends on names and
types of that table alone; `# code-text: NAME` depends on its words, too.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

CONTRACT_VERSION = 2
"""Of the outputs: names of files and columns, and what they mean. A change that a reader of results must follow raises
it, whatever the version of the software: 1 is that of 0.1.0, which does not say so (docs/renames.csv has what changed).
complete.json, run_facts.json and the metadata of each Parquet file have it."""
FOLDER = Path(__file__).parent
TYPES = ("string", "int64", "double", "float", "bool", "int64 or double", "same")
"""Types as pyarrow names them. `int64 or double`: whole numbers where all are; `same`: that of the column it copies."""

PLACEHOLDERS = {
    "dose": r"[\d.]+",
    "metric": r"[a-z][a-z0-9_]*",
    "compared": r"[a-z][a-z0-9_]*",
    "cell": r"(?:loso|tenfold)_\d+_\w+?",
    "method": r"[^/]+",
    "task": r"[a-z][a-z0-9_]*",
    "extractor": r"[^/]+",
    "table": r"[^/]+",
    "scanner_table": r"(?:table[345]|similarity)_[a-z][a-z0-9_]*",
}
"""What `<name>` may stand for; other names stand for any text."""


class Column(NamedTuple):
    """A column, or a family of columns, of one table."""

    column: str
    type: str
    unit: str
    meaning: str
    blank: str
    """What a blank cell means; "" where no cell is blank."""


def pattern(name: str) -> re.Pattern:
    """Return the expression that matches what a name with `<…>` stands for."""
    parts = re.split(r"<(\w+)>", name)
    text = "".join(f"({PLACEHOLDERS.get(part, '.+')})" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(text)


def _fixed(name: str) -> int:
    """Characters of a name that stand for themselves: of two patterns that match, the one with more is meant."""
    return len(re.sub(r"<\w+>", "", name))


@dataclass(frozen=True)
class Table:
    """A table, or a family of tables, with its columns in order."""

    table: str
    meaning: str
    columns: tuple[Column, ...]
    optional: frozenset[str]
    """Columns that not every run has."""

    @property
    def names(self) -> list[str]:
        """The columns that every such table has."""
        return [c.column for c in self.columns if "<" not in c.column and c.column not in self.optional]

    def column(self, name: str) -> Column | None:
        """Return what the contract says of a column; None where it has no such column."""
        exact = [c for c in self.columns if c.column == name]
        families = [c for c in self.columns if "<" in c.column and pattern(c.column).fullmatch(name)]
        return (exact or sorted(families, key=lambda c: -_fixed(c.column)) or [None])[0]

    def described(self, names: Iterable[str], words: Mapping[str, tuple[str, str]]) -> list[Column]:
        """Return what the contract says of each column of a table; families are resolved.

        `words` has unit and meaning of what families are of, such as metrics by their name.
        """
        return [self._resolved(name, words) for name in names]

    def _resolved(self, name: str, words: Mapping[str, tuple[str, str]]) -> Column:
        column = self.column(name)
        if column is None:
            raise ValueError(f"the column {name} is not in the contract of {self.table}")
        if "<" not in column.column:
            return column
        of = next(iter(pattern(column.column).fullmatch(name).groups()), "")
        if "<column>" in column.column:
            base = self._resolved(of, words)
            kind = base.type if column.type == "same" else column.type
            return column._replace(column=name, type=kind, unit=base.unit)
        unit, meaning = words.get(of, ("", ""))
        meaning = f"{meaning}: {column.meaning}" if meaning else column.meaning
        placeholder = re.search(r"<\w+>", column.column)[0]
        return Column(name, column.type, column.unit or unit, meaning, column.blank.replace(placeholder, of))

    def faults(self, names: Iterable[str]) -> list[str]:
        """Return how the columns of a table differ from the contract."""
        names = list(names)
        found = [f"the column {name} is not in the contract" for name in names if self.column(name) is None]
        found += [f"the column {name} is missing" for name in self.names if name not in names]
        if not found and len(names) == len(self.names) == len(self.columns) and names != self.names:
            found.append(f"the columns are in another order than {', '.join(self.names)}")
        return found


def _rows(name: str) -> list[dict[str, str]]:
    with open(FOLDER / name, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@cache
def read_contract() -> dict[str, Table]:
    """Read all tables of the contract by name, in the order of the file."""
    words: dict[str, list[dict]] = {}
    for row in _rows("columns.csv"):
        words.setdefault(row["column"], []).append(row)

    def column(name: str, table: str) -> Column:
        fitting = [row for row in words[name] if row["table"] in ("", table) or pattern(row["table"]).fullmatch(table)]
        best = max(fitting, key=lambda row: (row["table"] == table, _fixed(row["table"])))
        return Column(name, *(best[key] for key in ("type", "unit", "meaning", "blank")))

    found = {}
    for row in _rows("tables.csv"):
        names = row["columns"].split()
        columns = tuple(column(name.rstrip("?"), row["table"]) for name in names)
        optional = frozenset(name[:-1] for name in names if name.endswith("?"))
        found[row["table"]] = Table(row["table"], row["meaning"], columns, optional)
    return found


def table_of(path: str) -> Table | None:
    """Return the table that a path within a folder of results is; None where the contract has none."""
    fitting = [table for name, table in read_contract().items() if pattern(name).fullmatch(path)]
    return max(fitting, key=lambda table: _fixed(table.table), default=None)


def columns_of(table: str, **families: Iterable[str]) -> list[str]:
    """Return the names of the columns that every such table has; `table` is a name of tables.csv.

    `families` gives the values of `<name>` that a column named so stands for; other families are left out.
    """
    own = read_contract()[table]
    names = []
    for column in own.columns:
        if column.column in own.names:
            names.append(column.column)
        elif match := re.fullmatch(r"<(\w+)>", column.column):
            names += families.get(match[1], ())
    return names


@cache
def text_columns() -> frozenset[str]:
    """Return the columns that stay text even where all their values look like numbers."""
    return frozenset(row["column"] for row in _rows("columns.csv") if row["type"] == "string" and not row["table"])
