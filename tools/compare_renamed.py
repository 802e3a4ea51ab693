#!/usr/bin/env python3
"""Compare the tables of two folders of results, the older of which has the names of an earlier version.

docs/renames.csv maps old names of files and columns to new ones. Tables of equal names must be equal: CSV byte for byte
after the head of each column is renamed, Parquet in types and values. Exit status 1 and a line for each difference.

    tools/compare_renamed.py OLD_RESULTS NEW_RESULTS [--tolerance 1e-9 [--only REGEX]]
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".csv", ".parquet")


def renames(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """New names of files and of the columns of each (new) file, by old ones; `<method>` is any method of the folder."""
    table = pd.read_csv(ROOT / "docs" / "renames.csv", keep_default_na=False)
    methods = [path.name for path in folder.iterdir() if (path / "tables").is_dir()]
    files, columns = {}, {}
    for row in table.itertuples():
        for method in methods:
            old, new, name = (text.replace("<method>", method) for text in (row.old, row.new, row.table))
            if row.kind == "file":
                files[old] = new
            elif row.kind == "column":
                columns.setdefault(name, {})[old] = new
    return files, columns


def tables(folder: Path) -> dict[str, Path]:
    """Tables below a folder by their names; what is not the same twice is left out."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in SUFFIXES}
    return {name: path for name, path in found.items() if not name.startswith("pipeline_info/")}


def renamed_csv(path: Path, columns: dict[str, str]) -> bytes:
    """Bytes of a CSV with its columns renamed."""
    head, _, rest = path.read_bytes().partition(b"\n")
    names = [columns.get(name, name) for name in head.decode().split(",")]
    return ",".join(names).encode() + b"\n" + rest


def as_frame(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """A table with its columns renamed."""
    frame = pq.read_table(path).to_pandas() if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    return frame.rename(columns=columns)


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
            same = (a.astype(str) == b.astype(str)).to_numpy()
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
    files, columns = renames(args.old)
    old, new = {files.get(name, name): path for name, path in tables(args.old).items()}, tables(args.new)
    faults = [f"{name} is missing" for name in sorted(set(old) - set(new))]
    faults += [f"{name} is new" for name in sorted(set(new) - set(old))]
    exact = 0
    for name in sorted(set(old) & set(new)):
        own = columns.get(name, {})
        if name.endswith(".csv") and renamed_csv(old[name], own) == new[name].read_bytes():
            exact += 1
            continue
        tolerance = args.tolerance if re.search(args.only, name) else 0.0
        difference = close(as_frame(old[name], own), as_frame(new[name], {}), tolerance)
        if difference:
            faults.append(f"{name}: {difference}")
        elif name.endswith(".csv") and not tolerance:
            faults.append(f"{name}: equal in values, not in bytes")
        else:
            exact += 1
    print("\n".join([*faults, f"{exact} of {len(old)} tables are equal"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
