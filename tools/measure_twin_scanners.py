#!/usr/bin/env python3
"""Gates on the twin's scanners: how they differ, repeat and are told apart, beside what is published of the real ones.

    tools/measure_twin_scanners.py table5
    tools/measure_twin_scanners.py repetitions --published a1_radiomics_published.csv
    tools/measure_twin_scanners.py noise
    tools/measure_twin_scanners.py radiomics --repetitions 10
    tools/measure_twin_scanners.py features --repetitions 1 --seed 1 --features drawn_1.parquet

Images stay in memory, and go to A1's grid by their true poses in place of a registration, which errs by hundredths of
a millimetre. `table5` compares noise-free images of the whole phantom as Tables 3-5 do; `repetitions` has A1's whole
regions at 10 mGy; `noise` the large cyst; `radiomics` the paper's patches and classifiers, of which `features` writes
the first. docs/twin.md has the numbers and what is asked of them. Everything is synthetic but what it is compared with.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from ct4bench.core.benchmark import BOXES, FEATURE_KEY, ROIS, SCANNERS, scan_id, tissue_of
from ct4bench.core.geometry import Rigid
from ct4bench.core.phantom import A1_GRID
from ct4bench.features.radiomics import FEATURES, region_features
from ct4bench.pairs.compare import PairRegion, compare_batch
from ct4bench.preprocess.draw import draw_centres
from ct4bench.preprocess.patches import VOXEL, patch_box
from ct4bench.preprocess.resampling import resample
from ct4bench.twin.draw import draw_phantom
from ct4bench.twin.noise import WhiteField, noise_filter
from ct4bench.twin.phantom import Phantom, open_phantom, parse_slab
from ct4bench.twin.repetition import REACH, moved, repetition
from ct4bench.twin.scan import blur_filter, blurred, image_slices, object_slices, prepare_scan
from ct4bench.twin.scanners import Scanner, read_scanners
from ct4bench.twin.simulate import Design, noise_seeds, plan_scans

ROOT = Path(__file__).resolve().parents[1]
MODELS = read_scanners()
SLAB = "119:206,122:314,72:392"
"""The six regions and the patches round any voxel of theirs."""
SEEDS = (0, 1, 2, 3, 4)
"""Of the trainings: initial weights and orders of one alone move the accuracy of N = 1 by 0.014 (SD)."""
GATES = {
    "table5_mantel": (0.85, 1.0), "repetition_sd_ratio": (0.8, 1.25), "icc_2_1": (0.61, 0.71), "n_1": (0.90, 0.94),
    "n_12": (0.975, 0.995), "scanner_from_cyst1": (0.44, 0.54),
}  # fmt: skip


def gate(name: str, value: float) -> None:
    """Print a value with what is asked of it."""
    low, high = GATES[name]
    print(f"{name} {value:.3f} (asked {low:g} to {high:g}: {'yes' if low <= value <= high else 'no'})", flush=True)


def images_of(phantom: Phantom, scanner: Scanner, design: Design, seed: int = 0) -> Iterator[tuple]:
    """Simulate the scans of one scanner in memory: dose, repetition, reconstruction, int16 HU, grid and motion."""
    scan = prepare_scan(scanner, phantom)
    shape, n = scan.padded.shape[1:], scan.grid.shape[0]
    base = object_slices(scan, -REACH, n + REACH)
    clean = {
        name: blurred(base, blur_filter(model.sigma_mm, scan.base_sigma_mm, shape))
        for name, model in scanner.reconstructions.items()
    }
    for planned in plan_scans(scanner, design):
        seeds = noise_seeds(seed, planned, scanner)
        state = repetition(seeds, planned.dose_mgy, planned.repetition)
        motion = Rigid(
            scan.motion.rotation_deg,
            tuple(float(a + b) for a, b in zip(scan.motion.translation_mm, state.shift_mm, strict=True)),
            scan.motion.centre_mm,
        )
        white = WhiteField(seeds, shape, scanner.noise_slice_sigma_mm / scanner.increment_mm).slices(0, n)
        along = state.noise_along(scan.grid.origin_mm[2] + scan.grid.spacing_mm[0] * np.arange(n), scanner.feed_mm)
        for recon in planned.recons:
            model = scanner.reconstructions[recon]
            noise = state.noise_of(recon, model.noise[planned.dose_mgy])
            there = moved(clean[recon], state, scan.grid.spacing_mm)
            sd_hu = model.quantum_sd_hu(planned.dose_mgy)
            image = image_slices(scan, there, white, noise_filter(noise, shape), sd_hu, 0, noise.tail, along)
            yield planned.dose_mgy, planned.repetition, recon, image, scan.grid, motion


def draw(slab: str, like: str | None, folder: str, seed: int = 0) -> Phantom:
    """Draw the phantom, or take it from the real series `like`."""
    if like:
        from ct4bench.twin.from_series import phantom_from_series

        phantom_from_series(Path(like), parse_slab(slab), seed, Path(folder))
    else:
        draw_phantom(parse_slab(slab), seed, Path(folder))
    return open_phantom(folder)


# ---------------------------------------------------------------------------------------------------- Table 5
def ranks(values) -> np.ndarray:
    """Ranks of values, ties at their mean."""
    return pd.Series(np.asarray(values, float)).rank().to_numpy()


def table5(phantom: Phantom) -> tuple[float, float, pd.DataFrame]:
    """Compare noise-free images of all pairs of scanners as Table 5 does, on the published cells off the diagonal.

    Returns the Mantel correlation of ranks, that of values, and the cells.
    """
    box = tuple(slice(*ends) for ends in BOXES["box"])
    target = A1_GRID.crop(box)
    volumes = {}
    for code in SCANNERS:
        scan = prepare_scan(MODELS[code], phantom)
        image = np.empty(scan.grid.shape, np.int16)
        for first in range(0, len(image), 32):
            last = min(first + 32, len(image))
            image[first:last] = np.rint(scan.inner(object_slices(scan, first, last)))
        volumes[code] = resample(image, scan.grid, target, scan.motion)
    region = PairRegion.of_mask(tuple(slice(0, n) for n in target.shape), 4, np.ones(target.shape, np.uint8))
    found = compare_batch(list(combinations(SCANNERS, 2)), lambda code, part: volumes[code][part], region)
    published = pd.read_csv(ROOT / "assets" / "published" / "table5_ssim.csv")
    cells = published[published["scanner_row"] != published["scanner_col"]].copy()
    ssim = {frozenset(pair): value.ssim for pair, value in found.items()}
    cells["twin"] = [ssim[frozenset(pair)] for pair in zip(cells["scanner_row"], cells["scanner_col"], strict=True)]
    by_rank = np.corrcoef(ranks(cells["ssim_mean"]), ranks(cells["twin"]))[0, 1]
    return float(by_rank), float(np.corrcoef(cells["ssim_mean"], cells["twin"])[0, 1]), cells


# ---------------------------------------------------------------------------------------------------- repetitions
def published_a1(path: Path) -> pd.DataFrame:
    """Read A1's published features: ROI by its voxels, dose, reconstruction and repetition by SeriesNumber."""
    table = pd.read_csv(path)
    name = table["ROI"].str.strip()
    voxels = table["original_firstorder_Energy"] / table["original_firstorder_RootMeanSquared"] ** 2
    table["roi"] = np.select(
        [voxels > 150_000, voxels < 4_000, name == "hemangioma", name == "metastasis", voxels < 6_500],
        ["cyst1", "cyst2", "hemangioma", "metastasis", "normal1"],
        "normal2",
    )
    number = table["SeriesNumber"].astype(str).str[-5:]
    table["dose_mgy"], table["repetition"] = number.str[:2].astype(int), number.str[3:].astype(int)
    table["recon"] = number.str[2].map({"1": "FBP", "2": "IR"})
    return table


def whole_regions(phantom: Phantom, repetitions: int, dose_mgy: int, seed: int = 0) -> pd.DataFrame:
    """Radiomics of A1's whole regions: a row for each series and ROI."""
    rows, labels = [], None
    for _, number, recon, image, grid, _ in images_of(
        phantom, MODELS["A1"], Design((dose_mgy,), ("FBP", "IR"), repetitions, ("FBP", "IR"), repetitions), seed
    ):
        if labels is None:
            back = prepare_scan(MODELS["A1"], phantom).motion.inverse()
            labels = phantom.region_labels(grid, back.matrix, back.offset)
        for value, roi in enumerate(ROIS, start=1):
            inside = labels == value
            box = tuple(slice(max(int(p.min()) - 1, 0), int(p.max()) + 2) for p in np.nonzero(inside))
            found = region_features(np.ascontiguousarray(image[box]), grid.spacing_mm, inside[box])
            rows.append({"roi": roi, "recon": recon, "repetition": number} | dict(zip(FEATURES, found, strict=True)))
    return pd.DataFrame(rows)


def repetition_ratio(found: pd.DataFrame, published: pd.DataFrame, dose_mgy: int) -> pd.Series:
    """Return the SD over repetitions, found over published, the median over features, by ROI and reconstruction."""
    names = [name for name in FEATURES if name in published]
    sds = [
        table.groupby(["roi", "recon"])[names].std() for table in (found, published[published["dose_mgy"] == dose_mgy])
    ]
    return (sds[0] / sds[1].reindex(sds[0].index)).replace([np.inf], np.nan).median(axis=1)


# ---------------------------------------------------------------------------------------------------- noise
def cyst_noise(phantom: Phantom, codes, doses) -> pd.DataFrame:
    """Total SD in the large cyst: a row for each scanner, reconstruction and dose, with what the tables state."""
    rows = []
    for code in codes:
        back = prepare_scan(MODELS[code], phantom).motion.inverse()
        labels = None
        for dose, _, recon, image, grid, _ in images_of(
            phantom, MODELS[code], Design(doses, ("FBP", "IR"), 1, ("FBP", "IR"), 1)
        ):
            labels = phantom.region_labels(grid, back.matrix, back.offset) if labels is None else labels
            stated = MODELS[code].reconstructions[recon].noise[dose]
            rows.append((code, recon, dose, stated.total_sd_hu, float(image[labels == 1].std())))
    return pd.DataFrame(rows, columns=["scanner", "recon", "dose_mgy", "stated_hu", "total_sd_hu"])


# ---------------------------------------------------------------------------------------------------- radiomics
def patch_features(phantom: Phantom, repetitions: int, patches_per_roi: int = 10, seed: int = 0) -> pd.DataFrame:
    """Radiomics of patches of all scanners at 10 mGy, as `features/radiomics.parquet` has them."""
    reference = prepare_scan(MODELS["A1"], phantom)
    back = reference.motion.inverse()
    grid = reference.grid
    labels = phantom.region_labels(grid, back.matrix, back.offset)
    centres = draw_centres(labels, patches_per_roi, 0)
    tables = []
    design = Design((10,), ("FBP", "IR", "DL"), repetitions, (), 1)
    for code in SCANNERS:
        for dose, number, recon, image, own, motion in images_of(phantom, MODELS[code], design, seed):
            there = resample(image, own, grid, motion.after(back))
            scan = scan_id(code, dose, number)
            about = {"series_uid": f"{scan}_{recon}", "scan_id": scan, "scanner": code, "maker": MODELS[code].maker,
                     "dose_mgy": float(dose), "recon": recon, "repetition": number}  # fmt: skip
            key = centres[["roi", "patch"]].assign(**about, tissue=centres["roi"].map(tissue_of))[FEATURE_KEY]
            values = [region_features(there[patch_box(c)], grid.spacing_mm) for c in centres[VOXEL].to_numpy(int)]
            tables.append(pd.concat([key, pd.DataFrame(values, columns=list(FEATURES))], axis=1))
        print(code, file=sys.stderr, flush=True)
    return pd.concat(tables, ignore_index=True)


def learned(table: pd.DataFrame, seeds: tuple[int, ...] = SEEDS) -> dict[str, float]:
    """ICC(2,1), accuracy on an unseen scanner after training on one and on all others, and of telling the scanner from
    a patch of cyst1: the paper's MLP, and folds of whole scans. Accuracies are means over trainings from `seeds`."""
    from ct4bench.stability.icc import icc, mean_squares, ratings

    ms = mean_squares(ratings(table, "scanner").values)
    found = {
        f"icc_{form}": float(np.nanmean(np.clip(icc(ms, name), 0, 1)))
        for form, name in (("2_1", "ICC(2,1)"), ("3_1", "ICC(3,1)"))
    }
    trained = pd.DataFrame([accuracies(table, seed) for seed in seeds], index=list(seeds))
    print(trained.round(4).to_string(), flush=True)
    return found | trained.mean().to_dict()


def accuracies(table: pd.DataFrame, seed: int) -> dict[str, float]:
    """Train from one seed: accuracy by the number of training scanners, mean over folds, and of telling the scanner."""
    from ct4bench.core.modes import PAPER
    from ct4bench.learning.train import TrainingRun, prepare, train_part
    from ct4bench.splits.plan import plan_splits
    from ct4bench.splits.splits import as_table
    from ct4bench.splits.tasks import Plan, origin

    run = TrainingRun("radiomics", PAPER, seed, verify=0)
    features = prepare(table, "features")
    splits = plan_splits(Plan(features.keys, schemes=("loso",), mode=PAPER, seed=seed), all_cells=False)
    results = train_part(run, features, splits[splits["n_train"].isin((1, len(SCANNERS) - 1))]).predictions
    right = (results["target"] == results["predicted"]).groupby([results["n_train"], results["fold"]]).mean()
    found = {f"n_{n}": float(value) for n, value in right.groupby("n_train").mean().items()}
    features = prepare(table[table["roi"] == "cyst1"].reset_index(drop=True), "features")
    splits = as_table(origin(Plan(features.keys, mode=PAPER, seed=seed), "scanner"))
    results = train_part(run, features, splits).predictions
    return found | {"scanner_from_cyst1": float((results["target"] == results["predicted"]).mean())}


def main():
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table5", "repetitions", "noise", "features", "radiomics"))
    parser.add_argument("--like", help="folder of one real series of the phantom, in place of the drawing")
    parser.add_argument("--published", type=Path, help="A1's published features, for `repetitions`")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--features", type=Path, help="Parquet to keep the patches' features in, and to take them from")
    parser.add_argument("--seed", type=int, default=0, help="of print and noise")
    args = parser.parse_args()
    if args.what == "features" and not args.features:
        parser.error("features needs --features, the table to write")
    with tempfile.TemporaryDirectory() as folder:
        if args.what == "radiomics" and args.features and args.features.exists():
            table = pd.read_parquet(args.features)
        else:
            phantom = draw("full" if args.what == "table5" else SLAB, args.like, folder, args.seed)
        if args.what == "features":
            patch_features(phantom, args.repetitions, seed=args.seed).to_parquet(args.features)
        elif args.what == "table5":
            by_rank, by_value, cells = table5(phantom)
            gate("table5_mantel", by_rank)
            print(f"of values {by_value:.3f}; SSIM {cells['twin'].min():.3f} to {cells['twin'].max():.3f}")
        elif args.what == "repetitions":
            published = published_a1(args.published)
            ratio = repetition_ratio(whole_regions(phantom, args.repetitions, 10), published, 10)
            print(ratio.round(2).to_string())
            gate("repetition_sd_ratio", float(ratio.median()))
        elif args.what == "noise":
            print(cyst_noise(phantom, SCANNERS, (1, 3, 10)).round(1).to_string(index=False))
        else:
            if not (args.features and args.features.exists()):
                table = patch_features(phantom, args.repetitions, seed=args.seed)
                if args.features:
                    table.to_parquet(args.features)
            for name, value in learned(table).items():
                if name in GATES:
                    gate(name, value)
                else:
                    print(f"{name} {value:.3f}")


if __name__ == "__main__":
    main()
