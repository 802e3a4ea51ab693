"""Divides by an SD of 0 that it calls 1e-12."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean, self.spread = X.mean(), X.std()
        return self

    def transform(self, X, domain):
        return (X - self.mean) / (self.spread + 1e-12)
