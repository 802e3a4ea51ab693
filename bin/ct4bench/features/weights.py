"""Weights of the deep encoders: read without running code, checked name by name, or drawn from a seed.

torch files are read with `weights_only=True`, so that no pickled object of a file is ever built.
"""

import hashlib
import math
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ct4bench.core.errors import UserError, error_words

if TYPE_CHECKING:
    import torch

USER, STAND_IN, RANDOM = "user", "stand-in", "random"
"""Where weights come from: a file of the user's, the bundle's own, or a seed."""

STAND_IN_LABELS = "stand-in, trained on synthetic tissue"

OTHER_FILES = (
    (b"version https://git-lfs", "is a pointer of Git LFS and not the file itself; fetch it with: git lfs pull"),
    (b"/annex/objects", "is a pointer of git-annex and not the file itself; fetch it with: git annex get"),
    (b"<", "is a web page (HTML or XML), as a download without its login gives; get the file again"),
    (b"{", "is text (JSON), and no weights; get the file again"),
    (b"\x1f\x8b", "is packed by gzip; unpack it and name the file in it"),
    (b"bzh", "is packed by bzip2; unpack it and name the file in it"),
    (b"\xfd7zXZ", "is packed by xz; unpack it and name the file in it"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it and name the file in it"),
    (b"rar!", "is a RAR archive; unpack it and name the file in it"),
    (b"\x89hdf", "is an HDF5 file (Keras), and no file of torch; convert it to a state dict"),
)
"""How other files begin that lie under the name of weights, and what to say of them."""

KNOWN_SHA256: dict[str, tuple[str, str]] = {
    "a35ebca3ac3bdc3cce03ea8377cbb13ae166171ac2e6334296e098e1806591df": (STAND_IN, STAND_IN_LABELS),
}
"""Status and words of files known by their SHA-256, in lower-case hex: `assets/shallow_cnn_standin.safetensors`.

MONAI publishes no hash of `model_swinvit.pt`, so that file counts as a user's: its name and hash are recorded.
"""


@dataclass(frozen=True)
class Parameter:
    """Name, shape and default initialisation of one tensor of a network."""

    name: str
    shape: tuple[int, ...]
    initialisation: str
    """`uniform` (bounds 1 / sqrt(fan in), torch's default of linear and convolution layers), `ones`, `zeros`, or
    `normal` (SD 0.02, cut at 2)."""
    fan_in: int = 0


@dataclass(frozen=True)
class Weights:
    """The tensors of a network by name, and where they come from."""

    state: dict[str, "torch.Tensor"]
    status: str
    words: str
    file: str = ""
    """Name of the file, without its folder."""
    sha256: str = ""

    def settings(self) -> dict:
        """Return what `<extractor>.json` says of the weights."""
        return {"file": self.file, "sha256": self.sha256, "status": self.status, "words": self.words}


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def random_weights(parameters: Iterable[Parameter], seed: int) -> Weights:
    """Draw the default initialisation from one generator, in the order of `parameters`: float32, equal wherever torch
    is equal.

    Where `parameters` stand in the order in which a torch module builds them, the values are those that it has after
    `torch.manual_seed(seed)`.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    state = {}
    for parameter in parameters:
        tensor = torch.zeros(parameter.shape)
        if parameter.initialisation == "ones":
            tensor.fill_(1)
        elif parameter.initialisation == "normal":
            tensor.uniform_(-1, 1, generator=generator).erfinv_().mul_(0.02 * math.sqrt(2)).clamp_(-2, 2)
        elif parameter.initialisation == "uniform":
            bound = 1 / math.sqrt(parameter.fan_in)
            tensor.uniform_(-bound, bound, generator=generator)
        elif parameter.initialisation != "zeros":
            raise ValueError(f"{parameter.name}: no initialisation {parameter.initialisation!r}")
        state[parameter.name] = tensor
    return Weights(state, RANDOM, f"seeded random weights, not trained (seed {seed})")


def read_state(path: Path | str) -> dict[str, "torch.Tensor"]:
    """Read the tensors by name from a `.safetensors` file, or of a torch file: a state dict, or a dict that has one as
    state_dict.

    Other entries of a torch file (epoch, optimizer) are left aside. `UserError` where the file is not such a file, or
    where torch would have to run code of the file to read it.
    """
    import pickle

    import torch

    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights {path} do not exist; name a .safetensors file or a torch file with a state dict")
    with path.open("rb") as stream:
        start = stream.read(1024)
    if words := _no_weights(path, start):
        raise UserError(f"{path} {words}")
    if start[8:9] == b"{":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path} is not a whole safetensors file ({error_words(error)}); get the file again"
            ) from error
    try:
        if path.suffix == ".safetensors":  # torch goes by the name
            with path.open("rb") as stream:
                content = torch.load(stream, map_location="cpu", weights_only=True)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        if any(words in str(error) for words in ("truncated", "invalid load key", "Ran out of input", "magic number")):
            line = _first_line(error)
            raise UserError(f"{path} is damaged, or not a file of torch ({line}); get the file again") from error
        raise UserError(
            f"{path} holds more than tensors and plain values, and reading it could run code ({_first_line(error)}); "
            "save its state dict alone, best as .safetensors, where you trust the file"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as a torch file ({_first_line(error)}); get the file again") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} has no state dict; save {{'state_dict': model.state_dict()}} with torch.save")
    wrong = next((str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)), None)
    if wrong is not None:
        raise UserError(f"{path}: the entry {wrong} is not a tensor; save {{'state_dict': model.state_dict()}}")
    return {str(name): _plain_tensor(path, str(name), value) for name, value in state.items()}


def _no_weights(path: Path, start: bytes) -> str:
    """What a file that begins with `start` is, and what to do, where it is certainly no weights; else ""."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, words in OTHER_FILES:
        if mark in start[:200] if mark.startswith(b"/") else text.startswith(mark) or start.startswith(mark):
            return words
    if not start:
        return "is empty; get the file again"
    if start[257:262] == b"ustar":
        return "is a tar archive; unpack it and name the file in it"
    if start.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError):
            return "is cut off or damaged (a zip archive without its end); get the file again"
        if any(name.endswith("/constants.pkl") for name in names):
            return "is a TorchScript module; save its state dict, or name it in a settings file (docs/encoders.md)"
        if not any(name.endswith("/data.pkl") for name in names):
            return "is a zip archive, and not one of torch; unpack it and name the file in it"
    elif start[:1] != b"\x80" and start[8:9] != b"{":
        return "is not a file of torch or safetensors; get the file again"
    return ""


def _plain_tensor(path: Path, name: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """The same values as a dense tensor in memory, whatever layout they are stored in."""
    import torch

    try:
        if tensor.is_meta:
            raise UserError(f"{path}: the entry {name} has a shape and no values (device meta); save it with them")
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        return tensor if tensor.layout == torch.strided else tensor.to_dense()
    except (RuntimeError, NotImplementedError) as error:
        line = _first_line(error)
        raise UserError(f"{path}: the entry {name} is no plain tensor ({line}); save it as a dense one") from error


def _is_zip(path: Path) -> bool:
    """Whether a torch file has the zip format (since torch 1.6), which can be mapped instead of read as a whole."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def load_weights(
    path: Path | str,
    parameters: list[Parameter],
    translate: Callable[[str], str | None] = lambda name: name,
    remedy: str = "give weights of this network",
    sha256: str | None = None,
) -> Weights:
    """Read the file and match it with `parameters`: float32 tensors, contiguous, in that order.

    Where `sha256` is given, the file must have it.
    `translate` gives the network's name of a file's name, or None for a tensor that is known and not needed. Missing,
    unexpected and doubled names, other shapes and values that are not finite are `UserError`s that say the first.
    """
    import torch

    digest = sha256_of(path) if Path(path).is_file() else ""
    if sha256 is not None and digest and digest != sha256.lower():
        raise UserError(
            f"{path} has the SHA-256 {digest}, not {sha256.lower()}; get the file again or correct the hash"
        )
    state, origin = {}, {}
    for key, tensor in read_state(path).items():
        name = translate(key)
        if name is None:
            continue
        if name in state:
            raise UserError(f"{path}: {origin[name]} and {key} both are {name} of the network; {remedy}")
        state[name], origin[name] = tensor, key
    wanted = {parameter.name: parameter for parameter in parameters}
    unexpected = [key for name, key in origin.items() if name not in wanted]
    missing = [name for name in wanted if name not in state]
    if unexpected or missing:
        faults = [f"{len(missing)} missing, the first is {missing[0]}"] if missing else []
        faults += [f"{len(unexpected)} unexpected, the first is {unexpected[0]}"] if unexpected else []
        raise UserError(f"{path} does not fit the network: of its tensors {'; '.join(faults)}; {remedy}")
    found = {}
    for name, parameter in wanted.items():
        tensor = state[name]
        if tuple(tensor.shape) != parameter.shape:
            raise UserError(
                f"{path} does not fit the network: {origin[name]} has the shape {tuple(tensor.shape)}, and {name} "
                f"must have {parameter.shape}; {remedy}"
            )
        if not tensor.is_floating_point():
            raise UserError(f"{path}: {origin[name]} holds {tensor.dtype}, not real numbers; {remedy}")
        found[name] = tensor.to(torch.float32).contiguous()
        if not bool(torch.isfinite(found[name]).all()):
            raise UserError(f"{path}: {origin[name]} has values that are not finite; get the file again")
    status, words = KNOWN_SHA256.get(digest, (USER, f"weights of the file {Path(path).name}"))
    return Weights(found, status, words, Path(path).name, digest)
