"""report.html: one file that opens offline and says what was run on what, and what came out.

Everything that reaches the template is plain text, numbers, or a PNG of this pipeline; the template escapes all of it,
since names and details come from DICOM headers. The same inputs give the same bytes: no clock is read.
"""

# code-data: ../assets/report.html.j2
# code-data: ct4bench/core/columns.csv
# code-data: ct4bench/core/tables.csv

import base64
import io
import json
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import TemplateError

from ct4bench.core.benchmark import DOMAIN_LABELS, NO_METHOD
from ct4bench.core.contract import table_of
from ct4bench.core.errors import UserError, error_words
from ct4bench.core.extractors import extractors_of, title_of
from ct4bench.core.json_files import read_object, read_reference_values
from ct4bench.core.metrics import BY_TABLE, MAIN_METRICS
from ct4bench.core.modes import MODES
from ct4bench.core.regions import phantom_of
from ct4bench.core.tables import read_table
from ct4bench.core.view_files import SUFFIX, read_views
from ct4bench.leaderboard.rank import titles_of
from ct4bench.report.answers import answer_picture, answers, before_and_after, data_words, method_answer
from ct4bench.report.board import Board, board_view, method_card
from ct4bench.report.cells import cells_of, interval_head
from ct4bench.report.charts import before_charts, charts_of
from ct4bench.report.glossary import read_glossary, with_terms
from ct4bench.report.headlines import feature_headlines, image_headlines
from ct4bench.report.live import points_view, ranks_view
from ct4bench.report.page import data_block, policy, scripts, style
from ct4bench.report.phantom import absent_figures, patches_words, phantom_sentences, small_region_words, told_points
from ct4bench.report.profile import profile_view
from ct4bench.report.repeats import lift_repeats
from ct4bench.report.sections import (
    checks_view,
    extractors_view,
    grid_words,
    merge_usage,
    patches_view,
    quarantine_view,
    registration_view,
    rounding_view,
    usage_view,
    weights_view,
)
from ct4bench.report.slices import slices_view
from ct4bench.results.deviations import SOURCE, Choice, Point, read_deviations
from ct4bench.results.published import BY_NAME, DATA, DATA_DOI, LICENCE, PAPER
from ct4bench.results.run_facts import (
    COLLECTION,
    IMAGELESS,
    NOT_COMPARABLE,
    SYNTHETIC,
    WEIGHED,
    read_run_facts,
    read_series,
    read_settings,
    weights_mark,
)
from ct4bench.splits.tasks import TASKS, value_table

TEMPLATE = Path(__file__).resolve().parents[3] / "assets" / "report.html.j2"
CSS_DPI = 96
"""Pixels of a page to an inch: a figure is shown at its own size at least, so that no text of it is below 7 pt."""
IMAGE_BYTES = 10_000_000
"""What all figures may take before the largest are halved; in the page they take a third more."""


FIGURES = ("figure2", "figure3", "figure4", "figure5", "figure6")
"""The figures of the paper that are drawn from data; others are shown where `SECTION_FIGURES` puts them."""
IMAGE_FIGURES = ("figure2", "figure3", "figure4")
SECTION_TABLES = {
    "input": ("table1_acquisition", "table2_series_counts"),
    "images": (*BY_TABLE, "table6_dose_same_recon", "table6_dose", "table6_dose_differences"),
    "same_recon": tuple(f"{name}_same_recon" for name in BY_TABLE),
    "contrasts": ("decomposition",),
    "table7": ("table7_stability_classification", "table7_differences"),
    "learning": ("accuracy_by_n", "confusion", "accuracy_tasks", "accuracy_tasks_differences", "accuracy_left_out",
                 *(f"{value_table(name)}{part}" for name, task in TASKS.items() if task.by_value
                   for part in ("", "_differences")),
                 "accuracy_by_classifier", "accuracy_ablations", "tasks"),
    "stability": ("stability", "stability_differences", "stability_by_class", "stability_grades",
                  "stable_features", "repeatability_summary"),
    "embedding": ("embedding_quality",),
}  # fmt: skip
PICTURED = {"confusion_left_out"}
"""Tables that are shown as pictures alone."""
LONG_ROWS = 20
"""A companion table of more rows is folded away."""
SECTION_FIGURES = {
    "phantom": ("figure2", "figure3", "regions"),
    "images": ("figure4", "same_slice", *(metric.figure for metric in MAIN_METRICS if metric.figure), "decomposition"),
    "profile": ("profile_noise", "profile_sharpness", "profile_calibration", "profile_bias", "profile_geometry"),
    "features": ("figure5", "figure6", "pca"),
    "stability": ("icc_grades",),
    "learning": ("accuracy_by_n", "accuracy_tasks", "accuracy_left_out", "accuracy_by_classifier"),
}


@dataclass(frozen=True)
class MethodInputs:
    """What a method of the run came to; `profile` is None where the run started from features."""

    facts: dict
    """tables/run_facts.json: the run's facts with `tables` and `missing`."""
    tables: dict[str, pd.DataFrame]
    figures: dict[str, tuple[dict, bytes]]
    """Caption and PNG by name."""
    settings: dict[str, dict] = field(default_factory=dict)
    """Settings of the extractors by name."""
    profile: pd.DataFrame | None = None
    embedding: pd.DataFrame | None = None
    """embedding.parquet; None where the run has none."""
    icc: pd.DataFrame | None = None
    """icc.csv; None where the run has none."""
    sources: dict[str, str] = field(default_factory=dict)
    """Text of each table by name, as its file has it."""
    scores: pd.DataFrame | None = None
    """scores.csv, where methods are compared."""
    views: dict[str, dict] = field(default_factory=dict)
    """Views drawn from images, by name: slices, patches."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made of; frames and values are None or empty where a run has none."""

    methods: list[MethodInputs]
    """In the order of the page; never empty."""
    points: list[Point]
    choices: list[Choice]
    registered: pd.DataFrame | None = None
    series: pd.DataFrame | None = None
    """Where the run started from features, the series that they are of."""
    quarantine: pd.DataFrame | None = None
    transforms: pd.DataFrame | None = None
    patches: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
    corners_mm: np.ndarray | None = None
    """Corners (8, 3) of the reference's block."""
    run: dict = field(default_factory=dict)
    usage: list[dict] = field(default_factory=list)
    board: Board | None = None
    """The leaderboard, where methods are compared."""


def read_tables(folder: Path | str) -> dict[str, pd.DataFrame]:
    """Read the tables of a folder by name, without suffix."""
    return {path.stem: read_table(path) for path in sorted(Path(folder).glob("*.csv"))}


def read_figures(folder: Path | str) -> dict[str, tuple[dict, bytes]]:
    """Read caption and PNG of each figure of a folder by name; `UserError` where one lacks the other."""
    figures = {}
    for path in sorted(Path(folder).glob("*.json")):
        if path.name.endswith(SUFFIX):
            continue
        png = path.with_suffix(".png")
        if not png.is_file():
            raise UserError(f"{png} does not exist, but its caption does; draw the figure again")
        figures[path.stem] = (read_object(path), png.read_bytes())
    return figures


def png_size(png: bytes) -> tuple[int, int]:
    """Return the width and height in pixels."""
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise UserError("a figure is not a PNG; draw the figures again")
    return struct.unpack(">II", png[16:24])


def png_dpi(png: bytes) -> float:
    """Return the pixels to an inch that a PNG says it has (chunk pHYs); those of a page where it says none."""
    at = png.find(b"pHYs", 0, 1024)
    return struct.unpack(">I", png[at + 4 : at + 8])[0] * 0.0254 if at >= 0 else CSS_DPI


def _halved(png: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB").reduce(2)
    out = io.BytesIO()
    small.save(out, format="PNG", optimize=True)
    return out.getvalue()


def fit(pngs: dict[str, bytes], limit: int = IMAGE_BYTES) -> dict[str, bytes]:
    """Halve the largest pictures until all take `limit` bytes at most together."""
    pngs = dict(pngs)
    while pngs and sum(map(len, pngs.values())) > limit:
        largest = max(sorted(pngs), key=lambda name: len(pngs[name]))
        smaller = _halved(pngs[largest])
        if len(smaller) >= len(pngs[largest]):
            break
        pngs[largest] = smaller
    return pngs


def _figure_views(figures: dict[str, tuple[dict, bytes]], limit: int, method: str = "") -> dict[str, dict]:
    pngs = fit({name: png for name, (_, png) in figures.items()}, limit)
    views = {}
    for name, (caption, png) in figures.items():
        width, height = png_size(pngs[name])
        number_ = name.removeprefix("figure")
        views[name] = {
            "id": name if name in FIGURES else f"figure_{name}",
            "label": f"Figure {number_}" if name in FIGURES else "Figure",
            "title": str(caption.get("title", name)),
            "text": str(caption.get("text", "")),
            "alt": str(caption.get("alt", "")),
            "notes": [str(note) for note in caption.get("notes", [])],
            "width": width,
            "height": height,
            "file": f"{name}.svg",
            "path": f"{quote(method)}/figures/{quote(name)}.svg" if method else "",
            "least_px": round(png_size(png)[0] * CSS_DPI / png_dpi(png)),
            "png": base64.b64encode(pngs[name]).decode("ascii"),
        }
    return views


def column_hints(table: str, names: list[str]) -> list[str]:
    """Return what the contract of tables says of each column, for a reader who points at its head; blank where it says
    nothing of this one alone."""
    known = table_of(f"{NO_METHOD}/tables/{table}.csv")
    found = [known.column(name) if known else None for name in names]
    return [column.meaning if column and "<" not in column.column else "" for column in found]


def table_path(method: str, name: str) -> str:
    """Return where a table lies, seen from the report: the address of a link."""
    return f"{quote(method)}/tables/{quote(name)}.csv"


def _table_view(name: str, frame: pd.DataFrame, about: dict, facts: dict) -> dict:
    # what weights are is said below the table, and in full where the features are told of
    frame = frame.drop(columns=list(WEIGHED.values()), errors="ignore")
    comparisons = sorted(set(frame["comparison"])) if "comparison" in frame.columns else []
    compared = "compared" in comparisons
    cells = cells_of(name, frame, DOMAIN_LABELS.get(facts.get("domain", "scanner"), "value"))
    words = phantom_of(facts).words
    if "names" in cells:
        cells |= {
            "hints": [*map(words, column_hints(name, cells["names"]))],
            "columns": [*map(words, cells["columns"])],
        }
    cells = lift_repeats(cells) if not (cells.get("inline") or cells.get("where_different")) else cells
    flat = [cell for row in cells["rows"] for cell in row["cells"]]
    lines = ["this run"]
    below = (("sd", "its SD"), ("range", interval_head(frame, "ci")), ("regions", interval_head(frame, "roi_ci")))
    lines += [words for key, words in below if any(cell.get(key) for cell in flat)]
    if about.get("published") and not cells.get("inline"):
        lines.append("published, where different" if cells.get("where_different") else "published")
        lines += ["this run less published"] if compared else []
    lines += ["number of pairs (n)"] if any(cell.get("n") for cell in flat) else []
    legend = f"From top to bottom: {'; '.join(lines)}. " if len(lines) > 1 else ""
    if about.get("published"):
        legend += "" if compared else f"{NOT_COMPARABLE.get(facts['origin'], '').capitalize()}. "
        if "not_a_target" in frame.columns and (frame["not_a_target"] != "").any():
            legend += "\N{DAGGER}: the published value is not a target."
    published = BY_NAME.get(name)
    marks, named = [], [name for column in WEIGHED if column in frame.columns for name in frame[column]]
    if named:
        made = {name: weights_mark(facts, name) for name in dict.fromkeys(named)}
        marks = [f"{title_of(extractor, extractors_of(facts))}: {mark}." for extractor, mark in made.items() if mark]
    base = BY_NAME.get(name.removesuffix("_same_recon"))
    label = f"Table {base.number}" if base else "Table"
    label = label if published or not base else f"{label}, equal reconstruction"
    title = str(about.get("title", name.replace("_", " ")))
    return {
        "id": name,
        "label": label if base else title,
        "title": title,
        "heading": f"{label}. {title}" if base else title if title.startswith("Table") else f"{label}: {title}",
        "text": str(about.get("text", "")),
        "notes": [str(note) for note in about.get("notes", [])] + marks,
        "legend": legend,
        "file": f"{name}.csv",
        "path": table_path(facts["method"], name),
        "long": published is None and cells["kind"] == "grid" and len(cells["rows"]) > LONG_ROWS,
        **cells,
    }


def _summary(methods: list[MethodInputs], from_features: bool, patches: pd.DataFrame | None = None) -> list[str]:
    """What was run on what, in sentences."""
    facts = methods[0].facts
    own = phantom_of(facts)
    what = "the CT4Harmonization benchmark on" if own.is_published else "what the CT4Harmonization benchmark does, of"
    sentences = [f"This run computed {what} {facts['part']}."]
    origin = facts["origin"]
    if origin == SYNTHETIC:
        sentences.append(
            "The input is synthetic: series simulated to stand in for the collection, so the numbers show that the "
            "pipeline works, not how real scanners compare. In the digital twin the six regions are copied from one "
            "public series of the phantom (10.7937/A1V1-RC66, CC BY 4.0), without its noise and fitted to published "
            "features of scanner A1; the rest of the phantom is drawn, and the scanners are models, some of their "
            "values measured and some chosen (docs/twin.md has which). Published values are shown next to them for "
            "orientation only."
        )
    elif origin == COLLECTION:
        sentences.append(
            "The input is the real collection or a part of it; where a published value is shown next to it, the "
            "difference is given."
        )
    elif "phantom" in facts:
        sentences += [*phantom_sentences(facts), *small_region_words(facts, patches)]
    else:
        sentences.append(
            f"{NOT_COMPARABLE[origin].capitalize()}; published values are shown next to them for orientation only."
        )
    names = [method.facts["method"] for method in methods]
    others = [name for name in names if name != NO_METHOD]
    if len(names) > 1:
        one = len(others) == 1
        sentences.append(
            f"The harmonization method{'' if one else 's'} {_and(others)} {'was' if one else 'were'} applied"
            f"{' to the same series' if one else ', each to the same series'}, and {'has' if one else 'each has'} a "
            "page of its own; the report itself is of what is without harmonization (none)."
        )
    if NO_METHOD in names and from_features:
        done = "no harmonization was applied to them here, and what was done before is not known"
        sentences.append(
            "The features were given as tables: "
            f"{done if len(names) == 1 else 'what was done to them before this run is not known'}."
        )
    elif names == [NO_METHOD]:
        sentences.append("No harmonization was applied.")
    elif len(names) == 1:
        sentences.append(f"The harmonization method {names[0]} was applied.")
    modes = [mode for mode in facts.get("modes_of_features", []) if mode != facts["mode"]]
    if modes:
        sentences.append(f"Features were made in mode {' and '.join(modes)}, and evaluated in mode {facts['mode']}.")
    untrained = [w["name"] for w in weights_view(facts) if w["status"] and not w["trained"]]
    if untrained:
        sentences.append(
            f"The weights of {', '.join(untrained)} were never trained on real images: their features, and all that is "
            "made from them, show that the pipeline works, and nothing about these networks."
        )
    return sentences


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _mode_words(mode: str, points: list[Point]) -> str:
    exceptions = [point.number for point in points if point.exception]
    if mode == "paper":
        listed = ", ".join(map(str, exceptions[:-1])) + f" and {exceptions[-1]}"
        return (
            f"Mode paper: as published, except points {listed} of the deviations below, where the published way cannot "
            "be had or is damage."
        )
    return "Mode corrected: what the text of the paper says, or what is right; see the deviations below."


OF_A_SOURCE = {
    "download": re.compile("(download|idc|tcia)_|(doses|scanners|reconstructions|repetitions|max_disk)$"),
    "twin": re.compile("twin_"),
}
"""Parameters that only a run reads whose series come from there."""


OF_AN_EXTRACTOR = {"swin_unetr": re.compile("swinunetr_"), "shallow_cnn": re.compile("shallow_cnn_")}
"""Parameters that are read for the features of one extractor."""


def sources_of(parameters: dict) -> set[str]:
    """Return which of `OF_A_SOURCE` the series of a run came from: none where a folder or features were given."""
    if parameters.get("input") or parameters.get("features"):
        return set()
    return {"download"} if parameters.get("download") else {"twin"}


def _parameter_rows(run: dict) -> list[tuple[str, str]]:
    """Parameters that the run read, and whatever else it says of itself in a word."""
    more = {key: value for key, value in run.items() if isinstance(value, str) and key not in ("command", "date")}
    given = run.get("parameters", {})
    idle = [pattern for source, pattern in OF_A_SOURCE.items() if source not in sources_of(given)]
    made = str(given.get("feature_sets") or "all").split(",")
    idle += [pattern for extractor, pattern in OF_AN_EXTRACTOR.items() if not {extractor, "all"} & set(made)]
    values = {**more, **{name: value for name, value in given.items() if not any(p.match(name) for p in idle)}}
    return [(str(name), "" if value is None else str(value)) for name, value in sorted(values.items())]


def page_name(method: str) -> str:
    """Return the file of a method's page, which lies beside the report; the report itself is that of `none`."""
    return f"report_{method}.html"


def method_view(
    inputs: MethodInputs, registered: pd.DataFrame | None, card: dict | None = None,
    plain: MethodInputs | None = None, series: pd.DataFrame | None = None, titles: dict[str, str] | None = None,
) -> dict:  # fmt: skip
    """Return the values of a method's part of the page, headed by its title as the leaderboard has it (`titles`).

    `registered` has the series, None where the run started from features, of which `series` are then; `plain` is what
    there is without harmonization, None for that itself.
    """
    facts, method = inputs.facts, inputs.facts["method"]
    # what maps features has the images of no method
    of_images = plain if plain and IMAGELESS in facts.get("missing", {}).values() else inputs
    about, missing = facts.get("tables", {}), dict(facts.get("missing", {}))
    figures = _figure_views(inputs.figures, IMAGE_BYTES, method)
    views = {name: _table_view(name, frame, about.get(name, {}), facts) for name, frame in inputs.tables.items()}
    placed = {name for names in SECTION_FIGURES.values() for name in names}
    shown = {name for names in SECTION_TABLES.values() for name in names} | PICTURED
    missing |= {name: reason for name, reason in absent_figures(facts).items() if name not in figures}
    for name in FIGURES:
        if name not in figures and name not in missing:
            no_volumes = registered is None and name in IMAGE_FIGURES
            missing[name] = "no volumes: the run started from features" if no_volumes else "not drawn in this run"
    nothing = "features as they were given" if registered is None else "no harmonization"
    title = (titles or {}).get(method, method).removesuffix(f" ({method})")
    named = method if title == method else f"{title} ({method})"
    stamp = f"{facts['origin_words']}; mode {facts['mode']}{'' if method == NO_METHOD else f'; method {method}'}."
    return {
        "method": method,
        "words": nothing if method == NO_METHOD else f"method {named}",
        "title": f"Method {method}: {nothing}" if method == NO_METHOD else f"Method {named}",
        "card": card,
        "prefix": "",
        "level": 2,
        "before": before_and_after(inputs.tables, plain.tables, facts, inputs.scores) if plain else None,
        "stamp": stamp.capitalize(),
        "answers": answers(inputs.tables, facts),
        "picture": answer_picture(inputs.tables, facts),
        "charts": charts_of(inputs.tables, inputs.profile, facts)
        | {"before": before_charts(inputs.profile, plain.profile if plain else None, method, phantom_of(facts))},
        "folder": quote(method),
        "slices": slices_view(inputs.views.get("slices")),
        "points": points_view(
            inputs.embedding,
            series if registered is None else registered,
            facts,
            inputs.tables.get("embedding_quality"),
            of_images.views.get("patches"),
        ),
        "ranks": ranks_view(inputs.icc, facts),
        "headlines": image_headlines(inputs.tables, facts),
        "feature_headlines": feature_headlines(inputs.tables, facts),
        "not_comparable": NOT_COMPARABLE.get(facts["origin"], ""),
        "tables": views,
        "figures": figures,
        "other_tables": sorted(set(views) - shown),
        "other_figures": sorted(set(figures) - placed),
        "missing": [{"name": name, "reason": str(reason)} for name, reason in sorted(missing.items())],
        "weights": weights_view(facts),
        "extractors": extractors_view(inputs.settings, extractors_of(facts)),
        "profile": profile_view(inputs.profile, facts),
        "checks": checks_view(facts),
        "settings": [
            {"name": title_of(name, extractors_of(facts)), "text": json.dumps(values, indent=1, sort_keys=True)}
            for name, values in sorted(inputs.settings.items())
        ],
    }


def context(inputs: ReportInputs, at: int = 0) -> dict:
    """Return all values of the template for the page of a method: what is of the run, and a view of the method.

    The first method's page is the report: the leaderboard stands there, and what is of the run alone.
    """
    shown = inputs.methods[at]
    facts, whole = shown.facts, at == 0
    first, several = inputs.methods[0], len(inputs.methods) > 1
    card, titles = None, titles_of(inputs.board.methods) if inputs.board is not None else {}
    if inputs.board is not None and not whole:
        form, told = MODES[facts["mode"]].icc_headline, phantom_of(facts).words
        card = method_card(inputs.board, facts["method"], shown.scores, shown.tables, first.tables, form, told)
    view = method_view(shown, inputs.registered, card, None if whole else first, inputs.series, titles)
    if inputs.board is not None and whole:
        told = method_answer(inputs.board.scores, titles, facts)
        view["answers"] += [told] if told else []
    pages = {method.facts["method"]: quote(page_name(method.facts["method"])) for method in inputs.methods[1:]}
    others = [
        {"method": name, "page": page, "title": titles.get(name, name).removesuffix(f" ({name})")}
        for name, page in pages.items()
    ]
    usage, used = merge_usage(inputs.usage)
    versions = {**used, **{str(k): str(v) for k, v in inputs.run.get("versions", {}).items()}}
    phantom = phantom_of(facts)
    points, choices, left_out = told_points(inputs.points, inputs.choices, phantom)
    return {
        "facts": facts,
        "heading": "CT4Harmonization benchmark" if phantom.is_published else phantom.name,
        "own_phantom": not phantom.is_published,
        "printed": phantom.printed_block,
        "class_word": phantom.class_word,
        "several": several,
        "whole": whole,
        "from_features": inputs.registered is None,
        "others": others,
        "m": view,
        "data_words": data_words(facts),
        "files": {table_path(facts["method"], name): text for name, text in sorted(shown.sources.items())},
        "summary": _summary(inputs.methods, inputs.registered is None, inputs.patches),
        "board": board_view(inputs.board, facts, pages) | {"figures": _figure_views(inputs.board.figures, IMAGE_BYTES)}
        if inputs.board is not None and whole
        else None,
        "mode_words": _mode_words(facts["mode"], points),
        "section_figures": SECTION_FIGURES,
        "section_tables": SECTION_TABLES,
        "patches": patches_view(inputs.patches),
        "patches_words": patches_words(facts, inputs.patches),
        "grid_words": grid_words(facts["mode"], inputs.transforms),
        "registration": registration_view(inputs.transforms, inputs.registered, inputs.truth, inputs.corners_mm),
        "rounding": rounding_view(inputs.registered),
        "quarantine": quarantine_view(inputs.quarantine),
        "points": points,
        "choices": choices,
        "points_left_out": left_out,
        "parameters": _parameter_rows(inputs.run),
        "versions": sorted(versions.items()),
        "command": str(inputs.run.get("command", "")),
        "date": str(inputs.run.get("date", "")),
        "usage": usage_view(usage),
        "glossary": sorted(read_glossary().items(), key=lambda item: item[0].lower()),
        "paper": PAPER,
        "data": DATA,
        "data_doi": DATA_DOI,
        "licence": LICENCE,
    }


def least_widths(values) -> set[int]:
    """Return the least widths in pixels of all figures among the values of the template."""
    if isinstance(values, dict):
        own = {values["least_px"]} if "least_px" in values else set()
        return own.union(*map(least_widths, values.values()))
    return set().union(*map(least_widths, values)) if isinstance(values, list) else set()


def render(inputs: ReportInputs, template: Path | str = TEMPLATE, at: int = 0) -> str:
    """Render the page of the method with this place among `inputs.methods`; that of the first is the report."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        environment.filters |= {"as_data": data_block, "terms": with_terms}
        page = environment.from_string(Path(template).read_text(encoding="utf-8"))
        values = context(inputs, at)
        looks = style(least_widths(values))
        return page.render(**values, style=looks, scripts=scripts(), policy=policy(looks, scripts()))
    except (OSError, TemplateError) as error:
        raise UserError(f"{template} cannot be used as the report's template ({error_words(error)})") from error


def write_pages(inputs: ReportInputs, output: Path, template: Path | str = TEMPLATE) -> None:
    """Write the report, and beside it a page for each further method."""
    output.parent.mkdir(parents=True, exist_ok=True)
    for at, method in enumerate(inputs.methods):
        path = output.with_name(page_name(method.facts["method"])) if at else output
        path.write_text(render(inputs, template, at), encoding="utf-8")


def read_usage(paths) -> list[dict]:
    """Read what tasks cost: files that hold one JSON object each, a list of them, or a line for each."""
    tasks = []
    for path in sorted(map(str, paths)):
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
            values = json.loads(text) if text[:1] == "[" else [json.loads(line) for line in text.splitlines() if line]
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as JSON ({error_words(error)}); leave it out of --usage") from error
        tasks += [task for task in values if isinstance(task, dict)]
    return tasks


def read_method(folder: Path | str) -> MethodInputs:
    """Read a folder as a run publishes it: tables/, figures/, features/<extractor>.json, scanner_profile.csv."""
    folder = Path(folder)
    profile = folder / "scanner_profile.csv"
    embedding, icc = folder / "embedding.parquet", folder / "icc.csv"
    scores = folder / "scores.csv"
    return MethodInputs(
        facts=read_run_facts(folder / "tables" / "run_facts.json"),
        tables=read_tables(folder / "tables"),
        figures=read_figures(folder / "figures"),
        settings=read_settings((folder / "features").glob("*.json")),
        profile=read_table(profile) if profile.is_file() else None,
        embedding=read_table(embedding) if embedding.is_file() else None,
        icc=read_table(icc) if icc.is_file() else None,
        sources={path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "tables").glob("*.csv"))},
        scores=read_table(scores) if scores.is_file() else None,
        views=read_views(folder / "figures"),
    )


def read_board(folder: Path | str) -> Board:
    """Read the leaderboard of a run, and its figures."""
    folder = Path(folder)
    tables = (read_table(folder / f"{name}.csv") for name in ("leaderboard", "methods", "leaderboard_makers"))
    captions = {path.stem for path in folder.glob("*.json") if path.with_suffix(".png").is_file()}
    figures = {
        name: (read_object(folder / f"{name}.json"), (folder / f"{name}.png").read_bytes()) for name in sorted(captions)
    }
    return Board(*tables, figures)


def read_inputs(args) -> ReportInputs:
    """Read everything that the script's arguments name; what was not given is None or empty."""

    def table(path):
        return read_table(path) if path else None

    corners = None
    if args.reference:
        corners = np.array(read_reference_values(args.reference)["corners_mm"], float)
    points, choices = read_deviations(args.deviations or SOURCE)
    methods = [read_method(folder) for folder in args.methods]
    names = [method.facts["method"] for method in methods]
    if len(set(names)) < len(names):
        raise UserError(f"two folders of --methods hold the same method ({', '.join(names)}); give each once")
    return ReportInputs(
        methods=methods,
        points=points,
        choices=choices,
        registered=table(args.registered),
        series=read_series(args.series) if args.series else None,
        quarantine=table(args.quarantine),
        transforms=table(args.transforms),
        patches=table(args.patches),
        truth=table(args.truth),
        corners_mm=corners,
        run=read_object(args.run) if args.run else {},
        usage=read_usage(args.usage),
        board=read_board(args.board) if args.board else None,
    )
