"""A chunk of series, one after another: read, register to the reference, resample once, write."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import SERIES_KEY
from ct4bench.core.checks import Checks
from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.volumes import SUFFIX, save_volume, write_nifti, write_transform
from ct4bench.index.ct import read_series
from ct4bench.index.files import locate
from ct4bench.preprocess.reference import Reference
from ct4bench.preprocess.registration import Fixed, Registration, prepare_fixed, register, sample_similarity
from ct4bench.preprocess.resampling import lost_noise_variance, resample, stretched
from ct4bench.preprocess.transforms import STRETCHED, TRANSFORM_COLUMNS, motion_columns
from ct4bench.preprocess.verify import PLACES, check_reading, check_registration, check_resampling

LOG = logging.getLogger(__name__)


def check_coverage(region: Sequence[Sequence[int]], common: Grid, grid: Grid, motion: Rigid) -> None:
    """Refuse a series (on `grid`) that does not reach over all positions where patches can lie.

    `region` holds half open voxel ranges of the common grid. Raises `Refusal`: `too_few_slices` where it is
    the slices that end, `phantom_outside_fov` where the image does.
    """
    ends = [(low, high - 1) for low, high in region]
    corners = np.array([[i, j, k] for i in ends[0] for j in ends[1] for k in ends[2]])
    index = grid.to_index(motion(common.to_lps(corners)))
    out = np.maximum(-0.5 - index, index - (np.array(grid.shape) - 0.5)).max(axis=0)
    if out[0] > 0:
        short_mm = out[0] * grid.spacing_mm[0]
        raise Refusal("too_few_slices", f"the slices end {short_mm:.1f} mm before the patches of the ROIs do")
    if out[1:].max() > 0:
        short_mm = (out[1:] * np.array(grid.spacing_mm[1:])).max()
        raise Refusal("phantom_outside_fov", f"the image ends {short_mm:.1f} mm before the ROIs' patches do")


def is_short(grid: Grid, full: Grid) -> bool:
    """Tell whether a series has fewer slices than the reference, of the same increment (to 1 %)."""
    alike = abs(grid.spacing_mm[0] / full.spacing_mm[0] - 1) < 0.01
    return alike and 2 <= grid.shape[0] < full.shape[0]


def _still(reference: Reference) -> Rigid:
    return Rigid.identity(reference.block.centre_mm)


def on_common_grid(
    volume: np.ndarray, grid: Grid, reference: Reference, fixed: Fixed, interpolator: str, threads: int = 1
) -> tuple[np.ndarray, Registration, dict]:
    """Resample a series (int16 HU on `grid`) onto the reference's grid; returns it, its registration, and the row's
    other values.

    `Refusal` where the series must not be passed on.
    """
    found = register(fixed, volume, grid)
    check_coverage(reference.values["patch_region"], reference.grid, grid, found.motion)
    row = {
        "similarity_before": found.similarity_before,
        "similarity_after": found.similarity_after,
        "overlap": found.overlap,
        "lost_noise_variance": lost_noise_variance(grid, reference.grid, found.motion, interpolator),
        "status": "registered",
    }
    return resample(volume, grid, reference.grid, found.motion, interpolator, threads), found, row


@dataclass(frozen=True)
class RegistrationRun:
    """What is common to the series of a chunk."""

    reference: Reference
    volumes: Path | str
    """Folder for the registered volumes."""
    nifti: Path | str | None = None
    """Folder for the same as NIfTI, with the motion of each as an ITK transform."""
    interpolator: str = "linear"
    threads: int = 1
    short_series: str = "pad"
    """With `stretch`, a series of the reference's increment with fewer slices is stretched to as many, as the published
    code did; `detail` says so."""

    @cached_property
    def fixed(self) -> Fixed:
        """The samples of the reference, taken once for all series."""
        reference = self.reference
        body = None if reference.phantom.printed_block else (reference.read("block"), reference.grid)
        return prepare_fixed(*reference.own(), reference.block, body)


Seen = Callable[[str, np.ndarray, Grid, Rigid, bool], None]
"""What is called with a series as scanned, while it is in memory: its UID, voxels (int16 HU) and grid, the motion, and
whether it is stretched and so not as it was scanned."""


def register_chunk(
    run: RegistrationRun,
    series: pd.DataFrame,
    files: pd.DataFrame,
    folders: Sequence[Path | str],
    uids: Sequence[str],
    checks: Checks | None = None,
    seen: Seen | None = None,
) -> pd.DataFrame:
    """Write `<series_uid>.b2nd` of every series that registers; returns transforms.csv with a row for every one.

    `folders` are those of the slices of these series in the order of `files.folders_of`. The reference itself passes
    as `prepare_reference` left it. A series that cannot be read or registered gets its quarantine reason as status, and
    no volume. One series is in memory at a time; `seen` is called with every one that registers. A slice and some
    voxels of each are computed anew by libraries, of the first also the registration, and counted in `checks`:
    `UserError` where one differs.
    """
    checks = Checks() if checks is None else checks
    reference, volumes = run.reference, Path(run.volumes)
    unknown = sorted(set(uids) - set(series["series_uid"]))
    if unknown:
        raise UserError(f"series.csv has no series {unknown[0]}; index the input again")
    rows_of = {row["series_uid"]: row for row in series.to_dict("records")}
    located = locate(files[files["series_uid"].isin(set(uids)) & (files["role"] == "ct")], folders)
    for folder in filter(None, (volumes, run.nifti)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for uid in dict.fromkeys(uids):
        motion, array = _still(reference), None
        paths = located.loc[located["series_uid"] == uid, "file"]
        try:
            if uid == reference.series_uid:
                array, grid = reference.read("volume"), Grid.from_dict(reference.values["full_grid"])
                row = {
                    "similarity_before": 1.0,
                    "similarity_after": 1.0,
                    "overlap": 1.0,
                    "lost_noise_variance": reference.values["lost_noise_variance"],
                    "status": "reference",
                }
                if seen:
                    seen(uid, *read_series(paths, run.threads), motion, False)
            else:
                source, grid = read_series(paths, run.threads)
                check_reading(checks, uid, paths, source, grid)
                detail, full = "", Grid.from_dict(reference.values["full_grid"])
                if run.short_series == "stretch" and is_short(grid, full):
                    detail = f"{STRETCHED}: {grid.shape[0]} slices to {full.shape[0]}"
                    source, grid = stretched(source, grid, full.shape[0])
                array, found, row = on_common_grid(source, grid, reference, run.fixed, run.interpolator, run.threads)
                motion, row["detail"] = found.motion, detail
                if run.interpolator == "linear":
                    check_resampling(checks, uid, source, grid, motion, array, reference.grid)
                if "registration" not in checks.found:
                    sample = sample_similarity(run.fixed, found, PLACES)
                    check_registration(checks, uid, *sample, found.middle, motion)
                if seen:
                    seen(uid, source, grid, motion, bool(detail))
                del source, found
            rows.append({"series_uid": uid, **motion_columns(motion), "detail": "", **row})
        except Refusal as error:
            rows.append({"series_uid": uid, "status": error.reason, "detail": " ".join(str(error).split())})
            LOG.warning("%s is not passed on: %s, %s", uid, error.reason, error)
            continue
        facts = {name: rows_of[uid][name] for name in SERIES_KEY if name in rows_of[uid]}
        attributes = {**facts, "status": row["status"], "motion": asdict(motion), "source_grid": grid.to_dict()}
        save_volume(volumes / f"{uid}{SUFFIX}", array, reference.grid, attributes)
        if run.nifti:
            write_nifti(Path(run.nifti) / f"{uid}.nii.gz", array, reference.grid)
            # a stretched series does not lie where it was scanned
            if not row.get("detail"):
                write_transform(Path(run.nifti) / f"{uid}.tfm", motion)
        LOG.info("%s: %s, similarity %.4f", uid, row["status"], row["similarity_after"])
    return pd.DataFrame(rows, columns=TRANSFORM_COLUMNS)
