"""One simulated series, slab and whole, against the same scan done plainly: SimpleITK, scipy, pydicom, highdicom.

The plain way blurs the drawn phantom, resamples it through the pose by cubic B-splines, adds filtered noise and writes
every file anew, for each series on its own. Ours is the demo's mix for a scanner (six series, FBP and IR at 10 mGy and
IR at the other doses), per series, with what they share; the whole phantom has two series. Drawing the phantom is
apart, once a run. The largest difference is that of the noise-free HU in the six regions.
"""

import time

import numpy as np
import SimpleITK as sitk
from full_size import PEAK_MB, in_own_process
from scipy.ndimage import gaussian_filter

from ct4bench.core.phantom import AIR_HU
from ct4bench.twin.draw import draw_phantom
from ct4bench.twin.noise import frequencies, noise_in_plane, noise_power
from ct4bench.twin.phantom import open_phantom, parse_slab
from ct4bench.twin.scan import PAD, object_slices, pose, prepare_scan
from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.write_ct import CtSeriesWriter, SeriesIdentity, ct_header
from ct4bench.twin.write_seg import SegmentationWriter

DEMO_SLAB = "110:210,105:415,50:460"
SCANNER, RECON = "A1", "FBP"

SIMULATE = (
    PEAK_MB
    + """
import shutil, sys, time
from pathlib import Path
from ct4bench.twin.phantom import open_phantom
from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.simulate import Design, plan_scans, simulate_scanner
warm, phantom, folder, doses = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
def run(phantom, doses):
    design = Design(tuple(int(d) for d in doses.split(",")), ("FBP", "IR"), 1, ("IR",), 1)
    scans = plan_scans(read_scanners()["A1"], design)
    start = time.process_time()
    truth = simulate_scanner(open_phantom(phantom), read_scanners()["A1"], scans, 0, folder)
    seconds = time.process_time() - start
    shutil.rmtree(folder)
    return seconds / len(truth)
run(warm, "10")
print(run(phantom, doses), peak_mb())
"""
)


def as_image(array: np.ndarray, grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin([float(v) for v in grid.origin_mm])
    return image


def plain_object(phantom, scanner, grid, sigma_mm: float) -> np.ndarray:
    """Noise-free HU (float32) on `grid`: block without couch and board."""
    fine = phantom.grid
    volume = phantom.read(tuple(slice(0, n) for n in fine.shape)).astype(np.float32)
    plane = np.sqrt(sigma_mm**2 - phantom.sigma_plane_mm**2)
    along = np.sqrt(scanner.slice_sigma_mm**2 - phantom.sigma_slice_mm**2)
    volume = gaussian_filter(volume, [s / step for s, step in zip((along, plane, plane), fine.spacing_mm, strict=True)])
    back = pose(scanner).inverse()
    motion = sitk.AffineTransform(3)
    motion.SetMatrix([float(v) for v in back.matrix.ravel()])
    motion.SetTranslation([float(v) for v in back.offset])
    target = as_image(np.zeros(grid.shape, np.int16), grid)
    moved = sitk.Resample(as_image(volume, fine), target, motion, sitk.sitkBSpline, AIR_HU, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(moved)


def plain_series(phantom, scanner, grid, folder) -> np.ndarray:
    """One series by the libraries; returns its noise-free HU."""
    model = scanner.reconstructions[RECON]
    clean = plain_object(phantom, scanner, grid, model.sigma_mm)
    white = np.random.default_rng(0).standard_normal(grid.shape, dtype=np.float32)
    fy, fx = frequencies(grid.shape[1:])
    fz = np.fft.fftfreq(grid.shape[0], grid.spacing_mm[0])[:, None, None]
    along = np.exp(-2 * (np.pi * scanner.noise_slice_sigma_mm * fz) ** 2)
    noise = np.fft.irfftn(np.fft.rfftn(white) * along * np.sqrt(noise_power(model.noise[10], fy, fx)), s=grid.shape)
    place = grid.to_lps(np.stack(np.meshgrid([0], *(np.arange(n) for n in grid.shape[1:]), indexing="ij"), -1))[0]
    noise *= model.quantum_sd_hu(10) / noise.std() * noise_in_plane(place, pose(scanner))
    images = np.clip(np.rint(clean + noise), -1024, 3071).astype(np.int16)
    name = SeriesIdentity("plain", scanner.code, 10, RECON, 1)
    header = ct_header(name, scanner, model, grid, 0)
    writer = CtSeriesWriter(folder / "ct", name, header, scanner, grid)
    for k, image in enumerate(images):
        ds = writer.slice_header(header, k)
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
            ds.SOPClassUID,
            ds.SOPInstanceUID,
        )
        ds.PixelData = (image - scanner.intercept).astype("<u2").tobytes()
        ds.save_as(writer.path(k), enforce_file_format=True)
    labels = phantom.region_labels(grid, pose(scanner).inverse().matrix, pose(scanner).inverse().offset)
    SegmentationWriter(writer, header, labels, scanner).write(folder / "seg", name)
    return clean


def bench_simulate(record, tmp_path):
    draw_phantom(parse_slab("176:198,216:250,172:206"), 0, tmp_path / "warm")
    start = time.process_time()
    draw_phantom(parse_slab(DEMO_SLAB), 0, tmp_path / "slab")
    print(f"\ndrawing the demo's slab: {time.process_time() - start:.1f} CPU s")
    phantom, scanner = open_phantom(tmp_path / "slab"), read_scanners()[SCANNER]
    scan = prepare_scan(scanner, phantom)
    start = time.process_time()
    theirs = plain_series(phantom, scanner, scan.grid, tmp_path / "plain")
    reference_s = time.process_time() - start
    labels = phantom.region_labels(scan.grid, scan.motion.inverse().matrix, scan.motion.inverse().offset)
    inside = np.flatnonzero(labels.any(axis=(1, 2)))
    ours = object_slices(scan, inside[0], inside[-1] + 1)[:, PAD : PAD + labels.shape[1], PAD : PAD + labels.shape[2]]
    regions = labels[inside[0] : inside[-1] + 1] > 0
    difference = np.abs(ours - theirs[inside[0] : inside[-1] + 1])[regions].max()
    del ours, theirs
    arguments = (tmp_path / "warm", tmp_path / "slab", tmp_path / "ours", "1,3,6,10,14")
    cpu_s, peak_mb = in_own_process(SIMULATE, *arguments)
    plain = "SimpleITK, scipy, pydicom, highdicom, a series on its own"
    record("simulate", plain, reference_s, cpu_s, difference, peak_mb)
    start = time.process_time()
    draw_phantom(None, 0, tmp_path / "whole")
    print(f"\ndrawing the whole phantom: {time.process_time() - start:.1f} CPU s")
    whole_s, whole_mb = in_own_process(SIMULATE, tmp_path / "warm", tmp_path / "whole", tmp_path / "ours", "10")
    scale = 343 * 512 * 512 / labels.size
    record("simulate_whole", f"{plain}; the slab's, by voxels", scale * reference_s, whole_s, difference, whole_mb)
    assert difference < 1.0
    record.expect("CPU s of a simulated series", cpu_s, at_most=3)
    record.expect("CPU s of a series by libraries", reference_s, at_least=3)
    assert whole_mb < 1000
