"""Where the files of a chunk of series are: rows of the index, on folders that were handed to a task."""

# code-table: index/files.parquet

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError

FILE_COLUMNS = columns_of("index/files.parquet")
"""Columns of files.parquet: `role` is `ct` or `seg`, `folder` is relative to the root, `name` a plain file name."""
FILE_KEY = [name for name in FILE_COLUMNS if name != "position_mm"]


def folders_of(files: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the unique (root, folder) of rows of files.parquet in the order in which a task is given its folders.

    That is the order of the texts root/folder, as inputs.csv has them.
    """
    pairs = set(zip(files["root"], files["folder"].fillna(""), strict=True))
    return sorted(pairs, key=lambda pair: "/".join(pair).rstrip("/"))


def locate(files: pd.DataFrame, folders: Sequence[Path | str]) -> pd.DataFrame:
    """Add a column `file`, the `Path` of each, to `files` (rows of files.parquet, those of this task only).

    `folders` are those of `folders_of(files)`, in that order. A file that is not there, or not of the size that it had
    when the index was made, is a `UserError`.
    """
    pairs = folders_of(files)
    if len(pairs) != len(folders):
        raise UserError(
            f"{len(folders)} folders are given for series that lie in {len(pairs)}; give them in the order of "
            f"index/inputs.csv: {', '.join('/'.join(pair).rstrip('/') for pair in pairs[:5])}"
        )
    path_of = {pair: Path(folder) for pair, folder in zip(pairs, folders, strict=True)}
    paths = []
    for row in files.itertuples():
        folder = row.folder if isinstance(row.folder, str) else ""
        if Path(row.name).name != row.name or row.name in ("", ".", ".."):
            raise UserError(
                f"index/files.parquet names a file '{row.name}', which is not a plain file name; index again"
            )
        path = path_of[row.root, folder] / row.name
        try:
            size = path.stat().st_size
        except OSError as error:
            where = f"{row.root}/{folder}/{row.name}"
            raise UserError(f"{where} cannot be read ({error.strerror}); index again") from error
        if size != row.size_bytes:
            raise UserError(f"{row.root}/{folder}/{row.name} changed since it was indexed; index again")
        paths.append(path)
    return files.assign(file=paths)
