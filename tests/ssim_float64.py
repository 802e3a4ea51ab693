"""SSIM by scipy in float64 throughout: what the kernels of float32 are measured against.

Window and constants are those of Wang et al. 2004 (11 voxels, sigma 1.5, K1 = 0.01, K2 = 0.03) for a range of 3000 HU,
and the window's weights are scipy's: nothing here comes from the code that is measured.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

C1, C2 = 30.0**2, 90.0**2


def ssim_map_float64(a, b) -> np.ndarray:
    """Return the SSIM of every window that fits, in float64 throughout."""

    def mean(volume):
        for axis in range(3):
            volume = gaussian_filter1d(volume, 1.5, axis=axis, radius=5)
        return volume[5:-5, 5:-5, 5:-5]

    a, b = a.astype(np.float64), b.astype(np.float64)
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return (2 * ma * mb + C1) * (2 * cov + C2) / ((ma**2 + mb**2 + C1) * (va + vb + C2))
