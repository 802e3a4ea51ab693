"""The multi-layer perceptron (MLP) of the tissue classification: 100, 60 and 30 GELU units, dropout, AdamW.

The training is that of a plain torch loop (`torch_losses` spells its steps out), run by `mlp_kernels`, which are
imported where they run only: `mlp_stack` does without. All that is random comes from numpy generators which the seed
and the training's key settle: `default_rng([*key, 0])` draws the initial weights, `[*key, 1]` the order of the rows,
`[*key, 2]` dropout. A model's numbers therefore do not depend on which others are trained, in which order or on how
many threads.

In float32 the factor 1 - lr x weight decay = 1 - 1e-8 is 1: the weight decay of the authors' code has no effect, here
or in torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ct4bench.core.errors import UserError
from ct4bench.learning.mlp_sizes import BATCH, HIDDEN, LANES, MAX_CLASSES, N_DRAWS, SPARE, padded

DRAW_RANGE = 65536
BLOCK = 1024
"""Rows that are standardised at once, to keep copies small."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained; the values are those of the authors' other code (docs/deviations.md, point 15)."""

    epochs: int = 30
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    dropout: float = 0.2
    patience: int = 0
    """Epochs without a lower validation loss after which the training ends; 0 is no early stopping."""
    balanced: bool = True
    """Weigh a class by rows / (classes x its rows), else all classes by 1."""

    @property
    def threshold(self) -> int:
        """A unit is dropped where its 16-bit draw is less: the probability 0.2 becomes 13107 / 65536."""
        return round(self.dropout * DRAW_RANGE)


@dataclass(frozen=True)
class Scaler:
    """Mean of each feature and factor to SD 1, float64; the factor of a constant feature is 0."""

    mean: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Standardised features as the kernels read them: float32, rows padded with zeros, a row of zeros last."""

    values: np.ndarray
    n_features: int

    @property
    def n_rows(self) -> int:
        """Rows without the last one."""
        return len(self.values) - 1


@dataclass(frozen=True)
class Model:
    """Weights, flat float32 in the layout that `mlp_kernels` describes."""

    n_features: int
    n_classes: int
    weights: np.ndarray


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its curves."""

    model: Model
    losses: np.ndarray
    """Loss of each epoch over the training rows as they were met: weighted by class, with dropout."""
    validation_losses: np.ndarray
    """Loss of the validation rows after each epoch, weighted by class; not a number without validation."""
    best_epoch: int
    """The epoch, from 1, whose weights the model has."""
    first_losses: np.ndarray
    """Loss of each step of the first epoch."""


def fit_scaler(features: np.ndarray, chosen: np.ndarray) -> Scaler:
    """Fit the scaler of the chosen rows of features (rows, features), float64 and finite: mean and population SD.

    A feature is constant where its SD is within what rounding makes of the mean, rows x 2.2e-16 x |mean|; it becomes 0
    in all rows, also in those where it differs.
    """
    blocks = [chosen[start : start + BLOCK] for start in range(0, len(chosen), BLOCK)]
    mean = sum(features[block].sum(axis=0) for block in blocks) / len(chosen)
    sd = np.sqrt(sum(np.square(features[block] - mean).sum(axis=0) for block in blocks) / len(chosen))
    constant = sd <= len(chosen) * np.finfo(np.float64).eps * np.abs(mean)
    return Scaler(mean, np.where(constant, 0.0, 1 / np.where(constant, 1.0, sd)))


def standardise(features: np.ndarray, chosen: np.ndarray, scaler: Scaler) -> Rows:
    """Standardise the chosen rows of features (rows, features)."""
    n_features = features.shape[1]
    values = np.zeros((len(chosen) + 1, padded(n_features)), np.float32)
    for start in range(0, len(chosen), BLOCK):
        some = features[chosen[start : start + BLOCK]]
        values[start : start + len(some), :n_features] = (some - scaler.mean) * scaler.factor
    return Rows(values, n_features)


def class_weights(targets: np.ndarray, n_classes: int, balanced: bool = True) -> np.ndarray:
    """Return the weight of each class, float64: rows / (classes x rows of the class), 0 for a class without rows."""
    counts = np.bincount(targets, minlength=n_classes)
    if not balanced:
        return (counts > 0).astype(np.float64)
    return np.where(counts > 0, len(targets) / (n_classes * np.maximum(counts, 1)), 0.0)


def layer_sizes(n_features: int, n_classes: int) -> list[tuple[int, int]]:
    """Return (inputs, units) of the four layers."""
    sizes = [n_features, *HIDDEN, n_classes]
    return list(zip(sizes[:-1], sizes[1:], strict=True))


def initial_layers(n_features: int, n_classes: int, key: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the weight (units, inputs) and bias (units,) of each layer, float32, as torch: uniform within 1 /
    sqrt(inputs).

    Drawn from `default_rng([*key, 0])` in the order weight, bias, layer by layer.
    """
    rng = np.random.default_rng([*key, 0])
    layers = []
    for n_in, n_out in layer_sizes(n_features, n_classes):
        bound = 1 / np.sqrt(n_in)
        weight = rng.uniform(-bound, bound, (n_out, n_in)).astype(np.float32)
        layers.append((weight, rng.uniform(-bound, bound, n_out).astype(np.float32)))
    return layers


def pack(layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Pack weights and biases of the layers into the kernels' layout."""
    blocks = []
    for weight, bias in layers:
        n_out, n_in = weight.shape
        whole = np.zeros((n_in + 1, padded(n_out)), np.float32)
        whole[:n_in, :n_out], whole[n_in, :n_out] = weight.T, bias
        blocks.append(whole.reshape(n_in + 1, -1, LANES).transpose(1, 0, 2).ravel())
    return np.concatenate([*blocks, np.zeros(SPARE, np.float32)])


def unpack(model: Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the weight (units, inputs) and bias (units,) of each layer: the inverse of `pack`."""
    layers, start = [], 0
    for n_in, n_out in layer_sizes(model.n_features, model.n_classes):
        end = start + (n_in + 1) * padded(n_out)
        whole = model.weights[start:end].reshape(-1, n_in + 1, LANES).transpose(1, 0, 2).reshape(n_in + 1, -1)
        layers.append((whole[:n_in, :n_out].T.copy(), whole[n_in, :n_out].copy()))
        start = end
    return layers


def epochs_of(n_rows: int, key: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each epoch, without end, the order of the rows, int64, and the dropout draws, uint16 (slots, 190).

    The draws of a slot of the order are those of the 100, 60 and 30 units. The last batch is filled up to eight
    slots, so that the kernel may read whole vectors.
    """
    order_rng, draw_rng = np.random.default_rng([*key, 1]), np.random.default_rng([*key, 2])
    slots = -(-n_rows // BATCH) * BATCH
    words = -(-(slots * N_DRAWS + LANES) // 4)
    while True:
        order = order_rng.permutation(n_rows)
        # Four draws from each 64 bits, the lowest first.
        bits = draw_rng.integers(0, 2**64 - 1, words, np.uint64, endpoint=True)
        yield order, bits.astype("<u8", copy=False).view("<u2")


def log_proba(model: Model, rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Return the logarithms of the class probabilities of the chosen rows, float64 (chosen, classes)."""
    from ct4bench.learning.mlp_kernels import log_probabilities

    out = np.empty((len(chosen), model.n_classes))
    log_probabilities(
        model.weights, rows.values.ravel(), rows.values.shape[1], rows.n_features, chosen.astype(np.int64), out
    )
    return out


def weighted_loss(log_p: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Return the cross-entropy, the mean weighted by class, of log probabilities (rows, classes)."""
    of_row = weights[targets]
    return float(-(of_row * log_p[np.arange(len(targets)), targets]).sum() / of_row.sum())


def train(
    rows: Rows,
    targets: np.ndarray,
    n_classes: int,
    training: np.ndarray,
    validation: np.ndarray,
    settings: TrainingSettings,
    key: tuple[int, ...],
) -> TrainedModel:
    """Train a model on the rows numbered `training`; `targets` are class numbers of all rows, int64.

    With `settings.patience`, the weights of the epoch with the lowest loss on the rows `validation` are kept.
    """
    from ct4bench.learning.mlp_kernels import train_epoch

    if n_classes > MAX_CLASSES:
        raise UserError(f"the MLP has at most {MAX_CLASSES} classes, not {n_classes}; use another --classifier")
    if settings.patience and not len(validation):
        raise UserError("early stopping needs validation rows; plan the splits with early stopping, or switch it off")
    weights = pack(initial_layers(rows.n_features, n_classes, key))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    by_class = class_weights(targets[training], n_classes, settings.balanced)
    numbers = np.array([
        settings.learning_rate, settings.weight_decay, settings.beta1, settings.beta2, settings.epsilon,
        settings.threshold, 1 / (1 - settings.dropout),
    ])  # fmt: skip
    n_steps = -(-len(training) // BATCH)
    step_losses, masses = np.empty(n_steps), np.empty(n_steps)
    losses, validation_losses, kept, best_epoch, first_losses = [], [], weights, settings.epochs, None
    for epoch, (order, draws) in zip(range(settings.epochs), epochs_of(len(training), key), strict=False):
        train_epoch(
            weights, first, second, rows.values.ravel(), rows.values.shape[1], rows.n_features, targets, by_class,
            training[order], draws, numbers, epoch * n_steps, step_losses, masses,
        )  # fmt: skip
        losses.append(float((step_losses * masses).sum() / masses.sum()))
        first_losses = step_losses.copy() if first_losses is None else first_losses
        if not len(validation):
            validation_losses.append(float("nan"))
            continue
        model = Model(rows.n_features, n_classes, weights)
        validation_losses.append(weighted_loss(log_proba(model, rows, validation), targets[validation], by_class))
        if settings.patience:
            if validation_losses[-1] == min(validation_losses):
                kept, best_epoch = weights.copy(), epoch + 1
            elif epoch + 1 - best_epoch >= settings.patience:
                break
    model = Model(rows.n_features, n_classes, kept)
    if not np.isfinite(losses[-1]):
        raise UserError("the training's loss is not a finite number; look for extreme values among the features")
    return TrainedModel(model, np.array(losses), np.array(validation_losses), best_epoch, first_losses)


def torch_adamw(
    parameters: list, gradients: list, first: list, second: list, steps_done: list, settings: TrainingSettings
):
    """Take a step of torch's AdamW in place; lists of tensors, one of each for a parameter.

    The class AdamW would import torch's compiler, which takes longer than all the steps; it calls this function.
    """
    from torch.optim.adamw import adamw

    adamw(
        parameters, gradients, first, second, [], steps_done, foreach=False, amsgrad=False, maximize=False,
        lr=settings.learning_rate, beta1=settings.beta1, beta2=settings.beta2, eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )  # fmt: skip


def torch_losses(
    rows: Rows,
    targets: np.ndarray,
    n_classes: int,
    training: np.ndarray,
    settings: TrainingSettings,
    key: tuple[int, ...],
    n_steps: int,
) -> np.ndarray:
    """Compute the loss of each of the first steps of the first epoch by torch, with the same weights, order and
    dropout."""
    import torch

    linears = []
    for weight, bias in initial_layers(rows.n_features, n_classes, key):
        linear = torch.nn.Linear(*weight.shape[::-1])
        # Copies, which torch aligns: its sums depend on the alignment.
        linear.weight.data, linear.bias.data = torch.tensor(weight), torch.tensor(bias)
        linears.append(linear)
    weights = torch.tensor(class_weights(targets[training], n_classes, settings.balanced), dtype=torch.float32)
    criterion = torch.nn.CrossEntropyLoss(weight=weights)
    parameters = [parameter for linear in linears for parameter in linear.parameters()]
    first, second = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    steps_done = [torch.tensor(0.0) for _ in parameters]
    order, draws = next(epochs_of(len(training), key))
    slots = -(-len(training) // BATCH) * BATCH
    kept = draws[: slots * N_DRAWS].reshape(slots, N_DRAWS) >= settings.threshold
    bounds = np.cumsum([0, *HIDDEN])
    losses = []
    for start in range(0, min(n_steps * BATCH, len(order)), BATCH):
        batch = training[order[start : start + BATCH]]
        signal = torch.tensor(rows.values[batch, : rows.n_features])
        for i, linear in enumerate(linears[:-1]):
            mask = kept[start : start + len(batch), bounds[i] : bounds[i + 1]].astype(np.float32)
            signal = torch.nn.functional.gelu(linear(signal)) * torch.tensor(mask) / (1 - settings.dropout)
        loss = criterion(linears[-1](signal), torch.tensor(targets[batch]))
        gradients = list(torch.autograd.grad(loss, parameters))
        with torch.no_grad():
            torch_adamw(parameters, gradients, first, second, steps_done, settings)
        losses.append(float(loss.detach()))
    return np.array(losses)
