import numpy as np
import pytest
import torch
from numba import njit
from scipy.special import erf
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torch_twin import GivenDropout, get_layers, perceptron, set_layers, train_epochs

from ct4bench.learning import mlp, mlp_kernels


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def problem(rng, n, n_features, n_classes, spread=4.0):
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    x = rng.normal(size=(n_classes, n_features))[y] + rng.normal(size=(n, n_features)) * spread
    return x, y


def draws_of(n, key, epochs):
    """Order and kept units of each epoch, as documented."""
    order_rng, draw_rng = np.random.default_rng([*key, 1]), np.random.default_rng([*key, 2])
    places = -(-n // 8) * 8
    words = -(-(places * 190 + 16) // 4)
    orders, masks = [], []
    for _ in range(epochs):
        orders.append(order_rng.permutation(n))
        bits = draw_rng.integers(0, 2**64, words, np.uint64)
        sixteen = (bits[:, None] >> (np.arange(4, dtype=np.uint64) * 16)) & 0xFFFF
        masks.append(sixteen.ravel()[: places * 190].reshape(places, 190) >= 13107)
    return orders, masks


@pytest.mark.parametrize(
    ("n_features", "n_classes", "n"), [(93, 4, 203), (768, 4, 120), (20, 13, 97), (16, 2, 64), (1, 3, 33)]
)
def test_losses_and_weights_are_those_of_torch(rng, n_features, n_classes, n):
    x, y = problem(rng, n, n_features, n_classes)
    chosen, key, epochs = np.arange(n), (3, 41), 3
    rows = mlp.standardise(x, chosen, mlp.fit_scaler(x, chosen))
    orders, masks = draws_of(n, key, epochs)
    twin = perceptron(n_features, n_classes, lambda: GivenDropout(0.2))
    set_layers(twin, mlp.initial_layers(n_features, n_classes, key))
    weights = compute_class_weight("balanced", classes=np.arange(n_classes), y=y)
    expected = train_epochs(twin, rows.values[:n, :n_features], y, weights, orders, masks)

    trained = mlp.train(rows, y, n_classes, chosen, chosen[:0], mlp.TrainingSettings(epochs=epochs), key)

    steps = -(-n // 8)
    np.testing.assert_allclose(trained.first_losses, expected[:steps], atol=1e-5, rtol=0)
    mass = [[weights[y[order[i : i + 8]]].sum() for i in range(0, n, 8)] for order in orders]
    of_epoch = [(np.array(m) * expected[e * steps : (e + 1) * steps]).sum() / np.sum(m) for e, m in enumerate(mass)]
    np.testing.assert_allclose(trained.losses, of_epoch, atol=1e-5, rtol=0)
    moved = 0.0
    start = mlp.initial_layers(n_features, n_classes, key)
    for (w, b), (tw, tb), (w0, _) in zip(mlp.unpack(trained.model), get_layers(twin), start, strict=True):
        np.testing.assert_allclose(w, tw, atol=1e-5, rtol=0)
        np.testing.assert_allclose(b, tb, atol=1e-5, rtol=0)
        moved = max(moved, np.abs(w - w0).max())
    assert moved > 1e-3
    twin.eval()
    with torch.no_grad():
        expected_log_p = torch.log_softmax(twin(torch.tensor(rows.values[:n, :n_features])), 1).numpy()
    np.testing.assert_allclose(mlp.log_proba(trained.model, rows, chosen), expected_log_p, atol=2e-5, rtol=0)


def test_accuracy_after_all_epochs_is_that_of_torch(rng):
    x, y = problem(rng, 1200, 40, 4, spread=2.5)
    chosen, test, key = np.arange(600), np.arange(600, 1200), (0, 7)
    rows = mlp.standardise(x, np.arange(1200), mlp.fit_scaler(x, chosen))
    orders, masks = draws_of(600, key, 30)
    twin = perceptron(40, 4, lambda: GivenDropout(0.2))
    set_layers(twin, mlp.initial_layers(40, 4, key))
    weights = compute_class_weight("balanced", classes=np.arange(4), y=y[chosen])
    train_epochs(twin, rows.values[:600, :40], y[chosen], weights, orders, masks)
    twin.eval()
    with torch.no_grad():
        expected = twin(torch.tensor(rows.values[test, :40])).numpy().argmax(1)

    trained = mlp.train(rows, y, 4, chosen, chosen[:0], mlp.TrainingSettings(), key)
    found = mlp.log_proba(trained.model, rows, test).argmax(1)

    assert 0.6 < (expected == y[test]).mean() < 0.99
    assert abs((found == y[test]).mean() - (expected == y[test]).mean()) <= 2 / 600
    assert (found != expected).mean() <= 0.01


def test_the_runs_own_check_agrees_with_the_plain_loop(rng):
    x, y = problem(rng, 90, 12, 4)
    chosen, key = np.arange(90), (5, 6)
    rows = mlp.standardise(x, chosen, mlp.fit_scaler(x, chosen))
    orders, masks = draws_of(90, key, 1)
    twin = perceptron(12, 4, lambda: GivenDropout(0.2))
    set_layers(twin, mlp.initial_layers(12, 4, key))
    weights = compute_class_weight("balanced", classes=np.arange(4), y=y)
    expected = train_epochs(twin, rows.values[:90, :12], y, weights, orders, masks)
    found = mlp.torch_losses(rows, y, 4, chosen, mlp.TrainingSettings(), key, 100)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    assert len(mlp.torch_losses(rows, y, 4, chosen, mlp.TrainingSettings(), key, 3)) == 3


@njit
def gelu_of(z, value, slope):
    for i in range(0, z.size, 16):
        v, s = mlp_kernels._gelu(mlp_kernels.load(z, i))
        mlp_kernels.store(value, i, v)
        mlp_kernels.store(slope, i, s)


def test_gelu_and_its_derivative_over_all_that_float32_holds():
    z = np.concatenate([np.linspace(-14, 14, 160_000), [0.0, -0.0, 1e-30, -1e-30, 40, -40, 1e4, -1e4, 3e18, -3e18]])
    z = np.concatenate([z, np.zeros(-len(z) % 16)]).astype(np.float32)
    value, slope = np.empty_like(z), np.empty_like(z)
    gelu_of(z, value, slope)
    x = z.astype(np.float64)
    below = 0.5 * (1 + erf(x / np.sqrt(2)))
    np.testing.assert_allclose(value, x * below, rtol=4e-7, atol=6e-7)
    np.testing.assert_allclose(slope, below + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi), atol=6e-7)


def test_scaler_is_that_of_scikit_learn(rng):
    x = rng.normal(size=(2500, 7)) * [1, 1e-6, 1e6, 1, 1, 1, 1] + [0, 0, 1e9, 50, -3, 0.1, 0]
    x[:, 5], x[:, 6] = 0.1, 1e-20
    chosen = np.sort(rng.choice(2500, 1800, replace=False))
    expected = StandardScaler().fit(x[chosen]).transform(x[chosen])
    scaler = mlp.fit_scaler(x, chosen)
    found = mlp.standardise(x, chosen, scaler).values[:-1, :7]
    np.testing.assert_allclose(found[:, :5], expected[:, :5], atol=1e-5)
    assert (scaler.factor[5:] == 0).all()
    assert (found[:, 5:] == 0).all()
    assert (mlp.standardise(x + 1, chosen, scaler).values[:-1, 5:] == 0).all()


@pytest.mark.parametrize("n_features", [1, 93, 768])
def test_initial_weights_are_spread_as_torchs(n_features):
    torch.manual_seed(0)
    twin = perceptron(n_features, 4)
    for (w, b), (tw, tb) in zip(mlp.initial_layers(n_features, 4, (0, 1)), get_layers(twin), strict=True):
        assert (w.shape, b.shape, w.dtype, b.dtype) == (tw.shape, tb.shape, np.float32, np.float32)
        bound = 1 / np.sqrt(w.shape[1])
        assert np.abs(w).max() <= bound * (1 + 1e-6)
        assert np.abs(tw).max() <= bound * (1 + 1e-6)
        if w.size > 1000:
            np.testing.assert_allclose([w.mean(), w.std()], [tw.mean(), tw.std()], atol=0.06 * bound)


def test_a_stack_of_trainings_is_each_by_torch_alone(rng):
    """Of other sizes, keys, balances and early ends; also as `mlp.train` has them, in what is kept and when."""
    from ct4bench.learning.mlp_stack import Job, train_together

    n_features, n_classes = 20, 4
    jobs = []
    for number, (n, n_validation, patience) in enumerate(((97, 0, 0), (203, 40, 0), (64, 30, 1), (203, 0, 0))):
        x, y = problem(rng, n + n_validation, n_features, n_classes, spread=0.5 if patience else 4.0)
        if patience:
            y[n:] = n_classes - 1 - y[n:]  # what is learned makes the validation worse
        training, validation = np.split(np.arange(n + n_validation), [n])
        rows = mlp.standardise(x, np.arange(len(x)), mlp.fit_scaler(x, training))
        settings = mlp.TrainingSettings(epochs=20, patience=patience, balanced=number != 3)
        jobs.append(Job(rows, y, n_classes, training, validation, settings, (1, number)))

    together = train_together(jobs, "cpu")

    for job, found in zip(jobs, together, strict=True):
        n = len(job.training)
        orders, masks = draws_of(n, job.key, len(found.losses))
        twin = perceptron(n_features, n_classes, lambda: GivenDropout(0.2))
        set_layers(twin, mlp.initial_layers(n_features, n_classes, job.key))
        weights = mlp.class_weights(job.targets[:n], n_classes, job.settings.balanced)
        expected = train_epochs(twin, job.rows.values[:n, :n_features], job.targets[:n], weights, orders, masks)
        steps = -(-n // 8)
        np.testing.assert_allclose(found.first_losses, expected[:steps], atol=1e-5, rtol=0)
        alone = mlp.train(job.rows, job.targets, n_classes, job.training, job.validation, job.settings, job.key)
        assert found.best_epoch == alone.best_epoch
        np.testing.assert_allclose(found.losses, alone.losses, atol=1e-5, rtol=0)
        np.testing.assert_allclose(found.validation_losses, alone.validation_losses, atol=1e-5, rtol=0)
        np.testing.assert_allclose(found.model.weights, alone.model.weights, atol=1e-5, rtol=0)
        if not job.settings.patience:
            for (w, b), (tw, tb) in zip(mlp.unpack(found.model), get_layers(twin), strict=True):
                np.testing.assert_allclose(w, tw, atol=1e-5, rtol=0)
                np.testing.assert_allclose(b, tb, atol=1e-5, rtol=0)
    assert len(together[2].losses) < 20, "the third was to end early"


def test_trainings_of_other_shapes_do_not_stack(rng):
    from ct4bench.learning.mlp_stack import Job, train_together

    jobs = []
    for n_features in (3, 4):
        x, y = problem(rng, 30, n_features, 2)
        everything = np.arange(30)
        rows = mlp.standardise(x, everything, mlp.fit_scaler(x, everything))
        jobs.append(Job(rows, y, 2, everything, everything[:0], mlp.TrainingSettings(epochs=1), (0, 0)))
    with pytest.raises(ValueError, match="do not stack"):
        train_together(jobs, "cpu")
