"""The `reference/` folder: volume, labels and block of the series that all others are registered to."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.geometry import Grid
from ct4bench.core.json_files import REFERENCE, read_reference_values
from ct4bench.core.regions import Phantom, phantom_of
from ct4bench.core.volumes import open_volume, save_volume
from ct4bench.preprocess.block import Block, block_mask


@dataclass(frozen=True)
class Reference:
    """The `reference/` folder: volumes stay on disk until read."""

    folder: Path
    grid: Grid
    block: Block
    series_uid: str
    values: dict

    @property
    def box_origin_mm(self) -> tuple[float, float, float]:
        """LPS position (x, y, z) in mm that the published boxes count from: voxel 0 of the reference's full grid."""
        return tuple(float(v) for v in self.values["box_origin_mm"])

    @property
    def phantom(self) -> Phantom:
        """What was scanned: the benchmark's phantom where the values name no other."""
        return phantom_of(self.values)

    @property
    def one_mask(self) -> bool:
        """Whether the mask of the reference serves all series, so that none needs a segmentation of its own."""
        return bool(self.values.get("one_mask"))

    def read(self, name: str, box=None) -> np.ndarray:
        """Read voxels of `volume` (int16 HU), `labels` or `block` (uint8), of all or of a box of slices."""
        return open_volume(self.folder / f"{name}.b2nd").read(box)

    def own(self) -> tuple[np.ndarray, Grid]:
        """Return the reference's own voxels (int16 HU), never interpolated, and their grid: what series are registered
        to."""
        path = self.folder / "own.b2nd"
        volume = open_volume(path if path.exists() else self.folder / "volume.b2nd")
        return volume.read(), volume.grid


def save_reference(
    folder: Path | str, volume, labels, grid: Grid, block: Block, attributes: dict, own=None, mask=None
) -> None:
    """Write volume (int16 HU), labels (uint8), block mask and reference.json; `attributes` (JSON values) lead it.

    `own` is (volume, grid) of the reference's own voxels where the common grid has others; `mask` (uint8) the block's
    where it is not all between its faces.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_volume(folder / "volume.b2nd", volume, grid, attributes)
    save_volume(folder / "labels.b2nd", labels, grid, attributes)
    save_volume(folder / "block.b2nd", block_mask(block, grid) if mask is None else mask, grid, attributes)
    if own is not None:
        save_volume(folder / "own.b2nd", *own, attributes)
    text = json.dumps({**attributes, **block.to_dict(), "grid": grid.to_dict()}, indent=1)
    (folder / REFERENCE).write_text(text + "\n", encoding="utf-8")


def open_reference(folder: Path | str) -> Reference:
    """Open a folder that `save_reference` wrote."""
    values = read_reference_values(folder)
    try:
        return Reference(
            Path(folder), Grid.from_dict(values["grid"]), Block.from_dict(values), values["series_uid"], values
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{Path(folder) / REFERENCE} is not a reference ({error_words(error)}); run prepare_reference.py again"
        ) from error
