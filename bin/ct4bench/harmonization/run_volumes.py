"""Volumes through a method of images: a process of its own gets the training volumes, then the others one by one.

    result = harmonize_volumes(variant, training, targets, keep, seed=0, sandbox=sandbox)

`keep(i, volume)` takes what comes of target i as it comes, so that one volume at a time is in memory. A method of level
patch transforms parts of a target, of which it knows no other; they overlap by twice its halo, which is not kept.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ct4bench.harmonization import remedies
from ct4bench.harmonization.methods import Variant
from ct4bench.harmonization.run_fold import (
    Declined,
    Failure,
    Fault,
    NotApplicable,
    Sandbox,
    Session,
    ask,
    imports_of,
    resolve_parameters,
    run_session,
)

PATCH = (64, 128, 128)
"""Voxels of a patch without its halo."""


@dataclass(frozen=True)
class Volume:
    """A volume as a method gets it."""

    hu: np.ndarray
    """(slices, rows, columns), float32."""
    spacing_mm: tuple[float, float, float]
    """Of slices, rows, columns."""
    domain: str

    def message(self, op: str) -> tuple[dict, list]:
        """Return it as a message with its array."""
        about = {"op": op, "spacing_mm": [float(mm) for mm in self.spacing_mm], "domain": str(self.domain)}
        return about, [np.ascontiguousarray(self.hu, "<f4")]


@dataclass(frozen=True)
class Done:
    """All targets were kept."""

    enforced: str
    notes: tuple[str, ...]
    cpu_s: float
    peak_mb: float


def harmonize_volumes(
    variant: Variant,
    training: Iterable[Volume],
    targets: Iterable[Volume],
    keep: Callable[[int, np.ndarray], None],
    *,
    domains: Sequence[str] = (),
    seed: int | Sequence[int] = 0,
    sandbox: Sandbox | None = None,
    patch: Sequence[int] = PATCH,
) -> Done | NotApplicable | Failure:
    """Fit a variant of level image or patch on training volumes, and give what it makes of each target to `keep`.

    `patch` are the voxels that are kept of a part. `training` is read as far as the method asks, once; `domains` are
    those of its volumes, a value for each. What `keep` gets is float32 of the target's shape, finite.
    """
    names = sorted(set(map(str, domains)))
    if len(names) < variant.declaration.min_domains and variant.declaration.learns != "nothing":
        return NotApplicable(f"needs {variant.declaration.min_domains} training domains, and has {len(names)}")
    parameters, notes = resolve_parameters(variant, names)
    if sandbox is None:
        with Sandbox(imports_of([variant])) as sandbox:
            return _run(variant, parameters, notes, training, targets, keep, seed, sandbox, patch)
    return _run(variant, parameters, notes, training, targets, keep, seed, sandbox, patch)


def patches_of(shape: Sequence[int], patch: Sequence[int], halo: Sequence[int]) -> Iterator[tuple]:
    """Yield the parts of a volume: what a method gets, what of that is kept, and where the kept part lies, as slices.

    What is kept covers the volume once; a halo ends where the volume does.
    """
    along = []
    for n, size, more in zip(shape, patch, halo, strict=True):
        edges = [(first, min(first + size, n)) for first in range(0, n, size)]
        along.append([(max(a - more, 0), min(b + more, n), a, b) for a, b in edges])
    for part in itertools.product(*along):
        given = tuple(slice(low, high) for low, high, _, _ in part)
        kept = tuple(slice(a - low, b - low) for low, _, a, b in part)
        yield given, kept, tuple(slice(a, b) for _, _, a, b in part)


def _run(variant, parameters, notes, training, targets, keep, seed, sandbox, patch):
    halo = variant.declaration.halo_voxels

    def exchange(data):
        _fit(data, iter(training))
        for i, target in enumerate(targets):
            if not halo:
                keep(i, _transform(data, target))
                continue
            whole = np.empty(target.hu.shape, np.float32)
            for given, kept, place in patches_of(whole.shape, patch, halo):
                whole[place] = _transform(data, replace(target, hu=target.hu[given]))[kept]
            keep(i, whole)

    done = run_session(variant, parameters, seed, sandbox, exchange)
    return Done(done.enforced, notes, done.cpu_s, done.peak_mb) if isinstance(done, Session) else done


def _transform(data, target: Volume) -> np.ndarray:
    """Ask for a volume or a part of one, in a fork, so that none is known when the next one comes."""
    message, arrays = target.message("transform")
    try:
        _, given = ask(data, {**message, "apart": True}, arrays[0], arrays[0].nbytes)
    except Declined as reason:
        raise Declined(f"{reason} (domain {target.domain})") from reason
    if len(given) != 1 or given[0].shape != target.hu.shape or given[0].dtype != np.float32:
        words = f"transform gave {[one.shape for one in given]} for a volume of {target.hu.shape}"
        raise Fault(words, remedies.SHAPE)
    if not np.isfinite(given[0]).all():
        words = f"transform gave HU that are missing or infinite (domain {target.domain})"
        raise Fault(words, remedies.NOT_FINITE)
    return given[0]


def _fit(data, training: Iterable[Volume]) -> None:
    """Hand over training volumes as they are asked for."""
    answer, _ = ask(data, {"op": "fit"})
    while answer.get("next"):
        one = next(training, None)
        message, arrays = ({"op": "end of volumes"}, []) if one is None else one.message("volume")
        answer, _ = ask(data, message, *arrays)
