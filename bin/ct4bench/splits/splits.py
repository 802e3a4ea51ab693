"""Which rows train, validate and test each classifier: Algorithms 1 and 2 of the paper, as a table and back.

The table (columns `SPLIT_COLUMNS`) has lines, not rows of features: a line gives a unit its role in a training, which
(task, ablation, scheme, n_train, fold) names. `unit_kind` says what `unit` is: a column of the features (`scanner`,
`maker`, `dose_mgy`, `recon`, `scan_id`, `roi`; numbers as `10` or `0.5`), `patch` (`cyst1|3`), `row`
(`series_uid|roi|patch`) or `fold`. Roles:

- `train`, `test`: the units that do; where a role has units of several kinds, a row must match one of each kind;
- `validation`: training rows of these units validate instead;
- `member` (n_train 0): the unit is in fold `fold`. Folds are drawn once, so that 90 trainings of a k-fold are 90 x 10
  lines of kind `fold` and one line for each unit, 16,080 rows at most;
- `exclude` (n_train 0): rows of this unit take no part in the scheme's trainings;
- `untested`: test rows of these units are not tested: the scans of the target that a harmonization method may be given,
  without their classes;
- `adapt`: rows of these units among them are what it is given.

`resolve` turns the table into row numbers, so each training can be recomputed from it and the keys of the features.

All draws are from `numpy.random.default_rng`, seeds as given at each function; `index` counts domain values in
alphabetical (numbers: ascending) order from 0, folds from 1.
"""

# code-table: <method>/splits.csv

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import DOMAINS, FEATURE_KEY, ROW_KEY
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError

TRAINING_KEY = ["task", "ablation", "scheme", "n_train", "fold"]
SPLIT_COLUMNS = columns_of("<method>/splits.csv")
N_FOLDS = 10
ROW_FOLDS_SEED = 42
"""`random_state` of the published row-level folds."""
VALIDATION_SHARE = 0.1
FOLD_ORDER, SCAN_FOLDS, VALIDATION, ADAPTATION = 1, 2, 3, 4
"""Second number of the seeds [seed, FOLD_ORDER, fold], [seed, SCAN_FOLDS, 0], [seed, VALIDATION, scheme, fold] and
[seed, ADAPTATION, CRC-32 of the value]."""
SCHEMES = ("loso", "kfold")


@dataclass(frozen=True)
class Split:
    """One training: row numbers (int64, ascending) of the keys that `resolve` was given."""

    task: str
    ablation: str
    scheme: str
    n_train: int
    fold: str
    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    adaptation: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows of the target, in no other part, that a harmonization method is given without their classes."""

    @property
    def key(self) -> tuple:
        """The values of `TRAINING_KEY`."""
        return self.task, self.ablation, self.scheme, self.n_train, self.fold

    def __str__(self) -> str:
        return f"{self.task}, {self.ablation}, {self.scheme} with {self.n_train}, fold {self.fold}"


def as_text(values: Iterable) -> np.ndarray:
    """Return the values as units are written: numbers as `10` or `0.5`, the rest as text."""
    return np.array([value if isinstance(value, str) else f"{value:g}" for value in values], dtype=object)


def units_of(keys: pd.DataFrame, kind: str) -> np.ndarray:
    """Return the unit of each row of keys, as text (object array)."""
    if kind == "patch":
        return np.array([f"{roi}|{patch}" for roi, patch in zip(keys["roi"], keys["patch"], strict=True)], object)
    if kind == "row":
        parts = zip(keys["series_uid"], keys["roi"], keys["patch"], strict=True)
        return np.array([f"{uid}|{roi}|{patch}" for uid, roi, patch in parts], object)
    if kind not in keys.columns:
        raise UserError(f"splits name units of kind {kind!r}, which the features do not have; plan the splits again")
    return as_text(keys[kind])


def sorted_keys(features: pd.DataFrame) -> pd.DataFrame:
    """Return the key columns of a table of features, sorted by `ROW_KEY`, a row once."""
    keys = features[FEATURE_KEY].sort_values(ROW_KEY, kind="stable", ignore_index=True)
    twice = keys.duplicated(ROW_KEY)
    if twice.any():
        row = keys[twice].iloc[0]
        raise UserError(
            f"the features have two rows for series {row['series_uid']}, {row['roi']}, patch {row['patch']}; "
            "give each patch one row"
        )
    return keys


def domain_values(keys: pd.DataFrame, domain: str) -> list[str]:
    """Return the values of a domain as text, in alphabetical order, numbers in ascending order."""
    if domain not in DOMAINS:
        raise UserError(f"--domain {domain} is not one of {', '.join(DOMAINS)}")
    return [str(value) for value in as_text(sorted(keys[domain].unique()))]


def makers_of(keys: pd.DataFrame) -> dict[str, str]:
    """Return the maker of each scanner."""
    pairs = keys[["scanner", "maker"]].drop_duplicates()
    two = pairs[pairs["scanner"].duplicated()]
    if len(two):
        raise UserError(f"scanner {two['scanner'].iloc[0]} has two makers in the features; correct the column maker")
    return dict(zip(pairs["scanner"], pairs["maker"], strict=True))


def training_order(values: list[str], index: int, makers: dict[str, str] | None, seed: int) -> list[str]:
    """Return the order in which the other values of the domain join the training of Algorithm 1.

    A permutation of the others by `default_rng([seed, index])`; where `makers` are given, those of another maker than
    the test value's stand before those of its own, each in the permutation's order.
    """
    test = values[index]
    others = [value for value in values if value != test]
    permuted = [str(value) for value in np.random.default_rng([seed, index]).permutation(others)]
    if makers is None:
        return permuted
    return sorted(permuted, key=lambda value: makers[value] == makers[test])


def row_folds(n_rows: int, n_folds: int = N_FOLDS) -> np.ndarray:
    """Return the fold (1 to n_folds) of each row as published: scikit-learn's KFold, shuffled, random_state 42."""
    from sklearn.model_selection import KFold

    if n_rows < n_folds:
        raise UserError(f"{n_folds} folds need as many rows, the features have {n_rows}; ask for fewer --folds")
    folds = np.empty(n_rows, np.int64)
    for fold, (_, test) in enumerate(KFold(n_folds, shuffle=True, random_state=ROW_FOLDS_SEED).split(folds), 1):
        folds[test] = fold
    return folds


def scan_folds(scans: pd.DataFrame, n_folds: int, seed: int) -> pd.Series:
    """Return the fold (1 to n_folds) of each scan, by scan_id: balanced over the values of the column `domain` of
    `scans`.

    Values and the scans of a value are permuted by `default_rng([seed, SCAN_FOLDS, 0])`, and all of them in turn dealt
    out to the folds, so that the folds' sizes differ by one scan at most, also within each value.
    """
    if len(scans) < n_folds:
        raise UserError(
            f"{n_folds} folds of whole scans need as many scans, the features have {len(scans)}: add repetitions, "
            f"doses or scanners, ask for at most {max(len(scans), 2)} --folds, or plan --schemes loso only"
        )
    rng = np.random.default_rng([seed, SCAN_FOLDS, 0])
    ids = scans.sort_values("scan_id").groupby("domain", sort=True)["scan_id"]
    dealt = [scan for value in rng.permutation(list(ids.groups)) for scan in rng.permutation(ids.get_group(value))]
    return pd.Series(np.arange(len(dealt)) % n_folds + 1, index=dealt)


def fold_order(fold: int, n_folds: int, seed: int) -> list[int]:
    """Return the order in which the other folds join the training of Algorithm 2, by [seed, FOLD_ORDER, fold]."""
    others = [other for other in range(1, n_folds + 1) if other != fold]
    return [int(other) for other in np.random.default_rng([seed, FOLD_ORDER, fold]).permutation(others)]


def validation_scans(scans: list[str], key: tuple[int, int], seed: int) -> list[str]:
    """Draw a tenth of the training scans (rounded, at least one) by `default_rng([seed, VALIDATION, *key])`.

    None where only one scan trains: such a training runs all its epochs.
    """
    if len(scans) < 2:
        return []
    n = max(1, round(VALIDATION_SHARE * len(scans)))
    return sorted(str(scan) for scan in np.random.default_rng([seed, VALIDATION, *key]).permutation(sorted(scans))[:n])


def lines(training: tuple, kind: str, units: Iterable, role: str) -> list[tuple]:
    """Make the lines of one training, one for each unit."""
    return [(*training, kind, str(unit), role) for unit in units]


def loso_lines(
    keys: pd.DataFrame,
    domain: str,
    seed: int,
    early_stopping: bool,
    sizes: Iterable[int] | None = None,
    name: tuple[str, str] = ("tissue", "default"),
) -> list[tuple]:
    """Plan Algorithm 1: each value of the domain is the test once for each n_train of `sizes` (default: 1 to all
    others).

    A training is nested in the one with a unit more. Scanners of other makers join before those of the same maker.
    """
    values = domain_values(keys, domain)
    if len(values) < 2:
        raise UserError(
            f"leave-one-out over {domain} needs at least two values, the features have {', '.join(values) or 'none'}: "
            "add series of another one, choose another --domain, or plan --schemes kfold only"
        )
    makers = makers_of(keys) if domain == "scanner" else None
    domain_of_row, scan_of_row = units_of(keys, domain), keys["scan_id"].to_numpy()
    out = []
    for index, test in enumerate(values):
        order = training_order(values, index, makers, seed)
        for n in range(1, len(values)) if sizes is None else sizes:
            training = (*name, "loso", n, test)
            out += lines(training, domain, [test], "test") + lines(training, domain, order[:n], "train")
            if early_stopping:
                scans = sorted(set(scan_of_row[np.isin(domain_of_row, order[:n])]))
                out += lines(training, "scan_id", validation_scans(scans, (0, index), seed), "validation")
    return out


def kfold_lines(
    keys: pd.DataFrame,
    domain: str,
    seed: int,
    early_stopping: bool,
    unit: str,
    n_folds: int = N_FOLDS,
    sizes: Iterable[int] | None = None,
    name: tuple[str, str] = ("tissue", "default"),
) -> list[tuple]:
    """Plan Algorithm 2: each fold is the test once for each n_train of `sizes` (default: 1 to all others).

    `unit` is `row` (as published: patches of one scan lie on both sides) or `scan`.
    """
    if not 2 <= n_folds <= 100:
        raise UserError(f"--folds {n_folds} is out of range; give 2 to 100")
    scan_of_row = keys["scan_id"].to_numpy()
    if unit == "row":
        kind, folds_of_row = "row", row_folds(len(keys), n_folds)
        members = zip(units_of(keys, "row"), folds_of_row, strict=True)
    else:
        scans = pd.DataFrame({"scan_id": scan_of_row, "domain": units_of(keys, domain)}).drop_duplicates("scan_id")
        kind, folds = "scan_id", scan_folds(scans, n_folds, seed)
        folds_of_row = folds[scan_of_row].to_numpy()
        members = folds.sort_index().items()
    out = [(*name, "kfold", 0, str(fold), kind, member, "member") for member, fold in members]
    for fold in range(1, n_folds + 1):
        order = fold_order(fold, n_folds, seed)
        for n in range(1, n_folds) if sizes is None else sizes:
            training = (*name, "kfold", n, str(fold))
            out += lines(training, "fold", [fold], "test") + lines(training, "fold", order[:n], "train")
            if early_stopping:
                scans = sorted(set(scan_of_row[np.isin(folds_of_row, order[:n])]))
                out += lines(training, "scan_id", validation_scans(scans, (1, fold), seed), "validation")
    return out


def as_table(rows: list[tuple]) -> pd.DataFrame:
    """Return the lines as a sorted table of `SPLIT_COLUMNS`."""
    table = pd.DataFrame(rows, columns=SPLIT_COLUMNS)
    return table.sort_values(SPLIT_COLUMNS, kind="stable", ignore_index=True)


class _Units:
    """The units of each row, by kind: numbered once, since many trainings ask for them."""

    def __init__(self, keys: pd.DataFrame):
        self.keys = keys
        self.known: dict[str, tuple[np.ndarray, pd.Index]] = {}

    def of(self, kind: str) -> tuple[np.ndarray, pd.Index]:
        """Number of each row's unit, and the units by number."""
        if kind not in self.known:
            self.known[kind] = pd.factorize(units_of(self.keys, kind))
        return self.known[kind]

    def add_folds(self, members: pd.DataFrame) -> None:
        """Make `fold` a kind of unit: the one that the lines `members` put a row into."""
        if not len(members):
            self.known.pop("fold", None)
            return
        folds = np.full(len(self.keys), None, object)
        for kind, some in members.groupby("unit_kind"):
            codes, names = self.of(kind)
            folds = pd.Series(some["fold"].to_numpy(), index=some["unit"]).reindex(names).to_numpy()[codes]
        if pd.isna(folds).any():
            raise UserError(
                "splits do not name a fold for every row of the features: they were planned for other rows; give all "
                "tables of features the same series, ROIs and patches, or plan the splits again"
            )
        self.known["fold"] = pd.factorize(folds)

    def matching(self, chosen: pd.DataFrame) -> np.ndarray:
        """Rows that match, for each kind among the chosen lines, one of their units; none where there is no line."""
        mask = np.full(len(self.keys), len(chosen) > 0)
        for kind, lines_of_kind in chosen.groupby("unit_kind"):
            codes, names = self.of(kind)
            numbers = pd.Index(names).get_indexer(lines_of_kind["unit"])
            if (numbers < 0).any():
                unit = lines_of_kind["unit"].iloc[int(np.argmax(numbers < 0))]
                raise UserError(f"splits name {kind} {unit}, which the features lack; plan the splits again")
            wanted = np.zeros(len(names), bool)
            wanted[numbers] = True
            mask &= wanted[codes]
        return mask


def resolve(splits: pd.DataFrame, keys: pd.DataFrame) -> list[Split]:
    """Return the trainings of a table of splits, in the order of `TRAINING_KEY`; `keys` as `sorted_keys` gives them."""
    units = _Units(keys)
    out = []
    for names, group in splits.groupby(TRAINING_KEY[:3], sort=True):
        units.add_folds(group[group["role"] == "member"])
        included = ~units.matching(group[group["role"] == "exclude"])
        for (n_train, fold), part in group[group["n_train"] > 0].groupby(["n_train", "fold"], sort=True):
            train, validation, test = (
                units.matching(part[part["role"] == role]) & included for role in ("train", "validation", "test")
            )
            untested, adapt = (units.matching(part[part["role"] == role]) & test for role in ("untested", "adapt"))
            parts = (train & ~validation, train & validation, test & ~untested & ~adapt, adapt)
            split = Split(*names, int(n_train), str(fold), *(np.flatnonzero(mask) for mask in parts))
            if (train & test).any():
                raise UserError(f"splits have rows that both train and test ({split}); plan the splits again")
            if not len(split.training) or not len(split.test):
                raise UserError(f"splits leave no row to train or to test ({split}); plan the splits again")
            out.append(split)
    return out
