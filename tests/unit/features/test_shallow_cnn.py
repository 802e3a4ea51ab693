"""The shallow CNN's shapes, names and order of features."""

import pytest
import torch

from ct4bench.features import shallow_cnn as cnn
from ct4bench.features.shallow_cnn import ShallowCnnFeatures
from ct4bench.features.weights import random_weights

SHAPE = (32, 32, 16)
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def state():
    return random_weights(cnn.parameters(), 0).state


def test_sizes_of_the_paper():
    assert cnn.n_features(SHAPE) == 256
    assert cnn.n_features((64, 64, 32)) == 64 * 4 * 4 * 2
    assert [p.shape for p in cnn.parameters()] == [(32, 1, 5, 5, 5), (32,), (64, 32, 5, 5, 5), (64,)]
    assert [p.shape for p in cnn.head_parameters(256)] == [(30, 256), (30,), (5, 30), (5,)]


def test_random_weights_are_those_of_torch_modules():
    torch.manual_seed(3)
    layers = [torch.nn.Conv3d(1, 32, 5), torch.nn.Conv3d(32, 64, 5), torch.nn.Linear(256, 30), torch.nn.Linear(30, 5)]
    state = random_weights([*cnn.parameters(), *cnn.head_parameters(256)], 3).state
    expected = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    assert all(torch.equal(a, b) for a, b in zip(state.values(), expected, strict=True))


def test_a_feature_sees_its_place(state, rng):
    """A channel's features stand together, by (row, column) quarter; a corner does not reach the opposite quarter."""
    patch = torch.from_numpy(rng.normal(40, 20, (1, *SHAPE)).astype("float32"))
    changed = patch.clone()
    changed[0, :4, :4] += 500
    encoder = ShallowCnnFeatures(state, SHAPE)
    before, after = (encoder(x).view(64, 2, 2) for x in (patch, changed))
    assert torch.equal(before[:, 1, 1], after[:, 1, 1])
    assert not torch.equal(before[:, 0, 0], after[:, 0, 0])


def test_a_patch_hardly_depends_on_its_batch(state, rng):
    patches = torch.from_numpy(rng.normal(40, 20, (5, *SHAPE)).astype("float32"))
    encoder = ShallowCnnFeatures(state, SHAPE)
    together = encoder(patches)
    alone = torch.cat([encoder(patch[None]) for patch in patches])
    assert torch.abs(together - alone).max() <= 3e-6 * torch.abs(alone).max()


def test_names_of_files():
    assert cnn.translate("module.conv1.weight") == "conv1.weight"
    assert cnn.translate("fc2.bias") is None
    assert cnn.translate("conv3.weight") == "conv3.weight"
