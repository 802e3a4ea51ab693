"""Counts its calls in the module, and moves rows by them."""

CALLS = []


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        CALLS.clear()
        return self

    def transform(self, X, domain):
        CALLS.append(len(X))
        return X + len(CALLS)
