"""Grids and rigid motions: algebra that must hold for any of them."""

import numpy as np
import pytest

from ct4bench.core.geometry import Grid, Rigid, euler_zyx_angles, euler_zyx_matrix, worst_displacement_mm


def random_motion(rng) -> Rigid:
    return Rigid(tuple(rng.uniform(-80, 80, 3)), tuple(rng.uniform(-60, 60, 3)), tuple(rng.uniform(-200, 200, 3)))


def random_grid(rng) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = euler_zyx_matrix(rng.uniform(-180, 180, 3)) * rng.uniform(0.3, 5, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    return Grid(tuple(int(n) for n in rng.integers(2, 60, 3)), affine)


def test_axis_aligned_grid_puts_columns_along_x_and_slices_along_z():
    grid = Grid.axis_aligned((5, 6, 7), (1.25, 0.8, 0.7), (-10.0, -20.0, 30.0))
    np.testing.assert_allclose(grid.to_lps([0, 0, 0]), [-10, -20, 30])
    np.testing.assert_allclose(grid.to_lps([1, 2, 3]), [-10 + 2.1, -20 + 1.6, 31.25])
    assert grid.spacing_mm == pytest.approx((1.25, 0.8, 0.7))


def test_index_and_position_are_inverse(rng):
    for _ in range(20):
        grid = random_grid(rng)
        index = rng.uniform(-5, 60, (9, 3))
        np.testing.assert_allclose(grid.to_index(grid.to_lps(index)), index, atol=1e-9)


def test_spacing_is_the_distance_of_neighbours(rng):
    grid = random_grid(rng)
    steps = [np.linalg.norm(grid.to_lps(np.eye(3)[axis]) - grid.to_lps([0, 0, 0])) for axis in range(3)]
    assert grid.spacing_mm == pytest.approx(tuple(steps))


def test_cropped_voxels_stay_where_they_were(rng):
    grid = Grid((20, 30, 40), random_grid(rng).affine)
    part = grid.crop((slice(3, 9), slice(None), slice(10, -5)))
    assert part.shape == (6, 30, 25)
    np.testing.assert_allclose(part.to_lps([1, 2, 3]), grid.to_lps([4, 2, 13]))


def test_grid_survives_json_values(rng):
    grid = random_grid(rng)
    assert Grid.from_dict(grid.to_dict()).same_as(grid, 1e-12)


def test_grids_differ_by_shape_and_by_a_hundredth_of_a_millimetre():
    grid = Grid.axis_aligned((5, 6, 7), (1, 1, 1), (0, 0, 0))
    assert not grid.same_as(Grid.axis_aligned((5, 6, 8), (1, 1, 1), (0, 0, 0)))
    assert not grid.same_as(Grid.axis_aligned((5, 6, 7), (1, 1, 1), (0, 0, 0.01)))


@pytest.mark.parametrize(
    ("angles", "start", "end"),
    [((90, 0, 0), (0, 1, 0), (0, 0, 1)), ((0, 90, 0), (0, 0, 1), (1, 0, 0)), ((0, 0, 90), (1, 0, 0), (0, 1, 0))],
)
def test_a_positive_angle_turns_right_handed(angles, start, end):
    np.testing.assert_allclose(euler_zyx_matrix(angles) @ start, end, atol=1e-12)


def test_x_is_turned_first_and_z_last():
    # y -> (x by 90 degrees) z -> (z by 90 degrees) z; the other order would end at -x.
    np.testing.assert_allclose(euler_zyx_matrix((90, 0, 90)) @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_angles_of_a_matrix_are_found_again(rng):
    for _ in range(50):
        angles = rng.uniform((-179, -89, -179), (179, 89, 179))
        np.testing.assert_allclose(euler_zyx_angles(euler_zyx_matrix(angles)), angles, atol=1e-9)


def test_motion_is_a_turn_about_its_centre_then_a_shift(rng):
    motion = random_motion(rng)
    centre, shift = np.array(motion.centre_mm), np.array(motion.translation_mm)
    np.testing.assert_allclose(motion(centre), centre + shift, atol=1e-9)
    point = rng.uniform(-100, 100, 3)
    np.testing.assert_allclose(
        motion(point), euler_zyx_matrix(motion.rotation_deg) @ (point - centre) + centre + shift, atol=1e-9
    )


def test_inverse_brings_points_back(rng):
    for _ in range(20):
        motion, points = random_motion(rng), rng.uniform(-200, 200, (8, 3))
        np.testing.assert_allclose(motion.inverse()(motion(points)), points, atol=1e-9)
        assert motion.inverse().centre_mm == motion.centre_mm


def test_motions_chain_and_keep_distances(rng):
    for _ in range(20):
        first, then, points = random_motion(rng), random_motion(rng), rng.uniform(-200, 200, (8, 3))
        both = then.after(first)
        np.testing.assert_allclose(both(points), then(first(points)), atol=1e-8)
        apart = np.linalg.norm(points - points[0], axis=1)
        np.testing.assert_allclose(np.linalg.norm(both(points) - both(points[0]), axis=1), apart, atol=1e-8)


def test_the_centre_is_only_a_way_of_writing(rng):
    motion, points = random_motion(rng), rng.uniform(-200, 200, (8, 3))
    other = Rigid.from_affine(motion.matrix, motion.offset, rng.uniform(-200, 200, 3))
    assert worst_displacement_mm(motion, other, points) < 1e-9


def test_worst_displacement_is_the_largest():
    still = Rigid((0, 0, 0), (0, 0, 0), (0, 0, 0))
    moved = Rigid((0, 0, 90), (0, 0, 3), (0, 0, 0))
    points = np.array([[0.0, 0, 0], [10, 0, 0]])
    assert worst_displacement_mm(still, moved, points) == pytest.approx(np.hypot(np.sqrt(200), 3))
