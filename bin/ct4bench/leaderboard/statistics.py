"""What paired differences over a few scanners can tell: exact flips of signs, Holm, ranks under resampling, verdicts.

The scanner is the unit (docs/statistics.md). Under the null hypothesis a difference to `none` is as likely to have
either sign, so that with n scanners each of the 2^n patterns of signs is as likely as the one that was seen (Fisher
1935; Pesarin and Salmaso 2010). All are taken up to `EXACT_UNITS`. The interval has the shifts that the test does not
reject. Flipping the signs of a subset A of the shifted differences d - m leaves their sum as large where the mean of d
over A is at most m: so the ends of the interval are order statistics of the means over all subsets (Hartigan 1969,
doi:10.1080/01621459.1969.10501057), and the test and its interval agree to the bit.
"""

import numpy as np

EXACT_UNITS = 18
"""Up to so many units all patterns of signs are taken; of more, `N_DRAWN` are drawn."""
N_DRAWN = 100_000
LEVEL = 0.95
ALPHA = 1 - LEVEL
LEAST_UNITS = 6
"""With fewer units no p is below 0.05: with five the smallest is 2 / 2^5."""
ROUNDING = 1e-12
"""Sums of less than this share of the sum of sizes are zero."""
N_RESAMPLED = 2000

HELPS = "helps on these scanners"
HARMS = "harms on these scanners"
NOT_TOLD = "not told from none"
CANNOT = f"cannot be told: fewer than {LEAST_UNITS} scanners"


def _subset_sums(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over subsets of `values` (units,) and sizes of the subsets: all but the empty one, or those drawn."""
    n = len(values)
    if n <= EXACT_UNITS:
        sums, sizes = np.zeros(1), np.zeros(1, np.int64)
        for value in values:
            sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
        return sums[1:], sizes[1:]
    rng = np.random.default_rng([seed, n])
    drawn = rng.random((N_DRAWN, n)) < 0.5
    drawn = drawn[drawn.any(axis=1)]
    return drawn @ values, drawn.sum(axis=1)


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float:
    """Return the two-sided p of paired differences, float64 (units,), under flips of their signs: the share of all
    patterns whose mean is as far from 0 as that of `differences`, themselves among them.

    Exact with ties and zeros. 1 where the mean is 0, NaN without a unit; blank units (NaN) do not count. `seed` draws
    patterns of more than `EXACT_UNITS` units.
    """
    values = _known(differences)
    if not len(values):
        return np.nan
    total = values.sum()
    least = ROUNDING * np.abs(values).sum()
    if abs(total) <= least:
        return 1.0
    sums, _ = _subset_sums(values * np.sign(total), seed)
    return float(min(1.0, 2 * (1 + (sums <= least).sum()) / (1 + len(sums))))


def sign_flip_interval(differences: np.ndarray, level: float = LEVEL, seed: int = 0) -> tuple[float, float]:
    """Return the ends of the interval of the mean difference: the shifts that `sign_flip_p` does not reject.

    Blank (NaN) where no shift can be rejected: with fewer than six units at 95 %.
    """
    values = _known(differences)
    sums, sizes = _subset_sums(values, seed)
    n_outside = int(np.ceil((1 - level) / 2 * (1 + len(sums)))) - 1
    if not len(values) or n_outside < 1:
        return np.nan, np.nan
    means = np.sort(sums / sizes)
    return float(means[n_outside - 1]), float(means[-n_outside])


def _known(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values)]


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values, float64 (tests,), adjusted for their number by Holm's steps (1979); NaN stays and does not
    count."""
    p = np.asarray(p, np.float64)
    found = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return found


def ranks(effects: np.ndarray) -> np.ndarray:
    """Return ranks of effects (..., methods) along the last axis, float64: 1 is the largest, ties share the mean;
    effects that differ by rounding alone are ties, a blank one has no rank."""
    from scipy.stats import rankdata

    values = np.asarray(effects, np.float64)
    return rankdata(-np.round(values, 12), axis=-1, nan_policy="omit")


def rank_stability(differences: np.ndarray, seed: int, n_draws: int = N_RESAMPLED) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2.5 % and 97.5 % quantiles of each method's rank when scanners are drawn anew, two arrays (methods,).

    `differences` are float64 (methods, units), the same units for all. Units are drawn with replacement, differences
    averaged, then ranked (Maier-Hein et al. 2018, doi:10.1038/s41467-018-07619-7). Blank with one unit.
    """
    values = np.asarray(differences, np.float64)
    n_methods, n = values.shape
    if n < 2 or not n_methods:
        return np.full(n_methods, np.nan), np.full(n_methods, np.nan)
    drawn = np.random.default_rng([seed, n]).integers(0, n, (n_draws, n))
    counts = np.stack([np.bincount(row, minlength=n) for row in drawn])
    found = ranks(counts @ values.T / n)
    low, high = np.quantile(found, [ALPHA / 2, 1 - ALPHA / 2], axis=0, method="inverted_cdf")
    return low, high


def verdict(effect: float, p_holm: float, n_units: int) -> str:
    """Return what a paired difference says of a method, in words: `HELPS`, `HARMS`, `NOT_TOLD` or `CANNOT`.

    `effect` is positive where the method is better, `p_holm` its p adjusted for the methods ranked with it, `n_units`
    the number of scanners. Nothing is said of other scanners, or of other makers.
    """
    if n_units < LEAST_UNITS:
        return CANNOT
    if p_holm < ALPHA and effect != 0:
        return HELPS if effect > 0 else HARMS
    return NOT_TOLD


def left_out_effects(differences: np.ndarray, groups: np.ndarray) -> dict[str, tuple[float, int]]:
    """Return the mean difference without the units of each group (a maker) in turn, and how many units it is of, by
    group in order.

    Effects, not tests: four makers are fewer clusters than a test needs. NaN where no unit is left.
    """
    values, names = np.asarray(differences, np.float64), np.asarray(groups)
    kept = {name: _known(values[names != name]) for name in sorted(set(names.tolist()))}
    return {name: (float(rest.mean()) if len(rest) else np.nan, len(rest)) for name, rest in kept.items()}


def scaled(value: float, zero: float, one: float) -> float:
    """Return a value on the scale on which `zero` is 0 and `one` is 1; it may lie outside, and is NaN where the two do
    not differ or one is not known."""
    if not np.isfinite([value, zero, one]).all() or abs(one - zero) <= ROUNDING * max(abs(one), abs(zero)):
        return np.nan
    return float((value - zero) / (one - zero))
