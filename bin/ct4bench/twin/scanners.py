"""The thirteen scanners of the digital twin as a table of values: headers, grids, poses, noise, sharpness, calibration.

Headers and exposures are those of the collection (Table 1 of the paper, and the public series index). Noise totals are
the measured ones (SD in the large cyst at 10 mGy); where only one reconstruction was measured the other follows by the
ratio FBP / IR = 1.27, and where it was measured twice the mean holds. Poses, calibration, sharpness and the shapes of
the noise spectra are not published: they are choices within what such scanners show.
"""

from dataclasses import dataclass, field

TEXTURE_SD_HU = 10.0
"""SD of the printed texture in the cysts, which every measured total contains."""
DOSE_EXPONENT = -0.33
"""Quantum SD goes with (dose / 10 mGy) to this power."""
PIXEL_MM = 0.68359375
MATRIX = 512
FOV_MM = 350.0
MAIN_DOSE_MGY = 10.0


CTDI_RATIOS = {
    "A1": 0.9968, "A2": 1.0021, "B1": 0.9987, "B2": 1.0034, "G1": 1.0035, "G2": 1.0021, "C1": 0.9940, "H2": 1.0070,
    "D1": 0.9915, "E2": 1.0052, "F1": 1.0098, "E1": 1.0110, "H1": 0.9890,
}  # fmt: skip


@dataclass(frozen=True)
class Reconstruction:
    """One way to reconstruct on one scanner."""

    kernel: tuple[str, ...]
    """Value of ConvolutionKernel."""
    total_sd_hu: float
    """SD in the large cyst at 10 mGy, printed texture included."""
    sigma_mm: float
    """Gaussian sigma in plane of a step in the phantom, the print's own blur included."""
    nps_peak_per_mm: float
    """Spatial frequency at which the noise power in plane is largest."""
    nps_power: float = 2.4
    """p of the noise power f exp(-(f / f0)^p)."""
    texture_sd_hu: float = TEXTURE_SD_HU
    """SD that the printed texture of the cysts has in this reconstruction: less in slices of 2.5 mm and by DL."""

    def quantum_sd_hu(self, dose_mgy: float) -> float:
        """SD of the quantum noise in the large cyst at a dose."""
        at_main_dose = (self.total_sd_hu**2 - self.texture_sd_hu**2) ** 0.5
        return at_main_dose * (dose_mgy / MAIN_DOSE_MGY) ** DOSE_EXPONENT


@dataclass(frozen=True)
class Couch:
    """Arcs of the table top in the image, open to the top: (lowest point below the image's centre, radius, thickness)
    in mm and HU of each; the board under the block is in the phantom's frame."""

    arcs: tuple[tuple[float, float, float, float], ...]
    board_hu: float
    board_mm: float
    gap_mm: float = 0.7
    """Air between the block, which is not quite flat, and the board."""


@dataclass(frozen=True)
class Scanner:
    """One scanner. `rotation_deg` and `shift_mm` pose the block: turned about its centre, which lies `shift_mm`
    (x, y) off the image's centre and at `table_z_mm` along the table."""

    code: str
    maker: str
    manufacturer: str
    model: str
    software: str
    station: str
    study_date: str
    exposure_mas: float
    pitch: float
    rotation_time_s: float
    collimation_mm: float
    detector_row_mm: float
    thickness_mm: float
    increment_mm: float
    n_slices: int
    scan_options: str
    table_height_mm: float
    image_centre_y_mm: float
    rotation_deg: tuple[float, float, float]
    shift_mm: tuple[float, float]
    table_z_mm: float
    descending: bool
    """Whether InstanceNumber falls with rising z, as on A1."""
    slope: float
    offset_hu: float
    """A material of the block at H HU measures slope H + offset; air stays air."""
    couch: Couch
    transfer_syntax: str
    signed: bool
    """Stored pixels: 16 bits signed, else 12 bits unsigned."""
    intercept: int
    has_revolution_time: bool
    field_radius_mm: float
    """Radius of the reconstructed circle about the image's centre, -1024 HU beyond: Siemens and Toshiba fill the square
    image from a scan field of 500 mm (as the real series does), the others cut it to the displayed field."""
    reconstructions: dict[str, Reconstruction] = field(repr=False)

    @property
    def slice_sigma_mm(self) -> float:
        """Gaussian sigma along z of a step in the phantom: 0.9 mm for a slice of 2 mm."""
        return 0.45 * self.thickness_mm

    @property
    def noise_slice_sigma_mm(self) -> float:
        """Gaussian sigma along z of the filter that white noise has passed: 0.95 mm for a slice of 2 mm."""
        return 0.475 * self.thickness_mm

    @property
    def ctdi_ratio(self) -> float:
        """CTDIvol shown per mGy of nominal dose; the protocol allows 2 % off."""
        return CTDI_RATIOS[self.code]

    def exposure_at(self, dose_mgy: float) -> float:
        """Tube current time product in mAs that gives a dose."""
        return self.exposure_mas * dose_mgy / MAIN_DOSE_MGY


EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"

_SIEMENS_COUCH = Couch(((166.8, 372.5, 2.6, 420.0), (198.0, 441.0, 2.6, 480.0)), -335.0, 15.5)
_PHILIPS_COUCH = Couch(((158.0, 520.0, 2.0, 260.0), (176.0, 560.0, 2.0, 260.0)), -420.0, 16.0)
_GE_COUCH = Couch(((162.0, 430.0, 3.0, 330.0), (171.0, 440.0, 1.6, 200.0)), -250.0, 15.0)
_TOSHIBA_COUCH = Couch(((156.0, 610.0, 2.2, 300.0),), -360.0, 17.0)


def _siemens(code, model, software, station, date, exposure, table_height, rotation, shift, table_z, slope, offset,
             fbp, ir, manufacturer="SIEMENS") -> Scanner:  # fmt: skip
    return Scanner(
        code, "Siemens", manufacturer, model, software, station, date, exposure, 1.0, 0.5, 38.4, 0.6, 2.0, 1.0, 343,
        "", table_height, -table_height, rotation, shift, table_z, True, slope, offset, _SIEMENS_COUCH, EXPLICIT, False,
        -1024, False, 250.0, {"FBP": fbp, "IR": ir},
    )  # fmt: skip


def _philips(code, model, software, station, date, exposure, pitch, table_height, centre_y, rotation, shift, table_z,
             slope, offset, fbp, ir) -> Scanner:  # fmt: skip
    return Scanner(
        code, "Philips", "Philips", model, software, station, date, exposure, pitch, 0.5, 40.0, 0.625, 2.0, 1.0, 343,
        "HELIX", table_height, centre_y, rotation, shift, table_z, False, slope, offset, _PHILIPS_COUCH, JPEG_LS, False,
        -1024, True, 175.0, {"FBP": fbp, "IR": ir},
    )  # fmt: skip


def _ge(code, model, software, station, date, exposure, pitch, rotation_time, collimation, row, n_slices, table_height,
        centre_y, rotation, shift, table_z, descending, slope, offset, syntax, reconstructions) -> Scanner:  # fmt: skip
    return Scanner(
        code, "GE", "GE MEDICAL SYSTEMS", model, software, station, date, exposure, pitch, rotation_time, collimation,
        row, 2.5, 1.25, n_slices, "HELICAL MODE", table_height, centre_y, rotation, shift, table_z, descending, slope,
        offset, _GE_COUCH, syntax, True, -1024, True, 175.0, reconstructions,
    )  # fmt: skip


def _toshiba(code, model, software, station, date, exposure, pitch, collimation, table_height, centre_y, rotation,
             shift, table_z, descending, slope, offset, syntax, fbp, ir) -> Scanner:  # fmt: skip
    return Scanner(
        code, "Toshiba", "TOSHIBA", model, software, station, date, exposure, pitch, 0.5, collimation, 0.5, 2.0, 1.0,
        343, "HELICAL_CT", table_height, centre_y, rotation, shift, table_z, descending, slope, offset, _TOSHIBA_COUCH,
        syntax, True, 0, True, 250.0, {"FBP": fbp, "IR": ir},
    )  # fmt: skip


_R = Reconstruction
_ALL = (
    _siemens(
        "A1", "SOMATOM Definition Edge", "syngo CT VA48A", "A1CT01", "20210223", 148.0, 165.5, (0.0, 0.0, 0.0),
        (-1.3671875, 1.77734375), 196.8, 1.0, 0.0,
        _R(("B30f",), 18.3, 0.70, 0.210), _R(("I30f", "3"), 13.8, 0.71, 0.178),
    ),
    _siemens(
        "A2", "SOMATOM Definition Flash", "syngo CT VA48A", "A2CT02", "20210223", 148.0, 158.0, (0.35, -0.25, 0.60),
        (2.10, -1.30), 212.35, 1.004, 1.0,
        _R(("B30f",), 16.6, 0.71, 0.205), _R(("I30f", "3"), 13.3, 0.72, 0.174),
    ),
    _siemens(
        "B1", "SOMATOM X.cite", "syngo CT VA30A", "B1CT01", "20210301", 119.0, 171.5, (-0.45, 0.30, -0.85),
        (-3.25, 0.85), 171.12, 0.985, -2.0,
        _R(("Br36f",), 17.1, 0.67, 0.222), _R(("Br36f", "3"), 13.5, 0.69, 0.182), "Siemens Healthineers",
    ),
    _siemens(
        "B2", "SOMATOM Edge Plus", "syngo CT VB20A", "B2CT02", "20210301", 149.0, 163.0, (0.20, 0.55, 0.40),
        (3.60, 2.25), 228.77, 0.992, -1.5,
        _R(("Br36f",), 15.6, 0.69, 0.214), _R(("Br36f", "3"), 13.8, 0.70, 0.176),
    ),
    _siemens(
        "G1", "SOMATOM Definition Edge", "syngo CT VA48A", "G1CT01", "20210320", 149.0, 155.5, (-0.60, -0.40, 1.10),
        (0.75, 3.40), 151.43, 1.002, 0.8,
        _R(("B30f",), 19.4, 0.70, 0.210), _R(("I30f", "3"), 14.1, 0.71, 0.178),
    ),
    _siemens(
        "G2", "SOMATOM Definition Flash", "syngo CT VA48A", "G2CT02", "20210320", 148.0, 168.0, (0.50, 0.15, -0.30),
        (-4.40, -2.05), 184.91, 1.006, 1.5,
        _R(("B30f",), 17.5, 0.71, 0.206), _R(("I30f", "3"), 14.1, 0.72, 0.175),
    ),
    _philips(
        "C1", "iCT 256", "4.1.6", "C1CT01", "20210311", 135.0, 0.985, 148.0, -138.0, (0.70, -0.50, -1.20),
        (2.85, 3.10), 236.28, 1.022, 3.5,
        _R(("B",), 20.4, 0.76, 0.192), _R(("B",), 16.1, 0.77, 0.166),
    ),
    _philips(
        "H2", "Brilliance 64", "4.1.7", "H2CT02", "20210529", 153.0, 1.0, 139.5, -129.5, (-0.30, 0.80, 0.75),
        (-2.20, -3.15), 161.66, 1.030, 5.0,
        _R(("B",), 21.1, 0.79, 0.184), _R(("B",), 16.65, 0.80, 0.160),
    ),
    _ge(
        "D1", "Revolution EVO", "revo_ct_20b.48", "D1CT01", "20210316", 112.5, 0.984, 0.5, 40.0, 0.625, 343, 152.0,
        -120.0, (0.90, 0.35, 0.95), (1.45, -2.60), 222.04, False, 0.968, -4.0, EXPLICIT,
        {"FBP": _R(("STANDARD",), 21.3, 0.65, 0.236, 2.4, 9.15), "IR": _R(("STANDARD",), 15.0, 0.67, 0.196, 2.4, 9.05),
         "DL": _R(("STANDARD",), 9.9, 0.80, 0.176, 2.4, 8.5)},
    ),
    _ge(
        "E2", "Revolution Apex", "revo_apex_21a.12", "E2CT02", "20210325", 145.0, 0.984, 0.5, 40.0, 0.625, 343, 160.5,
        -116.0, (-0.75, -0.65, -0.55), (-3.85, 1.90), 190.55, True, 0.975, -3.0, EXPLICIT,
        {"FBP": _R(("STANDARD",), 19.0, 0.64, 0.240, 2.4, 9.25), "IR": _R(("STANDARD",), 15.0, 0.66, 0.200, 2.4, 9.15),
         "DL": _R(("STANDARD",), 9.9, 0.80, 0.180, 2.4, 8.5)},
    ),
    _ge(
        "F1", "BrightSpeed S", "07MW11.10", "F1CT01", "20210319", 104.0, 0.938, 0.8, 20.0, 1.25, 275, 146.0,
        -124.0, (0.40, 1.00, -1.40), (4.30, -0.70), 176.19, False, 0.960, -5.5, IMPLICIT,
        {"FBP": _R(("STANDARD",), 20.8, 0.70, 0.228, 2.4, 8.85), "IR": _R(("STANDARD",), 16.4, 0.73, 0.190, 2.4, 8.7)},
    ),
    _toshiba(
        "E1", "Aquilion Prime SP", "V7.00ER010", "E1CT01", "20210325", 155.0, 0.813, 40.0, 95.5, -142.5,
        (-0.95, 0.20, 1.35), (-1.10, 4.05), 243.38, True, 1.012, -2.5, EXPLICIT,
        _R(("FC08",), 23.2, 0.74, 0.204), _R(("FC08",), 15.2, 0.77, 0.158),
    ),
    _toshiba(
        "H1", "Aquilion", "V4.86ER009", "H1CT01", "20210508", 75.0, 0.828, 32.0, 88.0, -134.0,
        (0.65, -0.90, 0.50), (3.05, 1.20), 204.57, False, 1.018, 2.0, JPEG_2000,
        _R(("FC08",), 28.0, 0.77, 0.198), _R(("FC08",), 15.6, 0.80, 0.152),
    ),
)  # fmt: skip

SCANNERS = {scanner.code: scanner for scanner in _ALL}
"""Models by code, in the paper's order of makers."""

DL_DOSES_MGY = {"D1": (1.0, 3.0, 6.0), "E2": (1.0, 3.0, 6.0, 10.0, 14.0)}
"""Doses at which a scanner has DL series in the collection."""
MISSING_REPETITIONS = {("E1", 10.0, 10)}
"""Scans (scanner, dose in mGy, repetition) that the collection lacks."""
SHORT_SERIES = {("B2", 14.0, "FBP", 5): 342, ("D1", 1.0, "DL", 3): 342, ("H1", 6.0, "IR", 4): 337}
"""Series (scanner, dose in mGy, reconstruction, repetition) that have fewer slices than their scanner's others."""


def has_series(scanner: str, dose_mgy: float, recon: str, repetition: int) -> bool:
    """Whether the collection holds a series."""
    if (scanner, float(dose_mgy), repetition) in MISSING_REPETITIONS or recon not in SCANNERS[scanner].reconstructions:
        return False
    return recon != "DL" or float(dose_mgy) in DL_DOSES_MGY[scanner]
