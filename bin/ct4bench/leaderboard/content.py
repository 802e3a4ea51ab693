"""What harmonized features still hold: their spread within a tissue, the effect of dose, and whether rows are others'.

Everything is relative to `none`, and to a spread of the same table, so that a method may change the unit of a feature.
"""

import numpy as np
import pandas as pd

from ct4bench.core.feature_tables import feature_columns, plain_units
from ct4bench.stability.icc import group_means

SETTING = ["scanner", "dose_mgy", "recon"]
LEAST_CONTENT = 0.1
"""Share of the spread of `none` below which content counts as lost."""
VERBATIM = 1e-6
"""Rows that differ by less, in every feature's SD, are the same row."""
WINDOW = 12
"""Rows that are equal lie beside each other in a drawn order: so many of them are compared."""


def texts(values: pd.Series) -> np.ndarray:
    """Return the values of a column of the key as texts, (rows,)."""
    return values.map(lambda value: value if isinstance(value, str) else f"{value:g}").to_numpy(str)


def _numbers(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return table.groupby(columns, sort=True).ngroup().to_numpy()


def _pooled_squares(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Squared differences to the mean of each row's group, (rows, features)."""
    means, _ = group_means(values, groups, int(groups.max()) + 1)
    return (values - means[groups]) ** 2


def spread_shares(table: pd.DataFrame, domain: str = "scanner") -> dict[str, np.ndarray]:
    """Return for each value of the domain the spread within tissues as a share of the whole one, float64 (features,).

    Both are root mean squares within (scanner, dose, reconstruction): about the mean of the tissue, and about that of
    all. So neither a unit nor a scanner's shift and scale is in it. 0 for a feature that is constant there.
    """
    values, _ = plain_units(table[feature_columns(table)].to_numpy(np.float64))
    setting, tissue = _numbers(table, SETTING), _numbers(table, [*SETTING, "tissue"])
    whole, within = _pooled_squares(values, setting), _pooled_squares(values, tissue)
    floor = (1e-12 * np.abs(values).max(axis=0, initial=0)) ** 2
    labels = texts(table[domain])
    found = {}
    for label in sorted(set(labels.tolist())):
        own = labels == label
        total, part = whole[own].mean(axis=0), within[own].mean(axis=0)
        known = total > floor
        found[label] = np.sqrt(np.divide(part, total, out=np.zeros_like(total), where=known))
    return found


def content_kept(table: pd.DataFrame, none: pd.DataFrame, domain: str = "scanner") -> dict[str, float]:
    """Return for each value of the domain how much of the spread within tissues is kept.

    The median over features of the ratio of `spread_shares` to those of `none`, without features that have no spread in
    `none`.

    1 for `none` and for whatever maps each feature of a scanner linearly, 0 for the means of tissues.
    """
    own, other = spread_shares(table, domain), spread_shares(none, domain)
    found = {}
    for label, base in other.items():
        known = base > 0
        found[label] = float(np.median(own[label][known] / base[known])) if known.any() else np.nan
    return found


def dose_effects(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return for each scanner of two doses or more the effect of dose, float64 (ROIs x features,): the mean at its
    lowest dose less that at its highest, in each ROI, at equal reconstruction, by the feature's SD within ROI.

    The SD is pooled over (scanner, dose, reconstruction, ROI); 0 for a feature without.
    """
    names = feature_columns(table)
    values, _ = plain_units(table[names].to_numpy(np.float64))
    variance = _pooled_squares(values, _numbers(table, [*SETTING, "roi"])).mean(axis=0)
    sd = np.sqrt(variance)
    known = sd > 1e-12 * np.abs(values).max(axis=0, initial=0)
    means = pd.DataFrame(values, columns=names).groupby([table[c].to_numpy() for c in (*SETTING, "roi")]).mean()
    means.index.names = [*SETTING, "roi"]
    found = {}
    for scanner, part in means.groupby(level="scanner"):
        doses = part.index.get_level_values("dose_mgy")
        low, high = (part[doses == dose].droplevel(["scanner", "dose_mgy"]) for dose in (doses.min(), doses.max()))
        both = low.index.intersection(high.index).sort_values()
        if doses.nunique() > 1 and len(both):
            change = (low.loc[both] - high.loc[both]).groupby(level="roi").mean().to_numpy()
            found[str(scanner)] = np.divide(change, sd, out=np.zeros(change.shape), where=known).ravel()
    return found


def dose_kept(table: pd.DataFrame, none: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return for each scanner the size and direction of the dose effect beside that of `none`: the ratio of the lengths
    of `dose_effects`, and the cosine of their angle (NaN where one has no length)."""
    own, other = dose_effects(table), dose_effects(none)
    found = {}
    for scanner, base in other.items():
        effect = own[scanner]
        lengths = np.linalg.norm(effect), np.linalg.norm(base)
        size = float(lengths[0] / lengths[1]) if lengths[1] else np.nan
        cosine = float(effect @ base / (lengths[0] * lengths[1])) if min(lengths) > 0 else np.nan
        found[scanner] = size, cosine
    return found


def _same_rows(values: np.ndarray, scale: np.ndarray, owner: np.ndarray, seed: int) -> np.ndarray:
    """Whether each row equals one of another owner to `VERBATIM` of `scale`, bool (rows,)."""
    known = scale > 0
    plain = (values[:, known] - values[:, known].mean(axis=0)) / scale[known]
    rng = np.random.default_rng([seed, values.shape[1]])
    way = rng.normal(size=plain.shape[1]) / np.sqrt(max(1, plain.shape[1]))
    along = plain @ way
    reach = VERBATIM * np.abs(way).sum()
    drawn = rng.permutation(len(values))
    # Sorted after a drawn order, so that equal rows do not lie by owner; rounding keeps ties ties.
    order = drawn[np.argsort(np.round(along[drawn] / max(reach, 1e-300)), kind="stable")]
    found = np.zeros(len(values), bool)
    for step in range(1, WINDOW + 1):
        one, other = order[:-step], order[step:]
        near = (np.abs(along[one] - along[other]) <= 2 * reach) & (owner[one] != owner[other])
        one, other = one[near], other[near]
        same = (np.abs(plain[one] - plain[other]) <= VERBATIM).all(axis=1)
        found[one[same]] = True
        found[other[same]] = True
    return found


def verbatim_rows(table: pd.DataFrame, none: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Find the rows of a table that equal a row of another series, there or in `none`, bool (rows,).

    Equal is to 1e-6 of each feature's SD over the table. With fewer than three features that vary in `none` no
    row counts, and all of a table in which no feature varies.
    """
    names = feature_columns(table)
    values, exponents = plain_units(table[names].to_numpy(np.float64))
    other = np.ldexp(none[names].to_numpy(np.float64), -exponents)
    scale, spread = _spread(values), _spread(other)
    if (spread > 0).sum() < 3:
        return np.zeros(len(table), bool)
    if not (scale > 0).any():
        return np.ones(len(table), bool)
    owners = pd.factorize(pd.concat([table["series_uid"], none["series_uid"]]), sort=True)[0]
    found = _same_rows(values, scale, owners[: len(table)], seed)
    return found | _same_rows(np.concatenate([values, other]), scale, owners, seed)[: len(table)]


def _spread(values: np.ndarray) -> np.ndarray:
    """SD of each feature, 0 where it is rounding."""
    sd = values.std(axis=0)
    return np.where(sd > 1e-12 * np.abs(values).max(axis=0, initial=0), sd, 0)
