"""Registration of a phantom that is drawn at any place: it is found, or refused for the right reason."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from scene import CENTRE_MM, STILL, image, scan_grid

from ct4bench.core.errors import Refusal
from ct4bench.core.geometry import Grid, Rigid, worst_displacement_mm
from ct4bench.preprocess.find_block import find_block
from ct4bench.preprocess.registration import _read_spread, _steepness, prepare_fixed, register

SPACING = (4.0, 2.8, 2.8)
"""Voxels far coarser than a scanner's, for speed: errors are larger than on real grids, too."""
LIMIT_MM = 0.3
"""What every series must keep where content is poor or noise high on these voxels."""
MOTION = Rigid((5.0, -5.0, 5.0), (5.0, -5.0, 7.0), tuple(CENTRE_MM))
NOISE_HU = 15.0
SIGNS = list(product((1, -1), repeat=3))
"""Axes kept and reversed: four ways to lie turned over, four that only a mirror makes."""


@dataclass
class Known:
    """A series and the motion that brought the phantom there."""

    volume: np.ndarray
    grid: Grid
    motion: Rigid

    def part(self, *box) -> "Known":
        return Known(np.ascontiguousarray(self.volume[box]), self.grid.crop(box), self.motion)


@pytest.fixture(scope="module")
def reference():
    grid = scan_grid(SPACING)
    volume = image(grid, noise_hu=NOISE_HU)
    return volume, grid


@pytest.fixture(scope="module")
def fixed(reference):
    return prepare_fixed(*reference, find_block(*reference))


@pytest.fixture(scope="module")
def moved():
    """Moved by 10 mm and turned by 5 degrees about each axis, in a slightly larger field of view."""
    grid = scan_grid(SPACING, (380.0, 370.0, 390.0))
    return Known(image(grid, MOTION, NOISE_HU, seed=1), grid, MOTION)


def error_mm(fixed, series: Known) -> float:
    found = register(fixed, series.volume, series.grid)
    return worst_displacement_mm(found.motion, series.motion, fixed.block.corners_mm)


def reason(fixed, series: Known) -> str:
    with pytest.raises(Refusal) as caught:
        register(fixed, series.volume, series.grid)
    assert str(caught.value)
    return caught.value.reason


def in_patient(series: Known, matrix, shift=(0.0, 0.0, 0.0)) -> Known:
    """The same voxels with patient coordinates turned or mirrored about the image's middle, and shifted."""
    middle = series.grid.corners_mm().mean(axis=0)
    affine = series.grid.affine.copy()
    affine[:3, :3] = matrix @ affine[:3, :3]
    affine[:3, 3] = middle + matrix @ (affine[:3, 3] - middle) + shift
    offset = middle + matrix @ (series.motion.offset - middle) + shift
    motion = Rigid.from_affine(matrix @ series.motion.matrix, offset, CENTRE_MM)
    return Known(series.volume, Grid(series.grid.shape, affine), motion)


def test_ten_millimetres_and_five_degrees_are_undone(fixed, moved):
    found = register(fixed, moved.volume, moved.grid)
    assert worst_displacement_mm(found.motion, moved.motion, fixed.block.corners_mm) < 0.05
    assert found.similarity_before < 0.9 < found.similarity_after
    assert found.overlap == 1


def test_the_reference_itself_does_not_move(fixed, reference):
    assert error_mm(fixed, Known(*reference, STILL)) < 1e-3


def test_the_table_may_stand_anywhere(fixed, moved):
    assert error_mm(fixed, in_patient(moved, np.eye(3), (-35.0, 48.0, 15.0))) < 0.05


def test_twice_the_same_gives_the_same_bits(fixed, moved):
    one, other = (register(fixed, moved.volume, moved.grid) for _ in range(2))
    assert (one.motion, one.similarity_before, one.similarity_after, one.overlap) == (
        other.motion, other.similarity_before, other.similarity_after, other.overlap
    )  # fmt: skip
    np.testing.assert_array_equal(one.middle[0], other.middle[0])


@pytest.mark.parametrize("signs", [signs for signs in SIGNS if np.prod(signs) == 1])
def test_a_phantom_turned_over_is_found(fixed, moved, signs):
    assert error_mm(fixed, in_patient(moved, np.diag(np.array(signs, float)))) < 0.05


@pytest.mark.parametrize("signs", [signs for signs in SIGNS if np.prod(signs) == -1])
def test_a_mirrored_phantom_is_told(fixed, moved, signs):
    assert reason(fixed, in_patient(moved, np.diag(np.array(signs, float)))) == "mirrored"


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_the_order_of_voxels_does_not_matter(fixed, moved, axes):
    affine, first = moved.grid.affine.copy(), np.zeros(3)
    for axis in axes:
        first[axis] = moved.grid.shape[axis] - 1
        affine[:3, axis] *= -1
    affine[:3, 3] = moved.grid.to_lps(first)
    flipped = Known(np.ascontiguousarray(np.flip(moved.volume, axes)), Grid(moved.grid.shape, affine), moved.motion)
    assert error_mm(fixed, flipped) < 0.05


def test_sagittal_slices_register(fixed, moved):
    affine = moved.grid.affine.copy()
    affine[:3, :3] = affine[:3, [2, 0, 1]]
    volume = np.ascontiguousarray(moved.volume.transpose(2, 0, 1))
    assert error_mm(fixed, Known(volume, Grid(volume.shape, affine), moved.motion)) < 0.05


def test_thick_slices_register(fixed):
    grid = scan_grid((5.0, 2.8, 2.8), (380.0, 370.0, 390.0))
    fine = scan_grid((2.5, 2.8, 2.8), (380.0, 370.0, 390.0))
    means = image(fine, MOTION, NOISE_HU, seed=2).reshape(grid.shape[0], 2, *grid.shape[1:]).mean(axis=1)
    assert error_mm(fixed, Known(np.rint(means).astype(np.int16), grid, MOTION)) < 0.1


def test_small_pixels_register(fixed):
    grid = scan_grid((4.0, 0.7, 0.7), (120.0, 260.0, 340.0))
    assert grid.shape[2] > 480
    inner = scan_grid((4.0, 1.4, 1.4), (120.0, 260.0, 340.0))
    volume = np.repeat(np.repeat(image(inner, MOTION, NOISE_HU, seed=4), 2, axis=1), 2, axis=2)
    affine = inner.affine.copy()
    affine[:3, 1:3] /= 2
    affine[:3, 3] -= (affine[:3, 1] + affine[:3, 2]) / 2
    assert error_mm(fixed, Known(volume, Grid(volume.shape, affine), MOTION)) < LIMIT_MM


@pytest.mark.parametrize("part", [slice(0, 60), slice(35, None), slice(20, 75)])
def test_a_series_cut_at_an_end_registers(fixed, moved, part):
    cut = moved.part(part, slice(None), slice(None))
    assert register(fixed, cut.volume, cut.grid).overlap < 1
    assert error_mm(fixed, cut) < 0.1


@pytest.mark.parametrize("part", [slice(0, 30), slice(70, None)])
def test_too_short_a_piece_is_refused(fixed, moved, part):
    assert reason(fixed, moved.part(part, slice(None), slice(None))) == "registration_failed"


def test_another_table_and_calibration_register(fixed):
    grid = scan_grid(SPACING, (380.0, 370.0, 390.0))
    volume = image(grid, MOTION, 0.0, board_y_mm=25.0, sigma_mm=2.2)
    material = np.where(volume > -900, 1.04 * volume + 12, volume)
    noisy = material + 40 * np.random.default_rng(5).standard_normal(grid.shape)
    series = Known(np.clip(np.rint(noisy), -1024, 3071).astype(np.int16), grid, MOTION)
    assert error_mm(fixed, series) < LIMIT_MM


def test_a_noisy_reference_serves(moved):
    grid = scan_grid(SPACING)
    volume = image(grid, noise_hu=60, seed=6)
    assert error_mm(prepare_fixed(volume, grid, find_block(volume, grid)), moved) < LIMIT_MM


def test_a_slab_registers_to_a_slab(reference, moved):
    volume, grid = reference
    box = (slice(30, 56), slice(None), slice(None))
    slab = np.ascontiguousarray(volume[box])
    fixed = prepare_fixed(slab, grid.crop(box), find_block(slab, grid.crop(box)))
    assert error_mm(fixed, moved.part(slice(32, 64), slice(None), slice(None))) < LIMIT_MM
    turned = in_patient(moved.part(slice(32, 64), slice(None), slice(None)), np.diag([-1.0, 1.0, 1.0]))
    assert reason(fixed, turned) == "mirrored"


@pytest.mark.parametrize("fill", [-1024, -2000])
@pytest.mark.parametrize("radius_mm", [155.0, 150.0, 145.0, 125.0, 90.0])
def test_a_block_cut_by_the_circle_of_reconstruction_is_told(fixed, moved, fill, radius_mm):
    n_rows, n_columns = moved.grid.shape[1:]
    rows, columns = np.mgrid[:n_rows, :n_columns]
    away_mm = np.hypot(rows - (n_rows - 1) / 2, columns - (n_columns - 1) / 2) * SPACING[1]
    volume = moved.volume.copy()
    volume[:, away_mm > radius_mm] = fill
    # Where half of the block is gone, what is left may not tell the phantom any more.
    allowed = ("phantom_outside_fov",) if radius_mm >= 150 else ("phantom_outside_fov", "registration_failed")
    assert reason(fixed, Known(volume, moved.grid, moved.motion)) in allowed


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((0, None), (25, None)), ((0, None), (0, -30)), ((35, None), (0, None)), ((0, None), (45, None))],
)
def test_a_block_cut_by_the_image_is_told(fixed, moved, rows, columns):
    assert reason(fixed, moved.part(slice(None), slice(*rows), slice(*columns))) == "phantom_outside_fov"


@pytest.mark.parametrize("content", ["air", "water", "other anatomy", "shuffled", "quarter turn", "one value"])
def test_what_is_not_the_phantom_is_refused(fixed, moved, content):
    rng = np.random.default_rng(11)
    volume, grid = moved.volume, moved.grid
    if content == "air":
        volume = np.clip(np.rint(-1000 + 20 * rng.standard_normal(grid.shape)), -1024, 0).astype(np.int16)
    elif content == "water":
        volume = np.where(volume > -500, 0, -1000).astype(np.int16)
    elif content == "other anatomy":
        # The same block and board, filled with organs that lie elsewhere.
        organs = np.roll(volume, (31, 17, -23), axis=(0, 1, 2))
        volume = np.where(volume > -250, np.maximum(organs, -100), volume)
    elif content == "shuffled":
        order = rng.permutation(grid.shape[0] // 5)
        volume = np.concatenate([volume[5 * k : 5 * k + 5] for k in order])
        grid = grid.crop((slice(0, len(volume)), slice(None), slice(None)))
    elif content == "quarter turn":
        turned = in_patient(moved, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
        volume, grid = turned.volume, turned.grid
    else:
        volume = np.full(grid.shape, 40, np.int16)
    expected = "phantom_outside_fov" if content == "one value" else "registration_failed"
    assert reason(fixed, Known(np.ascontiguousarray(volume), grid, MOTION)) == expected


@pytest.mark.parametrize("shape", [(3, 120, 120), (16, 16, 16), (17, 300, 18)])
def test_a_tiny_volume_is_refused(fixed, shape):
    series = Known(np.full(shape, -1000, np.int16), Grid.axis_aligned(shape, SPACING, CENTRE_MM), STILL)
    assert reason(fixed, series) == "registration_failed"


def test_samples_of_a_plane_lie_on_it(rng):
    """HU that are linear in position have their value and slope at any point, in a turned and anisotropic grid."""
    turn = Rigid((20.0, -35.0, 50.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)).matrix
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.5, 0.7, 0.9])
    affine[:3, 3] = (-30.0, 12.0, 7.0)
    slope, shape = np.array([3.0, -2.0, 5.0]), (9, 10, 11)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    volume = ((index @ affine[:3, :3].T + affine[:3, 3]) @ slope).astype(np.float32)
    chosen = rng.integers(2, np.array(shape) - 2, (200, 3))
    centre = np.array([1.0, 2.0, 3.0])
    position, value, gradient = (np.empty(s, np.float32) for s in ((200, 3), 200, (200, 3)))
    _read_spread(volume, chosen, affine, np.linalg.inv(affine[:3, :3]), centre, position, value, gradient)
    np.testing.assert_allclose(value, (position + centre) @ slope, atol=1e-3)
    np.testing.assert_allclose(gradient, np.tile(slope, (200, 1)), atol=1e-3)
    inside = (position + centre - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T - chosen
    assert (np.abs(inside) <= 0.5 + 1e-4).all()
    # spread over the whole of their voxels
    assert (np.abs(inside.mean(axis=0)) < 0.05).all() and (inside.std(axis=0) > 0.25).all()


def test_steepness_is_the_squared_difference_of_neighbours():
    k, j, i = np.meshgrid(*map(np.arange, (8, 9, 10)), indexing="ij")
    volume = (3 * k + 5 * j - 7 * i + 1000).astype(np.float32)
    bottom = np.array([[0.0, 1.0, 0.0, 0.0]])
    sides = np.array([[0.0, 0.0, 1.0, 0.0]])
    out = np.empty(volume.shape, np.float32)
    _steepness(volume, bottom, sides, 3.0, 2.0, 5.0, -np.inf, out)
    used = (j > 3) & (i > 2) & (np.minimum(j, i) <= 5)
    for axis, n in zip((k, j, i), volume.shape, strict=True):
        used &= (axis >= 2) & (axis < n - 2)
    np.testing.assert_array_equal(out, np.where(used, 4 * (9 + 25 + 49), -1))
