"""Says that it leaves unseen domains alone, and shifts them."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.mean = X.mean()
        return self

    def transform(self, X, domain):
        return X - self.mean
