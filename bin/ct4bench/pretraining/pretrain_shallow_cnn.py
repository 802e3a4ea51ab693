"""Training of the shallow CNN on patches of normal organ tissue, and the file of weights that it gives.

Each epoch sees every patch once, turned over at random and with other noise, so that a few printed organs or patients
stand for many scans of them. One thread and fixed orders: a run repeats to the byte on the same machine.
"""

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.ndimage import gaussian_filter

from ct4bench.core.errors import UserError
from ct4bench.features.shallow_cnn import convolve, head_parameters, n_features, parameters
from ct4bench.features.weights import random_weights, read_state, sha256_of
from ct4bench.pretraining.organs import ORGANS, draw_patches, iterate_cases, phantom_cases


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what is added to a patch: noise and offset in HU, relative gain; noise is blurred by the sigmas."""

    noise_sd_hu: tuple[float, float] = (5.0, 25.0)
    offset_sd_hu: float = 4.0
    gain_sd: float = 0.02
    sigma_plane_px: tuple[float, float] = (0.5, 1.3)
    sigma_slice_px: tuple[float, float] = (0.3, 1.1)


PRINTED = Augmentation()
"""For noise-free scans of the drawn phantom: the noise of CT at 1 to 14 mGy."""
SCANNED = Augmentation(noise_sd_hu=(0.0, 12.0))
"""For real CT, which has its own noise."""


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and how fast is trained."""

    epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    augmentation: Augmentation = PRINTED


def augment(patch: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Augment a patch (slices, rows, columns) in HU, float32: turned over, scaled, with noise of a random texture."""
    turned = patch[tuple(slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in range(3))]
    plane, along = rng.uniform(*augmentation.sigma_plane_px), rng.uniform(*augmentation.sigma_slice_px)
    noise = gaussian_filter(rng.standard_normal(patch.shape, np.float32), (along, plane, plane), mode="wrap")
    noise *= np.float32(rng.uniform(*augmentation.noise_sd_hu) / noise.std())
    gain, offset = rng.normal(1, augmentation.gain_sd), rng.normal(0, augmentation.offset_sd_hu)
    return turned * np.float32(gain) + np.float32(offset) + noise


def augmented(patches: np.ndarray, numbers: np.ndarray, augmentation: Augmentation, seed: list[int]) -> torch.Tensor:
    """Return the patches `numbers` as the network takes them (n, 1, rows, columns, slices), each by a generator of its
    own."""
    found = [augment(patches[i], augmentation, np.random.default_rng([*seed, int(i)])) for i in numbers]
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.stack(found), 1, 3)))[:, None]


def scores(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return the logits (n, 5) of inputs (n, 1, rows, columns, slices)."""
    state = {name: tensor.float() for name, tensor in state.items()}
    x = x.contiguous(memory_format=torch.channels_last_3d)
    for number in (1, 2):
        x = convolve(state, x, number)
    x = F.relu(F.linear(x.flatten(1), state["fc1.weight"], state["fc1.bias"]))
    return F.linear(x, state["fc2.weight"], state["fc2.bias"])


def class_weights(classes: np.ndarray) -> torch.Tensor:
    """Return the weights n / (5 n_c) by class; a class without a patch is a `UserError`."""
    counts = np.bincount(classes, minlength=len(ORGANS))
    if (counts == 0).any():
        raise UserError(
            f"no patch of {ORGANS[int(np.argmin(counts))]} was found; give cases in which {', '.join(ORGANS)} are all "
            "labelled and larger than a patch"
        )
    return torch.from_numpy(len(classes) / (len(ORGANS) * counts)).float()


def train(
    patches: np.ndarray, classes: np.ndarray, training: PretrainingSettings, seed: int
) -> dict[str, torch.Tensor]:
    """Return the weights after training on patches (n, slices, rows, columns) int16 HU with classes 0 to 4 (n,).

    Cross-entropy weighted by class, AdamW, a learning rate that rises over the first tenth of the steps and falls to
    zero by a cosine; raw HU as input, as the published code had it.
    """
    start = random_weights([*parameters(), *head_parameters(n_features(_shape(patches)))], seed).state
    state = {name: tensor.requires_grad_() for name, tensor in start.items()}
    weights, targets = class_weights(classes), torch.from_numpy(classes)
    optimizer = torch.optim.AdamW(state.values(), training.learning_rate, weight_decay=training.weight_decay)
    n_steps = training.epochs * math.ceil(len(patches) / training.batch)
    rise = max(1, n_steps // 10)
    step = 0
    for epoch in range(training.epochs):
        order = np.random.default_rng([seed, 1, epoch]).permutation(len(patches))
        total = 0.0
        for first in range(0, len(order), training.batch):
            numbers = order[first : first + training.batch]
            slope = step / rise if step < rise else 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (n_steps - rise))
            optimizer.param_groups[0]["lr"] = training.learning_rate * slope
            x = augmented(patches, numbers, training.augmentation, [seed, 2, epoch])
            loss = F.cross_entropy(scores(state, x), targets[numbers], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(numbers)
            step += 1
        logging.info("epoch %d of %d: loss %.4f", epoch + 1, training.epochs, total / len(order))
    return {name: tensor.detach() for name, tensor in state.items()}


def _shape(patches: np.ndarray) -> tuple[int, int, int]:
    return patches.shape[2], patches.shape[3], patches.shape[1]


@torch.inference_mode()
def confusion(state, patches: np.ndarray, classes: np.ndarray, augmentation: Augmentation, seed: int) -> np.ndarray:
    """Count patches by (true class, predicted class), with the noise of one more epoch."""
    counts = np.zeros((len(ORGANS), len(ORGANS)), int)
    for first in range(0, len(patches), 64):
        numbers = np.arange(first, min(first + 64, len(patches)))
        predicted = scores(state, augmented(patches, numbers, augmentation, [seed, 3])).argmax(1).numpy()
        np.add.at(counts, (classes[numbers], predicted), 1)
    return counts


def pretrain_shallow_cnn(
    output: Path | str,
    training: PretrainingSettings,
    per_organ: int,
    seed: int,
    cases: Path | str | None = None,
    phantoms: int = 3,
    threads: int = 1,
) -> dict:
    """Train on all cases but the last fifth (at least one, where there are two), write `output`, tell how it went.

    `cases`: folder of a user's cases; without it, `phantoms` drawings of the phantom and one more to test on.
    """
    torch.set_num_threads(1)
    found = iterate_cases(cases) if cases else phantom_cases(seed, phantoms + 1, threads)
    names, drawn = [], []
    for number, case in enumerate(found):
        patches, classes = draw_patches(case, per_organ, seed, number)
        counts = np.bincount(classes, minlength=len(ORGANS))
        logging.info("%s: %s", case.name, ", ".join(f"{n} {organ}" for n, organ in zip(counts, ORGANS, strict=True)))
        names.append(case.name)
        drawn.append((patches, classes))
    n_test = max(1, len(drawn) // 5) if len(drawn) > 1 else 0
    parts = {"train": drawn[: len(drawn) - n_test], "test": drawn[len(drawn) - n_test :]}
    patches, classes = (np.concatenate(arrays) for arrays in zip(*parts["train"], strict=True))
    state = train(patches, classes, training, seed)
    save_weights(state, output)
    report = {
        "organs": list(ORGANS),
        "source": "CT volumes" if cases else "the drawn phantom",
        "train": names[: len(names) - n_test],
        "test": names[len(names) - n_test :],
        "n_patches": len(patches),
        "training": asdict(training),
        "seed": seed,
        "sha256": sha256_of(output),
    }
    if n_test:
        counts = confusion(
            read_state(output),
            *(np.concatenate(a) for a in zip(*parts["test"], strict=True)),
            training.augmentation,
            seed,
        )
        seen = counts.sum(axis=1) > 0
        report["confusion"] = counts.tolist()
        report["balanced_accuracy"] = round(float(np.mean(np.diag(counts)[seen] / counts.sum(axis=1)[seen])), 4)
        logging.info("balanced accuracy on %s: %.3f", ", ".join(report["test"]), report["balanced_accuracy"])
    return report


def save_weights(state: dict[str, torch.Tensor], path: Path | str) -> None:
    """Write the tensors in half precision as safetensors: the same bytes for the same tensors."""
    from safetensors.torch import save_file

    largest = max(float(tensor.abs().max()) for tensor in state.values())
    if not largest < 65504:
        raise UserError(f"the training diverged (a weight of {largest:g}); train with a smaller learning rate")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.half().contiguous() for name, tensor in sorted(state.items())}, path)
