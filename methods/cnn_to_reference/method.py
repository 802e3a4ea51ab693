"""A small residual 3D network from any training scanner's voxels to the reference's at the same place.

Volumes are registered, so that a patch of one scanner has its counterpart on the reference. The noise of the
counterpart is independent, so that the squared error teaches the mean: the result has less noise than the reference.
"""

import zlib

import numpy as np
import torch
from torch import nn

PATCH = (16, 48, 48)
BATCH = 4
FROM_EACH = 192
"""Patches that are kept of a volume, at most."""
MOST = 4096
"""Of all volumes together: 0.6 GB, and more than 600 steps take."""
SCALE_HU = 100.0
LOWEST_HU = -300.0
"""Patches whose mean is lower are air for the most part."""
SLAB, HALO = 16, 5


class Network(nn.Module):
    """Five convolutions of 3 x 3 x 3, whose result is added to the input."""

    def __init__(self, channels):
        super().__init__()
        layers = [nn.Conv3d(1, channels, 3, padding=1), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv3d(channels, channels, 3, padding=1), nn.ReLU()]
        last = nn.Conv3d(channels, 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x):
        """Return the volumes with what the layers change of them."""
        return x + self.layers(x)


class Method:
    """Trains once on pairs of patches."""

    def __init__(self, *, seed, reference, steps, channels):
        # more threads add gradients in another order, and training makes that a different network
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        self.reference, self.steps = reference, steps
        self.seed = seed
        self.network = Network(channels)

    def fit(self, volumes):
        """Train on the volumes, of which the first is the reference's."""
        target, found = None, {}
        for volume, _spacing_mm, domain in volumes:
            if target is None:
                if domain != self.reference:
                    raise ValueError(f"the first volume is of {domain}, not of the reference {self.reference}")
                target = volume.astype(np.float16)
            key = zlib.crc32(np.ascontiguousarray(volume))
            found[key] = self._pairs(np.random.default_rng([self.seed, key]), volume, target)
            found = {key: pairs[: MOST // len(found)] for key, pairs in found.items()}
        # in the order of contents, so that it does not matter in which the volumes came
        pairs, rng = [pair for key in sorted(found) for pair in found[key]], np.random.default_rng(self.seed)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in range(self.steps):
            chosen = [pairs[n] for n in rng.integers(0, len(pairs), BATCH)]
            own, wanted = (
                torch.from_numpy(np.stack(side).astype(np.float32))[:, None] / SCALE_HU
                for side in zip(*chosen, strict=True)
            )
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.network(own), wanted)
            loss.backward()
            optimizer.step()
            rate.step()
        return self

    def _pairs(self, rng, volume, target):
        room = [n - p + 1 for n, p in zip(volume.shape, PATCH, strict=True)]
        found = []
        for _ in range(20 * FROM_EACH):
            first = [int(rng.integers(0, n)) for n in room]
            box = tuple(slice(a, a + p) for a, p in zip(first, PATCH, strict=True))
            if target[box][::4, ::4, ::4].mean(dtype=np.float32) > LOWEST_HU:
                found.append((volume[box].astype(np.float16), target[box].copy()))
            if len(found) == FROM_EACH:
                break
        return found

    def transform(self, volume, spacing_mm, domain):
        """Apply the network, a few slices at a time."""
        out = np.empty(volume.shape, np.float32)
        with torch.inference_mode():
            for first in range(0, len(volume), SLAB):
                low, high = max(first - HALO, 0), min(first + SLAB + HALO, len(volume))
                slab = torch.from_numpy(np.ascontiguousarray(volume[low:high], np.float32))[None, None] / SCALE_HU
                stop = min(first + SLAB, len(volume))
                out[first:stop] = SCALE_HU * self.network(slab)[0, 0, first - low : stop - low].numpy()
        return out
