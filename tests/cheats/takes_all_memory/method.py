"""Takes memory until there is none."""

import numpy as np


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.kept = []
        while True:
            self.kept.append(np.ones(10**7))
        return self

    def transform(self, X, domain):
        return X
