"""The sprite of patches: each tile is the middle slice of its patch, in its place; of too many patches a sample."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_data import embedding_table, series_table

from ct4bench.core.benchmark import ROIS
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import save_volume
from ct4bench.figures.thumbnails import chosen_series, thumbnails_view

GRID = Grid.axis_aligned((24, 80, 240), (1, 1, 1), (0, 0, 0))
SERIES = series_table("synthetic", ("A1", "C1"))


@pytest.fixture(scope="module")
def patches():
    """Two patches of each region, side by side."""
    rows = [(roi, number, 12, 20 + 38 * number, 20 + 40 * i) for i, roi in enumerate(ROIS) for number in (0, 1)]
    return pd.DataFrame(rows, columns=["roi", "patch", "slice", "row", "column"])


@pytest.fixture(scope="module")
def planted(patches, tmp_path_factory):
    """Volumes whose patches each have a gray of their own in the middle slice, their left half darker by 40 HU."""
    folder, grays = tmp_path_factory.mktemp("volumes"), {}
    for i, uid in enumerate(SERIES.loc[SERIES["dose_mgy"] == 10, "series_uid"]):
        hu = np.full(GRID.shape, 900, np.int16)
        for j, row in enumerate(patches.itertuples()):
            value = 10 * j + 3 * i
            hu[12, row.row - 16 : row.row + 16, row.column - 16 : row.column + 16] = value
            hu[12, row.row - 16 : row.row + 16, row.column - 16 : row.column] -= 40
            grays[(uid, row.roi, row.patch)] = value
        save_volume(folder / f"{uid}.b2nd", hu, GRID)
    return folder, grays


def test_each_tile_is_its_patch(patches, planted):
    folder, grays = planted
    view = thumbnails_view(embedding_table(SERIES, ("radiomics",)), patches, SERIES, folder)
    sprite = np.asarray(Image.open(io.BytesIO(base64.b64decode(view["image"]))).convert("L")).astype(float)
    low, high = view["gray_hu"]
    side = view["side"]
    assert view["n_series"] == len(view["series"]) == 4 and len(view["patches"]) == 12
    for i, uid in enumerate(view["series"]):
        for j, (roi, patch) in enumerate(view["patches"]):
            row, column = divmod(i * len(view["patches"]) + j, view["columns"])
            tile = sprite[row * side : (row + 1) * side, column * side : (column + 1) * side] / 255 * (high - low) + low
            right, left = tile[4:-4, side // 2 + 3 : -3].mean(), tile[4:-4, 3 : side // 2 - 3].mean()
            assert right == pytest.approx(grays[(uid, roi, patch)], abs=4)
            assert left == pytest.approx(max(grays[(uid, roi, patch)] - 40, low), abs=4)


def test_of_too_many_patches_the_sprite_has_those_of_evenly_spread_series(patches, planted):
    assert chosen_series([str(i) for i in range(10)], 12, 60) == ["0", "2", "4", "7", "9"]
    assert chosen_series(["a", "b"], 12, 5) == ["a"]
    view = thumbnails_view(embedding_table(SERIES, ("radiomics",)), patches, SERIES, planted[0], 24)
    assert (len(view["series"]), view["n_series"]) == (2, 4)


def test_what_was_not_kept_has_no_picture(patches, tmp_path):
    assert thumbnails_view(embedding_table(SERIES, ("radiomics",)), patches, SERIES, tmp_path) is None
