#!/usr/bin/env python3
"""Smoke test of an image, run inside it in an empty folder: smoke.py imaging|deep BIN.

Every package imports, a kernel compiles and is cached, a figure is drawn, torch computes (deep); every script of the
pipeline that the image serves gives its help; there is no network, and the root cannot be written.
"""

import importlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

os.environ.update(NUMBA_CACHE_DIR=".numba", XDG_CACHE_HOME=".cache", MPLCONFIGDIR=".mpl")
IMAGING = (
    "numpy", "scipy", "pandas", "pyarrow.parquet", "pydicom", "highdicom", "SimpleITK", "radiomics.featureextractor",
    "pywt", "sklearn.neighbors", "numba", "umap", "matplotlib.pyplot", "jinja2", "yaml", "jsonschema", "blosc2",
    "jpeg_ls", "openjpeg", "rle",
)  # fmt: skip
DEEP = ("torch", "monai.networks.nets", "einops", "safetensors.torch", "onnxruntime")


def needs_torch(script: Path) -> bool:
    """Whether a script's own help needs torch."""
    return script.name in ("extract_deep.py", "train_classifiers.py") or script.name.startswith("pretrain_")


def main() -> None:
    """Raise at the first thing that does not work."""
    image, folder = sys.argv[1], Path(sys.argv[2])
    for name in IMAGING + (DEEP if image == "deep" else ()):
        importlib.import_module(name)

    import numba
    import numpy as np
    from matplotlib import pyplot

    assert numba.njit(lambda x: x.sum() + 1)(np.ones(3)) == 4
    pyplot.plot([0, 1])
    pyplot.savefig("figure.png")
    if image == "deep":
        import torch

        assert float(torch.ones(3) @ torch.ones(3)) == 3
        print("GPU:", torch.cuda.get_device_name() if torch.cuda.is_available() else "none")
    for script in sorted(folder.glob("*.py")):
        if image == "deep" or not needs_torch(script):
            subprocess.run([script, "--help"], check=True, stdout=subprocess.DEVNULL)
    assert shutil.which("ps") and shutil.which("bash"), "the engine needs ps and bash"
    for place in ("/opt/venv/x", "/usr/x"):
        try:
            Path(place).touch()
        except OSError:
            continue
        raise AssertionError(f"{place} could be written")
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=2)
    except OSError as error:
        assert "unreachable" in str(error).lower(), error
    else:
        raise AssertionError("there is a network")


if __name__ == "__main__":
    main()
