"""Sorts the values and leaves the ids where they are."""

import numpy as np
import pandas as pd


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        pass
        return self

    def transform(self, X, domain):
        return pd.DataFrame(np.sort(X.to_numpy(), axis=0), index=X.index, columns=X.columns)
