"""The authors' radiomics features of scanner A1 (whole ROIs) in the columns that `--features` takes.

Their file names both cysts `cyst` and both normal regions `normal`, and gives dose, reconstruction and repetition by
SeriesNumber only: scanner, dose (2 digits), reconstruction (1: FBP, 2: IR), repetition (2 digits). ROIs are told apart
by their number of voxels, Energy / RootMeanSquared^2. Which of the normal regions is normal1 is not known: here it is
the smaller one.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, scan_id, tissue_of
from ct4bench.core.feature_tables import sort_features

VOXELS = {
    "cyst1": (150_000, 180_000), "cyst2": (3_000, 3_500), "hemangioma": (84_000, 85_500),
    "metastasis": (10_700, 11_200), "normal1": (5_200, 5_350), "normal2": (8_300, 8_500),
}  # fmt: skip
"""Range of the number of voxels of each ROI."""
RECONSTRUCTIONS = {1: "FBP", 2: "IR"}


def n_voxels(table: pd.DataFrame) -> np.ndarray:
    """Voxels of the ROIs, from their features."""
    return (table["original_firstorder_Energy"] / table["original_firstorder_RootMeanSquared"] ** 2).to_numpy()


def read_published(path: Path | str) -> pd.DataFrame:
    """The file as a feature table: 86 features of 100 series with six ROIs each, patch 0."""
    source = pd.read_csv(path)
    names, counts = source["ROI"].str.strip(), n_voxels(source)
    roi = np.full(len(source), "", object)
    for name, (fewest, most) in VOXELS.items():
        roi[(names == tissue_of(name)) & (counts > fewest) & (counts < most)] = name
    if (roi == "").any():
        raise ValueError(f"{(roi == '').sum()} rows of {path} are of no ROI")
    number = source["SeriesNumber"]
    key = pd.DataFrame(
        {
            "series_uid": source["StudyInstanceUID"],
            "scanner": "A1",
            "maker": "Siemens",
            "dose_mgy": number // 1000 % 100,
            "recon": (number // 100 % 10).map(RECONSTRUCTIONS),
            "repetition": number % 100,
            "roi": roi.astype(str),
            "tissue": [tissue_of(name) for name in roi],
            "patch": 0,
        }
    )
    key["scan_id"] = [scan_id("A1", d, r) for d, r in zip(key["dose_mgy"], key["repetition"], strict=True)]
    features = source[[name for name in source.columns if name.startswith("original_")]]
    return sort_features(pd.concat([key[FEATURE_KEY], features.astype(np.float64)], axis=1))
