"""Rigid registration of full size series with known motions against SimpleITK's Mattes registration."""

import numpy as np
from full_size import PEAK_MB, copy, fixed_volume, in_own_process, mattes
from known_motion import MOTIONS

from ct4bench.core.geometry import worst_displacement_mm
from ct4bench.preprocess.registration import prepare_fixed, register

REGISTER = (
    PEAK_MB
    + """
import json, sys
import numpy as np
from ct4bench.preprocess.find_block import find_block
from ct4bench.core.geometry import Grid
from ct4bench.preprocess.registration import prepare_fixed, register
volumes = [(np.load(path), Grid.from_dict(json.load(open(path + ".json")))) for path in sys.argv[1:3]]
register(prepare_fixed(*volumes[0], find_block(*volumes[0])), *volumes[1])
print(peak_mb())
"""
)


def bench_register(record, real_series, tmp_path):
    import json

    volume, grid, block = fixed_volume(real_series)
    fixed = prepare_fixed(volume, grid, block)
    errors, seconds = {}, {}
    for name in MOTIONS:
        other, other_grid, truth = copy(real_series, name)
        found = register(fixed, other, other_grid)
        errors[name] = worst_displacement_mm(found.motion, truth, block.corners_mm)
        seconds[name] = record.cpu_seconds(lambda o=other, g=other_grid: register(fixed, o, g), repeat=5)
        print(f"\n{name}: {errors[name]:.4f} mm at the worst corner, {seconds[name]:.3f} CPU s")
    for path, (array, place) in (("fixed", (volume, grid)), ("moving", copy(real_series, "m1")[:2])):
        np.save(tmp_path / f"{path}.npy", array)
        (tmp_path / f"{path}.npy.json").write_text(json.dumps(place.to_dict()))
    (peak,) = in_own_process(REGISTER, tmp_path / "fixed.npy", tmp_path / "moving.npy")
    theirs, reference_s = mattes(real_series, "m1")
    their_error = worst_displacement_mm(theirs, copy(real_series, "m1")[2], block.corners_mm)
    print(f"SimpleITK: {their_error:.4f} mm, {reference_s:.1f} CPU s")
    # The difference is the error against the known motions, the worst of the set.
    record("register", "SimpleITK Mattes 5 %, levels 8/4/2", reference_s, seconds["m1"], max(errors.values()), peak)
    assert max(errors.values()) <= 0.01
    record.expect("CPU s of a registration", max(seconds.values()), at_most=0.4)
    record.expect("registration: SimpleITK's CPU s over ours", reference_s / seconds["m1"], at_least=80)
