"""The real series and its moved copies at full size, and the reference ways, each made or timed once a session."""

import functools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from known_motion import add_noise, as_image, moved

from ct4bench.core.geometry import Rigid
from ct4bench.index.ct import read_series
from ct4bench.preprocess.find_block import find_block

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {"m1": 11, "m2": 12, "m3": 13}


@functools.cache
def real(folder: Path):
    return read_series(sorted(folder.rglob("*.dcm")))


@functools.cache
def fixed_volume(folder: Path):
    """The series with noise of its own, its grid, and its block."""
    volume, grid = real(folder)
    noisy = add_noise(volume, 1)
    return noisy, grid, find_block(noisy, grid)


@functools.cache
def copy(folder: Path, name: str):
    return moved(*real(folder), name, SEEDS[name])


@functools.cache
def mattes(folder: Path, name: str) -> tuple[Rigid, float]:
    """SimpleITK's rigid registration (Mattes, 5 % of voxels, levels 8, 4, 2) of a copy, and its CPU seconds."""
    volume, grid, block = fixed_volume(folder)
    other, other_grid, _ = copy(folder, name)
    start = time.process_time()
    fixed, moving = (sitk.Cast(as_image(v, g), sitk.sitkFloat32) for v, g in ((volume, grid), (other, other_grid)))
    transform = sitk.Euler3DTransform()
    transform.SetComputeZYX(True)
    transform.SetCenter([float(v) for v in block.centre_mm])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.05, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([8, 4, 2])
    method.SetSmoothingSigmasPerLevel([4, 2, 1])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    seconds = time.process_time() - start
    angles = np.rad2deg([transform.GetAngleX(), transform.GetAngleY(), transform.GetAngleZ()])
    return Rigid(tuple(angles), transform.GetTranslation(), tuple(block.centre_mm)), seconds


def in_own_process(code: str, *arguments) -> list[float]:
    """Numbers that `code` prints last, run by a fresh interpreter with warm caches of compiled code."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "bin"), str(ROOT / "tests")])}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [float(value) for value in done.stdout.split()]


PEAK_MB = """
def peak_mb():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return int(status["VmHWM"].split()[0]) / 1024
"""
