"""Folds of a method of images that learns from all scanners, from registered volumes to what a training is given.

The planted method subtracts the mean HU of the volumes that it was fitted on, so that the features of a fold, mean HU
of each patch, are known in closed form.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from planted import plant

from ct4bench.core.benchmark import FEATURE_KEY
from ct4bench.core.geometry import Grid
from ct4bench.core.modes import MODES
from ct4bench.core.tables import read_table, write_table
from ct4bench.core.volumes import open_volume, save_volume
from ct4bench.harmonization.fold_tables import FoldTables
from ct4bench.harmonization.merge import merge_files
from ct4bench.harmonization.run_fold import Sandbox
from ct4bench.harmonization.run_volumes import harmonize_volumes
from ct4bench.image_methods import harmonize
from ct4bench.image_methods.harmonize import ChunkRun, harmonize_chunk
from ct4bench.image_methods.plan import plan_folds
from ct4bench.learning.files import Method, Places, train_files
from ct4bench.learning.train import TrainingRun, prepare
from ct4bench.splits.adaptation import rows_tested
from ct4bench.splits.fold import Fold, NotHarmonized
from ct4bench.splits.plan import plan_splits
from ct4bench.splits.splits import resolve
from ct4bench.splits.tasks import Plan

GRID = Grid.axis_aligned((4, 6, 5), (2.0, 1.5, 1.0), (0.0, 0.0, 0.0))
SCANNERS = {"A1": "a", "B1": "b", "C1": "c", "D1": "d"}
PATCHES = {"cyst1": 0, "normal1": 1, "hemangioma": 2, "metastasis": 3}
"""Slice of each region's patch."""
SUBTRACTS = """
class Method:
    def __init__(self, *, seed):
        pass
    def fit(self, volumes):
        self.mean = sum(means := [float(volume.mean()) for volume, _, _ in volumes]) / len(means)
        {more}
        return self
    def transform(self, volume, spacing_mm, domain):
        return volume - self.mean
"""


def hu(number: int) -> np.ndarray:
    """Of series `number`: its mean is whole HU, exactly, and so is that of each patch; no two differ by a constant."""
    array = np.empty(GRID.shape, np.int16)
    array[:] = 10 * number + np.array([-30, -10, 10, 30])[:, None, None]
    array[:, 0, :2] += np.array([number, -number], np.int16)
    return array


def patch_means(volume: np.ndarray) -> np.ndarray:
    return np.array([volume[at].mean() for at in PATCHES.values()])


def table_of(registered: pd.DataFrame, volume_of) -> pd.DataFrame:
    """Features of every series: mean HU of each patch, and its half."""
    rows = []
    for one in registered.to_dict("records"):
        for (roi, _), mean in zip(PATCHES.items(), patch_means(volume_of(one["series_uid"])), strict=True):
            rows.append(one | {"roi": roi, "tissue": roi.rstrip("1"), "patch": 0, "mean": mean, "half": mean / 2})
    return pd.DataFrame(rows)[[*FEATURE_KEY, "mean", "half"]]


@pytest.fixture(scope="module")
def sandbox():
    """One for all folds, each of which has a process of its own in it: starting Python takes longer."""
    with Sandbox() as shared:
        yield shared


@pytest.fixture
def made(tmp_path, monkeypatch, sandbox):
    """Registered series of four scanners with two scans at 10 mGy and one at 14 each, and their volumes."""
    doses = [(10, 1), (10, 2), (14, 1)]
    rows = [
        {"series_uid": f"1.{i}.{j}", "scanner": scanner, "maker": maker, "dose_mgy": dose, "recon": "IR",
         "repetition": repetition, "scan_id": f"{scanner}_{dose}_{repetition}"}
        for i, (scanner, maker) in enumerate(SCANNERS.items()) for j, (dose, repetition) in enumerate(doses)
    ]  # fmt: skip
    registered = pd.DataFrame(rows)
    volumes = {uid: hu(i * i - 30) for i, uid in enumerate(registered["series_uid"])}
    for uid, array in volumes.items():
        (tmp_path / "volumes").mkdir(exist_ok=True)
        save_volume(tmp_path / "volumes" / f"{uid}.b2nd", array, GRID, {"series_uid": uid})
    monkeypatch.setattr(harmonize, "harmonize_volumes", partial(harmonize_volumes, sandbox=sandbox))
    monkeypatch.setattr(harmonize, "open_reference", lambda folder: type("Reference", (), {"series_uid": "1.0.0"})())
    return registered, volumes


def run_folds(tmp_path, made, plan, more="pass", **declared):
    """Map the volumes of each number, and merge what comes of it: outcomes by number, the method, the merged folder."""
    registered, _ = made
    variant = plant(tmp_path / "methods", SUBTRACTS.replace("{more}", more), level="image", min_domains=2, **declared)
    numbers, files, outcomes = [], [], {}
    for number, own in plan[plan["number"] > 0].groupby("number"):
        fit = sorted(set(own.loc[own["role"] == "fit", "series_uid"]))
        out = tmp_path / "out" / str(number)
        run = ChunkRun(variant, tmp_path / "volumes", "")
        outcome = harmonize_chunk(run, registered, sorted(set(own["series_uid"])), fit, out)
        outcomes[number] = outcome.iloc[0]
        (tmp_path / "parts" / str(number)).mkdir(parents=True)
        write_table(outcome, path := tmp_path / "parts" / str(number) / "harmonization.csv")
        numbers, files = [*numbers, number], [*files, path]
        if list(out.glob("*.b2nd")):
            mine = registered[registered["series_uid"].isin(own["series_uid"])]
            table = table_of(mine, lambda uid, out=out: open_volume(out / f"{uid}.b2nd").read())
            write_table(table, path := tmp_path / "parts" / str(number) / "made.parquet")
            numbers, files = [*numbers, number], [*files, path]
    # of the fit on all series there is the outcome alone
    (tmp_path / "parts" / "0").mkdir()
    write_table(outcome.assign(notes="of all series"), path := tmp_path / "parts" / "0" / "harmonization.csv")
    numbers, files = [*numbers, 0], [*files, path]
    write_table(plan, tmp_path / "folds.csv")
    places = (tmp_path / name for name in ("merged", "left_out", "harmonization.csv"))
    merge_files(tmp_path / "folds.csv", numbers, files, "scanner", 0, *places)
    return outcomes, variant


def asked(registered, volumes, mode="paper"):
    """The trainings of the run, as the features without harmonization have them planned."""
    featured = registered[registered["dose_mgy"] == 10]
    features = prepare(table_of(featured, volumes.__getitem__), "made.parquet")
    plan = Plan(features.keys, MODES[mode], n_folds=4)
    return features, resolve(plan_splits(plan), features.keys)


def test_a_fold_has_the_features_of_a_fit_on_its_training_alone(tmp_path, made):
    registered, volumes = made
    mode = "corrected"  # in which training scanners have validation rows, too, which are not learned from
    plan = plan_folds(registered, [10], "scanner", MODES[mode], 0)
    _, variant = run_folds(tmp_path, made, plan)
    features, splits = asked(registered, volumes, mode)
    given = FoldTables(variant, features.keys, features.names, "made", tmp_path / "merged")
    mapped = []
    for split in splits:
        if split.scheme != "loso" or split.n_train == 1:
            one = features.keys["scanner"].iloc[split.training].nunique() == 1
            why = "needs 2 training domains, and has 1" if one else "each fold needs its own volumes"
            with pytest.raises(NotHarmonized, match=why) as raised:
                given(Fold(split))
            assert raised.value.status == "not applicable"
            continue
        mapped.append((split.n_train, split.fold))
        training = sorted(set(features.keys["series_uid"].iloc[split.training]))
        mean = np.mean([volumes[uid].mean() for uid in training])
        rows = features.keys.iloc[Fold(split).rows]
        plain = [volumes[uid][PATCHES[roi]].mean() for uid, roi in zip(rows["series_uid"], rows["roi"], strict=True)]
        # values are rounded once, to whole HU
        np.testing.assert_array_equal(given(Fold(split))[:, 0], np.rint(np.array(plain) - mean))
    assert sorted(mapped) == [(n, scanner) for n in (2, 3) for scanner in SCANNERS]
    # each scanner by a fit without it, as scores have it: the rows that are tested
    apart = read_table(tmp_path / "left_out" / "made.parquet")
    assert len(apart) == rows_tested(features.keys, "scanner", 0).sum() == 16
    for row in apart.itertuples():
        (split,) = [split for split in splits if (split.scheme, split.n_train, split.fold) == ("loso", 3, row.scanner)]
        training = set(features.keys["series_uid"].iloc[split.training])
        mean = np.mean([volumes[uid].mean() for uid in training])
        assert row.mean == np.rint(volumes[row.series_uid][PATCHES[row.roi]].mean() - mean)
    outside = read_table(tmp_path / "harmonization.csv").set_index("fit")
    assert dict(outside["notes"]) == {"all": "of all series", **dict.fromkeys(SCANNERS, "")}
    assert list(outside.index) == ["all", *SCANNERS] and set(outside["status"]) == {"harmonized"}
    # and from file to file: N = 3 is trained, what has no fold of its own is told with its reason
    table = table_of(registered[registered["dose_mgy"] == 10], volumes.__getitem__)
    write_table(table, tmp_path / "plain.parquet")
    write_table(plan_splits(Plan(features.keys, MODES[mode], n_folds=4)), tmp_path / "splits.csv")
    places = Places(*(tmp_path / name for name in ("p.parquet", "t.csv", "l.parquet")), untrained=tmp_path / "u.csv")
    method = Method(variant.declaration.folder, "planted", folds=tmp_path / "merged")
    run = TrainingRun("made", MODES[mode], classifier="logistic_regression", verify=0)
    train_files(run, tmp_path / "plain.parquet", tmp_path / "splits.csv", places, method)
    trained, untrained = read_table(tmp_path / "t.csv"), read_table(tmp_path / "u.csv")
    assert sorted(zip(trained["scheme"], trained["n_train"], trained["fold"], strict=True)) == [
        ("loso", 3, scanner) for scanner in SCANNERS
    ]
    assert set(untrained[["scheme", "n_train"]].itertuples(index=False, name=None)) == {("kfold", 3), ("loso", 1)}
    assert set(untrained["status"]) == {"not applicable"}


def test_trainings_on_the_same_series_are_one_fit_and_all_doses_are_mapped_once(made):
    registered, _ = made
    plan = plan_folds(registered, [10], "scanner", MODES["paper"], 0)
    whole = plan[plan["number"] == 0].set_index("series_uid")["role"]
    assert whole.eq("fit").to_dict() == (registered.set_index("series_uid")["dose_mgy"] == 10).to_dict()
    folds = plan[plan["number"] > 0]
    fits = folds[folds["role"] == "fit"].groupby(["number", "n_train", "fold"])["series_uid"].agg(frozenset)
    assert len(fits) == 8 and len(set(fits)) == fits.reset_index()["number"].nunique()
    # of three scanners N = 2 is all others, and two have none
    of_three, of_two = (registered[registered["scanner"].isin(list(SCANNERS)[:n])] for n in (3, 2))
    assert set(plan_folds(of_three, [10], "scanner", MODES["paper"], 0)["number"]) == {0, 1, 2, 3}
    assert set(plan_folds(of_two, [10], "scanner", MODES["paper"], 0)["number"]) == {0}
    again = of_three[of_three["scanner"] == "A1"].assign(scanner="A2")
    again[["series_uid", "scan_id"]] = "2" + again[["series_uid", "scan_id"]]
    pair = pd.concat([of_three, again])
    twice = plan_folds(pair, [10], "scanner", MODES["paper"], 4)
    sets = twice[(twice["n_train"] == 2) & (twice["role"] == "fit")].groupby("fold")["series_uid"].agg(frozenset)
    numbers = twice[twice["n_train"] == 2].groupby("fold")["number"].first()
    assert sets.nunique() == numbers.nunique()
    for a in sets.index:
        for b in sets.index:
            assert (sets[a] == sets[b]) == (numbers[a] == numbers[b])


def test_at_its_fit_a_method_has_nothing_of_the_target(tmp_path, made):
    """What it finds of other volumes at its fit is what it subtracts: nothing in files, and no further volume."""
    registered, volumes = made
    look = (
        "import os; places = [place for place in ('.', '..', os.environ['HOME'], os.environ['TMPDIR'])"
        " if os.access(place, os.R_OK)]; self.mean += 1000 * len("
        "[name for place in places for name in os.listdir(place) if name.endswith('.b2nd') or name == 'volumes'])"
    )
    count = "; self.mean += 1000 * (len(means) != 4)"
    plan = plan_folds(registered, [10], "scanner", MODES["paper"], 0)
    plan = plan[(plan["number"] > 0) & (plan["n_train"] == 2) & (plan["fold"] == "A1")]
    outcomes, _ = run_folds(tmp_path, made, plan, look + count)
    (number,) = outcomes
    assert outcomes[number]["status"] == "harmonized"
    training = sorted(set(plan.loc[plan["role"] == "fit", "series_uid"]))
    assert len(training) == 4 and not any(uid.startswith("1.0.") for uid in training)
    mean = np.mean([volumes[uid].mean() for uid in training])
    for uid in set(plan["series_uid"]):
        own = open_volume(tmp_path / "out" / str(number) / f"{uid}.b2nd").read()
        np.testing.assert_array_equal(own, np.rint(volumes[uid] - mean))


def test_a_fit_that_fails_costs_its_own_fold_alone(tmp_path, made):
    registered, volumes = made
    plan = plan_folds(registered, [10], "scanner", MODES["paper"], 0)
    plan = plan[plan["n_train"] == 3]
    fails = plan.loc[plan["fold"] == "B1", "number"].iloc[0]
    training = plan.loc[(plan["number"] == fails) & (plan["role"] == "fit"), "series_uid"]
    mean = float(np.mean([volumes[uid].mean() for uid in training]))
    outcomes, variant = run_folds(
        tmp_path, made, plan, f"if abs(self.mean - ({mean!r})) < 1e-3: raise ValueError('rough sea')"
    )
    assert {number for number, row in outcomes.items() if row["status"] == "failed"} == {fails}
    features, splits = asked(registered, volumes)
    given = FoldTables(variant, features.keys, features.names, "made", tmp_path / "merged")
    for split in splits:
        if (split.scheme, split.n_train, split.fold) == ("loso", 3, "B1"):
            with pytest.raises(NotHarmonized, match="rough sea") as raised:
                given(Fold(split))
            assert raised.value.status == "failed"
        elif (split.scheme, split.n_train) == ("loso", 3):
            assert np.isfinite(given(Fold(split))).all()
    assert not list((tmp_path / "left_out").iterdir())
    outside = read_table(tmp_path / "harmonization.csv").set_index("fit")
    assert dict(outside["status"].drop("all")) == dict.fromkeys(SCANNERS, "harmonized") | {"B1": "failed"}
    assert "rough sea" in outside.loc["B1", "reason"]
