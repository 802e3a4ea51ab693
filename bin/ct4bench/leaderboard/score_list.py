"""The scores of the leaderboard (scores.csv): name, words, direction, formula, source, and what pins 0 and 1."""

# code-data: ct4bench/leaderboard/scores.csv

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("scores.csv")
PRIMARY = "tissue_n2"
"""The one score that ranks, declared before a run: tissue accuracy on a scanner that is left out, N = 2."""


@dataclass(frozen=True)
class Score:
    """An entry of scores.csv."""

    score: str
    """Its name in tables."""
    label: str
    """As heads and axes have it."""
    meaning: str
    """What it says, in a sentence."""
    group: str
    """Which question it answers: tissue, harmony, stability, content or image."""
    level: str
    """What it is computed from: trained (classifiers), features or images."""
    kind: str
    """What its values can be, for intervals: `core.intervals`."""
    direction: str
    """higher or lower is better; blank where neither is."""
    formula: str
    citation: str
    zero: str
    """What pins 0 of the scaled score: the value of a method (`none`, a control; `shuffled (tissue_n2)` by another
    score of the same rows), or a number; blank where it is not scaled."""
    one: str
    """What pins 1."""

    @property
    def trained(self) -> bool:
        """Whether it comes from the predictions of trained classifiers."""
        return self.level == "trained"

    @property
    def ranks(self) -> bool:
        """Whether methods are ranked by it: the primary score alone."""
        return self.score == PRIMARY


@cache
def read_scores() -> dict[str, Score]:
    """Read all scores by name, in their order."""
    with open(SOURCE, encoding="utf-8", newline="") as stream:
        return {row["score"]: Score(**row) for row in csv.DictReader(stream)}
