"""A wedge of known values through a known calibration."""

import numpy as np
import pytest

from ct4bench.profiles.calibration import calibration_line, wedge_curve


def wedge(rows=80):
    return np.broadcast_to(13.0 + 6.0 * np.arange(rows)[None, :, None], (5, rows, 12))


def test_strips_have_the_mean_of_their_rows():
    depth, curve = wedge_curve(wedge(), 0.75, 6.0)
    assert len(curve) == 10
    np.testing.assert_allclose(depth, 0.75 * (8 * np.arange(10) + 3.5))
    np.testing.assert_allclose(curve, 13.0 + 6.0 * (8 * np.arange(10) + 3.5))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.96, -5.5), (1.03, 5.0)])
def test_slope_and_offset_come_back(rng, slope, offset):
    _, reference = wedge_curve(wedge(), 0.75)
    found = calibration_line(reference, slope * reference + offset)
    assert (found.slope, found.offset_hu) == pytest.approx((slope, offset), abs=1e-9)
    assert found.residual_hu < 1e-9
    bent = calibration_line(reference, reference + 2.0 * np.sin(reference / 40))
    assert 1.0 < bent.residual_hu < 2.0
