"""Gives features other names."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        pass
        return self

    def transform(self, X, domain):
        return X.set_axis([f"f{i}" for i in range(X.shape[1])], axis=1)
