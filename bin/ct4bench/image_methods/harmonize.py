"""Some registered series through a method of images: volumes in, volumes of the same names out.

A method sees voxels, spacing and domain of a volume, and at level `calibration` where the phantom lies
(`phantom.describe_phantom`); dose, reconstruction and ids are not told.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.core.volumes import SUFFIX, open_volume, save_volume, to_hu, write_nifti
from ct4bench.harmonization.features_of import FAILED, NOT_APPLICABLE, domains_of, reason_of
from ct4bench.harmonization.methods import Variant
from ct4bench.harmonization.run_fold import Failure, NotApplicable, Sandbox, imports_of, resolve_parameters
from ct4bench.harmonization.run_volumes import Done, Volume, harmonize_volumes
from ct4bench.image_methods.phantom import describe_phantom
from ct4bench.preprocess.reference import open_reference

HARMONIZED = "harmonized"
"""How a method ended, beside `NOT_APPLICABLE` and `FAILED`."""
VOLUMES_A_LIMIT = 10
"""`max_minutes` is for the fit, and once more for so many volumes."""


@dataclass(frozen=True)
class ChunkRun:
    """What is common to the series of a chunk."""

    variant: Variant
    volumes: Path | str
    """Folder of the registered volumes, those to learn from and those to transform."""
    reference: Path | str
    """Folder of the prepared reference."""
    harmonize_by: Sequence[str] = ("scanner",)
    seed: int = 0
    nifti: Path | str | None = None
    """Folder for the same as NIfTI."""

    @cached_property
    def prepared(self):
        """The reference, opened."""
        return open_reference(self.reference)

    @cached_property
    def phantom(self) -> dict:
        """Where the phantom lies, for a method that is told."""
        return describe_phantom(self.prepared) if self.variant.declaration.information == "calibration" else {}


def told_variant(variant: Variant, domains: Sequence[str], reference: str, phantom: dict, n_volumes: int) -> Variant:
    """Return a variant with what a run tells it: where it has a `reference` (a domain) that names none of `domains`, at
    level `calibration` also `phantom`; and with the time that so many volumes may take."""
    own = dict(variant.parameters)
    if "reference" in own and own["reference"] not in domains:
        own["reference"] = reference
    if variant.declaration.information == "calibration":
        own["phantom"] = phantom
    minutes = variant.declaration.max_minutes * (1 + math.ceil(n_volumes / VOLUMES_A_LIMIT))
    return replace(variant, parameters=own, declaration=replace(variant.declaration, max_minutes=minutes))


class _Registered:
    """Volumes of series, read as they are asked for."""

    def __init__(self, folder: Path, domain_of: dict[str, str]):
        self._folder, self._domain_of = folder, domain_of
        self.owner: dict[int, str] = {}
        """Series of each volume that was read, by a fingerprint of its voxels."""

    def open(self, uid: str):
        return open_volume(self._folder / f"{uid}{SUFFIX}")

    def volumes(self, uids: Sequence[str]) -> Iterator[Volume]:
        for uid in uids:
            volume = self.open(uid)
            array = volume.read()
            self.owner[zlib.crc32(array)] = uid
            yield Volume(array.astype(np.float32), volume.grid.spacing_mm, self._domain_of[uid])


def harmonize_chunk(
    run: ChunkRun, registered: pd.DataFrame, uids: Sequence[str], fit_uids: Sequence[str], output: Path | str,
    sandbox: Sandbox | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Write `<series_uid>.b2nd` of the series `uids` in `output`; return what became of it, a row of harmonization.csv.

    `fit_uids` are learned from in their order, the reference's first; they alone are what the method has before its
    first transform. Where the method cannot be applied or fails, `output` has no volumes, of earlier calls neither.
    Values are rounded once, to whole HU as registered volumes have them. The method's process is forked in `sandbox`.
    """
    reference, output = run.prepared, Path(output)
    for place in filter(None, (output, run.nifti)):
        Path(place).mkdir(parents=True, exist_ok=True)
    domain_of = dict(zip(registered["series_uid"], domains_of(registered, run.harmonize_by), strict=True))
    unknown = [uid for uid in (*uids, *fit_uids, reference.series_uid) if uid not in domain_of]
    if unknown:
        raise UserError(f"the table of registered series has no series {unknown[0]}; register the series again")
    own, domains = domain_of[reference.series_uid], [domain_of[uid] for uid in fit_uids]
    variant = told_variant(run.variant, domains, own, run.phantom, len(uids))
    # where the reference's scanner is left out another one stands for it
    first = resolve_parameters(variant, domains)[0].get("reference", own)
    fit = sorted(fit_uids, key=lambda uid: (domain_of[uid] != first, uid != reference.series_uid))
    series = _Registered(Path(run.volumes), domain_of)
    # an order without meaning: a method may keep count
    order = [uids[n] for n in np.random.default_rng([run.seed, 3]).permutation(len(uids))]

    def keep(number: int, array: np.ndarray) -> None:
        uid, whole = order[number], to_hu(array)
        if series.owner.get(zlib.crc32(whole), uid) != uid:
            raise ValueError("transform gave another series' volume")
        volume = series.open(uid)
        save_volume(output / f"{uid}{SUFFIX}", whole, volume.grid, volume.attributes)
        if run.nifti:
            write_nifti(Path(run.nifti) / f"{uid}.nii.gz", whole, volume.grid)

    result = refused(variant, domains, [domain_of[uid] for uid in uids]) or harmonize_volumes(
        variant, series.volumes(fit), series.volumes(order), keep, domains=domains, seed=run.seed, sandbox=sandbox
    )
    if not isinstance(result, Done):
        for path in [*output.glob(f"*{SUFFIX}"), *(Path(run.nifti).glob("*.nii.gz") if run.nifti else ())]:
            path.unlink()
    return outcome_of(result)


def harmonize_chunks(
    run: ChunkRun, registered: pd.DataFrame, parts: Iterable[tuple[Sequence[str], Sequence[str]]], output: Path | str
) -> pd.DataFrame:
    """Harmonize parts (`uids`, `fit_uids`) by `harmonize_chunk`, one after another: a method sees one at a time.

    Return the row of the first part, or that of the first that has no volumes: no part has any then.
    """
    first = None
    with Sandbox(imports_of([run.variant])) as sandbox:
        for uids, fit_uids in parts:
            outcome = harmonize_chunk(run, registered, uids, fit_uids, output, sandbox)
            if outcome["status"].iloc[0] != HARMONIZED:
                return outcome
            first = outcome if first is None else first
    if first is None:
        raise UserError("there are no series to harmonize; name those of at least one part")
    return first


def refused(variant: Variant, domains: Sequence[str], asked: Sequence[str]) -> NotApplicable | None:
    """Tell where a method cannot be run: it refuses a domain that it does not learn from."""
    unseen = sorted(set(asked) - set(domains))
    if unseen and variant.declaration.unseen == "refuse" and variant.declaration.learns != "nothing":
        return NotApplicable(f"refuses domains that it has not seen: {', '.join(unseen)}")
    return None


def outcome_of(result: Done | NotApplicable | Failure) -> pd.DataFrame:
    """Return what became of a method as a row of harmonization.csv; rows are those of features, and blank."""
    status = {Done: HARMONIZED, NotApplicable: NOT_APPLICABLE, Failure: FAILED}[type(result)]
    reason = "" if isinstance(result, Done) else reason_of(result)
    notes, enforced = "; ".join(getattr(result, "notes", ())), getattr(result, "enforced", "")
    told = {"extractor": "", "fit": "all", "status": status, "reason": reason, "notes": notes, "enforced": enforced}
    counts = dict.fromkeys(("n_rows_fit", "n_rows_adapted", "n_rows", "n_verbatim"))
    return pd.DataFrame([told | counts]).astype(dict.fromkeys(counts, "Int64"))
