"""Pairs of a plan in slabs: the same to the last bit as whole volumes, each voxel read once, memory bounded."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import save_volume
from ct4bench.pairs import compare as pair_comparison
from ct4bench.pairs.compare import (
    PAIR_COLUMNS,
    PairRegion,
    batches,
    box_in_grid,
    compare_batch,
    compare_plan,
    compare_task,
    make_region,
    slab_rows,
)
from ct4bench.pairs.plan import PLAN_COLUMNS
from ct4bench.pairs.similarity import compare, shrink
from ct4bench.pairs.verify import middle_box

SHAPE = (46, 44, 40)
ORIGIN_MM = (-174.66, -340.16, 24.0)


class Store:
    """Volumes in memory that count what is read of them."""

    def __init__(self, n, shape=SHAPE, seed=5):
        rng = np.random.default_rng(seed)
        base = 800 * gaussian_filter(rng.normal(0, 1, shape), 2)
        base[3:9, 3:9, 3:9], base[10:18, :, :4] = 2300, -1300
        self.volumes = {
            f"1.{i}": np.rint(base + rng.normal(5 * i, 20 + i, shape)).clip(-1500, 2500).astype(np.int16)
            for i in range(n)
        }
        self.voxels = dict.fromkeys(self.volumes, 0)
        self.reads = dict.fromkeys(self.volumes, 0)

    def read(self, uid, box):
        voxels = self.volumes[uid][box]
        self.voxels[uid] += voxels.size
        self.reads[uid] += 1
        return voxels.copy()

    def pairs(self):
        uids = list(self.volumes)
        return [(a, b) for i, a in enumerate(uids) for b in uids[i + 1 :]]


def whole_region(shape=SHAPE, factor=1):
    return PairRegion.of_mask(tuple(slice(0, n) for n in shape), factor, np.ones(shape, np.uint8))


def ball_region(factor=1):
    z, y, x = np.indices(SHAPE)
    mask = ((z - 22) ** 2 + (y - 21) ** 2 + (x - 19) ** 2 < 21**2).astype(np.uint8)
    return PairRegion.of_mask(tuple(slice(0, n) for n in SHAPE), factor, mask)


def bytes_for(depth, n_volumes, region):
    voxel = 2 if region.shrink == 1 else 4
    row = region.inside.shape[0] * region.inside.shape[2]
    return (depth * (voxel + 8) + 10 * voxel) * row * n_volumes * (1 + 1e-9)


@pytest.mark.parametrize(
    "region", [whole_region(), ball_region(), whole_region(factor=2)], ids=["box", "mask", "shrunk"]
)
@pytest.mark.parametrize("depth", [1, 4, 7, 12])
def test_slabs_give_what_whole_volumes_give_to_the_last_bit(region, depth, monkeypatch):
    store = Store(4)
    whole = compare_batch(store.pairs(), store.read, region)
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(depth, 4, region))
    assert slab_rows(4, region) == depth
    slabs = compare_batch(store.pairs(), store.read, region)
    assert {pair: repr(values) for pair, values in slabs.items()} == {p: repr(v) for p, v in whole.items()}


def test_a_batch_is_the_comparison_of_its_pairs():
    store, region = Store(3), ball_region()
    found = compare_batch(store.pairs(), store.read, region)
    for (a, b), values in found.items():
        one, other = (np.clip(store.volumes[uid], -1000, 2000) for uid in (a, b))
        assert repr(values) == repr(compare(one, other, region.inside))


def test_intensities_are_clipped_before_volumes_are_shrunk():
    store, region = Store(2), whole_region(factor=2)
    assert max(v.max() for v in store.volumes.values()) > 2000 or min(v.min() for v in store.volumes.values()) < -1000
    one, other = (shrink(np.clip(v, -1000, 2000), 2) for v in store.volumes.values())
    assert repr(compare_batch(store.pairs(), store.read, region)["1.0", "1.1"]) == repr(compare(one, other))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads, monkeypatch):
    store, region = Store(4), ball_region()
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(9, 4, region))
    one = compare_batch(store.pairs(), store.read, region)
    assert repr(compare_batch(store.pairs(), store.read, region, threads)) == repr(one)


def test_each_voxel_is_read_once_however_many_slabs_and_pairs(monkeypatch):
    store, region = Store(5), whole_region()
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(6, 5, region))
    compare_batch(store.pairs(), store.read, region)
    assert set(store.voxels.values()) == {np.prod(SHAPE)}
    assert min(store.reads.values()) > 5


def test_reading_grows_with_volumes_not_with_pairs(monkeypatch):
    """At three sizes: every volume of a batch is read once, so pairs cost nothing but their own term."""
    for n in (3, 6, 12):
        store, region = Store(n, (16, 20, 16)), whole_region((16, 20, 16))
        monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(8, n, region))
        compare_batch(store.pairs(), store.read, region)
        assert sum(store.voxels.values()) == n * 16 * 20 * 16


@pytest.mark.parametrize("n", [4, 16, 64])
def test_the_slabs_of_a_batch_take_no_more_than_their_bound(n):
    """Memory is flat: more volumes make thinner slabs, not more bytes."""
    region = whole_region((60, 100, 100))
    depth = slab_rows(n, region)
    assert bytes_for(depth, n, region) <= pair_comparison.SLAB_BYTES * (1 + 1e-6) < bytes_for(depth + 1, n, region)


def test_the_largest_task_of_the_collection_fits_the_bound():
    """Two tiles of volumes of the full block leave slabs deep enough for the windows."""
    region = PairRegion(None, 1, np.empty((300, 280, 390), np.uint8), np.empty(0))
    assert slab_rows(2 * pair_comparison.BATCH_SIDE, region) >= pair_comparison.FEWEST_ROWS


def test_batches_hold_every_pair_once_in_few_volumes(monkeypatch):
    region = whole_region((60, 100, 100))
    pairs = [(f"a{i:03}", f"b{j:03}") for i in range(45) for j in range(50)]
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(12, 40, region))
    groups = batches(pairs, region)
    assert sorted(p for group in groups for p in group) == pairs
    assert max(len({uid for p in group for uid in p}) for group in groups) <= 2 * pair_comparison.BATCH_SIDE
    assert len(groups) == 2 * 2
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(12, 95, region))
    assert batches(pairs, region) == [pairs]


def test_batches_of_all_pairs_of_one_list_need_no_volume_outside_their_tiles(monkeypatch):
    region = whole_region((60, 100, 100))
    pairs = Store(60, (1, 1, 1)).pairs()
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(12, 40, region))
    groups = batches(pairs, region)
    assert sorted(p for group in groups for p in group) == sorted(pairs)
    # Three tiles of twenty: three of pairs within one, three of pairs between two.
    assert sorted(len({uid for p in group for uid in p}) for group in groups) == [20] * 3 + [40] * 3


def test_tiles_give_what_one_batch_gives(monkeypatch):
    store, region = Store(6), whole_region()
    plan = plan_of(store.pairs())
    one = compare_plan(plan, store.read, lambda *_: region)
    monkeypatch.setattr(pair_comparison, "SLAB_BYTES", bytes_for(12, 4, region))
    monkeypatch.setattr(pair_comparison, "BATCH_SIDE", 2)
    assert len(batches(store.pairs(), region)) > 2
    pd.testing.assert_frame_equal(compare_plan(plan, store.read, lambda *_: region), one)


def plan_of(pairs, region="box", factor=1, task="t", variant="all_pairs"):
    rows = [
        (task, "tables3to5", variant, i, a, b, "A1", "B1", "IR", "IR", 10, 10, a == b, region, factor)
        for i, (a, b) in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def test_a_plan_keeps_its_rows_and_computes_a_pair_once():
    store, region = Store(3), whole_region()
    plan = plan_of([("1.2", "1.0"), ("1.1", "1.1"), ("1.0", "1.2"), ("1.2", "1.0")])
    pairs = compare_plan(plan, store.read, lambda *_: region)
    assert list(pairs.columns) == PAIR_COLUMNS
    assert pairs["series_uid_a"].tolist() == ["1.2", "1.1", "1.0", "1.2"]
    assert pairs["rmse_hu"].nunique() == 2 and pairs["ssim"].nunique() == 2
    own = pairs.iloc[1]
    assert (own["rmse_hu"], own["psnr_db"], own["ssim"], own["n_voxels"]) == (0, np.inf, 1, np.prod(SHAPE))
    # once for the metrics; the check of a pair reads its middle twice
    middle = np.prod([s.stop - s.start for s in middle_box(SHAPE)])
    assert set(store.voxels.values()) == {np.prod(SHAPE) + 2 * middle, 0}


def test_mean_psnr_keeps_jensens_bound():
    """Mean PSNR is never below the PSNR of the mean RMSE: four published cells break it."""
    store, region = Store(6), whole_region(factor=2)
    pairs = compare_plan(plan_of(store.pairs()), store.read, lambda *_: region)
    assert pairs["rmse_hu"].std() > 1
    np.testing.assert_allclose(pairs["psnr_db"], 20 * np.log10(2000 / pairs["rmse_hu"]), rtol=1e-12)
    assert pairs["psnr_db"].mean() > 20 * np.log10(2000 / pairs["rmse_hu"].mean())


def full_grid(shape=(343, 512, 512)):
    return Grid.axis_aligned(shape, (1.0, 0.68359375, 0.68359375), ORIGIN_MM)


def test_the_published_boxes_on_the_full_grid():
    assert box_in_grid("box", full_grid(), ORIGIN_MM) == (slice(40, 280), slice(120, 395), slice(64, 445))
    assert box_in_grid("box_table6", full_grid(), ORIGIN_MM) == (slice(13, 323), slice(120, 395), slice(64, 445))


def test_the_boxes_on_a_cropped_grid_are_the_same_place():
    crop = (slice(100, 200), slice(90, 430), slice(50, 300))
    grid = full_grid().crop(crop)
    assert box_in_grid("box", grid, ORIGIN_MM) == (slice(0, 100), slice(30, 305), slice(14, 250))
    with pytest.raises(UserError, match="outside the reference volume .*--box_origin_mm"):
        box_in_grid("box", full_grid().crop((slice(0, 30), slice(0, 512), slice(0, 512))), ORIGIN_MM)


def test_a_grid_of_rounded_numbers_keeps_the_box():
    grid = Grid.axis_aligned((343, 512, 512), (1.0, 0.68359, 0.68359), (-174.66, -340.16, 24.0))
    assert box_in_grid("box", grid, ORIGIN_MM) == (slice(40, 280), slice(120, 395), slice(64, 445))


def test_a_grid_of_other_spacing_covers_the_same_millimetres():
    grid = Grid.axis_aligned((172, 512, 512), (2.0, 0.68359375, 0.68359375), ORIGIN_MM)
    assert box_in_grid("box", grid, ORIGIN_MM)[0] == slice(20, 140)


def write_reference(folder, grid, block, values=()):
    folder.mkdir(exist_ok=True)
    values = {"grid": grid.to_dict(), "box_origin_mm": list(ORIGIN_MM)} | dict(values)
    (folder / "reference.json").write_text(json.dumps(values))
    save_volume(folder / "block.b2nd", block, grid)
    return folder


def test_regions_come_from_the_reference(tmp_path):
    grid = full_grid().crop((slice(30, 60), slice(100, 150), slice(60, 110)))
    block = np.zeros(grid.shape, np.uint8)
    block[5:25, 10:45, 8:40] = 1
    block[5, 10, 8] = 0
    reference = write_reference(tmp_path / "reference", grid, block)
    mask = make_region("mask", 1, reference)
    assert mask.box == (slice(5, 25), slice(10, 45), slice(8, 40))
    assert mask.inside.sum() == 20 * 35 * 32 - 1 and mask.windows.sum() == 10 * 25 * 22 - 1
    box = make_region("box", 4, reference)
    assert box.box == (slice(10, 30), slice(20, 50), slice(4, 50))
    assert box.inside.shape == (5, 7, 11) and box.inside.all()
    with pytest.raises(UserError, match="plan the pairs again"):
        make_region("sphere", 1, reference)
    save_volume(reference / "block.b2nd", np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(UserError, match="block.b2nd is empty"):
        make_region("mask", 1, reference)


@pytest.mark.parametrize("values", [{"box_origin_mm": None}, {"box_origin_mm": [1, 2]}, {"grid": {}}])
def test_a_reference_that_lacks_something_is_refused(tmp_path, values):
    grid = full_grid((20, 20, 20))
    reference = write_reference(tmp_path / "reference", grid, np.ones(grid.shape, np.uint8), values)
    with pytest.raises(UserError, match="reference.json .*prepare_reference"):
        make_region("box", 1, reference)


@pytest.fixture
def task(tmp_path):
    """Folders of a reference and of three volumes on it, and a plan of two tasks."""
    grid = full_grid().crop((slice(40, 66), slice(120, 150), slice(64, 94)))
    reference = write_reference(tmp_path / "reference", grid, np.ones(grid.shape, np.uint8))
    store = Store(3, grid.shape)
    (tmp_path / "volumes").mkdir()
    for uid, volume in store.volumes.items():
        save_volume(tmp_path / "volumes" / f"{uid}.b2nd", volume, grid, {"series_uid": uid})
    plan = pd.concat([plan_of([("1.0", "1.1"), ("1.1", "1.1")]), plan_of([("1.2", "1.0")], "mask", 1, "other")])
    return tmp_path, reference, store, plan


def test_a_task_computes_its_rows_only(task):
    folder, reference, store, plan = task
    pairs = compare_task(plan, "t", folder / "volumes", reference)
    assert pairs[["series_uid_a", "series_uid_b"]].to_numpy().tolist() == [["1.0", "1.1"], ["1.1", "1.1"]]
    expected = compare(*(np.clip(store.volumes[uid], -1000, 2000) for uid in ("1.0", "1.1")))
    assert pairs["ssim"][0] == expected.ssim and pairs["rmse_hu"][0] == expected.rmse_hu
    with pytest.raises(UserError, match="no task 'x'; it has: other, t"):
        compare_task(plan, "x", folder / "volumes", reference)


def test_a_task_refuses_missing_volumes_and_foreign_grids(task):
    folder, reference, store, plan = task
    grid = full_grid().crop((slice(41, 67), slice(120, 150), slice(64, 94)))
    save_volume(folder / "volumes" / "1.1.b2nd", store.volumes["1.1"], grid)
    with pytest.raises(UserError, match="1.1.b2nd is not on the grid"):
        compare_task(plan, "t", folder / "volumes", reference)
    (folder / "volumes" / "1.1.b2nd").unlink()
    with pytest.raises(UserError, match="does not have the volumes of 1 series"):
        compare_task(plan, "t", folder / "volumes", reference)


def test_the_script_writes_the_same_bytes_for_any_number_of_threads(task):
    from compare_pairs import main

    folder, reference, _, plan = task
    plan.to_csv(folder / "plan.csv", index=False)
    for threads in (1, 2):
        main(
            f"--plan {folder}/plan.csv --task t --volumes {folder}/volumes --reference {reference} "
            f"--threads {threads} --output {folder}/{threads}.parquet".split()
        )
    assert (folder / "1.parquet").read_bytes() == (folder / "2.parquet").read_bytes()
    assert list(pd.read_parquet(folder / "1.parquet").columns) == PAIR_COLUMNS
