"""What a rigid registration leaves: local displacement of a series against the reference, in cells of the block.

In each cell the series M is the reference R moved by u, with a gain and an offset:

    M(p) = gain R(p) + offset - grad M(p) . u,

solved with grad R, R and 1 as instruments. Noise of the two volumes is independent, so products of one's gradient with
the other's have none of the bias towards zero that squares of a noisy gradient have (Lucas and Kanade, IJCAI 1981, is
the least-squares form; instrumental variables as in Fuller, Measurement Error Models, 1987). Displacements are to be
well below a voxel, as they are after registration; u is where a point of the phantom lies in the series less where it
lies in the reference.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from ct4bench.core.geometry import Grid, bounding_box
from ct4bench.preprocess.block import Block
from ct4bench.preprocess.pyramids import bin_means, binned_grid

BIN_MM = 1.4
SMOOTH_MM = 1.3
CELL_MM = 24.0
INSIDE_MM = 6.0
"""How far inside of the faces cells end. A face's blur reaches 5 mm inwards, and where it differs between scanners it
looks like a displacement of the face."""
MAX_ERROR_MM = 0.1
"""A component whose standard error is larger is left out."""
MIN_VOXELS = 400


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _gradient(volume, k, j, i, step, out):
    """Gradient along slice, row, column by differences of the fourth order: bins of 1.4 mm are coarse for others."""
    out[0] = (8 * (volume[k + 1, j, i] - volume[k - 1, j, i]) - volume[k + 2, j, i] + volume[k - 2, j, i]) * step[0]
    out[1] = (8 * (volume[k, j + 1, i] - volume[k, j - 1, i]) - volume[k, j + 2, i] + volume[k, j - 2, i]) * step[1]
    out[2] = (8 * (volume[k, j, i + 1] - volume[k, j, i - 1]) - volume[k, j, i + 2] + volume[k, j, i - 2]) * step[2]


@njit(cache=True, error_model="numpy", nogil=True)
def _sums(fixed, moving, number, step, crossed, tools, uses):
    """Per cell: sums of products of the instruments (grad R, R, 1) and of (-grad M, R, 1, M): one with the other
    (cells, 5, 6), and each with itself (cells, 5, 5 and 6, 6)."""
    nz, ny, nx = fixed.shape
    tool, use = np.ones(5), np.ones(6)
    for k in range(2, nz - 2):
        for j in range(2, ny - 2):
            for i in range(2, nx - 2):
                cell = number[k, j, i]
                if cell < 0:
                    continue
                _gradient(fixed, k, j, i, step, tool)
                _gradient(moving, k, j, i, step, use)
                for a in range(3):
                    use[a] = -use[a]
                tool[3] = use[3] = fixed[k, j, i]
                use[5] = moving[k, j, i]
                for a in range(6):
                    for b in range(6):
                        uses[cell, a, b] += use[a] * use[b]
                for a in range(5):
                    for b in range(6):
                        crossed[cell, a, b] += tool[a] * use[b]
                    for b in range(5):
                        tools[cell, a, b] += tool[a] * tool[b]


@dataclass(frozen=True)
class Displacements:
    """By cell, in LPS mm (n, 3: x, y, z): position, displacement and its standard error; nan where unknown."""

    position_mm: np.ndarray
    displacement_mm: np.ndarray
    error_mm: np.ndarray


class LocalField:
    """The reference made ready for local displacements of any number of volumes on its grid."""

    def __init__(self, reference: np.ndarray, grid: Grid, block: Block, cell_mm: float = CELL_MM):
        self._factors = tuple(max(1, int(round(BIN_MM / s))) for s in grid.spacing_mm)
        self._grid = binned_grid(grid, self._factors)
        self._sigma = [SMOOTH_MM / s for s in self._grid.spacing_mm]
        self._fixed = self._ready(reference)
        self._step = np.array([1 / (12 * s) for s in self._grid.spacing_mm])
        self._number, self.position_mm = self._cells(block, cell_mm)

    def _ready(self, volume: np.ndarray) -> np.ndarray:
        small = bin_means(volume, self._factors)
        return gaussian_filter(small, self._sigma, mode="nearest", truncate=2.5)

    def _cells(self, block: Block, cell_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Number of the cell of each voxel (int32, -1: none), and the cells' middles (n, 3) in LPS mm."""
        shape, affine = self._grid.shape, self._grid.affine
        used = np.ones(shape, bool)
        axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij", sparse=True)
        for face in block.faces:
            normal = np.array(face.normal)
            depth = face.offset_mm - normal @ affine[:3, 3]
            depth = depth - sum(float(normal @ affine[:3, a]) * axes[a] for a in range(3))
            if not face.cut:
                used &= depth >= INSIDE_MM
        for axis, length in enumerate(shape):
            # differences and smoothing reach beyond the volume's ends
            rim = int(np.ceil(2.5 * self._sigma[axis])) + 2
            used &= (axes[axis] >= rim) & (axes[axis] < length - rim)
        number = np.full(shape, -1, np.int32)
        box = bounding_box(used)
        if box is None:
            return number, np.empty((0, 3))
        counts, parts = [], []
        for axis in range(3):
            first, last = box[axis].start, box[axis].stop
            n = max(1, int(round((last - first) * self._grid.spacing_mm[axis] / cell_mm)))
            counts.append(n)
            parts.append(np.clip(((axes[axis] - first) * n) // (last - first), 0, n - 1))
        cell = (parts[0] * counts[1] + parts[1]) * counts[2] + parts[2]
        number[used] = cell[used]
        total = int(np.prod(counts))
        count = np.bincount(cell[used], minlength=total)
        middle = np.stack(
            [np.bincount(cell[used], np.broadcast_to(a, shape)[used], total) / np.maximum(count, 1) for a in axes], -1
        )
        keep = np.flatnonzero(count >= MIN_VOXELS)
        again = np.full(total + 1, -1, np.int32)
        again[keep] = np.arange(len(keep))
        return again[number], self._grid.to_lps(middle[keep])

    def measure(self, volume: np.ndarray) -> Displacements:
        """Measure the displacement of each cell in a volume (int16 or float32 HU) on the reference's grid."""
        n = len(self.position_mm)
        moving = self._ready(volume)
        crossed, tools, uses = np.zeros((n, 5, 6)), np.zeros((n, 5, 5)), np.zeros((n, 6, 6))
        _sums(self._fixed, moving, self._number, self._step, crossed, tools, uses)
        normal, right = crossed[:, :, :5], crossed[:, :, 5]
        inverse = np.full((n, 5, 5), np.nan)
        # a cell of even HU has no position of its own
        sound = np.linalg.cond(normal) < 1e12
        inverse[sound] = np.linalg.inv(normal[sound])
        found = np.einsum("nij,nj->ni", inverse, right)
        left = np.concatenate([-found, np.ones((n, 1))], axis=1)
        variance = np.einsum("ni,nij,nj->n", left, uses, left) / np.maximum(tools[:, 4, 4], 1)
        # neighbours share their noise: so many voxels count as one
        shared = np.prod([2 * np.sqrt(np.pi) * max(s, 0.6) for s in self._sigma])
        spread = np.einsum("nij,njk,nlk->nil", inverse, tools, inverse)[:, [0, 1, 2], [0, 1, 2]]
        with np.errstate(invalid="ignore"):
            error = np.sqrt(variance[:, None] * shared * spread)[:, ::-1]
            moved = np.where(error <= MAX_ERROR_MM, found[:, :3][:, ::-1], np.nan)
        return Displacements(self.position_mm, moved, error)


def field_summary(field: Displacements) -> dict[str, float]:
    """Return the numbers of a field: lengths over the cells in mm, and what is left of it in simple forms.

    `displacement_median_mm`, `_p95_mm`, `_max_mm` over the components of cells; `scale_x`, `_y`, `_z` in per mille: how
    much longer the phantom is along an axis; `sag_y_mm`: how far the middle along z lies below the line between the
    ends (y points down), from a parabola. nan where fewer than six cells tell it.
    """
    moved, error, position = field.displacement_mm, field.error_mm, field.position_mm
    known = np.isfinite(moved)
    sizes = np.abs(moved[known])
    nan = float("nan")
    out = {
        "displacement_median_mm": float(np.median(sizes)) if len(sizes) else nan,
        "displacement_p95_mm": float(np.percentile(sizes, 95)) if len(sizes) else nan,
        "displacement_max_mm": float(sizes.max()) if len(sizes) else nan,
    }
    centre = position.mean(axis=0) if len(position) else np.zeros(3)
    for axis, name in enumerate("xyz"):
        good = known[:, axis]
        out[f"scale_{name}_permille"] = nan
        if good.sum() >= 6 and np.ptp(position[good, axis]) > CELL_MM:
            design = np.column_stack([np.ones(good.sum()), position[good] - centre])
            fit = _weighted(design, moved[good, axis], error[good, axis])
            out[f"scale_{name}_permille"] = 1000 * float(fit[1 + axis])
    good = known[:, 1]
    out["sag_y_mm"] = nan
    length = np.ptp(position[good, 2]) if good.any() else 0.0
    if good.sum() >= 6 and length > 1.5 * CELL_MM:
        z = position[good, 2] - centre[2]
        design = np.column_stack([np.ones(good.sum()), position[good] - centre, z**2])
        fit = _weighted(design, moved[good, 1], error[good, 1])
        out["sag_y_mm"] = -float(fit[4]) * (0.5 * length) ** 2
    return out


def _weighted(design: np.ndarray, values: np.ndarray, error: np.ndarray) -> np.ndarray:
    # no cell counts for more than one known to 0.01 mm: the forms are never that true
    weight = 1 / np.maximum(error, 0.01)
    return np.linalg.lstsq(design * weight[:, None], values * weight, rcond=None)[0]
