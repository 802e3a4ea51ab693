"""The whole benchmark on a small twin: the contract of outputs, and its numbers recomputed from the published files."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from read_back import read_back
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from ct4bench.core.benchmark import FEATURE_KEY, RESULT_FOLDERS, ROIS, ROW_KEY
from ct4bench.core.geometry import Rigid

pytestmark = pytest.mark.pipeline

SCANNERS = ["A1", "B1", "C1", "E2"]
EXTRACTORS = {"radiomics": 93, "shallow_cnn": 256, "swin_unetr": 768}
COLUMNS = {
    "index/series.csv": "series_uid seg_series_uid scan_id scanner maker manufacturer_header model dose_mgy recon "
    "repetition n_slices rows columns spacing_row_mm spacing_col_mm slice_increment_mm slice_thickness_mm fov_mm kvp "
    "exposure_mas ctdivol_mgy pitch rotation_time_s collimation_mm kernel scan_options path",
    "index/quarantine.csv": "path series_uid reason detail",
    "index/patches.csv": "roi tissue patch x_mm y_mm z_mm slice row column share_inside",
    "registration/transforms.csv": "series_uid translation_x_mm rotation_x_deg similarity_before similarity_after "
    "lost_noise_variance status",
    "none/pairs.parquet": "series_uid_a series_uid_b scanner_a scanner_b table variant pair_index is_self_pair "
    "n_voxels rmse_hu psnr_db ssim",
    "none/icc.csv": "extractor feature feature_class form domain stratum n_targets n_raters icc icc_clipped ci_low "
    "ci_high ms_targets ms_raters ms_error",
    "none/splits.csv": "scheme n_train fold unit unit_kind role",
    "none/predictions.parquet": "task extractor classifier ablation scheme n_train fold series_uid roi patch scan_id "
    "scanner target predicted prob_cyst prob_hemangioma prob_metastasis prob_normal",
    "none/tasks.csv": "task ablation description n_trainings reason",
    "none/icc_intervals.csv": "extractor domain stratum form n_features icc_mean icc_ci_low icc_ci_high",
    "none/stable_features.csv": "extractor rank feature feature_class form ci_low_lowest stratum_lowest icc stable",
    "none/repeatability.csv": "extractor feature within_sd repeatability_coefficient within_relative discriminability",
    "none/scanner_profile.csv": "scanner maker dose_mgy recon kind measure region at at_unit value sd n_series reason",
    "none/series_profile.parquet": "series_uid scanner kind measure region at at_unit value reason",
    "none/local_displacement.csv": "scanner dose_mgy recon x_mm y_mm z_mm displacement_x_mm error_x_mm n_series",
    "none/embedding.parquet": "figure extractor series_uid roi patch umap_1 umap_2 pca_1 pca_2",
    "pipeline_info/none/training_times.csv": "task extractor classifier ablation scheme n_train fold cpu_s",
    "truth.csv": "series_uid scan_id scanner",
}
TABLES = (
    "table1_acquisition", "table2_series_counts", "table3_rmse_hu", "table4_psnr_db", "table5_ssim", "table6_dose",
    "table7_stability_classification",
)  # fmt: skip


def read(run, name) -> pd.DataFrame:
    path = run.outdir / name
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)


@pytest.mark.parametrize("name", COLUMNS)
def test_contract_of_columns(small_run, name):
    frame = read(small_run, name)
    assert set(COLUMNS[name].split()) <= set(frame.columns)
    assert len(frame) or name == "index/quarantine.csv"


def test_contract_of_files(small_run):
    there = set(small_run.published())
    expected = {f"none/tables/{name}.csv" for name in TABLES} | {"report.html"}
    expected |= {f"index/{name}" for name in ("series.csv", "files.parquet", "inputs.csv", "quarantine.csv")}
    expected |= {f"none/figures/figure{n}.{kind}" for n in range(2, 7) for kind in ("png", "svg")}
    drawn = ("accuracy_by_n", "accuracy_tasks", "accuracy_left_out", "accuracy_by_classifier", "pca", "icc_grades")
    expected |= {f"none/figures/{name}.{kind}" for name in drawn for kind in ("png", "svg")}
    expected |= {f"none/figures/profile_{kind}.png" for kind in ("noise", "sharpness", "calibration", "geometry")}
    expected |= {f"none/figures/{name}.view.json" for name in ("slices", "patches")}
    expected |= {f"none/features/{name}.{kind}" for name in EXTRACTORS for kind in ("parquet", "json")}
    assert expected <= there
    # a method of one of these names would have its results in that folder
    assert {name.split("/")[0] for name in there if "/" in name} <= {"none", *RESULT_FOLDERS}
    about = {path.name.split("_20")[0] for path in (small_run.outdir / "pipeline_info").iterdir()}
    assert about == {"trace", "timeline", "dag", "run.json", "none", "complete.json"}


def test_complete_mark_has_the_digest_of_every_file(small_run):
    mark = json.loads((small_run.outdir / "pipeline_info" / "complete.json").read_text())
    marked = {entry["path"]: entry["sha256"] for entry in mark["files"]}
    for name in small_run.published():
        if not name.startswith(("dicom/", "none/volumes/")):
            assert marked[name] == hashlib.sha256((small_run.outdir / name).read_bytes()).hexdigest(), name


def test_every_series_is_registered_to_its_true_pose(small_run):
    transforms, truth = (
        read(small_run, name).set_index("series_uid") for name in ("registration/transforms.csv", "truth.csv")
    )
    assert set(transforms.index) == set(truth.index)
    assert transforms["status"].value_counts().to_dict() == {"registered": 11, "reference": 1}

    def motion(row):
        return Rigid(*(tuple(row[f"{k}_{a}_{u}"] for a in "xyz")
                       for k, u in (("rotation", "deg"), ("translation", "mm"), ("centre", "mm"))))  # fmt: skip

    reference = motion(truth.loc[transforms.index[transforms["status"] == "reference"][0]])
    block = np.array([[x, y, z] for x in (-133, 131) for y in (-258, -69) for z in (134, 233)], float)
    errors = {}
    for uid, row in transforms.iterrows():
        found, true = motion(row), motion(truth.loc[uid]).after(reference.inverse())
        errors[uid] = np.linalg.norm(found(block) - true(block), axis=1).max()
    assert np.median(list(errors.values())) <= 0.1
    assert max(errors.values()) <= 0.3


def test_profiles_find_the_twins_calibration_and_sharpness(small_run):
    profile, truth = read(small_run, "none/scanner_profile.csv"), read(small_run, "truth.csv")
    assert (profile["value"].notna() ^ profile["reason"].notna()).all()
    numbers = profile[profile["at"].isna()].set_index(["grid", "measure", "region", "scanner", "dose_mgy", "recon"])
    own, common = (numbers.loc[grid, "value"] for grid in ("own", "common"))
    for row in truth[truth["dose_mgy"] == 10].itertuples():
        key = (row.scanner, row.dose_mgy, row.recon)
        assert common["calibration_slope", "wedge", *key] == pytest.approx(row.slope, abs=0.004)
        assert own["slice_sigma_mm", "wedge_to_liver", *key] == pytest.approx(row.slice_sigma_mm, rel=0.04)
        assert own["star_sigma_mm", "siemens_star", *key] == pytest.approx(row.mtf_sigma_mm, rel=0.1)
        assert own["total_sd_hu", "cyst1", *key] == pytest.approx(row.cyst1_total_sd_hu, rel=0.04)
        assert np.isnan(own["quantum_sd_hu", "cyst1", *key])


def test_features_have_a_row_for_every_patch(small_run):
    keys = None
    for name, count in EXTRACTORS.items():
        table = read(small_run, f"none/features/{name}.parquet")
        assert list(table.columns[: len(FEATURE_KEY)]) == FEATURE_KEY
        assert table.shape == (4 * 2 * len(ROIS) * 10, len(FEATURE_KEY) + count)
        assert (table.dtypes.iloc[len(FEATURE_KEY) :] == "float64").all()
        assert not table.duplicated(ROW_KEY).any()
        assert keys is None or table[FEATURE_KEY].equals(keys)
        keys = table[FEATURE_KEY]
    notes = {name: json.loads((small_run.outdir / f"none/features/{name}.json").read_text()) for name in EXTRACTORS}
    assert notes["swin_unetr"]["weights"]["status"] == "random"
    assert notes["shallow_cnn"]["weights"]["words"] == "stand-in, trained on synthetic tissue"
    assert all(note["verified"] > 0 for note in notes.values())


def test_table_3_follows_from_the_pairs(small_run):
    pairs, table = read(small_run, "none/pairs.parquet"), read(small_run, "none/tables/table3_rmse_hu.csv")
    filled = table.dropna(subset=["rmse_hu_mean"])
    # one scan of each scanner at 10 mGy: nothing stands on the diagonal
    assert len(filled) == 6 and (filled["scanner_row"] != filled["scanner_col"]).all()
    for cell in filled.itertuples():
        rows = pairs[(pairs["table"] == "tables3to5") & (pairs["variant"] == cell.variant) & ~pairs["is_self_pair"]]
        rows = rows[(rows["scanner_a"] == cell.scanner_col) & (rows["scanner_b"] == cell.scanner_row)]
        assert len(rows) == cell.n_pairs
        assert cell.rmse_hu_mean == pytest.approx(rows["rmse_hu"].mean(), rel=1e-12)


def test_psnr_follows_from_rmse(small_run):
    pairs = read(small_run, "none/pairs.parquet")
    pairs = pairs[~pairs["is_self_pair"]]
    assert np.allclose(pairs["psnr_db"], 20 * np.log10(2000 / pairs["rmse_hu"]), atol=1e-9)
    assert pairs["ssim"].between(0, 1).all()


def papers_own(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows of the trainings of Table 7."""
    own = (predictions["task"] == "tissue") & (predictions["ablation"] == "default")
    return predictions[own & (predictions["classifier"] == "mlp")]


def test_accuracies_follow_from_the_predictions(small_run):
    predictions = papers_own(read(small_run, "none/predictions.parquet"))
    table = read(small_run, "none/tables/table7_stability_classification.csv").set_index("extractor")
    n_trainings = predictions.groupby(["extractor", "scheme", "n_train", "fold"]).ngroups
    assert n_trainings == 3 * (4 * 3 + 10 * 9)
    for extractor in EXTRACTORS:
        for scheme, n_train, column in (("loso", 1, "loso_1_scanner"), ("loso", 3, "loso_3_scanners"),
                                        ("kfold", 9, "tenfold_4_scanners")):  # fmt: skip
            rows = predictions[(predictions["extractor"] == extractor) & (predictions["scheme"] == scheme)]
            folds = rows[rows["n_train"] == n_train].groupby("fold")
            accuracies = [accuracy_score(fold["target"], fold["predicted"]) for _, fold in folds]
            rows = rows[rows["n_train"] == n_train]
            assert table.loc[extractor, f"{column}_acc_mean"] == pytest.approx(np.mean(accuracies))
            assert table.loc[extractor, f"{column}_acc_sd"] == pytest.approx(np.std(accuracies, ddof=1))
            balanced = balanced_accuracy_score(rows["target"], rows["predicted"])
            assert table.loc[extractor, f"{column}_balanced_accuracy"] == pytest.approx(balanced)


def test_no_row_of_the_left_out_scanner_is_trained_on(small_run):
    predictions = read(small_run, "none/predictions.parquet")
    loso = predictions[predictions["scheme"] == "loso"]
    assert set(loso["task"]) == {"tissue", "tissue_inside"}
    assert (loso["scanner"] == loso["fold"]).all()
    splits = read(small_run, "none/splits.csv")
    training = splits[(splits["scheme"] == "loso") & (splits["role"] == "train")]
    assert (training["unit"] != training["fold"]).all()


def test_questions_are_answered_or_said_to_have_none(small_run):
    asked = read(small_run, "none/tasks.csv").set_index(["task", "ablation"])
    trainings = read(small_run, "none/trainings.csv")
    counts = trainings[trainings["classifier"] == "mlp"].groupby(["task", "ablation"]).size() / len(EXTRACTORS)
    answered = asked[asked["n_trainings"] > 0]
    assert counts.to_dict() == answered["n_trainings"].to_dict()
    assert set(counts.index.get_level_values("task")) == {
        "tissue", "tissue_other_roi", "tissue_inside", "tissue_other_maker", "tissue_other_recon"
    }  # fmt: skip
    without = asked[asked["n_trainings"] == 0]["reason"]
    assert without["tissue_other_dose", "default"] == "all rows have the dose_mgy 10"
    for place in (("scanner", "default"), ("maker", "default"), ("tissue", "scan_folds")):
        assert "10 folds of whole scans need as many scans, the features have 4" in without[place]


def test_every_training_has_predictions_a_curve_and_a_time(small_run):
    key = ["task", "extractor", "classifier", "ablation", "scheme", "n_train", "fold"]
    trainings = read(small_run, "none/trainings.csv").astype({"fold": str})
    predictions, losses = read(small_run, "none/predictions.parquet"), read(small_run, "none/losses.parquet")
    times = read(small_run, "pipeline_info/none/training_times.csv").astype({"fold": str})
    names = set(trainings[key].itertuples(index=False, name=None))
    assert len(names) == len(trainings)
    for table in (predictions, times):
        assert set(table[key].itertuples(index=False, name=None)) == names
    curves = losses.groupby(key).size()
    assert set(curves.index) == {name for name in names if name[2] == "mlp"} and set(curves) == {30}
    assert (times["cpu_s"] > 0).all()
    differences = trainings["largest_loss_difference"].dropna()
    assert len(differences) >= len(EXTRACTORS) and differences.max() < 1e-5


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_other_questions_follow_from_the_predictions(small_run):
    predictions = read(small_run, "none/predictions.parquet")
    cells = read(small_run, "none/tables/accuracy_tasks.csv")
    held_out = read(small_run, "none/tables/accuracy_left_out.csv").astype({"left_out": str})
    mine = predictions[(predictions["classifier"] == "mlp") & (predictions["task"] != "tissue")]
    assert len(cells) == mine.groupby(["task", "extractor", "scheme", "n_train"]).ngroups
    for row in cells.itertuples():
        rows = mine[(mine["task"] == row.task) & (mine["extractor"] == row.extractor)]
        rows = rows[(rows["scheme"] == row.scheme) & (rows["n_train"] == row.n_train)]
        assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(rows["target"], rows["predicted"]))
        # Permuted classes: the share of answers that are a class of the test rows, over the classes.
        classes = set(rows["target"])
        assert row.chance == pytest.approx(rows["predicted"].isin(classes).mean() / len(classes), abs=0.01)
        assert row.chance - 1e-9 <= row.chance_high <= 1
    for row in held_out[held_out["task"] == "tissue_other_maker"].itertuples():
        rows = mine[(mine["task"] == row.task) & (mine["extractor"] == row.extractor) & (mine["fold"] == row.left_out)]
        assert row.accuracy == pytest.approx(accuracy_score(rows["target"], rows["predicted"]))


def test_second_opinions_have_the_cells_of_table_7(small_run):
    cells = read(small_run, "none/tables/accuracy_by_classifier.csv")
    own = cells[cells["task"] == "tissue"]
    assert set(own["classifier"]) == {"mlp", "logistic_regression"}
    for _, part in own.groupby("classifier"):
        places = set(zip(part["scheme"], part["n_train"], strict=True))
        assert places == {("loso", 1), ("loso", 3), ("kfold", 9)}
    assert (own.groupby(["classifier", "scheme", "n_train"])["rank"].sum() == 1 + 2 + 3).all()


def test_mean_icc_follows_from_icc(small_run):
    icc = read(small_run, "none/icc.csv")
    table = read(small_run, "none/tables/table7_stability_classification.csv").set_index("extractor")
    rows = icc[(icc["form"] == "ICC(3,1)") & (icc["stratum"] == "all")]
    for extractor, own in rows.groupby("extractor"):
        assert table.loc[extractor, "icc_mean"] == pytest.approx(own["icc_clipped"].mean())
        # a feature that is the same everywhere has none: dead channels of the stand-in
        undefined = (own["ms_targets"] == 0) & (own["ms_error"] == 0)
        assert undefined.sum() == table.loc[extractor, "n_undefined"]
        assert (own["icc"].isna() == undefined).all()
        own = own[~undefined]
        assert np.allclose(own["icc_clipped"], own["icc"].clip(0, 1))
        # Eq. 4: between targets and residual, for i scanners
        i = own["n_raters"]
        again = (own["ms_targets"] - own["ms_error"]) / (own["ms_targets"] + (i - 1) * own["ms_error"])
        assert np.allclose(own["icc"], again)


def test_volumes_lie_on_the_common_grid(small_run):
    series = read(small_run, "index/series.csv")
    folder = small_run.outdir / "none/volumes"
    paths = {path.name.removesuffix(".nii.gz"): path for path in folder.glob("*.nii.gz") if path.stem != "patches.nii"}
    assert set(paths) == set(series["series_uid"])
    images = [sitk.ReadImage(str(path)) for path in paths.values()]
    assert {image.GetPixelID() for image in images} == {sitk.sitkInt16}
    assert (
        len({(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()) for image in images}) == 1
    )
    patch = read(small_run, "index/patches.csv").iloc[0]
    index = images[0].TransformPhysicalPointToIndex((patch["x_mm"], patch["y_mm"], patch["z_mm"]))
    assert index == (patch["column"], patch["row"], patch["slice"])


def in_lps(affine: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Positions that a NIfTI gives voxels (column, row, slice); NIfTI's first two axes run the other way."""
    return (voxels @ affine[:3, :3].T + affine[:3, 3]) * (-1, -1, 1)


def test_patches_open_as_labels_at_their_places(small_run):
    """By SimpleITK and by nibabel, as 3D Slicer and other viewers read them."""
    patches = read(small_run, "index/patches.csv")
    path = small_run.outdir / "none/volumes/patches.nii.gz"
    numbers = np.arange(1, len(patches) + 1)
    places = patches[["x_mm", "y_mm", "z_mm"]].to_numpy()
    image = sitk.ReadImage(str(path))
    assert [image[image.TransformPhysicalPointToIndex(place)] for place in places.tolist()] == numbers.tolist()
    found = read_back("nifti", path, *small_run.outdir.glob("none/volumes/2*.nii.gz"))
    affines = np.array([affine for affine, _ in found])
    assert np.abs(affines - affines[0]).max() < 1e-4 and len({tuple(shape) for _, shape in found}) == 1
    voxels = patches[["column", "row", "slice"]].to_numpy()
    np.testing.assert_allclose(in_lps(affines[0], voxels), places, atol=1e-3)
    named = (small_run.outdir / "none/volumes/patches.ctbl").read_text().splitlines()[2:]
    assert [line.split()[:2] for line in named] == [
        [str(number), f"{row.roi}_{row.patch}"] for number, row in zip(numbers, patches.itertuples(), strict=True)
    ]


def test_a_series_as_scanned_is_moved_onto_its_volume_by_its_transform(small_run):
    """ITK takes the DICOM through the .tfm onto the grid of the NIfTI, and finds the NIfTI."""
    series = read(small_run, "index/series.csv").set_index("series_uid")
    states = read(small_run, "registration/transforms.csv").set_index("series_uid")["status"]
    uid = next(
        uid for uid in sorted(series.index) if states[uid] == "registered" and series.loc[uid, "scanner"] == "E2"
    )
    folder = small_run.outdir / "none/volumes"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(small_run.outdir / "dicom" / series.loc[uid, "path"]), uid))
    scanned, volume = reader.Execute(), sitk.ReadImage(str(folder / f"{uid}.nii.gz"))
    moved = sitk.Resample(
        sitk.Cast(scanned, sitk.sitkFloat64), volume, sitk.ReadTransform(str(folder / f"{uid}.tfm")), sitk.sitkLinear,
        -5000.0,
    )  # fmt: skip
    ours, theirs = sitk.GetArrayFromImage(volume), sitk.GetArrayFromImage(moved)
    seen = theirs > -4000
    assert seen.mean() > 0.9
    # whole HU in the file, and ITK's positions are those of a header in mm
    assert np.abs(ours[seen] - theirs[seen]).max() < 1.1
    still = sitk.GetArrayFromImage(
        sitk.Resample(sitk.Cast(scanned, sitk.sitkFloat64), volume, sitk.Transform(), sitk.sitkLinear, -5000.0)
    )
    assert np.abs(ours - still)[seen & (still > -4000)].max() > 50


def test_the_report_says_what_it_is_made_of(small_run):
    page = (small_run.outdir / "report.html").read_text()
    for words in (
        "synthetic",
        "random weights",
        "stand-in, trained on synthetic tissue",
        "mode paper",
        "Table 7",
        "Figure 6",
    ):
        assert words in page
    assert not re.findall(r"""(?:src|href)=["']https?://[^"']+\.(?:js|css|png|svg)""", page)


def test_a_second_run_repeats_every_table(nextflow, small_run, tmp_path):
    # 25.04's new parser gives the configuration the defaults of parameters, so its notes lie in results/run
    again = nextflow(tmp_path, "-profile", "test", outdir=tmp_path / "again", NXF_SYNTAX_PARSER="v2")
    assert again.status == 0, again.text
    # the report has what tasks cost, the crate and Croissant say when the results came about
    dated = {"report.html", "ro-crate-metadata.json", "croissant.json"}
    names = [name for name in again.published() if name not in dated]
    assert len(names) > 50
    different = [name for name in names if (again.outdir / name).read_bytes() != (small_run.outdir / name).read_bytes()]
    assert different == []


def test_resume_does_nothing_twice(nextflow, small_run):
    again = nextflow(
        small_run.launch, "-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true", "-resume"
    )
    assert again.status == 0, again.text
    assert set(again.trace()["status"]) == {"CACHED"}


def test_an_earlier_run_is_not_overwritten(nextflow, small_run):
    before = (small_run.outdir / "pipeline_info" / "complete.json").read_bytes()
    again = nextflow(small_run.launch, "-profile", "test", "--seed", "1")
    assert again.status != 0
    assert "holds the results of an earlier run" in again.text
    assert (small_run.outdir / "pipeline_info" / "complete.json").read_bytes() == before
