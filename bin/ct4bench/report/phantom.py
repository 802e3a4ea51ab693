"""What the report says of a phantom of the user's own: its regions, what is not made of it and why, and its patches."""

from dataclasses import replace

import pandas as pd

from ct4bench.core.benchmark import PATCH_SHAPE
from ct4bench.core.regions import FEW_INSIDE, SMALL_REMEDY, Phantom, phantom_of
from ct4bench.results.deviations import Choice, Point

NO_PRINT = "this phantom has no printed block, of which it shows the parts"
NO_PATTERNS = "this phantom has no printed test patterns, from which it is measured"


def absent_figures(facts: dict) -> dict[str, str]:
    """Return the figures that are of the CT4Harmonization phantom alone, each with the reason; none of that phantom."""
    phantom = phantom_of(facts)
    if phantom.is_published:
        return {}
    found = {"figure4": "of another phantom it is the figure 'same slice'"}
    if not phantom.printed_block:
        found |= {"figure2": NO_PRINT, "figure3": f"{NO_PRINT}; its regions are in the figure 'regions'"}
        found |= {"profile_sharpness": NO_PATTERNS, "profile_calibration": NO_PATTERNS}
    return found


def phantom_sentences(facts: dict) -> list[str]:
    """Return what was scanned, in sentences: regions and classes, how series were registered, and what is not made."""
    phantom = phantom_of(facts)
    listed = [f"{t} ({', '.join(r.name for r in phantom.regions if r.tissue == t)})" for t in phantom.tissues]
    sentences = [
        f"The phantom is not the benchmark's but {phantom.name}: {len(phantom.regions)} regions of "
        f"{len(phantom.tissues)} classes, {', '.join(listed)}. Nothing is published of it, so no published number "
        "stands next to this run's. Columns and tasks keep the benchmark's names: 'tissue' for the class of a region"
        + ("." if phantom.printed_block else ", and 'block' for the whole phantom.")
    ]
    if not phantom.printed_block:
        sentences.append(
            "It has no printed block: series were registered by the image content round its regions, pairs compared "
            "inside it, and neither transfer function, modulation nor calibration line is measured, for want of test "
            "patterns."
        )
    return sentences


def told_points(points: list[Point], choices: list[Choice], phantom: Phantom) -> tuple[list, list, list[int]]:
    """Return the points and choices of docs/deviations.md that hold of a phantom, in its words, and the numbers of the
    points that do not."""
    if phantom.is_published:
        return points, choices, []

    def told(item: Point | Choice):
        texts = {name: phantom.words(value) for name, value in vars(item).items() if isinstance(value, str)}
        return replace(item, **texts)

    kept = [told(point) for point in points if not point.benchmark_alone]
    left_out = [point.number for point in points if point.benchmark_alone]
    return kept, [told(choice) for choice in choices if not choice.benchmark_alone], left_out


def small_region_words(facts: dict, patches: pd.DataFrame | None) -> list[str]:
    """Return a sentence that warns of the regions of a phantom of the user's own of which patches hold less than half,
    with what to do; empty where there is none."""
    phantom = phantom_of(facts)
    if patches is None or phantom.is_published:
        return []
    shares = patches.groupby("roi")["share_inside"].mean()
    small = [f"{roi} ({100 * shares[roi]:.0f} %)" for roi in phantom.names if shares.get(roi, 1.0) < FEW_INSIDE]
    if not small:
        return []
    return [
        f"Patches of {', '.join(small)} lie in their region by less than half of their voxels, in the mean: features "
        f"of theirs, and what is said of them above, are of the surroundings for the most part. {SMALL_REMEDY}."
    ]


def patches_words(facts: dict, patches: pd.DataFrame | None) -> str:
    """Return which regions of a phantom of the user's own have fewer patches than the others or none, and which lie in
    their surroundings for the most part; blank where there is nothing to say."""
    phantom = phantom_of(facts)
    if patches is None or phantom.is_published:
        return ""
    counts = patches.groupby("roi").size().reindex(phantom.names, fill_value=0)
    size = " x ".join(map(str, PATCH_SHAPE))
    words = []
    few = counts[counts < counts.max()]
    if len(few):
        named = ", ".join(f"{roi} has {n or 'none'}" for roi, n in few.items())
        words.append(
            f"Set aside: {named}, since patches of {size} voxels (slices, rows, columns) are drawn only where they lie "
            "within the phantom and its reference, up to margin_mm from the regions."
        )
    inside = patches.groupby("roi")["share_inside"].mean()
    outside = sorted(inside.index[inside < FEW_INSIDE])
    if outside:
        words.append(
            f"The patches of {', '.join(outside)} have less than half of their voxels in their region, which is "
            "smaller than a patch: features of theirs are of the region and what is round it. "
            f"{SMALL_REMEDY}."
        )
    return " ".join(words)
