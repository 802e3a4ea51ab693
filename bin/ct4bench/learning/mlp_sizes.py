"""Sizes of the multi-layer perceptron (MLP) and of its vectors, which the kernels and torch's way share.

A cache of compiled kernels may not see a change of these numbers: remove `__pycache__` with it.
"""

LANES = 16
"""Units of a block of weights: the widest vector of the kernels."""
BATCH = 8
HIDDEN = (100, 60, 30)
N_DRAWS = sum(HIDDEN)
"""Dropout draws of one row."""
MAX_CLASSES = LANES
SPARE = BATCH * LANES
"""Floats behind the last layer's weights: the backward pass may read them, and never uses them."""


def padded(n: int) -> int:
    """Return the next multiple of `LANES`."""
    return -(-n // LANES) * LANES
