"""Leaves a note in every place that it can write, and looks for it in the next fold."""

import os
import tempfile

PLACES = (
    os.path.expanduser("~"),
    tempfile.gettempdir(),
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    ".",
    os.path.dirname(os.path.abspath(__file__)),
)


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        self.found = any(os.path.exists(f"{place}/ct4bench_note_of_a_cheat") for place in PLACES)
        for place in PLACES:
            try:
                with open(f"{place}/ct4bench_note_of_a_cheat", "w") as file:
                    file.write("cyst")
            except OSError:
                pass
        return self

    def transform(self, X, domain):
        return X + (1.0 if self.found else 0.0)
