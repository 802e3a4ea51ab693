"""Optimal transport between Gaussians: each domain's mean and covariance become those of one distribution.

Domain d, N(m_d, S_d), goes to N(m, S) by x -> T_d (x - m_d) + m with the symmetric, positive T_d for which
T_d S_d T_d = S: of all linear maps to N(m, S) the one that moves rows least. N(m, S) is the barycentre of the training
domains, each with the same weight, or a reference domain. Covariances are Ledoit-Wolf estimates.
"""

import numpy as np
from sklearn.covariance import ledoit_wolf

STEPS = 50
CHANGE = 1e-9
"""Relative change of the barycentre's covariance at which its iteration ends."""


class Method:
    """Transport to the barycentre, or to the domain `reference`."""

    def __init__(self, *, seed, reference):
        self._reference = reference
        self._of = {}

    def fit(self, X, domain):
        """Find the common distribution, and each domain's map to it."""
        values = X.to_numpy()
        groups = {name: values[(domain == name).to_numpy()] for name in sorted(domain.unique())}
        squares = sum(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for rows in groups.values())
        same = values.min(axis=0) == values.max(axis=0)
        self._scale = np.sqrt(np.where(same, 0.0, squares / len(values)))
        self._varies = self._scale > 0
        shapes = {name: self._moments(rows) for name, rows in groups.items()}
        if self._reference is None:
            self._mean = np.mean([mean for mean, _ in shapes.values()], axis=0)
            shape = barycentre([covariance for _, covariance in shapes.values()])
        else:
            self._mean, shape = shapes[self._reference]
        self._root = power(shape, 0.5)
        self._of = {name: self._map(*moments) for name, moments in shapes.items()}
        return self

    def adapt(self, X, domain):
        """Find the maps of domains that were not fitted."""
        for name in sorted(set(domain) - set(self._of)):
            self._of[name] = self._map(*self._moments(X.to_numpy()[(domain == name).to_numpy()]))
        return self

    def transform(self, X, domain):
        """Map the rows of each domain; those of the reference stay as they are."""
        result, values = X.copy(), X.to_numpy()
        columns = np.flatnonzero(self._varies)
        for name in sorted(domain.unique()):
            if name == self._reference:
                continue
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
        return mean, self._root @ power(self._root @ shape @ self._root, -0.5) @ self._root


def barycentre(shapes):
    """Covariance of the barycentre of Gaussians, by the fixed point of Álvarez-Esteban et al."""
    found = np.mean(shapes, axis=0)
    for _ in range(STEPS):
        root, inverse = power(found, 0.5), power(found, -0.5)
        middle = np.mean([power(root @ shape @ root, 0.5) for shape in shapes], axis=0)
        new = inverse @ middle @ middle @ inverse
        new = (new + new.T) / 2
        change = np.abs(new - found).max() / np.abs(found).max()
        found = new
        if change < CHANGE:
            break
    return found


def power(matrix, exponent):
    """Power of a symmetric matrix that has no direction without variance, but for rounding."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    floor = values.max() * 1e-14
    return (vectors * np.maximum(values, floor) ** exponent) @ vectors.T
