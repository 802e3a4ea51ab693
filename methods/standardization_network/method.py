"""A supervised standardization of features: a small network learns what of a row its patch has in every domain.

x + W2 tanh(W1 x + b1) + b2 on standardised features is fitted by Adam to the mean that the row's patch has over the
training domains, each with the same weight. The first layer's part starts at random, the second at 0, so that training
starts from the row itself. Nothing is told of the domain: any row can be mapped.

After Andrearczyk, Depeursinge, Müller 2019 (doi 10.1117/1.JMI.6.2.024008), who train a network of two layers on texture
classes across scanners; here patches take the place of classes, and what comes out are the features themselves.
"""

import numpy as np
import pandas as pd

BATCH, RATE, DECAY = 64, 1e-3, 1e-4


class NotApplicable(Exception):
    """No patch is there in two domains."""


class Method:
    """A network of `hidden` units, trained for `epochs`."""

    def __init__(self, *, seed, hidden, epochs):
        self._rng, self._hidden, self._epochs = np.random.default_rng(seed), int(hidden), int(epochs)

    def fit(self, X, domain, pair):
        """Train on rows in the order of their contents, which no name and no order of rows changes."""
        values = X.to_numpy()
        means = X.groupby([domain, pair]).mean().groupby(level=1)
        if means.size().max() < 2:
            raise NotApplicable("no patch is there in two domains")
        targets = means.mean().loc[pair].to_numpy()
        order = np.lexsort(values.T[::-1])
        same = values.min(axis=0) == values.max(axis=0)
        self._mean, spread = values[order].mean(axis=0), values[order].std(axis=0)
        self._spread = np.where(same, 0.0, spread)
        self._train(self._scaled(values[order]), self._scaled(targets[order]))
        return self

    def transform(self, X, domain):
        """Run the network on each row."""
        values = X.to_numpy()
        x = self._scaled(values)
        moved = np.tanh(x @ self._w1 + self._b1) @ self._w2 + self._b2
        result = values + moved * self._spread
        return pd.DataFrame(np.where(self._spread > 0, result, values), index=X.index, columns=X.columns)

    def _scaled(self, values):
        varies = self._spread > 0
        return np.where(varies, (values - self._mean) / np.where(varies, self._spread, 1.0), 0.0)

    def _train(self, x, y):
        n, width = x.shape
        self._w1 = self._rng.normal(0, 1 / np.sqrt(width), (width, self._hidden))
        self._b1, self._b2 = np.zeros(self._hidden), np.zeros(width)
        self._w2 = np.zeros((self._hidden, width))
        weights = [self._w1, self._b1, self._w2, self._b2]
        first, second = ([np.zeros_like(one) for one in weights] for _ in range(2))
        step = 0
        for _ in range(self._epochs):
            shuffled = self._rng.permutation(n)
            for start in range(0, n, BATCH):
                rows = shuffled[start : start + BATCH]
                step += 1
                for i, slope in enumerate(self._slopes(x[rows], y[rows])):
                    first[i] += 0.1 * (slope - first[i])
                    second[i] += 0.001 * (slope**2 - second[i])
                    size = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    weights[i] -= size * first[i] / (np.sqrt(second[i]) + 1e-8) + RATE * DECAY * weights[i]

    def _slopes(self, x, y):
        hidden = np.tanh(x @ self._w1 + self._b1)
        error = 2 * (x + hidden @ self._w2 + self._b2 - y) / x.size
        back = (error @ self._w2.T) * (1 - hidden**2)
        return x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)
