"""A control: each row becomes another row, drawn among those that were fitted.

The draw is a function of the row's contents and the seed, so that it does not depend on which other rows come with it.
"""

import hashlib

import numpy as np
import pandas as pd


class Method:
    """Draw over `all` rows, or within the `domain` or the `tissue`."""

    def __init__(self, *, seed, within):
        self._key = int(seed).to_bytes(8, "little")
        self._within = within
        self._pools = {}

    def fit(self, X, domain, covariates=None):
        """Keep the rows of each group."""
        values, groups = X.to_numpy(), self._groups(domain, covariates)
        for name in sorted(groups.unique()):
            rows = values[(groups == name).to_numpy()]
            hashes = self._hashes(rows)
            self._pools[name] = rows[np.lexsort((rows[:, 0], hashes))]
        return self

    def adapt(self, X, domain, covariates=None):
        """Keep the rows of the target's groups."""
        return self.fit(X, domain, covariates)

    def transform(self, X, domain, covariates=None):
        """Draw for each row one of its group's."""
        values, groups = X.to_numpy(), self._groups(domain, covariates)
        result = np.empty_like(values)
        for name in sorted(groups.unique()):
            rows = (groups == name).to_numpy()
            pool = self._pools[name]
            result[rows] = pool[self._hashes(values[rows]) % np.uint64(len(pool))]
        return pd.DataFrame(result, index=X.index, columns=X.columns)

    def _groups(self, domain, covariates):
        if self._within == "domain":
            return domain
        return covariates["tissue"] if self._within == "tissue" else pd.Series("all", domain.index)

    def _hashes(self, rows):
        digests = (hashlib.blake2b(row.tobytes(), digest_size=8, key=self._key).digest() for row in rows)
        return np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)
