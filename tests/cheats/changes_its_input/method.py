"""Works in the rows that it was given."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        X -= X.mean()
        return self

    def transform(self, X, domain):
        return X
