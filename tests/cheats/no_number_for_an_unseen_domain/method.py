"""Looks a shift up, and has none for a domain that was not trained on."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.shifts = X.groupby(domain).mean() - X.mean()
        return self

    def transform(self, X, domain):
        return X - self.shifts.reindex(domain).set_axis(X.index)
