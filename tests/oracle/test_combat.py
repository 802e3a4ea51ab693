"""ComBat against combaters (sva's algorithm in Rust), neuroCombat and closed forms, to 1e-6 of a feature's SD.

neuroCombat's `ref_batch` and its non-parametric prior are broken with numpy 2 or underflow; combaters has both.
"""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from planted import load_method
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

combat = load_method("combat")
DOMAINS = np.repeat(["A1", "B1", "C1", "D1"], [90, 60, 45, 30])
RNG = np.random.default_rng(5)
N, F = len(DOMAINS), 41
DOSE = RNG.choice([3.0, 6.0, 14.0], N)
RECON = np.where(RNG.random(N) < 0.4 + 0.3 * (DOMAINS == "A1"), "FBP", RNG.choice(["IR", "DL"], N))
FACTOR = pd.Series(DOMAINS).map({"A1": 1.0, "B1": 1.6, "C1": 0.7, "D1": 1.2}).to_numpy()
X = RNG.standard_t(6, (N, F)) * FACTOR[:, None] * RNG.uniform(0.1, 9, F)
X += RNG.normal(0, 2, (4, F))[np.repeat(range(4), [90, 60, 45, 30])] + DOSE[:, None] * RNG.normal(0, 0.1, F) + 50
ORDER = RNG.permutation(N)
DEFAULT = {"prior": "parametric", "mean_only": False, "reference": None, "covariance": 0}


def applied(values=X, domain=DOMAINS, covariates=None, **parameters):
    """Fit on all rows in a random order and transform them."""
    index = [f"r{i}" for i in range(len(values))]
    order = ORDER[len(values) > ORDER]
    rows, names = pd.DataFrame(values, index), pd.Series(domain, index, dtype=object)
    told = {} if covariates is None else {"covariates": covariates.set_axis(index)}
    method = combat.Method(seed=1, **DEFAULT | parameters)
    method.fit(rows.iloc[order], names.iloc[order], **{k: v.iloc[order] for k, v in told.items()})
    return method.transform(rows, names, **told).to_numpy()


def off(found, expected):
    """Largest difference in a feature's SD."""
    spread = expected.std(axis=0)
    return np.abs((found - expected) / np.where(spread > 0, spread, 1)).max()


COVARIATES = pd.DataFrame({"dose_mgy": DOSE, "recon": RECON})
AS_COLUMNS = np.c_[DOSE, RECON == "FBP", RECON == "IR"].astype(float)


@pytest.mark.parametrize(
    ("parameters", "covariates", "theirs"),
    [
        ({}, None, {}),
        ({}, COVARIATES, {"mod": AS_COLUMNS}),
        ({"mean_only": True}, None, {"mean_only": True}),
        ({"mean_only": True}, COVARIATES, {"mean_only": True, "mod": AS_COLUMNS}),
        ({"reference": "B1"}, None, {"ref_batch": "B1"}),
        ({"reference": "B1"}, COVARIATES, {"ref_batch": "B1", "mod": AS_COLUMNS}),
        ({"prior": "nonparametric"}, None, {"par_prior": False}),
        ({"prior": "nonparametric"}, COVARIATES, {"par_prior": False, "mod": AS_COLUMNS}),
        ({"prior": "nonparametric", "mean_only": True}, None, {"par_prior": False, "mean_only": True}),
        ({"prior": "nonparametric", "reference": "C1"}, None, {"par_prior": False, "ref_batch": "C1"}),
    ],
)
def test_it_is_svas(parameters, covariates, theirs):
    combaters = pytest.importorskip("combaters", reason="the oracle combaters is not installed")
    expected = combaters.combat(X, DOMAINS, **theirs)["adjusted"]
    assert off(applied(covariates=covariates, **parameters), expected) < 1e-6


@pytest.mark.parametrize("eb", [True, False])
@pytest.mark.parametrize("covariates", [None, COVARIATES])
@pytest.mark.parametrize("mean_only", [True, False])
def test_it_is_neurocombats(eb, covariates, mean_only):
    if importlib.util.find_spec("neuroCombat") is None:
        pytest.skip("the oracle neuroCombat is not installed")
    from neuroCombat import neuroCombat

    table = pd.DataFrame({"domain": DOMAINS}) if covariates is None else covariates.assign(domain=DOMAINS)
    told = {} if covariates is None else {"categorical_cols": ["recon"], "continuous_cols": ["dose_mgy"]}
    expected = neuroCombat(X.T, table, "domain", eb=eb, mean_only=mean_only, **told)["data"].T
    found = applied(covariates=covariates, mean_only=mean_only, prior="parametric" if eb else "none")
    assert off(found, expected) < 1e-6


def test_without_empirical_bayes_each_domain_gets_the_moments_of_all():
    """Closed form: the pooled mean, and the pooled SD within domains."""
    found = applied(prior="none")
    within = np.sqrt(sum(X[d == DOMAINS].var(axis=0) * (d == DOMAINS).sum() for d in set(DOMAINS)) / N)
    for name in set(DOMAINS):
        own = X[name == DOMAINS]
        expected = (own - own.mean(axis=0)) / own.std(axis=0, ddof=1) * within + X.mean(axis=0)
        assert off(found[name == DOMAINS], expected) < 1e-9


def fitted_and_adapted(**parameters):
    """A1 to C1 fitted, D1 adapted to its first 20 rows; what comes of its others, and the rows."""
    seen, new = DOMAINS != "D1", np.flatnonzero(DOMAINS == "D1")
    rows, names = pd.DataFrame(X), pd.Series(DOMAINS, dtype=object)
    method = combat.Method(seed=1, **DEFAULT | parameters).fit(rows[seen], names[seen])
    alone = method.transform(rows.loc[new[20:]], names[new[20:]]).to_numpy()
    method.adapt(rows.loc[new[:20]], names[new[:20]])
    return alone, method.transform(rows.loc[new[20:]], names[new[20:]]).to_numpy(), seen, new


def test_a_domain_that_was_not_fitted_is_left_alone_without_adapt():
    alone, _, _, new = fitted_and_adapted()
    np.testing.assert_array_equal(alone, X[new[20:]])


def test_adapt_without_empirical_bayes_is_the_closed_form():
    _, found, seen, new = fitted_and_adapted(prior="none")
    within = np.sqrt(
        sum(X[seen & (d == DOMAINS)].var(axis=0) * (d == DOMAINS).sum() for d in ("A1", "B1", "C1")) / seen.sum()
    )
    own = X[new[:20]]
    expected = (X[new[20:]] - own.mean(axis=0)) / own.std(axis=0, ddof=1) * within + X[seen].mean(axis=0)
    assert off(found, expected) < 1e-9


def test_adapt_is_the_posterior_of_its_own_rows():
    """The estimates maximise the posterior that the priors and the likelihood of the rows give, solved anew here."""
    _, found, seen, new = fitted_and_adapted()
    alpha = X[seen].mean(axis=0)
    sigma = np.sqrt(
        sum(X[seen & (d == DOMAINS)].var(axis=0) * (d == DOMAINS).sum() for d in ("A1", "B1", "C1")) / seen.sum()
    )
    z = (X[new[:20]] - alpha) / sigma
    n, mean, var = 20, z.mean(axis=0), z.var(axis=0, ddof=1)
    tau2, bar = mean.var(ddof=1), mean.mean()
    a, b = 2 + var.mean() ** 2 / var.var(ddof=1), var.mean() + var.mean() ** 3 / var.var(ddof=1)
    gamma, delta = mean.copy(), var.copy()
    change = 1.0
    while change >= 1e-4:  # as the reference implementations stop: of shifts below 0 the change is not looked at
        before = np.array([gamma, delta])
        gamma = stats.norm(bar, np.sqrt(tau2)).mean() + tau2 * n / (tau2 * n + delta) * (mean - bar)
        delta = stats.invgamma(a + n / 2, scale=b + ((z - gamma) ** 2).sum(axis=0) / 2).mean()
        change = (np.abs([gamma, delta] - before) / before).max()
    expected = sigma * ((X[new[20:]] - alpha) / sigma - gamma) / np.sqrt(delta) + alpha
    assert off(found, expected) < 1e-6


def test_covbat_is_its_published_steps():
    """ComBat, then the same for the leading components of the standardised rest, without a prior; sklearn's PCA."""
    scaler, pca = StandardScaler(), PCA(svd_solver="full")
    combated = applied()
    within = np.sqrt(sum(X[d == DOMAINS].var(axis=0) * (d == DOMAINS).sum() for d in set(DOMAINS)) / N)
    scores = pca.fit_transform(scaler.fit_transform((combated - X.mean(axis=0)) / within))
    n = int(np.argmax(np.cumsum(pca.explained_variance_ratio_) > 0.95)) + 1
    assert 2 < n < F
    spread = np.sqrt(sum(scores[d == DOMAINS].var(axis=0) * (d == DOMAINS).sum() for d in set(DOMAINS)) / N)[:n]
    for name in set(DOMAINS):
        own = scores[name == DOMAINS, :n]
        scores[name == DOMAINS, :n] = (own - own.mean(axis=0)) / own.std(axis=0, ddof=1) * spread
    expected = scaler.inverse_transform(pca.inverse_transform(scores)) * within + X.mean(axis=0)
    assert off(applied(covariance=0.95), expected) < 1e-6
    assert off(expected, combated) > 0.01


def test_edges_give_finite_values_and_leave_constants_alone():
    odd = X.copy()
    odd[:, 0] = 7.25
    odd[:, 1] = odd[:, 1] * 1e-9 + 1e-3  # a variance of 1e-18 and more
    odd[:, 2] = odd[:, 2] * 1e12
    odd[DOMAINS == "B1", 3] = 4.0  # constant in one domain
    for parameters in (
        {},
        {"prior": "none"},
        {"prior": "nonparametric"},
        {"mean_only": True},
        {"reference": "A1"},
        {"covariance": 0.95},
    ):
        found = applied(odd, **parameters)
        assert np.isfinite(found).all(), parameters
        np.testing.assert_array_equal(found[:, 0], odd[:, 0])
        scaled = applied(odd * 2.0**40, **parameters)
        assert off(scaled / 2.0**40, found) < 1e-12, parameters
    alike = np.tile(X[:, :1], (1, 3))  # the prior of the variances has none itself
    for parameters in ({}, {"prior": "nonparametric"}):
        assert np.isfinite(applied(alike, **parameters)).all()
    assert np.isfinite(applied(X[:, :1])).all()


def test_covariates_that_are_the_domains_are_refused():
    same = pd.DataFrame({"recon": np.where(DOMAINS == "A1", "FBP", "IR")})
    with pytest.raises(combat.NotApplicable, match="cannot be told"):
        applied(covariates=same)
    with pytest.raises(combat.NotApplicable, match="recon DL is not in the training rows"):
        rows, names = pd.DataFrame(X), pd.Series(DOMAINS, dtype=object)
        old = RECON != "DL"
        method = combat.Method(seed=1, **DEFAULT).fit(rows[old], names[old], COVARIATES[["recon"]][old])
        method.transform(rows, names, COVARIATES[["recon"]])
