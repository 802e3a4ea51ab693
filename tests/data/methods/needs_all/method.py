"""Gives features back as they are."""


class Method:
    def __init__(self, *, seed):
        pass

    def fit(self, X, domain, covariates=None, pair=None):
        return self

    def transform(self, X, domain, covariates=None):
        return X
