"""Tables of features that were harmonized elsewhere: they have the rows and features of the run, and finite values."""

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.errors import UserError, few
from ct4bench.core.feature_tables import feature_columns

ALIKE = "none/features/<feature set>.parquet among the results of the same run without it has what is expected"


def _words(row) -> str:
    return f"series {row['series_uid']}, {row['roi']}, patch {row['patch']}"


def check_finite(table: pd.DataFrame, path: str) -> None:
    """Raise a `UserError` where a value of a table (of `read_features`) is missing or infinite."""
    names = feature_columns(table)
    bad = ~np.isfinite(table[names].to_numpy())
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise UserError(
            f"{path}: {names[column]} of {_words(table.iloc[row])} is missing or infinite ({int(bad.sum())} values in "
            f"{int(bad.any(axis=1).sum())} rows are); give every feature of every row a number"
        )


def check_beside(table: pd.DataFrame, plain: pd.DataFrame, path: str, extractor: str) -> None:
    """Raise a `UserError` where a table has not the rows and features of `plain`, which is that of no harmonization.

    Rows are series, ROI and patch, in any order, and what describes them must be the same, too.
    """
    own, other = feature_columns(table), feature_columns(plain)
    lacking, strange = sorted(set(other) - set(own)), sorted(set(own) - set(other))
    if lacking or strange:
        words = f"lacks {len(lacking)} of the {len(other)} features of {extractor} of this run: {few(lacking)}"
        more = f"has {len(strange)} features that {extractor} of this run has not: {few(strange)}"
        found = ", and ".join(text for text, names in ((words, lacking), (more, strange)) if names)
        raise UserError(f"{path} {found}; give it the same columns, and the name of its own feature set ({ALIKE})")
    both = table[FEATURE_KEY].merge(
        plain[FEATURE_KEY], on=ROW_KEY, how="outer", suffixes=("", "_plain"), indicator=True
    )
    for side, verb in (("right_only", "lacks"), ("left_only", "has")):
        rows = both[both["_merge"] == side].sort_values(ROW_KEY)
        if len(rows):
            what = f"of the {len(plain)} rows of this run" if verb == "lacks" else "rows that this run has not"
            raise UserError(
                f"{path} {verb} {len(rows)} {what}, the first is {_words(rows.iloc[0])}; give it a row for each "
                f"series, ROI and patch of the run, and no other ({ALIKE})"
            )
    for name in [name for name in FEATURE_KEY if name not in ROW_KEY]:
        differs = (both[name] != both[f"{name}_plain"]).to_numpy()
        if differs.any():
            row = both[differs].iloc[0]
            raise UserError(
                f"{path}: {_words(row)} has {name} '{row[name]}', which is '{row[f'{name}_plain']}' in this run "
                f"({int(differs.sum())} rows); leave what describes a row as it was ({ALIKE})"
            )
