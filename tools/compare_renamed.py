#!/usr/bin/env python3
"""Compare the tables of two folders of results, the older of which has the names of an earlier version.

docs/renames.csv says what changed: files and columns with their old and new names (`*` stands for any text), columns
and files that are new, and columns that were split into several, the last of which that is not blank has the old value.
With that undone in the new tables they must be equal to the old ones: CSV text by text, Parquet in values.
Exit status 1 and a line for each difference.

    .venv/bin/python tools/compare_renamed.py OLD_RESULTS NEW_RESULTS [--tolerance 1e-9 [--only REGEX]]
"""

import argparse
import io
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Changes:
    """What changed from one version to the other: files by old name, and columns of each (new) table."""

    files: dict[str, str]
    new_files: frozenset[str]
    columns: list[tuple[str, str, str, str]]
    """Kind (`column`, `new column`, `split`), table, old and new name; names and tables may have one `*`."""

    def of(self, name: str, kind: str) -> list[tuple[str, str]]:
        """Old and new names of a kind in a table."""
        return [(old, new) for own, table, old, new in self.columns if own == kind and fnmatch(name, table)]

    def renamed(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """An old table with the new names of its columns."""
        names = {}
        for old, new in self.of(name, "column"):
            pattern = re.compile("^" + re.escape(old).replace(r"\*", "(.*)") + "$")
            for column in frame.columns:
                if match := pattern.match(column):
                    parts = iter(match.groups())
                    names[column] = re.sub(r"\*", lambda _, parts=parts: next(parts), new)
        return frame.rename(columns=names)

    def without_new(self, frame: pd.DataFrame, name: str, before: pd.DataFrame) -> pd.DataFrame:
        """A new table without its new columns that the old one lacks, and with those in one that an old one was split
        into."""
        come = [new for _, new in self.of(name, "new column") if new not in before.columns]
        frame = frame.drop(columns=come, errors="ignore")
        for old, new in self.of(name, "split"):
            parts = new.split()
            if set(parts) <= set(before.columns) or not set(parts) <= set(frame.columns):
                continue
            value = frame[parts[0]]
            for part in parts[1:]:
                value = frame[part].where(frame[part] != "", value)
            frame = frame.assign(**{parts[-1]: value}).drop(columns=parts[:-1]).rename(columns={parts[-1]: old})
        return frame


def read_changes(folder: Path) -> Changes:
    """Changes by docs/renames.csv; `<method>` is any method of the folder."""
    table = pd.read_csv(ROOT / "docs" / "renames.csv", keep_default_na=False)
    methods = [path.name for path in folder.iterdir() if (path / "tables").is_dir()]
    files, new_files, columns = {}, set(), {}
    for row in table.itertuples():
        for method in methods:
            old, new, name = (text.replace("<method>", method) for text in (row.old, row.new, row.table))
            if row.kind == "file":
                files[old] = new
            elif row.kind == "new file":
                new_files.add(new)
            elif row.kind in ("column", "new column", "split"):
                columns[row.kind, name, old, new] = None
    return Changes(files, frozenset(new_files), list(columns))


def tables(folder: Path) -> dict[str, Path]:
    """Tables below a folder by their names; what is not the same twice is left out."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in SUFFIXES}
    return {name: path for name, path in found.items() if not name.startswith("pipeline_info/")}


def read(path: Path) -> pd.DataFrame:
    """A table; of a CSV the text of each cell."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pandas()
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of text with its numbers as such."""
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)), low_memory=False)


def close(old: pd.DataFrame, new: pd.DataFrame, tolerance: float) -> str:
    """How two tables differ beyond a relative tolerance; blank where they do not."""
    if list(old.columns) != list(new.columns) or len(old) != len(new):
        gone, come = [c for c in old if c not in set(new)], [c for c in new if c not in set(old)]
        return f"{len(old)} rows, {len(new)} now; columns gone {gone}, new {come}"
    for name in old.columns:
        a, b = old[name], new[name]
        if pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            x, y = a.to_numpy(float), b.to_numpy(float)
            same = np.isclose(x, y, rtol=tolerance, atol=0, equal_nan=True)
        else:
            same = (a.astype(str).fillna("") == b.astype(str).fillna("")).to_numpy()
        if not same.all():
            i = int(np.argmin(same))
            return f"{name}, row {i}: {a.iloc[i]} was, {b.iloc[i]} is ({int((~same).sum())} of {len(same)} rows)"
    return ""


def main() -> int:
    """Compare, print differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest relative difference of a number")
    parser.add_argument("--only", default=".*", help="tables whose numbers may differ by --tolerance")
    args = parser.parse_args()
    for folder in (args.old, args.new):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    changes = read_changes(args.old)
    old, new = {changes.files.get(name, name): path for name, path in tables(args.old).items()}, tables(args.new)
    faults = [f"{name} is missing" for name in sorted(set(old) - set(new))]
    faults += [] if old else [f"{args.old} has no tables"]
    faults += [f"{name} is new" for name in sorted(set(new) - set(old) - changes.new_files)]
    exact = 0
    for name in sorted(set(old) & set(new)):
        if old[name].read_bytes() == new[name].read_bytes():
            exact += 1
            continue
        before = changes.renamed(read(old[name]), name)
        now = changes.without_new(read(new[name]), name, before)
        if args.tolerance and re.search(args.only, name):
            difference = close(numbers(before), numbers(now), args.tolerance)
        else:
            difference = close(before, now, 0.0)
        faults += [f"{name}: {difference}"] if difference else []
        exact += not difference
    print("\n".join([*faults, f"{exact} of {len(old)} tables are equal"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
