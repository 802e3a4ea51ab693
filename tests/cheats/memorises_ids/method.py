"""Keeps what it knows by id, for when the id comes again."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.known = set(X.index)
        return self

    def transform(self, X, domain):
        again = X.index.isin(self.known)
        self.known |= set(X.index)
        return X + again.astype(float)[:, None]
