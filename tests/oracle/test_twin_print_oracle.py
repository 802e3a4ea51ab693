"""The print of the twin's regions against published features of scanner A1: the gates of docs/twin.md."""

import importlib.util

import pytest
from tests.conftest import ROOT
from tests.published_a1 import read_published

from ct4bench.twin.draw import draw_phantom
from ct4bench.twin.phantom import open_phantom, parse_slab

SPEC = importlib.util.spec_from_file_location("measure_twin", ROOT / "tools" / "measure_twin.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("print")
    draw_phantom(parse_slab(tool.SLAB), 0, folder)
    return open_phantom(folder)


@pytest.mark.slow
def test_features_are_the_published(phantom, shared_data):
    """Half a minute: ten repetitions, as many as are published."""
    both = tool.compare(tool.scan_regions(phantom, 10, 0), read_published(shared_data("a1_radiomics_published.csv")))
    assert both["feature"].nunique() == 86 and len(both) == 86 * 6 * 2 * 5
    read = both[both["dose_mgy"].isin(tool.READ_AT)]
    for part in (both, read):
        assert part["near"].mean() >= 0.75
        assert part.loc[part["class"] == "glszm", "near"].mean() >= 0.55
    assert both.groupby(["recon", "dose_mgy"])["near"].mean().min() >= 0.70
    assert tool.effect_size(both).between(0.85, 1.15).all()


@pytest.mark.slow
def test_a_patch_is_told_from_its_series_as_in_the_real_one(phantom, real_series):
    """The real series has 0.915 by the same measure."""
    found = tool.patches_of_one_series(phantom, real_series, 0)
    assert found["real"] == pytest.approx(0.915, abs=0.01)
    assert 0.85 <= found["twin"] <= 0.93


def test_effect_size_of_known_effects():
    """A twin whose values change by the square root of the real factor has half its effect."""
    import pandas as pd

    rows = [
        ("cyst1", "FBP", dose, name, twin, real)
        for name, factor in (("a", 4.0), ("b", 0.25))
        for dose, twin, real in ((1, factor**0.5, factor), (14, 1.0, 1.0))
    ]
    both = pd.DataFrame(rows, columns=["roi", "recon", "dose_mgy", "feature", "twin", "real"])
    assert tool.effect_size(both)["FBP"] == pytest.approx(0.5)
