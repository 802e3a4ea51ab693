"""Many MLPs trained at once as one batched model, by torch alone: for a GPU, or without compiled kernels.

What `mlp.train` does one training after another, this does for a stack of them, a step of each at a time. Each training
keeps its own weights, optimizer, rows, order of rows and dropout, from the same generators, so its steps are those of
`mlp.train`; products of a GPU round otherwise, and the weights of the two part slowly (tests/oracle/test_mlp_oracle.py
has by how much). Trainings of one stack have the same numbers of features and of classes.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from ct4bench.core.errors import UserError
from ct4bench.learning.mlp import (
    Model,
    Rows,
    TrainedModel,
    TrainingSettings,
    class_weights,
    epochs_of,
    initial_layers,
    pack,
    torch_adamw,
    unpack,
    weighted_loss,
)
from ct4bench.learning.mlp_sizes import BATCH, HIDDEN, N_DRAWS

BOUNDS = (0, *np.cumsum(HIDDEN).tolist())
ROWS_AT_ONCE = 1024
"""Rows whose probabilities are computed at once."""


def log_proba(model: Model, rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Compute what `mlp.log_proba` does, on a CPU: logarithms of probabilities, float64 (chosen, classes)."""
    layers = [(torch.tensor(weight), torch.tensor(bias)) for weight, bias in unpack(model)]
    found = [np.empty((0, model.n_classes))]
    for start in range(0, len(chosen), ROWS_AT_ONCE):
        signal = torch.tensor(rows.values[chosen[start : start + ROWS_AT_ONCE], : rows.n_features])
        for weight, bias in layers[:-1]:
            signal = torch.nn.functional.gelu(torch.nn.functional.linear(signal, weight, bias))
        logits = torch.nn.functional.linear(signal, *layers[-1])
        found.append(torch.log_softmax(logits, dim=1).numpy().astype(np.float64))
    return np.concatenate(found)


@dataclass(frozen=True)
class Job:
    """One training: the arguments of `mlp.train`."""

    rows: Rows
    targets: np.ndarray
    n_classes: int
    training: np.ndarray
    validation: np.ndarray
    settings: TrainingSettings
    key: tuple[int, ...]

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.training) // BATCH)


@dataclass
class _Progress:
    """Where a training is, and its curves so far."""

    epochs: object
    losses: list = field(default_factory=list)
    validation_losses: list = field(default_factory=list)
    first_losses: np.ndarray | None = None
    best: np.ndarray | None = None
    best_epoch: int = 0
    done: bool = False


class Stack:
    """Weights, moments and rows of trainings beside each other on a device; the longest training comes first."""

    def __init__(self, jobs: list[Job], device: str):
        self.jobs, self.device = jobs, device
        features, classes = {job.rows.n_features for job in jobs}, {job.n_classes for job in jobs}
        if len(features) > 1 or len(classes) > 1:
            raise ValueError(f"trainings of {features} features and {classes} classes do not stack")
        self.n_features = jobs[0].rows.n_features
        drawn = [initial_layers(self.n_features, job.n_classes, job.key) for job in jobs]
        self.parameters = []
        for layer in range(len(drawn[0])):
            weights = np.stack([of_job[layer][0].T for of_job in drawn])
            biases = np.stack([of_job[layer][1][None] for of_job in drawn])
            self.parameters += [torch.tensor(array, device=device) for array in (weights, biases)]
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.steps_done = [torch.tensor(0.0) for _ in self.parameters]
        # the rows of all trainings below each other; a training's row r is offset + r
        counts = [len(job.rows.values) for job in jobs]
        self.offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self.values = torch.empty((sum(counts), self.n_features), device=device)
        self.targets = torch.zeros(sum(counts), dtype=torch.int64, device=device)
        for job, start in zip(jobs, self.offsets, strict=True):
            self.values[start : start + len(job.rows.values)] = torch.tensor(job.rows.values[:, : self.n_features])
            self.targets[start : start + len(job.targets)] = torch.tensor(job.targets)
        by_class = [class_weights(j.targets[j.training], j.n_classes, j.settings.balanced) for j in jobs]
        self.by_class = torch.tensor(np.array(by_class), dtype=torch.float32, device=device)
        # of the epoch under way: rows by slot (the last row, of zeros, where there is none) and kept units
        slots = jobs[0].n_steps * BATCH
        self.order = torch.zeros((len(jobs), slots), dtype=torch.int64, device=device)
        self.there = torch.zeros((len(jobs), slots), device=device)
        self.kept = torch.zeros((len(jobs), slots, N_DRAWS), dtype=torch.bool, device=device)

    def begin_epoch(self, number: int, order: np.ndarray, draws: np.ndarray) -> None:
        """Set the order (rows,) and dropout draws (`mlp.epochs_of`) of the next epoch of a training."""
        job, slots = self.jobs[number], self.jobs[number].n_steps * BATCH
        chosen = np.full(slots, job.rows.n_rows)
        chosen[: len(order)] = job.training[order]
        self.order[number, :slots] = torch.tensor(chosen + self.offsets[number])
        self.there[number, :slots] = torch.tensor((np.arange(slots) < len(order)).astype(np.float32))
        kept = draws[: slots * N_DRAWS].reshape(slots, N_DRAWS) >= job.settings.threshold
        self.kept[number, :slots] = torch.tensor(kept)

    def step(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the next step of the first len(slots) trainings on the rows at slots (trainings, 8).

        Returns each training's loss and the sum of its rows' class weights.
        """
        n, settings = len(slots), self.jobs[0].settings
        rows = self.order[:n].gather(1, slots)
        kept = self.kept[torch.arange(n, device=self.device)[:, None], slots].float() / (1 - settings.dropout)
        parameters = [p[:n].detach().requires_grad_() for p in self.parameters]
        signal = self.values[rows]
        for layer in range(len(HIDDEN)):
            weight, bias = parameters[2 * layer : 2 * layer + 2]
            signal = torch.nn.functional.gelu(torch.baddbmm(bias, signal, weight))
            signal = signal * kept[:, :, BOUNDS[layer] : BOUNDS[layer + 1]]
        log_p = torch.log_softmax(torch.baddbmm(parameters[-1], signal, parameters[-2]), dim=2)
        targets = self.targets[rows]
        of_row = self.by_class[:n].gather(1, targets) * self.there[:n].gather(1, slots)
        mass = of_row.sum(dim=1)
        losses = -(of_row * log_p.gather(2, targets[:, :, None])[:, :, 0]).sum(dim=1) / mass
        gradients = torch.autograd.grad(losses.sum(), parameters)
        with torch.no_grad():
            # views of the whole: the step is taken in place
            parts = [[p.detach()[:n] for p in some] for some in (self.parameters, self.first, self.second)]
            torch_adamw(parts[0], list(gradients), *parts[1:], self.steps_done, settings)
        return losses.detach(), mass

    def model(self, number: int) -> Model:
        """Return a training's model as it is."""
        arrays = [p[number].detach().cpu().numpy() for p in self.parameters]
        layers = [(arrays[i].T.copy(), arrays[i + 1][0].copy()) for i in range(0, len(arrays), 2)]
        return Model(self.n_features, self.jobs[number].n_classes, pack(layers))


def train_together(jobs: list[Job], device: str, threads: int = 1) -> list[TrainedModel]:
    """Train the models of `jobs`, in their order, on `device` (`cuda` or `cpu`). As `mlp.train` else.

    Jobs differ in rows and key; settings are those of all but for `balanced`. A training that ends early goes on in the
    stack, unseen. `threads` are torch's, in the whole process: more than are free wait for each other. Memory: rows x
    features x 4 bytes and rows x 190 bytes, summed over the jobs.
    """
    torch.set_num_threads(threads)
    by_length = sorted(range(len(jobs)), key=lambda i: (-jobs[i].n_steps, i))
    ordered = [jobs[i] for i in by_length]
    stack = Stack(ordered, device)
    epochs = ordered[0].settings.epochs
    progress = [_Progress(epochs_of(len(job.training), job.key)) for job in ordered]
    n_steps = torch.tensor([job.n_steps for job in ordered], device=device)
    step_losses = torch.zeros((len(ordered), ordered[0].n_steps), dtype=torch.float64, device=device)
    masses = torch.zeros_like(step_losses)
    within = torch.arange(BATCH, device=device)
    for step in range(epochs * ordered[0].n_steps):
        going = sum(step < epochs * job.n_steps for job in ordered)
        for number, job in enumerate(ordered[:going]):
            if step % job.n_steps == 0:
                stack.begin_epoch(number, *next(progress[number].epochs))
        at = step % n_steps[:going]
        losses, mass = stack.step(at[:, None] * BATCH + within)
        step_losses[torch.arange(going, device=device), at] = losses.double()
        masses[torch.arange(going, device=device), at] = mass.double()
        for number, job in enumerate(ordered[:going]):
            if (step + 1) % job.n_steps == 0 and not progress[number].done:
                of_steps, of_masses = (t[number, : job.n_steps].cpu().numpy() for t in (step_losses, masses))
                _end_epoch(progress[number], job, stack, number, of_steps, of_masses)
        if all(state.done for state in progress):
            break
    found: list = [None] * len(jobs)
    for number, index in enumerate(by_length):
        state = progress[number]
        if not np.isfinite(state.losses[-1]):
            raise UserError("the training's loss is not a finite number; look for extreme values among the features")
        model = Model(stack.n_features, ordered[number].n_classes, state.best)
        found[index] = TrainedModel(
            model, np.array(state.losses), np.array(state.validation_losses), state.best_epoch, state.first_losses
        )
    return found


def _end_epoch(state: _Progress, job: Job, stack: Stack, number: int, losses: np.ndarray, masses: np.ndarray) -> None:
    """Curves, and the weights to keep, after an epoch of a training."""
    state.losses.append(float((losses * masses).sum() / masses.sum()))
    if state.first_losses is None:
        state.first_losses = losses.copy()
    epoch, last = len(state.losses), len(state.losses) == job.settings.epochs
    state.done = last
    if not len(job.validation):
        state.validation_losses.append(float("nan"))
        if last:
            state.best, state.best_epoch = stack.model(number).weights, epoch
        return
    model = stack.model(number)
    by_class = class_weights(job.targets[job.training], job.n_classes, job.settings.balanced)
    log_p = log_proba(model, job.rows, job.validation)
    state.validation_losses.append(weighted_loss(log_p, job.targets[job.validation], by_class))
    if not job.settings.patience:
        if last:
            state.best, state.best_epoch = model.weights, epoch
    elif state.validation_losses[-1] == min(state.validation_losses):
        state.best, state.best_epoch = model.weights, epoch
    elif epoch - state.best_epoch >= job.settings.patience:
        state.done = True
