"""Figures 5 and 6: UMAP of the features, by scanner and maker, and by tissue."""

# code-table: <method>/embedding.parquet

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial import cKDTree

from ct4bench.core.benchmark import MAKERS, TISSUES, scanner_rank
from ct4bench.core.colours import MAKER_COLOURS, class_colour, colour_of
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.extractors import extractors_of
from ct4bench.core.regions import CT4HARMONIZATION, Phantom, phantom_of
from ct4bench.figures.feature_sets import feature_sets
from ct4bench.figures.style import (
    WIDTH_IN,
    Caption,
    add_legend,
    marker_of,
    message_panel,
    new_figure,
    save_figure,
    stamp,
    styled,
)
from ct4bench.results.run_facts import extractor_title, stamp_text

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p", "8")
SCANNER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#8C564B", "#56B4E9")
"""Scanners of one maker, in the paper's order: a marker and a colour each."""
MAKER_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
OTHERS = "#dcdcdc"
"""The points of other makers in a maker's panel."""
N_MAKER_COLUMNS = 4
RASTERISED_ROWS = 3000
"""From so many points on, a panel's points are one picture inside the SVG."""
KEYS = ("series_uid", "scanner", "maker", "recon")
EMBEDDING_COLUMNS = columns_of("<method>/embedding.parquet")
LEGEND = {"handletextpad": 0.2, "columnspacing": 1.0}
RECON_FORMS = {"FBP": ("hollow", {"markerfacecolor": "none"}), "IR": ("filled", {}),
               "DL": ("black edge", {"markeredgecolor": "black"})}  # fmt: skip
"""How points of a reconstruction look, in words and in the legend."""


def with_series(embedding: pd.DataFrame, series: pd.DataFrame, phantom: Phantom = CT4HARMONIZATION) -> pd.DataFrame:
    """Return `embedding` with scanner, maker, reconstruction and tissue of each row; `UserError` for a series
    unknown."""
    known = series.drop_duplicates("series_uid")[list(KEYS)]
    rows = embedding.merge(known, on="series_uid", how="left")
    if rows["scanner"].isna().any():
        uid = rows.loc[rows["scanner"].isna(), "series_uid"].iloc[0]
        raise UserError(f"the embedding has series {uid}, which the table of series lacks; give both of one run")
    return rows.assign(tissue=rows["roi"].map(phantom.class_of))


def looks_of(scanners: list[str]) -> dict[str, dict[str, str]]:
    """Return colour and marker of each scanner of one maker; no two are the same while there are fewer than 91."""
    return {
        scanner: {"colour": SCANNER_COLOURS[i % len(SCANNER_COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, scanner in enumerate(sorted(scanners, key=scanner_rank))
    }


def maker_markers(makers) -> dict[str, str]:
    """Return a marker for each maker."""
    return {maker: MAKER_MARKERS[i % len(MAKER_MARKERS)] for i, maker in enumerate(makers)}


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
    """Those of the rows; of the benchmark's phantom all of the paper's where one of these is among them."""
    found = set(rows["extractor"])
    paper = {name for name, entry in extractors_of(facts).items() if entry.paper and phantom_of(facts).is_published}
    return feature_sets(found | paper if found & paper else found, facts)


def _neighbours(n: int) -> str:
    return f"{min(100, n - 1)} neighbours, minimum distance 1, 1000 epochs"


def _legend_columns(names: list[str]) -> int:
    """Columns of a legend below a panel, by its longest name."""
    longest = max(map(len, names))
    return 3 if longest <= 6 else 2 if longest <= 12 else 1


def _forms_in_words(recons) -> str:
    return ", ".join(f"{RECON_FORMS[recon][0]}: {recon}" for recon in RECON_FORMS if recon in recons)


@styled
def draw_figure5(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the UMAP of cyst1's rows in a panel for each maker: its scanners in colours and markers of their own, hollow
    where FBP, over all other points in gray.

    `rows` come from `with_series` and have the rows of the figure only.
    """
    extractors, makers = _extractors(rows, facts), _by_maker(rows)
    n_columns = min(N_MAKER_COLUMNS, len(makers))
    bands = -(-len(makers) // n_columns)
    side, head, foot, between = 1.68, 0.3, 0.42, 0.36
    columns_of = {maker: _legend_columns(scanners) for maker, scanners in makers.items()}
    names_in = 0.16 * max(-(-len(scanners) // columns_of[maker]) for maker, scanners in makers.items()) + 0.24
    step = side + between
    total = head + step * len(extractors) * bands - between + names_in * bands + foot
    figure = new_figure(WIDTH_IN, total)
    margin, gap = 0.5, 0.12
    wide = (WIDTH_IN - margin - 0.1 - gap * (n_columns - 1)) / n_columns
    for number, extractor in enumerate(extractors):
        own = rows[rows["extractor"] == extractor]
        for i, (maker, scanners) in enumerate(makers.items()):
            band, column = divmod(i, n_columns)
            top = head + band * (step * len(extractors) + names_in) + number * step
            left = (margin + column * (wide + gap)) / WIDTH_IN
            axes = figure.add_axes([left, 1 - (top + side) / total, wide / WIDTH_IN, side / total])
            _panel(axes, maker)
            axes.set_ylabel(f"{extractor_title(extractor, facts)}\nUMAP 2" if column == 0 else "")
            axes.set_xlabel("UMAP 1" if number == len(extractors) - 1 else "")
            if own.empty:
                message_panel(axes, "no features of this extractor in this run")
            _maker_panel(axes, own, scanners)
            if number == len(extractors) - 1:
                handles = [
                    Line2D(
                        [], [], linestyle="", marker=look["marker"], color=look["colour"], markersize=5.5, label=name
                    )
                    for name, look in looks_of(scanners).items()
                ]
                anchor = (left, 1 - (top + side + 0.2) / total)
                add_legend(figure, handles, loc="upper left", ncols=columns_of[maker], bbox_to_anchor=anchor, **LEGEND)
    handles = [
        Line2D([], [], linestyle="", marker="o", color="#555555", markersize=5.5, label=recon, **look)
        for recon, (_, look) in RECON_FORMS.items()
        if recon in set(rows["recon"])
    ]
    handles.append(Line2D([], [], linestyle="", marker="o", color=OTHERS, markersize=5.5, label="other makers"))
    add_legend(
        figure,
        handles,
        loc="lower left",
        bbox_to_anchor=(margin / WIDTH_IN, 0.14 / total),
        ncols=len(handles),
        **LEGEND,
    )
    stamp(figure, stamp_text(facts, extractors))
    n_rows, roi = rows.groupby("extractor").size().max(), rows["roi"].iloc[0]
    title = "the first cyst" if roi == "cyst1" else f"the region {roi}"
    near = _near_words(rows, ["umap_1", "umap_2"], ("scanner", "maker"), facts)
    caption = Caption(
        "figure5",
        f"Features of {title} by scanner and maker",
        f"UMAP of the {n_rows} feature vectors of {roi} from {rows['series_uid'].nunique()} series of "
        f"{rows['scanner'].nunique()} scanners, for each extractor in an embedding of its own (z-scored features, "
        f"{_neighbours(n_rows)}). A panel for each maker: colour and marker by scanner; "
        f"{_forms_in_words(set(rows['recon']))}; gray: the other makers. The axes have no unit; only who lies near "
        "whom means something; how far scanners and makers lie apart is in the table embedding_quality.",
        f"Scatter plots of the same points for each feature extractor, a panel for each of {len(makers)} makers, in "
        f"which its scanners stand out in colour. {near}",
        _missing(rows, extractors),
    )
    return figure, caption


def _maker_panel(axes, own: pd.DataFrame, scanners: list[str]) -> None:
    """All rows of an extractor in gray, those of a maker's scanners over them."""
    raster = len(own) > RASTERISED_ROWS
    others = own[~own["scanner"].isin(scanners)]
    if len(others):
        _scatter(axes, others, 12, colour=OTHERS, marker="o", rasterized=raster)
    for scanner, look in looks_of(scanners).items():
        for recon, part in own[own["scanner"] == scanner].groupby("recon"):
            edge = "black" if recon == "DL" else "white"
            _scatter(axes, part, 26, recon != "FBP", edge=edge, rasterized=raster, **look)


def _missing(rows: pd.DataFrame, extractors: list[str]) -> list[str]:
    gone = [extractor for extractor in extractors if extractor not in set(rows["extractor"])]
    return [f"No features of {', '.join(gone)} in this run."] if gone else []


def _two_colourings(rows: pd.DataFrame, facts: dict, plane: str) -> Figure:
    """All rows in the plane `UMAP` or `PCA`: by maker above, by tissue below, a column for each extractor."""
    extractors, makers = _extractors(rows, facts), _by_maker(rows)
    markers = maker_markers(makers)
    tissues = [t for t in TISSUES if t in set(rows["tissue"])] + sorted(set(rows["tissue"]) - set(TISSUES))
    n_columns = min(3, len(extractors))
    bands = -(-len(extractors) // n_columns)
    panel_in, head, foot, between = 2.78, 0.3, 0.72, 0.4
    total = head + 2 * bands * (panel_in + between) - between + foot
    figure = new_figure(WIDTH_IN, total)
    grid = figure.add_gridspec(2 * bands, n_columns, left=0.03, right=0.99, top=1 - head / total, bottom=foot / total,
                               wspace=0.1, hspace=between / panel_in)  # fmt: skip
    for number, extractor in enumerate(extractors):
        band, column = divmod(number, n_columns)
        own = rows[rows["extractor"] == extractor]
        upper, lower = (figure.add_subplot(grid[2 * band + i, column]) for i in (0, 1))
        for axes, what in ((upper, "by maker"), (lower, f"by {phantom_of(facts).class_word}")):
            _panel(axes, f"{extractor_title(extractor, facts)}, {what}", plane)
            if own.empty:
                message_panel(axes, "no features of this extractor in this run")
        look = {"rasterized": len(own) > RASTERISED_ROWS, "alpha": 0.8, "plane": plane}
        for maker in makers:
            part = own[own["maker"] == maker]
            _scatter(upper, part, 11, colour=colour_of(maker, MAKER_COLOURS, makers), marker=markers[maker], **look)
        for tissue in tissues:
            colour = class_colour(tissue, tissues)
            marker = marker_of(tissue, tissues)
            part = own[own["tissue"] == tissue]
            _scatter(lower, part, 11, colour=colour, edge="#555555", marker=marker, **look)
    colours = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=markers[maker],
            color=colour_of(maker, MAKER_COLOURS, makers),
            markersize=6,
            label=maker,
        )  # fmt: skip
        for maker in makers
    ]
    add_legend(
        figure,
        colours,
        loc="lower left",
        bbox_to_anchor=(0.03, 0.26 / total),
        ncols=len(colours),
        handletextpad=0.2,
        columnspacing=1.2,
    )
    colours = [
        Line2D([], [], linestyle="", marker=marker_of(t, tissues), color=class_colour(t, tissues),
               markeredgecolor="#555555", markersize=6, label=t)
        for t in tissues
    ]  # fmt: skip
    add_legend(
        figure,
        colours,
        loc="lower left",
        bbox_to_anchor=(0.515, 0.26 / total),
        ncols=len(colours),
        handletextpad=0.2,
        columnspacing=1.2,
    )
    stamp(figure, stamp_text(facts, extractors))
    return figure


def _near_words(rows: pd.DataFrame, plane: list[str], columns: tuple[str, ...], facts: dict) -> str:
    """How often the nearest point in the plane is of the same maker, tissue, ..., for each extractor."""
    parts = []
    for extractor in _extractors(rows, facts):
        own = rows[rows["extractor"] == extractor]
        if len(own) < 2:
            continue
        _, near = cKDTree(own[plane].to_numpy(float)).query(own[plane].to_numpy(float), k=2)
        shares = [
            f"{100 * (own[column].to_numpy() == own[column].to_numpy()[near[:, 1]]).mean():.0f} % the same {column}"
            for column in columns
        ]
        parts.append(f"{extractor_title(extractor, facts)} {' and '.join(shares)}")
    return f"The nearest point has in {'; '.join(parts)}." if parts else ""


@styled
def draw_pca(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the first two principal components of the rows of Figure 6, in its form."""
    caption = Caption(
        "pca",
        "The same features by their principal components",
        "First two principal components of the z-scored features of Figure 6, in which distances keep their meaning. "
        "Their shares of the variance, how far neighbourhoods are kept, and silhouettes of scanner, maker and tissue "
        "among all features are in the table embedding_quality.",
        "Pairs of scatter plots of the same points, above coloured by scanner maker, below by tissue. "
        + _near_words(rows, ["pca_1", "pca_2"], ("maker", "tissue"), facts),
        _missing(rows, _extractors(rows, facts)),
    )
    return _two_colourings(rows, facts, "PCA"), caption


@styled
def draw_figure6(rows: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the UMAP of all rows: by maker above, by tissue below, a column of panels for each extractor."""
    figure, extractors = _two_colourings(rows, facts, "UMAP"), _extractors(rows, facts)
    n_rows = rows.groupby("extractor").size().max()
    caption = Caption(
        "figure6",
        "Features of all ROIs by maker and by tissue",
        f"UMAP of all {n_rows} feature vectors ({rows['roi'].nunique()} ROIs, {rows['series_uid'].nunique()} series of "
        f"{rows['scanner'].nunique()} scanners), one embedding for each extractor (z-scored features, "
        f"{_neighbours(n_rows)}). Above: colour and marker by maker. Below: colour and marker by tissue.",
        "Pairs of scatter plots of the same points, above coloured by scanner maker, below by tissue. "
        + _near_words(rows, ["umap_1", "umap_2"], ("maker", "tissue"), facts),
        _missing(rows, extractors),
    )
    return figure, caption


def draw_embedding(embedding: pd.DataFrame, series: pd.DataFrame, facts: dict, folder: Path) -> None:
    """Draw figures 5 and 6, and the latter's principal components, into `folder`.

    `series` has a row or more for each series (`KEYS`).
    """
    rows = with_series(embedding, series, phantom_of(facts))
    for name, draw in (("figure5", draw_figure5), ("figure6", draw_figure6), ("figure6", draw_pca)):
        own = rows[rows["figure"] == name]
        if own.empty:
            raise UserError(f"the embedding has no rows of {name}; make it with embed_features.py")
        save_figure(*draw(own, facts), folder, phantom_of(facts).words)
