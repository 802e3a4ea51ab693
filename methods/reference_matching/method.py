"""Brings a volume's calibration, sharpness and noise to those of a reference scanner, measured where the phantom lies.

Every volume here is a scan of the same printed phantom, registered to one grid, so that what is measured on a volume
is compared with the same place of the reference. `phantom` says where: boxes in voxels, as (first, stop) along slices,
rows and columns. A volume is changed by what is measured on that volume alone; `fit` learns the reference.
"""

import zlib

import numpy as np
from scipy import fft
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_filter1d, maximum_filter, uniform_filter
from scipy.optimize import curve_fit
from scipy.special import erf

STRIP_MM = 6.0
SOFT_HU = -100.0, 200.0
"""What counts as soft tissue in the reference, whose columns tell of shading."""
SMOOTH_MM, RISE_MM = 8.0, 3.0
"""Gaussian sigma of shading across columns, and the length over which it begins along slices."""
AIR_HU, LINEAR_HU = -900.0, -300.0
"""Below the first a value is air and stays; above the second the line of calibration holds."""
REACH = 3
"""Voxels beside what a scan does not show that do not count either: it ends in a slope."""
LEAST_SEEN, LEAST_RANGE = 0.25, 0.5
"""Share of a strip or region that must be in view for it to count, and of the HU of all of them for a line."""
BASE = 7
"""Side in voxels of the window whose mean is what the noise lies on."""
EDGE = 1.6
"""A window whose variance is so many times that of the homogeneous block holds an edge."""
MARGIN = 16
"""Voxels round the homogeneous block that its filtering reaches to."""
ROUNDS = 2
LOWEST_PER_MM = 0.035
SLAB, HALO = 64, 14
"""Slices that are filtered at a time, and how many more on either side."""


def part(volume, box):
    """Return the part of a volume in a box."""
    return volume[tuple(slice(*ends) for ends in box)]


# ------------------------------------------------------------------------------------------------------- view
def air(part):
    """Return which voxels of a part are air, by means over three voxels a side."""
    return uniform_filter(part, 3, mode="nearest") < LINEAR_HU


def near(mask):
    """Return which voxels are true, or lie within `REACH` of one that is."""
    return maximum_filter(mask, 2 * REACH + 1, mode="constant", cval=False)


def unseen(own, reference):
    """Return which voxels of a part a scan does not show: air where the reference has none nearby."""
    if own.min() >= LINEAR_HU:
        return np.zeros(own.shape, bool)
    return air(own) & ~near(air(reference))


def widened(box, shape):
    """Return a box with what lies within `REACH` of it, of a volume of that shape."""
    return [[max(a - REACH, 0), min(b + REACH, n)] for (a, b), n in zip(box, shape, strict=True)]


def cut_off(volume, box, reference, grown=near):
    """Return which voxels of a box lie near what a scan, or the reference (its part of the widened box), lacks, or are
    lacking themselves where the mask is not `grown`."""
    wide = widened(box, volume.shape)
    own = part(volume, wide)
    mask = grown(unseen(own, reference) | unseen(reference, own))
    return part(mask, [[a - first, b - first] for (a, b), (first, _) in zip(box, wide, strict=True)])


MOST_CUT = {"sharpness": (np.asarray, 0.25), "noise": (near, 0.0)}
"""Share of a step's boxes that a scan may lack, and how that is counted: an edge is measured without the outermost
slice, too, which a scan of a slab can lack where it lies a little elsewhere."""


# ------------------------------------------------------------------------------------------------- calibration
def in_strips(wedge, regions, spacing_mm):
    """Return the parts that calibration compares: strips of the wedge, then the regions."""
    rows = max(1, round(STRIP_MM / spacing_mm[1]))
    n = wedge.shape[1] // rows
    return [*np.moveaxis(wedge[:, : n * rows].reshape(len(wedge), n, rows, -1), 1, 0), *regions]


def parts_of(volume, phantom, spacing_mm):
    """Return these parts of a volume."""
    return in_strips(part(volume, phantom["wedge"]), [part(volume, box) for box in phantom["regions"]], spacing_mm)


def curve(volume, phantom, spacing_mm):
    """Return the mean HU of the wedge's strips, then of the regions, and the voxels of each."""
    parts = parts_of(volume, phantom, spacing_mm)
    return np.array([one.mean(dtype=float) for one in parts]), np.array([one.size for one in parts])


def seen_curves(own, reference, hidden, means):
    """Return the mean HU of parts of a scan, those of the reference, and weights, of voxels that are not `hidden`.

    `means` are those of the reference's whole parts. A part of which less than `LEAST_SEEN` is shown is left out.
    """
    found = []
    for one, other, mask, mean in zip(own, reference, hidden, means, strict=True):
        shown = ~mask
        if shown.all():
            found.append((one.mean(dtype=float), mean, one.size))
        elif shown.mean() >= LEAST_SEEN:
            found.append((one[shown].mean(dtype=float), other[shown].mean(dtype=float), shown.sum()))
    return np.array(found, float).reshape(-1, 3).T


def calibration(own, reference, weight):
    """Return slope and offset of the line from own HU to the reference's, through points of a weight."""
    return np.polyfit(own, reference, 1, w=np.sqrt(weight))


def calibrated(volume, slope, offset, shade=0.0):
    """Return the volume with the line, and HU by place, applied to what is not air."""
    share = np.clip((volume - AIR_HU) / (LINEAR_HU - AIR_HU), 0, 1).astype(np.float32)
    return volume + share * (np.float32(slope - 1) * volume + np.float32(offset) + shade)


# ----------------------------------------------------------------------------------------------------- shading
def body_of(phantom, spacing_mm, n_slices):
    """Return the slices of the regions, the rows from the first to the last of them, and by slice how far into the
    body it is (0 to 1): the test patterns, beside which no ribs lie, have no shading."""
    ends = np.array(phantom["regions"])
    (first, stop), rows = ((int(ends[:, axis, 0].min()), int(ends[:, axis, 1].max())) for axis in (0, 1))
    wedge = phantom["wedge"][0]
    inwards = 1 if first + stop > sum(wedge) else -1
    begin = [step["box"][0][0] + step["at_mm"] / spacing_mm[0] for step in phantom["steps"] if step["axis"] == 0]
    begin = begin[0] if begin else 0.5 * (first + wedge[1] if inwards > 0 else stop + wedge[0])
    depth_mm = inwards * (np.arange(n_slices) - begin) * spacing_mm[0]
    return slice(first, stop), slice(*rows), np.clip(depth_mm / RISE_MM, 0, 1).astype(np.float32)


def soft_tissue(part):
    """Return which voxels of a part of the reference lie in soft tissue, away from what is none."""
    mean = uniform_filter(part, 5, mode="nearest")
    return (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])


def shading(own, reference, soft, spacing_mm):
    """Return by how many HU columns of soft tissue lie below the reference's, smoothed; what a scan does not show (air
    where the reference has tissue) does not count."""
    used = soft & (own > LINEAR_HU)
    count, lacks = used.sum(axis=(0, 1)), np.sum(reference - own, axis=(0, 1), where=used, dtype=float)
    total, weight = (gaussian_filter1d(v.astype(float), SMOOTH_MM / spacing_mm[2]) for v in (lacks, count))
    known = weight > 0.05 * weight.max()
    if not known.any():
        return np.zeros(len(count), np.float32)
    places = np.arange(len(count))
    return np.interp(places, places[known], total[known] / weight[known]).astype(np.float32)


# --------------------------------------------------------------------------------------------------- sharpness
def step_sigma(volume, step, spacing_mm):
    """Return the Gaussian sigma in mm of a printed step, blurred; nan where no such curve fits."""
    axis, d = step["axis"], spacing_mm[step["axis"]]
    profile = part(volume, step["box"]).mean(axis=tuple(a for a in range(3) if a != axis), dtype=float)
    x = d * np.arange(len(profile)) - step["at_mm"]
    wave = 2 * np.pi / step["period_mm"] if step.get("period_mm") else 0.0

    def model(x, sigma, at, low, high, slope, cosine=0.0, sine=0.0):
        rise = 0.5 * (1 + erf((x - at) / (np.sqrt(2) * sigma)))
        below = low + cosine * np.cos(wave * x) + sine * np.sin(wave * x)
        return below * (1 - rise) + (high + slope * (x - at)) * rise

    start = [0.8, 0.0, profile[x < -3].mean(), profile[x > 3].mean(), 0.0] + [0.0, 0.0] * bool(wave)
    try:
        found, _ = curve_fit(model, x, profile, start, maxfev=2000)
    except RuntimeError:
        return np.nan
    return abs(found[0]) if 0.2 < abs(found[0]) < 5 and abs(found[1]) < 3 else np.nan


def gaussian_taps(sigma, n=64):
    """Return the filter (odd length) whose transfer is that of a Gaussian of `sigma` samples, however small."""
    taps = np.fft.fftshift(np.fft.ifft(np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(n)) ** 2)).real)
    half = max(int(np.ceil(4 * sigma)), 14)
    taps = taps[n // 2 - half : n // 2 + half + 1]
    return (taps / taps.sum()).astype(np.float32)


def blurred(volume, missing_mm, spacing_mm):
    """Return the volume under a Gaussian of `missing_mm` along each axis; 0 leaves an axis as it is."""
    for axis, (sigma, d) in enumerate(zip(missing_mm, spacing_mm, strict=True)):
        if sigma > 0:
            volume = correlate1d(volume, gaussian_taps(sigma / d), axis=axis, mode="nearest")
    return volume


# ------------------------------------------------------------------------------------------------------- noise
def detrended(block):
    """Return a block less its least-squares polynomial of the second order."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in block.shape), indexing="ij")
    terms = [np.ones(block.shape), *axes] + [axes[i] * axes[j] for i in range(3) for j in range(i, 3)]
    design = np.stack([term.ravel() for term in terms], axis=1)
    values = block.astype(float).ravel()
    return (values - design @ np.linalg.lstsq(design, values, rcond=None)[0]).reshape(block.shape)


def power(block):
    """Return the power spectrum (HU^2, mean = variance) of a block of noise, smoothed, even along each axis.

    A Hann window keeps the block's edges out of it; what the window's middle has more or less of is made up for.
    """
    seen = block
    for axis, n in enumerate(block.shape):
        seen = seen * np.hanning(n + 2)[1:-1].reshape([-1 if a == axis else 1 for a in range(3)])
    found = np.abs(np.fft.fftn(seen)) ** 2 * (block.var() / (seen**2).mean() / block.size)
    for axis in range(3):
        mirrored = np.roll(np.flip(found, axis), 1, axis)
        found = 0.5 * (found + mirrored)
    return gaussian_filter(found, 1.2, mode="wrap")


def window_transfer(shape):
    """Return the transfer of the mean over a window of `BASE` voxels a side."""
    total = 1.0
    for axis, n in enumerate(shape):
        f = np.fft.fftfreq(n)
        one = sum(np.cos(2 * np.pi * f * k) for k in range(-(BASE // 2), BASE // 2 + 1)) / BASE
        total = total * one.reshape([-1 if a == axis else 1 for a in range(3)])
    return total


def base_of(volume, variance):
    """Return the volume without its noise: means over windows, and near edges the volume itself (Lee 1980)."""
    mean = uniform_filter(volume, BASE, mode="nearest")
    local = uniform_filter(volume * volume, BASE, mode="nearest") - mean * mean
    edge = np.clip(1 - np.float32(EDGE * variance) / np.maximum(local, 1e-3), 0, 1)
    edge = np.minimum(1, uniform_filter(edge, 3, mode="nearest") * np.float32(EDGE))
    return mean + edge * (volume - mean)


def kernel_spectrum(transfer, size):
    """Return the half spectrum, at an FFT's size, of a real, even transfer function given at fewer frequencies."""
    kernel = np.fft.fftshift(np.fft.ifftn(transfer).real)
    wide = np.zeros(size, np.float32)
    wide[tuple(slice(0, n) for n in kernel.shape)] = kernel
    return fft.rfftn(np.roll(wide, [-(n // 2) for n in kernel.shape], axis=(0, 1, 2)))


def filtered(volume, gain, amplitude, seeds):
    """Return a volume, 0 round it, under the transfer `gain`, and noise drawn under `amplitude`, where there is one."""
    n_slices, *plane = volume.shape
    margin = [n // 2 for n in gain.shape[1:]]
    depth = min(SLAB, n_slices) + 2 * HALO
    size = [
        fft.next_fast_len(max(n, k), real=True)
        for n, k in zip((depth, *np.add(plane, margin)), gain.shape, strict=True)
    ]
    scale = kernel_spectrum(gain, size)
    noise = None if amplitude is None else kernel_spectrum(amplitude, size)
    out, slab = np.empty(volume.shape, np.float32), np.zeros(size, np.float32)
    for first in range(0, n_slices, SLAB):
        stop = min(first + SLAB, n_slices)
        low, high = max(first - HALO, 0), min(stop + HALO, n_slices)
        slab[:] = 0
        slab[low - first + HALO : high - first + HALO, : plane[0], : plane[1]] = volume[low:high]
        spectrum = fft.rfftn(slab) * scale
        if noise is not None:
            spectrum += fft.rfftn(white(seeds, first, slab)) * noise
        done = fft.irfftn(spectrum, s=size, overwrite_x=True)
        out[first:stop] = done[HALO : HALO + stop - first, : plane[0], : plane[1]]
    return out


class NotApplicable(Exception):
    """What a step needs of the phantom is not in the volumes."""


NEEDED = {"calibration": ("wedge", "regions"), "sharpness": ("steps",), "noise": ("homogeneous",)}
"""What each step needs to be told of the phantom."""


class Method:
    """Learns the curves of a reference, and brings each volume to them by what is measured on that volume."""

    def __init__(self, *, seed, phantom, reference, steps, plane_sigma_mm, slice_sigma_mm):
        self.seed, self.phantom, self.reference = seed, phantom, reference
        self.steps = steps.split()
        self.target_mm = {0: slice_sigma_mm, 2: plane_sigma_mm}
        self.curve = self.block = None
        self.parts, self.views = [], {}
        for step in self.steps:
            missing = [name for name in NEEDED[step] if not phantom.get(name)]
            if missing:
                raise NotApplicable(f"{step}: the volumes do not hold the phantom's {', '.join(missing)}")

    def fit(self, volumes):
        """Measure the first volume of the reference scanner; other volumes are not read."""
        for volume, spacing_mm, domain in volumes:
            if domain == self.reference:
                self._learn(volume, spacing_mm)
                return self
        raise ValueError(f"no volume of the reference {self.reference} to fit on")

    def _learn(self, volume, spacing_mm):
        phantom = self.phantom
        boxes = {"calibration": [phantom.get("wedge"), *phantom.get("regions", [])],
                 "sharpness": [step["box"] for step in phantom.get("steps", [])],
                 "noise": [phantom.get("homogeneous")]}  # fmt: skip
        for step in self.steps:
            self.views[step] = [(box, part(volume, widened(box, volume.shape)).copy()) for box in boxes[step]]
        if "calibration" in self.steps:
            self.parts = [one.copy() for one in parts_of(volume, phantom, spacing_mm)]
            self.curve = curve(volume, phantom, spacing_mm)
            whole = [one[~near(air(one))] for one in self.parts]
            self.range_hu = np.ptp([one.mean(dtype=float) for one in whole if one.size] or [0.0])
            slices, rows, _ = body_of(self.phantom, spacing_mm, len(volume))
            self.body = volume[slices, rows].copy()
            self.soft = soft_tissue(self.body)
        if "sharpness" in self.steps:
            volume = self._sharpness(volume, spacing_mm)
        if "noise" in self.steps:
            self.block = detrended(part(volume, self.phantom["homogeneous"]))

    def transform(self, volume, spacing_mm, domain):
        """Return the volume with the steps taken that were asked for, in their order."""
        for step, (grown, most) in MOST_CUT.items():
            if any(cut_off(volume, *view, grown).mean() > most for view in self.views.get(step, [])):
                raise NotApplicable(f"{step}: a scan does not show all of the phantom's {NEEDED[step][0]}")
        seeds = [self.seed, zlib.crc32(np.ascontiguousarray(volume).tobytes())]
        for step in self.steps:
            volume = getattr(self, f"_{step}")(volume, spacing_mm, seeds)
        return volume.astype(np.float32)

    def _calibration(self, volume, spacing_mm, _seeds):
        means, _ = self.curve
        wedge, *regions = (cut_off(volume, *view) for view in self.views["calibration"])
        hidden = in_strips(wedge, regions, spacing_mm)
        seen = seen_curves(parts_of(volume, self.phantom, spacing_mm), self.parts, hidden, means)
        if seen.shape[1] < 3 or np.ptp(seen[1]) < LEAST_RANGE * self.range_hu:
            raise NotApplicable(
                f"calibration: a scan shows {seen.shape[1]} of the {len(means)} strips of the wedge and regions, too "
                "few for a line"
            )
        line = calibration(*seen)
        slices, rows, depth = body_of(self.phantom, spacing_mm, len(volume))
        lacks = shading(calibrated(volume[slices, rows], *line), self.body, self.soft, spacing_mm)
        return calibrated(volume, *line, depth[:, None, None] * lacks)

    def _sharpness(self, volume, spacing_mm, _seeds=None):
        missing = np.zeros(3)
        for step in self.phantom["steps"]:
            sigma, target = step_sigma(volume, step, spacing_mm), self.target_mm[step["axis"]]
            if sigma < target:  # a blurrier volume stays as it is: sharpening would raise its noise
                missing[step["axis"]] = np.sqrt(target**2 - sigma**2)
        missing[1] = missing[2]
        return blurred(volume, missing, spacing_mm)

    def _noise(self, volume, spacing_mm, seeds):
        inside = self.phantom["homogeneous"]
        around = [[max(a - MARGIN, 0), min(b + MARGIN, n)] for (a, b), n in zip(inside, volume.shape, strict=True)]
        inner = [[a - c, b - c] for (a, b), (c, _) in zip(inside, around, strict=True)]
        near = part(volume, around)
        block = detrended(part(near, inner))
        own, target, variance = power(block), power(self.block), block.var()
        share, level = not_trend(own.shape, spacing_mm), 1.0
        for _ in range(ROUNDS):
            goal = own + share * (level * target - own)
            found = detrended(part(matched(near, variance, own, goal, seeds), inner)).var()
            level *= float(np.clip(self.block.var() / found, 0.8, 1.25))
        return matched(volume, variance, own, own + share * (level * target - own), seeds)


def not_trend(shape, spacing_mm):
    """Return the share (0 to 1) of each frequency that a block tells of: the lowest ones went with its trend."""
    along = [np.fft.fftfreq(n, d) for n, d in zip(shape, spacing_mm, strict=True)]
    f = np.sqrt(sum(np.square(one).reshape([-1 if a == b else 1 for b in range(3)]) for a, one in enumerate(along)))
    return np.clip((f - LOWEST_PER_MM) / LOWEST_PER_MM, 0, 1)


def matched(volume, variance, own, goal, seeds):
    """Return a volume with noise of power `own` taken or added so that it has `goal`.

    What lies on the base is scaled; the base keeps its part of a frequency, so that both together have the goal.
    """
    base, wide = base_of(volume, variance), window_transfer(own.shape)
    wanted = np.sqrt(np.minimum(goal / own, 1.0))
    gain = np.clip((wanted - wide) / np.maximum(1 - wide, 1e-3), 0, 1)
    more = np.maximum(goal - own, 0.0)
    amplitude = np.sqrt(more) if more.mean() > 1e-3 * goal.mean() else None
    return base + filtered(volume - base, gain, amplitude, seeds)


def white(seeds, first, slab):
    """Draw white noise into the slices round `first`: a slice is the same in whichever slab it is drawn."""
    for n in range(len(slab)):
        generator = np.random.Generator(np.random.SFC64([*seeds, first + n]))
        generator.standard_normal(out=slab[n], dtype=np.float32)
    return slab
