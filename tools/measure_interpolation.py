#!/usr/bin/env python3
"""What ways of bringing series onto one grid do to noise and to Tables 3-7, on the twin, where the truth is known.

    tools/measure_interpolation.py --output interpolation.csv

Scanners of the twin are simulated twice: posed as they are, on their own grids, and posed as A1 on A1's grid, where
nothing needs an interpolation: the truth. The former are brought onto a common grid by their true poses in each way;
A1 is the reference. Measured inside the block round the six regions: the share of quantum noise SD that is left (of
two repetitions), RMSE, PSNR and SSIM of pairs, 3 against 14 mGy, and the ICC of radiomics and the accuracy of a
logistic regression on an unseen scanner. docs/registration.md has the numbers and what was chosen.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, scan_id, tissue_of
from ct4bench.core.geometry import Grid, bounding_box
from ct4bench.core.modes import CORRECTED
from ct4bench.features.radiomics import FEATURES, region_features
from ct4bench.pairs.similarity import compare
from ct4bench.preprocess.draw import draw_centres
from ct4bench.preprocess.patches import HALF, VOXEL, patch_box
from ct4bench.preprocess.resampling import resample
from ct4bench.stability.icc import FORMS, icc, mean_squares, ratings
from ct4bench.twin.draw import draw_phantom
from ct4bench.twin.noise import WhiteField, noise_filter
from ct4bench.twin.phantom import open_phantom, parse_slab
from ct4bench.twin.scan import blur_filter, blurred, image_slices, object_slices, pose, prepare_scan
from ct4bench.twin.scanners import read_scanners

SCANS = {(10, 1): "first", (10, 2): "second", (3, 1): "low", (14, 1): "high"}
TRUTH = "no interpolation (the truth)"
MEAN_SHIFT = 0.5 * (1 - 3**-0.5)
"""Shift in voxels at which trilinear interpolation leaves 2/3 of the variance along an axis, as the mean over all."""
WAYS = {
    "trilinear, the reference's grid": ("linear", 0.0),
    "trilinear, grid moved by half a voxel": ("linear", 0.5),
    "trilinear, grid moved by 0.211 voxel": ("linear", MEAN_SHIFT),
    "nearest voxel, grid moved by 0.245 voxel": ("nearest", CORRECTED.grid_move),
    "cubic B-spline, the reference's grid": ("bspline", 0.0),
    "cubic B-spline, grid moved by 0.245 voxel": ("bspline", CORRECTED.grid_move),
}


def images_of(scanner, phantom, recon: str) -> tuple[dict, Grid]:
    """Simulate the scans of one scanner in memory: int16 HU by (dose, repetition), and their grid."""
    scan = prepare_scan(scanner, phantom)
    shape, n = scan.padded.shape[1:], scan.grid.shape[0]
    model = scanner.reconstructions[recon]
    clean = blurred(object_slices(scan, 0, n), blur_filter(model.sigma_mm, scan.base_sigma_mm, shape))
    found = {}
    for number, (dose, repetition) in enumerate(SCANS):
        seeds = (int.from_bytes(scanner.station.encode()[:4]), number)
        white = WhiteField(seeds, shape, scanner.noise_slice_sigma_mm / scanner.increment_mm).slices(0, n)
        shaping = noise_filter(model.noise[dose], shape)
        found[dose, repetition] = image_slices(
            scan, clean, white, shaping, model.quantum_sd_hu(dose), 0, model.noise[dose].tail
        )
    return found, scan.grid


def placed_as(scanner, other):
    """Return a scanner that scans where another one does, on its grid, with its own blur and noise."""
    names = ("code", "increment_mm", "n_slices", "image_centre_y_mm", "rotation_deg", "shift_mm", "table_z_mm",
             "field_radius_mm", "couch")  # fmt: skip
    return replace(scanner, **{name: getattr(other, name) for name in names})


def moved(grid: Grid, share: float) -> Grid:
    """Return a grid moved by a share of a voxel along each axis."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps([share] * 3)
    return Grid(grid.shape, affine)


def features_of(volume: np.ndarray, spacing_mm, centres: pd.DataFrame) -> np.ndarray:
    """Radiomics (patches, 93) of a volume."""
    return np.array([region_features(volume[patch_box(c)], spacing_mm) for c in centres[VOXEL].to_numpy(int)])


def tissue_accuracy(table: pd.DataFrame, names: list[str]) -> float:
    """Accuracy of a logistic regression on each scanner in turn, trained on one other."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scanners, hits = sorted(set(table["scanner"])), []
    for test, train in zip(scanners, scanners[1:] + scanners[:1], strict=True):
        rows, other = table[table["scanner"] == train], table[table["scanner"] == test]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows[names], rows["tissue"])
        hits.append(model.score(other[names], other["tissue"]))
    return float(np.mean(hits))


def measures(images: dict[str, dict], labels: np.ndarray, grid: Grid, centres: pd.DataFrame) -> dict[str, float]:
    """Measure everything of one way: `images` by scanner and scan, on one grid."""
    cyst = labels == ROIS.index("cyst1") + 1
    noise = {
        scanner: float((own[10, 1][cyst].astype(float) - own[10, 2][cyst]).std() / np.sqrt(2))
        for scanner, own in images.items()
    }
    found = {f"noise_{scanner}_hu": value for scanner, value in noise.items()}
    names = sorted(images)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    between = [compare(images[a][10, 1], images[b][10, 2]) for a, b in pairs]
    within = [compare(own[10, 1], own[10, 2]) for own in images.values()]
    doses = [compare(own[3, 1], own[14, 1]) for own in images.values()]
    for words, cells in (("between", between), ("within", within), ("3_to_14_mgy", doses)):
        for name in ("rmse_hu", "psnr_db", "ssim"):
            found[f"{words}_{name}"] = float(np.mean([getattr(cell, name) for cell in cells]))
    tables = []
    for scanner, own in images.items():
        about = {"series_uid": scanner, "scan_id": scan_id(scanner, 10, 1), "scanner": scanner, "maker": scanner,
                 "dose_mgy": 10.0, "recon": "FBP", "repetition": 1}  # fmt: skip
        key = centres[["roi", "patch"]].assign(**about, tissue=centres["roi"].map(tissue_of))[FEATURE_KEY]
        values = pd.DataFrame(features_of(own[10, 1], grid.spacing_mm, centres), columns=list(FEATURES))
        tables.append(pd.concat([key, values], axis=1))
    table = pd.concat(tables, ignore_index=True)
    ms = mean_squares(ratings(table, "scanner").values)
    for form in (FORMS[1], FORMS[2]):
        found[f"mean {form}"] = float(np.nanmean(np.clip(icc(ms, form), 0, 1)))
    names = list(FEATURES)
    found["accuracy, N = 1"] = tissue_accuracy(table, names)
    return found | {"_features": table.groupby("scanner")[names].mean()}


def against_truth(found: dict[str, dict], scanners) -> pd.DataFrame:
    """A row for each way, with the noise that is left and how far the scanners' mean features are from the truth."""
    true = found[TRUTH]
    spread = true["_features"].std()
    rows = []
    for way, own in found.items():
        kept = {s: own[f"noise_{s}_hu"] / true[f"noise_{s}_hu"] for s in scanners}
        others = [kept[s] for s in scanners if s != "A1"]
        off = ((own["_features"] - true["_features"]) / spread).abs()
        ranks = [sorted(scanners, key=lambda s, o=o: o[f"noise_{s}_hu"]) for o in (own, true)]
        row = {
            "way": way, "sd_left_a1": kept["A1"], "sd_left_others": float(np.mean(others)),
            "sd_left_others_least": min(others), "sd_left_others_most": max(others),
            "rank_of_a1": ranks[0].index("A1") + 1, "rank_of_a1_true": ranks[1].index("A1") + 1,
            "features_off_a1": float(off.loc["A1"].median()),
            "features_off_others": float(off.drop("A1").median(axis=1).mean()),
        }  # fmt: skip
        rows.append(row | {k: v for k, v in own.items() if not k.startswith(("_", "noise_"))})
    return pd.DataFrame(rows)


def main():
    """Simulate, bring onto the grids, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scanners", default="A1,B1,C1,D1,E2,F1,H2", help="of the twin, A1 among them")
    parser.add_argument("--recon", default="FBP")
    parser.add_argument("--slab", default="120:200,105:415,50:460", help="slices, rows, columns of the phantom")
    parser.add_argument("--patches_per_roi", type=int, default=4)
    parser.add_argument("--output", required=True, help="CSV, a row for each way")
    args = parser.parse_args()
    models, scanners = read_scanners(), args.scanners.split(",")
    with tempfile.TemporaryDirectory() as folder:
        draw_phantom(parse_slab(args.slab), 0, Path(folder))
        phantom = open_phantom(folder)
        reference_pose = pose(models["A1"])
        _, reference = images_of(models["A1"], phantom, args.recon)
        back = reference_pose.inverse()
        labels = phantom.region_labels(reference, back.matrix, back.offset)
        box = bounding_box(labels)
        # a voxel less than A1 has: half a voxel beyond its end would be outside
        box = tuple(
            slice(max(1, s.start - int(h)), min(n - 1, s.stop + int(h)))
            for s, h, n in zip(box, HALF, reference.shape, strict=True)
        )
        grid, labels = reference.crop(box), np.ascontiguousarray(labels[box])
        centres = draw_centres(labels, args.patches_per_roi, 0)
        inside = np.all((centres[VOXEL] >= HALF) & (centres[VOXEL] + HALF <= np.array(grid.shape)), axis=1)
        centres = centres[inside].reset_index(drop=True)
        images = {way: {} for way in (TRUTH, *WAYS)}
        for scanner in scanners:
            own, own_grid = images_of(models[scanner], phantom, args.recon)
            there = own
            if scanner != "A1":
                there, _ = images_of(placed_as(models[scanner], models["A1"]), phantom, args.recon)
            images[TRUTH][scanner] = {scan: np.ascontiguousarray(image[box]) for scan, image in there.items()}
            motion = pose(models[scanner]).after(back)
            for way, (interpolator, share) in WAYS.items():
                target = moved(grid, share)
                images[way][scanner] = {
                    scan: resample(image, own_grid, target, motion, interpolator) for scan, image in own.items()
                }
            print(f"{scanner}: {own_grid.shape}", flush=True)
    table = against_truth({way: measures(own, labels, grid, centres) for way, own in images.items()}, scanners)
    table.round(4).to_csv(args.output, index=False)
    print(table.round(3).T.to_string())


if __name__ == "__main__":
    main()
