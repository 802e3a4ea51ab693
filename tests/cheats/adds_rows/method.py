"""Gives the mean, too."""

import pandas as pd


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean = X.mean()
        return self

    def transform(self, X, domain):
        return pd.concat([X, self.mean.to_frame("rmean").T.rename_axis("row")])
