"""Stability of features: intraclass correlation between the values of a domain (scanners), and its summary.

A feature's ratings are a table of targets (ROIs, or patches) by raters (scanners, or doses, makers, reconstructions),
each the mean over the rows that share both. With n targets and k raters, BMS is the mean square between targets, JMS
that between raters, EMS the residual one and WMS that within targets (Shrout and Fleiss 1979,
doi:10.1037/0033-2909.86.2.420; intervals by McGraw and Wong 1996, doi:10.1037/1082-989X.1.1.30):

    ICC(1,1) = (BMS - WMS) / (BMS + (k - 1) WMS)                        ICC(1,k) = (BMS - WMS) / BMS
    ICC(2,1) = (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n)    ICC(2,k) = (BMS - EMS) / (BMS + (JMS - EMS) / n)
    ICC(3,1) = (BMS - EMS) / (BMS + (k - 1) EMS)                        ICC(3,k) = (BMS - EMS) / BMS

The paper's Eq. 4 is ICC(3,1); it calls BMS the mean square between scanners, which it is not.
"""

# code-table: <method>/icc.csv
# code-table: <method>/icc_intervals.csv
# code-table: <method>/icc_left_out.csv

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import ROW_KEY, roi_rank, scanner_rank
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import feature_columns, plain_units
from ct4bench.core.intervals import LEVEL, SHARE, jackknife_interval
from ct4bench.core.modes import Mode

LOG = logging.getLogger(__name__)

FORMS = ("ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)")
ALL = "all"
"""The stratum of all rows, with ROIs as targets. Others: `recon=IR`, `dose_mgy=10` (rows of one reconstruction or
dose, where the table has several and they are not the domain) and `targets=60` (patches as targets)."""

WHAT_EACH_SEES = (
    "ICC(3,1) is consistency: it does not see a constant offset between scanners, which is just what harmonization "
    "removes; ICC(2,1), absolute agreement, does. (An example: six targets and offsets of SD 30 HU between scanners: "
    "ICC(3,1) 0.998, ICC(2,1) 0.65.) Targets that differ far more than scanners do make any ICC high (the benchmark's "
    "regions span 100 HU): read it beside the discriminability within tissues, and the repeatability "
    "within a scanner beside the reproducibility between scanners."
)
"""Shown next to every mean ICC, in both modes."""

ICC_COLUMNS = columns_of("<method>/icc.csv")

CONSTANT = 1e-12
"""Differences of less than this share of a feature's size are rounding, and count as none."""
RADIOMICS_CLASSES = ("shape", "shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


def feature_class(name: str) -> str:
    """Return `glcm` for `original_glcm_Contrast` (PyRadiomics' classes); `latent` for features of a network."""
    return next((part for part in name.split("_") if part in RADIOMICS_CLASSES), "latent")


def check_features(table: pd.DataFrame) -> pd.DataFrame:
    """Sort a table of features by its row key; `UserError` where it is empty or rows repeat."""
    if table.empty or not feature_columns(table):
        raise UserError("the table of features has no row or no feature; extract features first")
    twice = table.duplicated(ROW_KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(
            f"series {row['series_uid']}, {row['roi']}, patch {row['patch']} is duplicated in the table of features; "
            "give each patch of a series one row"
        )
    return table.sort_values(ROW_KEY, kind="stable", ignore_index=True)


def _domain_values(table: pd.DataFrame, domain: str) -> list:
    values = set(table[domain])
    return sorted(values, key=scanner_rank) if domain == "scanner" else sorted(values)


class Ratings(NamedTuple):
    """Means of each feature: `values` (features, targets, raters) float64, and what the axes stand for.

    A feature's values are in units of 2**exponent (`plain_units`): scores that have no unit do not depend on it.
    """

    values: np.ndarray
    features: list[str]
    targets: list
    raters: list
    exponents: np.ndarray | int = 0
    tissues: tuple = ()
    """Class of each target; those of the targets' names where it is not given."""


def group_means(values: np.ndarray, groups: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over the rows of each group and their number; `values` (rows, features), `groups` (rows,) of 0 to
    n - 1.

    A group without rows has number 0 and not a number as mean.
    """
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups, minlength=n_groups)
    means = np.full((n_groups, values.shape[1]), np.nan)
    filled = counts > 0
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[filled]
    if len(starts):
        means[filled] = np.add.reduceat(values[order], starts, axis=0) / counts[filled, None]
    return means, counts


def ratings(table: pd.DataFrame, domain: str, by_patch: bool = False, stratum: str = ALL) -> Ratings:
    """Return the ratings of all features of a checked table; targets are ROIs, or patches of ROIs.

    `UserError` where a rater lacks a target, or where there are fewer than two of either.
    """
    raters = _domain_values(table, domain)
    key = list(zip(table["roi"], table["patch"], strict=True)) if by_patch else list(table["roi"])
    targets = sorted(set(key), key=lambda t: (roi_rank(t[0]), t[1]) if by_patch else roi_rank(t))
    if len(raters) < 2:
        raise UserError(
            f"stability compares {domain} values, and the table of features has only {', '.join(map(str, raters))}; "
            "give features of two or more, or compare another factor with --domain"
        )
    if len(targets) < 2:
        raise UserError(f"stability needs two or more ROIs, and the table of features has only {targets[0]}")
    index_of_target = {target: i for i, target in enumerate(targets)}
    index_of_rater = {rater: i for i, rater in enumerate(raters)}
    at_target = np.array([index_of_target[t] for t in key])
    groups = at_target * len(raters) + np.array([index_of_rater[r] for r in table[domain]])
    names = feature_columns(table)
    plain, exponents = plain_units(table[names].to_numpy(float))
    means, counts = group_means(plain, groups, len(targets) * len(raters))
    if (counts == 0).any():
        lacking = int(np.flatnonzero(counts == 0)[0])
        target, rater = targets[lacking // len(raters)], raters[lacking % len(raters)]
        named = f"{target[0]}, patch {target[1]}," if by_patch else target
        raise UserError(
            f"the table of features has no row of {named} with {domain} {rater} ({stratum}): {(counts == 0).sum()} of "
            f"{counts.size} cells are empty; extract the same ROIs and patches for every {domain}, or take it out"
        )
    values = np.ascontiguousarray(means.T).reshape(len(names), len(targets), len(raters))
    tissue_of = dict(zip(key, table["tissue"], strict=True))
    return Ratings(values, names, targets, raters, exponents, tuple(tissue_of[target] for target in targets))


def in_own_units(squares: np.ndarray, exponents: np.ndarray | int) -> np.ndarray:
    """Return mean squares (features,) in the features' own units; not a number where no float can hold them."""
    with np.errstate(over="ignore", under="ignore"):
        own = np.ldexp(squares, 2 * np.asarray(exponents))
    return np.where(np.isinf(own) | ((own == 0) & (squares != 0)), np.nan, own)


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of a two-way layout, an array (features,) each: between targets and raters, residual, within."""

    targets: np.ndarray
    raters: np.ndarray
    error: np.ndarray
    within: np.ndarray
    n_targets: int
    n_raters: int


def mean_squares(values: np.ndarray) -> MeanSquares:
    """Return the mean squares of `values` (features, targets, raters).

    All are zero for a feature that is constant, and not a number for one that is not finite everywhere.
    """
    _, n, k = values.shape
    # Features last: sums over targets and raters run along all features at once.
    cells = np.ascontiguousarray(np.moveaxis(values, 0, 2))
    with np.errstate(invalid="ignore"):
        scale = np.maximum(cells.max(axis=(0, 1)), -cells.min(axis=(0, 1)))
        rounding = n * k * (CONSTANT * scale) ** 2
        centred = cells - cells.sum(axis=(0, 1)) / (n * k)
        of_target, of_rater = centred.sum(axis=1) / k, centred.sum(axis=0) / n
        centred -= of_target[:, None]
        centred -= of_rater
        sums = k * (of_target**2).sum(axis=0), n * (of_rater**2).sum(axis=0), (centred**2).sum(axis=(0, 1))
        # What is infinite leaves no finite sum in a part of the layout only.
        sums = [np.where(np.isfinite(scale), s, np.nan) for s in sums]
    between_targets, between_raters, residual = (np.where(s <= rounding, 0, s) for s in sums)
    return MeanSquares(
        between_targets / (n - 1),
        between_raters / (k - 1),
        residual / ((n - 1) * (k - 1)),
        (between_raters + residual) / (n * (k - 1)),
        n,
        k,
    )


def icc(ms: MeanSquares, form: str) -> np.ndarray:
    """Return the ICC of each feature, (features,). Not a number for a feature that is constant or not finite.

    Minus infinity where a k form has no value: targets that do not differ at all.
    """
    n, k = ms.n_targets, ms.n_raters
    rest = ms.within if form[4] == "1" else ms.error
    upper = ms.targets - rest
    lower = ms.targets.copy() if form.endswith("k)") else ms.targets + (k - 1) * rest
    if form[4] == "2":
        lower += (1 if form.endswith("k)") else k) * (ms.raters - ms.error) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(lower > 0, upper / lower, -np.inf)
    undefined = np.isnan(ms.within) | ((ms.targets == 0) & (ms.within == 0))
    return np.where(undefined, np.nan, value)


def icc_intervals(ms: MeanSquares, level: float = LEVEL) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the confidence interval of each feature's ICC of each form from F tests, two arrays (features,).

    Forms 1 and 3 are exact under normality, form 2 takes Satterthwaite's degrees of freedom; a k form's limits are its
    single form's by Spearman and Brown's formula. Not a number where the ICC is none; 1 to 1 where raters agree wholly.
    """
    from scipy.special import fdtri

    n, k = ms.n_targets, ms.n_raters
    top = 0.5 + level / 2

    def from_ratio(rest: np.ndarray, df: int) -> tuple[np.ndarray, np.ndarray]:
        ratio = ms.targets / rest
        limits = ratio / fdtri(n - 1, df, top), ratio * fdtri(df, n - 1, top)
        return tuple(1 - k / (limit + k - 1) for limit in limits)

    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        found["ICC(1,1)"] = from_ratio(ms.within, n * (k - 1))
        j, e = ms.raters, ms.error
        r = icc(ms, "ICC(2,1)")
        a = k * r / (n * (1 - r))
        b = 1 + k * r * (n - 1) / (n * (1 - r))
        df = (a * j + b * e) ** 2 / ((a * j) ** 2 / (k - 1) + (b * e) ** 2 / ((n - 1) * (k - 1)))
        f_low, f_high = fdtri(n - 1, df, top), fdtri(df, n - 1, top)
        rest = k * j + (k * n - k - n) * e
        low = n * (ms.targets - f_low * e) / (f_low * rest + n * ms.targets)
        high = n * (f_high * ms.targets - e) / (rest + n * f_high * ms.targets)
        found["ICC(2,1)"] = low, high
        found["ICC(3,1)"] = from_ratio(ms.error, (n - 1) * (k - 1))
        for single, limits in list(found.items()):
            found[single.replace(",1", ",k")] = tuple(k * limit / (1 + (k - 1) * limit) for limit in limits)
    for form, limits in found.items():
        agree = (ms.targets > 0) & ((ms.within if form[4] != "3" else ms.error) == 0)
        found[form] = tuple(np.where(agree, 1.0, limit) for limit in limits)
    return {form: found[form] for form in FORMS}


def _strata(table: pd.DataFrame, domain: str) -> list[tuple[str, pd.DataFrame, bool]]:
    """(name, rows, whether patches are the targets) of each stratum."""
    strata = [(ALL, table, False)]
    for column in ("recon", "dose_mgy"):
        values = sorted(set(table[column]))
        if column == domain or len(values) < 2:
            continue
        for value in values:
            name = f"{column}={value:g}" if column == "dose_mgy" else f"{column}={value}"
            rows = table[table[column] == value]
            if rows[domain].nunique() < 2:
                LOG.info("stratum %s has a single %s: no ICC", name, domain)
                continue
            strata.append((name, rows, False))
    n_patches = len(table[["roi", "patch"]].drop_duplicates())
    if n_patches > table["roi"].nunique():
        strata.append((f"targets={n_patches}", table, True))
    return strata


def icc_table(features: pd.DataFrame, extractor: str, domain: str = "scanner") -> pd.DataFrame:
    """Return all forms of ICC of every feature in every stratum, the columns `ICC_COLUMNS`.

    `features` has the columns of `benchmark.FEATURE_KEY`, then the features. `icc_clipped` lies within 0 and 1. Both
    are blank for a feature that is constant or not finite everywhere. Rows come by stratum, form and feature.
    """
    table = check_features(features)
    parts = []
    for name, rows, by_patch in _strata(table, domain):
        rated = ratings(rows, domain, by_patch, name)
        ms = mean_squares(rated.values)
        classes = [feature_class(feature) for feature in rated.features]
        for form, (low, high) in icc_intervals(ms).items():
            value = icc(ms, form)
            parts.append(
                pd.DataFrame(
                    {
                        "extractor": extractor, "feature": rated.features, "feature_class": classes, "form": form,
                        "domain": domain, "stratum": name, "n_targets": ms.n_targets, "n_raters": ms.n_raters,
                        "icc": value, "icc_clipped": np.clip(value, 0, 1), "ci_low": low, "ci_high": high,
                        "ms_targets": in_own_units(ms.targets, rated.exponents),
                        "ms_raters": in_own_units(ms.raters, rated.exponents),
                        "ms_error": in_own_units(ms.error, rated.exponents),
                    }
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)[ICC_COLUMNS]


def mean_icc(values: np.ndarray, n_raters: int) -> dict[str, float]:
    """Return the mean over features of the clipped ICC of each form; `values` are those of `Ratings`.

    Forms of k raters are of `n_raters`, by Spearman and Brown's formula, however many `values` has. A feature without
    an ICC does not count; not a number with fewer than two targets or raters.
    """
    found = dict.fromkeys(FORMS, np.nan)
    if min(values.shape[1:]) < 2:
        return found
    ms = mean_squares(values)
    for form in FORMS[:3]:
        single = np.clip(icc(ms, form), 0, 1)
        single = single[np.isfinite(single)]
        if len(single):
            found[form] = float(single.mean())
            found[form.replace(",1", ",k")] = float((n_raters * single / (1 + (n_raters - 1) * single)).mean())
    return found


ROI_UNIT = "roi"
"""The unit of the second intervals: targets, or all patches of a ROI as targets."""


def mean_icc_without(rated: Ratings, domain: str) -> list[tuple[str, str, dict[str, float]]]:
    """Return unit, value and `mean_icc` without each value of the domain (a rater), then without each ROI."""
    n_raters = len(rated.raters)
    rois = [target[0] if isinstance(target, tuple) else target for target in rated.targets]
    found = []
    for number, rater in enumerate(rated.raters):
        name = rater if isinstance(rater, str) else f"{rater:g}"
        found.append((domain, name, mean_icc(np.delete(rated.values, number, axis=2), n_raters)))
    for roi in dict.fromkeys(rois):
        kept = np.array([name != roi for name in rois])
        found.append((ROI_UNIT, roi, mean_icc(rated.values[:, kept], n_raters)))
    return found


def mean_icc_intervals(
    features: pd.DataFrame, extractor: str, domain: str = "scanner"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean of the clipped ICC over features with its intervals (95 %) by stratum and form, and what it is
    without each unit.

    Intervals are over raters (icc_ci_low, icc_ci_high) and over ROIs (icc_roi_ci_low, icc_roi_ci_high), by the
    jackknife; blank with fewer than three of them, for two have no ICC without one. The second table has a row for each
    unit that is left out: intervals of this mean, and of its difference to another, follow from it.
    """
    return intervals_of(rated_strata(features, domain), extractor, domain)


def rated_strata(features: pd.DataFrame, domain: str) -> dict[str, Ratings]:
    """Return the ratings of all features in each stratum."""
    strata = _strata(check_features(features), domain)
    return {stratum: ratings(table, domain, by_patch, stratum) for stratum, table, by_patch in strata}


def join_ratings(parts: list[dict[str, Ratings]]) -> dict[str, Ratings]:
    """Join the strata of several sets of features of the same rows into those of all features."""
    return {
        stratum: first._replace(
            values=np.concatenate([part[stratum].values for part in parts]),
            features=[name for part in parts for name in part[stratum].features],
            exponents=np.concatenate([part[stratum].exponents for part in parts]),
        )
        for stratum, first in parts[0].items()
    }


def intervals_of(
    strata: dict[str, Ratings], extractor: str, domain: str = "scanner"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of `mean_icc_intervals` from the ratings of all features."""
    rows, without = [], []
    for stratum, rated in strata.items():
        ms, whole, parts = mean_squares(rated.values), mean_icc(rated.values, len(rated.raters)), {}
        for unit, name, means in mean_icc_without(rated, domain):
            without += [(extractor, domain, stratum, form, unit, name, means[form]) for form in FORMS]
            parts.setdefault(unit, []).append(means)
        n_rois = len(parts[ROI_UNIT])
        for form in FORMS:
            n_features = int(np.isfinite(np.clip(icc(ms, form), 0, 1)).sum())
            ends = [
                jackknife_interval(whole[form], [np.array([means[form] for means in parts[unit]])], SHARE)
                for unit in (domain, ROI_UNIT)
            ]
            sizes = (n_features, len(rated.raters), n_rois)
            rows.append((extractor, domain, stratum, form, *sizes, whole[form], *ends[0], *ends[1]))
    return (
        pd.DataFrame(rows, columns=columns_of("<method>/icc_intervals.csv")),
        pd.DataFrame(without, columns=columns_of("<method>/icc_left_out.csv")),
    )


def icc_summary(icc_rows: pd.DataFrame, by: tuple[str, ...] = ("extractor", "form", "stratum")) -> pd.DataFrame:
    """Return the mean and SD (ddof = 1) of the clipped ICC over features, for each value of the columns `by` of
    icc.csv.

    Further columns: n_features (that have an ICC) and n_undefined (that have none, and do not count).
    """
    rows = []
    for key, part in icc_rows.groupby(list(by), sort=True):
        value = part["icc_clipped"].dropna().to_numpy(float)
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "icc_mean": value.mean() if len(value) else np.nan,
                "icc_sd": value.std(ddof=1) if len(value) > 1 else np.nan,
                "n_features": len(value),
                "n_undefined": len(part) - len(value),
            }
        )
    return pd.DataFrame(rows, columns=[*by, "icc_mean", "icc_sd", "n_features", "n_undefined"])


ENDS = ["icc_ci_low", "icc_ci_high", "icc_roi_ci_low", "icc_roi_ci_high"]


def _ends(intervals: pd.DataFrame, form: str) -> pd.DataFrame:
    """Return the intervals of a form over all rows, by extractor."""
    return intervals.loc[(intervals["form"] == form) & (intervals["stratum"] == ALL), ["extractor", *ENDS]]


def table7_icc_summary(icc_rows: pd.DataFrame, mode: Mode, intervals: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return Table 7's feature stability: a row for each extractor, from icc.csv.

    Columns: extractor, icc_mean, icc_sd (ddof = 1) of the mode's headline form, icc_form, n_features, n_undefined,
    then the mean and SD of every single-rater form and of ICC(3,k) (icc_3_1_mean, …), and of the headline with patches
    as targets (icc_patches_mean, icc_patches_sd; blank where there is none). With `intervals` (of
    `mean_icc_intervals`) also both intervals of the headline and of every single-rater form (icc_ci_low,
    icc_2_1_roi_ci_high, …).
    """
    summary = icc_summary(icc_rows)
    whole = summary[summary["stratum"] == ALL]
    table = whole[whole["form"] == mode.icc_headline].drop(columns="stratum")
    table = table.rename(columns={"form": "icc_form"})
    table = table[["extractor", "icc_mean", "icc_sd", "icc_form", "n_features", "n_undefined"]]
    if intervals is not None:
        table = table.merge(_ends(intervals, mode.icc_headline), on="extractor", how="left")
    beside = [(f"icc_{form[4]}_{form[6]}", whole[whole["form"] == form]) for form in (*FORMS[:3], FORMS[5])]
    by_patch = summary["stratum"].str.startswith("targets=") & (summary["form"] == mode.icc_headline)
    beside.append(("icc_patches", summary[by_patch]))
    for prefix, part in beside:
        part = part[["extractor", "icc_mean", "icc_sd"]].rename(
            columns={"icc_mean": f"{prefix}_mean", "icc_sd": f"{prefix}_sd"}
        )
        table = table.merge(part, on="extractor", how="left")
    if intervals is not None:
        for form in FORMS[:3]:
            names = {name: name.replace("icc_", f"icc_{form[4]}_{form[6]}_") for name in ENDS}
            ends = _ends(intervals, form).rename(columns=names)
            table = table.merge(ends, on="extractor", how="left")
    return table.reset_index(drop=True)
