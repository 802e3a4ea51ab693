"""The index of all parts of a tree: the tables that the whole tree would have."""

from collections.abc import Iterable
from pathlib import Path

from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.index.contents import read_contents
from ct4bench.index.index import Index, index_contents


def merge_index(
    parts: Iterable[Path | str],
    roots: Iterable[Path | str] = (),
    pattern: str | None = None,
    phantom: Phantom = CT4HARMONIZATION,
    one_mask: bool = False,
) -> Index:
    """Index the files of contents of all `parts` as one tree; `roots` are its folders, where they are still there.

    Names, repetitions, copies and refusals are told over all parts, as `index.build_index` does over one tree.
    """
    return index_contents(read_contents(parts, roots), pattern, phantom, one_mask)
