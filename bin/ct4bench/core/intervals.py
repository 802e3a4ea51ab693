"""Intervals of every table: what a number loses when one unit (a scanner, a region, a scan) is left out.

The jackknife with Student's t holds with as few units as there are here, where percentiles of a bootstrap of thirteen
scanners cover 87 to 92 % (docs/statistics.md has the simulation). It draws nothing, so that it depends on no seed, and
the same unit is left out of two numbers that are compared.
"""

import zlib
from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
"""Confidence of an interval."""
N_PERMUTATIONS = 2000
SHARE, POSITIVE, CHANGE, PLAIN = "share", "positive", "change", "plain"
"""What a number can be: between 0 and 1 (its interval is made on the scale of its logit), above 0 (of its logarithm),
the difference of two shares, anything."""
UNITS = {"scan": "scans", "scanner": "scanners", "maker": "makers", "dose_mgy": "doses", "recon": "reconstructions"}
"""Plurals of what intervals are over, besides regions."""
ROUNDING = 1e-12
"""A standard error of less than this share of the number is rounding, and counts as none."""


def key_of(text: str) -> int:
    """Return the number of a name in a seed: its CRC-32."""
    return zlib.crc32(text.encode())


def jackknife_error(estimate: float, left_out: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the standard error of `estimate` and its degrees of freedom; blank (NaN) where they are not known.

    `left_out` has, for each sample that units are drawn from on their own, what the estimate is without each of its
    units. Variances of the samples add up, degrees of freedom are Welch's. Blank with fewer than two units of a sample,
    where an estimate without a unit is not finite, and where no unit makes a difference (then they say nothing of the
    spread).
    """
    variances, freedoms = [], []
    for values in map(np.asarray, left_out):
        n = len(values)
        if n < 2 or not np.isfinite(values).all():
            return np.nan, np.nan
        variances.append((n - 1) / n * ((values - values.mean()) ** 2).sum())
        freedoms.append(n - 1)
    total = sum(variances)
    if not np.isfinite(estimate) or not total**0.5 > ROUNDING * abs(estimate):
        return np.nan, np.nan
    return total**0.5, total**2 / sum(v**2 / df for v, df in zip(variances, freedoms, strict=True))


def jackknife_interval(
    estimate: float, left_out: Sequence[np.ndarray], kind: str = PLAIN, level: float = LEVEL
) -> tuple[float, float]:
    """Return the ends of the interval of `estimate` by Student's t; see `jackknife_error` for what is blank (NaN).

    The interval of a `SHARE` lies within 0 and 1, that of a `POSITIVE` number above 0: it is symmetric on the scale of
    the logit or logarithm, with the standard error carried there by the slope. That of a `CHANGE` is cut to -1 and 1.
    """
    from scipy.special import expit, logit, stdtrit

    error, df = jackknife_error(estimate, left_out)
    if np.isnan(error):
        return np.nan, np.nan
    half = stdtrit(df, (1 + level) / 2) * error
    if kind == SHARE and 0 < estimate < 1:
        middle, half = logit(estimate), half / (estimate * (1 - estimate))
        return float(expit(middle - half)), float(expit(middle + half))
    if kind == POSITIVE and estimate > 0:
        return float(estimate * np.exp(-half / estimate)), float(estimate * np.exp(half / estimate))
    low, high = float(estimate - half), float(estimate + half)
    least, most = {SHARE: (0.0, 1.0), CHANGE: (-1.0, 1.0)}.get(kind, (-np.inf, np.inf))
    return max(low, least), min(high, most)
