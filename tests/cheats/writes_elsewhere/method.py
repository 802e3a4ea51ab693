"""Changes its own file and the libraries."""

import os


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        for path in (__file__, os.__file__, "/usr/bin/env", "/etc/passwd"):
            try:
                with open(path, "a") as file:
                    file.write("# a cheat was here")
            except OSError:
                continue
            raise SystemExit("written")
        return self

    def transform(self, X, domain):
        return X + 0.0
