"""SSIM by scipy in float64 throughout: what the kernels of float32 are measured against."""

import numpy as np
from scipy.ndimage import correlate1d

from ct4bench.pairs.similarity import C1, C2, gaussian_taps


def ssim_map_float64(a, b) -> np.ndarray:
    """SSIM of every window that fits, in float64 throughout."""

    def mean(volume):
        for axis in range(3):
            volume = correlate1d(volume, gaussian_taps(), axis=axis)
        return volume[5:-5, 5:-5, 5:-5]

    a, b = a.astype(np.float64), b.astype(np.float64)
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return (2 * ma * mb + C1) * (2 * cov + C2) / ((ma**2 + mb**2 + C1) * (va + vb + C2))
