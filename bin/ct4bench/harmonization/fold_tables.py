"""What stands at the seam `features_of(fold)` for a method of images that learns from all scanners: tables of features
of the volumes that it mapped in a fold, by a fit on the fold's training series.

A folder of them has `folds.csv` (`image_methods.plan.FOLD_COLUMNS`), `outcomes.csv` (what became of each fit, with its
`number`) and `<number>/<extractor>.parquet`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import ROW_KEY
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import plain_units, read_feature_blocks, sorted_values
from ct4bench.core.tables import read_table
from ct4bench.harmonization.features_of import FAILED, NOT_APPLICABLE, domains_of
from ct4bench.harmonization.methods import Variant
from ct4bench.splits.fold import Fold, NotHarmonized
from ct4bench.splits.splits import Split
from ct4bench.splits.tasks import COMPARED_N

HARMONIZED = "harmonized"
PLAN, OUTCOMES = "folds.csv", "outcomes.csv"
NOT_MAPPED = (
    f"learns from all scanners, so that each fold needs its own volumes, which are made for leave-one-out with "
    f"{COMPARED_N} and with all others alone"
)


class FoldTables:
    """Gives a fold its features from the table of its own fit: the one on exactly its training series.

    `keys` as `splits.sorted_keys` gives them and `names` of the features without harmonization, of which no value is
    read.
    """

    def __init__(
        self, variant: Variant, keys: pd.DataFrame, names: Sequence[str], extractor: str, folder: Path | str,
        harmonize_by: Sequence[str] = ("scanner",),
    ):  # fmt: skip
        self._variant, self._keys, self._names = variant, keys, list(names)
        self._extractor, self._folder = extractor, Path(folder)
        self._domain, self._uids = domains_of(keys, harmonize_by), keys["series_uid"].to_numpy(str)
        plan = read_table(self._folder / PLAN)
        fits = plan[(plan["role"] == "fit") & (plan["number"] > 0)].astype({"series_uid": str})
        self._number = {frozenset(own): int(number) for number, own in fits.groupby("number")["series_uid"]}
        outcomes = read_table(self._folder / OUTCOMES).fillna({"reason": ""})
        self._outcome = {int(row["number"]): row for row in outcomes.to_dict("records")}

    def number_of(self, split: Split) -> int:
        """Return the number of a training's fit. Raises `NotHarmonized` where it has none, or that failed."""
        domains, least = len(set(self._domain[split.training])), self._variant.declaration.min_domains
        if domains < least:
            raise NotHarmonized(NOT_APPLICABLE, f"needs {least} training domains, and has {domains}")
        number = self._number.get(frozenset(self._uids[split.training])) if split.scheme == "loso" else None
        if number is None:
            raise NotHarmonized(NOT_APPLICABLE, NOT_MAPPED)
        outcome = self._outcome[number]
        if outcome["status"] != HARMONIZED:
            raise NotHarmonized(outcome["status"], outcome["reason"])
        return number

    def __call__(self, fold: Fold) -> np.ndarray:
        """Return the features of a fold's rows, (rows, features) float64."""
        path = self._folder / str(self.number_of(fold.split)) / f"{self._extractor}.parquet"
        keys, names, values = sorted_values(read_feature_blocks(path))
        if names != self._names:
            raise UserError(f"{path} has other features than those without harmonization; extract both alike")
        there, asked = (pd.MultiIndex.from_frame(table[ROW_KEY]) for table in (keys, self._keys.iloc[fold.rows]))
        rows = there.get_indexer(asked)
        if (rows < 0).any():
            raise NotHarmonized(NOT_APPLICABLE, NOT_MAPPED)
        given = values[rows]
        bad = ~np.isfinite(given).all(axis=0)
        if bad.any():
            raise NotHarmonized(FAILED, f"feature {names[int(np.argmax(bad))]} of its volumes is missing or infinite")
        return plain_units(given)[0]
