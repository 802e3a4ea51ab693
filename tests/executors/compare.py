#!/usr/bin/env python3
"""Compare the results of runs: compare.py FOLDER FOLDER ... [--tolerance 1e-6 OTHER ...]

All FOLDERs must hold the same files with the same bytes, apart from what tells of the run: report.html, pipeline_info/,
the two descriptions with its date, and the line of versions.yml that names the engine.
Each OTHER must hold the same tables, numbers equal to the tolerance, relative to the largest number of their column.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import pandas as pd

DATED = {"report.html", "ro-crate-metadata.json", "croissant.json"}
VERSIONS = "provenance/versions.yml"


def content(path: Path, name: str) -> bytes:
    """What must be equal of a file at its place."""
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if name != VERSIONS or not line.startswith(b"container_engine:"))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that must be equal, by its place."""
    files = (path for path in folder.rglob("*") if path.is_file())
    places = {path.relative_to(folder).as_posix(): path for path in files}
    kept = {name for name in places if name not in DATED and not name.startswith("pipeline_info/")}
    return {name: hashlib.sha256(content(places[name], name)).hexdigest() for name in sorted(kept)}


def read(path: Path) -> pd.DataFrame:
    """A table of either kind."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def difference(first: Path, second: Path) -> float:
    """Largest difference of numbers, relative to the largest of their column; infinite where anything else differs."""
    a, b = read(first), read(second)
    if list(a.columns) != list(b.columns) or len(a) != len(b):
        return float("inf")
    worst = 0.0
    for name in a.columns:
        x, y = a[name], b[name]
        if not (x.isna() == y.isna()).all():
            return float("inf")
        x, y = x.dropna(), y.dropna()
        if pd.api.types.is_numeric_dtype(x) and not pd.api.types.is_bool_dtype(x):
            scale = float(x.abs().max()) if len(x) else 0.0
            apart = (x != y) & ~((x - y).abs() == 0)
            worst = max(worst, float((x - y)[apart].abs().max()) / (scale or 1.0) if apart.any() else 0.0)
        elif not (x.astype(str) == y.astype(str)).all():
            return float("inf")
    return worst


def main() -> int:
    """Say what is equal; 1 where something that must be is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--others", nargs="*", type=Path, default=[])
    parser.add_argument("--tolerance", type=float, default=1e-6)
    args = parser.parse_args()
    wrong = 0
    first, expected = args.folders[0], digests(args.folders[0])
    if not expected:
        print(f"{first} holds nothing to compare")
        return 1
    for folder in args.folders[1:]:
        found = digests(folder)
        unequal = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        wrong += len(unequal)
        print(f"{folder} and {first}: {len(expected) - len(unequal)} of {len(expected)} files equal byte for byte")
        for name in unequal:
            print(f"    differs: {name}")
    for folder in args.others:
        found = digests(folder)
        tables = [name for name in expected if name.endswith((".csv", ".parquet"))]
        equal = sum(found.get(name) == expected[name] for name in tables)
        worst = {name: difference(first / name, folder / name) if name in found else float("inf") for name in tables}
        beyond = {name: value for name, value in worst.items() if value > args.tolerance}
        wrong += len(beyond)
        print(
            f"{folder} and {first}: {equal} of {len(tables)} tables equal byte for byte, largest relative difference "
            f"{max(worst.values()):.2g}"
        )
        for name, value in beyond.items():
            print(f"    beyond {args.tolerance:g}: {name}: {value:.2g}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
