"""Runs become one leaderboard where they are of the same data, splits and versions, and only there."""

import json
import shutil
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
import scipy
import sklearn
from tests.leaderboard_data import MAKERS, feature_table, replaced, values_of

import merge_leaderboards as script
import rank_methods
from ct4bench.core.errors import UserError
from ct4bench.leaderboard.merge_leaderboards import (
    BOARD,
    COMPARISON,
    SEEDS,
    comparison_of,
    differences_between,
    merge_leaderboards,
    read_comparison,
    write_comparison,
)
from ct4bench.leaderboard.merge_leaderboards import (
    MAKERS as MAKER_TABLE,
)
from ct4bench.leaderboard.rank import METHOD_COLUMNS, make_leaderboard
from ct4bench.leaderboard.score import SCORE_COLUMNS

FEATURES = feature_table(n_features=3, n_repetitions=1, n_patches=1)
SPLITS = pd.DataFrame({"task": "tissue", "n_train": [1, 2], "unit": ["A1", "B1"], "role": ["train", "test"]})
VERSIONS = {"ct4bench": "0.2.0", "numpy": "2.4.6"}
BOARD_DATA = Path(__file__).resolve().parents[2] / "data"


def comparison(features=FEATURES, splits=SPLITS, versions=VERSIONS, seed=0, **settings):
    settings = {"domain": "scanner", "seed": seed, "mode": "paper"} | settings
    return comparison_of({"radiomics": features}, splits, settings, versions)


def scores_of(change):
    base = dict(zip(MAKERS, np.linspace(0.5, 0.9, 5), strict=True))
    rows = [("radiomics", "tissue_n2", "fold", "whole", "", 0.7 + change, 0.7, 50, "")]
    rows += [("radiomics", "tissue_n2", "fold", "of", name, v + change, v, 10, "") for name, v in base.items()]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def results(folder, changes, **about):
    """A folder of results with methods of known differences."""
    folder.mkdir()
    write_comparison(comparison(**about), folder / COMPARISON)
    rows = [(name, "control" if name == "none" else "method", "feature", "inductive", "") for name in changes]
    pd.DataFrame(rows, columns=METHOD_COLUMNS).to_csv(folder / "methods.csv", index=False)
    for name, change in changes.items():
        (folder / name).mkdir()
        scores_of(change).to_csv(folder / name / "scores.csv", index=False)
    return folder


def test_two_runs_give_what_one_would(tmp_path):
    one = results(tmp_path / "one", {"none": 0, "combat": 0.05})
    other = results(tmp_path / "other", {"none": 0, "coral": 0.08})
    both = results(tmp_path / "both", {"none": 0, "combat": 0.05, "coral": 0.08})
    merged, whole = merge_leaderboards([one, other]), merge_leaderboards([both])
    pd.testing.assert_frame_equal(merged[BOARD], whole[BOARD])
    pd.testing.assert_frame_equal(merged[MAKER_TABLE], whole[MAKER_TABLE])
    ranks = merged[BOARD].set_index("method")["rank"]
    assert ranks["coral"] == 1 and ranks["combat"] == 2 and SEEDS not in merged
    script.main([str(one), str(other), "--output", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [BOARD, MAKER_TABLE]


@pytest.mark.parametrize(
    ("about", "named"),
    [
        ({"versions": VERSIONS | {"ct4bench": "0.3.0"}}, "versions: ct4bench 0.2.0 and 0.3.0"),
        ({"versions": VERSIONS | {"numpy": "1.26.4"}}, "versions: numpy 2.4.6 and 1.26.4"),
        ({"versions": {"ct4bench": "0.2.0"}}, "versions: numpy 2.4.6 and none"),
        ({"splits": SPLITS[:1]}, "splits"),
        ({"features": FEATURES[1:]}, "features of radiomics: other series, regions or patches (60 and 59 rows)"),
        ({"features": FEATURES.rename(columns={"f1": "g"})}, "features of radiomics: other features"),
        ({"features": replaced(FEATURES, values_of(FEATURES) + [0, 1e-3, 0])}, "other values (1 of 3 features)"),
        ({"mode": "corrected"}, "settings: mode paper and corrected"),
        ({"seed": 1}, "--over_seeds"),
    ],
)
def test_what_differs_is_named_and_refused(tmp_path, about, named):
    one = results(tmp_path / "one", {"none": 0, "combat": 0.05})
    other = results(tmp_path / "other", {"none": 0, "coral": 0.05}, **about)
    with pytest.raises(UserError) as error:
        merge_leaderboards([one, other])
    assert named in str(error.value)


def test_order_of_rows_and_last_digits_are_no_difference():
    mixed = FEATURES.sample(frac=1, random_state=0)[[*FEATURES.columns[:10], "f2", "f0", "f1"]]
    shaken = replaced(FEATURES, values_of(FEATURES) * (1 + 1e-13))
    for table in (mixed, shaken):
        assert differences_between(comparison(), comparison(features=table)) == []
    assert differences_between(comparison(), comparison(splits=SPLITS[::-1])) == []
    assert differences_between(comparison(), comparison(versions=VERSIONS | {"coral": "1.0"})) == []


def test_a_run_writes_what_its_scores_are_computed_with(tmp_path):
    """Two runs with other versions of NumPy were merged: comparison.json had the versions of methods alone."""
    data = BOARD_DATA
    made = ["none/scores.csv", "none_copy/scores.csv", "none_copy/harmonization.csv"]
    for name in made:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(data / "board" / name, tmp_path / name)
    rank_methods.main(
        ["--results", str(tmp_path), "--declared", str(data / "board" / "declared.csv"), "--features",
         str(data / "radiomics.csv"), "--settings", str(data / "radiomics.json"), "--splits",
         str(data / "trainings" / "splits.csv"), "--version", "0.2.0", "--output", str(tmp_path / "board")]
    )  # fmt: skip
    versions = read_comparison(tmp_path / "board")["versions"]
    assert versions == {
        "ct4bench": "0.2.0", "none": "1", "none_copy": versions["none_copy"], "numpy": np.__version__,
        "pandas": pd.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__,
        "numba": numba.__version__,
    }  # fmt: skip


@pytest.mark.parametrize("domain", ["scanner", "maker", "dose_mgy"])
def test_each_domain_has_its_makers(domain):
    found = comparison_of({"x": FEATURES}, SPLITS, {"domain": domain, "seed": 0}, VERSIONS)["makers"]
    assert set(found) == {"scanner": set(MAKERS), "maker": set(MAKERS.values()), "dose_mgy": {"10"}}[domain]


def test_a_method_of_both_runs_must_be_the_same(tmp_path):
    one = results(tmp_path / "one", {"none": 0, "combat": 0.05})
    same = results(tmp_path / "same", {"none": 0, "combat": 0.05})
    assert len(merge_leaderboards([one, same])[BOARD]) == 2
    other = results(tmp_path / "other", {"none": 0, "combat": 0.06})
    with pytest.raises(UserError, match="the method combat differs .score tissue_n2"):
        merge_leaderboards([one, other])


def test_seeds_beside_each_other(tmp_path):
    folders = [
        results(tmp_path / f"seed{seed}", {"none": 0, "combat": 0.05, "coral": 0.03 * seed}, seed=seed)
        for seed in (1, 2, 3)
    ]
    tables = merge_leaderboards(folders, over_seeds=True)
    found = tables[SEEDS].set_index("method")
    assert found.loc["combat", ["rank_lowest", "rank_highest", "n_seeds"]].tolist() == [1, 2, 3]
    assert found.loc["coral", "difference_highest"] == pytest.approx(0.09)
    alone = make_leaderboard(
        pd.concat([scores_of(c).assign(method=m) for m, c in (("none", 0), ("combat", 0.05), ("coral", 0.03))]),
        pd.read_csv(folders[0] / "methods.csv", keep_default_na=False), seed=1,
    )  # fmt: skip
    pd.testing.assert_frame_equal(tables[BOARD], alone)


def test_a_folder_without_a_comparison_or_with_another_is_none(tmp_path):
    with pytest.raises(UserError, match="no folder of results"):
        read_comparison(tmp_path)
    (tmp_path / COMPARISON).write_text(json.dumps(comparison() | {"splits": "abc"}))
    with pytest.raises(UserError, match="splits"):
        read_comparison(tmp_path)
    with pytest.raises(ValueError, match="seed"):
        write_comparison(comparison() | {"seed": "0"}, tmp_path / COMPARISON)
