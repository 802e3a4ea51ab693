"""The same slice of every scanner for the page, to be looked at one against another: gray pictures, and differences to
one scanner in HU.

Differences are taken of the volumes' own values, not of pictures, and kept without loss in steps of a few HU; gray
pictures are for looking only, and lose a little.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ct4bench.core.benchmark import MAIN_DOSE_MGY, SCANNERS, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.volumes import SUFFIX, open_volume
from ct4bench.figures.style import GRAY_LIMITS_HU
from ct4bench.figures.views import ReferenceView
from ct4bench.preprocess.pyramids import bin_means

SHOWN_RECON = "IR"
N_INSETS, INSET_MM = 4, 40.0
"""Close-ups beside each slice, and their side."""
LIMIT_HU = 100
"""Ends of the scale of differences: what is beyond has the last colour."""
STEPS_HU = (4, 5, 10, 20, 40)
BINS = (1, 2, 3, 4, 6, 8)
QUALITY = 80
BYTES = 1_100_000
"""What all pictures of a view may take; in the page they take a third more."""


@dataclass(frozen=True)
class ScannerSlice:
    """The slice of one scanner; `reason` says why there is none."""

    scanner: str
    series_uid: str = ""
    repetition: int = 0
    hu: np.ndarray | None = None
    """The whole slice (rows, columns) of the common grid, int16 HU."""
    reason: str = ""


@dataclass(frozen=True)
class SameSlice:
    """The same axial slice of one series of each scanner."""

    scanners: list[ScannerSlice]
    dose_mgy: float
    recon: str
    k: int
    """Which slice of the grid."""
    rows: slice
    columns: slice
    """What is shown of it: the phantom with a margin."""
    insets: dict[str, tuple[slice, slice]]
    """Rows and columns of the close-up of each region that has one."""


def shown_kind(registered: pd.DataFrame) -> tuple[float, str]:
    """Return the dose and reconstruction that most scanners have; of several, the highest dose, and the first name."""
    kinds = registered.groupby(["dose_mgy", "recon"])["scanner"].nunique().reset_index(name="n")
    best = kinds.sort_values(["n", "dose_mgy", "recon"], ascending=[False, False, True]).iloc[0]
    return float(best["dose_mgy"]), str(best["recon"])


def shown_series(
    registered: pd.DataFrame, scanner: str, kind: tuple[float, str] = (MAIN_DOSE_MGY, SHOWN_RECON)
) -> tuple[str, int]:
    """Return the UID and repetition of the series of a scanner that is shown: its first of a dose and reconstruction;
    blank, 0 if none."""
    own = registered[(registered["scanner"] == scanner) & (registered["dose_mgy"] == kind[0])]
    own = own[own["recon"] == kind[1]].sort_values(["repetition", "series_uid"])
    return (own["series_uid"].iloc[0], int(own["repetition"].iloc[0])) if len(own) else ("", 0)


def _insets(frame: ReferenceView, k: int) -> dict[str, tuple[slice, slice]]:
    """Rows and columns of the close-ups: round the regions that slice `k` cuts, four at most.

    A tissue's second region comes after the first ones of all tissues.
    """
    labels = frame.reference.read("labels", (slice(k, k + 1), slice(None), slice(None)))[0]
    names, tissue_of = frame.phantom.names, frame.phantom.tissue_of
    cut = [roi for i, roi in enumerate(names, start=1) if (labels == i).any()]
    seen: list[str] = []
    ranks = {}
    for roi in cut:
        ranks[roi] = seen.count(tissue_of(roi))
        seen.append(tissue_of(roi))
    chosen = sorted(sorted(cut, key=lambda roi: (ranks[roi], names.index(roi)))[:N_INSETS], key=names.index)
    found = {}
    for roi in chosen:
        voxels = np.argwhere(labels == names.index(roi) + 1)
        window = []
        for axis, middle in ((1, voxels[:, 0].mean()), (2, voxels[:, 1].mean())):
            n, length = int(round(INSET_MM / frame.spacing_mm[axis])), frame.reference.grid.shape[axis]
            start = int(np.clip(round(middle - n / 2), 0, max(0, length - n)))
            window.append(slice(start, min(start + n, length)))
        found[roi] = tuple(window)
    return found


def read_same_slice(frame: ReferenceView, registered: pd.DataFrame, volumes: Path) -> SameSlice:
    """Read the slice that cuts most regions of one series of each scanner, in the paper's order.

    It is IR #1 at 10 mGy of every scanner of the paper, where the run has one of them; of another phantom the kind that
    most scanners have. `UserError` where a volume is not on the reference's grid.
    """
    present, published = set(registered["scanner"]), frame.phantom.is_published
    dose_mgy, recon = kind = (MAIN_DOSE_MGY, SHOWN_RECON) if published else shown_kind(registered)
    with_papers = published and present & set(SCANNERS)
    k, found = frame.best_slice(), []
    for scanner in sorted(present | set(SCANNERS) if with_papers else present, key=scanner_rank):
        uid, repetition = shown_series(registered, scanner, kind)
        path = volumes / f"{uid}{SUFFIX}"
        if not uid:
            found.append(ScannerSlice(scanner, reason=f"no {recon} at {dose_mgy:g} mGy in this run"))
        elif not path.exists():
            found.append(ScannerSlice(scanner, uid, repetition, reason="its registered volume was not kept"))
        else:
            volume = open_volume(path)
            if not volume.grid.same_as(frame.reference.grid):
                raise UserError(f"{path} is not on the grid of {frame.reference.folder}; register the series again")
            hu = volume.read((slice(k, k + 1), slice(None), slice(None)))[0]
            found.append(ScannerSlice(scanner, uid, repetition, hu))
    return SameSlice(found, dose_mgy, recon, k, frame.box(1), frame.box(2), _insets(frame, k))


# pictures


def difference_levels(difference_hu: np.ndarray, step_hu: float) -> np.ndarray:
    """Return the level (uint8) of each difference: the middle one stands for 0, the ends for `LIMIT_HU` and beyond."""
    side = int(LIMIT_HU / step_hu)
    return np.clip(np.rint(difference_hu / step_hu) + side, 0, 2 * side).astype(np.uint8)


def level_colours(n: int) -> np.ndarray:
    """Return colours (n, 3) uint8 from blue (negative) over white (0, the middle one) to red."""
    stops = np.array([[5, 48, 97], [67, 147, 195], [247, 247, 247], [214, 96, 77], [103, 0, 31]], float)
    places = np.linspace(0, len(stops) - 1, n)
    columns = [np.interp(places, np.arange(len(stops)), stops[:, i]) for i in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)


def _encoded(picture: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, **options)
    return out.getvalue()


def gray_webp(hu: np.ndarray, limits_hu: tuple[float, float] = GRAY_LIMITS_HU) -> bytes:
    """Return a picture of HU, black and white at `limits_hu`, as WebP."""
    low, high = limits_hu
    gray = np.clip((hu - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return _encoded(Image.fromarray(gray).convert("RGB"), format="WEBP", quality=QUALITY, method=6)


def difference_png(difference_hu: np.ndarray, step_hu: float) -> bytes:
    """Return a picture of differences in HU by their levels, as PNG without loss."""
    picture = Image.fromarray(difference_levels(difference_hu, step_hu), mode="P")
    picture.putpalette(level_colours(2 * int(LIMIT_HU / step_hu) + 1).ravel().tolist())
    return _encoded(picture, format="PNG", optimize=True)


def _binned(hu: np.ndarray, n: int) -> np.ndarray:
    return bin_means(hu[None], (1, n, n))[0] if n > 1 else hu.astype(np.float32)


def _pictures(
    slices: dict[str, np.ndarray], reference: str, step_hu: float, n: int, limits_hu: tuple[float, float]
) -> dict[str, dict[str, bytes]]:
    """Gray picture of each scanner, and its difference to the one of `reference`."""
    small = {name: _binned(hu, n) for name, hu in slices.items()}
    made = {name: {"image": gray_webp(hu, limits_hu)} for name, hu in small.items()}
    for name in set(made) - {reference}:
        made[name]["difference"] = difference_png(small[name] - small[reference], step_hu)
    return made


def _settled(
    slices: dict[str, np.ndarray], reference: str, limit: int, limits_hu: tuple[float, float]
) -> tuple[dict, float, int]:
    """The finest pictures that take `limit` bytes at most together, with their step in HU and bin in pixels."""
    for n in BINS:
        for step_hu in STEPS_HU[: 3 if n < BINS[-1] else len(STEPS_HU)]:
            made = _pictures(slices, reference, step_hu, n, limits_hu)
            if sum(len(picture) for own in made.values() for picture in own.values()) <= limit:
                return made, step_hu, n
    return made, step_hu, n


def _told(difference_hu: np.ndarray, labels: np.ndarray, block: tuple[slice, slice], names) -> dict:
    """Mean and SD of differences in the phantom, and the mean in each region that the slice cuts."""
    inside = difference_hu[block]
    regions = {
        roi: round(float(difference_hu[labels == i].mean()), 2)
        for i, roi in enumerate(names, start=1)
        if (labels == i).any()
    }
    return {"mean_hu": round(float(inside.mean()), 2), "sd_hu": round(float(inside.std()), 2), "regions_hu": regions}


def slices_view(frame: ReferenceView, same: SameSlice, names: dict[str, str], limit: int = BYTES) -> dict | None:
    """Return the slices as plain values for the page, pictures in base64; None where fewer than two scanners have one.

    Differences are to the scanner of the reference series, or to the first where that has no slice.
    """
    kept = [own for own in same.scanners if own.hu is not None]
    if len(kept) < 2:
        return None
    uid = frame.reference.series_uid
    reference = next((own.scanner for own in kept if own.series_uid == uid), kept[0].scanner)
    parts = {own.scanner: own.hu[same.rows, same.columns] for own in kept}
    made, step_hu, n = _settled(parts, reference, limit, frame.gray_hu)
    labels = frame.reference.read("labels", (slice(same.k, same.k + 1), slice(None), slice(None)))[0]
    block = tuple(slice(*frame.reference.block.box[axis]) for axis in (1, 2))
    base = next(own.hu for own in kept if own.scanner == reference).astype(np.float32)
    scanners = []
    for own in kept:
        told = {} if own.scanner == reference else _told(own.hu - base, labels, block, frame.phantom.names)
        pictures = {kind: base64.b64encode(data).decode("ascii") for kind, data in made[own.scanner].items()}
        about = {"scanner": own.scanner, "name": names.get(own.scanner, ""), "repetition": own.repetition}
        scanners.append({**about, **told, **pictures})
    height, width = next(iter(parts.values())).shape
    insets = [
        {
            "roi": roi, "tissue": frame.phantom.tissue_of(roi), "colour": frame.colour(roi),
            "box": [columns.start - same.columns.start, rows.start - same.rows.start,
                    columns.stop - columns.start, rows.stop - rows.start],
        }
        for roi, (rows, columns) in same.insets.items()
    ]  # fmt: skip
    return {
        "reference": reference, "dose_mgy": same.dose_mgy, "recon": same.recon,
        "slice_mm": round(frame.slice_mm(same.k), 1), "from_first_face": frame.phantom.printed_block,
        "width": width, "height": height, "pixel_mm": [round(float(s), 4) for s in frame.spacing_mm[:0:-1]],
        "bin": n, "step_hu": step_hu, "limit_hu": LIMIT_HU, "inset_mm": INSET_MM, "gray_hu": list(frame.gray_hu),
        "colours": ["#{:02x}{:02x}{:02x}".format(*c) for c in level_colours(2 * int(LIMIT_HU / step_hu) + 1)],
        "insets": insets, "scanners": scanners,
        "missing": {own.scanner: own.reason for own in same.scanners if own.hu is None},
    }  # fmt: skip
