"""Leaves a process behind that outlives the fold."""

import os
import time


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        os.wait()
        return self

    def transform(self, X, domain):
        return X + 0.0
