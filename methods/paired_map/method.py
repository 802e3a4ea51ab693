"""A map from patches that are known to be the same in all domains: their mean (and SD) is the same afterwards.

Rows of one pair and domain are averaged; the common value of a pair is its mean over training domains. A domain is
shifted by the mean difference of its pairs to the common values, and with `scale` multiplied by the ratio of the SD
over pairs of the common values to its own. A least-squares slope would be flattened by noise; a ratio of SDs is not.
"""

import numpy as np


class Method:
    """Shift, or shift and `scale`."""

    def __init__(self, *, seed, scale):
        self._scale = scale
        self._of = {}

    def fit(self, X, domain, pair):
        """Learn the pairs' common values, and each training domain's map to them."""
        means = X.groupby([domain, pair]).mean()
        whole = means.groupby(level=1).mean()
        same = X.to_numpy().min(axis=0) == X.to_numpy().max(axis=0)
        self._same = same
        self._common = whole
        self._learn(means)
        return self

    def adapt(self, X, domain, pair):
        """Learn the maps of domains that were not fitted."""
        self._learn(X.groupby([domain, pair]).mean())
        return self

    def _learn(self, means):
        for name in sorted(set(means.index.get_level_values(0)) - set(self._of)):
            own = means.loc[name]
            pairs = own.index.intersection(self._common.index)
            mine, common = own.loc[pairs].to_numpy(), self._common.loc[pairs].to_numpy()
            ratio = np.ones(mine.shape[1])
            if self._scale and len(pairs) > 1:
                spread, wanted = mine.std(axis=0), common.std(axis=0)
                ratio = np.divide(wanted, spread, out=ratio, where=(spread > 0) & (wanted > 0))
            self._of[name] = mine.mean(axis=0), common.mean(axis=0), ratio

    def transform(self, X, domain):
        """Map the rows of each domain."""
        result, values = X.copy(), X.to_numpy()
        for name in sorted(domain.unique()):
            rows = np.flatnonzero((domain == name).to_numpy())
            mean, common, ratio = self._of[name]
            mapped = (values[rows] - mean) * ratio + common
            result.iloc[rows] = np.where(self._same, values[rows], mapped)
        return result
