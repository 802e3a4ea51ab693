"""Weights are read without running code, fit to the last shape, and say where they come from."""

import hashlib
import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from ct4bench.core.errors import UserError
from ct4bench.features import weights as module
from ct4bench.features.weights import Parameter, load_weights, random_weights, read_state, sha256_of

PARAMETERS = [
    Parameter("a.weight", (3, 4), "uniform", 4),
    Parameter("a.bias", (3,), "uniform", 4),
    Parameter("n.weight", (3,), "ones"),
    Parameter("n.bias", (3,), "zeros"),
    Parameter("table", (500, 2), "normal"),
]


@pytest.fixture
def state():
    return random_weights(PARAMETERS, 1).state


def refusal(function, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    return str(error.value)


def test_random_weights_are_those_of_torch_modules_built_after_the_same_seed():
    torch.manual_seed(7)
    layer = torch.nn.Linear(4, 3)
    state = random_weights(PARAMETERS, 7).state
    assert torch.equal(state["a.weight"], layer.weight)
    assert torch.equal(state["a.bias"], layer.bias)


def test_random_weights_have_their_distributions(state):
    assert torch.equal(state["n.weight"], torch.ones(3))
    assert torch.equal(state["n.bias"], torch.zeros(3))
    assert state["table"].std().item() == pytest.approx(0.02, rel=0.1)


def test_random_weights_follow_the_seed_and_leave_torch_alone():
    before = torch.random.get_rng_state()
    first, again, other = (random_weights(PARAMETERS, seed).state["a.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
    assert random_weights(PARAMETERS, 1).status == "random"


@pytest.mark.parametrize("form", ["safetensors", "state_dict", "plain", "old"])
def test_all_forms_of_a_file_give_the_same_tensors(tmp_path, state, form):
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(state, path)
    elif form == "plain":
        torch.save(state, path)
    else:
        content = {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}}
        torch.save(content, path, _use_new_zipfile_serialization=form != "old")
    loaded = load_weights(path, PARAMETERS)
    assert list(loaded.state) == [parameter.name for parameter in PARAMETERS]
    assert all(torch.equal(loaded.state[name], state[name]) for name in state)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (loaded.status, loaded.file) == ("user", path.name)


def test_half_precision_is_widened(tmp_path, state):
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors", PARAMETERS)
    assert loaded.state["a.weight"].dtype == torch.float32
    assert torch.allclose(loaded.state["a.weight"], state["a.weight"], atol=1e-3)


def test_a_file_known_by_its_hash_has_its_status(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "w.pt")
    monkeypatch.setitem(module.KNOWN_SHA256, sha256_of(tmp_path / "w.pt"), ("released", "known"))
    assert load_weights(tmp_path / "w.pt", PARAMETERS).settings() == {
        "file": "w.pt", "sha256": sha256_of(tmp_path / "w.pt"), "status": "released", "words": "known",
    }  # fmt: skip


def test_another_hash_than_the_wanted_one_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "w.pt")
    load_weights(tmp_path / "w.pt", PARAMETERS, sha256=sha256_of(tmp_path / "w.pt").upper())
    message = refusal(load_weights, tmp_path / "w.pt", PARAMETERS, sha256="0" * 64)
    assert "w.pt" in message
    assert sha256_of(tmp_path / "w.pt") in message


class Harmful:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("plain_pickle", [False, True])
def test_code_in_a_file_is_never_run(tmp_path, state, plain_pickle):
    content = {"state_dict": state, "harm": Harmful(tmp_path / "harm")}
    path = tmp_path / "w.pt"
    if plain_pickle:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    message = refusal(read_state, path)
    assert "run code" in message
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04broken"])
def test_a_broken_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert name in refusal(read_state, tmp_path / name)


def test_a_cut_file_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:-700])
    assert "w.pt" in refusal(read_state, tmp_path / "w.pt")


def test_what_is_no_state_dict_is_refused(tmp_path, state):
    torch.save([1, 2], tmp_path / "list.pt")
    assert "no state dict" in refusal(read_state, tmp_path / "list.pt")
    torch.save({"state_dict": {**state, "epoch": 3}}, tmp_path / "mixed.pt")
    assert "epoch" in refusal(read_state, tmp_path / "mixed.pt")
    assert "do not exist" in refusal(read_state, tmp_path / "absent.pt")


def fault(tmp_path, state, **changes) -> str:
    changed = {name: tensor for name, tensor in {**state, **changes}.items() if tensor is not None}
    torch.save(changed, tmp_path / "w.pt")
    message = refusal(load_weights, tmp_path / "w.pt", PARAMETERS, remedy="take the other file")
    assert "w.pt" in message
    assert "take the other file" in message or "finite" in message
    return message


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path, state):
    assert "1 missing, the first is a.bias" in fault(tmp_path, state, **{"a.bias": None})
    assert "2 unexpected, the first is b.weight" in fault(
        tmp_path, state, **{"b.weight": torch.ones(1), "c": torch.ones(1)}
    )
    message = fault(tmp_path, state, **{"a.weight": torch.ones(3, 5)})
    assert "(3, 5)" in message
    assert "(3, 4)" in message
    assert "int64" in fault(tmp_path, state, **{"a.bias": torch.zeros(3, dtype=torch.int64)})
    assert "a.bias" in fault(tmp_path, state, **{"a.bias": torch.tensor([0.0, torch.nan, 0.0])})


def test_translated_names_are_found_and_must_not_meet(tmp_path, state):
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pt")
    loaded = load_weights(tmp_path / "w.pt", PARAMETERS, lambda key: key.removeprefix("module."))
    assert torch.equal(loaded.state["a.weight"], state["a.weight"])
    torch.save({**state, "module.a.bias": state["a.bias"]}, tmp_path / "w.pt")
    message = refusal(load_weights, tmp_path / "w.pt", PARAMETERS, lambda key: key.removeprefix("module."))
    assert "a.bias and module.a.bias" in message
    torch.save({**state, "head.weight": torch.ones(2)}, tmp_path / "w.pt")
    load_weights(tmp_path / "w.pt", PARAMETERS, lambda key: None if key.startswith("head.") else key)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 411000000\n"
OTHERS = {
    "lfs": (LFS, "Git LFS.*git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s411--00.pt\n", "git-annex.*git annex get"),
    "html": (b"\n<!DOCTYPE html><html>log in</html>", "web page"),
    "json": (b'{"error": "not found"}', "JSON"),
    "gzip": (b"\x1f\x8b\x08" + bytes(30), "gzip; unpack"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(30), "HDF5"),
    "empty": (b"", "is empty"),
    "text": (b"not found", "not a file of torch"),
    "zeros": (bytes(2000), "not a file of torch"),
    "half a zip": (b"PK\x03\x04" + bytes(100), "cut off or damaged"),
    "half a pickle": (b"\x80\x02}q\x00", "get the file again"),
}


@pytest.mark.parametrize("suffix", ["pt", "safetensors", "pth", "bin"])
@pytest.mark.parametrize("kind", OTHERS)
def test_whatever_lies_under_the_name_is_called_what_it_is(tmp_path, kind, suffix):
    content, words = OTHERS[kind]
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    message = refusal(load_weights, path, PARAMETERS)
    assert re.search(words, message) and "\n" not in message and "run code" not in message


def test_archives_and_modules_are_called_what_they_are(tmp_path, state):
    import tarfile
    import zipfile

    torch.save(state, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "w.pt", "w.pt")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "w.pt", "w.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "module.pt")
    for name, words in (("a.zip", "zip archive, and not one"), ("a.tar", "tar archive"), ("module.pt", "TorchScript")):
        assert words in refusal(read_state, tmp_path / name)


@pytest.mark.parametrize("form", ["safetensors under .pt", "torch under .safetensors", "sparse", "csr", "quantized"])
def test_tensors_are_read_in_whatever_form_and_under_whatever_name(tmp_path, state, form):
    path, due = tmp_path / "w.pt", dict(state)
    if form == "safetensors under .pt":
        save_file(state, path)
    elif form == "torch under .safetensors":
        path = tmp_path / "w.safetensors"
        torch.save(state, path)
    elif form == "sparse":
        torch.save({name: value.to_sparse() for name, value in state.items()}, path)
    elif form == "csr":
        torch.save(state | {"a.weight": state["a.weight"].to_sparse_csr()}, path)
    else:
        packed = torch.quantize_per_tensor(state["a.weight"], 0.01, 0, torch.qint8)
        due["a.weight"] = packed.dequantize()
        torch.save(state | {"a.weight": packed}, path)
    found = load_weights(path, PARAMETERS).state
    assert all(torch.equal(found[name], value) for name, value in due.items())


def test_tensors_without_values_are_refused(tmp_path, state):
    torch.save(state | {"a.bias": torch.empty(3, device="meta")}, tmp_path / "w.pt")
    assert "a.bias" in refusal(load_weights, tmp_path / "w.pt", PARAMETERS)
