"""The fold: what stands between a split and its training, and gives the training its features.

A training asks a function for the features of its rows and reads nothing else of the table of features, neither for its
scaler nor for its model:

    features_of(fold) -> (rows, features) float64, a row for each of `Fold.rows`, in their order

`unchanged` gives the rows as they are. A harmonization method gives rows that it has transformed: it may fit on the
first `n_training` of them, and knows them by `Fold.ids` only. Where it gives none, it raises `NotHarmonized`.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ct4bench.splits.splits import Split

ROW_IDS = 4
"""Third number of the seed [seed, number of the training, ROW_IDS] of a fold's ids."""


NOT_TRIED = "not tried after it failed"
"""How the reason begins of a fold that was left out because a fold before it failed."""


class NotHarmonized(Exception):
    """A method has no features for a fold: `status` is `not applicable` or `failed`, the message says why."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


def training_number(split: Split) -> int:
    """Return the number of a training in seeds: CRC-32 of `scheme|n_train|fold`.

    Neither extractor nor ablation is in it, so that these are compared under the same order of rows and dropout.
    """
    return zlib.crc32(f"{split.scheme}|{split.n_train}|{split.fold}".encode())


@dataclass(frozen=True)
class Fold:
    """The rows that a training asks for."""

    split: Split
    seed: int = 0
    beyond: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows of no part of the split, which only the published leak asks for: its scaler is fitted on all rows."""

    @property
    def n_training(self) -> int:
        """Training rows: the first ones."""
        return len(self.split.training)

    @property
    def n_learning(self) -> int:
        """Training and validation rows: the ones before the test rows."""
        return len(self.split.training) + len(self.split.validation)

    @property
    def rows(self) -> np.ndarray:
        """Row numbers, int64: training, validation, test, then those beyond the split."""
        return np.concatenate([self.split.training, self.split.validation, self.split.test, self.beyond])

    @property
    def ids(self) -> np.ndarray:
        """A number from 0 to rows - 1 for each of `rows`, int64, in an order drawn for this fold alone.

        It says nothing of the series, the patch or the row of the table, and rows sorted by it are in random order.
        """
        rng = np.random.default_rng([self.seed, training_number(self.split), ROW_IDS])
        return rng.permutation(len(self.rows))


class Selected:
    """Rows of a table of features by number; what is read of them is copied then, in the blocks that are asked for."""

    def __init__(self, values: np.ndarray, rows: np.ndarray):
        self._values, self._rows = values, rows

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, features)."""
        return len(self._rows), self._values.shape[1]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Copy the rows at these indices of the selection."""
        return self._values[self._rows[indices]]


FeaturesOf = Callable[[Fold], "np.ndarray | Selected"]
"""Gives the features of a fold's rows, (rows, features) float64 and finite."""


def unchanged(values: np.ndarray) -> FeaturesOf:
    """Return the function that gives the rows of `values` (rows, features) as they are; it copies nothing."""
    return lambda fold: Selected(values, fold.rows)
