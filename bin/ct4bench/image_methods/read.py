"""Volumes that were harmonized elsewhere: NIfTI or DICOM named by series UID, on the grid of the registered ones."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import SUFFIX, open_volume, read_nifti, save_volume, to_hu
from ct4bench.index.ct import read_series

NIFTI = (".nii.gz", ".nii")
GIVE = "give a NIfTI <series UID>.nii.gz or a folder <series UID> of DICOM slices for every registered series"


def find_given(folder: Path | str, uids: Iterable[str]) -> dict[str, Path]:
    """Find the file or folder of each series; `UserError` names the first that is missing."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; {GIVE}")
    found = {}
    for uid in sorted(uids):
        places = [folder / f"{uid}{suffix}" for suffix in NIFTI] + [folder / uid]
        there = [place for place in places if place.exists()]
        if len(there) > 1:
            raise UserError(f"{folder} has {there[0].name} and {there[1].name}; keep one of them")
        if there:
            found[uid] = there[0]
    missing = sorted(set(uids) - set(found))
    if missing:
        raise UserError(f"{folder} lacks {len(missing)} of {len(set(uids))} series, the first is {missing[0]}; {GIVE}")
    return found


def read_given(place: Path) -> tuple[np.ndarray, Grid]:
    """Read a NIfTI (any type of number) or a folder of DICOM; `UserError` where it cannot be read."""
    if not place.is_dir():
        return read_nifti(place)
    try:
        return read_series(path for path in sorted(place.rglob("*")) if path.is_file())
    except Refusal as error:
        raise UserError(f"{place}: {error.reason}, {error}; {GIVE}") from error


def read_volumes(folder: Path | str, registered: Path | str, uids: Iterable[str], output: Path | str) -> None:
    """Write `<series_uid>.b2nd` of every series in `output`, with the attributes of the volume in `registered`.

    A volume on another grid than the registered one, or with a value that is not finite, is a `UserError`. Values are
    rounded to whole HU, as registered volumes are.
    """
    Path(output).mkdir(parents=True, exist_ok=True)
    for uid, place in find_given(folder, uids).items():
        own = open_volume(Path(registered) / f"{uid}{SUFFIX}")
        array, grid = read_given(place)
        if not grid.same_as(own.grid, 0.01):
            raise UserError(
                f"{place} is not on the grid of the registered series: it has {_words(grid)}, "
                f"not {_words(own.grid)}; harmonize the volumes that --publish_volumes wrote, and keep their geometry"
            )
        if not (np.isfinite(array).all() and _is_finite_on_disk(place)):
            raise UserError(f"{place} has values that are not finite; write HU everywhere")
        save_volume(Path(output) / f"{uid}{SUFFIX}", to_hu(array), own.grid, own.attributes)


def _is_finite_on_disk(place: Path) -> bool:
    """Whether a NIfTI has finite values only: libraries read what is not finite as 0."""
    if place.is_dir():
        return True
    with gzip.open(place) if place.suffix == ".gz" else open(place, "rb") as stream:
        data = stream.read()
    order = "<" if data[:4] == (348).to_bytes(4, "little") else ">"
    kind = {16: "f4", 64: "f8"}.get(int(np.frombuffer(data, f"{order}i2", 1, 70)[0]))
    first = int(np.frombuffer(data, f"{order}f4", 1, 108)[0])
    return kind is None or bool(np.isfinite(np.frombuffer(data, order + kind, offset=first)).all())


def _words(grid: Grid) -> str:
    shape, spacing = ("x".join(format(v, ".6g") for v in values) for values in (grid.shape, grid.spacing_mm))
    return f"{shape} voxels of {spacing} mm from {', '.join(format(v, '.2f') for v in grid.origin_mm)} mm"
