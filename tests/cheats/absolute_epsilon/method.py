"""Adds 1e-8 to variances, which is more than some have."""

import numpy as np


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean = X.mean()
        self.var = X.groupby(domain).transform(lambda x: x - x.mean()).var()
        return self

    def transform(self, X, domain):
        return (X - self.mean) / np.sqrt(self.var + 1e-8) * np.sqrt(self.var) + self.mean
