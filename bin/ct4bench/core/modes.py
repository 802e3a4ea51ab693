"""The two modes, `paper` and `corrected`, as named sets of values (docs/deviations.md tells why each)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """What `--mode` settles. The numbers in brackets are the points of docs/deviations.md."""

    name: str
    pair_region: str
    """[3] `box` (intensities clipped to [-1000, 2000]) or `mask` (the filled block) for Tables 3-6."""
    pair_shrink: int
    """[4] factor by which volumes are bin-shrunk for Tables 3-5; Table 6 is always at full resolution."""
    all_pairs: bool
    """[7] all pairs with confidence intervals, or the paper's seeded selection."""
    dose_average: str
    """[8] Table 6 'Average' over the per-dose `median` or `mean`."""
    icc_headline: str
    """[13] the ICC form of Table 7."""
    early_stopping: bool
    """[15] early stopping of the MLP on 10 % of the training scans."""
    kfold_unit: str
    """[16] `row` or `scan`: what the 10 folds are drawn from."""
    swin_intensity: str
    """`raw` HU or `scaled` to 0..1 for the SwinUNETR encoder."""
    interpolator: str
    """[22] `linear` or `bspline` (cubic), which keeps noise."""
    grid_move: float
    """[22] by how much of a voxel the common grid lies off the reference's own, along each axis."""


MEAN_MOVE = 0.245
"""At this share of a voxel cubic B-splines keep as much of the variance of white noise along an axis, 0.874, as in the
mean over all shares: the reference loses as much as the others (`preprocess.resampling.kept_variance`)."""
PAPER = Mode("paper", "box", 4, False, "median", "ICC(3,1)", False, "row", "raw", "linear", 0.0)
CORRECTED = Mode("corrected", "mask", 1, True, "mean", "ICC(2,1)", True, "scan", "scaled", "bspline", MEAN_MOVE)
MODES = {mode.name: mode for mode in (PAPER, CORRECTED)}
