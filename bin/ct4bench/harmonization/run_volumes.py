"""Volumes through a method of images: a process of its own gets the training volumes, then the others one by one.

    result = harmonize_volumes(variant, training, targets, keep, seed=0, sandbox=sandbox)

`keep(i, volume)` takes what comes of target i as it comes, so that one volume at a time is in memory.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ct4bench.harmonization.methods import Variant
from ct4bench.harmonization.run_fold import (
    Failure,
    NotApplicable,
    Sandbox,
    Session,
    ask,
    imports_of,
    resolve_parameters,
    run_session,
)


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
) -> Done | NotApplicable | Failure:
    """Fit a variant of level image on training volumes, and give what it makes of each target to `keep`.

    `training` is read as far as the method asks, once; `domains` are those of its volumes, a value for each. What
    `keep` gets is float32 of the target's shape, finite.
    """
    names = sorted(set(map(str, domains)))
    if len(names) < variant.declaration.min_domains and variant.declaration.learns != "nothing":
        return NotApplicable(f"needs {variant.declaration.min_domains} training domains, and has {len(names)}")
    parameters, notes = resolve_parameters(variant, names)
    if sandbox is None:
        with Sandbox(imports_of([variant])) as sandbox:
            return _run(variant, parameters, notes, training, targets, keep, seed, sandbox)
    return _run(variant, parameters, notes, training, targets, keep, seed, sandbox)


def _run(variant, parameters, notes, training, targets, keep, seed, sandbox):
    def exchange(data):
        _fit(data, iter(training))
        for i, target in enumerate(targets):
            message, arrays = target.message("transform")
            # in a fork, so that no volume is known when the next one comes
            _, given = ask(data, {**message, "apart": True}, arrays[0], arrays[0].nbytes)
            if len(given) != 1 or given[0].shape != target.hu.shape or given[0].dtype != np.float32:
                raise ValueError(f"transform gave {[one.shape for one in given]} for a volume of {target.hu.shape}")
            if not np.isfinite(given[0]).all():
                raise ValueError(f"transform gave HU that are missing or infinite (domain {target.domain})")
            keep(i, given[0])

    done = run_session(variant, parameters, seed, sandbox, exchange)
    return Done(done.enforced, notes, done.cpu_s, done.peak_mb) if isinstance(done, Session) else done


def _fit(data, training: Iterable[Volume]) -> None:
    """Hand over training volumes as they are asked for."""
    answer, _ = ask(data, {"op": "fit"})
    while answer.get("next"):
        one = next(training, None)
        message, arrays = ({"op": "end of volumes"}, []) if one is None else one.message("volume")
        answer, _ = ask(data, message, *arrays)
