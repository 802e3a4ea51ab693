"""Facts of a run that every figure and table states (run_facts.json)."""

import json
from pathlib import Path

import pandas as pd

from ct4bench.core.benchmark import NO_METHOD, RECONSTRUCTIONS, scanner_rank
from ct4bench.core.checks import entry, merge_checks
from ct4bench.core.contract import CONTRACT_VERSION
from ct4bench.core.errors import UserError, counted
from ct4bench.core.extractors import Extractor, extractors_of, read_extractors, shown_of, title_of
from ct4bench.core.json_files import read_object
from ct4bench.core.tables import read_table
from ct4bench.results.published import N_SERIES

SYNTHETIC, COLLECTION, OTHER, MIXED, UNKNOWN = "synthetic", "collection", "other", "mixed", "unknown"
ORIGINS = {
    SYNTHETIC: "synthetic input: simulated series, made to stand in for the collection",
    COLLECTION: "series of the collection",
    OTHER: "series that are not the collection's",
    MIXED: "input of mixed origin",
    UNKNOWN: "features from a table, of unknown origin",
}
NOT_COMPARABLE = {
    SYNTHETIC: "not comparable: synthetic input",
    OTHER: "not comparable: not the collection's series",
    MIXED: "not comparable: input of mixed origin",
    UNKNOWN: "not comparable: input of unknown origin",
}
"""Why no difference to a published value is claimed."""
CONTRAST_LABELS = {
    "other_recon": "other reconstruction of the same scan",
    "other_repetition": "other scan, same settings",
    "other_dose": "other dose",
    "other_scanner": "other scanner of the maker",
    "other_maker": "other maker",
}
"""What the two series of a pair of the decomposition differ in."""
EXCEPTIONS = {"paper": (5, 6, 11, 15)}
"""Points of docs/deviations.md where a mode that is 'as published' is not."""
TRAINED = ("released", "user")
"""Weights' statuses that need no mark on a figure."""
WEIGHED = {"extractor": "weights", "first": "weights_first", "second": "weights_second"}
"""Columns of extractors, and what those of their weights are called."""
IMAGELESS = f"the method maps features: its images are those of {NO_METHOD}"
"""Why a method has no tables of images."""
COLUMNS = ("series_uid", "scanner", "dose_mgy", "recon", "repetition")


def origin_of(series: pd.DataFrame) -> str:
    """Return the one origin that all rows have, `mixed` where they differ, `unknown` where the table has no such
    column."""
    if "origin" not in series.columns or series.empty:
        return UNKNOWN
    found = sorted(set(series["origin"]))
    known = found[0] if found[0] in (SYNTHETIC, COLLECTION) else OTHER
    return known if len(found) == 1 else MIXED


def origin_of_features(settings: dict[str, dict]) -> str:
    """Find the one origin that all tables of features came with; `unknown` where one came with none."""
    found = {str(values.get("origin") or UNKNOWN) for values in settings.values()}
    if not found or UNKNOWN in found:
        return UNKNOWN
    (one,) = found if len(found) == 1 else {MIXED}
    return one if one in (SYNTHETIC, COLLECTION, OTHER) else MIXED


def _listed(values, unit: str = "") -> str:
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{text} {unit}".strip()


def part_text(series: pd.DataFrame, origin: str) -> str:
    """Say how many series of which scanners, doses and reconstructions."""
    n = len(series)
    what = {SYNTHETIC: f"{n} synthetic series", COLLECTION: f"{n} of the collection's {N_SERIES} series"}
    n_scanners = series["scanner"].nunique()
    recons = [name for name in RECONSTRUCTIONS if name in set(series["recon"])]
    recons += sorted(set(series["recon"]) - set(recons))
    doses = _listed(sorted({float(dose) for dose in series["dose_mgy"]}), "mGy")
    scanners = sorted(set(series["scanner"]), key=scanner_rank)
    named = f" ({', '.join(scanners)})" if n_scanners > 1 else f" {scanners[0]}"
    n_repetitions = series["repetition"].nunique()
    start = what.get(origin, counted(n, "series", "series"))
    return (
        f"{start}: {counted(n_scanners, 'scanner')}{named}; {doses}; {_listed(recons)}; "
        f"{counted(n_repetitions, 'repetition')}"
    )


def weights_of(settings: dict[str, dict]) -> dict[str, dict]:
    """Return the status and words of each extractor's weights, from the extractors' settings by extractor."""
    found = {}
    for extractor, values in sorted(settings.items()):
        weights = values.get("weights")
        if isinstance(weights, dict):
            found[extractor] = {key: str(weights.get(key, "")) for key in ("status", "words", "file", "sha256")}
    return found


def make_run_facts(
    series: pd.DataFrame,
    mode: str,
    settings: dict[str, dict],
    method: str = NO_METHOD,
    domain: str = "scanner",
    extractors: dict[str, Extractor] | None = None,
) -> dict:
    """Make the facts of a run.

    `series` has a row for each series (the columns `COLUMNS`, scan_id and origin where known) or several, as feature
    tables have; `settings` are the extractors' settings by extractor, `extractors` those that the benchmark knows
    (default: the list in assets/).
    """
    series = series.drop_duplicates("series_uid")
    if series.empty:
        raise UserError("no series is left to report on; quarantine.csv says why each was set aside")
    origin = origin_of(series)
    if origin == UNKNOWN:
        origin = origin_of_features(settings)
    counts = series["recon"].value_counts()
    return {
        "contract": CONTRACT_VERSION,
        "method": method,
        "mode": mode,
        "exceptions": list(EXCEPTIONS.get(mode, ())),
        "domain": domain,
        "origin": origin,
        "origin_words": ORIGINS[origin],
        "part": part_text(series, origin),
        "n_series": len(series),
        "n_scans": int(series["scan_id"].nunique()) if "scan_id" in series.columns else None,
        "scanners": sorted(set(series["scanner"]), key=scanner_rank),
        "doses_mgy": sorted({float(dose) for dose in series["dose_mgy"]}),
        "series_by_recon": {recon: int(counts[recon]) for recon in sorted(counts.index)},
        "series_by_origin": {str(name): int(n) for name, n in sorted(series["origin"].value_counts().items())}
        if "origin" in series.columns
        else {},
        "weights": weights_of(settings),
        "extractors": shown_of(read_extractors() if extractors is None else extractors),
        "modes_of_features": sorted({str(values["mode"]) for values in settings.values() if values.get("mode")}),
    }


def checks_of(paths, trainings: pd.DataFrame | None, quality: pd.DataFrame | None) -> list[dict]:
    """Return what tasks computed twice, an entry for each kind (`core.checks`): from their checks.json, and what
    trainings.csv and embedding_quality.csv say of themselves."""
    found = merge_checks(paths)
    for kind, table, name in (
        ("training", trainings, "largest_loss_difference"),
        ("layout", quality, "layout_difference"),
    ):
        rows = pd.DataFrame() if table is None else table[table[name].notna()]
        if len(rows):
            worst = rows.loc[rows[name].idxmax()]
            n = int(rows["n_steps_verified"].sum()) if kind == "training" else len(rows)
            found.append(entry(kind, n, float(f"{worst[name]:.1e}"), f"features {worst['extractor']}"))
    return found


def stamp_text(facts: dict, extractors=()) -> str:
    """Return the few words that a figure carries: synthetic input, untrained weights of `extractors`, another mode."""
    words = []
    if facts["origin"] == SYNTHETIC:
        words.append("synthetic data")
    if facts["mode"] != "paper":
        words.append(f"mode {facts['mode']}")
    if facts["method"] != NO_METHOD:
        words.append(f"method {facts['method']}")
    marks = {extractor: weights_mark(facts, extractor) for extractor in extractors}
    words += [f"{mark}: {extractor}" for extractor, mark in marks.items() if mark]
    return " \N{MIDDLE DOT} ".join(words)


def weights_status(facts: dict, extractor: str) -> str:
    """Return `random`, `stand-in`, … where an extractor's weights are not trained ones, else blank."""
    status = facts["weights"].get(extractor, {}).get("status", "")
    return "" if status in TRAINED else status


def weights_words(facts: dict, extractor: str) -> str:
    """Return what an extractor's weights are, blank where it has none."""
    return facts["weights"].get(extractor, {}).get("words", "")


def weights_mark(facts: dict, extractor: str) -> str:
    """Return the words for weights that are not trained ones: `random weights`, or what a stand-in was trained on; else
    blank."""
    status = weights_status(facts, extractor)
    words = weights_words(facts, extractor)
    return words if status == "stand-in" and words else f"{status} weights" if status else ""


def extractor_title(extractor: str, facts: dict) -> str:
    """Return the paper's name of an extractor, with the status of its weights where they are not trained ones."""
    status = weights_status(facts, extractor)
    name = title_of(extractor, extractors_of(facts))
    return f"{name} ({status} weights)" if status else name


def read_run_facts(path: Path | str) -> dict:
    """Read the facts of a run from a file that `write_run_facts` wrote."""
    former = Path(path).with_name("labels.json")
    if not Path(path).is_file() and former.is_file():
        raise UserError(
            f"{former.parent} holds tables of ct4bench 0.1.0 (labels.json for run_facts.json); make them again with "
            "this version's make_tables.py (docs/renames.csv lists what changed)"
        )
    values = read_object(path)
    if values.get("contract", 0) > CONTRACT_VERSION:
        raise UserError(
            f"{path} is of a later version of ct4bench (contract of outputs {values['contract']}, this one reads "
            f"{CONTRACT_VERSION}); read it with that version"
        )
    missing = [key for key in ("method", "mode", "origin", "part", "weights") if key not in values]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}; make it again with make_tables.py")
    return values


def write_run_facts(facts: dict, path: Path | str) -> None:
    """Write facts as JSON; the same facts give the same bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_settings(paths) -> dict[str, dict]:
    """Read the extractors' settings by extractor: the file's entry `extractor`, else its name without the suffix."""
    settings = {}
    for path in sorted(map(Path, paths)):
        values = read_object(path)
        settings[str(values.get("extractor", path.stem))] = values
    return settings


def read_series(path: Path | str) -> pd.DataFrame:
    """Read a table of series or of features, a row for each series."""
    return read_table(path, COLUMNS).drop_duplicates("series_uid", ignore_index=True)
