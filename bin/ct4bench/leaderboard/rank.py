"""The leaderboard: each method and score, raw and scaled, with its difference to `none`; ranks by one score."""

import pandas as pd

ROLES = ("method", "control", "oracle", "outside", "leaky")
"""What a row is: a method (which alone is ranked), a control (`none` is one), an oracle, a result that was fitted
elsewhere, and one that was fitted on all rows before splitting."""
METHOD_COLUMNS = ["method", "role", "level", "information", "reason"]
"""What is said of each method: its name (`combat`, `combat.mean_only`), role (`ROLES`), level (image, patch, feature),
information (inductive, transductive, calibration, labels; `outside` where it is not known), and why it has no result
(`not applicable: …`, `failed: …`; blank where it has one)."""


def make_leaderboard(
    scores: pd.DataFrame, methods: pd.DataFrame, makers: dict[str, str], weights: dict[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Return leaderboard.csv: a row for each extractor, method and score.

    `scores` are the rows of all methods' scores.csv with a column `method` before them; `methods` has a row for each
    method (`METHOD_COLUMNS`), those without a result too; `makers` gives the maker of each scanner; `weights` the mark
    of an extractor whose weights are not trained ones (`random`, `stand-in`), which is never ranked; `seed` is that of
    the resampling of scanners. `none` and the controls are among the methods; what scales a score is looked up there.
    """
    raise NotImplementedError


def maker_effects(scores: pd.DataFrame, methods: pd.DataFrame, makers: dict[str, str]) -> pd.DataFrame:
    """Return leaderboard_makers.csv: the primary score's mean difference to `none` without the scanners of each
    maker."""
    raise NotImplementedError
