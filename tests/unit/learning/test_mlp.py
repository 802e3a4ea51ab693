from dataclasses import replace

import numpy as np
import pytest
from numba import njit

from ct4bench.core.errors import UserError
from ct4bench.learning import mlp, mlp_kernels

FAST = mlp.TrainingSettings(epochs=2)


@pytest.fixture
def rows(rng):
    return mlp.standardise(rng.normal(size=(60, 9)), np.arange(60), mlp.Scaler(np.zeros(9), np.ones(9)))


@pytest.fixture
def targets(rng):
    return rng.integers(0, 4, 60)


def train(rows, targets, n=40, key=(0, 1), settings=FAST, validation=(), n_classes=4):
    return mlp.train(rows, targets, n_classes, np.arange(n), np.array(validation, np.int64), settings, key)


@pytest.mark.parametrize(("n_features", "n_classes"), [(1, 2), (93, 4), (16, 16)])
def test_pack_and_unpack_are_inverse(n_features, n_classes):
    layers = mlp.initial_layers(n_features, n_classes, (0, 0))
    again = mlp.unpack(mlp.Model(n_features, n_classes, mlp.pack(layers)))
    for (w, b), (w2, b2) in zip(layers, again, strict=True):
        np.testing.assert_array_equal(w, w2)
        np.testing.assert_array_equal(b, b2)


def test_a_training_repeats_to_the_bit(rows, targets):
    one, two = train(rows, targets), train(rows, targets)
    np.testing.assert_array_equal(one.model.weights, two.model.weights)
    np.testing.assert_array_equal(one.losses, two.losses)


@pytest.mark.parametrize("key", [(1, 1), (0, 2)])
def test_seed_and_key_change_a_training(rows, targets, key):
    assert np.abs(train(rows, targets, key=key).model.weights - train(rows, targets).model.weights).max() > 1e-3


def test_rows_that_do_not_train_have_no_effect(rows, targets):
    other = rows.values.copy()
    other[40:-1] += 5
    np.testing.assert_array_equal(train(rows, targets).model.weights, train(mlp.Rows(other, 9), targets).model.weights)


def test_a_short_last_batch_is_kept(rows, targets):
    whole, short = train(rows, targets, n=40), train(rows, targets, n=35)
    assert len(whole.first_losses) == len(short.first_losses) == 5
    assert not np.array_equal(whole.model.weights, train(rows, targets, n=32).model.weights)


def test_probabilities_do_not_depend_on_the_rows_beside(rows, targets):
    model = train(rows, targets).model
    together = mlp.log_proba(model, rows, np.arange(60))
    for some in (np.arange(17, 20), np.array([59]), np.arange(60)[::-1]):
        np.testing.assert_array_equal(mlp.log_proba(model, rows, some), together[some])
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1, atol=1e-6)


def test_padding_stays_zero(rows, targets):
    weights = train(rows, targets).model.weights
    blocks = weights[: 10 * 112].reshape(7, 10, 16)
    assert np.abs(blocks[6, :, :4]).max() > 0
    assert (blocks[6, :, 4:] == 0).all()


def test_a_fifth_of_the_units_is_dropped_and_each_epoch_is_another():
    orders, draws = zip(
        *(next_epoch for next_epoch, _ in zip(mlp.epochs_of(800, (0, 1)), range(3), strict=False)), strict=True
    )
    for order in orders:
        assert sorted(order) == list(range(800))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(draws[0], draws[1])
    assert all(len(some) >= 800 * 190 + 16 for some in draws)
    share = np.mean([(some < mlp.TrainingSettings().threshold).mean() for some in draws])
    assert abs(share - 0.2) < 4 * np.sqrt(0.16 / (3 * 800 * 190))


def test_loss_falls(rng):
    y = rng.integers(0, 4, 200)
    x = np.eye(4)[y] @ rng.normal(size=(4, 10)) * 3 + rng.normal(size=(200, 10))
    rows = mlp.standardise(x, np.arange(200), mlp.fit_scaler(x, np.arange(200)))
    trained = train(rows, y, n=200, settings=mlp.TrainingSettings(epochs=30))
    assert trained.losses[-1] < 0.5 * trained.losses[0]
    assert trained.best_epoch == 30
    assert np.isnan(trained.validation_losses).all()


def test_early_stopping_keeps_the_best_epoch(rows, targets):
    # Validation rows with other labels than their twins among the training rows: their loss must rise at last.
    values = rows.values.copy()
    values[40:50] = values[:10]
    labels = targets.copy()
    labels[40:50] = (labels[:10] + 1) % 4
    settings = mlp.TrainingSettings(epochs=30, patience=3, learning_rate=2e-3)
    stopped = train(mlp.Rows(values, 9), labels, settings=settings, validation=range(40, 50))
    losses = stopped.validation_losses
    assert stopped.best_epoch == losses.argmin() + 1
    assert len(losses) == stopped.best_epoch + 3 < 30
    as_long = train(mlp.Rows(values, 9), labels, settings=replace(settings, epochs=stopped.best_epoch, patience=0))
    np.testing.assert_array_equal(stopped.model.weights, as_long.model.weights)


def test_validation_rows_do_not_change_a_training_without_patience(rows, targets):
    watched = train(rows, targets, validation=range(40, 60))
    np.testing.assert_array_equal(watched.model.weights, train(rows, targets).model.weights)
    assert np.isfinite(watched.validation_losses).all()


def test_class_weights():
    targets = np.array([0, 0, 0, 1, 3, 3])
    np.testing.assert_allclose(mlp.class_weights(targets, 4), [6 / 12, 6 / 4, 0, 6 / 8])
    np.testing.assert_array_equal(mlp.class_weights(targets, 4, balanced=False), [1, 1, 0, 1])


def test_balance_matters(rows, targets):
    even = train(rows, targets, settings=replace(FAST, balanced=False))
    assert not np.array_equal(even.model.weights, train(rows, targets).model.weights)


def test_too_many_classes_and_no_validation_are_errors(rows, targets):
    with pytest.raises(UserError, match="at most 16 classes, not 17"):
        train(rows, targets, n_classes=17)
    with pytest.raises(UserError, match="needs validation rows"):
        train(rows, targets, settings=mlp.TrainingSettings(patience=5))


def test_a_loss_that_is_no_number_is_an_error(rows, targets):
    values = rows.values.copy()
    values[3] = np.inf
    with pytest.raises(UserError, match="not a finite number"):
        train(mlp.Rows(values, 9), targets)


@njit
def product_with(word, a, b):
    before = mlp_kernels.control_word()
    mlp_kernels.set_control_word(np.int32(before | word))
    product = a * b
    mlp_kernels.set_control_word(before)
    return product


@pytest.mark.skipif(not mlp_kernels._X86, reason="only x86 has this control word")
def test_tiny_products_count_as_zero_only_where_asked_for():
    tiny, factor = np.float32(1e-30), np.float32(1e-10)
    assert product_with(mlp_kernels._TINY_TO_ZERO, tiny, factor) == 0
    assert product_with(0, tiny, factor) > 0


def test_a_training_leaves_the_threads_arithmetic_as_it_was(rows, targets):
    train(rows, targets)
    assert (np.full(3, 1e-30, np.float32) * np.float32(1e-10) > 0).all()
