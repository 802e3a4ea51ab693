"""The extractors that the benchmark knows, from assets/extractors.yaml: names, order, looks, and where encoders are.

No digest takes in the file by way of this module: an encoder's task has its own entry in its digest, what is learned
needs none of it, and tables get the file as an input. A new entry therefore runs nothing again that is there.
"""

# code-data: ct4bench/core/schemas/extractors.json

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ct4bench.core.yaml_files import read_yaml

SOURCE = Path(__file__).resolve().parents[3] / "assets" / "extractors.yaml"


@dataclass(frozen=True)
class Extractor:
    """An entry of the file."""

    title: str
    """Name in tables and figures."""
    about: str = ""
    """What it computes of what, for the docs."""
    features: int = 0
    """How many features it gives with its default settings."""
    module: str = ""
    """Module of a deep encoder, which has `encoder(options)`; blank for radiomics."""
    region: str = ""
    """What radiomics are of: `patch` or `roi`; blank for a deep encoder."""
    by_patch: bool = True
    """Whether it has a row for each patch; else one for each ROI."""
    classified: bool = True
    """Whether classifiers and embeddings take it; else stability alone does."""
    paper: bool = False
    """Whether the paper has it."""
    colour: str = ""
    marker: str = ""
    weights: dict = field(default_factory=dict)
    """`parameter` of the run that names a file, and the default `file`, where there are such."""
    options: dict = field(default_factory=dict)
    """Parameter of the run by option of extract_deep.py."""


SHOWN = ("title", "classified", "paper", "colour", "marker")
"""What tables, figures and report need of an extractor: `run_facts.json` has it."""


def read_extractors(path: Path | str = SOURCE) -> dict[str, Extractor]:
    """Read the extractors by name, in their order."""
    values = read_yaml(path, "extractors", "a list of extractors", "give one as assets/extractors.yaml is")
    return {name: Extractor(**entry) for name, entry in values.items()}


def shown_of(extractors: dict[str, Extractor]) -> dict[str, dict]:
    """Take the part `SHOWN` of each, in plain values."""
    return {name: {key: getattr(entry, key) for key in SHOWN} for name, entry in extractors.items()}


def extractors_of(facts: dict) -> dict[str, Extractor]:
    """Read the extractors that a run's facts tell of."""
    return {name: Extractor(**entry) for name, entry in facts.get("extractors", {}).items()}


def title_of(name: str, extractors: dict[str, Extractor]) -> str:
    """Return the name in tables; that of an encoder of the user's is its own."""
    return extractors[name].title if name in extractors else name


def extractor_rank(name: str, extractors: dict[str, Extractor]) -> tuple[int, str]:
    """Sort key: classified ones in the order of the file, others after them by name."""
    ranked = [known for known, entry in extractors.items() if entry.classified]
    return (ranked.index(name) if name in ranked else len(ranked), name)


def in_order(names: Iterable[str], extractors: dict[str, Extractor]) -> list[str]:
    """Sort the names by `extractor_rank`, each once."""
    return sorted(set(names), key=lambda name: extractor_rank(name, extractors))
