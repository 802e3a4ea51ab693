"""Pair metrics: one pair against MONAI and scikit-image, Tables 3-5, and all pairs of the collection at full size."""

import functools
import time
from itertools import combinations_with_replacement

import numpy as np
import pytest
from full_size import PEAK_MB, in_own_process
from scipy.ndimage import gaussian_filter
from ssim_float64 import ssim_map_float64

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import save_volume
from ct4bench.pairs.compare import PairRegion, batches, compare_batch
from ct4bench.pairs.plan import scanner_groups, unordered_pairs
from ct4bench.pairs.similarity import compare, local_moments, pair_sums, shrink, windows_inside

BOX = (310, 275, 381)
"""The box of Table 6 in voxels of the full grid."""
N_SERIES, N_DRAWN_PAIRS = 268, 1800


def make_volumes(n: int, shape=BOX) -> list[np.ndarray]:
    """Volumes of one object with noise of their own, int16 HU."""
    rng = np.random.default_rng(8)
    scene = 60 * gaussian_filter(rng.normal(0, 1, shape).astype(np.float32), 3) / 0.04
    return [
        np.rint(scene + 3 * i + 60 * gaussian_filter(rng.normal(0, 1, shape).astype(np.float32), 0.8)).astype(np.int16)
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def pair():
    """Two volumes, and the CPU seconds of their comparison when their own moments are there, as for all but the first
    pair of a series."""
    a, b = make_volumes(2)
    inside = np.ones(a.shape, np.uint8)
    windows = windows_inside(inside)
    means, variances = (np.stack(m) for m in zip(local_moments(a), local_moments(b), strict=True))
    voxels = np.stack([a, b])
    times = []
    for _ in range(8):
        start = time.process_time()
        pair_sums(voxels, means, variances, inside, windows, [(0, 1)], whole=True)
        times.append(time.process_time() - start)
    start = time.process_time()
    result = compare(a, b)
    uncached_s = time.process_time() - start
    cpu_s = float(np.median(times[1:]))
    error = abs(result.ssim - ssim_map_float64(a, b).mean())
    print(
        f"\na pair in the box: {cpu_s:.3f} CPU s, with both moments {uncached_s:.3f}; SSIM off float64 by {error:.1e}"
    )
    assert error < 1e-7
    return a, b, result, cpu_s


@functools.cache
def by_monai() -> tuple[float, float, float]:
    """SSIM and RMSE of the pair by MONAI on one thread, and the CPU seconds of SSIM, RMSE and PSNR."""
    import torch
    from monai.metrics import PSNRMetric, RMSEMetric, SSIMMetric

    torch.set_num_threads(1)
    one, other = (torch.from_numpy(v.astype(np.float32))[None, None] for v in make_volumes(2))
    metric = SSIMMetric(spatial_dims=3, data_range=3000.0, kernel_type="gaussian", win_size=11, kernel_sigma=1.5)
    start = time.process_time()
    ssim, rmse = float(metric(one, other)), float(RMSEMetric()(one, other))
    float(PSNRMetric(max_val=2000.0)(one, other))
    return ssim, rmse, time.process_time() - start


def bench_pair_monai(record, pair):
    *_, ours, cpu_s = pair
    ssim, rmse, reference_s = by_monai()
    assert rmse == pytest.approx(ours.rmse_hu, rel=1e-5)
    record("pair_monai", "MONAI RMSE, PSNR, SSIM", reference_s, cpu_s, abs(ssim - ours.ssim))


def bench_pair_skimage(record, pair):
    from skimage.metrics import structural_similarity

    a, b, ours, cpu_s = pair
    one, other = a.astype(np.float64), b.astype(np.float64)
    settings = {"data_range": 3000, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference_s = record.cpu_seconds(lambda: structural_similarity(one, other, **settings), 2)
    difference = abs(structural_similarity(one, other, **settings) - ours.ssim)
    record("pair_skimage", "scikit-image SSIM", reference_s, cpu_s, difference)


def whole(shape, factor):
    return PairRegion.of_mask(tuple(slice(0, n) for n in shape), factor, np.ones(shape, np.uint8))


def bench_pairs_shrunk(record):
    """Tables 3-5 from 268 series, as one task; reading does not count, shrinking does."""
    import torch
    from monai.metrics import SSIMMetric

    shape = (240, *BOX[1:])
    sources = make_volumes(4, shape)
    reading_s = 0.0

    def read(uid, box):
        nonlocal reading_s
        start = time.process_time()
        voxels = sources[int(uid) % 4][box] + np.int16(int(uid) // 4)
        reading_s += time.process_time() - start
        return voxels

    rng = np.random.default_rng(3)
    drawn = {tuple(f"{i:03}" for i in sorted(rng.choice(N_SERIES, 2, replace=False))) for _ in range(3 * N_DRAWN_PAIRS)}
    pairs = sorted(drawn)[:: len(drawn) // N_DRAWN_PAIRS][:N_DRAWN_PAIRS]
    region = whole(shape, 4)
    compare_batch(pairs[:1], read, region)
    reading_s, start = 0.0, time.process_time()
    found = compare_batch(pairs, read, region)
    cpu_s = time.process_time() - start - reading_s
    torch.set_num_threads(1)
    metric = SSIMMetric(spatial_dims=3, data_range=3000.0, kernel_type="gaussian", win_size=11, kernel_sigma=1.5)
    small = [torch.from_numpy(shrink(sources[i % 4] + np.int16(i // 4), 4))[None, None] for i in map(int, pairs[7])]
    reference_s = record.cpu_seconds(lambda: metric(*small), 3) * N_DRAWN_PAIRS
    difference = abs(float(metric(*small)) - found[pairs[7]].ssim)
    record("pairs_shrunk", f"MONAI SSIM of {N_DRAWN_PAIRS} pairs (from one)", reference_s, cpu_s, difference)
    record.expect("CPU s of the shrunk pairs", cpu_s, at_most=10)
    assert len(found) == N_DRAWN_PAIRS


TILES = (
    PEAK_MB
    + """
import sys, time
import numpy as np
from pathlib import Path
from ct4bench.pairs.compare import BATCH_SIDE, PairRegion, compare_batch
from ct4bench.core.volumes import open_volume
paths = sorted(Path(sys.argv[1]).glob("*.b2nd"))
n_slices, _, n_columns = open_volume(paths[0]).grid.shape
opened = {f"{i:02}": open_volume(paths[i % len(paths)]) for i in range(2 * BATCH_SIDE)}
def cost(side, n_rows):
    pairs = [(f"{i:02}", f"{BATCH_SIDE + j:02}") for i in range(side) for j in range(side)]
    shape = n_slices, n_rows, n_columns
    region = PairRegion.of_mask(tuple(slice(0, n) for n in shape), 1, np.ones(shape, np.uint8))
    start = time.process_time()
    compare_batch(pairs, lambda uid, box: opened[uid].read(box), region)
    return time.process_time() - start
cost(1, 15)
rows = [int(n) for n in sys.argv[2:]]
for side in (BATCH_SIDE // 4, BATCH_SIDE // 2, BATCH_SIDE):
    costs = [cost(side, n) for n in rows]
    print(side, *costs, peak_mb())
"""
)
"""CPU seconds of tiles of three sizes over few rows and over more, and the process's peak memory after each."""
ROWS = (26, 52)
"""Two slabs and four of a full tile: the difference has no share of what is done once."""


def batches_of_the_collection() -> tuple[int, int, int]:
    """Pairs, batches, and volumes summed over batches, as the tasks of all pairs of the 10 mGy series have them."""
    sizes = dict.fromkeys(SCANNERS, 20) | {"E1": 18, "E2": 30}
    assert sum(sizes.values()) == N_SERIES
    groups = scanner_groups(sizes)
    region = PairRegion(None, 1, np.empty(BOX, np.uint8), np.empty(0))
    found = []
    for one, other in combinations_with_replacement(sorted(set(groups.values())), 2):
        sides = [[f"{s}{i}" for s in groups if groups[s] == g for i in range(sizes[s])] for g in (one, other)]
        found += batches(unordered_pairs(*sides), region)
    volumes = sum(len({uid for pair in batch for uid in pair}) for batch in found)
    return sum(map(len, found)), len(found), volumes


def bench_all_pairs(record, tmp_path):
    """All 35,778 pairs of 268 series in the box, from tiles as the tasks have them, reading included."""
    grid = Grid.axis_aligned(BOX, (1.0, 0.68359375, 0.68359375), (0, 0, 0))
    for i, volume in enumerate(make_volumes(6)):
        save_volume(tmp_path / f"{i:02}.b2nd", volume, grid)
    in_own_process(TILES, tmp_path, *ROWS[:1])
    found = np.reshape(in_own_process(TILES, tmp_path, *ROWS), (3, 4))
    sides, costs = found[:, 0], (found[:, 2] - found[:, 1]) * BOX[1] / (ROWS[1] - ROWS[0])
    (volume_s, pair_s), *_ = np.linalg.lstsq(np.stack([2 * sides, sides**2], axis=1), costs, rcond=None)
    fitted = volume_s * 2 * sides + pair_s * sides**2
    print()
    for side, cost, fit, peak in zip(sides, costs, fitted, found[:, 3], strict=True):
        print(f"{2 * side:.0f} volumes, {side**2:.0f} pairs: {cost:.1f} CPU s (fit {fit:.1f}), peak {peak:.0f} MB")
    n_pairs, n_batches, n_volumes = batches_of_the_collection()
    assert n_pairs == N_SERIES * (N_SERIES - 1) // 2
    total_s = n_pairs * pair_s + n_volumes * volume_s
    print(
        f"a volume {volume_s:.3f}, a pair {pair_s:.4f} CPU s; all {n_pairs} pairs in {n_batches} tiles of {n_volumes} "
        f"volumes: {total_s / 120:.0f} min on two cores"
    )
    peak_mb = found[:, 3].max()
    record("pairs_all", "MONAI (from one pair)", n_pairs * by_monai()[2], total_s, 0.0, peak_mb)
    record.expect("distance of the costs of tiles from a line", np.abs(fitted / costs - 1).max(), at_most=0.25)
    record.expect("minutes of all pairs on two cores", total_s / 120, at_most=40)
    assert peak_mb < 1500
