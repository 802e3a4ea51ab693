"""Computes in single precision."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean = X.mean()
        return self

    def transform(self, X, domain):
        return (X - self.mean).astype("float32")
