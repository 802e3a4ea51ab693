"""Table 7 and its companions: stability of features and accuracies of the classifiers, beside the published ones."""

import pandas as pd

from ct4bench.benchmark import EXTRACTORS
from ct4bench.comparison import COMPARED, Inputs, Results, ResultTable, beside_published
from ct4bench.labels import DOMAIN_WORDS, NOT_COMPARABLE, origin_of
from ct4bench.modes import Mode
from ct4bench.published import BY_NAME, EXTRACTOR_NAMES

NAME = "table7_stability_classification"
PUBLISHED_DOMAIN = "scanner"
OVERLAP_NOTE = (
    "The patches of a ROI overlap (two of cyst2 by half on average), and the same six objects are in training and "
    "test: see the table of other questions for one ROI left out."
)


def _main(predictions: pd.DataFrame) -> pd.Series:
    """Rows of the paper's own classification: the MLP, its settings, four tissues."""
    return (
        (predictions["classifier"] == "mlp") & (predictions["variant"] == "default") & (predictions["task"] == "tissue")
    )


def _accuracy_tables(inputs: Inputs, results: Results) -> pd.DataFrame | None:
    """The curves over N, all other questions, and confusions; returns Table 7's accuracies."""
    from ct4bench.accuracy import accuracy_by_cell, accuracy_by_value, confusion, table7_classification
    from ct4bench.questions import TASKS

    predictions = inputs.predictions
    if predictions is None:
        results.missing["accuracy_by_n"] = "no classifier was trained in this run"
        return None
    main = _main(predictions)
    own, others = predictions[main], predictions[~main]
    table7 = table7_classification(own)
    results.tables["accuracy_by_n"] = ResultTable(
        accuracy_by_cell(own),
        "Accuracy over the amount of training data",
        "Mean and SD (ddof = 1) over folds of accuracy and of balanced accuracy (mean recall of the classes): loso "
        "leaves one scanner out and trains on N others, those of other makers first; kfold trains on n of the nine "
        "other folds. Intervals: 95 %, bootstrap of scanners.",
    )
    if len(others):
        frame = accuracy_by_cell(others)
        frame.insert(1, "question", [TASKS[task].description if task in TASKS else "" for task in frame["task"]])
        results.tables["accuracy_questions"] = ResultTable(
            frame,
            "Other questions, variants and classifiers",
            "As the accuracies of Table 7, with one thing changed: the question (task), a choice of the training "
            "(variant), or the classifier. The same six objects lie at the same places in training and test of LOSO; "
            "tissue_other_roi trains on one cyst and one normal region and tests on the other ones.",
        )
    most = own.groupby("scheme")["n_train"].transform("max")
    results.tables["confusion"] = ResultTable(
        confusion(own[own["n_train"] == most]),
        "Which tissues are taken for which",
        "Rows by true and predicted tissue over all folds, trained on all but one scanner (loso) or fold (kfold); "
        "share of the true tissue's rows.",
    )
    for task, column in (("tissue_other_dose", "dose_mgy"), ("tissue_other_recon", "recon")):
        rows = predictions[predictions["task"] == task]
        if len(rows):
            results.tables[f"accuracy_{task.removeprefix('tissue_')}"] = ResultTable(
                accuracy_by_value(rows, inputs.series, column),
                f"Accuracy on another {'dose' if column == 'dose_mgy' else 'reconstruction'}",
                f"{TASKS[task].description[0].upper()}{TASKS[task].description[1:]}.",
            )
    return table7


def _stability_tables(inputs: Inputs, mode: Mode, results: Results) -> pd.DataFrame | None:
    """ICC by form and stratum, repeatability, quality of the embedding; returns Table 7's ICC."""
    if inputs.repeatability is not None:
        results.tables["repeatability"] = ResultTable(
            inputs.repeatability, "Repeatability and discriminability of features", "See docs/outputs.md."
        )
    if inputs.icc is None:
        results.missing["stability"] = "no ICC was computed in this run"
        return None
    from ct4bench.stability import table7_icc_summary

    return table7_icc_summary(inputs.icc, mode)


def _extractor_rank(extractor: str) -> tuple[int, str]:
    return (EXTRACTORS.index(extractor) if extractor in EXTRACTORS else len(EXTRACTORS), extractor)


def _table7(stability: pd.DataFrame | None, accuracies: pd.DataFrame | None) -> pd.DataFrame:
    """Both halves by extractor, in the paper's order, with the paper's names of the features."""
    halves = [half for half in (stability, accuracies) if half is not None]
    frame = halves[0] if len(halves) == 1 else halves[0].merge(halves[1], on="extractor", how="outer")
    frame = frame.drop(columns=[column for column in frame.columns if column.startswith("features")])
    frame.insert(0, "features", [EXTRACTOR_NAMES.get(extractor, extractor) for extractor in frame["extractor"]])
    order = sorted(range(len(frame)), key=lambda i: _extractor_rank(frame["extractor"].iloc[i]))
    return frame.iloc[order].reset_index(drop=True)


def feature_tables(inputs: Inputs, mode: Mode, folder, results: Results) -> None:
    """Table 7, the curves over N, and what else stability, classification and embedding gave."""
    accuracies = _accuracy_tables(inputs, results)
    stability = _stability_tables(inputs, mode, results)
    if accuracies is None and stability is None:
        results.missing[NAME] = "neither stability nor classification was computed in this run"
        return
    domain = DOMAIN_WORDS.get(inputs.domain, inputs.domain)
    frame = _table7(stability, accuracies)
    frame = beside_published(frame, NAME, lambda row: origin_of(inputs.series), folder)
    if inputs.domain != PUBLISHED_DOMAIN:
        differences = [column for column in frame.columns if column.endswith("_difference")]
        frame[differences] = float("nan")
        known = frame["comparison"].isin([COMPARED, *NOT_COMPARABLE.values()])
        frame.loc[known, "comparison"] = f"not comparable: over the {domain}, not over scanners"
    text = (
        f"Mean and SD (ddof = 1) over features of the {mode.icc_headline}, clipped at 0, over {domain}s as raters and "
        "ROIs as targets; mean and SD (ddof = 1) over folds of the accuracy of an MLP that tells four tissues, trained "
        f"on one or on all other {domain}s (LOSO), or on nine of ten folds of {mode.kfold_unit}s (10-fold)."
    )
    results.tables[NAME] = ResultTable(frame, BY_NAME[NAME].title, text, True, [OVERLAP_NOTE])
