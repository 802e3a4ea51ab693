"""Gives the first row twice."""

import pandas as pd


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        pass
        return self

    def transform(self, X, domain):
        return pd.concat([X, X.iloc[:1]])
