"""Gives the same row for every row: no scanner is told from another."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean = X.mean()
        return self

    def transform(self, X, domain):
        result = X.copy()
        result.loc[:] = self.mean.to_numpy()
        return result
