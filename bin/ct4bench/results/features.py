"""Table 7 and its companions: stability of features and accuracies of the classifiers, beside the published ones."""

import pandas as pd

from ct4bench.core.benchmark import DOMAIN_LABELS
from ct4bench.core.extractors import Extractor, extractor_rank, in_order, title_of
from ct4bench.core.intervals import UNITS
from ct4bench.core.modes import Mode
from ct4bench.core.regions import Phantom
from ct4bench.learning.counts import count_rows
from ct4bench.results.comparison import COMPARED, Inputs, Results, ResultTable, beside_published
from ct4bench.results.differences import accuracy_differences, icc_differences, value_differences
from ct4bench.results.published import BY_NAME
from ct4bench.results.run_facts import NOT_COMPARABLE, origin_of

NAME = "table7_stability_classification"
PUBLISHED_DOMAIN, PUBLISHED_FORM = "scanner", "ICC(3,1)"
OVERLAP_NOTE = (
    "Where the patches of a ROI overlap, its rows are not independent, and the same objects are in training and test: "
    "see the table of other questions for one ROI left out."
)


def _main(predictions: pd.DataFrame) -> pd.Series:
    """Rows of the paper's own classification: the MLP, its settings, four tissues."""
    return (
        (predictions["classifier"] == "mlp")
        & (predictions["ablation"] == "default")
        & (predictions["task"] == "tissue")
    )


CHANCE = (
    "Chance is the balanced accuracy of the same predictions with the true classes permuted: its mean, and as chance "
    "high what 95 % of the permutations do not exceed (docs/statistics.md)."
)


BOTH_SOURCES = (
    "The two are different questions, what other scanners and what other regions would score, and neither interval "
    "holds the other's spread; scanners of one maker are alike, so that intervals over scanners are too narrow where "
    "makers differ (docs/statistics.md)."
)


def _chance_words(results: Results) -> str:
    """What guessing scores in Table 7."""
    frame = results.tables["accuracy_by_n"].frame
    return (
        f"Guessing has a balanced accuracy of {frame['chance'].mean():.2f}, of {frame['chance_high'].max():.2f} at "
        "most in 95 % of the permutations."
    )


def interval_words(frame: pd.DataFrame) -> str:
    """Return what the intervals of a table of accuracies are over, and what a blank one means."""
    found = frame.groupby("ci_unit", sort=False)["n_ci_units"].agg(["min", "max"])
    over = [f"{_range(low, high)} {UNITS.get(unit, unit)}" for unit, low, high in found.itertuples()]
    regions = _range(frame["n_rois"].min(), frame["n_rois"].max())
    return (
        f"95 % intervals by the jackknife and Student's t: over {' or '.join(over)} first, over {regions} regions "
        "second; blank where there is one only, or where all are alike, which says nothing of others."
    )


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


PAIRED = (
    "Each difference with its 95 % interval by the jackknife and Student's t: the same unit is left out of both, so "
    "that what they share does not widen it. An interval that holds 0 does not tell the two apart; of many differences "
    "one in twenty misses its interval by chance."
)


def _differences(results: Results, name: str, frame: pd.DataFrame, title: str, text: str = "") -> None:
    """Add a table of differences where there is one."""
    if len(frame):
        results.tables[f"{name}_differences"] = ResultTable(frame, title, f"{text} {PAIRED}".lstrip())


def with_makers(predictions: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """Add the column `maker` to predictions, by scanner."""
    makers = series.drop_duplicates("scanner").set_index("scanner")["maker"]
    return predictions.assign(maker=predictions["scanner"].map(makers))


TASK_WORDS = {
    "tissue_other_roi": "; tissue_other_roi trains on one cyst and one normal region and tests on the other ones, so "
    "that its interval over regions is the one that counts",
    "tissue_other_maker": "; tissue_other_maker leaves makers out, and its first intervals are over makers",
    "scanner": "; how far the scanner can be told from the features is what harmonization should lower",
    "maker": "; the same is so of the maker",
}
"""What the text of the other questions says of those that were asked."""


def of_common_values(
    predictions: pd.DataFrame, series: pd.DataFrame, task: str, column: str
) -> tuple[pd.DataFrame, str]:
    """Return the predictions without the rows of a task that train or test on a value not every scanner has, and words.

    The task trains on one value of `column` of the series (the fold) and tests on others; a mean over its folds would
    mix questions where, say, one scanner alone has DL. Where fewer than two values are common to all scanners, all
    stay. Words say which values the mean is over; blank without rows of the task.
    """
    from ct4bench.splits.tasks import value_table

    mine = predictions["task"] == task
    if not mine.any():
        return predictions, ""
    known = series.drop_duplicates("series_uid").set_index("series_uid")[column]
    value = predictions.loc[mine, "series_uid"].map(known).map(lambda v: v if isinstance(v, str) else f"{v:g}")
    scanners = predictions.loc[mine, "scanner"].astype(str).groupby(value).agg(set)
    everywhere = set().union(*scanners)
    common = [name for name in scanners.index if scanners[name] == everywhere]
    counts = {name: f"{name} ({len(scanners[name])} of {len(everywhere)} scanners)" for name in scanners.index}
    rare = ", ".join(counts[name] for name in scanners.index if name not in common)
    if len(common) < 2:
        words = f"{task} averages over {', '.join(counts.values())}, which not all scanners have" if rare else ""
        return predictions, words
    keep = ~mine
    keep[mine] = value.isin(common) & predictions.loc[mine, "fold"].astype(str).isin(common)
    without = f", without {rare}, which {value_table(task)} has" if rare else ""
    return predictions[keep], f"{task} averages over {', '.join(common)}{without}"


def _task_tables(inputs: Inputs, predictions: pd.DataFrame, results: Results) -> None:
    """What else was asked of the MLP: other tasks, other choices of the training, and each value left out."""
    from ct4bench.learning.accuracy import accuracy_by_cell, accuracy_by_value, changes, left_out
    from ct4bench.splits.tasks import ABLATION_LABELS, ONE_TISSUE_LABEL, TASKS, value_table

    others = predictions[predictions["task"] != "tissue"]
    averages = []
    for name, task in TASKS.items():
        if task.by_value:
            others, words = of_common_values(others, inputs.series, name, task.by_value)
            averages += [f"{words}."] if words else []
    if len(others):
        frame = accuracy_by_cell(others, inputs.domain, inputs.seed)
        asked = [TASKS[task].description if task in TASKS else "" for task in frame["task"]]
        frame.insert(1, "description", [inputs.phantom.words(text) for text in asked])
        results.tables["accuracy_tasks"] = ResultTable(
            frame.drop(columns=["classifier", "ablation"]),
            "Other questions",
            "Mean and SD (ddof = 1) over folds of accuracy, and balanced accuracy (mean recall of the classes over the "
            f"rows of all folds), by the MLP of Table 7. {interval_words(frame)} {CHANCE} The same objects lie at the "
            "same positions in training and test of Table 7"
            + "".join(words for task, words in TASK_WORDS.items() if task in set(others["task"]))
            + ". "
            + " ".join(averages),
        )
    own = predictions[predictions["task"] == "tissue"]
    varied = own[own["ablation"] != "default"]
    if len(varied):
        base = own[own["ablation"] == "default"]
        frame = changes(varied, base, inputs.domain, inputs.seed).drop(columns=["task", "classifier"])
        changed = [ABLATION_LABELS.get(name, ONE_TISSUE_LABEL) for name in frame["ablation"]]
        frame.insert(1, "changed", [inputs.phantom.words(text) for text in changed])
        results.tables["accuracy_ablations"] = ResultTable(
            frame,
            "Other choices of the training",
            "The cells of Table 7 with one choice changed, and what that changes of them; the points are those of "
            f"docs/deviations.md. {interval_words(frame)} For a change the same one is left out of both.",
        )
    held_out = predictions[
        (predictions["ablation"] == "default")
        & ((predictions["scheme"] == "loso") | (predictions["scheme"] == "leave_one_out"))
        & predictions["task"].isin([name for name, task in TASKS.items() if task.left_out])
    ]
    if len(held_out):
        domain = DOMAIN_LABELS.get(inputs.domain, inputs.domain)
        asked = [TASKS[name].left_out.format(domain=domain) for name in TASKS if name in set(held_out["task"])]
        results.tables["accuracy_left_out"] = ResultTable(
            left_out(held_out).drop(columns=["classifier", "ablation"]),
            "Accuracy on what was left out",
            f"Accuracy and balanced accuracy on each one that the training left out ({', '.join(asked)}); trained on "
            "all others.",
        )
    default = predictions[predictions["ablation"] == "default"]
    extractors = in_order(set(default["extractor"]), inputs.extractors)
    _differences(
        results,
        "accuracy_tasks",
        accuracy_differences(others[others["ablation"] == "default"], inputs.domain, extractors),
        "Other questions: differences between feature sets",
    )
    for name, task in TASKS.items():
        rows = predictions[predictions["task"] == name]
        if task.by_value and len(rows):
            _differences(
                results,
                value_table(name),
                value_differences(rows, inputs.series, task.by_value, inputs.domain, extractors),
                f"Accuracy on another {DOMAIN_LABELS[task.by_value]}: differences",
                f"Between lines that train, or test, on the same {DOMAIN_LABELS[task.by_value]}, or change the two.",
            )
            results.tables[value_table(name)] = ResultTable(
                accuracy_by_value(rows, inputs.series, task.by_value),
                f"Accuracy on another {DOMAIN_LABELS[task.by_value]}",
                f"{task.description[0].upper()}{task.description[1:]}.",
            )


def _told_of(tasks: pd.DataFrame, phantom: Phantom) -> pd.DataFrame:
    """Table of tasks, in words that hold of a phantom."""
    texts = {
        name: [phantom.words(text) if isinstance(text, str) else text for text in tasks[name]]
        for name in ("description", "reason")
        if name in tasks.columns
    }
    return tasks if phantom.is_published else tasks.assign(**texts)


def _classifier_tables(inputs: Inputs, predictions: pd.DataFrame, results: Results) -> None:
    """Whether the order of the feature sets depends on the classifier."""
    from ct4bench.learning.accuracy import ranking
    from ct4bench.splits.splits import TRAINING_KEY
    from ct4bench.splits.tasks import cells_of_table7

    own = predictions[predictions["ablation"] == "default"]
    keys = pd.MultiIndex.from_frame(own[TRAINING_KEY])
    own = own[keys.isin(cells_of_table7(keys.unique()))]
    frame = ranking(own, inputs.domain, inputs.seed)
    results.tables["accuracy_by_classifier"] = ResultTable(
        frame.drop(columns="ablation"),
        "Other classifiers",
        "The cells of Table 7, and the other questions, by the MLP and by other classifiers; rank orders the "
        f"feature sets by balanced accuracy, 1 the best. {interval_words(frame)} Where ranks differ between "
        "classifiers, the order of Table 7 is not the features' alone.",
    )


def _accuracy_tables(inputs: Inputs, results: Results) -> pd.DataFrame | None:
    """The curves over N, all other questions, and confusions; returns Table 7's accuracies."""
    from ct4bench.learning.accuracy import accuracy_by_cell, confusion, confusion_left_out, table7_classification

    if inputs.tasks is not None:
        results.tables["tasks"] = ResultTable(
            _told_of(inputs.tasks, inputs.phantom),
            "Tasks of the classifiers",
            "Trainings of each feature set by the MLP, by question (task) and choice of the training (ablation), "
            "and why there are none.",
        )
    if inputs.predictions is None:
        results.missing["accuracy_by_n"] = "no classifier was trained in this run"
        return None
    predictions = with_makers(inputs.predictions, inputs.series)
    own = predictions[_main(predictions)]
    domain = DOMAIN_LABELS.get(inputs.domain, inputs.domain)
    table7 = table7_classification(own, extractors=inputs.extractors, domain=inputs.domain)
    frame = accuracy_by_cell(own, inputs.domain, inputs.seed)
    results.tables["accuracy_by_n"] = ResultTable(
        frame,
        "Accuracy over the amount of training data",
        "Mean and SD (ddof = 1) over folds of accuracy, and balanced accuracy (mean recall of the classes over the "
        f"rows of all folds): loso leaves one {domain} out and trains on N others"
        f"{', those of other makers first' * (domain == 'scanner')}; kfold trains on n of the nine other folds. "
        f"{interval_words(frame)} {CHANCE}",
    )
    most = own.groupby("scheme")["n_train"].transform("max")
    results.tables["confusion"] = ResultTable(
        confusion(own[own["n_train"] == most]),
        "Confusion matrix",
        f"Rows by true and predicted tissue over all folds, trained on all but one {domain} (loso) or fold (kfold); "
        "share of the true tissue's rows.",
    )
    by_value = confusion_left_out(own)
    if len(by_value):
        results.tables["confusion_left_out"] = ResultTable(
            by_value,
            f"Confusion matrix of each {domain}",
            f"As above, for each {domain} that was left out, by the fewest and the most {domain}s to train on.",
        )
    _task_tables(inputs, predictions[predictions["classifier"] == "mlp"], results)
    if predictions["classifier"].nunique() > 1:
        _classifier_tables(inputs, predictions, results)
    return table7


GRADES = ((0.0, 0.5, "poor"), (0.5, 0.75, "moderate"), (0.75, 0.9, "good"), (0.9, 1.0, "excellent"))
"""Koo and Li 2016, doi:10.1016/j.jcm.2016.02.012; the upper end belongs to a grade only at 1."""
SINGLE_RATER_FORMS = ("ICC(2,1)", "ICC(3,1)")
JUDGED_BY = {"estimate": "icc_clipped", "lower end": "ci_low"}
"""What a grade is of, and its column of icc.csv."""


def icc_grades(icc: pd.DataFrame) -> pd.DataFrame:
    """Return the share of features of each grade by extractor and single-rater form, over all rows with ROIs as
    targets; of ICC(2,1) also by the lower end of its interval, below which the feature may well lie.

    Columns: extractor, form, judged_by (`estimate` or `lower end`), n_features (that have an ICC), and one for each
    grade.
    """
    from ct4bench.stability.icc import ALL
    from ct4bench.stability.repeatability import STABLE_FORM

    own = icc[(icc["stratum"] == ALL) & icc["form"].isin(SINGLE_RATER_FORMS) & icc["icc_clipped"].notna()]
    rows = []
    for (extractor, form), part in own.groupby(["extractor", "form"], sort=True):
        for judged_by, column in JUDGED_BY.items():
            if judged_by != "estimate" and form != STABLE_FORM:
                continue
            value = part[column].clip(0, 1)
            shares = {
                grade: float(((value >= low) & ((value < high) | (high == 1.0))).mean()) for low, high, grade in GRADES
            }
            row = {"extractor": extractor, "form": form, "judged_by": judged_by, "n_features": len(part)}
            rows.append(row | shares)
    return pd.DataFrame(rows, columns=["extractor", "form", "judged_by", "n_features", *(g for *_, g in GRADES)])


def repeatability_summary(repeatability: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over features of the relative measures of repeatability.csv, by extractor and class of
    features.

    Columns: extractor, feature_class (`all` first), n_features, then <measure>_median.
    """
    measures = ["within_relative", "reproducibility_relative", "discriminability", "discriminability_within_tissue"]
    whole = repeatability.assign(feature_class="all")
    several = repeatability.groupby("extractor")["feature_class"].transform("nunique") > 1
    rows = pd.concat([whole, repeatability[several]], ignore_index=True)
    groups = rows.groupby(["extractor", "feature_class"], sort=True)
    medians = groups[measures].median().add_suffix("_median")
    medians.insert(0, "n_features", groups.size())
    return medians.reset_index()


N_STABLE = 10
"""Features of each extractor in the report's list of stable ones."""


def stable_words(stable: pd.DataFrame, extractors: dict[str, Extractor], strata: list[str] = ()) -> str:
    """Return how many features of each extractor are stable, by the interval of their ICC(2,1): in every one of
    `strata`, and over all rows; of how many that have an ICC over all rows, and how many have none."""
    from ct4bench.stability.repeatability import EXCELLENT

    parts, without = [], []
    for name in in_order(set(stable["extractor"]), extractors):
        own, title = stable[stable["extractor"] == name], title_of(name, extractors)
        n, n_all = int(own["icc"].notna().sum()), int((own["ci_low"] >= EXCELLENT).sum())
        over_all = f" (over all rows alone {n_all})" if len(strata) > 1 else ""
        parts.append(f"{int(own['stable'].sum())} of {n} of {title}{over_all}")
        without += [f"{len(own) - n} of {title}"] if n < len(own) else []
    where = f", in every stratum ({', '.join(map(_stratum_words, strata))})" if len(strata) > 1 else ""
    none = f" Further features have no ICC, being constant or not finite: {', '.join(without)}." if without else ""
    return (
        f"Features whose ICC(2,1) is {EXCELLENT:g} or more by the lower end of its 95 % interval{where}: "
        f"{', '.join(parts)}.{none}"
    )


def _stratum_words(stratum: str) -> str:
    """`recon=FBP` as FBP, `dose_mgy=3` as 3 mGy, `all` as all rows."""
    column, _, value = stratum.partition("=")
    return f"{value} mGy" if column == "dose_mgy" else value or "all rows"


SPREAD_WORDS = (
    "The ICC is of means over the patches of a region, the SDs are of single patches: a stable feature may have a "
    "relative reproducibility above 1, a spread of single patches as large as the difference between two tissues, "
    "which they do not tell apart by it then ('more than the contrast')."
)
"""What the ICC of a feature and its spread do not have in common."""


def _in_order(frame: pd.DataFrame, extractors: dict[str, Extractor]) -> pd.DataFrame:
    """Rows in the order of the extractors, else as they are."""
    order = sorted(range(len(frame)), key=lambda i: extractor_rank(frame["extractor"].iloc[i], extractors))
    return frame.iloc[order].reset_index(drop=True)


def _stability_tables(inputs: Inputs, mode: Mode, results: Results) -> pd.DataFrame | None:
    """ICC by form, stratum, class and grade, repeatability, quality of the embedding; returns Table 7's ICC."""
    from ct4bench.stability.icc import ALL, icc_summary, table7_icc_summary

    if inputs.repeatability is not None:
        results.tables["repeatability_summary"] = ResultTable(
            _in_order(repeatability_summary(inputs.repeatability), inputs.extractors),
            "Repeatability within, reproducibility between, and discriminability",
            "Medians over features: SD over repetitions within a scanner (within; blank without repetitions) and of a "
            f"single measurement over {DOMAIN_LABELS.get(inputs.domain, inputs.domain)}s at equal other settings "
            "(reproducibility), each as a share of the typical difference between two tissues, and how often a ROI is "
            "taken for itself rather than for another one on another scanner (1 is perfect, 0.5 chance), among all "
            "ROIs and among those of one tissue.",
        )
    if inputs.embedding_quality is not None:
        results.tables["embedding_quality"] = ResultTable(
            inputs.embedding_quality,
            "Quality of the embedding",
            "Of Figures 5 and 6: how far neighbourhoods in the plane are those among the features.",
        )
    if inputs.icc is None:
        results.missing["stability"] = "no ICC was computed in this run"
        return None
    summary = icc_summary(inputs.icc)
    if inputs.intervals is not None:
        keys = ["extractor", "form", "stratum"]
        columns = [*keys, "n_raters", "n_rois", "icc_ci_low", "icc_ci_high", "icc_roi_ci_low", "icc_roi_ci_high"]
        summary = summary.merge(inputs.intervals[columns], on=keys, how="left")
        summary.insert(len(keys) + 4, "ci_unit", inputs.domain)
    results.tables["stability"] = ResultTable(
        _in_order(summary, inputs.extractors),
        "Mean ICC by form and rows",
        "Mean and SD (ddof = 1) over features of the ICC clipped at 0, with 95 % intervals by the jackknife and "
        f"Student's t over {DOMAIN_LABELS.get(inputs.domain, inputs.domain)}s and over ROIs, blank where there are "
        "fewer than three. Stratum all: all rows, ROIs as targets; recon=… and dose_mgy=…: the rows of one; targets=…: "
        "patches as targets. n_undefined counts features "
        "that are constant or not finite. Intervals of each feature, from F tests, are in icc.csv.",
    )
    if inputs.stable_features is not None:
        strata = [name for name in dict.fromkeys(inputs.icc["stratum"]) if not name.startswith("targets=")]
        results.tables["stable_features"] = ResultTable(
            _in_order(
                inputs.stable_features[inputs.stable_features["rank"] <= N_STABLE].reset_index(drop=True),
                inputs.extractors,
            ),
            "The most stable features",
            f"{stable_words(inputs.stable_features, inputs.extractors, strata)} The first {N_STABLE} of each set, by "
            "the lower end of the 95 % interval of ICC(2,1) (F test), the lowest over all strata: an estimate alone "
            "would rank luck. SDs in the feature's own unit: within a scanner over repetitions, and of a single "
            f"measurement over {DOMAIN_LABELS.get(inputs.domain, inputs.domain)}s (reproducibility); relative: as a "
            f"share of the typical difference between two tissues (tissue contrast). {SPREAD_WORDS} The whole list is "
            "stable_features.csv.",
        )
    headline = inputs.icc[(inputs.icc["form"] == mode.icc_headline) & (inputs.icc["stratum"] == ALL)]
    results.tables["stability_by_class"] = ResultTable(
        _in_order(icc_summary(headline, ("extractor", "feature_class")), inputs.extractors),
        f"Mean {mode.icc_headline} by class of features",
        "Mean and SD (ddof = 1) over the features of a class of the ICC clipped at 0, over all rows.",
    )
    results.tables["stability_grades"] = ResultTable(
        _in_order(icc_grades(inputs.icc), inputs.extractors),
        "Number of stable features",
        "Share of features whose ICC over all rows is poor (below 0.5), moderate (below 0.75), good (below 0.9) or "
        "excellent, by the estimate, and for ICC(2,1) also by the lower end of its 95 % interval (F test).",
    )
    return table7_icc_summary(inputs.icc, mode, inputs.intervals)


def _table7(
    stability: pd.DataFrame | None, accuracies: pd.DataFrame | None, extractors: dict[str, Extractor], domain: str
) -> pd.DataFrame:
    """Both halves by extractor, in the paper's order, with the paper's names of the features.

    Intervals of the ICC are over the domain's values (`icc_ci_unit`), those of accuracies over what `ci_unit` names.
    """
    halves = [half for half in (stability, accuracies) if half is not None]
    frame = halves[0] if len(halves) == 1 else halves[0].merge(halves[1], on="extractor", how="outer")
    frame = frame.drop(columns=[column for column in frame.columns if column.startswith("features")])
    if stability is not None:
        frame["icc_ci_unit"] = domain
    frame.insert(0, "features", [title_of(extractor, extractors) for extractor in frame["extractor"]])
    return _in_order(frame, extractors)


def _trained_words(inputs: Inputs, mode: Mode, domain: str) -> str:
    """What was trained for Table 7, by the schemes that this run has; blank where there is none."""
    if inputs.predictions is None:
        return ""
    own = inputs.predictions[_main(inputs.predictions)]
    schemes = {
        "loso": f"on one or on all other {domain}s (LOSO)",
        "kfold": f"on nine of ten folds of {mode.kfold_unit}s (10-fold)",
    }
    ways = [words for name, words in schemes.items() if name in set(own["scheme"])]
    n_tissues = own["target"].nunique()
    return (
        f"; mean and SD (ddof = 1) over folds of the accuracy of an MLP that tells {n_tissues} tissues, trained "
        f"{', or '.join(ways)}"
    )


PUBLISHED_ROWS, PUBLISHED_STEPS = 1_200, 4_500
"""Of the MLP on one scanner of the collection: thirty epochs of its rows in batches of eight."""


def steps_words(inputs: Inputs, domain: str) -> str:
    """Say that training on one value of the domain is short where it has less than half of the published steps; blank
    where it has more, or none was trained so."""
    if inputs.predictions is None:
        return ""
    own = inputs.predictions[_main(inputs.predictions)]
    own = own[(own["scheme"] == "loso") & (own["n_train"] == 1)]
    if own.empty:
        return ""
    # What one fold leaves out is as much as another trains on.
    rows = count_rows(own).sum() / len(own[["extractor", "fold"]].drop_duplicates())
    if 2 * rows > PUBLISHED_ROWS:
        return ""
    steps = rows / PUBLISHED_ROWS * PUBLISHED_STEPS
    return (
        f"With N = 1 the MLP has {rows:,.0f} rows of one {domain} and so about {steps:,.0f} steps, where the "
        f"collection's {PUBLISHED_ROWS:,} rows give {PUBLISHED_STEPS:,}: here N = 1 is limited by the number of steps "
        f"as well as by the {domain}s."
    )


def feature_tables(inputs: Inputs, mode: Mode, folder, results: Results) -> None:
    """Return Table 7, the curves over N, and what else stability, classification and embedding gave."""
    from ct4bench.stability.icc import WHAT_EACH_SEES

    accuracies = _accuracy_tables(inputs, results)
    stability = _stability_tables(inputs, mode, results)
    if accuracies is None and stability is None:
        results.missing[NAME] = "neither stability nor classification was computed in this run"
        return
    domain = DOMAIN_LABELS.get(inputs.domain, inputs.domain)
    frame = _table7(stability, accuracies, inputs.extractors, inputs.domain)
    frame = beside_published(frame, NAME, lambda row: origin_of(inputs.series), folder)
    if inputs.domain != PUBLISHED_DOMAIN:
        differences = [column for column in frame.columns if column.endswith("_difference")]
        frame[differences] = float("nan")
        known = frame["comparison"].isin([COMPARED, *NOT_COMPARABLE.values()])
        frame.loc[known, "comparison"] = f"not comparable: over the {domain}, not over scanners"
    notes = [WHAT_EACH_SEES, OVERLAP_NOTE]
    if accuracies is not None:
        notes.append(f"{interval_words(accuracies)} {BOTH_SOURCES} {_chance_words(results)}")
        notes += [words for words in [steps_words(inputs, domain)] if words]
    if mode.icc_headline != PUBLISHED_FORM:
        frame[["icc_mean_difference", "icc_sd_difference"]] = float("nan")
        notes.insert(0, f"The published mean ICC is {PUBLISHED_FORM}; this run's headline is {mode.icc_headline}.")
    if inputs.tasks is not None:
        own = inputs.tasks[(inputs.tasks["task"] == "tissue") & (inputs.tasks["ablation"] == "default")]
        notes += [f"Left out: {reason}." for reason in own["reason"].dropna() if reason]
    text = (
        f"Mean and SD (ddof = 1) over features of the {mode.icc_headline}, clipped at 0, over {domain}s as raters and "
        f"ROIs as targets{_trained_words(inputs, mode, domain)}."
    )
    results.tables[NAME] = ResultTable(frame, BY_NAME[NAME].title, text, True, notes)
    _feature_differences(inputs, results)


def _feature_differences(inputs: Inputs, results: Results) -> None:
    """What feature sets differ by in Table 7, and reconstructions and doses in the mean ICC."""
    from ct4bench.learning.accuracy import cells_of_table7

    parts = []
    if inputs.intervals is not None and inputs.icc_left_out is not None:
        extractors = in_order(set(inputs.intervals["extractor"]), inputs.extractors)
        sets, strata = icc_differences(inputs.intervals, inputs.icc_left_out, extractors)
        parts.append(sets)
        _differences(
            results,
            "stability",
            strata,
            "Mean ICC: differences between reconstructions and between doses",
            "Of those that the same scanners have.",
        )
    if inputs.predictions is not None:
        own = with_makers(inputs.predictions[_main(inputs.predictions)], inputs.series)
        places = set(cells_of_table7(own).values())
        own = own[[place in places for place in zip(own["scheme"], own["n_train"], strict=True)]]
        parts.append(accuracy_differences(own, inputs.domain, in_order(set(own["extractor"]), inputs.extractors)))
    parts = [part for part in parts if len(part)]
    if parts:
        _differences(
            results, "table7", pd.concat(parts, ignore_index=True), "Table 7: differences between feature sets"
        )
