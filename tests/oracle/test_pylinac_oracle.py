"""Noise, transfer functions and contrast against pylinac 3.49.0 (J. Kerns, JOSS 8(92), 6001, 2023; MIT), on the same
images.

pylinac takes pydicom below 3 and cannot be installed beside what tasks run on, so that its values are written down
here. Each comes from the call that its test names, with the arrays of this file.
"""

import numpy as np
import pytest
from scipy.special import erf

from ct4bench.profiles import noise, sharpness

PIXEL_MM = 0.5
N_IMAGES, SIDE = 6, 100


def noise_images() -> list[np.ndarray]:
    """Images (rows, columns) of noise in HU as a CT's: power that rises as a ramp and falls as a window."""
    generator = np.random.RandomState(233)  # noqa: NPY002  numpy keeps this stream's numbers for good
    f = np.hypot(np.fft.fftfreq(2 * SIDE, PIXEL_MM)[:, None], np.fft.rfftfreq(2 * SIDE, PIXEL_MM)[None])
    amplitude = 40 * np.sqrt(f * np.exp(-((f / 0.25) ** 2)))
    whites = generator.standard_normal((N_IMAGES, 2 * SIDE, 2 * SIDE))
    return [np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=white.shape)[:SIDE, :SIDE] for white in whites]


def edge(x_mm: np.ndarray) -> np.ndarray:
    """HU of an edge under a kernel that is no Gaussian: a narrow one less a tenth of a wide one, as of a sharp one."""
    narrow, wide = (0.5 * (1 + erf((x_mm - 8.3) / (np.sqrt(2) * sigma))) for sigma in (0.55, 1.2))
    return 90 + 340 * (1.1 * narrow - 0.1 * wide)


def tissue_image() -> np.ndarray:
    """An image (rows, columns) of a disk of 12 HU of noise in a background of 8 HU, 60 HU apart."""
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    inside = np.hypot(y, x) < 30
    generator = np.random.RandomState(87)  # noqa: NPY002
    return np.where(inside, 100 + 12 * generator.standard_normal((SIDE, SIDE)),
                    40 + 8 * generator.standard_normal((SIDE, SIDE)))  # fmt: skip


RING_POWERS = (
    15.0167196219, 21.7053053701, 30.9812589251, 28.898422732, 33.8987212798, 42.2010697428, 37.5177640768,
    40.9761619594, 38.0898181908, 40.4046661775, 35.9526295295, 35.7977683404, 32.0345751363, 30.2037100272,
    27.9132664933, 22.1330934898, 21.3910064249, 19.1159623255, 13.5849437008, 11.2403714398, 9.75186094892,
    7.3458419568, 5.62736096675, 4.32646275049, 3.30700459871, 2.72492663866, 2.01066465775, 1.54737456198,
    1.05119616096, 0.836988724085,
)  # fmt: skip
"""HU^2 mm^2 in the rings 1 to 30 of 1 / 50 mm: `nps.noise_power_spectrum_1d(nps.noise_power_spectrum_2d(PIXEL_MM,
noise_images()))`."""


def test_noise_power_is_pylinacs_ring_by_ring():
    spectra = [
        noise.power_spectrum((image - image.mean())[None], (1.0, PIXEL_MM, PIXEL_MM)) for image in noise_images()
    ]
    rings = noise.in_plane(np.mean(spectra, axis=0), (1.0, PIXEL_MM, PIXEL_MM))
    # a hundred pixels of half a millimetre have the frequencies 1 / 50 mm apart, the width of a ring of ours
    assert noise.RING_PER_MM * SIDE * PIXEL_MM == 1
    np.testing.assert_allclose(rings.power[:30], RING_POWERS, rtol=1e-9)
    assert np.argmax(rings.power) + 1 == 6
    under = [noise.power_spectrum(noise.tapered((image - image.mean())[None]), (1.0, PIXEL_MM, PIXEL_MM))
             for image in noise_images()]  # fmt: skip
    peak = noise.peak_frequency(noise.in_plane(np.mean(under, axis=0), (1.0, PIXEL_MM, PIXEL_MM)))
    # pylinac's is the largest ring, 0.12 to 0.14 / mm, which noise moves; the fitted one is nearer to what was drawn
    assert peak == pytest.approx(0.25 / np.sqrt(2), rel=0.1)


EDGE_MTF = (0.960957, 0.834124, 0.634797, 0.421897, 0.246978, 0.128059, 0.058905)
"""At 0.1, 0.2, … 0.7 / mm: `mtf.EdgeSpreadFunctionMTF([edge(np.arange(0, 17, 0.02))], 0.02, windowing=None,
padding_mode="fixed", num_samples=65536).mtf`, interpolated between its frequencies."""
EDGE_FALLS_TO = {0.5: 0.362195, 0.1: 0.633565}
"""1/mm: its `relative_resolution(50)` and `(10)`."""


@pytest.mark.parametrize(("step_mm", "tolerance"), [(0.02, 0.001), (0.68359375, 0.015)])
def test_transfer_function_is_pylinacs(step_mm, tolerance):
    """On the samples that pylinac was given, and on those of a CT's pixels, of which the highest frequency is near to
    the last."""
    x = np.arange(0, 17, step_mm)
    f = np.round(np.arange(0, 0.7001, 0.01), 2)
    curve = sharpness.transfer_function(x, edge(x), 8.3, f)
    np.testing.assert_allclose(curve[10::10], EDGE_MTF, atol=tolerance)
    for level, place in EDGE_FALLS_TO.items():
        assert sharpness.falls_to(f, curve, level) == pytest.approx(place, abs=0.005 + tolerance)


DISK_RADIUS, DISK_CENTRES = 9, ((50, 50), (12, 12))
CONTRAST_TO_NOISE = (5.023397137865407, 7.168726993940612)
"""`roi.LowContrastDiskROI(tissue_image(), 9, centre, contrast_reference=other.mean,
contrast_method="Difference").contrast_to_noise` of the disk against the background, and the reverse: each over the SD
of the first one alone."""


def test_contrast_to_noise_lies_between_pylinacs_two():
    image = tissue_image()
    y, x = np.indices(image.shape)
    disks = [np.flatnonzero(np.hypot(y - row, x - column) < DISK_RADIUS) for row, column in DISK_CENTRES]
    ours = sharpness.contrast_to_noise(*(value for disk in disks for value in noise.masked_moments(image, disk)))
    # ours is over the mean of the two variances; pylinac takes the median of the first disk
    assert ours == pytest.approx(np.sqrt(2 / sum(1 / value**2 for value in CONTRAST_TO_NOISE)), rel=0.02)
