"""Small made-up results for the tests of tables, figures and report."""

import importlib.util
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import DOSES_MGY, FEATURE_KEY, ROIS, SCANNERS, scan_id, tissue_of
from ct4bench.core.metrics import BY_NAME
from ct4bench.core.modes import PAPER
from ct4bench.pairs.plan import plan_pairs

MAKERS = dict(zip(SCANNERS, ["Siemens"] * 6 + ["Philips"] * 2 + ["GE"] * 3 + ["Toshiba"] * 2, strict=True))


def series_table(origin="synthetic", scanners=SCANNERS, doses=DOSES_MGY, repetitions=1) -> pd.DataFrame:
    """FBP and IR (DL on E2) at 10 mGy and IR at the other doses of each scanner, once as in the demo, or more often."""
    rows = []
    for scanner in scanners:
        for dose in doses:
            recons = ("FBP", "IR", *(["DL"] if scanner == "E2" else [])) if dose == 10 else ("IR",)
            for recon, repetition in product(recons, range(1, repetitions + 1)):
                rows.append(
                    {
                        "series_uid": f"1.2.3.{len(rows) + 1:04d}", "scan_id": scan_id(scanner, dose, repetition),
                        "scanner": scanner, "maker": MAKERS.get(scanner, "Acme"), "model": "M", "dose_mgy": float(dose),
                        "recon": recon, "repetition": repetition, "slice_increment_mm": 1.0, "slice_thickness_mm": 2.0,
                        "kvp": 120.0, "exposure_mas": 148.0, "pitch": 1.0, "rotation_time_s": 0.5,
                        "collimation_mm": 38.4, "origin": origin,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def pairs_table(series: pd.DataFrame, mode=PAPER) -> pd.DataFrame:
    """Pairs of `series` with an RMSE of 40 HU between scanners and 10 within, give or take."""
    pairs = plan_pairs(series, mode).drop(columns="task")
    generator = np.random.default_rng(7)
    base = np.where(pairs["scanner_a"] == pairs["scanner_b"], 10.0, 40.0) + generator.uniform(0, 1, len(pairs))
    rmse = np.where(pairs["is_self_pair"], 0.0, base)
    with np.errstate(divide="ignore"):
        psnr = 20 * np.log10(2000 / rmse)
    known = {"rmse_hu": rmse, "psnr_db": psnr, "ssim": 1 - rmse / 1000, "psnr_max_db": psnr - 16}
    return pairs.assign(n_voxels=1000, **{name: known.get(name, 1 - rmse / 2000) for name in BY_NAME})


def transforms_table(series: pd.DataFrame) -> pd.DataFrame:
    """A small motion for each series; A1, 10 mGy, IR is the reference."""
    generator = np.random.default_rng(11)
    frame = pd.DataFrame({"series_uid": series["series_uid"]})
    for kind, unit, spread in (("translation", "mm", 3.0), ("rotation", "deg", 0.4), ("centre", "mm", 0.0)):
        for axis in "xyz":
            frame[f"{kind}_{axis}_{unit}"] = generator.normal(0, 1, len(frame)) * spread
    frame["similarity_before"], frame["similarity_after"] = 0.7, 0.95
    frame["overlap"], frame["lost_noise_variance"] = 1.0, 0.35
    is_reference = (series["scanner"] == "A1") & (series["dose_mgy"] == 10) & (series["recon"] == "IR")
    frame["status"] = np.where(is_reference, "reference", "registered")
    frame.loc[is_reference.to_numpy(), frame.columns[1:7]] = 0.0
    return frame.assign(detail="")


def embedding_table(series: pd.DataFrame, extractors=("radiomics", "shallow_cnn", "swin_unetr")) -> pd.DataFrame:
    """Random places of two patches of each ROI of the 10 mGy series."""
    generator = np.random.default_rng(5)
    rows = []
    for extractor in extractors:
        for uid in series.loc[series["dose_mgy"] == 10, "series_uid"]:
            for roi in ("cyst1", "cyst2", "hemangioma", "metastasis", "normal1", "normal2"):
                for patch in (0, 1):
                    figures = ("figure5", "figure6") if roi == "cyst1" else ("figure6",)
                    rows += [(figure, extractor, uid, roi, patch, *generator.normal(size=4)) for figure in figures]
    places = ["umap_1", "umap_2", "pca_1", "pca_2"]
    return pd.DataFrame(rows, columns=["figure", "extractor", "series_uid", "roi", "patch", *places])


def features_table(series: pd.DataFrame) -> pd.DataFrame:
    """Twelve features of one patch a ROI, by scanner apart, in two classes."""
    generator = np.random.default_rng(2)
    rows = series[series["dose_mgy"] == 10]
    keys = [
        (r.series_uid, r.scan_id, r.scanner, r.maker, r.dose_mgy, r.recon, r.repetition, roi, tissue_of(roi), 0)
        for r in rows.itertuples()
        for roi in ROIS
    ]
    values = generator.normal(0, 1, (len(keys), 12)) + 3 * generator.normal(0, 1, (6, 12))[np.arange(len(keys)) % 6]
    names = [f"original_{'glcm' if i < 6 else 'firstorder'}_{i}" for i in range(12)]
    return pd.concat([pd.DataFrame(keys, columns=FEATURE_KEY), pd.DataFrame(values, columns=names)], axis=1)


def load_script(name: str):
    """A script of bin/ as a module."""
    path = Path(__file__).resolve().parents[1] / "bin" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
