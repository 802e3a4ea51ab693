"""The phantom drawn: its regions of interest as solids, and the folder that holds it on a fine grid."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ct4bench.core.benchmark import ROIS
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, euler_zyx_matrix
from ct4bench.core.phantom import A1_GRID, SHAPE
from ct4bench.core.volumes import Volume, open_volume


@dataclass(frozen=True)
class Ellipsoid:
    """A solid in the phantom's frame: centre (slice, row, column) on A1's grid, semi-axes (x, y, z) in mm, turned by
    `rotation_deg` (rx, ry, rz)."""

    centre: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def centre_mm(self) -> np.ndarray:
        """Centre in the phantom's frame."""
        return A1_GRID.to_lps(self.centre)

    @property
    def form(self) -> np.ndarray:
        """Symmetric matrix (3 x 3, 1/mm^2) of the form (p - c)' M (p - c), which is 1 on the surface."""
        turn = euler_zyx_matrix(self.rotation_deg)
        return turn @ np.diag(1 / np.square(self.semi_axes_mm)) @ turn.T

    def reach_mm(self) -> np.ndarray:
        """Return the half widths (x, y, z) in mm of the box round the solid."""
        return np.sqrt(np.diag(np.linalg.inv(self.form)))


@dataclass(frozen=True)
class PrintedRegion:
    """A region of interest: its solid, mean and texture SD in HU."""

    solid: Ellipsoid
    mean_hu: float
    texture_sd_hu: float
    coarse_share: float
    """Share of the texture's amplitude that is coarse (a few mm), by which a lesion is uneven rather than grainy."""


REGIONS = {
    "cyst1": PrintedRegion(Ellipsoid((157, 180, 322), (30.83, 23.52, 26.07)), -3.4, 10.0, 0.4),
    "cyst2": PrintedRegion(Ellipsoid((186, 233, 189), (7.53, 6.94, 6.95)), 1.9, 10.0, 0.4),
    "hemangioma": PrintedRegion(Ellipsoid((159, 193, 212), (22.0, 17.24, 25.0), (0.0, 0.0, 42.0)), 37.8, 20.0, 0.7),
    "metastasis": PrintedRegion(Ellipsoid((140, 240, 111), (11.34, 10.54, 10.08), (0.0, 0.0, 20.0)), 42.4, 14.0, 0.65),
    "normal1": PrintedRegion(Ellipsoid((149, 226, 161), (8.37, 8.37, 8.37)), 87.2, 13.0, 0.45),
    "normal2": PrintedRegion(Ellipsoid((170, 275, 159), (9.79, 9.79, 9.79)), 99.8, 18.0, 0.72),
}
"""ROIs by name, in the order of their label values; sizes and means are those published for scanner A1."""


def region_labels(grid: Grid, to_phantom_matrix: np.ndarray, to_phantom_offset: np.ndarray) -> np.ndarray:
    """Return the label values 1 to 6 (uint8) of the voxels of `grid` whose centres lie in a region.

    The motion p -> matrix p + offset takes the grid's frame to the phantom's.
    """
    labels = np.zeros(grid.shape, np.uint8)
    matrix = to_phantom_matrix @ grid.affine[:3, :3]
    offset = to_phantom_matrix @ grid.affine[:3, 3] + to_phantom_offset
    back = np.linalg.inv(matrix)
    for value, name in enumerate(ROIS, start=1):
        solid = REGIONS[name].solid
        centre = back @ (solid.centre_mm - offset)
        # The box round an ellipsoid in voxels, from its form carried over to indices.
        reach = np.sqrt(np.diag(np.linalg.inv(matrix.T @ solid.form @ matrix)))
        low = np.maximum(np.ceil(centre - reach).astype(int), 0)
        high = np.minimum(np.floor(centre + reach).astype(int) + 1, grid.shape)
        if np.any(high <= low):
            continue
        axes = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
        away = np.stack(axes, axis=-1) @ matrix.T + (offset - solid.centre_mm)
        inside = np.einsum("...i,ij,...j->...", away, solid.form, away) <= 1.0
        labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = value
    return labels


@dataclass(frozen=True)
class Phantom:
    """A drawn phantom: its volume in HU stays on disk."""

    folder: Path
    grid: Grid
    """The fine grid in the phantom's frame."""
    slab: Grid | None
    """The part of A1's grid that the scans shall show; None for all of it."""
    sigma_plane_mm: float
    """Gaussian blur in plane that the volume has already."""
    sigma_slice_mm: float
    """The same along z."""
    name: str
    """What the UIDs of its series are made from besides the seed: the same for the same phantom only."""
    origin: str
    """`drawn`, or the UID of the real series that it was made from."""
    values: dict
    _volume: Volume

    def read(self, box: tuple[slice, slice, slice]) -> np.ndarray:
        """Read voxels in HU (int16) of a box of the fine grid."""
        return self._volume.read(box)


def parse_slab(text: str) -> tuple[slice, slice, slice] | None:
    """Parse a slab: `full` is None; `110:210,105:415,50:460` are half-open ranges of slices, rows, columns of A1's
    grid."""
    if text == "full":
        return None
    try:
        ranges = [tuple(int(n) for n in part.split(":")) for part in text.split(",")]
        (z0, z1), (y0, y1), (x0, x1) = ranges
    except ValueError:
        raise UserError(
            f"slab '{text}' cannot be read; write full, or slices,rows,columns as 110:210,105:415,50:460"
        ) from None
    box = (slice(z0, z1), slice(y0, y1), slice(x0, x1))
    for part, length, name in zip(box, SHAPE, ("slices", "rows", "columns"), strict=True):
        if not (part.start >= 0 and part.stop <= length and part.stop - part.start >= 16):
            raise UserError(f"slab '{text}': {name} must be a range of 16 or more within 0:{length}")
    return box


def open_phantom(folder: Path | str) -> Phantom:
    """Open a folder that draw_phantom.py wrote."""
    folder = Path(folder)
    path = folder / "phantom.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        volume = open_volume(folder / "phantom.b2nd")
        slab = Grid.from_dict(values["slab"]) if values["slab"] else None
        return Phantom(
            folder, volume.grid, slab, values["sigma_plane_mm"], values["sigma_slice_mm"], values["name"],
            values["origin"], values, volume,
        )  # fmt: skip
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a phantom ({error}); run draw_phantom.py again") from error


def write_phantom_json(folder: Path, values: dict) -> None:
    """Write phantom.json beside the volume."""
    (folder / "phantom.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
