"""Small pictures of the patches whose features are embedded, for the page's points: one sprite of all of them."""

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ct4bench.core.volumes import SUFFIX, open_volume
from ct4bench.preprocess.patches import VOXEL, patch_box

SIDE_PX = 24
"""Of a patch of 32 x 32 voxels: smaller, so that those of the whole collection take 2 MB."""
MOST = 20_000
"""Of more patches the sprite has those of every so many series."""
GRAY_HU = (-50, 150)
"""Narrower than the figures' window: what a patch shows is faint."""
QUALITY = 60


def chosen_series(uids: list[str], n_patches: int, most: int = MOST) -> list[str]:
    """Return all series, or as many of them, evenly spread, as have `most` patches together; one at least."""
    n = max(1, min(len(uids), most // max(1, n_patches)))
    return [uids[i] for i in np.unique(np.linspace(0, len(uids) - 1, n).round().astype(int))]


def middle_slice(volume, centre) -> np.ndarray:
    """Read the middle slice (rows, columns) of the patch with centre voxel (slice, row, column), int16 HU."""
    _, rows, columns = patch_box(centre)
    k = int(centre[0])
    return volume.read((slice(k, k + 1), rows, columns))[0]


def small_picture(hu: np.ndarray, gray_hu: tuple[float, float] = GRAY_HU) -> np.ndarray:
    """Return HU as a picture (24, 24) uint8, black and white at `gray_hu`."""
    low, high = gray_hu
    gray = np.clip((hu - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return np.asarray(Image.fromarray(gray).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX))


def thumbnails_view(embedding: pd.DataFrame, patches: pd.DataFrame, series: pd.DataFrame, volumes: Path,
                    most: int = MOST, gray_hu: tuple[float, float] = GRAY_HU) -> dict | None:  # fmt: skip
    """Return the sprite as plain values for the page, its picture in base64; None where no embedded patch has a volume.

    `patches` are patches.csv, `series` the registered ones, in whose order those of the sprite are chosen. Tiles stand
    in rows of `columns`: those of a series one after the other, in the order of `patches`.
    """
    embedded = set(embedding["series_uid"])
    uids = [uid for uid in series["series_uid"] if uid in embedded and (volumes / f"{uid}{SUFFIX}").exists()]
    keys = set(zip(embedding["roi"], embedding["patch"], strict=True))
    rows = patches[[key in keys for key in zip(patches["roi"], patches["patch"], strict=True)]]
    if not uids or rows.empty:
        return None
    kept = chosen_series(uids, len(rows), most)
    columns = int(np.ceil(np.sqrt(len(kept) * len(rows))))
    tiles = np.zeros((-(-len(kept) * len(rows) // columns) * columns, SIDE_PX, SIDE_PX), np.uint8)
    for i, uid in enumerate(kept):
        volume = open_volume(volumes / f"{uid}{SUFFIX}")
        for j, centre in enumerate(rows[VOXEL].to_numpy(int)):
            tiles[i * len(rows) + j] = small_picture(middle_slice(volume, centre), gray_hu)
    sprite = tiles.reshape(-1, columns, SIDE_PX, SIDE_PX).swapaxes(1, 2).reshape(-1, columns * SIDE_PX)
    out = io.BytesIO()
    Image.fromarray(sprite).convert("RGB").save(out, format="WEBP", quality=QUALITY, method=4)
    return {
        "side": SIDE_PX, "columns": columns, "gray_hu": list(gray_hu), "series": kept, "n_series": len(uids),
        "patches": [[str(roi), int(patch)] for roi, patch in zip(rows["roi"], rows["patch"], strict=True)],
        "image": base64.b64encode(out.getvalue()).decode("ascii"),
    }  # fmt: skip
