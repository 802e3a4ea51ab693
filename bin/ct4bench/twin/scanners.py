"""The scanners of the digital twin: headers, grids, poses, noise, sharpness, calibration; read from their tables.

Headers and exposures are those of the collection (Table 1 of the paper, and the public series index). Calibration,
shading and noise were measured in published figures and features; each row of the noise table says where it is from.
Poses and sharpness are not published: they are choices within what such scanners show. assets/twin/README.md describes
the tables.
"""

# code-data: ../assets/twin/scanners.csv
# code-data: ../assets/twin/reconstructions.csv
# code-data: ../assets/twin/noise.csv
# code-data: ../assets/twin/couches.csv
# code-data: ../assets/twin/odd_series.csv

import csv
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ct4bench.core.benchmark import MAIN_DOSE_MGY

TABLES = Path(__file__).resolve().parents[3] / "assets" / "twin"
TEXTURE_SD_HU = 11.7
"""SD of the printed texture in the large cyst as scanner A1's FBP shows it; every measured total contains it."""
REFERENCE = "A1"
"""The scanner to whose HU calibration relates."""
MATRIX = 512
FOV_MM = 350.0


@dataclass(frozen=True)
class Noise:
    """Noise of one reconstruction at one dose: its size and its power in plane."""

    total_sd_hu: float
    """SD in the large cyst, printed texture included."""
    nps_peak_per_mm: float
    """Spatial frequency at which the noise power in plane is largest."""
    nps_power: float
    """p of the noise power f exp(-(f / f0)^p)."""
    anisotropy: float
    """a, where the noise power along y over that along x is (1 + a) / (1 - a): rays through the block's long side carry
    more noise, and where they are starved of photons it is seen as streaks along x."""
    tail: float = 0.0
    """k, where noise is n + k n^3 (made SD 1 again) of normal n: iterative reconstructions leave single high peaks, and
    A1's published kurtosis is 3.2 in the large cyst at every dose."""


@dataclass(frozen=True)
class Reconstruction:
    """One way to reconstruct on one scanner."""

    kernel: tuple[str, ...]
    """Values of ConvolutionKernel."""
    texture_sd_hu: float
    """SD that the print of the large cyst has in this reconstruction: TEXTURE_SD_HU times the slope, less the softer it
    is."""
    sigma_mm: float
    """Gaussian sigma in plane of a step in the phantom, the print's own blur included."""
    noise: dict[float, Noise]
    """By dose in mGy: those at which the collection has the reconstruction."""

    @property
    def doses_mgy(self) -> tuple[float, ...]:
        """Doses at which the collection has it."""
        return tuple(self.noise)

    def quantum_sd_hu(self, dose_mgy: float) -> float:
        """Return the SD of the quantum noise in the large cyst at a dose of `doses_mgy`."""
        return (self.noise[float(dose_mgy)].total_sd_hu ** 2 - self.texture_sd_hu**2) ** 0.5


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
    scan_options: str
    exposure_mas: float
    ctdi_ratio: float
    """CTDIvol shown per mGy of nominal dose; the protocol allows 2 % off."""
    pitch: float
    rotation_time_s: float
    collimation_mm: float
    detector_row_mm: float
    thickness_mm: float
    increment_mm: float
    n_slices: int
    table_height_mm: float
    image_centre_y_mm: float
    rotation_deg: tuple[float, float, float]
    shift_mm: tuple[float, float]
    table_z_mm: float
    descending: bool
    """Whether InstanceNumber falls with rising z, as on A1."""
    slope: float
    offset_hu: float
    """A material of the block that A1 shows at H HU measures slope H + offset; air stays air."""
    shading_hu: float
    """Cupping: liver near the ribs less liver 32 mm further inwards, in HU."""
    reference_shading_hu: float
    """That of A1, through which calibration is stated."""
    transfer_syntax: str
    signed: bool
    """Stored pixels: 16 bits signed, else 12 bits unsigned."""
    intercept: int
    has_revolution_time: bool
    field_radius_mm: float
    """Radius of the reconstructed circle about the image's centre, -1024 HU beyond: Siemens and Toshiba fill the square
    image from a scan field of 500 mm (as the real series does), the others cut it to the displayed field."""
    couch: Couch
    reconstructions: dict[str, Reconstruction] = field(repr=False)
    odd_series: dict[tuple[float, str, int], int] = field(repr=False)
    """Slices of the series (dose in mGy, reconstruction, repetition) that differ from `n_slices`; 0: not there."""

    @property
    def slice_sigma_mm(self) -> float:
        """Gaussian sigma along z of a step in the phantom: 0.9 mm for a slice of 2 mm."""
        return 0.45 * self.thickness_mm

    @property
    def noise_slice_sigma_mm(self) -> float:
        """Gaussian sigma along z of the filter that white noise has passed: 0.95 mm for a slice of 2 mm."""
        return 0.475 * self.thickness_mm

    @property
    def feed_mm(self) -> float:
        """The table's way in a turn of the tube."""
        return self.pitch * self.collimation_mm

    def exposure_at(self, dose_mgy: float) -> float:
        """Return the tube current time product in mAs that gives a dose."""
        return self.exposure_mas * dose_mgy / MAIN_DOSE_MGY

    def n_slices_of(self, dose_mgy: float, recon: str, repetition: int) -> int:
        """Return the number of slices of a series of the collection, 0 where the collection lacks it."""
        model = self.reconstructions.get(recon)
        if model is None or float(dose_mgy) not in model.doses_mgy:
            return 0
        return self.odd_series.get((float(dose_mgy), recon, repetition), self.n_slices)


TEXT = ("maker", "manufacturer", "model", "software", "station", "study_date", "scan_options")
FLAGS = ("descending", "signed", "has_revolution_time")
NUMBERS = (
    *("exposure_mas", "ctdi_ratio", "pitch", "rotation_time_s", "collimation_mm", "detector_row_mm", "thickness_mm"),
    *(
        "increment_mm",
        "table_height_mm",
        "image_centre_y_mm",
        "table_z_mm",
        "slope",
        "offset_hu",
        "shading_hu",
        "field_radius_mm",
    ),
)
"""Columns of scanners.csv that are fields of the same name."""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NOISE = ("total_sd_hu", "nps_peak_per_mm", "nps_power", "anisotropy", "tail")


def _reconstruction(row: dict[str, str], noise: list[dict[str, str]]) -> Reconstruction:
    by_dose = {
        float(own["dose_mgy"]): Noise(**{name: float(own[name]) for name in NOISE})
        for own in noise
        if (own["scanner"], own["recon"]) == (row["scanner"], row["recon"])
    }
    numbers = {name: float(row[name]) for name in ("texture_sd_hu", "sigma_mm")}
    return Reconstruction(kernel=tuple(row["kernel"].split("\\")), **numbers, noise=by_dose)


def _couch(rows: list[dict[str, str]]) -> Couch:
    names = ("below_centre_mm", "radius_mm", "thickness_mm", "hu")
    arcs = tuple(tuple(float(row[name]) for name in names) for row in rows if row["part"] == "arc")
    (board,) = (row for row in rows if row["part"] == "board")
    return Couch(arcs, float(board["hu"]), float(board["thickness_mm"]))


@lru_cache
def read_scanners(folder: Path = TABLES) -> dict[str, Scanner]:
    """Read the scanners by code, in the paper's order of makers, from the five tables in `folder`."""
    reconstructions, noise, couches, odd_series = (
        _rows(folder / f"{name}.csv") for name in ("reconstructions", "noise", "couches", "odd_series")
    )
    rows = _rows(folder / "scanners.csv")
    reference_shading_hu = float(next(row["shading_hu"] for row in rows if row["scanner"] == REFERENCE))
    return {
        row["scanner"]: Scanner(
            code=row["scanner"],
            **{name: row[name] for name in TEXT},
            **{name: row[name] == "true" for name in FLAGS},
            **{name: float(row[name]) for name in NUMBERS},
            reference_shading_hu=reference_shading_hu,
            n_slices=int(row["n_slices"]),
            intercept=int(row["intercept_hu"]),
            transfer_syntax=row["transfer_syntax_uid"],
            rotation_deg=tuple(float(row[f"rotation_{axis}_deg"]) for axis in "xyz"),
            shift_mm=tuple(float(row[f"shift_{axis}_mm"]) for axis in "xy"),
            couch=_couch([part for part in couches if part["maker"] == row["maker"]]),
            reconstructions={
                own["recon"]: _reconstruction(own, noise) for own in reconstructions if own["scanner"] == row["scanner"]
            },
            odd_series={
                (float(odd["dose_mgy"]), odd["recon"], int(odd["repetition"])): int(odd["n_slices"])
                for odd in odd_series
                if odd["scanner"] == row["scanner"]
            },
        )
        for row in rows
    }
