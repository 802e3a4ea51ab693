"""What all figures share: look, colours, the stamp that says what they were made from, and saving as PNG and SVG."""

import functools
import json
import textwrap
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

LEVEL_HU, WINDOW_HU = 50, 400
GRAY_LIMITS_HU = (LEVEL_HU - WINDOW_HU / 2, LEVEL_HU + WINDOW_HU / 2)
DPI = 150

MAKER_COLOURS = {"Siemens": "#0072B2", "Philips": "#E69F00", "GE": "#009E73", "Toshiba": "#CC79A7"}
TISSUE_COLOURS = {"cyst": "#0072B2", "hemangioma": "#F0E442", "metastasis": "#D55E00", "normal": "#009E73"}
"""The blue, yellow, red and green of the paper's Fig. 3, as Okabe and Ito's shades for colour-blind readers."""
TISSUE_MARKERS = {"cyst": "o", "hemangioma": "^", "metastasis": "s", "normal": "D"}
OTHER_COLOURS = ("#56B4E9", "#D55E00", "#999999", "#000000")
"""For makers, tissues and extractors that the benchmark does not know."""
OTHER_MARKERS = ("D", "v", "P", "X")
"""For extractors that it does not know."""

STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
    "svg.fonttype": "none",
    "svg.hashsalt": "ct4bench",
    "text.parse_math": False,  # names are texts, whatever signs they have
    "path.simplify": False,
}


@dataclass(frozen=True)
class Caption:
    """What a reader must know of a figure: it goes beside it as `<name>.json` and into the report."""

    name: str
    title: str
    text: str
    """What is shown, how it was made, units and n."""
    alt: str
    """The picture in words, for who cannot see it."""
    notes: list[str] = field(default_factory=list)
    """What is missing or differs from the paper's figure."""


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure that knows no display and no global state."""
    return Figure(figsize=(width_in, height_in), layout=None)


def colour_of(name: str, colours: dict[str, str], names) -> str:
    """Return the colour of `name`: its own, else one of the spare ones by its index among the unknown of `names`."""
    return colours.get(name) or spare_of(name, colours, names, OTHER_COLOURS)


def spare_of(name: str, known: dict[str, str], names, spare: tuple[str, ...]) -> str:
    """Return one of the spare ones, by the index of `name` among those of `names` that are not known."""
    return spare[sorted(set(names) - set(known)).index(name) % len(spare)]


def stamp(figure: Figure, text: str) -> None:
    """Write the small text at the lower right edge that says what the figure was made from; nothing where `text` is
    blank. blank. blank."""
    if text:
        figure.text(0.995, 0.006, text, ha="right", va="bottom", fontsize=7, color="#8a1c1c", style="italic")


def save_figure(figure: Figure, caption: Caption, folder: Path | str) -> None:
    """Write `<name>.png` (150 dpi), `<name>.svg` and `<name>.json`; the same figure gives the same bytes."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure.savefig(folder / f"{caption.name}.png", dpi=DPI, metadata={"Software": None})
        metadata = {"Date": None, "Creator": "ct4bench", "Title": caption.title, "Description": caption.alt}
        figure.savefig(folder / f"{caption.name}.svg", dpi=DPI, metadata=metadata)
    text = json.dumps(asdict(caption), indent=1, ensure_ascii=False, sort_keys=True)
    (folder / f"{caption.name}.json").write_text(text + "\n", encoding="utf-8")


def message_panel(axes, text: str) -> None:
    """Fill empty axes with the reason why nothing is drawn there."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#f2f2f2")
    for spine in axes.spines.values():
        spine.set_visible(False)
    wrapped = "\n".join(textwrap.wrap(text, 24))
    axes.text(0.5, 0.5, wrapped, transform=axes.transAxes, ha="center", va="center", fontsize=8, color="#555555")


def scale_bar(axes, length_mm: float, x_mm: float, y_mm: float, colour: str = "white") -> None:
    """Draw a bar of `length_mm` that ends at the lower right point (`x_mm`, `y_mm`) of axes in mm."""
    axes.plot([x_mm - length_mm, x_mm], [y_mm, y_mm], color=colour, linewidth=2, solid_capstyle="butt")
    axes.annotate(
        f"{length_mm:g} mm",
        (x_mm - length_mm / 2, y_mm),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour,
    )


def styled(draw):
    """Decorate `draw` so that it makes its figure in the look of `STYLE`, whatever the caller's settings are."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style
