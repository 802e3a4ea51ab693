"""A small digital twin for tests, made once a session: `from twin_fixture import small_twin`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from ct4bench.phantom import Phantom, open_phantom, parse_slab
from ct4bench.phantom_drawing import draw_phantom
from ct4bench.simulation import plan_scans, simulate_series

ROI_SLAB = "128:195,140:295,90:372"
"""All six ROIs and no face of the block: the cheapest twin that an index accepts."""
FACE_SLAB = "128:195,105:415,50:460"
"""The same with the block's sides, top and bottom, for what looks for the block or registers."""


@dataclass(frozen=True)
class Twin:
    """Folders of a twin: `phantom`, and `root` with a folder of DICOM for each scanner; `truth` of all series."""

    phantom: Phantom
    root: Path
    truth: pd.DataFrame

    def series(self, scanner: str, dose_mgy: int = 10, recon: str = "IR", repetition: int = 1) -> pd.Series:
        """The row of truth of one series, with its folder as `folder`."""
        truth = self.truth
        chosen = truth[
            (truth["scanner"] == scanner)
            & (truth["dose_mgy"] == dose_mgy)
            & (truth["recon"] == recon)
            & (truth["repetition"] == repetition)
        ].iloc[0]
        name = f"{scanner}_Harmonized_{dose_mgy}mGy_{recon}_{repetition:02d}"
        return pd.concat([chosen, pd.Series({"folder": self.root / scanner / name})])


def make_twin(
    folder: Path, slab: str, scanners=("A1", "F1"), doses=(10,), recons=("FBP", "IR"), repetitions: int = 1, seed: int = 0
) -> Twin:  # fmt: skip
    """Draw a phantom and simulate scanners below `folder`; all reconstructions and repetitions at all doses."""
    draw_phantom(parse_slab(slab), seed, folder / "phantom")
    truths = []
    for scanner in scanners:
        scans = plan_scans(scanner, doses, recons, repetitions, recons, repetitions, 10)
        path = folder / f"truth_{scanner}.csv"
        simulate_series(folder / "phantom", scanner, scans, seed, folder / "dicom" / scanner, path)
        truths.append(pd.read_csv(path))
    return Twin(open_phantom(folder / "phantom"), folder / "dicom", pd.concat(truths, ignore_index=True))


@cache
def _cached(base: Path, slab: str, scanners: tuple, doses: tuple, repetitions: int) -> Twin:
    name = f"twin_{'_'.join(scanners)}_{len(doses)}_{repetitions}_{slab.replace(':', '-').replace(',', '_')}"
    return make_twin(base / name, slab, scanners, doses, repetitions=repetitions)


@pytest.fixture
def small_twin(tmp_path_factory) -> Twin:
    """A1 and F1, FBP and IR at 10 mGy, around the ROIs; about 15 CPU s the first time."""
    return _cached(tmp_path_factory.getbasetemp(), ROI_SLAB, ("A1", "F1"), (10,), 1)


@pytest.fixture
def twin_of(tmp_path_factory):
    """Function (slab, scanners, doses, repetitions) -> Twin, made once a session for the same arguments."""

    def make(slab: str = FACE_SLAB, scanners=("A1", "F1"), doses=(10,), repetitions: int = 1) -> Twin:
        return _cached(tmp_path_factory.getbasetemp(), slab, tuple(scanners), tuple(doses), repetitions)

    return make
