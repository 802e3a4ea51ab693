"""A method of images that learns from all scanners, in folds: each is a fit on its training scanners' volumes alone."""

import re
import subprocess
import uuid

import numpy as np
import pandas as pd
import pytest
from pipeline_run import ENGINE, ROOT
from planted import plant

from ct4bench.core.volumes import open_volume, save_volume

pytestmark = pytest.mark.pipeline

DATA = ROOT / "tests" / "data"
HU = {"1.9.0.2": 1, "1.9.1.2": 5, "1.9.2.2": 21}
"""What is added to the block of tests/data in the series of three scanners, of which the first is the reference."""
MEAN_OF_TRAINING = """
class Method:
    def __init__(self, *, seed):
        pass
    def fit(self, volumes):
        # a voxel of a region
        self.means = [float(volume[38, 28, 72]) for volume, _, _ in volumes]
        return self
    def transform(self, volume, spacing_mm, domain):
        return volume - sum(self.means) / len(self.means)
"""
SCRIPT = """
include { HARMONIZE_IMAGES } from 'ROOT/subworkflows/harmonize_images/main'
include { EXTRACT_FOLDS    } from 'ROOT/subworkflows/extract/main'

workflow {
    def other = [level: '', folder: null, shipped: true, adaptation: null, learns: 'nothing', tables: [], volumes: null]
    def folder = file('FOLDER/methods/planted')
    def planted = [name: 'planted', level: 'image', learns: 'pooled', folder: folder, shipped: false, image: 'imaging']
    def settings = params + [feature_sets: 'radiomics']
    def table = file('FOLDER/registered.csv')
    def registered = channel.value(table)
    def reference = channel.value(file('ROOT/tests/data/reference'))
    def patches = channel.value(file('ROOT/tests/data/patches.csv'))
    def chunks = ['1.9.0.2', '1.9.1.2', '1.9.2.2'].collect { uid ->
        [[id: uid, method: 'none', uids: [uid]], table, [file("FOLDER/volumes/${uid}.b2nd")]]
    }
    def methods = [other + [name: 'none'], other + planted]
    HARMONIZE_IMAGES(settings, methods, channel.fromList(chunks), registered, reference)
    HARMONIZE_IMAGES.out.chunks.subscribe { item -> println("mapped ${item[0].uids[0]} ${item[2][0]}") }
    EXTRACT_FOLDS(settings, HARMONIZE_IMAGES.out.folds, HARMONIZE_IMAGES.out.plan, registered, patches)
    EXTRACT_FOLDS.out.folds.subscribe { item -> println("folds ${item[1]}") }
    EXTRACT_FOLDS.out.left_out.subscribe { item -> println("left_out ${item[1]}") }
}
"""


def test_features_of_a_fold_are_those_of_volumes_mapped_by_its_own_fit(nextflow, tmp_path):
    plant(tmp_path / "methods", MEAN_OF_TRAINING, level="image", min_domains=2)
    series = pd.read_csv(DATA / "index" / "series.csv", dtype=str)
    series[series["series_uid"].isin(HU)].to_csv(tmp_path / "registered.csv", index=False)
    (tmp_path / "volumes").mkdir()
    block = open_volume(DATA / "volumes" / "1.9.0.2.b2nd")
    for uid, hu in HU.items():
        save_volume(tmp_path / "volumes" / f"{uid}.b2nd", block.read() + np.int16(hu), block.grid, block.attributes)
    # in the project's folder, beside bin/ and assets/
    script = ROOT / f".nf-test-{uuid.uuid4().hex}.nf"
    try:
        script.write_text(SCRIPT.replace("ROOT", str(ROOT)).replace("FOLDER", str(tmp_path)))
        command = [ENGINE, "-log", "nextflow.log", "run", script, "-ansi-log", "false", "-profile", "test"]
        done = subprocess.run(
            [*command, "--outdir", tmp_path / "results"], cwd=tmp_path, text=True, capture_output=True
        )
    finally:
        script.unlink()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    voxel = int(block.read()[38, 28, 72])
    # fitted on all, for tables, ICC and embedding
    of_all = dict(re.findall(r"^mapped (\S+) (\S+)$", said, re.MULTILINE))
    for uid, hu in HU.items():
        own = open_volume(of_all[uid]).read()
        np.testing.assert_array_equal(own, np.rint(block.read() + hu - voxel - np.mean(list(HU.values()))))
    folds, left_out = (re.search(rf"^{name} (\S+)$", said, re.MULTILINE).group(1) for name in ("folds", "left_out"))
    plan = pd.read_csv(f"{folds}/folds.csv", dtype={"series_uid": str})
    assert set(plan["number"]) == {0, 1, 2, 3}
    mean = "original_firstorder_Mean"
    plain = None
    for number, own in plan[plan["number"] > 0].groupby("number"):
        fit = own.loc[own["role"] == "fit", "series_uid"]
        assert len(fit) == 2 and set(own["series_uid"]) == set(HU)
        assert pd.read_csv(f"{folds}/outcomes.csv").set_index("number").loc[number, "status"] == "harmonized"
        table = pd.read_parquet(f"{folds}/{number}/radiomics.parquet").set_index(["roi", "series_uid"])[mean].unstack()
        block_means = table + voxel + np.mean([HU[uid] for uid in fit]) - pd.Series(HU)
        # of each region the same in all series and folds, since what was added and subtracted is known
        plain = block_means["1.9.0.2"] if plain is None else plain
        np.testing.assert_allclose(block_means, np.tile(plain.to_numpy()[:, None], 3), atol=1e-9)
    assert plain.std() > 1
    # each scanner by a fit without it, for the scores of features
    apart = pd.read_parquet(f"{left_out}/radiomics.parquet").set_index(["roi", "series_uid"])[mean].unstack()
    for uid, hu in HU.items():
        others = np.mean([other for name, other in HU.items() if name != uid])
        np.testing.assert_allclose(apart[uid], plain + hu - voxel - others, atol=1e-9)


@pytest.mark.slow
def test_a_run_trains_and_tests_on_the_features_of_each_fold(small_run, nextflow, tmp_path):
    """Four scanners: folds of N = 2 and N = 3; N = 1 and ten folds say why they are lacking, and scores are there."""
    plant(tmp_path / "methods", MEAN_OF_TRAINING.replace("[38, 28, 72]", "[20, 60, 60]"), level="image", min_domains=2)
    run = nextflow(
        small_run.launch, "-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true", "--tasks", "none",
        "--feature_sets", "radiomics", "--ablations", "none", "--other_classifiers", "none", "-resume",
        "--methods", "none,planted", "--method_folders", tmp_path / "methods", outdir=tmp_path / "out",
    )  # fmt: skip
    assert run.status == 0, run.text
    assert re.search(r"planted: 9 fits, 8 versions of each image \([\d.]+ GB of disk\)", run.text)
    own = run.outdir / "planted"
    trained, untrained = (pd.read_csv(own / name) for name in ("trainings.csv", "untrained.csv"))
    scanners = ["A1", "B1", "C1", "E2"]
    assert sorted(zip(trained["scheme"], trained["n_train"], trained["fold"], strict=True)) == [
        ("loso", n, scanner) for n in (2, 3) for scanner in scanners
    ]
    assert set(untrained["scheme"]) == {"loso", "kfold"}
    reasons = untrained[untrained["scheme"] == "loso"]
    assert set(reasons["n_train"]) == {1} and set(reasons["reason"]) == {"needs 2 training domains, and has 1"}
    board = pd.read_csv(run.outdir / "leaderboard.csv")
    rows = board[board["method"] == "planted"].set_index("score")
    assert np.isfinite(rows.loc["tissue_n2", "raw"]) and np.isfinite(rows.loc["tissue_n2", "difference"])
    scores = pd.read_csv(own / "scores.csv")
    assert scores[(scores["score"] == "icc_2_1") & (scores["fit"] == "apart")]["value"].notna().any()
