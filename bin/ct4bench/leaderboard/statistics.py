"""What thirteen scanners can tell: exact sign-flips of paired differences, Holm, ranks under resampling, verdicts."""

import numpy as np

EXACT_UNITS = 16
"""Up to so many units all 2^n signs are taken; a run with more draws them."""
LEAST_UNITS = 6
"""With fewer no p can be below 0.05 after two sides: 2 / 2^5 = 0.0625."""


def sign_flip_p(differences: np.ndarray) -> float:
    """Return the two-sided p of paired differences, float64 (units,), under flips of their signs."""
    raise NotImplementedError


def sign_flip_interval(differences: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the shifts that the sign-flip test does not reject: the interval of the mean difference, by inversion."""
    raise NotImplementedError


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values adjusted for their number by Holm's steps; NaN stays and does not count."""
    raise NotImplementedError


def rank_stability(differences: np.ndarray, seed: int, n_draws: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2.5 % and 97.5 % quantiles of each method's rank over resampled scanners; differences (methods,
    units)."""
    raise NotImplementedError


def verdict(effect: float, p_holm: float, n_units: int) -> str:
    """Return the words: helps on these scanners, harms on these scanners, not told from none, cannot be told."""
    raise NotImplementedError
