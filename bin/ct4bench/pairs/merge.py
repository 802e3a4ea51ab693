"""Merging the pairs of all tasks into pairs.parquet."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ct4bench.core.tables import concatenate

ORDER = ["table", "variant", "scanner_a", "scanner_b", "pair_index", "series_uid_a", "series_uid_b"]


def merge_pairs(parts: Iterable[Path | str]) -> pd.DataFrame:
    """Return the rows of all parts in their fixed order, whatever the order of `parts`."""
    return concatenate(parts, ORDER)
