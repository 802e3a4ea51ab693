#!/usr/bin/env python3
"""Print how near the twin's scanner A1 is to the real phantom: the table of gates of docs/twin.md.

    .venv/bin/python tools/measure_twin.py --published FILE [--repetitions 10] [--series FOLDER]

FILE are the authors' radiomics features of scanner A1 (a1_radiomics_published.csv of their repository). A slab round
the six regions is drawn and scanned at five doses, FBP and IR, without files. What was tuned was tuned
at 1, 6 and 14 mGy.

With --series, the folder of the public series (DOI 10.7937/A1V1-RC66), also how often the tissue of a patch is told
by the other patches of its series (logistic regression of standardised features), there and on the twin.
"""

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bin"), str(ROOT)]

from tests.published_a1 import read_published  # noqa: E402

from ct4bench.core.benchmark import ROIS, tissue_of  # noqa: E402
from ct4bench.features.radiomics import FEATURES, region_features  # noqa: E402
from ct4bench.preprocess.patches import patch_box  # noqa: E402
from ct4bench.twin.copied import move_labels, read_copy  # noqa: E402
from ct4bench.twin.draw import draw_phantom  # noqa: E402
from ct4bench.twin.from_series import read_one_series  # noqa: E402
from ct4bench.twin.noise import WhiteField, noise_filter  # noqa: E402
from ct4bench.twin.phantom import Phantom, open_phantom, parse_slab  # noqa: E402
from ct4bench.twin.repetition import REACH, moved, repetition  # noqa: E402
from ct4bench.twin.scan import blur_filter, blurred, image_slices, object_slices, prepare_scan  # noqa: E402
from ct4bench.twin.scanners import read_scanners  # noqa: E402
from ct4bench.twin.write_ct import SCANNER_NUMBERS  # noqa: E402

SLAB = "122:202,126:312,76:386"
RECONS, DOSES, READ_AT = ("FBP", "IR"), (1, 3, 6, 10, 14), (3, 10)
NEAR = 0.1
DRAWS = 8
"""Draws of ten patches a region; one alone moves the accuracy by 0.03."""
SCANS = 6
"""Scans of the twin; one alone moves it by 0.02."""
KEYS = ["roi", "recon", "dose_mgy"]


def scan_regions(phantom: Phantom, repetitions: int, seed: int, code: str = "A1") -> pd.DataFrame:
    """Features of the six regions of `phantom` by recon, dose and repetition, as a scanner shows them."""
    scanner = read_scanners()[code]
    scan = prepare_scan(scanner, phantom)
    back = scan.motion.inverse()
    labels = phantom.region_labels(scan.grid, back.matrix, back.offset)
    n, shape = scan.grid.shape[0], scan.padded.shape[1:]
    base = object_slices(scan, -REACH, n + REACH)
    clean = {
        r: blurred(base, blur_filter(scanner.reconstructions[r].sigma_mm, scan.base_sigma_mm, shape)) for r in RECONS
    }
    sigma = scanner.noise_slice_sigma_mm / scanner.increment_mm
    z_mm = scan.grid.origin_mm[2] + scan.grid.spacing_mm[0] * np.arange(n)
    rows = []
    for dose, number in product(DOSES, range(1, repetitions + 1)):
        seeds = (seed, SCANNER_NUMBERS[code], dose, number)
        state = repetition(seeds, dose, number)
        along = state.noise_along(z_mm, scanner.feed_mm)
        white = WhiteField(seeds, shape, sigma).slices(0, n)
        for recon in RECONS:
            model = scanner.reconstructions[recon]
            noise, sd_hu = state.noise_of(recon, model.noise[float(dose)]), model.quantum_sd_hu(dose)
            own = moved(clean[recon], state, scan.grid.spacing_mm)
            image = image_slices(scan, own, white, noise_filter(noise, shape), sd_hu, 0, noise.tail, along)
            for value, roi in enumerate(ROIS, start=1):
                found = region_features(image, scan.grid.spacing_mm, (labels == value).view(np.uint8))
                rows.append([roi, recon, dose, number, *found])
    return pd.DataFrame(rows, columns=[*KEYS, "repetition", *FEATURES])


def compare(own: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Means over repetitions side by side: a row for each region, reconstruction, dose and published feature."""
    names = [name for name in published.columns if name in FEATURES]
    sides = [table.groupby(KEYS)[names].mean().stack() for table in (own, published)]
    both = pd.concat(sides, axis=1, keys=["twin", "real"]).reset_index(names=[*KEYS, "feature"])
    both["near"] = (both["twin"] / both["real"] - 1).abs() <= NEAR
    both["class"] = both["feature"].str.split("_").str[1]
    return both


def effect_size(both: pd.DataFrame) -> pd.Series:
    """Size of the dose effect over the real, by reconstruction.

    A feature of a region has as effect the log of its value at 1 mGy over that at 14 mGy; the size is the slope of the
    twin's effects on the real ones through the origin, features that change sign left out.
    """
    wide = both.pivot_table(index=["recon", "roi", "feature"], columns="dose_mgy", values=["twin", "real"])
    ratio = {side: wide[side][1] / wide[side][14] for side in ("twin", "real")}
    effect = pd.DataFrame({side: np.log(r.where(r > 0)) for side, r in ratio.items()}).dropna()
    return effect.groupby("recon").apply(lambda e: float((e.twin * e.real).sum() / (e.real**2).sum()))


def shares(both: pd.DataFrame) -> None:
    """Print the shares of near features."""
    for name, part in (
        ("tuned: 1, 6, 14 mGy", ~both["dose_mgy"].isin(READ_AT)),
        ("read: 3, 10 mGy", both["dose_mgy"].isin(READ_AT)),
    ):
        at = both[part]
        classes = "  ".join(f"{c} {s:.2f}" for c, s in at.groupby("class", sort=False)["near"].mean().items())
        print(f"{name}: {at['near'].mean():.3f}   {classes}")
    print(both.pivot_table(index="roi", columns=["recon", "dose_mgy"], values="near").round(2).to_string())
    print("size of the dose effect:", effect_size(both).round(3).to_dict())


def leave_one_patch_out(volume: np.ndarray, labels: np.ndarray, spacing_mm, seed: int) -> float:
    """Share of 60 patches (ten voxels drawn in each region) whose tissue the other 59 tell; a volume and the segments
    on its grid."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, tissues = [], []
    for value, roi in enumerate(ROIS, start=1):
        voxels = np.argwhere(labels == value)
        chosen = np.random.default_rng([seed, value]).choice(len(voxels), 10, replace=False)
        for centre in voxels[np.sort(chosen)]:
            patch = np.ascontiguousarray(volume[patch_box(tuple(int(n) for n in centre))])
            features.append(region_features(patch, spacing_mm))
            tissues.append(tissue_of(roi))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    found = cross_val_predict(model, np.nan_to_num(features), tissues, cv=LeaveOneOut())
    return float((found == np.array(tissues)).mean())


def scans_of_a1(
    phantom: Phantom, scans: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Scans by A1, FBP, 10 mGy, with a scan's own drift, place and noise along the table: HU, segments and spacing."""
    scanner = read_scanners()["A1"]
    scan = prepare_scan(scanner, phantom)
    n, shape, model = scan.grid.shape[0], scan.padded.shape[1:], scanner.reconstructions["FBP"]
    clean = object_slices(scan, -REACH, n + REACH)
    labels = phantom.region_labels(scan.grid, np.eye(3), np.zeros(3))
    z_mm = scan.grid.origin_mm[2] + scan.grid.spacing_mm[0] * np.arange(n)
    found = []
    for number in range(1, scans + 1):
        seeds = (seed, SCANNER_NUMBERS["A1"], 10, number)
        state = repetition(seeds, 10, number)
        noise = state.noise_of("FBP", model.noise[10.0])
        white = WhiteField(seeds, shape, scanner.noise_slice_sigma_mm / scanner.increment_mm).slices(0, n)
        own, along = moved(clean, state, scan.grid.spacing_mm), state.noise_along(z_mm, scanner.feed_mm)
        image = image_slices(
            scan, own, white, noise_filter(noise, shape), model.quantum_sd_hu(10), 0, noise.tail, along
        )
        found.append((image, labels, scan.grid.spacing_mm))
    return found


def patches_of_one_series(phantom: Phantom, series: Path, seed: int) -> dict[str, float]:
    """Accuracy of leaving one patch out, mean over draws of patches: of the public series and of six scans."""
    volume, grid, _ = read_one_series(series)
    copy = read_copy()
    labels = move_labels(copy.labels, copy.grid, grid, np.eye(3), np.zeros(3))
    of = {"real": [(volume, labels, grid.spacing_mm)], "twin": scans_of_a1(phantom, SCANS, seed)}
    return {
        name: float(np.mean([leave_one_patch_out(*scan, draw) for scan in scans for draw in range(DRAWS)]))
        for name, scans in of.items()
    }


def main(argv=None):
    """Draw, scan, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", required=True, type=Path)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--series", type=Path, help="folder of the public series")
    parser.add_argument("--details", action="store_true", help="some features of each region, recon and dose")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        draw_phantom(parse_slab(SLAB), args.seed, folder)
        own = scan_regions(open_phantom(folder), args.repetitions, args.seed)
        if args.series:
            print("leave one patch out:", patches_of_one_series(open_phantom(folder), args.series, args.seed))
    both = compare(own, read_published(args.published))
    shares(both)
    if args.details:
        few = [
            "firstorder_Mean",
            "firstorder_Variance",
            "firstorder_Skewness",
            "firstorder_Kurtosis",
            "glcm_Contrast",
            "glcm_Correlation",
            "glszm_ZonePercentage",
            "gldm_DependenceVariance",
        ]
        part = both[both["feature"].isin([f"original_{n}" for n in few]) & both["dose_mgy"].isin((1, 6, 14))].copy()
        part["text"] = part["twin"].map("{:.3g}".format) + "/" + part["real"].map("{:.3g}".format)
        part["feature"] = part["feature"].str.split("_").str[2].str[:12]
        print(part.pivot(index=KEYS, columns="feature", values="text").to_string())


if __name__ == "__main__":
    main()
