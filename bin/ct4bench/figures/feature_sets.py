"""How figures show feature sets: their order, colours and markers, from the facts of the run."""

from ct4bench.core.colours import colour_of, spare_of
from ct4bench.core.extractors import extractors_of, in_order
from ct4bench.figures.style import OTHER_MARKERS


def feature_sets(found, facts: dict) -> list[str]:
    """Sort the extractors of a table's column, each once, in the order of the tables."""
    return in_order(found, extractors_of(facts))


def look_of(extractor: str, extractors, facts: dict) -> dict[str, str]:
    """Choose colour and marker of an extractor: its own, else spare ones by its index among the unknown ones."""
    known = extractors_of(facts)
    colours = {name: entry.colour for name, entry in known.items() if entry.colour}
    markers = {name: entry.marker for name, entry in known.items() if entry.marker}
    marker = markers.get(extractor) or spare_of(extractor, markers, extractors, OTHER_MARKERS)
    return {"color": colour_of(extractor, colours, extractors), "marker": marker}
