"""What the methods of a run declare, as a table, and what they will cost, in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.errors import counted
from ct4bench.harmonization.features_of import read_variant
from ct4bench.harmonization.methods import LEAKY, NONE, Variant
from ct4bench.splits.splits import N_FOLDS
from ct4bench.splits.tasks import sizes_mapped

COLUMNS = ["method", "title", "about", "version", "citation", "licence", "role", "level", "information", "unseen",
           "learns", "shipped"]  # fmt: skip
"""Of methods.csv, less what is known at the end only."""
LEAKY_END = f".{LEAKY}"
"""Ends the name of what a method shows that was fitted on all rows before they were divided."""
LEAKY_WORDS = "the same, fitted on all rows before they are divided: what it has more than that is a leak"
OUTSIDE = "fitted outside: what it has seen is not known"
BROUGHT = {
    "title": "", "about": "made outside this run; what it has seen is not known", "version": "", "citation": "",
    "licence": "", "level": "", "information": OUTSIDE, "unseen": "", "learns": "", "role": "outside",
    "shipped": False,
}  # fmt: skip
"""What is said of results that were made elsewhere."""
COMMON = ("version", "citation", "licence", "role", "level", "information", "unseen", "learns", "shipped")
FIT_S = 1.0
"""CPU seconds of a fit and a transform on 16,080 rows: 0.2 to 0.7 of radiomics, 1.5 by ComBat of 768 features."""
METHOD_S = 25
"""CPU seconds of a method whatever it maps: its eight tasks start, and are little more."""
TRAINING_S = {True: 250, False: 50}
"""CPU seconds of a full feature set: trainings of all cells or of those that are compared, embedding, scores."""
FULL_SERIES = 268
"""Series of a full feature set, at 60 patches each."""
FULL_MVOXEL = 45
"""Voxels of a registered series of the whole phantom."""
IMAGE_S = 7
"""CPU seconds of one version of such a series: 0.7 to 7.5 of a method, then pairs, profiles and its features again."""
POOLED_IMAGE_S = 60
"""The same by what learns from all scanners, as `cnn_to_reference`."""
POOLED_FIT_S = 150
"""CPU seconds of a fit of that."""
POOLED_GB = 0.04
"""Disk of a version of such a series, which a fold keeps."""


@dataclass(frozen=True)
class Size:
    """What the cost of a method depends on."""

    n_series: int
    n_featured: int
    """Series with features."""
    n_domains: int
    n_extractors: int
    all_cells: bool
    mvoxel: float = FULL_MVOXEL
    """Million voxels of a series; what is beyond the registered box does not count."""


def describe(
    names: Iterable[str],
    brought: Iterable[str],
    folders: Iterable[Path],
    shipped: Iterable[str],
    called: Iterable[str] = (),
) -> tuple[list[Variant | None], pd.DataFrame]:
    """Return the variants by name (None: brought), and what they declare: the columns `COLUMNS`.

    `called` are the folders as their users name them, for errors.
    """
    own_places = {Path(place).name: place for place in called}
    by_name, shipped, brought = {Path(folder).name: Path(folder) for folder in folders}, set(shipped), set(brought)
    variants, rows = [], []
    for name in names:
        if name in brought:
            variants.append(None)
            rows.append({"method": name, **BROUGHT, "title": name})
            continue
        method, own = name.partition(".")[0], name.removesuffix(LEAKY_END)
        variant = (
            Variant(name, NONE, {})
            if name == NO_METHOD
            else read_variant(by_name[method], own, method in shipped, own_places.get(method, ""))
        )
        if own != name:
            told = replace(variant.declaration, role="leaky", about=LEAKY_WORDS, learns="nothing")
            variant = Variant(name, told, variant.parameters)
        declared = variant.declaration
        values = {key: getattr(declared, key) for key in COMMON}
        rows.append({"method": name, "title": variant.title, "about": declared.about, **values})
        variants.append(variant)
    return variants, pd.DataFrame(rows)[COLUMNS]


def mvoxel_of(series: pd.DataFrame) -> float:
    """Return the median million voxels of an index's `series.csv`; of the whole phantom for other tables."""
    sides = ["n_slices", "rows", "columns"]
    return float(series[sides].prod(axis=1).median() / 1e6) if set(sides) <= set(series.columns) else FULL_MVOXEL


def fits_of(size: Size) -> int:
    """Count the fits of a feature-level method for one feature set: folds of the compared cells, or of all, and those
    outside the folds."""
    n = size.n_domains
    n_sizes = n - 1 if size.all_cells else len({1, 2, n - 1} & set(range(1, n)))
    return n * n_sizes + N_FOLDS * (N_FOLDS - 1 if size.all_cells else 1) + n + 1


def is_pooled_of_images(variant: Variant) -> bool:
    """Tell whether each fold is a fit of volumes, and volumes of its own."""
    return variant.declaration.level != "feature" and variant.declaration.learns == "pooled"


@dataclass(frozen=True)
class Made:
    """What a method makes in a run, and what that costs."""

    fits: int = 0
    versions: int = 0
    """Of each series with features."""
    cpu_s: float = 0.0
    disk_gb: float = 0.0
    """What is kept of the folds' volumes."""


def made_of(variant: Variant | None, size: Size) -> Made:
    """Count the fits and versions of images of a method (None: brought): images once where a fold does not change
    them, else one version more in each fold that trains on a series or tests it."""
    if variant is None or variant.declaration.role == "leaky":
        return Made()
    scale = min(1.0, size.mvoxel / FULL_MVOXEL)
    if is_pooled_of_images(variant):
        sizes = sizes_mapped(size.n_domains)
        fits, in_folds = 1 + len(sizes) * size.n_domains, sum(n + 1 for n in sizes)
        images = (size.n_series + in_folds * size.n_featured) * scale
        return Made(fits, 1 + in_folds, fits * POOLED_FIT_S + images * POOLED_IMAGE_S, images * POOLED_GB)
    if variant.declaration.level != "feature":
        return Made(0, 1, size.n_series * IMAGE_S * scale)
    fits = fits_of(size) * size.n_extractors
    return Made(fits, 0, fits * FIT_S * size.n_featured / FULL_SERIES)


def cost_lines(variants: list[Variant | None], size: Size) -> list[str]:
    """Return a line for each method but none: its fits, versions of images, and about how many CPU hours."""
    share = size.n_featured / FULL_SERIES
    training_s = TRAINING_S[size.all_cells] * size.n_extractors * share
    lines = [
        f"Harmonization methods: {len(variants) - 1}, for {counted(size.n_domains, 'domain')}, {size.n_featured} "
        f"series with features and {counted(size.n_extractors, 'feature set')}; CPU hours are rough."
    ]
    total = 0.0
    for variant in variants:
        if variant is not None and variant.name == NO_METHOD:
            continue
        made = made_of(variant, size)
        hours = (METHOD_S + training_s + made.cpu_s) / 3600
        total += hours
        name = "made elsewhere" if variant is None else variant.name
        disk = f" ({made.disk_gb:.1f} GB of disk)" if made.disk_gb else ""
        made_of_it = f"{counted(made.fits, 'fit')}, {counted(made.versions, 'version')} of each image{disk}"
        lines.append(f"  {name}: {made_of_it}, {hours:.2f} CPU h")
    return [*lines, f"  together about {total:.2f} CPU h"]
