"""Data of the views that move: points of UMAP and of principal components, and features sorted by ICC."""

import base64
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import MAKERS, RECONSTRUCTIONS, ROIS, TISSUES, scanner_rank
from ct4bench.core.colours import (
    MAKER_COLOURS,
    MANY_COLOURS,
    class_colour,
    colour_of,
    ordered_colours,
)
from ct4bench.core.extractors import extractors_of, in_order
from ct4bench.core.regions import Phantom, phantom_of
from ct4bench.results.run_facts import extractor_title

FORMS = ("ICC(2,1)", "ICC(3,1)", "ICC(1,1)")
GRADES = ((0, "0"), (0.5, "0.5"), (0.75, "0.75"), (0.9, "0.9"), (1, "1"))
FULL_SCALE = 65535
SETS = {"figure6": "all regions", "figure5": "the first cyst"}
"""Rows of the embedding by the figure that shows them, in words."""


@dataclass(frozen=True)
class View:
    """A view of the page: `kind` names its script, `data` is its block of JSON."""

    kind: str
    title: str
    text: str
    data: dict


def _packed(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def _places(x: pd.Series, y: pd.Series) -> str:
    """Both coordinates on one scale, so that a plane keeps its shape, as 16 bits each."""
    low = np.array([x.min(), y.min()])
    span = np.array([x.max(), y.max()]) - low
    scaled = [(np.asarray(v, float) - a) / (s or 1.0) * FULL_SCALE for v, a, s in zip((x, y), low, span, strict=True)]
    return _packed(np.concatenate(scaled).round(), "<u2")


def _scale(by: str, title: str, values, names=str, colours=None) -> dict:
    values = list(values)
    colours = colours or [MANY_COLOURS[i % len(MANY_COLOURS)] for i in range(len(values))]
    items = [{"value": v, "title": names(v), "colour": c} for v, c in zip(values, colours, strict=True)]
    return {"by": by, "title": title, "values": items}


def _ordered(values, known: tuple) -> list:
    found = set(values)
    return [value for value in known if value in found] + sorted(found - set(known))


def _series_of(registered: pd.DataFrame, uids: list[str]) -> list[dict]:
    rows = registered.drop_duplicates("series_uid").set_index("series_uid").loc[uids]
    return [
        {"uid": uid, "scanner": str(row["scanner"]), "maker": str(row["maker"]), "dose": f"{row['dose_mgy']:g}",
         "recon": str(row["recon"]), "repetition": str(row["repetition"])}
        for uid, row in rows.iterrows()
    ]  # fmt: skip


def _colours(series: list[dict], rois: list[str], phantom: Phantom) -> list[dict]:
    """The ways to colour points, the first one first."""

    def of(key):
        return {row[key] for row in series}

    tissues, makers = _ordered(map(phantom.class_of, rois), TISSUES), _ordered(of("maker"), MAKERS)
    doses = sorted(of("dose"), key=float)
    return [
        _scale("tissue", phantom.class_word, tissues, colours=[class_colour(t, tissues) for t in tissues]),
        _scale("roi", "region", rois),
        _scale("scanner", "scanner", sorted(of("scanner"), key=scanner_rank)),
        _scale("maker", "maker", makers, colours=[colour_of(m, MAKER_COLOURS, makers) for m in makers]),
        _scale("recon", "reconstruction", _ordered(of("recon"), RECONSTRUCTIONS)),
        _scale("dose", "dose", doses, names=lambda dose: f"{dose} mGy", colours=ordered_colours(len(doses))),
    ]


def points_view(embedding: pd.DataFrame | None, registered: pd.DataFrame | None, facts: dict,
                quality: pd.DataFrame | None = None, thumbnails: dict | None = None) -> View | None:  # fmt: skip
    """Return the points of the embedding; None where the run has none, or no table of its series.

    `quality` is embedding_quality.csv, `thumbnails` are patches.view.json. Of a figure's rows, series, region and patch
    are written once for all feature sets that have the same.
    """
    if embedding is None or embedding.empty or registered is None:
        return None
    embedding = embedding[embedding["series_uid"].isin(registered["series_uid"])]
    uids = sorted(set(embedding["series_uid"]))
    series = _series_of(registered, uids)
    rois, phantom = _ordered(embedding["roi"], ROIS), phantom_of(facts)
    first = embedding.loc[embedding["figure"] == "figure5", "roi"]
    names = SETS | ({} if phantom.is_published or first.empty else {"figure5": f"the region {first.iloc[0]}"})
    number, rows, kept, sets = {uid: i for i, uid in enumerate(uids)}, [], {}, []
    for figure in _ordered(embedding["figure"], tuple(SETS)):
        own = embedding[embedding["figure"] == figure]
        for extractor in in_order(own["extractor"], extractors_of(facts)):
            part = own[own["extractor"] == extractor].sort_values(["series_uid", "roi", "patch"], kind="stable")
            keys = {
                "series": _packed(part["series_uid"].map(number), "<u2"),
                "roi": _packed(part["roi"].map(rois.index), "u1"),
                "patch": _packed(part["patch"], "<u2"),
            }
            name = tuple(keys.values())
            if name not in kept:
                kept[name] = len(rows)
                rows.append(keys)
            title = f"{extractor_title(extractor, facts)}, {names.get(figure, figure)}"
            words = f"{len(part)} patches of {part['series_uid'].nunique()} series."
            sets.append({
                "title": title, "rows": kept[name], "words": words, "shares": _shares(quality, figure, extractor),
                "umap": _places(part["umap_1"], part["umap_2"]), "pca": _places(part["pca_1"], part["pca_2"]),
            })  # fmt: skip
    label = f"Points of {len(sets)} sets of features: patches that lie close have like features"
    data = {"series": series, "rois": rois, "tissues": [phantom.class_of(roi) for roi in rois], "rows": rows,
            "sets": sets, "colours": _colours(series, rois, phantom), "label": label}  # fmt: skip
    shown = ""
    if thumbnails:
        data["thumbnails"] = {**thumbnails, "image": f"data:image/webp;base64,{thumbnails['image']}"}
        n, of = len(thumbnails["series"]), thumbnails["n_series"]
        low, high = (f"{value:.0f}".replace("-", "\N{MINUS SIGN}") for value in thumbnails["gray_hu"])
        some = "" if n == of else f", of {n} of the {of} series"
        shown = f" and its middle slice (gray from {low} to {high} HU{some})"
    text = phantom.words(
        f"Each point is a patch; point at one to see which{shown}, or go from point to point with the arrow keys. Do "
        "colours that stand for scanners, makers or reconstructions lie apart, where those of one tissue should lie "
        "together? UMAP keeps neighbours, not distances; principal components keep distances of what they show."
    )
    return View("points", "Patches in the plane", text, data)


def _shares(quality: pd.DataFrame | None, figure: str, extractor: str) -> str:
    """What the two components show of the variance, in words."""
    if quality is None or "pca_share_1" not in quality.columns:
        return ""
    own = quality[(quality["figure"] == figure) & (quality["extractor"] == extractor)]
    if own.empty or own[["pca_share_1", "pca_share_2"]].isna().any(axis=None):
        return ""
    first, second = own.iloc[0][["pca_share_1", "pca_share_2"]]
    return f"The two components show {100 * first:.0f} and {100 * second:.0f} % of the variance."


def _listed(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 4) for value in values]


def ranks_view(icc: pd.DataFrame | None, facts: dict) -> View | None:
    """Return every feature's ICC over all rows with its interval, by extractor; None where the run has none."""
    if icc is None or icc.empty:
        return None
    rows = icc[(icc["stratum"] == "all") & icc["form"].isin(FORMS)]
    if rows.empty:
        return None
    sets = []
    for extractor in in_order(rows["extractor"], extractors_of(facts)):
        own = rows[rows["extractor"] == extractor]
        first = own.drop_duplicates("feature")
        names, classes = list(first["feature"]), sorted(set(first["feature_class"]))
        values = {}
        for form in FORMS:
            part = own[own["form"] == form].drop_duplicates("feature").set_index("feature").reindex(names)
            values[form] = [_listed(part[column]) for column in ("icc", "ci_low", "ci_high")]
        sets.append({
            "title": extractor_title(extractor, facts), "names": names, "classes": classes,
            "kinds": [classes.index(name) for name in first["feature_class"]], "values": values,
            "colours": [MANY_COLOURS[i % len(MANY_COLOURS)] for i in range(len(classes))],
        })  # fmt: skip
    forms = [form for form in FORMS if form in set(rows["form"])]
    n = sum(len(part["names"]) for part in sets)
    label = f"{n} features sorted by ICC, each with its 95 % interval"
    data = {"sets": sets, "forms": forms, "grades": GRADES, "label": label}
    text = (
        "Every feature, the most alike between scanners first, with its 95 % interval; point at one for its name. "
        "ICC(2,1) sees constant offsets between scanners, ICC(3,1) does not. Lines at 0.5, 0.75 and 0.9 divide poor, "
        "moderate, good and excellent."
    )
    return View("ranks", "Features by their stability", text, data)
