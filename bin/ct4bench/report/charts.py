"""Pictures of the page that are drawn from tables: maps of scanner pairs, curves, confusions.

Each has its words, its keys and the files that its numbers are from. Published values stand beside those of the run,
each on a scale of its own, since the two are of other objects where the run is synthetic.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from markupsafe import Markup

from ct4bench.core.benchmark import DOMAIN_LABELS, MAIN_DOSE_MGY, RECONSTRUCTIONS, TISSUES, scanner_rank
from ct4bench.core.colours import MANY_COLOURS
from ct4bench.core.extractors import extractors_of, in_order, title_of
from ct4bench.core.metrics import MAIN_METRICS, PairMetric
from ct4bench.core.regions import CT4HARMONIZATION, Phantom, phantom_of
from ct4bench.profiles.merge import COMMON, OWN
from ct4bench.report.answers import extractor_colours
from ct4bench.report.cells import is_number, number
from ct4bench.report.svg import Curve, Square, curves, element, legend, picture, shade, squares
from ct4bench.results.run_facts import extractor_title

SQUARE_PX = 29.0
SMALL_PX = 34.0
CURVE_PX = (440, 290)
SMALL_CURVE_PX = (250, 180)
"""Of many pictures side by side."""
CLICK = "A click on a name hides its curves."


@dataclass(frozen=True)
class Chart:
    """A picture of the page: `parts` are (title, picture) side by side, `keys` what its colours mean."""

    name: str
    title: str
    text: str
    parts: list[tuple[str, Markup]]
    keys: Markup = Markup("")
    tables: tuple[str, ...] = ()
    """Tables of the method's folder tables/ that its numbers are from."""
    files: tuple[str, ...] = ()
    """Other files of the method's folder that they are from."""
    folded: bool = False
    """Whether it is folded away."""
    notes: list[str] = field(default_factory=list)


def scanner_colours(scanners) -> dict[str, str]:
    """Return a colour for each scanner, in the paper's order."""
    order = sorted(set(scanners), key=scanner_rank)
    return {name: MANY_COLOURS[i % len(MANY_COLOURS)] for i, name in enumerate(order)}


# maps of scanner pairs


def _short(value: float, decimals: int) -> str:
    said = number(value, decimals)
    return said[1:] if said.startswith("0.") else said


def pair_map(frame: pd.DataFrame, metric: PairMetric, column: str, whose: str) -> Markup | None:
    """Draw a column of a scanner table as a map, darker where images are less alike, on a scale of its own.

    None where the column has no two different values.
    """
    order = sorted({*frame["scanner_row"], *frame["scanner_col"]}, key=scanner_rank)
    values = {(row["scanner_row"], row["scanner_col"]): row[column] for row in frame.to_dict("records")}
    finite = [v for v in values.values() if is_number(v) and math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    if high <= low:
        return None
    rows = []
    for i, scanner in enumerate(order):
        line = []
        for other in order[: i + 1]:
            value = values.get((scanner, other))
            known = is_number(value) and math.isfinite(value)
            share = (value - low) / (high - low) if known else None
            share = 1 - share if known and not metric.low_is_alike else share
            said = f"{scanner} and {other}: {metric.head} {number(value, metric.decimals)}"
            line.append(Square(share, _short(value, _digits(metric)) if known else "", said))
        rows.append(line + [None] * (len(order) - i - 1))
    ends = (low, high) if metric.low_is_alike else (high, low)
    alike, unlike = (number(end, metric.decimals) for end in ends)
    label = f"{metric.label} of scanner pairs, {whose}: from {alike} (most alike) to {unlike} (least alike)"
    drawn = squares(label, order, order, rows, SQUARE_PX)
    return Markup("{}{}").format(drawn, scale_key(f"{alike} (most alike)", f"{unlike} (least alike)"))


def _digits(metric: PairMetric) -> int:
    """So few that a number fits into a square."""
    return 2 if metric.decimals > 2 else 0


def scale_key(low: str, high: str) -> Markup:
    """Draw the key of a map's shades with its two ends."""
    steps = [element("rect", {"x": 8 * i, "y": 0, "width": 8, "height": 10, "fill": shade(i / 15)}) for i in range(16)]
    bar = picture(128, 10, f"shades from {low} to {high}", *steps)
    return Markup('<p class="note">{} {} {}</p>').format(low, bar, high)


def pair_charts(tables: dict[str, pd.DataFrame]) -> list[Chart]:
    """Return a map of each metric of the paper's tables, and beside it that of the published values."""
    found = []
    for metric in MAIN_METRICS:
        frame = tables.get(metric.table)
        if frame is None or not metric.paper_table:
            continue
        column = f"{metric.name}_mean"
        wanted = [("this run", column), ("published", f"{column}_published")]
        drawn = [(whose, pair_map(frame, metric, name, whose)) for whose, name in wanted if name in frame.columns]
        parts = [(whose, made) for whose, made in drawn if made is not None]
        if parts and parts[0][0] == "this run":
            found.append(Chart(
                f"map_{metric.name}", f"{metric.label} of scanner pairs",
                f"{metric.title}, darker where images are less alike; each map on its own scale, point at a square for "
                "all digits.", parts, tables=(metric.table,), folded=bool(found),
            ))  # fmt: skip
    return found


# curves over dose


def dose_charts(tables: dict[str, pd.DataFrame]) -> list[Chart]:
    """Return Table 6 as curves over dose, and beside them the published ones, a picture for each metric."""
    name = "table6_dose" if "table6_dose" in tables else "table6_dose_same_recon"
    frame = tables.get(name)
    if frame is None:
        return []
    rows = frame[frame["row_kind"] == "dose"]
    colours = scanner_colours(rows["scanner"])
    found = []
    for metric in MAIN_METRICS:
        parts, shown = [], set()
        for whose, column in (("this run", f"{metric.name}_mean"), ("published", f"{metric.name}_mean_published")):
            if column not in rows.columns:
                continue
            lines = []
            for scanner, colour in colours.items():
                own = rows[(rows["scanner"] == scanner) & rows[column].notna()].sort_values("dose_mgy")
                own = own[np.isfinite(own[column].astype(float))]
                if len(own) > 1:
                    lines.append(Curve(scanner, colour, list(own["dose_mgy"]), list(own[column].astype(float))))
                    shown.add(scanner)
            if lines:
                label = f"{metric.head} over dose, {whose}: " + "; ".join(
                    f"{one.words} {number(one.y[0], metric.decimals)} at {one.x[0]:g} mGy, "
                    f"{number(one.y[-1], metric.decimals)} at {one.x[-1]:g} mGy"
                    for one in lines
                )
                parts.append((whose, curves(label, lines, "dose (mGy)", metric.head, *CURVE_PX)))
        if parts and parts[0][0] == "this run":
            found.append(Chart(
                f"dose_{metric.name}", f"{metric.label} over dose",
                f"{metric.label} of each scanner's series to the other doses' (Table 6), {metric.direction}; each "
                f"picture on its own scale. {CLICK}", parts,
                legend([(scanner, colours[scanner]) for scanner in colours if scanner in shown]), (name,),
                folded=bool(found),
            ))  # fmt: skip
    return found


# curves of the scanner profile


def _profile_lines(rows: pd.DataFrame, colours: dict[str, str]) -> list[Curve]:
    lines = []
    for scanner, colour in colours.items():
        own = rows[(rows["scanner"] == scanner) & rows["value"].notna()].sort_values("at")
        if len(own) > 1:
            x, y = list(own["at"].astype(float)), list(own["value"].astype(float))
            lines.append(Curve(scanner, colour, x, y, points=False))
    return lines


PER_MM = "frequency (1/mm)"
MAIN = "main"
"""Stands for the phantom's main region, in which noise is measured."""
PROFILE_CURVES = (
    ("nps", "Spectra of the noise",
     "How much noise at which frequency, in the large cyst; fine noise lies to the right.",
     (("quantum_nps_hu2_mm2", MAIN), ("total_nps_hu2_mm2", MAIN)), PER_MM,
     "HU\N{SUPERSCRIPT TWO} mm\N{SUPERSCRIPT TWO}"),
    ("ttf", "Sharpness",
     "How much of a pattern's contrast is left at which frequency, at the step from the dots to the wedge.",
     (("ttf", "dots_to_wedge"), ("ttf", "plain_to_wedge")), PER_MM, "contrast left"),
)  # fmt: skip
"""Name, title, words, (measure, region) in order of choice, and both axes."""


def profile_charts(profile: pd.DataFrame | None, phantom: Phantom = CT4HARMONIZATION) -> list[Chart]:
    """Return noise spectra and sharpness of each scanner as scanned, a picture for each reconstruction, and noise over
    dose."""
    if profile is None or profile.empty:
        return []
    own = profile[profile["grid"] == OWN]
    colours = scanner_colours(own["scanner"])
    found = []
    for name, title, words, choices, x_axis, y_axis in PROFILE_CURVES:
        rows, measure = _first_measured(own, _places(choices, phantom))
        if rows is None:
            continue
        dose = MAIN_DOSE_MGY if MAIN_DOSE_MGY in set(rows["dose_mgy"]) else max(rows["dose_mgy"])
        rows = rows[rows["dose_mgy"] == dose]
        parts, shown = [], set()
        for recon in _recons(rows):
            lines = _profile_lines(rows[rows["recon"] == recon], colours)
            if lines:
                shown |= {one.words for one in lines}
                label = f"{title}, {recon}, {len(lines)} scanners: {_ends_words(lines)}"
                parts.append((recon, curves(label, lines, x_axis, y_axis, *CURVE_PX)))
        if parts:
            kind = measure.replace("_", " ").replace("nps", "NPS").replace("ttf", "TTF").split(" hu2")[0]
            said = f"{words} At {dose:g} mGy, as scanned ({kind}); each picture has its own scale. {CLICK}"
            keys = legend([(s, c) for s, c in colours.items() if s in shown])
            found.append(Chart(name, title, said, parts, keys, files=("scanner_profile.csv",)))
    return found + _noise_over_dose(own, colours, phantom)


def _places(choices, phantom: Phantom) -> list[tuple[str, str]]:
    """Measures with their regions in a phantom."""
    return [(measure, phantom.main_region if region == MAIN else region) for measure, region in choices]


def before_charts(
    profile: pd.DataFrame | None, plain: pd.DataFrame | None, method: str, phantom: Phantom = CT4HARMONIZATION
) -> list[Chart]:
    """Return noise spectra and sharpness of each scanner without harmonization (dashed) and by a method, both of
    registered series, a picture for each scanner; none for a method without images of its own."""
    if profile is None or plain is None or profile.empty or plain.empty:
        return []
    found = []
    before, after = (frame[frame["grid"] == COMMON] for frame in (plain, profile))
    for name, title, words, choices, x_axis, y_axis in PROFILE_CURVES:
        measured = [
            (_first_measured(after, [choice])[0], _first_measured(before, [choice])[0])
            for choice in _places(choices, phantom)
        ]
        pair = next(((own, other) for own, other in measured if own is not None and other is not None), None)
        if pair is None:
            continue
        dose = MAIN_DOSE_MGY if MAIN_DOSE_MGY in set(pair[0]["dose_mgy"]) else max(pair[0]["dose_mgy"])
        own, other = (frame[frame["dose_mgy"] == dose] for frame in pair)
        recons = [name for name in _recons(own) if name in set(other["recon"])]
        colours = dict(zip(recons, MANY_COLOURS, strict=False))
        limits = (0.0, float(max(own["value"].max(), other["value"].max())))
        parts, shares = [], []
        for scanner in sorted(set(own["scanner"]) & set(other["scanner"]), key=scanner_rank):
            lines, told = [], []
            for recon, colour in colours.items():
                both = [frame[(frame["recon"] == recon) & (frame["scanner"] == scanner)] for frame in (other, own)]
                made = [_profile_lines(rows, {scanner: colour}) for rows in both]
                if not all(made):
                    continue
                (old,), (new,) = made
                lines += [replace(old, words=f"{recon} before", dash="4 3", group=recon),
                          replace(new, words=f"{recon} after", group=recon)]  # fmt: skip
                area = float(np.trapezoid(old.y, old.x))
                if area > 0:
                    shares.append((float(np.trapezoid(new.y, new.x)) / area, f"{scanner} {recon}"))
                    told.append(f"{recon} {number(shares[-1][0], 2)} of the area before")
            if lines:
                label = f"{title}, {scanner}, before and after: {'; '.join(told) or 'no area'}"
                parts.append((scanner, curves(label, lines, x_axis, y_axis, *SMALL_CURVE_PX, limits=limits)))
        if parts:
            ends = [f"{number(share, 2)} ({name})" for share, name in (min(shares), max(shares))] if shares else []
            said = f"Area under the curve after, of that before: {' to '.join(ends)}. " if ends else ""
            found.append(Chart(
                f"before_{name}", f"{title} before and after {method}",
                f"{phantom.words(words)} At {dose:g} mGy, of the registered series; dashed: without harmonization. "
                f"{said}{CLICK}", parts, legend(list(colours.items())), files=("scanner_profile.csv",),
            ))  # fmt: skip
    return found


def _recons(rows: pd.DataFrame) -> list[str]:
    known = [name for name in RECONSTRUCTIONS if name in set(rows["recon"])]
    return known + sorted(set(rows["recon"]) - set(known))


def _first_measured(rows: pd.DataFrame, choices) -> tuple[pd.DataFrame | None, str]:
    for measure, region in choices:
        part = rows[(rows["measure"] == measure) & (rows["region"] == region) & rows["value"].notna()]
        if len(part):
            return part, measure
    return None, ""


def _ends_words(lines: list[Curve]) -> str:
    """Which curve is lowest and which is highest in its sum, in words."""
    sums = sorted((float(np.trapezoid(one.y, one.x)), one.words) for one in lines)
    return f"least under the curve {sums[0][1]}, most {sums[-1][1]}"


def _noise_over_dose(own: pd.DataFrame, colours: dict[str, str], phantom: Phantom) -> list[Chart]:
    rows = own[(own["measure"] == "total_sd_hu") & (own["region"] == phantom.main_region) & own["value"].notna()]
    parts, shown = [], set()
    for recon in _recons(rows):
        lines = []
        for scanner, colour in colours.items():
            part = rows[(rows["scanner"] == scanner) & (rows["recon"] == recon)].sort_values("dose_mgy")
            if len(part) > 1:
                lines.append(Curve(scanner, colour, list(part["dose_mgy"]), list(part["value"].astype(float))))
        if lines:
            shown |= {one.words for one in lines}
            label = phantom.words(f"SD in the large cyst over dose, {recon}: ") + "; ".join(
                f"{one.words} {number(one.y[0], 1)} to {number(one.y[-1], 1)} HU" for one in lines
            )
            parts.append((recon, curves(label, lines, "dose (mGy)", "SD (HU)", *CURVE_PX)))
    if not parts:
        return []
    texture = "printed texture" if phantom.printed_block else "texture"
    text_ = f"SD in the large cyst by dose, noise and {texture} together, as scanned."
    keys = legend([(s, c) for s, c in colours.items() if s in shown])
    return [Chart("noise_over_dose", "Noise over dose", text_, parts, keys, files=("scanner_profile.csv",))]


# classifiers

SCHEME_TITLES = {"loso": "a {domain} left out, by training {domain}s", "kfold": "ten folds, by training folds"}


def learning_charts(tables: dict[str, pd.DataFrame], facts: dict, domain: str = "scanner") -> list[Chart]:
    """Return accuracy over N as curves with intervals, and the confusion of each value that was left out."""
    return [chart for chart in (_accuracy_chart(tables, facts, domain), *_confusions(tables, facts, domain)) if chart]


def _accuracy_chart(tables: dict[str, pd.DataFrame], facts: dict, domain: str) -> Chart | None:
    frame = tables.get("accuracy_by_n")
    if frame is None or frame.empty:
        return None
    names = in_order(frame["extractor"], extractors_of(facts))
    colours, parts = extractor_colours(names, facts), []
    lows = frame["accuracy_ci_low"].dropna() if "accuracy_ci_low" in frame.columns else pd.Series(dtype=float)
    least = min([*frame["accuracy_mean"].dropna(), *lows, 1.0])
    limits = (max(0.0, math.floor(least * 10) / 10), 1.0)
    for scheme, title in SCHEME_TITLES.items():
        lines = []
        for name in names:
            own = frame[(frame["extractor"] == name) & (frame["scheme"] == scheme)].sort_values("n_train")
            if own.empty:
                continue
            low, high = (list(own[f"accuracy_ci_{end}"].astype(float)) if f"accuracy_ci_{end}" in own else ()
                         for end in ("low", "high"))  # fmt: skip
            values = list(own["accuracy_mean"].astype(float))
            lines.append(
                Curve(title_of(name, extractors_of(facts)), colours[name], list(own["n_train"]), values, low, high)
            )
        if lines:
            label = "Accuracy over N: " + "; ".join(
                f"{one.words} {number(one.y[0], 3)} at N = {one.x[0]}, {number(one.y[-1], 3)} at N = {one.x[-1]}"
                for one in lines
            )
            said = title.format(domain=domain)
            parts.append((said, curves(label, lines, "N", "accuracy", *CURVE_PX, limits=limits)))
    if not parts:
        return None
    keys = legend([(extractor_title(name, facts), colours[name]) for name in names])
    words = f"Accuracy of the tissue, mean over folds, with its 95 % interval. {CLICK}"
    return Chart("curves_accuracy", "Accuracy over the amount of training data", words, parts, keys, ("accuracy_by_n",))


def _heads(classes: list[str]) -> list[str]:
    """Short names of classes; whole ones where two would be alike."""
    short = [name[:4] for name in classes]
    return short if len(set(short)) == len(classes) else classes


def _confusion_picture(rows: pd.DataFrame, classes: list[str], label: str) -> Markup:
    shares = rows.set_index(["target", "predicted"])[["share", "n"]]
    cells = []
    for target in classes:
        line = []
        for predicted in classes:
            known = (target, predicted) in shares.index
            share, n = shares.loc[(target, predicted)] if known else (0.0, 0)
            said = f"{target} taken for {predicted}: {100 * share:.0f} % ({n:.0f})"
            line.append(Square(float(share), f"{100 * share:.0f}" if share >= 0.005 else "", said))
        cells.append(line)
    heads = _heads(classes)
    return squares(label, heads, heads, cells, SMALL_PX)


def _confusions(tables: dict[str, pd.DataFrame], facts: dict, domain: str) -> list[Chart]:
    frame = tables.get("confusion_left_out")
    if frame is None or frame.empty:
        return []
    found = []
    classes = [name for name in TISSUES if name in set(frame["target"])]
    classes += sorted({*frame["target"], *frame["predicted"]} - set(classes))
    short = [f"{head}: {name}" for head, name in zip(_heads(classes), classes, strict=True) if head != name]
    keys = f" {', '.join(short)}." if short else ""
    n = int(frame["n_train"].min())
    for name in in_order(frame["extractor"], extractors_of(facts)):
        own = frame[(frame["extractor"] == name) & (frame["n_train"] == n)]
        parts = []
        for value in sorted(set(own["left_out"]), key=scanner_rank):
            rows = own[own["left_out"] == value]
            right = rows.loc[rows["target"] == rows["predicted"], "n"].sum() / max(1, rows["n"].sum())
            wrong = (
                rows[rows["target"] != rows["predicted"]].sort_values(["n", "target"], ascending=[False, True]).iloc[0]
            )
            worst = f", most often {wrong['target']} for {wrong['predicted']}" if wrong["n"] else ""
            label = f"{value}: {100 * right:.0f} % of patches right{worst}"
            parts.append((f"{value}, {100 * right:.0f} % right", _confusion_picture(rows, classes, label)))
        found.append(Chart(
            f"confusion_{name}", f"Which tissues are confused on each {domain}: {extractor_title(name, facts)}",
            f"Rows are the true tissue, columns what was predicted, in percent of the row; trained on {n} "
            f"{domain}{'' if n == 1 else 's'}, tested on the one named.{keys}",
            parts, tables=("confusion_left_out",), folded=bool(found),
        ))  # fmt: skip
    return found


def charts_of(tables: dict[str, pd.DataFrame], profile: pd.DataFrame | None, facts: dict) -> dict[str, list[Chart]]:
    """Return the pictures by the section of the page that they stand in."""
    phantom = phantom_of(facts)
    found = {
        "images": pair_charts(tables) + dose_charts(tables),
        "profile": profile_charts(profile, phantom),
        "learning": learning_charts(tables, facts, DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value")),
    }
    return {
        section: [replace(chart, title=phantom.words(chart.title), text=phantom.words(chart.text)) for chart in charts]
        for section, charts in found.items()
    }
