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
    """The demo's slab has 12.7 of 45 Mvoxel; the rest of a method's cost is its trainings, as those of ComBat."""
    whole, slab, none = (told(all_cells=False, mvoxel=size) for size in (45, 12.7, 0.0))
    assert hours(whole, "combat") == hours(slab, "combat")
    images = hours(whole, "histogram_matching") - hours(none, "histogram_matching")
    assert (hours(slab, "histogram_matching") - hours(none, "histogram_matching")) / images == pytest.approx(
        12.7 / 45, abs=0.01
    )
    assert told(all_cells=False, mvoxel=90.0) == whole


def test_voxels_are_those_of_the_index():
    index = pd.DataFrame({"n_slices": [100, 100, 343], "rows": [310, 310, 512], "columns": [410, 410, 512]})
    assert mvoxel_of(index) == pytest.approx(12.71)
    assert mvoxel_of(pd.DataFrame({"roi": ["cyst1"]})) == 45


def test_what_learns_from_all_images_says_its_fits_versions_and_disk():
    """13 scanners: 13 folds of N = 2, each with three scanners' series, 13 of N = 12 with all, and one fit on all."""
    variants = choose(find_methods(), "none,cnn_to_reference")

    def line(n_domains: int, n_featured: int, n_series: int) -> str:
        return cost_lines(variants, Size(n_series, n_featured, n_domains, 1, False))[1]

    images = 1378 + 268 // 13 * (13 * 3 + 13 * 13)
    words = r": 27 fits, 17 versions of each image \(([\d.]+) GB of disk\), ([\d.]+) CPU h$"
    found = re.search(words, line(13, 268, 1378))
    assert float(found[1]) == pytest.approx(images * 0.04, rel=0.05)
    assert float(found[2]) == pytest.approx((25 + 50 + 27 * 150 + images * 60) / 3600, rel=0.05)
    # of three scanners N = 2 is all others; two have no fold
    assert ": 4 fits, 4 versions of each image " in line(3, 12, 12)
    assert ": 1 fit, 1 version of each image " in line(2, 8, 8)


def test_the_cost_that_is_said_is_near_the_demos():
    """What was measured of it, less what is made without methods: some 1,000 CPU s with shells and links."""
    variants = choose(find_methods(), "default")
    lines = cost_lines(variants, Size(70, 54, 13, 1, False, 12.7))
    assert float(re.search(r"together about ([\d.]+) CPU h", lines[-1])[1]) == pytest.approx(1000 / 3600, rel=0.6)
