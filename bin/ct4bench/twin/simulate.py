"""All series of scanners: DICOM CT, its segmentation, and the truth beside them."""

# code-table: truth.csv

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, RECONSTRUCTIONS, ROIS, SCANNERS, scan_id
from ct4bench.core.errors import UserError
from ct4bench.core.tables import write_table
from ct4bench.pairs.plan import REFERENCE_DOSE_MGY, seeded_dose_pairs
from ct4bench.twin.noise import WhiteField, noise_along_z, noise_filter
from ct4bench.twin.phantom import Phantom, open_phantom
from ct4bench.twin.repetition import REACH, moved, repetition
from ct4bench.twin.scan import PAD, Scan, blur_filter, blurred, full_grid, image_slices, object_slices, prepare_scan
from ct4bench.twin.scanners import Scanner
from ct4bench.twin.write_ct import (
    SCANNER_NUMBERS,
    CtSeriesWriter,
    SeriesIdentity,
    ct_header,
)
from ct4bench.twin.write_seg import SegmentationWriter

LOG = logging.getLogger(__name__)
MAX_REPETITIONS = 10
ALL_SERIES = "all"
BLOCK_VOXELS = 7_000_000
"""Voxels of the padded images worked on at a time: memory against work done twice at the seams."""


@dataclass(frozen=True)
class PlannedScan:
    """One acquisition and the reconstructions of it that are wanted."""

    dose_mgy: int
    repetition: int
    recons: tuple[str, ...]


@dataclass(frozen=True)
class Design:
    """Which series of a scanner are wanted, as far as the collection has them."""

    doses_mgy: tuple[int, ...]
    recons: tuple[str, ...]
    """At the main dose."""
    repetitions: int
    """At the main dose."""
    other_recons: tuple[str, ...]
    other_repetitions: int
    other_scanners: tuple[str, ...] = SCANNERS
    """Codes of the scanners that are scanned at the other doses, too."""
    other_series: str = ALL_SERIES
    """`all`, or `table6`: at each other dose the five series that Table 6's draw takes of those."""
    main_dose_mgy: int = MAIN_DOSE_MGY


def plan_scans(scanner: Scanner, design: Design) -> list[PlannedScan]:
    """Plan the scans to simulate, by dose and repetition. A `UserError` where repetitions are none or too many."""
    for name in ("repetitions", "other_repetitions"):
        count = getattr(design, name)
        if not 1 <= count <= MAX_REPETITIONS:
            raise UserError(f"--{name} {count} must be 1 to {MAX_REPETITIONS}, as many as the collection has")
    doses = [
        d for d in sorted(set(design.doses_mgy)) if d == design.main_dose_mgy or scanner.code in design.other_scanners
    ]
    # In the order of the pairs' lists: by reconstruction, then repetition.
    held: dict[float, list[tuple[str, int]]] = {}
    for dose in doses:
        main = dose == design.main_dose_mgy
        recons, count = (design.recons, design.repetitions) if main else (design.other_recons, design.other_repetitions)
        every = [(r, n) for r in RECONSTRUCTIONS if r in recons for n in range(1, count + 1)]
        held[dose] = [(r, n) for r, n in every if scanner.n_slices_of(dose, r, n)]
    chosen = CHOICES_OF_OTHERS[design.other_series](held, design.main_dose_mgy)
    return [
        PlannedScan(int(dose), repetition, tuple(r for r, n in series if n == repetition))
        for dose, series in chosen.items()
        for repetition in sorted({n for _, n in series})
    ]


def _table6_series(held: dict[float, list[tuple[str, int]]], main_dose_mgy: int) -> dict[float, list[tuple[str, int]]]:
    """Keep the main dose's series, and of the others those that Table 6 compares."""
    drawn = seeded_dose_pairs(held)
    kept = {dose: [a for a, _ in pairs] for dose, pairs in drawn.items()}
    kept[REFERENCE_DOSE_MGY] = max(([b for _, b in pairs] for pairs in drawn.values()), key=len, default=[])
    return {
        dose: series if dose == main_dose_mgy else [one for one in series if one in kept[dose]]
        for dose, series in held.items()
    }


CHOICES_OF_OTHERS = {ALL_SERIES: lambda held, _: held, "table6": _table6_series}
"""Which of the series at other doses are simulated, by the word that chooses them."""


Places = list[tuple[np.ndarray, np.ndarray]]
"""For each region its voxels' flat indices in a block, and their noise power's factor, summed by slice."""


@dataclass
class _RegionSums:
    """Sums over the voxels of each region, filled block by block."""

    count: np.ndarray
    first: np.ndarray
    second: np.ndarray
    noise: np.ndarray

    @classmethod
    def empty(cls) -> "_RegionSums":
        return cls(*(np.zeros(len(ROIS)) for _ in range(4)))

    def add(self, places: Places, clean: np.ndarray, along: np.ndarray) -> None:
        """Add a block of noise-free HU: for each region its voxels' flat indices, and the sum over them of the noise
        SD's factor squared by slice; `along` is a further factor of the SD by slice."""
        for n, (inside, noise) in enumerate(places):
            hu = clean.reshape(-1)[inside].astype(float)
            self.count[n] += len(hu)
            self.first[n] += hu.sum()
            self.second[n] += (hu**2).sum()
            self.noise[n] += float((noise * along**2).sum())

    def columns(self, quantum_sd_hu: float) -> dict[str, float]:
        """Truth of each region: mean, SD of the noise-free image, quantum SD, and total SD in HU."""
        out = {}
        for n, roi in enumerate(ROIS):
            count = self.count[n]
            if count == 0:
                mean = texture = quantum = total = float("nan")
            else:
                mean = self.first[n] / count
                texture = float(np.sqrt(max(self.second[n] / count - mean**2, 0.0)))
                quantum = quantum_sd_hu * float(np.sqrt(self.noise[n] / count))
                total = float(np.hypot(texture, quantum))
            out[f"{roi}_voxels"] = int(count)
            for key, value in (("mean", mean), ("texture_sd", texture), ("quantum_sd", quantum), ("total_sd", total)):
                out[f"{roi}_{key}_hu"] = round(float(value), 4)
        return out


def _truth_row(scan: Scan, output: "_SeriesOutput", seed: int) -> dict:
    name, planned, recon, state = output.name, output.planned, output.recon, output.state
    scanner, motion = scan.scanner, scan.motion
    model = scanner.reconstructions[recon]
    noise, quantum = output.noise, model.quantum_sd_hu(planned.dose_mgy)
    row = {
        "series_uid": name.uid("series"),
        "scan_id": scan_id(scanner.code, planned.dose_mgy, planned.repetition),
        "scanner": scanner.code,
        "maker": scanner.maker,
        "dose_mgy": planned.dose_mgy,
        "recon": recon,
        "repetition": planned.repetition,
    }
    for axis, value, shift in zip("xyz", motion.translation_mm, state.shift_mm, strict=True):
        row[f"translation_{axis}_mm"] = round(value + shift, 6)
    for axis, value in zip("xyz", motion.rotation_deg, strict=True):
        row[f"rotation_{axis}_deg"] = value
    for axis, value in zip("xyz", motion.centre_mm, strict=True):
        row[f"centre_{axis}_mm"] = value
    for axis, value in zip("xyz", full_grid(scanner).origin_mm, strict=True):
        row[f"box_origin_{axis}_mm"] = round(float(value), 9)
    row |= {
        "noise_sd_hu": round(quantum, 6),
        "slope": scanner.slope,
        "offset_hu": scanner.offset_hu,
        "shading_hu": scanner.shading_hu,
        "drift_hu": state.drift_hu,
        "mtf_sigma_mm": max(model.sigma_mm, scan.base_sigma_mm),
        "slice_sigma_mm": max(scanner.slice_sigma_mm, scan.phantom.sigma_slice_mm),
        "nps_peak_per_mm": noise.nps_peak_per_mm,
        "nps_power": noise.nps_power,
        "nps_anisotropy": noise.anisotropy,
        "noise_slice_sigma_mm": scanner.noise_slice_sigma_mm,
        "n_slices": output.n_slices,
        "noise_seed": " ".join(str(n) for n in noise_seeds(seed, planned, scanner)),
        "phantom": scan.phantom.origin,
    }
    return row | output.sums.columns(quantum)


def noise_seeds(seed: int, planned: PlannedScan, scanner: Scanner) -> tuple[int, ...]:
    """Return the seeds of a scan: of its noise, and of its drift, shift and grain."""
    return (seed, SCANNER_NUMBERS[scanner.code], planned.dose_mgy, planned.repetition)


def _n_slices(scan: Scan, planned: PlannedScan, recon: str) -> int:
    """Slices of a series: some of the collection's whole series end early."""
    if scan.phantom.slab is not None:
        return scan.grid.shape[0]
    return scan.scanner.n_slices_of(planned.dose_mgy, recon, planned.repetition)


class _SeriesOutput:
    """One series under way: its writer, filters and sums."""

    def __init__(self, scan: Scan, planned: PlannedScan, recon: str, seed: int, folder: Path):
        self.scan, self.planned, self.recon = scan, planned, recon
        root = f"{scan.phantom.name} {seed}"
        self.name = SeriesIdentity(root, scan.scanner.code, planned.dose_mgy, recon, planned.repetition)
        model = scan.scanner.reconstructions[recon]
        self.n_slices = _n_slices(scan, planned, recon)
        self.grid = scan.grid.crop((slice(0, self.n_slices), slice(None), slice(None)))
        self.header = ct_header(self.name, scan.scanner, model, self.grid, seed)
        self.folder = folder / self.name.folder
        self.writer = CtSeriesWriter(self.folder / "ct", self.name, self.header, scan.scanner, self.grid)
        self.state = repetition(noise_seeds(seed, planned, scan.scanner), planned.dose_mgy, planned.repetition)
        self.noise = self.state.noise_of(recon, model.noise[planned.dose_mgy])
        self.shaping = noise_filter(self.noise, scan.padded.shape[1:])
        self.quantum_sd_hu = model.quantum_sd_hu(planned.dose_mgy)
        self.sums = _RegionSums.empty()

    def write(self, clean: np.ndarray, white: np.ndarray, first: int, places: Places) -> None:
        """Write the slices of a block that this series has: noise-free HU with `REACH` slices more on either side,
        the scan's white field, and the regions' places."""
        if self.state.is_first:
            clean = clean[REACH:-REACH]
        else:
            clean = moved(clean, self.state, self.scan.grid.spacing_mm)
        z_mm = self.scan.grid.origin_mm[2] + self.scan.grid.spacing_mm[0] * np.arange(first, first + len(clean))
        along = self.state.noise_along(z_mm, self.scan.scanner.feed_mm)
        self.sums.add(places, clean, along)
        count = min(len(clean), self.n_slices - first)
        if count > 0:
            images = image_slices(
                self.scan, clean[:count], white, self.shaping, self.quantum_sd_hu, first, self.noise.tail, along[:count]
            )
            for k in range(count):
                self.writer.write(first + k, images[k])


def simulate_scanner(
    phantom: Phantom, scanner: Scanner, scans: list[PlannedScan], seed: int, folder: Path, threads: int = 1
) -> pd.DataFrame:
    """Simulate and write all `scans` of one scanner under `folder`; returns the truth, a row for each series."""
    scan = prepare_scan(scanner, phantom)
    depth = max(8, BLOCK_VOXELS // (scan.padded.shape[1] * scan.padded.shape[2]))
    recons = [r for r in RECONSTRUCTIONS if any(r in planned.recons for planned in scans)]
    shape = scan.padded.shape[1:]
    transfers = {r: blur_filter(scanner.reconstructions[r].sigma_mm, scan.base_sigma_mm, shape) for r in recons}
    outputs = {p: [_SeriesOutput(scan, p, recon, seed, folder) for recon in p.recons] for p in scans}
    sigma = scanner.noise_slice_sigma_mm / scanner.increment_mm
    fields = {p: WhiteField(noise_seeds(seed, p, scanner), shape, sigma) for p in scans}
    back = scan.motion.inverse()
    labels = phantom.region_labels(scan.grid, back.matrix, back.offset)

    def write(planned: PlannedScan, clean: dict[str, np.ndarray], first: int, last: int, places) -> None:
        white = fields[planned].slices(first, last)
        for output in outputs[planned]:
            output.write(clean[output.recon], white, first, places)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for first in range(0, scan.grid.shape[0], depth):
            last = min(first + depth, scan.grid.shape[0])
            base = object_slices(scan, first - REACH, last + REACH)
            clean = {recon: blurred(base, transfers[recon]) for recon in recons}
            places = _places(scan, labels, first, last)
            list(pool.map(lambda p, c=clean, a=first, b=last, q=places: write(p, c, a, b, q), scans))
    first_output = outputs[scans[0]][0]
    segments = SegmentationWriter(first_output.writer, first_output.header, labels, scanner)
    rows = []
    for planned in scans:
        for output in outputs[planned]:
            segments.write(output.folder / "seg", output.name)
            rows.append(_truth_row(scan, output, seed))
    LOG.info("%s: %d series of %s voxels", scanner.code, len(rows), " x ".join(str(n) for n in scan.grid.shape))
    return pd.DataFrame(rows)


def _places(scan: Scan, labels: np.ndarray, first: int, last: int) -> Places:
    """Flat indices, in a block of padded slices, of the voxels of each region, and their noise power's factor, summed
    by slice."""
    z = scan.grid.origin_mm[2] + scan.grid.spacing_mm[0] * np.arange(first, last)
    along = noise_along_z(z - scan.motion.translation_mm[2])
    k, j, i = np.unravel_index(np.flatnonzero(labels[first:last]), (last - first, *labels.shape[1:]))
    flat = np.ravel_multi_index((k, j + PAD, i + PAD), (last - first, *scan.padded.shape[1:]))
    power = (along[k] * scan.noise_plane[j, i]) ** 2
    value = labels[first:last][k, j, i]
    found = []
    for n in range(1, len(ROIS) + 1):
        own = value == n
        found.append((flat[own], np.bincount(k[own], power[own], last - first)))
    return found


def simulate_series(
    phantom_folder, planned: list[tuple[Scanner, list[PlannedScan]]], seed: int, output, truth, threads: int = 1
) -> None:
    """Simulate the planned scans of a phantom; write DICOM to a folder of each scanner's code below `output`, and the
    truth of all to `truth`. A `UserError` where a scanner has nothing to scan."""
    for scanner, scans in planned:
        if not scans:
            raise UserError(
                f"scanner {scanner.code} has no series of these doses and reconstructions in the collection; "
                "choose others with --doses and --reconstructions"
            )
    phantom = open_phantom(phantom_folder)
    frames = [
        simulate_scanner(phantom, scanner, scans, seed, Path(output) / scanner.code, threads)
        for scanner, scans in planned
    ]
    write_table(pd.concat(frames, ignore_index=True), truth, table="truth.csv")
