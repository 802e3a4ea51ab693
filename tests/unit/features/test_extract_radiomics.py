"""Extraction over series: the right voxels, rows and settings, the check against PyRadiomics, refusals."""

import json
import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from tests.conftest import ROOT
from tests.radiomics_reference import extractor, noise_patch, reference_features

from ct4bench.core.benchmark import FEATURE_KEY, ROIS
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.tables import read_table, write_table
from ct4bench.core.volumes import open_volume, save_volume
from ct4bench.features import extract_radiomics as runs
from ct4bench.features.pyradiomics import check, relative_difference
from ct4bench.features.radiomics import FEATURES, region_features
from ct4bench.features.radiomics_settings import load_settings
from ct4bench.preprocess.draw import draw_centres, patch_table

SHAPE = (30, 70, 90)
SPACING_MM = (1.0, 0.7, 0.7)
DEFAULT = ROOT / "assets" / "radiomics.yaml"
SERIES = [  # not in the order of the result
    ("1.9", "H2_10mGy_01", "H2", "GE", 10, "FBP", 1),
    ("1.2", "A1_10mGy_01", "A1", "Siemens", 10, "IR", 1),
    ("1.7", "A1_10mGy_01", "A1", "Siemens", 10, "FBP", 1),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with volumes/, reference/labels.b2nd, registered.csv and patches.csv."""
    folder, rng = tmp_path_factory.mktemp("radiomics"), np.random.default_rng(5)
    grid = Grid.axis_aligned(SHAPE, SPACING_MM, (-10.0, 5.0, 100.0))
    z, y, x = np.indices(SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    for number in range(6):
        centre = 15, 25 + 20 * (number // 3), 25 + 20 * (number % 3)
        near = sum((i - c) ** 2 for i, c in zip((z, y, x), centre, strict=True)) < (3 + number % 4) ** 2
        labels[near] = number + 1
    (folder / "volumes").mkdir()
    for number, (uid, *_) in enumerate(SERIES):
        volume = noise_patch(rng, 18 + 6 * number, 40, SHAPE)
        save_volume(folder / "volumes" / f"{uid}.b2nd", volume, grid, {"series_uid": uid})
    (folder / "reference").mkdir()
    save_volume(folder / "reference" / "labels.b2nd", labels, grid)
    columns = ["series_uid", "scan_id", "scanner", "maker", "dose_mgy", "recon", "repetition"]
    write_table(pd.DataFrame(SERIES, columns=columns), folder / "registered.csv")
    write_table(patch_table(draw_centres(labels, 2, 0), labels, grid), folder / "patches.csv")
    return folder


@pytest.fixture
def extract(data, tmp_path):
    """Extraction of series (default all) with a parameter file or its text."""

    def of(uids=None, params=DEFAULT, which="patch", engine="auto", **options):
        if isinstance(params, str):
            (tmp_path / "own.yaml").write_text(params)
            params = tmp_path / "own.yaml"
        settings = load_settings(params, engine)
        registered = read_table(data / "registered.csv")
        tables, groups = {}, {}
        for region in ("patch", "roi") if which == "both" else (which,):
            groups[region] = runs.make_group(region, data / "patches.csv", data / "reference")
            run = runs.RadiomicsRun(settings, data / "volumes", groups[region], **options)
            tables[region], verification = runs.extract(run, registered, uids or [row[0] for row in SERIES])
        return tables, verification, settings, groups

    return of


def test_patches_are_those_of_the_volume_in_the_tables_order(extract, data):
    tables, _, _, _ = extract(share=0)
    table = tables["patch"]
    assert list(table.columns) == [*FEATURE_KEY, *FEATURES]
    assert list(table["series_uid"].drop_duplicates()) == ["1.7", "1.2", "1.9"]
    assert list(zip(table["roi"], table["patch"], strict=True))[:12] == [(roi, n) for roi in ROIS for n in (0, 1)]
    patches = read_table(data / "patches.csv")
    row = patches[(patches["roi"] == "metastasis") & (patches["patch"] == 1)].iloc[0]
    voxels = open_volume(data / "volumes" / "1.2.b2nd").read()[
        row["slice"] - 8 : row["slice"] + 8, row["row"] - 16 : row["row"] + 16, row["column"] - 16 : row["column"] + 16
    ]
    own = table[(table["series_uid"] == "1.2") & (table["roi"] == "metastasis") & (table["patch"] == 1)]
    expected = region_features(voxels, open_volume(data / "volumes" / "1.2.b2nd").grid.spacing_mm)
    np.testing.assert_array_equal(own[list(FEATURES)].to_numpy()[0], expected)
    assert own[["scan_id", "scanner", "maker", "dose_mgy", "recon", "repetition", "tissue"]].iloc[0].tolist() == [
        "A1_10mGy_01", "A1", "Siemens", 10, "IR", 1, "metastasis",
    ]  # fmt: skip


def test_whole_rois_equal_pyradiomics_on_the_volume(extract, data):
    tables, _, _, groups = extract(["1.7"], which="both", share=0)
    table = tables["roi"]
    assert list(table["roi"]) == list(ROIS)
    assert (table["patch"] == 0).all()
    labels = open_volume(data / "reference" / "labels.b2nd").read()
    volume = open_volume(data / "volumes" / "1.7.b2nd")
    made = extractor()
    for number, row in enumerate(table[list(FEATURES)].to_numpy(), start=1):
        inside = labels == number
        assert groups["roi"].regions[number - 1].n_voxels == inside.sum()
        expected = reference_features(made, volume.read(), volume.grid.spacing_mm, inside)
        assert relative_difference(row, expected, FEATURES).max() < 1e-9


def test_neither_chunk_nor_threads_change_a_value(extract):
    whole = extract(share=0, threads=3, which="both")[0]
    for name in ("patch", "roi"):
        parts = [extract([uid], share=0, which="both")[0][name] for uid in ("1.7", "1.2", "1.9")]
        pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole[name])


def test_a_sample_is_verified_and_its_difference_noted(extract):
    _, verification, settings, groups = extract(share=0.2)
    assert verification.regions > 1
    assert 0 < verification.largest < 1e-9
    assert verification.at.startswith("series 1.")
    _, none, _, _ = extract(share=0)
    assert (none.regions, none.largest) == (0, None)


def test_the_sample_hangs_on_seed_and_region_alone():
    keys = [(f"1.{s}", roi, patch) for s in range(20) for roi in ROIS for patch in range(10)]
    drawn = runs.draw_sample(keys, 0.05, 3)
    assert 30 < len(drawn) < 100
    chosen = {keys[i] for i in drawn}
    part = keys[100:900]
    assert {part[i] for i in runs.draw_sample(part, 0.05, 3)} == chosen & set(part)
    assert {keys[i] for i in runs.draw_sample(keys, 0.05, 4)} != chosen
    assert len(runs.draw_sample(keys[:5], 1e-9, 3)) == 1
    assert runs.draw_sample(keys, 0, 3) == set()
    assert len(runs.draw_sample(keys, 1, 3)) == len(keys)
    with pytest.raises(UserError, match="--verify 1.5"):
        runs.draw_sample(keys, 1.5, 3)


def test_a_value_that_pyradiomics_does_not_give_fails_the_run(extract, monkeypatch):
    def wrong(*args):
        values = region_features(*args)
        values[FEATURES.index("original_glcm_Contrast")] *= 1 + 1e-5
        return values

    monkeypatch.setattr(runs, "region_features", wrong)
    with pytest.raises(
        UserError, match=r"series 1\.\d, \w+, patch \d: original_glcm_Contrast is .*--engine pyradiomics"
    ):
        extract(share=0.01)


def test_not_a_number_is_equal_to_itself_only():
    names, nan = ("original_glcm_MCC", "original_glcm_Imc2"), float("nan")
    reference = {names[0]: nan, names[1]: 0.5}
    assert check(np.array([nan, 0.5]), reference, names, "here") == 0
    with pytest.raises(UserError, match="original_glcm_MCC"):
        check(np.array([1.0, 0.5]), reference, names, "here")


def test_pyradiomics_gives_the_same_table(extract):
    fast, slow = (extract(["1.7"], which="both", engine=engine, share=0)[0] for engine in ("auto", "pyradiomics"))
    for name in ("patch", "roi"):
        pd.testing.assert_frame_equal(fast[name], slow[name], rtol=1e-9, atol=1e-12)


def test_chosen_features_are_the_only_columns(extract):
    tables = extract(["1.7"], "featureClass: {ngtdm: , firstorder: [Mean]}", share=0.1)[0]
    assert [name.split("_", 1)[1] for name in tables["patch"].columns[len(FEATURE_KEY) :]] == [
        "firstorder_Mean", "ngtdm_Busyness", "ngtdm_Coarseness", "ngtdm_Complexity", "ngtdm_Contrast", "ngtdm_Strength",
    ]  # fmt: skip


def test_normalization_is_that_of_the_whole_volume(extract, data):
    params = "{}featureClass: {{firstorder: [Mean, Variance], glcm: [Contrast]}}\nsetting: {{normalize: true, {}}}"
    text = params.format("", "normalizeScale: 100, removeOutliers: 2, binWidth: 20")
    own = extract(["1.7"], text, which="roi")[0]["roi"].iloc[2]
    made = extractor(normalize=True, normalizeScale=100, removeOutliers=2, binWidth=20)
    made.disableAllFeatures()
    made.enableFeaturesByName(firstorder=["Mean", "Variance"], glcm=["Contrast"])
    image = sitk.GetImageFromArray(open_volume(data / "volumes" / "1.7.b2nd").read())
    labels = sitk.GetImageFromArray(open_volume(data / "reference" / "labels.b2nd").read())
    found = made.execute(image, labels, label=3)
    for name in ("firstorder_Mean", "firstorder_Variance", "glcm_Contrast"):
        assert own[f"original_{name}"] == pytest.approx(float(found[f"original_{name}"]), rel=1e-9), name


def test_filters_see_the_volume_round_the_patch(extract, data):
    text = "featureClass: {firstorder: [Mean, 90Percentile]}\nimageType: {LoG: {sigma: [1.5, 2.5]}}"
    tables, verification, settings, groups = extract(["1.7"], text)
    assert settings.engine == "pyradiomics"
    assert verification.regions == 0
    assert list(tables["patch"].columns[len(FEATURE_KEY) :]) == [
        f"log-sigma-{s}-mm-3D_firstorder_{f}" for s in ("1-5", "2-5") for f in ("90Percentile", "Mean")
    ]
    volume = open_volume(data / "volumes" / "1.7.b2nd")
    box = groups["patch"].regions[0].box
    inside = np.zeros(SHAPE, np.uint8)
    inside[box] = 1
    images = [sitk.GetImageFromArray(array) for array in (volume.read(), inside)]
    for image in images:
        image.SetSpacing([float(s) for s in volume.grid.spacing_mm[::-1]])
    made = extractor()
    made.disableAllFeatures()
    made.enableFeaturesByName(firstorder=["Mean"])
    made.disableAllImageTypes()
    made.enableImageTypeByName("LoG", customArgs={"sigma": [1.5]})
    expected = float(made.execute(*images)["log-sigma-1-5-mm-3D_firstorder_Mean"])
    assert tables["patch"]["log-sigma-1-5-mm-3D_firstorder_Mean"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "image_types", ["LoG: {}", "LoG: {sigma: [2.0, 90.0]}", "Original: {}, Wavelet: {}, LoG: {sigma: [400]}"]
)
def test_an_image_type_without_images_is_refused(extract, image_types):
    text = f"featureClass: {{firstorder: [Mean]}}\nimageType: {{{image_types}}}"
    with pytest.raises(UserError, match=r"own.yaml: PyRadiomics made \d images of type LoG"):
        extract(["1.7"], text)


def test_resampling_goes_through_pyradiomics(extract):
    text = "featureClass: {firstorder: [Mean, TotalEnergy, Energy]}\nsetting: {resampledPixelSpacing: [1.4, 1.4, 2]}"
    table = extract(["1.7"], text)[0]["patch"]
    ratio = table["original_firstorder_TotalEnergy"] / table["original_firstorder_Energy"]
    np.testing.assert_allclose(ratio, 1.4 * 1.4 * 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("setting: {minimumROISize: 200000}", "minimumROISize 200000 of own.yaml"),
        ("setting: {resegmentRange: [5000, 6000]}", "series 1.7, cyst1, patch 0: PyRadiomics says"),
        ("featureClass: {glcm: }\nsetting: {binWidth: 0.05}", "grey levels, more than 1024"),
    ],
)
def test_settings_that_do_not_suit_a_region_are_refused(extract, text, words):
    with pytest.raises(UserError, match=words):
        extract(["1.7"], text)


def test_missing_series_and_volumes_are_named(extract, data):
    with pytest.raises(UserError, match="series 1.1 is not in the table"):
        extract(["1.1"])
    settings = load_settings(DEFAULT)
    group = runs.make_group("patch", data / "patches.csv", None)
    with pytest.raises(UserError, match="1.7.b2nd"):
        run = runs.RadiomicsRun(settings, data / "reference", group)
        runs.extract(run, read_table(data / "registered.csv"), ["1.7"])


def test_a_roi_that_the_series_does_not_cover_is_refused(data, tmp_path):
    """The volume is complete, but its lower slices lie outside the series' own field."""
    volume = open_volume(data / "volumes" / "1.7.b2nd")
    source = volume.grid.crop((slice(14, 30), slice(0, 70), slice(0, 90)))
    motion = {name: [0.0, 0.0, 0.0] for name in ("rotation_deg", "translation_mm", "centre_mm")}
    attributes = {"series_uid": "1.7", "source_grid": source.to_dict(), "motion": motion}
    save_volume(tmp_path / "1.7.b2nd", volume.read(), volume.grid, attributes)
    group = runs.make_group("roi", None, data / "reference")
    with pytest.raises(UserError, match="ROI outside the volume: series 1.7, cyst1"):
        run = runs.RadiomicsRun(load_settings(DEFAULT), tmp_path, group)
        runs.extract(run, read_table(data / "registered.csv"), ["1.7"])


@pytest.mark.parametrize(
    ("which", "given", "words"),
    [("patch", ("", "r"), "--patches"), ("roi", ("p", ""), "--reference")],
)
def test_a_region_needs_its_files(which, given, words):
    with pytest.raises(UserError, match=f"--region {which} needs.*{words}"):
        runs.make_group(which, *given)


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / "bin" / name, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_scripts_run_and_write_the_same_bytes_again(data, tmp_path):
    common = ("--registered", data / "registered.csv", "--volumes", data / "volumes", "--params", DEFAULT)
    regions = {"": ("--patches", data / "patches.csv"), "_roi": ("--reference", data / "reference", "--region", "roi")}
    parts = {"a": "1.2,1.9", "b": "1.7", "again": "1.9,1.2"}
    for (name, uids), (suffix, region) in product(parts.items(), regions.items()):
        outputs = (f"{name}{suffix}.{end}" for end in ("parquet", "json"))
        done = script(
            "extract_radiomics.py", *common, *region, "--series_uids", uids, "--output", tmp_path / next(outputs),
            "--settings", tmp_path / next(outputs), "--verify", 0.05, "--threads", 1 + len(uids) % 2, "--extractor",
            f"radiomics{suffix}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for suffix in (".parquet", "_roi.parquet", ".json", "_roi.json"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"again{suffix}").read_bytes()
    for suffix, checks in (("", ("--patches", data / "patches.csv")), ("_roi", ())):
        done = script(
            "merge_features.py", "--extractor", f"radiomics{suffix}", "--tables", tmp_path / f"b{suffix}.parquet",
            tmp_path / f"a{suffix}.parquet", "--settings", tmp_path / f"a{suffix}.json", tmp_path / f"b{suffix}.json",
            "--registered", data / "registered.csv", *checks, "--output", tmp_path / f"all{suffix}.parquet",
            "--merged_settings", tmp_path / f"all{suffix}.json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    table, settings = read_table(tmp_path / "all.parquet"), json.loads((tmp_path / "all.json").read_text())
    assert len(table) == 36
    assert list(table["series_uid"].drop_duplicates()) == ["1.7", "1.2", "1.9"]
    chunks = [json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab"]
    assert settings["verified"] == sum(chunk["verified"] for chunk in chunks) >= 2
    assert settings["largest_difference"] == max(chunk["largest_difference"] for chunk in chunks)
    assert (settings["engine"], settings["n_features"], settings["status"]) == ("fast", 93, "deterministic")
    assert settings["weights"] is None
    assert settings["roi_voxels"] == {}
    of_rois = json.loads((tmp_path / "all_roi.json").read_text())
    assert of_rois["roi_voxels"]["cyst1"] > 0
    assert len(read_table(tmp_path / "all_roi.parquet")) == 18


def test_a_fault_ends_with_one_line(data, tmp_path):
    (tmp_path / "own.yaml").write_text("setting: {binwidth: 25}")
    done = script(
        "extract_radiomics.py", "--registered", data / "registered.csv", "--volumes", data / "volumes", "--params",
        tmp_path / "own.yaml", "--patches", data / "patches.csv", "--series_uids", "1.7", "--output",
        tmp_path / "x.parquet", "--settings", tmp_path / "x.json",
    )  # fmt: skip
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert len(errors) == 1
    assert "own.yaml" in errors[0]
    assert "binwidth" in errors[0]
    assert not (tmp_path / "x.parquet").exists()
