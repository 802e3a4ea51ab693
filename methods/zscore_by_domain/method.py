"""Standardise each feature within its domain, and give it the mean and SD that all training rows have."""

import numpy as np


class Method:
    """Map each domain's mean and SD to those of all training rows."""

    def __init__(self, *, seed):
        self._of = {}

    def fit(self, X, domain):
        """Learn the moments of all rows and of each domain."""
        self._all = _moments(X)
        self._learn(X, domain)
        return self

    def adapt(self, X, domain):
        """Learn the moments of the target."""
        self._learn(X, domain)
        return self

    def _learn(self, X, domain):
        self._of |= {name: _moments(X[domain == name]) for name in sorted(domain.unique())}

    def transform(self, X, domain):
        """Take each row from its domain's moments to those of all."""
        result = X.copy()
        mean, spread = self._all
        for name in sorted(domain.unique()):
            rows = (domain == name).to_numpy()
            own_mean, own_spread = self._of[name]
            ratio = np.divide(spread, own_spread, out=np.ones_like(spread), where=own_spread > 0)
            result.loc[rows] = (X.loc[rows].to_numpy() - own_mean) * ratio + mean
        return result


def _moments(X):
    values = X.to_numpy()
    mean = values.mean(axis=0)
    spread = values.std(axis=0)
    same = values.min(axis=0) == values.max(axis=0)
    return np.where(same, values[0], mean), np.where(same, 0.0, spread)
