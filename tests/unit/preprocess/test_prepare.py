"""The common grid: the reference's own voxels, cut to what is needed, or resampled once."""

import numpy as np
import pytest
from phantom_series import ROI_PLACES_MM, ROI_RADII_MM, SPACING, roi_labels
from scene import CENTRE_MM, SIZE_MM, image, scan_grid

from ct4bench.core.benchmark import BOXES, PATCH_SHAPE
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid, euler_zyx_matrix
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.preprocess.draw import draw_centres, patch_table
from ct4bench.preprocess.prepare import along_patient_axes, build_reference, moved_grid, patch_region, spaced_grid
from ct4bench.preprocess.reference import open_reference, save_reference
from ct4bench.preprocess.resampling import OUTSIDE_HU, kept_variance, resample


@pytest.fixture(scope="module")
def series():
    grid = scan_grid(SPACING)
    return image(grid, noise_hu=15), roi_labels(grid), grid


@pytest.fixture(scope="module")
def built(series):
    return build_reference(*series)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_axes_are_turned_without_touching_a_voxel(rng, order, flips):
    upright = Grid.axis_aligned((5, 6, 7), (1.25, 0.8, 0.7), (-10.0, -20.0, 30.0))
    array = rng.integers(-1000, 1000, upright.shape).astype(np.int16)
    affine, first = upright.affine.copy(), np.zeros(3)
    first[list(flips)] = np.array(upright.shape)[list(flips)] - 1
    affine[:3, 3] = upright.to_lps(first)
    affine[:3, list(flips)] *= -1
    stored = np.flip(array, flips).transpose(order)
    affine[:3, :3] = affine[:3, list(order)]
    back, grid = along_patient_axes(np.ascontiguousarray(stored), Grid(stored.shape, affine))
    np.testing.assert_array_equal(back, array)
    assert grid.same_as(upright, 1e-9)


def test_an_oblique_reference_is_refused():
    affine = np.eye(4)
    affine[:3, :3] = euler_zyx_matrix((0, 0, 1.0)) @ np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]])
    with pytest.raises(UserError, match=r"1\.0 degrees off"):
        along_patient_axes(np.zeros((4, 5, 6), np.int16), Grid((4, 5, 6), affine))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_reference_may_be_a_tenth_of_a_degree_off(axis):
    upright = np.array([[0, 0, 0.7], [0, 0.8, 0], [1.25, 0, 0]])
    for degrees, accepted in ((0.099, True), (0.101, False)):
        affine, angles = np.eye(4), [0.0, 0.0, 0.0]
        angles[axis] = degrees
        affine[:3, :3] = euler_zyx_matrix(angles) @ upright
        grid = Grid((4, 5, 6), affine)
        if accepted:
            assert along_patient_axes(np.zeros((4, 5, 6), np.int16), grid)[1].shape == (4, 5, 6)
        else:
            with pytest.raises(UserError, match=r"0\.1 degrees off"):
                along_patient_axes(np.zeros((4, 5, 6), np.int16), grid)


def test_the_default_grid_passes_bit_for_bit(series, built):
    volume, labels, grid = series
    cut, cut_labels, common, _, values, own = built
    first = np.rint(grid.to_index(common.origin_mm)).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(first, common.shape, strict=True))
    assert common.same_as(grid.crop(box), 1e-9)
    np.testing.assert_array_equal(cut, volume[box])
    np.testing.assert_array_equal(cut_labels, labels[box])
    assert values["lost_noise_variance"] == 0
    assert own is None
    assert np.prod(common.shape) < np.prod(grid.shape)


def test_the_cut_keeps_block_margin_patches_and_boxes(series, built):
    _, _, grid = series
    _, labels, common, block, values, _ = built
    low, high = common.corners_mm().min(axis=0), common.corners_mm().max(axis=0)
    assert np.all(CENTRE_MM - low > SIZE_MM / 2 + 10)
    assert np.all(high - CENTRE_MM > SIZE_MM / 2 + 10)
    assert values["box_origin_mm"] == pytest.approx(grid.origin_mm.tolist())
    first, stop = (np.array(side) for side in zip(*BOXES["box_table6"], strict=True))
    reach = (np.array([[13, 120, 64], [323, 395, 445]]) - 0.5) * [1.0, 0.68359375, 0.68359375]
    ends = grid.origin_mm + np.clip(reach, 0, (np.array(grid.shape) - 1) * grid.spacing_mm)[:, ::-1]
    assert np.all(ends[0] >= low - 1e-6)
    assert np.all(ends[1] <= high + np.array(grid.spacing_mm)[::-1])
    assert (first < stop).all()
    table = patch_table(draw_centres(labels, 10, 0), labels, common)
    region = np.array(values["patch_region"])
    voxels = table[["slice", "row", "column"]].to_numpy()
    half = np.array(PATCH_SHAPE) // 2
    assert np.all(voxels - half >= region[:, 0])
    assert np.all(voxels + half <= region[:, 1])
    assert block.box[0][1] - block.box[0][0] == pytest.approx(SIZE_MM[2] / SPACING[0], abs=1.5)


def test_another_origin_of_the_boxes_moves_what_is_kept(series):
    _, _, grid = series
    origin = grid.origin_mm - [0.0, 0.0, 5.0]
    values = build_reference(*series, box_origin_mm=origin)[4]
    assert values["box_origin_mm"] == pytest.approx(origin.tolist())


def test_another_spacing_resamples_volume_and_labels_once(series, built):
    volume, labels, common, block, values, own = build_reference(*series, spacing_mm=(5.0, 3.0, 3.0))
    assert common.spacing_mm == pytest.approx((5.0, 3.0, 3.0))
    np.testing.assert_allclose(common.origin_mm, built[2].origin_mm)
    assert 0.3 < values["lost_noise_variance"] < 0.875
    assert volume.shape == labels.shape == common.shape
    index = np.stack(np.meshgrid(*(np.arange(n) for n in common.shape), indexing="ij"), axis=-1)
    places = common.to_lps(index) - CENTRE_MM
    for number, (place, radius) in enumerate(zip(ROI_PLACES_MM, ROI_RADII_MM, strict=True), 1):
        away = np.linalg.norm(places - place, axis=-1)
        # Nearest labels may be half a voxel's diagonal off.
        assert np.all(labels[away < radius - 2.9] == number)
        assert not np.any(labels[away > radius + 2.9] == number)
    assert block.corners_mm.tolist() == built[3].corners_mm.tolist()
    np.testing.assert_array_equal(own[0], built[0])
    assert own[1].same_as(built[2], 0)


def test_the_same_spacing_is_no_resampling(series, built):
    grid = built[2]
    assert spaced_grid(grid, grid.spacing_mm) is grid


def test_voxels_too_large_for_a_patch_are_refused(built):
    with pytest.raises(UserError, match="smaller than a patch"):
        spaced_grid(built[2], (20.0, 20.0, 20.0))


def test_a_missing_roi_is_named(series):
    volume, labels, grid = series
    with pytest.raises(UserError, match="no voxel of hemangioma"):
        build_reference(volume, np.where(labels == 3, 0, labels).astype(np.uint8), grid)


def test_a_roi_of_too_few_voxels_on_the_common_grid_is_named(series):
    volume, labels, grid = series
    labels = labels.copy()
    labels.reshape(-1)[np.flatnonzero(labels == 3)[7:]] = 0
    with pytest.raises(UserError, match="hemangioma has 7 of at least 8 voxels; give smaller voxels"):
        build_reference(volume, labels, grid)


def test_an_empty_segmentation_is_refused():
    with pytest.raises(UserError, match="segmentation is empty"):
        patch_region(np.zeros((4, 5, 6), np.uint8))


def test_the_folder_comes_back_as_it_was_written(tmp_path, built):
    volume, labels, grid, block, values, _ = built
    save_reference(tmp_path / "reference", volume, labels, grid, block, {"series_uid": "1.2", **values})
    reference = open_reference(tmp_path / "reference")
    assert reference.series_uid == "1.2"
    assert reference.box_origin_mm == pytest.approx(tuple(values["box_origin_mm"]))
    assert reference.grid.same_as(grid, 0)
    assert reference.block.faces == block.faces
    np.testing.assert_array_equal(reference.read("volume"), volume)
    np.testing.assert_array_equal(reference.read("labels", (slice(20, 30),) * 3), labels[20:30, 20:30, 20:30])
    assert reference.read("block").dtype == np.uint8


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_what_is_no_reference_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "reference.json").write_text(text)
    with pytest.raises(UserError, match="is not a reference"):
        open_reference(tmp_path)


NOISE_GRID = Grid.axis_aligned((40, 60, 70), (1.0, 0.68359375, 0.68359375), (-20.0, -30.0, 10.0))
ASKEW = Rigid((1.1, -0.8, 1.4), (0.3, 0.2, -0.4), tuple(NOISE_GRID.corners_mm().mean(axis=0)))


def kept(noise, target, motion, interpolator="linear") -> float:
    """Share of the variance of white noise that is left on a grid."""
    made = resample(noise, NOISE_GRID, target, motion, interpolator)
    inner = made[4:-4, 4:-4, 4:-4]
    return float(inner[inner != OUTSIDE_HU].astype(float).var() / noise.astype(float).var())


@pytest.mark.parametrize("move", [0.0, 0.1, 0.5, CORRECTED.grid_move])
def test_a_moved_grid_leaves_the_variance_that_the_weights_say(rng, move):
    """Trilinear weights w and 1 - w on each of three axes."""
    noise = rng.normal(0, 1000, NOISE_GRID.shape).astype(np.int16)
    target = moved_grid(NOISE_GRID, move)
    assert kept(noise, target, Rigid.identity()) == pytest.approx((move**2 + (1 - move) ** 2) ** 3, rel=0.04)
    np.testing.assert_allclose(target.to_lps([0, 0, 0]), NOISE_GRID.to_lps([move] * 3))


def test_mode_corrected_takes_as_little_from_the_reference_as_from_a_series_that_lies_askew(rng):
    noise = rng.normal(0, 1000, NOISE_GRID.shape).astype(np.int16)
    left = {}
    for mode in (PAPER, CORRECTED):
        target = moved_grid(NOISE_GRID, mode.grid_move)
        left[mode.name] = [kept(noise, target, motion, mode.interpolator) for motion in (Rigid.identity(), ASKEW)]
    assert left["paper"] == pytest.approx([1, (2 / 3) ** 3], rel=0.05)
    assert left["corrected"] == pytest.approx([0.668] * 2, rel=0.04)


@pytest.mark.parametrize("interpolator", ["linear", "bspline"])
@pytest.mark.parametrize("share", [0.1, 0.245, 0.5, 0.8])
def test_the_variance_that_is_kept_is_that_of_weights_read_off_an_impulse(interpolator, share):
    """What one voxel of 20,000 HU gives to voxels at `share`, along x alone, by the resampling itself."""
    grid = Grid.axis_aligned((9, 9, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    impulse = np.zeros(grid.shape, np.int16)
    impulse[:, :, 30] = 20_000
    made = resample(impulse, grid, grid, Rigid((0, 0, 0), (share, 0, 0), (0, 0, 0)), interpolator)[4, 4, 5:55]
    weights = made.astype(float) / 20_000
    assert kept_variance(share, interpolator) == pytest.approx((weights**2).sum(), abs=2e-3)


def test_the_reference_of_mode_corrected_is_resampled_once_and_keeps_its_own_voxels(series, built):
    way = CORRECTED.grid_move, CORRECTED.interpolator
    volume, labels, common, block, values, own = build_reference(*series, move=way[0], interpolator=way[1])
    plain = built
    np.testing.assert_array_equal(own[0], plain[0])
    assert own[1].same_as(plain[2]) and values["lost_noise_variance"] == pytest.approx(1 - 0.668, abs=0.01)
    assert common.shape == plain[2].shape
    shift = common.to_lps([0, 0, 0]) - plain[2].to_lps([0, 0, 0])
    np.testing.assert_allclose(shift, CORRECTED.grid_move * np.array(common.spacing_mm[::-1]), atol=1e-9)
    np.testing.assert_array_equal(volume, resample(series[0], series[2], common, Rigid.identity(), way[1]))
    # labels of the nearest voxel: the same but for the volume's end
    np.testing.assert_array_equal(labels[:-1, :-1, :-1], plain[1][:-1, :-1, :-1])
    np.testing.assert_allclose(block.corners_mm, plain[3].corners_mm)
