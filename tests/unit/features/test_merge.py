"""Merging the feature tables and settings of chunks, and tables that the user gives."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import merge_features
from ct4bench.core.benchmark import FEATURE_KEY
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import check_same_rows, read_features, sort_features
from ct4bench.core.regions import Phantom
from ct4bench.core.tables import read_notes, read_table, write_table
from ct4bench.features.merge import check_complete, merge, merge_settings, merge_tables
from ct4bench.results.run_facts import make_run_facts

UIDS = {
    "1.1": ("H1", 10, "FBP", 1),
    "1.2": ("A1", 10, "IR", 2),
    "1.3": ("A1", 10, "FBP", 10),
    "1.4": ("Z9", 1, "IR", 1),
}
RANKED = ["1.3", "1.2", "1.1", "1.4"]
"""The series in the order of a table: the paper's scanners first, in its order."""


def rows(uids, rois=("normal2", "cyst1"), patches=(10, 2), rng=None) -> pd.DataFrame:
    rng = rng or np.random.default_rng(0)
    made = []
    for uid in uids:
        scanner, dose, recon, repetition = UIDS[uid]
        for roi in rois:
            for patch in patches:
                key = uid, f"{scanner}_{repetition}", scanner, "GE", dose, recon, repetition, roi, roi[:-1], patch
                made.append((*key, *rng.normal(size=2)))
    return pd.DataFrame(made, columns=[*FEATURE_KEY, "b_feature", "a_feature"])


def written(folder, name, table):
    write_table(table, folder / name)
    return folder / name


@pytest.fixture
def parts(tmp_path):
    return [
        written(tmp_path, "one.parquet", rows(["1.1", "1.4"])), written(tmp_path, "two.parquet", rows(["1.2", "1.3"])),
    ]  # fmt: skip


REGISTERED = pd.DataFrame({"series_uid": [*UIDS, "1.5"], "dose_mgy": [row[1] for row in UIDS.values()] + [14]})


def test_rows_are_in_the_fixed_order_whatever_the_parts(parts):
    table = merge_tables(parts)
    assert list(table["series_uid"].drop_duplicates()) == RANKED
    first = table[table["series_uid"] == "1.3"]
    assert list(zip(first["roi"], first["patch"], strict=True)) == [
        ("cyst1", 2), ("cyst1", 10), ("normal2", 2), ("normal2", 10),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(table, merge_tables(parts[::-1]))
    assert list(table.columns) == [*FEATURE_KEY, "b_feature", "a_feature"]


def test_sorting_keeps_each_row_whole(rng):
    table = rows(list(UIDS), rng=rng)
    shuffled = table.sample(frac=1, random_state=1)
    both = sort_features(shuffled).merge(table, on=["series_uid", "roi", "patch"], suffixes=("", "_before"))
    assert len(both) == len(table)
    np.testing.assert_array_equal(both["a_feature"], both["a_feature_before"])


def test_other_scanners_and_rois_come_last_by_name():
    table = pd.concat([rows(["1.4"], ("lung", "bone")), rows(["1.1"], ("normal1",))])
    assert list(sort_features(table)["roi"].drop_duplicates()) == ["normal1", "bone", "lung"]


def test_a_table_of_another_extraction_is_refused(parts, tmp_path):
    other = written(tmp_path, "z.parquet", rows(["1.2"]).rename(columns={"a_feature": "c_feature"}))
    with pytest.raises(UserError, match=r"z.parquet has not the features of .*one.parquet .*a_feature, c_feature"):
        merge_tables([*parts, other])


def test_a_row_that_stands_twice_is_refused(parts, tmp_path):
    again = written(tmp_path, "z.csv", rows(["1.2"], ("cyst1",), (2,)))
    with pytest.raises(UserError, match="series 1.2, cyst1, patch 2 is duplicated"):
        merge_tables([*parts, again])


def test_every_registered_series_of_the_doses_must_be_there(parts):
    table = merge_tables(parts)
    patches = rows(["1.1"])[["roi", "patch"]]
    check_complete(table, REGISTERED, patches)
    check_complete(table, REGISTERED)
    with pytest.raises(UserError, match="lack the registered series 1.2"):
        check_complete(table[table["series_uid"] != "1.2"], REGISTERED, patches)
    with pytest.raises(UserError, match="have the unknown series 1.2"):
        check_complete(table, REGISTERED[REGISTERED["series_uid"] != "1.2"], patches)
    with pytest.raises(UserError, match="series 1.3 lacks cyst1, patch 10"):
        check_complete(table.drop(index=1), REGISTERED, patches)
    with pytest.raises(UserError, match="series 1.3 lacks cyst1, patch 10"):
        check_complete(table.drop(index=1), REGISTERED)
    with pytest.raises(UserError, match="series 1.1 has, though it is not a patch of the run, normal2, patch 10"):
        check_complete(table, REGISTERED, patches[~((patches["roi"] == "normal2") & (patches["patch"] == 10))])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="tissue"), "lacks the columns tissue"),
        (lambda t: t[FEATURE_KEY], "has no feature"),
        (lambda t: t.iloc[:0], "has no rows"),
        (lambda t: t.assign(roi=["", *t["roi"][1:]]), "roi is blank in row 1"),
        (lambda t: t.assign(dose_mgy=[None, *t["dose_mgy"][1:]]), "dose_mgy is blank in row 1"),
        (lambda t: t.assign(patch=t["patch"] + 0.5), "patch must be whole numbers"),
        (lambda t: t.assign(note="x"), "the column note is not numeric"),
        (lambda t: t.assign(patch="first"), "the column patch is not numeric"),
    ],
)
def test_faults_of_a_given_table_are_named(tmp_path, change, words):
    with pytest.raises(UserError, match=f"given.csv.*{words}"):
        read_features(written(tmp_path, "given.csv", change(rows(["1.1", "1.2"]))))


def test_a_given_table_is_taken_with_its_hash(tmp_path):
    table = rows(["1.4", "1.1"], patches=(0,))
    table.loc[0, "a_feature"] = np.nan
    shuffled = table[["a_feature", *FEATURE_KEY[::-1], "b_feature"]].assign(b_feature=range(4))
    merged, settings = merge("own", [written(tmp_path, "given.csv", shuffled)], [])
    assert list(merged.columns) == [*FEATURE_KEY, "a_feature", "b_feature"]
    assert merged["b_feature"].dtype == np.float64
    assert list(merged["series_uid"]) == ["1.1", "1.1", "1.4", "1.4"]
    assert settings == {
        "extractor": "own", "n_features": 2, "status": "given", "weights": None, "not_finite": 1,
        "files": {"given.csv": settings["files"]["given.csv"]},
    }  # fmt: skip
    assert len(settings["files"]["given.csv"]) == 64


def test_settings_must_agree_but_for_what_was_verified():
    first = {"extractor": "e", "seed": 0, "verified": 2, "largest_difference": 1e-9, "largest_difference_at": "x"}
    second = first | {"verified": 3, "largest_difference": 2e-9, "largest_difference_at": "y", "not_finite": 1}
    third = first | {"verified": 0, "largest_difference": None, "largest_difference_at": ""}
    merged = merge_settings({"b.json": second, "a.json": first, "c.json": third})
    assert merged == {
        "extractor": "e", "seed": 0, "verified": 5, "largest_difference": 2e-9, "largest_difference_at": "y",
        "not_finite": 1,
    }  # fmt: skip
    assert merge_settings({"c.json": third})["largest_difference"] is None
    for other in (first | {"seed": 1}, {key: value for key, value in first.items() if key != "seed"}):
        with pytest.raises(UserError, match="a.json and b.json were made with different settings: seed is 0 and"):
            merge_settings({"a.json": first, "b.json": other})


def test_settings_of_another_extractor_and_broken_ones_are_refused(parts, tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"extractor": "radiomics"}))
    with pytest.raises(UserError, match="s.json is of the extractor radiomics, not of swin_unetr"):
        merge("swin_unetr", parts, [path])
    for text in ("{", "[1]"):
        path.write_text(text)
        with pytest.raises(UserError, match="s.json is not a settings file"):
            merge("radiomics", parts, [path])


def test_extractors_with_other_rows_are_named_with_one_of_them():
    table = rows(["1.2", "1.3"])
    check_same_rows(("a", table), ("b", table.sample(frac=1, random_state=0)))
    for some in (("a", table), ("b", table.iloc[1:])), (("b", table.iloc[1:]), ("a", table)):
        one = table.iloc[0]
        words = f"not the same rows: 1 are in one alone, such as {one['series_uid']} {one['roi']} {one['patch']}"
        with pytest.raises(UserError, match=words) as raised:
            check_same_rows(*some)
        assert f"{some[0][0]} and {some[1][0]}" in str(raised.value)


def given(tmp_path, suffix="csv", **columns):
    table = rows(list(UIDS), rois=("cyst1", "normal2"), patches=(0, 1)).assign(**columns)
    return written(tmp_path, f"given.{suffix}", table)


N = 16
NO_FEATURES = {
    "Unnamed: 0": np.arange(N)[::-1],
    "__index_level_0__": np.random.default_rng(1).permutation(N),
    "...1": np.arange(N) * 1.5,
    "X": np.arange(1, N + 1),
    "row_names": np.ones(N),
    "index": np.arange(N),
    "anything": np.arange(N),
    "count": np.arange(1, N + 1),
    "kvp": np.full(N, 120),
    "slice_thickness_mm": np.full(N, 1.0),
    "z_mm": np.random.default_rng(2).normal(size=N),
    "diagnostics_Image-original_Mean": np.random.default_rng(3).normal(size=N),
    "age": np.repeat([31.0, 44.0, 44.0, 51.0], N // 4),
}


@pytest.mark.parametrize("name", NO_FEATURES)
def test_a_column_that_is_no_feature_is_refused_by_name(tmp_path, name):
    path = given(tmp_path, "parquet", **{name: NO_FEATURES[name]})
    with pytest.raises(UserError, match=f"the column '{re.escape(name)}'.*features found are b_feature, a_feature"):
        merge("x", [path], [])


def test_row_numbers_of_pandas_and_of_r_are_refused(tmp_path):
    table = rows(list(UIDS))
    table.to_csv(tmp_path / "pandas.csv")
    table.reset_index().to_parquet(tmp_path / "reset.parquet")
    table.rename(columns={"a_feature": ""}).to_csv(tmp_path / "nameless.csv", index=False)
    for name in ("pandas.csv", "reset.parquet", "nameless.csv"):
        with pytest.raises(UserError, match="has no name of its own"):
            merge("x", [tmp_path / name], [])


@pytest.mark.parametrize(
    "column, value, words",
    [
        ("roi", {"cyst1": "cyst_1"}, "roi 'cyst_1' is not 'cyst1' of the benchmark"),
        ("roi", {"cyst1": "Cyst1"}, "roi 'Cyst1' is not 'cyst1'"),
        ("tissue", {"cyst": "Cyst"}, "tissue 'Cyst' is not 'cyst'"),
        ("tissue", {"cyst": "normal"}, "cyst1 is of the tissue 'normal'; it must be 'cyst'"),
        ("roi", {"cyst1": "spleen", "normal2": "Spleen"}, "'Spleen' and 'spleen' are two names"),
    ],
)
def test_regions_that_are_nearly_the_benchmarks_are_refused_by_name(tmp_path, column, value, words):
    table = rows(list(UIDS), rois=("cyst1", "normal2"))
    path = written(tmp_path, "t.csv", table.assign(**{column: table[column].replace(value)}))
    with pytest.raises(UserError, match=words):
        merge("x", [path], [])


@pytest.mark.parametrize("name", ["scanner", "maker", "dose_mgy", "recon", "repetition", "scan_id"])
def test_keys_that_contradict_each_other_are_refused(tmp_path, name):
    table = rows(list(UIDS))
    table[name] = table[name].astype(object)
    table.loc[3, name] = 99 if name in ("dose_mgy", "repetition") else "other"
    with pytest.raises(UserError, match=f"has the {name} .* in one row and .* in another"):
        merge("x", [written(tmp_path, "t.csv", table)], [])


def test_regions_of_ones_own_are_taken(tmp_path):
    table = rows(list(UIDS), rois=("spleen", "kidney_left"))
    assert len(merge("x", [written(tmp_path, "t.csv", table)], [])[0]) == len(table)


def test_origin_weights_and_mode_travel_with_a_table(tmp_path):
    table = rows(["1.1", "1.2", "1.3", "1.4"])
    registered = REGISTERED.assign(origin="synthetic")
    weights = {"status": "stand-in", "words": "made up"}
    (tmp_path / "s.json").write_text(json.dumps({"extractor": "x", "weights": weights}))
    script = ["--extractor", "x", "--tables", str(written(tmp_path, "x.parquet", table)), "--mode", "corrected"]
    registered[registered["dose_mgy"].isin([1, 10])].to_csv(tmp_path / "registered.csv", index=False)
    out = ["--output", str(tmp_path / "out.parquet"), "--merged_settings", str(tmp_path / "out.json")]
    merge_features.main(
        [*script, "--settings", str(tmp_path / "s.json"), "--registered", str(tmp_path / "registered.csv"), *out]
    )
    due = {"origin": "synthetic", "weights": weights, "mode": "corrected"}
    assert read_notes(tmp_path / "out.parquet") == due
    read_table(tmp_path / "out.parquet").to_csv(tmp_path / "out.csv", index=False)
    for tables, beside in ((["out.parquet"], []), (["out.csv"], ["out.json"])):
        again = ["--output", str(tmp_path / "again.parquet"), "--merged_settings", str(tmp_path / "again.json")]
        options = ["--beside", *(str(tmp_path / name) for name in beside)] if beside else []
        merge_features.main(
            [
                "--extractor",
                "y",
                "--tables",
                *(str(tmp_path / name) for name in tables),
                "--mode",
                "paper",
                *again,
                *options,
            ]
        )
        settings = json.loads((tmp_path / "again.json").read_text())
        assert {name: settings[name] for name in due} == due and settings["status"] == "given"
        assert read_notes(tmp_path / "again.parquet") == due
        facts = make_run_facts(read_features(tmp_path / "again.parquet"), "paper", {"y": settings})
        assert (facts["origin"], facts["modes_of_features"]) == ("synthetic", ["corrected"])
        assert facts["weights"]["y"]["words"] == "made up"
    bare = merge("x", [tmp_path / "out.csv"], [])[1]
    assert make_run_facts(table, "paper", {"x": bare, "y": settings})["origin"] == "unknown"


OWN = Phantom.from_dict(
    {"name": "Own", "main_region": "Oil-2",
     "regions": [{"name": "Cyst_1", "class": "water", "label": "pool"}, {"name": "Oil-2", "class": "oil"}]}
)  # fmt: skip
"""Names that the benchmark would take for its own, and refuse."""


def of_own(**names) -> pd.DataFrame:
    table = rows(["1.1", "1.2"], rois=("Cyst_1", "Oil-2"))
    return table.assign(tissue=table["roi"].map({"Cyst_1": "water", "Oil-2": "oil"})).replace(names)


def test_given_tables_have_the_regions_of_the_phantom_that_was_given(tmp_path):
    path = written(tmp_path, "own.csv", of_own())
    table, _ = merge("own", [path], [], phantom=OWN)
    assert set(table["roi"]) == set(OWN.names)
    with pytest.raises(UserError, match="roi 'Cyst_1' is not 'cyst1' of the benchmark"):
        merge("own", [path], [])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"roi": {"Cyst_1": "cyst1"}}, "roi 'cyst1' is not 'Cyst_1' of the description of Own; rename it"),
        ({"roi": {"Cyst_1": "Pool"}}, "roi 'Pool' is not 'Cyst_1' of the description of Own; rename it"),
        ({"roi": {"Cyst_1": "fat"}}, "roi 'fat' is no region of Own, which has Cyst_1, Oil-2; name it"),
        ({"tissue": {"water": "cyst"}}, "Cyst_1 is of the tissue 'cyst'; by the description of Own it is 'water'"),
    ],
)
def test_a_region_that_the_description_lacks_is_refused(names, said, tmp_path):
    with pytest.raises(UserError, match=re.escape(said)):
        merge("own", [written(tmp_path, "own.csv", of_own(**names))], [], phantom=OWN)
