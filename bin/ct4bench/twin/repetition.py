"""What changes from one scan of a scanner to the next besides noise: a little drift of HU, the block's place, how fine
the noise is, and where along the block it is highest, since the tube starts anywhere on its way round."""

from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit

from ct4bench.core.benchmark import MAIN_DOSE_MGY
from ct4bench.core.phantom import AIR_HU
from ct4bench.twin.scanners import Noise

DRIFT_SD_HU = 0.39
"""SD over scans of the mean of the large cyst in A1's published features."""
SHIFT_SD_MM = 0.3
"""SD over scans of the block's place, along each axis."""
MAX_SHIFT_MM = 0.5
HELIX = 0.14
"""Amplitude of the noise SD's wave along z, a wave a turn of the tube: what the variance over repetitions of A1's small
regions in published features needs, while the large cyst, which is longer than a turn, has little."""
GRAIN_SD = 0.02
"""SD over scans of the scale of the noise's frequencies, relative to the scanner's, common to a scan's
reconstructions."""
OWN_GRAIN_SD = {"FBP": 0.015, "IR": 0.03, "DL": 0.03}
"""The same of each reconstruction on top. With both, contrast of the large cyst varies over A1's repetitions by 1.6 and
1.9 % (FBP, IR), as published, and its deviations correlate by half; DL is taken as IR."""
REACH = 2
"""Voxels on either side that `moved` reads."""


@dataclass(frozen=True)
class Repetition:
    """How a scan differs from the scanner's first scan at the main dose."""

    drift_hu: float
    """Change at 0 HU; air stays air, what lies between in proportion."""
    shift_mm: tuple[float, float, float]
    """Motion of the block, x, y, z."""
    turn: float
    """Where the tube starts, in turns."""
    grain: dict[str, float] = field(default_factory=dict)
    """Scale of the noise's frequencies by reconstruction, 1 where there is none: above 1 it is finer than in the
    first."""

    def noise_of(self, recon: str, stated: Noise) -> Noise:
        """Return the noise that a reconstruction has in this scan, where the scanner's tables state one."""
        return replace(stated, nps_peak_per_mm=round(stated.nps_peak_per_mm * self.grain.get(recon, 1.0), 6))

    def noise_along(self, z_mm: np.ndarray, feed_mm: float) -> np.ndarray:
        """Return the factor of the noise SD at places along the table, of mean square 1; `feed_mm` is the table's way
        in a turn."""
        wave = np.cos(2 * np.pi * (np.asarray(z_mm) / feed_mm + self.turn))
        return (1 + HELIX * wave) / np.sqrt(1 + 0.5 * HELIX**2)

    @property
    def is_first(self) -> bool:
        """Whether drift and place are those of the first."""
        return not (self.drift_hu or any(self.shift_mm))


def repetition(seeds: tuple[int, ...], dose_mgy: float, number: int) -> Repetition:
    """Draw a scan's drift, shift and grain from its seeds, of which the last numbers the repetition; the first scan at
    the main dose has none. The tube's starts of a scanner's scans at a dose are spread evenly, two of them opposite."""
    turn = (np.random.default_rng([*seeds[:-1], 2]).random() + _halves(number - 1)) % 1
    if dose_mgy == MAIN_DOSE_MGY and number == 1:
        return Repetition(0.0, (0.0, 0.0, 0.0), turn)
    drift, *shift = np.random.default_rng([*seeds, 1]).standard_normal(4)
    at = np.round(np.clip(SHIFT_SD_MM * np.array(shift), -MAX_SHIFT_MM, MAX_SHIFT_MM), 6)
    common, *own = np.random.default_rng([*seeds, 3]).standard_normal(1 + len(OWN_GRAIN_SD))
    grain = {
        recon: float(1 + GRAIN_SD * common + sd * one)
        for (recon, sd), one in zip(OWN_GRAIN_SD.items(), own, strict=True)
    }
    return Repetition(round(float(DRIFT_SD_HU * drift), 6), tuple(float(v) for v in at), turn, grain)


def _halves(number: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, …: van der Corput's sequence."""
    bits = f"{number:b}"[::-1]
    return sum(int(bit) * 0.5 ** (n + 1) for n, bit in enumerate(bits))


def shift_taps(by: float) -> np.ndarray:
    """Return the weights (float32, 5) of a smooth signal's samples that give it moved by a part of a sample: Taylor's
    series to the second order, derivatives of the fourth."""
    first = np.array([1, -8, 0, 8, -1]) / 12
    second = np.array([-1, 16, -30, 16, -1]) / 12
    return (np.array([0, 0, 1, 0, 0]) - by * first + 0.5 * by * by * second).astype(np.float32)


@njit(cache=True, error_model="numpy", nogil=True)
def _moved(images, along, down, across, gain, constant, out):
    """out[k] = constant + gain * images[k + 2], filtered along all three axes; rows and columns go on as they end."""
    nz, ny, nx = out.shape
    z0, z1, z2, z3, z4 = along[0], along[1], along[2], along[3], along[4]
    y0, y1, y2, y3, y4 = down[0] * gain, down[1] * gain, down[2] * gain, down[3] * gain, down[4] * gain
    x0, x1, x2, x3, x4 = across[0], across[1], across[2], across[3], across[4]
    plane, line = np.empty((ny, nx), np.float32), np.empty(nx + 4, np.float32)
    for k in range(nz):
        # A loop an axis and row, which the compiler can make vectors of.
        for j in range(ny):
            own, a, b, c, d, e = (
                plane[j],
                images[k, j],
                images[k + 1, j],
                images[k + 2, j],
                images[k + 3, j],
                images[k + 4, j],
            )
            for i in range(nx):
                own[i] = z0 * a[i] + z1 * b[i] + z2 * c[i] + z3 * d[i] + z4 * e[i]
        for j in range(ny):
            a, b, c = plane[max(j - 2, 0)], plane[max(j - 1, 0)], plane[j]
            d, e = plane[min(j + 1, ny - 1)], plane[min(j + 2, ny - 1)]
            middle = line[2 : nx + 2]
            for i in range(nx):
                middle[i] = constant + y0 * a[i] + y1 * b[i] + y2 * c[i] + y3 * d[i] + y4 * e[i]
            line[:2], line[nx + 2 :] = middle[0], middle[nx - 1]
            own = out[k, j]
            for i in range(nx):
                own[i] = x0 * line[i] + x1 * line[i + 1] + x2 * line[i + 2] + x3 * line[i + 3] + x4 * line[i + 4]


def moved(images: np.ndarray, repetition: Repetition, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return images (slices, rows, columns; float32) as the repetition shows them, less the `REACH` slices at either
    end, which only lend their neighbourhood. Spacing is of slices, rows and columns."""
    taps = [shift_taps(mm / step) for mm, step in zip(repetition.shift_mm[::-1], spacing_mm, strict=True)]
    drift = repetition.drift_hu / -AIR_HU
    out = np.empty((len(images) - 2 * REACH, *images.shape[1:]), np.float32)
    _moved(images, *taps, np.float32(1 + drift), np.float32(-drift * AIR_HU), out)
    return out
