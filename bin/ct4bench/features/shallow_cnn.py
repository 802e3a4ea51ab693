"""The shallow CNN: two 5 x 5 x 5 convolutions (32 and 64 channels), each with ReLU and a maximum pooling by 4.

Convolutions keep the size ('same', zeros outside), so a patch of 32 x 32 x 16 voxels gives 64 x 2 x 2 x 1 = 256
features, the output of the last pooling. For training, a fully connected layer of 30 and one of 5 classes follow.
The spatial axes are (row, column, slice); the input is in HU.
"""

import logging

import torch
import torch.nn.functional as F  # noqa: N812

from ct4bench.features.encoder import RAW, SHAPE, Encoder, EncoderOptions, refuse_options
from ct4bench.features.weights import Parameter, load_weights, random_weights

CHANNELS = (32, 64)
KERNEL = 5
POOL = 4
HIDDEN = 30
CLASSES = 5


def parameters() -> list[Parameter]:
    """Return the tensors of the two convolutions, in the order in which torch modules would build them."""
    found, n_in = [], 1
    for number, n_out in enumerate(CHANNELS, 1):
        fan_in = n_in * KERNEL**3
        found.append(Parameter(f"conv{number}.weight", (n_out, n_in, *(KERNEL,) * 3), "uniform", fan_in))
        found.append(Parameter(f"conv{number}.bias", (n_out,), "uniform", fan_in))
        n_in = n_out
    return found


def head_parameters(n_features: int) -> list[Parameter]:
    """Return the tensors of the classifier that follows the features in training."""
    return [
        Parameter("fc1.weight", (HIDDEN, n_features), "uniform", n_features),
        Parameter("fc1.bias", (HIDDEN,), "uniform", n_features),
        Parameter("fc2.weight", (CLASSES, HIDDEN), "uniform", HIDDEN),
        Parameter("fc2.bias", (CLASSES,), "uniform", HIDDEN),
    ]


def translate(key: str) -> str | None:
    """Return the name of a tensor of a file in this module; None for the classifier's."""
    name = key.removeprefix("module.")
    return None if name.startswith(("fc1.", "fc2.")) else name


def n_features(shape: tuple[int, int, int]) -> int:
    """Return the number of features of a patch of `shape` voxels (rows, columns, slices)."""
    rows, columns, slices = (n // POOL // POOL for n in shape)
    return CHANNELS[-1] * rows * columns * slices


def convolve(state: dict[str, torch.Tensor], x: torch.Tensor, number: int) -> torch.Tensor:
    """Apply convolution, pooling and ReLU of layer `number`: ReLU comes last, for it keeps the order of values."""
    weight = state[f"conv{number}.weight"]
    x = F.conv3d(x, weight, state[f"conv{number}.bias"], padding=KERNEL // 2)
    return F.relu(F.max_pool3d(x, POOL))


class ShallowCnnFeatures:
    """Features of patches of one shape (rows, columns, slices); `state` by the names of `parameters`."""

    def __init__(self, state, shape, device="cpu"):
        self.device = torch.device(device)
        self.shape = tuple(shape)
        self.n_features = n_features(self.shape)
        self.state = {name: tensor.to(self.device, torch.float32) for name, tensor in state.items()}
        for name, tensor in self.state.items():
            if tensor.ndim == 5:
                self.state[name] = tensor.contiguous(memory_format=torch.channels_last_3d)

    @torch.inference_mode()
    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Features (n, 256 for 32 x 32 x 16) float32 of patches (n, rows, columns, slices); channels come first."""
        x = patches.to(self.device, torch.float32).unsqueeze(1).contiguous(memory_format=torch.channels_last_3d)
        for number in (1, 2):
            x = convolve(self.state, x, number)
        return x.float().flatten(1)


class PlainFeatures:
    """The same values in float64 by the layers as they are defined, which torch computes by other kernels."""

    def __init__(self, state, device="cpu"):
        self.device = torch.device(device)
        self.state = {name: tensor.to(self.device, torch.float64).contiguous() for name, tensor in state.items()}

    @torch.inference_mode()
    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Features (n, 256 for 32 x 32 x 16) float64 of patches (n, rows, columns, slices)."""
        x = patches.to(self.device, torch.float64).unsqueeze(1)
        for number in (1, 2):
            weight, bias = self.state[f"conv{number}.weight"], self.state[f"conv{number}.bias"]
            x = F.max_pool3d(F.relu(F.conv3d(x, weight, bias, padding=KERNEL // 2)), POOL)
        return x.flatten(1)


def encoder(options: EncoderOptions) -> Encoder:
    """Build the shallow CNN: 256 features, the output of its last pooling. It takes raw HU in every mode."""
    refuse_options("shallow_cnn", options, "layer", "pooling", "patch_merging")
    if options.intensity != RAW:
        logging.info("shallow_cnn takes raw HU; --intensity %s is for other encoders", options.intensity)
    if options.weights is None:
        weights = random_weights(parameters(), options.seed)
    else:
        weights = load_weights(
            options.weights,
            parameters(),
            translate,
            "give conv1.weight, conv1.bias, conv2.weight and conv2.bias as bin/pretrain_shallow_cnn.py writes them",
            options.weights_sha256,
        )
    return Encoder(
        name="shallow_cnn",
        prefix="cnn",
        n_features=n_features(SHAPE),
        intensity=RAW,
        scaling=None,
        weights=weights,
        features=ShallowCnnFeatures(weights.state, SHAPE, options.device),
        reference=lambda: PlainFeatures(weights.state, options.device),
        settings={"layer": "pool2", "pooling": "none", "reference": "torch in float64"},
    )
