"""What the images of a series say of its scanner, as rows of a tidy table; measured on the common grid.

A `Profiler` is made ready once from the reference; `series_rows` measures one volume, `repeat_rows` several repetitions
of one scanner, dose and reconstruction. Volumes are arrays of HU on the common grid, so that a method that changes
images is measured in the same way; `own` measures noise and sharpness on the scanner's grid, where nothing has been
interpolated. A row is kind, measure, region, at, value, reason: `at` is the point on a curve
(a frequency, a depth, a lag; its unit is in `merge.AT_UNITS`), `reason` says why a value is missing.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import DOTS_PERIOD_MM, STAR_CENTRE, STAR_PAIRS, ZONE_CENTRE, ZONE_FREQUENCY
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.preprocess.block import Block
from ct4bench.profiles import noise, patterns, sharpness
from ct4bench.profiles.calibration import calibration_line, trimmed_mean, wedge_curve
from ct4bench.profiles.displacement import Displacements, LocalField, field_summary

BLOCK = "block"
"""Name of the homogeneous block among the ROIs of a sample."""
ONE_REPETITION = "one repetition: quantum noise and printed texture cannot be told apart"
NO_FIT = "no curve of its form fits"
MOST_TRANSFER = 1.1
"""A transfer function that rises above this is of noise, not of the step; that of a sharp kernel stays below."""
RISES = f"the transfer function rises above {MOST_TRANSFER:g}: noise, or too few points"
NO_FALL = "the transfer function does not fall to this level"
NO_BLOCK = "no homogeneous block of 8 voxels a side"
BLOCK_FACES = {"block_left": (2, 0), "block_right": (2, 1), "block_top": (1, 0)}
FACE_MARGIN_MM = 20.0
STAR_REACH_MM = (4.5, 43.5)
MIN_STEP_HU, MIN_WEDGE_CORRELATION, MIN_WAVE_HU = 60.0, 0.99, 8.0
LIVER_RANGE_HU = 60.0, 130.0
"""What a pattern must show in the reference to count as found."""


def row(kind: str, measure: str, region: str, value, at: float = float("nan"), reason: str = "") -> dict:
    """Make one row of a profile."""
    return {
        "kind": kind,
        "measure": measure,
        "region": region,
        "at": float(at),
        "value": float(value),
        "reason": reason,
    }


def absent(kind: str, measure: str, region: str, reason: str) -> dict:
    """Make a row that says why there is no value."""
    return row(kind, measure, region, float("nan"), reason=reason)


@dataclass(frozen=True)
class Pattern:
    """A printed pattern of waves in the reference: its window and centre (in voxels from the window's first), and the
    phase of each ring or shell."""

    window: tuple[slice, slice, slice]
    centre: tuple[float, float, float]
    waves: sharpness.Waves
    phases: np.ndarray


def bounding(index: np.ndarray, shape) -> tuple[slice, slice, slice]:
    """Return the bounding box of flat indices."""
    return tuple(slice(int(p.min()), int(p.max()) + 1) for p in np.unravel_index(index, shape))


class Profiler:
    """Everything that is the same for all volumes on the grid of one reference."""

    def __init__(
        self,
        reference: np.ndarray,
        labels: np.ndarray,
        grid: Grid,
        block: Block,
        box_origin_mm,
        phantom: Phantom = CT4HARMONIZATION,
    ):
        self.grid, self.block, self.phantom = grid, block, phantom
        self.labels = labels
        self.main = phantom.main_region
        """The ROI whose inner block serves for spectra."""
        flat = labels.reshape(-1)
        self.rois = {roi: np.flatnonzero(flat == n) for n, roi in enumerate(phantom.names, 1)}
        self.rois = {roi: index for roi, index in self.rois.items() if len(index)}
        self.roi_box = {roi: bounding(index, labels.shape) for roi, index in self.rois.items()}
        self.reference_means = {roi: noise.masked_moments(reference, index)[0] for roi, index in self.rois.items()}
        self.homogeneous = None
        if self.main in self.rois:
            box = self.roi_box[self.main]
            inner = noise.homogeneous_block(labels[box] == self.number(self.main))
            if inner is not None:
                self.homogeneous = tuple(
                    slice(b.start + i.start, b.start + i.stop) for b, i in zip(box, inner, strict=True)
                )
        self.absent: list[dict] = []
        self.steps, self.faces, self.wedge, self.liver, self.star, self.zone = {}, {}, None, None, None, None
        if phantom.printed_block:
            self._find_print(reference, box_origin_mm)
        self.field = LocalField(reference, grid, block)
        if not len(self.field.position_mm):
            self.absent.append(absent("geometry", "displacement_median_mm", "block", "no cell lies in the volume"))

    def number(self, roi: str) -> int:
        """Return the value that a ROI has in the labels."""
        return self.phantom.names.index(roi) + 1

    # ------------------------------------------------------------------------------------------ what is where
    def _find_print(self, reference: np.ndarray, box_origin_mm) -> None:
        """What the printed block has beside its ROIs: steps, faces, wedge, liver, star and zone plate."""
        self.layout = patterns.find_layout(self.grid, self.block, box_origin_mm)
        self.steps = self._find_steps(reference)
        self.faces = self._find_faces(reference)
        self.wedge = self._find_wedge(reference)
        self.liver = self._find_liver(reference)
        self.star = self._find_star(reference)
        self.zone = self._find_zone(reference)

    def _missing(self, kind: str, measure: str, region: str, window, what: str) -> None:
        reason = f"{what} is not in the volume" if window is None else f"{what} is not found in the reference"
        self.absent.append(absent(kind, measure, region, reason))

    def _find_steps(self, reference: np.ndarray) -> dict[str, tuple]:
        """Steps inside the block: window, axis, position in mm and period of the pattern beside it, by region."""
        reach = patterns.STEP_REACH_MM / patterns.A1_GRID.spacing_mm[2]
        columns = (patterns.PANEL_STEP_COLUMN - reach, patterns.PANEL_STEP_COLUMN + reach)
        z = patterns.LIVER_STEP_REACH_MM / patterns.A1_GRID.spacing_mm[0]
        slices = (patterns.LIVER_STEP_SLICE - z, patterns.LIVER_STEP_SLICE + z)
        wanted = {
            "plain_to_wedge": (patterns.PATTERN_SLICES, patterns.PLAIN_STEP_ROWS, columns, 2, None),
            "dots_to_wedge": (patterns.PATTERN_SLICES, patterns.DOTS_STEP_ROWS, columns, 2, DOTS_PERIOD_MM),
            "wedge_to_liver": (slices, *patterns.LIVER_STEP_PANEL, 0, None),
        }
        found = {}
        for name, (slices, rows, columns, axis, period) in wanted.items():
            depth = None if axis == 0 else patterns.MIN_DEPTH_MM
            window = self.layout.window(slices, rows, columns, depth)
            measure = "slice_sigma_mm" if axis == 0 else "edge_sigma_mm"
            middle = [patterns.LIVER_STEP_SLICE, np.mean(rows), patterns.PANEL_STEP_COLUMN]
            if window is not None:
                position_mm = float(self.layout.mm(middle)[2 - axis])
                step = self._step(reference, window, axis, position_mm, period)
                if np.isfinite(step.sigma_mm) and abs(step.high_hu - step.low_hu) >= MIN_STEP_HU:
                    found[name] = (window, axis, step.position_mm, period)
                    continue
            self._missing("sharpness", measure, name, window, f"the step {name.replace('_', ' ')}")
        return found

    def _profile(self, volume: np.ndarray, window, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Places in mm along an axis and mean HU over the other two, in a window."""
        mean = volume[window].mean(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64)
        n = window[axis]
        return self.grid.origin_mm[2 - axis] + self.grid.spacing_mm[axis] * np.arange(n.start, n.stop), mean

    def _step(self, volume, window, axis, position_mm, period_mm) -> sharpness.Step:
        return sharpness.fit_step(*self._profile(volume, window, axis), position_mm, period_mm)

    def _find_faces(self, reference: np.ndarray) -> dict[str, tuple]:
        """Faces to air: window, axis, voxels' bin of depth and depth of each bin, by region."""
        found = {}
        for name, (axis, side) in BLOCK_FACES.items():
            (face,) = [f for f in self.block.faces if (f.axis, f.side) == (axis, side)]
            window = None if face.cut else self._face_window(axis, side)
            if window is None:
                self._missing("sharpness", "edge_sigma_mm", name, window, f"the face {name.replace('_', ' ')}")
                continue
            index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"), axis=-1)
            depth = face.depth_mm(self.grid.to_lps(index))
            number = np.where((depth > -5.0) & (depth < 0.25), np.floor((depth + 5.0) / 0.1), -1).astype(int)
            used = np.flatnonzero(number.ravel() >= 0)
            number, depth = number.ravel()[used], depth.ravel()[used]
            count = np.bincount(number)
            good = count > 0
            depths_mm = np.bincount(number, depth)[good] / count[good]
            found[name] = (window, axis, used, number, count, good, depths_mm)
        return found

    def _face_window(self, axis: int, side: int):
        box, spacing = self.block.box, self.grid.spacing_mm
        window = []
        for a in range(3):
            margin = int(np.ceil(FACE_MARGIN_MM / spacing[a]))
            faces = [f.cut for f in self.block.faces if f.axis == a]
            first, stop = box[a][0] + (0 if faces[0] else margin), box[a][1] - (0 if faces[1] else margin)
            if a == axis:
                edge = box[a][0] if side == 0 else box[a][1]
                reach = int(np.ceil(7.0 / spacing[a]))
                first, stop = edge - reach, edge + reach
                if first < 0 or stop > self.grid.shape[a]:
                    first, stop = max(first, 0), min(stop, self.grid.shape[a])
                    if stop - first < reach + int(np.ceil(4.0 / spacing[a])):
                        return None
            if stop - first < 4:
                return None
            window.append(slice(first, stop))
        return tuple(window)

    def _face_step(self, volume: np.ndarray, name: str) -> sharpness.Step:
        window, _, used, number, count, good, depths_mm = self.faces[name]
        values = volume[window].reshape(-1)[used].astype(np.float64)
        return sharpness.fit_face(depths_mm, np.bincount(number, values)[good] / count[good])

    def _find_wedge(self, reference: np.ndarray):
        window = self.layout.window(patterns.PATTERN_SLICES, *patterns.WEDGE_PANEL, patterns.MIN_DEPTH_MM)
        if window is not None:
            depth, curve = wedge_curve(reference[window], self.grid.spacing_mm[1])
            if np.corrcoef(depth, curve)[0, 1] >= MIN_WEDGE_CORRELATION and np.ptp(curve) > 200:
                return window, curve
        self._missing("calibration", "calibration_slope", "wedge", window, "the wedge")
        return None

    def _find_liver(self, reference: np.ndarray):
        """Windows of liver near the ribs and further inwards, and by how much the reference is brighter in the first:
        by its own shading, and by what was printed there."""
        ends = patterns.LIVER_SLICES, patterns.LIVER_ROWS
        windows = [self.layout.window(*ends, columns) for columns in (patterns.NEAR_RIBS, patterns.INWARDS)]
        whole = None if None in windows else windows
        if whole:
            low, high = LIVER_RANGE_HU
            near, inwards = (trimmed_mean(reference[window]) for window in whole)
            if low <= min(near, inwards) and max(near, inwards) <= high:
                return whole, near - inwards
        self._missing("calibration", "shading_hu", "liver", whole, "the liver near the ribs")
        return None

    def _find_star(self, reference: np.ndarray):
        window = self.layout.window(patterns.PATTERN_SLICES, *patterns.STAR_PANEL, patterns.MIN_DEPTH_MM)
        if window is not None:
            image = reference[window].mean(axis=0, dtype=np.float64)
            centre = self.layout.index((patterns.PATTERN_SLICES[0], *STAR_CENTRE))[1:]
            centre = centre - [window[1].start, window[2].start]
            spacing = self.grid.spacing_mm[1:]
            centre = sharpness.find_star(image, centre, spacing, STAR_PAIRS)
            waves = sharpness.star_waves(image.shape, centre, spacing, STAR_PAIRS, STAR_REACH_MM)
            found = waves.fit(image)
            outer = np.nanmean(np.abs(found[len(found) // 2 :]))
            if outer >= MIN_WAVE_HU:
                phases = sharpness.directions(found, waves.count, len(found))
                return Pattern(window, (0.0, *centre), waves, phases)
        self._missing("sharpness", "star_modulation", "siemens_star", window, "the Siemens star")
        return None

    def _find_zone(self, reference: np.ndarray):
        window = self.layout.window(patterns.PATTERN_SLICES, *patterns.ZONE_PANEL, patterns.MIN_DEPTH_MM)
        if window is not None:
            centre = self.layout.index(ZONE_CENTRE) - [s.start for s in window]
            shape = tuple(s.stop - s.start for s in window)
            waves = sharpness.zone_waves(shape, centre, self.grid.spacing_mm, *ZONE_FREQUENCY)
            found = waves.fit(reference[window])
            phases = sharpness.directions(found, waves.count, 2)
            if np.nanmax(sharpness.projected(found, phases)) >= MIN_WAVE_HU:
                return Pattern(window, tuple(centre), waves, phases)
        self._missing("sharpness", "zone_modulation", "zone_plate", window, "the zone plate")
        return None

    # ------------------------------------------------------------------------------------------ one series
    def series_rows(self, volume: np.ndarray) -> tuple[list[dict], Displacements]:
        """Return the rows of all that one volume tells, and its local displacements."""
        rows = self._roi_rows(volume)
        rows += self._single_spectrum_rows(volume)
        rows += self._step_rows(volume) + self._wave_rows(volume)
        rows += self._wedge_rows(volume) + self._shading_rows(volume)
        field = self.field.measure(volume)
        if len(field.position_mm):
            rows += [row("geometry", name, "block", value) for name, value in field_summary(field).items()]
        return rows + [dict(entry) for entry in self.absent], field

    def _roi_rows(self, volume: np.ndarray) -> list[dict]:
        found = {roi: noise.masked_moments(volume, index) for roi, index in self.rois.items()}
        bias = [row("noise", "bias_hu", roi, mean - self.reference_means[roi]) for roi, (mean, _) in found.items()]
        return region_rows(found) + bias + contrast_rows(found, "cnr", self.phantom)

    def _single_spectrum_rows(self, volume: np.ndarray) -> list[dict]:
        if self.homogeneous is None:
            return [absent("noise", "total_nps_mean_per_mm", self.main, NO_BLOCK)]
        return spectrum_rows([noise.detrended(volume[self.homogeneous])], self.grid.spacing_mm, "total", self.main)

    def _step_rows(self, volume: np.ndarray) -> list[dict]:
        rows = []
        for name, (window, axis, position_mm, period) in self.steps.items():
            rows += step_rows(name, axis, *self._profile(volume, window, axis), position_mm, period)
        for name in self.faces:
            rows.append(sigma_row("edge_sigma", name, self._face_step(volume, name).sigma_mm))
        return rows

    def _wave_rows(self, volume: np.ndarray) -> list[dict]:
        rows = []
        for stem, found in (("star", self.star), ("zone", self.zone)):
            if found is None:
                continue
            part = volume[found.window]
            image = part.mean(axis=0, dtype=np.float64) if stem == "star" else part
            rows += wave_rows(stem, found.waves, sharpness.projected(found.waves.fit(image), found.phases))
        return rows

    def _wedge_rows(self, volume: np.ndarray) -> list[dict]:
        if self.wedge is None:
            return []
        window, reference = self.wedge
        depth, curve = wedge_curve(volume[window], self.grid.spacing_mm[1])
        line = calibration_line(reference, curve)
        rows = [row("calibration", "wedge_hu", "wedge", hu, at) for at, hu in zip(depth, curve, strict=True)]
        rows += [
            row("calibration", "wedge_less_reference_hu", "wedge", hu - ref, ref)
            for hu, ref in zip(curve, reference, strict=True)
        ]
        rows.append(row("calibration", "calibration_slope", "wedge", line.slope))
        rows.append(row("calibration", "calibration_offset_hu", "wedge", line.offset_hu))
        rows.append(row("calibration", "calibration_residual_hu", "wedge", line.residual_hu))
        return rows

    def _shading_rows(self, volume: np.ndarray) -> list[dict]:
        if self.liver is None:
            return []
        windows, reference_hu = self.liver
        near, inwards = (trimmed_mean(volume[window]) for window in windows)
        return [row("calibration", "shading_hu", "liver", near - inwards - reference_hu)]

    # ------------------------------------------------------------------------------------------ repetitions
    def sample(self, volume: np.ndarray) -> dict[str, np.ndarray]:
        """Take what `repeat_rows` needs of a volume: voxels of the ROIs, and the homogeneous block."""
        return sample_of(volume, self.rois, self.homogeneous)


def sample_of(volume: np.ndarray, rois: dict[str, np.ndarray], block) -> dict[str, np.ndarray]:
    """Take the voxels of ROIs (flat indices by name), and of a block (slices, or None) under the name `BLOCK`."""
    out = {roi: volume.reshape(-1)[index] for roi, index in rois.items()}
    if block is not None:
        out[BLOCK] = volume[block].copy()
    return out


def contrast_rows(
    moments: dict[str, tuple[float, float]], measure: str, phantom: Phantom = CT4HARMONIZATION
) -> list[dict]:
    """Return the contrast-to-noise of each pair of tissues from mean and SD by ROI; a tissue's ROIs count alike."""
    tissues = {}
    for tissue in phantom.tissues:
        own = [value for roi, value in moments.items() if phantom.tissue_of(roi) == tissue]
        if own:
            tissues[tissue] = (np.mean([m for m, _ in own]), np.sqrt(np.mean([s**2 for _, s in own])))
    return [
        row("sharpness", measure, f"{a}_{b}", sharpness.contrast_to_noise(*tissues[a], *tissues[b]))
        for a, b in combinations(tissues, 2)
    ]


def region_rows(found: dict[str, tuple[float, float]]) -> list[dict]:
    """Make the rows of mean and SD by ROI."""
    rows = []
    for roi, (mean, sd) in found.items():
        rows += [row("noise", "mean_hu", roi, mean), row("noise", "total_sd_hu", roi, sd)]
    return rows


def sigma_row(measure: str, region: str, sigma_mm: float) -> dict:
    """Make the row of a sigma, or of why there is none."""
    if not np.isfinite(sigma_mm):
        return absent("sharpness", f"{measure}_mm", region, NO_FIT)
    return row("sharpness", f"{measure}_mm", region, sigma_mm)


def step_rows(
    name: str, axis: int, x: np.ndarray, profile: np.ndarray, position_mm: float, period, count=None
) -> list[dict]:
    """Return the rows of a step along an axis near `position_mm`: mean HU `profile` of `count` voxels at places `x` in
    mm, ascending; without `count` all weigh alike."""
    step = sharpness.fit_step(x, profile, position_mm, period, count)
    rows = [sigma_row("slice_sigma" if axis == 0 else "edge_sigma", name, step.sigma_mm)]
    if not np.isfinite(step.sigma_mm):
        return rows
    if axis == 0:
        return [*rows, row("sharpness", "slice_fwhm_mm", name, 2 * np.sqrt(2 * np.log(2)) * step.sigma_mm)]
    f = np.arange(0, 0.7001, 0.01)
    plain = sharpness.without_wave(x, profile, step, period)
    return rows + curve_rows(name, f, sharpness.transfer_function(x, plain, step.position_mm, f))


def curve_rows(name: str, f: np.ndarray, curve: np.ndarray) -> list[dict]:
    """Return the rows of a transfer function at frequencies in 1/mm, 0.01 apart; blank where it rises above
    `MOST_TRANSFER`, or does not fall to a level, with the reason."""
    reason = "" if curve.max() <= MOST_TRANSFER else RISES
    rows = [
        row("sharpness", "ttf", name, np.nan if reason else v, at, reason)
        for at, v in zip(f[::5], curve[::5], strict=True)
    ]
    for level in (50, 10):
        found = np.nan if reason else sharpness.falls_to(f, curve, level / 100)
        why = "" if np.isfinite(found) else reason or NO_FALL
        rows.append(row("sharpness", f"ttf{level}_per_mm", name, found, reason=why))
    return rows


def wave_rows(stem: str, waves: sharpness.Waves, amplitude: np.ndarray) -> list[dict]:
    """Return the rows of a pattern of waves (`star`, `zone`) from its amplitudes in HU along the reference's phase."""
    name = {"star": "siemens_star", "zone": "zone_plate"}[stem]
    sigma, height = sharpness.gaussian_sigma(waves.frequency_per_mm, amplitude, waves.count)
    rows = [sigma_row(f"{stem}_sigma", name, sigma)]
    if not np.isfinite(sigma):
        return rows
    for f, a in sorted(zip(waves.frequency_per_mm, amplitude, strict=True)):
        if np.isfinite(a):
            rows.append(row("sharpness", f"{stem}_amplitude_hu", name, a, f))
            rows.append(row("sharpness", f"{stem}_modulation", name, a / height, f))
    return rows


def spectrum_rows(blocks: list[np.ndarray], spacing_mm, component: str, region: str) -> list[dict]:
    """Return the noise power spectrum, its peak and mean frequency, SD and autocorrelation, from blocks of noise of
    mean zero in a region."""
    power = np.mean([noise.power_spectrum(block, spacing_mm) for block in blocks], axis=0)
    rings, (along, line) = noise.in_plane(power, spacing_mm), noise.along_z(power, spacing_mm)
    volume = power.size * float(np.prod(spacing_mm))
    numbers = {
        "nps_mean_per_mm": noise.mean_frequency(rings.f_per_mm, rings.power),
        "nps_z_mean_per_mm": noise.mean_frequency(along, line),
        "block_sd_hu": np.sqrt(power.sum() / volume),
    }
    if component == "quantum":
        # the texture's power only falls, so that a total has no peak
        peaked = np.mean([noise.power_spectrum(noise.tapered(block), spacing_mm) for block in blocks], axis=0)
        numbers["nps_peak_per_mm"] = noise.peak_frequency(noise.in_plane(peaked, spacing_mm))
    rows = [row("noise", f"{component}_{name}", region, value) for name, value in numbers.items()]
    rows += [
        row("noise", f"{component}_nps_hu2_mm2", region, p, at)
        for at, p in zip(rings.f_per_mm, rings.power, strict=True)
    ]
    rows += [row("noise", f"{component}_nps_z_hu2_mm", region, p, at) for at, p in zip(along, line, strict=True)]
    for axis, name in enumerate("zyx"):
        found = np.mean([noise.autocorrelation(block, axis) for block in blocks], axis=0)
        rows += [
            row("noise", f"{component}_autocorrelation_{name}", region, c, lag * spacing_mm[axis])
            for lag, c in zip(noise.LAGS, found, strict=True)
        ]
    return rows


def repeat_rows(samples: list[dict[str, np.ndarray]], spacing_mm, phantom: Phantom = CT4HARMONIZATION) -> list[dict]:
    """Return the rows of what repetitions tell, from samples of one grid; with one, rows that say why there is none."""
    rois = [name for name in samples[0] if name != BLOCK]
    if len(samples) < 2:
        return no_repeat_rows(rois, ONE_REPETITION, phantom)
    rows, found = [], {}
    for roi in rois:
        parts = noise.separate(np.stack([sample[roi] for sample in samples]))
        rows.append(row("noise", "quantum_sd_hu", roi, parts.quantum_sd_hu))
        rows.append(row("noise", "texture_sd_hu", roi, parts.texture_sd_hu))
        found[roi] = (parts.mean_hu, parts.quantum_sd_hu)
    rows += contrast_rows(found, "quantum_cnr", phantom)
    if BLOCK in samples[0]:
        blocks = noise.differences(np.stack([sample[BLOCK] for sample in samples]))
        rows += spectrum_rows([block - block.mean() for block in blocks], spacing_mm, "quantum", phantom.main_region)
    return rows


def no_repeat_rows(rois, reason: str, phantom: Phantom = CT4HARMONIZATION) -> list[dict]:
    """Return rows that say why repetitions tell nothing."""
    rows = [absent("noise", name, roi, reason) for roi in rois for name in ("quantum_sd_hu", "texture_sd_hu")]
    names = ("nps_peak_per_mm", "nps_mean_per_mm", "autocorrelation_z")
    return rows + [absent("noise", f"quantum_{name}", phantom.main_region, reason) for name in names]
