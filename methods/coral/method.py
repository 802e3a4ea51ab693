"""Correlation alignment: the second moments of each domain become those that domains have on average.

x -> (x - mean_d) S_d^(-1/2) S^(1/2) + mean, where S_d is the Ledoit-Wolf estimate of a domain's covariance, S the mean
of these over training domains, weighted by rows, and mean that of all training rows. Features are divided by their SD
within domains beforehand; those that do not vary are left as they are.

Sun, Feng, Saenko, AAAI 2016 (doi 10.1609/aaai.v30i1.10306), there for one source and one target.
"""

import numpy as np
from sklearn.covariance import ledoit_wolf


class Method:
    """Whiten by the domain's covariance, colour by the mean one."""

    def __init__(self, *, seed):
        self._of = {}

    def fit(self, X, domain):
        """Estimate the mean covariance, and the map of each domain."""
        values = X.to_numpy()
        groups = {name: values[(domain == name).to_numpy()] for name in sorted(domain.unique())}
        squares = sum(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for rows in groups.values())
        same = values.min(axis=0) == values.max(axis=0)
        self._scale = np.sqrt(np.where(same, 0.0, squares / len(values)))
        self._varies = self._scale > 0
        self._mean = self._scaled(values).mean(axis=0)
        shapes = {name: self._moments(rows) for name, rows in groups.items()}
        total = sum(len(groups[name]) * shape for name, (_, shape) in shapes.items())
        self._colour = power(total / len(values), 0.5)
        self._of = {name: self._map(*shape) for name, shape in shapes.items()}
        return self

    def adapt(self, X, domain):
        """Estimate the map of domains that were not fitted."""
        for name in sorted(set(domain) - set(self._of)):
            self._of[name] = self._map(*self._moments(X.to_numpy()[(domain == name).to_numpy()]))
        return self

    def transform(self, X, domain):
        """Map the rows of each domain."""
        result, values = X.copy(), X.to_numpy()
        columns = np.flatnonzero(self._varies)
        for name in sorted(domain.unique()):
            rows = np.flatnonzero((domain == name).to_numpy())
            mean, matrix = self._of[name]
            mapped = (self._scaled(values[rows]) - mean) @ matrix + self._mean
            result.iloc[rows, columns] = mapped * self._scale[self._varies]
        return result

    def _scaled(self, values):
        return values[:, self._varies] / self._scale[self._varies]

    def _moments(self, rows):
        scaled = self._scaled(rows)
        mean = scaled.mean(axis=0)
        return mean, ledoit_wolf(scaled - mean, assume_centered=True)[0]

    def _map(self, mean, shape):
        return mean, power(shape, -0.5) @ self._colour


def power(matrix, exponent):
    """Power of a symmetric matrix that has no direction without variance, but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    floor = values.max() * 1e-12
    return (vectors * np.maximum(values, floor) ** exponent) @ vectors.T
