"""Which scans of a target a harmonization method may be given, without their classes, and which are tested.

A value of the domain that no training row has is a target. Half of its scans may be adapted to, and the other half is
tested, for every method that adapts and, where scores of methods are compared, for every other one, too.
"""

import zlib

import numpy as np
import pandas as pd

from ct4bench.splits.splits import ADAPTATION, SPLIT_COLUMNS, as_text, lines, resolve
from ct4bench.splits.tasks import COMPARED_N, HALF, ONE_TISSUE, PAPERS_TASK, Plan


def _rng(seed: int, value: str) -> np.random.Generator:
    return np.random.default_rng([seed, ADAPTATION, zlib.crc32(value.encode())])


def adaptation_scans(keys: pd.DataFrame, domain: str, seed: int) -> dict[str, list[str]]:
    """Draw the scans of each value of the domain that may be adapted to: every second one, doses in turn, in an order
    drawn by `[seed, ADAPTATION, CRC-32 of the value]`.

    Of an odd number the smaller half; of one scan none.
    """
    found = {}
    for value, rows in keys.assign(value=as_text(keys[domain])).groupby("value", sort=True):
        scans = rows.drop_duplicates("scan_id").sort_values("scan_id")
        drawn = scans.iloc[_rng(seed, str(value)).permutation(len(scans))].sort_values("dose_mgy", kind="stable")
        found[str(value)] = list(drawn["scan_id"].iloc[1::2])
    return found


def rows_tested(keys: pd.DataFrame, domain: str, seed: int) -> np.ndarray:
    """Tell which rows are tested where their value of the domain is a target, bool (rows,)."""
    given = adaptation_scans(keys, domain, seed)
    scan, value = keys["scan_id"].to_numpy(), as_text(keys[domain])
    return np.array([one not in given[of] for one, of in zip(scan, value, strict=True)])


def with_adaptation(splits: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Add the lines of role `untested` and `adapt` to splits (columns `SPLIT_COLUMNS`), and for a method that is given
    half of a target the trainings of the ablation `one_tissue`."""
    if plan.adaptation == HALF:
        cell = {"task": PAPERS_TASK, "ablation": "default", "scheme": "loso", "n_train": COMPARED_N}
        own = splits[(splits[list(cell)] == pd.Series(cell)).all(axis=1)]
        splits = pd.concat([splits, own.assign(ablation=ONE_TISSUE)], ignore_index=True)
    given, values = adaptation_scans(plan.keys, plan.domain, plan.seed), as_text(plan.keys[plan.domain])
    tissues, added = sorted(set(plan.keys["tissue"])), []
    for split in resolve(splits, plan.keys):
        for value in sorted(set(values[split.test]) - set(values[split.training])):
            scans = given[value]
            added += lines(split.key, "scan_id", scans, "untested")
            n = len(scans) if plan.adaptation == HALF else plan.adaptation
            if n == 0 or len(scans) < n:
                continue
            added += lines(split.key, "scan_id", scans[:n], "adapt")
            if split.ablation == ONE_TISSUE:
                added += lines(split.key, "tissue", [_rng(plan.seed, f"{value} tissue").choice(tissues)], "adapt")
    return pd.concat([splits, pd.DataFrame(added, columns=SPLIT_COLUMNS)], ignore_index=True)
