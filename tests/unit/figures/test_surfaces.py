import numpy as np
import pytest

from ct4bench.figures.surfaces import View, box_planes, convex_span, first_inside, sample, shade, soften, trim

LOW, HIGH = np.array([0.0, 0.0, 0.0]), np.array([60.0, 40.0, 50.0])


@pytest.mark.parametrize("angles", [(0, 0), (35, 25), (-20, 38), (120, -10)])
def test_view_is_a_right_angled_frame_that_sees_the_box(angles):
    view = View.on_box(LOW, HIGH, *angles, 1.0)
    axes = np.stack([view.right, view.down, view.away])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    corners = np.array([[z, y, x] for z in (0, 60) for y in (0, 40) for x in (0, 50)])
    pixels = view.project(corners)
    assert (pixels >= 0).all()
    assert (pixels[:, 0] < view.shape[1]).all()
    assert (pixels[:, 1] < view.shape[0]).all()


def test_slices_are_upright_and_columns_to_the_right_from_the_front():
    view = View.on_box(LOW, HIGH, 0, 0, 1.0)
    foot, head, left = view.project([[0, 0, 0], [60, 0, 0], [0, 0, 50]])
    assert head[1] < foot[1]
    assert left[0] > foot[0]
    np.testing.assert_allclose(view.away, [0, 1, 0], atol=1e-12)


def test_project_undoes_points():
    view = View.on_box(LOW, HIGH, 35, 25, 0.5)
    rows, columns = np.array([3, 17]), np.array([8, 1])
    points = view.points(rows, columns, np.array([2.0, 30.0]))
    np.testing.assert_allclose(view.project(points), np.stack([columns, rows], axis=-1), atol=1e-9)


def test_span_of_a_box_seen_from_the_front():
    view = View.on_box(LOW, HIGH, 0, 0, 1.0)
    enter, leave = convex_span(view, *box_planes(LOW, HIGH))
    hit = np.isfinite(enter)
    assert hit.sum() == 61 * 51
    np.testing.assert_allclose((leave - enter)[hit], 40)


def test_depth_of_a_sphere_is_exact():
    centre, radius = np.array([30.0, 20.0, 25.0]), 15.0
    view = View.on_box(LOW, HIGH, 35, 25, 1.0)
    span = convex_span(view, *box_planes(LOW, HIGH))
    depth = first_inside(view, lambda p: np.linalg.norm(p - centre, axis=-1) < radius, *span, 1.0)
    start = view.points(*np.indices(view.shape), np.zeros(view.shape))
    along = (centre - start) @ view.away
    aside = np.linalg.norm(start + along[..., None] * view.away - centre, axis=-1)
    well_inside = aside < radius - 0.5
    expected = along - np.sqrt(np.clip(radius**2 - aside**2, 0, None))
    assert np.abs(depth - expected)[well_inside].max() < 1.0 / 2**6 + 1e-9
    assert not np.isfinite(depth[aside > radius]).any()


def test_a_surface_is_brightest_where_it_faces_the_light():
    rows, columns = np.indices((41, 41)) - 20.0
    dome = 50 - np.sqrt(np.clip(30.0**2 - rows**2 - columns**2, 0, None))
    brightness = shade(dome, 1.0)
    upper_left, lower_right = brightness[8, 8], brightness[32, 32]
    assert upper_left > brightness[20, 20] > lower_right
    assert 0 <= brightness.min() <= brightness.max() <= 1


def test_a_step_to_the_background_casts_no_edge():
    depth = np.full((9, 9), 5.0)
    depth[:, 5:] = np.inf
    assert np.ptp(shade(depth, 1.0)[:, :5]) == 0


def test_sample_is_linear_between_voxels_and_holds_the_rim():
    volume = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    points = np.array([[1.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(sample(volume, (2.0, 1.0, 2.0), points), [2.0, 4.0, 0.5])


def test_soften_takes_means_and_trim_takes_white_away():
    picture = np.ones((6, 8, 3))
    picture[2, 4] = 0
    small, corner = trim(soften(picture, 2))
    np.testing.assert_allclose(small, [[[0.75] * 3]])
    assert list(corner) == [2, 1]
