"""What all figures share: look, colours, the stamp that says what they were made from, and saving as PNG and SVG."""

import functools
import json
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from ct4bench.core.colours import spare_of
from ct4bench.core.regions import CT4HARMONIZATION

LEVEL_HU, WINDOW_HU = 50, 400
GRAY_LIMITS_HU = (LEVEL_HU - WINDOW_HU / 2, LEVEL_HU + WINDOW_HU / 2)
DPI = 150
WIDTH_IN = 10.2
"""Widest figure: at its own size in the report's column on a screen of 1280 pixels, and on a landscape A4 page, where
7.05 inches are the highest."""
FITTING_SIGNS = 4
"""A name of an axis with so many signs at most is never replaced."""
MOST_ROOM, ROOM_PX = 0.4, 2
"""How much of a panel's width names beside it may take, and what is left between them and the edge of the figure."""

TISSUE_MARKERS = {"cyst": "o", "hemangioma": "^", "metastasis": "s", "normal": "D"}
SPARE_MARKERS = ("X", "o", "^", "s", "D", "v", "P", "p", "h")
"""For classes that it does not know."""
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


def marker_of(tissue: str, tissues) -> str:
    """Return the marker of a class: its own, else a spare one by its index among the unknown of `tissues`."""
    return TISSUE_MARKERS.get(tissue) or spare_of(tissue, TISSUE_MARKERS, tissues, SPARE_MARKERS)


def stamp(figure: Figure, text: str) -> None:
    """Write the small text at the lower right edge that says what the figure was made from; nothing where `text` is
    blank."""
    if text:
        figure.text(0.995, 0.006, text, ha="right", va="bottom", fontsize=7, color="#8a1c1c", style="italic")


def save_figure(
    figure: Figure, caption: Caption, folder: Path | str, words: Callable[[str], str] = CT4HARMONIZATION.words
) -> None:
    """Write `<name>.png` (150 dpi), `<name>.svg` and `<name>.json`; the same figure gives the same bytes.

    The caption is in `words` of the phantom that was scanned (`regions.Phantom.words`).
    """
    told = {name: words(getattr(caption, name)) for name in ("title", "text", "alt")}
    caption = replace(caption, **told, notes=[words(note) for note in caption.notes])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        undrawable = replace_undrawable(figure)
        make_room(figure)
        notes = [*caption.notes, *undrawable, *replace_crowded(figure, len(undrawable) + 1)]
        caption = replace(caption, notes=notes)
        figure.savefig(folder / f"{caption.name}.png", dpi=DPI, metadata={"Software": None})
        metadata = {"Date": None, "Creator": "ct4bench", "Title": caption.title, "Description": caption.alt}
        figure.savefig(folder / f"{caption.name}.svg", dpi=DPI, metadata=metadata)
    text = json.dumps(asdict(caption), indent=1, ensure_ascii=False, sort_keys=True)
    (folder / f"{caption.name}.json").write_text(text + "\n", encoding="utf-8")


@functools.cache
def _glyphs() -> frozenset[int]:
    """Code points that the figures' font has."""
    return frozenset(get_font(findfont(FontProperties(family=STYLE["font.family"]))).get_charmap())


def _drawable(sign: str) -> bool:
    """Whether the figures' font has a glyph for a sign that stands by itself, left to right."""
    return ord(sign) in _glyphs() and unicodedata.bidirectional(sign) not in ("R", "AL", "AN")


def replace_undrawable(figure: Figure) -> list[str]:
    """Write a number in brackets for each run of signs that the font cannot draw, and return notes that say which.

    Names come from headers and may be of any script; the font is the same everywhere, so that figures are.
    """
    numbers: dict[str, int] = {}

    def drawn(text: str) -> str:
        marks = "".join("x" if sign.isspace() or _drawable(sign) else "-" for sign in text)
        parts, end = [], 0
        for run in re.finditer("-+", marks):
            number = numbers.setdefault(text[run.start() : run.end()], len(numbers) + 1)
            parts += [text[end : run.start()], f"[{number}]"]
            end = run.end()
        return "".join([*parts, text[end:]])

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            shown = [drawn(label) for label in labels]
            if shown != labels:  # a tick's label is made anew with each drawing
                axis.set_ticks(axis.get_ticklocs(), shown)
    for artist in figure.findobj(Text):
        artist.set_text(drawn(artist.get_text()))
    return [f"In the figure, [{number}] stands for {run}." for run, number in numbers.items()]


def _extent(artist):
    """Window extent of an artist, whose text may still have signs that the font lacks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return artist.get_window_extent()


def make_room(figure: Figure) -> None:
    """Move the left edge of panels to the right where names beside them would leave the figure.

    Panels of one column stay in line. A panel that would lose more than `MOST_ROOM` of its width keeps it; its names
    are then for `replace_crowded`.
    """
    width, lacking = figure.bbox.width, {}
    for axes in figure.axes:
        left = [_extent(label).x0 for label in axes.get_yticklabels() if label.get_text()]
        if left and min(left) < 0:
            edge = round(axes.get_position().x0, 6)
            lacking[edge] = max(lacking.get(edge, 0.0), (ROOM_PX - min(left)) / width)
    for axes in figure.axes:
        place = axes.get_position()
        shift = lacking.get(round(place.x0, 6), 0.0)
        if 0 < shift <= MOST_ROOM * place.width:
            axes.set_position((place.x0 + shift, place.y0, place.width - shift, place.height))


def _crowded(axis) -> list[bool]:
    """Which labels of an axis of names lie over a neighbour (x) or beyond the figure's left edge (y)."""
    boxes = [_extent(label) for label in axis.get_ticklabels()]
    if axis.axis_name == "y":
        return [box.x0 < 0 for box in boxes]
    close = [a.x1 > b.x0 and a.width > 0 < b.width for a, b in zip(boxes, boxes[1:], strict=False)]
    return [any(close)] * len(boxes)


def replace_crowded(figure: Figure, first: int) -> list[str]:
    """Write a number in brackets, from `first` on, for each name of an axis whose names do not fit, and return notes
    that say which.

    Numbers and short names stay.
    """
    numbers: dict[str, int] = {}
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if not any(len(label) > FITTING_SIGNS for label in labels):
                continue
            shown = [
                f"[{numbers.setdefault(label, first + len(numbers))}]" if over and len(label) > FITTING_SIGNS else label
                for label, over in zip(labels, _crowded(axis), strict=True)
            ]
            if shown != labels:
                axis.set_ticks(axis.get_ticklocs(), shown)
    return [f"In the figure, [{number}] stands for {name}." for name, number in numbers.items()]


def add_legend(owner, handles, **options):
    """Add a legend to a figure or axes with every label of `handles`, also those that begin with an underscore.

    matplotlib leaves such labels out; names of scanners and encoders may begin so.
    """
    legend = owner.legend(handles=handles, labels=["x"] * len(handles), **options)
    for text, handle in zip(legend.get_texts(), handles, strict=True):
        text.set_text(handle.get_label())
    return legend


def fitted_legend(figure: Figure, handles, n_columns: int, y_in: float, left: float = 0.0, **options):
    """Add a legend to the foot of a figure, `y_in` inches from its lower edge, in as many columns as fit its width.

    `left` is where it starts as a share of the width; 0 centres it. Returns the legend and its number of rows.
    """
    width, height = figure.get_size_inches()
    where = ("lower left", left) if left else ("lower center", 0.5)
    for columns in range(min(n_columns, max(1, len(handles))), 0, -1):
        legend = add_legend(
            figure, handles, loc=where[0], bbox_to_anchor=(where[1], y_in / height), ncols=columns, **options
        )
        if columns == 1 or left * width + _extent(legend).width / figure.dpi <= width:
            break
        legend.remove()
    return legend, -(-len(handles) // columns)


def lift(figure: Figure, more_in: float) -> None:
    """Make a figure higher below its axes, which keep their size."""
    before = figure.get_figheight()
    after = before + more_in
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((left, (bottom * before + more_in) / after, width, height * before / after))
    figure.set_figheight(after)


def colour_bar(figure: Figure, axes, picture, label: str, width_in: float = 0.09, gap_in: float = 0.06) -> None:
    """Add the key of a picture's colours to the right of its axes."""
    left, bottom, width, height = axes.get_position().bounds
    total = figure.get_figwidth()
    bar = figure.colorbar(
        picture, cax=figure.add_axes([left + width + gap_in / total, bottom, width_in / total, height])
    )
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7.5)


def message_panel(axes, text: str, n_signs: int = 24) -> None:
    """Fill empty axes with the reason why nothing is drawn there, in lines of `n_signs` at most."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#f2f2f2")
    for spine in axes.spines.values():
        spine.set_visible(False)
    wrapped = "\n".join(textwrap.wrap(text, n_signs))
    axes.text(0.5, 0.5, wrapped, transform=axes.transAxes, ha="center", va="center", fontsize=8, color="#555555")


def outlined(width: float = 1.8) -> list:
    """Return the effect of a black outline, for white lines and letters over any gray."""
    return [withStroke(linewidth=width, foreground="black")]


def scale_bar(axes, length_mm: float, x_mm: float, y_mm: float, colour: str = "white") -> None:
    """Draw a bar of `length_mm` that ends at the lower right point (`x_mm`, `y_mm`) of axes in mm; outlined, since it
    may lie over bone."""
    axes.plot([x_mm - length_mm, x_mm], [y_mm, y_mm], color=colour, linewidth=2, solid_capstyle="butt",
              path_effects=outlined(4.0))  # fmt: skip
    axes.annotate(
        f"{length_mm:g} mm",
        (x_mm - length_mm / 2, y_mm),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour,
        path_effects=outlined(),
    )


def styled(draw):
    """Decorate `draw` so that it makes its figure in the look of `STYLE`, whatever the caller's settings are."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style
