"""The metrics of a pair of series: all that tables, figures, report and docs say of each.

A metric is a field of `pairs.similarity.Similarity`, where it is computed, and an entry here. Scanner tables, Table 6,
the tables by choice, the report's cells and the figures take their metrics from this list.
"""

import math
from dataclasses import dataclass

from ct4bench.core.intervals import PLAIN, POSITIVE, SHARE


@dataclass(frozen=True)
class PairMetric:
    """What is known of a metric of a pair."""

    name: str
    """Column of pairs.parquet, with its unit; columns of tables start with it."""
    label: str
    """As in heads and titles."""
    unit: str
    """Blank where it has none."""
    meaning: str
    """What it is, as captions begin: `RMSE in HU`."""
    decimals: int
    """Digits in the report's tables."""
    low_is_alike: bool
    """Whether it falls as the images come closer, as an error does."""
    of_self: float
    """Value of a series with itself, by definition."""
    kind: str = PLAIN
    """What its values can be, for intervals: `core.intervals`."""
    paper_table: int | None = None
    """Number of the paper's table of it over pairs of scanners; None where the paper has none."""
    shown_next_to: str = ""
    """The metric whose tables show it as a second column; blank for one that has tables of its own."""
    figure: str = ""
    """Name of the figure of its scanner table; blank where there is none."""
    figure_decimals: int = 0
    """Digits in its cells."""
    headline_decimals: int | None = None
    """Digits on the first screen of the report; None where it is not there."""

    @property
    def head(self) -> str:
        """Label and unit: `RMSE (HU)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def table(self) -> str:
        """File of its scanner table, without suffix; blank where it has none."""
        if self.shown_next_to:
            return ""
        return f"table{self.paper_table}_{self.name}" if self.paper_table else f"similarity_{self.name}"

    @property
    def title(self) -> str:
        """Title of its scanner table: `RMSE between scanners (HU)`."""
        return f"{self.label} between scanners" + (f" ({self.unit})" if self.unit else "")

    @property
    def direction(self) -> str:
        """What closer images have: `lower is more alike`."""
        return f"{'lower' if self.low_is_alike else 'higher'} is more alike"

    @property
    def finite_of_self(self) -> bool:
        """Whether a mean with pairs of a series with itself is a number."""
        return math.isfinite(self.of_self)


PAIR_METRICS = (
    PairMetric(
        "rmse_hu", "RMSE", "HU", "RMSE in HU", 2, low_is_alike=True, of_self=0.0, kind=POSITIVE, paper_table=3,
        figure="rmse_matrix", headline_decimals=1,
    ),
    PairMetric(
        "psnr_db", "PSNR", "dB", "PSNR in dB, 20 log10(2000 / RMSE)", 2, low_is_alike=False, of_self=math.inf,
        paper_table=4,
    ),
    PairMetric(
        "psnr_max_db", "PSNR, peak of Eq. 2", "dB", "PSNR in dB with the larger maximum of the pair as peak (Eq. 2)", 2,
        low_is_alike=False, of_self=math.inf, shown_next_to="psnr_db",
    ),
    PairMetric(
        "ssim", "SSIM", "", "SSIM with a Gaussian window of 11 x 11 x 11 voxels", 3, low_is_alike=False, of_self=1.0,
        kind=SHARE, paper_table=5,
    ),
    PairMetric(
        "ssim_global", "SSIM of Eq. 3", "", "SSIM with one window, the whole region (Eq. 3)", 3, low_is_alike=False,
        of_self=1.0, kind=SHARE, shown_next_to="ssim",
    ),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in PAIR_METRICS}
MAIN_METRICS = tuple(metric for metric in PAIR_METRICS if not metric.shown_next_to)
"""Those with tables of their own, in the order of the tables."""
BY_TABLE = {metric.table: metric for metric in MAIN_METRICS}
"""By the file of the scanner table."""
WORDS = {metric.name: (metric.unit, metric.meaning) for metric in PAIR_METRICS}
"""Unit and meaning of each, for the words of columns."""
PAIR_VALUES = (*(m.name for m in MAIN_METRICS), *(m.name for m in PAIR_METRICS if m.shown_next_to))
"""Columns of pairs.parquet: those with tables, then those shown next to them."""


def shown_next_to(metric: str) -> list[str]:
    """Return the metrics that the tables of `metric` show as well."""
    return [other.name for other in PAIR_METRICS if other.shown_next_to == metric]
