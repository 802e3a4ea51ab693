"""Deep features of a chunk of series: each volume read once, its patches through the encoder in fixed batches.

Batches never span series and are as equal as can be, so the values of a series depend neither on the chunk nor on the
number of threads. Threads work on whole batches; torch itself uses one.
"""

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.errors import UserError
from ct4bench.core.volumes import SUFFIX, open_volume
from ct4bench.features.encoder import Encoder, to_input
from ct4bench.preprocess.patches import read_patches

TOLERANCES = {"float32": 1e-5, "bfloat16": 5e-2, "float16": 1e-2}
"""Largest difference from the library's own network by precision, relative to the patch's largest feature."""

BATCH = {"cpu": 10, "cuda": 256}
"""Patches at once by device: on a CPU what its caches hold, and a divisor of the paper's 60 patches of a series."""


def batches(n: int, size: int) -> list[slice]:
    """Split `n` patches into the fewest batches of at most `size`, as equal as can be."""
    ends = np.linspace(0, n, max(1, math.ceil(n / size)) + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True) if b > a]


def encode(encoder: Encoder, patches: np.ndarray, batch: int, threads: int = 1, precision: str = "float32"):
    """Compute the features (n, n_features) float64 of patches (n, slices, rows, columns) int16 HU."""
    import torch

    def run(part: slice) -> np.ndarray:
        x = torch.from_numpy(to_input(patches[part], encoder.scaling, encoder.shape))
        device = getattr(encoder.features, "device", torch.device("cpu"))
        with (
            torch.inference_mode(),
            torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32"),
        ):
            return encoder.features(x).to("cpu", torch.float64).numpy()

    parts = batches(len(patches), batch)
    if threads == 1 or len(parts) < 2:
        found = [run(part) for part in parts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(run, parts))
    return np.concatenate(found) if found else np.empty((0, encoder.n_features))


def relative_difference(features: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference of a patch's features (n, n_features), relative to its largest reference value."""
    largest = np.abs(reference).max(axis=1)
    difference = np.abs(features - reference).max(axis=1)
    return float(np.max(np.divide(difference, largest, out=np.where(difference > 0, np.inf, 0.0), where=largest > 0)))


def sample(n: int, share: float, seed: int) -> np.ndarray:
    """Draw the sorted numbers of the patches (of `n`) to verify: the share rounded up, at least one where it is not
    0."""
    wanted = min(n, math.ceil(share * n))
    return np.sort(np.random.default_rng([seed, 4]).choice(n, wanted, replace=False))


def verify(encoder: Encoder, patches: np.ndarray, features: np.ndarray, rows: pd.DataFrame, tolerance: float):
    """Return the largest relative difference from the library's own network, and the patch that has it, in words.

    Beyond `tolerance` it is a `UserError`.
    """
    import torch

    reference = encoder.reference()
    x = torch.from_numpy(to_input(patches, encoder.scaling, encoder.shape))
    expected = reference(x).to("cpu", torch.float64).numpy()
    differences = [relative_difference(a[None], b[None]) for a, b in zip(features, expected, strict=True)]
    worst = int(np.argmax(differences))
    row = rows.iloc[worst]
    where = f"series {row['series_uid']}, {row['roi']}, patch {row['patch']}"
    if not differences[worst] <= tolerance:
        raise UserError(
            f"{encoder.name}: features of {where} differ by "
            f"{differences[worst]:.2e} from {encoder.settings.get('reference', 'the reference')}, more than "
            f"{tolerance:g}; check the weights {encoder.weights.file or '(random)'}, or report it with the file"
        )
    return differences[worst], where


@dataclass(frozen=True)
class EncodingRun:
    """What is common to the series of a chunk."""

    encoder: Encoder
    volumes: Path | str
    """Folder of `<series_uid>.b2nd`."""
    patches: pd.DataFrame
    """Those of every series."""
    batch: int
    """Patches at once."""
    threads: int = 1
    share: float = 0.01
    """Share of the patches that the library's own network computes, too."""
    seed: int = 0
    precision: str = "float32"


def extract_series(run: EncodingRun, registered: pd.DataFrame, uids: list[str]) -> tuple[pd.DataFrame, dict]:
    """Return the table of features (`FEATURE_KEY`, then float64 columns, sorted by `ROW_KEY`) and the settings of the
    extraction.

    `registered` has the registered series. `UserError` where a series or volume is missing, or a feature is not finite.
    """
    encoder, patches = run.encoder, run.patches.sort_values(["roi", "patch"], kind="stable", ignore_index=True)
    series = registered.set_index("series_uid", drop=False)
    unknown = sorted(set(uids) - set(series.index))
    if unknown:
        raise UserError(f"series {unknown[0]} is not in the table of registered series; name only series of that table")
    uids = sorted(set(uids))
    chosen = sample(len(uids) * len(patches), run.share, run.seed) if encoder.reference else np.empty(0, int)
    tables, kept = [], []
    for number, uid in enumerate(uids):
        voxels = read_patches(open_volume(Path(run.volumes) / f"{uid}{SUFFIX}"), patches)
        features = encode(encoder, voxels, run.batch, run.threads, run.precision)
        if not np.isfinite(features).all():
            row = patches.iloc[int(np.argwhere(~np.isfinite(features))[0][0])]
            raise UserError(
                f"{encoder.name}: series {uid}, {row['roi']}, patch {row['patch']} has a feature that is not finite; "
                f"check the weights {encoder.weights.file or '(random)'} and --intensity"
            )
        own = {name: series.loc[uid, name] for name in FEATURE_KEY if name in series.columns}
        key = patches[["roi", "tissue", "patch"]].assign(**own)[FEATURE_KEY]
        tables.append(pd.concat([key, pd.DataFrame(features, columns=encoder.columns())], axis=1))
        here = chosen - number * len(patches)
        here = here[(here >= 0) & (here < len(patches))]
        kept.append((voxels[here], features[here], key.iloc[here]))
        logging.info("%s: series %d of %d", encoder.name, number + 1, len(uids))
    table = pd.concat(tables, ignore_index=True).sort_values(ROW_KEY, kind="stable", ignore_index=True)
    largest = where = None
    if len(chosen):
        voxels, features, rows = (list(parts) for parts in zip(*kept, strict=True))
        largest, where = verify(
            encoder, np.concatenate(voxels), np.concatenate(features), pd.concat(rows), TOLERANCES[run.precision]
        )
    settings = {
        "extractor": encoder.name,
        "n_features": encoder.n_features,
        "intensity": encoder.intensity,
        "patch_axes": "row, column, slice",
        "patch_voxels": list(encoder.shape),
        **encoder.settings,
        "weights": encoder.weights.settings(),
        "seed": run.seed,
        "batch": run.batch,
        "device": str(getattr(encoder.features, "device", "cpu")),
        "precision": run.precision,
        "versions": {name: version(name) for name in ("torch", "monai")},
        "verified": len(chosen),
        "largest_difference": largest,
        "largest_difference_at": where,
        "tolerance": TOLERANCES[run.precision],
    }
    return table, settings
