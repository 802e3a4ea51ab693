"""Examples of custom encoders (docs/encoders.md).

`--extractors resnet10=ct4bench.features.monai_encoders:resnet10` takes one.
"""

from pathlib import Path


def resnet10(weights: Path | None, seed: int):
    """Build MONAI's 3D ResNet-10 (Chen et al. 2019, arXiv:1904.00625): 512 features, the mean of its last layer.

    `weights`: a state dict of that network as MONAI names it; random ones where None.
    """
    from monai.networks.nets.resnet import resnet10 as build

    from ct4bench.core.errors import UserError
    from ct4bench.features.weights import read_state

    del seed
    network = build(spatial_dims=3, n_input_channels=1, feed_forward=False)
    if weights is not None:
        state = {name.removeprefix("module."): tensor for name, tensor in read_state(weights).items()}
        found = network.load_state_dict(state, strict=False)
        if found.missing_keys:
            raise UserError(
                f"{weights} lacks {found.missing_keys[0]} of MONAI's ResNet-10; give that network's weights"
            )
    return network
