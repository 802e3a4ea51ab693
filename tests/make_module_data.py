"""Makes tests/data: eight series of four scanners as the collection lists them, features in closed form, placeholders;
a block with six spheres as reference and as volumes of two scanners that differ by constants.

python tests/make_module_data.py
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from dicom_factory import write_segmentation, write_series  # noqa: E402

from ct4bench.core.benchmark import tissue_of  # noqa: E402
from ct4bench.core.geometry import Grid  # noqa: E402
from ct4bench.core.volumes import save_volume  # noqa: E402
from ct4bench.preprocess.find_block import find_block  # noqa: E402
from ct4bench.preprocess.reference import save_reference  # noqa: E402

DATA = ROOT / "tests" / "data"
SCANNERS = {"A1": "SIEMENS", "B1": "SIEMENS", "C1": "Philips", "E2": "GE MEDICAL SYSTEMS"}
MAKERS = {"A1": "Siemens", "B1": "Siemens", "C1": "Philips", "E2": "GE"}
ROIS = {"cyst1": 0, "cyst2": 4, "hemangioma": 40, "metastasis": 44, "normal1": 90, "normal2": 100}
STATUS = {("A1", "IR"): "reference", ("C1", "FBP"): "phantom_outside_fov", ("C1", "IR"): "phantom_outside_fov"}
TISSUE = {roi: roi.rstrip("12") for roi in ROIS}


def listed() -> pd.DataFrame:
    """Rows of the collection's list: FBP and IR of each scanner at 10 mGy."""
    return pd.DataFrame(
        {
            "study_description": scanner, "series_description": f"{scanner}_Harmonized_10mGy_{recon} - #1",
            "series_number": 1, "manufacturer": maker, "model": "a model", "study_date": "2021-03-20",
            "study_instance_uid": f"1.9.{number}", "series_instance_uid": f"1.9.{number}.{len(recon)}",
            "n_instances": 343, "size_mb": 180.9, "crdc_series_uuid": "none",
            "seg_series_instance_uid": f"1.8.{number}.{len(recon)}", "seg_size_mb": 5.2,
        }
        for number, (scanner, maker) in enumerate(SCANNERS.items())
        for recon in ("FBP", "IR")
    )  # fmt: skip


def features(series: pd.DataFrame) -> pd.DataFrame:
    """Three features of two patches in six ROIs: one that agrees everywhere, one offset by scanner, one mixed up."""
    return pd.DataFrame(
        {
            "series_uid": row.series_uid, "scan_id": row.scan_id, "scanner": row.scanner, "maker": row.maker,
            "dose_mgy": row.dose_mgy, "recon": row.recon, "repetition": row.repetition, "roi": roi,
            "tissue": TISSUE[roi], "patch": patch, "agreeing": level + ((3 * number + 2 * place + patch) % 5) / 4,
            "offset": level + 10.0 * number + ((2 * number + 3 * place + patch) % 5) / 4,
            "mixed": 2.0 * place + (7 * number * number + 5 * place * number + 3 * patch) % 13,
        }
        for number, row in enumerate(series.itertuples())
        for place, (roi, level) in enumerate(ROIS.items())
        for patch in range(2)
    )  # fmt: skip


GRID = Grid.axis_aligned((86, 76, 104), (4.0, 3.0, 3.0), (-150.0, -100.0, 0.0))
CENTRES = {"cyst1": (38, 28, 72), "cyst2": (46, 41, 42), "hemangioma": (39, 32, 47), "metastasis": (34, 42, 25),
           "normal1": (36, 39, 36), "normal2": (42, 50, 35)}  # fmt: skip
"""Voxels of the spheres' centres."""
SHIFTS_HU = {"1.9.0.2": 0, "1.9.0.3": 5, "1.9.1.2": 20}
"""A1 IR (the reference), A1 FBP, B1 IR: what is added to the block's HU."""


def block() -> tuple[np.ndarray, np.ndarray]:
    """HU of a block of 300 x 190 x 264 mm in air with six spheres of 10 to 60 HU and a bone; labels of the spheres."""
    z, y, x = (np.arange(n) * step for n, step in zip(GRID.shape, GRID.spacing_mm, strict=True))
    inside = [(z >= 20) & (z <= 320), (y >= 20) & (y <= 210), (x >= 24) & (x <= 288)]
    hu = np.where(np.einsum("i,j,k->ijk", *inside).astype(bool), 60, -1000).astype(np.int16)
    labels = np.zeros(GRID.shape, np.uint8)
    for number, (k, i, j) in enumerate(CENTRES.values(), start=1):
        near = (z[:, None, None] - z[k]) ** 2 + (y[:, None] - y[i]) ** 2 + (x - x[j]) ** 2 < 12.0**2
        labels[near] = number
        hu[near] = 10 * number
    hu[30:34, 30:40, 70:80] = 500
    return hu, labels


def write_volumes() -> None:
    """The reference, its series and three more on its grid, and a patch at each sphere's centre."""
    hu, labels = block()
    found = find_block(hu, GRID)
    centre = tuple(float(v) for v in found.centre_mm)
    still = {"translation_mm": [0.0] * 3, "rotation_deg": [0.0] * 3, "centre_mm": list(centre)}
    origin = [float(v) for v in GRID.origin_mm]
    facts = {"series_uid": "1.9.0.2", "box_origin_mm": origin, "full_grid": GRID.to_dict(), "lost_noise_variance": 0.0,
             "patch_region": [[20, 60], [10, 70], [5, 95]]}  # fmt: skip
    save_reference(DATA / "reference", hu, labels, GRID, found, facts)
    (DATA / "volumes").mkdir(exist_ok=True)
    for uid, shift in SHIFTS_HU.items():
        attributes = {"series_uid": uid, "status": "registered", "motion": still, "source_grid": GRID.to_dict()}
        save_volume(
            DATA / "volumes" / f"{uid}.b2nd", np.where(hu > -500, hu + shift, hu).astype(np.int16), GRID, attributes
        )
    rows = []
    for roi, voxel in CENTRES.items():
        place = GRID.to_lps(voxel)
        rows.append((roi, tissue_of(roi), 0, *(float(v) for v in place), *voxel, 0.01))
    columns = ["roi", "tissue", "patch", "x_mm", "y_mm", "z_mm", "slice", "row", "column", "share_inside"]
    pd.DataFrame(rows, columns=columns).to_csv(DATA / "patches.csv", index=False, lineterminator="\n")


def write_profiles() -> None:
    """Two parts of a scanner's profile and of its displacements: means of 10 and 14 HU, of 1 and 3 mm."""
    about = "A1,Siemens,10,IR"
    head = "series_uid,scanner,maker,dose_mgy,recon,n_repetitions,kind,measure,region,at,at_unit,value,reason"
    fields = "scanner,maker,dose_mgy,recon,x_mm,y_mm,z_mm," + ",".join(
        f"{name}_{axis}_mm" for axis in "xyz" for name in ("displacement", "error")
    )
    for name, uid, hu, mm in (("first", "1.2", 10, 1.0), ("second", "1.3", 14, 3.0)):
        (DATA / f"profile_{name}.csv").write_text(
            f"{head}\n{uid},{about},2,noise,sd_hu,paper,,,{hu},\n{uid},{about},2,geometry,scale,block,,,,too short\n"
        )
        (DATA / f"field_{name}.csv").write_text(f"{fields}\n{about},0,0,0,{mm},0.2,0,0.2,0,0.2\n")


def write_trainings() -> None:
    """Splits that leave one of four scanners out, and logistic regression on them in two parts, as a run makes them."""
    folder, bin_ = DATA / "trainings", ROOT / "bin"
    folder.mkdir(exist_ok=True)
    features = ["--features", DATA / "radiomics.csv", "--domain", "scanner", "--mode", "paper", "--seed", "0"]
    splits = folder / "splits.csv"
    plan = ["--share_inside", "0.5", "--table", folder / "tasks.csv", "--output", splits]
    subprocess.run([sys.executable, bin_ / "plan_splits.py", *features, *plan], check=True)
    (folder / "tasks.csv").unlink()
    rows = pd.read_csv(splits)
    rows[(rows["scheme"] == "loso") & (rows["n_train"] == 3)].to_csv(splits, index=False, lineterminator="\n")
    for part in (1, 2):
        own = folder / f"part{part}"
        own.mkdir(exist_ok=True)
        how = [
            "--extractor",
            "radiomics",
            "--classifier",
            "logistic_regression",
            "--part",
            f"{part}/2",
            "--verify",
            "0",
        ]
        made = ["--output", own / "predictions.parquet", "--trainings", own / "trainings.csv", "--losses",
                own / "losses.parquet", "--times", own / "times.csv"]  # fmt: skip
        command = [sys.executable, bin_ / "train_classifiers.py", *features, "--splits", splits, *how, *made]
        subprocess.run(list(map(str, command)), check=True)


def write_results() -> None:
    """Mean ICCs by hand, the tables that follow from them, and places of an embedding."""
    values = {"agreeing": 0.95, "offset": 0.8, "mixed": 0.4}
    rows = [
        (
            "radiomics",
            name,
            "first order",
            form,
            "scanner",
            "all",
            6,
            4,
            value,
            value,
            value - 0.1,
            value + 0.02,
            1.0,
            1.0,
            1.0,
        )
        for form in ("ICC(1,1)", "ICC(2,1)", "ICC(3,1)")
        for name, value in values.items()
    ]
    columns = ["extractor", "feature", "feature_class", "form", "domain", "stratum", "n_targets", "n_raters", "icc",
               "icc_clipped", "ci_low", "ci_high", "ms_targets", "ms_raters", "ms_error"]  # fmt: skip
    pd.DataFrame(rows, columns=columns).to_csv(DATA / "icc.csv", index=False, lineterminator="\n")
    (DATA / "radiomics.json").write_text('{"extractor": "radiomics", "n_features": 3}\n')
    series = DATA / "index" / "series.csv"
    arguments = ["--series", series, "--icc", DATA / "icc.csv", "--settings", DATA / "radiomics.json"]
    output = ["--output", DATA / "tables"]
    subprocess.run([sys.executable, ROOT / "bin" / "make_tables.py", *arguments, *output], check=True)
    frame = pd.read_csv(DATA / "radiomics.csv", dtype={"series_uid": str})
    place = {"umap_1": frame["agreeing"], "umap_2": frame["offset"], "pca_1": frame["offset"], "pca_2": frame["mixed"]}
    both = [
        frame.loc[frame["roi"].isin(rois), ["series_uid", "roi", "patch"]].assign(
            figure=figure, extractor="radiomics", **place
        )
        for figure, rois in (("figure5", ["cyst1"]), ("figure6", list(ROIS)))
    ]
    names = ["figure", "extractor", "series_uid", "roi", "patch", *place]
    pd.concat(both)[names].to_csv(DATA / "embedding.csv", index=False, lineterminator="\n")


def main() -> None:
    """Write everything anew."""
    write_volumes()
    DATA.mkdir(exist_ok=True)
    listed().to_csv(DATA / "list.csv", index=False)
    script = [sys.executable, ROOT / "bin" / "index_series.py", "--idc_table", DATA / "list.csv"]
    subprocess.run([*script, "--output", DATA / "index"], check=True)
    (DATA / "list.csv").unlink()
    series = pd.read_csv(DATA / "index" / "series.csv", dtype={"series_uid": str, "scan_id": str})
    # what each chunk of two series registered; E2 nothing
    (DATA / "chunks").mkdir(exist_ok=True)
    for scanner, rows in series.groupby("scanner"):
        rows[rows["scanner"] != "E2"].to_csv(DATA / "chunks" / f"{scanner}.csv", index=False, lineterminator="\n")
    frame = features(series)
    frame.to_csv(DATA / "radiomics.csv", index=False, lineterminator="\n")
    half = len(frame) // 2
    frame.iloc[half:].to_csv(DATA / "second.csv", index=False, lineterminator="\n")
    frame.iloc[:half].to_csv(DATA / "first.csv", index=False, lineterminator="\n")
    pd.DataFrame(
        {
            "series_uid": row.series_uid, "translation_x_mm": 1.5, "translation_y_mm": -2.25, "translation_z_mm": 0.0,
            "rotation_x_deg": 0.0, "rotation_y_deg": 0.125, "rotation_z_deg": 0.0, "centre_x_mm": 0.0,
            "centre_y_mm": 0.0, "centre_z_mm": 0.0, "similarity_before": 0.5, "similarity_after": 0.9, "overlap": 1.0,
            "lost_noise_variance": 0.5, "status": STATUS.get((row.scanner, row.recon), "registered"),
            "detail": "",
        }
        for row in series.itertuples()
    ).to_csv(DATA / "transforms.csv", index=False, lineterminator="\n")  # fmt: skip
    write_profiles()
    write_trainings()
    write_results()
    (DATA / "plan.csv").write_text(
        "task,table,variant,pair_index,series_uid_a,series_uid_b,scanner_a,scanner_b,recon_a,recon_b,dose_mgy_a,"
        "dose_mgy_b,is_self_pair,region,shrink\n"
        "one,tables3to5,published_draw,0,1.9.0.2,1.9.0.3,A1,A1,IR,FBP,10,10,False,mask,4\n"
        "one,tables3to5,published_draw,1,1.9.0.2,1.9.1.2,A1,B1,IR,IR,10,10,False,mask,4\n"
        "one,tables3to5,published_draw,2,1.9.0.2,1.9.0.2,A1,A1,IR,IR,10,10,True,mask,4\n"
        "two,table6,published_draw,0,1.9.0.3,1.9.1.2,A1,B1,FBP,IR,10,10,False,mask,4\n"
    )
    (DATA / "placeholder").mkdir(exist_ok=True)
    (DATA / "placeholder" / "file.txt").write_text("stands for any input of a stub\n")
    # where the index says that the series lie: the DICOM of one of them, in air, and its segmentation
    folder = DATA / "idc" / "none"
    pixels = np.full((16, 10, 12), 24)
    slices = write_series(
        folder, "none", pixels, SeriesInstanceUID="1.9.0.3", SeriesDescription="A1_Harmonized_10mGy_FBP - #1"
    )
    labels = np.zeros(pixels.shape, np.uint8)
    for number in range(6):
        labels[2 * number : 2 * number + 3, 1 + number, 2:5] = number + 1
    write_segmentation(folder / "seg.dcm", slices, labels)
    files = [(uid, "ct", path) for uid in ("1.9.0.2", "1.9.0.3") for path in slices]
    files += [(uid, "seg", folder / "seg.dcm") for uid in ("1.9.0.2", "1.9.0.3")]
    pd.DataFrame(
        {
            "series_uid": uid, "role": role, "root": "idc", "folder": "none", "name": path.name,
            "size_bytes": path.stat().st_size, "place_mm": 100.0 + 1.25 * number,
        }
        for number, (uid, role, path) in enumerate(files)
    ).to_parquet(DATA / "index" / "files.parquet")  # fmt: skip


if __name__ == "__main__":
    main()
