"""The bootstrap of every table: how often each unit is drawn, and percentile intervals of what the draws give.

Units (scanners, scans) are drawn with replacement, as many as there are. A draw is how often each unit is in it: a
statistic that weighs units needs no row twice. The same key gives the same draws, so that cells with the same units
share them, and their differences have intervals, too.
"""

import zlib

import numpy as np

N_DRAWS = 2000
LEVEL = 0.95
"""Share of the draws inside an interval, and confidence of an interval by formula."""
SEED = 42


def key_of(text: str) -> int:
    """Return the number of a name in a seed: its CRC-32."""
    return zlib.crc32(text.encode())


def multiplicities(n_units: int, key: int, n_draws: int = N_DRAWS, seed: int = SEED) -> np.ndarray:
    """Draw how often each unit is taken by `default_rng([seed, key])`, (n_draws, n_units) float64.

    A row sums to n_units.
    """
    rng = np.random.default_rng([seed, key])
    return rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws).astype(np.float64)


def percentile_interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the middle `level` of the draws that are a number; blank (NaN) where none is."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
