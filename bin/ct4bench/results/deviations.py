"""The 21 points where paper, tables and published code disagree, from one source for the docs and the report."""

# code-data: ../assets/deviations.yaml
# code-data: ct4bench/core/schemas/deviations.json

from dataclasses import dataclass
from pathlib import Path

from ct4bench.core.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "assets" / "deviations.yaml"

HEAD = """\
# Deviations from the paper

`--mode paper` (default) computes what was published, save the points marked *exception*, where that cannot be
had or is damage. `--mode corrected` does what the text says or what is right. A mode is a set of values in
`bin/ct4bench/core/modes.py`; the report of a run names its mode and lists these points.

This page is made from `assets/deviations.yaml`; edit that file, then run `make lists`.

"""


@dataclass(frozen=True)
class Point:
    """One numbered point: what was found, and what each mode does about it."""

    number: int
    subject: str
    finding: str
    paper: str
    corrected: str
    where: tuple[str, ...]
    """Files of the project that hold it."""
    exception: bool = False
    """Whether mode `paper` departs from what was published."""
    benchmark_alone: bool = False
    """Whether it is of the CT4Harmonization phantom and its data alone, and nothing of another one."""


@dataclass(frozen=True)
class Choice:
    """Something that the paper leaves open, settled here for both modes."""

    subject: str
    choice: str
    where: tuple[str, ...]
    benchmark_alone: bool = False


def read_deviations(path: Path | str = SOURCE) -> tuple[list[Point], list[Choice]]:
    """Read the points, by number, and choices of a deviations file (YAML)."""
    remedy = "give points and choices as assets/deviations.yaml has them"
    values = read_yaml(path, "deviations", "a list of deviations", remedy)
    points = [Point(**{**point, "where": tuple(point["where"])}) for point in values["points"]]
    choices = [Choice(**{**choice, "where": tuple(choice["where"])}) for choice in values["choices"]]
    return sorted(points, key=lambda point: point.number), choices


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _files(where: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in where)


def markdown(points: list[Point], choices: list[Choice]) -> str:
    """Return the page docs/deviations.md."""
    lines = ["| # | subject | finding | mode paper | mode corrected | where |", "|---|---|---|---|---|---|"]
    for point in points:
        paper = point.paper + (" *(exception)*" if point.exception else "")
        cells = [str(point.number), *map(_cell, (point.subject, point.finding, paper, point.corrected))]
        lines.append(f"| {' | '.join([*cells, _files(point.where)])} |")
    lines += ["", "## Choices that the paper leaves open", "", "| subject | choice | where |", "|---|---|---|"]
    lines += [f"| {_cell(c.subject)} | {_cell(c.choice)} | {_files(c.where)} |" for c in choices]
    return HEAD + "\n".join(lines) + "\n"
