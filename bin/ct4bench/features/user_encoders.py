"""Custom encoders of a user: a Python function that builds one, or a TorchScript or ONNX file with settings in YAML.

All run the user's code, TorchScript files included: only what the command line names is loaded, from local files or
installed packages, and nothing is fetched.

`NAME=module:function` and `NAME=file.py:function`: the function is called as function(weights=Path or None, seed=int)
and returns a callable, often a `torch.nn.Module`, from a float32 tensor (n, 1, rows, columns, slices) to a tensor
(n, features) or (n, channels, ...), which is pooled over the positions; or to a list, tuple or dict of such tensors, of
which --layer takes one.

`NAME=settings.yaml` with --weights FILE: the file is a TorchScript module, or an ONNX one (`.onnx`; run by onnxruntime
on a CPU); the YAML may have `patch` ([rows, columns, slices], cut from the middle), `scaling` ({low_hu, high_hu, low,
high}), `layer` and `pooling`.
"""

# code-data: ct4bench/core/schemas/encoder_settings.json

import importlib
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.yaml_files import read_yaml
from ct4bench.features.encoder import INTENSITIES, SHAPE, Encoder, EncoderOptions, Scaling
from ct4bench.features.weights import USER, Weights, sha256_of

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class OwnFeatures:
    """A network that turns (n, 1, rows, columns, slices) into the pooled tensor (n, features)."""

    def __init__(self, network, layer: str | None, pooling: str, name: str, device: str):
        import torch

        self.device = torch.device(device)
        self.network = network.to(self.device).eval() if hasattr(network, "eval") else network
        self.layer, self.pooling, self.name = layer, pooling, name

    def __call__(self, patches):
        """Features (n, features) float32."""
        import torch

        with torch.inference_mode():
            output = self._choose(self.network(patches.to(self.device, torch.float32).unsqueeze(1)))
            if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != len(patches):
                shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
                raise UserError(
                    f"encoder {self.name} gives {shape} for {len(patches)} patches; it must give a tensor with a row "
                    "for each patch, or a list or dict of such tensors and --layer"
                )
            if output.ndim > 2:
                output = output.flatten(2)
                output = output.mean(2) if self.pooling == "mean" else output.amax(2)
            return output.float()

    def _choose(self, output):
        if isinstance(output, dict):
            keys = {str(key): key for key in output}
        elif isinstance(output, (list, tuple)):
            keys = {str(key): key for key in range(len(output))}
        elif self.layer is not None:
            raise UserError(f"encoder {self.name} gives one tensor, so --layer {self.layer} has nothing to choose from")
        else:
            return output
        if self.layer not in keys:
            raise UserError(f"encoder {self.name} has no layer {self.layer}; give --layer as one of {', '.join(keys)}")
        return output[keys[self.layer]]


def user_encoder(extractor: str, options: EncoderOptions, reserved: set[str]) -> Encoder:
    """Build the encoder of `NAME=...`; it is tried on one empty patch, which tells the number of its features."""
    import torch

    name, _, source = extractor.partition("=")
    if not NAME.fullmatch(name) or name in reserved:
        raise UserError(
            f"--extractor {extractor}: the name must be lower-case letters, digits and _, and none of "
            f"{', '.join(sorted(reserved))}"
        )
    digest = sha256_of(options.weights) if options.weights is not None and options.weights.is_file() else ""
    if options.weights is not None and not digest:
        raise UserError(f"weights {options.weights} do not exist; name a file")
    if options.weights_sha256 is not None and digest != options.weights_sha256.lower():
        raise UserError(f"{options.weights} has the SHA-256 {digest or '(no file)'}, not {options.weights_sha256}")
    shape, scaling, intensity = SHAPE, INTENSITIES[options.intensity], options.intensity
    if source.endswith((".yaml", ".yml")):
        settings = read_settings(Path(source))
        shape = settings.get("patch", SHAPE)
        options = replace(
            options,
            layer=options.layer or settings.get("layer"),
            pooling=options.pooling or settings.get("pooling"),
        )
        if "scaling" in settings:
            scaling, intensity = settings["scaling"], str(settings["scaling"])
        if options.weights is None:
            raise UserError(f"{source} tells how a TorchScript or ONNX file is used; name the file with --weights")
        onnx = options.weights.suffix == ".onnx"
        network = OnnxNetwork(options.weights) if onnx else _load_torchscript(options.weights)
        options = replace(options, device="cpu" if onnx else options.device)
        words = f"{'ONNX' if onnx else 'TorchScript'} of the file {options.weights.name}"
    else:
        network = _call(source, options)
        words = f"weights of the file {options.weights.name}" if digest else f"as {Path(source).name} sets them"
    pooling = options.pooling or "mean"
    features = OwnFeatures(network, options.layer, pooling, name, options.device)
    try:
        n_features = int(features(torch.zeros(1, *shape)).shape[1])
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"encoder {name} fails on a patch (1, 1, {', '.join(map(str, shape))}): {error}; check {source}"
        ) from error
    return Encoder(
        name=name,
        prefix=name,
        n_features=n_features,
        intensity=intensity,
        scaling=scaling,
        weights=Weights({}, USER, words, options.weights.name if digest else "", digest),
        features=features,
        settings={"source": Path(source).name, "layer": options.layer, "pooling": pooling},
        shape=shape,
    )


def _call(source: str, options: EncoderOptions):
    """The network that the user's function builds, with torch seeded."""
    import torch

    module_path, _, function = source.rpartition(":")
    if not module_path or not function.isidentifier():
        raise UserError(f"--extractor ...={source} is neither module:function, file.py:function nor a .yaml file")
    try:
        if module_path.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(module_path).stem, module_path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_path)
    except (ImportError, OSError, SyntaxError) as error:
        raise UserError(
            f"{module_path} cannot be imported ({error_words(error)}); name an installed module or a .py file"
        ) from error
    builder = getattr(module, function, None)
    if not callable(builder):
        raise UserError(f"{module_path} has no function {function}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = builder(weights=options.weights, seed=options.seed)
    if not callable(network):
        raise UserError(f"{source} gives {type(network).__name__}, not a function or torch.nn.Module")
    return network


class OnnxNetwork:
    """An ONNX file as a function of tensors: one tensor, or a dict of its outputs by name where it has several."""

    def __init__(self, path: Path):
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"{path} needs the package onnxruntime, which is not installed; install it, or save the network as "
                "TorchScript"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime's own classes derive from Exception alone
            line = str(error).strip().splitlines()[0][:200]
            raise UserError(f"{path} is not an ONNX file that onnxruntime can run ({line}); export it again") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 5:
            raise UserError(f"{path} must have one input (n, 1, rows, columns, slices); it has {len(inputs)}")
        self._input, self._one_by_one = inputs[0].name, inputs[0].shape[0] == 1
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, x):
        """Outputs of a tensor (n, 1, rows, columns, slices); a file for one patch at a time is run n times."""
        import torch

        parts = x.split(1) if self._one_by_one else [x]
        found = [self._session.run(None, {self._input: part.numpy()}) for part in parts]
        outputs = {
            name: torch.from_numpy(np.concatenate(values))
            for name, values in zip(self._outputs, zip(*found, strict=True), strict=True)
        }
        return outputs if len(outputs) > 1 else outputs[self._outputs[0]]


def _load_torchscript(path: Path):
    import torch

    try:
        return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path} is not a TorchScript file ({line}); save one with torch.jit.save") from error


def read_settings(path: Path) -> dict:
    """Read `patch` (tuple), `scaling` (`Scaling`), `layer` and `pooling` of a YAML file, where they are given."""
    what, remedy = "a settings file of an encoder", "docs/encoders.md shows one"
    found = read_yaml(path, "encoder_settings", what, remedy)
    if "patch" in found:
        found["patch"] = tuple(found["patch"])
    if "scaling" in found:
        scaling = Scaling(**{name: float(value) for name, value in found["scaling"].items()})
        if not scaling.low_hu < scaling.high_hu:
            raise UserError(f"{path} is not {what}: scaling: it must give low_hu < high_hu; {remedy}")
        found["scaling"] = scaling
    if "layer" in found:
        found["layer"] = str(found["layer"])
    return found
