"""Profiles of chunks of registered series, on the common grid and on each scanner's own."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.volumes import SUFFIX, Volume, open_volume
from ct4bench.index.ct import read_series
from ct4bench.index.files import locate
from ct4bench.preprocess.reference import Reference, open_reference
from ct4bench.profiles.merge import COMMON, FIELD_COLUMNS, GROUP, OWN, SERIES_COLUMNS, at_unit
from ct4bench.profiles.own import NOT_AS_SCANNED, OTHER_GRIDS, OwnGrid
from ct4bench.profiles.profiler import Profiler, absent, no_repeat_rows, repeat_rows

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scanned:
    """Where the series lie as they were scanned: rows of files.parquet, and the folders in the order of
    `files.folders_of`."""

    files: pd.DataFrame
    folders: Sequence[Path | str]

    def paths(self) -> dict[str, list]:
        """Return the files of the slices of each series."""
        located = locate(self.files[self.files["role"] == "ct"], self.folders)
        return {uid: own["file"].tolist() for uid, own in located.groupby("series_uid")}


def _table(rows: list[dict], about: dict, uid: str, n_repetitions: int, grid: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["at_unit"] = frame["measure"].map(at_unit).where(frame["at"].notna(), "")
    facts = {name: about[name] for name in GROUP}
    return frame.assign(series_uid=uid, n_repetitions=n_repetitions, grid=grid, **facts)[SERIES_COLUMNS]


def _field_table(field, about: dict) -> pd.DataFrame:
    columns = {f"{axis}_mm": field.position_mm[:, n] for n, axis in enumerate("xyz")}
    for n, axis in enumerate("xyz"):
        columns[f"displacement_{axis}_mm"] = field.displacement_mm[:, n]
        columns[f"error_{axis}_mm"] = field.error_mm[:, n]
    return pd.DataFrame(columns).assign(**{name: about[name] for name in GROUP})[FIELD_COLUMNS]


class _Own:
    """The repetitions of one scanner, dose and reconstruction on their own grid."""

    def __init__(self, profiler: Profiler):
        self._profiler = profiler
        self._grid: OwnGrid | None = None
        self._samples: list[dict] = []
        self._reason = ""

    def series_rows(self, paths, volume: Volume) -> list[dict]:
        """Return the rows of one series from its DICOM files; `volume` is what registration made of it."""
        try:
            array, grid = read_series(paths)
        except Refusal as error:
            raise UserError(
                f"{paths[0]} was read before and cannot be read now: {error}; index the input again"
            ) from error
        motion = Rigid(**{name: tuple(values) for name, values in volume.attributes["motion"].items()})
        is_stretched = volume.attributes["status"] != "reference" and not grid.same_as(
            Grid.from_dict(volume.attributes["source_grid"])
        )
        return self.rows(array, grid, motion, is_stretched)

    def rows(self, array, grid: Grid, motion: Rigid, is_stretched: bool) -> list[dict]:
        """Return the rows of one series (`array` int16 HU on `grid`)."""
        if is_stretched:
            self._reason = NOT_AS_SCANNED
            return [absent("noise", "total_sd_hu", roi, self._reason) for roi in self._profiler.rois]
        if self._grid is None or not self._grid.same_as(grid):
            self._reason = OTHER_GRIDS if self._grid else self._reason
            self._grid = OwnGrid(self._profiler, grid, motion)
        self._samples.append(self._grid.sample(array))
        return self._grid.series_rows(array)

    def repeat_rows(self) -> list[dict]:
        """Return the rows of what all repetitions tell."""
        if self._reason or not self._samples:
            return no_repeat_rows(self._profiler.rois, self._reason, self._profiler.phantom)
        return repeat_rows(self._samples, self._grid.grid.spacing_mm, self._profiler.phantom)


class OwnProfiles:
    """The rows of `profile_chunk` of the own grid alone, measured while series are in memory, a group after another.

    `add` is a `preprocess.register.Seen`, called for the repetitions of one scanner, dose and reconstruction in their
    order; `close` ends the group.
    """

    def __init__(self, reference: Reference):
        self._profiler = _profiler(reference)
        self._tables: list[pd.DataFrame] = []
        self._begin()

    def _begin(self) -> None:
        self._own, self._rows = _Own(self._profiler), {}

    def add(self, uid: str, array: np.ndarray, grid: Grid, motion: Rigid, is_stretched: bool) -> None:
        """Measure one series."""
        self._rows[uid] = self._own.rows(array, grid, motion, is_stretched)

    def close(self, registered: pd.DataFrame) -> None:
        """Make the tables of a group, of which `registered` has the rows of series.csv."""
        about, n = None, len(registered)
        for about in registered.sort_values(["repetition", "series_uid"]).to_dict("records"):
            uid = about["series_uid"]
            self._tables.append(_table(self._rows[uid], about, uid, n, OWN))
        if about:
            self._tables.append(_table(self._own.repeat_rows(), about, "", n, OWN))
        self._begin()

    def table(self) -> pd.DataFrame:
        """Stack the tables of all groups."""
        return pd.concat(self._tables, ignore_index=True) if self._tables else pd.DataFrame(columns=SERIES_COLUMNS)


def _profiler(reference: Reference) -> Profiler:
    return Profiler(
        reference.read("volume"), reference.read("labels"), reference.grid, reference.block, reference.box_origin_mm,
        reference.phantom,
    )  # fmt: skip


def profile_chunk(
    registered: pd.DataFrame,
    uids: list[str],
    volumes: Path | str,
    reference_folder: Path | str,
    scanned: Scanned | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the rows of the series `uids` and of their repetitions, and local displacements by cell, averaged over
    repetitions.

    All repetitions of a scanner, dose and reconstruction belong in one chunk: what they tell is taken from those here.
    Without `scanned` there are no rows of the scanners' own grids.
    """
    chosen = registered[registered["series_uid"].isin(set(uids))]
    unknown = sorted(set(uids) - set(chosen["series_uid"]))
    if unknown:
        raise UserError(f"the table of registered series has no series {unknown[0]}; register the series again")
    reference = open_reference(reference_folder)
    profiler = _profiler(reference)
    paths = scanned.paths() if scanned else {}
    tables, fields = [], []
    for _, series in chosen.groupby(GROUP, sort=True):
        samples, found, about, own, n = [], [], None, _Own(profiler), len(series)
        for about in series.sort_values(["repetition", "series_uid"]).to_dict("records"):
            uid = about["series_uid"]
            volume = open_volume(Path(volumes) / f"{uid}{SUFFIX}")
            if not volume.grid.same_as(reference.grid):
                raise UserError(f"{volume.path} is not on the reference's grid; register the series again")
            array = volume.read()
            rows, field = profiler.series_rows(array)
            samples.append(profiler.sample(array))
            found.append(field)
            tables.append(_table(rows, about, uid, n, COMMON))
            if scanned:
                tables.append(_table(own.series_rows(paths[uid], volume), about, uid, n, OWN))
            LOG.info("%s: %d values", uid, len(rows))
        tables.append(_table(repeat_rows(samples, reference.grid.spacing_mm, reference.phantom), about, "", n, COMMON))
        if scanned:
            tables.append(_table(own.repeat_rows(), about, "", n, OWN))
        fields += [_field_table(field, about) for field in found]
    return pd.concat(tables, ignore_index=True), pd.concat(fields, ignore_index=True)
