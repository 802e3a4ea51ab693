"""Embedding of tables of features: bytes, keys, small and awkward tables, and what is refused."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ROOT

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, ROW_KEY, scan_id, tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.regions import Phantom
from ct4bench.core.tables import read_table
from ct4bench.embedding.embed import (
    EMBEDDING_COLUMNS,
    QUALITY_COLUMNS,
    TOLERANCE,
    embed,
    embedding_quality,
    embedding_tables,
    load_without_search,
    nearest_neighbours,
    principal_components,
    settings,
    standardise,
)


@pytest.fixture(scope="module", autouse=True)
def umap_as_the_script_has_it():
    """Compiling the search of neighbours takes longer than all tests of this file."""
    load_without_search()


def make_features(rng, scanners=("A1", "B1", "C1", "E2"), repetitions=2, patches=3, n=8):
    rows = [
        (f"{s}.{r}", scan_id(s, 10, r), s, s[0], 10, "IR", r, roi, tissue_of(roi), p)
        for s in scanners for r in range(1, repetitions + 1) for roi in ROIS for p in range(patches)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=FEATURE_KEY)
    tissue = rng.normal(0, 4, (6, n))[table["roi"].map(list(ROIS).index)]
    scanner = rng.normal(0, 2, (len(scanners), n))[table["scanner"].map(list(scanners).index)]
    values = tissue + scanner + rng.normal(0, 1, (len(table), n))
    return pd.concat([table, pd.DataFrame(values, columns=[f"f{i}" for i in range(n)])], axis=1)


@pytest.fixture
def features(rng):
    return make_features(rng)


def test_both_figures_have_their_rows_in_order(features):
    places, quality = embedding_tables(features, "radiomics", n_epochs=50)
    assert list(places.columns) == EMBEDDING_COLUMNS
    assert list(quality.columns) == QUALITY_COLUMNS
    assert places.groupby("figure").size().to_dict() == {"figure5": 4 * 2 * 3, "figure6": 4 * 2 * 18}
    assert set(places.loc[places["figure"] == "figure5", "roi"]) == {"cyst1"}
    key = ["figure", "series_uid", "roi", "patch"]
    assert places[key].equals(places[key].sort_values(key, ignore_index=True)) and not places[key].duplicated().any()
    assert np.isfinite(places[["umap_1", "umap_2", "pca_1", "pca_2"]]).all(axis=None)
    row = quality.set_index("figure").loc["figure6"]
    assert (row["n_rows"], row["n_features"], row["n_neighbors"], row["n_left_out"]) == (144, 8, 100, 0)
    assert quality.set_index("figure").loc["figure5", "n_neighbors"] == 23
    assert 0.7 < row["trustworthiness"] <= 1 and 0.7 < row["continuity"] <= 1
    assert row["layout_difference"] <= TOLERANCE
    assert row["silhouette_tissue"] > row["silhouette_scanner"]
    assert np.isnan(quality.set_index("figure").loc["figure5", "silhouette_tissue"])
    assert 0 < row["pca_share_2"] < row["pca_share_1"] < 1


def test_the_same_rows_give_the_same_bytes_in_any_order_and_for_any_threads(features, monkeypatch):
    monkeypatch.setattr("ct4bench.embedding.embed.BLOCK", 32)
    one = embedding_tables(features, "radiomics", seed=3, n_epochs=60, verify=0)
    other = embedding_tables(
        features.sample(frac=1, random_state=1), "radiomics", seed=3, threads=3, n_epochs=60, verify=0
    )
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    another = embedding_tables(features, "radiomics", seed=4, n_epochs=60, verify=0)[0]
    assert not another["umap_1"].equals(one[0]["umap_1"])


def test_blocks_of_features_give_the_bytes_of_the_table(features, monkeypatch):
    monkeypatch.setattr("ct4bench.embedding.embed.COLUMNS", 3)
    features["f2"], features["f5"] = 1.0, features["f5"] * 1e150
    whole = embedding_tables(features, "x", n_epochs=20, verify=0)
    blocks = [features[[*FEATURE_KEY, *names]] for names in (["f0", "f1"], ["f2"], [f"f{n}" for n in range(3, 8)])]
    for one, other in zip(embedding_tables(iter(blocks), "x", n_epochs=20, verify=0), whole, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.filterwarnings("ignore:.*knn_search_index.*")
def test_the_graph_is_that_of_the_rows_themselves(rng):
    """umap-learn is given the neighbours, and one column of the rows."""
    scores = standardise(rng.normal(0, 1, (300, 6)))
    neighbours = nearest_neighbours(scores, 100)
    graphs = [settings(300, 0, 20, neighbours).fit(rows).graph_.tocoo() for rows in (scores, scores[:, :1])]
    for name in ("row", "col", "data"):
        np.testing.assert_array_equal(*(getattr(graph, name) for graph in graphs))


def test_script_repeats_to_the_byte(features, tmp_path):
    from embed_features import main

    features.to_parquet(tmp_path / "f.parquet", index=False)
    for turn in "ab":
        main(
            f"--features {tmp_path}/f.parquet --extractor radiomics --seed 1 --threads {1 + (turn == 'b')} "
            f"--output {tmp_path}/{turn}.parquet --quality {tmp_path}/{turn}.csv".split()
        )
    for name in (".parquet", ".csv"):
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()
    assert list(pd.read_parquet(tmp_path / "a.parquet").columns) == EMBEDDING_COLUMNS
    assert set(pd.read_csv(tmp_path / "a.csv")["n_epochs"]) == {1000}


def test_extractors_of_one_call_get_what_each_gets_alone(features, rng, tmp_path):
    from embed_features import main

    tables = {"b": features, "a": make_features(rng, n=5)}
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    for names in ("b", "a"), ("b",), ("a",):
        files = [f"{tmp_path}/{name}.parquet" for name in names]
        outputs = [f"--output={tmp_path}/{'+'.join(names)}.out.parquet", f"--quality={tmp_path}/{'+'.join(names)}.csv"]
        main(["--features", *files, "--extractor", *names, "--verify", "0", *outputs])
    for form, key in ((".out.parquet", ["figure", "extractor", "series_uid", "roi", "patch"]), (".csv", ["figure"])):
        both, b, a = (read_table(tmp_path / f"{name}{form}") for name in ("b+a", "b", "a"))
        assert both.equals(both.sort_values(key, ignore_index=True)) and not both.duplicated(key + ["extractor"]).any()
        for name, alone in (("a", a), ("b", b)):
            own = both[both["extractor"] == name].reset_index(drop=True)
            pd.testing.assert_frame_equal(own, alone, check_exact=True)


@pytest.mark.parametrize("n", [3, 4, 20])
def test_few_rows_are_embedded(rng, n):
    found = embed(standardise(rng.normal(0, 1, (n, 5))), n_epochs=50, verify=0)
    assert found.umap.shape == (n, 2) and np.isfinite(found.umap).all() and found.n_neighbours == n - 1


def test_figure_5_embeds_the_main_region_of_the_description(features):
    """Which is neither the first of its list nor the first by name; where it has no rows, the first of the list."""
    regions = [{"name": name, "class": name[0]} for name in ("plug", "air", "oil")]
    phantom = Phantom.from_dict({"name": "Own", "main_region": "oil", "regions": regions})
    own = features[features["roi"].isin(ROIS[:3])]
    own = own.assign(roi=own["roi"].map(dict(zip(ROIS, ("plug", "air", "oil"), strict=False))))
    for table, due in ((own, "oil"), (own[own["roi"] != "oil"], "plug")):
        places, _ = embedding_tables(table, "radiomics", n_epochs=5, verify=0, phantom=phantom)
        assert set(places.loc[places["figure"] == "figure5", "roi"]) == {due}
        assert set(places.loc[places["figure"] == "figure6", "roi"]) == set(table["roi"])


def test_fewer_than_three_rows_and_no_row_of_the_roi_are_refused(features):
    with pytest.raises(UserError, match="three rows at least, and the table of features has 2 of cyst1"):
        embedding_tables(features[features["scanner"] == "A1"].query("patch == 0"), "radiomics", n_epochs=5)
    with pytest.raises(UserError, match="has 0 of cyst1"):
        embedding_tables(features[features["roi"] != "cyst1"], "radiomics", n_epochs=5)


def test_features_that_are_constant_or_not_finite_are_left_out_and_counted(features):
    plain = embedding_tables(features, "x", n_epochs=20, verify=0)
    broken = features.assign(flat=0.1, nan=np.nan, inf=np.where(features.index == 3, np.inf, 1.0))
    places, quality = embedding_tables(broken, "x", n_epochs=20, verify=0)
    pd.testing.assert_frame_equal(places, plain[0], check_exact=True)
    assert set(quality["n_left_out"]) == {3} and set(quality["n_features"]) == {8}


def test_a_row_that_spoils_every_feature_is_named(features):
    spoilt = features.copy()
    names = [name for name in spoilt.columns if name not in FEATURE_KEY]
    spoilt.loc[5, names] = np.nan
    row = spoilt.loc[5]
    with pytest.raises(UserError, match=f"1 of .* rows, such as {row['series_uid']} {row['roi']} {row['patch']}"):
        embedding_tables(spoilt, "x")


@pytest.mark.parametrize("by", [None, "roi", "tissue"])
def test_rows_of_which_most_are_equal_lie_at_one_place_each(features, by):
    """As a control makes them that gives each tissue its mean: loops of points at one place differ."""
    many = pd.concat([features.assign(patch=features["patch"] + 100 * i) for i in range(8)], ignore_index=True)
    flat = many[FEATURE_KEY].assign(flat=1.0 if by is None else many[by].astype("category").cat.codes.astype(float))
    places, quality = embedding_tables(flat, "x", n_epochs=50)
    points = places.merge(flat, on=ROW_KEY).groupby(["figure", by] if by else "figure")[["umap_1", "umap_2", "pca_1"]]
    assert (points.nunique() == 1).all(axis=None)
    all_rows = places[places["figure"] == "figure6"]
    assert len(all_rows) == len(many) and len(all_rows["umap_1"].unique()) == (flat["flat"].nunique())
    assert np.isfinite(places[["umap_1", "umap_2", "pca_1", "pca_2"]]).all(axis=None)
    assert quality.set_index("figure")["trustworthiness"].isna()["figure5"]


def test_rows_that_are_equal_get_places_of_their_own(rng):
    scores = standardise(np.repeat(rng.normal(0, 1, (10, 4)), 6, axis=0))
    found = embed(scores, n_epochs=50, verify=0)
    assert np.isfinite(found.umap).all() and len(np.unique(found.umap, axis=0)) == 60


def test_one_feature_alone_spreads_along_a_line(rng):
    found = embed(standardise(rng.normal(0, 1, (30, 1))), n_epochs=20, verify=0)
    assert np.isfinite(found.umap).all()
    assert (found.pca[:, 1] == 0).all() and found.pca_shares.tolist() == [1.0, 0.0]


def test_more_equal_rows_than_candidates_are_still_searched_exactly(rng):
    """All distances of a row are measured where the candidates cannot tell who is nearest: the lower index wins."""
    values = np.repeat(rng.normal(0, 1, (4, 3)), 100, axis=0)
    indices, distances = nearest_neighbours(values, 10)
    assert (distances == 0).all()
    for row in (0, 5, 250, 399):
        block = row // 100 * 100
        others = [i for i in range(block, block + 100) if i != row]
        assert indices[row].tolist() == [row, *others[:9]]


def test_neighbours_do_not_depend_on_blocks_and_threads(rng, monkeypatch):
    values = rng.normal(0, 1, (500, 20))
    one = nearest_neighbours(values, 40)
    monkeypatch.setattr("ct4bench.embedding.embed.BLOCK", 37)
    other = nearest_neighbours(values, 40, threads=3)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_a_perfect_plane_is_trusted_and_a_random_one_is_not(rng):
    plane = rng.normal(0, 1, (300, 2))
    labels = {"scanner": np.repeat([0, 1], 150)}
    found = embedding_quality(plane, {"same": 3 * plane + 1, "random": rng.normal(0, 1, (300, 2))}, labels, 0)
    assert found["trustworthiness_same"] == found["continuity_same"] == 1
    assert found["trustworthiness_random"] == pytest.approx(0.5, abs=0.06)
    assert abs(found["silhouette_scanner"]) < 0.05


def test_labels_without_classes_have_no_silhouette(rng):
    scores = rng.normal(0, 1, (20, 3))
    found = embedding_quality(scores, {"umap": scores[:, :2]}, {"one": np.zeros(20), "all": np.arange(20)}, 0)
    assert np.isnan(found["silhouette_one"]) and np.isnan(found["silhouette_all"])


def test_axes_have_a_fixed_sign(rng):
    scores = standardise(rng.normal(0, 1, (50, 6)) * [5, 4, 1, 1, 1, 1] + rng.normal(0, 1, (50, 1)))
    coordinates, _ = principal_components(scores)
    loadings = np.linalg.lstsq(scores, coordinates, rcond=None)[0]
    assert (loadings[np.abs(loadings).argmax(axis=0), [0, 1]] > 0).all()


def test_a_layout_that_differs_from_umap_learns_is_refused(rng, monkeypatch):
    monkeypatch.setattr("ct4bench.embedding.embed.TOLERANCE", 0.0)
    with pytest.raises(UserError, match="the layout differs from umap-learn's"):
        embed(standardise(rng.normal(0, 1, (60, 5))), n_epochs=20)


LOADED = """
import inspect, numba
from ct4bench.embedding.embed import load_without_search
load_without_search()
import pynndescent, umap
assert not numba.config.DISABLE_JIT
assert isinstance(umap.umap_.smooth_knn_dist, numba.core.dispatcher.Dispatcher)
assert inspect.isfunction(pynndescent.distances.euclidean)
"""


def test_only_the_search_of_umap_learn_stays_uncompiled():
    subprocess.run([sys.executable, "-c", LOADED], env=os.environ | {"PYTHONPATH": f"{ROOT}/bin"}, check=True)


def test_a_row_is_its_own_first_neighbour_even_where_another_is_the_same(rng):
    values = rng.normal(size=(40, 3))
    values[[7, 31]] = values[20]
    indices, distances = nearest_neighbours(values, 5)
    assert indices[:, 0].tolist() == list(range(40))
    for row, others in ((7, [20, 31]), (20, [7, 31]), (31, [7, 20])):
        assert indices[row, 1:3].tolist() == others and distances[row, :3].tolist() == [0, 0, 0]
    apart = np.linalg.norm(values[:, None] - values, axis=2)
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :5], atol=1e-12)
