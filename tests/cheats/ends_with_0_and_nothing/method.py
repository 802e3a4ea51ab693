"""Ends with status 0 before it has given anything."""

import os


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        os._exit(0)
        return self

    def transform(self, X, domain):
        return X
