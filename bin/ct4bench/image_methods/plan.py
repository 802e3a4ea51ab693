"""Which series methods of images learn from: the scans of a scanner that are not tested, or those of a fold's training.

A method that learns from all scanners (`learns: pooled`) is fitted on all series once, and in folds on what the fold
trains on; whatever it learns from its own domain is made once.
"""

import pandas as pd

from ct4bench.core.benchmark import SERIES_KEY
from ct4bench.core.modes import Mode
from ct4bench.splits.adaptation import adaptation_scans
from ct4bench.splits.splits import as_table, domain_values, loso_lines, resolve
from ct4bench.splits.tasks import choices, sizes_mapped

FIT_COLUMNS = ["scanner", "scan_id", "place", "series_uid"]
FOLD_COLUMNS = ["number", "n_train", "fold", "role", "series_uid"]
"""Of what is planned for methods that learn from all scanners: a line for each series of a training, which n_train and
fold name (0 and blank: no fold, all series); trainings on the same series have one number, and are fitted once."""
FIT, MAP = "fit", "map"
"""Roles: what is learned from (and mapped), and what is mapped alone."""


def _at_doses(registered: pd.DataFrame, doses: list[float]) -> pd.DataFrame:
    rows = registered[SERIES_KEY]
    return rows[rows["dose_mgy"].astype(float).isin([float(dose) for dose in doses])]


def plan_fits(registered: pd.DataFrame, doses: list[float], seed: int) -> pd.DataFrame:
    """Return the series (columns `FIT_COLUMNS`) of the scans that `adaptation_scans` gives of each scanner at the doses
    with features, so that none of them is tested; `place` numbers the scans of a scanner in their order."""
    rows, found = _at_doses(registered, doses), []
    for scanner, scans in adaptation_scans(rows, "scanner", seed).items():
        for place, scan in enumerate(scans):
            own = rows[(rows["scanner"] == scanner) & (rows["scan_id"] == scan)]
            found += [(scanner, scan, place, uid) for uid in sorted(own["series_uid"])]
    return pd.DataFrame(found, columns=FIT_COLUMNS)


def plan_folds(registered: pd.DataFrame, doses: list[float], domain: str, mode: Mode, seed: int) -> pd.DataFrame:
    """Return what a method that learns from all scanners is fitted on and what it maps, columns `FOLD_COLUMNS`.

    Number 0 is fitted on all series with features and maps all; the others are Table 7's leave-one-out of
    `tasks.sizes_mapped`, as `splits.loso_lines` draws it: they are fitted on the training series, and map those of
    validation and of the target, too.
    """
    keys = _at_doses(registered, doses).sort_values("series_uid").reset_index(drop=True)
    uids, featured = keys["series_uid"], set(keys["series_uid"])
    everything = sorted(registered["series_uid"])
    found = [(0, 0, "", FIT if uid in featured else MAP, uid) for uid in everything]
    sizes = sizes_mapped(len(domain_values(keys, domain)))
    rows = loso_lines(keys, domain, seed, choices(mode, "default").early_stopping, sizes) if sizes else []
    numbers: dict[tuple, int] = {}
    for split in resolve(as_table(rows), keys):
        training = tuple(uids[split.training])
        number = numbers.setdefault(training, len(numbers) + 1)
        own = [(FIT, uid) for uid in training] + [(MAP, uids[row]) for row in (*split.validation, *split.test)]
        found += [(number, split.n_train, split.fold, role, uid) for role, uid in own]
    return pd.DataFrame(found, columns=FOLD_COLUMNS)
