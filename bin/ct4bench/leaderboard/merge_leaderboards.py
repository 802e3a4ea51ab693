"""Results of several runs in one leaderboard: they must be of the same data, splits, contract and versions.

Each run writes comparison.json (core/schemas/comparison.json), which says what these are.
"""

# code-data: ct4bench/core/schemas/comparison.json
# code-table: leaderboard.csv
# code-table: leaderboard_makers.csv
# code-table: leaderboard_seeds.csv
# code-table: methods.csv

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.contract import CONTRACT_VERSION, columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import feature_columns
from ct4bench.core.json_files import read_object
from ct4bench.core.tables import read_table
from ct4bench.core.yaml_files import fault_of
from ct4bench.leaderboard.assemble import told_reasons
from ct4bench.leaderboard.content import texts
from ct4bench.leaderboard.rank import METHOD_COLUMNS, make_leaderboard, maker_effects
from ct4bench.leaderboard.score import SCORE_COLUMNS
from ct4bench.leaderboard.score_list import PRIMARY

PACKAGES = ("numba", "numpy", "pandas", "scikit-learn", "scipy")
"""What trainings and scores are computed with: two runs must have the same. What features are made with is seen in
their values."""
COMPARISON, METHODS, SCORES = "comparison.json", "methods.csv", "scores.csv"
BOARD, MAKERS, SEEDS = "leaderboard.csv", "leaderboard_makers.csv", "leaderboard_seeds.csv"
SAME_VALUES = 1e-6
"""Largest difference of a feature's mean or SD, in its SD, between machines that computed the same features."""
SAME_SCORE = 1e-3
"""Largest difference of a score between machines: one test row in a thousand falls otherwise."""


def package_versions() -> dict[str, str]:
    """Return the versions of `PACKAGES` in this environment."""
    return {name: version(name) for name in PACKAGES}


def _sha256(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(values: np.ndarray) -> list[float | None]:
    """Numbers to ten digits, as JSON has them."""
    return [float(f"{value:.10g}") if np.isfinite(value) else None for value in values.tolist()]


def _fingerprint(table: pd.DataFrame) -> dict:
    """What a table of features is told by, whatever the order of its rows and columns."""
    names = sorted(feature_columns(table))
    keys = table[FEATURE_KEY].astype({"dose_mgy": float}).sort_values(ROW_KEY, kind="stable")
    values = table[names].to_numpy(np.float64)
    with np.errstate(all="ignore"):
        mean, sd = values.mean(axis=0), values.std(axis=0)
    lines = keys.astype(str).agg("|".join, axis=1).tolist()
    numbers = {"mean": _plain(mean), "sd": _plain(sd)}
    return {"n_rows": len(table), "rows": _sha256(lines), "names": _sha256(names)} | numbers


def comparison_of(
    features: dict[str, pd.DataFrame], splits: pd.DataFrame, settings: dict, versions: dict[str, str],
    weights: dict[str, str] | None = None,
) -> dict:  # fmt: skip
    """Return the contents of comparison.json: what two runs must share for their methods to be compared.

    `features` are the tables of `none` by extractor, in the order of tables, `splits` the rows of splits.csv of `none`,
    `settings` what else decides a score (`domain` and `seed` among them, mode, harmonize_by, …: plain values),
    `versions` those of the bundle, of its methods and of the packages that scores depend on (`package_versions`),
    `weights` the status of extractors' weights. Keys of rows, names and splits go in as SHA-256; values as mean and SD
    of each feature, which another kind of machine repeats to the last digits only.
    """
    settings = dict(settings)
    domain, seed = settings.pop("domain"), settings.pop("seed")
    lines = sorted(splits.astype(str).agg("|".join, axis=1))
    makers: dict[str, str] = {}
    for table in features.values():
        makers |= dict(sorted(zip(texts(table[domain]).tolist(), table["maker"], strict=True)))
    return {
        "contract": CONTRACT_VERSION, "versions": dict(sorted(versions.items())), "domain": domain, "seed": seed,
        "settings": dict(sorted(settings.items())), "splits": _sha256(lines),
        "features": {extractor: _fingerprint(table) for extractor, table in features.items()},
        "makers": makers, "weights": dict(sorted((weights or {}).items())),
    }  # fmt: skip


def write_comparison(comparison: dict, path: Path | str) -> None:
    """Write comparison.json; a `ValueError` where it is not by its schema."""
    if fault := fault_of(comparison, "comparison"):
        raise ValueError(f"{path}: {fault}")
    Path(path).write_text(json.dumps(comparison, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_comparison(folder: Path | str) -> dict:
    """Read comparison.json of a folder of results; `UserError` where it is none."""
    path = Path(folder) / COMPARISON
    if not path.is_file():
        raise UserError(f"{folder} has no {COMPARISON}: it is no folder of results with a leaderboard")
    values = read_object(path)
    if fault := fault_of(values, "comparison"):
        raise UserError(f"{path} is not by its schema: {fault}; make it again with this version")
    return values


def differences_between(one: dict, other: dict, seeds: bool = False) -> list[str]:
    """Return what two comparison.json differ in, some words each; empty where their methods can be compared.

    `seeds` leaves out the seed and what is drawn from it, the splits.
    """
    found = []
    for name in ("contract", "domain", *(() if seeds else ("seed",))):
        if one[name] != other[name]:
            found.append(f"{name} {one[name]} and {other[name]}")
    for group in ("versions", "settings", "weights", "makers"):
        for name in sorted({*one[group], *other[group]}):
            pair = [values[group].get(name, "none") for values in (one, other)]
            # a method of one run alone has its version there; a package that is not told may be any
            alone = group == "versions" and "none" in pair and name not in PACKAGES
            if pair[0] != pair[1] and not alone:
                found.append(f"{group}: {name} {pair[0]} and {pair[1]}")
    if not seeds and one["splits"] != other["splits"]:
        found.append("splits: other rows train or test (splits.csv)")
    for extractor in sorted({*one["features"], *other["features"]}):
        pair = [values["features"].get(extractor) for values in (one, other)]
        if None in pair:
            found.append(f"features: {extractor} is in one alone")
        else:
            found += [f"features of {extractor}: {words}" for words in _other_features(*pair)]
    return found


def _other_features(one: dict, other: dict) -> list[str]:
    """What two fingerprints of tables of features differ in."""
    if one["rows"] != other["rows"]:
        return [f"other series, regions or patches ({one['n_rows']} and {other['n_rows']} rows)"]
    if one["names"] != other["names"]:
        return ["other features"]
    mean, sd = (np.array([table[name] for table in (one, other)], np.float64) for name in ("mean", "sd"))
    reach = SAME_VALUES * np.maximum(np.fmax(*sd), 1e-12 * np.fmax(*np.abs(mean)))
    with np.errstate(invalid="ignore"):
        apart = ~(np.maximum(np.abs(mean[0] - mean[1]), np.abs(sd[0] - sd[1])) <= reach)
    apart &= np.isfinite(mean).any(axis=0)
    return [f"other values ({int(apart.sum())} of {len(apart)} features)"] if apart.any() else []


def read_scores(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the methods of a folder of results, and the scores of those that have some with a column `method`."""
    methods = read_table(Path(folder) / METHODS, METHOD_COLUMNS)
    parts = []
    for method in methods["method"]:
        path = Path(folder) / str(method) / SCORES
        if path.is_file():
            table = read_table(path, SCORE_COLUMNS)
            parts.append(table.assign(method=method, reason=told_reasons(table, path.parent)))
    if not parts:
        raise UserError(f"{folder} has scores of no method (<method>/{SCORES})")
    return methods, pd.concat(parts, ignore_index=True)


def stack_runs(
    runs: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stack methods and scores of several runs, (name, methods, scores) each; a method that several have comes once,
    and `UserError` names it where what it is or its scores differ."""
    key = ["extractor", "score", "fit", "part", "unit"]
    methods, scores, owner = {}, {}, {}
    for name, of_run, values in runs:
        for row in of_run.to_dict("records"):
            method, own = row["method"], values[values["method"] == row["method"]]
            if method in methods and len(scores[method]) and len(own):
                told = [column for column in METHOD_COLUMNS if methods[method][column] != row[column]]
                both = scores[method].merge(own, on=key, how="outer", suffixes=("", "_other"))
                apart = (both["value"] - both["value_other"]).abs() > SAME_SCORE
                apart |= both["value"].isna() != both["value_other"].isna()
                if told or apart.any():
                    what = ", ".join(told) or f"score {both['score'][apart].iloc[0]}"
                    raise UserError(f"{name} and {owner[method]}: the method {method} differs ({what})")
            if method not in methods or (len(own) and not len(scores[method])):
                methods[method], scores[method], owner[method] = row, own, name
    return pd.DataFrame(list(methods.values())), pd.concat(list(scores.values()), ignore_index=True)


def rank_over_seeds(boards: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return leaderboard_seeds.csv: the ranks of each method over runs of several seeds, and its differences to `none`.

    `boards` are the rows of leaderboard.csv by seed.
    """
    rows = [board[(board["score"] == PRIMARY) & board["rank"].notna()] for board in boards.values()]
    grouped = pd.concat(rows, ignore_index=True).groupby(["extractor", "information", "method"], sort=True)
    found = grouped.agg(
        n_seeds=("rank", "size"), rank_mean=("rank", "mean"), rank_lowest=("rank", "min"), rank_highest=("rank", "max"),
        difference_lowest=("difference", "min"), difference_highest=("difference", "max"),
    ).reset_index()  # fmt: skip
    order = found.sort_values(["extractor", "information", "rank_mean", "method"], kind="stable")
    return order.reset_index(drop=True)[columns_of("leaderboard_seeds.csv")]


def merge_leaderboards(folders: Sequence[Path | str], over_seeds: bool = False) -> dict[str, pd.DataFrame]:
    """Merge the results of several runs into one leaderboard; `UserError` names what differs.

    Each folder is one of results: comparison.json, methods.csv, and <method>/scores.csv of each method. With
    `over_seeds` runs may be of several seeds: the leaderboard is that of the smallest one, and a table says how ranks
    move over them. Returns the tables by file name.
    """
    comparisons = [read_comparison(folder) for folder in folders]
    by_seed: dict[int, list[int]] = {}
    for number, comparison in enumerate(comparisons):
        by_seed.setdefault(comparison["seed"], []).append(number)
    if len(by_seed) > 1 and not over_seeds:
        raise UserError(
            f"runs of the seeds {', '.join(map(str, sorted(by_seed)))} are compared with --over_seeds alone"
        )
    for number, comparison in enumerate(comparisons[1:], 1):
        first = by_seed[comparison["seed"]][0]
        other_seed = first == number
        if found := differences_between(comparisons[0 if other_seed else first], comparison, other_seed):
            raise UserError(f"{folders[number]} cannot be merged: {'; '.join(found)}")
    boards, tables = {}, {}
    for seed, numbers in sorted(by_seed.items()):
        methods, scores = stack_runs([(str(folders[number]), *read_scores(folders[number])) for number in numbers])
        about = comparisons[numbers[0]]
        boards[seed] = make_leaderboard(
            scores, methods, weights=about["weights"], seed=seed, domain=about["domain"],
            extractors=list(about["features"]),
        )  # fmt: skip
        tables = tables or {BOARD: boards[seed], MAKERS: maker_effects(scores, methods, about["makers"])}
    return tables | ({SEEDS: rank_over_seeds(boards)} if over_seeds else {})
