"""Gives the rows numbers."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        pass
        return self

    def transform(self, X, domain):
        return X.reset_index(drop=True)
