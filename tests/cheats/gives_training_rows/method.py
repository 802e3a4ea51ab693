"""Gives the nearest training row of the first domain in place of the row."""

import pandas as pd


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.rows = X[domain == sorted(domain)[0]].to_numpy()
        self.spread = X.std().to_numpy() + 1e-300
        return self

    def transform(self, X, domain):
        far = (((X.to_numpy()[:, None] - self.rows) / self.spread) ** 2).sum(axis=2)
        return pd.DataFrame(self.rows[far.argmin(axis=1)], index=X.index, columns=X.columns)
