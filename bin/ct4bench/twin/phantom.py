"""The phantom drawn: the folder that holds it on a fine grid with the segments of its regions."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.geometry import Grid, euler_zyx_matrix
from ct4bench.core.phantom import A1_GRID, SHAPE
from ct4bench.core.volumes import SUFFIX, Volume, open_volume, save_volume
from ct4bench.twin.copied import Copy, move_labels


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
    _labels: Volume

    @property
    def shading_hu(self) -> float:
        """Shading that the volume has already, from the scanner it was taken on."""
        return self.values.get("shading_hu", 0.0)

    def read(self, box: tuple[slice, slice, slice]) -> np.ndarray:
        """Read voxels in HU (int16) of a box of the fine grid."""
        return self._volume.read(box)

    def region_labels(self, grid: Grid, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Return the label values 1 to 6 (uint8) of the voxels of `grid` that belong to a region.

        The motion p -> matrix p + offset takes the grid's frame to the phantom's.
        """
        return move_labels(self._labels.read(), self._labels.grid, grid, matrix, offset)


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
        volume, labels = open_volume(folder / f"phantom{SUFFIX}"), open_volume(folder / f"labels{SUFFIX}")
        slab = Grid.from_dict(values["slab"]) if values["slab"] else None
        return Phantom(
            folder, volume.grid, slab, values["sigma_plane_mm"], values["sigma_slice_mm"], values["name"],
            values["origin"], values, volume, labels,
        )  # fmt: skip
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a phantom ({error_words(error)}); run draw_phantom.py again") from error


def save_phantom(folder: Path, volume: np.ndarray, grid: Grid, copy: Copy, values: dict) -> None:
    """Write a phantom's folder: HU (int16) on a grid of its frame, the segments of its regions, phantom.json."""
    save_volume(folder / f"phantom{SUFFIX}", volume, grid, values)
    save_volume(folder / f"labels{SUFFIX}", copy.labels, copy.grid)
    (folder / "phantom.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
