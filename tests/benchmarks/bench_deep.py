"""CPU of a patch's deep features on one thread: SwinViT against MONAI, the shallow CNN against its layers in torch."""

import resource

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from ct4bench.features import shallow_cnn as cnn
from ct4bench.features import swin
from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.features.extract_deep import BATCH, encode, relative_difference

N = 32
REFERENCE_BATCH = 16


@pytest.fixture
def patches():
    torch.set_num_threads(1)
    return np.random.default_rng(1).normal(60, 25, (N, 16, 32, 32)).round().astype(np.int16)


def _in_batches(function, x):
    with torch.inference_mode():
        return torch.cat([function(part) for part in x.split(REFERENCE_BATCH)]).double().numpy()


def _compare(record, name, reference_name, encoder, build_reference, patches):
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(patches, 1, 3), np.float32))[:, None]
    found = encode(encoder, patches, BATCH["cpu"])
    peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reference = build_reference()
    expected = _in_batches(reference, x)
    record(
        name,
        reference_name,
        record.cpu_seconds(lambda: _in_batches(reference, x)) / N,
        record.cpu_seconds(lambda: encode(encoder, patches, BATCH["cpu"]), repeat=9) / N,
        relative_difference(found, expected),
        peak_rss_mb,
    )


def bench_shallow_cnn(record, patches):
    """256 features; the reference is the network as one writes it: convolution, ReLU, pooling, twice."""
    encoder = build_encoder("shallow_cnn", EncoderOptions())
    state = encoder.weights.state

    def plain(x):
        for number in (1, 2):
            x = F.conv3d(x, state[f"conv{number}.weight"], state[f"conv{number}.bias"], padding=cnn.KERNEL // 2)
            x = F.max_pool3d(F.relu(x), cnn.POOL)
        return x.flatten(1)

    _compare(record, "shallow_cnn", "torch, layer by layer, batch 16, one thread", encoder, lambda: plain, patches)


def bench_swin(record, patches):
    """768 features, from int16 patches on, random weights; MONAI with batches of 16 and its default attention."""
    encoder = build_encoder("swin_unetr", EncoderOptions())

    def monai():
        network = swin.MonaiFeatures(encoder.weights.state, (32, 32, 16)).network
        return lambda x: network(x)[4].mean((2, 3, 4))

    _compare(record, "swin", "MONAI, batch 16, one thread", encoder, monai, patches)
