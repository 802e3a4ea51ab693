"""ComBat: a domain's shift and scale of each feature, shrunk by what the other features of the domain have.

A feature is modelled as x = alpha + C beta + sigma (gamma_i + sqrt(delta_i) noise) in domain i, with covariates C.
alpha, beta and sigma are fitted on all training rows (or, of alpha and sigma, on those of a reference domain), gamma_i
and delta_i are means and variances of the standardised rows of a domain, shrunk by empirical Bayes over features. A
domain that was not fitted gets gamma and delta of its own from the rows in `adapt`, and is left as it is without.

Johnson, Li, Rabinovic, Biostatistics 2007 (doi 10.1093/biostatistics/kxj037); Fortin et al., NeuroImage 2018
(doi 10.1016/j.neuroimage.2017.11.024).
"""

import numpy as np
import pandas as pd

BLOCK = 64
"""Features at a time: what is in memory beside the rows."""
CHANGE = 1e-4
"""Relative change of all estimates of a domain at which their iteration ends."""
MOST_STEPS = 1000


class NotApplicable(Exception):
    """The rows do not have what the model needs."""


class Method:
    """ComBat with a prior that is `parametric`, `nonparametric` or `none`.

    With `covariance` (CovBat), the leading principal components of what ComBat leaves, which have this share of its
    variance, get the same mean and SD in every domain, too, without a prior.
    """

    def __init__(self, *, seed, prior, mean_only, reference, covariance):
        self._shrink = {"parametric": parametric, "nonparametric": nonparametric, "none": unshrunken}[prior]
        self._mean_only, self._reference = mean_only, reference
        self._effects = {}
        self._components = Components(covariance) if covariance else None

    def fit(self, X, domain, covariates=None):
        """Fit the model, and the effects of each domain."""
        values, groups = X.to_numpy(), Groups(domain)
        self._coding = Coding(covariates)
        design = self._coding.columns(covariates, len(X))
        n_features = values.shape[1]
        self._centre, self._alpha, self._sigma = (np.zeros(n_features) for _ in range(3))
        self._beta = np.zeros((design.shape[1], n_features))
        shift, variance = (np.zeros((len(groups.names), n_features)) for _ in range(2))
        for block in blocks(n_features):
            found = fit_block(values[:, block], groups, design, self._reference)
            self._centre[block], self._alpha[block], self._beta[:, block], self._sigma[block] = found[:4]
            shift[:, block], variance[:, block] = found[4:]
        for i, name in enumerate(groups.names):
            self._effects[name] = self._estimate(shift[i], variance[i], groups.counts[i])
        if self._reference is not None:
            self._effects[self._reference] = (np.zeros(n_features), np.ones(n_features))
        if self._components is not None:
            self._components.fit(self._left(X, domain, covariates), groups)
        return self

    def adapt(self, X, domain, covariates=None):
        """Estimate the effects of domains that were not fitted from rows of theirs, all else as it was fitted."""
        values, groups = X.to_numpy(), Groups(domain)
        design = self._coding.columns(covariates, len(X))
        for i, name in enumerate(groups.names):
            if name in self._effects:
                continue
            rows = groups.order[groups.starts[i] : groups.starts[i] + groups.counts[i]]
            shift, variance = np.zeros(values.shape[1]), np.zeros(values.shape[1])
            for block in blocks(values.shape[1]):
                z = (values[rows, block] - self._predicted(design[rows], block)) * inverse(self._sigma[block])
                shift[block] = z.mean(axis=0)
                variance[block] = ((z - shift[block]) ** 2).sum(axis=0) / max(len(rows) - 1, 1)
            self._effects[name] = self._estimate(shift, variance, len(rows))
        if self._components is not None:
            self._components.adapt(self._left(X, domain, covariates), groups)
        return self

    def transform(self, X, domain, covariates=None):
        """Take each row's domain effects away."""
        result = self._without_effects(X, domain, covariates)
        if self._components is not None:
            moved = self._components.moves(self._left(X, domain, covariates), Groups(domain))
            result += moved * self._sigma
        return pd.DataFrame(result, index=X.index, columns=X.columns)

    def _left(self, X, domain, covariates):
        """What ComBat leaves of each row, standardised, (rows, features)."""
        result = self._without_effects(X, domain, covariates)
        design = self._coding.columns(covariates, len(X))
        for block in blocks(result.shape[1]):
            result[:, block] = (result[:, block] - self._predicted(design, block)) * inverse(self._sigma[block])
        return result

    def _without_effects(self, X, domain, covariates):
        values, groups = X.to_numpy(), Groups(domain)
        design = self._coding.columns(covariates, len(X))
        result = values.copy()
        for i, name in enumerate(groups.names):
            if name not in self._effects or name == self._reference:
                continue
            rows = groups.order[groups.starts[i] : groups.starts[i] + groups.counts[i]]
            gamma, delta = self._effects[name]
            for block in blocks(values.shape[1]):
                predicted = self._predicted(design[rows], block)
                sigma = self._sigma[block]
                without = values[rows, block] - predicted - sigma * gamma[block]
                varies = (sigma > 0) & (delta[block] > 0)
                scaled = without / np.sqrt(np.where(varies, delta[block], 1.0)) + predicted
                result[rows, block] = np.where(sigma > 0, scaled, values[rows, block])
        return result

    def _predicted(self, design, block):
        """What a row would have without any domain's effect, (rows, features)."""
        predicted = np.broadcast_to(self._alpha[block] + self._centre[block], (len(design), len(self._alpha[block])))
        pairs = zip(design.T, self._beta[:, block], strict=True)
        return predicted + sum(np.outer(column, beta) for column, beta in pairs)

    def _estimate(self, shift, variance, n):
        """gamma and delta of a domain of n rows, (features,); features that do not vary take no part."""
        gamma, delta = np.zeros_like(shift), np.ones_like(shift)
        varies = self._sigma > 0
        gamma[varies], delta[varies] = self._shrink(shift[varies], variance[varies], n, self._mean_only)
        return gamma, delta


class Components:
    """Principal components of standardised features, and each domain's mean and SD of the leading ones (CovBat).

    Chen et al., Human Brain Mapping 2022 (doi 10.1002/hbm.25688).
    """

    def __init__(self, share):
        self._share, self._of = share, {}

    def fit(self, left, groups):
        """Find the components of all rows, and the moments of their scores in each domain."""
        self._mean, spread = left.mean(axis=0), left.std(axis=0)
        self._spread = np.where(spread > 1e-12, spread, 0.0)
        x = (left - self._mean) * inverse(self._spread)
        values, vectors = np.linalg.eigh(x.T @ x / len(x))
        values, vectors = values[::-1].clip(0), vectors[:, ::-1]
        n = int(np.searchsorted(np.cumsum(values) / values.sum(), self._share, side="right")) + 1
        self._vectors = vectors[:, :n]
        scores = x @ self._vectors
        self._learn(scores, groups)
        within = sum(self._of[name][1] ** 2 * (n - 1) for name, n in zip(groups.names, groups.counts, strict=True))
        self._common = scores.mean(axis=0), np.sqrt(within / len(scores))

    def adapt(self, left, groups):
        """Find the moments of domains that were not fitted."""
        self._learn(self._scores(left), groups)

    def _scores(self, left):
        return ((left - self._mean) * inverse(self._spread)) @ self._vectors

    def _learn(self, scores, groups):
        for i, name in enumerate(groups.names):
            if name not in self._of:
                rows = groups.order[groups.starts[i] : groups.starts[i] + groups.counts[i]]
                self._of[name] = scores[rows].mean(axis=0), scores[rows].std(axis=0, ddof=1)

    def moves(self, left, groups):
        """How far each row goes, (rows, features) in the features' SD."""
        scores, moved = self._scores(left), np.zeros((len(left), self._vectors.shape[1]))
        mean, spread = self._common
        for i, name in enumerate(groups.names):
            if name in self._of:
                rows = groups.order[groups.starts[i] : groups.starts[i] + groups.counts[i]]
                own_mean, own_spread = self._of[name]
                varies = own_spread > 0
                ratio = np.where(varies, spread / np.where(varies, own_spread, 1.0), 1.0)
                moved[rows] = (scores[rows] - own_mean) * ratio + mean - scores[rows]
        return (moved @ self._vectors.T) * self._spread


class Groups:
    """Rows by domain: `order` has the rows of `names[i]` from `starts[i]` on, `counts[i]` of them."""

    def __init__(self, domain):
        codes, self.names = pd.factorize(domain.to_numpy(), sort=True)
        self.order = np.argsort(codes, kind="stable")
        self.counts = np.bincount(codes, minlength=len(self.names))
        self.starts = np.cumsum(self.counts) - self.counts
        self.sorted_codes = codes[self.order]

    def sums(self, sorted_values):
        """Sums over the rows of each domain, (domains, features), of rows in `order`."""
        return np.add.reduceat(sorted_values, self.starts, axis=0)


class Coding:
    """Covariates as numbers: doses as they are, of texts a column for each value but the first."""

    def __init__(self, covariates):
        self._texts = {}
        for name in [] if covariates is None else covariates.columns:
            if covariates[name].dtype == object or covariates[name].dtype.kind not in "fiu":
                self._texts[name] = sorted(covariates[name].unique())

    def columns(self, covariates, n_rows):
        """(rows, columns) float64."""
        found = []
        for name in [] if covariates is None else covariates.columns:
            if name not in self._texts:
                found.append(covariates[name].to_numpy(np.float64))
                continue
            unknown = sorted(set(covariates[name]) - set(self._texts[name]))
            if unknown:
                raise NotApplicable(f"{name} {unknown[0]} is not in the training rows")
            found += [(covariates[name] == value).to_numpy(np.float64) for value in self._texts[name][1:]]
        return np.array(found).T.reshape(n_rows, len(found))


def blocks(n):
    """Slices of at most `BLOCK` features."""
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


def inverse(values):
    """1 / value, 0 where it is 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def fit_block(values, groups, design, reference):
    """Least squares of some features: centre, alpha (beside it), beta, sigma, and each domain's mean and variance.

    Mean and variance are of the standardised rows, (domains, features). Sums are of rows without the centre, so that
    units and offsets do no harm, and of no library that adds in another order with more threads.
    """
    n = len(values)
    centre = values.mean(axis=0)
    same = values.min(axis=0) == values.max(axis=0)
    centre[same] = values[0, same]
    x, covariates = values[groups.order] - centre, design[groups.order]
    counts = groups.counts[:, None]
    # within domains, the dummies of the domains are gone from the regression
    mean_x, mean_c = groups.sums(x) / counts, (groups.sums(covariates) / counts if covariates.size else None)
    residual = x - np.repeat(mean_x, groups.counts, axis=0)
    beta = np.zeros((design.shape[1], x.shape[1]))
    if covariates.size:
        within = covariates - np.repeat(mean_c, groups.counts, axis=0)
        gram = np.array([[(one * other).sum() for other in within.T] for one in within.T])
        size = np.sqrt((covariates**2).sum(axis=0))
        if np.linalg.cond(gram / np.outer(size, size)) > 1e10:
            raise NotApplicable("covariates cannot be told from each other or from the domains")
        beta = np.linalg.solve(gram, np.array([(column[:, None] * residual).sum(axis=0) for column in within.T]))
        residual -= sum(np.outer(column, one) for column, one in zip(within.T, beta, strict=True))
        mean_x = mean_x - np.einsum("ik,kf->if", mean_c, beta)
    squares = groups.sums(residual**2)
    if reference is None:
        alpha = (mean_x * counts).sum(axis=0) / n
        variance = squares.sum(axis=0) / n
    else:
        i = list(groups.names).index(reference)
        alpha, variance = mean_x[i], squares[i] / groups.counts[i]
    variance = np.where(same, 0.0, variance)
    sigma = np.sqrt(variance)
    shift = (mean_x - alpha) * inverse(sigma)
    spread = squares / np.maximum(counts - 1, 1) * inverse(variance)
    return centre, alpha, beta, sigma, shift, spread


def unshrunken(shift, variance, n, mean_only):
    """The domain's own mean and variance."""
    return shift, np.ones_like(variance) if mean_only else variance


def parametric(shift, variance, n, mean_only):
    """Posterior means under a normal prior of the shifts and an inverse gamma prior of the variances, over features."""
    if len(shift) < 2:
        return unshrunken(shift, variance, n, mean_only)
    mean, spread = shift.mean(), shift.var(ddof=1)
    if mean_only:
        return (spread * shift + mean) / (spread + 1), np.ones_like(shift)
    m, v = variance.mean(), variance.var(ddof=1)
    if v <= 1e-24 * m**2:  # all alike: the prior is one value
        gamma = (n * spread * shift + m * mean) / (n * spread + m) if spread > 0 or m > 0 else shift
        return gamma, np.full_like(shift, m)
    a, b = (2 * v + m**2) / v, (m * v + m**3) / v
    gamma, delta = shift, variance
    for _ in range(MOST_STEPS):
        new_gamma = (n * spread * shift + delta * mean) / (n * spread + delta)
        squares = (n - 1) * variance + n * (shift - new_gamma) ** 2
        new_delta = (squares / 2 + b) / (n / 2 + a - 1)
        # the reference implementations divide by the signed estimate, and so do not look at negative shifts
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.nanmax([np.abs(new_gamma - gamma) / gamma, np.abs(new_delta - delta) / delta])
        gamma, delta = new_gamma, new_delta
        if change < CHANGE:
            break
    return gamma, delta


def nonparametric(shift, variance, n, mean_only):
    """Means of all other features' estimates, each weighted by the likelihood that it gives to the feature's rows."""
    if len(shift) < 2:
        return unshrunken(shift, variance, n, mean_only)
    delta = np.ones_like(variance) if mean_only else np.maximum(variance, 1e-300)
    gammas, deltas = np.empty_like(shift), np.empty_like(shift)
    constant = -0.5 * n * np.log(2 * np.pi * delta)
    for i in range(len(shift)):
        squares = (n - 1) * variance[i] + n * (shift[i] - shift) ** 2
        likelihood = constant - squares / (2 * delta)
        likelihood[i] = -np.inf
        weight = np.exp(likelihood - likelihood.max())
        gammas[i] = (weight * shift).sum() / weight.sum()
        deltas[i] = (weight * delta).sum() / weight.sum()
    return gammas, deltas
