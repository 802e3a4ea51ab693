"""The block's faces, mask and corners in volumes whose block is known."""

import numpy as np
import pytest
from scene import BOARD_MM, CENTRE_MM, SIZE_MM, STILL, image, scan_grid

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Rigid
from ct4bench.preprocess.block import Block, block_mask, on_grid
from ct4bench.preprocess.find_block import find_block, rough_box

SPACING = (4.0, 2.8, 2.8)


@pytest.fixture(scope="module")
def whole():
    grid = scan_grid(SPACING)
    volume = image(grid, noise_hu=15)
    return volume, grid, find_block(volume, grid)


def distances_mm(block, motion=STILL):
    """Distance of each face's plane from the block's centre, along the face's own axis."""
    centre = motion(CENTRE_MM)
    return [face.depth_mm(centre) for face in block.faces]


def test_faces_lie_where_the_block_ends(whole):
    _, _, block = whole
    expected = [SIZE_MM[2] / 2] * 2 + [SIZE_MM[1] / 2] * 2 + [SIZE_MM[0] / 2] * 2
    np.testing.assert_allclose(distances_mm(block), expected, atol=0.4)
    assert not any(face.cut for face in block.faces)
    np.testing.assert_allclose(block.centre_mm, CENTRE_MM, atol=0.3)
    corners = CENTRE_MM + SIZE_MM / 2 * np.array([[i, j, k] for k in (-1, 1) for j in (-1, 1) for i in (-1, 1)])
    np.testing.assert_allclose(block.corners_mm, corners, atol=0.6)


def test_tilted_faces_keep_their_tilt():
    motion = Rigid((2.0, -1.5, 2.5), (4.0, 3.0, -5.0), tuple(CENTRE_MM))
    grid = scan_grid(SPACING)
    block = find_block(image(grid, motion, 15), grid)
    axes = motion.matrix @ np.eye(3)[:, [2, 1, 0]]
    for face in block.faces:
        cosine = np.dot(face.normal, axes[:, face.axis] * (1 if face.side else -1))
        assert np.rad2deg(np.arccos(min(1.0, cosine))) < 0.15
    np.testing.assert_allclose(distances_mm(block, motion), np.repeat(SIZE_MM[::-1] / 2, 2), atol=0.5)


def test_noise_of_the_lowest_dose_does_not_move_a_face(whole):
    _, grid, clean = whole
    noisy = find_block(image(grid, noise_hu=60, seed=3), grid)
    np.testing.assert_allclose(distances_mm(noisy), distances_mm(clean), atol=0.4)


def test_the_mask_is_the_filled_block(whole):
    _, grid, block = whole
    mask = block_mask(block, grid)
    volume_mm3 = mask.sum() * np.prod(grid.spacing_mm)
    assert volume_mm3 == pytest.approx(np.prod(SIZE_MM), rel=0.03)
    index = np.argwhere(mask)
    assert [(int(a), int(b) + 1) for a, b in zip(index.min(axis=0), index.max(axis=0), strict=True)] == list(block.box)
    eroded = block_mask(block, grid, erode_mm=10.0)
    assert eroded.sum() * np.prod(grid.spacing_mm) == pytest.approx(np.prod(SIZE_MM - 20), rel=0.03)


def test_a_slab_ends_the_block_where_the_volume_does(whole):
    volume, grid, block = whole
    box = (slice(20, 50), slice(None), slice(None))
    slab = find_block(volume[box], grid.crop(box))
    assert [face.cut for face in slab.faces] == [True, True, False, False, False, False]
    np.testing.assert_allclose(distances_mm(slab)[2:], distances_mm(block)[2:], atol=0.3)
    z = [float(v) for v in np.unique(slab.corners_mm[:, 2].round(6))]
    assert z == pytest.approx([grid.to_lps([20, 0, 0])[2], grid.to_lps([49, 0, 0])[2]])
    assert slab.box[0] == (0, 30)


def test_a_cut_face_does_not_count_as_depth(whole):
    volume, grid, _ = whole
    box = (slice(20, 50), slice(None), slice(None))
    slab = find_block(volume[box], grid.crop(box))
    at_end = np.array([CENTRE_MM[0], CENTRE_MM[1], grid.to_lps([20, 0, 0])[2]])
    assert slab.depth_mm(at_end) == pytest.approx(SIZE_MM[1] / 2, abs=1.0)
    assert slab.depth_mm(at_end, skip_cut=False) == pytest.approx(grid.spacing_mm[0] / 2, abs=0.1)


def test_block_survives_json_values_and_another_grid(whole):
    _, grid, block = whole
    again = Block.from_dict(block.to_dict())
    assert again.faces == block.faces
    assert again.box == block.box
    np.testing.assert_array_equal(again.corners_mm, block.corners_mm)
    box = (slice(2, None), slice(5, None), slice(7, None))
    shifted = on_grid(block, grid.crop(box))
    assert shifted.box == tuple((a - s.start, b - s.start) for (a, b), s in zip(block.box, box, strict=True))


def test_the_board_is_left_out_below_and_above(whole):
    volume, grid, block = whole
    rows = rough_box(volume.astype(np.float32))[1]
    flipped = rough_box(volume[:, ::-1].astype(np.float32))[1]
    n = grid.shape[1]
    assert (n - flipped[1], n - flipped[0]) == rows
    assert abs(rows[1] - block.box[1][1]) <= 1
    assert 2 * grid.spacing_mm[1] < BOARD_MM


@pytest.mark.parametrize("content", ["air", "water everywhere", "a small thing"])
def test_a_volume_without_the_block_is_refused(content):
    grid = scan_grid(SPACING)
    volume = np.full(grid.shape, -1000, np.int16)
    if content == "water everywhere":
        volume[:] = -990
    elif content == "a small thing":
        volume[40:43, 60:70, 60:70] = 50
    with pytest.raises(UserError, match="no paper block"):
        find_block(volume, grid)
