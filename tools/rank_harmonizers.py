#!/usr/bin/env python3
"""Whether simple harmonizers rank on the drawn print as on `--twin_like`: Kendall's tau over seeds.

    tools/rank_harmonizers.py --drawn drawn_0.parquet drawn_1.parquet --like like_0.parquet like_1.parquet

Tables of features as runs write them (`features/radiomics.parquet`), one a seed, in the same order on both sides;
`tools/measure_twin_scanners.py features` makes such tables in memory. A harmonizer's score is how often the tissue of a
patch is told on the scanners that a logistic regression was not trained on (trained on each scanner in turn). Printed
are the scores, tau between the prints of each seed, and tau between seeds of one print, which no other print can beat.
Harmonizers see features and scanners, no tissue.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, norm, rankdata

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from ct4bench.core.benchmark import FEATURE_KEY  # noqa: E402

REFERENCE = "A1"
TINY = 1e-9


def by_scanner(one: Callable, x: np.ndarray, scanner: np.ndarray, **parameters) -> np.ndarray:
    """Apply `one(rows, rows of the reference)` to the rows of each scanner."""
    out, reference = np.empty_like(x), x[scanner == REFERENCE]
    for code in np.unique(scanner):
        out[scanner == code] = one(x[scanner == code], reference, **parameters)
    return out


def _spread(x: np.ndarray) -> np.ndarray:
    return np.maximum(x.std(axis=0), TINY)


def centre(x, reference):
    """Give each scanner the reference's means."""
    return x - x.mean(axis=0) + reference.mean(axis=0)


def centre_by_median(x, reference):
    """Give each scanner the reference's medians."""
    return x - np.median(x, axis=0) + np.median(reference, axis=0)


def standardize(x, reference):
    """Give each scanner the reference's means and SDs."""
    return (x - x.mean(axis=0)) / _spread(x) * _spread(reference) + reference.mean(axis=0)


def standardize_robustly(x, reference, low, high):
    """Give each scanner the reference's medians and spans between two percentiles."""
    span, wanted = (np.ptp(np.percentile(rows, (low, high), axis=0), axis=0) for rows in (x, reference))
    return (x - np.median(x, axis=0)) / np.maximum(span, TINY) * wanted + np.median(reference, axis=0)


def to_unit_range(x, reference):
    """Bring each scanner's features between 0 and 1."""
    return (x - x.min(axis=0)) / np.maximum(np.ptp(x, axis=0), TINY)


def ranks(x, reference):
    """Put in place of values their ranks among the scanner's, from 0 to 1."""
    return (rankdata(x, axis=0) - 0.5) / len(x)


def normal_scores(x, reference):
    """Put in place of values the normal quantiles of their ranks."""
    return norm.ppf(ranks(x, reference))


def match_quantiles(x, reference, points):
    """Map quantiles of each scanner to those of the reference, linearly between them."""
    at = np.linspace(0, 1, points)
    own, wanted = np.quantile(x, at, axis=0), np.quantile(reference, at, axis=0)
    return np.stack([np.interp(x[:, k], own[:, k], wanted[:, k]) for k in range(x.shape[1])], axis=1)


def _root(x: np.ndarray, power: float, shrinkage: float) -> np.ndarray:
    """Power of a covariance that is drawn to the unit matrix."""
    covariance = (1 - shrinkage) * np.cov(x, rowvar=False) + shrinkage * np.eye(x.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, TINY) ** power) @ vectors.T


def whiten(x, reference, shrinkage):
    """Take each scanner's covariance away (ZCA)."""
    return (x - x.mean(axis=0)) @ _root(x, -0.5, shrinkage)


def coral(x, reference, shrinkage):
    """Give each scanner the reference's means and covariance (CORAL)."""
    return whiten(x, reference, shrinkage) @ _root(reference, 0.5, shrinkage) + reference.mean(axis=0)


def align_subspace(x, reference, components):
    """Describe each scanner by its first principal components, turned to the reference's."""
    own, wanted = (np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2] for rows in (x, reference))
    k = min(components, len(own), len(wanted))
    aligned = (x - x.mean(axis=0)) @ own[:k].T @ (own[:k] @ wanted[:k].T)
    return np.pad(aligned, ((0, 0), (0, x.shape[1] - k)))


def combat(x, scanner, scale):
    """ComBat without covariates (Johnson 2007): means of scanners, and SDs where `scale`, shrunk over features."""
    codes, which = np.unique(scanner, return_inverse=True)
    pooled = np.maximum(np.sqrt(np.mean((x - _means(x, which, len(codes))[which]) ** 2, axis=0)), TINY)
    z = (x - x.mean(axis=0)) / pooled
    out = np.empty_like(z)
    for code in range(len(codes)):
        own = z[which == code]
        n, gamma, delta = len(own), own.mean(axis=0), own.var(axis=0, ddof=1)
        bar, tau2, m, s2 = gamma.mean(), gamma.var(ddof=1), delta.mean(), max(delta.var(ddof=1), TINY)
        a, b = (2 * s2 + m * m) / s2, (m * s2 + m**3) / s2
        g, d = gamma, delta if scale else np.ones_like(delta)
        for _ in range(30):
            g = (n * tau2 * gamma + d * bar) / (n * tau2 + d)
            if scale:
                d = (0.5 * ((own - g) ** 2).sum(axis=0) + b) / (n / 2 + a - 1)
        out[which == code] = (own - g) / np.sqrt(d)
    return out * pooled + x.mean(axis=0)


def _means(x, which, n):
    return np.stack([x[which == k].mean(axis=0) for k in range(n)])


def drop_scanner_axes(x, scanner, axes):
    """Take out the directions in which the means of scanners differ most."""
    codes, which = np.unique(scanner, return_inverse=True)
    means = _means(x, which, len(codes))
    directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2][:axes]
    return x - (x - x.mean(axis=0)) @ directions.T @ directions


@dataclass(frozen=True)
class Harmonizer:
    """A harmonizer: its function, whether that takes one scanner at a time, and its parameters."""

    function: Callable
    each_scanner: bool = True
    parameters: dict = field(default_factory=dict)

    def __call__(self, x: np.ndarray, scanner: np.ndarray) -> np.ndarray:
        """Harmonize features (rows, features; float64) of scanners (rows)."""
        if self.each_scanner:
            return by_scanner(self.function, x, scanner, **self.parameters)
        return self.function(x, scanner, **self.parameters)


HARMONIZERS = {
    "none": Harmonizer(lambda x, scanner: x, False),
    "centre": Harmonizer(centre),
    "centre_by_median": Harmonizer(centre_by_median),
    "standardize": Harmonizer(standardize),
    "standardize_by_quartiles": Harmonizer(standardize_robustly, parameters={"low": 25, "high": 75}),
    "standardize_by_tails": Harmonizer(standardize_robustly, parameters={"low": 5, "high": 95}),
    "unit_range": Harmonizer(to_unit_range),
    "ranks": Harmonizer(ranks),
    "normal_scores": Harmonizer(normal_scores),
    "quantiles_5": Harmonizer(match_quantiles, parameters={"points": 5}),
    "quantiles_50": Harmonizer(match_quantiles, parameters={"points": 50}),
    "whiten": Harmonizer(whiten, parameters={"shrinkage": 0.1}),
    "coral": Harmonizer(coral, parameters={"shrinkage": 0.1}),
    "coral_shrunk": Harmonizer(coral, parameters={"shrinkage": 0.5}),
    "subspace_10": Harmonizer(align_subspace, parameters={"components": 10}),
    "combat": Harmonizer(combat, False, {"scale": True}),
    "combat_means": Harmonizer(combat, False, {"scale": False}),
    "drop_3_axes": Harmonizer(drop_scanner_axes, False, {"axes": 3}),
}


def score(x: np.ndarray, scanner: np.ndarray, tissue: np.ndarray) -> float:
    """Accuracy on the scanners that are not trained on, training on each in turn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = []
    for code in np.unique(scanner):
        own = scanner == code
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=1e-3))
        found.append(model.fit(x[own], tissue[own]).score(x[~own], tissue[~own]))
    return float(np.mean(found))


def scores(table: pd.DataFrame, harmonizers: dict[str, Harmonizer] = HARMONIZERS) -> pd.Series:
    """Score of each harmonizer on a table of features, which are standardized over all scanners first."""
    x = np.nan_to_num(table.drop(columns=[name for name in FEATURE_KEY if name in table]).to_numpy(float))
    x = (x - x.mean(axis=0)) / _spread(x)
    scanner, tissue = table["scanner"].to_numpy(str), table["tissue"].to_numpy(str)
    return pd.Series({name: score(one(x, scanner), scanner, tissue) for name, one in harmonizers.items()})


def tau(one: pd.Series, other: pd.Series) -> float:
    """Kendall's tau-b of two rankings."""
    return float(kendalltau(one, other).statistic)


def compare(drawn: Sequence[pd.Series], like: Sequence[pd.Series]) -> dict[str, float]:
    """Mean tau between prints of one seed, and between two seeds of one print."""
    pairs = [pair for side in (drawn, like) for pair in combinations(side, 2)]
    return {
        "between_prints": float(np.mean([tau(*pair) for pair in zip(drawn, like, strict=True)])),
        "between_seeds": float(np.mean([tau(*pair) for pair in pairs])) if pairs else float("nan"),
    }


def main(argv=None):
    """Print scores and taus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", nargs="+", required=True, type=Path, help="tables of the drawn print, one a seed")
    parser.add_argument("--like", nargs="+", required=True, type=Path, help="tables of --twin_like, of the same seeds")
    args = parser.parse_args(argv)
    if len(args.drawn) != len(args.like):
        parser.error("give as many tables of --like as of --drawn, seed by seed")
    found = {side: [scores(pd.read_parquet(path)) for path in getattr(args, side)] for side in ("drawn", "like")}
    columns = {f"{side}_{n}": one for side, all_ in found.items() for n, one in enumerate(all_)}
    print(pd.DataFrame(columns).round(3).to_string())
    for name, value in compare(found["drawn"], found["like"]).items():
        print(f"tau {name}: {value:.3f}")


if __name__ == "__main__":
    main()
