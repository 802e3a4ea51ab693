"""Digital twins for tests, each made once a session by the fixture `twin_of`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.geometry import Grid, Rigid
from ct4bench.index.ct import read_series
from ct4bench.twin.draw import draw_phantom
from ct4bench.twin.phantom import Phantom, open_phantom, parse_slab
from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.simulate import Design, plan_scans, simulate_series


@dataclass(frozen=True)
class Twin:
    """Folders of a twin: `phantom`, and `root` with a folder of DICOM for each scanner; `truth` of all series."""

    phantom: Phantom
    root: Path
    truth: pd.DataFrame

    def row(self, scanner: str, recon: str, dose_mgy: int = 10, repetition: int = 1) -> pd.Series:
        """The truth of one series."""
        truth = self.truth
        chosen = (truth["scanner"] == scanner) & (truth["recon"] == recon)
        (row,) = truth[chosen & (truth["dose_mgy"] == dose_mgy) & (truth["repetition"] == repetition)].itertuples()
        return pd.Series(row._asdict())

    def folder(self, scanner: str, recon: str, dose_mgy: int = 10, repetition: int = 1) -> Path:
        """The folder of one series, with `ct` and `seg` in it."""
        return self.root / scanner / f"{scanner}_Harmonized_{dose_mgy}mGy_{recon}_{repetition:02d}"

    def read(self, scanner: str, recon: str, dose_mgy: int = 10, repetition: int = 1) -> tuple[np.ndarray, Grid]:
        """Voxels (int16 HU) and grid of one series."""
        folder = self.folder(scanner, recon, dose_mgy, repetition) / "ct"
        return read_series(sorted(folder.glob("*.dcm")))


def pose_of(row: pd.Series) -> Rigid:
    """The motion from the phantom's frame to the scanner's, as a row of truth has it."""
    return Rigid(
        tuple(row[f"rotation_{axis}_deg"] for axis in "xyz"),
        tuple(row[f"translation_{axis}_mm"] for axis in "xyz"),
        tuple(row[f"centre_{axis}_mm"] for axis in "xyz"),
    )


def simulate(phantom: Path, folder: Path, scanner: str, doses, recons, repetitions: int, seed=0, threads=1):
    """Simulate one scanner, all reconstructions and repetitions at all doses; returns its truth."""
    model = read_scanners()[scanner]
    scans = plan_scans(model, Design(tuple(doses), tuple(recons), repetitions, tuple(recons), repetitions))
    path = folder / f"truth_{scanner}.csv"
    simulate_series(phantom, [(model, scans)], seed, folder / "dicom", path, threads)
    return pd.read_csv(path)


def make_twin(folder: Path, slab: str, scanners, doses, recons, repetitions: int) -> Twin:
    """Draw a phantom and simulate scanners below `folder`."""
    draw_phantom(parse_slab(slab), 0, folder / "phantom")
    truths = [simulate(folder / "phantom", folder, code, doses, recons, repetitions) for code in scanners]
    return Twin(open_phantom(folder / "phantom"), folder / "dicom", pd.concat(truths, ignore_index=True))
