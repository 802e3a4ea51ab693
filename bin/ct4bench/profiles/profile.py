"""Profiles of chunks of registered series."""

import logging
from pathlib import Path

import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.core.volumes import SUFFIX, open_volume
from ct4bench.preprocess.reference import open_reference
from ct4bench.profiles.merge import FIELD_COLUMNS, GROUP, SERIES_COLUMNS, at_unit
from ct4bench.profiles.profiler import Profiler, Source

LOG = logging.getLogger(__name__)


def _table(rows: list[dict], about: dict, uid: str, n_repetitions: int) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["at_unit"] = frame["measure"].map(at_unit).where(frame["at"].notna(), "")
    facts = {name: about[name] for name in GROUP}
    return frame.assign(series_uid=uid, n_repetitions=n_repetitions, **facts)[SERIES_COLUMNS]


def _field_table(field, about: dict) -> pd.DataFrame:
    columns = {f"{axis}_mm": field.position_mm[:, n] for n, axis in enumerate("xyz")}
    for n, axis in enumerate("xyz"):
        columns[f"displacement_{axis}_mm"] = field.displacement_mm[:, n]
        columns[f"error_{axis}_mm"] = field.error_mm[:, n]
    return pd.DataFrame(columns).assign(**{name: about[name] for name in GROUP})[FIELD_COLUMNS]


def profile_chunk(
    registered: pd.DataFrame, uids: list[str], volumes: Path | str, reference_folder: Path | str, interpolator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the rows of the series `uids` and of their repetitions, and local displacements by cell, averaged over
    repetitions.

    All repetitions of a scanner, dose and reconstruction belong in one chunk: what they tell is taken from those here.
    """
    chosen = registered[registered["series_uid"].isin(set(uids))]
    unknown = sorted(set(uids) - set(chosen["series_uid"]))
    if unknown:
        raise UserError(f"the table of registered series has no series {unknown[0]}; register the series again")
    reference = open_reference(reference_folder)
    profiler = Profiler(
        reference.read("volume"), reference.read("labels"), reference.grid, reference.block, reference.box_origin_mm
    )
    tables, fields = [], []
    for _, own in chosen.groupby(GROUP, sort=True):
        samples, found, about, source = [], [], None, None
        for about in own.sort_values(["repetition", "series_uid"]).to_dict("records"):
            uid = about["series_uid"]
            volume = open_volume(Path(volumes) / f"{uid}{SUFFIX}")
            if not volume.grid.same_as(reference.grid):
                raise UserError(f"{volume.path} is not on the reference's grid; register the series again")
            array = volume.read()
            # the reference itself was never interpolated unless the common grid is another one
            source = Source(reference.grid, volume.attributes, interpolator)
            rows, field = profiler.series_rows(array, source)
            samples.append(profiler.sample(array))
            found.append(field)
            tables.append(_table(rows, about, uid, len(own)))
            LOG.info("%s: %d values", uid, len(rows))
        tables.append(_table(profiler.repeat_rows(samples, source), about, "", len(own)))
        fields += [_field_table(field, about) for field in found]
    return pd.concat(tables, ignore_index=True), pd.concat(fields, ignore_index=True)
