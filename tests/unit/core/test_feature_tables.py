"""Tables of features: what a feature's unit must not change, and what is refused by name."""

import numpy as np
import pandas as pd
import pytest
from learning_data import features_table, keys_table

from ct4bench.core import feature_tables
from ct4bench.core.benchmark import FEATURE_KEY, ROIS, scan_id, tissue_of
from ct4bench.core.contract import text_columns
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import feature_columns, plain_units, read_features
from ct4bench.core.tables import read_notes, read_table, write_table
from ct4bench.embedding import embed
from ct4bench.learning.mlp import fit_scaler, standardise
from ct4bench.learning.train import prepare
from ct4bench.stability.icc import icc_table, mean_icc_intervals
from ct4bench.stability.measure import measure
from ct4bench.stability.repeatability import repeatability_table

MAKERS = {"A1": "Siemens", "B1": "Siemens", "C1": "Philips", "E2": "GE"}
UNITLESS = ["within_relative", "reproducibility_relative", "discriminability", "discriminability_within_tissue"]
UNITS = ["within_sd", "between_sd", "reproducibility_sd", "repeatability_coefficient", "reproducibility_coefficient"]
UNITS += ["tissue_contrast"]


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
    for one, two in zip(mean_icc_intervals(table, "x"), mean_icc_intervals(other, "x"), strict=True):
        pd.testing.assert_frame_equal(two, one, rtol=1e-12)
    one, two = (repeatability_table(t, "x").set_index("feature") for t in (table, other))
    np.testing.assert_allclose(two[UNITLESS], one[UNITLESS], rtol=1e-12)
    np.testing.assert_allclose(
        two.loc["f1", UNITS].astype(float) / unit, one.loc["f1", UNITS].astype(float), rtol=1e-12
    )
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


WORDS = ["NA", "None", "null", "nan", "N/A", "007", "1e5", "True", "Inf", "Север", "A$1", "-"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_is_a_text_whatever_it_says(tmp_path, suffix):
    table = features()
    table["scanner"] = [WORDS[k % len(WORDS)] for k in range(len(table))]
    table["recon"], table["maker"] = "None", "null"
    write_table(table, tmp_path / f"t.{suffix}")
    found = read_features(tmp_path / f"t.{suffix}")
    for name in ("scanner", "recon", "maker"):
        assert list(found[name]) == list(table[name])


@pytest.mark.parametrize("column", sorted({"scanner_row", "scanner_col", "left_out", "features", *FEATURE_KEY}))
def test_no_column_of_names_is_read_as_numbers_or_blanks(tmp_path, column):
    if column in ("dose_mgy", "repetition", "patch"):
        return
    assert column in text_columns()
    frame = pd.DataFrame({column: WORDS, "value": [1.5, *[np.nan] * (len(WORDS) - 1)]})
    write_table(frame, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), frame)


@pytest.mark.parametrize("number", ["", "NA", "nan", "NULL", "#N/A"])
def test_a_number_may_be_missing(tmp_path, number):
    (tmp_path / "t.csv").write_text(f"scanner,value\nNA,{number}\nB,1\n\nC\n")
    table = read_table(tmp_path / "t.csv")
    assert list(table["scanner"]) == ["NA", "B", "C"] and list(table["value"].isna()) == [True, False, True]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blanks_and_forms_of_letters_make_no_other_name(tmp_path, suffix):
    table = features()
    due = table["scanner"].replace("A1", "Mü")
    table["scanner"] = [f" {name}\u00a0" if k % 2 else name for k, name in enumerate(table["scanner"])]
    table["scanner"] = table["scanner"].replace({"A1": "Mu\u0308", " A1\u00a0": "M\u00fc"})
    write_table(table.rename(columns={"f1": " f1 "}), tmp_path / f"t.{suffix}")
    found = read_features(tmp_path / f"t.{suffix}")
    assert list(found["scanner"]) == list(due)
    assert list(found.columns[-3:]) == ["f0", "f1", "f2"]
    table["scanner"] = table["scanner"].replace("B1", "B\u200b1")
    write_table(table, tmp_path / f"t.{suffix}")
    with pytest.raises(UserError, match=r"scanner 'B\\u200b1' has signs that cannot be seen"):
        read_features(tmp_path / f"t.{suffix}")


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    write_table(features(), tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    for name in ("scanner", "patch", "f1", " f1"):
        (tmp_path / "t.csv").write_text("\n".join([f"{lines[0]},{name}", *(f"{line},1" for line in lines[1:])]))
        with pytest.raises(UserError, match=f"has the column {name.strip()} more than once"):
            read_features(tmp_path / "t.csv")


def test_complex_numbers_are_no_features(tmp_path):
    table = features()
    table["f1"] = table["f1"].astype(str) + "+2j"
    write_table(table, tmp_path / "t.csv")
    with pytest.raises(UserError, match="f1 is not numeric"):
        read_features(tmp_path / "t.csv")


def test_notes_travel_with_parquet(tmp_path):
    write_table(features(), tmp_path / "t.parquet", notes={"origin": "synthetic"})
    assert read_notes(tmp_path / "t.parquet") == {"origin": "synthetic"}
    write_table(features(), tmp_path / "u.parquet")
    assert read_notes(tmp_path / "u.parquet") == {}
    pd.testing.assert_frame_equal(read_features(tmp_path / "t.parquet"), read_features(tmp_path / "u.parquet"))


def test_blocks_have_all_features_in_order_with_their_key(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_tables, "BLOCK", 3)
    table = features_table(keys_table(["A1", "C1"], patches=1), n_features=7)
    for name in ("t.parquet", "t.csv"):
        write_table(table, tmp_path / name)
        whole, blocks = read_features(tmp_path / name), list(feature_tables.read_feature_blocks(tmp_path / name))
        assert [len(feature_columns(block)) for block in blocks] == [3, 2, 2]
        joined = pd.concat([blocks[0], *(block[feature_columns(block)] for block in blocks[1:])], axis=1)
        pd.testing.assert_frame_equal(joined, whole)
        pd.testing.assert_frame_equal(feature_tables.read_keys(tmp_path / name), whole[FEATURE_KEY])


@pytest.mark.parametrize("layout", ["C", "F"])
def test_values_gathered_from_blocks_are_those_of_the_table_sorted(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(feature_tables, "BLOCK", 3)
    table = features_table(keys_table(["A1", "C1"], patches=2), n_features=7).sample(frac=1, random_state=3)
    write_table(table, tmp_path / "t.parquet")
    due = table.sort_values(["series_uid", "roi", "patch"], ignore_index=True)
    blocks = feature_tables.read_feature_blocks(tmp_path / "t.parquet")
    for given in (blocks, [table]):
        keys, names, values = feature_tables.sorted_values(given, layout)
        pd.testing.assert_frame_equal(keys, due[FEATURE_KEY], check_dtype=False)
        assert values.flags[f"{layout}_CONTIGUOUS"]
        np.testing.assert_array_equal(values, due[names].to_numpy())


def test_trainings_of_blocks_have_the_rows_of_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_tables, "BLOCK", 3)
    monkeypatch.setattr(feature_tables, "ROWS", 5)
    table = features_table(keys_table(["A1", "C1"], patches=2), n_features=7)
    table.loc[40, "f05"] = 1e200
    write_table(table, tmp_path / "t.parquet")
    whole = prepare(table, "x")
    blocks = prepare(feature_tables.read_feature_blocks(tmp_path / "t.parquet"), "x")
    assert whole.names == blocks.names and 0.5 <= whole.values[:, 5].max() < 1
    np.testing.assert_array_equal(whole.values, blocks.values)


def test_stability_of_blocks_is_that_of_all_features(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_tables, "BLOCK", 3)
    table = features_table(keys_table(["A1", "C1", "D1"], patches=2), n_features=7)
    write_table(table, tmp_path / "t.parquet")
    whole = measure([("x", [read_features(tmp_path / "t.parquet")])], "scanner")
    parts = measure([("x", feature_tables.read_feature_blocks(tmp_path / "t.parquet"))], "scanner")
    for one, other in zip(whole, parts, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-12)
