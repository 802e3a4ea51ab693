"""Adds in another order with more threads."""

import os


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.shift = 1e-3 * int(os.environ.get("OMP_NUM_THREADS", "1")) * X.std()
        return self

    def transform(self, X, domain):
        return X + self.shift
