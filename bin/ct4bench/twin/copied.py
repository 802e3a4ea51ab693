"""The six regions as they are printed: copied from the public series of the phantom, with the outlines of their
segments.

assets/phantom/print.npz holds the series round the regions without what of it is quantum noise
(DOI 10.7937/A1V1-RC66, CC BY 4.0; tools/copy_print.py makes it). Taking noise away takes some of the print with it: by
a Wiener filter the share Q / (P + Q) of the print's power P where the noise has Q. That much is drawn anew, from the
seed, so that copy and drawn rest together have the print's own spectrum. What the series' scanner blurred is sharpened
back as far as its simulation blurs it again.
"""

# code-data: ../assets/phantom/print.npz

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numba import njit
from scipy import fft
from scipy.ndimage import distance_transform_edt, maximum_filter, spline_filter1d, uniform_filter

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.geometry import Grid
from ct4bench.core.phantom import A1_GRID

PRINT_FILE = Path(__file__).resolve().parents[3] / "assets" / "phantom" / "print.npz"
PRINT_SD_HU, PRINT_SIGMA_MM = 11.83, (1.05, 1.2)
"""SD of the printed texture of even tissue as scanner A1's FBP shows it, and sigma of its Gaussian power along z and in
plane: power exp(-(2 pi sigma f)^2)."""
QUANTUM_SD_HU, QUANTUM_SIGMA_MM = 12.65, 0.95
"""SD of the quantum noise of the public series, and sigma along z of its Gaussian power."""
QUANTUM_PEAK_PER_MM, QUANTUM_POWER, QUANTUM_ANISOTROPY = 0.21, 2.4, 0.3
"""The noise's power in plane as in `scan.noise_power`."""
SCAN_SIGMA_MM = (0.865, 0.632)
"""What scanner A1's FBP adds along z and in plane to the drawn object's own blur."""
LEAST_TRANSFER = 0.15
"""Transfer of that blur below which it is no longer made up for."""
PATCH_REACH = (8, 16, 16)
"""A patch round a voxel reaches that far in slices, rows, columns; there the print is the copy's."""
BLEND = 2
"""Voxels beyond that, on each side of the middle, on which the copy gives way to the drawing."""
RESIDUAL_SEED = 14


@dataclass(frozen=True)
class Copy:
    """The content of print.npz on the part `grid` of scanner A1's grid."""

    grid: Grid
    hu: np.ndarray
    """HU (slices, rows, columns; float32) where they were copied, their continuation elsewhere."""
    share: np.ndarray
    """1 where the print is the copy's, 0 where it is drawn (float32)."""
    labels: np.ndarray
    """The segments: 1 to 6 in the order of `ROIS` (uint8)."""


def copied_share(labels: np.ndarray) -> np.ndarray:
    """Return the copy's share of the print (float32): 1 within a patch's reach of a region, 0 a little further off."""
    reached = maximum_filter(labels > 0, tuple(2 * (n + BLEND) + 1 for n in PATCH_REACH))
    return uniform_filter(reached.astype(np.float32), 2 * BLEND + 1, mode="nearest")


def pack(hu: np.ndarray, labels: np.ndarray, first: tuple[int, int, int], step_hu: int) -> dict[str, np.ndarray]:
    """Return the arrays of print.npz: HU in steps, as differences along columns and slices, where they are copied."""
    steps = np.where(copied_share(labels) > 0, np.rint(hu / step_hu), 0).astype(np.int16)
    packed = np.diff(np.diff(steps, axis=2, prepend=np.int16(0)), axis=0, prepend=np.int16(0))
    return {"differences": packed, "labels": labels, "first": np.array(first), "step_hu": np.array(step_hu)}


@lru_cache(maxsize=1)
def read_copy(path: Path = PRINT_FILE) -> Copy:
    """Read print.npz; a `UserError` where it is not there or is no such file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            packed, labels, first, step_hu = (file[n] for n in ("differences", "labels", "first", "step_hu"))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(
            f"{path} is not the copied print ({error_words(error)}); tools/copy_print.py makes it"
        ) from error
    hu = np.cumsum(np.cumsum(packed, axis=0, dtype=np.int16), axis=2, dtype=np.int16).astype(np.float32)
    hu *= np.float32(step_hu)
    share = copied_share(labels)
    nearest = distance_transform_edt(share == 0, return_distances=False, return_indices=True)
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(first, labels.shape, strict=True))
    return Copy(A1_GRID.crop(box), hu[tuple(nearest)], share, labels)


# ---------------------------------------------------------------------------------------------------- spectra
def _frequencies(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dz, dy, dx = A1_GRID.spacing_mm
    return (
        np.fft.fftfreq(shape[0], dz)[:, None, None],
        np.fft.fftfreq(shape[1], dy)[None, :, None],
        np.fft.rfftfreq(shape[2], dx)[None, None, :],
    )


def _of_unit_variance(power: np.ndarray, columns: int) -> np.ndarray:
    """Scale the power of a half spectrum so that filtering white noise of unit SD by its root keeps the variance."""
    twice = np.full(power.shape[2], 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    return power * (power.shape[0] * power.shape[1] * columns / (power * twice).sum())


def print_power(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the power of the printed texture on a half spectrum of A1's grid, in HU^2."""
    fz, fy, fx = _frequencies(shape)
    along, plane = PRINT_SIGMA_MM
    power = np.exp(-4 * np.pi**2 * (along**2 * fz**2 + plane**2 * (fy**2 + fx**2)))
    return PRINT_SD_HU**2 * _of_unit_variance(power, shape[2])


def quantum_power(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the power of the public series' quantum noise on a half spectrum of A1's grid, in HU^2."""
    fz, fy, fx = _frequencies(shape)
    f = np.hypot(fy, fx)
    scale = QUANTUM_PEAK_PER_MM * QUANTUM_POWER ** (1 / QUANTUM_POWER)
    turned = 1 - QUANTUM_ANISOTROPY * (fx * fx - fy * fy) / np.where(f > 0, f * f, 1.0)
    power = f * np.exp(-((f / scale) ** QUANTUM_POWER)) * turned * np.exp(-4 * np.pi**2 * QUANTUM_SIGMA_MM**2 * fz**2)
    return QUANTUM_SD_HU**2 * _of_unit_variance(power, shape[2])


def kept_share(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the Wiener filter P / (P + Q) that takes the noise of the public series off its print."""
    power = print_power(shape)
    return power / (power + quantum_power(shape))


def _sharpening(shape: tuple[int, int, int]) -> np.ndarray:
    fz, fy, fx = _frequencies(shape)
    along, plane = SCAN_SIGMA_MM
    transfer = np.exp(-2 * np.pi**2 * (along**2 * fz**2 + plane**2 * (fy**2 + fx**2)))
    return transfer / (transfer**2 + LEAST_TRANSFER**2)


def printed(copy: Copy, seed: int) -> np.ndarray:
    """Return the print's HU (float32) on the copy's grid, before any scan: copy and drawn rest, sharpened."""
    shape = copy.hu.shape
    padded = tuple(fft.next_fast_len(n + 16, real=True) for n in shape)
    around = [((a - n) // 2, a - n - (a - n) // 2) for a, n in zip(padded, shape, strict=True)]
    white = np.random.default_rng([seed, RESIDUAL_SEED]).standard_normal(padded, dtype=np.float32)
    rest = np.sqrt(print_power(padded) * (1 - kept_share(padded)))
    spectrum = fft.rfftn(np.pad(copy.hu, around, mode="edge")) + fft.rfftn(white) * rest
    out = fft.irfftn(spectrum * _sharpening(padded), s=padded)
    return out[tuple(slice(a, a + n) for (a, _), n in zip(around, shape, strict=True))].astype(np.float32)


# --------------------------------------------------------------------------------------------- on other grids
def _spline_weights(at: np.ndarray, n: int) -> np.ndarray:
    """Weights (len(at), n) of cubic B-spline coefficients at positions in samples."""
    out = np.zeros((len(at), n), np.float32)
    first = np.floor(at).astype(int) - 1
    t = at - np.floor(at)
    weights = ((1 - t) ** 3 / 6, 2 / 3 - t**2 * (1 - t / 2), 2 / 3 - (1 - t) ** 2 * (1 + t) / 2, t**3 / 6)
    for k, weight in enumerate(weights):
        np.add.at(out, (np.arange(len(at)), np.clip(first + k, 0, n - 1)), weight)
    return out


def _linear_weights(at: np.ndarray, n: int) -> np.ndarray:
    """Weights (len(at), n) of samples at positions in samples; nothing beyond the ends."""
    return np.clip(1 - np.abs(at[:, None] - np.arange(n)[None]), 0, None).astype(np.float32)


class CopiedPrint:
    """The copied print on a grid parallel to scanner A1's, plane by plane."""

    def __init__(self, copy: Copy, grid: Grid, seed: int):
        self._copy = copy
        self._coefficients = printed(copy, seed)
        for axis in range(3):
            self._coefficients = spline_filter1d(self._coefficients, 3, axis, output=np.float32, mode="nearest")
        ends = copy.grid.to_index(grid.to_lps([[0, 0, 0], [n - 1 for n in grid.shape]]))
        self._at = [np.linspace(a, b, n) for a, b, n in zip(*ends, grid.shape, strict=True)]
        shape = copy.hu.shape
        met = [np.flatnonzero((at > -1) & (at < n)) for at, n in zip(self._at, shape, strict=True)]
        self._planes = set(met[0].tolist())
        self._window = tuple(slice(m[0], m[-1] + 1) if len(m) else slice(0, 0) for m in met[1:])
        rows, columns = (at[w] for at, w in zip(self._at[1:], self._window, strict=True))
        self._spline = _spline_weights(rows, shape[1]), _spline_weights(columns, shape[2])
        self._linear = _linear_weights(rows, shape[1]), _linear_weights(columns, shape[2])

    def blend(self, hu: np.ndarray, number: int) -> None:
        """Blend the copied print into plane `number` of the grid: `hu` (rows, columns), in place."""
        if number not in self._planes or min(s.stop - s.start for s in self._window) == 0:
            return
        shape = self._copy.hu.shape
        at = self._at[0][number : number + 1]
        along = _spline_weights(at, shape[0])[0], _linear_weights(at, shape[0])[0]
        values, share = (
            rows @ np.tensordot(weights, volume, axes=1) @ columns.T
            for weights, volume, (rows, columns) in (
                (along[0], self._coefficients, self._spline),
                (along[1], self._copy.share, self._linear),
            )
        )
        part = hu[self._window]
        part += share * (values - part)


@njit(cache=True, error_model="numpy", nogil=True)
def _take_labels(labels, value, matrix, offset, first, out):
    """Set `value` where the segment's share, interpolated linearly at matrix @ (k, j, i) + offset, is half or more."""
    nz, ny, nx = labels.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                kk, jj, ii = k + first[0], j + first[1], i + first[2]
                z = matrix[0, 0] * kk + matrix[0, 1] * jj + matrix[0, 2] * ii + offset[0]
                y = matrix[1, 0] * kk + matrix[1, 1] * jj + matrix[1, 2] * ii + offset[1]
                x = matrix[2, 0] * kk + matrix[2, 1] * jj + matrix[2, 2] * ii + offset[2]
                kz, ky, kx = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
                if kz < 0 or ky < 0 or kx < 0 or kz + 1 >= nz or ky + 1 >= ny or kx + 1 >= nx:
                    continue
                total = 0.0
                for a in range(2):
                    wz = z - kz if a else 1 - (z - kz)
                    for b in range(2):
                        wy = y - ky if b else 1 - (y - ky)
                        for c in range(2):
                            if labels[kz + a, ky + b, kx + c] == value:
                                total += wz * wy * (x - kx if c else 1 - (x - kx))
                if total >= 0.5:
                    out[k, j, i] = value


def move_labels(
    labels: np.ndarray, own: Grid, grid: Grid, to_phantom_matrix: np.ndarray, to_phantom_offset: np.ndarray
) -> np.ndarray:
    """Return the label values (uint8) of the voxels of `grid`, given as `labels` on the grid `own` of the phantom's
    frame.

    The motion p -> matrix p + offset takes the grid's frame to the phantom's. A voxel belongs to a segment that fills
    half or more of its surroundings.
    """
    out = np.zeros(grid.shape, np.uint8)
    to_own = np.linalg.inv(own.affine[:3, :3])
    matrix = to_own @ to_phantom_matrix @ grid.affine[:3, :3]
    offset = to_own @ (to_phantom_matrix @ grid.affine[:3, 3] + to_phantom_offset - own.affine[:3, 3])
    back = np.linalg.inv(matrix)
    # A millionth of a voxel keeps rounding from deciding where two grids are one.
    offset = np.round(offset, 9) + 1e-9
    for value in range(1, int(labels.max()) + 1):
        found = np.argwhere(labels == value)
        ends = np.array([found.min(axis=0) - 1, found.max(axis=0) + 1])
        corners = np.array([[a, b, c] for a in ends[:, 0] for b in ends[:, 1] for c in ends[:, 2]])
        reach = (corners - offset) @ back.T
        low = np.maximum(np.floor(reach.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(reach.max(axis=0)).astype(int) + 1, grid.shape)
        if np.all(high > low):
            part = out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
            _take_labels(labels, value, matrix, offset, low, part)
    return out
