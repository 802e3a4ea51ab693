"""Figures 5 and 6: UMAP of the features, by scanner and maker, and by tissue."""

# code-table: <method>/embedding.parquet

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ct4bench.core.benchmark import MAKERS, TISSUES, scanner_rank, tissue_of
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.extractors import extractors_of
from ct4bench.figures.feature_sets import feature_sets
from ct4bench.figures.style import (
    MAKER_COLOURS,
    TISSUE_COLOURS,
    TISSUE_MARKERS,
    Caption,
    colour_of,
    message_panel,
    new_figure,
    save_figure,
    stamp,
    styled,
)
from ct4bench.results.run_facts import extractor_title, stamp_text

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p", "8")
"""Scanners of one maker, in the paper's order."""
RASTERISED_ROWS = 3000
"""From so many points on, a panel's points are one picture inside the SVG."""
KEYS = ("series_uid", "scanner", "maker", "recon")
EMBEDDING_COLUMNS = columns_of("<method>/embedding.parquet")
LEGEND = {
    "loc": "upper left",
    "alignment": "left",
    "handletextpad": 0.2,
    "columnspacing": 1.0,
    "title_fontproperties": {"weight": "bold", "size": 8},
}
LEGEND_ANCHORS = (0.03, 0.26, 0.39, 0.50, 0.60)


def with_series(embedding: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """Return `embedding` with scanner, maker, reconstruction and tissue of each row; `UserError` for a series
    unknown."""
    known = series.drop_duplicates("series_uid")[list(KEYS)]
    rows = embedding.merge(known, on="series_uid", how="left")
    if rows["scanner"].isna().any():
        uid = rows.loc[rows["scanner"].isna(), "series_uid"].iloc[0]
        raise UserError(f"the embedding has series {uid}, which the table of series lacks; give both of one run")
    return rows.assign(tissue=rows["roi"].map(tissue_of))


def marker_of(scanners_by_maker: dict[str, list[str]]) -> dict[str, str]:
    """Return a marker for each scanner, no two of a maker the same while there are enough."""
    return {
        scanner: MARKERS[i % len(MARKERS)]
        for scanners in scanners_by_maker.values()
        for i, scanner in enumerate(sorted(scanners, key=scanner_rank))
    }


def _by_maker(rows: pd.DataFrame) -> dict[str, list[str]]:
    order = [m for m in MAKERS if m in set(rows["maker"])] + sorted(set(rows["maker"]) - set(MAKERS))
    return {maker: sorted(set(rows.loc[rows["maker"] == maker, "scanner"]), key=scanner_rank) for maker in order}


def _panel(axes, title: str, plane: str = "UMAP"):
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(f"{plane} 1")
    axes.set_ylabel(f"{plane} 2")


def _scatter(axes, rows: pd.DataFrame, size: float, filled: bool = True, plane: str = "UMAP", **look):
    colour = look.pop("colour")
    fill = {"facecolors": colour, "edgecolors": look.pop("edge", "white"), "linewidths": 0.3}
    if not filled:
        fill = {"facecolors": "none", "edgecolors": colour, "linewidths": 1.0}
    axes.scatter(rows[f"{plane.lower()}_1"], rows[f"{plane.lower()}_2"], s=size, **fill, **look)


def _extractors(rows: pd.DataFrame, facts: dict) -> list[str]:
    """Those of the rows, and all of the paper's where one of these is among them."""
    found = set(rows["extractor"])
    paper = {name for name, entry in extractors_of(facts).items() if entry.paper}
    return feature_sets(found | paper if found & paper else found, facts)


def _neighbours(n: int) -> str:
    return f"{min(100, n - 1)} neighbours, minimum distance 1, 1000 epochs"


@styled
def draw_figure5(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the UMAP of cyst1's rows, coloured by maker, a marker for each scanner, hollow where FBP.

    `rows` come from `with_series` and have the rows of the figure only.
    """
    extractors, makers = _extractors(rows, facts), _by_maker(rows)
    markers = marker_of(makers)
    figure = new_figure(11.0, 4.55)
    grid = figure.add_gridspec(1, len(extractors), left=0.03, right=0.985, top=0.93, bottom=0.325, wspace=0.1)
    for number, extractor in enumerate(extractors):
        axes = figure.add_subplot(grid[number])
        own = rows[rows["extractor"] == extractor]
        _panel(axes, extractor_title(extractor, facts))
        if own.empty:
            message_panel(axes, "no features of this extractor in this run")
            continue
        for maker, scanners in makers.items():
            colour = colour_of(maker, MAKER_COLOURS, makers)
            for scanner in scanners:
                for recon, part in own[own["scanner"] == scanner].groupby("recon"):
                    edge = "black" if recon == "DL" else "white"
                    _scatter(axes, part, 26, recon != "FBP", colour=colour, edge=edge, marker=markers[scanner],
                             rasterized=len(own) > RASTERISED_ROWS)  # fmt: skip
    for column, (maker, scanners) in enumerate(makers.items()):
        colour = colour_of(maker, MAKER_COLOURS, makers)
        handles = [
            Line2D([], [], linestyle="", marker=markers[scanner], color=colour, markersize=5.5, label=scanner)
            for scanner in scanners
        ]
        anchor = (LEGEND_ANCHORS[min(column, len(LEGEND_ANCHORS) - 1)], 0.245)
        figure.legend(
            handles=handles, title=maker, ncols=3 if len(scanners) > 3 else 1, bbox_to_anchor=anchor, **LEGEND
        )
    forms = [("FBP", {"markerfacecolor": "none"}), ("IR", {}), ("DL", {"markeredgecolor": "black"})]
    handles = [
        Line2D([], [], linestyle="", marker="o", color="#555555", markersize=5.5, label=recon, **look)
        for recon, look in forms
        if recon in set(rows["recon"])
    ]
    figure.legend(handles=handles, title="reconstruction", bbox_to_anchor=(0.80, 0.245), **LEGEND)
    stamp(figure, stamp_text(facts, extractors))
    n_rows = rows.groupby("extractor").size().max()
    caption = Caption(
        "figure5",
        "Features of the first cyst by scanner and maker",
        f"UMAP of the {n_rows} feature vectors of cyst1 from {rows['series_uid'].nunique()} series of "
        f"{rows['scanner'].nunique()} scanners, for each extractor in an embedding of its own (z-scored features, "
        f"{_neighbours(n_rows)}). Colour: maker; marker: scanner; hollow: FBP, filled: IR, black edge: DL. The axes "
        "have no unit; only who lies near whom means something.",
        "Scatter plots, one for each feature extractor, of points in clusters by scanner maker.",
        _missing(rows, extractors),
    )
    return figure, caption


def _missing(rows: pd.DataFrame, extractors: list[str]) -> list[str]:
    gone = [extractor for extractor in extractors if extractor not in set(rows["extractor"])]
    return [f"No features of {', '.join(gone)} in this run."] if gone else []


def _two_colourings(rows: pd.DataFrame, facts: dict, plane: str) -> Figure:
    """All rows in the plane `UMAP` or `PCA`: by maker on the left, by tissue on the right, a row for each extractor."""
    extractors, makers = _extractors(rows, facts), _by_maker(rows)
    markers = marker_of(makers)
    tissues = [t for t in TISSUES if t in set(rows["tissue"])] + sorted(set(rows["tissue"]) - set(TISSUES))
    panel_in, head, foot = 3.3, 0.55, 0.72
    total = len(extractors) * panel_in + head + foot
    figure = new_figure(9.2, total)
    grid = figure.add_gridspec(
        len(extractors), 2, left=0.035, right=0.985, top=1 - head / total, bottom=foot / total, wspace=0.07, hspace=0.19
    )
    for number, extractor in enumerate(extractors):
        own = rows[rows["extractor"] == extractor]
        left, right = (figure.add_subplot(grid[number, column]) for column in (0, 1))
        for axes, what in ((left, "by maker"), (right, "by tissue")):
            _panel(axes, f"{extractor_title(extractor, facts)}, {what}", plane)
            if own.empty:
                message_panel(axes, "no features of this extractor in this run")
        look = {"rasterized": len(own) > RASTERISED_ROWS, "alpha": 0.8, "plane": plane}
        for maker, scanners in makers.items():
            for scanner in scanners:
                part = own[own["scanner"] == scanner]
                _scatter(
                    left, part, 11, colour=colour_of(maker, MAKER_COLOURS, makers), marker=markers[scanner], **look
                )
        for tissue in tissues:
            colour = colour_of(tissue, TISSUE_COLOURS, tissues)
            marker = TISSUE_MARKERS.get(tissue, "X")
            part = own[own["tissue"] == tissue]
            _scatter(right, part, 11, colour=colour, edge="#555555", marker=marker, **look)
    colours = [
        Line2D(
            [], [], linestyle="", marker="o", color=colour_of(maker, MAKER_COLOURS, makers), markersize=6, label=maker
        )
        for maker in makers
    ]
    figure.legend(
        handles=colours,
        loc="lower left",
        bbox_to_anchor=(0.03, 0.26 / total),
        ncols=len(colours),
        handletextpad=0.2,
        columnspacing=1.2,
    )
    colours = [
        Line2D([], [], linestyle="", marker=TISSUE_MARKERS.get(t, "X"), color=colour_of(t, TISSUE_COLOURS, tissues),
               markeredgecolor="#555555", markersize=6, label=t)
        for t in tissues
    ]  # fmt: skip
    figure.legend(
        handles=colours,
        loc="lower left",
        bbox_to_anchor=(0.515, 0.26 / total),
        ncols=len(colours),
        handletextpad=0.2,
        columnspacing=1.2,
    )
    stamp(figure, stamp_text(facts, extractors))
    return figure


@styled
def draw_pca(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the first two principal components of the rows of Figure 6, in its form."""
    caption = Caption(
        "pca",
        "The same features by their principal components",
        "First two principal components of the z-scored features of Figure 6, in which distances keep their meaning. "
        "Their shares of the variance, how far neighbourhoods are kept, and silhouettes of scanner, maker and tissue "
        "among all features are in the table embedding_quality.",
        "Pairs of scatter plots of the same points, on the left coloured by scanner maker, on the right by tissue.",
        _missing(rows, _extractors(rows, facts)),
    )
    return _two_colourings(rows, facts, "PCA"), caption


@styled
def draw_figure6(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the UMAP of all rows: by maker on the left, by tissue on the right, a row of panels for each extractor."""
    figure, extractors = _two_colourings(rows, facts, "UMAP"), _extractors(rows, facts)
    n_rows = rows.groupby("extractor").size().max()
    caption = Caption(
        "figure6",
        "Features of all ROIs by maker and by tissue",
        f"UMAP of all {n_rows} feature vectors ({rows['roi'].nunique()} ROIs, {rows['series_uid'].nunique()} series of "
        f"{rows['scanner'].nunique()} scanners), one embedding for each extractor (z-scored features, "
        f"{_neighbours(n_rows)}). Left: colour by maker, marker by scanner as in Figure 5. Right: colour and marker by "
        "tissue.",
        "Pairs of scatter plots of the same points, on the left coloured by scanner maker, on the right by tissue.",
        _missing(rows, extractors),
    )
    return figure, caption


def draw_embedding(embedding: pd.DataFrame, series: pd.DataFrame, facts: dict, folder: Path) -> None:
    """Draw figures 5 and 6, and the latter's principal components, into `folder`.

    `series` has a row or more for each series (`KEYS`).
    """
    rows = with_series(embedding, series)
    for name, draw in (("figure5", draw_figure5), ("figure6", draw_figure6), ("figure6", draw_pca)):
        own = rows[rows["figure"] == name]
        if own.empty:
            raise UserError(f"the embedding has no rows of {name}; make it with embed_features.py")
        save_figure(*draw(own, facts), folder)
