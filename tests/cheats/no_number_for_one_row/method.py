"""Divides by the SD of a domain, which one row does not have."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.spread = X.groupby(domain).std()
        self.all = X.std()
        return self

    def transform(self, X, domain):
        own = self.spread.reindex(domain).set_axis(X.index)
        own[~domain.isin(self.spread.index)] = 1.0
        return X / own.where(own != 0, 1.0) * self.all.where(self.all > 0, 1.0)
