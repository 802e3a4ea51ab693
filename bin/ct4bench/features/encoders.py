"""The deep encoders by name.

The two of the paper are `swin_unetr` and `shallow_cnn`; `user_encoders` makes one from a user's code or file.
"""

import logging
from collections.abc import Callable

from ct4bench.core.errors import UserError
from ct4bench.features.encoder import INTENSITIES, RAW, SHAPE, Encoder, EncoderOptions, refuse_options


def swin_unetr(options: EncoderOptions) -> Encoder:
    """Build SwinUNETR's encoder: 768 features, the spatial mean of its last normalised output."""
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
    """Build the shallow CNN: 256 features, the output of its last pooling. It takes raw HU in every mode."""
    from ct4bench.features import shallow_cnn as cnn
    from ct4bench.features.weights import load_weights, random_weights

    refuse_options("shallow_cnn", options, "layer", "pooling", "patch_merging")
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
    """Build the encoder of a name, or of `NAME=module:function`, `NAME=file.py:function` or `NAME=settings.yaml`."""
    if "=" in extractor:
        from ct4bench.features.user_encoders import user_encoder

        refuse_options(extractor.partition("=")[0], options, "patch_merging")
        return user_encoder(extractor, options, reserved={*ENCODERS, "radiomics"})
    if extractor not in ENCODERS:
        raise UserError(
            f"--extractor {extractor} is unknown; take one of {', '.join(sorted(ENCODERS))}, or NAME=module:function "
            "or NAME=settings.yaml for an encoder of your own"
        )
    return ENCODERS[extractor](options)


def _whole(text: str, option: str, allowed: tuple[int, ...]) -> int:
    if text not in map(str, allowed):
        raise UserError(f"{option} {text} is none of {', '.join(map(str, allowed))}")
    return int(text)
