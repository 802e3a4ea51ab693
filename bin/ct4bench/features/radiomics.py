"""The 93 default radiomics features of a region, equal to those of PyRadiomics 3.0.1.

Definitions: Zwanenburg et al. 2020, doi:10.1148/radiol.2020191145 (IBSI), as PyRadiomics (van Griethuysen et al. 2017,
doi:10.1158/0008-5472.CAN-17-0339) implements them; docs/ibsi.md lists where the two part. Features of co-occurrence and
run-length matrices are computed in each of the 13 directions and averaged. Everything is computed from integer counts
in a fixed order, so that a value depends neither on threads nor on what else is computed. MCC has its eigenvalues from
LAPACK.
"""

from dataclasses import dataclass
from math import log2, sqrt

import numpy as np
from numba import njit

from ct4bench.core.geometry import bounding_box
from ct4bench.features.texture_matrices import (
    MAX_LEVELS,
    count_intensities,
    count_neighbourhoods,
    count_pairs_and_runs,
    count_zones,
    line_has_two,
    pad,
)

# fmt: off
FIRST_ORDER = (
    "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum", "Mean",
    "MeanAbsoluteDeviation", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation", "RootMeanSquared",
    "Skewness", "TotalEnergy", "Uniformity", "Variance",
)
GLCM = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation",
    "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2",
    "InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage",
    "SumEntropy", "SumSquares",
)
GLDM = (
    "DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized", "DependenceVariance",
    "GrayLevelNonUniformity", "GrayLevelVariance", "HighGrayLevelEmphasis", "LargeDependenceEmphasis",
    "LargeDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis", "LowGrayLevelEmphasis",
    "SmallDependenceEmphasis", "SmallDependenceHighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
)
GLRLM = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelRunEmphasis",
    "LongRunEmphasis", "LongRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LowGrayLevelRunEmphasis",
    "RunEntropy", "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "RunVariance",
    "ShortRunEmphasis", "ShortRunHighGrayLevelEmphasis", "ShortRunLowGrayLevelEmphasis",
)
GLSZM = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelZoneEmphasis",
    "LargeAreaEmphasis", "LargeAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis", "LowGrayLevelZoneEmphasis",
    "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis", "SmallAreaHighGrayLevelEmphasis",
    "SmallAreaLowGrayLevelEmphasis", "ZoneEntropy", "ZonePercentage", "ZoneVariance",
)
NGTDM = ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")
# fmt: on
FEATURE_CLASSES = {
    "firstorder": FIRST_ORDER,
    "glcm": GLCM,
    "gldm": GLDM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "ngtdm": NGTDM,
}
"""PyRadiomics' classes without shape, and their features that are not deprecated, both in alphabetical order."""
FEATURES = tuple(f"original_{name}_{feature}" for name, features in FEATURE_CLASSES.items() for feature in features)
"""Names of the columns in their fixed order, which is also the alphabetical one."""

_MCC, _INVERSE_VARIANCE = FEATURES.index("original_glcm_MCC"), FEATURES.index("original_glcm_InverseVariance")
_EPSILON = 2.0**-52
"""PyRadiomics' numpy.spacing(1), added inside its logarithms and denominators."""
VANISHING = 1e-12
"""Second eigenvalues below this are computed as PyRadiomics does, rounding included."""


@dataclass(frozen=True)
class RadiomicsOptions:
    """The settings of PyRadiomics that change a value here; the defaults are PyRadiomics' own."""

    bin_width: float = 25
    bin_count: int | None = None
    """Number of bins between minimum and maximum; where it is given, `bin_width` does not count."""
    symmetrical: bool = True
    """Whether co-occurrence counts a pair in both orders."""
    gldm_alpha: int = 0
    array_shift: int = 0
    """Added to the intensities in Energy, TotalEnergy and RootMeanSquared."""


class TooManyLevelsError(ValueError):
    """The bins give more grey levels than `MAX_LEVELS`."""


def bin_edges(lowest: int, highest: int, options: RadiomicsOptions) -> np.ndarray:
    """Return the edges of the bins of intensities from `lowest` to `highest`; a bin holds its lower edge but not its
    upper.

    Bins of fixed width are aligned to 0 HU (IBSI has them start at the lowest intensity), and the first holds `lowest`.
    """
    if options.bin_count is not None:
        edges = np.histogram_bin_edges(np.array([lowest, highest]), options.bin_count)
        edges[-1] += 1
        return edges
    width = options.bin_width
    return np.arange(lowest - lowest % width, highest + 2 * width, width)


def level_table(lowest: int, highest: int, options: RadiomicsOptions) -> np.ndarray:
    """Return the grey level (uint16, from 1) of each intensity from `lowest` to `highest`."""
    levels = np.digitize(np.arange(lowest, highest + 1), bin_edges(lowest, highest, options))
    if levels[-1] > MAX_LEVELS:
        raise TooManyLevelsError(
            f"intensities from {lowest} to {highest} give {levels[-1]} grey levels, more than {MAX_LEVELS}; choose a "
            "larger binWidth or a smaller binCount"
        )
    return levels.astype(np.uint16)


@njit(cache=True, error_model="numpy", nogil=True)
def _ranked(cumulative, lowest, rank):
    # Intensity of the voxel of that rank (from 0) in ascending order.
    return float(lowest + np.searchsorted(cumulative, rank, side="right"))


@njit(cache=True, error_model="numpy", nogil=True)
def _percentile(cumulative, lowest, share):
    # Linear interpolation with the rounding of numpy.percentile: whether a voxel lies inside the 10th to 90th
    # percentile (RobustMeanAbsoluteDeviation) may depend on the last bit.
    last = cumulative[-1] - 1
    position = last * share
    below = np.int64(np.floor(position))
    if position >= last:
        return _ranked(cumulative, lowest, last)
    weight = position - below
    a, b = _ranked(cumulative, lowest, below), _ranked(cumulative, lowest, below + 1)
    return b - (b - a) * (1 - weight) if weight >= 0.5 else a + (b - a) * weight


@njit(cache=True, error_model="numpy", nogil=True)
def _first_order(counts, lowest, level_counts, voxel_mm3, shift, out):
    cumulative = np.cumsum(counts)
    n = cumulative[-1]
    total, energy = np.int64(0), 0.0
    for k in range(counts.size):
        if counts[k]:
            v = lowest + k
            total += counts[k] * v
            energy += float(counts[k] * (v + shift) ** 2)
    mean = total / n
    p10, p90 = _percentile(cumulative, lowest, 0.1), _percentile(cumulative, lowest, 0.9)
    absolute = m2 = m3 = m4 = robust_sum = 0.0
    robust_n = np.int64(0)
    for k in range(counts.size):
        if counts[k]:
            d = lowest + k - mean
            absolute += counts[k] * abs(d)
            m2 += counts[k] * d**2
            m3 += counts[k] * d**3
            m4 += counts[k] * d**4
            if p10 <= lowest + k <= p90:
                robust_n += counts[k]
                robust_sum += float(counts[k] * (lowest + k))
    robust_mean, robust = robust_sum / robust_n, 0.0
    for k in range(counts.size):
        if counts[k] and p10 <= lowest + k <= p90:
            robust += counts[k] * abs(lowest + k - robust_mean)
    entropy = uniformity = 0.0
    for count in level_counts:
        if count:
            p = count / n
            entropy -= p * log2(p + _EPSILON)
            uniformity += p**2
    m2, m3, m4 = m2 / n, m3 / n, m4 / n
    highest = lowest + counts.size - 1
    half = (n - 1) // 2
    out[0] = p10
    out[1] = p90
    out[2] = energy
    out[3] = entropy
    out[4] = _percentile(cumulative, lowest, 0.75) - _percentile(cumulative, lowest, 0.25)
    out[5] = m4 / m2**2 if m2 else 0.0
    out[6] = highest
    out[7] = mean
    out[8] = absolute / n
    out[9] = (_ranked(cumulative, lowest, half) + _ranked(cumulative, lowest, n // 2)) / 2
    out[10] = lowest
    out[11] = highest - lowest
    out[12] = robust / robust_n
    out[13] = sqrt(energy / n)
    out[14] = m3 / m2**1.5 if m2 else 0.0
    out[15] = energy * voxel_mm3
    out[16] = uniformity
    out[17] = m2


@njit(cache=True, error_model="numpy", nogil=True)
def _second_eigenvalue(p, px, py):
    # That of PyRadiomics' Q_ij = sum_k p_ik p_jk / (px_i py_k + eps). Q is similar to a matrix
    # that is symmetric but for eps, and the antisymmetric part of so small a change moves no eigenvalue to first order.
    n = p.shape[0]
    a, g = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        if px[i] > 0:
            root = sqrt(px[i])
            for k in range(n):
                a[i, k] = p[i, k] / root
                g[i, k] = 0.5 * a[i, k] * px[i] / (px[i] * py[k] + _EPSILON)
    b = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += g[i, k] * a[j, k] + a[i, k] * g[j, k]
            b[i, j] = b[j, i] = total
    # In ascending order.
    return np.linalg.eigvalsh(b)[n - 2]


@njit(cache=True, error_model="numpy", nogil=True)
def _glcm_of_direction(p, level, n_levels, out):
    # p (n, n) sums to 1; level (n,) the grey levels of its rows and columns.
    n = level.size
    px, py = np.zeros(n), np.zeros(n)
    differences, sums = np.zeros(n_levels), np.zeros(2 * n_levels + 1)
    autocorrelation = energy = entropy = largest = 0.0
    for i in range(n):
        for j in range(n):
            q = p[i, j]
            if q:
                px[i] += q
                py[j] += q
                differences[abs(level[i] - level[j])] += q
                sums[level[i] + level[j]] += q
                autocorrelation += q * (level[i] * level[j])
                energy += q**2
                entropy -= q * log2(q + _EPSILON)
                largest = max(largest, q)
    ux = uy = hx = hy = 0.0
    for i in range(n):
        ux += level[i] * px[i]
        uy += level[i] * py[i]
        hx -= px[i] * log2(px[i] + _EPSILON)
        hy -= py[i] * log2(py[i] + _EPSILON)
    variance_x = variance_y = covariance = entropy1 = entropy2 = 0.0
    for i in range(n):
        variance_x += px[i] * (level[i] - ux) ** 2
        variance_y += py[i] * (level[i] - uy) ** 2
        for j in range(n):
            product = px[i] * py[j]
            if product:
                logarithm = log2(product + _EPSILON)
                entropy2 -= product * logarithm
                if p[i, j]:
                    entropy1 -= p[i, j] * logarithm
                    covariance += p[i, j] * (level[i] - ux) * (level[j] - uy)
    average = difference_entropy = contrast = inverse = inverse_moment = 0.0
    normalized = normalized_moment = inverse_variance = 0.0
    for k in range(n_levels):
        q = differences[k]
        if q:
            average += k * q
            contrast += q * k**2
            difference_entropy -= q * log2(q + _EPSILON)
            inverse += q / (1 + k)
            inverse_moment += q / (1 + k**2)
            normalized += q / (1 + k / n_levels)
            normalized_moment += q / (1 + k**2 / n_levels**2)
            if k:
                inverse_variance += q / k**2
    difference_variance = 0.0
    for k in range(n_levels):
        difference_variance += differences[k] * (k - average) ** 2
    sum_average = sum_entropy = tendency = shade = prominence = 0.0
    for k in range(2, 2 * n_levels + 1):
        q = sums[k]
        if q:
            sum_average += k * q
            sum_entropy -= q * log2(q + _EPSILON)
            d = k - ux - uy
            tendency += q * d**2
            shade += q * d**3
            prominence += q * d**4
    spread = sqrt(variance_x) * sqrt(variance_y)
    most = max(hx, hy)
    out[0] = autocorrelation
    out[1] = prominence
    out[2] = shade
    out[3] = tendency
    out[4] = contrast
    out[5] = covariance / (spread + _EPSILON) if spread else 1.0
    out[6] = average
    out[7] = difference_entropy
    out[8] = difference_variance
    out[9] = inverse
    out[10] = inverse_moment
    out[11] = normalized_moment
    out[12] = normalized
    out[13] = (entropy - entropy1) / most if most else 0.0
    # Not a number where rounding makes the joint entropy exceed that of independent grey levels.
    out[14] = 0.0 if entropy2 == entropy else sqrt(1 - np.exp(-2 * (entropy2 - entropy)))
    out[15] = inverse_variance
    out[16] = ux
    out[17] = energy
    out[18] = entropy
    out[19] = _second_eigenvalue(p, px, py) if n > 1 else 1.0
    out[20] = largest
    out[21] = sum_average
    out[22] = sum_entropy
    out[23] = variance_x


@njit(cache=True, error_model="numpy", nogil=True)
def _mean_of_directions(values, used, out):
    # numpy.nanmean over the directions in use.
    for f in range(values.shape[1]):
        total, n = 0.0, 0
        for a in range(13):
            if used[a] and not np.isnan(values[a, f]):
                total += values[a, f]
                n += 1
        out[f] = total / n if n else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def _glcm(counts, level, n_levels, symmetrical, matrices, out):
    # `matrices` (13, n, n) gets the normalized matrices. Returns the number of directions in use, negative where an
    # eigenvalue vanishes so far that its rounding shows in MCC.
    n = level.size
    values, used = np.full((13, 24), np.nan), np.zeros(13, np.bool_)
    n_used, vanishing = 0, False
    for a in range(13):
        p = matrices[n_used]
        total = 0.0
        for j in range(n):
            # Voxels whose neighbour has their own level are counted with the runs.
            same = 0
            for k in range(n_levels + 2, counts.shape[2]):
                same += counts[a, level[j], k]
            for i in range(n):
                p[i, j] = same if i == j else counts[a, level[j], level[i]]
                total += p[i, j]
        if total == 0:
            continue
        used[a] = True
        n_used += 1
        if symmetrical:
            for i in range(n):
                for j in range(i + 1):
                    p[i, j] = p[j, i] = p[i, j] + p[j, i]
            total *= 2
        for i in range(n):
            for j in range(n):
                p[i, j] /= total
        _glcm_of_direction(p, level, n_levels, values[a])
        vanishing = vanishing or values[a, 19] < VANISHING
        values[a, 19] = sqrt(values[a, 19])
    _mean_of_directions(values, used, out)
    return -n_used if vanishing else n_used


def _mcc_of_rounding(matrices: np.ndarray) -> float:
    """MCC of matrices (directions, n, n) computed with PyRadiomics' own operations.

    Where grey levels are independent along a direction, the second eigenvalue is 0 but for rounding, and its sign
    decides whether the direction counts. Only the same operations give the same sign.
    """
    p = np.ascontiguousarray(matrices.transpose(1, 2, 0))
    px, py = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
    q = sum(p[:, None, k] * p[None, :, k] / (px * py[:, k : k + 1] + _EPSILON) for k in range(len(p)))
    values = np.linalg.eigvals(q.transpose(2, 0, 1))
    values.sort()
    with np.errstate(invalid="ignore"):
        mcc = np.sqrt(values[:, -2])
    return float(np.mean(mcc[~np.isnan(mcc)]).real) if not np.isnan(mcc).all() else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def _cell_features(levels, sizes, counts, n_cells, n_levels, out):
    # Features that runs, zones and dependences share. Cells are sorted by size. `out` (15,), in this order: total, sum
    # of size; emphasis of small and large size, of low and high level, small-low, small-high, large-low, large-high;
    # squares of the margins by level and by size; variance of level and of size; entropy.
    of_level = np.zeros(n_levels + 1)
    out[:] = 0.0
    for c in range(n_cells):
        out[0] += counts[c]
    n = out[0]
    of_size, mean_size, entropy = 0.0, 0.0, 0.0
    for c in range(n_cells):
        i2, j2, count = float(levels[c]) ** 2, float(sizes[c]) ** 2, float(counts[c])
        of_level[levels[c]] += count
        out[1] += count * sizes[c]
        out[2] += count / j2
        out[3] += count * j2
        out[6] += count / (i2 * j2)
        out[7] += count * i2 / j2
        out[8] += count * j2 / i2
        out[9] += count * (i2 * j2)
        p = count / n
        entropy -= p * log2(p + _EPSILON)
        of_size += count
        if c == n_cells - 1 or sizes[c + 1] != sizes[c]:
            out[11] += of_size**2
            mean_size += of_size / n * sizes[c]
            of_size = 0.0
    mean_level = 0.0
    for i in range(1, n_levels + 1):
        if of_level[i]:
            out[4] += of_level[i] / float(i) ** 2
            out[5] += of_level[i] * float(i) ** 2
            out[10] += of_level[i] ** 2
            mean_level += of_level[i] / n * i
    for i in range(1, n_levels + 1):
        out[12] += of_level[i] / n * (i - mean_level) ** 2
    for c in range(n_cells):
        out[13] += counts[c] / n * (sizes[c] - mean_size) ** 2
    out[14] = entropy


@njit(cache=True, error_model="numpy", nogil=True)
def _glrlm(padded, counts, level, n_levels, level_counts, out):
    longest = counts.shape[2] - n_levels - 2
    values, used = np.full((13, 16), np.nan), np.zeros(13, np.bool_)
    cell_level, cell_size = np.empty(level.size * longest, np.int64), np.empty(level.size * longest, np.int64)
    cell_count, s = np.empty(level.size * longest, np.int64), np.empty(15)
    at_least = np.empty((level.size, longest + 2), np.int64)
    for a in range(13):
        # A direction in which no line meets the region twice is none of its directions.
        met = 0
        for i in level:
            for k in range(1, counts.shape[2]):
                met += counts[a, i, k]
        if met == 0 and not line_has_two(padded, a):
            continue
        used[a] = True
        top = 1
        for k in range(level.size):
            i = level[k]
            # Runs of at least r voxels are as many as voxels that are the r-th of their run.
            at_least[k, longest + 1] = 0
            at_least[k, 1] = level_counts[i]
            for r in range(2, longest + 1):
                at_least[k, r] = counts[a, i, n_levels + r]
                at_least[k, 1] -= at_least[k, r]
                if at_least[k, r]:
                    top = max(top, r)
        cells = 0
        for r in range(1, top + 1):
            for k in range(level.size):
                runs = at_least[k, r] - at_least[k, r + 1]
                if runs:
                    cell_level[cells], cell_size[cells], cell_count[cells] = level[k], r, runs
                    cells += 1
        _cell_features(cell_level, cell_size, cell_count, cells, n_levels, s)
        n, v = s[0], values[a]
        v[0], v[1], v[2], v[3] = s[10] / n, s[10] / n**2, s[12], s[5] / n
        v[4], v[5], v[6], v[7] = s[3] / n, s[9] / n, s[8] / n, s[4] / n
        v[8], v[9], v[10], v[11] = s[14], s[11] / n, s[11] / n**2, n / s[1]
        v[12], v[13], v[14], v[15] = s[13], s[2] / n, s[7] / n, s[6] / n
    _mean_of_directions(values, used, out)


@njit(cache=True, error_model="numpy", nogil=True)
def _glszm(small, large, n_levels, out):
    # `large`: sorted keys size * (n_levels + 1) + level, so that equal zones follow each other.
    room = small.size + large.size
    cell_level, cell_size = np.empty(room, np.int64), np.empty(room, np.int64)
    cell_count, cells = np.empty(room, np.int64), 0
    for size in range(1, small.shape[1]):
        for i in range(1, n_levels + 1):
            if small[i, size]:
                cell_level[cells], cell_size[cells], cell_count[cells] = i, size, small[i, size]
                cells += 1
    for k in range(large.size):
        if k and large[k] == large[k - 1]:
            cell_count[cells - 1] += 1
        else:
            cell_level[cells], cell_size[cells] = large[k] % (n_levels + 1), large[k] // (n_levels + 1)
            cell_count[cells] = 1
            cells += 1
    s = np.empty(15)
    _cell_features(cell_level, cell_size, cell_count, cells, n_levels, s)
    n = s[0]
    out[0], out[1], out[2], out[3] = s[10] / n, s[10] / n**2, s[12], s[5] / n
    out[4], out[5], out[6], out[7] = s[3] / n, s[9] / n, s[8] / n, s[4] / n
    out[8], out[9], out[10], out[11] = s[11] / n, s[11] / n**2, s[2] / n, s[7] / n
    out[12], out[13], out[14], out[15] = s[6] / n, s[14], n / s[1], s[13]


@njit(cache=True, error_model="numpy", nogil=True)
def _gldm(dependence, n_levels, out):
    room = dependence.size
    cell_level, cell_size = np.empty(room, np.int64), np.empty(room, np.int64)
    cell_count, cells = np.empty(room, np.int64), 0
    for j in range(dependence.shape[1]):
        for i in range(1, n_levels + 1):
            if dependence[i, j]:
                # A voxel counts itself.
                cell_level[cells], cell_size[cells], cell_count[cells] = i, j + 1, dependence[i, j]
                cells += 1
    s = np.empty(15)
    _cell_features(cell_level, cell_size, cell_count, cells, n_levels, s)
    n = s[0]
    out[0], out[1], out[2], out[3], out[4] = s[14], s[11] / n, s[11] / n**2, s[13], s[10] / n
    out[5], out[6], out[7], out[8], out[9] = s[12], s[5] / n, s[3] / n, s[9] / n, s[8] / n
    out[10], out[11], out[12], out[13] = s[4] / n, s[2] / n, s[7] / n, s[6] / n


@njit(cache=True, error_model="numpy", nogil=True)
def _ngtdm(difference, level, level_counts, out):
    m = level.size
    total = 0
    for i in level:
        total += level_counts[i]
    p, s = np.zeros(m), np.zeros(m)
    for k in range(m):
        p[k] = level_counts[level[k]] / total
        for j in range(1, difference.shape[1]):
            s[k] += difference[level[k], j] / j
    sum_s = coarse = contrast = distance = complexity = strength = 0.0
    for a in range(m):
        sum_s += s[a]
        coarse += p[a] * s[a]
        for b in range(m):
            step = abs(level[a] - level[b])
            contrast += p[a] * p[b] * step**2
            distance += abs(level[a] * p[a] - level[b] * p[b])
            complexity += step * (p[a] * s[a] + p[b] * s[b]) / (p[a] + p[b])
            strength += (p[a] + p[b]) * step**2
    out[0] = coarse / distance if distance else 0.0
    out[1] = 1 / coarse if coarse else 1e6
    out[2] = complexity / total
    out[3] = contrast * sum_s / total / (m * (m - 1)) if m > 1 else 0.0
    out[4] = strength / sum_s if sum_s else 0.0


def region_features(
    voxels: np.ndarray,
    spacing_mm: tuple[float, float, float],
    inside: np.ndarray | None = None,
    options: RadiomicsOptions = RadiomicsOptions(),  # noqa: B008
) -> np.ndarray:
    """Compute the features (93,) float64, in the order of `FEATURES`, of one region.

    `voxels` (slices, rows, columns) integer HU; `inside` of the same shape, not 0 in the region (None: everywhere);
    `spacing_mm` in the same order. What cannot be computed is not a number, as PyRadiomics has it. Raises `ValueError`
    for an empty region and `TooManyLevelsError`.
    """
    if inside is None:
        inside = np.ones(voxels.shape, np.uint8)
    else:
        box = bounding_box(inside)
        if box is None:
            raise ValueError("the region is empty")
        voxels, inside = np.ascontiguousarray(voxels[box]), np.ascontiguousarray(inside[box] != 0).view(np.uint8)
    lowest, highest = _extent(voxels, inside)
    lookup = level_table(lowest, highest, options)
    intensities = np.zeros(lookup.size, np.int64)
    count_intensities(voxels, inside, lowest, intensities)
    n_levels = int(lookup[-1])
    level_counts = np.bincount(lookup, intensities, n_levels + 1).astype(np.int64)
    level = np.flatnonzero(level_counts)
    padded = tuple(n + 2 for n in voxels.shape)
    levels = np.empty(padded, np.uint8 if n_levels < 256 else np.uint16)
    pad(voxels, inside, lowest, lookup, levels)
    out = np.empty(len(FEATURES))
    # PyRadiomics multiplies the spacings as (column, row, slice).
    voxel_mm3 = float(spacing_mm[2] * spacing_mm[1] * spacing_mm[0])
    _first_order(intensities, lowest, level_counts, voxel_mm3, options.array_shift, out[:18])

    counts = count_pairs_and_runs(levels, n_levels)
    matrices = np.empty((13, level.size, level.size))
    n_used = _glcm(counts, level, n_levels, options.symmetrical, matrices, out[18:42])
    if n_used < 0:
        out[_MCC] = _mcc_of_rounding(matrices[:-n_used])
    if n_used == 0 and n_levels == 1:
        # A flat region in which no voxel touches another; PyRadiomics still gives one feature, in a line another.
        if sum(n > 1 for n in voxels.shape) > 1:
            out[_MCC] = 1.0
        else:
            out[_INVERSE_VARIANCE] = 0.0
    dependence, difference = count_neighbourhoods(levels, n_levels, options.gldm_alpha)
    _gldm(dependence, n_levels, out[42:56])
    _glrlm(levels, counts, level, n_levels, level_counts, out[56:72])
    _glszm(*count_zones(levels, n_levels), n_levels, out[72:88])
    _ngtdm(difference, level, level_counts, out[88:93])
    return out


def _extent(voxels: np.ndarray, inside: np.ndarray) -> tuple[int, int]:
    """Lowest and highest intensity of the region."""
    if not inside.all():
        voxels = voxels[inside.view(bool)]
    return int(voxels.min()), int(voxels.max())
