import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from report_data import load_script, pairs_table, series_table

from ct4bench.core.benchmark import DOSES_MGY, RECONSTRUCTIONS, SCANNERS
from ct4bench.core.contract import columns_of
from ct4bench.core.modes import CORRECTED, PAPER
from ct4bench.core.regions import Phantom
from ct4bench.core.tables import read_table
from ct4bench.results.comparison import Results, ResultTable
from ct4bench.results.make import Inputs, beside_published, is_drawn, make_tables, origin_by_scanners, write_results
from ct4bench.results.published import BY_NAME, FOLDER, IMPOSSIBLE_PAIRS, keys_as_text, read_published
from ct4bench.twin.scanners import read_scanners

IMAGE_TABLES = ("table1_acquisition", "table2_series_counts", "table3_rmse_hu", "table4_psnr_db", "table5_ssim",
                "table6_dose")  # fmt: skip


def tables_of(origin, scanners=SCANNERS, mode=PAPER, repetitions=None):
    series = series_table(origin, scanners, repetitions=repetitions or (2 if mode.all_pairs else 1))
    return make_tables(Inputs(series, index=series, pairs=pairs_table(series, mode)), mode, {}).tables


@pytest.fixture(scope="module")
def synthetic():
    return tables_of("synthetic")


@pytest.fixture(scope="module")
def collection():
    return tables_of("collection", repetitions=2)


@pytest.mark.parametrize("name", IMAGE_TABLES)
def test_rows_and_columns_are_the_papers(synthetic, name):
    frame, published = synthetic[name].frame, read_published(name)
    keys = list(BY_NAME[name].keys)
    pd.testing.assert_frame_equal(keys_as_text(frame, keys)[keys], published[keys], check_dtype=False)
    assert list(frame.columns[: published.shape[1]]) == list(published.columns)


DRAW = ("drawn like the paper's", "seeded draw")


@pytest.mark.parametrize(("repetitions", "drawn"), [(1, False), (6, True)])
def test_a_draw_is_spoken_of_only_where_one_was_made(repetitions, drawn):
    """One scan of each scanner leaves fewer than five pairs a cell, of which all are taken; six leave a draw of some.

    In Table 6 of equal reconstruction six scans are 6 x 6 pairs a dose.
    """
    tables = tables_of("synthetic", ("A1", "C1"), repetitions=repetitions)
    for name in ("table3_rmse_hu", "table3_rmse_hu_same_recon", "table6_dose", "table6_dose_same_recon"):
        words = " ".join([tables[name].text, *tables[name].notes])
        assert [part in words for part in DRAW] == [drawn] * 2, name
        assert ("all pairs" in tables[name].text) or drawn


def test_all_pairs_of_equal_reconstruction_are_no_draw():
    """Six scans of A1 with FBP and two of C1: 12 pairs between them, 15 and 1 within; a scan that has two such series
    is no repetition of itself."""
    series = pd.DataFrame({"scanner": ["A1"] * 6 + ["C1"] * 2, "dose_mgy": 10.0, "recon": "FBP",
                           "scan_id": [*"abcdefgh"]})  # fmt: skip
    cells = pd.DataFrame({"scanner_row": ["A1", "C1", "C1"], "scanner_col": ["A1", "A1", "C1"], "n_pairs": [15, 12, 1]})
    assert not is_drawn(cells, series, True)
    assert is_drawn(cells.assign(n_pairs=[15, 11, 1]), series, True)
    assert is_drawn(cells.assign(n_pairs=[14, 12, 1]), series, True)
    assert not is_drawn(cells.assign(n_pairs=[14, 12, 1]), series.assign(scan_id=[*"aacdefgh"]), True)


@pytest.mark.parametrize("name", IMAGE_TABLES)
def test_a_part_of_the_scanners_keeps_the_papers_rows(name):
    frame = tables_of("collection", ("A1", "E2"))[name].frame
    published = read_published(name)
    keys = list(BY_NAME[name].keys)
    pd.testing.assert_frame_equal(keys_as_text(frame, keys)[keys], published[keys], check_dtype=False)
    absent = ~frame[keys[0]].isin(["A1", "E2", "Sum"])
    assert (frame.loc[absent, "comparison"] == "not run").all()
    assert (frame.loc[absent, "reason"] == "no such series in this run").all()
    values = [column for column in published.columns if column not in (*keys, *BY_NAME[name].text)]
    assert frame.loc[absent, values].isna().all(axis=None)


@pytest.mark.parametrize("name", IMAGE_TABLES)
def test_published_values_stand_beside_whatever_the_input(synthetic, collection, name):
    published = read_published(name)
    for frame in (synthetic[name].frame, collection[name].frame):
        for column in published.columns.difference(BY_NAME[name].keys):
            beside = frame[f"{column}_published"].reset_index(drop=True)
            if column in BY_NAME[name].text:
                assert list(beside) == list(published[column].fillna(""))
            else:
                np.testing.assert_array_equal(beside.astype(float), published[column].astype(float))


@pytest.mark.parametrize("name", IMAGE_TABLES)
@pytest.mark.parametrize("origin", ["synthetic", "other"])
def test_no_difference_is_claimed_of_other_input(name, origin):
    frame = tables_of(origin, ("A1", "A2", "E1"))[name].frame
    differences = [column for column in frame.columns if column.endswith("_difference")]
    assert differences
    assert frame[differences].isna().all(axis=None)
    words = {"synthetic": "not comparable: synthetic input", "other": "not comparable: not the collection's series"}
    run = frame[BY_NAME[name].keys[0]].isin(["A1", "A2", "E1", "Sum"]) & (frame["comparison"] != "not run")
    assert run.any()
    assert (frame.loc[run, "comparison"] == words[origin]).all()


def test_differences_of_the_collection(collection):
    frame = collection["table5_ssim"].frame
    assert (frame["comparison"] == "compared").all()
    expected = frame["ssim_mean"] - read_published("table5_ssim")["ssim_mean"]
    np.testing.assert_allclose(frame["ssim_mean_difference"], expected, atol=1e-6)


def test_impossible_cells_are_marked_and_have_no_difference(collection):
    for name, column in (("table3_rmse_hu", "rmse_hu_mean"), ("table4_psnr_db", "psnr_db_mean")):
        frame = collection[name].frame
        marked = frame[frame["not_a_target"] != ""]
        assert set(zip(marked["scanner_row"], marked["scanner_col"], strict=True)) == set(IMPOSSIBLE_PAIRS)
        assert marked["not_a_target"].str.startswith("not a target").all()
        assert marked[f"{column}_difference"].isna().all()
        assert frame.drop(marked.index)[f"{column}_difference"].notna().all()


def test_a_row_of_mixed_scanners_is_not_compared():
    series = series_table("collection", ("A1", "A2", "B1"), repetitions=2)
    series.loc[series["scanner"] == "B1", "origin"] = "synthetic"
    frame = (
        make_tables(Inputs(series, index=series, pairs=pairs_table(series)), PAPER, {}).tables["table3_rmse_hu"].frame
    )
    found = frame.set_index(["scanner_row", "scanner_col"])["comparison"]
    assert found["A2", "A1"] == "compared"
    assert found["B1", "A1"] == "not comparable: input of mixed origin"
    assert found["B1", "B1"] == "not comparable: synthetic input"


def test_a_phantom_of_ones_own_gets_no_rows_of_the_papers():
    frame = tables_of("other", ("X1", "Y7"))["table3_rmse_hu"].frame
    assert set(frame["scanner_row"]) == {"X1", "Y7"}
    assert (frame["comparison"] == "not published").all()


OWN = Phantom.from_dict(
    {"name": "Gammex tissue phantom", "regions": [{"name": n, "class": n[:-1]} for n in ("a1", "a2", "b1")]}
)
"""A phantom whose name has a word that is said of the benchmark's."""


def results_of_own(doses, recons=("FBP", "IR"), change=lambda pairs: pairs, mode=PAPER):
    series = series_table("other", ("X1", "Y7"), doses=doses)
    series = series[series["recon"].isin(recons)].reset_index(drop=True)
    return make_tables(Inputs(series, index=series, pairs=change(pairs_table(series, mode)), phantom=OWN), mode, {})


def test_tables_of_ones_own_have_the_doses_and_reconstructions_that_were_scanned():
    made = results_of_own((5, 10))
    counts = made.tables["table2_series_counts"].frame
    named = [
        name for name in counts.columns if name.startswith("n_") and not name.endswith(("published", "difference"))
    ]
    assert named == ["n_5mgy", "n_10mgy", "n_fbp", "n_ir", "n_series"]
    assert list(counts["scanner"]) == ["X1", "Y7", "Sum"]
    assert list(counts["n_5mgy"].astype(int)) == [1, 1, 2]
    # nothing is compared with 14 mGy, and no row of a dose that was never scanned stands there
    for name in ("table6_dose", "table6_dose_same_recon"):
        assert name not in made.tables
        assert "no scanner of this run has both" in made.missing[name]
    assert (made.tables["decomposition"].frame["n_pairs"] > 0).all()
    frame = results_of_own((3, 10, 14)).tables["table6_dose"].frame
    assert [str(dose) for dose in frame["dose_mgy"]] == ["3", "10", "<NA>"] * 2
    assert (frame["n_pairs"] > 0).all()


@pytest.mark.parametrize(("mode", "said"), [(PAPER, "--mode corrected"), (CORRECTED, "11 x 11 x 11 voxels")])
def test_a_metric_that_found_no_place_is_listed_with_its_reason(mode, said):
    made = results_of_own((10,), change=lambda pairs: pairs.assign(ssim=np.nan), mode=mode)
    for name in ("table5_ssim", "table5_ssim_same_recon"):
        assert name not in made.tables
        assert said in made.missing[name]
    assert made.tables["table3_rmse_hu"].frame["rmse_hu_mean"].notna().any()
    # the benchmark's own layout stays, with the reason in its cells
    series = series_table("synthetic", ("A1", "C1"))
    pairs = pairs_table(series, mode).assign(ssim=np.nan)
    frame = make_tables(Inputs(series, index=series, pairs=pairs), mode, {}).tables["table5_ssim"].frame
    cell = frame.set_index(["scanner_row", "scanner_col"]).loc[("C1", "A1")]
    assert cell["reason"] == "no window of the metric lies wholly inside what is compared"


def test_tables_of_ones_own_speak_of_its_regions_and_classes():
    made = results_of_own((10,))
    for table in made.tables.values():
        words = " ".join([table.title, table.text, *table.notes])
        assert not [word for word in ("tissue", "cyst", "six ROIs") if word in words], words
    assert OWN.words("the tissue of four tissues in the Gammex tissue phantom, tissue_other_roi") == (
        "the class of all classes in the Gammex tissue phantom, tissue_other_roi"
    )
    assert OWN.words("which of six ROIs") == "which of the 3 ROIs"


def test_counts_of_pairs_stand_beside_the_published_ones(collection):
    frame = collection["table3_rmse_hu"].frame.set_index(["scanner_row", "scanner_col"])
    assert frame.loc[("E1", "A1"), "n_pairs_published"] == 18
    assert frame.loc[("E2", "E2"), "n_pairs_published"] == 30
    assert (frame["n_pairs"] > 0).all()
    dose = collection["table6_dose"].frame
    assert list(dose["n_pairs_published"][:5]) == [5, 5, 5, 5, 20]


def test_companions_are_made(synthetic):
    names = {*IMAGE_TABLES, "decomposition"} | {f"{name}_same_recon" for name in IMAGE_TABLES[2:]}
    assert names <= set(synthetic)
    same = synthetic["table3_rmse_hu_same_recon"].frame
    assert len(same) == 91
    assert {"similarity_choices", "similarity_by_choice", "dose_by_choice"} <= set(synthetic)
    assert set(synthetic["similarity_choices"].frame["table"]) == {"tables3to5", "table6"}


def test_mode_corrected_has_intervals_and_says_so():
    table = tables_of("synthetic", ("A1", "E2"), CORRECTED)["table3_rmse_hu"]
    assert "all pairs" in table.text
    assert "phantom's block" in table.text
    assert "full resolution" in table.text
    assert table.frame["ci_low"].notna().any()
    assert "over the scans of each scanner" in table.notes[0]


def test_missing_inputs_are_named_with_a_reason():
    results = make_tables(Inputs(series_table()), PAPER, {})
    assert not set(IMAGE_TABLES) & set(results.tables)
    assert set(IMAGE_TABLES) <= set(results.missing)
    assert all(results.missing.values())
    assert "started from features" in results.missing["table3_rmse_hu"]


def test_series_that_leave_no_pair_are_not_taken_for_features():
    series = series_table("synthetic", ("A1", "A2"), (3,))
    assert len(pairs_table(series)) == 0
    for pairs in (None, pairs_table(series)):
        missing = make_tables(Inputs(series, index=series, pairs=pairs), PAPER, {}).missing
        assert "no two registered series at 10 mGy" in missing["similarity_choices"]


def test_no_series_at_10_mgy():
    series = series_table("collection", ("A1", "A2"), (1, 14))
    results = make_tables(Inputs(series, index=series, pairs=pairs_table(series)), PAPER, {})
    assert "10 mGy" in results.missing["table1_acquisition"]
    frame = results.tables["table3_rmse_hu"].frame.set_index(["scanner_row", "scanner_col"])
    assert frame.loc[("A2", "A1"), "comparison"] == "not run"
    assert "10 mGy" in frame.loc[("A2", "A1"), "reason"]


def test_table2_of_the_whole_collection_has_no_difference():
    """The series that the twin stands in for are those of the collection (tests/unit/twin/test_scanners.py)."""
    models = read_scanners()
    possible = product(SCANNERS, DOSES_MGY, RECONSTRUCTIONS, range(1, 11))
    keys = [(scanner, *key) for scanner, *key in possible if models[scanner].n_slices_of(*key)]
    assert len(keys) == 1378
    series = pd.DataFrame(keys, columns=["scanner", "dose_mgy", "recon", "repetition"])
    series["maker"] = [models[name].manufacturer for name in series["scanner"]]
    series["model"] = [models[name].model for name in series["scanner"]]
    series = series.assign(series_uid=[f"1.2.{i}" for i in range(len(series))], origin="collection")
    for column in ("kvp", "exposure_mas", "pitch", "rotation_time_s", "collimation_mm", "slice_thickness_mm",
                   "slice_increment_mm"):  # fmt: skip
        series[column] = np.nan
    frame = make_tables(Inputs(series, index=series), PAPER, {}).tables["table2_series_counts"].frame
    differences = [column for column in frame.columns if column.endswith("_difference")]
    assert len(differences) == 9
    assert (frame[differences] == 0).all(axis=None)


def test_files_and_labels(tmp_path, synthetic):
    series = series_table("synthetic", ("A1", "A2"))
    results = make_tables(Inputs(series, index=series), PAPER, {})
    facts = {"mode": "paper", "method": "none", "origin": "synthetic", "origin_words": "synthetic data"}
    write_results(results, facts, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "table1_acquisition.csv", "table2_series_counts.csv", "run_facts.json", "tables.docx", "tables.tex",
    }  # fmt: skip
    labels = json.loads((tmp_path / "run_facts.json").read_text())
    assert labels["mode"] == "paper"
    assert labels["tables"]["table2_series_counts"]["n_rows"] == 14
    assert "table3_rmse_hu" in labels["missing"]
    counts = read_table(tmp_path / "table2_series_counts.csv")
    assert counts["n_series"].dropna().isin([6, 12]).all()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_results(results, facts, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert not any(line.startswith(b"#") for name, text in first.items() for line in text.splitlines())


def test_further_rows_follow_the_papers():
    computed = pd.DataFrame({"scanner_row": ["X1", "A1"], "scanner_col": ["A1", "A1"], "ssim_mean": [0.5, 0.6]})
    series = series_table("collection", ("A1", "X1"))
    frame = beside_published(computed, "table5_ssim", origin_by_scanners(series, "scanner_row", "scanner_col"), FOLDER)
    assert len(frame) == 92
    assert tuple(frame.iloc[-1][["scanner_row", "scanner_col", "comparison"]]) == ("X1", "A1", "not published")


def test_the_script_runs(tmp_path):
    series = series_table("synthetic", ("A1", "E2"))
    series.to_csv(tmp_path / "series.csv", index=False)
    pairs_table(series).to_parquet(tmp_path / "pairs.parquet")
    (tmp_path / "shallow_cnn.json").write_text('{"extractor": "shallow_cnn", "weights": {"status": "random"}}')
    load_script("make_tables").main(
        ["--series", f"{tmp_path}/series.csv", "--index", f"{tmp_path}/series.csv", "--pairs",
         f"{tmp_path}/pairs.parquet", "--settings", f"{tmp_path}/shallow_cnn.json", "--output", f"{tmp_path}/tables"]
    )  # fmt: skip
    labels = json.loads((tmp_path / "tables" / "run_facts.json").read_text())
    assert labels["origin"] == "synthetic"
    assert labels["weights"]["shallow_cnn"]["status"] == "random"
    assert read_table(tmp_path / "tables" / "table1_acquisition.csv")["manufacturer_model"][0].startswith("Siemens")


def test_tables_by_extractor_say_what_the_weights_are(tmp_path):
    columns = columns_of("<method>/tables/stability_grades.csv")
    frame = pd.DataFrame(0.5, index=range(2), columns=columns).assign(extractor=["radiomics", "shallow_cnn"])
    plain = pd.DataFrame(0.5, index=range(2), columns=columns_of("<method>/tables/decomposition.csv"))
    tables = {"stability_grades": frame, "decomposition": plain}
    results = Results({name: ResultTable(table, "t", "t") for name, table in tables.items()})
    write_results(results, {"weights": {"shallow_cnn": {"words": "stand-in, of test tissue"}}}, tmp_path)
    assert read_table(tmp_path / "stability_grades.csv")["weights"].fillna("").tolist() == [
        "",
        "stand-in, of test tissue",
    ]
    assert list(read_table(tmp_path / "decomposition.csv").columns) == list(plain.columns)
    with pytest.raises(ValueError, match="other.csv, which the contract"):
        write_results(Results({"other": ResultTable(plain, "t", "t")}), {"weights": {}}, tmp_path)


def texts_of(change, scanners=("A1", "C1", "E2")) -> dict[str, str]:
    """Text of each table of a small run whose pairs `change` has altered."""
    series = series_table("synthetic", scanners)
    pairs = change(pairs_table(series, PAPER))
    return {
        name: t.text for name, t in make_tables(Inputs(series, index=series, pairs=pairs), PAPER, {}).tables.items()
    }


def contrasts_of(values: dict[str, float]):
    """Function that gives the pairs of each contrast an RMSE."""

    def change(pairs):
        own = pairs["variant"].map(values)
        return pairs.assign(rmse_hu=own.where((pairs["table"] == "contrast") & own.notna(), pairs["rmse_hu"]))

    return change


def test_steps_that_shrink_are_not_called_growing():
    shrinks = {"other_recon": 9.0, "other_dose": 4.0, "other_scanner": 5.0, "other_maker": 6.0}
    text = texts_of(contrasts_of(shrinks))["decomposition"]
    assert "does not grow at every step: other dose (\N{MINUS SIGN}65 HU" in text
    assert "over other reconstruction of the same scan)" in text and "smallest" not in text
    grows = {name: value for value, name in enumerate(shrinks, start=1)}
    text = texts_of(contrasts_of(grows))["decomposition"]
    assert "each contrast is larger than the one before it" in text and "does not grow" not in text


@pytest.mark.parametrize("suffix", ["", "_same_recon"])
def test_table_6_says_how_many_pairs_it_has_and_where_more_dose_is_not_more_alike(suffix):
    # one IR at the lower doses, FBP and IR at 10 mGy: 1 to 2 pairs of a dose, of equal reconstruction 1
    def worse_at_10(pairs):
        own = (pairs["table"] == "table6") & (pairs["dose_mgy_a"] == 10) & pairs["scanner_a"].isin(["A1", "E2"])
        return pairs.assign(rmse_hu=np.where(own, 99.0, pairs["rmse_hu"]))

    text = texts_of(worse_at_10)[f"table6_dose{suffix}"]
    counts = tables_of("synthetic", ("A1", "C1", "E2"))[f"table6_dose{suffix}"].frame
    counts = counts.loc[(counts["row_kind"] == "dose") & (counts["n_pairs"] > 0), "n_pairs"]
    least, most = counts.min(), counts.max()
    words = f"{least} to {most} pairs a cell" if least < most else "1 pair a cell"
    assert words in text and "five pairs:" not in text
    assert "By RMSE, 2 of 3 scanners are less like 14 mGy at 10 than at 6 mGy" in text
    assert ("pairs may differ in reconstruction" in text) == (not suffix)
