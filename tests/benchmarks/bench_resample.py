"""One resampling onto the common grid and a lossless write against SimpleITK's linear filter and .nii.gz."""

import numpy as np
import SimpleITK as sitk
from full_size import copy, fixed_volume
from known_motion import as_image, as_transform

from ct4bench.core.volumes import open_volume, save_volume
from ct4bench.preprocess.prepare import crop_box
from ct4bench.preprocess.resampling import resample


def bench_resample(record, real_series, tmp_path):
    volume, grid, block = fixed_volume(real_series)
    labels = np.zeros(grid.shape, np.uint8)
    labels[129:195, 150:300, 100:350] = 1
    target = grid.crop(crop_box(grid, block, labels, grid.origin_mm))
    other, other_grid, motion = copy(real_series, "m1")
    image, like = as_image(other, other_grid), as_image(np.zeros(grid.shape, np.uint8), grid)

    def by_simpleitk(place=like, name="whole.nii.gz"):
        out = sitk.Resample(image, place, as_transform(motion), sitk.sitkLinear, -1024.0)
        sitk.WriteImage(out, str(tmp_path / name), useCompression=True)

    def ours():
        save_volume(tmp_path / "ours.b2nd", resample(other, other_grid, target, motion), target)

    ours()
    reference_s = record.cpu_seconds(by_simpleitk, repeat=1)
    cpu_s = record.cpu_seconds(ours, repeat=5)
    # Values and sizes are compared on the same voxels.
    box_like = as_image(np.zeros(target.shape, np.uint8), target)
    box_s = record.cpu_seconds(lambda: by_simpleitk(box_like, "box.nii.gz"), repeat=1)
    exact = sitk.Resample(image, box_like, as_transform(motion), sitk.sitkLinear, -1024.0, sitk.sitkFloat64)
    stored = open_volume(tmp_path / "ours.b2nd").read()
    difference = np.abs(stored - np.rint(sitk.GetArrayFromImage(exact)))
    size = (tmp_path / "ours.b2nd").stat().st_size / (tmp_path / "box.nii.gz").stat().st_size
    print(f"\non the same box {box_s / cpu_s:.1f}x, {size:.3f} of its size; {(difference > 0).sum()} voxels differ")
    record("resample", "SimpleITK linear and .nii.gz", reference_s, cpu_s, difference.max())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-4
    assert size <= 0.85
    record.expect("resampling: SimpleITK's CPU s over ours", reference_s / cpu_s, at_least=6)
