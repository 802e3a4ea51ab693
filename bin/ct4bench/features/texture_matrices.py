"""Grey-level matrices of a region: co-occurrence, runs, zones, dependence and neighbourhood differences.

A region is an array of grey levels 1..n, 0 outside, with a border of one voxel of 0 on every side (`pad`). All counts
are integers, so no order of summation can show in them. A direction is (slice, row, column); the neighbour along it is
the voxel that a scan in C order has met before.
"""

from functools import lru_cache

import numpy as np
from numba import njit

DIRECTIONS = (
    (1, 1, 1), (1, 1, 0), (1, 1, -1), (1, 0, 1), (1, 0, 0), (1, 0, -1), (1, -1, 1), (1, -1, 0), (1, -1, -1),
    (0, 1, 1), (0, 1, 0), (0, 1, -1), (0, 0, 1),
)  # fmt: skip
"""The 13 directions of the 26-neighbourhood, one of each opposite pair, in PyRadiomics' order."""
MAX_LEVELS = 1024
"""More grey levels than this are refused: the matrices would be larger than the region."""
SMALL_ZONE = 64
"""Zones of fewer voxels are counted in a table, larger ones are listed."""

_DIRECTIONS = np.array(DIRECTIONS, np.int64)


@lru_cache(maxsize=1)
def zone_representatives() -> np.ndarray:
    """Return one member of each connected part of each set of neighbours (bits in the order of `DIRECTIONS`).

    Neighbours that touch each other already share a zone when a scan arrives at the voxel, so that one of them stands
    for all. There are at most four parts: uint16 (8192,), four bits a part, index of the direction plus 1, the lowest
    bits first, 0 after the last.
    """
    offsets = np.array(DIRECTIONS)
    touching = [
        sum(1 << other for other in range(len(offsets)) if np.abs(offsets[other] - offset).max() <= 1)
        for offset in offsets
    ]
    table = np.zeros(1 << len(offsets), np.uint16)
    for members in range(1, len(table)):
        left, code, shift = members, 0, 0
        while left:
            first = (left & -left).bit_length() - 1
            part, grown = 0, 1 << first
            while grown != part:
                part = grown
                rest = part
                while rest:
                    grown |= touching[(rest & -rest).bit_length() - 1] & left
                    rest &= rest - 1
            code |= (first + 1) << shift
            shift += 4
            left &= ~part
        table[members] = code
    return table


@njit(cache=True, error_model="numpy", nogil=True)
def count_intensities(voxels, inside, lowest, counts):
    """Add to `counts` at [voxel - lowest] one for each voxel where `inside` (uint8) is not 0."""
    for z in range(voxels.shape[0]):
        for y in range(voxels.shape[1]):
            for x in range(voxels.shape[2]):
                if inside[z, y, x]:
                    counts[voxels[z, y, x] - lowest] += 1


@njit(cache=True, error_model="numpy", nogil=True)
def pad(voxels, inside, lowest, lookup, levels):
    """Fill the interior of `levels` with lookup[voxel - lowest] where `inside` (uint8) is not 0, and 0 elsewhere."""
    nz, ny, nx = voxels.shape
    levels[:] = 0
    for z in range(nz):
        for y in range(ny):
            source, mask = voxels[z, y], inside[z, y]
            target = levels[z + 1, y + 1, 1 : nx + 1]
            for x in range(nx):
                # Voxels outside the mask may lie outside the table.
                target[x] = lookup[source[x] - lowest] if mask[x] else 0


# The inner loops below are functions of their own with arithmetic in the width of the stored index, because only so the
# compiler turns them into vector instructions.
@njit(cache=True, error_model="numpy", nogil=True)
def _classify(own, other, before, run, index, width, n_levels):
    kind = index.dtype.type
    w, base, one = kind(width), kind(n_levels), kind(1)
    for e in range(own.shape[0]):
        level, neighbour = kind(own[e]), kind(other[e])
        same = level == neighbour
        r = kind(kind(before[e]) + one) if same else one
        run[e] = r
        index[e] = kind(kind(level * w) + (kind(base + r) if same else neighbour))


@njit(cache=True, error_model="numpy", nogil=True)
def _tally(index, counts):
    for e in range(index.shape[0]):
        counts[np.uint64(index[e])] += np.int32(1)


@njit(cache=True, error_model="numpy", nogil=True)
def _scan(planes, shift, n_levels, length, index, counts):
    n, m = planes.shape
    first, last = max(0, shift), min(m, m + shift)
    table = counts.reshape(counts.size)
    length[:] = 1
    for k in range(1, n - 1):
        _classify(
            planes[k, first:last],
            planes[k - 1, first - shift : last - shift],
            length[(k - 1) & 1, first - shift : last - shift],
            length[k & 1, first:last],
            index[: last - first],
            counts.shape[1],
            n_levels,
        )
        _tally(index[: last - first], table)


@njit(cache=True, error_model="numpy", nogil=True)
def _scan_all(along_slices, along_rows, along_columns, nx, n_levels, length, index, counts):
    for a in range(13):
        dz, dy, dx = _DIRECTIONS[a]
        if dz:
            planes, shift = along_slices, dy * nx + dx
        elif dy:
            planes, shift = along_rows, dx
        else:
            planes, shift = along_columns, 0
        m = planes.shape[1]
        _scan(planes, shift, n_levels, length[: 2 * m].reshape(2, m), index, counts[a])


def count_pairs_and_runs(levels: np.ndarray, n_levels: int) -> np.ndarray:
    """Count co-occurrences and runs in the 13 directions of the padded `levels` (slices + 2, rows + 2, columns + 2).

    Returns int32 (13, n_levels + 1, n_levels + 1 + longest axis): entry [a, i, j] with j <= n_levels counts voxels of
    level i whose neighbour has another level j (0: outside), entry [a, i, n_levels + k], k >= 2, those of level i that
    are the k-th of a run.
    """
    nz, ny, nx = levels.shape
    counts = np.zeros((13, n_levels + 1, n_levels + 1 + max(levels.shape)), np.int32)
    plane = max(nz * ny, nz * nx, ny * nx)
    # The widths decide how many voxels a vector instruction treats.
    index = np.empty(plane, np.uint16 if levels.itemsize == 1 and counts[0].size <= 2**16 else np.uint32)
    _scan_all(
        levels.reshape(nz, ny * nx),
        np.ascontiguousarray(levels.transpose(1, 0, 2)).reshape(ny, nz * nx),
        np.ascontiguousarray(levels.transpose(2, 0, 1)).reshape(nx, nz * ny),
        nx,
        n_levels,
        np.empty(2 * plane, np.uint16),
        index,
        counts,
    )
    return counts


@njit(cache=True, error_model="numpy", nogil=True)
def line_has_two(levels, a):
    """Tell whether any line along direction `a` meets the region in more than one voxel, gaps allowed."""
    nz, ny, nx = levels.shape
    dz, dy, dx = _DIRECTIONS[a]
    for z in range(1, nz - 1):
        for y in range(1, ny - 1):
            for x in range(1, nx - 1):
                if levels[z, y, x]:
                    i, j, k = z - dz, y - dy, x - dx
                    while 0 < i < nz - 1 and 0 < j < ny - 1 and 0 < k < nx - 1:
                        if levels[i, j, k]:
                            return True
                        i, j, k = i - dz, j - dy, k - dx
    return False


@njit(cache=True, error_model="numpy", nogil=True)
def _add_equal(own, other, total):
    one, none = np.uint8(1), np.uint8(0)
    for e in range(own.shape[0]):
        total[e] = np.uint8(total[e] + (one if own[e] == other[e] else none))


@njit(cache=True, error_model="numpy", nogil=True)
def _add_close(own, other, alpha, total):
    for e in range(own.shape[0]):
        if other[e] and abs(np.int32(own[e]) - np.int32(other[e])) <= alpha:
            total[e] += np.uint8(1)


@njit(cache=True, error_model="numpy", nogil=True)
def _set_bit(own, other, bit, bits):
    none = np.uint16(0)
    for e in range(own.shape[0]):
        bits[e] = np.uint16(bits[e] | (bit if own[e] == other[e] else none))


@njit(cache=True, error_model="numpy", nogil=True)
def _add_three(source, step, target):
    kind = target.dtype.type
    n = source.shape[0] - 2 * step
    below, middle, above = source[:n], source[step : step + n], source[2 * step :]
    inner = target[step : step + n]
    for e in range(n):
        inner[e] = kind(kind(kind(below[e]) + kind(middle[e])) + kind(above[e]))


@njit(cache=True, error_model="numpy", nogil=True)
def _count_close(flat, steps, alpha, close):
    start, stop = steps[0], flat.size - steps[0]
    own, total = flat[start:stop], close[start:stop]
    for step in steps:
        if alpha == 0:
            _add_equal(own, flat[start - step : stop - step], total)
        else:
            _add_close(own, flat[start - step : stop - step], alpha, total)


@njit(cache=True, error_model="numpy", nogil=True)
def _tally_neighbourhoods(flat, margin, close, sums, number, dependence, difference):
    for e in range(margin, flat.size - margin):
        level = np.int64(flat[e])
        if level:
            n = np.int64(number[e]) - 1
            dependence[level, close[e]] += 1
            difference[level, n] += abs(level * n - (np.int64(sums[e]) - level))


def _steps(levels: np.ndarray) -> np.ndarray:
    """Distances in the flat array to the neighbours of `DIRECTIONS`; the first is the largest."""
    ny, nx = levels.shape[1:]
    return _DIRECTIONS @ np.array([ny * nx, nx, 1])


def _box_sums(values: np.ndarray, steps: np.ndarray, kind: type) -> np.ndarray:
    """Sums over 3 x 3 x 3 voxels of a flat array; its ends, which no region reaches, are left at 0."""
    first, second = np.zeros(values.size, kind), np.zeros(values.size, kind)
    _add_three(values, 1, first)
    _add_three(first, steps[10], second)
    _add_three(second, steps[4], first)
    return first


def count_neighbourhoods(levels: np.ndarray, n_levels: int, alpha: int) -> tuple[np.ndarray, np.ndarray]:
    """Count dependence and neighbourhood differences over the 26 neighbours inside the region, of the padded `levels`.

    Returns two int64 (n_levels + 1, 27): the number of voxels of level i with j neighbours whose level differs by at
    most `alpha`; and the sum of |i j - sum of the neighbours' levels| over the voxels of level i with j neighbours,
    which divided by j is their distance from the neighbours' mean.
    """
    flat, steps = levels.reshape(-1), _steps(levels)
    close = np.zeros(flat.size, np.uint8)
    _count_close(flat, np.concatenate([steps, -steps]), alpha, close)
    sums = _box_sums(flat, steps, np.uint16)
    number = _box_sums((flat > 0).view(np.uint8), steps, np.uint8)
    dependence, difference = np.zeros((2, n_levels + 1, 27), np.int64)
    _tally_neighbourhoods(flat, steps[0], close, sums, number, dependence, difference)
    return dependence, difference


@njit(cache=True, error_model="numpy", nogil=True)
def _root(parent, e):
    while parent[e] != e:
        parent[e] = parent[parent[e]]
        e = parent[e]
    return e


@njit(cache=True, error_model="numpy", nogil=True)
def _join_zones(flat, steps, representatives, bits, parent, size):
    # Ends with the number of voxels of each zone at the first of them.
    start, stop = steps[0], flat.size - steps[0]
    for a in range(13):
        _set_bit(flat[start:stop], flat[start - steps[a] : stop - steps[a]], np.uint16(1 << a), bits[start:stop])
    for e in range(start, stop):
        if flat[e]:
            code = np.int64(representatives[bits[e]])
            if code == 0:
                parent[e] = e
            else:
                root = _root(parent, e - steps[(code & 15) - 1])
                code >>= 4
                while code:
                    other = _root(parent, e - steps[(code & 15) - 1])
                    code >>= 4
                    # The earlier voxel stays the root, so that a parent always comes before its child.
                    if other < root:
                        parent[root] = other
                        root = other
                    else:
                        parent[other] = root
                parent[e] = root
    for e in range(start, stop):
        if flat[e]:
            parent[e] = parent[parent[e]]
            size[parent[e]] += 1


@njit(cache=True, error_model="numpy", nogil=True)
def _tally_zones(flat, size, n_levels, small, large):
    n_large = 0
    for e in range(flat.size):
        if size[e]:
            if size[e] < small.shape[1]:
                small[flat[e], size[e]] += 1
            else:
                large[n_large] = np.int64(size[e]) * (n_levels + 1) + flat[e]
                n_large += 1
    return n_large


def count_zones(levels: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Count 26-connected zones of equal level of the padded `levels`.

    Returns int64 (n_levels + 1, SMALL_ZONE), the number of zones by level and size, and a sorted int64 list of the
    larger zones as size * (n_levels + 1) + level.
    """
    flat = levels.reshape(-1)
    size = np.zeros(flat.size, np.int32)
    bits, parent = np.zeros(flat.size, np.uint16), np.empty(flat.size, np.int32)
    _join_zones(flat, _steps(levels), zone_representatives(), bits, parent, size)
    small = np.zeros((n_levels + 1, SMALL_ZONE), np.int64)
    large = np.empty(flat.size // SMALL_ZONE + 1, np.int64)
    n_large = _tally_zones(flat, size, n_levels, small, large)
    return small, np.sort(large[:n_large])
