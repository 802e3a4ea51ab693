"""Counts of the texture kernels against plain loops, and against scipy's labelling."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from ct4bench.features import texture_matrices as tm


def padded(levels, dtype=np.uint8):
    return np.pad(levels, 1).astype(dtype)


@pytest.fixture(params=[(5, 6, 7), (1, 4, 9), (8, 1, 3), (2, 2, 2)])
def levels(request, rng):
    """Levels 0 (outside) to 4 in boxes of several shapes."""
    return rng.choice(5, p=[0.2, 0.4, 0.2, 0.15, 0.05], size=request.param)


def neighbour(index, direction):
    return tuple(i - d for i, d in zip(index, direction, strict=True))


def test_pairs_are_those_of_a_plain_loop(levels):
    counts, box = tm.count_pairs_and_runs(padded(levels), 4), padded(levels)
    for a, direction in enumerate(tm.DIRECTIONS):
        expected = np.zeros((5, 5), int)
        for index in np.argwhere(box > 0):
            expected[box[tuple(index)], box[neighbour(index, direction)]] += 1
        own = counts[a, :, :5].copy()
        own[np.arange(5), np.arange(5)] = counts[a, :, 6:].sum(axis=1)
        np.testing.assert_array_equal(own[1:], expected[1:])


def test_runs_are_those_of_a_plain_loop(levels):
    counts, box = tm.count_pairs_and_runs(padded(levels), 4), padded(levels)
    for a, direction in enumerate(tm.DIRECTIONS):
        position = np.zeros((5, counts.shape[2]), int)
        for index in np.argwhere(box > 0):
            level, length, place = box[tuple(index)], 1, neighbour(index, direction)
            while box[place] == level:
                length, place = length + 1, neighbour(place, direction)
            position[level, 4 + length] += 1
        np.testing.assert_array_equal(counts[a, 1:5, 6:], position[1:, 6:])


def zones(levels, n_levels):
    """Sorted (size, level) of all zones, as the kernel counts them and as scipy labels them."""
    small, large = tm.count_zones(padded(levels), n_levels)
    counted = [(s, i) for i in range(1, n_levels + 1) for s in range(tm.SMALL_ZONE) for _ in range(small[i, s])]
    listed = [divmod(int(key), n_levels + 1) for key in large]
    assert listed == sorted(listed)
    assert all(size >= tm.SMALL_ZONE for size, _ in listed)
    labelled = []
    for level in range(1, n_levels + 1):
        labels, _ = ndimage.label(levels == level, np.ones((3, 3, 3)))
        labelled += [(int(size), level) for size in np.bincount(labels.ravel())[1:]]
    return sorted(counted + listed), sorted(labelled), len(listed)


def test_zones_are_those_of_scipy(levels):
    counted, labelled, _ = zones(levels, 4)
    assert counted == labelled


def test_large_zones_are_those_of_scipy(rng):
    noise = ndimage.gaussian_filter(rng.normal(size=(20, 24, 22)), 2)
    counted, labelled, n_large = zones(np.digitize(noise, np.quantile(noise, [0.3, 0.6])) + 1, 3)
    assert counted == labelled
    assert n_large > 1


@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_neighbourhoods_are_those_of_a_plain_loop(levels, alpha):
    dependence, difference = tm.count_neighbourhoods(padded(levels), 4, alpha)
    close, distance = np.zeros((5, 27), int), np.zeros((5, 27), int)
    box = padded(levels).astype(int)
    for z, y, x in np.argwhere(box > 0):
        around = box[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].ravel()
        others = np.delete(around, 13)
        others = others[others > 0]
        close[box[z, y, x], int((np.abs(others - box[z, y, x]) <= alpha).sum())] += 1
        distance[box[z, y, x], len(others)] += abs(box[z, y, x] * len(others) - int(others.sum()))
    np.testing.assert_array_equal(dependence, close)
    np.testing.assert_array_equal(difference, distance)


def test_wide_levels_give_the_same_counts(rng):
    levels = rng.integers(0, 200, (6, 7, 30))
    for count in (
        lambda box: tm.count_pairs_and_runs(box, 300),
        lambda box: np.stack(tm.count_neighbourhoods(box, 300, 0)),
        lambda box: tm.count_zones(box, 300)[0],
    ):
        np.testing.assert_array_equal(count(padded(levels, np.uint8)), count(padded(levels, np.uint16)))


def test_a_line_meets_a_region_twice_over_a_gap():
    levels = np.zeros((3, 4, 5), int)
    levels[0, 0, 0] = levels[2, 2, 2] = 1
    box = padded(levels)
    met = [tm.DIRECTIONS[a] for a in range(13) if tm.line_has_two(box, a)]
    assert met == [(1, 1, 1)]


def test_representatives_stand_for_each_part_once(rng):
    table, offsets = tm.zone_representatives(), np.array(tm.DIRECTIONS)
    apart = np.abs(offsets[:, None] - offsets[None]).max(axis=2)
    for members in [*rng.integers(1, 1 << 13, 200), (1 << 13) - 1]:
        chosen = [k for k in range(13) if members >> k & 1]
        n_parts, part = connected_components(apart[np.ix_(chosen, chosen)] <= 1, directed=False)
        code, found = int(table[members]), []
        while code:
            found.append(part[chosen.index((code & 15) - 1)])
            code >>= 4
        assert sorted(found) == list(range(n_parts))


def test_intensities_outside_the_mask_do_not_count(rng):
    voxels = rng.integers(-5, 5, (3, 4, 5)).astype(np.int16)
    inside = (rng.random(voxels.shape) < 0.5).astype(np.uint8)
    voxels[inside == 0] = 30000
    counts = np.zeros(10, np.int64)
    tm.count_intensities(voxels, inside, -5, counts)
    np.testing.assert_array_equal(counts, np.bincount(voxels[inside == 1] + 5, minlength=10))
    levels = np.empty(tuple(n + 2 for n in voxels.shape), np.uint8)
    tm.pad(voxels, inside, -5, np.arange(1, 11, dtype=np.uint16), levels)
    np.testing.assert_array_equal(levels, np.pad(np.where(inside, voxels + 6, 0), 1))
