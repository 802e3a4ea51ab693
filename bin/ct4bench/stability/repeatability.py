"""What a mean ICC does not say: repeatability within a scanner, reproducibility between, and discriminability.

Terms and formulas of repeatability: Raunig et al. 2015 (doi:10.1177/0962280214537344). Discriminability: Bridgeford et
al. 2021 (doi:10.1371/journal.pcbi.1009279).
"""

# code-table: <method>/repeatability.csv

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import tissue_of
from ct4bench.core.contract import columns_of
from ct4bench.core.feature_tables import feature_columns, plain_units
from ct4bench.stability.icc import ALL, CONSTANT, Ratings, check_features, feature_class, group_means, ratings

REPEATABILITY_COLUMNS = columns_of("<method>/repeatability.csv")

COVERAGE = 1.96 * np.sqrt(2)
"""95 % of the differences of two measurements lie within this many of their SDs."""
EXCELLENT = 0.9
"""Least lower end of a stable feature's ICC: 'excellent' of Koo and Li 2016 (doi:10.1016/j.jcm.2016.02.012), who judge
by the interval."""

SETTING = ["scanner", "dose_mgy", "recon", "roi", "patch"]
"""Rows that share these differ by repetition only."""


def _groups(table: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, int]:
    """Number of the group of each row, groups by sorted values of `columns`, and how many there are."""
    numbers = table.groupby(columns, sort=True).ngroup().to_numpy()
    return numbers, int(numbers.max()) + 1


def within_scanner(table: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray | int]:
    """Return the variance over repetitions, pooled over all settings; `values` (rows, features) of the checked `table`.

    `n_repeated` counts the settings (scanner, dose, reconstruction, ROI, patch) with two repetitions or more,
    `df_within` their degrees of freedom.
    """
    groups, n_groups = _groups(table, SETTING)
    means, counts = group_means(values, groups, n_groups)
    repeated = counts > 1
    df = counts[repeated] - 1
    blank = np.full(values.shape[1], np.nan)
    if not len(df):
        return {"n_repeated": 0, "df_within": 0, "within_variance": blank}
    squares, _ = group_means((values - means[groups]) ** 2, groups, n_groups)
    variance = squares[repeated] * counts[repeated, None] / df[:, None]
    return {
        "n_repeated": int(repeated.sum()),
        "df_within": int(df.sum()),
        "within_variance": (df[:, None] * variance).sum(axis=0) / df.sum(),
    }


def between_values(table: pd.DataFrame, values: np.ndarray, domain: str) -> dict[str, np.ndarray | int]:
    """Return the components of variance of a random effect of the domain's values, at equal other settings.

    Rows that share everything but domain value and repetition are one condition (where the domain is the maker, also
    everything but the scanner), a one-way layout of domain values; sums of squares are pooled over the conditions.
    `reproducibility_variance` is that of a single measurement when the domain's value changes too, `between_variance`
    the domain's share (blank without repetitions, not below 0). `n_compared` counts the conditions with two values
    or more.
    """
    nested = {domain, "scanner"} if domain == "maker" else {domain}
    condition_columns = [name for name in SETTING if name not in nested]
    cells, n_cells = _groups(table, [*condition_columns, domain])
    means, counts = group_means(values, cells, n_cells)
    of_row, n_conditions = _groups(table, condition_columns)
    condition = np.zeros(n_cells, np.int64)
    condition[cells] = of_row
    n_values = np.bincount(condition, minlength=n_conditions)
    chosen = (n_values > 1)[condition]
    blank = np.full(values.shape[1], np.nan)
    if not chosen.any():
        return {"n_compared": 0, "between_variance": blank, "reproducibility_variance": blank}
    squares, _ = group_means((values - means[cells]) ** 2, cells, n_cells)
    df_within = (counts[chosen] - 1).sum()
    # Conditions anew without those of one value, then weighted means over their cells.
    _, condition = np.unique(condition[chosen], return_inverse=True)
    means, counts, squares = means[chosen], counts[chosen].astype(float), squares[chosen]
    n_values = np.bincount(condition)
    size, size_of_squares = np.bincount(condition, counts), np.bincount(condition, counts**2)
    centre = group_means(means * counts[:, None], condition, len(size))[0] * (n_values / size)[:, None]
    df_between = (n_values - 1).sum()
    ms_between = (counts[:, None] * (means - centre[condition]) ** 2).sum(axis=0) / df_between
    replicates = (size - size_of_squares / size).sum() / df_between
    found = {
        "n_compared": len(size),
        "between_variance": blank,
        "reproducibility_variance": ms_between,
    }
    if df_within:
        ms_within = (squares * counts[:, None]).sum(axis=0) / df_within
        between = np.maximum((ms_between - ms_within) / replicates, 0)
        found |= {"between_variance": between, "reproducibility_variance": between + ms_within}
    return found


def tissues_of(rated: Ratings) -> tuple:
    """Return the class of each target, ROIs."""
    return rated.tissues or tuple(tissue_of(roi) for roi in rated.targets)


def discriminability(rated: Ratings, within_tissue: bool = False) -> np.ndarray:
    """Return how often a feature takes a ROI for itself rather than for another one when the rater changes,
    (features,).

    The share, over ROIs i and j and raters r, s and t (s and t not r), of |x(i,r) - x(i,s)| < |x(i,r) - x(j,t)|, ties
    as half: 1 is perfect, 0.5 chance. `within_tissue` compares ROIs of the same tissue only (blank where no tissue has
    two), which does not profit from the 100 HU between tissues.
    """
    values, n_raters = rated.values, len(rated.raters)
    tissues = tissues_of(rated)
    wins, comparisons = np.zeros(len(values)), 0
    for i in range(len(tissues)):
        others = [j for j in range(len(tissues)) if j != i and (not within_tissue or tissues[j] == tissues[i])]
        if not others:
            continue
        for r in range(n_raters):
            elsewhere = [s for s in range(n_raters) if s != r]
            own = np.abs(values[:, i, elsewhere] - values[:, i, r, None])
            foreign = np.abs(values[:, others][:, :, elsewhere] - values[:, i, r, None, None])
            foreign = foreign.reshape(len(values), -1)
            closer = (own[:, :, None] < foreign[:, None, :]) + 0.5 * (own[:, :, None] == foreign[:, None, :])
            wins += closer.sum(axis=(1, 2))
            comparisons += closer.shape[1] * closer.shape[2]
    if not comparisons:
        return np.full(len(values), np.nan)
    return np.where(np.isfinite(values).all(axis=(1, 2)), wins / comparisons, np.nan)


def tissue_contrast(rated: Ratings) -> np.ndarray:
    """Return the typical difference between two tissues, (features,): the root mean square over all pairs of tissues of
    the difference of their means.

    A tissue's mean is that of its ROIs, a ROI's that of its raters. Not a number with one tissue, or where all have the
    same mean.
    """
    of_roi, tissues = rated.values.mean(axis=2), np.array(tissues_of(rated))
    names = sorted(set(tissues))
    if len(names) < 2:
        return np.full(len(of_roi), np.nan)
    means = np.stack([of_roi[:, tissues == name].mean(axis=1) for name in names])
    contrast = np.sqrt(2 * means.var(axis=0, ddof=1))
    return np.where(contrast > CONSTANT * np.abs(means).max(axis=0), contrast, np.nan)


def repeatability_table(features: pd.DataFrame, extractor: str, domain: str = "scanner") -> pd.DataFrame:
    """Return the repeatability, reproducibility and discriminability of every feature, the columns
    `REPEATABILITY_COLUMNS`.

    within_sd and repeatability_coefficient (1.96 sqrt(2) within_sd) come from repetitions, and are blank without;
    between_sd, reproducibility_sd and reproducibility_coefficient from the domain's values at equal other settings. SDs
    and coefficients are in the feature's unit, and so is tissue_contrast; within_relative and reproducibility_relative
    are shares of it. There is no coefficient of variation: a mean of 0 HU is like any other, and signed features have
    means of about 0.
    """
    table = check_features(features)
    names = feature_columns(table)
    values, exponents = plain_units(table[names].to_numpy(float))
    within, between = within_scanner(table, values), between_values(table, values, domain)
    rated = ratings(table, domain)
    contrast = tissue_contrast(rated)
    variances = within["within_variance"], between["between_variance"], between["reproducibility_variance"]
    within_sd, between_sd, reproducibility_sd = (np.ldexp(np.sqrt(variance), exponents) for variance in variances)
    return pd.DataFrame(
        {
            "extractor": extractor, "feature": names, "feature_class": [feature_class(name) for name in names],
            "domain": domain, "n_repeated": within["n_repeated"], "df_within": within["df_within"],
            "within_sd": within_sd, "repeatability_coefficient": COVERAGE * within_sd,
            "n_compared": between["n_compared"], "between_sd": between_sd,
            "reproducibility_sd": reproducibility_sd,
            "reproducibility_coefficient": COVERAGE * reproducibility_sd,
            "tissue_contrast": np.ldexp(contrast, exponents),
            "within_relative": np.sqrt(variances[0]) / contrast,
            "reproducibility_relative": np.sqrt(variances[2]) / contrast,
            "discriminability": discriminability(rated),
            "discriminability_within_tissue": discriminability(rated, within_tissue=True),
        }
    )[REPEATABILITY_COLUMNS]  # fmt: skip


STABLE_FORM = "ICC(2,1)"
"""Absolute agreement: a feature that shifts from scanner to scanner is not stable."""
BESIDE = [
    "within_sd", "reproducibility_sd", "tissue_contrast", "within_relative", "reproducibility_relative",
    "discriminability_within_tissue",
]  # fmt: skip
"""Columns of repeatability.csv that stand beside."""


def stable_features(icc_rows: pd.DataFrame, repeatability: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the features from the most to the least stable, for each extractor: by the lower end of the interval of
    ICC(2,1), the lowest over all strata with ROIs as targets (patches of a ROI are not independent).

    `icc_rows` are those of icc.csv, `repeatability` those of repeatability.csv. Columns: extractor, rank, feature,
    feature_class, form, ci_low_lowest, stratum_lowest, icc, ci_low, ci_high (of the stratum `all`), stable
    (ci_low_lowest is 0.9 or more), and with `repeatability` `BESIDE`. Features without an interval come last.
    """
    own = icc_rows[(icc_rows["form"] == STABLE_FORM) & ~icc_rows["stratum"].str.startswith("targets=")]
    keys = ["extractor", "feature"]
    # A feature without an ICC in one stratum is not known to be stable everywhere.
    by_lowest = own.assign(known=own["ci_low"].fillna(-np.inf)).sort_values(["known", "stratum"], kind="stable")
    lowest = by_lowest.groupby(keys, sort=True).first(skipna=False).reset_index()
    table = lowest[[*keys, "feature_class", "form", "ci_low", "stratum"]]
    table = table.rename(columns={"ci_low": "ci_low_lowest", "stratum": "stratum_lowest"})
    table = table.merge(own.loc[own["stratum"] == ALL, [*keys, "icc", "ci_low", "ci_high"]], on=keys, how="left")
    table["stable"] = table["ci_low_lowest"] >= EXCELLENT
    if repeatability is not None:
        table = table.merge(repeatability[[*keys, *BESIDE]], on=keys, how="left")
    table = table.sort_values(["extractor", "ci_low_lowest", "feature"], ascending=[True, False, True], kind="stable")
    table.insert(1, "rank", table.groupby("extractor").cumcount() + 1)
    return table.reset_index(drop=True)
