"""One training of 14,844 rows x 30 epochs against the plain torch loop on one thread."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch_twin import perceptron, train_epochs

from ct4bench.learning import mlp

N_ROWS = 14_844
SETTINGS = mlp.TrainingSettings()


@pytest.mark.parametrize("n_features", [93, 256, 768])
def bench_mlp(record, n_features):
    rng = np.random.default_rng(n_features)
    y = rng.choice(4, N_ROWS, p=[1 / 3, 1 / 6, 1 / 6, 1 / 3])
    x = rng.normal(size=(4, n_features))[y] + rng.normal(size=(N_ROWS, n_features)) * 4
    chosen, none, key = np.arange(N_ROWS), np.arange(0), (0, 1)
    torch.set_num_threads(1)
    weights = compute_class_weight("balanced", classes=np.arange(4), y=y)
    rows = mlp.standardise(x, chosen, mlp.fit_scaler(x, chosen))
    model = perceptron(n_features, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4)
    values = rows.values[:-1, :n_features]
    few, all_rows = rng.permutation(N_ROWS)[:800], rng.permutation(N_ROWS)
    train_epochs(model, values, y, weights, [few], optimizer=optimizer)
    # An epoch of the reference stands for all thirty, which are alike.
    reference = record.cpu_seconds(lambda: train_epochs(model, values, y, weights, [all_rows], optimizer=optimizer))

    def own():
        own_rows = mlp.standardise(x, chosen, mlp.fit_scaler(x, chosen))
        return mlp.train(own_rows, y, 4, chosen, none, SETTINGS, key)

    mlp.train(rows, y, 4, chosen[:64], none, SETTINGS, key)
    trained = own()
    expected = mlp.torch_losses(rows, y, 4, chosen, SETTINGS, key, 400)
    difference = np.abs(trained.first_losses[:400] - expected).max()
    name = "one thread of torch.nn, an epoch times 30; largest difference of the first 400 losses"
    record(f"mlp_{n_features}", name, reference * SETTINGS.epochs, record.cpu_seconds(own), difference)
