"""Which series a method of images may learn from: the scans of each scanner that are not tested."""

import pandas as pd

from ct4bench.core.benchmark import SERIES_KEY
from ct4bench.splits.adaptation import adaptation_scans

FIT_COLUMNS = ["scanner", "scan_id", "place", "series_uid"]


def plan_fits(registered: pd.DataFrame, doses: list[float], seed: int) -> pd.DataFrame:
    """Return the series (columns `FIT_COLUMNS`) of the scans that `adaptation_scans` gives of each scanner at the doses
    with features, so that none of them is tested; `place` numbers the scans of a scanner in their order."""
    rows = registered[SERIES_KEY]
    rows = rows[rows["dose_mgy"].astype(float).isin([float(dose) for dose in doses])]
    found = []
    for scanner, scans in adaptation_scans(rows, "scanner", seed).items():
        for place, scan in enumerate(scans):
            own = rows[(rows["scanner"] == scanner) & (rows["scan_id"] == scan)]
            found += [(scanner, scan, place, uid) for uid in sorted(own["series_uid"])]
    return pd.DataFrame(found, columns=FIT_COLUMNS)
