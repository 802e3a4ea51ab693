"""Draws by the hash of a text, which Python salts anew in every process."""


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.noise = (hash("ct4bench") % 1000) / 1000 * X.std()
        return self

    def transform(self, X, domain):
        return X + self.noise
