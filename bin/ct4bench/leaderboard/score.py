"""All scores of one method, each beside that of `none` on the same rows: the table <method>/scores.csv.

A score has a row for the `whole`, and one for each scanner: `of` (of this scanner alone, the whole is their mean) or
`without` (the whole without it). Probes have two more, `chance` and `chance_high`. Frames in, frames out.
"""

# code-table: <method>/scores.csv

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import FEATURE_KEY, ROW_KEY
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import feature_columns, plain_units
from ct4bench.leaderboard.accuracies import (
    CELLS,
    NO_SUCH,
    NOT_TRAINED,
    area,
    beside_none,
    by_unit,
    cell_of,
    own_rows,
    unit_of,
)
from ct4bench.leaderboard.content import content_kept, dose_kept, texts, verbatim_rows
from ct4bench.leaderboard.mixing import explained, mixing_within
from ct4bench.leaderboard.probes import PROBES, chance_of, probe_predictions, recalls, standardised
from ct4bench.leaderboard.score_list import read_scores
from ct4bench.splits.adaptation import rows_tested
from ct4bench.splits.splits import TRAINING_KEY, as_text, resolve, sorted_keys
from ct4bench.splits.tasks import COMPARED_N, ONE_TISSUE, PAPERS_TASK
from ct4bench.stability.icc import check_features, mean_icc, mean_icc_without, ratings
from ct4bench.stability.repeatability import discriminability, tissue_contrast, within_scanner

SCORE_COLUMNS = columns_of("<method>/scores.csv")
"""extractor (blank for scores of images), score, fit, part, unit (the scanner, or the maker or region where these are
left out; blank where the part is of all), value, value_none (of `none`, on the same rows), n_rows (test rows, or rows
of features), reason (why there is no value)."""
UNBALANCED = "tissue_unbalanced"
WHOLE, OF, WITHOUT, CHANCE, CHANCE_HIGH = "whole", "of", "without", "chance", "chance_high"
"""Parts."""
FOLD, ALL_ROWS, APART = "fold", "all", "apart"
"""What a method was fitted on for a score: what each fold trains on; all rows; each scanner by a fit without it."""
NOT_GIVEN = "no fold gives it half of its target (images are mapped before, with all tissues)"
"""Why a method has no value with one tissue in the target."""
NOT_APART = "a value of the domain has no features by a fit without it (harmonization.csv)"


def _rows(
    extractor: str, score: str, fit: str, whole: tuple[float, float], part: str = OF,
    units: Iterable[tuple[str, float, float]] = (), n_rows: int = 0, reason: str = "",
) -> list[tuple]:  # fmt: skip
    """Rows of one score: the whole as (value, value_none), then (unit, value, value_none) of each unit."""
    found = [(extractor, score, fit, WHOLE, "", *whole, n_rows, reason)]
    return found + [(extractor, score, fit, part, *unit, n_rows, "") for unit in units]


def _blank(extractor: str, score: str, fit: str, reason: str) -> list[tuple]:
    return _rows(extractor, score, fit, (np.nan, np.nan), reason=reason)


def _frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"n_rows": np.int64})


def _mean(values: Iterable[float]) -> float:
    """Mean of the values that are known, NaN without one."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def score_predictions(
    predictions: pd.DataFrame, none: pd.DataFrame, domain: str = "scanner", unbalanced: pd.DataFrame | None = None,
    none_unbalanced: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the scores of a method's classifiers, `SCORE_COLUMNS`, for every extractor of `none`.

    `predictions` are the rows of predictions.parquet of the method, `none` those of `none`, of which the rows that the
    method was not tested on are left out here: both are compared on the same rows. `domain` is the column of the units
    (scanner), but where makers or regions are left out; it and `maker` must be among the columns of predictions.
    `unbalanced` and `none_unbalanced` are predictions of the run in which a target has one tissue (task `tissue`, LOSO,
    N = 2), for transductive methods. Only the paper's
    classifier (mlp) without an ablation is scored. Scores: tissue_n1, tissue_n2, tissue_n_most, tissue_tenfold,
    tissue_other_dose, tissue_other_recon, tissue_other_roi, tissue_other_maker, tissue_area and, with `unbalanced`,
    tissue_unbalanced; one that cannot be had has its row with the reason.
    """
    found = []
    for extractor in sorted(set(none["extractor"])):
        own, other = (table[table["extractor"] == extractor] for table in (predictions, none))
        rows, plain = beside_none(own, other), own_rows(other)
        for score, chosen in CELLS.items():
            asked, own_cell = chosen(plain), chosen(rows)
            # of the method's largest N only where it is that of none
            own_cell = own_cell[own_cell["n_train"].isin(set(asked["n_train"]))]
            found += _accuracy(extractor, score, by_unit(own_cell, unit_of(score, domain)), len(asked) > 0)
        loso, plain_loso = (cell_of("tissue", "loso")(table) for table in (rows, plain))
        sizes = sorted(set(loso["n_train"]))
        named = f"from N = {', '.join(map(str, sizes))} alone" if sizes and len(sizes) < sizes[-1] else ""
        found += _accuracy(extractor, "tissue_area", area(loso, domain), plain_loso["n_train"].nunique() > 1, named)
        if unbalanced is not None and none_unbalanced is not None:
            own, other = (table[table["extractor"] == extractor] for table in (unbalanced, none_unbalanced))
            units = by_unit(beside_none(own, other), domain)
            found += _accuracy(extractor, UNBALANCED, units, len(own_rows(other)) > 0)
    return _frame(found)


def _accuracy(extractor: str, score: str, units: pd.DataFrame, asked: bool, note: str = "") -> list[tuple]:
    known = units[units["value"].notna() & units["value_none"].notna()] if len(units) else units
    if not len(known):
        return _blank(extractor, score, FOLD, NOT_TRAINED if asked else NO_SUCH)
    whole = float(known["value"].mean()), float(known["value_none"].mean())
    triples = known[["unit", "value", "value_none"]].itertuples(index=False, name=None)
    return _rows(extractor, score, FOLD, whole, OF, triples, int(known["n_rows"].sum()), note)


@dataclass(frozen=True)
class Measured:
    """A score of one table of features."""

    whole: float
    units: dict[str, float] = field(default_factory=dict)
    """Of each scanner, or without it."""
    part: str = OF
    """What `units` are."""
    chance: tuple[float, float] | None = None
    """Of probes: what guessing scores, and what 95 % of the permutations do not exceed."""
    reason: str = ""
    """Why it is not known."""


def score_features(
    features: pd.DataFrame, none: pd.DataFrame, extractor: str, domain: str = "scanner", seed: int = 0,
    fit: str = ALL_ROWS, of_none: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the scores of a method's table of features, `SCORE_COLUMNS`.

    `features` and `none` have the columns of `benchmark.FEATURE_KEY`, then the same features (float64); `UserError`
    where their rows differ. `fit` says what the method was fitted on: `ALL_ROWS`, or `APART` for the table in which
    each scanner's rows come from a fit without it (call once for each table, and stack). `of_none` are
    scores of `none` (`SCORE_COLUMNS`) on the same rows, which need not be measured for each method anew.
    Scores: those of `measure_features`.
    """
    table, none = same_rows(features, none)
    measured = measure_features(table, none, domain, seed)
    if of_none is not None:
        others = measured_before(of_none, extractor, fit)
    else:
        others = measured if table.equals(none) else measure_features(none, none, domain, seed)
    found = []
    for score, own in measured.items():
        other = others[score]
        if own.reason or other.reason:
            found += _blank(extractor, score, fit, own.reason or other.reason)
            continue
        units = [(unit, value, other.units.get(unit, np.nan)) for unit, value in own.units.items()]
        found += _rows(extractor, score, fit, (own.whole, other.whole), own.part, units, len(table))
        if own.chance and other.chance:
            pairs = zip((CHANCE, CHANCE_HIGH), own.chance, other.chance, strict=True)
            found += [(extractor, score, fit, part, "", *values, len(table), "") for part, *values in pairs]
    return _frame(found)


def measured_before(scores: pd.DataFrame, extractor: str, fit: str) -> dict[str, Measured]:
    """Return what `measure_features` found of a table that was scored: read back from `SCORE_COLUMNS`."""
    found = {}
    for score, rows in scores[(scores["extractor"] == extractor) & (scores["fit"] == fit)].groupby("score"):
        whole, units = rows[rows["part"] == WHOLE].iloc[0], rows[rows["part"].isin([OF, WITHOUT])]
        value_of = rows.set_index("part")["value"]
        found[score] = Measured(
            whole["value"], dict(zip(units["unit"], units["value"], strict=True)), next(iter(units["part"]), OF),
            (value_of[CHANCE], value_of[CHANCE_HIGH]) if CHANCE in value_of else None, whole["reason"],
        )  # fmt: skip
    return found


def same_rows(features: pd.DataFrame, none: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with their rows in one order and their features in that of `none`; `UserError` where rows or
    features differ."""
    table, none = check_features(features), check_features(none)
    names = feature_columns(none)
    if sorted(feature_columns(table)) != sorted(names):
        raise UserError("the harmonized table has other features than that of none; give the same columns")
    if len(table) != len(none) or not (table[ROW_KEY].to_numpy() == none[ROW_KEY].to_numpy()).all():
        raise UserError("the harmonized table has other rows than that of none; give the same series, ROIs and patches")
    return table[[*FEATURE_KEY, *names]], none[[*FEATURE_KEY, *names]]


def measure_features(table: pd.DataFrame, none: pd.DataFrame, domain: str = "scanner", seed: int = 0) -> dict:
    """Measure all scores of a table of features (of `same_rows`), a `Measured` by name.

    icc_2_1, icc_3_1, discriminability, repeatability; domain_linear, domain_nonlinear, maker_linear, maker_nonlinear;
    mixing, variance_explained; content, verbatim, dose_size, dose_direction. scores.csv says what each is.
    """
    values = table[feature_columns(table)].to_numpy(np.float64)
    if not np.isfinite(values).all():
        bad = Measured(np.nan, reason="a feature is not finite")
        return {name: bad for name, score in read_scores().items() if score.level == "features" and not score.trained}
    found = _agreement(table, domain) | _told(table, domain, seed)
    labels, plain = texts(table[domain]), standardised(values)
    mixed = mixing_within(plain, labels, table["tissue"].to_numpy(), seed)
    found["mixing"] = Measured(_mean(mixed.values()), mixed)
    found["variance_explained"] = _without_each(table, domain, lambda rows: explained(plain[rows], labels[rows]))
    kept = content_kept(table, none, domain)
    found["content"] = Measured(_mean(kept.values()), kept)
    copied = pd.Series(verbatim_rows(table, none, seed)).groupby(labels).mean()
    found["verbatim"] = Measured(_mean(copied), copied.to_dict())
    effects = dose_kept(table, none)
    for number, name in enumerate(("dose_size", "dose_direction")):
        own = {unit: both[number] for unit, both in effects.items()}
        reason = "" if np.isfinite(list(own.values())).any() else "no scanner has two doses"
        found[name] = Measured(_mean(own.values()), own if domain == "scanner" else {}, reason=reason)
    return found


def _agreement(table: pd.DataFrame, domain: str) -> dict[str, Measured]:
    """Agreement of the domain's values on ROIs, and repeatability: means over features, without each value."""
    names = {"icc_2_1": "ICC(2,1)", "icc_3_1": "ICC(3,1)"}
    try:
        rated = ratings(table, domain)
    except UserError as error:
        return dict.fromkeys([*names, "discriminability", "repeatability"], Measured(np.nan, reason=str(error)))
    whole = mean_icc(rated.values, len(rated.raters))
    parts = [(name, means) for unit, name, means in mean_icc_without(rated, domain) if unit == domain]
    found = {
        score: Measured(whole[form], {name: means[form] for name, means in parts}, WITHOUT,
                        reason="" if np.isfinite(whole[form]) else "no feature has an ICC")
        for score, form in names.items()
    }  # fmt: skip

    def told(kept: np.ndarray) -> float:
        part = rated._replace(values=rated.values[:, :, kept], raters=[rated.raters[number] for number in kept])
        return _mean(discriminability(part, within_tissue=True))

    n = len(rated.raters)
    whole_told = told(np.arange(n))
    without = {name: told(np.delete(np.arange(n), number)) for number, (name, _) in enumerate(parts)} if n > 2 else {}
    reason = "" if np.isfinite(whole_told) else "no tissue has two regions"
    found["discriminability"] = Measured(whole_told, without, WITHOUT, reason=reason)
    contrast = tissue_contrast(rated)
    plain, _ = plain_units(table[feature_columns(table)].to_numpy(np.float64))

    def spread(rows: np.ndarray) -> float:
        variance = within_scanner(table[rows], plain[rows])["within_variance"]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.sqrt(variance) / contrast
        known = shares[np.isfinite(shares)]
        return float(np.median(known)) if len(known) else np.nan

    found["repeatability"] = _of_each(table, domain, spread, "no repetitions, or tissues that do not differ")
    return found


def _of_each(table: pd.DataFrame, domain: str, measure: Callable[[np.ndarray], float], reason: str) -> Measured:
    """A score of each value's own rows, and their mean."""
    labels = texts(table[domain])
    units = {name: measure(labels == name) for name in sorted(set(labels.tolist()))}
    whole = _mean(units.values())
    return Measured(whole, units, reason="" if np.isfinite(whole) else reason)


def _without_each(table: pd.DataFrame, domain: str, measure: Callable[[np.ndarray], float]) -> Measured:
    """A score of all rows, and without those of each value."""
    labels = texts(table[domain])
    names = sorted(set(labels.tolist()))
    whole = measure(np.ones(len(table), bool))
    without = {name: measure(labels != name) for name in names} if len(names) > 2 else {}
    return Measured(whole, without, WITHOUT, reason="" if np.isfinite(whole) else "no feature varies")


def _told(table: pd.DataFrame, domain: str, seed: int) -> dict[str, Measured]:
    """What probes tell of the domain and of the maker."""
    found = {}
    for what, column in (("domain", domain), ("maker", "maker")):
        for probe in PROBES:
            name = f"{what}_{probe}"
            predictions = probe_predictions(table, column, probe, seed)
            if predictions is None:
                one = table[column].nunique() < 2
                reason = f"the features have one {column}" if one else "a scanner has a single scan"
                found[name] = Measured(np.nan, reason=reason)
                continue
            own = recalls(predictions)
            # a maker has several scanners: the score is the mean over makers, so that scanners are left out of it
            scanners = sorted(set(predictions["scanner"]))
            without = {s: _mean(recalls(predictions[predictions["scanner"] != s])) for s in scanners}
            part, units = (OF, own.to_dict()) if column == domain else (WITHOUT, without)
            found[name] = Measured(_mean(own), units, part, chance_of(predictions, seed))
    return found


@dataclass(frozen=True)
class FeatureSet:
    """The features of an extractor: by a method fitted on all rows, without harmonization, and each value of the domain
    by a fit without it (None: there is none)."""

    extractor: str
    fitted: pd.DataFrame
    plain: pd.DataFrame
    apart: pd.DataFrame | None = None


def compared_rows(
    predictions: pd.DataFrame, splits: pd.DataFrame, keys: pd.DataFrame, domain: str, seed: int
) -> pd.DataFrame:  # fmt: skip
    """Leave out test rows of the scans that methods may adapt to, where their fold did not train on their value of the
    domain; columns `domain` and `maker` are added where there are none.

    So all methods, those that adapt to nothing too, are compared on the same rows. `splits` are those of the
    predictions (columns `SPLIT_COLUMNS`), `keys` the rows of features that they are of.
    """
    about = keys[["series_uid", "maker"]].assign(value=as_text(keys[domain]), tested=rows_tested(keys, domain, seed))
    about = about.drop_duplicates("series_uid").set_index("series_uid")
    values = predictions["series_uid"].map(about["value"])
    # what is left out is never trained on, so that these many need no look
    unseen = (predictions["scheme"] == "loso").to_numpy(copy=True)
    others = np.flatnonzero(~unseen)
    rows = predictions.iloc[others].groupby(TRAINING_KEY, sort=False).indices
    keys = sorted_keys(keys)
    of_row = as_text(keys[domain])
    for split in resolve(splits[splits["scheme"] != "loso"], keys):
        own = others[rows.get(split.key, [])]
        unseen[own] = ~values.iloc[own].isin(set(of_row[split.training]))
    kept = ~unseen | predictions["series_uid"].map(about["tested"]).to_numpy(bool)
    added = {"maker": predictions["series_uid"].map(about["maker"]), domain: values}
    predictions = predictions.assign(**{name: column for name, column in added.items() if name not in predictions})
    return predictions[kept].reset_index(drop=True)


def score_method(
    sets: Iterable[FeatureSet], predictions: pd.DataFrame, splits: pd.DataFrame, none: pd.DataFrame, domain: str,
    seed: int, unfitted: bool, of_none: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return all scores of a method, columns `SCORE_COLUMNS`.

    `predictions` are its rows of predictions.parquet and `splits` what they were planned by, `none` the predictions
    without harmonization; `unfitted` features are the same whatever a fit sees: they have no value with one tissue in
    the target. `of_none` is what this makes of `none` itself; features of other rows are measured for both.
    """
    sets = list(sets)
    own = compared_rows(predictions, splits, sets[0].plain, domain, seed)
    adapted = own[own["ablation"] == ONE_TISSUE].assign(ablation="default")
    same_cell = (none["task"] == PAPERS_TASK) & (none["scheme"] == "loso") & (none["n_train"] == COMPARED_N)
    asked = (splits["ablation"] == ONE_TISSUE).any() and not unfitted
    unbalanced = (adapted, none[same_cell]) if asked else (None, None)
    # of `none` the rows that the method has
    parts = [score_predictions(own, none, domain, *unbalanced)]
    if not asked:
        parts += [_frame(_blank(one.extractor, UNBALANCED, FOLD, NOT_GIVEN)) for one in sets]
    for one in sets:
        tested = rows_tested(one.plain, domain, seed)
        parts.append(score_features(one.fitted, one.plain, one.extractor, domain, seed, ALL_ROWS, of_none))
        apart = one.fitted[rows_tested(one.fitted, domain, seed)] if unfitted else one.apart
        if apart is None:
            lacking = parts[-1].loc[parts[-1]["part"] == WHOLE, ["extractor", "score", "part", "unit"]]
            parts.append(lacking.assign(fit=APART, n_rows=0, reason=NOT_APART).reindex(columns=SCORE_COLUMNS))
            continue
        plain = one.plain.merge(apart[ROW_KEY], on=ROW_KEY)
        is_known = len(plain) == tested.sum() == len(one.plain[tested].merge(plain[ROW_KEY], on=ROW_KEY))
        base = of_none if is_known else None
        parts.append(score_features(apart, plain, one.extractor, domain, seed, APART, base))
    return pd.concat(parts, ignore_index=True)[SCORE_COLUMNS]
