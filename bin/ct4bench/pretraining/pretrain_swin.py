"""Self-supervised pre-training of SwinUNETR's encoder, on a small scale (Tang et al. 2022, arXiv:2111.14791).

Each patch is seen in two views, turned by a multiple of 90 degrees about the slice axis and with boxes of it replaced
by noise. The encoder learns to fill the boxes (mean absolute error), to tell the turn, and to find the other view of
the same patch among all (normalised temperature-scaled cross-entropy). The input is as for the released weights:
-1000..1000 HU as 0..1. The network is MONAI's; the file has the names of the released one, heads included.
"""

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from ct4bench.core.errors import UserError
from ct4bench.features import swin
from ct4bench.features.encoder import INTENSITIES, SHAPE, to_input
from ct4bench.features.weights import Parameter, load_weights, random_weights, sha256_of
from ct4bench.pretraining.organs import draw_body_patches, iterate_cases, phantom_cases

CONTRAST_WIDTH = 512
TEMPERATURE = 0.5
MASKED_SHARE = 0.3
"""Share of a view's voxels that are replaced."""
SMALLEST_BOX, LARGEST_BOX = 4, 12


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and how fast is trained."""

    steps: int = 200
    batch: int = 4
    learning_rate: float = 4e-4
    weight_decay: float = 1e-5


def heads() -> list[Parameter]:
    """Return the three heads, by the names of the released file; the filling one gives the whole patch from its one
    token."""
    n = swin.width(4)
    return [
        Parameter("rotation_head.weight", (4, n), "uniform", n),
        Parameter("rotation_head.bias", (4,), "uniform", n),
        Parameter("contrastive_head.weight", (CONTRAST_WIDTH, n), "uniform", n),
        Parameter("contrastive_head.bias", (CONTRAST_WIDTH,), "uniform", n),
        Parameter("convTrans3d.weight", (n, 1, *SHAPE), "uniform", n),
        Parameter("convTrans3d.bias", (1,), "zeros"),
    ]


def mask(patch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace boxes of the patch by uniform noise, until a share of `MASKED_SHARE` is."""
    masked, covered = patch.copy(), np.zeros(patch.shape, bool)
    while covered.mean() < MASKED_SHARE:
        size = [int(rng.integers(SMALLEST_BOX, min(LARGEST_BOX, n) + 1)) for n in patch.shape]
        corner = [int(rng.integers(0, n - s + 1)) for n, s in zip(patch.shape, size, strict=True)]
        box = tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))
        masked[box] = rng.random(size, np.float32)
        covered[box] = True
    return masked


def views(patches: np.ndarray, seed: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw two views of each patch (n, rows, columns, slices): inputs (2n, ...), what they hide (2n, ...), turns
    (2n,)."""
    hidden, shown, turns = [], [], []
    for view in range(2):
        for number, patch in enumerate(patches):
            rng = np.random.default_rng([*seed, view, number])
            turn = int(rng.integers(4))
            turned = np.ascontiguousarray(np.rot90(patch, turn))
            hidden.append(turned)
            shown.append(mask(turned, rng))
            turns.append(turn)
    return torch.from_numpy(np.stack(shown)), torch.from_numpy(np.stack(hidden)), torch.tensor(turns)


def contrast_loss(embeddings: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of finding the other view of a patch; rows i and i + n of (2n, width) are the same
    patch's."""
    n = len(embeddings) // 2
    unit = F.normalize(embeddings, dim=1)
    similarity = unit @ unit.T / TEMPERATURE
    similarity = similarity.masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(similarity, torch.arange(2 * n).roll(n))


def losses(network, head: dict[str, torch.Tensor], shown, hidden, turns) -> dict[str, torch.Tensor]:
    """Return the three losses of one step."""
    output = network(shown[:, None], normalize=True)[4]
    token = output.flatten(2).mean(2)
    filled = F.conv_transpose3d(output, head["convTrans3d.weight"], head["convTrans3d.bias"], stride=SHAPE)
    return {
        "filling": F.l1_loss(filled[:, 0], hidden),
        "rotation": F.cross_entropy(F.linear(token, head["rotation_head.weight"], head["rotation_head.bias"]), turns),
        "contrast": contrast_loss(F.linear(token, head["contrastive_head.weight"], head["contrastive_head.bias"])),
    }


def train(patches: np.ndarray, start: dict[str, torch.Tensor], training: PretrainingSettings, seed: int):
    """Return the weights of encoder and heads after training on patches (n, slices, rows, columns) int16 HU; losses by
    step."""
    inputs = to_input(patches, INTENSITIES["scaled"])
    network = swin.MonaiFeatures({name: tensor.clone() for name, tensor in start.items()}, SHAPE).network.train()
    network.requires_grad_(True)
    head = {name: tensor.requires_grad_() for name, tensor in random_weights(heads(), seed + 1).state.items()}
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *head.values()], training.learning_rate, weight_decay=training.weight_decay
    )
    history = []
    for step in range(training.steps):
        numbers = np.random.default_rng([seed, 5, step]).choice(len(inputs), training.batch, replace=False)
        parts = losses(network, head, *views(inputs[numbers], [seed, 6, step]))
        optimizer.param_groups[0]["lr"] = training.learning_rate * (
            0.5 + 0.5 * math.cos(math.pi * step / training.steps)
        )
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
        history.append({name: round(float(value.detach()), 5) for name, value in parts.items()})
        if step % 20 == 0 or step == training.steps - 1:
            logging.info("step %d of %d: %s", step + 1, training.steps, history[-1])
    encoder = {name: tensor.detach() for name, tensor in network.named_parameters()}
    return encoder, {name: tensor.detach() for name, tensor in head.items()}, history


def save_weights(encoder: dict[str, torch.Tensor], head: dict[str, torch.Tensor], path: Path | str) -> None:
    """Write `.safetensors` by MONAI's names, or a torch file by those of the released one (`module.`, `fc1`, `fc2`)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in sorted({**encoder, **head}.items())}, path)
        return
    renamed = {
        name.replace(".mlp.linear1.", ".mlp.fc1.").replace(".mlp.linear2.", ".mlp.fc2."): tensor
        for name, tensor in encoder.items()
    }
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in {**renamed, **head}.items()}}, path)


def pretrain_swin(
    output: Path | str,
    training: PretrainingSettings,
    per_case: int,
    seed: int,
    cases: Path | str | None = None,
    phantoms: int = 1,
    weights: Path | str | None = None,
    threads: int = 1,
) -> dict:
    """Train on patches of all cases (a user's folder, or drawings of the phantom), write `output`, tell the losses."""
    torch.set_num_threads(threads)
    found = iterate_cases(cases) if cases else phantom_cases(seed, phantoms, threads)
    names, drawn = [], []
    for number, case in enumerate(found):
        names.append(case.name)
        drawn.append(draw_body_patches(case, per_case, seed, number))
    patches = np.concatenate(drawn)
    if len(patches) < max(2, training.batch):
        raise UserError(f"only {len(patches)} patches lie in the body; give more cases or a smaller --batch")
    if weights is None:
        start = random_weights(swin.parameters(), seed).state
    else:
        start = load_weights(weights, swin.parameters(), swin.translate).state
    encoder, head, history = train(patches, start, training, seed)
    save_weights(encoder, head, output)
    return {
        "source": "CT volumes" if cases else "the drawn phantom",
        "train": names,
        "n_patches": len(patches),
        "training": asdict(training),
        "seed": seed,
        "losses": history,
        "sha256": sha256_of(output),
    }
