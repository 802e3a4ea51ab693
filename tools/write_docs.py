#!/usr/bin/env python3
"""Write the parts of the docs that are made from data anew: what lies between `<!-- name: … -->` and `<!-- end -->`.

tools/write_docs.py            # needs the environment of `make setup`
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from ct4bench.core import contract, reasons  # noqa: E402  the path above must be there first


def tables() -> str:
    """Each table of the contract with its columns."""
    lines = []
    for table in contract.read_contract().values():
        names = [f"{c.column}{' (not in every run)' if c.column in table.optional else ''}" for c in table.columns]
        lines += [f"### `{table.table}`", f"{_sentence(table.meaning)}", "", ", ".join(f"`{n}`" for n in names), ""]
    return "\n".join(lines).replace(" (not in every run)`", "` (not in every run)")


def columns() -> str:
    """Each column of the contract, in the order of the tables; where a table's differs, a row of its own."""
    lines = ["| column | type | unit | what it says | blank |", "|---|---|---|---|---|"]
    seen = set()
    for table in contract.read_contract().values():
        for column in table.columns:
            if column in seen:
                continue
            other = any(name == column.column for name, *_ in seen)
            seen.add(column)
            name = f"`{column.column}`" + (f" in `{table.table}`" if other else "")
            cells = (name, column.type, column.unit, column.meaning, column.blank)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


PARTS = {
    "docs/input.md": {"reasons": lambda: reasons.markdown(reasons.read_reasons())},
    "docs/columns.md": {"tables": tables, "columns": columns},
}
"""By page: the parts in it, each with what makes it."""


def page_with_parts(text: str, parts: dict) -> str:
    """A page with each of its parts made anew; `ValueError` where the page has no such part."""
    for name, make in parts.items():
        found = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.S)
        match = found.search(text)
        if not match:
            raise ValueError(f"no part <!-- {name}: … --> … <!-- end -->")
        text = text[: match.end(1)] + make() + text[match.start(2) :]
    return text


def main() -> int:
    """Write all pages."""
    for name, parts in PARTS.items():
        path = ROOT / name
        path.write_text(page_with_parts(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
