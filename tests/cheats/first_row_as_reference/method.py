"""Takes the first row that it was given as the one to which all are shifted."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.first = X.iloc[0]
        return self

    def transform(self, X, domain):
        return X - self.first
