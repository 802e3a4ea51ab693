"""All scores of one method, each beside that of `none` on the same rows: the table <method>/scores.csv.

A score has a row as a `whole`, and rows for each scanner: `of` (its own value; the whole is their mean) or `without`
(the whole without it, as the mean ICC has). Frames in, frames out.
"""

import pandas as pd

SCORE_COLUMNS = ["extractor", "score", "part", "unit", "value", "value_none", "n_rows", "reason"]
"""extractor (blank for scores of images), score, part (`whole`, `of`, `without`), unit (the scanner, blank for
`whole`), value, value_none (of `none`, on the same rows), n_rows (test rows, or rows of features), reason (why there is
no value)."""


def score_predictions(
    predictions: pd.DataFrame, none: pd.DataFrame, series: pd.DataFrame, domain: str = "scanner",
    unbalanced: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the scores of a method's classifiers, `SCORE_COLUMNS`: every extractor that `predictions` has.

    `predictions` are the rows of predictions.parquet of the method, `none` those of `none`, of which the rows that the
    method was not tested on are left out here (a transductive method is tested on half of a target's scans).
    `series` has a row for each series: series_uid, scanner, maker, dose_mgy, recon. `unbalanced`: predictions of the
    run with targets of one tissue. Only MLP, ablation `default`. Scores: tissue_n1, tissue_n2, tissue_n_most,
    tissue_area, tissue_tenfold, tissue_other_dose, tissue_other_recon, tissue_other_roi, tissue_other_maker,
    tissue_unbalanced; one that cannot be had has a row `whole` with its reason.
    """
    raise NotImplementedError


def score_features(
    features: pd.DataFrame, none: pd.DataFrame, extractor: str, domain: str = "scanner", seed: int = 0
) -> pd.DataFrame:
    """Return the scores of a method's table of features, `SCORE_COLUMNS`.

    `features` and `none` have the columns of `benchmark.FEATURE_KEY`, then the same features (float64), and the same
    rows in any order; `features` are those of `fitted on all`, or of `each scanner by a fit without it` (call once for
    each, and put `_apart` behind the name of the scores of the second by `apart=True` in `score_method`). Scores:
    icc_2_1, icc_3_1, scanner_linear, scanner_nonlinear, maker_linear, maker_nonlinear (and their `_chance`), mixing,
    pcr, discriminability, wcv, dose_size, dose_direction, content, verbatim.
    """
    raise NotImplementedError
