"""A twin made from the real series: its anatomy stays, its noise becomes the scanner model's."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from twin_fixture import Twin, pose_of, simulate

from ct4bench.core.benchmark import ROIS
from ct4bench.core.phantom import A1_GRID
from ct4bench.index.ct import read_series
from ct4bench.twin.from_series import phantom_from_series
from ct4bench.twin.phantom import open_phantom, parse_slab
from ct4bench.twin.scanners import read_scanners

SLAB = "132:195,140:290,90:372"
SPHERES = {
    # (row, column, slice): mean of the real series within 5 mm
    "cyst1": ((180, 322, 157), 7.49),
    "cyst2": ((233, 189, 186), 6.91),
    "hemangioma": ((193, 212, 159), 41.85),
    "metastasis": ((240, 111, 140), 38.31),
    "normal": ((226, 161, 149), 90.30),
    "other normal": ((275, 159, 170), 83.65),
}


@pytest.fixture(scope="module")
def real(real_series):
    volume, grid = read_series(sorted(real_series.rglob("*.dcm")))
    assert grid.same_as(A1_GRID)
    return volume


@pytest.fixture(scope="module")
def twin(real_series, tmp_path_factory):
    folder = tmp_path_factory.mktemp("like")
    phantom_from_series(real_series, parse_slab(SLAB), 0, folder / "phantom")
    truths = [simulate(folder / "phantom", folder, code, (10,), ("FBP", "IR"), 2) for code in ("A1", "B2")]
    import pandas as pd

    return Twin(open_phantom(folder / "phantom"), folder / "dicom", pd.concat(truths, ignore_index=True))


def within(grid, place, radius_mm: float) -> np.ndarray:
    """Voxels of a grid near a place (row, column, slice) of A1's whole grid."""
    row, column, slice_number = place
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(grid.to_lps(index) - A1_GRID.to_lps([slice_number, row, column]), axis=-1) <= radius_mm


def test_it_says_where_it_is_from(twin, real_series):
    import pydicom

    uid = pydicom.dcmread(next(real_series.rglob("*.dcm")), stop_before_pixels=True).SeriesInstanceUID
    assert twin.phantom.origin == uid
    assert set(twin.truth["phantom"]) == {uid}
    assert uid not in set(twin.truth["series_uid"])
    assert twin.phantom.values["box_origin_mm"] == list(A1_GRID.origin_mm)
    ds = pydicom.dcmread(next((twin.folder("A1", "IR") / "ct").glob("*.dcm")), stop_before_pixels=True)
    assert ds.ImageComments.startswith("synthetic")


def test_places_and_means_are_the_real_series(twin):
    _, grid = twin.read("A1", "IR")
    volume = 0.5 * np.sum([twin.read("A1", "IR", repetition=n)[0] for n in (1, 2)], axis=0)
    for name, (place, mean) in SPHERES.items():
        assert volume[within(grid, place, 5.0)].mean() == pytest.approx(mean, abs=3.5), name


def test_anatomy_is_the_real_series(twin, real):
    volume, grid = twin.read("A1", "FBP")
    box = parse_slab(SLAB)
    ours, theirs = (gaussian_filter(v.astype(np.float32), 1.5)[4:-4] for v in (volume, real[box]))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.985
    for percent in (1, 50, 99, 99.9):
        measured = np.percentile(theirs, percent)
        assert np.percentile(ours, percent) == pytest.approx(measured, abs=6, rel=0.06), percent
    # Anatomy moved by a pixel would show.
    inner = ours[1:-1, 1:-1, 1:-1].ravel()
    for axis in range(3):
        near = [np.corrcoef(inner, np.roll(theirs, by, axis)[1:-1, 1:-1, 1:-1].ravel())[0, 1] for by in (-1, 0, 1)]
        assert near[1] > max(near[0], near[2]) + 0.002, axis


@pytest.mark.parametrize(("scanner", "recon"), [("A1", "FBP"), ("A1", "IR"), ("B2", "FBP"), ("B2", "IR")])
def test_noise_is_the_models(twin, scanner, recon):
    model, row = read_scanners()[scanner].reconstructions[recon], twin.row(scanner, recon)
    images = [twin.read(scanner, recon, repetition=n) for n in (1, 2)]
    grid = images[0][1]
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    away = pose_of(row).inverse()(grid.to_lps(index)) - A1_GRID.to_lps([157, 180, 322])
    inside = np.linalg.norm(away, axis=-1) <= 14.0
    one, other = (volume[inside].astype(float) for volume, _ in images)
    assert (one - other).std() / np.sqrt(2) == pytest.approx(row["noise_sd_hu"], rel=0.05)
    assert 0.5 * (one.std() + other.std()) == pytest.approx(model.noise[10].total_sd_hu, rel=0.05)


def test_segments_are_the_regions_of_the_phantom(twin):
    _, grid = twin.read("A1", "IR")
    labels = twin.phantom.region_labels(grid, np.eye(3), np.zeros(3))
    assert list(np.bincount(labels.ravel())[1:]) == [twin.row("A1", "IR")[f"{roi}_voxels"] for roi in ROIS]
    for roi in ("cyst1", "cyst2", "metastasis"):
        (row, column, slice_number), _ = SPHERES[roi]
        centre = grid.to_lps(np.argwhere(labels == ROIS.index(roi) + 1).mean(axis=0))
        np.testing.assert_allclose(centre, A1_GRID.to_lps([slice_number, row, column]), atol=2.5)
