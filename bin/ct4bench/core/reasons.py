"""Why something is set aside: the codes of quarantine.csv, from one source for the docs, the report and the tests.

Index and registration raise `Refusal` with a code as a literal, so that a change of words re-runs neither; a test
holds their literals against this list.
"""

# code-data: ct4bench/core/reasons.csv

import csv
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("reasons.csv")
"""Beside the code, which is all that a task in a cloud has."""


class Reason(NamedTuple):
    """A code, which stage finds it, what it means, and what to do about it."""

    reason: str
    found_by: str
    meaning: str
    remedy: str


def read_reasons(path: Path | str = SOURCE) -> dict[str, Reason]:
    """Read all reasons by their code, in the order of the file."""
    with open(path, encoding="utf-8", newline="") as stream:
        found = [Reason(**row) for row in csv.DictReader(stream)]
    return {item.reason: item for item in found}
