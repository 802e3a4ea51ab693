"""Checks that a task makes of itself: a sample of what its kernels gave, computed anew by a library.

A task ends with an error where a difference is beyond its tolerance, and else writes what it checked (checks.json); the
facts of a run add the tasks up.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ct4bench.core.errors import UserError
from ct4bench.core.json_files import read_object


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of check."""

    words: str
    """What was computed twice."""
    library: str
    counted: str
    """What `n` counts."""
    unit: str
    """Of difference and tolerance; blank where they have none."""
    tolerance: float


KINDS = {
    "reading": Kind("voxels of slices read from DICOM", "pydicom", "slices", "HU", 0.5),
    "resampling": Kind(
        "voxels of registered series, before they are rounded to whole HU (up to half a HU is rounding)",
        "SciPy",
        "voxels",
        "HU",
        0.51,
    ),
    "registration": Kind(
        "correlation of reference and series at the motion that was found", "SciPy", "series", "", 1e-4
    ),
    "registration_place": Kind(
        "what correlation gains 1 mm to each side of that motion along x, y, z (below 0: no better place)",
        "SciPy",
        "series",
        "",
        0.002,
    ),
    "rmse_hu": Kind("RMSE of pairs", "NumPy", "pairs", "HU", 1e-3),
    "ssim": Kind("SSIM of pairs", "SciPy", "pairs", "", 1e-5),
    "ssim_global": Kind("SSIM of Eq. 3 of pairs", "NumPy", "pairs", "", 1e-5),
    "psnr_max_db": Kind("PSNR of pairs, peak of Eq. 2", "NumPy", "pairs", "dB", 1e-3),
    "training": Kind("losses of the first steps of trainings", "torch", "steps", "", 1e-5),
    "layout": Kind(
        "first epochs of UMAP's layout, 10 wide: places of 99 % of the rows", "umap-learn", "layouts", "", 1e-3
    ),
}
"""Every kind by its name in checks.json, in the order of the report. The voxels of a reader and of a resampling are
whole HU, so that half a HU is rounding."""


class Checks:
    """What a task has checked: by kind, how many things and the largest difference, and where that was."""

    def __init__(self):
        self.found: dict[str, dict] = {}

    def add(self, kind: str, n: int, difference: float, at: str) -> None:
        """Count `n` things whose largest difference is `difference`; `UserError` where that is beyond tolerance.

        `at` names what was checked, for the error.
        """
        about = KINDS[kind]
        if not difference <= about.tolerance:
            unit = f" {about.unit}" if about.unit else ""
            raise UserError(
                f"{at}: {about.words} differ from {about.library}'s by {difference:.3g}{unit} (tolerance "
                f"{about.tolerance:g}): the kernels compute wrongly on this machine; delete the folder of compiled "
                "kernels (NUMBA_CACHE_DIR) and run again, and report it where it stays"
            )
        own = self.found.setdefault(kind, {"n": 0, "largest": difference, "at": at})
        own["n"] += n
        if difference > own["largest"]:
            own |= {"largest": difference, "at": at}

    def write(self, path: Path | str) -> None:
        """Write checks.json; differences to two digits, as far as machines agree."""
        rounded = {kind: {**own, "largest": float(f"{own['largest']:.1e}")} for kind, own in self.found.items()}
        Path(path).write_text(json.dumps(rounded, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def merge_checks(paths: Iterable[Path | str]) -> list[dict]:
    """Add up the checks of all tasks, in whichever order: an entry for each kind that was made, in the order of
    `KINDS`.

    Its keys: kind, words, library, counted, unit, tolerance, n, largest, at.
    """
    entries: dict[str, list[dict]] = {}
    for path in paths:
        for kind, own in read_object(path).items():
            entries.setdefault(kind, []).append(own)
    merged = []
    for kind in KINDS:
        if kind in entries:
            worst = max(entries[kind], key=lambda own: (own["largest"], own["at"]))
            n = sum(int(own["n"]) for own in entries[kind])
            merged.append(entry(kind, n, worst["largest"], worst["at"]))
    return merged


def entry(kind: str, n: int, largest: float, at: str) -> dict:
    """Return what the facts of a run say of a kind of check."""
    return {"kind": kind, **vars(KINDS[kind]), "n": n, "largest": largest, "at": at}
