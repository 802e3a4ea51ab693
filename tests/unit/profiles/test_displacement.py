"""Known displacements come back from a printed texture with noise, another calibration and another blur."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from ct4bench.core.geometry import Grid
from ct4bench.preprocess.block import Block, Face
from ct4bench.profiles.displacement import LocalField, field_summary

SHAPE, SPACING_MM = (72, 110, 120), (1.0, 0.7, 0.7)
GRID = Grid.axis_aligned(SHAPE, SPACING_MM, (-40.0, -30.0, 100.0))


def whole_block() -> Block:
    """A block that the volume cuts on all sides."""
    low, high = GRID.corners_mm().min(axis=0), GRID.corners_mm().max(axis=0)
    faces = []
    for axis in range(3):
        for side in range(2):
            normal = np.zeros(3)
            normal[2 - axis] = 2 * side - 1
            faces.append(Face(axis, side, tuple(normal), float((high if side else low) @ normal), True))
    return Block(tuple(faces), GRID.corners_mm(), 0.5 * (low + high), tuple((0, n) for n in SHAPE))


@pytest.fixture(scope="module")
def scene():
    """Structures of some millimetres on the grid with a margin for moving them, HU of SD 40."""
    rng = np.random.default_rng(5)
    field = gaussian_filter(rng.standard_normal([n + 16 for n in SHAPE]), (2.0, 2.9, 2.9))
    return 40 * field / field.std()


def image(scene, moved=None) -> np.ndarray:
    """The scene on the grid; `moved` takes z, y, x in mm to displacements (z, y, x) in mm of what is there."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij"))
    shift = np.zeros_like(index)
    if moved is not None:
        lps = [GRID.origin_mm[2 - a] + SPACING_MM[a] * index[a] for a in range(3)]
        shift = np.stack([np.broadcast_to(m, SHAPE) / s for m, s in zip(moved(*lps), SPACING_MM, strict=True)])
    return map_coordinates(scene, index - shift + 8, order=3)


def noisy(rng, volume, sd) -> np.ndarray:
    noise = gaussian_filter(rng.standard_normal(SHAPE), 0.8)
    return np.rint(volume + sd * noise / noise.std()).astype(np.int16)


def test_a_shift_is_found_whole_in_spite_of_noise(scene, rng):
    """Least squares would find 10 to 20 % less here: noise of the reference is as strong as half its structure."""
    still, moved = image(scene), 0.96 * image(scene, lambda z, y, x: (0.1, -0.15, 0.25)) - 5
    fields = [LocalField(noisy(rng, still, 20.0), GRID, whole_block()) for _ in range(4)]
    found = [field.measure(noisy(rng, moved, 20.0)) for field in fields for _ in range(2)]
    assert len(found[0].position_mm) >= 12
    mean = np.nanmean([f.displacement_mm for f in found], axis=(0, 1))
    np.testing.assert_allclose(mean, [0.25, -0.15, 0.1], atol=0.02)
    ratios = [(f.displacement_mm - [0.25, -0.15, 0.1]) / f.error_mm for f in found]
    assert 0.6 < np.sqrt(np.nanmean(np.square(ratios))) < 1.5


def test_stretch_and_sag_are_told(scene, rng):
    middle = GRID.corners_mm().mean(axis=0)
    half = 0.5 * (SHAPE[0] - 1) * SPACING_MM[0]

    def moved(z, y, x):
        return 0.002 * (z - middle[2]), 0.3 * (1 - ((z - middle[2]) / half) ** 2), -0.003 * (x - middle[0])

    field = LocalField(noisy(rng, image(scene), 8.0), GRID, whole_block(), cell_mm=14.0)
    found = field.measure(noisy(rng, image(scene, moved), 8.0))
    position_mm, wanted = found.position_mm, np.empty_like(found.position_mm)
    wanted[:, 2], wanted[:, 1], wanted[:, 0] = moved(position_mm[:, 2], position_mm[:, 1], position_mm[:, 0])
    errors = found.displacement_mm - wanted
    assert np.sqrt(np.nanmean(errors**2)) < 0.07
    assert 0.5 < np.sqrt(np.nanmean((errors / found.error_mm) ** 2)) < 1.5
    summary = field_summary(found)
    assert summary["scale_z_permille"] == pytest.approx(2.0, abs=0.7)
    assert summary["scale_x_permille"] == pytest.approx(-3.0, abs=0.7)
    assert abs(summary["scale_y_permille"]) < 0.7
    length = np.ptp(position_mm[np.isfinite(found.displacement_mm[:, 1]), 2])
    assert summary["sag_y_mm"] == pytest.approx(0.3 * (0.5 * length / half) ** 2, abs=0.06)


def test_another_blur_is_no_displacement(scene, rng):
    field = LocalField(noisy(rng, image(scene), 5.0), GRID, whole_block())
    found = field.measure(noisy(rng, gaussian_filter(image(scene), 0.8), 5.0))
    assert np.nanmax(np.abs(found.displacement_mm)) < 0.06


def test_even_paper_tells_no_place(rng):
    flat = noisy(rng, np.full(SHAPE, -100.0), 15.0)
    found = LocalField(flat, GRID, whole_block()).measure(noisy(rng, np.full(SHAPE, -100.0), 15.0))
    assert np.isnan(found.displacement_mm).mean() > 0.8


def test_cells_keep_away_from_faces(scene, rng):
    block = whole_block()
    faces = tuple(Face(f.axis, f.side, f.normal, f.offset_mm - 10.0, False) if f.axis == 2 else f for f in block.faces)
    block = Block(faces, block.corners_mm, block.centre_mm, block.box)
    field = LocalField(noisy(rng, image(scene), 5.0), GRID, block)
    assert block.depth_mm(field.position_mm).min() > 6.0
