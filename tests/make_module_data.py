"""Makes tests/data: eight series of four scanners as the collection lists them, features in closed form, placeholders.

python tests/make_module_data.py
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
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


def main() -> None:
    """Write everything anew."""
    DATA.mkdir(exist_ok=True)
    listed().to_csv(DATA / "list.csv", index=False)
    script = [sys.executable, ROOT / "bin" / "index_series.py", "--idc_table", DATA / "list.csv"]
    subprocess.run([*script, "--output", DATA / "index"], check=True)
    (DATA / "list.csv").unlink()
    series = pd.read_csv(DATA / "index" / "series.csv", dtype={"series_uid": str, "scan_id": str})
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
    (DATA / "placeholder").mkdir(exist_ok=True)
    (DATA / "placeholder" / "file.txt").write_text("stands for any input of a stub\n")
    # where the index says that the series lie
    (DATA / "idc" / "none").mkdir(parents=True, exist_ok=True)
    (DATA / "idc" / "none" / "file.txt").write_text("stands for the DICOM of the eight series\n")


if __name__ == "__main__":
    main()
