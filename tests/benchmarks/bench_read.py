"""One DICOM series of full size to int16 HU, sorted and checked, against pydicom; warm cache, one thread."""

import subprocess
import sys

import numpy as np
import pydicom
import SimpleITK as sitk

from ct4bench.index.ct import read_series

IN_A_PROCESS_OF_ITS_OWN = """
import sys
from pathlib import Path
from ct4bench.index.ct import read_series
array, grid = read_series(sorted(Path(sys.argv[1]).rglob("*.dcm")))
assert array.shape == (343, 512, 512)
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(int(status["VmHWM"].split()[0]) / 1024)
"""


def by_pydicom(paths) -> np.ndarray:
    """What a careful user writes: int16, slices by position; no further check."""
    datasets = sorted((pydicom.dcmread(path) for path in paths), key=lambda d: d.ImagePositionPatient[2])
    array = np.empty((len(datasets), datasets[0].Rows, datasets[0].Columns), np.int16)
    for k, dataset in enumerate(datasets):
        array[k] = dataset.pixel_array
        array[k] *= np.int16(dataset.RescaleSlope)
        array[k] += np.int16(dataset.RescaleIntercept)
    return array


def by_simpleitk(paths) -> np.ndarray:
    order = sorted(paths, key=lambda path: pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])
    return sitk.GetArrayFromImage(sitk.ReadImage([str(path) for path in order]))


def bench_read(record, real_series, request):
    paths = sorted(real_series.rglob("*.dcm"))
    ours, _ = read_series(paths)
    theirs = by_pydicom(paths)
    difference = max(np.abs(ours.astype(int) - other).max() for other in (theirs, by_simpleitk(paths)))
    del ours, theirs
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, str(real_series)]
    environment = {"PYTHONPATH": str(request.config.rootpath / "bin"), "PATH": "/usr/bin:/bin"}
    peak_mb = float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    reference_s = record.cpu_seconds(lambda: by_pydicom(paths), repeat=5)
    cpu_s = record.cpu_seconds(lambda: read_series(paths), repeat=5)
    record("read", "pydicom", reference_s, cpu_s, difference, peak_mb)
    sizes = [len(paths) // 4, len(paths) // 2, len(paths)]
    costs = [record.cpu_seconds(lambda n=n: read_series(paths[:n]), repeat=5) for n in sizes]
    print(", ".join(f"{n} slices: {1e3 * cost:.0f} ms" for n, cost in zip(sizes, costs, strict=True)))
    assert difference == 0
    record.expect("reading: pydicom's CPU s over ours", reference_s / cpu_s, at_least=6)
    assert peak_mb <= 450
    of_slice = np.array(costs) / sizes
    record.expect("dearest slice over cheapest", of_slice.max() / of_slice.min(), at_most=2)
