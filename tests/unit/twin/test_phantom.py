"""The phantom's frame, regions and drawing."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ct4bench.core.errors import UserError
from ct4bench.core.phantom import A1_GRID, BLOCK
from ct4bench.twin.anatomy import LAYERS, layers, signed_depth
from ct4bench.twin.draw import Drawing, fine_grid, part_weights
from ct4bench.twin.outlines import MIRROR_COLUMN, read_outlines, read_ribs
from ct4bench.twin.phantom import Ellipsoid, open_phantom, parse_slab
from ct4bench.twin.ribs import rib_sections
from ct4bench.twin.texture import FINE_MM, SCAN_SIGMA_MM, coarse_field, grain_planes, whole_grid


def test_slab_is_read_and_refused_with_what_is_wrong():
    assert parse_slab("full") is None
    assert parse_slab("110:210,105:415,50:460") == (slice(110, 210), slice(105, 415), slice(50, 460))
    for text, words in (
        ("110-210", "cannot be read"),
        ("110:210,105:415", "cannot be read"),
        ("110:400,105:415,50:460", "slices must be"),
        ("110:210,105:110,50:460", "rows must be"),
    ):
        with pytest.raises(UserError, match=words):
            parse_slab(text)


def test_missing_phantom_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="draw_phantom.py"):
        open_phantom(tmp_path)


def test_block_has_the_measured_size():
    size = np.array(BLOCK.high_mm) - np.array(BLOCK.low_mm)
    np.testing.assert_allclose(size, [264.5, 190.0, 299.6], atol=0.2)


def test_ellipsoid_reach_bounds_it(rng):
    solid = Ellipsoid((100, 100, 100), (5.0, 9.0, 3.0), (20.0, -30.0, 40.0))
    directions = rng.normal(size=(20_000, 3))
    surface = directions / np.sqrt(np.einsum("ni,ij,nj->n", directions, solid.form, directions))[:, None]
    np.testing.assert_allclose(np.abs(surface).max(axis=0), solid.reach_mm(), rtol=0.01)


def test_outlines_lie_on_the_block():
    outlines = read_outlines()
    assert set(outlines) == {(part, layer) for part in ("liver", "thorax") for layer in LAYERS}
    points = np.concatenate([p for keys in outlines.values() for polygons in keys.values() for p in polygons])
    assert points[:, 0].min() >= 119 and points[:, 0].max() <= 398
    assert points[:, 1].min() >= 60 and points[:, 1].max() <= 447


def test_signed_depth_of_a_square_with_a_hole():
    outer = np.array([[200, 200], [200, 260], [260, 260], [260, 200]], float)
    hole = np.array([[222, 222], [222, 238], [238, 238], [238, 222]], float)
    depth = signed_depth([outer, hole], mirrored=False)
    at = {place: depth[place[0] - 112, place[1] - 54] for place in ((190, 230), (211, 230), (230, 230))}
    assert at[190, 230] == pytest.approx(-10, abs=0.8)
    assert at[211, 230] == pytest.approx(11, abs=0.8)
    assert at[230, 230] == pytest.approx(-8, abs=1.0)


def test_thorax_is_a_mirror_image():
    depth = layers("thorax")["soft"].at(240.0)
    columns = np.arange(100, 240)
    np.testing.assert_array_equal(depth[:, columns - 54], depth[:, (507 - columns) - 54])


def test_parts_take_turns():
    for slice_number in (30, 119, 120.2, 122, 150, 195.5, 250):
        weights = part_weights(float(A1_GRID.to_lps([slice_number, 0, 0])[2]))
        assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
    assert part_weights(BLOCK.liver_mm)["liver"] == pytest.approx(0.5)
    assert part_weights(BLOCK.thorax_mm)["thorax"] == pytest.approx(0.5)


def test_grain_has_unit_sd_as_the_reference_scanner_shows_it():
    planes = grain_planes(3, 200, 240)
    sigma = np.array([SCAN_SIGMA_MM[1], SCAN_SIGMA_MM[0], SCAN_SIGMA_MM[0]]) / FINE_MM
    seen = gaussian_filter(planes, sigma)[10:30]
    assert seen.std() == pytest.approx(1.0, abs=0.02)
    assert abs(seen.mean()) < 0.02
    assert coarse_field(3).std() == pytest.approx(1.0, abs=1e-5)


def test_grain_of_a_plane_does_not_depend_on_its_neighbours():
    np.testing.assert_array_equal(grain_planes(1, 100, 104)[3:], grain_planes(1, 103, 105)[:1])
    assert not np.allclose(grain_planes(1, 100, 101), grain_planes(2, 100, 101))


def test_a_slab_is_a_part_of_the_whole():
    slab = A1_GRID.crop(parse_slab("180:196,220:245,175:205"))
    small = Drawing(fine_grid(slab), 0)
    z0, y0, x0 = np.rint((small.grid.origin_mm - whole_grid().origin_mm) / FINE_MM).astype(int)[::-1]
    wider = whole_grid().crop((slice(z0 - 4, z0 + 20), slice(y0 - 10, None), slice(x0 - 6, None)))
    big = Drawing(wider, 0)
    ny, nx = small.grid.shape[1:]
    few = small.planes(3, 5)
    np.testing.assert_array_equal(few, big.planes(7, 9)[:, 10 : 10 + ny, 6 : 6 + nx])


def test_ribs_lie_in_the_block_and_mirror_each_other():
    ribs = read_ribs()
    assert rib_sections(ribs, 190) == [] and rib_sections(ribs, 330) == []
    for slice_number in np.arange(196, 320.5, 0.5):
        sections = rib_sections(ribs, slice_number)
        assert 2 <= len(sections) <= 12 and len(sections) % 2 == 0
        for (left, _), (right, _) in zip(sections[::2], sections[1::2], strict=True):
            _, row, column = left.centre
            assert 165 < row < 397 and 60 < column < 140
            assert right.centre == pytest.approx((slice_number, row, 2 * MIRROR_COLUMN - column))
            mirror = np.diag([-1, 1, 1])
            np.testing.assert_allclose(right.form, mirror @ left.form @ mirror, atol=1e-12)
        for bone, marrow in sections:
            assert marrow is None or all(np.array(marrow.semi_axes_mm[:2]) < bone.semi_axes_mm[:2])
