"""What stands at the seam `features_of(fold)` for a method: a fold's rows, mapped by a fit on its training rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.harmonization.methods import Variant, read_declaration, variants_of
from ct4bench.harmonization.run_fold import (
    Failure,
    Harmonized,
    NotApplicable,
    Rows,
    Sandbox,
    harmonize_fold,
    imports_of,
)
from ct4bench.splits.fold import NOT_TRIED, Fold, NotHarmonized, training_number
from ct4bench.splits.splits import as_text

NOT_APPLICABLE, FAILED = "not applicable", "failed"
COVARIATES = ["tissue", "dose_mgy", "recon"]
OWN_CODE = "/ct4bench/harmonization/"
SHOWN_LINES = 5
"""Last lines of a method that failed which its reason has."""


def read_variant(folder: Path | str, name: str, shipped: bool, called: Path | str = "") -> Variant:
    """Read the variant of that name (`combat.mean_only`) of a method's folder, which errors call `called`."""
    variants = variants_of(read_declaration(folder, shipped, called))
    for variant in variants:
        if variant.name == name:
            return variant
    raise UserError(f"{called or folder} has no variant {name}; it has {', '.join(one.name for one in variants)}")


def domains_of(keys: pd.DataFrame, harmonize_by: Sequence[str]) -> np.ndarray:
    """Return what a domain is to a method, text of each row: the values of the columns, joined by `|`."""
    unknown = [name for name in harmonize_by if name not in ("scanner", "maker", "dose_mgy", "recon")]
    if unknown:
        raise UserError(f"--harmonize_by {unknown[0]} is not of scanner, maker, dose_mgy, recon")
    columns = [as_text(keys[name]) for name in harmonize_by]
    return np.array(["|".join(values) for values in zip(*columns, strict=True)], dtype=object)


def reason_of(result: NotApplicable | Failure) -> str:
    """Return why there is no result, with the last lines of a method that failed."""
    told = [" ".join(line.split()) for line in getattr(result, "lines", ())]
    # neither this project's own frames nor what the reason has
    lines = [line for line in told if OWN_CODE not in line and line and line not in result.reason][-SHOWN_LINES:]
    return f"{result.reason}{' (' if lines else ''}{' / '.join(lines)}{')' if lines else ''}"


class MethodFeatures:
    """Gives a fold its features by a method, which a process of the fold's own fits on the fold's training rows.

    `keys` as `splits.sorted_keys` gives them, `values` (rows, features) float64 in their order. After a failure no
    further fold is tried.
    """

    def __init__(
        self, variant: Variant, keys: pd.DataFrame, names: Sequence[str], values: np.ndarray,
        harmonize_by: Sequence[str] = ("scanner",), seed: int = 0,
    ):  # fmt: skip
        self.variant, self._seed = variant, seed
        self._rows = Rows(
            values, domains_of(keys, harmonize_by), list(names), keys[COVARIATES].reset_index(drop=True),
            (keys["roi"] + "|" + keys["patch"].astype(str)).to_numpy(str),
        )  # fmt: skip
        self._sandbox = Sandbox(imports_of([variant]))
        self._failed = ""

    def __enter__(self) -> "MethodFeatures":
        return self

    def __exit__(self, *_) -> None:
        self._sandbox.close()

    def map(self, training: np.ndarray, targets: np.ndarray, adapt: np.ndarray, key: int, name: str) -> Harmonized:
        """Fit on training rows (numbers), and map them and the targets; `adapt` are rows of the targets' domains.

        `key` is the second number of the seed, `name` what an error calls this. Raises `NotHarmonized`.
        """
        if self._failed:
            raise NotHarmonized(FAILED, f"{NOT_TRIED} ({self._failed})")
        parts = [self._rows.take(rows) for rows in (training, targets, adapt)]
        result = harmonize_fold(
            self.variant, parts[0], targets=parts[1], adapt=parts[2] if len(adapt) else None, seed=(self._seed, key),
            sandbox=self._sandbox,
        )  # fmt: skip
        if isinstance(result, Failure):
            self._failed = name
            raise NotHarmonized(FAILED, reason_of(result))
        if isinstance(result, NotApplicable):
            raise NotHarmonized(NOT_APPLICABLE, reason_of(result))
        return result

    def __call__(self, fold: Fold) -> np.ndarray:
        """Return the features of a fold's rows, (rows, features) float64."""
        rows, n = fold.rows, fold.n_training
        made = self.map(rows[:n], rows[n:], fold.split.adaptation, training_number(fold.split), str(fold.split))
        return np.concatenate([made.training, made.targets])
