"""Keeps a running mean of all rows that came by."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.sum, self.n = X.sum(), len(X)
        return self

    def transform(self, X, domain):
        self.sum, self.n = self.sum + X.sum(), self.n + len(X)
        return X - self.sum / self.n
