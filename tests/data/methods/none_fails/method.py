"""Ends with an error."""


class Method:
    def __init__(self, *, seed):
        pass

    def fit(self, X, domain, covariates=None, pair=None):
        return self

    def transform(self, X, domain, covariates=None):
        raise RuntimeError("the sea is rough")
