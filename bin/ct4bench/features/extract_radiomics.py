"""Radiomics features of a chunk of series: of its patches, or of whole ROIs.

Each volume is opened once and only the boxes of its regions are read. Regions are independent, so that neither the
chunk nor the number of threads can change a value. A seeded sample of them is computed by PyRadiomics, too.
"""

import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects

from ct4bench.core.benchmark import FEATURE_KEY
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import feature_columns, sort_features
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.regions import CT4HARMONIZATION, Phantom, phantom_of
from ct4bench.core.tables import read_table
from ct4bench.core.volumes import SUFFIX, Volume, open_volume
from ct4bench.features.pyradiomics import TOLERANCE, Normalization, PyRadiomics, Whole, check, check_image_types
from ct4bench.features.radiomics import FEATURES, TooManyLevelsError, region_features
from ct4bench.features.radiomics_settings import FAST, RadiomicsSettings
from ct4bench.preprocess.patches import COLUMNS, patch_box, read_patches

SLAB = 16
"""Slices of a volume that are read at once where all of it is needed."""


@dataclass(frozen=True)
class RadiomicsRegion:
    """A patch or a whole ROI; the box counts on the common grid."""

    roi: str
    tissue: str
    patch: int
    """0 for a whole ROI."""
    box: tuple[slice, slice, slice]
    inside: np.ndarray | None = None
    """Mask (uint8) over the box; None for all of it."""

    @property
    def n_voxels(self) -> int:
        """Voxels of the region."""
        return int(np.prod(self.shape) if self.inside is None else self.inside.sum())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the box."""
        return tuple(s.stop - s.start for s in self.box)


@dataclass(frozen=True)
class Group:
    """Regions whose features go into one table: the rows of `patches`, or whole ROIs where that is None."""

    regions: list[RadiomicsRegion]
    patches: pd.DataFrame | None = None


@dataclass
class Verification:
    """How many regions PyRadiomics computed, too, and the largest relative difference among them."""

    regions: int = 0
    largest: float | None = None
    at: str = ""


def patch_group(patches: pd.DataFrame) -> Group:
    """Make the group of `patches.csv`."""
    rows = patches.itertuples(index=False)
    regions = [RadiomicsRegion(r.roi, r.tissue, int(r.patch), patch_box((r.slice, r.row, r.column))) for r in rows]
    return Group(regions, patches)


def roi_group(labels: np.ndarray, phantom: Phantom = CT4HARMONIZATION) -> Group:
    """Make the group of the ROIs of the reference's `labels` (uint8, 1, 2, ... in the order of the phantom's ROIs)."""
    regions = []
    boxes = find_objects(labels, len(phantom.regions))
    for number, (roi, box) in enumerate(zip(phantom.regions, boxes, strict=True), start=1):
        if box is not None:
            regions.append(RadiomicsRegion(roi.name, roi.tissue, 0, box, (labels[box] == number).view(np.uint8)))
    if not regions:
        raise UserError("the reference has no ROI; prepare it from a series with a segmentation, or use --region patch")
    return Group(regions)


def make_group(which: str, patches: Path | str | None, reference: Path | str | None) -> Group:
    """Make the regions of --region `which`: the rows of the table `patches`, or the ROIs of the folder `reference`."""
    if which == "roi":
        if not reference:
            raise UserError("--region roi needs --reference; give it, or choose another --region")
        labels = open_volume(Path(reference) / f"labels{SUFFIX}")
        return roi_group(labels.read(), phantom_of(labels.attributes))
    if not patches:
        raise UserError(f"--region {which} needs --patches; give them, or choose another --region")
    table = read_table(patches, COLUMNS)
    if table.empty:
        raise UserError(f"{patches} has no patch; draw them with draw_patches.py")
    return patch_group(table)


def check_size(region: RadiomicsRegion, settings: RadiomicsSettings) -> None:
    """Refuse what PyRadiomics refuses: regions too small for minimumROIDimensions or minimumROISize."""
    axes = sum(n > 1 for n in region.shape)
    fewest_axes = max(1, settings.general["minimumROIDimensions"])
    fewest_voxels = settings.general["minimumROISize"] or 0
    if axes < fewest_axes or region.n_voxels <= fewest_voxels:
        raise UserError(
            f"{region.roi}: {region.n_voxels} voxels in a box of {' x '.join(map(str, region.shape))} are too few for "
            f"minimumROIDimensions {fewest_axes} and minimumROISize {fewest_voxels} of {settings.file}; lower those or "
            "take another reference"
        )


def draw_sample(keys: list[tuple[str, str, int]], share: float, seed: int) -> set[int]:
    """Draw which of the regions (series_uid, roi, patch) are verified, by their number.

    A region's draw depends on the seed and the region alone, not on its chunk; where none is drawn, the chunk's lowest
    draw is taken.
    """
    if not 0 <= share <= 1:
        raise UserError(f"--verify {share} is not a share; give a number from 0 to 1")
    if not keys or share == 0:
        return set()
    digests = [hashlib.sha256("\t".join(map(str, (seed, *key))).encode()).digest() for key in keys]
    draws = [int.from_bytes(digest[:8], "big") / 2**64 for digest in digests]
    return {number for number, draw in enumerate(draws) if draw < share} or {int(np.argmin(draws))}


def covered(box: tuple[slice, slice, slice], volume: Volume) -> bool:
    """Tell whether a box lies in the volume, and in the field that the series itself has."""
    if any(s.start < 0 or s.stop > n for s, n in zip(box, volume.grid.shape, strict=True)):
        return False
    if "source_grid" not in volume.attributes:
        return True
    source = Grid.from_dict(volume.attributes["source_grid"])
    motion = Rigid(**{name: tuple(values) for name, values in volume.attributes["motion"].items()})
    index = source.to_index(motion(volume.grid.crop(box).corners_mm()))
    return bool(np.all((index >= -0.5) & (index < np.array(source.shape) - 0.5)))


def slabs_of(volume: Volume) -> Iterator[np.ndarray]:
    """Read the voxels of all of a volume, `SLAB` slices at a time."""
    for start in range(0, volume.grid.shape[0], SLAB):
        slices = slice(start, min(start + SLAB, volume.grid.shape[0]))
        yield volume.read((slices, slice(0, volume.grid.shape[1]), slice(0, volume.grid.shape[2])))


def normalization_of(volume: Volume, general: dict) -> Normalization | None:
    """Return the mean and SD of the whole volume, where the settings ask for normalization."""
    if not general["normalize"]:
        return None
    n = total = squares = 0
    for slab in slabs_of(volume):
        voxels = slab.astype(np.int64)
        # In integers the sums are exact.
        n, total, squares = n + voxels.size, total + int(voxels.sum()), squares + int((voxels * voxels).sum())
    variance = (squares - total * total / n) / (n - 1)
    return Normalization(total / n, float(np.sqrt(variance)), general["removeOutliers"], general["normalizeScale"])


class _Series:
    """An opened volume and the voxels of a group's regions in it."""

    def __init__(self, volume: Volume, uid: str, group: Group):
        self.uid, self.volume, self.group = uid, volume, group
        if group.patches is not None:
            self.voxels = read_patches(volume, group.patches)
        else:
            for region in group.regions:
                if not covered(region.box, volume):
                    raise UserError(
                        f"ROI outside the volume: series {uid}, {region.roi}; take the series out of the input, or use "
                        "--region patch"
                    )
            self.voxels = [volume.read(region.box) for region in group.regions]
        self._ends: tuple[int, int] | None = None

    def where(self, number: int) -> str:
        """Words that name a region."""
        region = self.group.regions[number]
        part = "whole ROI" if self.group.patches is None else f"patch {region.patch}"
        return f"series {self.uid}, {region.roi}, {part}"

    def whole(self, number: int, normalization: Normalization | None) -> Whole:
        """The series' image round a region, as PyRadiomics is to see it."""
        volume, apply = self.volume, normalization or (lambda voxels: voxels)
        first = tuple(s.start for s in self.group.regions[number].box)
        return Whole(volume.grid.shape, first, lambda box: apply(volume.read(box)), lambda: self._largest(apply))

    def _largest(self, apply) -> float:
        if self._ends is None:
            ends = [(int(voxels.min()), int(voxels.max())) for voxels in slabs_of(self.volume)]
            self._ends = min(low for low, _ in ends), max(high for _, high in ends)
        return float(np.abs(apply(np.array(self._ends, float))).max())


class _Engine:
    """The engine that the settings name, and PyRadiomics for the check of it."""

    def __init__(self, settings: RadiomicsSettings, threads: int):
        self.settings, self.threads = settings, threads
        self.columns: tuple[str, ...] | None = settings.features if settings.engine == FAST else None
        self._columns = [FEATURES.index(name) for name in settings.features]
        self.verification = Verification()
        self._pyradiomics: PyRadiomics | None = None

    def features(self, series: _Series) -> np.ndarray:
        """Values (n, columns) of the group's regions."""
        numbers = range(len(series.group.regions))
        if self.settings.engine == FAST:
            if self.threads == 1:
                return np.array([self._fast(series, number) for number in numbers])
            with ThreadPoolExecutor(self.threads) as pool:
                return np.array(list(pool.map(lambda number: self._fast(series, number), numbers)))
        normalization, rows = normalization_of(series.volume, self.settings.general), []
        for number in numbers:
            found = self._reference(series, number, normalization)
            if self.columns is None:
                self.columns = tuple(sorted(found))
                check_image_types(self.columns, self.settings)
            if set(found) != set(self.columns):
                differing = ", ".join(sorted(set(found) ^ set(self.columns))[:5])
                raise UserError(
                    f"{series.where(number)}: PyRadiomics gives other features than for the first region "
                    f"({differing}); a filter does not suit the size of the region: change its settings"
                )
            rows.append([found[name] for name in self.columns])
        return np.array(rows)

    def verify(self, series: _Series, values: np.ndarray, chosen: list[int]) -> None:
        """Compare the values of the chosen regions with PyRadiomics'."""
        for number in chosen:
            found = self._reference(series, number, None)
            difference, own = check(values[number], found, self.columns, series.where(number)), self.verification
            own.regions += 1
            if own.largest is None or difference > own.largest:
                own.largest, own.at = difference, series.where(number)

    def _fast(self, series: _Series, number: int) -> np.ndarray:
        region = series.group.regions[number]
        try:
            values = region_features(
                series.voxels[number], series.volume.grid.spacing_mm, region.inside, self.settings.options
            )
        except TooManyLevelsError as error:
            raise UserError(f"{series.where(number)}: {error}") from error
        return values[self._columns]

    def _reference(self, series: _Series, number: int, normalization: Normalization | None) -> dict:
        if self._pyradiomics is None:
            self._pyradiomics = PyRadiomics(self.settings)
        spacing_mm = series.volume.grid.spacing_mm
        region, voxels = series.group.regions[number], series.voxels[number]
        inside = np.ones(region.shape, np.uint8) if region.inside is None else region.inside
        try:
            return self._pyradiomics(voxels, inside, spacing_mm, series.whole(number, normalization))
        except ValueError as error:
            raise UserError(
                f"{series.where(number)}: PyRadiomics says: {error}; change {self.settings.file}, or take the series "
                "out of the input"
            ) from error


def _key_columns(series: pd.Series, regions: list[RadiomicsRegion]) -> pd.DataFrame:
    key = pd.DataFrame({"roi": [r.roi for r in regions], "tissue": [r.tissue for r in regions]})
    key["patch"] = np.array([r.patch for r in regions], np.int64)
    return key.assign(**{name: series[name] for name in FEATURE_KEY if name in series.index})[FEATURE_KEY]


@dataclass(frozen=True)
class RadiomicsRun:
    """What is common to the series of a chunk."""

    settings: RadiomicsSettings
    volumes: Path | str
    """Folder of `<series_uid>.b2nd`."""
    group: Group
    share: float = 0.01
    """Share of the regions that PyRadiomics computes, too."""
    seed: int = 0
    threads: int = 1


def extract(run: RadiomicsRun, registered: pd.DataFrame, uids: list[str]) -> tuple[pd.DataFrame, Verification]:
    """Extract the features of the group's regions in the series `uids`, and verify a sample of them.

    `registered` has the rows of the registered series. `UserError` where a series, a volume or a region is missing or
    does not suit the settings, and where a verified value differs from PyRadiomics' by more than `TOLERANCE`.
    """
    known = registered.set_index("series_uid", drop=False)
    uids = sorted(set(uids))
    unknown = [uid for uid in uids if uid not in known.index]
    if unknown:
        raise UserError(f"series {unknown[0]} is not in the table of registered series; name only series of that table")
    regions = run.group.regions
    for region in regions:
        check_size(region, run.settings)
    engine = _Engine(run.settings, run.threads)
    # A whole ROI is told from a patch by -1.
    keys = [(uid, region.roi, region.patch if region.inside is None else -1) for uid in uids for region in regions]
    drawn = draw_sample(keys, run.share, run.seed) if run.settings.engine == FAST else set()
    tables = []
    for count, uid in enumerate(uids):
        series = _Series(open_volume(Path(run.volumes) / f"{uid}{SUFFIX}"), uid, run.group)
        values = engine.features(series)
        engine.verify(series, values, [n for n in range(len(regions)) if count * len(regions) + n in drawn])
        features = pd.DataFrame(values, columns=list(engine.columns), dtype=np.float64)
        tables.append(pd.concat([_key_columns(known.loc[uid], regions), features], axis=1))
        logging.info("radiomics: series %d of %d", count + 1, len(uids))
    return sort_features(pd.concat(tables, ignore_index=True)), engine.verification


def describe(run: RadiomicsRun, table: pd.DataFrame, verification: Verification, extractor: str = "radiomics") -> dict:
    """Say what the table was made with, as in `<extractor>.json`."""
    columns, settings = feature_columns(table), run.settings
    rois = run.group.regions if run.group.patches is None else []
    return {
        "extractor": extractor,
        "n_features": len(columns),
        "engine": settings.engine,
        "engine_reason": settings.reason,
        "settings": settings.resolved,
        "params_file": settings.file,
        "params_sha256": settings.sha256,
        "roi_voxels": {region.roi: region.n_voxels for region in rois},
        "weights": None,
        "status": "deterministic",
        "seed": run.seed,
        "versions": {"pyradiomics": version("pyradiomics")},
        "not_finite": int((~np.isfinite(table[columns].to_numpy())).sum()),
        "verified": verification.regions,
        "largest_difference": verification.largest,
        "largest_difference_at": verification.at,
        "tolerance": TOLERANCE,
    }
