"""What a figure shows, read back from its artists: matrices, their numbers, bars, lines, points, legends."""

import numpy as np
from matplotlib.colors import to_hex, to_rgb


def ticks(axis) -> list[str]:
    """Labels of an axis, on one line each."""
    return [label.get_text().replace("\n", " ") for label in axis.get_ticklabels()]


def picture(axes) -> np.ndarray:
    """Values of the one picture of a panel, NaN where it is blank."""
    (image,) = axes.images
    return np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)


def cell_texts(axes) -> dict[tuple[int, int], str]:
    """Text of each cell of a picture, by row and column; fails where a cell has two."""
    cells = [((round(y), round(x)), text.get_text()) for text in axes.texts for x, y in [text.get_position()]]
    assert len(dict(cells)) == len(cells)
    return dict(cells)


def luminance(colour) -> float:
    """Relative luminance of sRGB (WCAG 2)."""
    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrasts(axes) -> list[float]:
    """Contrast (WCAG 2) of each text of a picture's cells with the colour that it stands on."""
    (image,) = axes.images
    found = []
    for (row, column), text in zip(cell_texts(axes), axes.texts, strict=True):
        ground = image.to_rgba(image.get_array())[row, column, :3]
        low, high = sorted([luminance(ground), luminance(text.get_color())])
        found.append((high + 0.05) / (low + 0.05))
    return found


def look_of(line) -> tuple:
    """Colour, marker and filling of a line, as a reader tells it from others."""
    hollow = line.get_markerfacecolor() == "none"
    return to_hex(line.get_color()), line.get_marker(), "hollow" if hollow else "filled"


def legend_looks(legend) -> dict[str, tuple]:
    """Look of each entry of a legend by its words."""
    return {
        text.get_text(): look_of(line) for text, line in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }


def bars(axes) -> list[tuple[float, float, float]]:
    """Middle of each horizontal bar, its start and its end."""
    boxes = [bar for bar in axes.patches if bar.get_width() == bar.get_width()]
    return [(bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_x() + bar.get_width()) for bar in boxes]
