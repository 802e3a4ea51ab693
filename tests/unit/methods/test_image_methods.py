"""Matching to a reference where a scan does not show all of the phantom: what is seen counts. What a network keeps."""

import weakref

import numpy as np
import pytest
import torch
from planted import load_method

from ct4bench.harmonization.check_volumes import PHANTOM as DRAWN
from ct4bench.harmonization.check_volumes import SHAPE, SPACING_MM, draw_volumes
from ct4bench.harmonization.methods import choose, find_methods

AIR = -1024.0
PHANTOM = DRAWN | {"wedge": [[24, 38], [44, 104], [8, 96]]}
"""As it is drawn, with a wedge that ends well before the air beside it."""
REFERENCE, SCAN = (draw_volumes(seed, (name,), 1)[0].hu for seed, name in ((3, "A1"), (4, "B1")))
(VARIANT,) = choose(find_methods(), "reference_matching")


def matched(steps: str, volume: np.ndarray, reference: np.ndarray = REFERENCE) -> np.ndarray:
    told = VARIANT.parameters | {"reference": "A1", "steps": steps}
    method = load_method("reference_matching").Method(seed=1, phantom=PHANTOM, **told)
    method.fit(iter([(reference, SPACING_MM, "A1")]))
    return method.transform(volume.copy(), SPACING_MM, "B1")


def without(volume: np.ndarray, *box: slice) -> np.ndarray:
    """The volume with air in a box, as beyond a field of view."""
    cut = volume.copy()
    cut[box] = AIR
    return cut


WHOLE = matched("calibration", SCAN)
EVERY = slice(None)


@pytest.mark.parametrize(
    "box",
    [
        (EVERY, EVERY, slice(60, None)),  # half of each strip of the wedge, and every second region
        (slice(24, None), slice(44, 70), EVERY),  # the wedge's lower HU
        (slice(24, None), slice(90, None), EVERY),  # and its higher ones
        (EVERY, EVERY, slice(0, 20)),  # a rim
        (slice(33, None), EVERY, EVERY),  # a scan that ends early
    ],
)
def test_the_line_is_that_of_what_a_scan_shows(box):
    """What is still there is within 1.5 HU of what it is in the whole scan; a line through air was 39 off."""
    cut = without(SCAN, *box)
    done = matched("calibration", cut)
    body = np.zeros(SHAPE, bool)
    body[:, 8:100, 8:100] = True
    kept = body & (cut == SCAN)
    assert kept.mean() > 0.2
    assert np.abs(done - WHOLE)[kept].mean() < 1.5
    assert abs(float((done - REFERENCE)[kept].mean())) < 2  # and of the reference, to the noise of both


def test_a_reference_that_lacks_a_part_is_no_line_either():
    """The same of the other side: a reference without a part of the wedge moves no HU."""
    done = matched("calibration", SCAN, without(REFERENCE, slice(24, None), slice(44, 60), EVERY))
    assert np.abs(done - WHOLE)[:, 8:100, 8:100].mean() < 1.5


@pytest.mark.parametrize(
    ("steps", "box", "words"),
    [
        ("calibration", (slice(22, None), slice(40, None), EVERY), "calibration: a scan shows 8 of the 14 strips"),
        ("calibration", (EVERY, EVERY, EVERY), "calibration: a scan shows 0 of"),
        ("sharpness", (EVERY, EVERY, slice(92, None)), "sharpness: a scan does not show all of the phantom's steps"),
        ("noise", (EVERY, slice(0, 20), EVERY), "noise: a scan does not show all of the phantom's homogeneous"),
        ("calibration sharpness noise", (EVERY, slice(0, 20), EVERY), "does not show all"),
    ],
)
def test_too_little_in_view_is_not_applicable(steps, box, words):
    with pytest.raises(Exception, match=words) as found:
        matched(steps, without(SCAN, *box))
    assert type(found.value).__name__ == "NotApplicable"
    assert np.isfinite(matched(steps, SCAN)).all()


# 30 volumes have 5,760; a share of 136 each is the largest whole one of 4,096
@pytest.mark.parametrize(("n_volumes", "of_each"), [(5, 192), (30, 136)])
def test_the_network_keeps_4096_patches_at_most_and_as_many_of_each_volume(n_volumes, of_each, monkeypatch):
    """Counted by which of the drawn patches are still in memory, between volumes and as the training starts."""
    module = load_method("cnn_to_reference")
    monkeypatch.setattr(module, "PATCH", (3, 5, 5))
    drawn, between, kept = [], [], []

    class Counted(module.Method):
        def _pairs(self, *given):
            pairs = super()._pairs(*given)
            drawn.append([weakref.ref(own) for own, _wanted in pairs])
            return pairs

    def there() -> list[int]:
        return [sum(patch() is not None for patch in own) for own in drawn]

    def volumes():
        for number in range(n_volumes):
            yield np.random.default_rng(number).normal(40, 20, (6, 12, 12)).astype(np.float32), SPACING_MM, "A1"
            between.append(sum(there()))

    method = Counted(seed=1, reference="A1", steps=1, channels=2)
    method.network.register_forward_hook(lambda *_: kept.append(there()))
    try:
        method.fit(volumes())
    finally:
        torch.use_deterministic_algorithms(False)
    assert kept == [[of_each] * n_volumes]
    assert max(between) <= 4096
