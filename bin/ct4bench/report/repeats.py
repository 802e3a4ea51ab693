"""Words that stand on every row of a table are said once above it, and so are long ones that follow from a short name.

A grid is what `cells_of` gives: `columns`, and `rows` with `head` and `cells`.
"""

from ct4bench.report.cells import BLANK, INTERVAL

LEAST_ROWS = 3
"""A shorter table keeps its columns."""
LONG_SIGNS = 24
"""Words of so many signs on average are long: they go above the table where a shorter column tells them."""


def _column(rows: list[dict], at: int) -> list[dict]:
    return [{"main": row["head"]} if at == 0 else row["cells"][at - 1] for row in rows]


def _plain(cells: list[dict]) -> list[str] | None:
    """The words of a column whose cells have nothing but words; else None."""
    if any(set(cell) - {"main", "left"} for cell in cells):
        return None
    return [cell["main"] for cell in cells]


def _told_by(words: list[str], others: dict[int, list[str]], at: int) -> int | None:
    """The first other column of shorter words that tells these, each of which stands on several rows."""
    if len(set(words)) > len(words) / 2:
        return None
    for other, values in others.items():
        shorter = sum(map(len, values)) < sum(map(len, words)) / 2
        if other != at and shorter and len(set(zip(values, words, strict=True))) == len(set(values)):
            return other
    return None


def lift_repeats(grid: dict) -> dict:
    """Return the grid without the columns whose words are the same on every row, and with `above`: (head, words) of
    each, and of long words by the short ones that tell them. A value that has intervals stays, with them.

    The first column stays. Columns that are blank on every row are left out; the file has them.
    """
    rows, columns = grid["rows"], grid["columns"]
    if len(rows) < LEAST_ROWS or len(columns) != 1 + len(rows[0]["cells"]):
        return grid
    plain = {at: _plain(_column(rows, at)) for at in range(len(columns))}
    known = {at: words for at, words in plain.items() if words is not None}
    above, gone = [], set()
    valued = {at for at in range(len(columns) - 1) if columns[at + 1].startswith(INTERVAL)}
    for at, words in known.items():
        # a value stays with its intervals
        if at and len(set(words)) == 1 and (at not in valued and not columns[at].startswith(INTERVAL)):
            gone.add(at)
            above += [] if words[0] in ("", BLANK) else [(columns[at], words[0])]
    rest = {at: words for at, words in known.items() if at not in gone}
    for at, words in rest.items():
        if at == 0 or sum(map(len, words)) < LONG_SIGNS * len(words):
            continue
        by = _told_by(words, {i: w for i, w in rest.items() if i not in gone}, at)
        if by is not None:
            gone.add(at)
            told = dict(zip(rest[by], words, strict=True))
            above += [(f"{columns[at]}, {name}", said) for name, said in told.items() if said]
    kept = [at for at in range(len(columns)) if at not in gone]
    if len(kept) < 2:
        return grid
    left = set(grid.get("left", []))
    hints = grid.get("hints")
    return {
        **grid,
        "columns": [columns[at] for at in kept],
        "rows": [{**row, "cells": [row["cells"][at - 1] for at in kept if at]} for row in rows],
        "left": [i for i, at in enumerate(kept) if at in left],
        "above": above,
        **({"hints": [hints[at] for at in kept]} if hints else {}),
    }
