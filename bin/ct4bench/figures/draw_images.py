"""Figures 2, 3 and 4: views of the phantom, of its ROIs, and of the same slice on every scanner."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ct4bench.core.benchmark import PATCH_SHAPE, ROIS
from ct4bench.core.colours import TISSUE_COLOURS, class_colour
from ct4bench.core.view_files import write_view
from ct4bench.figures.slices import INSET_MM, SameSlice, read_same_slice, slices_view
from ct4bench.figures.style import (
    WIDTH_IN,
    Caption,
    add_legend,
    message_panel,
    new_figure,
    outlined,
    save_figure,
    scale_bar,
    stamp,
    styled,
)
from ct4bench.figures.thumbnails import GRAY_HU, thumbnails_view
from ct4bench.figures.views import BLOCK_MM, DENSE_HU, SEGMENTS_MM, ReferenceView, make_view, render_block, render_rois
from ct4bench.preprocess.reference import open_reference

LETTERS = dict(zip(ROIS, "efghij", strict=True))
"""Panels of Figure 3 by ROI."""
SEGMENT_COLOURS = {"test patterns": "#56B4E9", "liver": "#E69F00", "thorax": "#009E73"}
ROI_WINDOW_MM = 80.0
MOST_CLOSE_UPS = 12


def _gray_words(frame: ReferenceView) -> str:
    low, high = frame.gray_hu
    return f"Level {0.5 * (low + high):g} HU, window {high - low:g} HU."


def _show(axes, image, extent, frame: ReferenceView):
    low, high = frame.gray_hu
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="none")


def _bare(axes):
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _border(axes, colour: str):
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2)


def _sides(axes):
    """Patient sides in the lower corners of an axial picture."""
    for x, text, ha in ((0.015, "R", "left"), (0.985, "L", "right")):
        axes.text(
            x, 0.015, text, transform=axes.transAxes, ha=ha, va="bottom", color="white", fontsize=8, weight="bold",
            path_effects=outlined(),
        )  # fmt: skip


def _outline(axes, mask, extent, colour, **options):
    """Contour of a mask (rows, columns)."""
    left, right, bottom, top = extent
    x = np.linspace(left, right, 2 * mask.shape[1] + 1)[1::2]
    y = np.linspace(top, bottom, 2 * mask.shape[0] + 1)[1::2]
    axes.contour(x, y, mask.astype(float), levels=[0.5], colors=[colour], **({"linewidths": 1.3} | options))


def _overlay(axes, mask, extent, colour):
    """A mask as a coloured area with its contour."""
    rgba = np.zeros((*mask.shape, 4))
    rgba[..., :3] = to_rgb(colour)
    rgba[..., 3] = 0.35 * mask
    axes.imshow(rgba, extent=extent, interpolation="none")
    _outline(axes, mask, extent, colour)


def _letter(axes, x: float, y: float, roi: str):
    """The letter of a ROI's close-up, at the ROI."""
    axes.text(x, y, LETTERS[roi], color="white", fontsize=9, weight="bold", ha="center", va="center",
              path_effects=outlined())  # fmt: skip


def _axial_words(positions_mm: dict[str, float], means_hu: dict[str, float]) -> str:
    return ", ".join(f"{name} at {mm:.0f} mm (mean {means_hu[name]:.0f} HU)" for name, mm in positions_mm.items())


def region_words(frame: ReferenceView, names) -> str:
    """Say the mean CT value and volume of regions of the reference."""
    cm3, parts = np.prod(frame.spacing_mm) / 1000, []
    for roi in names:
        number, box = frame.phantom.names.index(roi), frame.rois[roi]
        inside = frame.reference.read("labels", box) == number + 1
        mean = frame.reference.read("volume", box)[inside].mean()
        parts.append(f"{roi} {mean:.0f} HU in {inside.sum() * cm3:.1f} cm\N{SUPERSCRIPT THREE}")
    return ", ".join(parts)


@styled
def draw_figure2(frame: ReferenceView, note: str) -> tuple[Figure, Caption]:
    """Draw the axial views of the three segments and one sagittal view through all of them."""
    spacing = frame.spacing_mm
    slices, rows, columns = (frame.box(axis) for axis in range(3))
    first, last = frame.slice_mm(slices.start), frame.slice_mm(slices.stop - 1)
    figure = new_figure(9.6, 7.0)
    grid = figure.add_gridspec(2, 2, hspace=0.24, wspace=0.14, left=0.055, right=0.99, top=0.955, bottom=0.075)
    positions_mm, means_hu, missing = {}, {}, []
    for number, name in enumerate(reversed(SEGMENTS_MM)):
        axes = figure.add_subplot(grid[divmod(number, 2)])
        low, high = np.clip(SEGMENTS_MM[name], first, last)
        if high - low < 2 * spacing[0]:
            missing.append(name)
            axes.set_title(f"{name}, axial")
            message_panel(axes, f"{name}: not in this part of the phantom")
            continue
        k = frame.best_slice() if name == "liver" else frame.slice_at(0.5 * (low + high))
        positions_mm[name] = frame.slice_mm(k)
        axes.set_title(f"{name}, axial, at {positions_mm[name]:.0f} mm")
        image = frame.axial(k, rows, columns)
        means_hu[name] = float(image.mean())
        _show(axes, image, frame.extent_mm(rows, columns), frame)
        _border(axes, SEGMENT_COLOURS[name])
        axes.set_xlabel("mm")
        axes.set_ylabel("mm")
        _sides(axes)
    axes = figure.add_subplot(grid[1, 1])
    axes.set_title("all segments, sagittal" if not missing else f"{' and '.join(reversed(positions_mm))}, sagittal")
    column = int(round(0.5 * (frame.rois["cyst2"][2].start + frame.rois["cyst2"][2].stop)))
    image = frame.reference.read("volume", (slices, rows, slice(column, column + 1)))[:, :, 0]
    top, bottom = frame.edges_mm(1, rows)
    half = 0.5 * spacing[0]
    _show(axes, image.T, (first - half, last + half, bottom, top), frame)
    for name, position_mm in positions_mm.items():
        ends = np.clip(SEGMENTS_MM[name], first, last)
        colour = SEGMENT_COLOURS[name]
        axes.plot(ends, [bottom - 2.5, bottom - 2.5], color=colour, linewidth=5, solid_capstyle="butt")
        axes.axvline(position_mm, color=colour, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.set_xlim(first - half, last + half)
    axes.set_ylim(bottom, top)
    axes.set_xlabel("mm from the block's first face, towards the head")
    notes = [f"This run holds a slab of the phantom, without its {' and '.join(missing)}."] if missing else []
    if not missing and last - first < BLOCK_MM - 5:
        notes.append(f"This run holds a slab of {last - first + 2 * half:.0f} mm of the phantom's {BLOCK_MM:.0f} mm.")
    stamp(figure, note)
    caption = Caption(
        "figure2",
        "The segments of the phantom",
        f"The reference volume: axial views of {', '.join(positions_mm)}, and a sagittal view at "
        f"{(column - frame.middle[2]) * spacing[2]:+.0f} mm from the block's middle, through cyst 2, with the axial "
        f"slices dashed. Axes in mm from the block's middle. {_gray_words(frame)}",
        "Gray CT pictures of a rectangular paper block with printed anatomy: in axial view "
        f"{_axial_words(positions_mm, means_hu)}, and a section of {last - first + 2 * half:.0f} mm along the block "
        "with the segments marked in colour.",
        notes,
    )
    return figure, caption


def _axial_panel(axes, frame: ReferenceView) -> list[str]:
    """Panel c of Figure 3; returns the ROIs that its slice does not cut."""
    rows, columns = frame.box(1), frame.box(2)
    k = frame.best_slice()
    extent = frame.extent_mm(rows, columns)
    _show(axes, frame.axial(k, rows, columns), extent, frame)
    labels = frame.reference.read("labels", (slice(k, k + 1), rows, columns))[0]
    elsewhere = []
    for i, (roi, box) in enumerate(frame.rois.items(), start=1):
        colour = frame.colour(roi)
        if (labels == i).any():
            _overlay(axes, labels == i, extent, colour)
        else:
            elsewhere.append(roi)
            shadow = (frame.reference.read("labels", (box[0], rows, columns)) == i).any(axis=0)
            _outline(axes, shadow, extent, colour, linewidths=1, linestyles="dashed")
        _letter(axes, *(np.mean(frame.edges_mm(axis, box[axis])) for axis in (2, 1)), roi)
    scale_bar(axes, 50, extent[1] - 8, extent[2] - 12)
    return elsewhere


def _close_up(axes, frame: ReferenceView, roi: str):
    """One of panels e to j of Figure 3: the slice with the ROI's largest area, its outline and a patch's."""
    number, spacing, box = frame.phantom.names.index(roi), frame.spacing_mm, frame.rois[roi]
    k = int(np.argmax(frame.areas[number]))
    centre = [0.5 * (b.start + b.stop) for b in box[1:]]
    window = []
    for axis in (1, 2):
        n, length = int(round(ROI_WINDOW_MM / spacing[axis])), frame.reference.grid.shape[axis]
        start = int(np.clip(round(centre[axis - 1] - n / 2), 0, max(0, length - n)))
        window.append(slice(start, min(start + n, length)))
    extent = frame.extent_mm(*window)
    _show(axes, frame.axial(k, *window), extent, frame)
    mask = frame.reference.read("labels", (slice(k, k + 1), *window))[0] == number + 1
    _outline(axes, mask, extent, frame.colour(roi))
    y, x = ((c - 0.5 - m) * s for c, m, s in zip(centre, frame.middle[1:], spacing[1:], strict=True))
    half = 0.5 * PATCH_SHAPE[1] * spacing[1:]
    sides = np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]])
    axes.plot(x + half[1] * sides[0], y + half[0] * sides[1], color="white", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    scale_bar(axes, 20, extent[1] - 5, extent[2] - 6)
    volume_cm3 = frame.areas[number].sum() * np.prod(spacing) / 1000
    letter = f"{LETTERS[roi]}) " if roi in LETTERS else ""
    title = f"{letter}{frame.phantom.regions[number].title}"
    axes.set_title(
        f"{title}\n{volume_cm3:.1f} cm\N{SUPERSCRIPT THREE}, at {frame.slice_mm(k):.0f} mm",
        fontsize=8.5,
    )


@styled
def draw_figure3(frame: ReferenceView, note: str) -> tuple[Figure, Caption]:
    """Draw panels b to j: the block and the ROIs as shaded surfaces, the ROIs in an axial view, and each ROI close
    up."""
    block = render_block(frame)
    picture, middles, floor_mm = render_rois(frame)
    rows, columns = (np.diff(frame.edges_mm(axis, frame.box(axis)))[0] for axis in (1, 2))
    width, title, legend, gap, close_up, foot = WIDTH_IN, 0.32, 0.30, 0.50, 1.62, 0.34
    shares = np.array([0.27, 0.33, 0.36])
    heights = shares * width * [block.shape[0] / block.shape[1], rows / columns, picture.shape[0] / picture.shape[1]]
    tall = max(heights[0], heights[1] + legend, heights[2])
    height = title + tall + gap + close_up + foot
    figure = new_figure(width, height)
    upper = figure.add_gridspec(1, 3, width_ratios=shares, left=0.01, right=0.99, top=1 - title / height,
                                bottom=1 - (title + tall) / height, wspace=0.04)  # fmt: skip
    lower = figure.add_gridspec(
        1, 6, left=0.01, right=0.99, top=(foot + close_up) / height, bottom=foot / height, wspace=0.05
    )

    axes = figure.add_subplot(upper[0], anchor="N")
    axes.imshow(block, interpolation="none")
    axes.set_title("b) The block, a part cut away")
    _bare(axes)

    axes = figure.add_subplot(upper[1], anchor="N")
    axes.set_title("c) ROIs in an axial view")
    elsewhere = _axial_panel(axes, frame)
    _bare(axes)
    colours = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.5, label=tissue)
        for tissue, colour in TISSUE_COLOURS.items()
    ]
    add_legend(axes, colours, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=4, handlelength=1.1,
               columnspacing=1.0, handletextpad=0.4)  # fmt: skip

    axes = figure.add_subplot(upper[2], anchor="N")
    axes.set_title("d) ROIs in 3D above an axial slice")
    axes.imshow(picture, interpolation="none")
    for roi, (column, row) in middles.items():
        _letter(axes, column, row, roi)
    _bare(axes)

    for number, roi in enumerate(ROIS):
        axes = figure.add_subplot(lower[number])
        _close_up(axes, frame, roi)
        _bare(axes)
    text = "Letters in c and d name the close-ups e to j. Dashed squares: extent of one 32 x 32 patch."
    figure.text(0.01, 0.5 * foot / height, text, fontsize=8, va="center")
    stamp(figure, note)
    notes = ["Panel a of the paper's figure is a photograph of phantom and scanner, and is left out."]
    if elsewhere:
        notes.append(
            f"The slice of panel c does not cut {', '.join(elsewhere)}: their outlines are projected (dashed)."
        )
    caption = Caption(
        "figure3",
        "The phantom and its six regions of interest",
        "The reference volume and its segmentation. b) The paper block as a shaded surface; where it is cut away, CT "
        f"values on the cuts, and print denser than {DENSE_HU:.0f} HU left standing. c) The ROIs on the axial slice "
        "that cuts most of them: cyst (blue), hemangioma (yellow), metastasis (red), normal (green). d) The ROIs as "
        f"shaded surfaces above the axial slice at {floor_mm:.0f} mm from the block's first face. e-j) The slice with "
        f"the largest area of each ROI, {ROI_WINDOW_MM:.0f} mm wide, with the ROI's volume. {_gray_words(frame)}",
        "The block cut open, CT values on the cuts; a CT slice with the regions that it cuts in colour; the six "
        "regions as solids; and six close-ups, each with its region outlined. Mean CT values: "
        f"{region_words(frame, ROIS)}.",
        notes,
    )
    return figure, caption


def _regions_on(axes, frame: ReferenceView, part, image, extent) -> None:
    """A picture of the reference with the regions that it cuts, `part` of the labels."""
    _show(axes, image, extent, frame)
    labels = np.squeeze(frame.reference.read("labels", part))
    for number, roi in enumerate(frame.phantom.names, 1):
        if (labels == number).any():
            _overlay(axes, labels == number, extent, frame.colour(roi))


@styled
def draw_regions(frame: ReferenceView, note: str) -> tuple[Figure, Caption]:
    """Draw a phantom of the user's own: an axial and a coronal view with its regions, and up to twelve regions close
    up."""
    names, spacing, phantom = frame.phantom.names, frame.spacing_mm, frame.phantom
    shown = names[:MOST_CLOSE_UPS]
    bands = -(-len(shown) // 6)
    top_in, close_in = 3.5, 2.0
    height = 0.35 + top_in + 0.75 + bands * close_in + 0.1
    figure = new_figure(WIDTH_IN, height)
    upper = figure.add_gridspec(1, 2, left=0.06, right=0.99, top=1 - 0.35 / height,
                                bottom=1 - (0.35 + top_in) / height, wspace=0.14)  # fmt: skip
    lower = figure.add_gridspec(bands, 6, left=0.01, right=0.99, top=(bands * close_in - 0.3) / height,
                                bottom=0.25 / height, wspace=0.06, hspace=0.45)  # fmt: skip
    slices, rows, columns = (frame.box(axis) for axis in range(3))
    k = frame.best_slice()
    axes = figure.add_subplot(upper[0])
    axes.set_title(f"axial, at {frame.slice_mm(k):.0f} mm")
    part = (slice(k, k + 1), rows, columns)
    _regions_on(axes, frame, part, frame.axial(k, rows, columns), frame.extent_mm(rows, columns))
    _sides(axes)
    axes.set_xlabel("mm from the phantom's middle")
    box = frame.rois[phantom.main_region]
    row = (box[1].start + box[1].stop) // 2
    part = (slices, slice(row, row + 1), columns)
    half = 0.5 * spacing[0]
    ends = frame.slice_mm(slices.start) - half, frame.slice_mm(slices.stop - 1) + half
    axes = figure.add_subplot(upper[1])
    axes.set_title(f"coronal, through {phantom.main_region}")
    image = frame.reference.read("volume", part)[:, 0]
    _regions_on(axes, frame, part, image, (*frame.edges_mm(2, columns), ends[1], ends[0]))
    axes.set_ylabel("mm from the first slice of the phantom")
    axes.set_xlabel("mm from the phantom's middle")
    colours = {tissue: class_colour(tissue, phantom.tissues) for tissue in phantom.tissues}
    handles = [Patch(facecolor=c, edgecolor="black", linewidth=0.5, label=tissue) for tissue, c in colours.items()]
    middle = 1 - (0.35 + top_in + 0.62) / height
    add_legend(figure, handles, loc="center", bbox_to_anchor=(0.5, middle), ncols=min(8, len(handles)))
    for number, roi in enumerate(shown):
        axes = figure.add_subplot(lower[divmod(number, 6)])
        _close_up(axes, frame, roi)
        _bare(axes)
    stamp(figure, note)
    notes = [f"Close-ups of the first {len(shown)} of {len(names)} regions."] if len(shown) < len(names) else []
    caption = Caption(
        "regions",
        f"The {len(names)} regions of the {phantom.name}",
        "The reference volume and the mask of the regions: an axial slice that cuts most of them, a coronal one, and "
        f"the slice with the largest area of each region, {ROI_WINDOW_MM:.0f} mm wide, with the region's volume. "
        f"Dashed squares: extent of one 32 x 32 patch. {_gray_words(frame)}",
        f"CT slices of the {phantom.name} with its regions in the colours of their classes, and close-ups of "
        f"{len(shown)} regions, each outlined. Mean CT values: {region_words(frame, shown)}.",
        notes,
    )
    return figure, caption


def _frame_of(axes, extent, colour: str, **options) -> None:
    """A rectangle at the edges of a picture (left, right, bottom, top)."""
    left, right, bottom, top = extent
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, **options)


def _slice_words(frame: ReferenceView, same: SameSlice) -> str:
    """Say between which scanners the mean CT value of a close-up's region runs on the slice; blank without one."""
    if not same.insets or not any(one.hu is not None for one in same.scanners):
        return ""
    roi = next(iter(same.insets))
    labels = frame.reference.read("labels", (slice(same.k, same.k + 1), slice(None), slice(None)))[0]
    inside = labels == frame.phantom.names.index(roi) + 1
    told = sorted((float(one.hu[inside].mean()), float(one.hu[inside].std()), one.scanner)
                  for one in same.scanners if one.hu is not None)  # fmt: skip
    least, most = min(told, key=lambda item: item[1]), max(told, key=lambda item: item[1])
    return (
        f" Mean CT value in {roi} on it: from {told[0][0]:.1f} HU ({told[0][2]}) to {told[-1][0]:.1f} HU "
        f"({told[-1][2]}); SD from {least[1]:.1f} ({least[2]}) to {most[1]:.1f} HU ({most[2]})."
    )


@styled
def draw_figure4(frame: ReferenceView, same: SameSlice, names: dict[str, str], note: str) -> tuple[Figure, Caption]:
    """Draw the same axial slice of each scanner with the regions that it cuts close up; `names` are display names."""
    published, dose_mgy, insets = frame.phantom.is_published, same.dose_mgy, same.insets
    rows, columns = same.rows, same.columns
    extent = frame.extent_mm(rows, columns)
    n_columns, title, gap, foot, inset_in, slit = 4, 0.4, 0.12, 0.24, 0.56, 0.05
    n_rows = -(-len(same.scanners) // n_columns)
    block = (WIDTH_IN - gap * (n_columns + 1)) / n_columns
    wide_in = block - 2 * (inset_in + slit)
    high_in = wide_in * abs(extent[3] - extent[2]) / abs(extent[1] - extent[0])
    row_in = max(high_in, 2 * inset_in + slit) + title
    total = n_rows * row_in + foot
    figure = new_figure(WIDTH_IN, total)

    def place(left_in: float, top_in: float, width_in: float, height_in: float):
        return figure.add_axes([left_in / WIDTH_IN, 1 - (top_in + height_in) / total, width_in / WIDTH_IN,
                                height_in / total])  # fmt: skip

    missing, shown = [], []
    for number, one in enumerate(same.scanners):
        row, column = divmod(number, n_columns)
        left_in, top_in = gap + column * (block + gap), title + row * row_in
        axes = place(left_in, top_in, wide_in, high_in)
        which = f", #{one.repetition}" if one.repetition > 1 else ""
        axes.set_title(f"{one.scanner}{which}\n{names.get(one.scanner, '')}", fontsize=8, loc="left")
        if one.hu is None:
            missing.append(one.scanner)
            message_panel(axes, one.reason, 16)
            continue
        _show(axes, one.hu[rows, columns], extent, frame)
        _bare(axes)
        for position, (roi, window) in enumerate(insets.items()):
            own, colour = frame.extent_mm(*window), frame.colour(roi)
            _frame_of(axes, own, colour, linewidth=0.9)
            down, right = divmod(position, 2)
            step = inset_in + slit
            small = place(left_in + wide_in + slit + right * step, top_in + down * step, inset_in, inset_in)
            _show(small, one.hu[window], own, frame)
            _bare(small)
            _border(small, colour)
            if not shown and not position:
                scale_bar(small, 10, own[1] - 6, own[2] - 3)
        axes.set_xlim(extent[:2])
        axes.set_ylim(extent[2:])
        if not shown:
            scale_bar(axes, 50, extent[1] - 24, extent[2] - 14)
        shown.append(one.scanner)
    tissues = {frame.phantom.tissue_of(roi): frame.colour(roi) for roi in insets}
    if shown and tissues:
        frames = [Patch(facecolor="none", edgecolor=c, linewidth=1.6, label=t) for t, c in tissues.items()]
        add_legend(figure, frames, loc="lower left", bbox_to_anchor=(0.005, 0.0), ncols=len(frames), borderpad=0.2,
                   handlelength=1.2)  # fmt: skip
    stamp(figure, note)
    notes = [f"Not shown, since this run has no such series: {', '.join(missing)}."] if missing else []
    close_up = (
        f" Beside each slice, {INSET_MM:.0f} mm round {', '.join(insets)}, framed in the tissue's colour (key below)."
        if insets and shown
        else ""
    )
    which = "iterative reconstruction" if published else same.recon
    where = "the block's first face, in the order of the paper" if published else "the first slice of the phantom"
    caption = Caption(
        "figure4" if published else "same_slice",
        "The same slice on every scanner",
        f"The first {which} at {dose_mgy:g} mGy of {len(shown)} scanners, registered to the "
        f"reference: the axial slice at {frame.slice_mm(same.k):.0f} mm from {where}.{close_up} {_gray_words(frame)}",
        f"{len(shown)} gray CT pictures of the same slice, one for each scanner, each with {len(insets)} close-ups of "
        f"regions.{_slice_words(frame, same)}",
        notes,
    )
    return figure, caption


def draw_images(
    reference: Path, registered: pd.DataFrame, volumes: Path, names: dict[str, str], note: str, folder: Path,
    embedding: pd.DataFrame | None = None, patches: pd.DataFrame | None = None,
) -> None:  # fmt: skip
    """Draw figures 2, 3 and 4 into `folder`; of a phantom without a printed block its regions in place of 2 and 3.

    Beside them go slices.view.json, the slices of Figure 4 and their differences for the page, and where `embedding`
    and `patches` (embedding.parquet, patches.csv) are given, patches.view.json, small pictures of what is embedded.

    `registered` has a row for each registered series (series_uid, scanner, dose_mgy, recon, repetition); `volumes`
    holds the registered volumes of Figure 4 and of the embedded patches; `note` is stamped on each figure.
    """
    frame = make_view(open_reference(reference))
    for draw in (draw_figure2, draw_figure3) if frame.phantom.printed_block else (draw_regions,):
        save_figure(*draw(frame, note), folder, frame.phantom.words)
    same = read_same_slice(frame, registered, volumes)
    save_figure(*draw_figure4(frame, same, names, note), folder, frame.phantom.words)
    write_view(slices_view(frame, same, names), "slices", folder)
    if embedding is not None and patches is not None:
        limits = GRAY_HU if frame.phantom.is_published else frame.gray_hu
        write_view(thumbnails_view(embedding, patches, registered, volumes, gray_hu=limits), "patches", folder)
