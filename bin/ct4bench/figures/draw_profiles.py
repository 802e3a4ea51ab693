"""Figures of the scanner profile: noise, sharpness, calibration and residual geometry, a figure for each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ct4bench.core.benchmark import MAIN_DOSE_MGY, scanner_rank
from ct4bench.core.colours import MAKER_COLOURS, colour_of
from ct4bench.core.regions import Phantom, phantom_of
from ct4bench.figures.style import (
    WIDTH_IN,
    Caption,
    add_legend,
    colour_bar,
    fitted_legend,
    lift,
    message_panel,
    new_figure,
    save_figure,
    stamp,
    styled,
)
from ct4bench.profiles.merge import COMMON, OWN
from ct4bench.results.run_facts import stamp_text

DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
REGISTERED_MARKER = "x"
RECON_MARKERS = {"FBP": "s", "IR": "o", "DL": "^"}
STEP_LABELS = {"plain_to_wedge": "plain panel to wedge", "dots_to_wedge": "dots to wedge"}
FAINT = "#8a8a8a"
ARROW_FACTOR = 200
"""How much longer than the displacement its arrow is."""
LEAST_OF_ERROR = 2.0
"""A displacement is drawn where it is this many times its error: noise alone does so in 2 % of the cells."""
AS_SCANNED = 1e-3
"""Relative difference up to which a registered value is the one as scanned; interpolation changes it by percents."""
LEGEND_IN, LEGEND_ROW_IN = 0.2, 0.17
"""Where the legend of scanners starts over the lower edge, and what each of its rows takes."""
LEGEND_ROW_SHARE = 0.08
"""What a row of a legend takes of the height of a panel under it."""


@dataclass(frozen=True)
class Chosen:
    """What a figure compares: one dose and reconstruction, its rows, and how each scanner is drawn."""

    rows: pd.DataFrame
    dose_mgy: float
    recon: str
    looks: dict[str, dict]

    @property
    def words(self) -> str:
        """The dose and reconstruction in words."""
        return f"{self.dose_mgy:g} mGy, {self.recon}"

    def of(self, measure: str, region: str | None = None) -> pd.DataFrame:
        """Return the rows of one measure that have a value."""
        rows = self.rows[(self.rows["measure"] == measure) & self.rows["value"].notna()]
        return rows if region is None else rows[rows["region"] == region]


def scanner_looks(profile: pd.DataFrame) -> dict[str, dict]:
    """Return the colour (by maker) and dashes (by scanner of a maker, paler from the fifth) of each, in the paper's
    order."""
    makers = profile.drop_duplicates("scanner").set_index("scanner")["maker"]
    looks, used = {}, {}
    for scanner in sorted(makers.index, key=scanner_rank):
        maker = makers[scanner]
        number = used.setdefault(maker, 0)
        used[maker] += 1
        looks[scanner] = {
            "color": colour_of(maker, MAKER_COLOURS, set(makers)),
            "linestyle": DASHES[number % len(DASHES)],
            "alpha": 1.0 if number < len(DASHES) else 0.45,
        }
    return looks


def choose(profile: pd.DataFrame) -> Chosen:
    """Choose the dose and reconstruction that most scanners have, 10 mGy and IR where several have as many."""
    series = profile[["scanner", "dose_mgy", "recon"]].drop_duplicates()
    counts = series.groupby(["dose_mgy", "recon"]).size().reset_index(name="n")
    counts["main"] = (counts["dose_mgy"] == MAIN_DOSE_MGY).astype(int)
    counts["ir"] = (counts["recon"] == "IR").astype(int)
    best = counts.sort_values(["main", "n", "ir", "dose_mgy", "recon"]).iloc[-1]
    rows = profile[(profile["dose_mgy"] == best["dose_mgy"]) & (profile["recon"] == best["recon"])]
    return Chosen(rows, float(best["dose_mgy"]), str(best["recon"]), scanner_looks(profile))


def as_scanned(profile: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the scanners' own grids, and those of the common one of what was measured on it alone."""
    keys = ["scanner", "dose_mgy", "recon", "measure", "region"]
    own = profile["grid"] == OWN
    measured = pd.MultiIndex.from_frame(profile.loc[own, keys])
    return profile[own | ~pd.MultiIndex.from_frame(profile[keys]).isin(measured)]


def reason_of(rows: pd.DataFrame, kind: str, *starts: str) -> str:
    """Return why a measure is missing, in the words of the table."""
    own = rows[(rows["kind"] == kind) & rows["measure"].str.startswith(starts or "")]
    found = sorted({reason for reason in own["reason"] if reason})
    return found[0] if found else "not measured in this run"


def _curves(axes, chosen: Chosen, rows: pd.DataFrame, **more) -> None:
    for scanner, own in rows.groupby("scanner"):
        own = own.sort_values("at")
        axes.plot(own["at"], own["value"], linewidth=1.3, **chosen.looks[scanner], **more)


def _legend(figure: Figure, chosen: Chosen) -> None:
    handles = [Line2D([], [], label=name, linewidth=1.6, **look) for name, look in chosen.looks.items()]
    _, rows = fitted_legend(figure, handles, 13, LEGEND_IN, handlelength=2.2, columnspacing=1.1, handletextpad=0.4)
    lift(figure, (rows - 1) * LEGEND_ROW_IN)
    figure.legends[-1].set_bbox_to_anchor((0.5, LEGEND_IN / figure.get_figheight()))


def _by_scanner(axes, chosen: Chosen, rows: pd.DataFrame, marker: str, offset: float = 0.0, hollow=False) -> None:
    order = {name: n for n, name in enumerate(chosen.looks)}
    size = {"_": 10, REGISTERED_MARKER: 4}.get(marker, 5)
    for own in rows.itertuples():
        colour = chosen.looks[own.scanner]["color"]
        axes.errorbar(order[own.scanner] + offset, own.value, yerr=None if np.isnan(own.sd) else own.sd, fmt=marker,
                      color=colour, markerfacecolor="none" if hollow else colour, markersize=size, elinewidth=0.9,
                      capsize=2)  # fmt: skip
    axes.set_xticks(range(len(order)), list(order))
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _registered_handle() -> Line2D:
    return Line2D([], [], marker=REGISTERED_MARKER, linestyle="", color="#444444", markersize=4, label="registered")


def _grid_words(chosen: Chosen, registered: pd.DataFrame) -> str:
    """Say which grid the rows of `as_scanned` are of, and of which scanners the `registered` rows that are drawn beside
    them are the same."""
    if not (chosen.rows["grid"] == OWN).any():
        return "On the common grid, whose interpolation smooths the registered series."
    words = "On each scanner's own grid, as scanned; crosses: the registered series, which interpolation smooths."
    keys = ["scanner", "dose_mgy", "recon", "measure", "region"]
    both = chosen.rows.merge(registered, on=keys, suffixes=("", "_registered"))
    same = np.isclose(both["value"], both["value_registered"], rtol=AS_SCANNED, atol=0)
    names = [name for name in chosen.looks if (both["scanner"] == name).any() and same[both["scanner"] == name].all()]
    if not names:
        return words
    return f"{words} Those of {', '.join(names)} ({chosen.words}) lie on the points: the series was not interpolated."


def range_words(what: str, rows: pd.DataFrame, unit: str, decimals: int = 1) -> str:
    """Say between which scanners the values of rows run, as a sentence; blank where there are none."""
    values = rows.dropna(subset="value").groupby("scanner")["value"].mean()
    if values.empty:
        return ""
    unit = f" {unit}".rstrip()
    least, most = values.idxmin(), values.idxmax()
    low, high = (f"{values[name]:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for name in (least, most))
    if len(values) == 1:
        return f" {what} {low}{unit} ({least})."
    return f" {what} from {low}{unit} ({least}) to {high}{unit} ({most})."


def _worst_bias_words(chosen: Chosen) -> str:
    """Say where the mean of a region is farthest from the reference's; blank where no bias is known."""
    bias = chosen.of("bias_hu")
    if bias.empty:
        return ""
    row = bias.loc[bias["value"].abs().idxmax()]
    return f" Largest bias of a region {row['value']:+.1f} HU ({row['scanner']}, {row['region']})."


def _finish(figure: Figure, facts: dict, name: str, title: str, text: str, alt: str, notes=()) -> tuple:
    stamp(figure, stamp_text(facts))
    return figure, Caption(name, title, text, alt, list(notes))


@styled
def draw_noise(profile: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the SD in the large cyst (of another phantom, in its main region) by scanner, the spectrum of its noise, and
    SD over dose."""
    main = phantom_of(facts).main_region
    place = "the large cyst" if phantom_of(facts).is_published else main
    texture = "printed texture" if phantom_of(facts).printed_block else "texture"
    registered = profile[(profile["grid"] == COMMON) & (profile["measure"] == "total_sd_hu")]
    profile = as_scanned(profile)
    chosen = choose(profile)
    beside = registered[~registered.index.isin(profile.index) & (registered["dose_mgy"] == chosen.dose_mgy)]
    beside = beside[beside["region"] == main]
    figure = new_figure(WIDTH_IN, 4.5)
    grid = figure.add_gridspec(1, 3, left=0.055, right=0.985, top=0.92, bottom=0.235, wspace=0.24)
    axes = figure.add_subplot(grid[0])
    same_dose = profile[(profile["dose_mgy"] == chosen.dose_mgy) & (profile["region"] == main)]
    markers = RECON_MARKERS | dict(zip(sorted(set(same_dose["recon"]) - set(RECON_MARKERS)), "Dv<>ph", strict=False))
    recons = [name for name in markers if name in set(same_dose["recon"])]
    separated = same_dose["measure"].eq("quantum_sd_hu") & same_dose["value"].notna()
    for number, recon in enumerate(recons):
        own = same_dose[same_dose["recon"] == recon]
        shift = 0.22 * (number - 0.5 * (len(recons) - 1))
        _by_scanner(axes, chosen, own[own["measure"] == "total_sd_hu"], markers[recon], shift)
        _by_scanner(axes, chosen, beside[beside["recon"] == recon], REGISTERED_MARKER, shift)
        _by_scanner(
            axes,
            chosen,
            own[(own["measure"] == "quantum_sd_hu") & own["value"].notna()],
            markers[recon],
            shift,
            hollow=True,
        )
    axes.set_title(f"SD in {place}, {chosen.dose_mgy:g} mGy")
    axes.set_ylabel("SD (HU)")
    handles = [Line2D([], [], marker=markers[r], linestyle="", color="#444444", label=r) for r in recons]
    if separated.any():
        handles += [
            Line2D([], [], marker="o", linestyle="", color="#444444", label="total"),
            Line2D([], [], marker="o", linestyle="", color="#444444", markerfacecolor="none", label="quantum"),
        ]
    if len(beside):
        handles.append(_registered_handle())
    # rows of the legend stand over the points
    axes.set_ylim(0, (1.05 + LEGEND_ROW_SHARE * -(-len(handles) // 2)) * axes.get_ylim()[1])
    add_legend(axes, handles, loc="upper left", ncols=2, columnspacing=0.8, handletextpad=0.2)

    axes = figure.add_subplot(grid[1])
    quantum = chosen.of("quantum_nps_hu2_mm2")
    spectrum = quantum if len(quantum) else chosen.of("total_nps_hu2_mm2")
    what = "quantum noise" if len(quantum) else f"noise and {texture}"
    axes.set_title(f"noise power ({'quantum' if len(quantum) else 'total'}), {chosen.words}")
    if len(spectrum):
        _curves(axes, chosen, spectrum)
        axes.set_xlabel("spatial frequency (1/mm)")
        axes.set_ylabel("NPS (HU\N{SUPERSCRIPT TWO} mm\N{SUPERSCRIPT TWO})")
        axes.set_xlim(0, None)
        axes.set_ylim(bottom=0)
    else:
        message_panel(axes, reason_of(chosen.rows, "noise", "total_nps"))

    axes = figure.add_subplot(grid[2])
    doses = profile[(profile["region"] == main) & (profile["recon"] == chosen.recon) & profile["value"].notna()]
    over = doses[doses["measure"] == ("quantum_sd_hu" if _many_doses(doses, "quantum_sd_hu") else "total_sd_hu")]
    word = "quantum SD" if len(over) and over["measure"].iloc[0] == "quantum_sd_hu" else "total SD"
    axes.set_title(f"{word} in {place} over dose, {chosen.recon}")
    if _many_doses(doses, "total_sd_hu"):
        for scanner, own in over.groupby("scanner"):
            own = own.sort_values("dose_mgy")
            axes.plot(own["dose_mgy"], own["value"], marker="o", markersize=3, linewidth=1.2, **chosen.looks[scanner])
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = sorted(set(over["dose_mgy"]))
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        low, high = over["value"].min(), over["value"].max()
        # evenly spread marks where the axis is short, steps of about a quarter where it is long
        steps = [v for v in (5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80) if 0.95 * low <= v <= 1.05 * high]
        spread = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        marks = steps if len(steps) > 2 else [v for v in spread if 0.95 * low <= v <= 1.05 * high]
        axes.set_yticks(marks, [f"{v:g}" for v in marks])
        axes.set_ylim(0.95 * low, 1.05 * high)
        axes.minorticks_off()
        axes.set_xlabel("dose (mGy)")
        axes.set_ylabel("SD (HU)")
    else:
        message_panel(axes, "one dose in this run")
    _legend(figure, chosen)
    over_dose, notes = _over_dose_in_words(over), []
    kind = "quantum" if len(quantum) else "total"
    numbers = range_words(f"Total SD at {chosen.words},", chosen.of("total_sd_hu", main), "HU")
    numbers += range_words(f"Mean frequency of the {kind} noise", chosen.of(f"{kind}_nps_mean_per_mm", main), "/mm", 3)
    if not separated.any():
        notes.append(f"With one repetition of each scan, quantum noise and {texture} cannot be told apart.")
    return _finish(
        figure,
        facts,
        "profile_noise",
        "Noise of the scanners",
        f"{_grid_words(chosen, beside)} Left: SD over "
        f"{place}; the {texture} is part of the total. Middle: noise power in a block inside "
        f"{'the cyst' if place != main else main}, "
        f"integrated along z and averaged in rings ({what})."
        f"{' Right: SD over dose, on logarithmic axes.' if over_dose else ''}",
        "Points of noise SD by scanner, and curves of noise power over spatial frequency"
        f"{f'; lines of SD over dose{over_dose}' if over_dose else ''}.{numbers}",
        notes,
    )


def _over_dose_in_words(rows: pd.DataFrame) -> str:
    """How many scanners' SD is lower at their highest dose than at their lowest; blank without several doses."""
    ends = [own.sort_values("dose_mgy")["value"].iloc[[0, -1]] for _, own in rows.groupby("scanner") if len(own) > 1]
    n_lower = sum(last < first for first, last in ends)
    return f", lower at the highest dose than at the lowest for {n_lower} of {len(ends)} scanners" if ends else ""


def _many_doses(rows: pd.DataFrame, measure: str) -> bool:
    return rows.loc[rows["measure"] == measure, "dose_mgy"].nunique() > 1


@styled
def draw_sharpness(profile: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the transfer function, modulation of star and zone plate, widths by scanner, contrast-to-noise of tissue
    pairs."""
    beside, profile = profile[profile["grid"] == COMMON], as_scanned(profile)
    beside = beside[~beside.index.isin(profile.index)]
    chosen = choose(profile)
    figure = new_figure(WIDTH_IN, 7.0)
    grid = figure.add_gridspec(2, 2, left=0.06, right=0.985, top=0.955, bottom=0.125, wspace=0.21, hspace=0.32)
    step = next((name for name in ("dots_to_wedge", "plain_to_wedge") if len(chosen.of("ttf", name))), None)
    axes = figure.add_subplot(grid[0, 0])
    axes.set_title(f"task transfer function, {STEP_LABELS.get(step, 'steps between panels')}, {chosen.words}")
    _falling(axes, chosen, chosen.of("ttf", step or ""), "TTF", "edge_sigma")
    axes = figure.add_subplot(grid[0, 1])
    axes.set_title(f"modulation of the Siemens star, {chosen.words}")
    _falling(axes, chosen, chosen.of("star_modulation"), "modulation", "star")

    axes = figure.add_subplot(grid[1, 0])
    step = next((n for n in ("dots_to_wedge", "plain_to_wedge") if len(chosen.of("edge_sigma_mm", n))), "")
    plane, along = chosen.of("edge_sigma_mm", step), chosen.of("slice_sigma_mm")
    drawn = (beside["measure"] == "slice_sigma_mm") & (beside["region"] == "wedge_to_liver")
    drawn |= (beside["measure"] == "edge_sigma_mm") & (beside["region"] == step)
    same = (beside["dose_mgy"] == chosen.dose_mgy) & (beside["recon"] == chosen.recon) & beside["value"].notna()
    beside = beside[drawn & same]
    axes.set_title(f"blur, {chosen.words}")
    if len(plane) or len(along):
        _by_scanner(axes, chosen, plane, "o", -0.1)
        _by_scanner(axes, chosen, along, "D", 0.1, hollow=True)
        for measure, shift in (("edge_sigma_mm", -0.1), ("slice_sigma_mm", 0.1)):
            _by_scanner(axes, chosen, beside[beside["measure"] == measure], REGISTERED_MARKER, shift)
        axes.set_ylabel("Gaussian sigma (mm)")
        handles = [
            Line2D([], [], marker="o", linestyle="", color="#444444", label="in plane"),
            Line2D([], [], marker="D", linestyle="", color="#444444", markerfacecolor="none", label="along z"),
        ]
        if len(beside):
            handles.append(_registered_handle())
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
        add_legend(axes, handles, loc="upper right", ncols=len(handles))
    else:
        message_panel(axes, reason_of(chosen.rows, "sharpness", "edge_sigma", "slice_sigma"))

    axes = figure.add_subplot(grid[1, 1])
    quantum = chosen.of("quantum_cnr")
    ratio = quantum if len(quantum) else chosen.of("cnr")
    axes.set_title(f"contrast-to-noise ({'quantum' if len(quantum) else 'total'} noise), {chosen.words}")
    _ratios(axes, chosen, ratio, f"no pair of {phantom_of(facts).words('tissues')}")
    _legend(figure, chosen)
    zone = chosen.of("zone_sigma_mm")
    text = ""
    if len(zone):
        text = (
            f" The zone plate, whose rings run in all directions, gives a sigma of {zone['value'].min():.2f} to "
            f"{zone['value'].max():.2f} mm."
        )
    return _finish(
        figure,
        facts,
        "profile_sharpness",
        "Sharpness and contrast of the scanners",
        f"{_grid_words(chosen, beside)} The print's own blur is part of all widths. Above: the transfer function of a "
        "step between two panels of the test patterns, and the modulation of the Siemens star relative to its fit at "
        "frequency zero. Below: Gaussian sigma of the steps in plane and along z, "
        "and difference of the means of two tissues over the root of their mean variance." + text,
        "Curves over spatial frequency, points of blur by scanner, and a coloured table of contrast-to-noise "
        f"by scanner and pair of tissues.{range_words('Sigma in plane', plane, 'mm', 2)}"
        f"{range_words('Sigma along z', along, 'mm', 2)}"
        f"{range_words('Contrast-to-noise of cyst and normal', ratio[ratio['region'] == 'cyst_normal'], '')}",
    )


def _falling(axes, chosen: Chosen, rows: pd.DataFrame, label: str, measure: str) -> None:
    """Curves over frequency that begin at 1, with a line at a half; the reason of `measure` where there are none."""
    if not len(rows):
        message_panel(axes, reason_of(chosen.rows, "sharpness", measure))
        return
    _curves(axes, chosen, rows)
    axes.axhline(0.5, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_xlim(0, 0.7)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("spatial frequency (1/mm)")
    axes.set_ylabel(label)


def _ratios(axes, chosen: Chosen, rows: pd.DataFrame, message: str) -> None:
    if not len(rows):
        message_panel(axes, message)
        return
    table = rows.pivot_table(index="region", columns="scanner", values="value", sort=False)
    table = table[[name for name in chosen.looks if name in table.columns]]
    values = table.to_numpy(float)
    picture = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0)
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left, bottom, 0.88 * width, height))  # room for the key
    colour_bar(axes.figure, axes, picture, "contrast-to-noise")
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), [name.replace("_", " /\n") for name in table.index])
    axes.tick_params(length=0)
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        colour = "black" if values[i, j] > 0.6 * np.nanmax(values) else "white"
        axes.text(j, i, f"{values[i, j]:.1f}", ha="center", va="center", fontsize=7.5, color=colour)
    for spine in axes.spines.values():
        spine.set_visible(False)


@styled
def draw_calibration(profile: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the wedge's HU less the reference's over HU, and the bias of each region."""
    chosen = choose(profile)
    figure = new_figure(WIDTH_IN, 4.4)
    grid = figure.add_gridspec(1, 2, left=0.06, right=0.985, top=0.92, bottom=0.235, wspace=0.2)
    axes = figure.add_subplot(grid[0])
    axes.set_title(f"the wedge against the reference, {chosen.words}")
    wedge = chosen.of("wedge_less_reference_hu")
    if len(wedge):
        axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        _curves(axes, chosen, wedge)
        axes.set_xlabel("HU of the wedge in the reference")
        axes.set_ylabel("difference (HU)")
    else:
        message_panel(axes, reason_of(chosen.rows, "calibration"))
    _bias(figure.add_subplot(grid[1]), chosen, phantom_of(facts))
    _legend(figure, chosen)
    return _finish(
        figure,
        facts,
        "profile_calibration",
        "Calibration of the scanners",
        "Left: mean HU in strips of the printed wedge less the same strip of the reference, over the reference's HU; a "
        "slope is a gain, a level an offset. Right: bias of the mean HU over each ROI against the reference.",
        "Lines of HU difference over HU, one for each scanner, and a coloured table of bias by region and scanner."
        f"{range_words('Slope', chosen.of('calibration_slope', 'wedge'), '', 3)}"
        f"{range_words('Offset', chosen.of('calibration_offset_hu', 'wedge'), 'HU')}{_worst_bias_words(chosen)}",
    )


@styled
def draw_bias(profile: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the bias of each region and the contrast-to-noise of each pair of classes, which need no test pattern."""
    phantom, chosen = phantom_of(facts), choose(as_scanned(profile))
    common = choose(profile)
    figure = new_figure(WIDTH_IN, max(3.8, 1.3 + 0.24 * len(phantom.regions)))
    height = figure.get_figheight()
    grid = figure.add_gridspec(1, 2, left=0.1, right=0.985, top=1 - 0.35 / height, bottom=0.45 / height, wspace=0.36)
    _bias(figure.add_subplot(grid[0]), common, phantom)
    axes = figure.add_subplot(grid[1])
    quantum = chosen.of("quantum_cnr")
    axes.set_title(f"contrast-to-noise ({'quantum' if len(quantum) else 'total'} noise), {chosen.words}")
    _ratios(axes, chosen, quantum if len(quantum) else chosen.of("cnr"), "no pair of classes")
    return _finish(
        figure,
        facts,
        "profile_bias",
        "Bias and contrast of the scanners",
        "Left: bias of the mean HU over each region against the reference. Right: difference of the means of two "
        "classes over the root of their mean variance. This phantom has no printed test patterns, from which transfer "
        "functions, modulation and calibration lines would be measured.",
        "Coloured tables of bias by region and scanner, and of contrast-to-noise by pair of classes and scanner."
        f"{_worst_bias_words(common)}",
    )


def _bias(axes, chosen: Chosen, phantom: Phantom) -> None:
    figure = axes.figure
    axes.set_title(f"mean of each ROI less the reference's (HU), {chosen.words}")
    bias = chosen.of("bias_hu")
    table = bias.pivot_table(index="region", columns="scanner", values="value", sort=False)
    table = table.reindex([roi for roi in phantom.names if roi in table.index])
    table = table[[name for name in chosen.looks if name in table.columns]]
    values = table.to_numpy(float)
    reach = max(1.0, float(np.nanmax(np.abs(values)))) if values.size else 1.0
    picture = axes.imshow(values, aspect="auto", cmap="PuOr", vmin=-reach, vmax=reach)
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left, bottom, 0.88 * width, height))  # room for the key
    colour_bar(figure, axes, picture, "difference (HU)")
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), table.index)
    axes.tick_params(length=0)
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        dark = abs(values[i, j]) > 0.65 * reach
        axes.text(j, i, f"{round(values[i, j], 1) + 0.0:+.1f}", ha="center", va="center", fontsize=7.5,
                  color="white" if dark else "black")  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)


@styled
def draw_geometry(profile: pd.DataFrame, fields: pd.DataFrame, facts: dict) -> tuple[Figure, Caption]:
    """Draw the local displacement after registration: along z, by size, and as arrows in plane for each scanner."""
    chosen = choose(profile)
    own = fields[(fields["dose_mgy"] == chosen.dose_mgy) & (fields["recon"] == chosen.recon)]
    scanners = [name for name in chosen.looks if name in set(own["scanner"])]
    columns = 7
    rows = max(1, int(np.ceil(len(scanners) / columns)))
    figure = new_figure(WIDTH_IN, 3.75 + 1.35 * rows)
    height = figure.get_figheight()
    top = figure.add_gridspec(
        1, 2, left=0.075, right=0.985, top=1 - 0.35 / height, bottom=1 - 2.6 / height, wspace=0.15
    )
    axes = figure.add_subplot(top[0])
    axes.set_title(f"displacement along y (down) over z, {chosen.words}")
    if len(own):
        axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        for scanner in scanners:
            part = own[own["scanner"] == scanner]
            layer = part.groupby(part["z_mm"].round(0))[["z_mm", "displacement_y_mm"]].mean()
            axes.plot(
                layer["z_mm"],
                layer["displacement_y_mm"],
                marker="o",
                markersize=2.5,
                linewidth=1.2,
                **chosen.looks[scanner],
            )
        reach = max(0.1, np.abs(axes.get_ylim()).max())
        axes.set_ylim(-reach, reach)
        axes.set_xlabel("z in the reference (mm)")
        axes.set_ylabel("mean over a layer (mm)")
    else:
        message_panel(axes, reason_of(chosen.rows, "geometry"))
    axes = figure.add_subplot(top[1])
    axes.set_title(f"size of the components over all cells, {chosen.words}")
    found = False
    for name, marker, shift, hollow in (
        ("median", "o", -0.15, False),
        ("p95", "D", 0.0, True),
        ("max", "_", 0.15, False),
    ):
        part = chosen.of(f"displacement_{name}_mm")
        found = found or len(part) > 0
        _by_scanner(axes, chosen, part, marker, shift, hollow)
    if found:
        axes.set_ylim(0, 1.22 * axes.get_ylim()[1])
        axes.set_ylabel("displacement (mm)")
        handles = [
            Line2D([], [], marker="o", linestyle="", color="#444444", label="median"),
            Line2D([], [], marker="D", linestyle="", color="#444444", markerfacecolor="none", label="95th percentile"),
            Line2D([], [], marker="_", linestyle="", color="#444444", markersize=10, label="largest"),
        ]
        add_legend(axes, handles, loc="upper right", ncols=3, columnspacing=1)
    else:
        message_panel(axes, reason_of(chosen.rows, "geometry"))
    body = "block" if phantom_of(facts).printed_block else "phantom"
    n_arrows, n_cells, reference = _arrows(figure, own, scanners, columns, rows, height, chosen)
    _legend(figure, chosen)
    without = " of all but the reference" if reference else ""
    zero = f" The reference is a series of {reference}, whose displacement is zero by definition." if reference else ""
    return _finish(
        figure,
        facts,
        "profile_geometry",
        "Residual geometry after registration",
        f"Local displacement against the reference in cells inside the {body}, after the rigid registration: "
        f"distortion, sag of the table, and errors.{_known_to(own)} Above: mean along y of the cells of a layer, and "
        "size of the components. Below: displacement in plane, mean over z: dots are cells where it is known, arrows, "
        f"{ARROW_FACTOR} times as long as it, those where it is {LEAST_OF_ERROR:g} times its error or more "
        f"({n_arrows} of {n_cells} cells{without})." + zero,
        f"Lines of displacement over z, points of its size by scanner, and small maps, one for each of "
        f"{len(scanners)} scanners, with {n_arrows} arrows on {n_cells} cells{without}."
        f"{range_words('95th percentile', chosen.of('displacement_p95_mm', 'block'), 'mm', 2)}",
    )


def _mean_over_z(part: pd.DataFrame) -> pd.DataFrame:
    """Displacement in plane and its error by position in plane, the cells along z weighted by what is known of them."""
    position = [part["y_mm"].round(0), part["x_mm"].round(0)]
    columns = {"x_mm": part["x_mm"].groupby(position).mean(), "y_mm": part["y_mm"].groupby(position).mean()}
    for axis in "xy":
        moved = part[f"displacement_{axis}_mm"]
        weight = (1 / part[f"error_{axis}_mm"].clip(lower=0.01) ** 2).where(moved.notna(), 0.0)
        total = weight.groupby(position).sum()
        columns[f"displacement_{axis}_mm"] = (moved.fillna(0) * weight).groupby(position).sum() / total.where(total > 0)
        columns[f"error_{axis}_mm"] = 1 / np.sqrt(total.where(total > 0))
    return pd.DataFrame(columns).dropna()


def _known_to(own: pd.DataFrame) -> str:
    """The median error of a cell along an axis, in a sentence; blank where no cell is known."""
    errors = own[[f"error_{axis}_mm" for axis in "xyz"]].to_numpy(float)
    errors = errors[np.isfinite(errors) & (errors > 0)]
    return f" Half of the cells are known to {np.median(errors):.2g} mm or better along an axis." if len(errors) else ""


def _arrows(figure, own, scanners: list[str], columns: int, rows: int, height: float, chosen) -> tuple[int, int, str]:
    """Draw the maps; returns how many arrows there are on how many cells without the reference's, and its scanner,
    blank where it is not drawn."""
    n_arrows, n_cells, reference = 0, 0, ""
    grid = figure.add_gridspec(
        rows, columns, left=0.02, right=0.99, top=1 - 3.2 / height, bottom=0.6 / height, wspace=0.06, hspace=0.22
    )
    for number, scanner in enumerate(scanners):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        part = own[own["scanner"] == scanner]
        cells = _mean_over_z(part)
        axes.plot(cells["x_mm"], cells["y_mm"], ".", color="#c8c8c8", markersize=1.5)
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1 / ARROW_FACTOR, "width": 0.007, "headwidth": 3,
                  "headlength": 3.5, "headaxislength": 3}  # fmt: skip
        length, error = (np.hypot(cells[f"{what}_x_mm"], cells[f"{what}_y_mm"]) for what in ("displacement", "error"))
        sure = cells[length >= LEAST_OF_ERROR * error]
        moved = [sure["displacement_x_mm"], sure["displacement_y_mm"]]
        axes.quiver(sure["x_mm"], sure["y_mm"], *moved, color=chosen.looks[scanner]["color"], **arrows)
        if number == 0 and len(own):
            left, low = own["x_mm"].min() - 8, own["y_mm"].max() + 11
            axes.quiver(left, low, 0.1, 0, color="black", **arrows)
            axes.text(left + 0.1 * ARROW_FACTOR + 4, low, "0.1 mm", fontsize=7, va="center")
        still = len(cells) > 0 and length.max() < 1e-6
        if still:
            reference = scanner
        else:
            n_arrows, n_cells = n_arrows + len(sure), n_cells + len(cells)
        axes.set_title(f"{scanner}, the reference" if still else scanner, pad=2)
        axes.set_aspect("equal")
        if len(own):
            axes.set_xlim(own["x_mm"].min() - 16, own["x_mm"].max() + 16)
            axes.set_ylim(own["y_mm"].max() + 16, own["y_mm"].min() - 16)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color("#d8d8d8")
    return n_arrows, n_cells, reference


def draw_profiles(profile: pd.DataFrame, fields: pd.DataFrame, facts: dict, folder: Path) -> None:
    """Draw all four; of a phantom without printed test patterns, what needs none of them."""
    printed = phantom_of(facts).printed_block
    for draw in (draw_noise, draw_sharpness, draw_calibration) if printed else (draw_noise, draw_bias):
        save_figure(*draw(profile, facts), folder, phantom_of(facts).words)
    save_figure(*draw_geometry(profile, fields, facts), folder, phantom_of(facts).words)
