"""Leaves out the rows that it cannot place."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.high = X.iloc[:, 0].quantile(0.9)
        return self

    def transform(self, X, domain):
        return X[X.iloc[:, 0] < self.high]
