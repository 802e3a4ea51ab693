"""Maps HU so that the histogram of a scanner's volumes becomes that of a reference's.

The map is learned on smoothed volumes: noise widens a histogram, and a map learned on volumes as they are would take a
noisier scanner's tissues to other HU.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

LOWEST, HIGHEST = -1100, 3200
"""HU of the bins, one for each whole HU."""
AIR_HU, SOLID_HU = -900.0, -500.0
"""Below the first nothing changes; above the second lies what is matched: how much air is shown is no matter of HU."""
RARE = 5e-4
"""Beyond these quantiles the map moves as at them: they hold too few voxels."""


def counts_of(volume, smooth_voxels):
    """Return how many voxels have each whole HU, after a Gaussian of so many voxels (0: none)."""
    values = gaussian_filter(volume, smooth_voxels, mode="nearest") if smooth_voxels else volume
    bins = np.clip(np.rint(values), LOWEST, HIGHEST).astype(np.int64) - LOWEST
    return np.bincount(bins.ravel(), minlength=HIGHEST - LOWEST + 1)


def quantile_map(own, reference):
    """Return the HU that are there, where each is mapped to, and its quantile, from counts of both."""
    there, target = np.flatnonzero(own), np.flatnonzero(reference)
    quantile = np.cumsum(own[there]) / own.sum()
    mapped = np.interp(quantile, np.cumsum(reference[target]) / reference.sum(), target + LOWEST)
    return there + LOWEST, mapped, quantile


class NotApplicable(Exception):
    """There is nothing to learn a domain's map from."""


class Method:
    """Learns a map for each domain."""

    def __init__(self, *, seed, reference, smooth_voxels):
        self.reference, self.smooth = reference, smooth_voxels
        self.counts = {}

    def fit(self, volumes):
        """Count the HU of each domain's volumes."""
        for volume, _spacing_mm, domain in volumes:
            found = counts_of(volume, self.smooth)
            found[: int(SOLID_HU) - LOWEST] = 0
            self.counts[domain] = self.counts.get(domain, 0) + found
        return self

    def transform(self, volume, spacing_mm, domain):
        """Move each HU as its domain's map says."""
        if domain == self.reference:
            return volume
        if domain not in self.counts:
            raise NotApplicable(f"no scan of {domain} to learn from that is not tested")
        own, reference = (self.counts[name] for name in (domain, self.reference))
        hu, mapped, quantile = quantile_map(own, reference)
        usual = (quantile >= RARE) & (quantile <= 1 - RARE)
        shift = np.interp(np.arange(LOWEST, HIGHEST + 1), hu[usual], (mapped - hu)[usual])
        share = np.clip((np.arange(LOWEST, HIGHEST + 1) - AIR_HU) / (SOLID_HU - AIR_HU), 0, 1)
        moved = np.interp(volume, np.arange(LOWEST, HIGHEST + 1), share * shift)
        return (volume + moved).astype(np.float32)
