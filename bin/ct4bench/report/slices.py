"""The same slice over scanners: each gray picture, its difference to one scanner, and close-ups of the regions.

All pictures stand in the page, so that they are there without scripts and on paper; a script hides what is not asked
for.
"""

from dataclasses import dataclass

from markupsafe import Markup

from ct4bench.core.benchmark import scanner_rank
from ct4bench.report.cells import delta, number
from ct4bench.report.svg import element, picture, text

LEGEND_PX = (300, 38)
TYPES = {"image": "image/webp", "difference": "image/png"}


@dataclass(frozen=True)
class Panel:
    """A scanner's pictures; `told` says its difference in numbers, blank for the one that others are compared to."""

    title: str
    told: str
    image: Markup
    difference: Markup | None


@dataclass(frozen=True)
class SlicesView:
    """What the page shows of the slices."""

    reference: str
    text: str
    legend: Markup
    keys: list[tuple[str, str]]
    """Regions of the close-ups, each with its colour."""
    panels: list[Panel]
    missing: list[str]
    """Scanners that have none, in a sentence for each reason."""


def _drawn(name: str, kind: str, data: str, values: dict, label: str) -> Markup:
    """A slice, and below it its close-ups: parts of the same picture, which is in the page once."""
    width, height = values["width"], values["height"]
    address = f"data:{TYPES[kind]};base64,{data}"
    whole = element("image", {"id": name, "width": width, "height": height, "href": address,
                              "preserveAspectRatio": "none"})  # fmt: skip
    frames = []
    for inset in values["insets"]:
        x, y, w, h = inset["box"]
        frames.append(element("rect", {"x": x, "y": y, "width": w, "height": h, "class": "frame",
                                       "stroke": inset["colour"]}))  # fmt: skip
    main = _box(f"0 0 {width} {height}", {"role": "img", "aria_label": label, "class": "slice"}, whole, *frames)
    small = [
        _box(
            " ".join(map(str, inset["box"])),
            {"role": "img", "aria_label": f"{inset['roi']} of it, close up", "class": "inset"},
            element("use", {"href": f"#{name}"}),
            element("rect", dict(zip(("x", "y", "width", "height"), inset["box"], strict=True), **{
                "class": "frame thick", "stroke": inset["colour"]})),
        )
        for inset in values["insets"]
    ]  # fmt: skip
    rows = element("div", {"class": "insets"}, *small) if small else ""
    return element("div", {"class": kind}, main, rows)


def _box(box: str, attributes: dict, *children) -> Markup:
    return element("svg", {"viewBox": box, **attributes}, *children)


def difference_words(one: dict) -> str:
    """Say the difference of a scanner to the one that all are compared to, in numbers."""
    if "mean_hu" not in one:
        return ""
    regions = "; ".join(f"{roi} {delta(value, 1) or number(0, 1)}" for roi, value in one["regions_hu"].items())
    told = f"mean {delta(one['mean_hu'], 1) or number(0, 1)}, SD {number(one['sd_hu'], 1)} HU"
    return f"{told}; {regions} HU" if regions else told


def difference_legend(values: dict) -> Markup:
    """Draw the key of the differences' colours in HU."""
    colours, limit = values["colours"], values["limit_hu"]
    width, height = LEGEND_PX
    left, right = 30.0, width - 30.0
    step = (right - left) / len(colours)
    parts = [
        element("rect", {"x": round(left + i * step, 2), "y": 2, "width": round(step + 0.7, 2), "height": 14,
                         "fill": colour})
        for i, colour in enumerate(colours)
    ]  # fmt: skip
    for value in (-limit, -limit / 2, 0, limit / 2, limit):
        x = left + (value + limit) / (2 * limit) * (right - left)
        parts.append(text(x, 30, delta(value, 0) or "0", "middle"))
    least = number(-limit, 0)
    label = f"Colours of differences: blue at {least} HU and less, white at 0, red at {limit} HU and more"
    return picture(width, height, label, *parts)


def slices_view(values: dict | None, prefix: str = "") -> SlicesView | None:
    """Return the slices of slices.view.json for the page; None where the run has none. `prefix` leads names of
    elements."""
    if not values:
        return None
    kind = f"{values['recon']} at {values['dose_mgy']:g} mGy"
    where = "the block's first face" if values["from_first_face"] else "the first slice of the phantom"
    reference, panels = values["reference"], []
    for i, one in enumerate(values["scanners"]):
        which = f", #{one['repetition']}" if one["repetition"] > 1 else ""
        title = f"{one['scanner']}{which}{': ' if one['name'] else ''}{one['name']}"
        words = difference_words(one)
        label = f"{one['scanner']}, CT slice in gray"
        image = _drawn(f"{prefix}slice_{i}", "image", one["image"], values, label)
        difference = None
        if "difference" in one:
            label = f"{one['scanner']} less {reference}: {words}"
            difference = _drawn(f"{prefix}difference_{i}", "difference", one["difference"], values, label)
        panels.append(Panel(title, words, image, difference))
    gone: dict[str, list[str]] = {}
    for name in sorted(values["missing"], key=scanner_rank):
        gone.setdefault(values["missing"][name], []).append(name)
    missing = [f"Not shown: {', '.join(names)} ({reason})." for reason, names in gone.items()]
    pixel, (low, high) = values["pixel_mm"][0] * values["bin"], values["gray_hu"]
    said = (
        f"The same axial slice at {number(values['slice_mm'], 0)} mm from {where}, {kind}, of each scanner, "
        f"registered; gray from {number(low, 0)} to {number(high, 0)} HU. Differences are the scanner less "
        f"{reference}, of the volumes' own values in HU, in steps of {values['step_hu']:g} HU and pixels of "
        f"{pixel:.2g} mm; they hold noise, sharpness and what registration leaves besides brightness. Below each slice "
        f"stand {values['inset_mm']:.0f} mm round regions that it cuts. Numbers: mean and SD of the difference in the "
        "phantom on this slice, and its mean in each region."
    )
    keys = [(inset["roi"], inset["colour"]) for inset in values["insets"]]
    return SlicesView(reference, said, difference_legend(values), keys, panels, missing)
