"""Custom encoders of a user: a function, a file with one, a TorchScript file with its YAML."""

import sys

import numpy as np
import pytest
import torch

from ct4bench.core.errors import UserError
from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.features.extract_deep import encode

CODE = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv3d(1, 6, 3)

    def forward(self, x):
        y = self.conv(x)
        return [y, y * 2]

def build(weights, seed):
    return Net()

def mean(weights, seed):
    return lambda x: x.mean((2, 3, 4))

def wrong(weights, seed):
    return lambda x: x.mean()

def failing(weights, seed):
    return torch.nn.Linear(3, 3)
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path / "mine.py"


@pytest.fixture
def script(tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3), torch.nn.ReLU())
    torch.jit.save(torch.jit.script(net), tmp_path / "net.pt")
    return net, tmp_path / "net.pt"


def settings(tmp_path, text: str) -> str:
    (tmp_path / "net.yaml").write_text(text)
    return f"net={tmp_path}/net.yaml"


def test_a_function_of_a_file(code, rng):
    patches = rng.normal(0, 50, (3, 16, 32, 32)).astype(np.int16)
    encoder = build_encoder(f"mean={code}:mean", EncoderOptions())
    assert (encoder.n_features, encoder.columns(), encoder.settings["source"]) == (1, ["mean_000"], "mine.py:mean")
    assert np.allclose(encode(encoder, patches, 2)[:, 0], patches.mean((1, 2, 3)), atol=1e-3)


def test_a_module_is_seeded_chosen_and_pooled(code, rng):
    patches = rng.normal(0, 50, (3, 16, 32, 32)).astype(np.int16)
    first, again, other = (
        encode(build_encoder(f"net={code}:build", EncoderOptions(layer="0", pooling="max", seed=seed)), patches, 3)
        for seed in (1, 1, 2)
    )
    assert first.shape == (3, 6)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    double = encode(build_encoder(f"net={code}:build", EncoderOptions(layer="1", pooling="max", seed=1)), patches, 3)
    assert np.allclose(double, 2 * first)


def test_a_torchscript_file_with_its_settings(tmp_path, script, rng):
    net, path = script
    patches = rng.normal(0, 400, (2, 16, 32, 32)).astype(np.int16)
    text = "patch: [20, 24, 8]\nscaling: {low_hu: -1000, high_hu: 400, low: -1, high: 1}\npooling: max\n"
    encoder = build_encoder(settings(tmp_path, text), EncoderOptions(weights=path))
    x = np.clip(np.moveaxis(patches, 1, 3)[:, 6:26, 4:28, 4:12].astype(float), -1000, 400)
    x = torch.from_numpy((x + 1000) / 700 - 1).float()[:, None]
    with torch.no_grad():
        expected = net(x).amax((2, 3, 4)).numpy()
    assert np.allclose(encode(encoder, patches, 2), expected, atol=1e-5)
    assert encoder.weights.file == "net.pt"
    assert len(encoder.weights.sha256) == 64
    assert encoder.intensity == "-1000..400 HU to -1..1, clipped"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patch: [40, 32, 16]", "at most"),
        ("patch: 32", "at most"),
        ("scaling: {low_hu: 5, high_hu: 5, low: 0, high: 1}", "low_hu < high_hu"),
        ("scaling: full", "low_hu"),
        ("pooling: median", "mean, max"),
        ("colour: red", "colour"),
        ("- 1", "mapping"),
        ("a: [", "not YAML"),
        ("layer: 2", "nothing to choose"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, script, text, words):
    with pytest.raises(UserError, match=words):
        build_encoder(settings(tmp_path, text), EncoderOptions(weights=script[1]))


def test_wrong_sources_are_refused(tmp_path, code, script):
    (tmp_path / "no.pt").write_bytes(b"nothing")
    for extractor, options, words in [
        (f"Net={code}:build", EncoderOptions(), "lower-case"),
        (f"swin_unetr={code}:build", EncoderOptions(), "none of"),
        (f"net={code}:absent", EncoderOptions(), "no function absent"),
        (f"net={code}:build", EncoderOptions(), "no layer None"),
        (f"net={code}:build", EncoderOptions(layer="7"), "one of 0, 1"),
        (f"net={code}:wrong", EncoderOptions(), "row for each patch"),
        (f"net={code}:failing", EncoderOptions(), "fails on a patch"),
        ("net=no.such.module:build", EncoderOptions(), "cannot be imported"),
        ("net=build", EncoderOptions(), "neither"),
        (f"net={code}:build", EncoderOptions(weights=tmp_path / "absent.pt"), "do not exist"),
        (f"net={code}:mean", EncoderOptions(weights=script[1], weights_sha256="0" * 64), "SHA-256"),
        (settings(tmp_path, ""), EncoderOptions(), "--weights"),
        (settings(tmp_path, ""), EncoderOptions(weights=tmp_path / "no.pt"), "not a TorchScript"),
        (f"net={tmp_path}/absent.yaml", EncoderOptions(weights=script[1]), "does not exist"),
        (f"net={code}:mean", EncoderOptions(patch_merging="legacy"), "--patch_merging"),
    ]:
        with pytest.raises(UserError, match=words):
            build_encoder(extractor, options)


def onnx_file(path, n, shape=(1, 32, 32, 16), several=False):
    """An ONNX file that gives relu(x), and -x where `several`; `n` patches at a time, or any number where a name."""
    import onnx

    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    names = ["positive", "negated"][: 1 + several]
    nodes = [helper.make_node(op, ["x"], [name]) for op, name in zip(("Relu", "Neg"), names, strict=False)]
    tensors = [helper.make_tensor_value_info(name, real, [n, *shape]) for name in ("x", *names)]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("n", [1, "n"])
def test_an_onnx_file(tmp_path, rng, n):
    path = onnx_file(tmp_path / "net.onnx", n)
    patches = rng.normal(0, 50, (3, 16, 32, 32)).astype(np.int16)
    encoder = build_encoder(settings(tmp_path, ""), EncoderOptions(weights=path))
    assert np.allclose(encode(encoder, patches, 2)[:, 0], np.maximum(patches, 0).mean((1, 2, 3)), rtol=1e-5)
    assert encoder.weights.words == "ONNX of the file net.onnx"
    two = EncoderOptions(weights=onnx_file(tmp_path / "two.onnx", n, several=True), layer="negated", pooling="max")
    encoder = build_encoder(settings(tmp_path, ""), two)
    assert np.array_equal(encode(encoder, patches, 2)[:, 0], -patches.min((1, 2, 3)))
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    for path, words in [
        (tmp_path / "no.onnx", "not an ONNX file"),
        (onnx_file(tmp_path / "flat.onnx", n, (7,)), "one input"),
    ]:
        with pytest.raises(UserError, match=words):
            build_encoder(settings(tmp_path, ""), EncoderOptions(weights=path))


def test_an_onnx_file_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "net.onnx").write_bytes(b"any")
    with pytest.raises(UserError, match="onnxruntime, which is not installed"):
        build_encoder(settings(tmp_path, ""), EncoderOptions(weights=tmp_path / "net.onnx"))
