"""Scores of images: what a method did to them, each scanner's beside what it was without the method.

All is of the common grid and of scanners at the reference's dose. Distances are to the reference series as the same
method left it, so that a method which changes the reference, too, is judged by what sets scanners apart. A pair is of
two scanners, so that means over the pairs of each are not independent: metrics of pairs have what they are without each
scanner, of which `rank` makes jackknife intervals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, SERIES_KEY, scanner_rank
from ct4bench.core.json_files import read_reference_values
from ct4bench.core.metrics import MAIN_METRICS
from ct4bench.core.tables import read_table
from ct4bench.leaderboard.score import ALL_ROWS, OF, SCORE_COLUMNS, WHOLE, WITHOUT
from ct4bench.pairs.plan import TABLES_3_TO_5
from ct4bench.profiles.merge import COMMON

SAME_RECON = "same_recon"
"""The plan's variant of pairs of equal reconstruction."""
NO_VALUE = "not measured in this run"


@dataclass(frozen=True)
class Images:
    """What a run measured on the images of a method."""

    pairs: pd.DataFrame
    """pairs.parquet"""
    profile: pd.DataFrame
    """scanner_profile.csv"""


def read_images(folder: Path | str) -> Images:
    """Read pairs.parquet and scanner_profile.csv of a folder."""
    pairs = ["table", "variant", "scanner_a", "scanner_b", "dose_mgy_a", *(metric.name for metric in MAIN_METRICS)]
    profile = ["scanner", "dose_mgy", "recon", "measure", "region", "grid", "at", "value"]
    return Images(
        read_table(Path(folder) / "pairs.parquet", pairs), read_table(Path(folder) / "scanner_profile.csv", profile)
    )


def reference_of(folder: Path | str, registered: Path | str) -> tuple[str, float, str]:
    """Read scanner, dose in mGy and reconstruction of the series that a folder is the reference of."""
    series = read_table(registered, SERIES_KEY).set_index("series_uid")
    row = series.loc[read_reference_values(folder)["series_uid"]]
    return row["scanner"], float(row["dose_mgy"]), row["recon"]


@dataclass(frozen=True)
class Distance:
    """How far a scanner's profile is from the reference's."""

    score: str
    measure: str
    region: str
    """Blank: all of them."""
    of: Callable[[np.ndarray, np.ndarray], float]
    """Of values at the same regions and places, the scanner's and the reference's."""


DISTANCES = (
    Distance("roi_bias", "bias_hu", "", lambda a, b: float(np.abs(a - b).mean())),
    Distance("noise_difference", "total_sd_hu", "", lambda a, b: float(np.abs(np.log(a / b)).mean())),
    Distance("nps_difference", "total_nps_hu2_mm2", "", lambda a, b: float(np.abs(a - b).sum() / b.sum())),
    Distance("mtf_difference", "ttf", "dots_to_wedge", lambda a, b: float(np.abs(a - b).max())),
)
PATTERNS = ("star_amplitude_hu", "zone_amplitude_hu")
STRUCTURE = "pattern_structure"
IMAGE_SCORES = (*(metric.name for metric in MAIN_METRICS), *(d.score for d in DISTANCES), STRUCTURE)
"""Names of the scores, as in leaderboard/scores.csv."""


def score_images(images: Images, none: Images, reference: tuple[str, float, str]) -> pd.DataFrame:
    """Return the scores of a method's images beside those of `none`, `SCORE_COLUMNS`.

    `reference` is scanner, dose in mGy and reconstruction of the reference series. Metrics of pairs have a `whole` and
    what it is without each scanner (part `without`, from three scanners on); other scores a row of each scanner (part
    `of`), and their mean as a `whole`, without the reference's own where the score is a distance to it. `n_rows` counts
    pairs, or reconstructions. A score that was not measured has a row with its reason.
    """
    both = []
    for name, one in (("value", images), ("value_none", none)):
        found = pd.DataFrame(_values(one, none, reference), columns=["score", "unit", name, "n_rows"])
        grouped = found.groupby(["score", "unit"], sort=False)
        both.append(grouped.agg(**{name: (name, "mean"), "n_rows": ("n_rows", "sum")}))
    table = both[0].join(both[1][["value_none"]]).reset_index().assign(part=OF, reason="")
    of_distance = {distance.score for distance in DISTANCES}
    rows = [_of_pairs(images.pairs, none.pairs)]
    for score in (*(d.score for d in DISTANCES), STRUCTURE):
        own = table[table["score"] == score]
        counted = own[own["unit"] != reference[0]] if score in of_distance else own
        whole = {"score": score, "part": WHOLE, "unit": "", "reason": "" if len(counted) else NO_VALUE}
        means = {name: counted[name].mean() for name in ("value", "value_none")}
        order = sorted(own.index, key=lambda n: scanner_rank(table.loc[n, "unit"]))
        rows += [pd.DataFrame([whole | means | {"n_rows": int(counted["n_rows"].sum())}]), own.loc[order]]
    return pd.concat(rows, ignore_index=True).assign(extractor="", fit=ALL_ROWS)[SCORE_COLUMNS]


def _values(images: Images, none: Images, reference) -> Iterator[tuple[str, str, float, int]]:
    """Score, scanner, value and what it is of."""
    curves, plain = (_curves(one.profile, reference[1]) for one in (images, none))
    yield from _distances(curves, reference)
    yield from _structure(curves, plain)


def _of_pairs(pairs: pd.DataFrame, none: pd.DataFrame) -> pd.DataFrame:
    """Each metric of pairs at equal reconstruction, as a whole and without each scanner, beside that of `none`."""
    own, plain = _compared(pairs), _compared(none)
    scanners = sorted({*own["scanner_a"], *own["scanner_b"]}, key=scanner_rank)
    rows = []
    for metric in MAIN_METRICS:
        for left_out in ("", *(scanners if len(scanners) > 2 else ())):
            (value, n), (value_none, _) = (_mean_of_pairs(_others(one, left_out), metric.name) for one in (own, plain))
            reason = "" if left_out or n else NO_VALUE
            part = WITHOUT if left_out else WHOLE
            rows.append((metric.name, part, left_out, value, value_none, n, reason))
    return pd.DataFrame(rows, columns=["score", "part", "unit", "value", "value_none", "n_rows", "reason"])


def _compared(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs of two scanners at equal reconstruction and the main dose."""
    own = pairs[(pairs["table"] == TABLES_3_TO_5) & (pairs["variant"] == SAME_RECON)]
    return own[(own["dose_mgy_a"] == MAIN_DOSE_MGY) & (own["scanner_a"] != own["scanner_b"])]


def _others(pairs: pd.DataFrame, scanner: str) -> pd.DataFrame:
    """Pairs without those of a scanner."""
    return pairs[(pairs["scanner_a"] != scanner) & (pairs["scanner_b"] != scanner)]


def _mean_of_pairs(pairs: pd.DataFrame, metric: str) -> tuple[float, int]:
    """Mean over scanners of the mean over a scanner's pairs with others, and the number of pairs."""
    sides = pd.concat([pairs[[side, metric]].set_axis(["scanner", "value"], axis=1)
                       for side in ("scanner_a", "scanner_b")])  # fmt: skip
    return float(sides.groupby("scanner")["value"].mean().mean()), len(pairs)


def _curves(profile: pd.DataFrame, dose_mgy: float) -> dict[tuple[str, str], dict[str, pd.Series]]:
    """Values by region and place of each measure, of each scanner and reconstruction at a dose."""
    own = profile[(profile["grid"] == COMMON) & (profile["dose_mgy"] == dose_mgy) & profile["value"].notna()]
    found: dict = {}
    for (scanner, recon, measure), rows in own.groupby(["scanner", "recon", "measure"], sort=True):
        values = rows.assign(at=rows["at"].fillna(-1.0).round(4)).set_index(["region", "at"])["value"]
        found.setdefault((scanner, recon), {})[measure] = values
    return found


def _together(a: pd.Series, b: pd.Series, region: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Values of two curves where both have one."""
    common = a.index.intersection(b.index)
    common = common[[not region or place[0] == region for place in common]]
    return a[common].to_numpy(), b[common].to_numpy()


def _distances(curves, reference):
    first = curves.get((reference[0], reference[2]), {})
    for (scanner, recon), own in curves.items():
        for distance in DISTANCES if (scanner, recon) != (reference[0], reference[2]) else ():
            if distance.measure in own and distance.measure in first:
                a, b = _together(own[distance.measure], first[distance.measure], distance.region)
                if len(a):
                    yield distance.score, scanner, distance.of(a, b), 1


def _structure(curves, plain):
    for (scanner, recon), own in curves.items():
        before = plain.get((scanner, recon), {})
        both = [_together(own[name], before[name]) for name in PATTERNS if name in own and name in before]
        if both:
            after, whole = (np.concatenate(side) for side in zip(*both, strict=True))
            yield STRUCTURE, scanner, float(after @ whole / (whole @ whole)), 1
