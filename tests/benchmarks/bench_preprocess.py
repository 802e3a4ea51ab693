"""A whole preprocess task from DICOM to the common grid against pydicom, SimpleITK and .nii.gz in a row."""

import json
import time

import numpy as np
import pydicom
import SimpleITK as sitk
from full_size import PEAK_MB, copy, in_own_process, mattes
from known_motion import as_image, as_transform

from ct4bench.core.geometry import worst_displacement_mm
from ct4bench.preprocess.prepare import build_reference
from ct4bench.preprocess.reference import open_reference, save_reference
from ct4bench.preprocess.transforms import motion_of

TASK = (
    PEAK_MB
    + """
import json, sys, time
import pandas as pd
from pathlib import Path
from ct4bench.preprocess.register import RegistrationRun, register_chunk
from ct4bench.preprocess.reference import open_reference
source, reference, output = Path(sys.argv[1]), open_reference(sys.argv[2]), Path(sys.argv[3])
paths = sorted(source.rglob("*.dcm"))
folders = sorted({path.parent for path in paths})
names = {folder: f"f{number:03d}" for number, folder in enumerate(folders)}
def files(uid):
    return pd.DataFrame([(uid, "ct", "r", names[p.parent], p.name, p.stat().st_size, 0.0) for p in paths],
        columns=["series_uid", "role", "root", "folder", "name", "size_bytes", "position_mm"])
def task(*uids):
    series = pd.DataFrame([(u, "A1", 10.0) for u in uids], columns=["series_uid", "scanner", "dose_mgy"])
    start = time.process_time()
    table = register_chunk(
        RegistrationRun(reference, output), series, pd.concat([files(u) for u in uids]), folders, uids
    )
    return time.process_time() - start, table
task("1.1")
for n in (1, 2, 4):
    seconds, table = task(*(f"1.{i}" for i in range(1, n + 1)))
    print(n, seconds, peak_mb())
(output / "transforms.json").write_text(json.dumps(table.iloc[0].to_dict()))
"""
)
"""A task of one, two and four series: CPU seconds, and the process's peak memory after it."""


def by_libraries(paths, grid, motion, path) -> None:
    """Reading, resampling and writing as a careful user does, without the registration."""
    datasets = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.ImagePositionPatient[2])
    array = np.stack([d.pixel_array * d.RescaleSlope + d.RescaleIntercept for d in datasets]).astype(np.int16)
    like = as_image(np.zeros(grid.shape, np.uint8), grid)
    out = sitk.Resample(as_image(array, grid), like, as_transform(motion), sitk.sitkLinear, -1024.0)
    sitk.WriteImage(out, str(path), useCompression=True)


def bench_preprocess(record, real_series, tmp_path):
    # The moved copy is the reference and the real series' files are the input, so the truth is the motion back.
    volume, grid, motion = copy(real_series, "m1")
    back = motion.inverse()
    labels = np.zeros(grid.shape, np.uint8)
    for number in range(6):
        place = np.rint(grid.to_index(motion(grid.to_lps([140 + 8 * number, 200, 150 + 30 * number])))).astype(int)
        labels[tuple(slice(p - 4, p + 4) for p in place)] = number + 1
    built = build_reference(volume, labels, grid)
    save_reference(tmp_path / "reference", *built[:4], {"series_uid": "0.0", **built[4]})
    in_own_process(TASK, real_series, tmp_path / "reference", tmp_path / "volumes")
    found = np.reshape(in_own_process(TASK, real_series, tmp_path / "reference", tmp_path / "volumes"), (3, 3))
    (cpu_s, once_s), peaks = np.polyfit(*found[:, :2].T, 1), found[:, 2]
    reference = open_reference(tmp_path / "reference")
    row = json.loads((tmp_path / "volumes" / "transforms.json").read_text())
    assert row["status"] == "registered"
    error_mm = worst_displacement_mm(motion_of(row), back, reference.block.corners_mm)
    _, registration_s = mattes(real_series, "m1")
    start = time.process_time()
    by_libraries(sorted(real_series.rglob("*.dcm")), grid, back, tmp_path / "out.nii.gz")
    reference_s = registration_s + time.process_time() - start
    print()
    for n, seconds, peak in found:
        print(f"{n:.0f} series: {seconds:.2f} CPU s (fit {once_s + n * cpu_s:.2f}), peak {peak:.0f} MB")
    print(f"{cpu_s:.2f} CPU s for each series, {once_s:.2f} once for a task, {error_mm:.4f} mm")
    record("preprocess", "pydicom, SimpleITK Mattes and linear, .nii.gz", reference_s, cpu_s, error_mm, peaks.max())
    assert error_mm <= 0.01
    record.expect("CPU s of a series", cpu_s, at_most=1.5)
    assert peaks.max() <= 1300
    # Series cost the same each, and are in memory one at a time.
    assert peaks[-1] < 1.1 * peaks[0]
    off = np.abs(found[:, 1] / (once_s + found[:, 0] * cpu_s) - 1)
    record.expect("distance of the costs of tasks from a line", off.max(), at_most=0.2)
