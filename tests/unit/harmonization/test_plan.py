"""What methods will cost, said before they run."""

import re

import pandas as pd
import pytest

from ct4bench.harmonization.methods import choose, find_methods
from ct4bench.harmonization.plan import Size, cost_lines, mvoxel_of


def hours(lines: list[str], name: str) -> float:
    """CPU hours said of a method."""
    return float(re.search(rf"^  {re.escape(name)}: .* ([\d.]+) CPU h$", "\n".join(lines), re.M).group(1))


def told(**size) -> list[str]:
    variants = choose(find_methods(), "none,combat,histogram_matching")
    return cost_lines(
        variants, Size(**{"n_series": 1378, "n_featured": 268, "n_domains": 13, "n_extractors": 1} | size)
    )


def test_a_version_of_small_images_costs_less_and_features_do_not_know_of_it():
    """The demo's slab has 12.7 of 32.5 Mvoxel; the rest of a method's cost is its trainings, as those of ComBat."""
    whole, slab, none = (told(all_cells=False, mvoxel=size) for size in (32.5, 12.7, 0.0))
    assert hours(whole, "combat") == hours(slab, "combat")
    images = hours(whole, "histogram_matching") - hours(none, "histogram_matching")
    assert (hours(slab, "histogram_matching") - hours(none, "histogram_matching")) / images == pytest.approx(
        12.7 / 32.5, abs=0.01
    )
    assert told(all_cells=False, mvoxel=90.0) == whole


def test_voxels_are_those_of_the_index():
    index = pd.DataFrame({"n_slices": [100, 100, 343], "rows": [310, 310, 512], "columns": [410, 410, 512]})
    assert mvoxel_of(index) == pytest.approx(12.71)
    assert mvoxel_of(pd.DataFrame({"roi": ["cyst1"]})) == 32.5
