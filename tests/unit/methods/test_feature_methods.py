"""What the shipped methods compute, against closed forms. ComBat has its oracles in tests/oracle."""

import numpy as np
import pandas as pd
import pytest
from planted import load_method
from scipy.linalg import sqrtm
from sklearn.covariance import LedoitWolf

SIZES = {"A1": 400, "B1": 300, "C1": 200}
DOMAINS = np.repeat(list(SIZES), list(SIZES.values()))
RNG = np.random.default_rng(11)
F = 6
MIX = {name: RNG.normal(size=(F, F)) / 2 + np.eye(F) for name in (*SIZES, "D1")}
SHIFT = {name: RNG.normal(0, 3, F) for name in MIX}


def draw(name, n):
    return RNG.normal(size=(n, F)) @ MIX[name] + SHIFT[name] + 100


X = np.concatenate([draw(name, n) for name, n in SIZES.items()])
X[:, 4] = 3.25
NEW = draw("D1", 250)
NEW[:, 4] = 3.25
NEW[200, 0] += 30  # beyond what is adapted to
VARIES = [0, 1, 2, 3, 5]


def frame(values, names, prefix="r"):
    index = [f"{prefix}{i}" for i in range(len(values))]
    names = np.full(len(values), names, object) if isinstance(names, str) else names
    return pd.DataFrame(values, index), pd.Series(names, index, dtype=object)


def run(name, adapt=NEW[:120], **parameters):
    """Training rows and new rows of D1, after the method."""
    method = load_method(name).Method(seed=3, **parameters).fit(*frame(X, DOMAINS))
    if adapt is not None:
        method.adapt(*frame(adapt, "D1", "a"))
    return method.transform(*frame(X, DOMAINS)).to_numpy(), method.transform(*frame(NEW, "D1", "t")).to_numpy()


def shape(rows):
    """Ledoit-Wolf covariance and mean of the rows that vary."""
    return LedoitWolf().fit(rows[:, VARIES]).covariance_, rows[:, VARIES].mean(axis=0)


SCALE = np.sqrt(sum(X[name == DOMAINS].var(axis=0) * n for name, n in SIZES.items()) / len(X))
SCALE[4] = 1


def test_coral_whitens_and_colours():
    found, new = run("coral")
    scaled, fresh = X / SCALE, NEW / SCALE
    shapes = {name: shape(scaled[name == DOMAINS]) for name in SIZES}
    shapes["D1"] = shape(fresh[:120])
    colour = sqrtm(sum(n * shapes[name][0] for name, n in SIZES.items()) / len(X))
    for name, rows, result in ((n, scaled[n == DOMAINS], found[n == DOMAINS]) for n in SIZES):
        expected = (rows[:, VARIES] - shapes[name][1]) @ np.linalg.inv(sqrtm(shapes[name][0])) @ colour
        np.testing.assert_allclose(
            result[:, VARIES] / SCALE[VARIES], expected + scaled[:, VARIES].mean(axis=0), rtol=1e-9
        )
    expected = (fresh[:, VARIES] - shapes["D1"][1]) @ np.linalg.inv(sqrtm(shapes["D1"][0])) @ colour
    np.testing.assert_allclose(new[:, VARIES] / SCALE[VARIES], expected + scaled[:, VARIES].mean(axis=0), rtol=1e-9)
    assert (found[:, 4] == 3.25).all() and (new[:, 4] == 3.25).all()


@pytest.mark.parametrize("reference", [None, "B1"])
def test_gaussian_transport_is_the_optimal_map(reference):
    """The map takes a domain's covariance to the common one and is symmetric and positive: there is one such map."""
    found, new = run("gaussian_transport", reference=reference)
    scaled, fresh, results = (
        X / SCALE,
        NEW / SCALE,
        {**{n: found[n == DOMAINS] / SCALE for n in SIZES}, "D1": new / SCALE},
    )
    rows = {**{n: scaled[n == DOMAINS] for n in SIZES}, "D1": fresh}
    moments = {n: shape(rows[n] if n != "D1" else fresh[:120]) for n in rows}
    maps = {}
    for name in rows:
        matrix, *_ = np.linalg.lstsq(rows[name][:, VARIES] - moments[name][1], results[name][:, VARIES], rcond=None)
        centred = results[name][:, VARIES] - results[name][:, VARIES].mean(axis=0)
        matrix, *_ = np.linalg.lstsq(rows[name][:, VARIES] - rows[name][:, VARIES].mean(axis=0), centred, rcond=None)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
        assert np.linalg.eigvalsh(matrix).min() > 0
        maps[name] = matrix
    images = [maps[n] @ moments[n][0] @ maps[n] for n in rows]
    common = moments[reference][0] if reference else images[0]
    for image in images:
        np.testing.assert_allclose(image, common, atol=1e-8)
    if reference:
        np.testing.assert_array_equal(found[reference == DOMAINS], X[reference == DOMAINS])
    else:  # the barycentre is where the training domains' maps are the identity on average
        inverse = sum(np.linalg.inv(maps[n]) for n in SIZES) / len(SIZES)
        np.testing.assert_allclose(inverse, np.eye(5), atol=1e-6)


def test_quantiles_of_every_domain_become_the_common_ones():
    found, new = run("quantile_normalization", levels=201)
    levels = np.linspace(0, 1, 201)
    common = np.mean([np.quantile(X[name == DOMAINS], levels, axis=0) for name in SIZES], axis=0)
    for name in SIZES:
        np.testing.assert_allclose(np.quantile(found[name == DOMAINS], levels, axis=0), common, atol=0.2)
        assert (np.argsort(found[name == DOMAINS, 1]) == np.argsort(X[name == DOMAINS, 1])).all()
    low, high = NEW[:120].min(axis=0), NEW[:120].max(axis=0)
    beyond = NEW[:, 0] > high[0]
    assert beyond.any()
    np.testing.assert_allclose(new[beyond, 0], NEW[beyond, 0] - high[0] + common[-1, 0])
    at = np.argmin(np.abs(NEW[:120, 0] - np.median(NEW[:120, 0])))
    assert abs(new[at, 0] - common[100, 0]) < 0.2 and (low < high).sum() == 5
    np.testing.assert_allclose(found[:, 4], 3.25)


def paired(noise):
    """Three domains and a new one, 30 patches each four times: shift and scale of a patch's true value."""
    truth = RNG.normal(50, 4, (30, 3))
    maps = {"A1": (1, 0), "B1": (1.5, 7), "C1": (0.8, -4), "D1": (1.2, 20)}
    rows = {name: np.repeat(truth, 4, axis=0) * k + b + RNG.normal(0, noise, (120, 3)) for name, (k, b) in maps.items()}
    return rows, np.repeat([f"p{i}" for i in range(30)], 4), maps, truth


@pytest.mark.parametrize("scale", [True, False])
def test_the_paired_map_takes_away_what_domains_add(scale):
    rows, pair, maps, truth = paired(0.0)
    seen = np.repeat(["A1", "B1", "C1"], 120)
    method = load_method("paired_map").Method(seed=1, scale=scale)
    train = np.concatenate([rows[n] for n in ("A1", "B1", "C1")])
    values, names = frame(train, seen)
    method.fit(values, names, pd.Series(np.tile(pair, 3), values.index, dtype=object))
    values, names = frame(rows["D1"][:60], "D1")  # 15 of the patches are known of the new domain
    method.adapt(values, names, pd.Series(pair[:60], values.index, dtype=object))
    new = method.transform(*frame(rows["D1"], "D1")).to_numpy()
    common = truth * np.mean([maps[n][0] for n in ("A1", "B1", "C1")]) + np.mean(
        [maps[n][1] for n in ("A1", "B1", "C1")]
    )
    if scale:
        np.testing.assert_allclose(new, np.repeat(common, 4, axis=0), rtol=1e-9)
    else:
        own = rows["D1"] + (common[:15].mean(axis=0) - rows["D1"][:60].mean(axis=0))
        np.testing.assert_allclose(new, own, rtol=1e-9)


def test_the_network_brings_patches_together_and_keeps_them_apart():
    """Each feature of the domains has a shift that the other features tell: the network can take it out."""
    n, k = 40, 4
    truth = RNG.normal(0, 1, (n, 5))
    rows, seen = [], []
    for i, name in enumerate(["A1", "B1", "C1"]):
        own = np.repeat(truth, k, axis=0)
        rows.append(np.c_[own + (i - 1) * 1.5 + RNG.normal(0, 0.2, own.shape), np.full(n * k, (i - 1) * 2.0)])
        seen += [name] * (n * k)
    x, pair = np.concatenate(rows), np.tile(np.repeat([f"p{i}" for i in range(n)], k), 3)
    values, names = frame(x, np.array(seen, object))
    make = load_method("standardization_network").Method
    method = make(seed=1, hidden=32, epochs=60).fit(values, names, pd.Series(pair, values.index, dtype=object))
    found = method.transform(values, names).to_numpy()
    tell = lambda v: pd.DataFrame(v[:, :5]).groupby(pair)  # noqa: E731
    within, between = tell(found).std().mean().mean(), tell(found).mean().std().mean()
    before = tell(x).std().mean().mean()
    assert within < 0.4 * before and between > 0.7 * tell(x).mean().std().mean()
    order = RNG.permutation(len(x))
    again = make(seed=1, hidden=32, epochs=60)
    again.fit(values.iloc[order], names.iloc[order], pd.Series(pair, values.index, dtype=object).iloc[order])
    np.testing.assert_allclose(again.transform(values, names).to_numpy(), found, rtol=0, atol=1e-9)


def test_controls_lose_what_they_must():
    tissue = pd.DataFrame({"tissue": np.tile(["cyst", "liver"], len(X) // 2)}, index=[f"r{i}" for i in range(len(X))])
    means = load_method("tissue_means").Method(seed=1).fit(*frame(X, DOMAINS), tissue)
    found = means.transform(*frame(X, DOMAINS), tissue).to_numpy()
    np.testing.assert_allclose(found[::2], np.tile(X[::2].mean(axis=0), (len(X) // 2, 1)))
    for within, told in (("all", None), ("domain", None), ("tissue", tissue)):
        method = load_method("shuffled").Method(seed=1, within=within).fit(*frame(X, DOMAINS), told)
        found = method.transform(*frame(X, DOMAINS), told).to_numpy()
        where = [np.flatnonzero((row == X).all(axis=1))[0] for row in found]  # a training row each, and not its own
        assert (np.array(where) != np.arange(len(X))).mean() > 0.98
        assert len(set(where)) > 0.55 * len(X)  # draws with replacement: 1 - 1/e
        assert ((DOMAINS[where] == DOMAINS).mean() > 0.99) == (within == "domain")
        assert ((np.array(where) % 2 == np.arange(len(X)) % 2).mean() > 0.99) == (within == "tissue")


@pytest.mark.parametrize("prior", ["parametric", "none"])
def test_combat_takes_an_injected_shift_and_scale_away_and_no_tissue(prior):
    """Rows of one distribution with four tissues; each scanner gets a shift and a scale, then ComBat."""
    rng = np.random.default_rng(23)
    n, names = 600, ["A1", "B1", "C1", "D1"]
    tissue = np.tile(np.arange(4), n)
    effect = rng.normal(0, 1.5, (4, 30))
    truth = effect[tissue] + rng.normal(size=(4 * n, 30))
    scanner = np.repeat(names, n)
    scale, shift = rng.uniform(0.6, 1.6, 4).repeat(n)[:, None], rng.normal(0, 2, (4, 30)).repeat(n, axis=0)
    rows, domain = frame(truth * scale + shift, scanner)
    parameters = {"prior": prior, "mean_only": False, "reference": None, "covariance": 0}
    found = load_method("combat").Method(seed=1, **parameters).fit(rows, domain).transform(rows, domain).to_numpy()
    means = np.array([found[scanner == name].mean(axis=0) for name in names])
    spreads = np.array([found[scanner == name].std(axis=0) for name in names])
    error = found.std(axis=0) / np.sqrt(n)
    assert (np.ptp(means, axis=0) < 6 * error).all()
    assert np.abs(spreads / spreads.mean(axis=0) - 1).max() < 0.08
    between = np.array([found[tissue == i].mean(axis=0) for i in range(4)])
    wanted = np.array([truth[tissue == i].mean(axis=0) for i in range(4)])
    for i in range(30):  # in the common unit of the feature
        assert np.corrcoef(between[:, i], wanted[:, i])[0, 1] > 0.99
    kept = between.std(axis=0) / found.std(axis=0) / (wanted.std(axis=0) / truth.std(axis=0))
    np.testing.assert_allclose(kept, 1, atol=0.05)
