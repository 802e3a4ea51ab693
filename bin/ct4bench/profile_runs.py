"""Profiles of chunks of registered series, and their merging to a table by scanner, dose and reconstruction."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.benchmark import scanner_rank
from ct4bench.errors import UserError
from ct4bench.profiles import KINDS, Profiler, Source
from ct4bench.reference import open_reference
from ct4bench.tables import concatenate
from ct4bench.volumes import SUFFIX, open_volume

LOG = logging.getLogger(__name__)
GROUP = ["scanner", "maker", "dose_mgy", "recon"]
MEASURE = ["kind", "measure", "region", "at", "at_unit"]
SERIES_COLUMNS = ["series_uid", *GROUP, "n_repetitions", *MEASURE, "value", "reason"]
"""Of series_profile.parquet: a row a series and measure; what repetitions tell has no series_uid."""
PROFILE_COLUMNS = [*GROUP, *MEASURE, "value", "sd", "n_series", "n_repetitions", "reason"]
"""Of scanner_profile.csv."""
FIELD_COLUMNS = [*GROUP, "x_mm", "y_mm", "z_mm", *(f"{name}_{axis}_mm" for axis in "xyz"
                 for name in ("displacement", "error"))]  # fmt: skip
"""Of local_displacement.csv, less `n_series`."""
AT_UNITS = {
    "nps_hu2_mm2": "per_mm", "nps_z_hu2_mm": "per_mm", "ttf": "per_mm", "star_amplitude_hu": "per_mm",
    "star_modulation": "per_mm", "zone_amplitude_hu": "per_mm", "zone_modulation": "per_mm", "wedge_hu": "mm",
    "wedge_less_reference_hu": "hu", "autocorrelation_x": "mm", "autocorrelation_y": "mm", "autocorrelation_z": "mm",
}  # fmt: skip
"""Unit of `at` by measure, without its component; other measures have no place on a curve."""


def at_unit(measure: str) -> str:
    """Unit of the place on a measure's curve, blank for a single number."""
    return AT_UNITS.get(measure.removeprefix("total_").removeprefix("quantum_"), "")


def _table(rows: list[dict], about: dict, uid: str, n_repetitions: int) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["at_unit"] = frame["measure"].map(at_unit).where(frame["at"].notna(), "")
    facts = {name: about[name] for name in GROUP}
    return frame.assign(series_uid=uid, n_repetitions=n_repetitions, **facts)[SERIES_COLUMNS]


def _field_table(field, about: dict) -> pd.DataFrame:
    columns = {f"{axis}_mm": field.place_mm[:, n] for n, axis in enumerate("xyz")}
    for n, axis in enumerate("xyz"):
        columns[f"displacement_{axis}_mm"] = field.displacement_mm[:, n]
        columns[f"error_{axis}_mm"] = field.error_mm[:, n]
    return pd.DataFrame(columns).assign(**{name: about[name] for name in GROUP})[FIELD_COLUMNS]


def profile_chunk(
    registered: pd.DataFrame, uids: list[str], volumes: Path | str, reference_folder: Path | str, interpolator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the series `uids` and of their repetitions, and local displacements by cell, averaged over repetitions.

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


def _rank(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that order rows: scanners as in the paper, kinds as in `profiles.KINDS`."""
    order = frame.assign(_scanner=frame["scanner"].map(scanner_rank))
    if "kind" in frame.columns:
        order["_kind"] = frame["kind"].map(KINDS.index)
    return order


def merge_profiles(paths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows of all series, and their means by scanner, dose and reconstruction (scanner_profile.csv).

    `sd` is the SD over series (ddof 1), blank for one; `n_series` counts the series that have the value, and is blank
    for what all repetitions tell together.
    """
    rows = concatenate(paths, ["series_uid"])
    for name in ("reason", "at_unit", "series_uid"):
        rows[name] = rows[name].fillna("").astype(str)
    keys = [*GROUP, *MEASURE]
    groups = rows.groupby(keys, dropna=False, sort=False)
    merged = groups.agg(
        value=("value", "mean"), sd=("value", "std"), n_series=("value", "count"),
        n_repetitions=("n_repetitions", "max"), reason=("reason", "max"), uid=("series_uid", "max"),
    ).reset_index()  # fmt: skip
    merged["reason"] = merged["reason"].where(merged["value"].isna(), "")
    merged["n_series"] = merged["n_series"].astype("Int64").where(merged["uid"] != "")
    order = ["_scanner", "dose_mgy", "recon", "_kind", "measure", "region", "at"]
    merged = _rank(merged).sort_values(order, kind="stable", ignore_index=True)[PROFILE_COLUMNS]
    order = ["_scanner", "dose_mgy", "recon", "series_uid", "_kind", "measure", "region", "at"]
    return _rank(rows).sort_values(order, kind="stable", ignore_index=True)[SERIES_COLUMNS], merged


def merge_fields(paths) -> pd.DataFrame:
    """Local displacements, averaged over the series of a scanner, dose and reconstruction (local_displacement.csv)."""
    rows = concatenate(paths, ["scanner", "dose_mgy", "recon", "z_mm", "y_mm", "x_mm"])
    keys = [*GROUP, "x_mm", "y_mm", "z_mm"]
    groups = rows.groupby(keys, sort=False)
    merged = groups.mean().reset_index()
    merged["n_series"] = groups.size().to_numpy()
    for axis in "xyz":
        count = groups[f"displacement_{axis}_mm"].count().to_numpy()
        merged[f"error_{axis}_mm"] /= np.sqrt(np.maximum(count, 1))
    order = ["_scanner", "dose_mgy", "recon", "z_mm", "y_mm", "x_mm"]
    return _rank(merged).sort_values(order, kind="stable", ignore_index=True)[[*FIELD_COLUMNS, "n_series"]]
