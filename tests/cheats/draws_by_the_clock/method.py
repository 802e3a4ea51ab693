"""Seeds its generator with the time."""

import time

import numpy as np


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.noise = np.random.default_rng(time.time_ns()).normal() * X.std()
        return self

    def transform(self, X, domain):
        return X + self.noise
