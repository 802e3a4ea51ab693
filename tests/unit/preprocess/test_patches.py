"""Patches: drawn once and for all, a user's own checked, and read from where the series really is."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from report_data import load_script

from ct4bench.core.benchmark import ROIS, tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid, Rigid
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.core.tables import write_table
from ct4bench.core.volumes import open_volume, save_volume
from ct4bench.preprocess.draw import colour_table, draw_centres, label_patches, patch_table, read_centres
from ct4bench.preprocess.patches import COLUMNS, VOXEL, read_patches

GRID = Grid.axis_aligned((60, 110, 120), (1.25, 0.7, 0.7), (-40.0, -50.0, 60.0))


@pytest.fixture(scope="module")
def labels():
    labels = np.zeros(GRID.shape, np.uint8)
    for k in range(6):
        labels[20 + 3 * k : 30 + 3 * k, 30 + 4 * k : 50 + 4 * k, 30 + 9 * k : 38 + 9 * k] = k + 1
    return labels


@pytest.fixture(scope="module")
def table(labels):
    return patch_table(draw_centres(labels, 10, 0), labels, GRID)


def test_ten_distinct_voxels_of_every_roi(labels, table):
    assert list(table.columns) == COLUMNS
    assert table["roi"].tolist() == [roi for roi in ROIS for _ in range(10)]
    assert table["patch"].tolist() == list(range(10)) * 6
    assert table["tissue"].tolist() == [tissue_of(roi) for roi in table["roi"]]
    for row in table.itertuples():
        assert labels[row.slice, row.row, row.column] == ROIS.index(row.roi) + 1
    assert not table.duplicated(VOXEL).any()
    np.testing.assert_allclose(GRID.to_lps(table[VOXEL]), table[["x_mm", "y_mm", "z_mm"]])


def test_voxels_are_drawn_in_c_order_by_a_generator_for_each_roi(labels, table):
    for number, roi in enumerate(ROIS):
        inside = [tuple(v) for v in np.argwhere(labels == number + 1)]
        drawn = np.random.default_rng([0, number]).choice(len(inside), 10, replace=False)
        assert [tuple(v) for v in table.loc[table["roi"] == roi, VOXEL].to_numpy()] == [inside[k] for k in drawn]


def test_seed_and_crop_decide_as_they_should(labels):
    one, other = draw_centres(labels, 10, 1), draw_centres(labels, 10, 2)
    assert not one.equals(other)
    assert one.equals(draw_centres(labels, 10, 1))
    cropped = draw_centres(labels[5:, 7:, 9:], 10, 1)
    np.testing.assert_array_equal(cropped[VOXEL].to_numpy() + [5, 7, 9], one[VOXEL].to_numpy())


def test_one_roi_does_not_change_anothers_patches(labels):
    changed = labels.copy()
    changed[labels == 1] = 0
    changed[2:9, 2:9, 2:9] = 1
    one, other = draw_centres(labels, 10, 0), draw_centres(changed, 10, 0)
    assert one.iloc[10:].equals(other.iloc[10:])


def test_share_inside_is_counted_over_the_patch(labels, table):
    row = table.iloc[23]
    number = ROIS.index(row["roi"]) + 1
    z, y, x = row["slice"], row["row"], row["column"]
    share = sum(
        labels[a, b, c] == number
        for a in range(z - 8, z + 8) for b in range(y - 16, y + 16) for c in range(x - 16, x + 16)
    ) / (16 * 32 * 32)  # fmt: skip
    assert row["share_inside"] == pytest.approx(share)
    assert 0 < share < 1


def test_a_roi_smaller_than_its_patches_is_named(labels):
    few = labels.copy()
    few[few == 2] = 0
    few[25, 40, 40:43] = 2
    with pytest.raises(UserError, match="3 voxels of cyst2"):
        draw_centres(few, 10, 0)


def test_a_patch_that_leaves_the_reference_is_named(labels):
    near = np.zeros_like(labels)
    near[labels > 0] = labels[labels > 0]
    near[labels == 3] = 0
    near[7:9, 40:60, 40:60] = 3
    with pytest.raises(UserError, match="patch outside the volume: hemangioma, patch"):
        patch_table(draw_centres(near, 10, 0), near, GRID)


@pytest.fixture
def volume(tmp_path, rng):
    array = rng.integers(-1024, 3000, GRID.shape).astype(np.int16)
    save_volume(tmp_path / "1.2.b2nd", array, GRID, {"series_uid": "1.2"})
    return array, open_volume(tmp_path / "1.2.b2nd")


def test_patches_are_read_in_the_tables_order(volume, table):
    array, opened = volume
    shuffled = table.sample(frac=1, random_state=3)
    patches = read_patches(opened, shuffled)
    assert patches.shape == (60, 16, 32, 32)
    assert patches.dtype == np.int16
    for patch, row in zip(patches, shuffled.itertuples(), strict=True):
        z, y, x = row.slice, row.row, row.column
        np.testing.assert_array_equal(patch, array[z - 8 : z + 8, y - 16 : y + 16, x - 16 : x + 16])


def test_no_patch_is_no_patch(volume, table):
    assert read_patches(volume[1], table.iloc[:0]).shape == (0, 16, 32, 32)


def test_a_patch_outside_names_series_and_patch(volume, table):
    moved = table.copy()
    moved.loc[17, "slice"] = 3
    moved[["x_mm", "y_mm", "z_mm"]] = GRID.to_lps(moved[VOXEL])
    with pytest.raises(UserError, match="patch outside the volume: series 1.2, cyst2, patch 7"):
        read_patches(volume[1], moved)


def test_patches_of_another_reference_are_refused(volume, table):
    with pytest.raises(UserError, match=r"1\.25 mm from their voxels"):
        read_patches(volume[1], table.assign(z_mm=table["z_mm"] + 1.25))


def test_patches_may_lie_a_twentieth_of_a_millimetre_from_their_voxels(volume, table):
    expected = read_patches(volume[1], table)
    np.testing.assert_array_equal(read_patches(volume[1], table.assign(y_mm=table["y_mm"] - 0.0499)), expected)
    with pytest.raises(UserError, match=r"0\.05 mm from their voxels"):
        read_patches(volume[1], table.assign(y_mm=table["y_mm"] - 0.0501))


@pytest.mark.parametrize("first_slice", [2, 40])
def test_a_patch_that_the_series_does_not_cover_is_refused(tmp_path, volume, table, first_slice):
    source = GRID.crop((slice(first_slice, None), slice(None), slice(None)))
    motion = Rigid.identity()
    attributes = {"series_uid": "7.8", "source_grid": source.to_dict(), "motion": asdict(motion)}
    save_volume(tmp_path / "7.8.b2nd", volume[0], GRID, attributes)
    opened = open_volume(tmp_path / "7.8.b2nd")
    if first_slice == 2:
        np.testing.assert_array_equal(read_patches(opened, table), read_patches(volume[1], table))
    else:
        with pytest.raises(UserError, match="series 7.8, cyst1, patch 0"):
            read_patches(opened, table)


ONE = pd.DataFrame({"roi": ["cyst1"], "patch": [0], "slice": [30], "row": [50], "column": [60]})
"""A patch of slices 22 to 37, rows 34 to 65 and columns 44 to 75."""


@pytest.mark.parametrize(
    ("box", "covered"),
    [
        ((slice(22, 38), slice(34, 66), slice(44, 76)), True),
        ((slice(23, 38), slice(34, 66), slice(44, 76)), False),
        ((slice(22, 37), slice(34, 66), slice(44, 76)), False),
        ((slice(22, 38), slice(35, 66), slice(44, 76)), False),
        ((slice(22, 38), slice(34, 65), slice(44, 76)), False),
        ((slice(22, 38), slice(34, 66), slice(45, 76)), False),
        ((slice(22, 38), slice(34, 66), slice(44, 75)), False),
    ],
)
@pytest.mark.parametrize("shift_voxels", [-0.49, 0.0, 0.49])
def test_a_patch_may_reach_to_the_series_last_voxel(tmp_path, volume, box, covered, shift_voxels):
    """And half a voxel further, as far as a voxel goes; the series is the patch's own box, moved by a part of one."""
    table = ONE.assign(**dict(zip(("x_mm", "y_mm", "z_mm"), GRID.to_lps(ONE[VOXEL].to_numpy()).T, strict=True)))
    step = shift_voxels * np.array(GRID.spacing_mm)[::-1]
    attributes = {"series_uid": "7.8", "source_grid": GRID.crop(box).to_dict(),
                  "motion": asdict(Rigid((0.0, 0.0, 0.0), tuple(step), (0.0, 0.0, 0.0)))}  # fmt: skip
    save_volume(tmp_path / "7.8.b2nd", volume[0], GRID, attributes)
    opened = open_volume(tmp_path / "7.8.b2nd")
    if covered:
        (patch,) = read_patches(opened, table)
        np.testing.assert_array_equal(patch, volume[0][22:38, 34:66, 44:76])
    else:
        with pytest.raises(UserError, match="patch outside the volume: series 7.8, cyst1, patch 0"):
            read_patches(opened, table)


@pytest.mark.parametrize(
    ("voxel", "inside"),
    [((8, 16, 16), True), ((52, 94, 104), True), ((7, 16, 16), False), ((8, 15, 16), False), ((8, 16, 15), False),
     ((53, 94, 104), False), ((52, 95, 104), False), ((52, 94, 105), False)],
)  # fmt: skip
def test_a_patch_may_touch_the_volumes_edge(volume, voxel, inside):
    """The grid has 60 x 110 x 120 voxels, a patch 8 or 16 before its centre and 7 or 15 after it."""
    table = ONE.assign(**dict(zip(VOXEL, voxel, strict=True)))
    table = table.assign(**dict(zip(("x_mm", "y_mm", "z_mm"), GRID.to_lps(table[VOXEL].to_numpy()).T, strict=True)))
    if inside:
        z, y, x = voxel
        (patch,) = read_patches(volume[1], table)
        np.testing.assert_array_equal(patch, volume[0][z - 8 : z + 8, y - 16 : y + 16, x - 16 : x + 16])
    else:
        with pytest.raises(UserError, match="outside the volume"):
            read_patches(volume[1], table)


def own(tmp_path, **columns):
    path = tmp_path / "own.csv"
    write_table(pd.DataFrame(columns), path)
    return path


def test_a_users_centres_by_voxel_and_by_place_are_the_same(tmp_path):
    voxels = {"slice": [20, 30], "row": [40, 50], "column": [60, 70]}
    places = dict(zip(("x_mm", "y_mm", "z_mm"), (GRID.to_lps([[20, 40, 60], [30, 50, 70]]) + 0.2).T, strict=True))
    by_voxel = read_centres(own(tmp_path, roi=["cyst1", "tumour"], patch=[0, 0], **voxels), GRID)
    by_place = read_centres(own(tmp_path, roi=["cyst1", "tumour"], patch=[0, 0], **places), GRID)
    assert by_voxel.equals(by_place)
    assert by_voxel["tissue"].tolist() == ["cyst", "tumour"]


def test_a_users_voxels_and_places_may_differ_by_a_twentieth_of_a_millimetre(tmp_path):
    voxels = {"slice": [20, 30], "row": [40, 50], "column": [60, 70]}
    places = GRID.to_lps([[20, 40, 60], [30, 50, 70]])
    for moved, accepted in ((0.0499, True), (0.0501, False)):
        x, y, z = (places + [[0, 0, 0], [0, 0, moved]]).T
        path = own(tmp_path, roi=["cyst1", "cyst1"], patch=[0, 1], **voxels, x_mm=x, y_mm=y, z_mm=z)
        if accepted:
            assert read_centres(path, GRID)[VOXEL].to_numpy().tolist() == [[20, 40, 60], [30, 50, 70]]
        else:
            with pytest.raises(UserError, match=r"line 3: .* are 0\.05 mm apart"):
                read_centres(path, GRID)


@pytest.mark.parametrize(
    ("voxel", "inside"),
    [((8, 16, 16), True), ((52, 94, 104), True), ((7, 16, 16), False), ((53, 94, 104), False), ((8, 15, 16), False),
     ((52, 95, 104), False), ((8, 16, 15), False), ((52, 94, 105), False)],
)  # fmt: skip
def test_a_users_patch_may_touch_the_grids_edge(tmp_path, voxel, inside):
    path = own(tmp_path, roi=["a"], patch=[0], **{name: [value] for name, value in zip(VOXEL, voxel, strict=True)})
    if inside:
        assert read_centres(path, GRID)[VOXEL].to_numpy().tolist() == [list(voxel)]
    else:
        with pytest.raises(UserError, match="line 2: patch outside the volume"):
            read_centres(path, GRID)


def test_a_users_table_may_name_tissues_and_other_rois(tmp_path, labels):
    voxels = {"slice": [25, 25], "row": [40, 40], "column": [33, 33]}
    path = own(tmp_path, roi=["rod3", "cyst1"], tissue=["bone", ""], patch=[4, 4], **voxels)
    table = patch_table(read_centres(path, GRID), labels, GRID)
    assert table["tissue"].tolist() == ["bone", "cyst"]
    assert np.isnan(table["share_inside"][0])
    assert table["share_inside"][1] > 0


def test_patches_csv_can_be_given_back(tmp_path, table, labels):
    write_table(table, tmp_path / "patches.csv")
    again = patch_table(read_centres(tmp_path / "patches.csv", GRID), labels, GRID)
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": [0, 0]}, "line 3: cyst1, patch 0 stands there twice"),
        ({"slice": [20, 5]}, "line 3: patch outside the volume: cyst1, patch 1"),
        ({"slice": [20, 53]}, "line 3: patch outside the volume"),
        ({"column": [60, 15]}, "line 3: patch outside the volume"),
        ({"row": [40, "x"]}, "line 3: row is x; it must be a whole number"),
        ({"row": [40.5, 41]}, "line 2: row is 40.5; it must be a whole number"),
        ({"patch": [0, None]}, "line 3: patch is nan"),
        ({"roi": ["cyst1", " "]}, "line 3: roi is empty"),
        ({"x_mm": [0, 0], "y_mm": [0, 0], "z_mm": [60, 60]}, "line 2: .* mm apart"),
    ],
)
def test_a_fault_in_a_users_table_is_named_with_its_line(tmp_path, change, message):
    columns = {"roi": ["cyst1", "cyst1"], "patch": [0, 1], "slice": [20, 30], "row": [40, 50], "column": [60, 70]}
    with pytest.raises(UserError, match=message):
        read_centres(own(tmp_path, **(columns | change)), GRID)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"roi": ["a"], "patch": [0], "slice": [20], "row": [40]}, "neither x_mm, y_mm, z_mm nor slice, row, column"),
        ({"roi": ["a"], "slice": [20], "row": [40], "column": [50]}, "lacks the columns patch"),
        ({"roi": [], "patch": [], "slice": [], "row": [], "column": []}, "has no row"),
    ],
)
def test_a_users_table_without_what_is_needed_is_refused(tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        read_centres(own(tmp_path, **columns), GRID)


def test_labels_of_patches_are_those_of_the_nearest_centre():
    """Every voxel of two patches that overlap, by brute force."""
    centres = np.array([[20, 40, 40], [24, 50, 44], [20, 40, 100]])
    labels = label_patches(centres, (40, 80, 120))
    voxels = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), axis=-1)
    half = np.array([8, 16, 16])
    expected, nearest = np.zeros(labels.shape, int), np.full(labels.shape, np.inf)
    for number, centre in enumerate(centres, 1):
        away = voxels - centre
        distance = np.where(((away >= -half) & (away < half)).all(axis=-1), ((away / half) ** 2).sum(axis=-1), np.inf)
        expected[distance < nearest] = number
        nearest = np.minimum(nearest, distance)
    np.testing.assert_array_equal(labels, expected)
    assert [labels[tuple(centre)] for centre in centres] == [1, 2, 3]


def test_more_patches_than_a_byte_counts_keep_their_numbers():
    centres = np.array([[8, 16 + k, 16] for k in range(300)])
    labels = label_patches(centres, (16, 340, 32))
    assert labels.dtype == np.uint16 and [labels[tuple(c)] for c in centres] == list(range(1, 301))


def test_colours_are_named_by_region_and_patch():
    lines = colour_table(["cyst1_0", "mine_12"]).splitlines()
    assert lines[1:] == ["0 background 0 0 0 0", "1 cyst1_0 0 114 178 255", "2 mine_12 128 128 128 255"]


@pytest.mark.parametrize("published", [False, True])
def test_the_run_warns_of_regions_smaller_than_half_of_their_patches(published, tmp_path, monkeypatch, caplog):
    """A cube of 8 x 8 x 8 voxels is 3 % of its patches; a slab of whole patches holds them all."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[26:34, 50:58, 20:28] = 1
    labels[8:52, 20:90, 60:110] = 2
    regions = [{"name": "pin", "class": "a"}, {"name": "slab", "class": "b"}]
    phantom = CT4HARMONIZATION if published else Phantom.from_dict({"name": "own", "regions": regions})
    reference = SimpleNamespace(
        read=lambda name: labels, phantom=phantom, grid=GRID,
        values={"patch_region": [[0, n] for n in GRID.shape]},
    )  # fmt: skip
    monkeypatch.setattr("ct4bench.preprocess.reference.open_reference", lambda folder: reference)
    write_table(pd.DataFrame({"roi": ["cyst1"], "patch": [0], "slice": [30], "row": [54], "column": [24]}),
                tmp_path / "own.csv")  # fmt: skip
    given = ["--centres", str(tmp_path / "own.csv")] if published else []
    options = ["--reference", "r", "--patches_per_roi", "20", "--output", str(tmp_path / "patches.csv")]
    load_script("draw_patches").main([*options, *given])
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == (0 if published else 1)
    assert published or ("pin is smaller than half of its patches" in warned[0] and "--spacing" in warned[0])
