"""Sections of the report as plain values: registration, quarantine, patches, weights, and what the run cost."""

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import PATCH_SHAPE, scanner_rank
from ct4bench.core.errors import counted
from ct4bench.core.extractors import Extractor, extractors_of, in_order, title_of
from ct4bench.core.geometry import worst_displacement_mm
from ct4bench.core.modes import MODES
from ct4bench.core.reasons import Reason, read_reasons
from ct4bench.preprocess.transforms import STRETCHED, motion_of
from ct4bench.report.cells import is_number, number
from ct4bench.results.run_facts import TRAINED, weights_mark


def _words(reason: Reason | None) -> dict[str, str]:
    """What a code of quarantine.csv means, and what to do about it."""
    return {"words": reason.meaning, "remedy": reason.remedy} if reason else {"words": "", "remedy": ""}


def quarantine_view(frame: pd.DataFrame | None) -> dict | None:
    """Return what was set aside: groups by reason, the largest first, with words and files."""
    if frame is None:
        return None
    groups, reasons = [], read_reasons()
    for reason, rows in frame.groupby("reason", sort=True):
        items = [
            {"path": str(row.path), "uid": str(row.series_uid), "detail": str(row.detail)}
            for row in rows.sort_values(["path", "series_uid", "detail"], kind="stable").itertuples()
        ]
        groups.append({"reason": str(reason), **_words(reasons.get(reason)), "n": len(items), "items": items})
    groups.sort(key=lambda group: (-group["n"], group["reason"]))
    return {"n": len(frame), "groups": groups}


def registration_errors_mm(transforms: pd.DataFrame, truth: pd.DataFrame, corners_mm: np.ndarray) -> pd.Series:
    """Return the worst displacement in mm over the block's corners between found and true motion, by series UID.

    The truth's poses are absolute (phantom to scanner), so a series' true motion is its pose after the inverse of the
    reference's. Series without a truth, the reference itself and failed ones are left out.
    """

    poses = {row["series_uid"]: motion_of(row) for row in truth.to_dict("records")}
    reference = transforms.loc[transforms["status"] == "reference", "series_uid"]
    if reference.empty or reference.iloc[0] not in poses:
        return pd.Series(dtype=float)
    back = poses[reference.iloc[0]].inverse()
    rows = transforms[(transforms["status"] == "registered") & transforms["series_uid"].isin(poses)]
    errors = {
        row["series_uid"]: worst_displacement_mm(motion_of(row), poses[row["series_uid"]].after(back), corners_mm)
        for row in rows.to_dict("records")
    }
    return pd.Series(errors, dtype=float)


def registration_view(
    transforms: pd.DataFrame | None,
    registered: pd.DataFrame | None,
    truth: pd.DataFrame | None = None,
    corners_mm: np.ndarray | None = None,
) -> dict | None:
    """Tell how the series were registered: counts by status, a row for each scanner, errors where the truth is
    known."""
    if transforms is None or transforms.empty or registered is None:
        return None
    frame = transforms.copy()
    for kind, unit, name in (("translation", "mm", "shift_mm"), ("rotation", "deg", "turn_deg")):
        frame[name] = np.linalg.norm(frame[[f"{kind}_{axis}_{unit}" for axis in "xyz"]].to_numpy(float), axis=1)
    errors = pd.Series(dtype=float)
    if truth is not None and corners_mm is not None:
        errors = registration_errors_mm(frame, truth, corners_mm)
    frame["error_mm"] = frame["series_uid"].map(errors).astype(float)
    known = registered.drop_duplicates("series_uid").set_index("series_uid")
    references = [uid for uid in frame.loc[frame["status"] == "reference", "series_uid"] if uid in known.index]
    status = frame["status"].value_counts()
    good = frame[frame["status"] == "registered"].join(known[["scanner"]], on="series_uid", how="inner")
    rows = []
    for scanner in sorted(set(good["scanner"]), key=scanner_rank):
        own = good[good["scanner"] == scanner]
        cells = [
            number(len(own)),
            number(own["shift_mm"].median(), 2),
            number(own["shift_mm"].max(), 2),
            number(own["turn_deg"].median(), 2),
            number(own["similarity_before"].median(), 3),
            number(own["similarity_after"].median(), 3),
            number(own["similarity_after"].min(), 3),
            _percent(own["lost_noise_variance"].median()),
        ]
        cells += [number(own["error_mm"].max(), 3)] if len(errors) else []
        rows.append({"head": scanner, "cells": [{"main": cell} for cell in cells]})
    heads = [
        "Scanner", "Series", "Shift, median (mm)", "Shift, largest (mm)", "Rotation, median (\N{DEGREE SIGN})",
        "Correlation before, median", "after, median", "after, least", "Noise variance lost, median",
    ]  # fmt: skip
    heads += ["Error, largest (mm)"] if len(errors) else []
    return {
        "n": len(frame),
        "n_stretched": int(frame["detail"].astype(str).str.startswith(STRETCHED).sum()),
        "status": [{"status": str(name), "n": int(status[name])} for name in sorted(status.index)],
        "reference": [_series_words(known.loc[uid]) for uid in references],
        "lost": _lost_words(frame),
        "errors": {"n": len(errors), "median": number(errors.median(), 3), "largest": number(errors.max(), 3)}
        if len(errors)
        else None,
        "table": {"columns": heads, "rows": rows, "kind": "grid"},
    }


def grid_words(mode: str, transforms: pd.DataFrame | None) -> str:
    """Tell on which grid the series lie and how often each was interpolated, from what interpolation took from the
    reference's noise; where `transforms` do not say, from the mode."""
    lost = np.nan
    if transforms is not None:
        lost = transforms.loc[transforms["status"] == "reference", "lost_noise_variance"].astype(float).median()
    on_own_grid = lost == 0 if is_number(lost) else MODES[mode].grid_move == 0
    if on_own_grid:
        return (
            "All series lie on the reference's grid: the others after one rigid registration and one interpolation "
            "each, the reference as it is, without any."
        )
    return (
        "All series lie on one common grid after one rigid registration and one interpolation each, the reference too, "
        "whose own grid is another."
    )


def _lost_words(frame: pd.DataFrame) -> str:
    """How much white noise the interpolation to the common grid takes from the reference and from the others."""
    lost = frame["lost_noise_variance"].astype(float)
    own, others = lost[frame["status"] == "reference"].median(), lost[frame["status"] == "registered"].median()
    if not (is_number(own) and is_number(others)):
        return ""
    words = (
        f"The interpolation takes {_percent(own)} of the variance of white noise from the reference, and "
        f"{_percent(others)} from the other series in the median"
    )
    if own == 0 < others:
        return (
            f"{words}: the reference alone escapes it, and other series of its scanner nearly do, so that noise, "
            "texture features and what is made of them are not of one kind between them and the others (point 22; mode "
            "corrected treats all alike)."
        )
    return f"{words} (point 22)."


def _series_words(row: pd.Series) -> str:
    return f"{row['scanner']}, {row['dose_mgy']:g} mGy, {row['recon']} #{row['repetition']}"


def rounding_view(registered: pd.DataFrame | None) -> dict | None:
    """Tell which series have fractions of a HU, which are rounded, and by how much at most; None where the index does
    not say."""
    if registered is None or "rounding_hu" not in registered.columns or registered["rounding_hu"].isna().all():
        return None
    rounded = registered[registered["rounding_hu"] > 0].drop_duplicates("series_uid")
    rows = [
        {"head": _series_words(row), "cells": [{"main": number(row["rounding_hu"], 3)}, {"main": row["series_uid"]}]}
        for _, row in rounded.iterrows()
    ]
    return {
        "n": len(rounded),
        "n_series": registered["series_uid"].nunique(),
        "largest": number(rounded["rounding_hu"].max(), 3),
        "long": len(rows) > 5,
        "table": {"columns": ["Series", "Rounded by at most (HU)", "Series UID"], "rows": rows, "kind": "grid"},
    }


def patch_overlaps(patches: pd.DataFrame) -> pd.DataFrame:
    """Return the mean share of their volume that two patches of a ROI have in common, and of their voxels inside it, by
    ROI."""
    lines = []
    for roi, rows in patches.groupby("roi", sort=True):
        centres = rows[["slice", "row", "column"]].to_numpy(float)
        apart = np.abs(centres[:, None] - centres[None]) / np.array(PATCH_SHAPE)
        common = np.clip(1 - apart, 0, None).prod(axis=-1)[np.triu_indices(len(centres), 1)]
        lines.append((roi, len(rows), common.mean() if len(common) else np.nan, rows["share_inside"].mean()))
    return pd.DataFrame(lines, columns=["roi", "n_patches", "mean_overlap", "mean_share_inside"])


def _percent(share: float) -> str:
    return f"{number(100 * share, 0)} %" if is_number(share) else number(None)


def patches_view(patches: pd.DataFrame | None) -> dict | None:
    """Return the patches of each ROI: how many, how far they overlap, how much of them is the ROI."""
    if patches is None:
        return None
    overlaps = patch_overlaps(patches)
    rows = [
        {
            "head": row.roi,
            "cells": [
                {"main": number(row.n_patches)},
                {"main": _percent(row.mean_overlap)},
                {"main": _percent(row.mean_share_inside)},
            ],
        }
        for row in overlaps.itertuples()
    ]
    columns = ["ROI", "Patches", "Shared by two patches, mean", "Inside the ROI, mean"]
    return {"columns": columns, "rows": rows, "kind": "grid", "overlap": bool((overlaps["mean_overlap"] > 0).any())}


def weights_view(facts: dict) -> list[dict]:
    """Tell where each extractor's weights come from."""
    rows = []
    known = extractors_of(facts)
    for extractor in in_order(facts["weights"], known):
        weights = facts["weights"][extractor]
        rows.append(
            {
                "name": title_of(extractor, known),
                "status": weights["status"],
                "trained": weights["status"] in TRAINED,
                "mark": weights_mark(facts, extractor),
                "words": weights["words"],
                "file": weights["file"],
                "sha256": weights["sha256"],
            }
        )
    return rows


CHOICES = ("params_file", "intensity", "patch_voxels", "source", "layer", "pooling", "patch_merging", "batch", "device",
           "precision")  # fmt: skip
"""Entries of an extractor's settings that tell how its features were made."""


def _checked(values: dict) -> str:
    """How many of an extractor's rows a reference computed, too, and the largest difference."""
    if values.get("engine") == "pyradiomics":
        return "not needed: PyRadiomics itself computed all"
    if not values.get("verified"):
        return "none"
    reference = "PyRadiomics" if "engine" in values else values.get("reference", "the library")
    return (
        f"{counted(int(values['verified']), 'row')} against {reference}: largest relative difference "
        f"{values['largest_difference']:.1e} ({values['largest_difference_at']}); more than {values['tolerance']:g} "
        "would have ended the run"
    )


def extractors_view(settings: dict[str, dict], known: dict[str, Extractor]) -> dict | None:
    """Tell how each extractor's features were made, and what was checked, from the extractors' settings."""
    rows = []
    for extractor in in_order(settings, known):
        values = settings[extractor]
        how = [f"{values['engine']} engine: {values['engine_reason']}"] if "engine" in values else []
        how += [f"{name.replace('_', ' ')} {values[name]}" for name in CHOICES if values.get(name) is not None]
        how += ["given by the user"] if values.get("status") == "given" else []
        texts = (number(values.get("n_features")), "; ".join(how), _checked(values))
        rows.append({"head": title_of(extractor, known), "cells": [{"main": text, "left": True} for text in texts]})
    columns = ["Extractor", "Features", "How they were made", "Rows that were computed twice"]
    return {"columns": columns, "rows": rows, "kind": "words"} if rows else None


def checks_view(facts: dict) -> dict | None:
    """Tell what tasks computed twice, from the facts of a run; features have `extractors_view`."""
    rows = []
    for check in facts.get("checks", []):
        unit = f" {check['unit']}" if check["unit"] else ""
        texts = (
            check["library"],
            f"{number(check['n'])} {check['counted']}",
            f"{number(check['largest'])}{unit}",
            f"{check['tolerance']:g}{unit}",
        )
        rows.append({"head": check["words"], "cells": [{"main": text, "left": True} for text in texts]})
    columns = ["What was computed twice", "By", "How many", "Largest difference", "Must not exceed"]
    return {"columns": columns, "rows": rows, "kind": "words"} if rows else None


def merge_usage(usage: list[dict]) -> tuple[list[dict], dict[str, str]]:
    """Return the tasks, CPU and wall seconds and peak memory by script, and the versions that any of them used."""
    scripts: dict[str, dict] = {}
    versions: dict[str, set] = {}
    for task in usage:
        if "script" not in task:
            continue
        row = scripts.setdefault(task["script"], {"n": 0, "cpu_s": 0.0, "wall_s": 0.0, "peak_rss_mb": 0.0})
        row["n"] += 1
        row["cpu_s"] += float(task["cpu_s"])
        row["wall_s"] += float(task["wall_s"])
        row["peak_rss_mb"] = max(row["peak_rss_mb"], float(task["peak_rss_mb"]))
        for name, version in task.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(version))
    rows = [{"script": name, **scripts[name]} for name in sorted(scripts)]
    return rows, {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}


def usage_view(rows: list[dict]) -> dict | None:
    """Return the rows of `merge_usage` as cells, with their sums."""
    if not rows:
        return None
    lines = [
        {"head": row["script"], "cells": [{"main": number(row["n"])}, {"main": number(row["cpu_s"], 1)},
                                          {"main": number(row["wall_s"], 1)}, {"main": number(row["peak_rss_mb"], 0)}]}
        for row in rows
    ]  # fmt: skip
    totals = [sum(row["n"] for row in rows), sum(row["cpu_s"] for row in rows), sum(row["wall_s"] for row in rows)]
    cells = [
        number(totals[0]),
        number(totals[1], 1),
        number(totals[2], 1),
        number(max(row["peak_rss_mb"] for row in rows), 0),
    ]
    lines.append({"head": "all", "cells": [{"main": cell} for cell in cells], "strong": True})
    columns = ["Script", "Tasks", "CPU time (s)", "Time of tasks, summed (s)", "Peak memory (MB)"]
    return {"columns": columns, "rows": lines, "kind": "grid"}
