"""What an encoder is: what it needs and gives, so that extraction is the same code for all of them.

An encoder is a function from patches (n, rows, columns, slices) in float32 to features (n, n_features).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ct4bench.core.benchmark import PATCH_SHAPE
from ct4bench.core.errors import UserError

if TYPE_CHECKING:
    import torch

    from ct4bench.features.weights import Weights

SHAPE = (PATCH_SHAPE[1], PATCH_SHAPE[2], PATCH_SHAPE[0])
"""A patch as an encoder sees it: rows, columns, slices (32 x 32 x 16)."""


@dataclass(frozen=True)
class Scaling:
    """Linear map of [low_hu, high_hu] to [low, high], clipped at both ends."""

    low_hu: float
    high_hu: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low_hu:g}..{self.high_hu:g} HU to {self.low:g}..{self.high:g}, clipped"


RAW, SCALED = "raw", "scaled"

INTENSITIES: dict[str, Scaling | None] = {RAW: None, SCALED: Scaling(-1000, 1000, 0, 1)}
"""`raw` HU as the published code fed them, or `scaled` as the released SwinViT weights were trained."""


@dataclass(frozen=True)
class EncoderOptions:
    """What a run settles for its encoder; None stands for the encoder's own default."""

    weights: Path | None = None
    weights_sha256: str | None = None
    intensity: str = RAW
    layer: str | None = None
    pooling: str | None = None
    patch_merging: str | None = None
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Encoder:
    """A network that is ready to run."""

    name: str
    prefix: str
    """Features are named `<prefix>_000` and so on."""
    n_features: int
    intensity: str
    """`raw`, `scaled`, or a scaling in words."""
    scaling: Scaling | None
    weights: "Weights"
    features: Callable[["torch.Tensor"], "torch.Tensor"]
    reference: Callable[[], Callable[["torch.Tensor"], "torch.Tensor"]] | None = None
    """Makes the library's own network with the same weights; None where `features` is that already."""
    settings: dict = field(default_factory=dict)
    """Layer, pooling and the like, for `<extractor>.json`."""
    shape: tuple[int, int, int] = SHAPE
    """Rows, columns and slices that the network takes, cut from the middle of the patch."""

    def columns(self) -> list[str]:
        """Return the names of the features."""
        digits = max(3, len(str(self.n_features - 1)))
        return [f"{self.prefix}_{number:0{digits}d}" for number in range(self.n_features)]


def to_input(patches: np.ndarray, scaling: Scaling | None, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Return the patches (n, slices, rows, columns) int16 HU as the network takes them: (n, rows, columns, slices)
    float32."""
    x = np.moveaxis(patches, 1, 3)
    cuts = [slice((have - want) // 2, (have - want) // 2 + want) for have, want in zip(x.shape[1:], shape, strict=True)]
    x = np.ascontiguousarray(x[:, cuts[0], cuts[1], cuts[2]], np.float32)
    if scaling is not None:
        slope = (scaling.high - scaling.low) / (scaling.high_hu - scaling.low_hu)
        x = (np.clip(x, scaling.low_hu, scaling.high_hu) - np.float32(scaling.low_hu)) * np.float32(slope)
        x += np.float32(scaling.low)
    return x


def refuse_options(extractor: str, options: EncoderOptions, *names: str) -> None:
    """Raise a `UserError` where one of the options that do not apply to an extractor is given."""
    for name in names:
        if getattr(options, name) is not None:
            raise UserError(f"--{name} does not apply to {extractor}; leave it out")
