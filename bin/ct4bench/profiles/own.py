"""Noise and sharpness on the scanner's own grid, where no voxel has been interpolated.

Places come from the reference: the registration carries every voxel of a region back to it. A step is read from all
voxels over their distance from it, so that a grid that lies askew samples it finely (Fujita et al., IEEE TMI 11, 1992)
instead of blurring it.
"""

import numpy as np

from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.phantom import STAR_PAIRS, ZONE_FREQUENCY
from ct4bench.preprocess.resampling import index_map
from ct4bench.profiles import noise, sharpness
from ct4bench.profiles.profiler import (
    BLOCK_FACES,
    NO_BLOCK,
    STAR_REACH_MM,
    Profiler,
    absent,
    contrast_rows,
    region_rows,
    sample_of,
    sigma_row,
    spectrum_rows,
    step_rows,
    wave_rows,
)

OTHER_GRIDS = "the repetitions lie on different grids"
NOT_AS_SCANNED = "stretched: the images are not those that were scanned"
MOST_VOXELS = 600_000
"""Waves are fitted to so many voxels of a pattern, evenly chosen."""
BINS_A_VOXEL = 4
"""A step's profile has up to so many points a voxel, as many as the grid lies askew enough to fill."""
FEW = 0.05
"""Points of a profile with a smaller share of the largest count are left out."""


class Part:
    """A box of the own grid round a region of the common one: `box`, and the voxels' places there.

    `at` are continuous indices of the common grid along slice, row and column, of the shape of the box; `inside` tells
    which voxels' centres lie in the region.
    """

    def __init__(self, own: Grid, common: Grid, motion: Rigid, window):
        ends = [(s.start - 0.5, s.stop - 0.5) for s in window]
        corners = np.array([[z, y, x] for z in ends[0] for y in ends[1] for x in ends[2]])
        index = own.to_index(motion(common.to_lps(corners)))
        first = np.clip(np.floor(index.min(axis=0)), 0, own.shape).astype(int)
        stop = np.clip(np.ceil(index.max(axis=0)) + 1, 0, own.shape).astype(int)
        self.box = tuple(slice(int(a), int(max(a, b))) for a, b in zip(first, stop, strict=True))
        matrix, offset = index_map(own, common, motion.inverse())
        k, j, i = np.ogrid[self.box]
        self.at = [matrix[a, 0] * k + matrix[a, 1] * j + matrix[a, 2] * i + offset[a] for a in range(3)]
        self.inside = np.ones(self.at[0].shape, bool)
        for at, (low, high) in zip(self.at, ends, strict=True):
            self.inside &= (at >= low) & (at < high)


class OwnGrid:
    """Where the regions of a profiler's reference lie on the own grid of a series, and what is measured there."""

    def __init__(self, profiler: Profiler, grid: Grid, motion: Rigid):
        self.profiler, self.grid, self._motion = profiler, grid, motion
        self.rois = {roi: self._roi(roi) for roi in profiler.rois}
        self.rois = {roi: index for roi, index in self.rois.items() if len(index)}
        self.block = self._block() if profiler.main in self.rois else None

    def _part(self, window) -> Part:
        return Part(self.grid, self.profiler.grid, self._motion, window)

    def _roi(self, roi: str) -> np.ndarray:
        """Flat indices of the voxels whose centres lie in a voxel of the ROI."""
        part = self._part(self.profiler.roi_box[roi])
        nearest = tuple(np.rint(at[part.inside]).astype(int) for at in part.at)
        chosen = part.inside.copy()
        chosen[part.inside] = self.profiler.labels[nearest] == self.profiler.number(roi)
        places = np.nonzero(chosen)
        return np.ravel_multi_index([p + s.start for p, s in zip(places, part.box, strict=True)], self.grid.shape)

    def _block(self):
        places = np.unravel_index(self.rois[self.profiler.main], self.grid.shape)
        first = [p.min() for p in places]
        mask = np.zeros([p.max() - low + 1 for p, low in zip(places, first, strict=True)], bool)
        mask[tuple(p - low for p, low in zip(places, first, strict=True))] = True
        box = noise.homogeneous_block(mask)
        return box and tuple(slice(int(s.start + low), int(s.stop + low)) for s, low in zip(box, first, strict=True))

    def same_as(self, grid: Grid) -> bool:
        """Tell whether another repetition lies on this grid."""
        return self.grid.same_as(grid)

    def series_rows(self, volume: np.ndarray) -> list[dict]:
        """Return the rows of one series' noise and sharpness (`volume` int16 HU on the own grid)."""
        found = {roi: noise.masked_moments(volume, index) for roi, index in self.rois.items()}
        rows = region_rows(found) + contrast_rows(found, "cnr", self.profiler.phantom)
        if self.block is None:
            rows.append(absent("noise", "total_nps_mean_per_mm", self.profiler.main, NO_BLOCK))
        else:
            block = noise.detrended(volume[self.block])
            rows += spectrum_rows([block], self.grid.spacing_mm, "total", self.profiler.main)
        return rows + self._steps(volume) + self._faces(volume) + self._waves(volume)

    def _steps(self, volume: np.ndarray) -> list[dict]:
        rows, common = [], self.profiler.grid
        for name, (window, axis, position_mm, period) in self.profiler.steps.items():
            part = self._part(window)
            if part.inside.sum() < 100:
                continue
            places_mm = [common.origin_mm[2 - a] + common.spacing_mm[a] * part.at[a][part.inside] for a in range(3)]
            x, beside = places_mm.pop(axis), np.stack(places_mm)
            values = volume[part.box][part.inside].astype(np.float64)
            values = sharpness.without_ramps(x, beside, values, position_mm)
            places, profile, count = binned_profile(x, values, self._spacing_along(axis) / BINS_A_VOXEL)
            rows += step_rows(name, axis, places, profile, position_mm, period, count)
        return rows

    def _spacing_along(self, axis: int) -> float:
        """Voxel size in mm along the own axis that lies nearest to an axis of the common grid."""
        column = self._motion.matrix @ self.profiler.grid.affine[:3, axis]
        along = np.abs(column @ (self.grid.affine[:3, :3] / np.array(self.grid.spacing_mm)))
        return float(self.grid.spacing_mm[int(np.argmax(along))])

    def _faces(self, volume: np.ndarray) -> list[dict]:
        rows = []
        for name, (window, *_) in self.profiler.faces.items():
            part = self._part(window)
            (face,) = [f for f in self.profiler.block.faces if (f.axis, f.side) == BLOCK_FACES[name]]
            common = self.profiler.grid
            depth = face.offset_mm - sum(
                face.normal[2 - a] * (common.origin_mm[2 - a] + common.spacing_mm[a] * part.at[a]) for a in range(3)
            )
            used = part.inside & (depth > -5.0) & (depth < 0.25)
            if used.sum() < 100:
                continue
            places, profile, _ = binned_profile(depth[used], volume[part.box][used].astype(np.float64), 0.1)
            rows.append(sigma_row("edge_sigma", name, sharpness.fit_face(places, profile).sigma_mm))
        return rows

    def _waves(self, volume: np.ndarray) -> list[dict]:
        rows, profiler = [], self.profiler
        for stem, found in (("star", profiler.star), ("zone", profiler.zone)):
            if found is None:
                continue
            part = self._part(found.window)
            index = np.flatnonzero(part.inside)
            index = index[:: max(1, len(index) // MOST_VOXELS)]
            from_centre = [
                (at.reshape(-1)[index] - s.start - c) * d
                for at, s, c, d in zip(part.at, found.window, found.centre, profiler.grid.spacing_mm, strict=True)
            ]
            if stem == "star":
                waves = sharpness.star_waves_at(*from_centre[1:], STAR_PAIRS, STAR_REACH_MM)
            else:
                waves = sharpness.zone_waves_at(*from_centre, *ZONE_FREQUENCY, len(found.phases))
            values = volume[part.box].reshape(-1)[index]
            rows += wave_rows(stem, waves, sharpness.projected(waves.fit(values), found.phases))
        return rows

    def sample(self, volume: np.ndarray) -> dict[str, np.ndarray]:
        """Take what `repeat_rows` needs of a volume: voxels of the ROIs, and the homogeneous block."""
        return sample_of(volume, self.rois, self.block)


def binned_profile(x: np.ndarray, values: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean places, mean values and counts in bins of a width, ascending.

    A cluster of places that an edge of bins cuts is one point, not two that nearly coincide: neighbours less than half
    a width apart are merged. Points of hardly a value are left out.
    """
    number = np.floor((x - x.min()) / width).astype(int)
    count = np.bincount(number)
    sums = np.stack([count, np.bincount(number, x), np.bincount(number, values)])
    sums = sums[:, count > 0]
    merged = [sums[:, 0]]
    for column in sums.T[1:]:
        if column[1] / column[0] - merged[-1][1] / merged[-1][0] < 0.5 * width:
            merged[-1] = merged[-1] + column
        else:
            merged.append(column)
    count, place, value = np.stack(merged, axis=1)
    good = count > FEW * count.max()
    count, place, value = count[good], place[good], value[good]
    return place / count, value / count, count
