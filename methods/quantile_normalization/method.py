"""Quantile normalization: each feature has the same distribution in every domain.

Quantiles at evenly spaced levels of each domain are averaged over training domains, each with the same weight. A value
goes to the common quantile of its level, linearly between levels; one beyond its domain's extremes keeps its distance
to the extreme.
"""

import numpy as np


class Method:
    """Map by quantiles at `levels` levels, the extremes included."""

    def __init__(self, *, seed, levels):
        self._levels = np.linspace(0, 1, int(levels))
        self._of = {}

    def fit(self, X, domain):
        """Learn the quantiles of each domain, and their mean."""
        self._learn(X, domain)
        self._common = np.mean([self._of[name] for name in sorted(self._of)], axis=0)
        return self

    def adapt(self, X, domain):
        """Learn the quantiles of domains that were not fitted."""
        return self._learn(X, domain)

    def _learn(self, X, domain):
        for name in sorted(set(domain) - set(self._of)):
            rows = X.to_numpy()[(domain == name).to_numpy()]
            self._of[name] = np.quantile(rows, self._levels, axis=0)
        return self

    def transform(self, X, domain):
        """Map each value by its feature and domain."""
        result, values = X.copy(), X.to_numpy()
        for name in sorted(domain.unique()):
            rows = np.flatnonzero((domain == name).to_numpy())
            own, common = self._of[name], self._common
            mapped = np.empty((len(rows), values.shape[1]))
            for i in range(values.shape[1]):
                mapped[:, i] = through(values[rows, i], own[:, i], common[:, i])
            result.iloc[rows] = mapped
        return result


def through(x, own, common):
    """Map values by quantiles of theirs and common ones; several levels of one value go to the mean of theirs."""
    ends, counts = np.unique(own, return_counts=True)
    targets = np.add.reduceat(common, np.cumsum(counts) - counts) / counts
    inside = np.interp(x, ends, targets)
    beyond = np.where(x < ends[0], x - ends[0], np.where(x > ends[-1], x - ends[-1], 0.0))
    unmoved = ends[0] == targets[0] and ends[-1] == targets[-1] and len(ends) == 1
    return x if unmoved else inside + beyond
