"""Tables of features: what a feature's unit must not change, and what is refused by name."""

import numpy as np
import pandas as pd
import pytest

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, scan_id, tissue_of
from ct4bench.core.feature_tables import plain_units
from ct4bench.embedding import embed
from ct4bench.learning.mlp import fit_scaler, standardise
from ct4bench.learning.train import prepare
from ct4bench.stability.icc import icc_table, mean_icc_intervals
from ct4bench.stability.repeatability import repeatability_table

MAKERS = {"A1": "Siemens", "B1": "Siemens", "C1": "Philips", "E2": "GE"}
UNITLESS = ["wcv", "between_cv", "discriminability", "discriminability_within_tissue"]
UNITS = ["within_sd", "between_sd", "reproducibility_sd", "repeatability_coefficient", "reproducibility_coefficient"]


def features(seed=0) -> pd.DataFrame:
    """Four scanners, two reconstructions and repetitions, six ROIs of three patches, three features."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"1.{i}.{recon}.{n}", scan_id(s, 10, n), s, MAKERS[s], 10, recon, n, roi, tissue_of(roi), patch,
         *(10 * k + 3 * i + rng.normal(size=3)))
        for i, s in enumerate(MAKERS) for recon in ("FBP", "IR") for n in (1, 2)
        for k, roi in enumerate(ROIS) for patch in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*FEATURE_KEY, "f0", "f1", "f2"])


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-540, 2.0**330, 2.0**515, 2.0**1000])
def test_scores_do_not_depend_on_the_unit_of_a_feature(unit):
    table = features()
    other = table.assign(f1=table["f1"] * unit)
    for one, two in zip(icc_table(table, "x").iterrows(), icc_table(other, "x").iterrows(), strict=True):
        for name in ("icc", "icc_clipped", "ci_low", "ci_high"):
            assert two[1][name] == pytest.approx(one[1][name], rel=1e-12), (name, one[1])
    pd.testing.assert_frame_equal(mean_icc_intervals(other, "x"), mean_icc_intervals(table, "x"), rtol=1e-12)
    one, two = (repeatability_table(t, "x").set_index("feature") for t in (table, other))
    np.testing.assert_allclose(two[UNITLESS], one[UNITLESS], rtol=1e-12)
    np.testing.assert_allclose(two.loc["f1", UNITS].astype(float) / unit, one.loc["f1", UNITS].astype(float), rtol=1e-12)
    names = ["f0", "f1", "f2"]
    np.testing.assert_allclose(embed.standardise(other[names].to_numpy()), embed.standardise(table[names].to_numpy()))
    scaled = []
    for t in (table, other):
        values, everything = prepare(t, "x").values, np.arange(len(t))
        scaled.append(standardise(values, everything, fit_scaler(values, everything)).values)
    np.testing.assert_array_equal(*scaled)


def test_plain_units_change_nothing_of_common_features():
    values = np.array([[1.5, 0.0, -1e-90, np.nan], [2.5, 0.0, 1e99, 3.0]])
    found, exponents = plain_units(values)
    assert found is values and not exponents.any()
    found, exponents = plain_units(np.array([[1e300, np.inf], [np.nan, 1e-300]]))
    assert list(exponents) == [997, -996]
    np.testing.assert_array_equal(np.ldexp(found, exponents), [[1e300, np.inf], [np.nan, 1e-300]])
