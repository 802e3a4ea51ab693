"""Colours of makers, tissues, scanners and doses: the same in figures, in the report's views and in its pictures.

Those of makers and tissues are Okabe and Ito's, for colour-blind readers.
"""

from collections.abc import Iterable, Mapping

MAKER_COLOURS = {"Siemens": "#0072B2", "Philips": "#E69F00", "GE": "#009E73", "Toshiba": "#CC79A7"}
TISSUE_COLOURS = {"cyst": "#0072B2", "hemangioma": "#F0E442", "metastasis": "#D55E00", "normal": "#009E73"}
"""The blue, yellow, red and green of the paper's Fig. 3."""
OTHER_COLOURS = ("#56B4E9", "#D55E00", "#999999", "#000000")
"""For makers, tissues and extractors that the benchmark does not know."""
MANY_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#7F3C8D", "#A6761D", "#66A61E",
    "#E7298A", "#4C72B0", "#888888", "#B2182B", "#1B9E77", "#C2A5CF",
)  # fmt: skip
"""For many values without an order, such as scanners; they repeat after sixteen."""
ORDERED_COLOURS = ("#5B53D1", "#A03FB8", "#D8576B", "#F08A24", "#C9B400")
"""For values with an order, such as doses, from the least on."""


def spare_of(name: str, known: Mapping[str, str], names: Iterable[str], spare: tuple[str, ...]) -> str:
    """Return one of the spare ones, by the index of `name` among those of `names` that are not known."""
    return spare[sorted(set(names) - set(known)).index(name) % len(spare)]


def colour_of(name: str, colours: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the colour of `name`: its own, else one of the spare ones by its index among the unknown of `names`."""
    return colours.get(name) or spare_of(name, colours, names, OTHER_COLOURS)


def class_colour(tissue: str, tissues: Iterable[str]) -> str:
    """Return the colour of a class; of a phantom with none of the benchmark's classes, one of `MANY_COLOURS`."""
    if set(tissues) & set(TISSUE_COLOURS):
        return colour_of(tissue, TISSUE_COLOURS, tissues)
    return spare_of(tissue, {}, tissues, MANY_COLOURS)


def ordered_colours(n: int) -> list[str]:
    """Return `n` colours of `ORDERED_COLOURS` from end to end; they repeat where there are more values than colours."""
    last = len(ORDERED_COLOURS) - 1
    return [ORDERED_COLOURS[round(i * last / max(1, n - 1))] for i in range(n)]
