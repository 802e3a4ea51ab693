"""The windows of SwinViT without their padding: every token once, biases and merging as the network defines them."""

import numpy as np
import pytest
import torch

from ct4bench.features import swin
from ct4bench.features.swin import (
    SwinFeatures,
    Windows,
    axis_segments,
    merged_tokens,
    position_bias,
    relative_index,
    translate,
    window_groups,
)
from ct4bench.features.weights import random_weights

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def state():
    return random_weights(swin.parameters(), 0).state


def test_an_axis_of_sixteen_has_windows_of_seven():
    assert axis_segments(16, shifted=False) == [
        (list(range(7)), list(range(7)), []),
        (list(range(7, 14)), list(range(7)), []),
        ([14, 15], [0, 1], [2, 3, 4, 5, 6]),
    ]


def test_a_shift_moves_the_first_tokens_behind_the_padding():
    assert axis_segments(16, shifted=True) == [
        (list(range(3, 10)), list(range(7)), []),
        (list(range(10, 16)), list(range(6)), [6]),
        ([0, 1, 2], [4, 5, 6], []),
    ]
    assert axis_segments(8, shifted=True) == [([3, 4, 5, 6, 7], [0, 1, 2, 3, 4], [5, 6]), ([0, 1, 2], [4, 5, 6], [])]


def test_without_padding_a_shift_parts_the_last_window():
    assert axis_segments(14, shifted=True) == [
        (list(range(3, 10)), list(range(7)), []),
        ([10, 11, 12, 13], [0, 1, 2, 3], []),
        ([0, 1, 2], [4, 5, 6], []),
    ]


@pytest.mark.parametrize("n", [1, 4, 7])
def test_a_short_axis_is_one_window(n):
    assert axis_segments(n, True) == axis_segments(n, False) == [(list(range(n)), list(range(n)), [])]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("shape", [(16, 16, 8), (8, 8, 4), (4, 4, 2), (2, 2, 1), (14, 9, 30)])
def test_every_token_is_in_one_window(shape, shifted):
    groups = window_groups(shape, shifted)
    assert np.array_equal(np.sort(np.concatenate([g.tokens.ravel() for g in groups])), np.arange(np.prod(shape)))
    for group in groups:
        assert group.tokens.shape[1] == len(group.slots)
        assert not set(group.slots) & set(group.padding)
        assert len(group.slots) + len(group.padding) <= swin.WINDOW**3


def test_padding_is_a_small_part_of_the_work():
    groups = window_groups((16, 16, 8), shifted=False)
    assert sum(group.tokens.size for group in groups) == 16 * 16 * 8
    assert sum(len(g.tokens) * (len(g.slots) + len(g.padding)) for g in groups) == 21 * 21 * 14


def test_relative_index_counts_as_the_whole_window():
    index = relative_index(np.array([0, 342]), np.array([0, 1, 342]))
    assert index[0, 0] == index[1, 2] == (13**3) // 2
    assert index[0, 1] == 13**3 // 2 - 1
    assert index[1, 0] == 13**3 - 1
    assert index[0, 2] == 0


def test_padding_counts_as_the_sum_of_its_exponentials(rng):
    table = torch.from_numpy(rng.normal(size=(13**3, 3)).astype(np.float32))
    windows = Windows(np.array([[0, 1]]), np.array([0, 1]), np.array([2, 9, 50]))
    bias = position_bias(table, windows)
    assert bias.shape == (1, 3, 2, 3)
    for query in (0, 1):
        rows = relative_index(np.array([query]), np.array([2, 9, 50]))[0]
        expected = np.log(np.exp(table.numpy()[rows].astype(float)).sum(axis=0))
        assert np.allclose(bias[0, :, query, 2].numpy(), expected, atol=1e-6)


def test_merging_joins_neighbours():
    joined = merged_tokens((4, 2, 2), "current")
    assert joined.shape == (2, 8)
    assert np.array_equal(np.sort(joined, axis=1), [np.arange(8), np.arange(8, 16)])
    assert joined[0].tolist() == [0, 4, 2, 1, 6, 5, 3, 7]
    assert merged_tokens((2, 2, 2), "legacy")[0].tolist() == [0, 4, 2, 1, 5, 2, 1, 7]


def test_merging_pads_odd_axes():
    joined = merged_tokens((2, 2, 1), "current")
    assert np.array_equal(joined >= 0, [[True, True, True, False, True, False, False, False]])
    assert joined[0][joined[0] >= 0].tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("module.patch_embed.proj.weight", "patch_embed.proj.weight"),
        ("swinViT.layers1.0.blocks.0.mlp.linear1.bias", "layers1.0.blocks.0.mlp.linear1.bias"),
        ("module.swin_vit.layers1.0.blocks.0.mlp.fc1.bias", "layers1.0.blocks.0.mlp.linear1.bias"),
        ("layers4.0.blocks.1.mlp.fc2.weight", "layers4.0.blocks.1.mlp.linear2.weight"),
        ("module.layers1.0.blocks.0.norm1.weight", "layers1.0.blocks.0.norm1.weight"),
        ("module.layers1.0.downsample.norm.weight", "layers1.0.downsample.norm.weight"),
        ("module.layers1.0.blocks.0.attn.relative_position_index", None),
        ("module.norm.weight", None),
        ("module.convTrans3d.weight", None),
        ("module.rotation_head.bias", None),
        ("module.contrastive_head.weight", None),
        ("encoder10.layer.conv1.conv.weight", None),
        ("out.conv.conv.bias", None),
        ("decoder9.weight", "decoder9.weight"),
    ],
)
def test_names_of_files(key, name):
    assert translate(key) == name


def test_there_are_as_many_tensors_as_in_the_network():
    names = [parameter.name for parameter in swin.parameters()]
    assert len(names) == len(set(names)) == 118


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("layer", swin.LAYERS)
def test_a_layer_has_its_channels(state, rng, layer, pooling):
    patches = torch.from_numpy(rng.normal(40, 20, (2, 16, 16, 8)).astype(np.float32))
    features = SwinFeatures(state, (16, 16, 8), layer, pooling)(patches)
    assert features.shape == (2, 48 * 2**layer)
    assert torch.isfinite(features).all()


def test_a_patch_hardly_depends_on_its_batch(state, rng):
    patches = torch.from_numpy(rng.normal(40, 20, (5, 32, 32, 16)).astype(np.float32))
    encoder = SwinFeatures(state, (32, 32, 16))
    together = encoder(patches)
    alone = torch.cat([encoder(patch[None]) for patch in patches])
    assert torch.abs(together - alone).max() <= 3e-6 * torch.abs(alone).max()
    assert torch.equal(together, encoder(patches))


def test_axes_are_told_apart(state, rng):
    patch = torch.from_numpy(rng.normal(40, 20, (1, 16, 16, 16)).astype(np.float32))
    encoder = SwinFeatures(state, (16, 16, 16))
    assert torch.abs(encoder(patch) - encoder(patch.transpose(1, 3))).max() > 0.01


def test_other_shapes_are_refused(state):
    with pytest.raises(ValueError, match="divide"):
        SwinFeatures(state, (32, 31, 16))
    with pytest.raises(ValueError, match="plan"):
        SwinFeatures(state, (32, 32, 16))(torch.zeros(1, 16, 32, 32))
