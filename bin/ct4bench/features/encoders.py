"""The deep encoders by name: what each needs and gives, so that extraction is the same code for all of them.

An encoder is a function from patches (n, rows, columns, slices) in float32 to features (n, n_features). The two of the
paper are `swin_unetr` and `shallow_cnn`; `ct4bench.features.user_encoders` makes one from a user's code or file.
"""

import logging
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

POOLINGS = ("mean", "max")


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
        """Names of the features."""
        digits = max(3, len(str(self.n_features - 1)))
        return [f"{self.prefix}_{number:0{digits}d}" for number in range(self.n_features)]


def to_input(patches: np.ndarray, scaling: Scaling | None, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Patches (n, slices, rows, columns) int16 HU as the network takes them: (n, rows, columns, slices) float32."""
    x = np.moveaxis(patches, 1, 3)
    cuts = [slice((have - want) // 2, (have - want) // 2 + want) for have, want in zip(x.shape[1:], shape, strict=True)]
    x = np.ascontiguousarray(x[:, cuts[0], cuts[1], cuts[2]], np.float32)
    if scaling is not None:
        slope = (scaling.high - scaling.low) / (scaling.high_hu - scaling.low_hu)
        x = (np.clip(x, scaling.low_hu, scaling.high_hu) - np.float32(scaling.low_hu)) * np.float32(slope)
        x += np.float32(scaling.low)
    return x


def swin_unetr(options: EncoderOptions) -> Encoder:
    """SwinUNETR's encoder: 768 features, the spatial mean of its last normalised output."""
    from ct4bench.features import swin
    from ct4bench.features.weights import load_weights, random_weights

    layer = _whole(options.layer or "4", "--layer", swin.LAYERS)
    pooling = options.pooling or "mean"
    merging = options.patch_merging or "current"
    if options.weights is None:
        weights = random_weights(swin.parameters(), options.seed)
    else:
        weights = load_weights(
            options.weights,
            swin.parameters(),
            swin.translate,
            "give weights of SwinUNETR with feature size 48 and one input channel, for example the released "
            "model_swinvit.pt",
            options.weights_sha256,
        )
        if merging == "current" and options.weights.name == "model_swinvit.pt":
            logging.warning(
                "the released model_swinvit.pt was trained with MONAI's patch merging from before version 1.5; "
                "--patch_merging legacy takes that one"
            )
    choice = {"shape": SHAPE, "layer": layer, "pooling": pooling, "merging": merging, "device": options.device}
    return Encoder(
        name="swin_unetr",
        prefix="swin",
        n_features=swin.width(layer),
        intensity=options.intensity,
        scaling=INTENSITIES[options.intensity],
        weights=weights,
        features=swin.SwinFeatures(weights.state, **choice),
        reference=lambda: swin.MonaiFeatures(weights.state, **choice, lean=True),
        settings={"layer": layer, "pooling": pooling, "patch_merging": merging, "reference": "monai"},
    )


def shallow_cnn(options: EncoderOptions) -> Encoder:
    """The shallow CNN: 256 features, the output of its last pooling. It takes raw HU in every mode."""
    from ct4bench.features import shallow_cnn as cnn
    from ct4bench.features.weights import load_weights, random_weights

    _refuse("shallow_cnn", options, "layer", "pooling", "patch_merging")
    if options.intensity != RAW:
        logging.info("shallow_cnn takes raw HU; --intensity %s is for other encoders", options.intensity)
    if options.weights is None:
        weights = random_weights(cnn.parameters(), options.seed)
    else:
        weights = load_weights(
            options.weights,
            cnn.parameters(),
            cnn.translate,
            "give conv1.weight, conv1.bias, conv2.weight and conv2.bias as bin/pretrain_shallow_cnn.py writes them",
            options.weights_sha256,
        )
    return Encoder(
        name="shallow_cnn",
        prefix="cnn",
        n_features=cnn.n_features(SHAPE),
        intensity=RAW,
        scaling=None,
        weights=weights,
        features=cnn.ShallowCnnFeatures(weights.state, SHAPE, options.device),
        reference=lambda: cnn.PlainFeatures(weights.state, options.device),
        settings={"layer": "pool2", "pooling": "none", "reference": "torch in float64"},
    )


ENCODERS: dict[str, Callable[[EncoderOptions], Encoder]] = {"shallow_cnn": shallow_cnn, "swin_unetr": swin_unetr}


def build_encoder(extractor: str, options: EncoderOptions) -> Encoder:
    """The encoder of a name, or of `NAME=module:function`, `NAME=file.py:function` or `NAME=settings.yaml`."""
    if "=" in extractor:
        from ct4bench.features.user_encoders import user_encoder

        _refuse(extractor.partition("=")[0], options, "patch_merging")
        return user_encoder(extractor, options, reserved={*ENCODERS, "radiomics"})
    if extractor not in ENCODERS:
        raise UserError(
            f"--extractor {extractor} is unknown; take one of {', '.join(sorted(ENCODERS))}, or NAME=module:function "
            "or NAME=settings.yaml for an encoder of your own"
        )
    return ENCODERS[extractor](options)


def _refuse(extractor: str, options: EncoderOptions, *names: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise UserError(f"--{name} does not apply to {extractor}; leave it out")


def _whole(text: str, option: str, allowed: tuple[int, ...]) -> int:
    if text not in map(str, allowed):
        raise UserError(f"{option} {text} is none of {', '.join(map(str, allowed))}")
    return int(text)
