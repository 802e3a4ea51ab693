"""Small pictures of the page as SVG text: intervals, bars, curves and squares, with words on hover.

They are drawn here and not by the page's scripts, so that they are there on paper, without scripts, and in a test.
Colours of the ground and of words come from the page's style (classes `chart`, `axis`, `faint`), those of data from
`core.colours`. Every text is escaped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

TEXT_PX = 12
SIGN_PX = {5.2: "iIjl.,:;'|!() []ftr-/", 7.8: "abcdeghknopqsuvxyz_*?0123456789", 12.3: "mMW@%&"}
OTHER_SIGN_PX, WIDE_SIGN_PX = 10.1, 13.0
"""Widths of signs of `TEXT_PX` in a wide font, to leave room for words: of these, of capitals and others, and of those
that fill a square each (from U+1100 on)."""


def element(tag: str, attributes: dict | None = None, *children) -> Markup:
    """Return an element as text; names of attributes have `_` for `-`, those that are None are left out."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in (attributes or {}).items()}
    text = "".join(f' {name}="{escape(_plain(value))}"' for name, value in given.items() if value is not None)
    inner = "".join(map(str, map(escape, children)))
    return Markup(f"<{tag}{text}>{inner}</{tag}>")  # noqa: S704  values and children are escaped above


def _plain(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "axis", **more) -> Markup:
    """Return words at a place; `anchor` is start, middle or end."""
    return element("text", {"x": round(x, 1), "y": round(y, 1), "text_anchor": anchor, "class": kind, **more}, words)


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "faint", **more) -> Markup:
    """Return a straight line."""
    ends = {"x1": round(x1, 1), "y1": round(y1, 1), "x2": round(x2, 1), "y2": round(y2, 1)}
    return element("line", {**ends, "class": kind, **more})


def picture(width: float, height: float, label: str, *children) -> Markup:
    """Return the whole picture; `label` says what it shows to who cannot see it."""
    box = f"0 0 {round(width)} {round(height)}"
    size = {"width": round(width), "height": round(height), "viewBox": box}
    return element("svg", {"class": "chart", "role": "img", "aria_label": label, **size}, *children)


def nice_ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about `n` round numbers from `low` to `high`."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / n
    size = 10 ** math.floor(math.log10(raw))
    step = min((m * size for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def width_px(words: str) -> float:
    """Return a width that words of `TEXT_PX` do not exceed in the usual fonts without serifs."""

    def of(sign: str) -> float:
        known = next((width for width, signs in SIGN_PX.items() if sign in signs), OTHER_SIGN_PX)
        return WIDE_SIGN_PX if ord(sign) >= 0x1100 else known

    return sum(map(of, words))


@dataclass(frozen=True)
class Mark:
    """A value with its interval; None where it has none."""

    value: float
    low: float | None
    high: float | None
    colour: str
    words: str
    """Shown on hover."""


def _scale(low: float, high: float, start: float, end: float):
    span = (high - low) or 1.0
    return lambda value: start + (min(max(value, low), high) - low) / span * (end - start)


def intervals(label: str, rows: Sequence[tuple[str, Sequence[Mark]]], limits: tuple[float, float],
              axis: str, width: float = 420) -> Markup:  # fmt: skip
    """Return rows of marks with their intervals over one axis, the words of a row above its marks."""
    step, head = 12, 18
    left, right = 8, width - 14
    x = _scale(*limits, left, right)
    parts, y = [], 6.0
    body = []
    for words, marks in rows:
        body.append(text(left, y + 10, words))
        y += head
        for mark in marks:
            tip = {"data_tip": mark.words}
            if mark.low is not None and mark.high is not None:
                body.append(line(x(mark.low), y, x(mark.high), y, "mark", stroke=mark.colour, **tip))
            body.append(element("circle", {"cx": round(x(mark.value), 1), "cy": y, "r": 4, "fill": mark.colour, **tip}))
            y += step
        y += 4
    for tick in nice_ticks(*limits, 4):
        parts.append(line(x(tick), 2, x(tick), y))
        parts.append(text(x(tick), y + 14, f"{tick:g}", "middle"))
    parts.append(text((left + right) / 2, y + 30, axis, "middle"))
    return picture(width, y + 36, label, *parts, *body)


def bars(label: str, rows: Sequence[tuple[str, float, str]], axis: str, colour: str, width: float = 420) -> Markup:
    """Return horizontal bars: (words, value, what is written at its end), the words above each bar."""
    most = max([value for _, value, _ in rows] + [1e-9])
    left, right = 8, width - 90
    x = _scale(0, most, left, right)
    parts, y = [], 4.0
    for words, value, said in rows:
        parts.append(text(left, y + 11, words))
        size = {"x": left, "y": y + 15, "width": round(max(1.0, x(value) - left), 1), "height": 11, "fill": colour}
        parts.append(element("rect", {**size, "data_tip": f"{words}: {said}"}))
        parts.append(text(x(value) + 5, y + 25, said))
        y += 34
    parts.append(text(left, y + 12, axis))
    return picture(width, y + 18, label, *parts)


@dataclass(frozen=True)
class Curve:
    """A line of a chart; `low` and `high` are intervals at its points, empty where it has none."""

    words: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dash: str | None = None
    points: bool = True
    group: str = ""
    """What a key hides with it; its own words where it is blank."""


def curves(label: str, lines: Sequence[Curve], x_axis: str, y_axis: str, width: float = 420, height: float = 280,
           limits: tuple[float, float] | None = None) -> Markup:  # fmt: skip
    """Return curves over one pair of axes, with their words on hover; `limits` are those of y."""
    xs = [value for one in lines for value in one.x]
    ys = [value for one in lines for part in (one.y, one.low, one.high) for value in part if math.isfinite(value)]
    low, high = limits or (min(ys), max(ys))
    left, right, top, bottom = 46, width - 10, 22, height - 40
    x, y = _scale(min(xs), max(xs), left, right), _scale(low, high, bottom, top)
    parts = [text(4, 12, y_axis)]
    for tick in nice_ticks(low, high, 5):
        parts += [line(left, y(tick), right, y(tick)), text(left - 5, y(tick) + 4, f"{tick:g}", "end")]
    whole = all(float(value).is_integer() for value in xs)
    for tick in (tick for tick in nice_ticks(min(xs), max(xs), 6) if not whole or float(tick).is_integer()):
        parts.append(text(x(tick), bottom + 15, f"{tick:g}", "middle"))
    parts.append(text((left + right) / 2, height - 8, x_axis, "middle"))
    for one in lines:
        known = [(a, b) for a, b in zip(one.x, one.y, strict=True) if math.isfinite(b)]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in known)
        common = {"stroke": one.colour, "fill": "none", "class": "curve", "data_tip": one.words}
        drawn = (
            [element("polyline", {"points": path, "stroke_dasharray": one.dash, **common})] if len(known) > 1 else []
        )
        ends = zip(one.x, one.low, one.high, strict=True) if one.low else ()
        drawn += [
            line(x(a), y(c), x(a), y(b), "whisker", stroke=one.colour)
            for a, b, c in ends
            if math.isfinite(b) and math.isfinite(c)
        ]
        if one.points:
            drawn += [
                element("circle", {"cx": round(x(a), 1), "cy": round(y(b), 1), "r": 3.2, "fill": one.colour,
                                   "data_tip": f"{one.words}: {b:.4g} at {a:g}"})
                for a, b in known
            ]  # fmt: skip
        parts.append(element("g", {"data_group": one.group or one.words}, *drawn))
    return picture(width, height, label, *parts)


def legend(items: Iterable[tuple[str, str]]) -> Markup:
    """Return a row of (words, colour) as a list of the page."""
    made = []
    for words, colour in items:
        dot = element("svg", {"class": "dot", "width": 10, "height": 10, "aria_hidden": "true"},
                      element("circle", {"cx": 5, "cy": 5, "r": 5, "fill": colour}))  # fmt: skip
        made.append(element("li", {"data_key": words}, dot, f" {words}"))
    return element("ul", {"class": "key-list"}, *made)


def shade(share: float) -> str:
    """Return a colour from pale yellow (0) over orange to dark violet (1), for squares of a map."""
    stops = ((255, 247, 214), (246, 177, 92), (206, 77, 83), (92, 38, 110))
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    i = min(int(place), len(stops) - 2)
    mixed = [round(a + (b - a) * (place - i)) for a, b in zip(stops[i], stops[i + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


@dataclass(frozen=True)
class Square:
    """A square of a map; `share` is where its value lies on the map's own scale, None where it has none."""

    share: float | None
    said: str
    """Written in it; blank for nothing."""
    words: str
    """Shown on hover."""


def squares(label: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Square | None]],
            size: float, heads: tuple[str, str] = ("", "")) -> Markup:  # fmt: skip
    """Return a map of squares with names at its left and lower edge; `heads` are words for rows and columns."""
    left = 8 + max(map(width_px, rows))
    top = 20 if heads[0] else 4
    parts = [text(4, 13, heads[0])] if heads[0] else []
    longest = max(map(width_px, columns))
    tall = longest > size
    for i, (name, own) in enumerate(zip(rows, cells, strict=True)):
        y = top + i * size
        parts.append(text(left - 5, y + size / 2 + 4, name, "end"))
        for j, cell in enumerate(own):
            if cell is None:
                continue
            x = left + j * size
            place = {"x": round(x, 1), "y": round(y, 1), "width": size - 1, "height": size - 1}
            fill = {"fill": shade(cell.share)} if cell.share is not None else {"fill": "none", "class": "none"}
            parts.append(element("rect", {**place, **fill, "data_tip": cell.words}))
            if cell.said:
                ink = "" if cell.share is None else " on-dark" if cell.share > 0.55 else " on-light"
                parts.append(text(x + size / 2, y + size / 2 + 4, cell.said, "middle", f"cell{ink}"))
    y = top + len(rows) * size
    for j, name in enumerate(columns):
        x = left + (j + 0.5) * size
        if tall:
            turn = f"rotate(-40 {x:.1f} {y + 12:.1f})"
            parts.append(text(x + 4, y + 14, name, "end", transform=turn))
        else:
            parts.append(text(x, y + 14, name, "middle"))
    foot = 12 + (0.7 * longest if tall else 6)
    if heads[1]:
        parts.append(text(left, y + foot + 14, heads[1]))
        foot += 18
    return picture(left + len(columns) * size + 6, y + foot + 4, label, *parts)
