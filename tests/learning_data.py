"""Made-up features for the tests of splits, trainings and accuracies."""

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, SCANNERS, scan_id, tissue_of

MAKERS = dict(zip(SCANNERS, ["Siemens"] * 6 + ["Philips"] * 2 + ["GE"] * 3 + ["Toshiba"] * 2, strict=True))


def keys_table(scanners=SCANNERS, repetitions=1, recons=("FBP", "IR"), doses=(10.0,), rois=ROIS, patches=10):
    """Keys of the features of every combination; E2 has DL, too."""
    rows = []
    for scanner in scanners:
        for dose in doses:
            for repetition in range(1, repetitions + 1):
                for recon in (*recons, *(["DL"] if scanner == "E2" else [])):
                    uid = f"1.2.{SCANNERS.index(scanner)}.{dose:g}.{repetition}.{recon}"
                    series = (
                        uid,
                        scan_id(scanner, dose, repetition),
                        scanner,
                        MAKERS[scanner],
                        dose,
                        recon,
                        repetition,
                    )
                    rows += [(*series, roi, tissue_of(roi), patch) for roi in rois for patch in range(patches)]
    return pd.DataFrame(rows, columns=FEATURE_KEY)


def features_table(keys: pd.DataFrame, n_features=20, spread=1.0, seed=5) -> pd.DataFrame:
    """Keys with features f00, f01, ...: a pattern of the ROI, a smaller one of the scanner, noise of SD `spread`."""
    rng = np.random.default_rng(seed)
    of_roi = dict(zip(ROIS, rng.normal(size=(len(ROIS), n_features)), strict=True))
    of_scanner = dict(zip(SCANNERS, rng.normal(size=(len(SCANNERS), n_features)) * 0.4, strict=True))
    values = np.array([of_roi[roi] for roi in keys["roi"]]) + np.array([of_scanner[name] for name in keys["scanner"]])
    values = values + rng.normal(size=values.shape) * spread
    scale, offset = np.exp(rng.normal(size=n_features)), rng.normal(size=n_features) * 10
    names = [f"f{i:02d}" for i in range(n_features)]
    return pd.concat([keys, pd.DataFrame(values * scale + offset, columns=names)], axis=1)
