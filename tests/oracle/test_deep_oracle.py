"""Deep features against MONAI's own networks with the same weights, and the shallow CNN against scipy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, maximum_filter

from ct4bench.core.errors import UserError
from ct4bench.features import shallow_cnn as cnn
from ct4bench.features import swin
from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.features.extract_deep import encode
from ct4bench.features.swin import MonaiFeatures, SwinFeatures
from ct4bench.features.weights import load_weights, random_weights

TOLERANCE = 1e-5
torch.set_num_threads(1)
HEADS = {
    "norm.weight": (768,), "norm.bias": (768,), "convTrans3d.weight": (768, 1, 2, 2, 2), "convTrans3d.bias": (1,),
    "rotation_head.weight": (4, 768), "rotation_head.bias": (4,), "contrastive_head.weight": (512, 768),
    "contrastive_head.bias": (512,),
}  # fmt: skip
"""Heads beside the encoder in the released file, by name and shape."""


@pytest.fixture(scope="module")
def network():
    """MONAI's SwinUNETR with weights far from their initialisation: biases of all kinds, strong position biases."""
    from monai.networks.nets.swin_unetr import SwinUNETR

    torch.manual_seed(11)
    network = SwinUNETR(in_channels=1, out_channels=14, feature_size=48).eval()
    for name, tensor in network.swinViT.named_parameters():
        tensor.data += torch.randn_like(tensor) * (1.5 if name.endswith("bias_table") else 0.05)
    return network


@pytest.fixture(scope="module")
def state(network):
    return {name: tensor.detach() for name, tensor in network.swinViT.named_parameters()}


@pytest.fixture
def patches(rng):
    """HU of a phantom: a smooth background, noise, an edge, a metal-like spot (n, rows, columns, slices)."""
    hu = rng.normal(60, 20, (4, 32, 32, 16))
    hu[1, :, 16:] -= 160
    hu[2] += np.linspace(-900, 1500, 16)
    hu[3, 10:12, 10:12, 7] = 3000
    return torch.from_numpy(np.rint(hu).astype(np.float32))


def difference(a, b) -> float:
    return float((a - b).abs().max() / b.abs().max())


def test_random_weights_are_monais_for_the_same_seed():
    from monai.networks.nets.swin_unetr import SwinUNETR

    torch.manual_seed(0)
    network = SwinUNETR(in_channels=1, out_channels=14, feature_size=48)
    expected = {k: v for k, v in network.swinViT.state_dict().items() if not k.endswith("relative_position_index")}
    found = random_weights(swin.parameters(), 0).state
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("scaled", [False, True])
def test_features_are_the_mean_of_the_last_output(network, state, patches, scaled):
    x = (patches.clip(-1000, 1000) + 1000) / 2000 if scaled else patches
    with torch.no_grad():
        expected = network.swinViT(x[:, None], True)[4].mean((2, 3, 4))
    assert difference(SwinFeatures(state, (32, 32, 16))(x), expected) < TOLERANCE


def test_every_layer_of_the_whole_networks_forward_pass_by_a_hook(network, state, rng):
    x = torch.from_numpy(rng.normal(60, 30, (1, 64, 32, 32)).astype(np.float32))
    outputs = []
    handle = network.swinViT.register_forward_hook(lambda _module, _input, output: outputs.extend(output))
    with torch.no_grad():
        network(x[:, None])
    handle.remove()
    assert [output.shape[1] for output in outputs] == [48, 96, 192, 384, 768]
    for layer, output in enumerate(outputs):
        for pooling, expected in (("mean", output.mean((2, 3, 4))), ("max", output.amax((2, 3, 4)))):
            assert difference(SwinFeatures(state, (64, 32, 32), layer, pooling)(x), expected) < TOLERANCE


@pytest.mark.parametrize("shape", [(28, 14, 16), (34, 16, 10), (16, 40, 32)])
def test_other_shapes(state, rng, shape):
    """Windows without padding, with odd numbers of tokens, and with one axis only shifted."""
    x = torch.from_numpy(rng.normal(60, 30, (2, *shape)).astype(np.float32))
    assert difference(SwinFeatures(state, shape)(x), MonaiFeatures(state, shape)(x)) < TOLERANCE


@pytest.mark.parametrize("lean", [False, True])
def test_legacy_merging_is_that_of_old_versions(state, patches, lean):
    """As MONAI before 1.5: of the eight tokens two stand twice (Project-MONAI/MONAI#8284)."""
    old = MonaiFeatures(state, (32, 32, 16), merging="legacy", lean=lean)(patches)
    assert difference(SwinFeatures(state, (32, 32, 16), merging="legacy")(patches), old) < TOLERANCE
    assert difference(SwinFeatures(state, (32, 32, 16))(patches), old) > 0.01


def released(state, network) -> dict:
    """The tensors named as in the released model_swinvit.pt, its heads and other entries beside them."""
    names = {}
    for name, tensor in network.swinViT.state_dict().items():
        names["module." + name.replace(".mlp.linear1.", ".mlp.fc1.").replace(".mlp.linear2.", ".mlp.fc2.")] = tensor
    assert len(names) == 126
    heads = {f"module.{name}": torch.randn(shape) for name, shape in HEADS.items()}
    return {"epoch": 5000, "state_dict": {**names, **heads}, "optimizer": {"state": {}, "param_groups": [{"lr": 4e-4}]}}


def test_a_file_named_as_the_released_one_is_read_as_monai_reads_it(network, state, patches, tmp_path):
    from monai.networks.nets.swin_unetr import SwinUNETR

    path = tmp_path / "model_swinvit.pt"
    torch.save(released(state, network), path)
    other = SwinUNETR(in_channels=1, out_channels=14, feature_size=48).eval()
    other.load_from(torch.load(path, weights_only=True))
    with torch.no_grad():
        expected = other.swinViT(patches[:, None], True)[4].mean((2, 3, 4)).numpy()
    hu = np.moveaxis(patches.numpy(), 3, 1).astype(np.int16)
    encoder = build_encoder("swin_unetr", EncoderOptions(weights=path))
    found = encode(encoder, hu, 3)
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()
    assert encoder.weights.status == "user"


def test_a_whole_network_and_old_names_are_read(network, state, tmp_path):
    torch.save(network.state_dict(), tmp_path / "whole.pt")
    old = {f"module.{name.replace('swinViT', 'swin_vit')}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": old}, tmp_path / "old.pt")
    for name in ("whole.pt", "old.pt"):
        loaded = load_weights(tmp_path / name, swin.parameters(), swin.translate)
        assert all(torch.equal(loaded.state[key], state[key]) for key in state)


def test_weights_of_another_size_are_refused(tmp_path):
    from monai.networks.nets.swin_unetr import SwinUNETR

    torch.save(SwinUNETR(in_channels=1, out_channels=2, feature_size=24).state_dict(), tmp_path / "small.pt")
    with pytest.raises(UserError, match=r"small\.pt.*\(24, 1, 2, 2, 2\).*\(48, 1, 2, 2, 2\).*feature size 48"):
        build_encoder("swin_unetr", EncoderOptions(weights=tmp_path / "small.pt"))


def test_the_shallow_cnn_by_scipy(patches):
    """Zeros outside, ReLU, then the largest of 4 x 4 x 4, in float64 by another library."""
    state = random_weights(cnn.parameters(), 2).state
    features = cnn.ShallowCnnFeatures(state, (32, 32, 16))(patches[:2])
    for patch, found in zip(patches[:2].double().numpy(), features, strict=True):
        maps = [patch]
        for number in (1, 2):
            weight, bias = (state[f"conv{number}.{kind}"].double().numpy() for kind in ("weight", "bias"))
            some = range(0, len(bias), 1 if number == 1 else 13)
            maps = [
                sum(correlate(m, w, mode="constant") for m, w in zip(maps, weight[i], strict=True)) + bias[i]
                for i in some
            ]
            maps = [maximum_filter(np.maximum(m, 0), 4, origin=-2)[::4, ::4, ::4] for m in maps]
        expected = np.array(maps)
        found = found.view(64, 2, 2, 1)[::13].double().numpy()
        assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


def test_in_run_references_agree(patches):
    for name in ("shallow_cnn", "swin_unetr"):
        encoder = build_encoder(name, EncoderOptions(seed=5))
        assert difference(encoder.features(patches).double(), encoder.reference()(patches).double()) < TOLERANCE


def test_monais_resnet_as_an_encoder_of_ones_own(patches):
    from monai.networks.nets.resnet import resnet10

    encoder = build_encoder("resnet10=ct4bench.features.monai_encoders:resnet10", EncoderOptions(seed=4))
    torch.manual_seed(4)
    network = resnet10(spatial_dims=3, n_input_channels=1, feed_forward=False).eval()
    with torch.no_grad():
        expected = network(patches[:2, None])
    assert encoder.n_features == 512
    assert difference(encoder.features(patches[:2]), expected) < 1e-6
