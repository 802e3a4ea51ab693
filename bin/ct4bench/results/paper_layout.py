"""Tables 1-7 in the paper's layout for a manuscript: tables.tex (LaTeX with booktabs) and tables.docx (Word, OpenXML).

Only this run's values stand there, as `mean ± SD`; the CSV files have full digits, intervals and published values.
Each caption says what a reader must know: synthetic input, the mode, untrained weights. The same tables give the same
bytes: entries of the archive have no date.
"""

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD, scanner_rank
from ct4bench.core.metrics import BY_TABLE, MAIN_METRICS
from ct4bench.results.run_facts import SYNTHETIC, weights_mark

NONE, SIGN = "\N{EN DASH}", " \N{PLUS-MINUS SIGN} "
ACQUISITION = {
    "scanner": "Scanner", "manufacturer_model": "Manufacturer and model", "tube_voltage_kv": "Tube voltage (kV)",
    "tube_current_time_product_mas": "Current-time product (mAs)", "pitch": "Pitch",
    "rotation_time_s": "Rotation time (s)", "collimation_mm": "Collimation (mm)",
    "slice_thickness_mm": "Slice thickness (mm)", "slice_increment_mm": "Slice increment (mm)",
    "reconstructions": "Reconstructions",
}  # fmt: skip
PAPER_DIGITS = 3


@dataclass(frozen=True)
class Grid:
    """A table as text: `number` of the paper's table, its head and its rows."""

    number: int
    title: str
    head: list[str]
    rows: list[list[str]]


def _number(value, decimals: int | None = None) -> str:
    if value is None or isinstance(value, str):
        return value or NONE
    if pd.isna(value):
        return NONE
    if math.isinf(value):
        return "inf"
    return f"{value:g}" if decimals is None else f"{value:.{decimals}f}"


def _mean(row: dict, stem: str, decimals: int) -> str:
    mean, sd = row.get(f"{stem}_mean"), row.get(f"{stem}_sd")
    said = _number(mean, decimals)
    return said if said == NONE or sd is None or pd.isna(sd) else f"{said}{SIGN}{_number(sd, decimals)}"


def _acquisition(frame: pd.DataFrame, title: str) -> Grid:
    columns = [name for name in ACQUISITION if name in frame.columns]
    rows = [[_number(row[name]) for name in columns] for row in frame.to_dict("records")]
    return Grid(1, title, [ACQUISITION[name] for name in columns], rows)


def _counts(frame: pd.DataFrame, title: str) -> Grid:
    counts = [name for name in frame.columns if re.fullmatch(r"n_(?:[\d.]+mgy|[a-z]+)", name)]
    heads = {"n_series": "Series"} | {
        name: f"{name[2:-3]} mGy" if name.endswith("mgy") else name[2:].upper() for name in counts if name != "n_series"
    }
    rows = [
        [row["scanner"], _number(row["manufacturer_model"]), *(_number(row[name]) for name in counts)]
        for row in frame.to_dict("records")
    ]
    return Grid(2, title, ["Scanner", "Manufacturer and model", *(heads[name] for name in counts)], rows)


def _matrix(frame: pd.DataFrame, metric, title: str) -> Grid:
    """The lower triangle of a scanner table."""
    order = sorted({*frame["scanner_row"], *frame["scanner_col"]}, key=scanner_rank)
    known = {(row["scanner_row"], row["scanner_col"]): row for row in frame.to_dict("records")}
    rows = [
        [name, *(_mean(known.get((name, other), {}), metric.name, metric.decimals) if j <= i else ""
                 for j, other in enumerate(order))]
        for i, name in enumerate(order)
    ]  # fmt: skip
    return Grid(metric.paper_table, title, ["", *order], rows)


def _doses(frame: pd.DataFrame, title: str) -> Grid:
    metrics = [metric for metric in MAIN_METRICS if metric.paper_table]
    rows = [
        [row["scanner"], "average" if row["row_kind"] == "average" else f"{row['dose_mgy']:g}",
         *(_mean(row, metric.name, metric.decimals) for metric in metrics)]
        for row in frame.to_dict("records")
    ]  # fmt: skip
    return Grid(6, title, ["Scanner", "Dose (mGy)", *(metric.head for metric in metrics)], rows)


def _features(frame: pd.DataFrame, title: str) -> Grid:
    stems = [
        name.removesuffix("_mean") for name in frame.columns if re.fullmatch(r"(?:loso|tenfold)_.*_acc_mean", name)
    ]
    form = next((value for value in frame.get("icc_form", []) if isinstance(value, str) and value), "ICC")
    heads = [
        f"{'LOSO' if stem.startswith('loso') else '10-fold'} accuracy, {stem.split('_')[1]} "
        f"{stem.split('_')[2]}" for stem in stems
    ]  # fmt: skip
    rows = [
        [row["features"], *(_mean(row, stem, PAPER_DIGITS) for stem in ("icc", *stems))]
        for row in frame.to_dict("records")
    ]
    return Grid(7, title, ["Features", f"Mean {form}", *heads], rows)


def paper_grids(tables: dict[str, tuple[pd.DataFrame, str]]) -> list[Grid]:
    """Return Tables 1-7 of a run as text, in order; `tables` are (frame, title) by name, those that it lacks are left
    out."""
    makers = {
        "table1_acquisition": _acquisition, "table2_series_counts": _counts,
        **{name: lambda frame, title, metric=metric: _matrix(frame, metric, title)
           for name, metric in BY_TABLE.items() if metric.paper_table},
        "table6_dose": _doses, "table7_stability_classification": _features,
    }  # fmt: skip
    grids = [make(*tables[name]) for name, make in makers.items() if name in tables and len(tables[name][0])]
    return sorted(grids, key=lambda grid: grid.number)


def caption_words(facts: dict, number: int) -> str:
    """Return what the caption of a table must say besides its title."""
    words = ["synthetic data" if facts["origin"] == SYNTHETIC else facts["origin_words"], f"mode {facts['mode']}"]
    words += [f"harmonization method {facts['method']}"] if facts["method"] != NO_METHOD else []
    if number == 7:
        marks = {name: weights_mark(facts, name) for name in sorted(facts.get("weights", {}))}
        words += [f"{name}: {mark}" for name, mark in marks.items() if mark]
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."


TEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
}  # fmt: skip


def tex_of(text: str) -> str:
    """Return a text for LaTeX: every sign stands for itself."""
    return "".join(TEX_SIGNS.get(sign, sign) for sign in text)


LONG_ROWS = 45
"""A table of more rows does not fit on a page, and runs over several."""
WIDE_SIGNS = 100
"""A table whose longest cells have so many signs side by side stands upright on a page of its own."""


def _widths(grid: Grid) -> list[int]:
    """Signs of the longest cell of each column; of its head the longest word."""
    return [
        max([len(word) for word in head.split()] + [len(row[at]) for row in grid.rows] + [1])
        for at, head in enumerate(grid.head)
    ]


def _right(grid: Grid) -> list[bool]:
    """Which columns stand to the right: not the first, nor those whose cells are words for the most part."""
    words = [sum(bool(re.match(r"[A-Za-z]{2}", row[at])) for row in grid.rows) for at in range(len(grid.head))]
    return [at > 0 and n <= len(grid.rows) / 2 for at, n in enumerate(words)]


def _tex_table(grid: Grid, facts: dict) -> str:
    columns = "".join("r" if right else "l" for right in _right(grid))
    caption = rf"\caption{{{tex_of(f'{grid.title}. {caption_words(facts, grid.number)}')}}}"
    label, head = rf"\label{{tab:{grid.number}}}", " & ".join(map(tex_of, grid.head)) + r" \\"
    lines = [" & ".join(map(tex_of, row)) + r" \\" for row in grid.rows]
    if len(grid.rows) > LONG_ROWS:
        return "\n".join([
            rf"\begin{{longtable}}{{{columns}}}", rf"{caption}{label}\\", r"\toprule", head, r"\midrule",
            r"\endfirsthead", r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot", *lines,
            r"\end{longtable}",
        ])  # fmt: skip
    name = "sidewaystable" if sum(_widths(grid)) > WIDE_SIGNS else "table"
    return "\n".join([
        rf"\begin{{{name}}}", caption, label, r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *lines, r"\bottomrule",
        r"\end{tabular}}", rf"\end{{{name}}}",
    ])  # fmt: skip


TEX_PACKAGES = ("booktabs", "graphicx", "longtable", "rotating")


def to_tex(grids: list[Grid], facts: dict) -> str:
    r"""Return LaTeX tables, to be read by \input with `TEX_PACKAGES`; wide ones stand upright, and are scaled down to
    the page."""
    packages = "\n".join(rf"% \usepackage{{{name}}}" for name in TEX_PACKAGES)
    return "\n\n".join([packages, *(_tex_table(grid, facts) for grid in grids)]) + "\n"


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>',
}
"""What a document of Word must have beside its text (ECMA-376, part 2)."""
FIRST_DATE = (1980, 1, 1, 0, 0, 0)


PAGE_TWIPS = 16838 - 2 * 720
"""Width of a landscape page between its margins, in twentieths of a point."""


def _paragraph(text: str, size: int, bold: bool = False, right: bool = False, with_next: bool = False) -> str:
    looks = f'{"<w:b/>" if bold else ""}<w:sz w:val="{size}"/>'
    place = ("<w:keepNext/>" if with_next else "") + ('<w:jc w:val="right"/>' if right else "")
    place = f"<w:pPr>{place}</w:pPr>" if place else ""
    return f'<w:p>{place}<w:r><w:rPr>{looks}</w:rPr><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def to_docx(grids: list[Grid], facts: dict, path: Path | str) -> None:
    """Write the tables as a document of Word, landscape, each below its caption; their heads repeat on every page."""
    body = []
    for grid in grids:
        caption = f"Table {grid.number}. {grid.title}. {caption_words(facts, grid.number)}"
        body.append(_paragraph(caption, 18, bold=True, with_next=True))
        lines, right = [], _right(grid)
        for at, row in enumerate([grid.head, *grid.rows]):
            # a value and its SD stand on one line
            texts = [cell.replace(SIGN, SIGN.replace(" ", "\N{NO-BREAK SPACE}")) for cell in row]
            cells = "".join(
                f"<w:tc><w:tcPr/>{_paragraph(cell, 13, bold=at == 0, right=to_right, with_next=at == 0)}</w:tc>"
                for cell, to_right in zip(texts, right, strict=True)
            )
            more = "<w:cantSplit/><w:tblHeader/>" if at == 0 else "<w:cantSplit/>"
            lines.append(f"<w:tr><w:trPr>{more}</w:trPr>{cells}</w:tr>")
        edges = "".join(f'<w:{side} w:val="single" w:sz="6"/>' for side in ("top", "bottom"))
        signs = [max(width, 4) + 2 for width in _widths(grid)]
        columns = "".join(f'<w:gridCol w:w="{round(PAGE_TWIPS * n / sum(signs))}"/>' for n in signs)
        body.append(
            f'<w:tbl><w:tblPr><w:tblW w:w="5000" w:type="pct"/><w:tblBorders>{edges}</w:tblBorders></w:tblPr>'
            f"<w:tblGrid>{columns}</w:tblGrid>{''.join(lines)}</w:tbl>{_paragraph('', 18)}"
        )
    page = '<w:sectPr><w:pgSz w:w="16838" w:h="11906" w:orient="landscape"/><w:pgMar w:top="720" w:right="720" w:bottom="720" w:left="720" w:header="0" w:footer="0" w:gutter="0"/></w:sectPr>'  # noqa: E501
    document = f'<w:document xmlns:w="{WORD}"><w:body>{"".join(body)}{page}</w:body></w:document>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**PACKAGE, "word/document.xml": document}.items():
            head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            archive.writestr(zipfile.ZipInfo(name, FIRST_DATE), head + text, zipfile.ZIP_DEFLATED)
