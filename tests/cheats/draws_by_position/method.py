"""Adds noise by the position of a row."""

import numpy as np


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.spread = X.std()
        return self

    def transform(self, X, domain):
        noise = np.random.default_rng(self.seed).normal(size=len(X))
        return X + np.outer(noise, self.spread) * 0.1
